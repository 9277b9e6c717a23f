package vault

import (
	"bytes"
	"testing"
	"time"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// Covers F2: what is being recorded can be watched before its segment is closed: each fragment that is written is
// there, the listing grows with it, and what was opened then is readable after the segment has its row.
func TestFootageIsThereWhileItIsWritten(t *testing.T) {
	b := start(t, t.TempDir())
	places := footage.Places{Anchors: clock.NewAnchors(clock.Anchor{Boot: "boot-a", UTC: day0})}
	src := b.v.OpenSource(func() footage.Places { return places })
	list := func() []footage.Placed {
		t.Helper()
		out, err := src.Segments(t.Context(), "c01", footage.Span{From: day0, To: day0.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	read := func(p footage.Placed, fragments int) {
		t.Helper()
		r, err := src.OpenSegment(t.Context(), p.Segment)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if n := len(r.Fragments()); n != fragments {
			t.Fatalf("%d fragments, want %d", n, fragments)
		}
		for i := range fragments {
			if got, err := r.Fragment(i); err != nil || !bytes.Equal(got, pattern("c01", 0, i)) {
				t.Fatalf("fragment %d: %v", i, err)
			}
		}
	}
	w := b.begin(meta("c01", "boot-a", 0))
	var first footage.Placed
	for i := range 5 {
		if err := put(w, 0, i); err != nil {
			t.Fatal(err)
		}
		b.flush() // and syncs: what counts is that nothing is closed
		l := list()
		if len(l) != 1 || !l[0].Open || l[0].Frags != i+1 || !l[0].Anchored {
			t.Fatalf("after %d fragments: %+v", i+1, l)
		}
		if i == 0 {
			first = l[0]
		}
		read(l[0], i+1)
		read(first, 1)
	}
	if plain, err := b.v.Source(func() footage.Places { return places }).Segments(t.Context(), "c01", footage.Span{From: day0, To: day0.Add(time.Hour)}); err != nil || len(plain) != 0 {
		t.Fatalf("others see %+v, %v", plain, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b.flush()
	l := list()
	if len(l) != 1 || l[0].Open || l[0].Frags != 5 {
		t.Fatalf("closed: %+v", l)
	}
	read(l[0], 5)
	read(first, 1)
	b.check()
}
