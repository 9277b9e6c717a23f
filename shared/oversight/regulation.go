package oversight

import (
	"fmt"
	"slices"
	"time"

	"campuskeep/shared/lib/fielderr"
)

// TextState is where a version of a regulation stands. The catalogue has "regulation.state.<code>".
type TextState string

// The states of a version.
const (
	Drafted   TextState = "draft"
	Reviewed  TextState = "reviewed"
	Announced TextState = "announced" // everybody is to read it
	Effective TextState = "effective"
	Replaced  TextState = "replaced" // a later version is effective
	Dropped   TextState = "dropped"
)

// Regulation is one version of a regulation (F19, M21).
type Regulation struct {
	ID        string               `json:"id"`   // g-<name>-3
	Name      string               `json:"name"` // of the regulation: a code, the same for all its versions
	Version   int                  `json:"version"`
	Title     string               `json:"title"`
	Text      string               `json:"text"`
	Changes   string               `json:"changes,omitempty"` // what is new in this version
	By        string               `json:"by"`
	Written   time.Time            `json:"written"`
	State     TextState            `json:"state"`
	Reviewer  string               `json:"reviewer,omitempty"`
	Announced time.Time            `json:"announced,omitzero"`
	Until     time.Time            `json:"until,omitzero"`     // of the announcement
	Effective time.Time            `json:"effective,omitzero"` // from when it counts
	Readers   map[string]time.Time `json:"readers,omitempty"`  // person → when
	Steps     []Step               `json:"steps,omitempty"`
}

// RegulationID is the id of a version.
func RegulationID(name string, version int) string { return fmt.Sprintf("g-%s-%d", name, version) }

// The steps of a version.
const (
	StepReview   = "review"
	StepAnnounce = "announce"
	StepEffect   = "effect"
	StepReplace  = "replace"
	StepDrop     = "drop"
)

// Check says what is wrong with a draft.
func (r *Regulation) Check() error {
	var errs fielderr.Errors
	text(&errs, "title", &r.Title, MaxTitle, true)
	text(&errs, "text", &r.Text, MaxRegulation, true)
	text(&errs, "changes", &r.Changes, MaxText, r.Version > 1)
	return errs.Err()
}

// RegulationEvent is what happens to a version.
type RegulationEvent struct {
	Kind      string
	By        string
	Text      string
	Effective time.Time // announce: from when it counts
}

// Step is what becomes of a version through an event; the given value is not changed. Its author does not review it;
// it counts no earlier than its announcement ends.
func (r Regulation) Step(e RegulationEvent, now time.Time, s Settings) (Regulation, error) {
	var errs fielderr.Errors
	if len(r.Steps) >= MaxSteps {
		return r, &Illegal{string(r.State), e.Kind, "err.oversight.steps"}
	}
	text(&errs, "text", &e.Text, MaxText, false)
	r.Steps = slices.Clone(r.Steps)
	switch {
	case e.Kind == StepReview && r.State == Drafted:
		if e.By == r.By {
			return r, &Illegal{string(r.State), e.Kind, "err.oversight.own"}
		}
		r.State, r.Reviewer = Reviewed, e.By
	case e.Kind == StepAnnounce && r.State == Reviewed:
		r.State, r.Announced, r.Until = Announced, now, days(now, s.NoticeDays)
		r.Effective = e.Effective
		if r.Effective.IsZero() {
			r.Effective = r.Until
		}
		if r.Effective.Before(r.Until) {
			errs.Add("effective", "err.oversight.too_early", s.NoticeDays)
		}
	case e.Kind == StepEffect && r.State == Announced && !now.Before(r.Effective):
		r.State = Effective
	case e.Kind == StepReplace && r.State == Effective:
		r.State = Replaced
	case e.Kind == StepDrop && (r.State == Drafted || r.State == Reviewed || r.State == Announced):
		r.State = Dropped
	default:
		return r, illegal(string(r.State), e.Kind)
	}
	if err := errs.Err(); err != nil {
		return r, err
	}
	r.Steps = append(r.Steps, Step{e.Kind, e.By, now, e.Text})
	return r, nil
}

// Read is the version with one more reader; changed is false when the person has read it before.
func (r Regulation) Read(person string, now time.Time) (_ Regulation, changed bool) {
	if _, ok := r.Readers[person]; ok || r.State != Announced && r.State != Effective {
		return r, false
	}
	readers := map[string]time.Time{person: now}
	for p, at := range r.Readers {
		readers[p] = at
	}
	r.Readers = readers
	return r, true
}
