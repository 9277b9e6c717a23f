package oversight

import (
	"fmt"
	"slices"
	"time"

	"campuskeep/shared/lib/fielderr"
)

// Cadence is how often an inspection is due. The catalogue has "cadence.<code>".
type Cadence string

// The cadences.
const (
	Weekly    Cadence = "weekly"
	Monthly   Cadence = "monthly"
	Quarterly Cadence = "quarterly"
	EachTerm  Cadence = "term" // twice a year
	Yearly    Cadence = "yearly"
)

// Cadences lists them in the order of the form.
var Cadences = []Cadence{Weekly, Monthly, Quarterly, EachTerm, Yearly}

// After is when the next one is due after one that was done.
func (c Cadence) After(t time.Time) time.Time {
	switch c {
	case Weekly:
		return t.AddDate(0, 0, 7)
	case Monthly:
		return t.AddDate(0, 1, 0)
	case Quarterly:
		return t.AddDate(0, 3, 0)
	case EachTerm:
		return t.AddDate(0, 6, 0)
	}
	return t.AddDate(1, 0, 0)
}

// Item is one line of a checklist. Private: what is wrong there is a camera that sees what it must not, which is to be
// reported to the police at once (Decree 799 art. 8).
type Item struct {
	Text    string `json:"text"`
	Private bool   `json:"private,omitempty"`
}

// Plan is a kind of inspection with its checklist and cadence (F16).
type Plan struct {
	ID      string    `json:"id"` // p-<random>
	Title   string    `json:"title"`
	Cadence Cadence   `json:"cadence"`
	Person  string    `json:"person"` // who inspects
	Items   []Item    `json:"items"`
	From    time.Time `json:"from"` // first due
	Ended   bool      `json:"ended,omitempty"`
}

// Check says what is wrong with a plan.
func (p *Plan) Check() error {
	var errs fielderr.Errors
	text(&errs, "title", &p.Title, MaxTitle, true)
	if !slices.Contains(Cadences, p.Cadence) {
		errs.Add("cadence", "err.choice")
	}
	if p.Person == "" {
		errs.Add("person", "err.required")
	}
	if p.From.IsZero() {
		errs.Add("from", "err.required")
	}
	if len(p.Items) == 0 {
		errs.Add("items", "err.required")
	}
	if len(p.Items) > MaxItems {
		errs.Add("items", "err.too_many", MaxItems)
	}
	for i := range p.Items {
		text(&errs, "items", &p.Items[i].Text, 200, true)
	}
	return errs.Err()
}

// Due is when the next inspection of a plan is due, given the last that was done; zero when the plan has ended.
func (p Plan) Due(last time.Time) time.Time {
	if p.Ended {
		return time.Time{}
	}
	if last.IsZero() {
		return p.From
	}
	return p.Cadence.After(last)
}

// Result is an answer to an item. The catalogue has "check.<code>".
type Result string

// The answers.
const (
	Good          Result = "ok"
	Bad           Result = "bad"
	NotApplicable Result = "na"
)

// Answer is what was seen at one item.
type Answer struct {
	Result Result    `json:"result"`
	Text   string    `json:"text,omitempty"`
	Owner  string    `json:"owner,omitempty"` // who puts it right
	Due    time.Time `json:"due,omitzero"`
	At     time.Time `json:"at,omitzero"`
}

// Inspection is one inspection as it is made: the items are those of the plan at its beginning.
type Inspection struct {
	ID        string    `json:"id"` // i2026-0013
	Year      int       `json:"year"`
	No        int       `json:"no"`
	Plan      string    `json:"plan"`
	Title     string    `json:"title"`
	By        string    `json:"by"`
	Began     time.Time `json:"began"`
	Submitted time.Time `json:"submitted,omitzero"`
	Items     []Item    `json:"items"`
	Answers   []Answer  `json:"answers"` // one for each item; an empty Result is not answered yet
}

// InspectionID is the id of the n-th inspection of a year.
func InspectionID(year, n int) string { return fmt.Sprintf("i%d-%04d", year, n) }

// Number is the number that documents print.
func (i Inspection) Number() string { return fmt.Sprintf("巡查〔%d〕%03d号", i.Year, i.No) }

// Begin is a new inspection of a plan.
func Begin(p Plan, by string, now time.Time) Inspection {
	return Inspection{Plan: p.ID, Title: p.Title, By: by, Began: now, Items: slices.Clone(p.Items), Answers: make([]Answer, len(p.Items))}
}

// Left is how many items have no answer yet.
func (i Inspection) Left() (n int) {
	for _, a := range i.Answers {
		if a.Result == "" {
			n++
		}
	}
	return n
}

// BadOnes is how many items were found wanting.
func (i Inspection) BadOnes() (n int) {
	for _, a := range i.Answers {
		if a.Result == Bad {
			n++
		}
	}
	return n
}

// Answered is the inspection with the answer to one item; an answer replaces an earlier one until it is submitted.
func (i Inspection) Answered(item int, a Answer, now time.Time) (Inspection, error) {
	if !i.Submitted.IsZero() {
		return i, illegal("submitted", "answer")
	}
	var errs fielderr.Errors
	if item < 0 || item >= len(i.Items) {
		errs.Add("item", "err.choice")
	}
	if !slices.Contains([]Result{Good, Bad, NotApplicable}, a.Result) {
		errs.Add("result", "err.choice")
	}
	text(&errs, "text", &a.Text, MaxText, false)
	if err := errs.Err(); err != nil {
		return i, err
	}
	if a.Result != Bad {
		a.Owner, a.Due = "", time.Time{}
	}
	a.At = now
	i.Answers = slices.Clone(i.Answers)
	i.Answers[item] = a
	return i, nil
}

// Submit ends an inspection. Every item has an answer; what is wanting says what was seen, who puts it right, and by
// when.
func (i Inspection) Submit(now time.Time) (Inspection, []Finding, error) {
	if !i.Submitted.IsZero() {
		return i, nil, illegal("submitted", "submit")
	}
	var errs fielderr.Errors
	var found []Finding
	for n, a := range i.Answers {
		field := fmt.Sprintf("item.%d", n)
		switch {
		case a.Result == "":
			errs.Add(field, "err.oversight.unanswered", n+1)
		case a.Result == Bad && a.Text == "":
			errs.Add(field, "err.oversight.what_seen", n+1)
		case a.Result == Bad && a.Owner == "":
			errs.Add(field, "err.oversight.who_mends", n+1)
		case a.Result == Bad && a.Due.IsZero():
			errs.Add(field, "err.oversight.by_when", n+1)
		case a.Result == Bad:
			found = append(found, Finding{Inspection: i.ID, Item: n, What: i.Items[n].Text, Text: a.Text, Owner: a.Owner, Due: a.Due, Private: i.Items[n].Private, At: now, State: ToMend})
		}
	}
	if err := errs.Err(); err != nil {
		return i, nil, err
	}
	i.Submitted = now
	return i, found, nil
}

// FindingState is where a finding stands. The catalogue has "finding.state.<code>".
type FindingState string

// The states of a finding.
const (
	ToMend FindingState = "to_mend"
	Mended FindingState = "mended" // its owner says so; somebody looks again
	Closed FindingState = "closed"
)

// Police is the report of a camera in a forbidden place (L2).
type Police struct {
	At      time.Time `json:"at"`
	To      string    `json:"to"`
	Receipt string    `json:"receipt"`
}

// Finding is what an inspection found wanting, until somebody has seen that it was put right.
type Finding struct {
	ID         string       `json:"id"` // i2026-0013.4
	Inspection string       `json:"inspection"`
	Item       int          `json:"item"`
	What       string       `json:"what"`
	Text       string       `json:"text"`
	Owner      string       `json:"owner"`
	Due        time.Time    `json:"due"`
	Private    bool         `json:"private,omitempty"`
	At         time.Time    `json:"at"`
	State      FindingState `json:"state"`
	Police     *Police      `json:"police,omitempty"`
	Steps      []Step       `json:"steps,omitempty"`
}

// The steps of a finding.
const (
	StepMend   = "mend"   // the owner says what was done
	StepPass   = "pass"   // another person has looked, and it is right
	StepBack   = "back"   // another person has looked, and it is not
	StepPolice = "police" // reported to the police (L2)
	StepMove   = "move"   // another owner or another date, with the reason
)

// FindingEvent is what happens to a finding.
type FindingEvent struct {
	Kind   string
	By     string
	Text   string
	Owner  string    // move
	Due    time.Time // move, back
	Police *Police   // police
}

// Step is what becomes of a finding through an event; the given value is not changed. Who put it right does not look
// again; what sees a private area is closed only with the report to the police.
func (f Finding) Step(e FindingEvent, now time.Time) (Finding, error) {
	var errs fielderr.Errors
	if len(f.Steps) >= MaxSteps {
		return f, &Illegal{string(f.State), e.Kind, "err.oversight.steps"}
	}
	text(&errs, "text", &e.Text, MaxText, e.Kind != StepPolice)
	f.Steps = slices.Clone(f.Steps)
	switch {
	case e.Kind == StepMend && f.State == ToMend:
		f.State = Mended
	case e.Kind == StepPass && f.State == Mended:
		if e.By == f.mender() {
			return f, &Illegal{string(f.State), e.Kind, "err.oversight.own_mend"}
		}
		if f.Private && f.Police == nil {
			return f, &Illegal{string(f.State), e.Kind, "err.oversight.no_police"}
		}
		f.State = Closed
	case e.Kind == StepBack && f.State == Mended:
		f.State = ToMend
		if !e.Due.IsZero() {
			f.Due = e.Due
		}
	case e.Kind == StepMove && f.State == ToMend:
		if e.Owner == "" {
			errs.Add("owner", "err.required")
		}
		if e.Due.IsZero() {
			errs.Add("due", "err.required")
		}
		f.Owner, f.Due = e.Owner, e.Due
	case e.Kind == StepPolice && f.Private && f.State != Closed:
		if e.Police == nil {
			e.Police = &Police{}
		}
		p := *e.Police
		text(&errs, "to", &p.To, MaxTitle, true)
		text(&errs, "receipt", &p.Receipt, MaxTitle, true)
		if p.At.IsZero() {
			errs.Add("at", "err.required")
		} else if p.At.After(now) {
			errs.Add("at", "err.future")
		}
		f.Police = &p
	default:
		return f, illegal(string(f.State), e.Kind)
	}
	if err := errs.Err(); err != nil {
		return f, err
	}
	f.Steps = append(f.Steps, Step{e.Kind, e.By, now, e.Text})
	return f, nil
}

// mender is who last said that it was put right.
func (f Finding) mender() string {
	for _, s := range slices.Backward(f.Steps) {
		if s.Kind == StepMend {
			return s.By
		}
	}
	return ""
}

// Overdue says whether it is late.
func (f Finding) Overdue(now time.Time) bool { return f.State == ToMend && now.After(f.Due) }
