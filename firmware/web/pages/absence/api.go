package absence

import (
	"net/http"

	"campuskeep/firmware/absence"
	"campuskeep/firmware/web/frame"
	rules "campuskeep/shared/absence"
)

// APICase is a case of absence, as JSON.
type APICase struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	rules.Case
	Rev uint64 `json:"rev,omitempty"`
}

// APIAbsence is the absences of a date, as JSON.
type APIAbsence struct {
	Date   string          `json:"date"`
	Alarms []absence.Alarm `json:"alarms"`
	Cases  []APICase       `json:"cases"`
}

// APICall is a call to a guardian that waits, as JSON.
type APICall struct {
	absence.Call
	Name         string `json:"name"`
	GuardianName string `json:"guardian_name"`
	Phone        string `json:"phone"`
}

func (o *Pages) apiList(c *call) error {
	date, err := c.date()
	if err != nil {
		return err
	}
	list, err := c.found(date, c.R.URL.Query())
	if err != nil {
		return err
	}
	out := APIAbsence{Date: date, Alarms: []absence.Alarm{}, Cases: []APICase{}}
	given, err := o.d.Absence.Alarms(date)
	if err != nil {
		return err
	}
	for _, a := range given {
		if c.seesClass(a.Class) {
			out.Alarms = append(out.Alarms, a)
		}
	}
	for _, x := range list {
		out.Cases = append(out.Cases, APICase{ID: x.ID(), Name: o.d.People.Name(x.Student), Case: x})
	}
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiCase(c *call) error {
	date, studentID := splitID(c.R.PathValue("id"))
	x, rev, err := o.d.Absence.Case(date, studentID)
	if err != nil {
		return frame.ErrNotFound
	}
	return c.JSON(http.StatusOK, APICase{ID: x.ID(), Name: o.d.People.Name(studentID), Case: x, Rev: rev})
}

func (o *Pages) apiCalls(c *call) error {
	out := []APICall{}
	for _, x := range c.visibleCalls() {
		a := APICall{Call: x, Name: o.d.People.Name(x.Student)}
		if s, ok := o.d.People.Student(x.Student); ok && x.Guardian < len(s.Guardians) {
			a.GuardianName, a.Phone = s.Guardians[x.Guardian].Name, s.Guardians[x.Guardian].Phone
		}
		out = append(out, a)
	}
	return c.JSON(http.StatusOK, out)
}
