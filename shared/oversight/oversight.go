// Package oversight holds the rules of supervision: violations from the day they are opened to their decision and
// appeal (F18), inspections with findings that are put right and looked at again (F16, L2), the regulation as text with
// versions (F19, M21), feedback of the units (F17), and the filing with the police (L1).
//
// It is pure: what is and what happens come in, what becomes of it goes out. It never asks for the time, and decides
// nothing about who may act: account.May does.
package oversight

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"campuskeep/shared/lib/fielderr"
)

// Texts are capped: a record is a file of an office, not an archive.
const (
	MaxTitle = 80
	MaxText  = 4000
	MaxSteps = 100 // of one record
	MaxItems = 60  // of one checklist
	// MaxRegulation is the longest text of a version of the regulation, in characters.
	MaxRegulation = 20000
)

// Illegal is the error of a step that does not fit what the record is now. Rule is a key of the text catalogue.
type Illegal struct {
	State string
	Step  string
	Rule  string
}

func (e *Illegal) Error() string {
	return fmt.Sprintf("oversight: %s in state %s: %s", e.Step, e.State, e.Rule)
}

func illegal(state, step string) error { return &Illegal{state, step, "err.oversight.state"} }

// Step is one step of a record: who did what, when, with what to say.
type Step struct {
	Kind string    `json:"kind"`
	By   string    `json:"by,omitempty"` // person id; empty: time alone, or a rule
	At   time.Time `json:"at"`
	Text string    `json:"text,omitempty"`
}

// Settings are the terms; DefaultSettings is safe where the regulation is silent.
type Settings struct {
	HearDays   int // from the opening of a violation to the hearing
	AppealDays int // from the decision to the end of the appeal
	FileDays   int // from a change of the cameras to its filing
	NoticeDays int // how long a new version of the regulation is announced
}

// DefaultSettings: a week to hear, a week to appeal, thirty days to file (Decree 799 art. 14), a week of announcement.
var DefaultSettings = Settings{HearDays: 7, AppealDays: 7, FileDays: 30, NoticeDays: 7}

func days(from time.Time, n int) time.Time { return from.AddDate(0, 0, n) }

// text cleans what a person typed and says what is wrong with it.
func text(errs *fielderr.Errors, field string, s *string, most int, required bool) {
	*s = strings.TrimSpace(strings.ReplaceAll(*s, "\r\n", "\n"))
	switch {
	case required && *s == "":
		errs.Add(field, "err.required")
	case !utf8.ValidString(*s) || utf8.RuneCountInString(*s) > most:
		errs.Add(field, "err.too_long", most)
	}
}
