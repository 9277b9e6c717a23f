package clock

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// reading is one of the boot that began at noon, off by what the clock is wrong.
func reading(boot string, s State, mono, off time.Duration) Reading {
	return Reading{Wall: noon.Add(mono + off), Uncertainty: time.Second, State: s, Boot: boot, Mono: mono}
}

// Covers F3: what ends by time ends by a trusted reading or by monotonic time within its boot.
func TestAClockInDoubtEndsNothing(t *testing.T) {
	began := reading("b1", Suspect, time.Hour, -40*day).Stamp()
	for _, s := range []State{Untrusted, Suspect} {
		wrong := reading("b2", s, time.Hour, 400*day)
		if wrong.Reached(noon) || began.Passed(time.Hour, wrong, nil) || began.Settled(wrong, nil) != began {
			t.Fatalf("a clock that is %s ends something", s)
		}
	}
	if now := reading("b1", Suspect, 3*time.Hour, 400*day); began.Passed(2*time.Hour+1, now, nil) || !began.Passed(2*time.Hour, now, nil) {
		t.Fatal("within the boot monotonic time counts")
	}
	// Known later: the act counts from where it truly was, an hour after noon, not forty days before.
	a := NewAnchors(Anchor{"b1", 0, noon, time.Second})
	if p := began.Placed(a); !p.Sure || !p.At.Equal(noon.Add(time.Hour)) {
		t.Fatalf("%+v", p)
	}
	if began.Passed(day, reading("b2", Trusted, 0, day), a) || !began.Passed(day, reading("b2", Trusted, 0, day+time.Hour+time.Second), a) {
		t.Fatal("a day from the act, on another boot")
	}
	// Never known: from the first trusted instant after it, and that moves with its own anchors when they are corrected.
	first := reading("b2", Trusted, time.Minute, 50*day)
	if began.Passed(day, first, nil) {
		t.Fatal("ended without a place")
	}
	s := began.Settled(first, nil)
	if s != first.Stamp() {
		t.Fatalf("%+v", s)
	}
	if p := s.Placed(NewAnchors(Anchor{"b2", 0, noon.Add(20 * day), time.Second})); !p.At.Equal(noon.Add(20*day + time.Minute)) {
		t.Fatalf("the correction does not move it: %+v", p)
	}
	// In its own boot it waits for that boot's sources.
	if s := began.Settled(reading("b1", Trusted, 2*time.Hour, 0), nil); s != began {
		t.Fatalf("%+v", s)
	}
}

// A row of an earlier version has only the instant that was claimed, and keeps it.
func TestAStampWithoutABootStandsByItsInstant(t *testing.T) {
	var s Stamp
	if err := json.Unmarshal([]byte(`{"at":"2026-05-20T04:00:00Z"}`), &s); err != nil {
		t.Fatal(err)
	}
	if s = s.Settled(reading("", Trusted, 0, 0), nil); !s.Sure || !s.At.Equal(noon) {
		t.Fatalf("%+v", s)
	}
	if !s.Passed(time.Hour, reading("b1", Trusted, time.Hour+time.Second, 0), nil) || s.Passed(time.Hour, reading("b1", Suspect, 9*time.Hour, 0), nil) {
		t.Fatal("an hour from noon, by a trusted clock alone")
	}
}

// A length never ends early: neither by a clock that claims anything while in doubt, nor by a later boot.
func TestALengthNeverEndsEarly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := func(name string, most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, name))
		}
		state := rapid.SampledFrom([]State{Untrusted, Suspect, Trusted})
		lie := func(s State, name string) time.Duration {
			if s == Trusted {
				return 0
			}
			return span(name, 800*day) - 400*day
		}
		act, length, later := span("act", 10*day), span("length", 60*day), span("later", 90*day)
		s1, s2 := state.Draw(t, "then"), state.Draw(t, "now")
		var a Anchors
		if s1 == Trusted || rapid.Bool().Draw(t, "anchored") {
			a = NewAnchors(Anchor{"b1", 0, noon, 0})
		}
		began := reading("b1", s1, act, lie(s1, "lie then")).Stamp()
		now := reading(rapid.SampledFrom([]string{"b1", "b2"}).Draw(t, "boot"), s2, act+later, lie(s2, "lie now"))
		if began.Settled(now, a).Passed(length, now, a) && later < length {
			t.Fatalf("ended %v early", length-later)
		}
		if s2 == Trusted && began.Placed(a).Sure && later >= length+2*time.Second && !began.Passed(length, now, a) {
			t.Fatal("not ended though both ends are known")
		}
	})
}
