// Package web serves the local web pages of every role, and the same things as JSON.
//
// It owns the routes, the page templates and the viewings that browsers hold open, and no other state: what a
// page shows comes from the packages below, what a form changes goes through them. It must never give out
// anything that account.May did not allow for this person at this moment, nor a byte of footage whose entry
// is not committed.
package web

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"sync"
	"time"

	"campuskeep/shared/footage"
	"campuskeep/shared/lib/ui"
	weblib "campuskeep/shared/lib/web"
)

//go:embed pages/*.html
var pageFiles embed.FS

// Server is the office page. All methods are safe for concurrent use.
type Server struct {
	d        Deps
	pages    *ui.Pages
	assets   *ui.Assets
	routes   *router
	handler  http.Handler
	coverage *coverage
	gapCache *gapCache
	branches branches
	needs    []func(*call) ([]need, error) // by subject: what waits for a person
	api      []byte                        // the OpenAPI document

	pending  *pending
	imports  *imports
	handing  sync.Mutex    // one copy of a document at a time, so that no two have one number
	stopping chan struct{} // closed when Run ends: live pages let go

	scans     scanCounter
	byAddress *weblib.Limiter // everything but footage
	byMedia   *weblib.Limiter
	byLogin   *weblib.Limiter
}

// New builds the office page: it parses the templates, checks that every route has its permission, and
// starts nothing.
func New(d Deps) (*Server, error) {
	if d.Log == nil || d.Clock == nil || d.Zone == nil {
		return nil, errors.New("office: log, clock and zone are needed")
	}
	assets, err := ui.LoadAssets()
	if err != nil {
		return nil, fmt.Errorf("start the office page: %w", err)
	}
	o := &Server{
		d: d, assets: assets,
		coverage: newCoverage(d.Footage), gapCache: newGapCache(d.Ledger, d.Time.Anchors), pending: newPending(), imports: newImports(), stopping: make(chan struct{}),
		byAddress: weblib.NewLimiter(40, 400), byMedia: weblib.NewLimiter(60, 600), byLogin: weblib.NewLimiter(0.5, 10),
	}
	o.needs = []func(*call) ([]need, error){(*call).applicationNeeds, (*call).holdNeeds, (*call).cameraNeeds, (*call).clockNeeds, (*call).shiftNeeds,
		(*call).dutyNeeds, (*call).branchNeeds, (*call).readerNeeds}
	pages, err := fs.Sub(pageFiles, "pages")
	if err != nil {
		return nil, fmt.Errorf("open the page templates: %w", err)
	}
	if o.pages, err = ui.NewPages([]fs.FS{pages}, d.Zone, assets, o.templateFuncs); err != nil {
		return nil, fmt.Errorf("start the office page: %w", err)
	}
	if o.routes, err = newRouter(o.table(), o.serve); err != nil {
		return nil, err
	}
	if o.api, err = describe(o.routes.routes); err != nil {
		return nil, err
	}
	o.handler = o.countRequests(weblib.Guard(o.d.Log, o.assets, o.routes))
	return o, nil
}

// Handler serves the pages; it answers only over TLS.
func (o *Server) Handler() http.Handler { return o.handler }

// coverageEvery is how often it is read again where footage lies.
const coverageEvery = 15 * time.Second

// Run keeps what pages show of the footage up to date, until ctx ends; live pages end then. It runs once.
func (o *Server) Run(ctx context.Context) error {
	defer close(o.stopping)
	tick := time.NewTicker(coverageEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			now := o.d.Clock.Now()
			if err := o.coverage.refresh(ctx, now.Wall, now.Mono); err != nil && ctx.Err() == nil {
				o.d.Log.Error("where footage lies could not be read again", "err", err)
			}
		}
	}
}

// templateFuncs are the functions of page templates that need the server.
func (o *Server) templateFuncs(p ui.Printer) template.FuncMap {
	return template.FuncMap{
		"personName": o.name,
		"cameraName": o.cameraName,
		"appNo":      appNumber,
		"gapName":    func(c footage.Cause) string { return gapName(p, c) },
		"gapChar":    func(c footage.Cause) string { return gapChar(p, c) },
		"gapTone":    gapTone,
		"causes":     func() []footage.Cause { return legend },
	}
}
