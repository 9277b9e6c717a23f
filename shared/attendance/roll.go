package attendance

import (
	"slices"
	"strings"
	"time"

	"campuskeep/shared/lib/fielderr"
)

// Period is the part of a day for which a roll is taken: morning, afternoon, or one lesson.
type Period string

// The periods. Morning and afternoon carry the check of symptoms (S9); lessons the presence alone.
const (
	Morning   Period = "am"
	Afternoon Period = "pm"
)

// Periods lists all periods in the order of the page.
var Periods = []Period{Morning, Afternoon, "l1", "l2", "l3", "l4", "l5", "l6", "l7", "l8"}

// Checked says whether symptoms are asked for in the period.
func (p Period) Checked() bool { return p == Morning || p == Afternoon }

// PeriodAt is the period that is meant at an instant of a day: morning until noon, then afternoon.
func PeriodAt(d Day, now time.Time) Period {
	if now.Before(d.At(12 * 60)) {
		return Morning
	}
	return Afternoon
}

// Presence is what a roll says about a pupil.
type Presence string

// The presences.
const (
	Here     Presence = "here"
	CameLate Presence = "late"
	Away     Presence = "away"
	Excused  Presence = "leave"
)

// Presences lists them in the order of the page.
var Presences = []Presence{Here, CameLate, Away, Excused}

// Symptom is a code of the daily check (WS/T 772, provincial forms).
type Symptom string

// Symptoms lists the symptoms in the order of the page.
var Symptoms = []Symptom{"fever", "cough", "sore_throat", "headache", "vomiting", "diarrhoea", "stomach_ache", "rash", "parotid", "red_eye", "dizziness", "fatigue", "jaundice", "other"}

// Line is one pupil on a roll.
type Line struct {
	Student  string    `json:"student"`
	Presence Presence  `json:"presence"`
	Leave    LeaveKind `json:"leave,omitempty"` // of Excused; empty: as it is known
	Symptoms []Symptom `json:"symptoms,omitempty"`
}

// Expect is what the roll is prefilled with from the day as attendance has it.
func Expect(d DayStatus, p Period) Presence {
	inside := d.Attended && d.LastOut.IsZero()
	switch d.Outcome {
	case OnLeave:
		return Excused
	case Late:
		if p == Morning {
			return CameLate
		}
		return Here
	case Present:
		if p != Morning && !inside && !d.Has(MarkTeacher) && !d.Has(MarkOffice) {
			return Away // went out at noon and has not come back
		}
		return Here
	case LeftEarly:
		if p == Morning {
			return Here
		}
		return Away
	}
	return Away
}

// CheckLines says what is wrong with a roll. students are those of the class.
func CheckLines(lines []Line, p Period, students []string) fielderr.Errors {
	var errs fielderr.Errors
	if !slices.Contains(Periods, p) {
		errs.Add("period", "err.choice")
	}
	seen := map[string]bool{}
	for _, l := range lines {
		if seen[l.Student] || !slices.Contains(students, l.Student) {
			errs.Add("p."+l.Student, "err.roll_pupil")
		}
		seen[l.Student] = true
		if !slices.Contains(Presences, l.Presence) || l.Leave != "" && l.Leave != Sick && l.Leave != Personal && l.Leave != Official && l.Leave != Other {
			errs.Add("p."+l.Student, "err.choice")
		}
		for _, s := range l.Symptoms {
			if !slices.Contains(Symptoms, s) {
				errs.Add("s."+l.Student, "err.choice")
			}
		}
		if len(l.Symptoms) > 0 && !p.Checked() {
			errs.Add("s."+l.Student, "err.empty")
		}
	}
	for _, id := range students {
		if !seen[id] {
			errs.Add("p."+id, "err.roll_missing")
		}
	}
	return errs
}

// MarkFor is the mark by which a roll changes the day; false when the day says the same already. Only the morning's roll
// says how the day is.
func MarkFor(l Line, d DayStatus, p Period, late int) (Mark, bool) {
	m := Mark{Student: l.Student, Date: d.Date}
	if p != Morning || d.Outcome == NoSchool {
		return m, false
	}
	marked := d.Has(MarkTeacher) || d.Has(MarkOffice)
	switch l.Presence {
	case Here:
		m.Outcome = Present
		return m, d.Outcome != Present && d.Outcome != LeftEarly
	case CameLate:
		m.Outcome, m.Minutes = Late, max(1, late)
		return m, d.Outcome != Late
	case Excused:
		m.Outcome, m.Leave = OnLeave, l.Leave
		if m.Leave == "" {
			m.Leave = Personal
		}
		return m, d.Outcome != OnLeave || l.Leave != "" && d.Leave != l.Leave
	}
	m.Outcome = AbsentUnexplained
	return m, !marked || d.Outcome != AbsentUnexplained && d.Outcome != Truant
}

// KeyOK says whether s can be the key by which a roll that is sent twice is known.
func KeyOK(s string) bool {
	return len(s) >= 8 && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
