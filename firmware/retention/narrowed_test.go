package retention

import (
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/footage"
)

// Covers F4, F14: a hold that goes on under another id, since less was approved than was asked for, takes the keys of
// what it still keeps along, and what it keeps no longer goes.
func TestAHoldThatChangesKeepsItsFootageReadable(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 60)
	h.record("c02", 60)
	span := footage.Span{From: morning.Add(50 * time.Minute), To: morning.Add(70 * time.Minute)}
	h.hold(footage.Hold{ID: "asked", Cameras: []string{"c01", "c02"}, Span: span, Until: morning.Add(150 * day)})
	h.clock.Pass(91 * day)
	h.sweep()
	if len(h.keys.IDs()) != 0 {
		t.Fatalf("day keys live on: %v", h.keys.IDs())
	}
	less := footage.Hold{ID: "approved", Cameras: []string{"c01"}, Span: span, Until: morning.Add(150 * day)}
	_, err := h.store.Commit(t.Context(), ledgerdb.Change{Puts: []ledgerdb.Put{testHolds.Put(less.ID, less)}, Deletes: []ledgerdb.Delete{testHolds.Delete("asked")}})
	h.must(err)

	s, err := h.r.readState()
	h.must(err)
	for name, c := range map[string]struct {
		list []due
		want bool
	}{
		"no camera yet":     {nil, false},
		"another camera":    {[]due{{camera: "c02"}}, false},
		"a part of it":      {[]due{{camera: "c01", more: true}}, false},
		"all that it names": {[]due{{camera: "c01"}}, true},
	} {
		if got := h.r.checkedHeld(c.list, s); got != c.want {
			t.Errorf("%s: rings may go: %v", name, got)
		}
	}

	h.sweep()
	kept, err := h.vault.Kept()
	h.must(err)
	if len(kept) != 1 || kept[0] != "approved" {
		t.Errorf("rings: %v", kept)
	}
	if n := h.files("c02"); n != 0 {
		t.Errorf("%d files of what nobody holds any more", n)
	}
	list, err := h.source().Segments(t.Context(), "c01", span)
	h.must(err)
	if len(list) != 10 {
		t.Errorf("%d segments of the held span are shown", len(list))
	}
	for _, p := range list {
		r, err := h.source().OpenSegment(t.Context(), p.Segment)
		h.must(err)
		if _, err := r.Fragment(0); err != nil {
			t.Errorf("a held segment does not open: %v", err)
		}
		h.must(r.Close())
	}
	h.check()
}
