package retention

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// Covers F3: to the minute, never early, and the key of the day dies with its last segment.
func TestFootageGoesAtThirtyDaysByItsLastFrame(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 60) // 08:00 to 09:00, the hour
	h.clock.Pass(time.Hour)
	h.record("c01", 1)
	h.sweep()

	h.clock.Change(func(r *clock.Reading) { r.Uncertainty = 3 * time.Second })
	h.clock.Pass(30*day - 2*time.Hour - 5*time.Second) // 5 s before the first segment's last frame is 30 days old
	if res := h.sweep(); res.Unlinked != 0 {
		t.Fatalf("%d segments went early", res.Unlinked)
	}
	// 30 d × 50 ppm: the monotonic clock may have run away 129.6 s from the anchor; nothing goes before that is covered.
	s := h.rows("c01")[0]
	places, err := h.r.Places()
	h.must(err)
	last, _ := places.LastFrame(s)
	due := last.Add(30*day + 3*time.Second)
	h.clock.Pass(due.Sub(h.clock.Now().Wall) - time.Nanosecond)
	if res := h.sweep(); res.Unlinked != 0 || !res.Next.Equal(last.Add(30*day)) {
		t.Fatalf("%+v a nanosecond before the time, next %v", res, res.Next)
	}
	h.clock.Pass(time.Nanosecond)
	if res := h.sweep(); res.Unlinked != 1 || h.files("c01") != 60 {
		t.Fatalf("%+v at the time, %d files", res, h.files("c01"))
	}
	if n := len(h.entries("footage.deleted")); n != 0 {
		t.Fatalf("%d deletion entries before the hour is complete", n)
	}
	h.check()

	h.clock.Pass(time.Hour)
	h.sweep()
	list := h.entries("footage.deleted")
	if len(list) != 1 || list[0].Count != 60 || list[0].Subject != "c01" || !list[0].Hour.Equal(morning) || list[0].Assurance != "best_effort" {
		t.Fatalf("entries %+v", list)
	}
	recorded := h.entries("footage.recorded")
	if len(recorded) == 0 || !bytes.Equal(recorded[0].Root, list[0].Root) || recorded[0].Count != 60 {
		t.Errorf("the hour was recorded as %+v", recorded)
	}
	if n := len(h.entries("key.erased")); n != 0 {
		t.Errorf("a key died while its day had footage")
	}
	h.clock.Pass(2 * time.Hour)
	h.sweep()
	erased := h.entries("key.erased")
	if len(erased) != 1 || erased[0].Ring != "footage" || len(erased[0].Keys) != 1 || erased[0].Keys[0] != "c01:2026-03-02" {
		t.Fatalf("erased %+v", erased)
	}
	if len(h.keys.IDs()) != 0 || len(h.rows("c01")) != 0 || h.deleted() != 61 {
		t.Fatalf("left: keys %v, %d rows, %d deleted", h.keys.IDs(), len(h.rows("c01")), h.deleted())
	}
	h.check()
}

// Covers F3: each camera by its own policy.
func TestEachCameraByItsOwnPolicy(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 3)
	h.record("c02", 3)
	h.clock.Pass(31 * day)
	h.sweep()
	if a, b := h.files("c01"), h.files("c02"); a != 0 || b != 3 {
		t.Fatalf("after 31 days %d and %d files", a, b)
	}
	h.clock.Pass(60 * day)
	h.sweep()
	if h.files("c02") != 0 || h.deleted() != 6 {
		t.Fatalf("after 91 days %d files, %d deleted", h.files("c02"), h.deleted())
	}
	h.check()
}

// A clock that jumps 31 days forward is not trusted: nothing goes, and what this boot recorded can be watched.
func TestClockOfThirtyOneDaysAheadDeletesNothing(t *testing.T) {
	for _, state := range []clock.State{clock.Untrusted, clock.Suspect} {
		h := newEnv(t)
		h.record("c01", 3)
		h.clock.Change(func(r *clock.Reading) { r.Wall, r.State = r.Wall.Add(31*day), state })
		if res := h.sweep(); res.Unlinked != 0 || h.files("c01") != 3 {
			t.Fatalf("%v: %+v", state, res)
		}
		r, err := h.source().OpenSegment(t.Context(), h.rows("c01")[0])
		if err != nil {
			t.Fatalf("%v: footage of the running boot is hidden: %v", state, err)
		}
		h.must(r.Close())
		h.clock.Change(func(r *clock.Reading) { r.Wall, r.State = r.Wall.Add(-31*day), clock.Trusted })
		h.sweep()
		if h.files("c01") != 3 {
			t.Fatal("gone after the correction")
		}
		h.clock.Pass(30*day + time.Hour)
		h.sweep()
		if h.files("c01") != 0 {
			t.Fatal("kept beyond its time")
		}
		h.check()
	}
}

// 1970 for five hours, then corrected: placed by the anchor, kept thirty days from when it really was.
func TestFiveHoursOf1970ThenCorrected(t *testing.T) {
	h := newEnv(t)
	h.clock.reboot("boot-2", time.Unix(0, 0).UTC())
	h.record("c01", 5*60)
	if res := h.sweep(); res.Unlinked != 0 {
		t.Fatal("deleted by a clock at 1970")
	}
	h.clock.trust(morning.Add(5*time.Hour), time.Second)
	h.sweep()
	if h.files("c01") != 300 {
		t.Fatal("the correction deleted footage")
	}
	list, err := h.source().Segments(t.Context(), "c01", footage.Span{From: morning, To: morning.Add(time.Hour)})
	if err != nil || len(list) != 60 || !list[0].Anchored {
		t.Fatalf("%d segments in the first hour, %v", len(list), err)
	}
	h.clock.Pass(30*day - 5*time.Hour - time.Minute)
	h.sweep()
	if h.files("c01") != 300 {
		t.Fatal("deleted early")
	}
	h.clock.Pass(5*time.Hour + 5*time.Minute)
	h.sweep()
	if h.files("c01") != 0 || h.deleted() != 300 {
		t.Fatalf("%d files, %d deleted", h.files("c01"), h.deleted())
	}
	h.check()
}

// A boot that never got an anchor goes thirty days after the first trusted instant behind it.
func TestBootWithoutAnchorGoesAtItsUpperBound(t *testing.T) {
	h := newEnv(t)
	h.clock.reboot("boot-2", time.Unix(0, 0).UTC())
	h.record("c01", 10)
	h.clock.reboot("boot-3", time.Unix(0, 0).UTC())
	h.sweep()
	h.clock.trust(morning.Add(7*day), time.Second)
	h.sweep()
	h.restart()
	h.clock.Pass(30*day - time.Minute)
	h.sweep()
	if h.files("c01") != 10 {
		t.Fatal("deleted before its upper bound")
	}
	h.clock.Pass(2 * time.Minute)
	h.sweep()
	if h.files("c01") != 0 {
		t.Fatal("an unanchored boot is kept for ever")
	}
	h.check()
}

func TestClockAnHourBackDeletesNothingEarly(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 10)
	h.clock.Change(func(r *clock.Reading) { r.Wall, r.State = r.Wall.Add(-time.Hour), clock.Suspect })
	h.record("c01", 10) // goes on, with another claim
	h.sweep()
	h.clock.Change(func(r *clock.Reading) { r.Wall, r.State = r.Wall.Add(time.Hour), clock.Trusted })
	rows := h.rows("c01")
	if len(rows) != 20 || rows[10].From < rows[9].To {
		t.Fatalf("%d rows; the order of recording is lost", len(rows))
	}
	h.clock.Pass(30*day - 15*time.Minute)
	h.sweep()
	if n := h.files("c01"); n < 14 || n > 18 {
		t.Fatalf("%d files in the middle of the deletion", n)
	}
	h.clock.Pass(time.Hour)
	h.sweep()
	if h.files("c01") != 0 {
		t.Fatal("kept too long")
	}
	h.check()
}

// Two months without power: refused at the first moment, deleted with the first trusted one.
func TestTwoMonthsWithoutPower(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 30)
	h.sweep()
	h.restart()
	h.clock.reboot("boot-2", morning.Add(60*day))
	old := h.rows("c01")[0]
	if _, err := h.source().OpenSegment(t.Context(), old); !errors.Is(err, footage.ErrPastCeiling) {
		t.Fatalf("two months old, before the clock is trusted: %v", err)
	}
	if list, err := h.source().Segments(t.Context(), "c01", footage.Span{From: morning, To: morning.Add(day)}); err != nil || len(list) != 0 {
		t.Fatalf("still listed: %d, %v", len(list), err)
	}
	if res := h.sweep(); res.Unlinked != 0 {
		t.Fatal("deleted by an untrusted clock")
	}
	h.clock.trust(morning.Add(60*day), time.Second)
	h.record("c01", 5)
	h.sweep()
	if n := h.files("c01"); n != 5 || h.deleted() != 30 {
		t.Fatalf("%d files, %d deleted", n, h.deleted())
	}
	h.check()
}

// Two months without a network in one boot: the uncertainty grows, deletion stays punctual within it.
func TestTwoMonthsOffline(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 30)
	h.clock.Pass(60 * day)
	h.clock.Change(func(r *clock.Reading) { r.Uncertainty = clock.Drift(60 * day) })
	h.record("c01", 1)
	h.sweep()
	if n := h.files("c01"); n != 1 || h.deleted() != 30 {
		t.Fatalf("%d files, %d deleted", n, h.deleted())
	}
	h.check()
}
