package appliance

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"

	"campuskeep/firmware/disk"
)

const signerFile = "keys/log"

// openSigner reads the key that signs the log's checkpoints, or makes it at the first start. It is a file of
// its own, never a row: a copy of the database must not be able to sign.
func openSigner(d disk.FS) (crypto.Signer, error) {
	b, err := disk.ReadFile(d, signerFile)
	if errors.Is(err, fs.ErrNotExist) {
		return makeSigner(d)
	}
	if err != nil {
		return nil, fmt.Errorf("read the log's key: %w", err)
	}
	block, rest := pem.Decode(b)
	if block == nil || len(rest) > 0 {
		return nil, fmt.Errorf("%s is not one PEM block", signerFile)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", signerFile, err)
	}
	ed, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a %T, want an Ed25519 key", signerFile, key)
	}
	return ed, nil
}

func makeSigner(d disk.FS) (crypto.Signer, error) {
	if _, err := d.Stat("ledger.db"); err == nil {
		return nil, fmt.Errorf("%s is missing, but there is a log that it has signed: restore it from the backup of the keys", signerFile)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := d.MkdirAll("keys", 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of keys: %w", err)
	}
	if err := disk.WriteAtomic(d, signerFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}), 0o600); err != nil {
		return nil, fmt.Errorf("write the log's key: %w", err)
	}
	return key, nil
}
