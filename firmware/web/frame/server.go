// Package frame is what all pages share: the request with who asks and what they may, the frame around a page, widgets,
// forms, live parts, copies on paper and spreadsheets.
//
// It must never let a handler run that account.May did not allow for this person at this moment.
package frame

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"campuskeep/firmware/health"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/viewing"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/ui"
	weblib "campuskeep/shared/lib/web"
)

//go:embed *.html
var templates embed.FS

// Deps is what every page needs.
type Deps struct {
	Log      *slog.Logger
	Clock    clock.Clock
	Zone     *time.Location // of the school
	Info     Info
	Ledger   *ledgerdb.Store
	People   *people.People
	Site     *site.Site
	Usage    *usage.Register
	Viewings *viewing.Viewings
	Time     Timekeeper
	Health   *health.Monitor
	Status   Status
	Signed   func(person string) bool // whether agreement and training are on file (S36)
}

// Server holds what the pages share. All methods are safe for concurrent use.
type Server struct {
	d         Deps
	Pages     *ui.Pages
	Assets    *ui.Assets
	stopping  chan struct{}   // closed when the program stops: live pages let go
	Handing   sync.Mutex      // one copy of a document at a time, so that no two have one number
	ByAddress *weblib.Limiter // everything but footage
	byMedia   *weblib.Limiter
	ByLogin   *weblib.Limiter
	notes     []func(*Call) []ui.Note // what a subject says on every page; written before anything is served
}

// AddNotes adds what a subject says on every page. It is called while the pages are put together.
func (o *Server) AddNotes(f func(*Call) []ui.Note) { o.notes = append(o.notes, f) }

// New makes what the pages share, with the templates of all of them. It starts nothing.
func New(d Deps, pages ...fs.FS) (*Server, error) {
	if d.Log == nil || d.Clock == nil || d.Zone == nil {
		return nil, errors.New("pages: log, clock and zone are needed")
	}
	assets, err := ui.LoadAssets()
	if err != nil {
		return nil, fmt.Errorf("load the browser files: %w", err)
	}
	o := &Server{d: d, Assets: assets, stopping: make(chan struct{}), ByAddress: weblib.NewLimiter(40, 400), byMedia: weblib.NewLimiter(60, 600), ByLogin: weblib.NewLimiter(0.5, 10)}
	if o.Pages, err = ui.NewPages(append([]fs.FS{templates}, pages...), d.Zone, assets, o.templateFuncs); err != nil {
		return nil, fmt.Errorf("read the page templates: %w", err)
	}
	return o, nil
}

// Stop ends the live pages. It is called once.
func (o *Server) Stop() { close(o.stopping) }

// NeedsFunc says what of one subject waits for the person who asks.
type NeedsFunc func(*Call) ([]Need, error)

// Binder gives the routes of a page package handlers that take the package's own call.
type Binder[C any] func(*Call) C

// Do is the handler of a route.
func (b Binder[C]) Do(h func(C) error) Handler { return func(c *Call) error { return h(b(c)) } }

// About is what a route is about.
func (b Binder[C]) About(s func(C) (account.Subject, error)) SubjectFunc {
	return func(c *Call) (account.Subject, error) { return s(b(c)) }
}

// templateFuncs are the functions of page templates that need the server.
func (o *Server) templateFuncs(p ui.Printer) template.FuncMap {
	return template.FuncMap{
		"personName": o.Name,
		"cameraName": o.CameraName,
		"appNo":      AppNumber,
		"gapName":    func(c footage.Cause) string { return GapName(p, c) },
		"gapChar":    func(c footage.Cause) string { return GapChar(p, c) },
		"gapTone":    GapTone,
		"causes":     func() []footage.Cause { return legend },
	}
}
