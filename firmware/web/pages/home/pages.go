// Package home is the first page: whether all is in order, what waits for this person, what can be proved; and the
// page of the clock.
package home

import (
	"context"
	"embed"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
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
	Gate   frame.Gate
	Info   frame.Info
	Ledger *ledgerdb.Store
	People *people.People
	Site   *site.Site
	Status frame.Status
	Time   frame.Timekeeper
	Zone   *time.Location
	// Needs are what the other subjects say that waits for a person.
	Needs []frame.NeedsFunc
	// Branched says whether a roll-back of the log is open.
	Branched func(context.Context) (bool, error)
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
		{Pattern: "GET /{$}", Action: account.ActStatusView, Subject: frame.Anything, Handle: on.Do(o.todayPage)},
		{Pattern: "GET /clock", Action: account.ActStatusView, Subject: frame.Anything, Handle: on.Do(o.clockPage)},
		{Pattern: "POST /clock", Action: account.ActClockConfirm, Subject: frame.Anything, Handle: on.Do(o.confirmClock)},
		{Pattern: "GET /events/log", Action: account.ActLogSearch, Subject: frame.Anything, Handle: on.Do(o.liveLog), Stream: true},
		{Pattern: "GET /api/v1/clock", Action: account.ActStatusView, Subject: frame.Anything, Handle: on.Do(o.apiClock)},
		{Pattern: "GET /api/v1/status", Action: account.ActStatusView, Subject: frame.Anything, Handle: on.Do(o.apiStatus)},
	}
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}

// Needs are what waits for the person who asks.
func (o *Pages) Needs(c *frame.Call) ([]frame.Need, error) {
	return (&call{c, o}).clockNeeds()
}
