// Package school is what the school itself is: its places, calendar and bell times, and the guide that leads an empty
// appliance to a gate that works.
package school

import (
	"embed"
	"time"

	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
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
	Gate   frame.Gate
	Info   frame.Info
	People *people.People
	Site   *site.Site
	Status frame.Status
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
	route := func(action account.Action, pattern string, h func(*call) error) frame.Route {
		return frame.Route{Pattern: pattern, Action: action, Subject: frame.Anything, Handle: on.Do(h)}
	}
	view := func(pattern string, h func(*call) error) frame.Route { return route(account.ActSchoolView, pattern, h) }
	edit := func(pattern string, h func(*call) error) frame.Route { return route(account.ActSchoolEdit, pattern, h) }
	var lists []frame.Route
	for _, l := range o.lists() {
		lists = append(lists, o.imports.Routes(l)...)
	}
	return append(lists, []frame.Route{
		edit("POST /calendar/export", o.exportCalendar),
		view("GET /setup/guide", o.guidePage),
		view("GET /api/v1/setup/guide", o.apiGuide),
		edit("POST /places/export", o.exportPlaces),
		view("GET /places", o.placesPage),
		view("GET /api/v1/places", o.apiPlaces),
		edit("GET /places/new", o.newPlacePage),
		edit("POST /places/new", o.putPlace),
		edit("POST /api/v1/places", o.putPlace),
		edit("GET /places/{place}", o.editPlacePage),
		edit("GET /api/v1/places/{place}", o.apiPlace),
		edit("POST /places/{place}", o.putPlace),
		edit("POST /api/v1/places/{place}", o.putPlace),
		edit("POST /places/{place}/remove", o.removePlace),
		view("GET /calendar", o.calendarPage),
		view("GET /api/v1/calendar", o.apiCalendar),
		edit("POST /calendar", o.putCalendar),
		edit("POST /api/v1/calendar", o.putCalendar),
		view("GET /bells", o.bellsPage),
		view("GET /api/v1/bells", o.apiCalendar),
		edit("GET /bells/{set}", o.bellPage),
		edit("POST /bells/{set}", o.putBells),
		edit("POST /api/v1/bells/{set}", o.putBells),
		edit("POST /bells/{set}/remove", o.removeBells),
	}...)
}
