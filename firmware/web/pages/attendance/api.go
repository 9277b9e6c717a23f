package attendance

import (
	"net/http"
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
