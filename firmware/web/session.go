package web

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"campuskeep/firmware/people"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	weblib "campuskeep/shared/lib/web"
)

// loginView is the log-in page, in one or two steps.
type loginView struct {
	Form    ui.Form
	Code    bool   // the password was right, a one-time code is wanted
	Step    string // token of the first step
	Refused string
	SetUp   bool
	HasRoot bool
}

func (o *Server) loginPage(c *call) error {
	if c.actor.ID != "" {
		return c.seeOther(weblib.Local(c.r.URL.Query().Get("next")))
	}
	return o.showLogin(c, http.StatusOK, loginView{Form: ui.Form{Name: "login", P: c.p, Values: c.r.URL.Query()}})
}

func (o *Server) showLogin(c *call, status int, v loginView) error {
	v.SetUp = o.d.People.NeedsSetUp()
	v.HasRoot = len(o.d.Info.Root) > 0
	return c.pageStatus(status, "login", c.p.T("login.title"), v)
}

// login begins a session. What it answers never says whether the name exists.
func (o *Server) login(c *call) error {
	if !o.byLogin.Allow(c.address, c.now.Mono) {
		c.w.Header().Set("Retry-After", "30")
		c.fault(http.StatusTooManyRequests, "fault.too_many", nil)
		return nil
	}
	f := c.r.PostForm
	v := loginView{Form: ui.Form{Name: "login", P: c.p, Values: f}}
	cred, second := people.Credentials{}, f.Get("step") != ""
	if second {
		var ok bool
		if cred, ok = o.pending.get(f.Get("step"), c.now.Mono); !ok {
			v.Refused = c.p.T("login.expired")
			return o.showLogin(c, http.StatusUnauthorized, v)
		}
		v.Step, cred.Code = f.Get("step"), strings.TrimSpace(f.Get("code"))
		if cred.Code == "" {
			v.Code = true
			v.Form.Errors.Add("code", "err.required")
			return o.showLogin(c, http.StatusUnprocessableEntity, v)
		}
	} else {
		cred = people.Credentials{User: strings.TrimSpace(f.Get("user")), Password: f.Get("password")}
		if cred.User == "" {
			v.Form.Errors.Add("user", "err.required")
		}
		if cred.Password == "" {
			v.Form.Errors.Add("password", "err.required")
		}
		if len(v.Form.Errors) > 0 {
			return o.showLogin(c, http.StatusUnprocessableEntity, v)
		}
	}
	if k, err := c.r.Cookie(deviceCookie); err == nil {
		cred.Device = k.Value
	}
	s, err := o.d.People.Login(c.r.Context(), cred, c.from())
	locked, isLocked := errors.AsType[*people.Locked](err)
	switch {
	case err == nil:
		o.pending.remove(v.Step)
		c.cookie(s.Token)
		http.SetCookie(c.w, &http.Cookie{Name: deviceCookie, Value: s.Device, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: deviceDays * 24 * 3600})
		next := weblib.Local(f.Get("next"))
		if s.MustPassword || s.MustFactor {
			next = "/account"
		}
		return c.seeOther(next)
	case isLocked:
		v.Refused = c.p.T("login.locked", max(1, int((locked.Wait+time.Minute-1)/time.Minute)))
		c.w.Header().Set("Retry-After", c.p.Int(int64(locked.Wait/time.Second)))
		return o.showLogin(c, http.StatusTooManyRequests, v)
	case errors.Is(err, people.ErrCodeNeeded):
		v.Code, v.Step = true, o.pending.add(cred, c.now.Mono)
		return o.showLogin(c, http.StatusOK, v)
	case errors.Is(err, people.ErrCodeRefused):
		v.Code = true
		v.Form.Errors.Add("code", "login.code_refused")
		return o.showLogin(c, http.StatusUnauthorized, v)
	case errors.Is(err, people.ErrCodeClock):
		v.Code = true
		v.Form.Errors.Add("code", "login.code_clock")
		return o.showLogin(c, http.StatusUnauthorized, v)
	case errors.Is(err, people.ErrRefused):
		v.Refused = c.p.T("login.refused")
		return o.showLogin(c, http.StatusUnauthorized, v)
	}
	c.unlogged = true // a log-in that cannot be entered in the log does not happen
	return err
}

// deviceDays is how long a browser stays a known one without a log-in.
const deviceDays = 400

func (c *call) cookie(token string) {
	k := &http.Cookie{Name: cookieName, Value: token, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if token == "" {
		k.MaxAge = -1
	}
	// No expiry: the browser forgets it when it closes, and the session ends by itself at its time.
	http.SetCookie(c.w, k)
}

// alive notes that a person is at a page that otherwise only fetches by itself, such as footage that plays: the
// request itself counts as use.
func (o *Server) alive(c *call) error {
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// setLanguage remembers the language in the browser, and goes back.
func (o *Server) setLanguage(c *call) error {
	if _, ok := ui.ParseLang(c.r.PostForm.Get("lang")); !ok {
		return errNotFound
	}
	weblib.SetLanguage(c.w, c.r)
	return nil
}

// setupView is the first start: the code from the installer makes the first administrator.
type setupView struct{ Form ui.Form }

func (o *Server) setupPage(c *call) error {
	if !o.d.People.NeedsSetUp() {
		return c.seeOther("/login")
	}
	return c.page("setup", c.p.T("setup.title"), setupView{ui.Form{Name: "setup", P: c.p, Values: c.r.URL.Query()}})
}

func (o *Server) setup(c *call) error {
	if !o.byLogin.Allow(c.address, c.now.Mono) {
		c.fault(http.StatusTooManyRequests, "fault.too_many", nil)
		return nil
	}
	f := c.r.PostForm
	v := setupView{ui.Form{Name: "setup", P: c.p, Values: f}}
	if f.Get("password") != f.Get("again") {
		v.Form.Errors.Add("again", "err.again")
		return c.pageStatus(http.StatusUnprocessableEntity, "setup", c.p.T("setup.title"), v)
	}
	_, err := o.d.People.SetUp(c.r.Context(), strings.TrimSpace(f.Get("code")), people.Person{Login: strings.TrimSpace(f.Get("login")), Name: strings.TrimSpace(f.Get("name")),
		StaffNo: strings.TrimSpace(f.Get("staff_no")), Unit: strings.TrimSpace(f.Get("unit")), Roles: []account.Role{account.RoleAdmin}}, f.Get("password"), c.from())
	locked, isLocked := errors.AsType[*people.Locked](err)
	errs, isFields := errors.AsType[fielderr.Errors](err)
	switch {
	case err == nil:
		return c.done("/login", "done.setup")
	case isLocked:
		v.Form.Errors.Add("code", "login.locked", max(1, int((locked.Wait+time.Minute-1)/time.Minute)))
	case errors.Is(err, people.ErrRefused):
		v.Form.Errors.Add("code", "setup.refused")
	case errors.Is(err, people.ErrSetUp):
		return c.seeOther("/login")
	case isFields:
		v.Form.Errors = errs
	default:
		return err
	}
	return c.pageStatus(http.StatusUnprocessableEntity, "setup", c.p.T("setup.title"), v)
}
