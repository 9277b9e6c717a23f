package console

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"campuskeep/cloud/store"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/fielderr"
	"campuskeep/shared/login"
	"campuskeep/shared/ui"
	"campuskeep/shared/web"
)

// Secret is a person's second-factor secret. It is derived from the centre's key file, so that no secret
// lies in the database; who loses a phone gets a new person id.
func Secret(key []byte, person string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("campuskeep console totp\x00" + person))
	return m.Sum(nil)[:20]
}

// Add creates a person of the centre and returns the second-factor secret to show once.
func Add(ctx context.Context, people store.People, key []byte, id, user, name string, roles []account.Role, password string) (secret string, err error) {
	if errs := login.CheckPassword("password", password, user); len(errs) > 0 {
		return "", errs
	}
	for _, r := range roles {
		if r != account.RoleCentreStaff && r != account.RoleCentreAdmin {
			return "", fielderr.Errors{{Field: "role", Rule: "err.role", Args: []any{string(account.RoleCentreStaff) + ", " + string(account.RoleCentreAdmin)}}}
		}
	}
	p := store.Person{ID: id, User: user, Name: name, Roles: roles, Password: login.Hash(password, login.Cost)}
	if err := people.PutPerson(ctx, p); err != nil {
		return "", fmt.Errorf("adding person %s: %w", id, err)
	}
	if err := people.DeleteSessionsOf(ctx, id); err != nil { // of the password before
		return "", fmt.Errorf("ending the sessions of %s: %w", id, err)
	}
	return login.SecretText(Secret(key, id)), nil
}

type loginView struct {
	Form ui.Form
	Next string
}

func (k *call) loginPage() error {
	return k.page("login", k.p.T("login.title"), loginView{Form: ui.Form{Name: "login", P: k.p}, Next: web.Local(k.r.URL.Query().Get("next"))})
}

// refusedLogin shows the form again with one message for every cause, so that it tells nobody which user
// names exist.
func (k *call) refusedLogin(rule string, args ...any) error {
	v := loginView{Form: ui.Form{Name: "login", P: k.p, Values: url.Values{"user": k.r.PostForm["user"]}}, Next: web.Local(k.r.PostFormValue("next"))}
	v.Form.Errors.Add("password", rule, args...)
	return k.pageStatus(http.StatusUnauthorized, "login", k.p.T("login.title"), v)
}

func (k *call) login() error {
	user, password, code := k.r.PostFormValue("user"), k.r.PostFormValue("password"), k.r.PostFormValue("code")
	if !k.c.byLogin.Allow(k.address, k.now.Mono) {
		return k.refusedLogin("login.slow")
	}
	ctx := k.r.Context()
	sum := sha256.Sum256([]byte("user\x00" + user))
	key := "u:" + base64.RawURLEncoding.EncodeToString(sum[:18])
	wait, err := k.c.charge(ctx, key, k.now)
	if err != nil {
		return err
	}
	if wait > 0 {
		return k.refusedLogin("login.locked", wait)
	}
	p, ok, err := k.c.verify(ctx, user, password, code, k.now)
	if err != nil {
		return err
	}
	if !ok {
		if err := k.note("login", "", "login.wrong"); err != nil {
			return err
		}
		return k.refusedLogin("login.wrong")
	}
	st := k.c.d.Store
	if err := st.SetAttempts(ctx, key, login.Attempts{}); err != nil {
		return fmt.Errorf("clearing failed log-ins: %w", err)
	}
	token, hash := login.NewToken()
	stamp := login.StampOf(k.now)
	if err := st.PutSession(ctx, store.Session{TokenHash: hash, Person: p.ID, Began: stamp, Used: stamp, Address: k.address.String()}); err != nil {
		return fmt.Errorf("beginning a session: %w", err)
	}
	k.actor.ID = p.ID
	if err := k.note("login", p.ID, "ok"); err != nil {
		return err
	}
	http.SetCookie(k.w, &http.Cookie{Name: cookieName, Value: token, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(k.w, k.r, web.Local(k.r.PostFormValue("next")), http.StatusSeeOther)
	return nil
}

// hashers is how many passwords are hashed at once: each takes 19 MiB, and nobody need be logged in to ask for one.
const hashers = 4

// charge counts a log-in as failed before it is tried, and says how long the name is locked; a log-in that succeeds
// clears the count. So guesses side by side are counted like guesses one after the other.
func (c *Console) charge(ctx context.Context, key string, now clock.Reading) (wait time.Duration, err error) {
	c.counting.Lock()
	defer c.counting.Unlock()
	attempts, err := c.d.Store.Attempts(ctx, key)
	if err != nil {
		return 0, fmt.Errorf("reading failed log-ins: %w", err)
	}
	if wait := attempts.Locked(now); wait > 0 {
		return wait, nil
	}
	next, _ := login.AccountLock.Failed(attempts, now)
	if err := c.d.Store.SetAttempts(ctx, key, next); err != nil {
		return 0, fmt.Errorf("counting a log-in: %w", err)
	}
	return 0, nil
}

// nobody is verified when the user does not exist, so that the answer takes as long.
var nobody = login.Hash("nobody has this password", login.Cost)

func (c *Console) verify(ctx context.Context, user, password, code string, now clock.Reading) (store.Person, bool, error) {
	p, err := c.d.Store.PersonByUser(ctx, user)
	known := err == nil && !p.Disabled
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return p, false, fmt.Errorf("looking up a person: %w", err)
	}
	stored := nobody
	if known {
		stored = p.Password
	}
	select {
	case c.hashing <- struct{}{}:
	case <-ctx.Done():
		return p, false, fmt.Errorf("waiting to verify a password: %w", ctx.Err())
	}
	ok, _, err := login.Verify(password, stored, login.Cost)
	<-c.hashing
	if err != nil {
		return p, false, fmt.Errorf("verifying a password: %w", err)
	}
	if !ok || !known {
		return p, false, nil
	}
	ok, err = c.useCode(ctx, p.ID, code, now)
	return p, ok, err
}

// codeStep is how many seconds a code of the second factor is good for.
const codeStep = 30

// useCode checks a code of the second factor; each is good for one log-in (RFC 6238 §5.2), also over a restart: the
// instant of the last one stands beside the counts of log-ins.
func (c *Console) useCode(ctx context.Context, person, code string, now clock.Reading) (bool, error) {
	c.counting.Lock()
	defer c.counting.Unlock()
	last, err := c.d.Store.Attempts(ctx, "c:"+person)
	if err != nil {
		return false, fmt.Errorf("reading the last code: %w", err)
	}
	step, err := login.VerifyCode(Secret(c.d.Key, person), code, now, max(last.Last.Wall.Unix(), 0)/codeStep)
	if err != nil {
		return false, nil
	}
	last.Last.Wall = time.Unix(step*codeStep, 0).UTC()
	if err := c.d.Store.SetAttempts(ctx, "c:"+person, last); err != nil {
		return false, fmt.Errorf("noting the code that was used: %w", err)
	}
	return true, nil
}

func (k *call) logout() error {
	if err := k.c.d.Store.DeleteSession(k.r.Context(), k.token); err != nil {
		return fmt.Errorf("ending the session: %w", err)
	}
	http.SetCookie(k.w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(k.w, k.r, "/login", http.StatusSeeOther)
	return k.note("logout", k.person.ID, "ok")
}

func (k *call) ownPage() error { return k.page("account", k.person.Name, k.person) }
