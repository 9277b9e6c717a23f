package nvr_test

import (
	"bytes"
	"errors"
	"io/fs"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/nvr"
	sim "campuskeep/scripts/sim/nvr"
	"campuskeep/scripts/sim/render"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
)

// film reads everything of the segments as one player would, session by session, and gives the counters that were
// drawn into the pictures.
func (r *rig) film(segments []footage.Placed) (counters []uint32) {
	r.t.Helper()
	source := r.vault.Source(r.places)
	var part bytes.Buffer
	flush := func() {
		if part.Len() == 0 {
			return
		}
		seen, err := render.Decode(r.t.Context(), &part, "-")
		r.must(err)
		for _, s := range seen {
			if !s.OK {
				r.t.Error("a picture that cannot be read")
			}
			counters = append(counters, s.Counter)
		}
		part.Reset()
	}
	session := uint64(0)
	for _, s := range segments {
		seg, err := source.OpenSegment(r.t.Context(), s.Segment)
		r.must(err)
		if s.Session != session {
			flush()
			part.Write(seg.Init())
			session = s.Session
		}
		for i := range seg.Fragments() {
			b, err := seg.Fragment(i)
			r.must(err)
			part.Write(b)
		}
		r.must(seg.Close())
	}
	flush()
	return counters
}

// consecutive checks that the pictures are those of the true seconds, without a picture lost or doubled.
func consecutive(t *testing.T, counters []uint32, least int) {
	t.Helper()
	if len(counters) < least {
		t.Fatalf("%d pictures, at least %d were asked for", len(counters), least)
	}
	for i, c := range counters {
		if c != uint32(i%fps) {
			t.Fatalf("picture %d of %d is number %d of its second", i, len(counters), c)
		}
	}
}

// Covers F4, F14: an approved span is fetched, also when playbacks are refused and break off, and nothing is doubled.
func TestAFetchGoesOnUntilEverythingIsThere(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	r.nvr.Set(func(_ *sim.Habits, f *sim.Faults) { f.EndAfter, f.Busy453 = 4500*time.Millisecond, 3 })
	span := at(-72*time.Hour, -72*time.Hour+20*time.Second)
	f := r.bring(span)
	if f.State != nvr.FetchDone || f.Bytes == 0 || len(f.Done) != 1 || f.Done[0].From.After(span.From) || f.Done[0].To.Before(span.To.Add(-2*time.Second)) {
		t.Errorf("%+v", f)
	}
	consecutive(t, r.film(r.fetched()), 200)
	if c := r.nvr.Counts(); c.Parallel != 1 || c.Playbacks < 5 {
		t.Errorf("%+v", c)
	}
	asked, done := r.entries("nvr.fetch"), r.entries("nvr.fetched")
	if len(asked) != 1 || len(done) != 1 || asked[0].Seq > done[0].Seq || data[struct{ Ground, Result string }](t, asked[0]).Ground != "a2026-0001" || data[struct{ Result string }](t, done[0]).Result != "done" {
		t.Errorf("%v, %v", asked, done)
	}
}

// Covers F10: what the NVR holds and what was fetched are on one time line; what was not fetched cannot be opened.
func TestTheSourceShowsBoth(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	src := r.Source(r.vault.Source(r.places))
	span := at(-72*time.Hour, -71*time.Hour)
	before, err := src.Segments(t.Context(), "c01", span)
	if err != nil || len(before) != 1 || before[0].Custody != footage.CustodyNVR || before[0].Codec != "h264" || !before[0].Anchored {
		t.Fatalf("%+v, %v", before, err)
	}
	if _, err := src.OpenSegment(t.Context(), before[0].Segment); !errors.Is(err, nvr.ErrNotFetched) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opened: %v", err)
	}
	r.bring(at(-72*time.Hour+10*time.Minute, -72*time.Hour+10*time.Minute+5*time.Second))
	after, err := src.Segments(t.Context(), "c01", span)
	if err != nil || len(after) != 3 {
		t.Fatalf("%+v, %v", after, err)
	}
	if after[1].Custody != footage.CustodyVault || after[0].Custody != footage.CustodyNVR || after[2].Custody != footage.CustodyNVR {
		t.Errorf("%+v", after)
	}
	if c := footage.Cover(span, after, nil); c.Missing != 0 {
		t.Errorf("%+v", c)
	}
	seg, err := src.OpenSegment(t.Context(), after[1].Segment)
	r.must(err)
	r.must(seg.Close())
	if other, err := src.Segments(t.Context(), "c02", span); err != nil || len(other) != 0 {
		t.Errorf("%v, %v", other, err)
	}
}

func TestAFetchIsTakenUpAfterARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *sim.Options) { o.Speed = 20 })
	r.register()
	r.check()
	r.nvr.Set(func(_ *sim.Habits, f *sim.Faults) { f.EndAfter = 3500 * time.Millisecond })
	span := at(-72*time.Hour, -72*time.Hour+15*time.Second)
	f, err := r.Fetch(t.Context(), account.System, "c01", span, "a2026-0001")
	r.must(err)
	for range 2 {
		done := len(f.Done)
		from := time.Time{}
		if done > 0 {
			from = f.Done[0].To
		}
		stop := r.run()
		r.await("a part of it", func() bool {
			f, _, err = r.FetchOf(f.ID)
			r.must(err)
			return f.State.Ended() || len(f.Done) > 0 && f.Done[0].To.After(from)
		})
		stop()
		r.down()
		r.up()
	}
	again, err := r.Fetch(t.Context(), account.System, "c01", span, "a2026-0001")
	if err != nil || again.ID != f.ID && !f.State.Ended() {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	stop := r.run()
	defer stop()
	r.await("the end", func() bool {
		f, _, err = r.FetchOf(f.ID)
		r.must(err)
		return f.State.Ended()
	})
	stop()
	if f.State != nvr.FetchDone {
		t.Errorf("%+v", f)
	}
	consecutive(t, r.film(r.fetched()), 150)
}

// Several fetches and a check at once: the NVR sees one of us at a time.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	stop := r.run()
	defer stop()
	var work sync.WaitGroup
	for i := range 3 {
		work.Go(func() {
			from := -time.Duration(60+i) * time.Hour
			if _, err := r.Fetch(t.Context(), account.System, "c01", at(from, from+3*time.Second), "a2026-0002"); err != nil {
				t.Error(err)
			}
			if _, err := r.Check(t.Context(), "n01"); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	r.await("all of them", func() bool {
		all, err := r.Fetches()
		r.must(err)
		for _, f := range all {
			if f.State != nvr.FetchDone {
				return false
			}
		}
		return len(all) == 3
	})
	if c := r.nvr.Counts(); c.Parallel != 1 {
		t.Errorf("%+v", c)
	}
}

func TestOnlyWhatIsListedIsFetched(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	if _, err := r.Fetch(t.Context(), account.System, "c02", at(-time.Hour, 0), "x"); !errors.Is(err, nvr.ErrNothing) {
		t.Errorf("of a camera behind no NVR: %v", err)
	}
	r.nvr.Record(1, at(-10*time.Hour, -9*time.Hour), at(-9*time.Hour+4*time.Second, -8*time.Hour), at(-time.Hour, 0))
	r.check()
	for _, s := range []footage.Span{at(-7*time.Hour, -6*time.Hour), at(time.Hour, 2*time.Hour), at(0, 0), at(0, -time.Hour), at(-60*time.Hour, 0)} {
		if f, err := r.Fetch(t.Context(), account.System, "c01", s, "x"); err == nil {
			t.Errorf("%v: %+v", s, f)
		}
	}
	if _, err := r.Fetch(t.Context(), account.System, "c01", at(-time.Hour, 0), "no ground"); err == nil {
		t.Error("a ground that is none")
	}
	// Over the edge of two pieces, and over the end of the second.
	f := r.bring(at(-9*time.Hour-3*time.Second, -9*time.Hour+8*time.Second))
	if f.State != nvr.FetchDone {
		t.Errorf("%+v", f)
	}
	f = r.bring(at(-8*time.Hour-4*time.Second, -7*time.Hour))
	if f.State != nvr.FetchDone {
		t.Errorf("%+v", f)
	}
}

// What an NVR lists and does not give is reported.
func TestAFetchThatBringsNothingEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	r.nvr.Record(1, at(-time.Hour, 0)) // gone since the check
	f := r.bring(at(-50*time.Hour, -50*time.Hour+5*time.Second))
	if f.State != nvr.FetchFailed || f.Reason != "gone" || len(r.entries("nvr.fetched")) != 1 {
		t.Errorf("%+v", f)
	}
}
