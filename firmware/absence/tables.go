package absence

import (
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/absence"
)

// The tables of this package. What holds words about a pupil is sealed under the pupil's key.
var (
	cases    = ledgerdb.NewTable[absence.Case]("absence_cases", ledgerdb.Sealed(func(c absence.Case) string { return studentOwner(c.Student) }))        // key <date>/<student>
	calls    = ledgerdb.NewTable[Call]("calls", ledgerdb.Sealed(func(c Call) string { return studentOwner(c.Student) }))                                // key: id
	alarms   = ledgerdb.NewTable[Alarm]("absence_alarms", ledgerdb.Replayable())                                                                        // key <date>/<cause>
	rolls    = ledgerdb.NewTable[Roll]("rolls", ledgerdb.Replayable())                                                                                  // key <date>/<class>/<period>
	requests = ledgerdb.NewTable[absence.Request]("leave_requests", ledgerdb.Sealed(func(r absence.Request) string { return studentOwner(r.Student) })) // key <student>/<id>
	passes   = ledgerdb.NewTable[absence.Pass]("leave_passes", ledgerdb.Sealed(func(p absence.Pass) string { return studentOwner(p.Student) }))         // key <date>/<student>/<id>
	checks   = ledgerdb.NewTable[Check]("roll_checks", ledgerdb.Sealed(func(c Check) string { return studentOwner(c.Student) }))
)

// CallKind says what a call is about.
type CallKind string

// The kinds of calls.
const (
	CallAbsence   CallKind = "absence"
	CallIllness   CallKind = "illness"
	CallEmergency CallKind = "emergency"
)

// Call is a call to one guardian of a pupil that somebody is to make.
type Call struct {
	ID       string         `json:"id"`
	Kind     CallKind       `json:"kind"`
	For      string         `json:"for"` // id of the case, or whatever it belongs to
	Student  string         `json:"student"`
	Class    string         `json:"class"`
	Guardian int            `json:"guardian"` // which of the pupil's, from 0
	Say      string         `json:"say,omitempty"`
	Added    time.Time      `json:"added"`
	Done     time.Time      `json:"done,omitzero"`
	By       string         `json:"by,omitempty"`
	Result   absence.Result `json:"result,omitempty"`
	Note     string         `json:"note,omitempty"`
	Dropped  bool           `json:"dropped,omitempty"` // nobody needs to be called any more
}

// Waits says whether the call is still to be made.
func (c Call) Waits() bool { return c.Done.IsZero() && !c.Dropped }

// Alarm is one alarm to the staff: of a group of pupils it is not known whether they came.
type Alarm struct {
	Date    string          `json:"date"`
	Cause   absence.Cause   `json:"cause"`
	Class   string          `json:"class,omitempty"`
	Count   int             `json:"count"` // at its height
	Of      int             `json:"of"`
	Since   time.Time       `json:"since"`
	Until   time.Time       `json:"until,omitzero"` // it was over; zero: it lasts
	Verdict absence.Verdict `json:"verdict,omitempty"`
	By      string          `json:"by,omitempty"`
	At      time.Time       `json:"at,omitzero"`
}

// Key is the alarm among those of its date.
func (a Alarm) Key() string { return absence.Doubt{Cause: a.Cause, Class: a.Class}.Key() }

// ID is the alarm as entries and addresses name it.
func (a Alarm) ID() string { return a.Date + "." + a.Key() }
