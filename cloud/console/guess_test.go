package console

import (
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"campuskeep/cloud/centredb"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/qr"
	"campuskeep/shared/login"
)

// Covers M3: guesses side by side over the pages are counted like guesses one after the other, from whatever
// addresses, and their owner's own browser still gets in.
func TestParallelGuessesAreCounted(t *testing.T) {
	s := newSite(t)
	mine := s.browser(t)
	if got := s.login(t, mine, "staff", "c001", password); got != http.StatusSeeOther {
		t.Fatalf("log-in: %d", got)
	}
	s.at += time.Hour
	var refused atomic.Int64
	var wg sync.WaitGroup
	for range 10 { // the limit of one address beside it
		wg.Go(func() {
			got, body := s.post(t, s.browser(t), "/login", url.Values{"user": {"staff"}, "password": {"wrong password"}, "code": {"123456"}})
			if got != http.StatusUnauthorized {
				t.Errorf("a guess: %d", got)
			}
			if !strings.Contains(body, "分钟后再试") {
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	if n := int(refused.Load()); n > login.AccountLock.Free {
		t.Errorf("%d guesses of 10 were tried, %d are free", n, login.AccountLock.Free)
	}
	s.at += 30 * time.Second // the address may try again, the name is still locked
	if got := s.login(t, s.browser(t), "staff", "c001", password); got != http.StatusUnauthorized {
		t.Errorf("a locked name got in from a strange browser: %d", got)
	}
	if got := s.login(t, mine, "staff", "c001", password); got != http.StatusSeeOther {
		t.Errorf("strangers keep the owner out of his own browser: %d", got)
	}
}

// Covers M3: a code that was used is used after a restart too, failures count on, and a password that is renewed ends
// the sessions of the one before.
func TestLogInOverARestart(t *testing.T) {
	s := newSite(t)
	b := s.browser(t)
	if got := s.login(t, b, "staff", "c001", password); got != http.StatusSeeOther {
		t.Fatalf("log-in: %d", got)
	}
	for range login.AccountLock.Free {
		s.at += 3 * time.Second
		s.login(t, s.browser(t), "admin", "c002", "wrong password")
	}
	again, err := New(t.Context(), Deps{Log: slog.New(slog.DiscardHandler), Clock: still{&s.at}, Zone: time.UTC, School: "o", Version: "t", Store: s.store, Enrol: s.tokens, Key: s.key})
	if err != nil {
		t.Fatal(err)
	}
	s.Config.Handler = again.Handler()
	s.at -= 15 * time.Second
	if got := s.login(t, s.browser(t), "staff", "c001", password); got != http.StatusUnauthorized {
		t.Errorf("the code is good again: %d", got)
	}
	s.at += 15 * time.Second
	if got := s.login(t, s.browser(t), "admin", "c002", password); got != http.StatusUnauthorized {
		t.Errorf("the lock is gone: %d", got)
	}
	s.add(t, "c001", "staff", account.RoleCentreStaff)
	if got, _ := s.get(t, b, "/"); got != http.StatusSeeOther {
		t.Errorf("a session of the old password is alive: %d", got)
	}
}

// A person of an earlier build logs in with the factor and the last code that he had.
func TestAPersonOfAnEarlierBuild(t *testing.T) {
	s := newSite(t)
	if err := s.store.PutPerson(t.Context(), centredb.Person{ID: "c009", User: "old", Name: "旧", Roles: []account.Role{account.RoleCentreStaff}, Password: login.Hash(password, login.Cost)}); err != nil {
		t.Fatal(err)
	}
	s.secret["c009"] = derivedFactor(s.key, "c009")
	last := login.Attempts{Last: login.Stamp{Wall: still{&s.at}.Now().Wall}}
	if err := s.store.SetAttempts(t.Context(), "c:c009", last); err != nil {
		t.Fatal(err)
	}
	if got := s.login(t, s.browser(t), "old", "c009", password); got != http.StatusUnauthorized {
		t.Errorf("the last code of the earlier build is good again: %d", got)
	}
	s.at += time.Minute
	if got := s.login(t, s.browser(t), "old", "c009", password); got != http.StatusSeeOther {
		t.Errorf("the next code: %d", got)
	}
}

var code = regexp.MustCompile(`<p class="secret">([A-Z2-7]{32})</p>`)

// Covers M3: the first start is a one-time code; until password and second factor are set nothing else is open; both
// are changed with the old ones only, and end the other sessions; recovery codes work once.
func TestFirstStartAndOwnCredentials(t *testing.T) {
	s := newSite(t)
	if got, _ := s.get(t, s.browser(t), "/setup"); got != http.StatusNotFound {
		t.Errorf("set-up where there is somebody: %d", got)
	}
	empty := newEmptySite(t)
	s = empty
	b := s.browser(t)
	one, err := SetUpCode(t.Context(), s.store, noon)
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"code": {"0000-0000-0000-0000"}, "login": {"chang"}, "name": {"常远舟"}, "password": {password}, "again": {password}}
	if got, _ := s.post(t, b, "/setup", form); got != http.StatusUnauthorized {
		t.Errorf("a wrong code: %d", got)
	}
	form.Set("code", one)
	if got, _ := s.post(t, b, "/setup", form); got != http.StatusSeeOther {
		t.Fatalf("set-up: %d", got)
	}
	if got, _ := s.post(t, s.browser(t), "/setup", form); got != http.StatusNotFound {
		t.Errorf("set-up again: %d", got)
	}
	for _, path := range []string{"/", "/enrol", "/audit"} {
		if got, _ := s.get(t, b, path); got != http.StatusSeeOther {
			t.Errorf("%s without a second factor: %d", path, got)
		}
	}
	if got, _ := s.post(t, b, "/account/factor", url.Values{"old": {"wrong password"}}); got != http.StatusUnprocessableEntity {
		t.Errorf("a factor with a wrong password: %d", got)
	}
	_, body := s.post(t, b, "/account/factor", url.Values{"old": {password}})
	found := code.FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("no secret on the page:\n%s", body)
	}
	s.keep(t, "c001", found[1])
	if drawn, err := qr.Draw(login.SecretURI(s.secret["c001"], "Campuskeep", "chang")); err != nil || !strings.Contains(body, `d="`+drawn.Path+`"`) {
		t.Errorf("the QR code on the page is another one, %v", err)
	}
	_, body = s.post(t, b, "/account/factor/confirm", url.Values{"code": {s.code("c001")}})
	recovery := regexp.MustCompile(`[0-9A-Z]{4}(-[0-9A-Z]{4}){3}`).FindAllString(body, -1)
	if len(recovery) != login.RecoveryCodes {
		t.Fatalf("%d recovery codes on the page", len(recovery))
	}
	if got, _ := s.get(t, b, "/audit"); got != http.StatusOK {
		t.Errorf("with both: %d", got)
	}

	other := s.browser(t)
	if got, _ := s.post(t, other, "/login", url.Values{"user": {"chang"}, "password": {password}, "code": {recovery[3]}}); got != http.StatusSeeOther {
		t.Errorf("a recovery code: %d", got)
	}
	if got, _ := s.post(t, s.browser(t), "/login", url.Values{"user": {"chang"}, "password": {password}, "code": {recovery[3]}}); got != http.StatusUnauthorized {
		t.Errorf("the recovery code again: %d", got)
	}
	if _, body := s.get(t, b, "/account"); strings.Count(body, `name="id"`) != 1 {
		t.Error("the other session is not listed")
	}
	s.at += time.Minute
	change := url.Values{"old": {password}, "new": {"another good password"}, "again": {"another good password"}}
	if got, _ := s.post(t, b, "/account/password", change); got != http.StatusUnprocessableEntity {
		t.Errorf("a new password without a code: %d", got)
	}
	change.Set("code", s.code("c001"))
	if got, _ := s.post(t, b, "/account/password", change); got != http.StatusSeeOther {
		t.Errorf("a new password: %d", got)
	}
	if got, _ := s.get(t, other, "/audit"); got != http.StatusSeeOther {
		t.Errorf("the other session after a new password: %d", got)
	}
	if got, _ := s.get(t, b, "/audit"); got != http.StatusOK {
		t.Errorf("this session after a new password: %d", got)
	}
	if got, _ := s.post(t, b, "/account/factor", url.Values{"old": {"another good password"}}); got != http.StatusUnprocessableEntity {
		t.Errorf("a new factor without a code of the old: %d", got)
	}
	third := s.browser(t)
	if got, _ := s.post(t, third, "/login", url.Values{"user": {"chang"}, "password": {"another good password"}, "code": {recovery[5]}}); got != http.StatusSeeOther {
		t.Errorf("log-in by the new password: %d", got)
	}
	if got, _ := s.post(t, b, "/account/sessions", nil); got != http.StatusSeeOther {
		t.Errorf("ending the other sessions: %d", got)
	}
	if got, _ := s.get(t, third, "/audit"); got != http.StatusSeeOther {
		t.Errorf("a session that was ended: %d", got)
	}
}
