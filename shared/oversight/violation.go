package oversight

import (
	"fmt"
	"slices"
	"time"

	"campuskeep/shared/lib/fielderr"
)

// ViolationState is where a violation stands. The catalogue has "violation.state.<code>".
type ViolationState string

// The states of a violation.
const (
	Opened   ViolationState = "opened"   // the person concerned has not been heard
	Heard    ViolationState = "heard"    // waits for the decision
	Decided  ViolationState = "decided"  // the term of appeal runs
	Appealed ViolationState = "appealed" // waits for the second decision
	Final    ViolationState = "final"
)

// ViolationCode is what was done. The catalogue has "violation.code.<code>".
type ViolationCode string

// What a violation is about.
const (
	LateReport   ViolationCode = "late_report"  // the report of use was not filed in time (F15)
	PassedOn     ViolationCode = "passed_on"    // footage was given to third parties (F9)
	Unapproved   ViolationCode = "unapproved"   // use without approval, or beyond it
	OwnDevice    ViolationCode = "own_device"   // footage on a device of one's own (F10)
	SharedLogin  ViolationCode = "shared_login" // an account lent or borrowed (M3, M7)
	PrivateArea  ViolationCode = "private_area" // a camera that sees what it must not (F2, L2)
	Confidential ViolationCode = "confidential" // a record or a name given away (S36)
	OtherAct     ViolationCode = "other"
)

// ViolationCodes lists them in the order of the form.
var ViolationCodes = []ViolationCode{Unapproved, PassedOn, OwnDevice, SharedLogin, LateReport, PrivateArea, Confidential, OtherAct}

// Measure is what a decision orders. The catalogue has "measure.<code>" (M18, S44).
type Measure string

// The measures, from nothing to the hand-over to an authority.
const (
	Unfounded  Measure = "unfounded"
	Reminder   Measure = "reminder"
	Warning    Measure = "warning"
	Suspension Measure = "suspension" // of the account
	Referral   Measure = "referral"   // to the police or another authority
)

// Measures lists them in the order of the form.
var Measures = []Measure{Unfounded, Reminder, Warning, Suspension, Referral}

// Ruling is a decision about a violation.
type Ruling struct {
	Measure  Measure   `json:"measure"`
	Grave    bool      `json:"grave,omitempty"`
	Text     string    `json:"text"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	Referred string    `json:"referred,omitempty"` // to whom, when Measure is Referral
	Receipt  string    `json:"receipt,omitempty"`  // number of what they gave for it
}

// Violation is one violation of the rules with what became of it (F18).
type Violation struct {
	ID          string         `json:"id"` // v2026-0006
	Year        int            `json:"year"`
	No          int            `json:"no"`
	Code        ViolationCode  `json:"code"`
	Person      string         `json:"person,omitempty"`      // whose act; empty: not known
	Application string         `json:"application,omitempty"` // under which
	By          string         `json:"by,omitempty"`          // who opened it; empty: a rule
	Facts       string         `json:"facts"`
	At          time.Time      `json:"at"` // opened
	State       ViolationState `json:"state"`
	Due         time.Time      `json:"due,omitzero"` // of what comes next
	Ruling      *Ruling        `json:"ruling,omitempty"`
	Second      *Ruling        `json:"second,omitempty"` // on appeal
	Steps       []Step         `json:"steps,omitempty"`
}

// ViolationID is the id of the n-th violation of a year.
func ViolationID(year, n int) string { return fmt.Sprintf("v%d-%04d", year, n) }

// Number is the number that documents print: 违规〔2026〕006号.
func (v Violation) Number() string { return fmt.Sprintf("违规〔%d〕%03d号", v.Year, v.No) }

// InForce is the ruling that counts now; nil before the decision.
func (v Violation) InForce() *Ruling {
	if v.Second != nil {
		return v.Second
	}
	return v.Ruling
}

// Overdue says whether the next step is late.
func (v Violation) Overdue(now time.Time) bool {
	return v.State != Final && v.State != Decided && !v.Due.IsZero() && now.After(v.Due)
}

// ViolationEvent is what happens to a violation.
type ViolationEvent struct {
	Kind   string // ViolationSteps
	By     string
	Text   string
	Ruling *Ruling // decide, settle
}

// The steps of a violation.
const (
	StepHear   = "hear" // what the person concerned has to say
	StepDecide = "decide"
	StepAppeal = "appeal"
	StepSettle = "settle" // the decision on appeal
	StepLapse  = "lapse"  // the term of appeal is over
	StepNote   = "note"   // what else is to be known: a receipt, a talk
)

// Open checks a violation that is to be opened and gives it its first state.
func Open(v Violation, now time.Time, s Settings) (Violation, error) {
	var errs fielderr.Errors
	if !slices.Contains(ViolationCodes, v.Code) {
		errs.Add("code", "err.choice")
	}
	text(&errs, "facts", &v.Facts, MaxText, true)
	if err := errs.Err(); err != nil {
		return v, err
	}
	v.At, v.State, v.Due, v.Ruling, v.Second, v.Steps = now, Opened, days(now, s.HearDays), nil, nil, nil
	return v, nil
}

// Next is what becomes of a violation through an event. The given value is not changed. The error is *Illegal when the
// event does not fit the state or the person, fielderr.Errors when what it carries is at fault.
func Next(v Violation, e ViolationEvent, now time.Time, s Settings) (Violation, error) {
	var errs fielderr.Errors
	text(&errs, "text", &e.Text, MaxText, e.Kind != StepLapse && e.Kind != StepDecide && e.Kind != StepSettle)
	if len(v.Steps) >= MaxSteps {
		return v, &Illegal{string(v.State), e.Kind, "err.oversight.steps"}
	}
	v.Steps = slices.Clone(v.Steps)
	switch {
	case e.Kind == StepHear && v.State == Opened:
		v.State, v.Due = Heard, days(now, s.HearDays)
	case e.Kind == StepNote && v.State != Final:
	case e.Kind == StepDecide && v.State == Heard:
		if e.By == v.Person || e.By != "" && e.By == v.By {
			return v, &Illegal{string(v.State), e.Kind, "err.oversight.own"}
		}
		if v.Ruling = ruling(&errs, e, now); v.Ruling != nil {
			v.State, v.Due = Decided, days(now, s.AppealDays)
			e.Text = v.Ruling.Text
		}
	case e.Kind == StepAppeal && v.State == Decided:
		if e.By != v.Person {
			return v, &Illegal{string(v.State), e.Kind, "err.oversight.not_concerned"}
		}
		if now.After(v.Due) {
			return v, &Illegal{string(v.State), e.Kind, "err.oversight.appeal_over"}
		}
		v.State, v.Due = Appealed, days(now, s.HearDays)
	case e.Kind == StepSettle && v.State == Appealed:
		if e.By == v.Person || e.By == v.Ruling.By {
			return v, &Illegal{string(v.State), e.Kind, "err.oversight.own"}
		}
		if v.Second = ruling(&errs, e, now); v.Second != nil {
			v.State, v.Due = Final, time.Time{}
			e.Text = v.Second.Text
		}
	case e.Kind == StepLapse && v.State == Decided && now.After(v.Due):
		v.State, v.Due = Final, time.Time{}
	default:
		return v, illegal(string(v.State), e.Kind)
	}
	if err := errs.Err(); err != nil {
		return v, err
	}
	v.Steps = append(v.Steps, Step{e.Kind, e.By, now, e.Text})
	return v, nil
}

func ruling(errs *fielderr.Errors, e ViolationEvent, now time.Time) *Ruling {
	if e.Ruling == nil {
		errs.Add("measure", "err.required")
		return nil
	}
	r := *e.Ruling
	r.By, r.At = e.By, now
	if !slices.Contains(Measures, r.Measure) {
		errs.Add("measure", "err.choice")
	}
	text(errs, "text", &r.Text, MaxText, true)
	text(errs, "referred", &r.Referred, MaxTitle, r.Measure == Referral)
	text(errs, "receipt", &r.Receipt, MaxTitle, false)
	if r.Measure != Referral {
		r.Referred, r.Receipt = "", ""
	}
	if len(*errs) > 0 {
		return nil
	}
	return &r
}

// Lapses says whether time alone ends the violation now: the term of appeal is over.
func Lapses(v Violation, now time.Time) bool { return v.State == Decided && now.After(v.Due) }
