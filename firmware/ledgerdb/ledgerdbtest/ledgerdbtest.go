// Package ledgerdbtest opens stores for the tests of other packages.
//
// It owns nothing: the store lies in a data directory of the test. It must never be imported by the product.
package ledgerdbtest

import (
	"context"
	"crypto/ed25519"
	"sync"
	"testing"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
)

// Signer is the key that signs the logs of tests.
var Signer = ed25519.NewKeyFromSeed([]byte("campuskeep test log signing key!"))

// Store is an open store that runs.
type Store struct {
	*ledgerdb.Store
	Data   disk.FS       // the data directory
	Root   *keyring.Root // its keys
	People *keyring.Ring // the keys of people
	Stop   func()        // checks the store, ends and closes it; once
}

// Open opens the store of a data directory, creating it where there is none, and runs it until Stop, at the latest until
// the test ends. The log is "campuskeep/ck-test"; change alters what the store is opened with.
func Open(t testing.TB, dir string, c clock.Clock, change ...func(*ledgerdb.Options)) *Store {
	t.Helper()
	s := &Store{}
	var err error
	s.Data, err = disk.Real(dir)
	must(t, err)
	s.Root, err = keyring.OpenRoot(s.Data)
	must(t, err)
	s.People, err = s.Root.Ring("people")
	must(t, err)
	o := ledgerdb.Options{Dir: dir, Origin: "campuskeep/ck-test", Clock: c, People: s.People, Signer: Signer}
	for _, f := range change {
		f(&o)
	}
	s.Store, err = ledgerdb.Open(o)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	s.Stop = sync.OnceFunc(func() {
		if err := s.Check(context.Background(), func(f ledgerdb.Finding) { t.Errorf("check: %+v", f) }); err != nil {
			t.Errorf("check: %v", err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	t.Cleanup(s.Stop)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
