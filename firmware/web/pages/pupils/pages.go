// Package pupils is the register of pupils as pages: list, form, cards, classes with their teachers, spreadsheets in and
// out, and the turn of the school year.
package pupils

import (
	"embed"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/sheets"
	"campuskeep/shared/account"
)

// Templates are the pages of this package.
//
//go:embed *.html
var Templates embed.FS

// Deps is what these pages need.
type Deps struct {
	Info   frame.Info
	Ledger *ledgerdb.Store
	People *people.People
	Zone   *time.Location
}

// Pages are the pages of this subject; all methods are safe for concurrent use.
type Pages struct {
	*frame.Server
	d       Deps
	imports sheets.Imports
}

// New makes the pages; it starts nothing.
func New(s *frame.Server, d Deps) *Pages {
	return &Pages{Server: s, d: d}
}

// call is one request, with the pages that answer it.
type call struct {
	*frame.Call
	o *Pages
}

// Routes are the addresses of this package with their permissions.
func (o *Pages) Routes() []frame.Route {
	on := frame.Binder[*call](func(c *frame.Call) *call { return &call{c, o} })
	edit := func(pattern string, h func(*call) error) frame.Route {
		return frame.Route{Pattern: pattern, Action: account.ActPupilsEdit, Subject: frame.Anything, Handle: on.Do(h)}
	}
	view := func(pattern string, h func(*call) error) frame.Route {
		return frame.Route{Pattern: pattern, Action: account.ActPupilsView, Subject: on.About(scope), Handle: on.Do(h)}
	}
	var lists []frame.Route
	for _, l := range o.lists() {
		lists = append(lists, o.imports.Routes(l)...)
	}
	return append(lists, []frame.Route{
		view("GET /pupils", o.pupilsPage),
		view("GET /api/v1/pupils", o.apiPupils),
		edit("POST /pupils/export", o.exportPupils),
		edit("GET /pupils/new", o.newPupilPage),
		edit("POST /pupils/new", o.putPupil),
		edit("POST /api/v1/pupils", o.putPupil),
		edit("GET /pupils/{id}/edit", o.editPupilPage),
		edit("POST /pupils/{id}/edit", o.putPupil),
		edit("POST /api/v1/pupils/{id}/edit", o.putPupil),
		edit("POST /pupils/{id}/move", o.movePupil),
		edit("POST /api/v1/pupils/{id}/move", o.movePupil),
		edit("POST /pupils/{id}/cards", o.handOut),
		edit("POST /api/v1/pupils/{id}/cards", o.handOut),
		edit("POST /pupils/{id}/cards/{card}", o.changeCard),
		edit("POST /api/v1/pupils/{id}/cards/{card}", o.changeCard),
		edit("GET /cards", o.cardsPage),
		edit("GET /api/v1/cards", o.apiCards),
		edit("POST /cards/export", o.exportCards),
		edit("GET /year", o.yearPage),
		edit("GET /api/v1/year", o.apiYear),
		edit("POST /year", o.putYear),
		edit("POST /api/v1/year", o.putYear),
		edit("POST /year/enter", o.enterYear),
		edit("POST /api/v1/year/enter", o.enterYear),
		edit("POST /year/undo", o.undoYear),
		edit("POST /api/v1/year/undo", o.undoYear),
		edit("GET /classes", o.classesPage),
		edit("GET /api/v1/classes", o.apiClasses),
		edit("POST /classes/export", o.exportClasses),
		edit("GET /classes/new", o.newClassPage),
		edit("POST /classes/new", o.putClass),
		edit("POST /api/v1/classes", o.putClass),
		edit("GET /classes/{class}", o.editClassPage),
		edit("GET /api/v1/classes/{class}", o.apiOneClass),
		edit("POST /classes/{class}", o.putClass),
		edit("POST /api/v1/classes/{class}", o.putClass),
	}...)
}

// scope is a teacher's own class, and nothing in particular for those who see every pupil.
func scope(c *call) (account.Subject, error) {
	s := account.Subject{Class: c.R.URL.Query().Get("class")}
	if s.Class == "" && len(c.Actor.Classes) > 0 {
		s.Class = c.Actor.Classes[0]
	}
	return s, nil
}

// classes are the only ones that this person sees; nil: all.
func (c *call) classes() []string {
	if c.Can(account.ActPupilsView, account.Subject{}) {
		return nil
	}
	return append([]string{}, c.Actor.Classes...)
}
