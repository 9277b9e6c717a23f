package people_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/ledgerdb/ledgerdbtest"
	"campuskeep/firmware/people"
	"campuskeep/shared/account"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/ledger"
	"campuskeep/shared/login"
)

// env is a real store with people on it.
type env struct {
	*people.People
	t     *testing.T
	dir   string
	clock *clocktest.Clock
	rules people.Policy
	store *ledgerdb.Store
	ring  *keyring.Ring
	stop  func()
}

func newEnv(t *testing.T) *env {
	h := &env{t: t, dir: t.TempDir(), clock: clocktest.At(time.Date(2026, 5, 20, 1, 42, 0, 0, time.UTC)), rules: people.DefaultPolicy}
	h.open()
	return h
}

func (h *env) open() {
	h.t.Helper()
	s := ledgerdbtest.Open(h.t, h.dir, h.clock)
	h.store, h.ring, h.stop = s.Store, s.People, s.Stop
	zone, err := time.LoadLocation("Asia/Shanghai")
	h.must(err)
	h.People, err = people.Open(context.Background(), people.Options{Store: h.store, Data: s.Data, Clock: h.clock, Zone: zone, Policy: func() people.Policy { return h.rules }, Cost: login.Params{Memory: 64, Time: 1, Threads: 1}})
	h.must(err)
}

// restart closes everything and opens it again.
func (h *env) restart() {
	h.t.Helper()
	h.stop()
	h.open()
}

func (h *env) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// kinds lists the kinds of the entries from seq on.
func (h *env) kinds(from uint64) (out []ledger.Kind) {
	h.t.Helper()
	for e, err := range h.store.Entries(from, h.store.Size()) {
		h.must(err)
		out = append(out, e.Kind)
	}
	return out
}

// onDisk says whether the bytes are in any file of the data directory.
func (h *env) onDisk(text string) bool {
	h.t.Helper()
	found := false
	h.must(filepath.WalkDir(h.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		found = found || bytes.Contains(b, []byte(text))
		return err
	}))
	return found
}

var from = ledger.From{Address: "10.20.3.18", Terminal: "监控室"}

const password = "梧桐树下的旧书包和伞"

// person registers somebody with a password of their own.
func (h *env) person(login string, roles ...account.Role) people.Person {
	h.t.Helper()
	n := people.Person{Login: login, Name: "示例" + login, StaffNo: "T-" + login, Unit: "安保科", Roles: roles}
	n, once, err := h.AddPerson(h.t.Context(), account.System, n, "")
	h.must(err)
	s, err := h.Login(h.t.Context(), people.Credentials{User: login, Password: once}, from)
	h.must(err)
	if !s.MustPassword {
		h.t.Error("a password set by somebody else need not be changed")
	}
	h.must(h.ChangePassword(h.t.Context(), s.Token, once, password+"二", from))
	h.must(h.ChangePassword(h.t.Context(), s.Token, password+"二", password+"一", from))
	h.must(h.Logout(h.t.Context(), s.Token, from))
	return n
}

func (h *env) login(login, code string) (people.Session, error) {
	return h.Login(h.t.Context(), people.Credentials{User: login, Password: password + "一", Code: code}, from)
}

func (h *env) in(login string) people.Session {
	h.t.Helper()
	s, err := h.login(login, "")
	h.must(err)
	return s
}
