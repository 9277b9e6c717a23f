// Package emergency is the head count in drills and real events: the page that opens one, a class on its teacher's
// phone, the control with live counts, the record; and the emergency plans with their drills and the patrols.
package emergency

import (
	"embed"
	"time"

	"campuskeep/firmware/emergency"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/ui"
)

// Templates are the pages of this package.
//
//go:embed *.html
var Templates embed.FS

// Deps is what these pages need.
type Deps struct {
	Emergency *emergency.Register
	Info      frame.Info
	Ledger    *ledgerdb.Store
	People    *people.People
	Site      *site.Site
	Zone      *time.Location
}

// Pages are the pages of this subject; all methods are safe for concurrent use.
type Pages struct {
	*frame.Server
	d Deps
}

// New makes the pages; it starts nothing. Every page then says that pupils are being counted, while they are.
func New(f *frame.Server, d Deps) *Pages {
	o := &Pages{Server: f, d: d}
	f.AddNotes(o.notes)
	return o
}

// call is one request, with the pages that answer it.
type call struct {
	*frame.Call
	o *Pages
}

// Routes are the addresses of this package with their permissions.
func (o *Pages) Routes() []frame.Route {
	on := o.on()
	class := on.About(classSubject)
	return []frame.Route{
		{Pattern: "GET /emergency", Action: account.ActEmergencyFound, Subject: frame.Anything, Handle: on.Do(o.startPage)},
		{Pattern: "POST /emergency/open", Action: account.ActEmergencyOpen, Subject: frame.Anything, Handle: on.Do(o.begin)},
		{Pattern: "POST /emergency/drill", Action: account.ActEmergencyDrill, Subject: frame.Anything, Handle: on.Do(o.beginDrill)},
		{Pattern: "GET /emergency/{id}", Action: account.ActEmergencyControl, Subject: frame.Anything, Handle: on.Do(o.controlPage)},
		{Pattern: "GET /emergency/{id}/class/{class}", Action: account.ActEmergencyRoll, Subject: class, Handle: on.Do(o.rollPage)},
		{Pattern: "POST /emergency/{id}/class/{class}", Action: account.ActEmergencyRoll, Subject: class, Handle: on.Do(o.putRoll)},
		{Pattern: "GET /emergency/{id}/found", Action: account.ActEmergencyFound, Subject: frame.Anything, Handle: on.Do(o.foundPage)},
		{Pattern: "POST /emergency/{id}/found", Action: account.ActEmergencyFound, Subject: frame.Anything, Handle: on.Do(o.putFound)},
		{Pattern: "POST /emergency/{id}/found/search", Action: account.ActEmergencyFound, Subject: frame.Anything, Handle: on.Do(o.searchFound)},
		{Pattern: "POST /emergency/{id}/settle", Action: account.ActEmergencySettle, Subject: frame.Anything, Handle: on.Do(o.settle)},
		{Pattern: "POST /emergency/{id}/undo", Action: account.ActEmergencyUndo, Subject: on.About(openerSubject), Handle: on.Do(o.undo)},
		{Pattern: "POST /emergency/{id}/close", Action: account.ActEmergencyClose, Subject: frame.Anything, Handle: on.Do(o.close)},
		{Pattern: "POST /emergency/{id}/record", Action: account.ActEmergencyClose, Subject: frame.Anything, Handle: on.Do(o.putRecord)},
		{Pattern: "POST /emergency/{id}/print", Action: account.ActEmergencyControl, Subject: frame.Anything, Handle: on.Do(o.printSheet)},
		{Pattern: "POST /emergency/{id}/export", Action: account.ActEmergencyControl, Subject: frame.Anything, Handle: on.Do(o.exportEvent)},
		{Pattern: "GET /emergency/{id}/sheet", Action: account.ActEmergencyControl, Subject: frame.Anything, Handle: on.Do(o.sheetPage)},
		{Pattern: "GET /events/emergency", Action: account.ActEmergencyFound, Subject: frame.Anything, Handle: on.Do(o.live), Stream: true},
		{Pattern: "GET /api/v1/emergencies", Action: account.ActEmergencyFound, Subject: frame.Anything, Handle: on.Do(o.apiEvents)},
		{Pattern: "GET /api/v1/emergencies/{id}", Action: account.ActEmergencyControl, Subject: frame.Anything, Handle: on.Do(o.apiEvent)},
		{Pattern: "GET /api/v1/emergencies/{id}/class/{class}", Action: account.ActEmergencyRoll, Subject: class, Handle: on.Do(o.apiClass)},
		{Pattern: "POST /api/v1/emergencies/{id}/class/{class}", Action: account.ActEmergencyRoll, Subject: class, Handle: on.Do(o.apiPutRoll)},
		{Pattern: "GET /plans", Action: account.ActPlansView, Subject: frame.Anything, Handle: on.Do(o.plansPage)},
		{Pattern: "GET /plans/new", Action: account.ActPlansEdit, Subject: frame.Anything, Handle: on.Do(o.planForm)},
		{Pattern: "POST /plans/new", Action: account.ActPlansEdit, Subject: frame.Anything, Handle: on.Do(o.putPlan)},
		{Pattern: "GET /plans/{id}", Action: account.ActPlansView, Subject: frame.Anything, Handle: on.Do(o.planPage)},
		{Pattern: "GET /plans/{id}/edit", Action: account.ActPlansEdit, Subject: frame.Anything, Handle: on.Do(o.planForm)},
		{Pattern: "POST /plans/{id}/edit", Action: account.ActPlansEdit, Subject: frame.Anything, Handle: on.Do(o.putPlan)},
		{Pattern: "POST /plans/{id}/drill", Action: account.ActPlansEdit, Subject: frame.Anything, Handle: on.Do(o.putDrill)},
		{Pattern: "GET /patrols", Action: account.ActPlansView, Subject: frame.Anything, Handle: on.Do(o.patrolsPage)},
		{Pattern: "POST /patrols/export", Action: account.ActPlansView, Subject: frame.Anything, Handle: on.Do(o.exportPatrols)},
		{Pattern: "POST /patrols", Action: account.ActPatrolsWrite, Subject: frame.Anything, Handle: on.Do(o.putPatrol)},
		{Pattern: "GET /api/v1/plans", Action: account.ActPlansView, Subject: frame.Anything, Handle: on.Do(o.apiPlans)},
		{Pattern: "GET /api/v1/plans/{id}", Action: account.ActPlansView, Subject: frame.Anything, Handle: on.Do(o.apiOnePlan)},
		{Pattern: "GET /api/v1/patrols", Action: account.ActPlansView, Subject: frame.Anything, Handle: on.Do(o.apiPatrols)},
		{Pattern: "POST /api/v1/emergencies/{id}/found", Action: account.ActEmergencyFound, Subject: frame.Anything, Handle: on.Do(o.apiPutFound)},
	}
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}

func classSubject(c *call) (account.Subject, error) {
	return account.Subject{Class: c.R.PathValue("class")}, nil
}

// openerSubject is the person who opened the event.
func openerSubject(c *call) (account.Subject, error) {
	e, _ := c.o.d.Emergency.Event(c.R.PathValue("id"))
	return account.Subject{Person: e.By}, nil
}

// live wakes a page that shows an event, or one class of it; what it may show it then asks for.
func (o *Pages) live(c *call) error {
	changed, cancel := o.d.Emergency.Subscribe(c.R.URL.Query().Get("class"))
	defer cancel()
	return frame.Stream(c.Call, changed)
}

// notes are what every page says while pupils are being counted.
func (o *Pages) notes(c *frame.Call) (out []ui.Note) {
	if !c.Can(account.ActEmergencyFound, account.Subject{}) {
		return nil
	}
	x := &call{c, o}
	for _, e := range o.d.Emergency.Running() {
		n := ui.Note{Kind: "bad", Icon: "bell", Text: x.eventName(e), Href: "/emergency/" + e.ID + "/found", Link: c.P.T("em.note.found")}
		if e.Drill {
			n.Kind = "warn"
		}
		switch mine := x.ownClasses(e); {
		case len(mine) == 1:
			n.Href, n.Link = "/emergency/"+e.ID+"/class/"+mine[0], c.P.T("em.note.roll", x.className(mine[0]))
		case len(mine) > 1:
			n.Href, n.Link = "/emergency", c.P.T("em.note.rolls", len(mine))
		case c.Can(account.ActEmergencyControl, account.Subject{}):
			n.Href, n.Link = "/emergency/"+e.ID, c.P.T("em.note.control")
		}
		if c.R.URL.Path != n.Href {
			out = append(out, n)
		}
	}
	return out
}

// Needs are what waits for the person who asks.
func (o *Pages) Needs(c *frame.Call) ([]frame.Need, error) {
	x := &call{c, o}
	var out []frame.Need
	if c.Can(account.ActEmergencyClose, account.Subject{}) {
		for _, e := range o.d.Emergency.Events() {
			if e.Closed == nil || e.Version > 0 {
				continue
			}
			out = append(out, frame.Need{Tone: "warn", Icon: "doc", Badge: c.P.T("em.need.record"), Kind: c.P.T("em.title"), Title: x.eventName(e),
				Text: c.P.T("em.need.record.text", c.P.When(e.Closed.At.At, c.Now.Wall)), Href: "/emergency/" + e.ID + "#record", Do: c.P.T("em.need.record.do")})
		}
	}
	if c.Can(account.ActPlansEdit, account.Subject{}) {
		for _, p := range o.d.Emergency.Plans() {
			if d := o.d.Emergency.Due(p); d.Over {
				out = append(out, frame.Need{Tone: "warn", Icon: "clock", Badge: c.P.T("emplans.over"), Kind: c.P.T("emplans.title"), Title: p.Title, Text: c.P.T("emplans.need", d.Drill), Href: "/plans/" + p.ID, Do: c.P.T("see")})
			}
		}
	}
	return out, nil
}
