package centredb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var sqliteEngine = engine{
	name: "sqlite", bytes: "BLOB", id: "INTEGER PRIMARY KEY", rowless: " WITHOUT ROWID",
	insert: insertValues, taken: sqliteTaken,
}

// OpenSQLite opens the database file, making it at the first start. One connection writes; others read beside it.
// A commit is on the disk before it returns (WAL with full synchronisation). What is deleted is overwritten.
func OpenSQLite(ctx context.Context, path string, now time.Time) (*DB, error) {
	// Created here so that nobody else may read it.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	dsn := func(extra ...string) string {
		v := url.Values{"_txlock": {"immediate"}, "_pragma": append([]string{
			"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "cache_size(-32000)", "temp_store(MEMORY)", "secure_delete(1)", "wal_autocheckpoint(4000)"}, extra...)}
		return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + v.Encode()
	}
	s := &DB{e: &sqliteEngine, texts: map[string]string{}}
	if s.write, err = sql.Open("sqlite", dsn()); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", dsn("query_only(1)")); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), s.write.Close())
	}
	s.read.SetMaxOpenConns(8)
	err = s.open(ctx, now)
	if err == nil {
		s.insertOne, err = s.write.PrepareContext(ctx, insertLeaf)
	}
	if err == nil {
		s.insertMany, err = s.write.PrepareContext(ctx, insertMany)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), s.Close())
	}
	return s, nil
}

func sqliteTaken(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// insertRows is how many leaves one statement carries: preparing and stepping cost more than the row itself.
const insertRows = 50

var insertLeaf = "INSERT INTO leaves (app, epoch, seq, at, stored_at, kind, subject, mark, hash, leaf) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
var insertMany = insertLeaf + strings.Repeat(", (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", insertRows-1)

func insertValues(ctx context.Context, s *DB, _ *sql.Conn, tx *sql.Tx, rows []leafRow) error {
	args := make([]any, 0, 10*insertRows)
	for len(rows) > 0 {
		n, stmt := 1, s.insertOne
		if len(rows) >= insertRows {
			n, stmt = insertRows, s.insertMany
		}
		args = args[:0]
		for _, r := range rows[:n] {
			args = append(args, r.values()...)
		}
		if _, err := tx.StmtContext(ctx, stmt).ExecContext(ctx, args...); err != nil {
			return fmt.Errorf("insert leaves: %w", err)
		}
		rows = rows[n:]
	}
	return nil
}
