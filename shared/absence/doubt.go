package absence

import (
	"maps"
	"slices"
	"time"

	"campuskeep/shared/attendance"
)

// Cause is what makes a whole group of pupils unknown.
type Cause string

// The causes of an alarm to the staff.
const (
	GateFailed  Cause = "gate"   // a reader, or all of them
	StoreFailed Cause = "store"  // the records could not be written
	ClockDoubt  Cause = "clock"  // the time is not trusted
	NoCards     Cause = "cards"  // pupils without a card
	WholeClass  Cause = "class"  // too many of a class at once
	WholeSchool Cause = "school" // too many of the school at once
)

// Verdict is what a person found out about an alarm.
type Verdict string

// The verdicts.
const (
	IsFault Verdict = "fault" // the gate or the roster is wrong: nobody is absent by it
	IsReal  Verdict = "real"  // they really did not come: cases open
)

// Doubt is a group of pupils of whom it is not known whether they came.
type Doubt struct {
	Cause Cause
	Class string // for WholeClass
	Count int    // pupils
	Of    int    // of so many that were expected
}

// Key tells doubts of one date apart.
func (d Doubt) Key() string {
	if d.Class != "" {
		return string(d.Cause) + "." + d.Class
	}
	return string(d.Cause)
}

// The least groups that are judged by their share: below, absences of all may be chance.
const (
	leastClass  = 5
	leastSchool = 20
)

var causes = map[attendance.Reason]Cause{attendance.GateUnobserved: GateFailed, attendance.RegisterUnobserved: StoreFailed, attendance.ClockDoubt: ClockDoubt, attendance.NoCard: NoCards}

// Doubts lists what is in doubt among the pupils of a date at an instant, at most one for each cause and class. believed
// says of which keys a person has said that they are real.
func Doubts(pupils []Pupil, r Rules, now time.Time, believed func(key string) bool) []Doubt {
	unknown := map[Cause]int{}
	type group struct{ expected, missing, seen int }
	classes, school := map[string]*group{}, group{}
	for _, p := range pupils {
		if p.Outcome == attendance.Unknown && !now.Before(p.Ask) {
			for _, why := range p.Reasons {
				if c, ok := causes[why]; ok {
					unknown[c]++
					break
				}
			}
		}
		if p.Outcome == attendance.NoSchool || p.Outcome == attendance.OnLeave || p.Outcome == attendance.Unknown {
			continue
		}
		g := classes[p.Class]
		if g == nil {
			g = &group{}
			classes[p.Class] = g
		}
		g.expected++
		school.expected++
		if p.Attended || p.Marked() {
			g.seen++
		}
		if p.Absent() && !p.Marked() && !now.Before(p.Ask) {
			g.missing++
			school.missing++
		}
	}
	var out []Doubt
	for _, c := range []Cause{GateFailed, StoreFailed, ClockDoubt, NoCards} {
		if n := unknown[c]; n > 0 {
			out = append(out, Doubt{Cause: c, Count: n, Of: len(pupils)})
		}
	}
	if believed(string(WholeSchool)) {
		return out
	}
	// A class in doubt says nothing about the others; many of them are one fault of the school.
	var single []Doubt
	var missing int
	for _, id := range slices.Sorted(maps.Keys(classes)) {
		g := classes[id]
		if g.expected < leastClass || 100*g.missing <= r.ClassShare*g.expected && (g.seen > 0 || g.missing == 0) {
			continue
		}
		d := Doubt{Cause: WholeClass, Class: id, Count: g.missing, Of: g.expected}
		if believed(d.Key()) {
			continue
		}
		single, missing = append(single, d), missing+g.missing
		school.expected, school.missing = school.expected-g.expected, school.missing-g.missing
	}
	if len(single) > 1 && 100*len(single) > r.SchoolShare*len(classes) || school.expected >= leastSchool && 100*school.missing > r.SchoolShare*school.expected {
		for _, d := range single {
			school.expected += d.Of
		}
		return append(out, Doubt{Cause: WholeSchool, Count: school.missing + missing, Of: school.expected})
	}
	return append(out, single...)
}

// Doubted gives the pupils as they count for cases: who is absent by silence alone while the class or the school is in
// doubt is unknown.
func Doubted(pupils []Pupil, doubts []Doubt) []Pupil {
	school, classes := false, map[string]bool{}
	for _, d := range doubts {
		school = school || d.Cause == WholeSchool
		if d.Cause == WholeClass {
			classes[d.Class] = true
		}
	}
	if !school && len(classes) == 0 {
		return pupils
	}
	out := slices.Clone(pupils)
	for i := range out {
		if p := &out[i]; p.Absent() && !p.Marked() && (school || classes[p.Class]) {
			p.Outcome, p.Reasons = attendance.Unknown, []attendance.Reason{attendance.RosterDoubt}
		}
	}
	return out
}
