// Package attendance holds the rules that turn card taps, leaves and teachers' marks into the status of a
// student's day, each status with its reasons (S6, S7).
//
// It owns nothing and is pure: the same evidence gives the same status on the appliance and at the centre,
// today and in ten years, in whatever order the taps came. It must never call a student absent when the
// evidence itself is missing: that is [Unknown], and no parent is notified.
package attendance

import (
	"slices"
	"time"
)

// Version is the version of the rules of [Decide]. A stored [DayStatus] names the version that made it.
const Version = 1

// Direction is the way through the gate.
type Direction string

// Auto is a reader that serves both ways: the way is then derived from the day's taps (see [Resolve]).
const (
	In   Direction = "in"
	Out  Direction = "out"
	Auto Direction = "auto"
)

// Tap is one card read that was stored. It is immutable: what it means is derived, never written over.
type Tap struct {
	ID        string    `json:"id"`
	Student   string    `json:"student"`
	Class     string    `json:"class"`
	Reader    string    `json:"reader"`
	Direction Direction `json:"direction"` // of the reader: in, out, auto
	At        time.Time `json:"at"`        // UTC
	Card      []byte    `json:"card"`      // HMAC(site key, card); never the number itself
	Boot      string    `json:"boot"`
	Mono      int64     `json:"mono"`            // ns since that boot, when the card was read
	Doubt     bool      `json:"doubt,omitempty"` // the clock was not trusted then: At is a claim
	// Said is what a network terminal said of the time; Boot and Mono are then when its mark came.
	Said time.Time `json:"said,omitzero"`
	// Unsure says that the clock of the terminal was more than [TerminalTolerance] off, or not known to be right. The tap
	// shows that the student was there; nothing follows from At.
	Unsure bool `json:"unsure,omitempty"`
}

// Outcome is the status of a student's day.
type Outcome string

// The outcomes of design §8, and the two states of a day that has none (yet).
const (
	Present           Outcome = "present"
	Late              Outcome = "late"
	LeftEarly         Outcome = "left_early"
	OnLeave           Outcome = "leave"
	Truant            Outcome = "truant"
	AbsentUnexplained Outcome = "absent_unexplained"
	Unknown           Outcome = "unknown"

	NoSchool Outcome = "no_school" // nobody is expected
	Pending  Outcome = "pending"   // expected, and there is still time
)

// Outcomes lists every outcome in the order of the page.
var Outcomes = []Outcome{Present, Late, LeftEarly, OnLeave, Truant, AbsentUnexplained, Unknown, Pending, NoSchool}

// Key is the outcome's key in the text catalogue.
func (o Outcome) Key() string { return "att." + string(o) }

// Reason is a reason for the status of a day.
type Reason string

// The reasons, in the order in which the rules find them.
const (
	Weekend            Reason = "weekend"
	Holiday            Reason = "holiday"
	OffTerm            Reason = "off_term"
	MakeUpDay          Reason = "make_up_day" // a weekend day on which school is kept (调休)
	CameAnyway         Reason = "came_anyway" // a tap on a day of leave or without school
	LeaveApproved      Reason = "leave_approved"
	LeavePartial       Reason = "leave_partial" // leave moved the time of arrival or of going home
	MarkTeacher        Reason = "mark_teacher"
	MarkOffice         Reason = "mark_office"
	Contradicted       Reason = "contradicted" // the taps say otherwise than the mark
	InOnTime           Reason = "in_on_time"
	InLate             Reason = "in_late"
	OutOnly            Reason = "out_only" // went out without having come in: was inside
	NotDue             Reason = "not_due"
	NoTap              Reason = "no_tap"
	OutEarly           Reason = "out_early"
	OutOnTime          Reason = "out_on_time"
	NotLeft            Reason = "not_left"   // did not go home on time
	GateUnobserved     Reason = "gate_blind" // a reader failed in the time that matters
	RegisterUnobserved Reason = "register_blind"
	ClockDoubt         Reason = "clock_doubt"
	NoCard             Reason = "no_card"      // has no card that a reader could see
	RosterDoubt        Reason = "roster_doubt" // too many of the class or the school at once
)

// Key is the reason's key in the text catalogue.
func (r Reason) Key() string { return "att.r." + string(r) }

// LeaveKind is the kind of a leave.
type LeaveKind string

// The kinds of leave.
const (
	Sick     LeaveKind = "sick"
	Personal LeaveKind = "personal"
	Official LeaveKind = "official" // competition, school activity
	Other    LeaveKind = "other"
)

// Key is the kind's key in the text catalogue.
func (k LeaveKind) Key() string { return "att.leave." + string(k) }

// Leave is a leave of absence; only an approved one counts.
type Leave struct {
	ID       string    `json:"id"`
	Student  string    `json:"student"`
	Kind     LeaveKind `json:"kind"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"` // half-open
	Approved bool      `json:"approved"`
}

func (l Leave) covers(t time.Time) bool {
	return l.Approved && !t.Before(l.From) && t.Before(l.To)
}

// By says whose mark it is.
type By string

// Who may mark a day.
const (
	ByTeacher By = "teacher"
	ByOffice  By = "office"
)

// Mark is what a teacher or the office stated about a student's day. The latest counts; of two at the
// same instant the office's.
type Mark struct {
	ID      string    `json:"id"`
	Student string    `json:"student"`
	Date    string    `json:"date"` // 2006-01-02, local
	Outcome Outcome   `json:"outcome"`
	Minutes int       `json:"minutes,omitempty"` // late or left early
	Leave   LeaveKind `json:"leave,omitempty"`
	By      By        `json:"by"`
	Person  string    `json:"person"`
	At      time.Time `json:"at"`
}

// Unobserved is a time in which taps may have been lost, and what failed.
type Unobserved struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to,omitzero"` // zero: it still lasts
	// Direction is that of the reader that failed; Auto when everything did.
	Direction Direction `json:"direction"`
	Register  bool      `json:"register,omitempty"` // the store failed, not a reader
}

func (b Unobserved) hides(way Direction, from, to time.Time) bool {
	return (b.Direction == Auto || b.Direction == way) && b.From.Before(to) && (b.To.IsZero() || b.To.After(from))
}

// Evidence is all that is known about one student's day. The order within the lists does not matter.
type Evidence struct {
	Student    string
	Class      string
	Day        Day
	Hours      Hours
	Taps       []Tap
	Leaves     []Leave
	Marks      []Mark
	Unobserved []Unobserved
	// Doubt says that the clock cannot be trusted now: nobody is called absent by it.
	Doubt bool
	// NoCard says that the student has no card: no reader can have seen them.
	NoCard bool
}

// DayStatus is the status of a student's day with its reasons. It is stored and released as it is:
// codes, pseudonymous ids and instants, no name.
type DayStatus struct {
	V        int       `json:"v"` // version of the rules
	Date     string    `json:"date"`
	Student  string    `json:"student"`
	Class    string    `json:"class"`
	Outcome  Outcome   `json:"outcome"`
	Minutes  int       `json:"minutes,omitempty"` // late, or left early
	Leave    LeaveKind `json:"leave,omitempty"`
	Reasons  []Reason  `json:"reasons"`
	FirstIn  time.Time `json:"first_in,omitzero"`
	LastOut  time.Time `json:"last_out,omitzero"` // only while the last movement was out
	Taps     int       `json:"taps,omitempty"`
	LateIn   int       `json:"late_in,omitempty"`  // minutes late at first in, also when it then became left_early
	Attended bool      `json:"attended,omitempty"` // was in school at some time of the day
}

// Has says whether r is among the reasons.
func (s DayStatus) Has(r Reason) bool { return slices.Contains(s.Reasons, r) }

// Same says whether two statuses tell the same: outcome, minutes, leave and reasons.
func (s DayStatus) Same(o DayStatus) bool {
	return s.Outcome == o.Outcome && s.Minutes == o.Minutes && s.Leave == o.Leave && slices.Equal(s.Reasons, o.Reasons)
}

// ReasonCodes is the reasons as plain codes, for entries of the ledger.
func (s DayStatus) ReasonCodes() []string {
	out := make([]string, len(s.Reasons))
	for i, r := range s.Reasons {
		out[i] = string(r)
	}
	return out
}
