// Package log searches the access log, shows one entry with its proof, and exports.
package log

import (
	"context"
	"embed"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
	"campuskeep/firmware/usage"
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
	People *people.People
	Site   *site.Site
	Usage  *usage.Register
	Zone   *time.Location
}

// Pages are the pages of this subject; all methods are safe for concurrent use.
type Pages struct {
	*entrytext.Words
	d        Deps
	branches branches
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
		{Pattern: "GET /log", Action: account.ActLogSearch, Subject: frame.Anything, Handle: on.Do(o.logPage)},
		{Pattern: "POST /log/export", Action: account.ActLogExport, Subject: frame.Anything, Handle: on.Do(o.exportLog)},
		{Pattern: "GET /log/{seq}", Action: account.ActLogProof, Subject: frame.Anything, Handle: on.Do(o.entryPage)},
		{Pattern: "POST /log/{seq}/close", Action: account.ActLogSearch, Subject: frame.Anything, Handle: on.Do(o.closeBranch)},
		{Pattern: "GET /log/{seq}/proof", Action: account.ActLogProof, Subject: frame.Anything, Handle: on.Do(o.proof)},
		{Pattern: "GET /api/v1/log", Action: account.ActLogSearch, Subject: frame.Anything, Handle: on.Do(o.apiLog)},
		{Pattern: "GET /api/v1/log/{seq}", Action: account.ActLogProof, Subject: frame.Anything, Handle: on.Do(o.apiEntry)},
	}
}

func (o *Pages) on() frame.Binder[*call] {
	return func(c *frame.Call) *call { return &call{c, o} }
}

// Needs are what waits for the person who asks.
func (o *Pages) Needs(c *frame.Call) ([]frame.Need, error) {
	return (&call{c, o}).branchNeeds()
}

// Branched says whether a roll-back of the log is not closed.
func (o *Pages) Branched(ctx context.Context) (bool, error) {
	open, err := o.branches.Open(ctx, o.d.Ledger)
	return len(open) > 0, err
}
