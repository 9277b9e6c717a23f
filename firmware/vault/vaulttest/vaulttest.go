// Package vaulttest opens vaults for the tests of other packages.
//
// It owns nothing: everything lies in a temporary directory of the test and ends with it. It must never be imported
// by the product.
package vaulttest

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/vault"
)

// Open opens an empty vault on a real disk and runs it until the test ends.
func Open(t testing.TB) *vault.Vault {
	t.Helper()
	dir := t.TempDir()
	fsys, err := disk.Real(dir)
	must(t, err)
	root, err := keyring.OpenRoot(fsys)
	must(t, err)
	ring, err := root.Ring("footage")
	must(t, err)
	must(t, fsys.MkdirAll("vault", 0o700))
	vfs, err := disk.Real(filepath.Join(dir, "vault"))
	must(t, err)
	v, err := vault.Open(vault.Options{FS: vfs, IndexPath: filepath.Join(dir, "index.db"), Keys: ring, Holds: root})
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := v.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		done.Wait()
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
