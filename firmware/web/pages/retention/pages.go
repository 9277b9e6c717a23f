// Package retention shows what proves that footage is kept and deleted on time: forecast, deleted days with their
// certificates, monthly reports.
package retention

import (
	"context"
	"embed"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/retention"
	"campuskeep/firmware/site"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/timeline"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

// Templates are the pages of this package.
//
//go:embed *.html
var Templates embed.FS

// Deps is what these pages need.
type Deps struct {
	Certificates CertificateService
	Info         frame.Info
	Ledger       *ledgerdb.Store
	Site         *site.Site
	Status       frame.Status
	Time         frame.Timekeeper
	Usage        *usage.Register
	Zone         *time.Location
}

// CertificateService writes deletion certificates and monthly reports. *retention.Certificates is one.
type CertificateService interface {
	DeletedDays(ctx context.Context, f retention.DayFilter) (days []retention.DeletedDay, next uint64, err error)
	Day(ctx context.Context, camera, day string) (packet.Declared, packet.Day, error)
	// Issued is the entry that binds the present certificate; ok is false when it was not issued yet.
	Issued(ctx context.Context, camera, day string) (seq uint64, ok bool, err error)
	// Issue makes the certificate; the issue is an entry, made once for the same words.
	Issue(ctx context.Context, by account.Who, role account.Role, camera, day string) (packet.Certificate, packet.Day, error)
	// InService lists the cameras that were in service at any time of a month.
	InService(ctx context.Context, month string) ([]string, error)
	// Months reports on cameras, in their order.
	Months(ctx context.Context, cameras []string, month string) ([]footage.MonthReport, error)
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
		{Pattern: "GET /keeping", Action: account.ActFootageRetentionView, Subject: frame.Anything, Handle: on.Do(o.retentionPage)},
		{Pattern: "GET /keeping/days", Action: account.ActFootageRetentionView, Subject: frame.Anything, Handle: on.Do(o.daysPage)},
		{Pattern: "POST /keeping/days/print", Action: account.ActFootageRetentionPrint, Subject: frame.Anything, Handle: on.Do(o.printDays)},
		{Pattern: "GET /keeping/certificate/{camera}/{day}", Action: account.ActFootageRetentionView, Subject: on.About(aCameraDay), Handle: on.Do(o.certificatePage)},
		{Pattern: "POST /keeping/certificate/{camera}/{day}", Action: account.ActFootageRetentionPrint, Subject: on.About(aCameraDay), Handle: on.Do(o.downloadCertificate)},
		{Pattern: "GET /keeping/report", Action: account.ActFootageRetentionView, Subject: frame.Anything, Handle: on.Do(o.reportPage)},
		{Pattern: "POST /keeping/report", Action: account.ActFootageRetentionPrint, Subject: frame.Anything, Handle: on.Do(o.downloadReport)},
		{Pattern: "GET /api/v1/keeping", Action: account.ActFootageRetentionView, Subject: frame.Anything, Handle: on.Do(o.apiRetention)},
		{Pattern: "GET /api/v1/keeping/report", Action: account.ActFootageRetentionView, Subject: frame.Anything, Handle: on.Do(o.apiReport)},
		{Pattern: "GET /api/v1/keeping/certificate/{camera}/{day}", Action: account.ActFootageRetentionView, Subject: on.About(aCameraDay), Handle: on.Do(o.apiCertificate)},
		{Pattern: "GET /api/v1/keeping/days", Action: account.ActFootageRetentionView, Subject: frame.Anything, Handle: on.Do(o.apiDays)},
	}
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}
