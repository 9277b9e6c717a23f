package records

import (
	"strings"
	"time"

	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/student"
)

// Years is how long each section is kept after a pupil has left, in years (S20). The source leaves the number open.
type Years map[Section]int

// DefaultYears are taken until the school sets others.
var DefaultYears = Years{Basic: 3, Health: 3, Family: 3, Conduct: 3, Special: 3, Psychological: 3}

// Limits of years.
const (
	MinYears = 1
	MaxYears = 30
)

// Check says what is wrong with the setting.
func (y Years) Check() fielderr.Errors {
	var errs fielderr.Errors
	for _, s := range Sections {
		if y[s] < MinYears || y[s] > MaxYears {
			errs.Add(string(s), "err.between", MinYears, MaxYears)
		}
	}
	return errs
}

// KeptUntil is the last date on which a section of a pupil who left on a date is kept.
func (y Years) KeptUntil(left string, s Section) string {
	t, err := time.Parse(student.DateLayout, left)
	if err != nil {
		return ""
	}
	return t.AddDate(y[s], 0, 0).Format(student.DateLayout)
}

// Extension is a decision to keep a section longer, with its reason: privacy or a grave event asks for it (S20).
type Extension struct {
	Student string    `json:"student"`
	Section Section   `json:"section"`
	Until   string    `json:"until"` // last date
	Reason  string    `json:"reason"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

// Check says what is wrong with it.
func (k Extension) Check(today string) fielderr.Errors {
	var errs fielderr.Errors
	switch {
	case !student.IsDate(k.Until):
		errs.Add("until", "err.date")
	case k.Until <= today:
		errs.Add("until", "err.date_past")
	case k.Until > addDays(today, MaxYears*366):
		errs.Add("until", "err.agreement_long", MaxYears)
	}
	if strings.TrimSpace(k.Reason) == "" {
		errs.Add("reason", "err.required")
	}
	errs.CheckText("reason", k.Reason, maxReason, false)
	return errs
}

// How far an erasure is.
const (
	ErasureProposed  = "proposed"
	ErasureConfirmed = "confirmed" // by a second person; the key is being destroyed
	ErasureDone      = "done"
)

// Erasure is the end of a section: proposed by one, confirmed by another, then its key is destroyed.
type Erasure struct {
	Student     string    `json:"student"`
	Section     Section   `json:"section"`
	State       string    `json:"state"`
	ProposedBy  string    `json:"proposed_by"`
	ConfirmedBy string    `json:"confirmed_by,omitempty"`
	At          time.Time `json:"at"`
}
