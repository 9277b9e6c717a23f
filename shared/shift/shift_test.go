package shift

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

var morning = time.Date(2026, 5, 20, 0, 0, 0, 0, time.UTC)

func reading(boot string, mono time.Duration) clock.Reading {
	return clock.Reading{Wall: morning.Add(mono), State: clock.Trusted, Boot: boot, Mono: mono}
}

// Covers F20: a hand-over needs notes, two people and the signature; the shift goes on until then.
func TestHandOver(t *testing.T) {
	s, err := Begin(nil, "k1", "p1", reading("b1", 0))
	must(t, err)
	if _, err := Begin([]Shift{s}, "k2", "p1", reading("b1", time.Hour)); !errors.Is(err, ErrOnDuty) {
		t.Fatal(err)
	}
	at := reading("b1", 8*time.Hour)
	if _, _, err := Hand([]Shift{s}, s, "k2", "p2", at); !errors.Is(err, ErrNotes) {
		t.Fatal(err)
	}
	s, err = Offer(s, at)
	must(t, err)
	if !s.Open() || !s.OnDuty(at) {
		t.Fatal("notes alone ended the shift")
	}
	if _, _, err := Hand([]Shift{s}, s, "k2", "p1", at); !errors.Is(err, ErrSamePerson) {
		t.Fatal(err)
	}
	out, in, err := Hand([]Shift{s}, s, "k2", "p2", at)
	must(t, err)
	if out.Open() || out.End != EndHanded || out.Next != "k2" || in.After != "k1" || !in.OnDuty(at) || !out.Ended.Equal(in.Began.Wall) {
		t.Fatalf("%+v %+v", out, in)
	}
	if g := Gaps([]Shift{out, in}, footage.Span{From: morning, To: morning.Add(24 * time.Hour)}, morning.Add(10*time.Hour)); len(g) != 0 {
		t.Fatalf("a gap at a hand-over: %v", g)
	}
	// Of two on duty one may hand over to the other, who goes on with the own shift.
	other, err := Begin([]Shift{in}, "k3", "p3", at)
	must(t, err)
	in, err = Offer(in, at)
	must(t, err)
	in, same, err := Hand([]Shift{in, other}, in, "k4", "p3", at)
	must(t, err)
	if same.ID != "k3" || in.Next != "k3" {
		t.Fatalf("%+v %+v", in, same)
	}
}

// Covers F20: a shift ends by itself after its greatest length, by monotonic time within a boot, by the clock over one.
func TestTheLongestShift(t *testing.T) {
	s, err := Begin(nil, "k1", "p1", reading("b1", 0))
	must(t, err)
	stepped := reading("b1", time.Hour)
	stepped.Wall = stepped.Wall.Add(31 * 24 * time.Hour)
	if !s.OnDuty(stepped) {
		t.Fatal("a step of the clock ended the shift")
	}
	if s.OnDuty(reading("b1", Longest)) {
		t.Fatal("it did not end")
	}
	rebooted := reading("b2", time.Minute)
	rebooted.Wall = morning.Add(2 * time.Hour)
	if !s.OnDuty(rebooted) {
		t.Fatal("a reboot ended the shift")
	}
	rebooted.Wall = time.Unix(0, 0)
	if s.OnDuty(rebooted) {
		t.Fatal("on duty while nobody can tell for how long")
	}
	s, err = Finish(s, EndSignedOff, reading("b1", Longest+3*time.Hour))
	must(t, err)
	if s.End != EndLongest || !s.Ended.Equal(morning.Add(Longest)) {
		t.Fatalf("%+v", s)
	}
	if _, err := Finish(s, EndSignedOff, reading("b1", Longest+4*time.Hour)); !errors.Is(err, ErrNotOnDuty) {
		t.Fatal(err)
	}
}

// Covers F20: whatever officers do, in whatever order, nobody is on duty twice, shifts of one officer do not overlap,
// a hand-over leaves no moment between two shifts, and shifts and gaps together are the whole time.
func TestAnySequenceOfSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		officers := []string{"p1", "p2", "p3"}
		shifts := map[string]Shift{}
		list := func(open bool) (out []Shift) {
			for _, s := range shifts {
				if !open || s.Open() {
					out = append(out, s)
				}
			}
			return out
		}
		boot, mono, base := "b1", time.Duration(0), time.Duration(0)
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			pass := time.Duration(rapid.Int64Range(0, int64(9*time.Hour)).Draw(t, "pass"))
			mono += pass
			if rapid.IntRange(0, 9).Draw(t, "reboot") == 0 {
				base += mono
				mono, boot = 0, fmt.Sprint("b", i)
			}
			now := clock.Reading{Wall: morning.Add(base + mono), State: clock.Trusted, Boot: boot, Mono: mono}
			// What time alone ends is ended first, as the appliance does every few seconds.
			for _, s := range list(true) {
				if s.Over(now) {
					s, err := Finish(s, EndLongest, now)
					if err != nil {
						t.Fatal(err)
					}
					shifts[s.ID] = s
				}
			}
			who := rapid.SampledFrom(officers).Draw(t, "who")
			mine, on := Of(list(true), who, now)
			switch rapid.IntRange(0, 3).Draw(t, "act") {
			case 0:
				s, err := Begin(list(true), fmt.Sprint("k", i), who, now)
				if (err != nil) != on {
					t.Fatalf("on duty %v, begin: %v", on, err)
				}
				if err == nil {
					shifts[s.ID] = s
				}
			case 1:
				if s, err := Offer(mine, now); err == nil {
					shifts[s.ID] = s
				} else if on {
					t.Fatal(err)
				}
			case 2:
				out, in, err := Hand(list(true), mine, fmt.Sprint("k", i), rapid.SampledFrom(officers).Draw(t, "to"), now)
				if err == nil {
					if !out.Ended.Equal(now.Wall) || !in.OnDuty(now) || in.Officer == out.Officer || mine.Offered.IsZero() {
						t.Fatalf("%+v %+v", out, in)
					}
					shifts[out.ID], shifts[in.ID] = out, in
				}
			case 3:
				if on {
					s, err := Finish(mine, EndSignedOff, now)
					if err != nil {
						t.Fatal(err)
					}
					shifts[s.ID] = s
				}
			}
			check(t, list(false), now)
		}
	})
}

func check(t *rapid.T, all []Shift, now clock.Reading) {
	span := footage.Span{From: morning, To: now.Wall.Add(time.Hour)}
	for i, a := range all {
		for _, b := range all[i+1:] {
			if a.Officer == b.Officer && a.Span(now.Wall).Overlaps(b.Span(now.Wall)) {
				t.Fatalf("%s twice on duty: %+v %+v", a.Officer, a, b)
			}
		}
		if a.Span(now.Wall).Duration() > Longest {
			t.Fatalf("longer than the longest: %+v", a)
		}
	}
	gaps := Gaps(all, span, now.Wall)
	on := func(at time.Time) bool {
		for _, s := range all {
			if x := s.Span(now.Wall); !at.Before(x.From) && at.Before(x.To) {
				return true
			}
		}
		return false
	}
	off := func(at time.Time) bool {
		for _, g := range gaps {
			if !at.Before(g.From) && at.Before(g.To) {
				return true
			}
		}
		return false
	}
	for i, g := range gaps {
		if !g.From.Before(g.To) || (i > 0 && !gaps[i-1].To.Before(g.From)) {
			t.Fatalf("gaps %v", gaps)
		}
	}
	for range 5 {
		if now.Wall.Equal(morning) {
			return
		}
		at := morning.Add(time.Duration(rapid.Int64Range(0, int64(now.Wall.Sub(morning))-1).Draw(t, "at")))
		if on(at) == off(at) {
			t.Fatalf("%v is on duty %v and in a gap %v: %+v, gaps %v", at, on(at), off(at), all, gaps)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
