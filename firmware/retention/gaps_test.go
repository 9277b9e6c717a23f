package retention

import (
	"testing"
	"time"

	"campuskeep/shared/footage"
)

func (h *env) gaps() *Gaps {
	return NewGaps(GapsOptions{Store: h.store, Vault: h.vault, Clock: h.clock, Anchors: h.clock.Anchors})
}

func (h *env) note(cause footage.Cause, from, to footage.Instant) {
	h.t.Helper()
	h.must(h.gaps().Note(h.t.Context(), footage.Missed{Camera: "c01", From: from, To: to, Cause: cause}))
}

// toldGaps are the spans of the gap entries, with their causes.
func (h *env) toldGaps() (out []footage.Gap) {
	h.t.Helper()
	for _, e := range h.entries("footage.gap") {
		out = append(out, footage.Gap{Span: footage.Span{From: e.From, To: e.To}, Cause: e.Cause})
	}
	return out
}

// Months without power on a board without a clock chip: the gap waits for the time, also over another short boot that
// never had it, and is one, of its true length and with its true cause. Covers F3.
func TestAGapWaitsForItsPlaceInTime(t *testing.T) {
	h := newEnv(t)
	from := h.clock.Now()
	last := footage.Instant{Boot: from.Boot, Mono: from.Mono}
	for _, boot := range []string{"boot-2", "boot-3"} {
		h.clock.reboot(boot, time.Unix(0, 0))
		first := footage.Instant{Boot: boot, Mono: 30 * time.Second}
		h.note(footage.CausePowerOff, last, first)
		away := footage.Instant{Boot: boot, Mono: 50 * time.Second}
		h.note(footage.CauseCameraOff, first, away)
		last = footage.Instant{Boot: boot, Mono: time.Minute}
		h.must(h.gaps().Settle(t.Context()))
		if shown := h.toldGaps(); len(shown) != 0 {
			t.Fatalf("told without a place in time: %+v", shown)
		}
		h.restart()
	}
	now := from.Wall.Add(60 * day)
	h.clock.trust(now, 0)
	h.must(h.gaps().Settle(t.Context()))
	h.must(h.gaps().Settle(t.Context()))
	began := now.Add(-30 * time.Second) // its first picture
	shown := h.toldGaps()
	if len(shown) != 2 || shown[0].Span != (footage.Span{From: from.Wall, To: began}) || shown[0].Cause != footage.CausePowerOff ||
		shown[1].Span != (footage.Span{From: began, To: began.Add(20 * time.Second)}) || shown[1].Cause != footage.CauseCameraOff {
		t.Errorf("told %+v", shown)
	}
	at, ok, err := h.gaps().NotedUntil("c01")
	if err != nil || !ok || at != (footage.Instant{Boot: "boot-3", Mono: 50 * time.Second}) {
		t.Errorf("noted until %+v, %v, %v", at, ok, err)
	}
	h.check()
}

// An outage of weeks without the time is one row and one entry; pieces that go on from each other are not kept apart.
func TestPiecesOfOneOutageAreOne(t *testing.T) {
	h := newEnv(t)
	h.clock.reboot("boot-2", time.Unix(0, 0))
	for i := range 50 {
		h.note(footage.CauseCameraOff, footage.Instant{Boot: "boot-2", Mono: time.Duration(i) * time.Hour}, footage.Instant{Boot: "boot-2", Mono: time.Duration(i+1) * time.Hour})
	}
	h.clock.trust(morning.Add(50*time.Hour), 0)
	h.must(h.gaps().Settle(t.Context()))
	if shown := h.toldGaps(); len(shown) != 1 || shown[0].Span.Duration() != 50*time.Hour {
		t.Errorf("told %+v", shown)
	}
}

// What the index has after all is not reported as missing.
func TestAGapDoesNotTellOfWhatIsThere(t *testing.T) {
	h := newEnv(t)
	at := h.clock.Now()
	h.record("c01", 3)
	h.note(footage.CauseDisk, footage.Instant{Boot: at.Boot, Mono: at.Mono}, footage.Instant{Boot: at.Boot, Mono: at.Mono + 5*time.Minute})
	h.must(h.gaps().Settle(t.Context()))
	shown := h.toldGaps()
	if len(shown) != 1 || !shown[0].Span.From.Equal(at.Wall.Add(3*time.Minute)) || !shown[0].Span.To.Equal(at.Wall.Add(5*time.Minute)) {
		t.Errorf("told %+v, recorded from %v", shown, at.Wall)
	}
}
