package console

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"campuskeep/cloud/centredb"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/qr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/login"
)

// ownView is a person's own page.
type ownView struct {
	Person   centredb.Person
	Must     bool // the password was set by somebody else
	Factor   bool // there is a second factor
	Left     int  // recovery codes
	Sessions []ownSession
	Password ui.Form
	Change   ui.Form  // of the second factor
	Confirm  ui.Form  // its first code
	Fresh    string   // secret of the factor that is being set up
	Link     string   // the same for an app on this device
	QR       qr.Code  // and for one on another
	Recovery []string // shown this once
}

type ownSession struct {
	ID      string
	Began   time.Time
	Used    time.Time
	Address string
	Here    bool
}

func (k *call) ownPage() error { return k.showOwn(http.StatusOK, ownView{}) }

func (k *call) showOwn(status int, v ownView) error {
	ctx := k.r.Context()
	p, err := k.c.d.Store.Person(ctx, k.person.ID)
	if err != nil {
		return fmt.Errorf("read a person: %w", err)
	}
	s, err := unsealed(ctx, k.c.d.Store, k.c.d.Key, p)
	if err != nil {
		return err
	}
	v.Person, v.Must, v.Factor, v.Left = p, s.Must, len(s.Factor) > 0, len(s.Recovery)
	for name, f := range map[string]*ui.Form{"password": &v.Password, "console.factor": &v.Change, "factor": &v.Confirm} {
		f.Name, f.P = name, k.p
	}
	v.Change.Mark, v.Confirm.Mark = "factor-", "confirm-"
	open, err := k.c.d.Store.SessionsOf(ctx, p.ID)
	if err != nil {
		return fmt.Errorf("list sessions: %w", err)
	}
	for _, x := range open {
		if login.DefaultSession.Check(x.Began, x.Used, k.now) == nil {
			v.Sessions = append(v.Sessions, ownSession{x.TokenHash[:12], x.Began.Wall, x.Used.Wall, x.Address, x.TokenHash == k.token})
		}
	}
	return k.pageStatus(status, "account", p.Name, v)
}

// proven checks the present password and, where there is a second factor, a code of it, with the locks of a log-in.
// What is wrong is put into the form.
func (k *call) proven(f *ui.Form, old, code string, factor bool) (p centredb.Person, s login.Secret, ok bool, err error) {
	if factor && strings.TrimSpace(code) == "" {
		f.Errors.Add("code", "err.required")
		return p, s, false, nil
	}
	p, _, err = k.verify(k.person.User, old, code)
	locked, isLocked := errors.AsType[*login.Locked](err)
	switch {
	case isLocked:
		f.Errors.Add("old", "login.locked", locked.Wait)
	case errors.Is(err, login.ErrRefused):
		f.Errors.Add("old", "err.password_wrong")
	case errors.Is(err, login.ErrCodeRefused):
		f.Errors.Add("code", "login.code_refused")
	case errors.Is(err, login.ErrCodeNeeded):
		f.Errors.Add("code", "err.required")
	case errors.Is(err, login.ErrClockWorse):
		f.Errors.Add("code", "login.code_clock")
	case err != nil:
		return p, s, false, err
	}
	if len(f.Errors) > 0 {
		return p, s, false, nil
	}
	if p, err = k.c.d.Store.Person(k.r.Context(), p.ID); err != nil { // with the code that was just used
		return p, s, false, fmt.Errorf("read a person: %w", err)
	}
	s, err = unsealed(k.r.Context(), k.c.d.Store, k.c.d.Key, p)
	return p, s, err == nil, err
}

// endOthers ends the person's sessions but this one.
func (k *call) endOthers() error {
	open, err := k.c.d.Store.SessionsOf(k.r.Context(), k.person.ID)
	if err != nil {
		return fmt.Errorf("list sessions: %w", err)
	}
	for _, x := range open {
		if x.TokenHash == k.token {
			continue
		}
		if err := k.c.d.Store.DeleteSession(k.r.Context(), x.TokenHash); err != nil {
			return fmt.Errorf("end a session: %w", err)
		}
	}
	return nil
}

func (k *call) changePassword() error {
	v := ownView{Password: ui.Form{P: k.p}}
	old, fresh := k.r.PostFormValue("old"), k.r.PostFormValue("new")
	v.Password.Errors = login.CheckPassword("new", fresh, k.person.User)
	if fresh == old {
		v.Password.Errors.Add("new", "err.password_same")
	}
	if fresh != k.r.PostFormValue("again") {
		v.Password.Errors.Add("again", "err.again")
	}
	if len(v.Password.Errors) > 0 {
		return k.showOwn(http.StatusUnprocessableEntity, v)
	}
	p, s, ok, err := k.proven(&v.Password, old, k.r.PostFormValue("code"), k.factor)
	if err != nil {
		return err
	}
	if !ok {
		return k.showOwn(http.StatusUnprocessableEntity, v)
	}
	if err := k.c.guard.Hash(k.r.Context(), func() { s.Password = login.Hash(fresh, login.Cost) }); err != nil {
		return fmt.Errorf("wait to hash a password: %w", err)
	}
	s.Must, s.Set = false, k.now.Wall.UTC()
	return k.changed(p, s, "password", "done.password")
}

// changed stores a secret, ends the other sessions and says so.
func (k *call) changed(p centredb.Person, s login.Secret, action, done string) error {
	if err := k.c.change(k.r.Context(), p, s); err != nil {
		return err
	}
	if err := k.endOthers(); err != nil {
		return err
	}
	if err := k.note(action, p.ID, "ok"); err != nil {
		return err
	}
	return k.done("/account", done)
}

func (k *call) beginFactor() error {
	v := ownView{Change: ui.Form{P: k.p}}
	p, s, ok, err := k.proven(&v.Change, k.r.PostFormValue("old"), k.r.PostFormValue("code"), k.factor)
	if err != nil {
		return err
	}
	if !ok {
		return k.showOwn(http.StatusUnprocessableEntity, v)
	}
	s.Pending = login.NewSecret()
	if err := k.c.change(k.r.Context(), p, s); err != nil {
		return err
	}
	return k.showPending(http.StatusOK, v, s)
}

// showPending shows the factor that is being set up.
func (k *call) showPending(status int, v ownView, s login.Secret) (err error) {
	if len(s.Pending) > 0 {
		v.Fresh, v.Link = login.SecretText(s.Pending), login.SecretURI(s.Pending, "Campuskeep", k.person.User)
		if v.QR, err = qr.Draw(v.Link); err != nil {
			return err
		}
	}
	return k.showOwn(status, v)
}

func (k *call) confirmFactor() error {
	ctx := k.r.Context()
	p, err := k.c.d.Store.Person(ctx, k.person.ID)
	if err != nil {
		return fmt.Errorf("read a person: %w", err)
	}
	s, err := unsealed(ctx, k.c.d.Store, k.c.d.Key, p)
	if err != nil {
		return err
	}
	v := ownView{Confirm: ui.Form{P: k.p}}
	v.Recovery, err = s.Confirm(k.r.PostFormValue("code"), k.now)
	switch {
	case errors.Is(err, login.ErrNotBegun):
		v.Confirm.Errors.Add("code", "err.factor_not_begun")
	case errors.Is(err, login.ErrClockWorse):
		v.Confirm.Errors.Add("code", "err.code_clock")
	case err != nil:
		v.Confirm.Errors.Add("code", "err.code")
	}
	if len(v.Confirm.Errors) > 0 {
		return k.showPending(http.StatusUnprocessableEntity, v, s)
	}
	if err := k.c.change(ctx, p, s); err != nil {
		return err
	}
	if err := k.endOthers(); err != nil {
		return err
	}
	if err := k.note("factor", p.ID, "ok"); err != nil {
		return err
	}
	return k.showOwn(http.StatusOK, v)
}

// endSessions ends one of the person's sessions, or all but this.
func (k *call) endSessions() error {
	id := k.r.PostFormValue("id")
	open, err := k.c.d.Store.SessionsOf(k.r.Context(), k.person.ID)
	if err != nil {
		return fmt.Errorf("list sessions: %w", err)
	}
	for _, x := range open {
		if x.TokenHash == k.token || id != "" && x.TokenHash[:12] != id {
			continue
		}
		if err := k.c.d.Store.DeleteSession(k.r.Context(), x.TokenHash); err != nil {
			return fmt.Errorf("end a session: %w", err)
		}
	}
	if err := k.note("sessions.end", k.person.ID, "ok"); err != nil {
		return err
	}
	return k.done("/account", "done.console.sessions")
}

type setupView struct{ Form ui.Form }

func (k *call) setupPage() error {
	if need, err := k.c.needsSetUp(k.r.Context()); err != nil || !need {
		return errors.Join(err, centredb.ErrNotFound)
	}
	return k.page("setup", k.p.T("setup.title"), setupView{ui.Form{Name: "setup", P: k.p}})
}

var loginName = regexp.MustCompile(`^[a-z][a-z0-9.-]{1,31}$`)

// setup makes the first administrator by the one-time code that the command init printed.
func (k *call) setup() error {
	ctx, c := k.r.Context(), k.c
	c.setting.Lock()
	defer c.setting.Unlock()
	if need, err := c.needsSetUp(ctx); err != nil || !need {
		return errors.Join(err, centredb.ErrNotFound)
	}
	v := setupView{ui.Form{Name: "setup", P: k.p, Values: url.Values{"login": k.r.PostForm["login"], "name": k.r.PostForm["name"]}}}
	keys := k.keys("\x00setup", "")
	counts, err := c.guard.Charge(keys, k.now)
	if locked, ok := errors.AsType[*login.Locked](err); ok {
		v.Form.Errors.Add("code", "login.locked", locked.Wait)
		return k.pageStatus(http.StatusUnauthorized, "setup", k.p.T("setup.title"), v)
	}
	hash, until, err := c.d.Store.SetupCode(ctx)
	if err != nil {
		return err
	}
	if len(hash) == 0 || !k.now.Wall.Before(until) || subtle.ConstantTimeCompare(login.HashCode(k.r.PostFormValue("code")), hash) != 1 {
		v.Form.Errors.Add("code", "setup.refused")
		return errors.Join(k.refused("", "setup_code", counts), k.pageStatus(http.StatusUnauthorized, "setup", k.p.T("setup.title"), v))
	}
	c.guard.Return(counts)
	p := centredb.Person{ID: "c001", User: strings.TrimSpace(k.r.PostFormValue("login")), Name: strings.TrimSpace(k.r.PostFormValue("name")), Roles: []account.Role{account.RoleCentreAdmin}}
	password := k.r.PostFormValue("password")
	if !loginName.MatchString(p.User) {
		v.Form.Errors.Add("login", "err.login_name")
	}
	if n := len([]rune(p.Name)); n < 2 || n > 30 {
		v.Form.Errors.Add("name", "err.length", 2, 30)
	}
	v.Form.Errors = append(v.Form.Errors, login.CheckPassword("password", password, p.User)...)
	if password != k.r.PostFormValue("again") {
		v.Form.Errors.Add("again", "err.again")
	}
	if len(v.Form.Errors) > 0 {
		return k.pageStatus(http.StatusUnprocessableEntity, "setup", k.p.T("setup.title"), v)
	}
	var s login.Secret
	if err := c.guard.Hash(ctx, func() { s.Password = login.Hash(password, login.Cost) }); err != nil {
		return fmt.Errorf("wait to hash a password: %w", err)
	}
	s.Set = k.now.Wall.UTC()
	if p, err = sealed(c.d.Key, p, s); err != nil {
		return err
	}
	if err := c.d.Store.PutPerson(ctx, p); err != nil {
		return fmt.Errorf("add the first person: %w", err)
	}
	if err := c.d.Store.PutSetupCode(ctx, nil, time.Time{}); err != nil {
		return fmt.Errorf("removing the set-up code: %w", err)
	}
	if err := k.begin(p, login.FactorNone); err != nil {
		return err
	}
	http.Redirect(k.w, k.r, "/account", http.StatusSeeOther)
	return k.note("setup", p.ID, "ok")
}
