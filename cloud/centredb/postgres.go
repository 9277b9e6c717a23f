package centredb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

var postgresEngine = engine{
	name: "postgres", bytes: "BYTEA", id: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", lock: " FOR UPDATE", numbers: true, isolation: sql.LevelRepeatableRead,
	insert: insertCopy, taken: postgresTaken,
}

// OpenPostgres opens a PostgreSQL database by its connection string and makes the tables at the first start.
func OpenPostgres(ctx context.Context, dsn string, now time.Time) (*DB, error) {
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db := stdlib.OpenDB(*c)
	db.SetMaxOpenConns(16)
	s := &DB{e: &postgresEngine, write: db, read: db, texts: map[string]string{}}
	if err := s.open(ctx, now); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s on %s: %w", c.Database, c.Host, err), db.Close())
	}
	return s, nil
}

func postgresTaken(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "23505"
}

var leafColumns = []string{"app", "epoch", "seq", "at", "stored_at", "kind", "subject", "mark", "hash", "leaf"}

// insertCopy streams the leaves with COPY inside the transaction that holds the cursor's lock.
func insertCopy(ctx context.Context, _ *DB, conn *sql.Conn, _ *sql.Tx, rows []leafRow) error {
	err := conn.Raw(func(driver any) error {
		_, err := driver.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{"leaves"}, leafColumns,
			pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) { return rows[i].values(), nil }))
		return err
	})
	if err != nil {
		return fmt.Errorf("copy leaves: %w", err)
	}
	return nil
}
