package ledgerdb

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// testClock advances one second per reading.
type testClock struct {
	mu sync.Mutex
	n  time.Duration
}

func (c *testClock) Now() clock.Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += time.Second
	return clock.Reading{
		Wall: time.Date(2026, 5, 20, 1, 0, 0, 0, time.UTC).Add(c.n), State: clock.Trusted,
		Boot: "2f1c7a60-0000-4000-8000-000000000001", Mono: c.n,
	}
}

type secretRow struct {
	Owner string `json:"owner"`
	Text  string `json:"text"`
}

var (
	plainTable  = NewTable[int]("test_plain")
	boundTable  = NewTable[int]("test_bound", Replayable())
	secretTable = NewTable[secretRow]("test_secret", Replayable(), Sealed(func(r secretRow) string { return r.Owner }))
)

var testKey = ed25519.NewKeyFromSeed([]byte("campuskeep test log signing key!"))
var centreKey = ed25519.NewKeyFromSeed([]byte("campuskeep test centre cosigner!"))

const testOrigin = "campuskeep/ck-test"

func testRing(t testing.TB, dir string) *keyring.Ring {
	t.Helper()
	fs, err := disk.Real(dir)
	if err != nil {
		t.Fatal(err)
	}
	root, err := keyring.OpenRoot(fs)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := root.Ring("people")
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func testOptions(t testing.TB, dir string) Options {
	return Options{Dir: dir, Origin: testOrigin, Clock: &testClock{}, People: testRing(t, dir), Signer: testKey, Log: slog.New(slog.DiscardHandler)}
}

// start opens a store in dir and runs it; stop ends it and closes the file.
func start(t testing.TB, o Options) (s *Store, stop func()) {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return s, stop
}

func commit(t testing.TB, s *Store, c Change) Receipt {
	t.Helper()
	r, err := s.Commit(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func searched(n int) ledger.Draft {
	return ledger.Draft{Actor: ledger.Actor{ID: "p001", Role: "security_officer"}, Via: ledger.ViaWeb, Kind: "log.search", Data: map[string]any{"count": n}}
}

func viewed(camera, purpose string) ledger.Draft {
	at := time.Date(2026, 5, 8, 9, 0, 0, 0, time.UTC)
	return ledger.Draft{
		Actor: ledger.Actor{ID: "p001", Role: "security_officer"}, From: &ledger.From{Address: "10.20.3.18", Device: "browser"}, Via: ledger.ViaWeb,
		Kind: "footage.access.open", Subject: "camera:" + camera,
		Data:   map[string]any{"viewing": "v1", "camera": camera, "from": at, "to": at.Add(time.Hour), "mode": "playback", "ground": "duty"},
		Sealed: []ledger.Part{{Name: "purpose", Owner: "person:p001", Plain: []byte(purpose)}},
	}
}

func findings(t testing.TB, s *Store) []Finding {
	t.Helper()
	var out []Finding
	if err := s.Check(context.Background(), func(f Finding) { out = append(out, f) }); err != nil {
		t.Fatal(err)
	}
	return out
}

func wantClean(t testing.TB, s *Store) {
	t.Helper()
	for _, f := range findings(t, s) {
		t.Errorf("check: %v", f)
	}
}

func get(t testing.TB, s *Store, table TableOf[int], key string) (v int, rev uint64, ok bool) {
	t.Helper()
	err := s.View(func(tx Tx) (err error) {
		v, rev, ok, err = table.Get(tx, key)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return v, rev, ok
}

func key(i int) string { return fmt.Sprintf("k%03d", i) }
