// Package usage is the register of footage use: applications, decisions, their documents, and holds.
package usage

import (
	"embed"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/site"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/viewing"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
)

// Templates are the pages of this package.
//
//go:embed *.html
var Templates embed.FS

// Deps is what these pages need.
type Deps struct {
	Info     frame.Info
	Ledger   *ledgerdb.Store
	Site     *site.Site
	Status   frame.Status
	Usage    *usage.Register
	Viewings *viewing.Viewings
	Zone     *time.Location
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

type handler = func(*call) error

// Routes are the addresses of this package with their permissions.
func (o *Pages) Routes() []frame.Route {
	on := o.on()
	return []frame.Route{
		{Pattern: "GET /applications", Action: account.ActApplicationList, Subject: frame.Anything, Handle: on.Do(o.applicationsPage)},
		{Pattern: "GET /applications/mine", Action: account.ActApplicationCreate, Subject: on.About(mayApply), Handle: on.Do(o.myApplications)},
		{Pattern: "GET /applications/new", Action: account.ActApplicationCreate, Subject: on.About(mayApply), Handle: on.Do(o.applyPage)},
		{Pattern: "POST /applications/new", Action: account.ActApplicationCreate, Subject: on.About(mayApply), Handle: on.Do(o.submit)},
		{Pattern: "GET /applications/availability", Action: account.ActRibbonView, Subject: frame.Anything, Handle: on.Do(o.availability)},
		{Pattern: "GET /applications/{id}", Action: account.ActApplicationView, Subject: on.About(applicationSubject), Handle: on.Do(o.applicationPage)},
		{Pattern: "GET /applications/{id}/form", Action: account.ActApplicationView, Subject: on.About(applicationSubject), Handle: on.Do(o.formDocument)},
		{Pattern: "GET /applications/{id}/notice", Action: account.ActApplicationView, Subject: on.About(applicationSubject), Handle: on.Do(o.noticeDocument)},
		{Pattern: "GET /applications/{id}/rejection", Action: account.ActApplicationView, Subject: on.About(applicationSubject), Handle: on.Do(o.rejectionDocument)},
		{Pattern: "POST /applications/{id}/decide", Action: account.ActApplicationDecide, Subject: on.About(applicationSubject), Handle: on.Do(o.decide)},
		{Pattern: "POST /applications/{id}/take", Action: account.ActApplicationReview, Subject: on.About(applicationSubject), Handle: on.Do(o.step("done.taken", o.startReview))},
		{Pattern: "POST /applications/{id}/return", Action: account.ActApplicationReview, Subject: on.About(applicationSubject), Handle: on.Do(o.step("done.returned", o.returnApplication))},
		{Pattern: "POST /applications/{id}/accept", Action: account.ActApplicationReview, Subject: on.About(applicationSubject), Handle: on.Do(o.step("done.accepted", o.accept))},
		{Pattern: "POST /applications/{id}/revoke", Action: account.ActApplicationDecide, Subject: on.About(applicationSubject), Handle: on.Do(o.step("done.revoked", o.revoke))},
		{Pattern: "POST /applications/{id}/extend", Action: account.ActApplicationDecide, Subject: on.About(applicationSubject), Handle: on.Do(o.step("done.extended", o.extend))},
		{Pattern: "POST /applications/{id}/withdraw", Action: account.ActApplicationWithdraw, Subject: on.About(applicationSubject), Handle: on.Do(o.step("done.withdrawn", o.withdraw))},
		{Pattern: "POST /applications/{id}/report", Action: account.ActApplicationWithdraw, Subject: on.About(applicationSubject), Handle: on.Do(o.step("done.reported", o.report))},
		{Pattern: "POST /applications/{id}/print", Action: account.ActApplicationView, Subject: on.About(applicationSubject), Handle: on.Do(o.printDocument)},
		{Pattern: "GET /holds", Action: account.ActHoldView, Subject: frame.Anything, Handle: on.Do(o.holdsPage)},
		{Pattern: "POST /holds/{id}/propose", Action: account.ActHoldPropose, Subject: on.About(holdSubject), Handle: on.Do(o.proposeRelease)},
		{Pattern: "POST /holds/{id}/confirm", Action: account.ActHoldRelease, Subject: on.About(holdSubject), Handle: on.Do(o.confirmRelease)},
		{Pattern: "POST /holds/{id}/keep", Action: account.ActHoldPropose, Subject: on.About(holdSubject), Handle: on.Do(o.keepHold)},
		{Pattern: "GET /api/v1/applications", Action: account.ActApplicationList, Subject: frame.Anything, Handle: on.Do(o.apiApplications)},
		{Pattern: "GET /api/v1/applications/{id}", Action: account.ActApplicationView, Subject: on.About(applicationSubject), Handle: on.Do(o.apiApplication)},
		{Pattern: "GET /api/v1/applications/mine", Action: account.ActApplicationCreate, Subject: on.About(mayApply), Handle: on.Do(o.apiMine)},
		{Pattern: "GET /api/v1/applications/availability", Action: account.ActRibbonView, Subject: frame.Anything, Handle: on.Do(o.apiAvailability)},
		{Pattern: "GET /api/v1/holds", Action: account.ActHoldView, Subject: frame.Anything, Handle: on.Do(o.apiHolds)},
	}
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}

// Needs are what waits for the person who asks.
func (o *Pages) Needs(c *frame.Call) ([]frame.Need, error) {
	mine := &call{c, o}
	out, err := mine.applicationNeeds()
	if err != nil {
		return nil, err
	}
	more, err := mine.holdNeeds()
	return append(out, more...), err
}
