// Package retention shows what proves that footage is kept and deleted on time: forecast, deleted days with their
// certificates, monthly reports.
package retention

import (
	"embed"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/site"
	"campuskeep/firmware/usage"
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
	Certificates frame.CertificateService
	Info         frame.Info
	Ledger       *ledgerdb.Store
	Site         *site.Site
	Status       frame.Status
	Time         frame.Timekeeper
	Usage        *usage.Register
	Zone         *time.Location
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
		{Pattern: "GET /keeping", Action: account.ActKeepingView, Subject: frame.Anything, Handle: on.Do(o.retentionPage)},
		{Pattern: "GET /keeping/days", Action: account.ActKeepingView, Subject: frame.Anything, Handle: on.Do(o.daysPage)},
		{Pattern: "POST /keeping/days/print", Action: account.ActKeepingPaper, Subject: frame.Anything, Handle: on.Do(o.printDays)},
		{Pattern: "GET /keeping/certificate/{camera}/{day}", Action: account.ActKeepingView, Subject: on.About(aCameraDay), Handle: on.Do(o.certificatePage)},
		{Pattern: "POST /keeping/certificate/{camera}/{day}", Action: account.ActKeepingPaper, Subject: on.About(aCameraDay), Handle: on.Do(o.downloadCertificate)},
		{Pattern: "GET /keeping/report", Action: account.ActKeepingView, Subject: frame.Anything, Handle: on.Do(o.reportPage)},
		{Pattern: "POST /keeping/report", Action: account.ActKeepingPaper, Subject: frame.Anything, Handle: on.Do(o.downloadReport)},
		{Pattern: "GET /api/v1/keeping", Action: account.ActKeepingView, Subject: frame.Anything, Handle: on.Do(o.apiRetention)},
		{Pattern: "GET /api/v1/keeping/report", Action: account.ActKeepingView, Subject: frame.Anything, Handle: on.Do(o.apiReport)},
		{Pattern: "GET /api/v1/keeping/certificate/{camera}/{day}", Action: account.ActKeepingView, Subject: on.About(aCameraDay), Handle: on.Do(o.apiCertificate)},
		{Pattern: "GET /api/v1/keeping/days", Action: account.ActKeepingView, Subject: frame.Anything, Handle: on.Do(o.apiDays)},
	}
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}
