// Package shifts is the control room: signing in, hand-over, and the sheet of a day of duty.
package shifts

import (
	"embed"
	"time"

	"campuskeep/firmware/health"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/viewing"
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
	Health   *health.Monitor
	Info     frame.Info
	Ledger   *ledgerdb.Store
	People   *people.People
	Usage    *usage.Register
	Viewings *viewing.Viewings
	Zone     *time.Location
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
		{Pattern: "POST /logout", Action: account.ActSelf, Subject: frame.Self, Handle: on.Do(o.logout)},
		{Pattern: "POST /shift/begin", Action: account.ActShift, Subject: frame.Self, Handle: on.Do(o.beginShift)},
		{Pattern: "POST /shift/end", Action: account.ActShift, Subject: frame.Self, Handle: on.Do(o.endShift)},
		{Pattern: "GET /shift/leave", Action: account.ActShift, Subject: frame.Self, Handle: on.Do(o.leavePage)},
		{Pattern: "GET /shift/handover", Action: account.ActShift, Subject: frame.Self, Handle: on.Do(o.handoverPage)},
		{Pattern: "POST /shift/handover", Action: account.ActShift, Subject: frame.Self, Handle: on.Do(o.offerShift)},
		{Pattern: "POST /shift/sign", Action: account.ActShift, Subject: frame.Self, Handle: on.Do(o.signShift)},
		{Pattern: "GET /duty", Action: account.ActDutyView, Subject: frame.Anything, Handle: on.Do(o.dutyPage)},
		{Pattern: "POST /duty/print", Action: account.ActDutyView, Subject: frame.Anything, Handle: on.Do(o.printDuty)},
		{Pattern: "GET /duty/sheet", Action: account.ActDutyView, Subject: frame.Anything, Handle: on.Do(o.printableDuty)},
		{Pattern: "GET /api/v1/duty", Action: account.ActDutyView, Subject: frame.Anything, Handle: on.Do(o.apiDuty)},
		{Pattern: "POST /duty/export", Action: account.ActDutyView, Subject: frame.Anything, Handle: on.Do(o.exportDuty)},
	}
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}

// Needs are what waits for the person who asks.
func (o *Pages) Needs(c *frame.Call) ([]frame.Need, error) {
	return (&call{c, o}).shiftNeeds()
}
