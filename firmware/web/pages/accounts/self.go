package accounts

import (
	"errors"
	"net/http"
	"strings"

	"campuskeep/firmware/people"
	"campuskeep/firmware/viewing"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/qr"
	"campuskeep/shared/lib/ui"
)

// selfView is one's own account: password, second factor, open sessions.
type selfView struct {
	P        people.Person
	Roles    []string
	Must     bool
	Needs    bool // a duty asks for a second factor and there is none
	Password ui.Form
	Factor   bool
	Begun    *people.Factor
	Begin    ui.Form // password, and a code of the present factor
	QR       qr.Code
	Confirm  ui.Form
	Recovery []string
	Sessions []sessionRow
}

type sessionRow struct {
	S     people.Session
	Where string
	When  string
	Here  bool
}

func (o *Pages) selfPage(c *call) error { return o.showSelf(c, http.StatusOK, selfView{}) }

func (o *Pages) showSelf(c *call, status int, v selfView) error {
	v.P, v.Must, v.Factor = c.Session.Person, c.Session.MustPassword, o.d.People.HasFactor(c.Actor.ID)
	v.Needs = c.Session.MustFactor && !v.Factor
	for _, r := range v.P.Roles {
		v.Roles = append(v.Roles, c.P.K("role.", r))
	}
	if v.Password.Name == "" {
		v.Password = ui.Form{Name: "password", P: c.P}
	}
	if v.Begin.Name == "" {
		v.Begin = ui.Form{Name: "begin", Mark: "factor-", P: c.P}
	}
	if v.Confirm.Name == "" {
		v.Confirm = ui.Form{Name: "factor", P: c.P}
	}
	for _, s := range o.d.People.Sessions(c.Actor.ID) {
		v.Sessions = append(v.Sessions, sessionRow{s, s.From.Address + " " + s.From.Device, c.P.When(s.Began, c.Now.Wall), s.ID == c.Session.ID})
	}
	return c.PageStatus(status, "self", c.P.T("account.title"), v)
}

func (c *call) token() string {
	if k, err := c.R.Cookie(frame.CookieName); err == nil {
		return k.Value
	}
	return ""
}

func (o *Pages) changePassword(c *call) error {
	f := c.R.PostForm
	v := selfView{Password: ui.Form{Name: "password", P: c.P}}
	if f.Get("new") != f.Get("again") {
		v.Password.Errors.Add("again", "err.again")
		return o.showSelf(c, http.StatusUnprocessableEntity, v)
	}
	err := o.d.People.ChangePassword(c.R.Context(), c.token(), f.Get("old"), f.Get("new"), c.From())
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		v.Password.Errors = errs
		return o.showSelf(c, http.StatusUnprocessableEntity, v)
	}
	if locked, ok := errors.AsType[*people.Locked](err); ok {
		v.Password.Errors.Add("old", "login.locked", max(1, int(locked.Wait.Minutes()+1)))
		return o.showSelf(c, http.StatusTooManyRequests, v)
	}
	if err != nil {
		return err
	}
	return c.Done("/account", "done.password")
}

// beginFactor shows the secret; it counts only once a code of it was typed in.
func (o *Pages) beginFactor(c *call) error {
	f, err := o.d.People.BeginFactor(c.R.Context(), c.token(), c.R.PostForm.Get("old"), strings.TrimSpace(c.R.PostForm.Get("code")), c.From())
	v := selfView{Begin: ui.Form{Name: "begin", Mark: "factor-", P: c.P}}
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		v.Begin.Errors = errs
		return o.showSelf(c, http.StatusUnprocessableEntity, v)
	}
	if locked, ok := errors.AsType[*people.Locked](err); ok {
		v.Begin.Errors.Add("old", "login.locked", max(1, int(locked.Wait.Minutes()+1)))
		return o.showSelf(c, http.StatusTooManyRequests, v)
	}
	if err != nil {
		return err
	}
	return o.showFactor(c, http.StatusOK, f, nil)
}

func (o *Pages) showFactor(c *call, status int, f people.Factor, errs fielderr.Errors) error {
	if !strings.HasPrefix(f.URI, "otpauth://") || len(f.URI) > 300 || len(f.Text) > 100 {
		return frame.ErrNotFound // it went through the browser and came back as something else
	}
	code, err := qr.Draw(f.URI)
	if err != nil {
		return err
	}
	return o.showSelf(c, status, selfView{Begun: &f, QR: code, Confirm: ui.Form{Name: "factor", P: c.P, Errors: errs}})
}

func (o *Pages) confirmFactor(c *call) error {
	codes, err := o.d.People.ConfirmFactor(c.R.Context(), c.token(), strings.TrimSpace(c.R.PostForm.Get("code")), c.From())
	if errors.Is(err, people.ErrCodeRefused) || errors.Is(err, people.ErrCodeClock) {
		rule := "login.code_refused"
		if errors.Is(err, people.ErrCodeClock) {
			rule = "login.code_clock"
		}
		var errs fielderr.Errors
		errs.Add("code", rule)
		return o.showFactor(c, http.StatusUnprocessableEntity, people.Factor{Text: c.R.PostForm.Get("text"), URI: c.R.PostForm.Get("uri")}, errs)
	}
	if err != nil {
		return err
	}
	return o.showSelf(c, http.StatusOK, selfView{Recovery: codes})
}

func (o *Pages) endSessions(c *call) error {
	if err := o.d.People.EndSessions(c.R.Context(), c.Who(), c.Actor.ID); err != nil {
		return err
	}
	o.d.Viewings.EndOf(c.R.Context(), c.Actor.ID, viewing.LoggedOut)
	if err := o.OverShift(c.R.Context(), c.Who(), "logged_out"); err != nil {
		return err
	}
	c.Cookie("")
	return c.SeeOther("/login")
}
