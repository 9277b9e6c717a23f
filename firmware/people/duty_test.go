package people_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"campuskeep/firmware/people"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
)

// as is somebody at a page who has passed a second factor.
func as(n people.Person) account.Who {
	return account.Who{Actor: account.Actor{ID: n.ID, Roles: n.Roles, SecondFactor: true}, From: from, Via: ledger.ViaWeb}
}

// ready registers an administrator, a leader and an officer, each with a second factor.
func ready(h *env) (admin, leader, officer people.Person) {
	admin = h.person("liang", account.RoleStaff, account.RoleAdmin)
	leader = h.person("zheng", account.RoleStaff, account.RoleLeader)
	officer = h.person("zhou", account.RoleStaff, account.RoleOfficer)
	h.factor("zheng")
	return admin, leader, officer
}

// Covers M3, M7: the administrator, who sees no records, becomes security officer neither by an account of their own
// making nor by taking over somebody's.
func TestNobodyGivesDutiesAlone(t *testing.T) {
	h := newEnv(t)
	admin, leader, officer := ready(h)
	ghost := people.Person{Login: "ghost", Name: "示例", StaffNo: "G-1", Unit: "信息中心", Roles: []account.Role{account.RoleStaff, account.RoleOfficer}}
	ghost, once, err := h.AddPerson(t.Context(), as(admin), ghost, "")
	h.must(err)
	if ghost.Roles = slices.Clone(ghost.Roles); !slices.Equal(ghost.Roles, []account.Role{account.RoleStaff}) {
		t.Errorf("roles of the new account: %v", ghost.Roles)
	}
	if once == "" {
		t.Error("the account itself was not made")
	}
	if _, err := h.ResetPassword(t.Context(), as(admin), officer.ID); !errors.Is(err, people.ErrProposed) {
		t.Errorf("the password of an officer: %v", err)
	}
	if err := h.ResetFactor(t.Context(), as(admin), leader.ID); !errors.Is(err, people.ErrProposed) {
		t.Errorf("the second factor of a leader: %v", err)
	}
	if !h.HasFactor(leader.ID) {
		t.Error("the leader's factor is gone")
	}
	list := h.DutyChanges()
	if len(list) != 3 {
		t.Fatalf("%d proposals, want 3", len(list))
	}
	for _, d := range list {
		if _, err := h.ConfirmDuty(t.Context(), as(admin), d.ID); err == nil {
			t.Errorf("the proposer confirmed %s", d.What)
		}
		if _, err := h.ConfirmDuty(t.Context(), as(ghost), d.ID); err == nil {
			t.Errorf("the ghost confirmed %s", d.What)
		}
	}
	about := func(person string) people.DutyChange {
		i := slices.IndexFunc(list, func(d people.DutyChange) bool { return d.Person == person })
		return list[i]
	}
	if _, err := h.ConfirmDuty(t.Context(), as(leader), about(leader.ID).ID); err == nil {
		t.Error("the person concerned confirmed it")
	}
	before := h.store.Size()
	if _, err := h.ConfirmDuty(t.Context(), as(leader), about(ghost.ID).ID); err != nil {
		t.Errorf("a second person confirms: %v", err)
	}
	if got := h.kinds(before); !slices.Equal(got, []ledger.Kind{"person.duty", "person.changed"}) {
		t.Errorf("entries of a confirmation: %v", got)
	}
	ghost, _ = h.Person(ghost.ID)
	if !slices.Contains(ghost.Roles, account.RoleOfficer) {
		t.Errorf("roles after the confirmation: %v", ghost.Roles)
	}
	// The account that both made is no second person beside either of them.
	if h.Independent(admin.ID, ghost.ID) || h.Independent(ghost.ID, leader.ID) || !h.Independent(ghost.ID, officer.ID) {
		t.Error("who counts as two persons")
	}
	password, err := h.ConfirmDuty(t.Context(), as(leader), about(officer.ID).ID)
	h.must(err)
	s, err := h.Login(t.Context(), people.Credentials{User: "zhou", Password: password}, from)
	if err != nil || !s.MustPassword {
		t.Errorf("the one-time password: %v, must be changed %v", err, s.MustPassword)
	}
	if len(h.DutyChanges()) != 1 {
		t.Errorf("%d proposals are left, want 1", len(h.DutyChanges()))
	}
}

// Covers M3: a proposal falls when what it was about changes, when it is refused, and when its term is over.
func TestProposalsFall(t *testing.T) {
	h := newEnv(t)
	admin, leader, _ := ready(h)
	luo := h.person("luo", account.RoleStaff, account.RoleClassTeacher)
	propose := func() people.DutyChange {
		n, _ := h.Person(luo.ID)
		n.Roles = append(n.Roles, account.RoleOfficer)
		h.must(h.ChangePerson(t.Context(), as(admin), n))
		return h.DutyChanges()[0]
	}
	d := propose()
	n, _ := h.Person(luo.ID)
	n.Roles = []account.Role{account.RoleStaff}
	h.must(h.ChangePerson(t.Context(), as(admin), n))
	if _, err := h.ConfirmDuty(t.Context(), as(leader), d.ID); !errors.Is(err, people.ErrNotFound) {
		t.Errorf("a proposal about other roles: %v", err)
	}
	d = propose()
	if len(h.DutyChanges()) != 1 {
		t.Errorf("%d proposals about one thing", len(h.DutyChanges()))
	}
	h.must(h.DropDuty(t.Context(), as(leader), d.ID))
	if _, err := h.ConfirmDuty(t.Context(), as(leader), d.ID); !errors.Is(err, people.ErrNotFound) {
		t.Errorf("a refused proposal: %v", err)
	}
	d = propose()
	h.clock.Pass(people.DutyTerm)
	if _, err := h.ConfirmDuty(t.Context(), as(leader), d.ID); !errors.Is(err, people.ErrNotFound) {
		t.Errorf("a proposal after its term: %v", err)
	}
	if n, _ := h.Person(luo.ID); slices.Contains(n.Roles, account.RoleOfficer) {
		t.Error("a fallen proposal counted")
	}
}

// Covers M3: anyone who sets the school up gives the first duties alone, and the log says so; that ends with the first
// duty person's second factor, for good.
func TestFirstSetUp(t *testing.T) {
	h := newEnv(t)
	admin := h.person("liang", account.RoleStaff, account.RoleAdmin)
	before := h.store.Size()
	first, _, err := h.AddPerson(t.Context(), as(admin), people.Person{Login: "zheng", Name: "示例", StaffNo: "Z-1", Unit: "校办", Roles: []account.Role{account.RoleLeader}}, password)
	h.must(err)
	if !slices.Contains(first.Roles, account.RoleLeader) {
		t.Errorf("roles of the first leader: %v", first.Roles)
	}
	if got := h.kinds(before); !slices.Contains(got, "person.duty") {
		t.Errorf("entries: %v", got)
	}
	s, err := h.Login(t.Context(), people.Credentials{User: "zheng", Password: password}, from)
	h.must(err)
	h.must(h.ChangePassword(t.Context(), s.Token, password, password+"一", from))
	h.factor("zheng")
	n, _ := h.Person(first.ID)
	n.Roles = []account.Role{account.RoleStaff}
	h.must(h.ChangePerson(t.Context(), as(admin), n)) // no duty person is left
	h.restart()
	second, _, err := h.AddPerson(t.Context(), as(admin), people.Person{Login: "ghost", Name: "示例", StaffNo: "G-1", Unit: "信息中心", Roles: []account.Role{account.RoleLeader}}, "")
	h.must(err)
	if slices.Contains(second.Roles, account.RoleLeader) {
		t.Error("the set-up began again when the only leader had lost the duty")
	}
}

// Covers M3: strangers who spoil the counter of a name do not keep out who has logged in from this device before.
func TestAKnownDeviceIsNotLockedOut(t *testing.T) {
	h := newEnv(t)
	h.person("zhou", account.RoleStaff, account.RoleOfficer)
	s := h.in("zhou")
	if s.Device == "" {
		t.Fatal("a log-in gives no cookie for the device")
	}
	for range 6 {
		h.Login(t.Context(), people.Credentials{User: "zhou", Password: "wrong wrong wrong"}, from) //nolint:errcheck // it is refused
	}
	right := people.Credentials{User: "zhou", Password: password + "一"}
	if _, err := h.Login(t.Context(), right, from); !isLocked(err) {
		t.Errorf("a strange device during the lock: %v", err)
	}
	right.Device = s.Device
	if _, err := h.Login(t.Context(), right, from); err != nil {
		t.Errorf("the known device during the lock: %v", err)
	}
	h.person("wang", account.RoleStaff)
	other := people.Credentials{User: "wang", Password: "wrong wrong wrong", Device: s.Device}
	for range 6 {
		h.Login(t.Context(), other, from) //nolint:errcheck // it is refused
	}
	other.Password = password + "一"
	if _, err := h.Login(t.Context(), other, from); !isLocked(err) {
		t.Errorf("the cookie of another person: %v", err)
	}
	right.Password = "wrong wrong wrong"
	for range 6 {
		h.Login(t.Context(), right, from) //nolint:errcheck // it is refused
	}
	right.Password = password + "一"
	if _, err := h.Login(t.Context(), right, from); !isLocked(err) {
		t.Errorf("guessing on the known device: %v", err)
	}
}

func isLocked(err error) bool {
	_, ok := errors.AsType[*people.Locked](err)
	return ok
}

// Covers F13: a right password without its code is an entry, and costs nobody a lock.
func TestARightPasswordAloneIsAnEntry(t *testing.T) {
	h := newEnv(t)
	h.person("zhou", account.RoleStaff, account.RoleOfficer)
	h.factor("zhou")
	before := h.store.Size()
	if _, err := h.Login(t.Context(), people.Credentials{User: "zhou", Password: password + "一"}, from); !errors.Is(err, people.ErrCodeNeeded) {
		t.Fatalf("without a code: %v", err)
	}
	if got := h.kinds(before); !slices.Equal(got, []ledger.Kind{"login.step"}) {
		t.Errorf("entries: %v", got)
	}
}

// Covers M3: an unattended browser is not enough to take an account's second factor over.
func TestANewFactorNeedsPasswordAndOldCode(t *testing.T) {
	h := newEnv(t)
	h.person("zhou", account.RoleStaff, account.RoleOfficer)
	secret, _ := h.factor("zhou")
	s, err := h.Login(t.Context(), people.Credentials{User: "zhou", Password: password + "一", Code: h.later(secret)}, from)
	h.must(err)
	for _, x := range []struct{ name, password, code, want string }{
		{"nothing", "", "", "old:err.password_wrong"},
		{"the code alone", "", h.later(secret), "old:err.password_wrong"},
		{"the password alone", password + "一", "", "code:err.required"},
		{"a wrong code", password + "一", "000000", "code:login.code_refused"},
	} {
		t.Run(x.name, func(t *testing.T) {
			if _, err := h.BeginFactor(t.Context(), s.Token, x.password, x.code, from); fieldOf(err) != x.want {
				t.Errorf("got %v, want %s", err, x.want)
			}
		})
	}
	if _, err := h.BeginFactor(t.Context(), s.Token, password+"一", h.later(secret), from); err != nil {
		t.Errorf("both: %v", err)
	}
}

// Covers M3: what a page asks by itself keeps no log-in alive.
func TestLookingKeepsNoSessionAlive(t *testing.T) {
	h := newEnv(t)
	h.person("zhou", account.RoleStaff)
	s := h.in("zhou")
	for range 4 {
		h.clock.Pass(10 * time.Minute)
		if _, err := h.Session(t.Context(), s.Token, false); err != nil {
			return
		}
	}
	t.Error("a session that nobody used lived for forty minutes")
}

// Covers F11: a storm of refused log-ins is one urgent entry.
func TestAStormOfLogInsIsTold(t *testing.T) {
	h := newEnv(t)
	before := h.store.Size()
	for i := range 120 {
		f := from
		f.Address = "10.1." + string(rune('0'+i/10%10)) + "." + string(rune('0'+i%10))
		h.Login(t.Context(), people.Credentials{User: "n" + string(rune('a'+i%26)) + string(rune('a'+i/26)), Password: "wrong wrong wrong"}, f) //nolint:errcheck // it is refused
	}
	n := 0
	for _, k := range h.kinds(before) {
		if k == "login.storm" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d entries of the storm, want 1", n)
	}
	if !ledger.Kinds["login.storm"].Urgent {
		t.Error("the centre is not told at once")
	}
}

// later waits until the next one-time code and gives it.
func (h *env) later(secret []byte) string {
	h.clock.Pass(30 * time.Second)
	return h.code(secret)
}
