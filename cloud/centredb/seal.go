package centredb

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
)

// Released parts are texts that people have written: sealed with AES-256-GCM under a key that is not in the database,
// and bound to their entry, so that a copy of the database tells none of them. A sealed part is nonce and ciphertext.

// partRow names a part's row.
type partRow struct {
	app        int64
	epoch, seq uint64
	name       string
}

// bound is what a sealed part belongs to.
func (p partRow) bound() []byte {
	b := binary.BigEndian.AppendUint64([]byte("campuskeep centre part\x00"), uint64(p.app))
	b = binary.BigEndian.AppendUint64(b, p.epoch)
	b = binary.BigEndian.AppendUint64(b, p.seq)
	return append(b, p.name...)
}

func (s *DB) seal(p partRow, plain []byte) []byte {
	nonce := make([]byte, s.sealer.NonceSize(), s.sealer.NonceSize()+len(plain)+s.sealer.Overhead())
	rand.Read(nonce)
	return s.sealer.Seal(nonce, nonce, plain, p.bound())
}

// plain opens what is stored of a part; nil stays nil.
func (s *DB) plain(p partRow, stored []byte, sealed int) ([]byte, error) {
	if sealed == 0 || stored == nil {
		return stored, nil
	}
	if s.sealer == nil || len(stored) < s.sealer.NonceSize() {
		return nil, fmt.Errorf("%w: part %s of leaf %d is sealed", ErrDamaged, p.name, p.seq)
	}
	n := s.sealer.NonceSize()
	out, err := s.sealer.Open([]byte{}, stored[:n], stored[n:], p.bound())
	if err != nil {
		return nil, fmt.Errorf("%w: part %s of leaf %d does not open with this centre's key", ErrDamaged, p.name, p.seq)
	}
	return out, nil
}

// sealStep bounds a transaction of SealParts.
const sealStep = 500

// SealParts seals released parts from now on under a key derived from secret, and those that an earlier build stored
// in clear.
func (s *DB) SealParts(ctx context.Context, secret []byte) error {
	key, err := hkdf.Key(sha256.New, secret, nil, "campuskeep centre parts", 32)
	if err != nil {
		return fmt.Errorf("key of released parts: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return fmt.Errorf("key of released parts: %w", err)
	}
	if s.sealer, err = cipher.NewGCM(block); err != nil {
		return fmt.Errorf("key of released parts: %w", err)
	}
	for {
		n, err := s.sealSome(ctx)
		if err != nil {
			return fmt.Errorf("seal the parts of an earlier build: %w", err)
		}
		if n == 0 {
			return nil
		}
	}
}

func (s *DB) sealSome(ctx context.Context) (n int, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		var rows []partRow
		var plains [][]byte
		err := eachRow(ctx, tx, s.q("SELECT app, epoch, seq, name, plain FROM parts WHERE sealed = 0 AND plain IS NOT NULL LIMIT ?"), func(scan func(...any) error) error {
			var p partRow
			var plain []byte
			err := scan(&p.app, &p.epoch, &p.seq, &p.name, &plain)
			rows, plains = append(rows, p), append(plains, plain)
			return err
		}, sealStep)
		if err != nil {
			return err
		}
		n = len(rows)
		for i, p := range rows {
			_, err := tx.ExecContext(ctx, s.q("UPDATE parts SET plain = ?, sealed = 1 WHERE app = ? AND epoch = ? AND seq = ? AND name = ?"), s.seal(p, plains[i]), p.app, p.epoch, p.seq, p.name)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}
