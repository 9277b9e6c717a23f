package retention

import (
	"testing"
	"time"

	"campuskeep/shared/footage"
)

// Covers F4, F14: a label that comes again, by a clock that was put back, has another key. What a hold keeps under the
// old one stays readable, and a second hold gets the right key, before the first ends.
func TestALabelThatComesAgainShadowsNoOlderKey(t *testing.T) {
	h := newEnv(t)
	span := footage.Span{From: morning, To: morning.Add(time.Hour)}
	h.record("c01", 3)
	h.hold(footage.Hold{ID: "h1", Cameras: []string{"c01"}, Span: span, Until: morning.Add(90 * day)})
	h.clock.Pass(31 * day)
	h.sweep()
	old := h.rows("c01")
	if len(h.keys.IDs()) != 0 || len(old) != 3 {
		t.Fatalf("keys %v, %d rows", h.keys.IDs(), len(old))
	}
	now := h.clock.Now().Wall
	h.clock.reboot("boot-2", morning.Add(2*time.Hour)) // a board without a clock chip claims the same day
	h.record("c01", 2)
	h.clock.trust(now.Add(time.Hour), time.Second)
	readable := func() {
		t.Helper()
		for _, seg := range h.rows("c01") {
			r, err := h.source().OpenSegment(t.Context(), seg)
			h.must(err)
			if _, err := r.Fragment(1); err != nil {
				t.Error(err)
			}
			h.must(r.Close())
		}
	}
	readable()
	h.check()
	h.hold(footage.Hold{ID: "h2", Cameras: []string{"c01"}, Span: span, Until: morning.Add(120 * day)})
	h.sweep()
	h.release("h1")
	h.sweep()
	if kept, err := h.vault.Kept(); err != nil || len(kept) != 1 || kept[0] != "h2" || len(h.rows("c01")) != 5 {
		t.Fatalf("rings %v, %v, %d rows", kept, err, len(h.rows("c01")))
	}
	readable()
	h.restart()
	readable()
	h.clock.Pass(31 * day) // the second key dies on time, beside what the hold keeps
	h.sweep()
	if len(h.keys.IDs()) != 0 || len(h.rows("c01")) != 3 {
		t.Fatalf("keys %v, %d rows", h.keys.IDs(), len(h.rows("c01")))
	}
	readable()
	h.check()
}
