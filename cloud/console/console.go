// Package console serves the central office's pages: which schools there are, how far their logs are
// witnessed, who asks for footage, who is at school today, and what needs a person.
//
// It owns the routes, the templates and the log-ins of the centre's people; all it shows comes from
// cloud/centredb. It must never show what a school did not release, and never changes a school's log.
package console

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"campuskeep/cloud/centredb"
	"campuskeep/cloud/console/words"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/lib/web"
	"campuskeep/shared/login"
	"campuskeep/shared/usage"
)

//go:embed pages/*.html
var pageFiles embed.FS

// Enrolment hands out and withdraws the right to connect. cloud/enrol is one.
type Enrolment interface {
	// Token registers an appliance, or gives an existing one a new token; the token is shown once.
	// Under another name than the school's own it is centredb.ErrExists.
	Token(ctx context.Context, id, school string) (token string, until time.Time, err error)
	// Deny refuses an appliance from now on and closes its connection; an empty reason lifts it.
	Deny(ctx context.Context, id, why string) error
}

// Deps is all that the console needs.
type Deps struct {
	Log     *slog.Logger
	Clock   clock.Clock
	Zone    *time.Location
	School  string // 云汀区教育局
	Version string
	Store   centredb.Store
	Enrol   Enrolment
	Key     []byte       // secret of this centre, from a file; second factors derive from it
	CAPrint string       // fingerprint of the centre's authority, as appliances are configured with it
	Address string       // where appliances enrol
	Metrics http.Handler // answers /metrics to this machine alone; nil: there is none

	Certificates func() []Certificate // nil: none are shown
}

// Certificate is one that the centre depends on.
type Certificate struct {
	Name    string // authority, server, client or broker
	Until   time.Time
	Renewed bool // by the centre itself
	Soon    bool // it ends soon, and somebody must renew it
}

// Console is the centre's page. Its methods are safe for concurrent use.
type Console struct {
	d       Deps
	pages   *ui.Pages
	assets  *ui.Assets
	routes  []web.Route[*call]
	handler http.Handler

	byAddress *web.Limiter
	byLogin   *web.Limiter

	guard    *login.Guard // "u:…" names, "a:…" networks, "d:…" devices that a person has used
	verifier login.Verifier
	storm    atomic.Pointer[time.Time] // when many log-ins were last refused
	writing  sync.Mutex                // held from comparing to writing a person's secret
	setting  sync.Mutex                // held while the first person is made
}

// needsSetUp says whether there is nobody yet who could log in.
func (c *Console) needsSetUp(ctx context.Context) (bool, error) {
	all, err := c.d.Store.ListPeople(ctx)
	if err != nil {
		return false, fmt.Errorf("list people: %w", err)
	}
	return len(all) == 0, nil
}

// setupLife is how long the code for the first person may be used.
const setupLife = 24 * time.Hour

// SetUpCode makes the one-time code for the first person; an earlier one is void. Empty: there is somebody already.
func SetUpCode(ctx context.Context, people centredb.People, now time.Time) (code string, err error) {
	all, err := people.ListPeople(ctx)
	if err != nil || len(all) > 0 {
		return "", err
	}
	code, hash := login.NewSetupCode()
	return code, people.PutSetupCode(ctx, hash, now.Add(setupLife))
}

// New builds the console and starts nothing.
func New(ctx context.Context, d Deps) (*Console, error) {
	if d.Log == nil || d.Clock == nil || d.Zone == nil || d.Store == nil || d.Enrol == nil {
		return nil, errors.New("console: log, clock, zone, store and enrolment are needed")
	}
	if len(d.Key) < 32 {
		return nil, fmt.Errorf("console: the centre's key has %d bytes, want at least 32", len(d.Key))
	}
	assets, err := ui.LoadAssets()
	if err != nil {
		return nil, fmt.Errorf("start the console: %w", err)
	}
	c := &Console{d: d, assets: assets, byAddress: web.NewLimiter(20, 200), byLogin: web.NewLimiter(0.5, 10), verifier: login.NewVerifier(login.Cost)}
	counted, err := d.Store.AllAttempts(ctx)
	if err != nil {
		return nil, fmt.Errorf("start the console: read the failed log-ins: %w", err)
	}
	c.guard = login.NewGuard(hashers, counted)
	pages, err := fs.Sub(pageFiles, "pages")
	if err != nil {
		return nil, fmt.Errorf("open the page templates: %w", err)
	}
	if c.pages, err = ui.NewPages([]fs.FS{pages}, d.Zone, assets, templateFuncs); err != nil {
		return nil, fmt.Errorf("start the console: %w", err)
	}
	c.routes = c.table()
	mux, err := web.Router(c.routes, c.serve)
	if err != nil {
		return nil, err
	}
	c.handler = web.Guard(d.Log, assets, mux)
	return c, nil
}

func (c *Console) certificates() []Certificate {
	if c.d.Certificates == nil {
		return nil
	}
	return c.d.Certificates()
}

// Handler serves the pages; it answers only over TLS.
func (c *Console) Handler() http.Handler { return c.handler }

func (c *Console) table() []web.Route[*call] {
	get, post := "GET ", "POST "
	return []web.Route[*call]{
		{Pattern: get + "/login", Action: account.ActPublic, Handle: (*call).loginPage},
		{Pattern: post + "/login", Action: account.ActPublic, Handle: (*call).login},
		{Pattern: post + "/language", Action: account.ActPublic, Handle: (*call).language},
		{Pattern: get + "/healthz", Action: account.ActPublic, Handle: (*call).health},
		{Pattern: get + "/metrics", Action: account.ActPublic, Handle: (*call).metrics},
		{Pattern: post + "/logout", Action: account.ActSelf, Subject: self, Handle: (*call).logout},
		{Pattern: get + "/setup", Action: account.ActPublic, Handle: (*call).setupPage},
		{Pattern: post + "/setup", Action: account.ActPublic, Handle: (*call).setup},
		{Pattern: post + "/account/password", Action: account.ActSelf, Subject: self, Handle: (*call).changePassword},
		{Pattern: post + "/account/factor", Action: account.ActSelf, Subject: self, Handle: (*call).beginFactor},
		{Pattern: post + "/account/factor/confirm", Action: account.ActSelf, Subject: self, Handle: (*call).confirmFactor},
		{Pattern: post + "/account/sessions", Action: account.ActSelf, Subject: self, Handle: (*call).endSessions},
		{Pattern: get + "/account", Action: account.ActSelf, Subject: self, Handle: (*call).ownPage},

		{Pattern: get + "/{$}", Action: account.ActCentreSchools, Subject: anySubject, Handle: (*call).overview},
		{Pattern: get + "/report", Action: account.ActCentreSchool, Subject: anySubject, Handle: (*call).report},
		{Pattern: post + "/report", Action: account.ActCentreSchool, Subject: anySubject, Handle: (*call).exportReport},
		{Pattern: get + "/schools/{id}", Action: account.ActCentreSchool, Subject: school, Handle: (*call).school},
		{Pattern: get + "/schools/{id}/log", Action: account.ActCentreSchool, Subject: school, Handle: (*call).entries},
		{Pattern: get + "/applications", Action: account.ActCentreApplications, Subject: anySubject, Handle: (*call).applications},
		{Pattern: get + "/schools/{id}/applications/{app}", Action: account.ActCentreApplications, Subject: school, Handle: (*call).application},
		{Pattern: get + "/alarms", Action: account.ActCentreAlarms, Subject: anySubject, Handle: (*call).alarms},
		{Pattern: post + "/alarms/{alarm}/close", Action: account.ActCentreAlarms, Subject: anySubject, Handle: (*call).closeAlarm},
		{Pattern: get + "/enrol", Action: account.ActCentreEnrol, Subject: anySubject, Handle: (*call).enrolPage},
		{Pattern: post + "/enrol", Action: account.ActCentreEnrol, Subject: anySubject, Handle: (*call).enrol},
		{Pattern: post + "/schools/{id}/deny", Action: account.ActCentreEnrol, Subject: school, Handle: (*call).deny},
		{Pattern: post + "/schools/{id}/name", Action: account.ActCentreEnrol, Subject: school, Handle: (*call).rename},
		{Pattern: get + "/audit", Action: account.ActCentreEnrol, Subject: anySubject, Handle: (*call).audit},

		{Pattern: get + "/api/v1/schools", Action: account.ActCentreSchools, Subject: anySubject, Handle: (*call).apiSchools},
		{Pattern: get + "/api/v1/schools/{id}", Action: account.ActCentreSchool, Subject: school, Handle: (*call).apiSchool},
		{Pattern: get + "/api/v1/applications", Action: account.ActCentreApplications, Subject: anySubject, Handle: (*call).apiApplications},
		{Pattern: get + "/api/v1/alarms", Action: account.ActCentreAlarms, Subject: anySubject, Handle: (*call).apiAlarms},
	}
}

func anySubject(*call) (account.Subject, error) { return account.Subject{}, nil }
func self(c *call) (account.Subject, error)     { return account.Subject{Person: c.actor.ID}, nil }
func school(c *call) (account.Subject, error) {
	return account.Subject{Appliance: c.r.PathValue("id"), Application: c.r.PathValue("app")}, nil
}

func templateFuncs(p ui.Printer) template.FuncMap {
	return template.FuncMap{
		"appNo": func(id string) string {
			if y, n, ok := usage.ParseApplicationID(id); ok {
				return usage.Application{Year: y, No: n}.Number()
			}
			return id
		},
		"alarmText":   func(kind string) string { return words.Alarm(p, kind) },
		"subject":     func(id string) string { return words.Subject(p, id) },
		"actor":       func(id string) string { return words.Actor(p, id) },
		"className":   func(id string) string { return words.Class(p, id) },
		"cameraNames": func(ids []string) string { return words.Cameras(p, ids) },
		"alarmDetail": func(detail string) string { return words.AlarmDetail(p, detail) },
		"tone":        tone,
		"short":       short,
		"keptDays": func(kept time.Duration) string {
			return p.T("console.days", strconv.FormatFloat(keptDays(kept), 'f', 1, 64))
		},
		"month": func(t time.Time) string { return p.T("console.month", strconv.Itoa(t.Year()), int(t.Month())) },
		"up":    func(y int) int { return y - 6 },
		"toneIcon": func(s centredb.Status) string {
			if t := tone(s); t != "mute" {
				return t
			}
			return "info"
		},
		"appTone": func(s centredb.ApplicationState) string {
			switch s {
			case centredb.AppApproved:
				return "ok"
			case centredb.AppRejected, centredb.AppRevoked, centredb.AppOverdue:
				return "bad"
			case centredb.AppSubmitted, centredb.AppReviewed, centredb.AppReturned, centredb.AppDue:
				return "warn"
			}
			return "mute"
		},
		"share": func(part, whole uint64) string {
			if whole == 0 {
				return "0%"
			}
			return ui.Pct(min(1, float64(part)/float64(whole)))
		},
		"behind": waiting,
	}
}

// tone is how much a school's state calls for somebody.
func tone(s centredb.Status) string {
	switch s {
	case centredb.StatusForked, centredb.StatusDenied:
		return "bad"
	case centredb.StatusSilent, centredb.StatusBehind, centredb.StatusAlarm:
		return "warn"
	case centredb.StatusNew:
		return "mute"
	}
	return "ok"
}
