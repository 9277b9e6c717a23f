package records

import (
	"slices"
	"strings"
	"time"

	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/student"
)

// Situations are the nine of mandatory report (L5): 《关于建立侵害未成年人案件强制报告制度的意见（试行）》 art. 4. The form asks
// for them, a person decides. Text of the catalogue: "situation.<n>".
var Situations = []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}

// Terms of concerns.
const (
	UnownedRises = 3 * 24 * time.Hour // an unowned concern is then the head of safety's
	ReportWithin = 6 * time.Hour      // the law says at once
	DueAfter     = 7                  // days, when no date is given
	MaxDue       = 180                // days ahead
)

// What a step of a concern is. Text of the catalogue: "concern.w.<step>".
const (
	StepOpened    = "opened"
	StepNote      = "note"       // course, measure, talk: what was done
	StepOwner     = "owner"      // handed to somebody
	StepDue       = "due"        // another date, with its reason
	StepReferred  = "referred"   // to a hospital, the family, an authority
	StepNotRefer  = "not_refer"  // proposed: not to be referred, with its reason
	StepReported  = "reported"   // to the police: when, to whom, receipt
	StepNotReport = "not_report" // proposed: not to be reported, with its reason
	StepAgree     = "agree"      // a second person agrees to what is proposed
	StepDisagree  = "disagree"
	StepClosed    = "closed"
)

// Steps that a person may take, in the order of the form.
var Steps = []string{StepNote, StepOwner, StepDue, StepReferred, StepNotRefer, StepReported, StepNotReport, StepAgree, StepDisagree, StepClosed}

// Step is one step of a concern: who did what, when.
type Step struct {
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	What  string    `json:"what"`
	Note  string    `json:"note,omitempty"`
	Owner string    `json:"owner,omitempty"`
	Due   string    `json:"due,omitempty"`
}

// Concern is something about a pupil that is not settled: a case, a hazard, an incident of weight.
type Concern struct {
	ID         string    `json:"id"` // k00001
	Student    string    `json:"student"`
	Section    Section   `json:"section"` // who may read it
	Kind       string    `json:"kind"`    // of the record
	Record     string    `json:"record"`
	Owner      string    `json:"owner,omitempty"` // person id; nobody yet: empty
	Opened     time.Time `json:"opened"`
	Due        string    `json:"due"` // date
	Situations []string  `json:"situations,omitempty"`
	Steps      []Step    `json:"steps"`
	Proposed   string    `json:"proposed,omitempty"` // StepNotRefer or StepNotReport, waiting for a second person
	ProposedBy string    `json:"proposed_by,omitempty"`
	Referral   string    `json:"referral,omitempty"` // StepReferred or StepNotRefer, decided
	Report     string    `json:"report,omitempty"`   // StepReported or StepNotReport, decided
	Closed     time.Time `json:"closed,omitzero"`
}

// IsOpen says whether it is not settled.
func (c Concern) IsOpen() bool { return c.Closed.IsZero() }

// MustReport says whether a decision on the mandatory report is still to be made.
func (c Concern) MustReport() bool { return c.IsOpen() && len(c.Situations) > 0 && c.Report == "" }

// ReportBy is until when.
func (c Concern) ReportBy() time.Time { return c.Opened.Add(ReportWithin) }

// Overdue says whether its date has passed.
func (c Concern) Overdue(today string) bool { return c.IsOpen() && c.Due < today }

// Rises says whether it is the head of safety's to look at: nobody owns it for too long, a report must be decided, or its
// date passed.
func (c Concern) Rises(now time.Time, today string, works func(person string) bool) bool {
	if !c.IsOpen() {
		return false
	}
	unowned := c.Owner == "" || !works(c.Owner)
	return c.MustReport() || c.Overdue(today) || unowned && (c.Owner != "" || now.Sub(c.Opened) >= UnownedRises)
}

// Days is its age.
func (c Concern) Days(now time.Time) int { return max(0, int(now.Sub(c.Opened)/(24*time.Hour))) }

// NewConcern opens a concern about a record; due is empty for the usual term.
func NewConcern(r Record, owner, due string, situations []string, at time.Time, today string) (Concern, fielderr.Errors) {
	var errs fielderr.Errors
	if due == "" {
		due = addDays(today, DueAfter)
	}
	checkDue(due, today, &errs)
	for _, s := range situations {
		if !slices.Contains(Situations, s) {
			errs.Add("situations", "err.choice")
		}
	}
	c := Concern{Student: r.Student, Section: r.Section(), Kind: r.Kind, Record: r.ID, Owner: owner, Opened: at.UTC(), Due: due, Situations: slices.Sorted(slices.Values(situations))}
	c.Steps = []Step{{At: at.UTC(), By: r.Author, What: StepOpened, Owner: owner, Due: due}}
	return c, errs
}

func addDays(date string, n int) string {
	t, err := time.Parse(student.DateLayout, date)
	if err != nil {
		return date
	}
	return t.AddDate(0, 0, n).Format(student.DateLayout)
}

func checkDue(due, today string, errs *fielderr.Errors) {
	switch {
	case !student.IsDate(due):
		errs.Add("due", "err.date")
	case due < today:
		errs.Add("due", "err.date_past")
	case due > addDays(today, MaxDue):
		errs.Add("due", "err.due_far", MaxDue)
	}
}

// Next is the concern after a step, or what is wrong with it.
func (c Concern) Next(s Step, today string) (Concern, fielderr.Errors) {
	var errs fielderr.Errors
	s.Note = strings.TrimSpace(s.Note)
	errs.CheckText("note", s.Note, longText, true)
	if s.What != StepOwner && s.What != StepAgree && s.Note == "" {
		errs.Add("note", "err.required")
	}
	out := c
	switch {
	case !c.IsOpen():
		errs.Add("what", "err.concern_closed")
	case c.Proposed != "" && slices.Contains([]string{StepNotRefer, StepNotReport, StepReferred, StepReported, StepClosed}, s.What):
		errs.Add("what", "err.concern_proposed")
	}
	switch s.What {
	case StepNote:
	case StepOwner:
		if s.Owner == "" {
			errs.Add("owner", "err.required")
		}
		out.Owner = s.Owner
	case StepDue:
		checkDue(s.Due, today, &errs)
		out.Due = s.Due
	case StepReferred:
		out.Referral = s.What
	case StepReported:
		if len(c.Situations) == 0 {
			errs.Add("what", "err.concern_no_situation")
		}
		out.Report = s.What
	case StepNotRefer, StepNotReport:
		if s.What == StepNotReport && len(c.Situations) == 0 {
			errs.Add("what", "err.concern_no_situation")
		}
		out.Proposed, out.ProposedBy = s.What, s.By
	case StepAgree, StepDisagree:
		switch {
		case c.Proposed == "":
			errs.Add("what", "err.concern_nothing_proposed")
		case c.ProposedBy == s.By:
			errs.Add("what", "err.second_person")
		case s.What == StepAgree && c.Proposed == StepNotRefer:
			out.Referral = StepNotRefer
		case s.What == StepAgree:
			out.Report = StepNotReport
		}
		out.Proposed, out.ProposedBy = "", ""
	case StepClosed:
		if c.MustReport() {
			errs.Add("what", "err.concern_report_open")
		}
		out.Closed = s.At.UTC()
	default:
		errs.Add("what", "err.choice")
	}
	if len(errs) > 0 {
		return c, errs
	}
	s.At = s.At.UTC()
	out.Steps = append(slices.Clone(c.Steps), s)
	return out, nil
}
