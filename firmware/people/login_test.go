package people_test

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/login"
)

// Covers M3, M7, F13: what goes in and out by log-in is in the log, and no secret is anywhere.
func TestLogInAndOut(t *testing.T) {
	h := newEnv(t)
	zhou := h.person("zhou", account.RoleStaff)
	before := h.store.Size()
	s := h.in("ZHOU ")
	if s.Person.ID != zhou.ID || s.MustPassword || s.MustFactor || !s.Actor.Has(account.RoleStaff) || s.Actor.SecondFactor {
		t.Errorf("session %+v", s)
	}
	if got, err := h.Session(t.Context(), s.Token, true); err != nil || got.Actor.ID != zhou.ID {
		t.Errorf("session by token: %v", err)
	}
	h.must(h.Logout(t.Context(), s.Token, from))
	h.must(h.Logout(t.Context(), s.Token, from))
	if _, err := h.Session(t.Context(), s.Token, true); !errors.Is(err, people.ErrNoSession) {
		t.Errorf("after log-out: %v", err)
	}
	if got := h.kinds(before); !slices.Equal(got, []ledger.Kind{"login.ok", "logout"}) {
		t.Errorf("entries %v", got)
	}
	for _, bad := range []string{"", "x", s.Token + "x"} {
		if _, err := h.Session(t.Context(), bad, true); !errors.Is(err, people.ErrNoSession) {
			t.Errorf("token %q: %v", bad, err)
		}
	}
	for _, text := range []string{zhou.Name, password, s.Token} {
		if h.onDisk(text) {
			t.Errorf("%q stands readable in the data directory", text)
		}
	}
}

// Covers F11: guessing is slowed by name and by address; the answer is the same whether the name exists.
func TestLockOut(t *testing.T) {
	h := newEnv(t)
	h.person("zhou", account.RoleStaff)
	before := h.store.Size()
	for _, user := range []string{"zhou", "nobody"} {
		for i := range 5 {
			from := ledger.From{Address: user + ".10.0.0." + string(rune('0'+i))}
			_, err := h.Login(t.Context(), people.Credentials{User: user, Password: "wrong wrong"}, from)
			if !errors.Is(err, people.ErrRefused) {
				t.Fatalf("%s, guess %d: %v", user, i, err)
			}
		}
		_, err := h.Login(t.Context(), people.Credentials{User: user, Password: password + "一"}, from)
		locked, ok := errors.AsType[*people.Locked](err)
		if !ok || locked.Wait != time.Minute {
			t.Fatalf("%s after five guesses, with the right password: %v", user, err)
		}
	}
	kinds := h.kinds(before)
	if n := count(kinds, "login.refused"); n != 10 || count(kinds, "login.locked") != 2 {
		t.Errorf("entries %v", kinds)
	}
	h.restart()
	if _, err := h.login("zhou", ""); err == nil {
		t.Error("a restart opened the lock")
	}
	h.clock.Pass(time.Minute)
	h.in("zhou")
	if _, err := h.Login(t.Context(), people.Credentials{User: "zhou", Password: "wrong wrong"}, from); !errors.Is(err, people.ErrRefused) {
		t.Errorf("a failure after success locks at once: %v", err)
	}
	for i := range 25 {
		_, err := h.Login(t.Context(), people.Credentials{User: "guess" + string(rune('a'+i)), Password: "wrong wrong"}, from)
		if _, ok := errors.AsType[*people.Locked](err); ok {
			if i != 19 {
				t.Errorf("address locked after %d more guesses", i)
			}
			return
		}
	}
	t.Error("one address tried 25 names and was not locked")
}

func count(kinds []ledger.Kind, k ledger.Kind) (n int) {
	for _, x := range kinds {
		if x == k {
			n++
		}
	}
	return n
}

// A host has a whole /64 of IPv6 addresses: changing among them does not help.
func TestGuessingFromManyAddressesOfOneHost(t *testing.T) {
	h := newEnv(t)
	for i := range 21 {
		from := ledger.From{Address: fmt.Sprintf("2001:db8:1:2::%x", i+1)}
		_, err := h.Login(t.Context(), people.Credentials{User: fmt.Sprintf("guess%d", i), Password: "wrong wrong"}, from)
		if _, locked := errors.AsType[*people.Locked](err); locked != (i == 20) {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	if _, err := h.Login(t.Context(), people.Credentials{User: "x", Password: "wrong wrong"}, ledger.From{Address: "2001:db8:1:3::1"}); !errors.Is(err, people.ErrRefused) {
		t.Errorf("the neighbours are locked out too: %v", err)
	}
}

// A second guess that is sent while the first is being checked must not slip past the lock.
func TestParallelGuessesDoNotSlipPastTheLock(t *testing.T) {
	h := newEnv(t)
	h.person("zhou", account.RoleStaff)
	results := make(chan error, 24)
	for range cap(results) {
		go func() {
			_, err := h.Login(context.Background(), people.Credentials{User: "zhou", Password: "wrong wrong"}, from)
			results <- err
		}()
	}
	refused := 0
	for range cap(results) {
		if errors.Is(<-results, people.ErrRefused) {
			refused++
		}
	}
	if refused < 5 || refused > 6 { // two are hashed at a time
		t.Errorf("%d guesses were checked, want 5 or 6", refused)
	}
}

func TestSessionsEnd(t *testing.T) {
	h := newEnv(t)
	h.person("zhou", account.RoleStaff)
	s := h.in("zhou")
	for range 20 { // in use all day
		h.clock.Pass(29 * time.Minute)
		if _, err := h.Session(t.Context(), s.Token, true); err != nil {
			t.Fatal(err)
		}
	}
	h.clock.Pass(31 * time.Minute)
	if _, err := h.Session(t.Context(), s.Token, true); !errors.Is(err, people.ErrNoSession) {
		t.Errorf("idle for 31 minutes: %v", err)
	}
	s = h.in("zhou")
	h.clock.Pass(25 * time.Minute)
	if _, err := h.Session(t.Context(), s.Token, true); err != nil {
		t.Fatal(err)
	}
	h.must(h.Tidy(t.Context()))
	h.restart()
	h.clock.Pass(25 * time.Minute)
	if _, err := h.Session(t.Context(), s.Token, true); err != nil {
		t.Errorf("a restart ended a session in use: %v", err)
	}
	if n := len(h.Sessions(s.Person.ID)); n != 1 {
		t.Errorf("%d sessions listed", n)
	}
	for range 12 {
		h.clock.Pass(time.Second)
		h.in("zhou")
	}
	if n := len(h.Sessions(s.Person.ID)); n != 10 {
		t.Errorf("%d sessions of one person, want 10", n)
	}
	h.must(h.EndSessions(t.Context(), account.Who{Actor: s.Actor, From: from, Via: ledger.ViaWeb}, s.Person.ID))
	if n := len(h.Sessions(s.Person.ID)); n != 0 {
		t.Errorf("%d sessions after all were ended", n)
	}
}

// factor sets up a second factor and returns its secret and the recovery codes.
func (h *env) factor(name string) (secret []byte, recovery []string) {
	h.t.Helper()
	s := h.in(name)
	f, err := h.BeginFactor(h.t.Context(), s.Token, password+"一", "", from)
	h.must(err)
	u, err := url.Parse(f.URI)
	h.must(err)
	secret, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(u.Query().Get("secret"))
	h.must(err)
	if _, err := h.ConfirmFactor(h.t.Context(), s.Token, "000000", from); fieldOf(err) != "code:err.code" {
		h.t.Errorf("wrong first code: %v", err)
	}
	recovery, err = h.ConfirmFactor(h.t.Context(), s.Token, h.code(secret), from)
	h.must(err)
	if got, err := h.Session(h.t.Context(), s.Token, true); err != nil || !got.Actor.SecondFactor {
		h.t.Errorf("the session that set the factor up has not passed it: %v", err)
	}
	h.clock.Pass(time.Minute)
	return secret, recovery
}

func (h *env) code(secret []byte) string { return login.Code(secret, login.Step(h.clock.Now().Wall)) }

func fieldOf(err error) string {
	if e, ok := errors.AsType[fielderr.Errors](err); ok {
		return e[0].Field + ":" + e[0].Rule
	}
	return ""
}

func TestSecondFactor(t *testing.T) {
	h := newEnv(t)
	h.person("zheng", account.RoleHeadOfSafety)
	if s := h.in("zheng"); !s.MustFactor {
		t.Error("a duty role without a second factor is not told to set one up")
	}
	secret, recovery := h.factor("zheng")
	if h.onDisk(string(secret)) || h.onDisk(recovery[0]) {
		t.Error("the factor stands readable in the data directory")
	}
	if _, err := h.login("zheng", ""); !errors.Is(err, people.ErrCodeNeeded) {
		t.Errorf("without a code: %v", err)
	}
	if _, err := h.login("zheng", "123456"); !errors.Is(err, people.ErrCodeRefused) {
		t.Errorf("wrong code: %v", err)
	}
	s, err := h.login("zheng", h.code(secret))
	if err != nil || !s.Actor.SecondFactor || s.MustFactor {
		t.Fatalf("right code: %+v, %v", s, err)
	}
	if _, err := h.login("zheng", h.code(secret)); !errors.Is(err, people.ErrCodeRefused) {
		t.Errorf("the same code again: %v", err)
	}
	h.restart()
	if _, err := h.login("zheng", h.code(secret)); !errors.Is(err, people.ErrCodeRefused) {
		t.Errorf("the same code again after a restart: %v", err)
	}
	h.clock.Pass(30 * time.Second)
	results := make(chan error, 4)
	for range cap(results) {
		go func() {
			_, err := h.Login(context.Background(), people.Credentials{User: "zheng", Password: password + "一", Code: h.code(secret)}, from)
			results <- err
		}()
	}
	in := 0
	for range cap(results) {
		if <-results == nil {
			in++
		}
	}
	if in != 1 {
		t.Errorf("%d of 4 parallel log-ins with one code got in", in)
	}
	h.clock.Pass(time.Hour)
	h.clock.Doubt(clock.Suspect)
	used := h.code(secret)
	if s, err := h.login("zheng", used); err != nil || !s.Actor.SecondFactor {
		t.Errorf("one-time code by the line, while the clock is suspect: %v", err)
	}
	if _, err := h.login("zheng", used); !errors.Is(err, people.ErrCodeRefused) {
		t.Errorf("a used code while the clock is suspect: %v", err)
	}
	if s, err := h.login("zheng", recovery[4]); err != nil || !s.Actor.SecondFactor {
		t.Errorf("recovery code while the clock is suspect: %v", err)
	}
	if _, err := h.login("zheng", recovery[4]); !errors.Is(err, people.ErrCodeRefused) {
		t.Errorf("recovery code twice: %v", err)
	}
}

// Covers F14: a second person proves who they are at somebody's screen, without a session of their own.
func TestVerifySecondPerson(t *testing.T) {
	h := newEnv(t)
	n := h.person("zheng", account.RoleHeadOfSafety)
	secret, _ := h.factor("zheng")
	open := len(h.Sessions(n.ID))
	a, err := h.Verify(t.Context(), people.Credentials{User: "zheng", Password: password + "一", Code: h.code(secret)}, from)
	if err != nil || a.ID != n.ID || !a.SecondFactor || len(h.Sessions(n.ID)) != open {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := h.Verify(t.Context(), people.Credentials{User: "zheng", Password: password + "一", Code: h.code(secret)}, from); !errors.Is(err, people.ErrCodeRefused) {
		t.Errorf("with a used code: %v", err)
	}
}

func TestPasswords(t *testing.T) {
	h := newEnv(t)
	n := h.person("zhou", account.RoleStaff)
	s, other := h.in("zhou"), h.in("zhou")
	for _, c := range []struct{ old, new, want string }{
		{password + "一", "short", "new:err.password_short"},
		{password + "一", password + "一", "new:err.password_same"},
		{"wrong", password + "三", "old:err.password_wrong"},
	} {
		if err := h.ChangePassword(t.Context(), s.Token, c.old, c.new, from); fieldOf(err) != c.want {
			t.Errorf("%q → %q: %v, want %s", c.old, c.new, err, c.want)
		}
	}
	h.rules.PasswordDays = 90
	h.clock.Pass(91 * 24 * time.Hour)
	s, other = h.in("zhou"), h.in("zhou")
	if !s.MustPassword {
		t.Error("a password of 91 days need not be changed where 90 are the limit")
	}
	h.clock.Doubt(clock.Suspect)
	if doubted, err := h.Session(t.Context(), s.Token, true); err != nil || doubted.MustPassword {
		t.Errorf("a clock in doubt makes a password old: %v", err)
	}
	h.clock.Doubt(clock.Trusted)
	h.must(h.ChangePassword(t.Context(), s.Token, password+"一", password+"三", from))
	if s, err := h.Session(t.Context(), s.Token, true); err != nil || s.MustPassword {
		t.Errorf("after the change it must be changed again: %v", err)
	}
	if _, err := h.Session(t.Context(), other.Token, true); !errors.Is(err, people.ErrNoSession) {
		t.Errorf("the other session lives on after a change of password: %v", err)
	}
	if _, err := h.Session(t.Context(), s.Token, true); err != nil {
		t.Errorf("the own session ended: %v", err)
	}
	once, err := h.ResetPassword(t.Context(), account.System, n.ID)
	h.must(err)
	if _, err := h.Session(t.Context(), s.Token, true); !errors.Is(err, people.ErrNoSession) {
		t.Errorf("a session lives on after a reset: %v", err)
	}
	if s, err := h.Login(t.Context(), people.Credentials{User: "zhou", Password: once}, from); err != nil || !s.MustPassword {
		t.Errorf("with the one-time password: %v", err)
	}
}

// Covers M3, M5: rights are another's to change, at once, with before and after.
func TestRevokedRoleTakesEffectAtOnce(t *testing.T) {
	h := newEnv(t)
	admin := h.person("liang", account.RoleStaff, account.RoleAdmin)
	zhou := h.person("zhou", account.RoleStaff, account.RoleOfficer)
	s := h.in("zhou")
	as := account.Who{Actor: account.Actor{ID: admin.ID, Roles: admin.Roles, SecondFactor: true}, From: from, Via: ledger.ViaWeb}

	before := h.store.Size()
	zhou, _ = h.Person(zhou.ID)
	shown := zhou.Rev
	zhou.Roles = []account.Role{account.RoleStaff}
	h.must(h.ChangePerson(t.Context(), as, zhou))
	if got, err := h.Session(t.Context(), s.Token, true); err != nil || got.Actor.Has(account.RoleOfficer) {
		t.Errorf("the role is still there: %+v, %v", got.Actor, err)
	}
	parts, err := h.store.Parts(before)
	h.must(err)
	if len(parts) != 2 || parts[0].Name != "before" || parts[1].Name != "after" {
		t.Errorf("parts of the entry: %+v", parts)
	}
	zhou.Rev, zhou.Title = shown, "队长"
	if err := h.ChangePerson(t.Context(), as, zhou); !errors.Is(err, ledgerdb.ErrConflict) {
		t.Errorf("a change on top of an old page: %v", err)
	}
	zhou.Rev, zhou.Disabled = 0, true
	h.must(h.ChangePerson(t.Context(), as, zhou))
	if _, err := h.Session(t.Context(), s.Token, true); !errors.Is(err, people.ErrNoSession) {
		t.Errorf("a disabled person's session: %v", err)
	}
	if _, err := h.login("zhou", ""); !errors.Is(err, people.ErrRefused) {
		t.Errorf("a disabled person logs in: %v", err)
	}

	self, _ := h.Person(admin.ID)
	self.Roles = append(self.Roles, account.RoleClassTeacher)
	if _, ok := errors.AsType[*account.Refused](h.ChangePerson(t.Context(), as, self)); !ok {
		t.Error("somebody changed their own rights")
	}
	self.Roles = []account.Role{account.RoleStaff}
	if err := h.ChangePerson(t.Context(), account.System, self); fieldOf(err) != "roles:err.last_admin" {
		t.Errorf("the last administrator was removed: %v", err)
	}
	officer := account.Who{Actor: s.Actor}
	if _, ok := errors.AsType[*account.Refused](h.ChangePerson(t.Context(), officer, self)); !ok {
		t.Error("an officer changed an account")
	}
}

func TestPersonsAreChecked(t *testing.T) {
	h := newEnv(t)
	h.person("zhou", account.RoleStaff)
	good := people.Person{Login: "he", Name: "何清越", StaffNo: "2016-021", Unit: "德育处", Roles: []account.Role{account.RoleStaff}}
	for want, spoil := range map[string]func(*people.Person){
		"login:err.login_name":        func(n *people.Person) { n.Login = "何" },
		"login:err.login_taken":       func(n *people.Person) { n.Login = "Zhou" },
		"name:err.required":           func(n *people.Person) { n.Name = " " },
		"staff_no:err.staff_no":       func(n *people.Person) { n.StaffNo = "" },
		"staff_no:err.staff_no_taken": func(n *people.Person) { n.StaffNo = "T-zhou" },
		"unit:err.required":           func(n *people.Person) { n.Unit = "" },
		"phone:err.phone":             func(n *people.Person) { n.Phone = "12" },
		"roles:err.required":          func(n *people.Person) { n.Roles = nil },
		"roles:err.role_unknown":      func(n *people.Person) { n.Roles = []account.Role{account.RoleCentreStaff} },
		"roles:conflict.technical":    func(n *people.Person) { n.Roles = []account.Role{account.RoleAdmin, account.RoleOfficer} },
	} {
		n := good
		spoil(&n)
		if _, _, err := h.AddPerson(t.Context(), account.System, n, ""); fieldOf(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, _, err := h.AddPerson(t.Context(), account.System, good, "1234567890"); fieldOf(err) != "password:err.password_common" {
		t.Errorf("common password: %v", err)
	}
	n, _, err := h.AddPerson(t.Context(), account.System, good, "")
	h.must(err)
	if n.ID != "p002" || h.Name("p002") != "何清越" || h.Name("p999") != "p999" || len(h.FindPeople("德育", 10)) != 1 {
		t.Errorf("registered as %+v", n)
	}
}

// Design §8a: a headless box; the code of the installer's command lets the first administrator in.
func TestFirstStart(t *testing.T) {
	h := newEnv(t)
	if !h.NeedsSetUp() {
		t.Fatal("an empty house needs no set-up")
	}
	void, err := h.SetUpCode(t.Context())
	h.must(err)
	code, err := h.SetUpCode(t.Context())
	h.must(err)
	first := people.Person{Login: "liang", Name: "梁牧", StaffNo: "2019-044", Unit: "信息中心", Roles: []account.Role{account.RoleStaff}}
	for range 5 {
		if _, err := h.SetUp(t.Context(), void, first, password, from); !errors.Is(err, people.ErrRefused) {
			t.Fatalf("with a void code: %v", err)
		}
	}
	if _, err := h.SetUp(t.Context(), code, first, password, from); err == nil {
		t.Error("guessing set-up codes does not lock")
	}
	h.clock.Pass(time.Minute)
	if _, err := h.SetUp(t.Context(), code, first, "short", from); fieldOf(err) != "password:err.password_short" {
		t.Errorf("short password: %v", err)
	}
	n, err := h.SetUp(t.Context(), code, first, password, from)
	h.must(err)
	if !slices.Contains(n.Roles, account.RoleAdmin) || h.NeedsSetUp() {
		t.Errorf("first person %+v", n)
	}
	if _, err := h.SetUp(t.Context(), code, first, password, from); !errors.Is(err, people.ErrSetUp) {
		t.Errorf("the code works twice: %v", err)
	}
	if _, err := h.SetUpCode(t.Context()); !errors.Is(err, people.ErrSetUp) {
		t.Errorf("a second code: %v", err)
	}
	if _, err := h.Login(t.Context(), people.Credentials{User: "liang", Password: password}, from); err != nil {
		t.Errorf("the first administrator cannot log in: %v", err)
	}
}

// While the clock is in doubt a code that does not match may be the clock's fault, and is said to be; it is a guess all
// the same. A recovery code lets in.
func TestOneTimeCodeUnderASuspectClock(t *testing.T) {
	h := newEnv(t)
	h.person("zheng", account.RoleHeadOfSafety)
	secret, recovery := h.factor("zheng")
	phone := h.code(secret)
	h.clock.Pass(3 * time.Hour)
	h.clock.Doubt(clock.Suspect)
	if _, err := h.login("zheng", phone); !errors.Is(err, people.ErrCodeClock) {
		t.Errorf("a phone whose time is another: %v", err)
	}
	if s, err := h.login("zheng", recovery[0]); err != nil || !s.Actor.SecondFactor {
		t.Errorf("recovery code: %v", err)
	}
	if _, err := h.login("zheng", "aaaaa-aaaaa-aaaaa"); errors.Is(err, people.ErrCodeClock) {
		t.Errorf("a recovery code that is none is not the clock's fault: %v", err)
	}
	var locked *people.Locked
	for range 6 {
		_, err := h.login("zheng", "000000")
		errors.As(err, &locked)
	}
	if locked == nil {
		t.Error("guessing is not counted while the clock is in doubt")
	}
}
