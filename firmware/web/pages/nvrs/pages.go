// Package nvrs is the register of NVRs: discovery, channels, other ways to the footage, checks.
package nvrs

import (
	"context"
	"embed"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/nvr"
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
	Info   frame.Info
	Ledger *ledgerdb.Store
	NVRs   NVRs
	People *people.People
	Site   *site.Site
	Status frame.Status
	Zone   *time.Location
}

// NVRs is the register of NVRs at work. *nvr.Registry is one.
type NVRs interface {
	NVRs() ([]nvr.Overview, error)
	NVR(id string) (nvr.Overview, error)
	Begin(by account.Who, id, what string) error
	Edit(ctx context.Context, by account.Who, id string, e nvr.Edit) error
	Reassign(ctx context.Context, by account.Who, id string, rev uint64, channels map[string]int, since time.Time) error
	Retire(ctx context.Context, by account.Who, id string, rev uint64, reason string, cameras []string) error
	Restore(ctx context.Context, by account.Who, id string, rev uint64, reason string, cameras []string) error
	StartDiscovery(by account.Who, d nvr.Device, login site.Login) (id string, err error)
	Discovered(by account.Who, id string) (nvr.Discovered, error)
	Adopt(ctx context.Context, by account.Who, discovery string, p nvr.Plan) (id string, err error)
	AccessList(id string) (l nvr.AccessList, ok bool, err error)
	Sign(ctx context.Context, by account.Who, name, id string, read time.Time, replies map[string]nvr.Reply) (nvr.AccessList, error)
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

type handler = func(*call) error

// Routes are the addresses of this package with their permissions.
func (o *Pages) Routes() []frame.Route {
	on := o.on()
	return []frame.Route{
		{Pattern: "GET /nvrs", Action: account.ActNVRsView, Subject: frame.Anything, Handle: on.Do(o.nvrsPage)},
		{Pattern: "GET /nvrs/new", Action: account.ActNVRsEdit, Subject: frame.Anything, Handle: on.Do(o.newNVRPage)},
		{Pattern: "POST /nvrs/new", Action: account.ActNVRsEdit, Subject: frame.Anything, Handle: on.Do(o.lookNVR)},
		{Pattern: "GET /nvr-looks/{look}", Action: account.ActNVRsEdit, Subject: frame.Anything, Handle: on.Do(o.nvrLookPage)},
		{Pattern: "POST /nvr-looks/{look}", Action: account.ActNVRsEdit, Subject: frame.Anything, Handle: on.Do(o.adoptNVR)},
		{Pattern: "GET /nvrs/{id}", Action: account.ActNVRsView, Subject: frame.Anything, Handle: on.Do(o.nvrPage)},
		{Pattern: "GET /nvrs/{id}/edit", Action: account.ActNVRsEdit, Subject: frame.Anything, Handle: on.Do(o.editNVRPage)},
		{Pattern: "POST /nvrs/{id}", Action: account.ActNVRsEdit, Subject: frame.Anything, Handle: on.Do(o.putNVR)},
		{Pattern: "POST /nvrs/{id}/channels", Action: account.ActNVRsEdit, Subject: frame.Anything, Handle: on.Do(o.rewireNVR)},
		{Pattern: "GET /nvrs/{id}/retire", Action: account.ActNVRsEdit, Subject: frame.Anything, Handle: on.Do(o.nvrServicePage(true))},
		{Pattern: "POST /nvrs/{id}/retire", Action: account.ActNVRsEdit, Subject: frame.Anything, Handle: on.Do(o.serveNVR(true))},
		{Pattern: "GET /nvrs/{id}/restore", Action: account.ActNVRsEdit, Subject: frame.Anything, Handle: on.Do(o.nvrServicePage(false))},
		{Pattern: "POST /nvrs/{id}/restore", Action: account.ActNVRsEdit, Subject: frame.Anything, Handle: on.Do(o.serveNVR(false))},
		{Pattern: "POST /nvrs/{id}/check", Action: account.ActNVRsView, Subject: frame.Anything, Handle: on.Do(o.beginAt(nvr.WorkCheck))},
		{Pattern: "POST /nvrs/{id}/expiry", Action: account.ActNVRsEdit, Subject: frame.Anything, Handle: on.Do(o.beginAt(nvr.WorkExpiry))},
		{Pattern: "GET /nvrs/{id}/access-paths", Action: account.ActNVRsView, Subject: frame.Anything, Handle: on.Do(o.pathsPage)},
		{Pattern: "POST /nvrs/{id}/access-paths", Action: account.ActNVRsEdit, Subject: frame.Anything, Handle: on.Do(o.signPaths)},
		{Pattern: "GET /api/v1/nvrs", Action: account.ActNVRsView, Subject: frame.Anything, Handle: on.Do(o.apiNVRs)},
		{Pattern: "GET /api/v1/nvrs/{id}", Action: account.ActNVRsView, Subject: frame.Anything, Handle: on.Do(o.apiNVR)},
		{Pattern: "GET /api/v1/nvrs/{id}/access-paths", Action: account.ActNVRsView, Subject: frame.Anything, Handle: on.Do(o.apiPaths)},
		{Pattern: "POST /nvrs/{id}/access-paths/read", Action: account.ActNVRsEdit, Subject: frame.Anything, Handle: on.Do(o.beginAt(nvr.WorkAccess))},
	}
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}
