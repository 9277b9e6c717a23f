package oversight

import (
	"fmt"
	"time"

	"campuskeep/shared/lib/fielderr"
)

// Feedback is what the units are asked about the use of footage (F17).
type Feedback struct {
	ID       string           `json:"id"` // q2026-02
	Year     int              `json:"year"`
	No       int              `json:"no"`
	Title    string           `json:"title"`
	Question string           `json:"question"`
	Due      time.Time        `json:"due"`
	By       string           `json:"by"`
	At       time.Time        `json:"at"`
	Units    map[string]Reply `json:"units"`
}

// Reply is what one unit answered, and what it was answered.
type Reply struct {
	By       string    `json:"by,omitempty"`
	At       time.Time `json:"at,omitzero"`
	Text     string    `json:"text,omitempty"`
	Answer   string    `json:"answer,omitempty"`
	AnswerBy string    `json:"answer_by,omitempty"`
	AnswerAt time.Time `json:"answer_at,omitzero"`
}

// FeedbackID is the id of the n-th of a year.
func FeedbackID(year, n int) string { return fmt.Sprintf("q%d-%02d", year, n) }

// Check says what is wrong with a question that is to be asked.
func (f *Feedback) Check(now time.Time) error {
	var errs fielderr.Errors
	text(&errs, "title", &f.Title, MaxTitle, true)
	text(&errs, "question", &f.Question, MaxText, true)
	if len(f.Units) == 0 {
		errs.Add("units", "err.required")
	}
	switch {
	case f.Due.IsZero():
		errs.Add("due", "err.required")
	case !f.Due.After(now):
		errs.Add("due", "err.past")
	}
	return errs.Err()
}

// Replied is the question with the reply of a unit; one that has been answered stays.
func (f Feedback) Replied(unit, by, words string, now time.Time) (Feedback, error) {
	r, ok := f.Units[unit]
	if !ok {
		return f, &Illegal{unit, "reply", "err.oversight.not_asked"}
	}
	if !r.AnswerAt.IsZero() {
		return f, &Illegal{unit, "reply", "err.oversight.state"}
	}
	var errs fielderr.Errors
	text(&errs, "text", &words, MaxText, true)
	if err := errs.Err(); err != nil {
		return f, err
	}
	r.By, r.At, r.Text = by, now, words
	return f.with(unit, r), nil
}

// Answered is the question with the office's answer to the reply of a unit.
func (f Feedback) Answered(unit, by, words string, now time.Time) (Feedback, error) {
	r, ok := f.Units[unit]
	if !ok || r.At.IsZero() {
		return f, &Illegal{unit, "answer", "err.oversight.no_reply"}
	}
	var errs fielderr.Errors
	text(&errs, "answer", &words, MaxText, true)
	if err := errs.Err(); err != nil {
		return f, err
	}
	r.Answer, r.AnswerBy, r.AnswerAt = words, by, now
	return f.with(unit, r), nil
}

func (f Feedback) with(unit string, r Reply) Feedback {
	units := make(map[string]Reply, len(f.Units))
	for u, x := range f.Units {
		units[u] = x
	}
	units[unit] = r
	f.Units = units
	return f
}

// Missing are the units that have not replied, when it is overdue.
func (f Feedback) Missing() (units []string) {
	for u, r := range f.Units {
		if r.At.IsZero() {
			units = append(units, u)
		}
	}
	return units
}
