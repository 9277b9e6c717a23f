// Package store keeps the ledger and the state of the appliance in one file, and commits both together.
//
// It owns <data>/ledger.db, the registered tables in it, and the one goroutine that writes (Run). Every
// durable change of state goes through Commit as a Change. It must never acknowledge what is not durable,
// never hold key material, and never write an entry, a row or a hash outside a Change.
package store

import (
	"context"
	"crypto"
	"log/slog"

	"campuskeep/firmware/keyring"
	"campuskeep/shared/clock"
)

// ErrErased is returned for a sealed row or part whose owner's key is gone.
var ErrErased = keyring.ErrErased

// Sealer seals under the keys of subjects. *keyring.Ring of the ring "people" is the one.
type Sealer interface {
	Ensure(ctx context.Context, owner ...string) error
	Seal(owner string, aad, plain []byte) ([]byte, error)
	Open(owner string, aad, sealed []byte) ([]byte, error)
}

// Options is what a store needs from outside.
type Options struct {
	Dir    string        // the data directory; ledger.db lies in it
	Origin string        // "campuskeep/<appliance>", without epoch
	Clock  clock.Clock   // gives each commit its instant
	People Sealer        // keys of the owners of sealed rows and parts
	Signer crypto.Signer // Ed25519 key of the log. OpenReadOnly does without; then nothing new is signed
	Log    *slog.Logger
}
