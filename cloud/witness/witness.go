// Package witness signs for the centre: cosignatures under the logs that it has stored, and statements of the time.
//
// It owns the key file witness.key. It must never sign a checkpoint whose leaves are not committed: only
// shared/wire/protocol calls it, after the commit.
package witness

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"

	"campuskeep/cloud/keyfile"
	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
	"campuskeep/shared/wire/protocol"
)

// Witness holds the centre's signing key. Safe for concurrent use.
type Witness struct {
	name     string
	key      ed25519.PrivateKey
	plain    note.Signer
	cosigner ledger.Verifier
}

var _ protocol.Signer = (*Witness)(nil)

// Open reads the key from a file, or makes it. name is in every signature, e.g. "campuskeep-centre/yunting".
func Open(path, name string) (*Witness, error) {
	key, err := keyfile.Ed25519(path)
	if err != nil {
		return nil, fmt.Errorf("open the witness key: %w", err)
	}
	w := &Witness{name: name, key: key}
	if w.plain, err = ledger.Signer(name, key); err != nil {
		return nil, fmt.Errorf("open the witness key: %w", err)
	}
	if w.cosigner, err = ledger.ParseVerifier(w.CosignerKey()); err != nil {
		return nil, fmt.Errorf("open the witness key: %w", err)
	}
	return w, nil
}

// Key is the verifier key of statements, in note form.
func (w *Witness) Key() string { return ledger.VerifierKey(w.name, w.public()) }

// CosignerKey is the verifier key of cosignatures, in note form.
func (w *Witness) CosignerKey() string { return ledger.WitnessKey(w.name, w.public()) }

func (w *Witness) public() ed25519.PublicKey { return w.key.Public().(ed25519.PublicKey) }

// Cosigner verifies cosignatures.
func (w *Witness) Cosigner() ledger.Verifier { return w.cosigner }

// Cosign adds a cosignature with the time at to a checkpoint that log signed.
func (w *Witness) Cosign(checkpoint []byte, log ledger.Verifier, at time.Time) ([]byte, error) {
	s, err := ledger.WitnessSigner(w.name, w.key, at)
	if err != nil {
		return nil, err
	}
	return ledger.Cosign(checkpoint, log, s)
}

// Time states the time for a nonce.
func (w *Witness) Time(n wire.Nonce, at time.Time) ([]byte, error) {
	return wire.SignTime(n, at, w.plain)
}
