package emergency

import (
	"slices"
	"time"

	"campuskeep/shared/lib/fielderr"
)

const dateLayout = "2006-01-02"

// Plan is an emergency plan (S21). Its row holds the present version; every version is an entry.
type Plan struct {
	ID        string      `json:"id"` // n1, n2 …
	Title     string      `json:"title"`
	Kind      Kind        `json:"kind"`
	Muster    string      `json:"muster,omitempty"` // where people gather
	Text      string      `json:"text"`
	Months    int         `json:"months"`              // a drill at least every so many months; 0: none is asked for
	Announced string      `json:"announced,omitempty"` // date on which staff were informed
	Review    string      `json:"review,omitempty"`    // date by which it is looked at again
	Version   int         `json:"version"`
	By        string      `json:"by"`
	At        time.Time   `json:"at"`
	Retired   bool        `json:"retired,omitempty"`
	Drills    []PastDrill `json:"drills,omitempty"` // recorded by hand; those held here are events
}

// PastDrill is a drill that was held without this system.
type PastDrill struct {
	Date         string `json:"date"`
	Participants int    `json:"participants"`
	Minutes      int    `json:"minutes,omitempty"` // until everybody was accounted for; 0: not known
	Lessons      string `json:"lessons,omitempty"`
	By           string `json:"by"`
}

// Patrol is a round through the school, and what was found (S21).
type Patrol struct {
	ID       string    `json:"id"` // r1, r2 …
	Date     string    `json:"date"`
	Clock    string    `json:"clock"` // 07:20
	Place    string    `json:"place"` // id of a place
	Findings string    `json:"findings"`
	Action   string    `json:"action,omitempty"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
}

// Limits of plans.
const (
	MostTitle  = 60
	MostMonths = 24
)

// Check says what is wrong with a plan.
func (p Plan) Check() fielderr.Errors {
	var errs fielderr.Errors
	Text(&errs, "title", p.Title, MostTitle, true)
	if !slices.Contains(Kinds, p.Kind) {
		errs.Add("kind", "err.choice")
	}
	Text(&errs, "muster", p.Muster, MostTitle, false)
	Text(&errs, "text", p.Text, MostPlan, true)
	if p.Months < 0 || p.Months > MostMonths {
		errs.Add("months", "err.range", 0, MostMonths)
	}
	checkDate(&errs, "announced", p.Announced, "")
	checkDate(&errs, "review", p.Review, "")
	return errs
}

func checkDate(errs *fielderr.Errors, field, date, latest string) {
	if date == "" {
		return
	}
	t, err := time.Parse(dateLayout, date)
	switch {
	case err != nil || t.Format(dateLayout) != date:
		errs.Add(field, "err.date")
	case latest != "" && date > latest:
		errs.Add(field, "err.future")
	}
}

// Check says what is wrong with a drill that is entered by hand.
func (d PastDrill) Check(today string) fielderr.Errors {
	var errs fielderr.Errors
	if d.Date == "" {
		errs.Add("date", "err.required")
	}
	checkDate(&errs, "date", d.Date, today)
	if d.Participants < 1 || d.Participants > 20000 {
		errs.Add("participants", "err.range", 1, 20000)
	}
	if d.Minutes < 0 || d.Minutes > 600 {
		errs.Add("minutes", "err.range", 0, 600)
	}
	Text(&errs, "lessons", d.Lessons, MostText, false)
	return errs
}

// Check says what is wrong with a patrol.
func (p Patrol) Check(today string) fielderr.Errors {
	var errs fielderr.Errors
	if p.Date == "" {
		errs.Add("date", "err.required")
	}
	checkDate(&errs, "date", p.Date, today)
	if _, err := time.Parse("15:04", p.Clock); err != nil {
		errs.Add("clock", "err.time")
	}
	if p.Place == "" {
		errs.Add("place", "err.required")
	}
	Text(&errs, "findings", p.Findings, MostText, true)
	Text(&errs, "action", p.Action, MostText, false)
	return errs
}

// Due is when something about a plan is due; empty dates: nothing is.
type Due struct {
	Last   string // the last drill
	Drill  string // the next drill is due by this date
	Over   bool   // …and that has passed
	Review bool   // the review date has passed
}

// DueOf says when the next drill of a plan is due, from the dates of its drills.
func (p Plan) DueOf(drills []string, today string) Due {
	var d Due
	if p.Retired {
		return d
	}
	for _, x := range drills {
		d.Last = max(d.Last, x)
	}
	d.Review = p.Review != "" && p.Review < today
	from := d.Last
	if from == "" {
		from = p.Announced
	}
	if t, err := time.Parse(dateLayout, from); err == nil && p.Months > 0 {
		d.Drill = months(t, p.Months).Format(dateLayout)
	} else if p.Months > 0 {
		d.Drill = today // never held, and nobody knows since when it is asked for
	}
	d.Over = d.Drill != "" && d.Drill < today
	return d
}

// months adds months and stays within the month: a month after 31 January is the end of February.
func months(t time.Time, n int) time.Time {
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}
