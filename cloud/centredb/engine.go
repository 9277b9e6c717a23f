package centredb

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"campuskeep/shared/wire/protocol"
)

// engine is what differs between the two databases.
type engine struct {
	name    string
	bytes   string // type of a byte string
	id      string // type of a number that the database gives
	rowless string // table option of tables that are their primary key
	lock    string // what locks a row that is read
	numbers bool   // parameters are $1, $2 … instead of ?
	// isolation in which all statements of a reading transaction see the same state
	isolation sql.IsolationLevel
	insert    func(ctx context.Context, s *DB, conn *sql.Conn, tx *sql.Tx, rows []leafRow) error
	taken     func(error) bool // the error says that a unique value is taken
}

// DB is an open database of the centre. It implements Store and is safe for concurrent use.
type DB struct {
	e     *engine
	write *sql.DB
	read  *sql.DB // the same as write, or a pool that only reads

	insertOne, insertMany *sql.Stmt // SQLite only, on the writing connection

	sealer cipher.AEAD // of released parts; nil before SealParts

	mu    sync.Mutex
	texts map[string]string // guarded by mu: statements in the engine's words
}

var _ Store = (*DB)(nil)

func (s *DB) open(ctx context.Context, now time.Time) error {
	var have string
	err := s.write.QueryRowContext(ctx, "SELECT v FROM meta WHERE k = 'schema'").Scan(&have)
	if err == nil {
		return s.upgrade(ctx, have)
	}
	if there, err2 := s.hasTables(ctx); err2 != nil || there {
		return errors.Join(fmt.Errorf("read the database's layout: %w", err), err2)
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		for _, q := range s.e.statements(schema) {
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return fmt.Errorf("create tables: %w", err)
			}
		}
		for k, v := range map[string]string{"schema": schemaVersion, "incarnation": newIncarnation(), "incarnation_since": stamp(now)} {
			if _, err := tx.ExecContext(ctx, s.q("INSERT INTO meta (k, v) VALUES (?, ?)"), k, v); err != nil {
				return fmt.Errorf("create tables: %w", err)
			}
		}
		return nil
	})
}

// upgrade brings an earlier layout up to date, each step in its own transaction. One that is not known is refused.
func (s *DB) upgrade(ctx context.Context, have string) error {
	for have != schemaVersion {
		step, ok := upgrades[have]
		if !ok {
			return fmt.Errorf("the database has layout %q, this build knows %q", have, schemaVersion)
		}
		err := s.change(ctx, func(tx *sql.Tx) error {
			for _, q := range s.e.statements(step.text) {
				if _, err := tx.ExecContext(ctx, q); err != nil {
					return err
				}
			}
			if step.fill != nil {
				if err := step.fill(s, ctx, tx); err != nil {
					return err
				}
			}
			_, err := tx.ExecContext(ctx, s.q("UPDATE meta SET v = ? WHERE k = 'schema' AND v = ?"), step.to, have)
			return err
		})
		if err != nil {
			return fmt.Errorf("bring the database to layout %s: %w", step.to, err)
		}
		have = step.to
	}
	return nil
}

func (s *DB) hasTables(ctx context.Context) (bool, error) {
	q := "SELECT count(*) FROM sqlite_master WHERE name = 'leaves'"
	if s.e.numbers {
		q = "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = 'leaves'"
	}
	var n int
	err := s.write.QueryRowContext(ctx, q).Scan(&n)
	return n > 0, err
}

func newIncarnation() string {
	b := make([]byte, 8)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// Close closes the database; running transactions fail.
func (s *DB) Close() error {
	var err error
	if s.read != s.write {
		err = s.read.Close()
	}
	return errors.Join(err, s.write.Close())
}

// q writes a statement's parameters as the engine wants them.
func (s *DB) q(text string) string {
	if !s.e.numbers {
		return text
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.texts[text]; ok {
		return t
	}
	var b strings.Builder
	n := 0
	for _, c := range []byte(text) {
		if c == '?' {
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
			continue
		}
		b.WriteByte(c)
	}
	s.texts[text] = b.String()
	return s.texts[text]
}

// change runs fn in one transaction.
func (s *DB) change(ctx context.Context, fn func(*sql.Tx) error) (err error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, rollback(tx))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("roll back: %w", err)
	}
	return nil
}

// exec runs one statement and says how many rows it touched.
func (s *DB) exec(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := s.write.ExecContext(ctx, s.q(query), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// one runs a statement that must touch a row.
func (s *DB) one(ctx context.Context, query string, args ...any) error {
	n, err := s.exec(ctx, query, args...)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

// rows calls each for every row of a query.
func (s *DB) rows(ctx context.Context, each func(scan func(...any) error) error, query string, args ...any) (err error) {
	return eachRow(ctx, s.read, s.q(query), each, args...)
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

var errStop = errors.New("enough rows")

func eachRow(ctx context.Context, q querier, query string, each func(scan func(...any) error) error, args ...any) (err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			if errors.Is(err, errStop) {
				return nil
			}
			return err
		}
	}
	return rows.Err()
}

// millis and instant translate times; the zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func stamp(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// Incarnation is the current one.
func (s *DB) Incarnation(ctx context.Context) (protocol.Incarnation, error) {
	return s.incarnation(ctx, s.read)
}

func (s *DB) incarnation(ctx context.Context, q querier) (inc protocol.Incarnation, err error) {
	var since string
	err = q.QueryRowContext(ctx, "SELECT a.v, b.v FROM meta a, meta b WHERE a.k = 'incarnation' AND b.k = 'incarnation_since'").Scan(&inc.ID, &since)
	if err != nil {
		return inc, fmt.Errorf("read the incarnation: %w", err)
	}
	ms, err := strconv.ParseInt(since, 10, 64)
	if err != nil {
		return inc, fmt.Errorf("read the incarnation: %w", err)
	}
	inc.Since = instant(ms)
	return inc, nil
}

func (s *DB) renew(ctx context.Context, q querier, at time.Time) (protocol.Incarnation, error) {
	inc := protocol.Incarnation{ID: newIncarnation(), Since: instant(at.UnixMilli())}
	for k, v := range map[string]string{"incarnation": inc.ID, "incarnation_since": stamp(at)} {
		if _, err := q.ExecContext(ctx, s.q("UPDATE meta SET v = ? WHERE k = ?"), v, k); err != nil {
			return inc, fmt.Errorf("begin a new incarnation: %w", err)
		}
	}
	return inc, nil
}

// Renew makes a new incarnation: the operator has restored this database from a copy.
func (s *DB) Renew(ctx context.Context, at time.Time) (inc protocol.Incarnation, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		inc, err = s.renew(ctx, tx, at)
		return err
	})
	return inc, err
}
