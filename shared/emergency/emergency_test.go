package emergency

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

func said(by, class string, state State, sec int) Statement {
	return Statement{Student: "s1", By: by, Class: class, State: state, Said: time.Duration(sec) * time.Second}
}

// Covers S11: what several people's statements about one pupil amount to.
func TestWhatStatementsAmountTo(t *testing.T) {
	in, away := Pupil{Student: "s1", Presence: In}, Pupil{Student: "s1", Presence: Away}
	settle := said("head", "", Safe, 90)
	settle.Settled = true
	for name, x := range map[string]struct {
		p         Pupil
		all       []Statement
		state     State
		elsewhere bool
		conflicts []Conflict
		expected  bool
	}{
		"nobody said anything":               {p: in, expected: true},
		"not at school":                      {p: away},
		"the class teacher saw the pupil":    {p: in, all: []Statement{said("luo", "c1", Safe, 10)}, state: Safe, expected: true},
		"the latest of one person counts":    {p: in, all: []Statement{said("luo", "c1", Safe, 20), said("luo", "c1", Missing, 10)}, state: Safe, expected: true},
		"ran off again":                      {p: in, all: []Statement{said("luo", "c1", Safe, 10), said("luo", "c1", Missing, 20)}, state: Missing, expected: true},
		"missing, then with another teacher": {p: in, all: []Statement{said("luo", "c1", Missing, 10), said("fan", "", Safe, 20)}, state: Safe, elsewhere: true, conflicts: []Conflict{Found}, expected: true},
		"seen, and looked for later":         {p: in, all: []Statement{said("fan", "", Safe, 10), said("luo", "c1", Missing, 20)}, state: Missing, conflicts: []Conflict{MissingAfter}, expected: true},
		"safe with two":                      {p: in, all: []Statement{said("fan", "", Safe, 10), said("luo", "c1", Safe, 20)}, state: Safe, conflicts: []Conflict{TwoSightings}, expected: true},
		"two teachers of the class":          {p: in, all: []Statement{said("fan", "c1", Safe, 10), said("luo", "c1", Safe, 20)}, state: Safe, expected: true},
		"injured by one, safe by another":    {p: in, all: []Statement{said("fan", "", Injured, 10), said("luo", "c1", Safe, 20)}, state: Injured, elsewhere: true, conflicts: []Conflict{InjuredOrSafe, TwoSightings}, expected: true},
		"absent, but the card came in":       {p: in, all: []Statement{said("luo", "c1", Absent, 10)}, state: Absent, conflicts: []Conflict{AbsentYetIn}, expected: true},
		"absent, as the gate says":           {p: away, all: []Statement{said("luo", "c1", Absent, 10)}, state: Absent},
		"absent by one, seen by another":     {p: away, all: []Statement{said("luo", "c1", Absent, 10), said("fan", "", Safe, 20)}, state: Safe, elsewhere: true, conflicts: []Conflict{AbsentYetSeen}, expected: true},
		"away, and yet here":                 {p: away, all: []Statement{said("luo", "c1", Safe, 10)}, state: Safe, expected: true},
		"the control settles it":             {p: in, all: []Statement{said("fan", "", Safe, 10), said("luo", "c1", Missing, 20), settle}, state: Safe, elsewhere: true, expected: true},
		"looked for after it was settled":    {p: in, all: []Statement{settle, said("luo", "c1", Missing, 120)}, state: Missing, conflicts: []Conflict{MissingAfter}, expected: true},
		"taken back":                         {p: in, all: []Statement{said("fan", "", Safe, 10), said("fan", "", Withdrawn, 20)}, expected: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := Resolve(x.p, "c1", x.all)
			if r.State != x.state || r.Elsewhere != x.elsewhere || !slices.Equal(r.Conflicts, x.conflicts) || Expected(x.p, r) != x.expected {
				t.Errorf("%+v, expected %v", r, Expected(x.p, r))
			}
		})
	}
}

func anyStatements(t *rapid.T) []Statement {
	n := rapid.IntRange(0, 12).Draw(t, "statements")
	at := rapid.SliceOfNDistinct(rapid.IntRange(0, 500), n, n, rapid.ID[int]).Draw(t, "at")
	var all []Statement
	for _, sec := range at {
		s := said(rapid.SampledFrom([]string{"luo", "fan", "head", "doctor"}).Draw(t, "by"), rapid.SampledFrom([]string{"c1", ""}).Draw(t, "class"), rapid.SampledFrom(States).Draw(t, "state"), sec)
		s.Settled = s.By == "head" && rapid.Bool().Draw(t, "settles")
		all = append(all, s)
	}
	return all
}

// Covers S11: whatever arrives in whatever order, the count is the same, adds up, and calls nobody safe whom somebody
// looked for later in vain.
func TestNobodyIsSafeByAccident(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := anyStatements(t)
		p := Pupil{Student: "s1", Presence: rapid.SampledFrom([]Presence{In, Away, Unclear}).Draw(t, "presence")}
		r := Resolve(p, "c1", all)
		if other := Resolve(p, "c1", rapid.Permutation(all).Draw(t, "order")); fmt.Sprint(other.State, other.By, other.Conflicts) != fmt.Sprint(r.State, r.By, r.Conflicts) {
			t.Fatalf("another order gives %v, not %v", other, r)
		}
		var c Count
		c.Add(p, r)
		if c.Expected != c.Safe+c.Missing+c.Injured+c.Open || c.Expected+c.Away != 1 {
			t.Fatalf("%+v does not add up", c)
		}
		if c.Safe+c.Injured == 1 {
			last := map[string]Statement{}
			for _, s := range all {
				if o, ok := last[s.By]; !ok || s.Said > o.Said {
					last[s.By] = s
				}
			}
			sighting, settled := time.Duration(-1), time.Duration(-1)
			for _, s := range all {
				if s.Settled {
					settled = max(settled, s.Said)
				}
			}
			for _, s := range last {
				if s.State.seen() {
					sighting = max(sighting, s.Said)
				}
			}
			if sighting < 0 {
				t.Fatal("counted as seen by nobody")
			}
			for _, s := range last {
				if s.State == Missing && s.Said > sighting && s.Said > settled {
					t.Fatalf("%s looked for the pupil in vain after the last sighting, and the count says %s", s.By, r.State)
				}
			}
		}
		if p.Presence == In && c.Away == 1 && !slices.ContainsFunc(all, func(s Statement) bool { return s.Settled && s.State == Absent }) {
			t.Fatal("a pupil whom the gate saw come in fell out of the count")
		}
	})
}

// Covers S11: who is prefilled as in school.
func TestPresenceByTheGate(t *testing.T) {
	out := time.Date(2026, 5, 20, 13, 5, 0, 0, time.UTC)
	for _, x := range []struct {
		name string
		d    attendance.DayStatus
		want Presence
	}{
		{"came in", attendance.DayStatus{Outcome: attendance.Present, Attended: true}, In},
		{"late", attendance.DayStatus{Outcome: attendance.Late, Attended: true}, In},
		{"left early", attendance.DayStatus{Outcome: attendance.LeftEarly, Attended: true, LastOut: out}, Away},
		{"on leave", attendance.DayStatus{Outcome: attendance.OnLeave}, Away},
		{"the gate failed", attendance.DayStatus{Outcome: attendance.Unknown}, Unclear},
		{"no tap and no word", attendance.DayStatus{Outcome: attendance.AbsentUnexplained, Reasons: []attendance.Reason{attendance.NoTap}}, Unclear},
		{"the teacher said absent", attendance.DayStatus{Outcome: attendance.AbsentUnexplained, Reasons: []attendance.Reason{attendance.MarkTeacher}}, Away},
		{"before the bell", attendance.DayStatus{Outcome: attendance.Pending}, Away},
		{"no school", attendance.DayStatus{Outcome: attendance.NoSchool}, Away},
	} {
		if got := PresenceOf(x.d); got != x.want {
			t.Errorf("%s: %s, want %s", x.name, got, x.want)
		}
	}
}

// Distances hold while the clock is in doubt and after the machine started again.
func TestTheTimeOfAnEvent(t *testing.T) {
	wall := time.Date(2026, 5, 20, 6, 20, 0, 0, time.UTC)
	opened := InstantOf(clock.Reading{Wall: wall, State: clock.Suspect, Boot: "a", Mono: time.Hour})
	if !opened.Doubt {
		t.Error("the doubt is not noted")
	}
	if d := opened.Since(clock.Reading{Wall: wall.Add(-24 * time.Hour), Boot: "a", Mono: time.Hour + 90*time.Second}, 0); d != 90*time.Second {
		t.Errorf("within a boot: %s", d)
	}
	if d := opened.Since(clock.Reading{Wall: wall.Add(5 * time.Minute), Boot: "b"}, time.Minute); d != 5*time.Minute {
		t.Errorf("across boots: %s", d)
	}
	if d := opened.Since(clock.Reading{Wall: wall.Add(-time.Hour), Boot: "b"}, 7*time.Minute); d != 7*time.Minute {
		t.Errorf("a clock that was set back: %s", d)
	}
	if SaidAt(time.Minute, 90*time.Second) != 0 || SaidAt(time.Minute, 20*time.Second) != 40*time.Second || SaidAt(time.Minute, -time.Second) != time.Minute || SaidAt(20*time.Hour, 13*time.Hour) != 20*time.Hour {
		t.Error("the age of what a phone kept")
	}
}
