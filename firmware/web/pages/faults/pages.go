// Package faults shows what is out of order: open faults of cameras and NVRs, whom they wait for, and who has taken
// them.
package faults

import (
	"embed"

	"campuskeep/firmware/health"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/entrytext"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
)

// Templates are the pages of this package.
//
//go:embed *.html
var Templates embed.FS

// Deps is what these pages need.
type Deps struct {
	Health *health.Monitor
	Site   *site.Site
	Status frame.Status
}

// Pages are the pages of this subject; all methods are safe for concurrent use.
type Pages struct {
	*entrytext.Words
	d Deps
}

// New makes the pages; it starts nothing.
func New(w *entrytext.Words, d Deps) *Pages {
	return &Pages{Words: w, d: d}
}

// call is one request, with the pages that answer it.
type call struct {
	*frame.Call
	o *Pages
}

// Routes are the addresses of this package with their permissions.
func (o *Pages) Routes() []frame.Route {
	on := o.on()
	return []frame.Route{
		{Pattern: "GET /faults", Action: account.ActFaultsView, Subject: frame.Self, Handle: on.Do(o.faultsPage)},
		{Pattern: "POST /faults/{id}/take", Action: account.ActFaultsTake, Subject: on.About(faultSubject), Handle: on.Do(o.acknowledgeFault)},
		{Pattern: "GET /api/v1/faults", Action: account.ActFaultsView, Subject: frame.Self, Handle: on.Do(o.apiFaults)},
	}
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}

// Needs are what waits for the person who asks.
func (o *Pages) Needs(c *frame.Call) ([]frame.Need, error) {
	return (&call{c, o}).cameraNeeds()
}
