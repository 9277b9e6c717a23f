// Package emergency holds the rules of a head count in a drill or a real event (S11): who is to be accounted for,
// what several people's statements about one pupil amount to, what contradicts what, and when an event may be closed.
//
// It owns nothing and is pure: the same statements give the same count in whatever order they arrived, those of one
// instant excepted. It must never count a pupil as safe whom somebody looked for later and did not find.
package emergency

import (
	"slices"
	"time"

	"campuskeep/shared/attendance"
)

// Kind is what happened, or what is practised.
type Kind string

// The kinds of events (S11).
const (
	Fire       Kind = "fire"
	Earthquake Kind = "earthquake"
	Intruder   Kind = "intruder" // violence; classes stay where they are
	Storm      Kind = "storm"    // typhoon, flood
	Sickness   Kind = "sickness" // many unwell at once
	Other      Kind = "other"
)

// Kinds lists every kind in the order of the page.
var Kinds = []Kind{Fire, Earthquake, Intruder, Storm, Sickness, Other}

// State is what somebody states about a pupil during an event.
type State string

// The states. Absent is a pupil who was not at school at all; Withdrawn takes one's own statement back.
const (
	Safe      State = "safe"
	Missing   State = "missing"
	Injured   State = "injured"
	Absent    State = "absent"
	Withdrawn State = "withdrawn"
)

// States are those that can be stated.
var States = []State{Safe, Missing, Injured, Absent, Withdrawn}

// seen says whether the state means that the pupil was seen.
func (s State) seen() bool { return s == Safe || s == Injured }

// Presence is what the gate knew of a pupil when the event was opened.
type Presence string

// Present pupils and those of whom nothing certain is known are to be accounted for.
const (
	In      Presence = "in"
	Away    Presence = "away"    // gone home, on leave, not come, no school
	Unclear Presence = "unclear" // the gate cannot say
)

// Pupil is one pupil on the roll of an event.
type Pupil struct {
	Student  string    `json:"student"`
	Presence Presence  `json:"presence"`
	Reason   string    `json:"reason,omitempty"` // outcome of the day, as attendance names it
	LastTap  time.Time `json:"last_tap,omitzero"`
	Reader   string    `json:"reader,omitempty"`
}

// PresenceOf is what the day's status at the gate says of a pupil at that moment. Silence is not absence here: who was
// not seen and has no leave is asked for.
func PresenceOf(d attendance.DayStatus) Presence {
	switch {
	case d.Attended && d.LastOut.IsZero():
		return In
	case d.Attended:
		return Away
	case d.Outcome == attendance.Unknown:
		return Unclear
	case d.Outcome == attendance.AbsentUnexplained && !d.Has(attendance.MarkTeacher) && !d.Has(attendance.MarkOffice):
		return Unclear
	}
	return Away
}

// Statement is what one person stated about one pupil.
type Statement struct {
	Student string        `json:"student"`
	State   State         `json:"state"`
	By      string        `json:"by"`
	Class   string        `json:"class,omitempty"`   // the roll that it was made on; empty: "this pupil is with me"
	Settled bool          `json:"settled,omitempty"` // the control decided: what was stated before counts no more
	Said    time.Duration `json:"said"`              // since the event was opened, when the button was pressed
	Note    string        `json:"note,omitempty"`
	Batch   string        `json:"batch"`
	Late    bool          `json:"late,omitempty"` // arrived after the event was closed
}

// Conflict is a contradiction between statements that a person has to look into.
type Conflict string

// The conflicts.
const (
	TwoSightings  Conflict = "two_sightings"   // two people say that the pupil is with them
	MissingAfter  Conflict = "missing_after"   // seen, and later looked for in vain by another
	InjuredOrSafe Conflict = "injured_or_safe" // injured by one, safe by another
	AbsentYetSeen Conflict = "absent_yet_seen"
	AbsentYetIn   Conflict = "absent_yet_in" // said to be absent, but the gate saw the pupil come in
	Found         Conflict = "found"         // missing first, seen later: no contradiction, but news
)

// Conflicts lists every conflict in the order of the page.
var Conflicts = []Conflict{MissingAfter, AbsentYetIn, InjuredOrSafe, TwoSightings, AbsentYetSeen, Found}

// Open says whether the conflict needs a person.
func (c Conflict) Open() bool { return c != Found }

// Standing is what all statements about one pupil amount to.
type Standing struct {
	State     State // empty: nobody has stated anything
	By        string
	Class     string // of the statement that counts
	Said      time.Duration
	Note      string
	Elsewhere bool        // seen by somebody else than the pupil's own class
	Conflicts []Conflict  // in the order of Conflicts
	Seen      *Statement  // the last sighting, also of one who is missing now
	Each      []Statement // the statement that counts of each person, the latest first
}

// Resolve says what the statements about one pupil of a class amount to.
//
// Of each person the latest statement counts. A sighting outweighs a search in vain that came before it; a search in
// vain after the last sighting makes the pupil missing again. Of two sightings the worse counts. What the control
// settles voids everything stated before.
func Resolve(p Pupil, class string, all []Statement) Standing {
	each := latest(all)
	r := Standing{Each: each}
	var sights, misses, absents []Statement
	for _, s := range each {
		switch {
		case s.State.seen():
			sights = append(sights, s)
		case s.State == Missing:
			misses = append(misses, s)
		case s.State == Absent:
			absents = append(absents, s)
		}
	}
	note := map[Conflict]bool{}
	var counts *Statement
	switch {
	case len(sights) > 0:
		r.Seen = &sights[0]
		counts = &sights[0]
		if i := slices.IndexFunc(sights, func(s Statement) bool { return s.State == Injured }); i >= 0 {
			note[InjuredOrSafe] = len(sights) > 1 && slices.ContainsFunc(sights, func(s Statement) bool { return s.State == Safe })
			counts = &sights[i]
		}
		note[TwoSightings] = slices.ContainsFunc(sights, func(s Statement) bool { return s.Class != class }) && len(sights) > 1
		note[AbsentYetSeen] = len(absents) > 0
		switch {
		case len(misses) > 0 && misses[0].Said > sights[0].Said:
			note[MissingAfter] = true
			counts = &misses[0]
		case len(misses) > 0:
			note[Found] = true
		}
	case len(misses) > 0:
		counts = &misses[0]
	case len(absents) > 0:
		counts = &absents[0]
		note[AbsentYetIn] = p.Presence == In && !absents[0].Settled
	}
	if counts != nil {
		r.State, r.By, r.Class, r.Said, r.Note = counts.State, counts.By, counts.Class, counts.Said, counts.Note
		r.Elsewhere = counts.State.seen() && counts.Class != class
	}
	for _, c := range Conflicts {
		if note[c] {
			r.Conflicts = append(r.Conflicts, c)
		}
	}
	return r
}

// latest gives the last statement of each person that still counts, the latest first. Order among equals is that of
// arrival.
func latest(all []Statement) []Statement {
	settled := -1
	for i, s := range all {
		if s.Settled && (settled < 0 || s.Said >= all[settled].Said) {
			settled = i
		}
	}
	byPerson := map[string]int{}
	for i, s := range all {
		if settled >= 0 && i != settled && s.Said <= all[settled].Said {
			continue
		}
		if k, ok := byPerson[s.By]; !ok || s.Said >= all[k].Said {
			byPerson[s.By] = i
		}
	}
	order := make([]int, 0, len(byPerson))
	for _, i := range byPerson {
		if all[i].State != Withdrawn {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		if d := all[b].Said - all[a].Said; d != 0 {
			return int(min(max(d, -1), 1))
		}
		return b - a
	})
	out := make([]Statement, len(order))
	for i, k := range order {
		out[i] = all[k]
	}
	return out
}

// Expected says whether a pupil is to be accounted for: the gate saw them come in or cannot say, or somebody stated
// something but that the pupil is absent.
func Expected(p Pupil, r Standing) bool {
	switch r.State {
	case "":
		return p.Presence != Away
	case Absent:
		return slices.Contains(r.Conflicts, AbsentYetIn) || slices.Contains(r.Conflicts, AbsentYetSeen)
	}
	return true
}

// Count is a head count: Expected = Safe + Missing + Injured + Open.
type Count struct {
	Expected  int `json:"expected"`
	Safe      int `json:"safe"`
	Missing   int `json:"missing"`
	Injured   int `json:"injured"`
	Open      int `json:"open"`      // nobody has stated anything, or only something contradictory
	Away      int `json:"away"`      // not at school
	Elsewhere int `json:"elsewhere"` // of the safe and injured: not with their own class
	Conflicts int `json:"conflicts"` // pupils with a contradiction
}

// Add counts one pupil.
func (c *Count) Add(p Pupil, r Standing) {
	if slices.ContainsFunc(r.Conflicts, Conflict.Open) {
		c.Conflicts++
	}
	if !Expected(p, r) {
		c.Away++
		return
	}
	c.Expected++
	if r.Elsewhere {
		c.Elsewhere++
	}
	switch r.State {
	case Safe:
		c.Safe++
	case Missing:
		c.Missing++
	case Injured:
		c.Injured++
	default:
		c.Open++
	}
}

// Plus adds the counts of another class.
func (c *Count) Plus(o Count) {
	c.Expected += o.Expected
	c.Safe += o.Safe
	c.Missing += o.Missing
	c.Injured += o.Injured
	c.Open += o.Open
	c.Away += o.Away
	c.Elsewhere += o.Elsewhere
	c.Conflicts += o.Conflicts
}

// Complete says whether everybody is accounted for.
func (c Count) Complete() bool { return c.Missing == 0 && c.Open == 0 && c.Conflicts == 0 }

// UndoWithin is how long an event that was opened by mistake can be taken back.
const UndoWithin = 3 * time.Minute

// MostLate is how far back a phone that was without a network may date what it kept.
const MostLate = 12 * time.Hour

// SaidAt is when a statement was made, since the event was opened: now less its age on the phone. An age that cannot
// be is taken for none.
func SaidAt(now, age time.Duration) time.Duration {
	if age < 0 || age > MostLate {
		age = 0
	}
	return max(0, now-age)
}

// MayClose says why an event cannot be closed without a reason; empty: all are accounted for.
func MayClose(c Count) (rule string, args []any) {
	switch {
	case c.Missing > 0:
		return "err.emergency_missing", []any{c.Missing}
	case c.Open > 0:
		return "err.emergency_open", []any{c.Open}
	case c.Conflicts > 0:
		return "err.emergency_conflict", []any{c.Conflicts}
	}
	return "", nil
}
