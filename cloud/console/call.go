package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"campuskeep/cloud/centredb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/lib/web"
	"campuskeep/shared/login"
)

// call is one request while it is answered.
type call struct {
	c       *Console
	w       http.ResponseWriter
	r       *http.Request
	p       ui.Printer
	now     clock.Reading
	address netip.Addr
	person  centredb.Person // zero when nobody is logged in
	token   string          // hash of the session's token
	actor   account.Actor
	factor  bool // the person has a second factor
	must    bool // only the own page is open: password or second factor must be set first
}

var errNoSession = errors.New("nobody is logged in")

// errUnfinished: the person must first choose a password and a second factor.
var errUnfinished = errors.New("password or second factor are not set")

func (c *Console) serve(rt web.Route[*call], w http.ResponseWriter, r *http.Request) {
	k := &call{c: c, w: w, r: r, p: c.pages.Printer(web.Language(r)), now: c.d.Clock.Now(), address: web.Address(r)}
	if !c.byAddress.Allow(k.address, k.now.Mono) {
		w.Header().Set("Retry-After", "10")
		k.fault(http.StatusTooManyRequests, "fault.too_many")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, web.FormBody)
	if err := k.answer(rt); err != nil {
		k.fail(err)
	}
}

func (k *call) answer(rt web.Route[*call]) error {
	if err := k.session(); err != nil {
		return err
	}
	if k.r.Method == http.MethodPost {
		if err := k.r.ParseForm(); err != nil {
			return fielderr.Errors{{Field: "form", Rule: "fault.form"}}
		}
	}
	if rt.Action != account.ActPublic {
		if k.actor.ID == "" {
			return errNoSession
		}
		if k.must && rt.Action != account.ActSelf {
			return errUnfinished
		}
		subject, err := rt.Subject(k)
		if err != nil {
			return err
		}
		if d := account.May(k.actor, rt.Action, subject, k.now.Wall); !d.Allowed {
			if err := k.note(string(rt.Action), subject.Appliance, d.Reason); err != nil {
				return err
			}
			return &account.Refused{Action: rt.Action, Reason: d.Reason}
		}
	}
	return rt.Handle(k)
}

// session finds who asks by the session cookie; nobody is no fault yet.
func (k *call) session() error {
	cookie, err := k.r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	hash, ok := login.HashToken(cookie.Value)
	if !ok {
		return nil
	}
	ctx := k.r.Context()
	s, err := k.c.d.Store.Session(ctx, hash)
	if errors.Is(err, centredb.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up the session: %w", err)
	}
	if err := login.DefaultSession.Check(s.Began, s.Used, k.now); err != nil {
		return k.c.d.Store.DeleteSession(ctx, hash)
	}
	p, err := k.c.d.Store.Person(ctx, s.Person)
	if errors.Is(err, centredb.ErrNotFound) || err == nil && p.Disabled {
		return k.c.d.Store.DeleteSession(ctx, hash)
	}
	if err != nil {
		return fmt.Errorf("look up the person: %w", err)
	}
	// Every request would be a write; half a minute is fine enough for a limit of half an hour.
	if idle, ok := s.Used.Since(k.now); !ok || idle > 30*time.Second {
		if err := k.c.d.Store.TouchSession(ctx, hash, login.StampOf(k.now)); err != nil {
			return fmt.Errorf("keep the session: %w", err)
		}
	}
	secret, err := unsealed(ctx, k.c.d.Store, k.c.d.Key, p)
	if err != nil {
		return err
	}
	// Anyone who has a second factor got in by it: setting one up ends the other sessions.
	k.factor = len(secret.Factor) > 0
	k.must = secret.Must || !k.factor
	k.person, k.token = p, hash
	k.actor = account.Actor{ID: p.ID, Roles: p.Roles, SecondFactor: k.factor}
	return nil
}

func (k *call) can(a account.Action) bool {
	return account.May(k.actor, a, account.Subject{}, k.now.Wall).Allowed
}

func (k *call) note(action, subject, result string) error {
	err := k.c.d.Store.AddAudit(k.r.Context(), centredb.Audit{At: k.now.Wall, Actor: k.actor.ID, Address: k.address.String(), Action: action, Subject: subject, Result: result})
	if err != nil {
		return fmt.Errorf("write the centre's log: %w", err)
	}
	return nil
}

func (k *call) frame(page, title string) ui.Frame {
	f := ui.Frame{Lang: k.p.Lang, Title: title, Site: k.p.T("console.site", k.c.d.School), Home: "/", Path: k.r.URL.RequestURI(), About: k.p.T("console.about", k.c.d.Version)}
	if k.r.Method != http.MethodGet {
		f.Path = k.r.URL.Path
	}
	if k.actor.ID == "" {
		return f
	}
	role := ""
	if len(k.person.Roles) > 0 {
		role = k.p.K("role.", k.person.Roles[0])
	}
	f.Who = &ui.Who{Name: k.person.Name, Role: role, Account: "/account", Logout: "/logout"}
	for _, n := range []struct {
		key, href string
		action    account.Action
		pages     string
	}{
		{"console.nav.schools", "/", account.ActCentreSchools, "overview school entries"},
		{"console.nav.applications", "/applications", account.ActCentreApplications, "applications application"},
		{"console.nav.report", "/report", account.ActCentreSchool, "report"},
		{"console.nav.alarms", "/alarms", account.ActCentreAlarms, "alarms"},
		{"console.nav.enrol", "/enrol", account.ActCentreEnrol, "enrol"},
		{"console.nav.audit", "/audit", account.ActCentreEnrol, "audit"},
	} {
		if k.can(n.action) {
			f.Nav = append(f.Nav, ui.NavItem{Href: n.href, Text: k.p.T(n.key), Current: strings.Contains(" "+n.pages+" ", " "+page+" ")})
		}
	}
	if at := k.c.storm.Load(); at != nil && page == "overview" && k.now.Wall.Sub(*at) < stormShown {
		f.Banner = append(f.Banner, ui.Note{Kind: "bad", Icon: "warn", Text: k.p.T("console.storm", k.p.DayTime(*at))})
	}
	if page == "overview" || page == "enrol" {
		for _, x := range k.c.certificates() {
			if x.Soon {
				f.Banner = append(f.Banner, ui.Note{Kind: "warn", Icon: "warn", Text: k.p.T("console.cert.soon", k.p.T("console.cert."+x.Name), k.p.Date(x.Until))})
			}
		}
	}
	if d := web.WasDone(k.w, k.r); d != "" {
		f.Banner = append(f.Banner, ui.Note{Kind: "ok", Icon: "ok", Text: k.p.T(d)})
	}
	return f
}

// stormShown is how long the first page shows that many log-ins were refused.
const stormShown = 24 * time.Hour

func (k *call) page(name, title string, view any) error {
	return k.pageStatus(http.StatusOK, name, title, view)
}

func (k *call) pageStatus(status int, name, title string, view any) error {
	var b bytes.Buffer
	if err := k.c.pages.Render(&b, name, k.frame(name, title), view); err != nil {
		return err
	}
	k.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	k.send(status, b.Bytes())
	return nil
}

func (k *call) send(status int, b []byte) {
	if err := web.Send(k.w, k.r, status, b); err != nil {
		k.c.d.Log.Debug("browser went away", "path", k.r.URL.Path)
	}
}

func (k *call) json(v any) error { return k.jsonStatus(http.StatusOK, v) }

func (k *call) jsonStatus(status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	k.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	k.send(status, append(b, '\n'))
	return nil
}

func (k *call) done(path, key string) error {
	web.Done(k.w, k.r, path, key)
	return nil
}

func (k *call) fail(err error) {
	var refused *account.Refused
	switch {
	case errors.As(err, &refused):
		k.fault(http.StatusForbidden, refused.Reason)
	case errors.Is(err, errNoSession):
		if k.r.Method != http.MethodGet || strings.HasPrefix(k.r.URL.Path, "/api/") {
			k.fault(http.StatusUnauthorized, "may.not_logged_in")
			return
		}
		http.Redirect(k.w, k.r, "/login?next="+url.QueryEscape(k.r.URL.RequestURI()), http.StatusSeeOther)
	case errors.Is(err, errUnfinished):
		if k.r.Method != http.MethodGet || strings.HasPrefix(k.r.URL.Path, "/api/") {
			k.fault(http.StatusForbidden, "console.account.nofactor")
			return
		}
		http.Redirect(k.w, k.r, "/account", http.StatusSeeOther)
	case errors.Is(err, centredb.ErrNotFound):
		k.fault(http.StatusNotFound, "fault.not_found")
	case errors.As(err, new(fielderr.Errors)):
		k.fault(http.StatusUnprocessableEntity, "fault.fields")
	case k.r.Context().Err() != nil: // the browser went away
	default:
		k.c.d.Log.Error("request failed", "path", k.r.Pattern, "err", err)
		k.fault(http.StatusInternalServerError, "fault.internal")
	}
}

func (k *call) fault(status int, key string) {
	text := k.p.T(key)
	var err error
	if strings.HasPrefix(k.r.URL.Path, "/api/") {
		err = k.jsonStatus(status, map[string]string{"error": key, "text": text})
	} else {
		err = k.pageStatus(status, "fault", text, struct{ Text string }{text})
	}
	if err != nil {
		k.c.d.Log.Error("show a fault", "err", err)
		http.Error(k.w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}

func (k *call) language() error { web.SetLanguage(k.w, k.r); return nil }

func (k *call) health() error {
	k.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if _, err := k.c.d.Store.Totals(k.r.Context(), k.now.Wall); err != nil {
		k.send(http.StatusServiceUnavailable, []byte("database: "+err.Error()+"\n"))
		return nil
	}
	k.send(http.StatusOK, []byte("ok\n"))
	return nil
}

// metrics answers to this machine alone: a collector elsewhere reads them through its own agent here.
func (k *call) metrics() error {
	if k.c.d.Metrics == nil || !k.address.IsLoopback() {
		return centredb.ErrNotFound
	}
	k.c.d.Metrics.ServeHTTP(k.w, k.r)
	return nil
}
