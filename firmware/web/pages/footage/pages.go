// Package footage shows where footage lies: the ribbon of all cameras and the day of one.
package footage

import (
	"embed"
	"time"

	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/timeline"
	"campuskeep/shared/account"
)

// Templates are the pages of this package.
//
//go:embed *.html
var Templates embed.FS

// Deps is what these pages need.
type Deps struct {
	Site   *site.Site
	Status frame.Status
	Zone   *time.Location
}

// Pages are the pages of this subject; all methods are safe for concurrent use.
type Pages struct {
	*timeline.Timeline
	d Deps
}

// New makes the pages; it starts nothing.
func New(t *timeline.Timeline, d Deps) *Pages {
	return &Pages{Timeline: t, d: d}
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
		{Pattern: "GET /footage", Action: account.ActRibbonView, Subject: frame.Anything, Handle: on.Do(o.footagePage)},
		{Pattern: "GET /api/v1/ribbon", Action: account.ActRibbonView, Subject: frame.Anything, Handle: on.Do(o.apiRibbon)},
	}
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}
