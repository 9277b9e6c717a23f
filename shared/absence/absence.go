// Package absence holds the rules of what follows when a pupil does not come (S7, S24): when a case opens, who is
// to act when, what the result of a call brings, how a case ends, and when nothing may be concluded at all.
//
// It is pure: the state of a case is a function of what is known and of an instant. It must never open a case, nor let
// one go on, while the gate, the clock or the roster is in doubt.
package absence

import (
	"slices"
	"time"

	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/fielderr"
)

// Rules are the times and shares that a school sets. The moments for the teacher and the first guardian are the
// calendar's ([attendance.Hours]).
type Rules struct {
	NextGuardian int `json:"next_guardian"` // minutes without an answer until the next guardian is to be called
	Safety       int `json:"safety"`        // minutes after the bell until the head of safety is asked
	OnWay        int `json:"on_way"`        // minutes that "on the way" is believed
	// ClassShare and SchoolShare are the percentages of pupils who do not come that are more likely a fault of the
	// roster or of the gate than so many absences: then nobody is absent until a person looks.
	ClassShare  int `json:"class_share"`
	SchoolShare int `json:"school_share"`
}

// DefaultRules is where a school begins.
var DefaultRules = Rules{NextGuardian: 5, Safety: 30, OnWay: 15, ClassShare: 50, SchoolShare: 30}

// Or is the rules, the defaults when none are set.
func (r Rules) Or() Rules {
	if r == (Rules{}) {
		return DefaultRules
	}
	return r
}

// Check says which rule is outside its limits.
func (r Rules) Check() fielderr.Errors {
	var errs fielderr.Errors
	for _, x := range []struct {
		field          string
		v, least, most int
	}{{"next_guardian", r.NextGuardian, 1, 60}, {"safety", r.Safety, 10, 180}, {"on_way", r.OnWay, 5, 120}, {"class_share", r.ClassShare, 20, 100}, {"school_share", r.SchoolShare, 10, 100}} {
		if x.v < x.least || x.v > x.most {
			errs.Add(x.field, "err.range", x.least, x.most)
		}
	}
	return errs
}

// Pupil is what attendance says about one pupil at an instant.
type Pupil struct {
	Student, Class string
	Outcome        attendance.Outcome
	Reasons        []attendance.Reason
	Attended       bool
	Bell           time.Time // when the pupil is due, leave considered
	Ask            time.Time // the class teacher may be asked from then on
	Tell           time.Time // guardians may be called from then on
	Guardians      int       // whom there is to call
	Head           string    // the class teacher; empty: there is none
}

// Marked says whether a person stated the outcome.
func (p Pupil) Marked() bool {
	return slices.Contains(p.Reasons, attendance.MarkTeacher) || slices.Contains(p.Reasons, attendance.MarkOffice)
}

// Absent says whether the pupil is missing without a reason.
func (p Pupil) Absent() bool {
	return p.Outcome == attendance.AbsentUnexplained || p.Outcome == attendance.Truant
}

// Rung is whom a step asks.
type Rung string

// The rungs of the ladder.
const (
	Teacher  Rung = "teacher"
	Guardian Rung = "guardian"
	Safety   Rung = "safety"
)

// Result is what somebody found out at a step.
type Result string

// The results. Those of the teacher: InClass, NotInClass, CallNow, Ill, Personal; of a call: Ill, Personal, OnWay,
// Unaware, NoAnswer, WrongNumber; of the head of safety: Searching, Found, Police.
const (
	InClass     Result = "in_class"
	NotInClass  Result = "not_in_class"
	CallNow     Result = "call_now" // not in class, and the guardians are to be called at once
	Ill         Result = "ill"
	Personal    Result = "personal"
	OnWay       Result = "on_way"
	Unaware     Result = "unaware" // the guardian believes that the child is in school
	NoAnswer    Result = "no_answer"
	WrongNumber Result = "wrong_number"
	Searching   Result = "searching"
	Found       Result = "found"
	Police      Result = "police"
)

// Results lists what a rung can answer.
func Results(r Rung) []Result {
	switch r {
	case Teacher:
		return []Result{InClass, NotInClass, CallNow, Ill, Personal}
	case Guardian:
		return []Result{Ill, Personal, OnWay, Unaware, NoAnswer, WrongNumber}
	case Safety:
		return []Result{Searching, Found, Police}
	}
	return nil
}

// Step is one rung that was reached.
type Step struct {
	Rung     Rung      `json:"rung"`
	Guardian int       `json:"guardian,omitempty"` // which, from 0
	At       time.Time `json:"at"`
	Done     time.Time `json:"done,omitzero"` // acknowledged
	By       string    `json:"by,omitempty"`
	Result   Result    `json:"result,omitempty"`
	Note     string    `json:"note,omitempty"`
}

// Why is the reason for which a case is closed.
type Why string

// The reasons. The first five follow from attendance or from a step; the others a person states.
const (
	Arrived   Why = "arrived"
	WasThere  Why = "in_class" // the gate missed the pupil
	IsIll     Why = "ill"
	IsExcused Why = "excused"
	NoSchool  Why = "no_school"
	LeftRoll  Why = "left_roll" // no pupil of this school any more
	WasFound  Why = "found"
	AtHome    Why = "at_home"
	Mistake   Why = "mistake"
	OtherWhy  Why = "other"
)

// Stated lists the reasons that a person may state. All but AtHome need words.
var Stated = []Why{WasThere, IsIll, IsExcused, AtHome, WasFound, Mistake, OtherWhy}

// Case is one pupil's absence on one date: there is never more than one.
type Case struct {
	Student string    `json:"student"`
	Class   string    `json:"class"`
	Date    string    `json:"date"`
	Owner   string    `json:"owner,omitempty"` // the class teacher; empty: the head of safety
	Opened  time.Time `json:"opened"`
	Due     time.Time `json:"due"`   // when the teacher was to be asked
	Since   time.Time `json:"since"` // opened, or taken up again
	Steps   []Step    `json:"steps,omitempty"`
	// Missing is the period in which a pupil who had come was not in class; the gate then says nothing about it.
	Missing attendance.Period `json:"missing,omitempty"`
	Held    attendance.Reason `json:"held,omitempty"` // nothing goes on: not known any more
	Closed  time.Time         `json:"closed,omitzero"`
	Why     Why               `json:"why,omitempty"`
	By      string            `json:"by,omitempty"`
	Note    string            `json:"note,omitempty"`
}

// ID is the case as entries and addresses name it.
func (c Case) ID() string { return c.Date + "." + c.Student }

// Open says whether the case is open.
func (c Case) Open() bool { return c.Closed.IsZero() }

// Last is the last step of a rung; false when it was not reached.
func (c Case) Last(r Rung) (Step, bool) {
	for _, s := range slices.Backward(c.Steps) {
		if s.Rung == r {
			return s, true
		}
	}
	return Step{}, false
}

// Waiting is the step that waits for somebody; -1 when none does. Of several it is the last.
func (c Case) Waiting() int {
	for i, s := range slices.Backward(c.Steps) {
		if s.Done.IsZero() {
			return i
		}
	}
	return -1
}
