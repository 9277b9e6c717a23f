package ledgerdb

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// jumpyClock goes forwards and back, as clocks do.
type jumpyClock struct{ n int }

func (c *jumpyClock) Now() clock.Reading {
	c.n++
	at := time.Date(2026, 5, 20, 0, 0, 0, 0, time.UTC).Add(time.Duration(c.n)*time.Minute - time.Duration(c.n%7)*20*time.Minute)
	return clock.Reading{Wall: at, State: clock.Trusted, Boot: "b1", Mono: time.Duration(c.n)}
}

var (
	someKinds  = []ledger.Kind{"log.search", "footage.access.open", "attendance.tap", "logout", "access.refused"}
	someActors = []string{"p001", "p002", "r01", "system"}
	someIDs    = []string{"c01", "c02", "c03", "a2026-0001", "s0001", "10.20.3.18", "v7"}
)

func randomDraft(t *rapid.T) ledger.Draft {
	d := ledger.Draft{
		Actor: ledger.Actor{ID: rapid.SampledFrom(someActors).Draw(t, "actor")}, Via: ledger.ViaWeb,
		Kind: rapid.SampledFrom(someKinds).Draw(t, "kind"),
	}
	id := func() string { return rapid.SampledFrom(someIDs).Draw(t, "id") }
	at := time.Date(2026, 5, 8, 0, 0, 0, 0, time.UTC)
	switch d.Kind {
	case "log.search":
		d.Data, d.Subject = map[string]any{"count": 1}, id()
	case "footage.access.open":
		d.Data = map[string]any{"viewing": "v7", "camera": id(), "from": at, "to": at, "mode": "live", "ground": "duty"}
	case "attendance.tap":
		d.Data = map[string]any{"reader": "r01", "card": make([]byte, 32), "student": id(), "class": "2024-03", "direction": "in", "outcome": "present", "date": "2026-05-08"}
	case "access.refused":
		d.Data = map[string]any{"action": "footage.playback", "reason": "no_grant", "application": id()}
		d.From = &ledger.From{Address: "10.20.3.18", Device: "c01 in a browser's name is no camera"}
	}
	return d
}

func randomQuery(t *rapid.T, size int) Query {
	q := Query{
		Kinds:  rapid.SliceOfN(rapid.SampledFrom(someKinds), 0, 2).Draw(t, "kinds"),
		Actors: rapid.SliceOfN(rapid.SampledFrom(someActors), 0, 2).Draw(t, "actors"),
		About:  rapid.SliceOfN(rapid.SampledFrom(someIDs), 0, 6).Draw(t, "about"),
		Limit:  rapid.IntRange(1, 40).Draw(t, "limit"),
	}
	day := time.Date(2026, 5, 20, 0, 0, 0, 0, time.UTC)
	if rapid.Bool().Draw(t, "from") {
		q.From = day.Add(time.Duration(rapid.IntRange(0, 600*1000).Draw(t, "fromMilli")) * 37 * time.Millisecond)
	}
	if rapid.Bool().Draw(t, "to") {
		q.To = day.Add(time.Duration(rapid.IntRange(0, size).Draw(t, "toMin")) * time.Minute)
	}
	return q
}

// isAbout says whether an entry is about an id: its subject, the address it came from, or what its data name.
func isAbout(e *ledger.Entry, ids []string) bool {
	if slices.Contains(ids, e.Subject) || e.From != nil && slices.Contains(ids, e.From.Address) {
		return true
	}
	for id := range named(e.Data) {
		if slices.Contains(ids, string(id)) {
			return true
		}
	}
	return false
}

// plainMatch says the same as a Query, straight from the entry.
func plainMatch(q Query, e ledger.Entry) bool {
	if len(q.Kinds) > 0 && !slices.Contains(q.Kinds, e.Kind) || len(q.Actors) > 0 && !slices.Contains(q.Actors, e.Actor.ID) {
		return false
	}
	if !q.From.IsZero() && e.At.Before(q.From) || !q.To.IsZero() && !e.At.Before(q.To) {
		return false
	}
	return len(q.About) == 0 || isAbout(&e, q.About)
}

// Covers F13: a search through the digests finds exactly what reading every entry finds, page by page.
func TestSearchFindsWhatReadingEveryEntryFinds(t *testing.T) {
	o := testOptions(t, t.TempDir())
	o.Clock = &jumpyClock{}
	s, _ := start(t, o)
	s.db.NoSync = true
	marked := uint64(0) // entries whose marks were looked at
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(0, 8).Draw(rt, "changes") {
			var c Change
			for range rapid.IntRange(1, 12).Draw(rt, "entries") {
				c.Entries = append(c.Entries, randomDraft(rt))
			}
			commit(t, s, c)
		}
		q := randomQuery(rt, int(s.Size()))
		var want []uint64
		counts := map[ledger.Kind]int{}
		for e, err := range s.Newest(s.Size()) {
			if err != nil {
				rt.Fatal(err)
			}
			if e.Seq >= marked {
				tokens := tokensOf(&e)
				if leaves, err := s.Leaves(e.Seq, 1); err != nil {
					rt.Fatal(err)
				} else if m, err := marksOfLeaf(leaves[0]); err != nil || !slices.Equal(slices.Collect(m.tokens.all), slices.Collect(tokens.all)) || m.at != e.At.UnixMilli() {
					rt.Fatalf("the marks of %s are %v, %v", leaves[0], m, err)
				}
			}
			if plainMatch(q, e) {
				want = append(want, e.Seq)
				counts[e.Kind]++
			}
		}
		marked = s.Size()
		var got []uint64
		for next := uint64(0); ; {
			q.Before = next
			p, err := s.Search(t.Context(), q)
			if err != nil {
				rt.Fatal(err)
			}
			for _, e := range p.Entries {
				got = append(got, e.Seq)
			}
			if next = p.Next; next == 0 {
				break
			}
			if len(p.Entries) != q.Limit {
				rt.Fatalf("a page of %d, and yet there is more", len(p.Entries))
			}
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("%+v found %v, want %v", q, got, want)
		}
		q.Before = 0
		var passed []uint64
		err := s.Each(t.Context(), q, func(kind ledger.Kind, leaf []byte) error {
			e, err := ledger.ParseEntry(leaf)
			if e.Kind != kind {
				rt.Fatalf("%s is passed as %s", leaf, kind)
			}
			passed = append(passed, e.Seq)
			return err
		})
		if err != nil || !slices.Equal(passed, want) {
			rt.Fatalf("a pass for %+v gives %v, want %v (%v)", q, passed, want, err)
		}
		q.Before = 3
		tally, err := s.Tally(t.Context(), q)
		if err != nil || !maps.Equal(tally, counts) {
			rt.Fatalf("%+v counts %v, want %v (%v)", q, tally, counts, err)
		}
	})
	wantClean(t, s)
}

// BenchmarkSearch searches a log of a million entries for what is rare, for what is common, and counts a day.
func BenchmarkSearch(b *testing.B) {
	s, _ := start(b, testOptions(b, b.TempDir()))
	s.db.NoSync = true
	for n := 0; s.Size() < 1e6; n++ {
		var c Change
		for i := range 1000 {
			c.Entries = append(c.Entries, ledger.Draft{
				Actor: ledger.Actor{ID: "r01"}, Via: ledger.ViaGate, Kind: "attendance.tap", Subject: fmt.Sprintf("s%04d", (n*1000+i)%1500),
				Data: map[string]any{"reader": "r01", "card": make([]byte, 32), "student": fmt.Sprintf("s%04d", (n*1000+i)%1500), "class": "2024-03", "direction": "in", "outcome": "present", "date": "2026-05-08"},
			})
		}
		if n%100 == 50 {
			c.Entries[500] = searched(n)
		}
		commit(b, s, c)
	}
	day := time.Date(2026, 5, 20, 1, 5, 0, 0, time.UTC)
	for name, q := range map[string]Query{
		"rare kind":         {Kinds: []ledger.Kind{"log.search"}},
		"rare actor":        {Actors: []string{"p001"}},
		"nobody":            {Actors: []string{"p999"}},
		"common":            {Kinds: []ledger.Kind{"attendance.tap"}},
		"one student":       {About: []string{"s0042"}},
		"a span of the log": {From: day, To: day.Add(5 * time.Second)},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Search(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("count everything", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Tally(b.Context(), Query{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			wantClean(b, s)
		}
	})
}
