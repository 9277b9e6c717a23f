package accounts

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"campuskeep/firmware/people"
	"campuskeep/firmware/web/frame"
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

func (o *Pages) loginPage(c *call) error {
	if c.Actor.ID != "" {
		return c.SeeOther(weblib.Local(c.R.URL.Query().Get("next")))
	}
	return o.showLogin(c, http.StatusOK, loginView{Form: ui.Form{Name: "login", P: c.P, Values: c.R.URL.Query()}})
}

func (o *Pages) showLogin(c *call, status int, v loginView) error {
	v.SetUp = o.d.People.NeedsSetUp()
	v.HasRoot = len(o.d.Info.Root) > 0
	return c.PageStatus(status, "login", c.P.T("login.title"), v)
}

// login begins a session. What it answers never says whether the name exists.
func (o *Pages) login(c *call) error {
	if !o.ByLogin.Allow(c.Address, c.Now.Mono) {
		c.W.Header().Set("Retry-After", "30")
		c.Fault(http.StatusTooManyRequests, "fault.too_many", nil)
		return nil
	}
	f := c.R.PostForm
	v := loginView{Form: ui.Form{Name: "login", P: c.P, Values: f}}
	cred, second := people.Credentials{}, f.Get("step") != ""
	if second {
		var ok bool
		if cred, ok = o.pending.get(f.Get("step"), c.Now.Mono); !ok {
			v.Refused = c.P.T("login.expired")
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
	if k, err := c.R.Cookie(frame.DeviceCookie); err == nil {
		cred.Device = k.Value
	}
	s, err := o.d.People.Login(c.R.Context(), cred, c.From())
	locked, isLocked := errors.AsType[*people.Locked](err)
	switch {
	case err == nil:
		o.pending.remove(v.Step)
		c.Cookie(s.Token)
		http.SetCookie(c.W, &http.Cookie{Name: frame.DeviceCookie, Value: s.Device, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: deviceDays * 24 * 3600})
		next := weblib.Local(f.Get("next"))
		if s.MustPassword || s.MustFactor {
			next = "/account"
		}
		return c.SeeOther(next)
	case isLocked:
		v.Refused = c.P.T("login.locked", max(1, int((locked.Wait+time.Minute-1)/time.Minute)))
		c.W.Header().Set("Retry-After", c.P.Int(int64(locked.Wait/time.Second)))
		return o.showLogin(c, http.StatusTooManyRequests, v)
	case errors.Is(err, people.ErrCodeNeeded):
		v.Code, v.Step = true, o.pending.add(cred, c.Now.Mono)
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
		v.Refused = c.P.T("login.refused")
		return o.showLogin(c, http.StatusUnauthorized, v)
	}
	c.Unlogged = true // a log-in that cannot be entered in the log does not happen
	return err
}

// deviceDays is how long a browser stays a known one without a log-in.
const deviceDays = 400

// alive notes that a person is at a page that otherwise only fetches by itself, such as footage that plays: the
// request itself counts as use.
func (o *Pages) alive(c *call) error {
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}

// setLanguage remembers the language in the browser, and goes back.
func (o *Pages) setLanguage(c *call) error {
	if _, ok := ui.ParseLang(c.R.PostForm.Get("lang")); !ok {
		return frame.ErrNotFound
	}
	weblib.SetLanguage(c.W, c.R)
	return nil
}

// setupView is the first start: the code from the installer makes the first administrator.
type setupView struct{ Form ui.Form }

func (o *Pages) setupPage(c *call) error {
	if !o.d.People.NeedsSetUp() {
		return c.SeeOther("/login")
	}
	return c.Page("setup", c.P.T("setup.title"), setupView{ui.Form{Name: "setup", P: c.P, Values: c.R.URL.Query()}})
}

func (o *Pages) setup(c *call) error {
	if !o.ByLogin.Allow(c.Address, c.Now.Mono) {
		c.Fault(http.StatusTooManyRequests, "fault.too_many", nil)
		return nil
	}
	f := c.R.PostForm
	v := setupView{ui.Form{Name: "setup", P: c.P, Values: f}}
	if f.Get("password") != f.Get("again") {
		v.Form.Errors.Add("again", "err.again")
		return c.PageStatus(http.StatusUnprocessableEntity, "setup", c.P.T("setup.title"), v)
	}
	_, err := o.d.People.SetUp(c.R.Context(), strings.TrimSpace(f.Get("code")), people.Person{Login: strings.TrimSpace(f.Get("login")), Name: strings.TrimSpace(f.Get("name")),
		StaffNo: strings.TrimSpace(f.Get("staff_no")), Unit: strings.TrimSpace(f.Get("unit")), Roles: []account.Role{account.RoleAdmin}}, f.Get("password"), c.From())
	locked, isLocked := errors.AsType[*people.Locked](err)
	errs, isFields := errors.AsType[fielderr.Errors](err)
	switch {
	case err == nil:
		return c.Done("/login", "done.setup")
	case isLocked:
		v.Form.Errors.Add("code", "login.locked", max(1, int((locked.Wait+time.Minute-1)/time.Minute)))
	case errors.Is(err, people.ErrRefused):
		v.Form.Errors.Add("code", "setup.refused")
	case errors.Is(err, people.ErrSetUp):
		return c.SeeOther("/login")
	case isFields:
		v.Form.Errors = errs
	default:
		return err
	}
	return c.PageStatus(http.StatusUnprocessableEntity, "setup", c.P.T("setup.title"), v)
}
