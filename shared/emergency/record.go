package emergency

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"campuskeep/shared/clock"
	"campuskeep/shared/lib/fielderr"
)

// Instant is when something was done at the school. Doubt says that the clock was not trusted: the wall time is then a
// claim, the distances within one boot are right all the same.
type Instant struct {
	At    time.Time     `json:"at"`
	Boot  string        `json:"boot"`
	Mono  time.Duration `json:"mono"`
	Doubt bool          `json:"doubt,omitempty"`
}

// InstantOf is the instant of a reading.
func InstantOf(r clock.Reading) Instant {
	return Instant{At: r.Wall.UTC(), Boot: r.Boot, Mono: r.Mono, Doubt: r.State != clock.Trusted}
}

// Since is the time from the instant to a reading, never less than least: across boots only the wall clock is left, and
// it may have been set back.
func (i Instant) Since(now clock.Reading, least time.Duration) time.Duration {
	d := now.Wall.Sub(i.At)
	if i.Boot == now.Boot {
		d = now.Mono - i.Mono
	}
	return max(d, least, 0)
}

// Event is a drill or a real event (S11). Its row holds the present version; every version is an entry.
type Event struct {
	ID      string   `json:"id"` // e1, e2 …
	Kind    Kind     `json:"kind"`
	Drill   bool     `json:"drill,omitempty"`
	Place   string   `json:"place,omitempty"`  // id of the place where it happens
	Detail  string   `json:"detail,omitempty"` // what and where, in words
	Whole   bool     `json:"whole,omitempty"`  // all classes of the school
	Classes []string `json:"classes"`
	Plan    string   `json:"plan,omitempty"` // id of the plan that is followed or practised
	PlanV   int      `json:"plan_version,omitempty"`
	Muster  string   `json:"muster,omitempty"` // where people gather, from the plan
	By      string   `json:"by"`
	Opened  Instant  `json:"opened"`
	Undone  *Instant `json:"undone,omitempty"` // opened by mistake
	Closed  *Closing `json:"closed,omitempty"`
	Record  Record   `json:"record,omitzero"`
	Version int      `json:"version"` // of Record
}

// Open says whether people are still being counted.
func (e Event) Open() bool { return e.Undone == nil && e.Closed == nil }

// Closing is the end of an event. Reason says why it was ended although not everybody was accounted for.
type Closing struct {
	By     string        `json:"by"`
	At     Instant       `json:"at"`
	After  time.Duration `json:"after"`          // since it was opened
	Full   time.Duration `json:"full,omitempty"` // until everybody was accounted for; 0: never
	Count  Count         `json:"count"`
	Reason string        `json:"reason,omitempty"`
}

// Record is what is written down after an event: investigation, recovery, lessons (S11).
type Record struct {
	Investigation string   `json:"investigation,omitempty"`
	Measures      string   `json:"measures,omitempty"`
	Lessons       string   `json:"lessons,omitempty"`
	Injured       []Injury `json:"injured,omitempty"`
}

// Injury is what happened to one pupil in the event, and how it went on.
type Injury struct {
	Student string `json:"student"`
	What    string `json:"what"`
	Course  string `json:"course,omitempty"`
}

// Limits, in characters.
const (
	MostNote   = 200
	MostDetail = 200
	MostText   = 4000
	MostPlan   = 20000
	MostBatch  = 200 // statements that a phone sends at once
)

var batchRule = regexp.MustCompile(`^[a-z0-9]{8,32}$`)

// CheckBatch says whether the name that a phone gave to what it sends is one.
func CheckBatch(id string) bool { return batchRule.MatchString(id) }

// Text refuses what a field of that many characters must not hold. Lines may be broken.
func Text(errs *fielderr.Errors, field, s string, limit int, required bool) {
	if required && strings.TrimSpace(s) == "" {
		errs.Add(field, "err.required")
		return
	}
	errs.CheckText(field, s, limit, true)
}

// Check says what is wrong with what is to be opened.
func (e Event) Check() fielderr.Errors {
	var errs fielderr.Errors
	if !slices.Contains(Kinds, e.Kind) {
		errs.Add("kind", "err.choice")
	}
	if len(e.Classes) == 0 {
		errs.Add("classes", "err.emergency_no_class")
	}
	Text(&errs, "detail", e.Detail, MostDetail, false)
	return errs
}

// Check says what is wrong with a record.
func (r Record) Check() fielderr.Errors {
	var errs fielderr.Errors
	Text(&errs, "investigation", r.Investigation, MostText, false)
	Text(&errs, "measures", r.Measures, MostText, false)
	Text(&errs, "lessons", r.Lessons, MostText, false)
	for _, i := range r.Injured {
		Text(&errs, "what."+i.Student, i.What, MostDetail, true)
		Text(&errs, "course."+i.Student, i.Course, MostText, false)
	}
	return errs
}

// MayUndo says whether an event can still be taken back.
func (e Event) MayUndo(since time.Duration) bool { return e.Open() && since <= UndoWithin }
