package records

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/student"
)

// Agreement is a person's signed agreement on confidentiality with the training before it (S36). No record opens without.
type Agreement struct {
	Person  string    `json:"person"`
	Signed  string    `json:"signed"`  // date
	Trained string    `json:"trained"` // date
	Until   string    `json:"until"`   // last date
	File    string    `json:"file,omitempty"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

// AgreementYears is how long an agreement holds at most: training is repeated.
const AgreementYears = 3

// Holds says whether records open for the person on a date.
func (a Agreement) Holds(date string) bool {
	return a.Signed != "" && a.Signed <= date && a.Trained <= date && date <= a.Until
}

// Check says what is wrong with it.
func (a Agreement) Check(today string) fielderr.Errors {
	var errs fielderr.Errors
	if a.Person == "" {
		errs.Add("person", "err.required")
	}
	for _, f := range []struct{ name, date string }{{"signed", a.Signed}, {"trained", a.Trained}} {
		switch {
		case !student.IsDate(f.date):
			errs.Add(f.name, "err.date")
		case f.date > today:
			errs.Add(f.name, "err.future")
		}
	}
	switch {
	case !student.IsDate(a.Until):
		errs.Add("until", "err.date")
	case a.Until < today:
		errs.Add("until", "err.date_past")
	case student.IsDate(a.Signed) && a.Until > addDays(a.Signed, AgreementYears*366):
		errs.Add("until", "err.agreement_long", AgreementYears)
	}
	return errs
}

// Glass is an opened emergency card: any employee, one pupil, for half an hour, reviewed afterwards.
type Glass struct {
	ID       string    `json:"id"` // g0001
	Student  string    `json:"student"`
	Person   string    `json:"person"`
	Reason   string    `json:"reason"`
	Opened   time.Time `json:"opened"`
	Until    time.Time `json:"until"`
	Happened string    `json:"happened,omitempty"` // what the person says afterwards
	Closed   time.Time `json:"closed,omitzero"`
	Verdict  string    `json:"verdict,omitempty"`
	Note     string    `json:"note,omitempty"`
	Reviewer string    `json:"reviewer,omitempty"`
	Reviewed time.Time `json:"reviewed,omitzero"`
}

// GlassFor is how long the card stays open; it cannot be prolonged.
const GlassFor = 30 * time.Minute

// ReviewWithin is until when it must be reviewed.
const ReviewWithin = 3 * 24 * time.Hour

// Verdicts of a review. Text of the catalogue: "glass.v.<verdict>".
var Verdicts = []string{"right", "call_first", "wrong"}

// minGlassReason is how much the reason must say, in characters.
const minGlassReason = 4

// CheckGlassReason says what is wrong with a reason.
func CheckGlassReason(reason string) fielderr.Errors {
	var errs fielderr.Errors
	if utf8.RuneCountInString(strings.TrimSpace(reason)) < minGlassReason {
		errs.Add("reason", "err.glass_reason")
	}
	errs.CheckText("reason", reason, maxReason, false)
	return errs
}

// Shows says whether the card is open for the person.
func (g Glass) Shows(person string, now time.Time) bool {
	return g.Person == person && g.Closed.IsZero() && !now.Before(g.Opened) && now.Before(g.Until)
}

// Review is the card with its verdict: nobody reviews their own.
func (g Glass) Review(by, verdict, note string, at time.Time) (Glass, fielderr.Errors) {
	var errs fielderr.Errors
	if g.Person == by {
		errs.Add("verdict", "err.second_person")
	}
	if !g.Reviewed.IsZero() {
		errs.Add("verdict", "err.glass_reviewed")
	}
	if !slices.Contains(Verdicts, verdict) {
		errs.Add("verdict", "err.choice")
	}
	if verdict != "right" && strings.TrimSpace(note) == "" {
		errs.Add("note", "err.required")
	}
	errs.CheckText("note", note, maxReason, false)
	if len(errs) > 0 {
		return g, errs
	}
	g.Verdict, g.Note, g.Reviewer, g.Reviewed = verdict, strings.TrimSpace(note), by, at.UTC()
	return g, nil
}
