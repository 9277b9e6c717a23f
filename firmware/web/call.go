package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/playback"
	"campuskeep/firmware/site"
	"campuskeep/firmware/usage"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	weblib "campuskeep/shared/lib/web"
	"campuskeep/shared/shift"
	rules "campuskeep/shared/usage"
)

// call is one request while it is answered: who asks, what May said, in which language.
type call struct {
	o   *Server
	w   http.ResponseWriter
	r   *http.Request
	p   ui.Printer
	now clock.Reading

	session  people.Session // zero when nobody is logged in
	actor    account.Actor
	decision account.Decision
	action   account.Action // of the route
	subject  account.Subject
	address  netip.Addr
	unlogged bool // what was asked for needs an entry first, and it could not be written: 503
}

// Faults of a request that the person can do something about.
var (
	errNotFound  = errors.New("there is nothing here")
	errNoSession = errors.New("nobody is logged in")
	// errMustPassword: the password must be changed before anything else.
	errMustPassword = errors.New("the password must be changed first")
)

func (c *call) api() bool { return strings.HasPrefix(c.r.URL.Path, "/api/") }

func (c *call) from() ledger.From {
	return ledger.From{Address: c.address.String(), Device: weblib.Device(c.r.UserAgent())}
}

func (c *call) who() account.Who {
	return account.Who{Actor: c.actor, From: c.from(), Via: ledger.ViaWeb}
}

// can asks May about something else than this request: whether to show a way to it.
func (c *call) can(a account.Action, s account.Subject) bool {
	return account.May(c.actor, a, s, c.now.Wall).Allowed
}

// page renders a page in its frame.
func (c *call) page(name, title string, view any) error {
	return c.pageStatus(http.StatusOK, name, title, view)
}

func (c *call) pageStatus(status int, name, title string, view any) error {
	return c.framed(status, name, c.frame(name, title), view)
}

func (c *call) framed(status int, name string, f ui.Frame, view any) error {
	var b bytes.Buffer
	if err := c.o.pages.Render(&b, name, f, view); err != nil {
		return err
	}
	c.html(status, b.Bytes())
	return nil
}

// part renders one named part of a page, for a partial update.
func (c *call) part(name, part string, view any) error {
	var b bytes.Buffer
	if err := c.o.pages.Part(&b, name, part, c.frame(name, ""), view); err != nil {
		return err
	}
	c.html(http.StatusOK, b.Bytes())
	return nil
}

func (c *call) html(status int, b []byte) {
	c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	c.send(status, b)
}

// send writes a whole answer, compressed when that helps; a browser that went away is no fault of ours.
func (c *call) send(status int, b []byte) {
	if err := weblib.Send(c.w, c.r, status, b); err != nil {
		c.o.d.Log.Debug("browser went away", "path", c.r.URL.Path)
	}
}

func (c *call) json(status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	c.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	c.send(status, append(b, '\n'))
	return nil
}

// seeOther ends a POST: the browser gets the page by GET, so that a reload repeats nothing.
func (c *call) seeOther(path string) error {
	http.Redirect(c.w, c.r, path, http.StatusSeeOther)
	return nil
}

// done goes to a page and says there once what was done: a key of the catalogue.
func (c *call) done(path, key string) error {
	weblib.Done(c.w, c.r, path, key)
	return nil
}

// fail turns an error into the answer. Only what nobody foresaw is logged; the person gets a number to name.
func (c *call) fail(err error) {
	var status int
	key := ""
	var fields fielderr.Errors
	illegal, isIllegal := errors.AsType[*rules.Illegal](err)
	unruly, isUnruly := errors.AsType[*shift.Illegal](err)
	switch refused, isRefused := errors.AsType[*account.Refused](err); {
	case isRefused:
		c.refuse(refused)
		return
	case isUnruly:
		status, key, fields = http.StatusConflict, "fault.conflict", fielderr.Errors{{Field: "shift", Rule: unruly.Rule}}
	case isIllegal: // the application went on meanwhile, or this step is not theirs
		status, key, fields = http.StatusConflict, "fault.conflict", fielderr.Errors{{Field: "state", Rule: illegal.Rule}}
		if illegal.Rule != "err.state" { // nobody changed anything: it is another's to do
			key = "fault.not_yours"
		}
	case errors.Is(err, errNoSession):
		c.login()
		return
	case errors.Is(err, errMustPassword):
		if !c.api() && !c.media() && c.r.Method == http.MethodGet {
			http.Redirect(c.w, c.r, "/account", http.StatusSeeOther)
			return
		}
		c.fault(http.StatusForbidden, "may.must_password", nil)
		return
	case errors.Is(err, people.ErrNotIndependent):
		status, key = http.StatusForbidden, "err.not_independent"
	case errors.As(err, &fields):
		status, key = http.StatusUnprocessableEntity, "fault.fields"
	case errors.Is(err, errNotFound), errors.Is(err, fs.ErrNotExist), errors.Is(err, usage.ErrNotFound), errors.Is(err, people.ErrNotFound),
		errors.Is(err, site.ErrNotFound), errors.Is(err, playback.ErrNoPart):
		status, key = http.StatusNotFound, "fault.not_found"
	case errors.Is(err, ledgerdb.ErrConflict):
		status, key = http.StatusConflict, "fault.conflict"
	case errors.Is(err, usage.ErrEnded), errors.Is(err, playback.ErrUnknown), errors.Is(err, playback.ErrExpired):
		status, key = http.StatusGone, "fault.ended"
	case errors.Is(err, footage.ErrPastCeiling), errors.Is(err, footage.ErrCondemned), errors.Is(err, playback.ErrNothing):
		status, key = http.StatusGone, "fault.no_footage"
	case isTooLarge(err):
		status, key = http.StatusRequestEntityTooLarge, "fault.too_large"
	case c.r.Context().Err() != nil:
		return // the browser went away
	default:
		status, key = http.StatusInternalServerError, "fault.internal"
		if c.unlogged {
			status, key = http.StatusServiceUnavailable, "fault.no_log"
		}
		c.o.d.Log.Error("request failed", "path", c.r.Pattern, "status", status, "err", err)
	}
	c.fault(status, key, fields)
}

func isTooLarge(err error) bool {
	_, ok := errors.AsType[*http.MaxBytesError](err)
	return ok
}

// faultView is the page that says no.
type faultView struct {
	Title, Text, Way string // way: what to do now
	Href, Link       string
	Fields           []string
	Shift            bool // what is missing is the sign-in at the control room
}

// apiRefusal is the answer of the interface that says no.
type apiRefusal struct {
	Error  string     `json:"error"` // a code
	Text   string     `json:"text"`
	Fields []apiField `json:"fields,omitempty"`
}

// apiField is what is wrong with one field.
type apiField struct {
	Field string `json:"field"`
	Rule  string `json:"rule"` // a code
	Text  string `json:"text"`
}

func (c *call) fault(status int, key string, fields fielderr.Errors) {
	c.w.Header().Set("Cache-Control", "no-store")
	if c.api() || c.media() {
		body := apiRefusal{Error: key, Text: c.p.T(key)}
		for _, f := range fields {
			body.Fields = append(body.Fields, apiField{f.Field, f.Rule, c.p.T(f.Rule, f.Args...)})
		}
		if err := c.json(status, body); err != nil {
			c.o.d.Log.Error("answer a fault", "err", err)
		}
		return
	}
	v := faultView{Title: c.p.T(key), Text: c.p.T(key + ".text"), Href: c.home(), Link: c.p.T("fault.home")}
	if status == http.StatusGone {
		v.Href, v.Link = "/footage", c.p.T("footage.title")
	}
	for _, f := range fields {
		v.Fields = append(v.Fields, c.p.T(f.Rule, f.Args...))
	}
	if err := c.pageStatus(status, "fault", v.Title, v); err != nil {
		c.o.d.Log.Error("show a fault", "err", err)
		http.Error(c.w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}

// refuse answers 403 with the reason and the way forward; who refused has put it in the log (F13).
func (c *call) refuse(err *account.Refused) {
	if c.api() || c.media() {
		c.fault(http.StatusForbidden, err.Reason, nil)
		return
	}
	v := faultView{Title: c.p.T("fault.refused"), Text: c.p.T(err.Reason), Href: c.home(), Link: c.p.T("fault.home")}
	switch {
	case err.Reason == "may.second_factor":
		v.Way, v.Href, v.Link = c.p.T("fault.refused.second"), "/account", c.p.T("account.title")
	case err.Reason == "may.not_on_shift" && c.can(account.ActShift, account.Subject{Person: c.actor.ID}):
		v.Shift = true
	case footageAction(err.Action) && c.can(account.ActApplicationCreate, account.Subject{}):
		v.Way, v.Href, v.Link = c.p.T("fault.refused.apply"), "/applications/new", c.p.T("app.new")
	default:
		v.Way = c.p.T("fault.refused.office")
	}
	if e := c.pageStatus(http.StatusForbidden, "fault", v.Title, v); e != nil {
		c.o.d.Log.Error("show a refusal", "error", e)
		http.Error(c.w, http.StatusText(http.StatusForbidden), http.StatusForbidden)
	}
}

func footageAction(a account.Action) bool {
	return a == account.ActFootagePlayback || a == account.ActFootageLive || a == account.ActMediaRead
}

// login leads to the log-in page and back, or answers 401 where no person looks.
func (c *call) login() {
	if c.api() || c.media() || c.r.Method != http.MethodGet || c.byItself() {
		c.w.Header().Set("Cache-Control", "no-store")
		c.fault(http.StatusUnauthorized, "may.not_logged_in", nil)
		return
	}
	q := url.Values{}
	if t := c.r.URL.RequestURI(); t != "/" {
		q.Set("next", t)
	}
	path := "/login"
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	http.Redirect(c.w, c.r, path, http.StatusSeeOther)
}

// byItself says whether the page asked without a person: it must learn that the log-in has ended instead of getting
// the log-in page in place of what it asked for.
func (c *call) byItself() bool {
	return c.r.Header.Get(byItself) != "" || c.r.Header.Get("HX-Request") != ""
}

// media says whether a script asks, not a person: what goes wrong is answered in JSON.
func (c *call) media() bool {
	p := c.r.URL.Path
	return strings.HasPrefix(p, "/media/") || strings.HasPrefix(p, "/view/") && slices.ContainsFunc([]string{"/state", "/events", "/when", "/snapshot"}, func(end string) bool { return strings.HasSuffix(p, end) })
}
