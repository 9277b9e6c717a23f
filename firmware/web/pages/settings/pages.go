// Package settings is the school's settings, the rules in words, and how to trust this box.
package settings

import (
	"embed"

	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
)

// Templates are the pages of this package.
//
//go:embed *.html
var Templates embed.FS

// Deps is what these pages need.
type Deps struct {
	Info   frame.Info
	Site   *site.Site
	Status frame.Status
}

// Pages are the pages of this subject; all methods are safe for concurrent use.
type Pages struct {
	*frame.Server
	d Deps
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
	on := o.on()
	return []frame.Route{
		{Pattern: "GET /trust", Action: account.ActPublic, Handle: on.Do(o.trustPage)},
		{Pattern: "GET /trust/root.crt", Action: account.ActPublic, Handle: on.Do(o.root)},
		{Pattern: "GET /rules", Action: account.ActPublic, Handle: on.Do(o.rulesPage)},
		{Pattern: "GET /settings", Action: account.ActSettings, Subject: frame.Anything, Handle: on.Do(o.settingsPage)},
		{Pattern: "POST /settings", Action: account.ActSettings, Subject: frame.Anything, Handle: on.Do(o.putSettings)},
		{Pattern: "GET /api/v1/settings", Action: account.ActSettings, Subject: frame.Anything, Handle: on.Do(o.apiSettings)},
	}
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}
