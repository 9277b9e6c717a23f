package people_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/login"
)

// testClock is frozen until it is moved.
type testClock struct {
	mu sync.Mutex
	r  clock.Reading
}

func newClock() *testClock {
	return &testClock{r: clock.Reading{Wall: time.Date(2026, 5, 20, 1, 42, 0, 0, time.UTC), State: clock.Trusted, Boot: "boot-1", Mono: time.Hour}}
}

func (c *testClock) Now() clock.Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.r
}

func (c *testClock) add(d time.Duration) {
	c.change(func(r *clock.Reading) { r.Wall, r.Mono = r.Wall.Add(d), r.Mono+d })
}

func (c *testClock) change(f func(*clock.Reading)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.r)
}

// env is a real store with people on it.
type env struct {
	*people.People
	t     *testing.T
	dir   string
	clock *testClock
	rules people.Policy
	store *ledgerdb.Store
	ring  *keyring.Ring
	stop  func()
}

var logKey = ed25519.NewKeyFromSeed([]byte("campuskeep test log signing key!"))

func newEnv(t *testing.T) *env {
	h := &env{t: t, dir: t.TempDir(), clock: newClock(), rules: people.DefaultPolicy}
	h.open()
	t.Cleanup(func() {
		h.check()
		h.stop()
	})
	return h
}

func (h *env) open() {
	h.t.Helper()
	fsys, err := disk.Real(h.dir)
	h.must(err)
	root, err := keyring.OpenRoot(fsys)
	h.must(err)
	h.ring, err = root.Ring("people")
	h.must(err)
	h.store, err = ledgerdb.Open(ledgerdb.Options{Dir: h.dir, Origin: "campuskeep/ck-test", Clock: h.clock, People: h.ring, Signer: logKey, Log: slog.New(slog.DiscardHandler)})
	h.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.store.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
		if err := h.store.Close(); err != nil {
			h.t.Error(err)
		}
	})
	zone, err := time.LoadLocation("Asia/Shanghai")
	h.must(err)
	h.People, err = people.Open(ctx, people.Options{Store: h.store, Data: fsys, Clock: h.clock, Zone: zone, Policy: func() people.Policy { return h.rules }, Cost: login.Params{Memory: 64, Time: 1, Threads: 1}})
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

// check verifies the invariants of the store.
func (h *env) check() {
	err := h.store.Check(context.Background(), func(f ledgerdb.Finding) { h.t.Errorf("check: %+v", f) })
	if err != nil {
		h.t.Error(err)
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
