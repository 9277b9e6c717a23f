package emergency

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	rules "campuskeep/shared/emergency"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// startView is the page that opens an event, and lists those that are running and those that were.
type startView struct {
	Form    ui.Form
	Kinds   []kindTile
	Grades  []gradeChoice
	Places  []ui.Option
	Classes int
	Running []runningRow
	Past    []pastRow
	Pages   frame.Pages
	Drill   bool // this person may order a drill
	Control bool
	Undo    int // minutes
}

type kindTile struct {
	Value, Text, Icon, Plan string
	On                      bool
}

type gradeChoice struct {
	Name    string
	Classes []ui.Option
}

type runningRow struct {
	alarm
	ID      string
	Classes []ui.Option // this person's own
	Control bool
}

type pastRow struct {
	ID, Name, When, Count, Full string
	Drill, Undone, NoRecord     bool
}

var kindIcons = map[rules.Kind]string{rules.Fire: "fire", rules.Earthquake: "warn", rules.Intruder: "shield", rules.Storm: "info", rules.Sickness: "aid", rules.Other: "help"}

func (o *Pages) startPage(c *call) error { return o.showStart(c, http.StatusOK, nil) }

func (o *Pages) showStart(c *call, status int, errs fielderr.Errors) error {
	v := startView{Form: ui.Form{Name: "emstart", P: c.P, Values: c.R.PostForm, Errors: errs}, Drill: c.Can(account.ActEmergencyDrill, account.Subject{}),
		Control: c.Can(account.ActEmergencyControl, account.Subject{}), Undo: int(rules.UndoWithin.Minutes())}
	plans := map[rules.Kind]rules.Plan{}
	for _, p := range o.d.Emergency.Plans() {
		if !p.Retired {
			plans[p.Kind] = p
		}
	}
	for i, k := range rules.Kinds {
		t := kindTile{Value: string(k), Text: c.P.K("em.kind.", k), Icon: kindIcons[k], On: v.Form.Has("kind", string(k)) || i == 0 && v.Form.Values.Get("kind") == ""}
		if p, ok := plans[k]; ok {
			t.Plan = c.P.T("em.start.plan", p.Version)
		} else {
			t.Plan = c.P.K("em.kind.hint.", k)
		}
		v.Kinds = append(v.Kinds, t)
	}
	classes := o.d.People.Classes(c.Today())
	v.Classes = len(classes)
	grade := 0
	for _, cl := range classes {
		if g := cl.Grade(c.Today()); g != grade {
			grade = g
			name := cl.Name(c.Today())
			v.Grades = append(v.Grades, gradeChoice{Name: name[:len(name)-len(strconv.Itoa(cl.No)+"班")]})
		}
		g := &v.Grades[len(v.Grades)-1]
		g.Classes = append(g.Classes, ui.Option{Value: cl.ID, Text: c.P.T("gate.class", cl.No), On: v.Form.Has("class", cl.ID)})
	}
	v.Places = []ui.Option{{Value: "", Text: c.P.T("em.place.none")}}
	for _, p := range o.d.Site.Places() {
		v.Places = append(v.Places, ui.Option{Value: p.ID, Text: p.Name})
	}
	if err := o.listEvents(c, &v); err != nil {
		return err
	}
	return c.PageStatus(status, "emstart", c.P.T("em.title"), v)
}

func (o *Pages) listEvents(c *call, v *startView) error {
	for _, e := range o.d.Emergency.Running() {
		b, err := o.d.Emergency.Board(e.ID, "-")
		if err != nil {
			return notFound(err)
		}
		r := runningRow{alarm: c.alarm(b), ID: e.ID, Control: v.Control}
		for _, id := range c.ownClasses(e) {
			r.Classes = append(r.Classes, ui.Option{Value: id, Text: c.className(id)})
		}
		v.Running = append(v.Running, r)
	}
	past := slices.DeleteFunc(o.d.Emergency.Events(), rules.Event.Open)
	from, to, pages := c.PagesOf("/emergency", c.R.URL.Query(), len(past))
	v.Pages = pages
	for _, e := range past[from:to] {
		v.Past = append(v.Past, c.pastRow(e))
	}
	return nil
}

func (c *call) pastRow(e rules.Event) pastRow {
	r := pastRow{ID: e.ID, Name: c.eventName(e), When: c.P.When(e.Opened.At, c.Now.Wall), Drill: e.Drill, Undone: e.Undone != nil, Full: "–"}
	if e.Closed == nil {
		return r
	}
	x := e.Closed
	r.Count, r.NoRecord = c.P.T("em.past.count", x.Count.Safe+x.Count.Injured, x.Count.Expected), e.Version == 0
	if x.Full > 0 {
		r.Full = minutes(x.Full)
	}
	return r
}

func (o *Pages) begin(c *call) error      { return o.open(c, false) }
func (o *Pages) beginDrill(c *call) error { return o.open(c, true) }

func (o *Pages) open(c *call, drill bool) error {
	f := c.R.PostForm
	e := rules.Event{Kind: rules.Kind(f.Get("kind")), Drill: drill, Place: f.Get("place"), Detail: f.Get("detail"), Classes: f["class"]}
	e.Whole = len(e.Classes) == 0
	if e.Place != "" && !slices.ContainsFunc(o.d.Site.Places(), func(p site.Place) bool { return p.ID == e.Place }) {
		return o.showStart(c, http.StatusUnprocessableEntity, fielderr.Errors{{Field: "place", Rule: "err.choice"}})
	}
	e, err := o.d.Emergency.Begin(c.R.Context(), c.Who(), c.Decision.Role, e)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showStart(c, http.StatusUnprocessableEntity, errs)
	}
	if err != nil {
		return err
	}
	if c.Can(account.ActEmergencyControl, account.Subject{}) {
		return c.Done("/emergency/"+e.ID, "done.emergency.opened")
	}
	return c.Done("/emergency", "done.emergency.opened")
}
