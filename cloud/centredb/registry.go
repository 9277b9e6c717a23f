package centredb

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Seen notes a message of the appliance, and whether it is connected.
func (s *DB) Seen(ctx context.Context, appliance string, at time.Time, online bool) error {
	return s.one(ctx, "UPDATE appliances SET last_contact = ?, online = ? WHERE id = ?", millis(at), flag(online), appliance)
}

// AllOffline forgets who was connected: the broker that knew has ended.
func (s *DB) AllOffline(ctx context.Context) error {
	_, err := s.exec(ctx, "UPDATE appliances SET online = 0 WHERE online <> 0")
	return err
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// PutToken registers an appliance, or gives an existing one a new token. The name of a school that is registered
// stays: with another one it is ErrExists, and the token that was open before stays, too.
func (s *DB) PutToken(ctx context.Context, id, school string, hash []byte, until time.Time) error {
	err := s.one(ctx, `INSERT INTO appliances (id, school, token_hash, token_until) VALUES (?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET token_hash = excluded.token_hash, token_until = excluded.token_until WHERE appliances.school = excluded.school`,
		id, school, hash, millis(until))
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("appliance %s is registered for another school: %w", id, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("register appliance %s: %w", id, err)
	}
	return nil
}

// Rename gives the school of an appliance another name.
func (s *DB) Rename(ctx context.Context, id, school string) error {
	if err := s.one(ctx, "UPDATE appliances SET school = ? WHERE id = ?", school, id); err != nil {
		return fmt.Errorf("rename the school of %s: %w", id, err)
	}
	return nil
}

// Appliance reads one row of the registry.
func (s *DB) Appliance(ctx context.Context, id string) (Appliance, error) {
	return s.appliance(ctx, s.read, id, "")
}

func (s *DB) appliance(ctx context.Context, q querier, id, lock string) (Appliance, error) {
	a := Appliance{ID: id}
	var until, enrolled, denied int64
	err := q.QueryRowContext(ctx, s.q("SELECT school, token_hash, token_until, enrolled_at, log_key, public_key, serial, denied_at, denied_why FROM appliances WHERE id = ?"+lock), id).
		Scan(&a.School, &a.TokenHash, &until, &enrolled, &a.Key, &a.PublicKey, &a.Serial, &denied, &a.DeniedWhy)
	if err := notFound(err, "appliance "+id); err != nil {
		return Appliance{}, err
	}
	a.TokenUntil, a.EnrolledAt, a.DeniedAt = instant(until), instant(enrolled), instant(denied)
	return a, nil
}

// Enrol uses up the token and binds the keys. The log key of an appliance that is enrolled already must stay
// the same once leaves are stored under it: another key would be another log.
func (s *DB) Enrol(ctx context.Context, id string, hash []byte, at time.Time, key string, publicKey []byte, serial string) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		a, err := s.appliance(ctx, tx, id, s.e.lock)
		if err != nil {
			return err
		}
		if a.TokenHash == nil || !bytes.Equal(a.TokenHash, hash) || !at.Before(a.TokenUntil) {
			return fmt.Errorf("enrolment token of %s: %w", id, ErrNotFound)
		}
		if a.Key != "" && a.Key != key {
			var stored uint64
			if err := tx.QueryRowContext(ctx, s.q("SELECT coalesce(max(c.size), 0) FROM cursors c JOIN appliances a ON a.app = c.app WHERE a.id = ?"), id).Scan(&stored); err != nil {
				return err
			}
			if stored > 0 {
				return fmt.Errorf("log key of %s: %w", id, ErrExists)
			}
		}
		_, err = tx.ExecContext(ctx, s.q("UPDATE appliances SET token_hash = NULL, token_until = 0, enrolled_at = ?, log_key = ?, public_key = ?, serial = ? WHERE id = ?"),
			millis(at), key, publicKey, serial, id)
		return err
	})
}

// SetSerial records a renewed certificate.
func (s *DB) SetSerial(ctx context.Context, id, serial string) error {
	return s.one(ctx, "UPDATE appliances SET serial = ? WHERE id = ?", serial, id)
}

// Deny refuses the appliance from now on; an empty reason lifts it.
func (s *DB) Deny(ctx context.Context, id string, at time.Time, why string) error {
	if why == "" {
		at = time.Time{}
	}
	return s.one(ctx, "UPDATE appliances SET denied_at = ?, denied_why = ? WHERE id = ?", millis(at), why, id)
}

// Denied lists the appliances that are refused.
func (s *DB) Denied(ctx context.Context) (ids []string, err error) {
	err = s.rows(ctx, func(scan func(...any) error) error {
		var id string
		if err := scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
		return nil
	}, "SELECT id FROM appliances WHERE denied_at > 0 ORDER BY id")
	return ids, err
}
