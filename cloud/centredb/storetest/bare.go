package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // the bare peer speaks SQL itself
)

// Baseline is what the database alone takes to store the same rows in the same table.
type Baseline struct {
	Batches time.Duration // one transaction for each 500 rows, as an honest appliance sends them
	AtOnce  time.Duration // one transaction for all
}

const baselineBatch = 500

const baselineColumns = "app, epoch, seq, at, stored_at, kind, subject, mark, hash, leaf"

// BaselineSQLite inserts the rows of a centre's leaves table into a table of the same definition in a file of its own,
// with the same durability, by one prepared statement.
func BaselineSQLite(t testing.TB, centre string) Baseline {
	t.Helper()
	ctx := context.Background()
	from := open(t, centre)
	var tables []string
	each(t, from, "SELECT sql FROM sqlite_master WHERE tbl_name = 'leaves' AND sql IS NOT NULL ORDER BY type DESC", func(r *sql.Rows) error {
		var s string
		err := r.Scan(&s)
		tables = append(tables, s)
		return err
	})
	rows := read(t, from)
	run := func(batch int) time.Duration {
		to := open(t, filepath.Join(t.TempDir(), "bare.db"))
		for _, s := range tables {
			if _, err := to.ExecContext(ctx, s); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		for i := 0; i < len(rows); i += batch {
			tx, err := to.BeginTx(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			stmt, err := tx.PrepareContext(ctx, "INSERT INTO leaves ("+baselineColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows[i:min(i+batch, len(rows))] {
				if _, err := stmt.ExecContext(ctx, r...); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(stmt.Close(), tx.Commit()); err != nil {
				t.Fatal(err)
			}
		}
		return time.Since(began)
	}
	return Baseline{Batches: run(baselineBatch), AtOnce: run(len(rows))}
}

// BaselinePostgres copies the rows of a centre's leaves table into a table of the same definition on the same server.
func BaselinePostgres(t testing.TB, dsn string) Baseline {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	found, err := c.Query(ctx, "SELECT "+baselineColumns+" FROM leaves ORDER BY seq")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]any
	for found.Next() {
		v, err := found.Values()
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, v)
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	run := func(batch int) time.Duration {
		name := fmt.Sprintf("bare%d", batch)
		if _, err := c.Exec(ctx, "CREATE TABLE "+name+" (LIKE leaves INCLUDING ALL)"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for i := 0; i < len(rows); i += batch {
			// COPY is a transaction of its own.
			if _, err := c.CopyFrom(ctx, pgx.Identifier{name}, []string{"app", "epoch", "seq", "at", "stored_at", "kind", "subject", "mark", "hash", "leaf"}, pgx.CopyFromRows(rows[i:min(i+batch, len(rows))])); err != nil {
				t.Fatal(err)
			}
		}
		return time.Since(began)
	}
	return Baseline{Batches: run(baselineBatch), AtOnce: run(len(rows))}
}

func open(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-32000)&_pragma=wal_autocheckpoint(4000)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func each(t testing.TB, db *sql.DB, query string, f func(*sql.Rows) error) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		if err := f(rows); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, db *sql.DB) (out [][]any) {
	t.Helper()
	each(t, db, "SELECT "+baselineColumns+" FROM leaves ORDER BY seq", func(r *sql.Rows) error {
		row := make([]any, 10)
		at := make([]any, 10)
		for i := range row {
			at[i] = &row[i]
		}
		err := r.Scan(at...)
		out = append(out, row)
		return err
	})
	return out
}
