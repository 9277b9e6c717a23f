package emergency

import (
	"strconv"

	"campuskeep/firmware/web/frame"
)

// exportEvent gives who was counted how as a spreadsheet, one pupil a row, after its entry.
func (o *Pages) exportEvent(c *call) error {
	b, err := o.d.Emergency.Board(c.R.PathValue("id"))
	if err != nil {
		return notFound(err)
	}
	rows := [][]string{{c.P.T("class"), c.P.T("em.sheet.no"), c.P.T("student"), c.P.T("em.h.tap"), c.P.T("state"), c.P.T("em.clue"), c.P.T("em.h.by")}}
	for _, cb := range b.Classes {
		for i, p := range cb.Pupils {
			state, tap := c.P.T("em.kpi.open"), c.tapText(p.Pupil)
			if !p.Expected {
				state = c.P.K("att.", p.Reason)
			}
			by := ""
			if p.Standing.State != "" {
				state, by = c.P.K("em.state.", p.Standing.State), o.Name(p.Standing.By)
			}
			rows = append(rows, []string{c.className(cb.Class), strconv.Itoa(i + 1), o.d.People.Name(p.Student), tap, state, p.Standing.Note, by})
		}
	}
	if _, _, err := o.LogPrintout(c.Call, sheetDocument(b.Event.ID), frame.FormSheet, "", ""); err != nil {
		return err
	}
	return c.SendTable("emergency-"+b.Event.ID+"-"+c.FileTime(), c.P.T("em.control"), rows)
}

// exportPatrols gives the patrols, or those of one place, as a spreadsheet, after its entry.
func (o *Pages) exportPatrols(c *call) error {
	rows := [][]string{{c.P.T("em.past.when"), c.P.T("patrol.f.place"), c.P.T("patrol.f.findings"), c.P.T("patrol.f.action"), c.P.T("patrols.by")}}
	of := c.R.PostForm.Get("place")
	for _, p := range o.d.Emergency.Patrols() {
		if of == "" || p.Place == of {
			rows = append(rows, []string{p.Date + " " + p.Clock, c.placeName(p.Place), p.Findings, p.Action, o.Name(p.By)})
		}
	}
	if _, _, err := o.LogPrintout(c.Call, "patrols", frame.FormSheet, "", ""); err != nil {
		return err
	}
	return c.SendTable("patrols-"+c.FileTime(), c.P.T("patrols.title"), rows)
}
