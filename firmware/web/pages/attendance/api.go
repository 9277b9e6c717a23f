package attendance

import (
	"fmt"
	"net/http"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/attendance"
)

type apiClass struct {
	Class    string `json:"class"`
	Expected int    `json:"expected"`
	Attended int    `json:"attended"`
	Missing  int    `json:"missing"`
	Leave    int    `json:"leave"`
	Late     int    `json:"late"`
}

// APIAttendance is the attendance of a day, as JSON.
type APIAttendance struct {
	Date     string     `json:"date"`
	School   bool       `json:"school_day"`
	Expected int        `json:"expected"`
	Attended int        `json:"attended"`
	Missing  int        `json:"missing"`
	Classes  []apiClass `json:"classes"`
}

func (o *Pages) apiGate(c *call) error {
	v, err := o.board(c)
	if err != nil {
		return err
	}
	out := APIAttendance{c.Today(), v.School, v.Total.Expected, v.Total.Attended, v.Total.Missing, []apiClass{}}
	for _, g := range v.Grades {
		for _, r := range g.Classes {
			out.Classes = append(out.Classes, apiClass{r.ID, r.Tally.Expected, r.Tally.Attended, r.Missing, r.Leave, r.Late})
		}
	}
	return c.JSON(http.StatusOK, out)
}

type apiPupil struct {
	Name   string               `json:"name"`
	Status attendance.DayStatus `json:"status"`
}

// APIRoll is the roll of a class on one day, as JSON.
type APIRoll struct {
	Class  string     `json:"class"`
	Name   string     `json:"name"`
	Date   string     `json:"date"`
	Head   string     `json:"head_teacher,omitempty"`
	Pupils []apiPupil `json:"pupils"`
}

func (o *Pages) apiRoll(c *call) error {
	class, known := o.d.People.Class(c.R.PathValue("class"))
	date, readable := c.rollDay()
	if !known || !readable {
		return frame.ErrNotFound
	}
	days, err := o.d.Gate.Roll(class.ID, date)
	if err != nil {
		return fmt.Errorf("read the roll of %s: %w", class.ID, err)
	}
	out := APIRoll{class.ID, class.Name(date), date, class.Head(date), []apiPupil{}}
	for _, d := range days {
		out.Pupils = append(out.Pupils, apiPupil{o.d.People.Name(d.Student), d})
	}
	return c.JSON(http.StatusOK, out)
}
