package attendance

import (
	"slices"
	"testing"
	"time"
)

// Covers S6, S7: what a terminal says of the time counts only when its clock has shown to be right; a wrong one never
// puts a mark on another time than that at which it came.
func TestMarksOfTerminalsArePlaced(t *testing.T) {
	got := time.Date(2026, 5, 20, 0, 0, 0, 0, time.UTC)
	first := got.Add(-100 * 24 * time.Hour)
	right, wrong, unproven := TerminalClock{State: ClockRight, First: first}, TerminalClock{State: ClockWrong, Off: -10 * time.Minute, First: first}, TerminalClock{First: first}
	cut := func(from, to time.Duration) func(time.Time) bool {
		return func(at time.Time) bool { return !at.Before(got.Add(-from)) && !at.After(got.Add(-to)) }
	}
	never := func(time.Time) bool { return false }
	for _, c := range []struct {
		name  string
		ago   time.Duration
		clock TerminalClock
		away  func(time.Time) bool
		at    time.Duration // before got
		sure  bool
		old   bool
		state TerminalState
	}{
		{"at once", 3 * time.Second, unproven, never, 3 * time.Second, true, false, ClockRight},
		{"at once by a clock a minute ahead", -time.Minute, wrong, never, -time.Minute, true, false, ClockRight},
		{"ahead", -61 * time.Second, right, never, 0, false, false, ClockWrong},
		{"a day ahead", -24 * time.Hour, right, never, 0, false, false, ClockWrong},
		{"behind, though it could have come", 61 * time.Second, right, never, 0, false, false, ClockWrong},
		{"ten days behind, though it could have come", 240 * time.Hour, right, never, 0, false, false, ClockWrong},
		{"kept while the network was gone", time.Hour, right, cut(2*time.Hour, 0), time.Hour, true, false, ClockRight},
		{"kept by a clock that was wrong", time.Hour, wrong, cut(2*time.Hour, 0), 50 * time.Minute, false, false, ClockWrong},
		{"kept by a clock that was never proven", time.Hour, unproven, cut(2*time.Hour, 0), time.Hour, false, false, ClockUnproven},
		{"history again", 40 * 24 * time.Hour, right, never, 40 * 24 * time.Hour, false, true, ClockUnproven},
		{"before it was registered", 101 * 24 * time.Hour, right, never, 101 * 24 * time.Hour, false, true, ClockUnproven},
		{"before it was registered, by a clock known to be a year behind", 365 * 24 * time.Hour, TerminalClock{State: ClockWrong, Off: -365 * 24 * time.Hour, First: got.Add(-time.Hour)}, never, 0, false, false, ClockWrong},
		{"2000-01-01", got.Sub(time.Date(2000, 1, 1, 0, 3, 0, 0, time.UTC)), right, never, 0, false, false, ClockWrong},
	} {
		p, after := PlaceMark(got.Add(-c.ago), got, c.clock, c.away)
		if !p.At.Equal(got.Add(-c.at)) || p.Unsure == c.sure && !c.old || p.Old != c.old || after.State != c.state || !after.First.Equal(c.clock.First) {
			t.Errorf("%s: %+v, %+v", c.name, p, after)
		}
	}
}

// Covers S7: a tap at an unknown time makes nobody late, absent or gone early, and takes nothing from who came in time.
func TestUnsureTapIsUnknown(t *testing.T) {
	day, hours, err := cal().Day("2026-05-20")
	if err != nil {
		t.Fatal(err)
	}
	sure := func(min int, way Direction) Tap { return Tap{ID: "s", At: day.At(min), Direction: way} }
	unsure := Tap{ID: "u", At: day.At(9 * 60), Direction: In, Unsure: true}
	for _, c := range []struct {
		name string
		taps []Tap
		now  int
		want Outcome
	}{
		{"alone, after the bell", []Tap{unsure}, 10 * 60, Unknown},
		{"alone, before the bell", []Tap{unsure}, 7 * 60, Pending},
		{"beside one in time", []Tap{sure(7*60, In), unsure}, 10 * 60, Present},
		{"beside a late one", []Tap{sure(8*60+30, In), unsure}, 10 * 60, Unknown},
		{"beside one that went early", []Tap{sure(7*60, In), sure(11*60, Out), unsure}, 17 * 60, Unknown},
		{"of another day", []Tap{{ID: "u", At: day.At(-60), Unsure: true}}, 10 * 60, AbsentUnexplained},
	} {
		s := Decide(Evidence{Day: day, Hours: hours, Taps: c.taps}, day.At(c.now))
		if s.Outcome != c.want || (c.want == Unknown) != s.Has(ClockDoubt) || s.Minutes != 0 || c.want == Unknown && slices.Contains(s.Reasons, NoTap) {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
}

func TestUserNumbersOfTerminals(t *testing.T) {
	c := UserNumber(1023)
	again, err := ParseCard("user:001023")
	if n, ok := again.User(); err != nil || !ok || n != 1023 || again.String() != "user:1023" || c.Tail() != "1023" || !slices.Equal(Printed(c), []string{"user:1023"}) {
		t.Errorf("%v, %v, printed %v", again, err, Printed(c))
	}
	for _, bad := range []string{"user:", "user:0", "user:x", "user:-1", "user:99999999999999999999"} {
		if got, err := ParseCard(bad); err == nil {
			t.Errorf("%q was taken as %s", bad, got)
		}
	}
	if _, ok := (Card{Bits: 32, Raw: []byte{1, 2, 3, 4}}).User(); ok {
		t.Error("a card is a user number")
	}
}
