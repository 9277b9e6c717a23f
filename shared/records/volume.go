package records

import (
	"slices"
	"strings"
	"time"

	"campuskeep/shared/lib/fielderr"
)

// What a step of a paper volume is. Text of the catalogue: "volume.w.<step>".
const (
	VolumeCatalogued = "catalogued"
	VolumeLent       = "lent"
	VolumeReturned   = "returned"
	VolumeChecked    = "checked" // place and condition on the shelf
)

// VolumeSteps that a person may take.
var VolumeSteps = []string{VolumeLent, VolumeReturned, VolumeChecked}

// LendDays is how long a volume may be lent at most.
const LendDays = 30

// VolumeStep is one step: who, when, to whom, what was found.
type VolumeStep struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"`
	What string    `json:"what"`
	Note string    `json:"note,omitempty"`
	To   string    `json:"to,omitempty"` // borrower, person id
	Due  string    `json:"due,omitempty"`
}

// Volume is a paper volume of the archive, by school year, class and section (S16, S19).
type Volume struct {
	ID      string       `json:"id"`   // v000001
	Year    int          `json:"year"` // in which the school year began
	Class   string       `json:"class"`
	Section Section      `json:"section"`
	Title   string       `json:"title"`
	Shelf   string       `json:"shelf"`
	Pages   int          `json:"pages"`
	LentTo  string       `json:"lent_to,omitempty"`
	Due     string       `json:"due,omitempty"` // back at the latest
	Checked string       `json:"checked,omitempty"`
	Steps   []VolumeStep `json:"steps"`
}

// CheckEvery is how many days may pass between two checks of a volume.
const CheckEvery = 183

// Overdue says whether it should be back on the shelf.
func (v Volume) Overdue(today string) bool { return v.LentTo != "" && v.Due < today }

// Unchecked says whether its check on the shelf is due.
func (v Volume) Unchecked(today string) bool {
	return v.LentTo == "" && addDays(v.Checked, CheckEvery) < today
}

// Check says what is wrong with a volume to catalogue.
func (v Volume) Check() fielderr.Errors {
	var errs fielderr.Errors
	if v.Year < 1990 || v.Year > 2100 {
		errs.Add("year", "err.between", 1990, 2100)
	}
	if v.Class == "" {
		errs.Add("class", "err.required")
	}
	if !v.Section.Known() {
		errs.Add("section", "err.choice")
	}
	if v.Pages < 1 || v.Pages > 2000 {
		errs.Add("pages", "err.between", 1, 2000)
	}
	for _, f := range []struct{ name, text string }{{"title", v.Title}, {"shelf", v.Shelf}} {
		if strings.TrimSpace(f.text) == "" {
			errs.Add(f.name, "err.required")
		}
		errs.CheckText(f.name, f.text, shortText, false)
	}
	return errs
}

// Next is the volume after a step, or what is wrong with it.
func (v Volume) Next(s VolumeStep, today string) (Volume, fielderr.Errors) {
	var errs fielderr.Errors
	out := v
	errs.CheckText("note", s.Note, maxReason, false)
	switch s.What {
	case VolumeLent:
		switch {
		case v.LentTo != "":
			errs.Add("what", "err.volume_lent")
		case s.To == "":
			errs.Add("to", "err.required")
		}
		if checkDue(s.Due, today, &errs); s.Due > addDays(today, LendDays) {
			errs.Add("due", "err.due_far", LendDays)
		}
		if strings.TrimSpace(s.Note) == "" {
			errs.Add("note", "err.required")
		}
		out.LentTo, out.Due = s.To, s.Due
	case VolumeReturned:
		if v.LentTo == "" {
			errs.Add("what", "err.volume_in")
		}
		out.LentTo, out.Due, out.Checked, s.To, s.Due = "", "", today, "", ""
	case VolumeChecked:
		if v.LentTo != "" {
			errs.Add("what", "err.volume_lent")
		}
		if strings.TrimSpace(s.Note) == "" {
			errs.Add("note", "err.required")
		}
		out.Checked, s.To, s.Due = today, "", ""
	default:
		errs.Add("what", "err.choice")
	}
	if len(errs) > 0 {
		return v, errs
	}
	s.At = s.At.UTC()
	out.Steps = append(slices.Clone(v.Steps), s)
	return out, nil
}
