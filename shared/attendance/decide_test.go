package attendance

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"
)

var shanghai = func() *time.Location {
	l, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		panic(err)
	}
	return l
}()

// clockAt is "8:05" or "8:05:30" on Wednesday 20 May 2026.
func clockAt(s string) time.Time {
	var h, m, sec int
	if n, _ := fmt.Sscanf(s, "%d:%d:%d", &h, &m, &sec); n < 2 {
		panic("time " + s)
	}
	return time.Date(2026, 5, 20, h, m, sec, 0, shanghai)
}

func cal() Calendar { return Calendar{Zone: "Asia/Shanghai", Hours: DefaultHours} }

// wednesday is the evidence of a student of whom nothing is known.
func wednesday() Evidence {
	day, hours, err := cal().Day("2026-05-20")
	if err != nil {
		panic(err)
	}
	return Evidence{Student: "s0001", Class: "2024-03", Day: day, Hours: hours}
}

func tap(d Direction, at string) Tap {
	return Tap{ID: string(d) + at, Student: "s0001", Reader: "r-" + string(d), Direction: d, At: clockAt(at)}
}

func leave(kind LeaveKind, from, to string) Leave {
	return Leave{ID: from, Student: "s0001", Kind: kind, From: clockAt(from), To: clockAt(to), Approved: true}
}

func mark(o Outcome, by By, at string) Mark {
	return Mark{ID: at, Student: "s0001", Date: "2026-05-20", Outcome: o, By: by, At: clockAt(at)}
}

// Covers S6, S7: the rules of a day in their order, each with its reasons.
func TestDecide(t *testing.T) {
	blind := func(from, to string, d Direction) Unobserved {
		return Unobserved{From: clockAt(from), To: clockAt(to), Direction: d}
	}
	for _, c := range []struct {
		name    string
		now     string
		taps    []Tap
		leaves  []Leave
		marks   []Mark
		blind   []Unobserved
		doubt   bool
		want    Outcome
		minutes int
		reasons []Reason
	}{
		// the bell
		{name: "before the bell nobody is missing", now: "7:30", want: Pending, reasons: []Reason{NotDue}},
		{name: "at the bell still nobody", now: "8:00", want: Pending, reasons: []Reason{NotDue}},
		{name: "a second after it", now: "8:00:01", want: AbsentUnexplained, reasons: []Reason{NoTap}},
		{name: "in before the bell", now: "9:00", taps: []Tap{tap(In, "7:40")}, want: Present, reasons: []Reason{InOnTime}},
		{name: "in with the bell", now: "9:00", taps: []Tap{tap(In, "8:00")}, want: Present, reasons: []Reason{InOnTime}},
		{name: "a second late is a minute late", now: "9:00", taps: []Tap{tap(In, "8:00:01")}, want: Late, minutes: 1, reasons: []Reason{InLate}},
		{name: "eight and a half minutes late", now: "9:00", taps: []Tap{tap(In, "8:08:30")}, want: Late, minutes: 9, reasons: []Reason{InLate}},
		{name: "the first way in counts, not the last", now: "9:00", taps: []Tap{tap(In, "7:50"), tap(Out, "7:55"), tap(In, "8:10")}, want: Present, reasons: []Reason{InOnTime}},

		// going home
		{name: "home on time", now: "17:00", taps: []Tap{tap(In, "7:40"), tap(Out, "16:31")}, want: Present, reasons: []Reason{InOnTime, OutOnTime}},
		{name: "home within the slack", now: "17:00", taps: []Tap{tap(In, "7:40"), tap(Out, "16:25")}, want: Present, reasons: []Reason{InOnTime, OutOnTime}},
		{name: "home early", now: "17:00", taps: []Tap{tap(In, "7:40"), tap(Out, "15:30")}, want: LeftEarly, minutes: 60, reasons: []Reason{InOnTime, OutEarly}},
		{name: "late and home early", now: "17:00", taps: []Tap{tap(In, "8:10"), tap(Out, "15:30")}, want: LeftEarly, minutes: 60, reasons: []Reason{InLate, OutEarly}},
		{name: "out at noon and back", now: "14:00", taps: []Tap{tap(In, "7:40"), tap(Out, "12:00"), tap(In, "13:30")}, want: Present, reasons: []Reason{InOnTime}},
		{name: "out without having come in", now: "17:00", taps: []Tap{tap(Out, "16:31")}, want: Present, reasons: []Reason{OutOnly, OutOnTime}},
		{name: "not gone home when the gate closes", now: "18:30", taps: []Tap{tap(In, "7:40")}, want: Present, reasons: []Reason{InOnTime, NotLeft}},
		{name: "not gone home a minute before", now: "18:29", taps: []Tap{tap(In, "7:40")}, want: Present, reasons: []Reason{InOnTime}},

		// leave
		{name: "leave all day", now: "9:00", leaves: []Leave{leave(Sick, "0:00", "23:59")}, want: OnLeave, reasons: []Reason{LeaveApproved}},
		{name: "leave all day, known the evening before the bell", now: "6:00", leaves: []Leave{leave(Sick, "7:00", "18:00")}, want: OnLeave, reasons: []Reason{LeaveApproved}},
		{name: "came in spite of leave", now: "9:00", leaves: []Leave{leave(Sick, "0:00", "23:59")}, taps: []Tap{tap(In, "7:40")}, want: OnLeave, reasons: []Reason{LeaveApproved, CameAnyway}},
		{name: "leave that nobody approved", now: "9:00", leaves: []Leave{{ID: "x", From: clockAt("0:00"), To: clockAt("23:00")}}, want: AbsentUnexplained, reasons: []Reason{NoTap}},
		{name: "leave of the morning lasts", now: "9:00", leaves: []Leave{leave(Personal, "7:00", "10:00")}, want: OnLeave, reasons: []Reason{LeaveApproved}},
		{name: "leave of the morning, came in time", now: "11:00", leaves: []Leave{leave(Personal, "7:00", "10:00")}, taps: []Tap{tap(In, "9:55")}, want: Present, reasons: []Reason{LeavePartial, InOnTime}},
		{name: "leave of the morning, came late", now: "11:00", leaves: []Leave{leave(Personal, "7:00", "10:00")}, taps: []Tap{tap(In, "10:20")}, want: Late, minutes: 20, reasons: []Reason{LeavePartial, InLate}},
		{name: "leave of the morning, never came", now: "11:00", leaves: []Leave{leave(Personal, "7:00", "10:00")}, want: AbsentUnexplained, reasons: []Reason{LeavePartial, NoTap}},
		{name: "leaves that join up", now: "11:00", leaves: []Leave{leave(Personal, "9:00", "12:00"), leave(Sick, "7:00", "9:00")}, want: OnLeave, reasons: []Reason{LeaveApproved}},
		{name: "leave of the afternoon, went with it", now: "17:00", leaves: []Leave{leave(Sick, "14:00", "18:00")}, taps: []Tap{tap(In, "7:40"), tap(Out, "14:02")}, want: Present, reasons: []Reason{LeavePartial, InOnTime, OutOnTime}},
		{name: "leave of the afternoon, went before it", now: "17:00", leaves: []Leave{leave(Sick, "14:00", "18:00")}, taps: []Tap{tap(In, "7:40"), tap(Out, "13:00")}, want: LeftEarly, minutes: 60, reasons: []Reason{LeavePartial, InOnTime, OutEarly}},
		{name: "leave of the afternoon does not excuse the morning", now: "15:00", leaves: []Leave{leave(Sick, "14:00", "18:00")}, want: AbsentUnexplained, reasons: []Reason{LeavePartial, NoTap}},
		{name: "to the doctor at noon", now: "12:30", leaves: []Leave{leave(Sick, "12:00", "14:00")}, taps: []Tap{tap(In, "7:40"), tap(Out, "12:01")}, want: Present, reasons: []Reason{InOnTime, LeavePartial}},
		{name: "to the doctor at noon and not back", now: "15:00", leaves: []Leave{leave(Sick, "12:00", "14:00")}, taps: []Tap{tap(In, "7:40"), tap(Out, "12:01")}, want: LeftEarly, minutes: 269, reasons: []Reason{InOnTime, OutEarly}},

		// marks
		{name: "the teacher saw the student", now: "9:00", marks: []Mark{mark(Present, ByTeacher, "8:10")}, want: Present, reasons: []Reason{MarkTeacher}},
		{name: "truant by the teacher", now: "9:00", marks: []Mark{mark(Truant, ByTeacher, "8:50")}, want: Truant, reasons: []Reason{MarkTeacher}},
		{name: "the later mark counts", now: "12:00", marks: []Mark{mark(Present, ByOffice, "10:00"), mark(Truant, ByTeacher, "8:50")}, want: Present, reasons: []Reason{MarkOffice}},
		{name: "of two at once the office's", now: "12:00", marks: []Mark{mark(Present, ByOffice, "9:00"), mark(Truant, ByTeacher, "9:00")}, want: Present, reasons: []Reason{MarkOffice}},
		{name: "a mark of the future is not there yet", now: "7:00", marks: []Mark{mark(Truant, ByTeacher, "8:50")}, want: Pending, reasons: []Reason{NotDue}},
		{name: "marked absent, and tapped in", now: "9:00", marks: []Mark{mark(AbsentUnexplained, ByTeacher, "8:10")}, taps: []Tap{tap(In, "8:20")}, want: AbsentUnexplained, reasons: []Reason{MarkTeacher, Contradicted}},
		{name: "marked present, and went out after", now: "12:00", marks: []Mark{mark(Present, ByTeacher, "8:10")}, taps: []Tap{tap(In, "7:50"), tap(Out, "10:00")}, want: Present, reasons: []Reason{MarkTeacher, Contradicted}},
		{name: "leave goes before a mark", now: "9:00", leaves: []Leave{leave(Sick, "0:00", "23:59")}, marks: []Mark{mark(Truant, ByTeacher, "8:10")}, want: OnLeave, reasons: []Reason{LeaveApproved}},

		// missing evidence
		{name: "no tap and a reader that failed", now: "9:00", blind: []Unobserved{blind("7:30", "7:50", In)}, want: Unknown, reasons: []Reason{GateUnobserved}},
		{name: "a reader that still fails", now: "9:00", blind: []Unobserved{{From: clockAt("7:30"), Direction: Auto}}, want: Unknown, reasons: []Reason{GateUnobserved}},
		{name: "the register failed", now: "9:00", blind: []Unobserved{{From: clockAt("7:30"), To: clockAt("7:31"), Direction: Auto, Register: true}}, want: Unknown, reasons: []Reason{RegisterUnobserved}},
		{name: "a reader of the way out says nothing of the way in", now: "9:00", blind: []Unobserved{blind("7:30", "7:50", Out)}, want: AbsentUnexplained, reasons: []Reason{NoTap}},
		{name: "a failure of the night", now: "9:00", blind: []Unobserved{blind("2:00", "5:00", Auto)}, want: AbsentUnexplained, reasons: []Reason{NoTap}},
		{name: "a failure after the parents were told", now: "15:00", blind: []Unobserved{blind("13:00", "14:00", Auto)}, want: AbsentUnexplained, reasons: []Reason{NoTap}},
		{name: "before the bell a failure is no matter", now: "7:55", blind: []Unobserved{blind("7:30", "7:50", In)}, want: Pending, reasons: []Reason{NotDue}},
		{name: "late, and a reader failed since the bell", now: "9:00", taps: []Tap{tap(In, "8:12")}, blind: []Unobserved{blind("7:40", "8:10", In)}, want: Unknown, reasons: []Reason{InLate, GateUnobserved}},
		{name: "late, and the failure was over before the bell", now: "9:00", taps: []Tap{tap(In, "8:12")}, blind: []Unobserved{blind("7:30", "7:50", In)}, want: Late, minutes: 12, reasons: []Reason{InLate}},
		{name: "out early and a reader failed after", now: "17:00", taps: []Tap{tap(In, "7:40"), tap(Out, "15:30")}, blind: []Unobserved{blind("15:40", "16:00", In)}, want: LeftEarly, minutes: 60, reasons: []Reason{InOnTime, OutEarly, GateUnobserved}},
		{name: "not seen leaving, and the way out was deaf", now: "18:31", taps: []Tap{tap(In, "7:40")}, blind: []Unobserved{blind("16:20", "17:00", Out)}, want: Present, reasons: []Reason{InOnTime, NotLeft, GateUnobserved}},
		{name: "the clock is in doubt", now: "9:00", doubt: true, want: Unknown, reasons: []Reason{ClockDoubt}},
		{name: "tapped while the clock was in doubt", now: "9:00", taps: []Tap{{ID: "x", At: clockAt("8:40"), Direction: In, Doubt: true}}, want: Present, reasons: []Reason{ClockDoubt}},
	} {
		e := wednesday()
		e.Taps, e.Leaves, e.Marks, e.Unobserved, e.Doubt = c.taps, c.leaves, c.marks, c.blind, c.doubt
		s := Decide(e, clockAt(c.now))
		if s.Outcome != c.want || s.Minutes != c.minutes || !slices.Equal(s.Reasons, c.reasons) {
			t.Errorf("%s: %s %d min %v, want %s %d min %v", c.name, s.Outcome, s.Minutes, s.Reasons, c.want, c.minutes, c.reasons)
		}
		if s.V != Version || s.Date != "2026-05-20" || s.Student != "s0001" || s.Class != "2024-03" {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
}

func TestDaysWithoutSchool(t *testing.T) {
	for _, c := range []struct {
		date    string
		reasons []Reason
		want    Outcome
	}{
		{"2026-05-23", []Reason{Weekend}, NoSchool},
		{"2026-05-01", []Reason{Holiday}, NoSchool},
		{"2026-05-09", []Reason{MakeUpDay, NoTap}, AbsentUnexplained}, // a Saturday made up
		{"2026-07-15", []Reason{OffTerm}, NoSchool},
	} {
		k := cal()
		k.Terms = []Term{{From: "2026-02-24", To: "2026-07-03"}}
		k.Holidays = []DateRange{{From: "2026-05-01", To: "2026-05-05", Name: "劳动节"}}
		k.MakeUps = []MakeUp{{Date: "2026-05-09", As: "monday"}}
		day, hours, err := k.Day(c.date)
		if err != nil {
			t.Fatal(err)
		}
		s := Decide(Evidence{Day: day, Hours: hours}, day.At(10*60))
		if s.Outcome != c.want || !slices.Equal(s.Reasons, c.reasons) {
			t.Errorf("%s: %s %v, want %s %v", c.date, s.Outcome, s.Reasons, c.want, c.reasons)
		}
	}
}

// A two-way reader: the ways follow from the day, not from the order in which taps arrive.
func TestTwoWayReader(t *testing.T) {
	e := wednesday()
	for _, c := range []struct {
		taps []string
		want string
	}{
		{[]string{"7:40"}, "in"},
		{[]string{"7:40", "7:45"}, "in in"}, // went back for something before the bell: still arriving
		{[]string{"8:10"}, "in"},
		{[]string{"7:40", "10:00"}, "in out"},
		{[]string{"7:40", "12:00", "13:30", "16:31"}, "in out in out"},
		{[]string{"7:40", "12:00", "12:03", "13:30"}, "in out out in"}, // held the card twice
		{[]string{"7:40", "13:30", "16:31"}, "in out out"},             // forgot one: the evening sets it right
		{[]string{"16:40"}, "out"},
		{[]string{"7:40", "16:26", "16:50"}, "in out out"},
	} {
		var taps []Tap
		for _, at := range c.taps {
			taps = append(taps, tap(Auto, at))
		}
		slices.Reverse(taps)
		var got strings.Builder
		for i, m := range Resolve(e.Day, e.Hours, taps) {
			if i > 0 {
				got.WriteString(" ")
			}
			got.WriteString(string(m.Way))
		}
		if got.String() != c.want {
			t.Errorf("%v: %s, want %s", c.taps, got.String(), c.want)
		}
	}
	if n := len(Resolve(e.Day, e.Hours, []Tap{{At: clockAt("7:40").AddDate(0, 0, 1), Direction: In}})); n != 0 {
		t.Error("a tap of tomorrow counts today")
	}
}

// anyEvidence draws a day of one student.
func anyEvidence(t *rapid.T) Evidence {
	e := wednesday()
	minute := rapid.IntRange(0, 24*60-1)
	moment := func(name string) time.Time {
		return e.Day.Start.Add(time.Duration(minute.Draw(t, name))*time.Minute + time.Duration(rapid.IntRange(0, 59).Draw(t, "second"))*time.Second)
	}
	e.Hours.Grace = rapid.IntRange(0, 5).Draw(t, "grace")
	e.Hours.TapOut = rapid.Bool().Draw(t, "tap out")
	for i := range rapid.IntRange(0, 6).Draw(t, "taps") {
		e.Taps = append(e.Taps, Tap{ID: fmt.Sprint(i), Reader: rapid.SampledFrom([]string{"r01", "r02"}).Draw(t, "reader"),
			Direction: rapid.SampledFrom([]Direction{In, Out, Auto}).Draw(t, "direction"), At: moment("tap"), Doubt: rapid.IntRange(0, 9).Draw(t, "doubt") == 0})
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "leaves") {
		from := moment("leave")
		e.Leaves = append(e.Leaves, Leave{ID: fmt.Sprint(i), Kind: rapid.SampledFrom([]LeaveKind{Sick, Personal}).Draw(t, "kind"), From: from,
			To: from.Add(time.Duration(rapid.IntRange(1, 700).Draw(t, "for")) * time.Minute), Approved: rapid.Bool().Draw(t, "approved")})
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "marks") {
		e.Marks = append(e.Marks, Mark{ID: fmt.Sprint(i), Date: "2026-05-20", Outcome: rapid.SampledFrom([]Outcome{Present, Late, Truant, AbsentUnexplained}).Draw(t, "mark"),
			By: rapid.SampledFrom([]By{ByTeacher, ByOffice}).Draw(t, "by"), At: moment("marked")})
	}
	for range rapid.IntRange(0, 2).Draw(t, "blinds") {
		from := moment("blind")
		e.Unobserved = append(e.Unobserved, Unobserved{From: from, To: from.Add(time.Duration(rapid.IntRange(1, 300).Draw(t, "blind for")) * time.Minute),
			Direction: rapid.SampledFrom([]Direction{In, Out, Auto}).Draw(t, "blind way"), Register: rapid.Bool().Draw(t, "register")})
	}
	return e
}

// Covers S6, S7: the same evidence gives the same day in whatever order it comes; nobody is absent who tapped
// or whom the gate could not hear; every outcome has a reason.
func TestDecideProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvidence(t)
		now := e.Day.Start.Add(time.Duration(rapid.IntRange(0, 24*60).Draw(t, "now")) * time.Minute)
		s := Decide(e, now)

		shuffled := e
		shuffled.Taps, shuffled.Leaves, shuffled.Marks, shuffled.Unobserved = slices.Clone(e.Taps), slices.Clone(e.Leaves), slices.Clone(e.Marks), slices.Clone(e.Unobserved)
		r := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed")))
		r.Shuffle(len(e.Taps), func(i, j int) { shuffled.Taps[i], shuffled.Taps[j] = shuffled.Taps[j], shuffled.Taps[i] })
		r.Shuffle(len(e.Leaves), func(i, j int) { shuffled.Leaves[i], shuffled.Leaves[j] = shuffled.Leaves[j], shuffled.Leaves[i] })
		r.Shuffle(len(e.Marks), func(i, j int) { shuffled.Marks[i], shuffled.Marks[j] = shuffled.Marks[j], shuffled.Marks[i] })
		r.Shuffle(len(e.Unobserved), func(i, j int) {
			shuffled.Unobserved[i], shuffled.Unobserved[j] = shuffled.Unobserved[j], shuffled.Unobserved[i]
		})
		if again := Decide(shuffled, now); !s.Same(again) || !s.FirstIn.Equal(again.FirstIn) || !s.LastOut.Equal(again.LastOut) {
			t.Fatalf("the order matters: %+v, then %+v", s, again)
		}

		if len(s.Reasons) == 0 || !slices.Contains(Outcomes, s.Outcome) {
			t.Fatalf("no reason or no outcome: %+v", s)
		}
		if s.Outcome == OnLeave != (s.Leave != "") {
			t.Fatalf("leave without its kind, or the other way round: %+v", s)
		}
		if s.Outcome == AbsentUnexplained && !s.Has(MarkTeacher) && !s.Has(MarkOffice) {
			if len(e.Taps) > 0 {
				t.Fatalf("absent with taps: %+v", s)
			}
			for _, b := range e.Unobserved {
				if b.hides(In, e.Day.At(e.Hours.Opens), earlier(now, e.Day.At(e.Hours.Bell+e.Hours.Grace))) {
					t.Fatalf("absent although the gate was deaf: %+v", s)
				}
			}
		}
		if s.Minutes < 0 || (s.Outcome == Late || s.Outcome == LeftEarly) && !s.Has(MarkTeacher) && !s.Has(MarkOffice) && s.Minutes == 0 {
			t.Fatalf("minutes: %+v", s)
		}
	})
}

// A later tap never turns a tap before it into something else: a day only grows.
func TestTapsOnlyAddToADay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvidence(t)
		cut := e.Day.Start.Add(time.Duration(rapid.IntRange(0, 24*60).Draw(t, "cut")) * time.Minute)
		early := slices.DeleteFunc(slices.Clone(e.Taps), func(x Tap) bool { return x.At.After(cut) })
		all := Resolve(e.Day, e.Hours, e.Taps)
		for i, m := range Resolve(e.Day, e.Hours, early) {
			if all[i].ID != m.ID || all[i].Way != m.Way {
				t.Fatalf("tap %s went %s, and with later taps %s went %s", m.ID, m.Way, all[i].ID, all[i].Way)
			}
		}
	})
}
