package frame

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
	"campuskeep/firmware/nvr"
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

// Call is one request while it is answered: who asks, what the permission table says, in which language.
type Call struct {
	o   *Server
	W   http.ResponseWriter
	R   *http.Request
	P   ui.Printer
	Now clock.Reading

	Session  people.Session // zero when nobody is logged in
	Actor    account.Actor
	Decision account.Decision
	Action   account.Action // of the route
	Subject  account.Subject
	Address  netip.Addr
	Unlogged bool // what was asked for needs an entry first, and it could not be written: 503
}

// Faults of a request that the person can do something about.
var (
	ErrNotFound  = errors.New("there is nothing here")
	errNoSession = errors.New("nobody is logged in")
	// errMustPassword: the password must be changed before anything else.
	errMustPassword = errors.New("the password must be changed first")
)

// API says whether JSON is asked for.
func (c *Call) API() bool { return strings.HasPrefix(c.R.URL.Path, "/api/") }

// From is where the request comes from, as entries name it.
func (c *Call) From() ledger.From {
	return ledger.From{Address: c.Address.String(), Device: weblib.Device(c.R.UserAgent())}
}

// Who is who asks, as changes and entries name them.
func (c *Call) Who() account.Who {
	return account.Who{Actor: c.Actor, From: c.From(), Via: ledger.ViaWeb}
}

// Can asks May about something else than this request: whether to show a way to it.
func (c *Call) Can(a account.Action, s account.Subject) bool {
	return account.May(c.Actor, a, s, c.Now.Wall).Allowed
}

// Page renders a page in its frame.
func (c *Call) Page(name, title string, view any) error {
	return c.PageStatus(http.StatusOK, name, title, view)
}

// PageStatus renders a page in its frame with a status of HTTP.
func (c *Call) PageStatus(status int, name, title string, view any) error {
	return c.Framed(status, name, c.Frame(name, title), view)
}

// Framed renders a page in a given frame.
func (c *Call) Framed(status int, name string, f ui.Frame, view any) error {
	var b bytes.Buffer
	if err := c.o.Pages.Render(&b, name, f, view); err != nil {
		return err
	}
	c.HTML(status, b.Bytes())
	return nil
}

// Part renders one named part of a page, for a partial update.
func (c *Call) Part(name, part string, view any) error {
	var b bytes.Buffer
	if err := c.o.Pages.Part(&b, name, part, c.Frame(name, ""), view); err != nil {
		return err
	}
	c.HTML(http.StatusOK, b.Bytes())
	return nil
}

// HTML sends a rendered page or part.
func (c *Call) HTML(status int, b []byte) {
	c.W.Header().Set("Content-Type", "text/html; charset=utf-8")
	c.Send(status, b)
}

// Send writes a whole answer, compressed when that helps; a browser that went away is no fault of ours.
func (c *Call) Send(status int, b []byte) {
	if err := weblib.Send(c.W, c.R, status, b); err != nil {
		c.o.d.Log.Debug("browser went away", "path", c.R.URL.Path)
	}
}

// JSON sends an answer as JSON.
func (c *Call) JSON(status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	c.W.Header().Set("Content-Type", "application/json; charset=utf-8")
	c.Send(status, append(b, '\n'))
	return nil
}

// SeeOther ends a POST: the browser gets the page by GET, so that a reload repeats nothing.
func (c *Call) SeeOther(path string) error {
	http.Redirect(c.W, c.R, path, http.StatusSeeOther)
	return nil
}

// Done goes to a page and says there once what was done: a key of the catalogue.
func (c *Call) Done(path, key string) error {
	weblib.Done(c.W, c.R, path, key)
	return nil
}

// fail turns an error into the answer. Only what nobody foresaw is logged; the person gets a number to name.
func (c *Call) fail(err error) {
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
		if !c.API() && !c.Media() && c.R.Method == http.MethodGet {
			http.Redirect(c.W, c.R, "/account", http.StatusSeeOther)
			return
		}
		c.Fault(http.StatusForbidden, "may.must_password", nil)
		return
	case errors.Is(err, people.ErrNotIndependent):
		status, key = http.StatusForbidden, "err.not_independent"
	case errors.As(err, &fields):
		status, key = http.StatusUnprocessableEntity, "fault.fields"
	case errors.Is(err, ErrNotFound), errors.Is(err, fs.ErrNotExist), errors.Is(err, usage.ErrNotFound), errors.Is(err, people.ErrNotFound),
		errors.Is(err, site.ErrNotFound), errors.Is(err, playback.ErrNoPart), errors.Is(err, nvr.ErrRetired), errors.Is(err, nvr.ErrNoDiscovery):
		status, key = http.StatusNotFound, "fault.not_found"
	case errors.Is(err, ledgerdb.ErrConflict):
		status, key = http.StatusConflict, "fault.conflict"
	case errors.Is(err, usage.ErrEnded), errors.Is(err, playback.ErrUnknown), errors.Is(err, playback.ErrExpired):
		status, key = http.StatusGone, "fault.ended"
	case errors.Is(err, footage.ErrPastCeiling), errors.Is(err, footage.ErrCondemned), errors.Is(err, playback.ErrNothing):
		status, key = http.StatusGone, "fault.no_footage"
	case errors.Is(err, ledger.ErrTooLarge): // also what grew step by step
		status, key = http.StatusUnprocessableEntity, "fault.change_large"
	case isTooLarge(err):
		status, key = http.StatusRequestEntityTooLarge, "fault.too_large"
	case c.R.Context().Err() != nil:
		return // the browser went away
	default:
		status, key = http.StatusInternalServerError, "fault.internal"
		if c.Unlogged {
			status, key = http.StatusServiceUnavailable, "fault.no_log"
		}
		c.o.d.Log.Error("request failed", "path", c.R.Pattern, "status", status, "err", err)
	}
	c.Fault(status, key, fields)
}

func isTooLarge(err error) bool {
	_, ok := errors.AsType[*http.MaxBytesError](err)
	return ok
}

// FaultView is the page that says no.
type FaultView struct {
	Title, Text, Way string // way: what to do now
	Href, Link       string
	Fields           []string
	Shift            bool // what is missing is the sign-in at the control room
}

// APIRefusal is the answer of the interface that says no.
type APIRefusal struct {
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

// Fault answers with the page, or the JSON, that says what is wrong and what to do.
func (c *Call) Fault(status int, key string, fields fielderr.Errors) {
	c.W.Header().Set("Cache-Control", "no-store")
	if c.API() || c.Media() {
		body := APIRefusal{Error: key, Text: c.P.T(key)}
		for _, f := range fields {
			body.Fields = append(body.Fields, apiField{f.Field, f.Rule, c.P.T(f.Rule, f.Args...)})
		}
		if err := c.JSON(status, body); err != nil {
			c.o.d.Log.Error("answer a fault", "err", err)
		}
		return
	}
	v := FaultView{Title: c.P.T(key), Text: c.P.T(key + ".text"), Href: c.home(), Link: c.P.T("fault.home")}
	if status == http.StatusGone {
		v.Href, v.Link = "/footage", c.P.T("footage.title")
	}
	for _, f := range fields {
		v.Fields = append(v.Fields, c.P.T(f.Rule, f.Args...))
	}
	if err := c.PageStatus(status, "fault", v.Title, v); err != nil {
		c.o.d.Log.Error("show a fault", "err", err)
		http.Error(c.W, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}

// refuse answers 403 with the reason and the way forward; who refused has put it in the log (F13).
func (c *Call) refuse(err *account.Refused) {
	if c.API() || c.Media() {
		c.Fault(http.StatusForbidden, err.Reason, nil)
		return
	}
	v := FaultView{Title: c.P.T("fault.refused"), Text: c.P.T(err.Reason), Href: c.home(), Link: c.P.T("fault.home")}
	switch {
	case err.Reason == "may.second_factor":
		v.Way, v.Href, v.Link = c.P.T("fault.refused.second"), "/account", c.P.T("account.title")
	case err.Reason == "may.not_on_shift" && c.Can(account.ActShift, account.Subject{Person: c.Actor.ID}):
		v.Shift = true
	case footageAction(err.Action) && c.Can(account.ActApplicationCreate, account.Subject{}):
		v.Way, v.Href, v.Link = c.P.T("fault.refused.apply"), "/applications/new", c.P.T("app.new")
	default:
		v.Way = c.P.T("fault.refused.office")
	}
	if e := c.PageStatus(http.StatusForbidden, "fault", v.Title, v); e != nil {
		c.o.d.Log.Error("show a refusal", "error", e)
		http.Error(c.W, http.StatusText(http.StatusForbidden), http.StatusForbidden)
	}
}

func footageAction(a account.Action) bool {
	return a == account.ActFootagePlayback || a == account.ActFootageLive || a == account.ActMediaRead
}

// login leads to the log-in page and back, or answers 401 where no person looks.
func (c *Call) login() {
	if c.API() || c.Media() || c.R.Method != http.MethodGet || c.byItself() {
		c.W.Header().Set("Cache-Control", "no-store")
		c.Fault(http.StatusUnauthorized, "may.not_logged_in", nil)
		return
	}
	q := url.Values{}
	if t := c.R.URL.RequestURI(); t != "/" {
		q.Set("next", t)
	}
	path := "/login"
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	http.Redirect(c.W, c.R, path, http.StatusSeeOther)
}

// byItself says whether the page asked without a person: it must learn that the log-in has ended instead of getting
// the log-in page in place of what it asked for.
func (c *Call) byItself() bool {
	return c.R.Header.Get(ByItself) != "" || c.R.Header.Get("HX-Request") != ""
}

// Media says whether a script asks, not a person: what goes wrong is answered in JSON.
func (c *Call) Media() bool {
	p := c.R.URL.Path
	return strings.HasPrefix(p, "/media/") || strings.HasPrefix(p, "/view/") && slices.ContainsFunc([]string{"/state", "/events", "/when", "/snapshot"}, func(end string) bool { return strings.HasSuffix(p, end) })
}
