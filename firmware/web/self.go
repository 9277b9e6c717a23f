package web

import (
	"errors"
	"net/http"
	"strings"

	"campuskeep/firmware/people"
	"campuskeep/firmware/viewing"
	"campuskeep/shared/lib/fielderr"
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
	QR       qrCode
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

func (o *Server) selfPage(c *call) error { return o.showSelf(c, http.StatusOK, selfView{}) }

func (o *Server) showSelf(c *call, status int, v selfView) error {
	v.P, v.Must, v.Factor = c.session.Person, c.session.MustPassword, o.d.People.HasFactor(c.actor.ID)
	v.Needs = c.session.MustFactor && !v.Factor
	for _, r := range v.P.Roles {
		v.Roles = append(v.Roles, c.p.K("role.", r))
	}
	if v.Password.Name == "" {
		v.Password = ui.Form{Name: "password", P: c.p}
	}
	if v.Begin.Name == "" {
		v.Begin = ui.Form{Name: "begin", Mark: "factor-", P: c.p}
	}
	if v.Confirm.Name == "" {
		v.Confirm = ui.Form{Name: "factor", P: c.p}
	}
	for _, s := range o.d.People.Sessions(c.actor.ID) {
		v.Sessions = append(v.Sessions, sessionRow{s, s.From.Address + " " + s.From.Device, c.p.When(s.Began, c.now.Wall), s.ID == c.session.ID})
	}
	return c.pageStatus(status, "self", c.p.T("account.title"), v)
}

func (c *call) token() string {
	if k, err := c.r.Cookie(cookieName); err == nil {
		return k.Value
	}
	return ""
}

func (o *Server) changePassword(c *call) error {
	f := c.r.PostForm
	v := selfView{Password: ui.Form{Name: "password", P: c.p}}
	if f.Get("new") != f.Get("again") {
		v.Password.Errors.Add("again", "err.again")
		return o.showSelf(c, http.StatusUnprocessableEntity, v)
	}
	err := o.d.People.ChangePassword(c.r.Context(), c.token(), f.Get("old"), f.Get("new"), c.from())
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
	return c.done("/account", "done.password")
}

// beginFactor shows the secret; it counts only once a code of it was typed in.
func (o *Server) beginFactor(c *call) error {
	f, err := o.d.People.BeginFactor(c.r.Context(), c.token(), c.r.PostForm.Get("old"), strings.TrimSpace(c.r.PostForm.Get("code")), c.from())
	v := selfView{Begin: ui.Form{Name: "begin", Mark: "factor-", P: c.p}}
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

func (o *Server) showFactor(c *call, status int, f people.Factor, errs fielderr.Errors) error {
	if !strings.HasPrefix(f.URI, "otpauth://") || len(f.URI) > 300 || len(f.Text) > 100 {
		return errNotFound // it went through the browser and came back as something else
	}
	code, err := drawQR(f.URI)
	if err != nil {
		return err
	}
	return o.showSelf(c, status, selfView{Begun: &f, QR: code, Confirm: ui.Form{Name: "factor", P: c.p, Errors: errs}})
}

func (o *Server) confirmFactor(c *call) error {
	codes, err := o.d.People.ConfirmFactor(c.r.Context(), c.token(), strings.TrimSpace(c.r.PostForm.Get("code")), c.from())
	if errors.Is(err, people.ErrCodeRefused) || errors.Is(err, people.ErrCodeClock) {
		rule := "login.code_refused"
		if errors.Is(err, people.ErrCodeClock) {
			rule = "login.code_clock"
		}
		var errs fielderr.Errors
		errs.Add("code", rule)
		return o.showFactor(c, http.StatusUnprocessableEntity, people.Factor{Text: c.r.PostForm.Get("text"), URI: c.r.PostForm.Get("uri")}, errs)
	}
	if err != nil {
		return err
	}
	return o.showSelf(c, http.StatusOK, selfView{Recovery: codes})
}

func (o *Server) endSessions(c *call) error {
	if err := o.d.People.EndSessions(c.r.Context(), c.who(), c.actor.ID); err != nil {
		return err
	}
	o.d.Viewings.EndOf(c.r.Context(), c.actor.ID, viewing.LoggedOut)
	if err := o.overShift(c.r.Context(), c.who(), "logged_out"); err != nil {
		return err
	}
	c.cookie("")
	return c.seeOther("/login")
}
