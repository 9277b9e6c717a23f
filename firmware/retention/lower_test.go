package retention

import (
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// Covers F3: a time that was trusted 45 days ahead has raised marks and bounds. Once it is corrected nothing of what
// is recorded from then on goes early, none of it is hidden, and nothing stays longer for it.
func TestACorrectionLowersWhatAWrongTimeRaised(t *testing.T) {
	for _, hook := range []bool{true, false} { // by the Change of the correction, or found ahead by the next sweep
		h := newEnv(t)
		h.clock.reboot("boot-2", time.Unix(0, 0).UTC())
		h.record("c02", 3) // a boot that nobody can place
		h.clock.reboot("boot-3", morning)
		h.clock.trust(morning.Add(time.Hour), time.Second)
		h.record("c01", 5)
		right := h.clock.Now()
		h.clock.Change(func(r *clock.Reading) { r.Wall = r.Wall.Add(45 * day) })
		h.sweep()
		if mark, err := h.r.Watermark("c01"); err != nil || !mark.After(right.Wall) {
			t.Fatalf("mark %v, %v", mark, err)
		}
		h.clock.Change(func(r *clock.Reading) { r.Wall = r.Wall.Add(-45 * day) })
		if hook {
			_, err := h.store.Commit(t.Context(), ledgerdb.Change{Puts: h.r.Lower(h.clock.Now().Wall)})
			h.must(err)
		}
		h.record("c01", 5)
		if _, err := h.source().OpenSegment(t.Context(), h.rows("c01")[0]); err != nil {
			t.Errorf("fresh footage is refused: %v", err)
		}
		h.sweep()
		if n := h.files("c01"); n != 5 {
			t.Fatalf("%d of 5 fresh segments are left", n)
		}
		shown := 0
		for _, d := range h.entries("system.fault") {
			if d.Code == "retention.mark_ahead" {
				shown++
			}
		}
		if (shown == 0) != hook || shown > 1 {
			t.Errorf("hook %v: %d entries", hook, shown)
		}
		mark, err := h.r.Watermark("c01")
		h.must(err)
		if mark.After(h.clock.Now().Wall.Add(-30 * day)) {
			t.Errorf("mark %v", mark)
		}
		p, err := h.r.Places()
		h.must(err)
		if at := p.Bounds["boot-2"]; at.IsZero() || at.After(h.clock.Now().Latest()) {
			t.Errorf("bound %v", at)
		}
		h.clock.Pass(30*day - 20*time.Minute)
		h.sweep()
		if n := h.files("c01"); n != 5 {
			t.Errorf("%d files twenty minutes before their time", n)
		}
		h.clock.Pass(time.Hour)
		h.sweep()
		if n := h.files("c01"); n != 0 {
			t.Errorf("%d files are kept too long", n)
		}
	}
}

// What a breach entry has raised stays: the footage was reported to be gone.
func TestAMarkOfABreachIsNotAhead(t *testing.T) {
	now := clock.Reading{State: clock.Trusted, Wall: morning.Add(100 * day)}
	limit := state{now: now}.markLimit()
	for _, c := range []struct {
		name  string
		mark  Watermark
		wrong bool
	}{
		{"of the least policy", Watermark{At: now.Wall.Add(-footage.Policy{Days: 30}.Keep())}, false},
		{"within the uncertainty", Watermark{At: now.Wall.Add(-footage.Policy{Days: 30}.Keep() + 30*time.Minute)}, false},
		{"of a breach", Watermark{At: now.Wall.Add(-2 * day), Early: now.Wall.Add(-2 * day)}, false},
		{"of nothing", Watermark{At: now.Wall.Add(-2 * day)}, true},
		{"of a breach by a wrong time", Watermark{At: now.Wall.Add(20 * day), Early: now.Wall.Add(20 * day)}, true},
	} {
		if c.mark.wrong(limit) != c.wrong {
			t.Errorf("%s: want wrong %v", c.name, c.wrong)
		}
	}
}
