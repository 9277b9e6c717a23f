package records

import (
	"strings"

	"campuskeep/firmware/web/frame"
	rules "campuskeep/shared/records"
)

// doctorView is the school doctor's page: a pupil comes in, what is followed up, who needs care.
type doctorView struct {
	Query    string
	Found    []pupilLink
	None     bool
	Concerns []concernRow
	Care     []careRow
	Cards    []glassRow
	Pages    frame.Pages
}

type careRow struct {
	Pupil pupilLink
	Steps []string
	Until string
	Ends  bool // within a fortnight
}

// endsSoon is how many days before its end a care instruction is shown as ending.
const endsSoon = 14

func (o *Pages) doctorPage(c *call) error {
	v := doctorView{Query: strings.TrimSpace(c.R.URL.Query().Get("q"))}
	if v.Query != "" {
		for _, s := range o.d.People.FindStudents(v.Query, 12) {
			v.Found = append(v.Found, pupilLink{s.ID, s.Name, c.className(s.ID), "/pupils/" + s.ID})
		}
		v.None = len(v.Found) == 0
	}
	for _, x := range o.d.Records.Concerns(c.Who(), "", false) {
		if x.Section == rules.Health {
			v.Concerns = append(v.Concerns, c.concernRow(x, c.Now.Wall))
		}
	}
	all := c.allCare()
	from, to, p := c.PagesOf("/doctor", c.R.URL.Query(), len(all))
	v.Care, v.Pages = all[from:to], p
	for _, g := range o.d.Records.Glasses() {
		if g.Reviewed.IsZero() {
			v.Cards = append(v.Cards, c.glassRow(g))
		}
	}
	return c.Page("doctor", c.P.T("doctor.title"), v)
}

// allCare are the care instructions of all pupils who are here, by class.
func (c *call) allCare() (out []careRow) {
	today := c.Today()
	soon := c.Now.Wall.In(c.o.d.Zone).AddDate(0, 0, endsSoon).Format("2006-01-02")
	for _, cl := range c.o.d.People.Classes(today) {
		for _, s := range c.o.d.People.Roster(cl.ID, today) {
			for _, n := range c.o.d.Records.Care(s.ID) {
				r := careRow{Pupil: pupilLink{s.ID, s.Name, cl.Name(today), "/pupils/" + s.ID}, Steps: n.Steps, Ends: n.Until != "" && n.Until <= soon}
				if n.Until != "" {
					r.Until = c.date(n.Until)
				}
				out = append(out, r)
			}
		}
	}
	return out
}

// incidentView picks the pupil of whom a record is written.
type incidentView struct {
	Query string
	Found []pupilLink
	None  bool
}

func (o *Pages) incidentPage(c *call) error {
	v := incidentView{Query: strings.TrimSpace(c.R.URL.Query().Get("q"))}
	if v.Query != "" {
		for _, s := range o.d.People.FindStudents(v.Query, 12) {
			v.Found = append(v.Found, pupilLink{s.ID, s.Name, c.className(s.ID), "/pupils/" + s.ID + "/records/new?kind="})
		}
		v.None = len(v.Found) == 0
	}
	return c.Page("incident_new", c.P.T("incident.new"), v)
}
