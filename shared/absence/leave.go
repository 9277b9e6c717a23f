package absence

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/fielderr"
)

// LongLeave is from how many school days on the grade head approves a leave.
const LongLeave = 3

// LeaveState is how far a request for leave is.
type LeaveState string

// The states of a request.
const (
	Asked     LeaveState = "asked"
	Approved  LeaveState = "approved"
	Refused   LeaveState = "refused"
	Withdrawn LeaveState = "withdrawn"
)

// Request is a request for leave (S6). It is personal: its row is sealed under the pupil's key.
type Request struct {
	ID      string               `json:"id"`
	Student string               `json:"student"`
	Class   string               `json:"class"`
	Kind    attendance.LeaveKind `json:"kind"`
	From    time.Time            `json:"from"`
	To      time.Time            `json:"to"`   // half-open
	Days    int                  `json:"days"` // school days that it touches
	Reason  string               `json:"reason"`
	Via     string               `json:"via"`             // how it was asked for: see Vias
	Files   []string             `json:"files,omitempty"` // the paper slip, photographed
	By      string               `json:"by"`
	At      time.Time            `json:"at"`
	State   LeaveState           `json:"state"`
	Decided string               `json:"decided,omitempty"` // by whom
	When    time.Time            `json:"when,omitzero"`
	Words   string               `json:"words,omitempty"` // of the decision
}

// Long says whether the grade head approves it.
func (r Request) Long() bool { return r.Days >= LongLeave }

// Vias are the ways in which a guardian asks.
var Vias = []string{"phone", "paper", "message", "in_person"}

// LeaveKinds lists the kinds of leave in the order of the page.
var LeaveKinds = []attendance.LeaveKind{attendance.Sick, attendance.Personal, attendance.Official, attendance.Other}

// maxLeave is the longest leave; longer ones are a change of enrolment.
const maxLeave = 183 * 24 * time.Hour

// Check says what is wrong with a request.
func (r Request) Check() fielderr.Errors {
	var errs fielderr.Errors
	if !slices.Contains(LeaveKinds, r.Kind) {
		errs.Add("kind", "err.choice")
	}
	if !slices.Contains(Vias, r.Via) {
		errs.Add("via", "err.choice")
	}
	switch {
	case r.From.IsZero():
		errs.Add("from", "err.required")
	case r.To.IsZero():
		errs.Add("to", "err.required")
	case !r.From.Before(r.To):
		errs.Add("to", "err.from_after_to")
	case r.To.Sub(r.From) > maxLeave:
		errs.Add("to", "err.days_range", 1, int(maxLeave/(24*time.Hour)))
	case r.Days == 0:
		errs.Add("from", "err.leave_no_school")
	}
	switch n := utf8.RuneCountInString(r.Reason); {
	case strings.TrimSpace(r.Reason) == "":
		errs.Add("reason", "err.required")
	case n > maxNote:
		errs.Add("reason", "err.too_long", maxNote)
	}
	return errs
}

// SchoolDays counts the days with school that a span touches.
func SchoolDays(cal attendance.Calendar, from, to time.Time) (n int, err error) {
	loc, err := cal.Location()
	if err != nil || !from.Before(to) || to.Sub(from) > 2*maxLeave {
		return 0, err
	}
	y, m, d := from.In(loc).Date()
	for at := from; at.Before(to); d++ {
		day, _, err := cal.Day(at.In(loc).Format(attendance.DateLayout))
		if err != nil {
			return 0, err
		}
		if day.School {
			n++
		}
		at = time.Date(y, m, d+1, 0, 0, 0, 0, loc)
	}
	return n, nil
}

// PassKind is the kind of a slip.
type PassKind string

// The kinds of slips.
const (
	LateSlip  PassKind = "late"  // the reason why a pupil came late
	EarlyPass PassKind = "early" // a pupil may leave before the end of the day, with somebody
)

// Collector is who fetches a pupil.
type Collector struct {
	Guardian int    `json:"guardian,omitempty"` // which of the pupil's, from 1; 0: somebody else
	Name     string `json:"name"`
	Relation string `json:"relation,omitempty"`
	Phone    string `json:"phone,omitempty"`
}

// Pass is a late slip or an early-leave pass. It is personal: its row is sealed under the pupil's key.
type Pass struct {
	ID      string               `json:"id"`
	Student string               `json:"student"`
	Class   string               `json:"class"`
	Date    string               `json:"date"`
	Kind    PassKind             `json:"kind"`
	Leave   attendance.LeaveKind `json:"leave,omitempty"` // of an early pass
	From    time.Time            `json:"from"`            // may leave from then on; came at, for a late slip
	Reason  string               `json:"reason"`
	Collect Collector            `json:"collect,omitzero"`
	By      string               `json:"by"`
	At      time.Time            `json:"at"`
	Passed  time.Time            `json:"passed,omitzero"` // let out at the gate
	Guard   string               `json:"guard,omitempty"` // by whom
}

// Check says what is wrong with a pass.
func (p Pass) Check() fielderr.Errors {
	var errs fielderr.Errors
	switch n := utf8.RuneCountInString(p.Reason); {
	case strings.TrimSpace(p.Reason) == "":
		errs.Add("reason", "err.required")
	case n > maxNote:
		errs.Add("reason", "err.too_long", maxNote)
	}
	switch p.Kind {
	case LateSlip:
	case EarlyPass:
		if p.From.IsZero() {
			errs.Add("from", "err.required")
		}
		if !slices.Contains(LeaveKinds, p.Leave) {
			errs.Add("leave", "err.choice")
		}
		if strings.TrimSpace(p.Collect.Name) == "" {
			errs.Add("collector", "err.required")
		} else if utf8.RuneCountInString(p.Collect.Name) > 40 || utf8.RuneCountInString(p.Collect.Phone) > 20 || utf8.RuneCountInString(p.Collect.Relation) > 20 {
			errs.Add("collector", "err.too_long", 40)
		}
	default:
		errs.Add("kind", "err.choice")
	}
	return errs
}
