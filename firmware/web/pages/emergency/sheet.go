package emergency

import (
	"fmt"
	"slices"

	"campuskeep/firmware/web/frame"
	rules "campuskeep/shared/emergency"
)

// sheetView is the head count on A4, one class a page, for when the network is gone.
type sheetView struct {
	alarm
	ID      string
	Org     string
	Preview bool
	Copy    *frame.PrintedCopy
	Classes []sheetClass
}

type sheetClass struct {
	Name, Head string
	Expected   int
	Rows       []sheetRow
	Away       []sheetRow
}

type sheetRow struct {
	No        int
	Name, Tap string
	State     string
}

func sheetDocument(id string) string { return "emergency-" + id }

// printSheet enters the copy and leads to the sheet.
func (o *Pages) printSheet(c *call) error {
	e, err := c.event()
	if err != nil {
		return err
	}
	_, entry, err := o.LogPrintout(c.Call, sheetDocument(e.ID), frame.FormPrint, "", "")
	if err != nil {
		return err
	}
	path := fmt.Sprintf("/emergency/%s/sheet?entry=%d", e.ID, entry)
	if x := c.R.PostForm.Get("class"); slices.Contains(e.Classes, x) {
		path += "&class=" + x
	}
	return c.SeeOther(path)
}

func (o *Pages) sheetPage(c *call) error {
	b, err := o.d.Emergency.Board(c.R.PathValue("id"))
	if err != nil {
		return notFound(err)
	}
	paper, err := o.LogCopy(c.Call, sheetDocument(b.Event.ID))
	if err != nil {
		return err
	}
	v := sheetView{alarm: c.alarm(b), ID: b.Event.ID, Org: c.P.T("doc.org", o.d.Info.School), Copy: paper, Preview: paper == nil}
	only := c.R.URL.Query().Get("class")
	for _, cb := range b.Classes {
		if only != "" && only != cb.Class {
			continue
		}
		s := sheetClass{Name: c.className(cb.Class), Expected: cb.Count.Expected}
		if cb.Head != "" {
			s.Head = o.Name(cb.Head)
		}
		for i, p := range cb.Pupils {
			r := sheetRow{No: i + 1, Name: o.d.People.Name(p.Student), Tap: c.tapText(p.Pupil)}
			if p.Standing.State != "" {
				r.State = c.P.K("em.state.", p.Standing.State)
			}
			if !p.Expected {
				r.Tap = c.P.K("att.", p.Reason)
				if p.Standing.State == rules.Absent {
					r.Tap = c.P.T("em.state.absent")
				}
				s.Away = append(s.Away, r)
				continue
			}
			s.Rows = append(s.Rows, r)
		}
		v.Classes = append(v.Classes, s)
	}
	return c.Page("emsheet", c.P.T("em.sheet.title"), v)
}
