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
	"strings"
	"time"

	"campuskeep/cloud/centredb"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/lib/web"
	"campuskeep/shared/login"
)

const (
	cookieName   = "__Host-ckc"
	deviceCookie = "__Host-ckc-device" // this browser has logged somebody in before; it lets nobody in
	deviceDays   = 180
)

// hashers is how many passwords are hashed at once: each takes 19 MiB.
const hashers = 4

type loginView struct {
	Form  ui.Form
	Next  string
	SetUp bool // there is nobody yet
}

func (k *call) loginPage() error {
	return k.showLogin(http.StatusOK, nil, web.Local(k.r.URL.Query().Get("next")), "")
}

func (k *call) showLogin(status int, values url.Values, next, rule string, args ...any) error {
	v := loginView{Form: ui.Form{Name: "login", P: k.p, Values: values}, Next: next}
	if rule != "" {
		v.Form.Errors.Add("password", rule, args...)
	}
	var err error
	if v.SetUp, err = k.c.needsSetUp(k.r.Context()); err != nil {
		return err
	}
	return k.pageStatus(status, "login", k.p.T("login.title"), v)
}

// refusedLogin shows the form again with one message for every cause, so that it tells nobody which user
// names exist.
func (k *call) refusedLogin(rule string, args ...any) error {
	return k.showLogin(http.StatusUnauthorized, url.Values{"user": k.r.PostForm["user"]}, web.Local(k.r.PostFormValue("next")), rule, args...)
}

// keys are the rows that count a log-in under this name.
func (k *call) keys(user, person string) login.Keys {
	if cookie, err := k.r.Cookie(deviceCookie); err == nil {
		if device := login.KnownDevice(k.c.d.Key, cookie.Value, person); device != "" {
			return login.Keys{Name: "d:" + k.c.pseudonym(device+"\x00"+person)}
		}
	}
	sum := sha256.Sum256([]byte("user\x00" + user))
	return login.Keys{Name: "u:" + base64.RawURLEncoding.EncodeToString(sum[:18]), Network: networkPrefix + k.c.pseudonym(login.Network(k.address.String()))}
}

// networkPrefix begins the keys of networks.
const networkPrefix = "a:"

func (c *Console) pseudonym(text string) string {
	m := hmac.New(sha256.New, c.d.Key)
	m.Write([]byte("campuskeep console name\x00" + text))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:18])
}

func (k *call) login() error {
	user, password, code := strings.TrimSpace(k.r.PostFormValue("user")), k.r.PostFormValue("password"), k.r.PostFormValue("code")
	if !k.c.byLogin.Allow(k.address, k.now.Mono) {
		return k.refusedLogin("login.slow")
	}
	p, proof, err := k.verify(user, password, code)
	locked, isLocked := errors.AsType[*login.Locked](err)
	switch {
	case isLocked:
		return k.refusedLogin("login.locked", locked.Wait)
	case errors.Is(err, login.ErrRefused), errors.Is(err, login.ErrCodeRefused), errors.Is(err, login.ErrCodeNeeded):
		return k.refusedLogin("login.wrong")
	case errors.Is(err, login.ErrClockWorse):
		return k.refusedLogin("login.code_clock")
	case err != nil:
		return err
	}
	if err := k.begin(p, proof.Factor); err != nil {
		return err
	}
	http.Redirect(k.w, k.r, web.Local(k.r.PostFormValue("next")), http.StatusSeeOther)
	return nil
}

// verify holds credentials against the person of a log-in name: counted before they are tried, hashed in a slot, and
// each refusal a line of the centre's log. *login.Locked, login.ErrRefused and the errors of codes.
func (k *call) verify(user, password, code string) (p centredb.Person, proof login.Proof, err error) {
	ctx, c := k.r.Context(), k.c
	p, err = c.d.Store.PersonByUser(ctx, user)
	if err != nil && !errors.Is(err, centredb.ErrNotFound) {
		return p, proof, fmt.Errorf("look up a person: %w", err)
	}
	who := login.Account{Known: err == nil, Disabled: p.Disabled}
	keys := k.keys(user, p.ID)
	counts, err := c.guard.Charge(keys, k.now)
	if err != nil {
		return p, proof, err
	}
	var checked error
	err = c.guard.Hash(ctx, func() {
		if who.Known {
			if who.Secret, checked = unsealed(ctx, c.d.Store, c.d.Key, p); checked != nil {
				return
			}
		}
		proof, checked = c.verifier.Verify(who, password, code, k.now)
	})
	if err != nil {
		c.guard.Return(counts) // nothing was tried
		return p, proof, fmt.Errorf("wait to verify a password: %w", err)
	}
	if checked == nil && proof.Changed {
		if checked = c.change(ctx, p, proof.Secret); errors.Is(checked, errMeanwhile) { // of two that use one code, one gets in
			proof.Reason, checked = "code_used", login.ErrCodeRefused
		}
	}
	switch {
	case proof.Reason != "":
		return p, proof, errors.Join(checked, k.refused(p.ID, proof.Reason, counts))
	case checked != nil:
		c.guard.Return(counts)
		if errors.Is(checked, login.ErrCodeNeeded) { // anyone who stole a password must not try it unseen
			return p, proof, errors.Join(checked, k.note("login", p.ID, "login.code_needed"))
		}
		return p, proof, checked
	}
	if c.guard.Succeed(keys, counts) {
		if err := c.d.Store.SetAttempts(ctx, keys.Name, login.Attempts{}); err != nil {
			return p, proof, fmt.Errorf("clear failed log-ins: %w", err)
		}
	}
	return p, proof, nil
}

// refusalTime bounds the writing of a refusal, which does not end with the request: anyone who hangs up early leaves
// a trace all the same.
const refusalTime = 10 * time.Second

// refused stores what a failed log-in counts, and its line of the log.
func (k *call) refused(person, reason string, counts []login.Counted) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(k.r.Context()), refusalTime)
	defer cancel()
	st := k.c.d.Store
	for _, n := range counts {
		if err := st.SetAttempts(ctx, n.Key, n.Attempts); err != nil {
			return fmt.Errorf("count a log-in: %w", err)
		}
	}
	if err := k.note("login", person, "login.reason."+reason); err != nil {
		return err
	}
	for _, key := range k.c.guard.Tidy(k.now, 100, func(key string) bool { return strings.HasPrefix(key, networkPrefix) }) {
		if err := st.SetAttempts(ctx, key, login.Attempts{}); err != nil {
			return fmt.Errorf("forgetting failed log-ins: %w", err)
		}
	}
	if n, storm := k.c.guard.Storm(k.now); storm {
		at := k.now.Wall
		k.c.storm.Store(&at)
		k.c.d.Log.Warn("many refused log-ins", "count", n, "window", login.LoginStorm.Window)
		return k.note("login.storm", "", "login.storm")
	}
	return nil
}

// maxSessions of one person; the next log-in ends the oldest.
const maxSessions = 10

// begin starts a session and tells the browser.
func (k *call) begin(p centredb.Person, factor string) error {
	ctx, st := k.r.Context(), k.c.d.Store
	open, err := st.SessionsOf(ctx, p.ID)
	if err != nil {
		return fmt.Errorf("list sessions: %w", err)
	}
	for i := maxSessions - 1; i < len(open); i++ {
		if err := st.DeleteSession(ctx, open[i].TokenHash); err != nil {
			return fmt.Errorf("end the oldest session: %w", err)
		}
	}
	token, hash := login.NewToken()
	stamp := login.StampOf(k.now)
	if err := st.PutSession(ctx, centredb.Session{TokenHash: hash, Person: p.ID, Began: stamp, Used: stamp, Address: k.address.String()}); err != nil {
		return fmt.Errorf("begin a session: %w", err)
	}
	k.actor.ID, k.token = p.ID, hash
	if err := k.note("login", p.ID, map[bool]string{true: "login.recovery", false: "ok"}[factor == login.FactorRecovery]); err != nil {
		return err
	}
	old := ""
	if cookie, err := k.r.Cookie(deviceCookie); err == nil {
		old = cookie.Value
	}
	k.cookie(cookieName, token, 0)
	k.cookie(deviceCookie, login.DeviceCookie(k.c.d.Key, old, p.ID), deviceDays*24*3600)
	return nil
}

func (k *call) cookie(name, value string, age int) {
	http.SetCookie(k.w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

func (k *call) logout() error {
	if err := k.c.d.Store.DeleteSession(k.r.Context(), k.token); err != nil {
		return fmt.Errorf("end the session: %w", err)
	}
	k.cookie(cookieName, "", -1)
	http.Redirect(k.w, k.r, "/login", http.StatusSeeOther)
	return k.note("logout", k.person.ID, "ok")
}
