package sealedfiles

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
)

// Check reports files without a row, rows without their file, and files that are not what their row says; full decrypts
// them all. Files of erased owners are no fault. Its error is about Check itself.
func (s *Store) Check(ctx context.Context, full bool, report func(ledgerdb.Finding)) error {
	names, rows, err := s.both()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("check the sealed files: %w", err)
	}
	found := func(what, id string, err error) {
		f := ledgerdb.Finding{Invariant: "I3", What: what, Where: path.Join(dir, id)}
		if err != nil {
			f.Detail = err.Error()
		}
		report(f)
	}
	for _, name := range names {
		s.mu.Lock()
		busy := s.staged[strings.TrimSuffix(name, temporary)]
		s.mu.Unlock()
		if rows[name].ID == "" && !busy {
			if _, err := s.Get(name); errors.Is(err, ErrNotFound) {
				found("orphan", name, nil)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch err := s.verify(rows[id], full); {
		case err == nil, errors.Is(err, keyring.ErrErased):
		case errors.Is(err, fs.ErrNotExist):
			found("missing", id, nil)
		default:
			found("damaged", id, err)
		}
	}
	return nil
}

func (s *Store) verify(f File, full bool) (err error) {
	r, err := s.open(f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if !full {
		return nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return err
	}
	if !bytes.Equal(h.Sum(nil), f.Sum) {
		return fmt.Errorf("%w: another content", errDamaged)
	}
	return nil
}
