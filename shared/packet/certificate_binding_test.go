package packet

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// asRecord says what a Record makes of the one entry; ok only of one that binds segments.
func asRecord(e ledger.Entry) (b Bound, ok bool) {
	r, err := ReadRecord(e.Subject, []ledger.Entry{e})
	if err != nil || len(r.Recorded)+len(r.Deleted) != 1 {
		return b, false
	}
	return Bound{e.Subject, len(r.Deleted) == 1, append(r.Recorded, r.Deleted...)[0]}, true
}

func sameBound(t interface {
	Helper()
	Errorf(string, ...any)
}, leaf []byte) {
	t.Helper()
	e, err := ledger.ParseEntry(leaf)
	if err != nil {
		return // nothing that was ever stored
	}
	want, ok := asRecord(e)
	got, err := ReadBound(leaf)
	if ok != (err == nil) || ok && !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\nread as %+v, %v\na Record says %+v, %v", leaf, got, err, want, ok)
	}
}

// Covers F3: an entry of a camera-hour read off its bytes is what a Record makes of it.
func TestAnHourReadOffItsBytesIsWhatARecordSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := &book{t: t}
		instant := func(name string) time.Time {
			return dayBegin.Add(time.Duration(rapid.Int64Range(0, int64(5000*time.Hour)).Draw(rt, name))).Truncate(time.Nanosecond)
		}
		root := make([]byte, rapid.SampledFrom([]int{32, 32, 32, 16, 31, 33, 64}).Draw(rt, "root"))
		for i := range root {
			root[i] = byte(rapid.IntRange(0, 255).Draw(rt, "byte"))
		}
		d := map[string]any{"hour": instant("hour").Truncate(time.Hour), "count": rapid.IntRange(-1, 70).Draw(rt, "count"), "root": root, "first": instant("first"), "last": instant("last")}
		if rapid.Bool().Draw(rt, "with bytes") {
			d["bytes"] = rapid.Int64Range(-5, 1<<50).Draw(rt, "bytes")
		}
		if n := rapid.IntRange(-1, 3).Draw(rt, "days"); n >= 0 {
			d["days"] = []string{"2026-03-02", "2026-03-03", "2026-03-04"}[:n]
		}
		kind := rapid.SampledFrom([]ledger.Kind{"footage.recorded", "footage.deleted", "footage.gap"}).Draw(rt, "kind")
		switch kind {
		case "footage.deleted":
			d["assurance"] = rapid.SampledFrom([]string{"erased", "best_effort"}).Draw(rt, "assurance")
		case "footage.gap":
			d = map[string]any{"from": d["first"], "to": d["last"], "cause": "offline"}
		}
		b.add(instant("at").Truncate(time.Millisecond), kind, rapid.SampledFrom([]string{"", "c01", "c02"}).Draw(rt, "camera"), d)
		sameBound(rt, b.leaves[0])
		e, err := ledger.ParseEntry(b.leaves[0])
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := asRecord(e); ok {
			span := footage.Span{From: instant("from").Truncate(time.Second), To: instant("to").Truncate(time.Second)}
			want := span.Contains(got.Hour) || got.Deleted && span.Contains(got.At)
			if WindowOf(span).Concerns(kind, b.leaves[0]) != want {
				rt.Errorf("%v concerns %v: not %v\n%s", got, span, want, b.leaves[0])
			}
		}
	})
}

func boundLeaves(t testing.TB) [][]byte {
	b := &book{t: t}
	d := map[string]any{"hour": dayBegin, "count": 60, "root": make([]byte, 32), "first": dayBegin.Add(123456789), "last": dayBegin.Add(time.Hour), "bytes": 43_000_000, "days": []string{"2026-03-02", "2026-03-03"}}
	b.add(dayBegin.Add(time.Hour), "footage.recorded", "c01", d)
	d["assurance"] = "best_effort"
	b.add(dayBegin.Add(footage.Policy{Days: 30}.Keep()), "footage.deleted", "c01", d)
	return b.leaves
}

// One changed byte is never read as something else than a Record says.
func TestAChangedHourIsReadAsARecordDoes(t *testing.T) {
	for _, leaf := range boundLeaves(t) {
		for i := range leaf {
			for _, c := range []byte(`0a"}{],\-<` + "\x00\xff") {
				bad := bytes.Clone(leaf)
				bad[i] = c
				sameBound(t, bad)
			}
		}
	}
}

func FuzzReadBound(f *testing.F) {
	for _, leaf := range boundLeaves(f) {
		f.Add(leaf)
	}
	f.Fuzz(func(t *testing.T, leaf []byte) { sameBound(t, leaf) })
}

func BenchmarkReadBound(b *testing.B) {
	leaf := boundLeaves(b)[1]
	for b.Loop() {
		if _, err := ReadBound(leaf); err != nil {
			b.Fatal(err)
		}
	}
}
