// Package ledgerdbtest starts databases for tests: a SQLite file, or a PostgreSQL server of its own.
//
// It owns the server process and its directory, and removes both when the test ends. It must never touch a
// server that was there before.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"campuskeep/cloud/centredb"
)

// SQLite opens a fresh database file.
func SQLite(t testing.TB) *centredb.DB {
	t.Helper()
	db, err := centredb.OpenSQLite(context.Background(), filepath.Join(t.TempDir(), "centre.db"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	return db
}

// Postgres opens a fresh database, a schema of its own, on a server that Server has started.
func Postgres(t testing.TB, server string) *centredb.DB {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("t%d", schemas.Add(1))
	_, err = c.Exec(ctx, "CREATE SCHEMA "+name)
	if err := errors.Join(err, c.Close(ctx)); err != nil {
		t.Fatal(err)
	}
	db, err := centredb.OpenPostgres(ctx, server+" search_path="+name, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	return db
}

// schemas numbers the databases of all tests.
var schemas atomic.Int64

// Server starts a server on a socket in a directory of its own and gives its connection string. The test is skipped
// where PostgreSQL is not installed.
func Server(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		t.Skip("PostgreSQL is not installed")
	}
	bin := filepath.Dir(found[len(found)-1])
	dir, err := os.MkdirTemp("", "ckpg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the server's directory: %v", err)
		}
	})
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	name := "postgres"
	if os.Getuid() == 0 { // the server refuses to run as root
		attr.Credential = credential(t, dir)
	} else if u, err := user.Current(); err == nil {
		name = u.Username
	}
	run := func(program string, args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(bin, program), args...)
		c.SysProcAttr, c.Dir = attr, dir
		c.Env = []string{"LC_ALL=C.UTF-8", "HOME=" + dir, "PATH=/usr/bin:/bin"}
		return c
	}
	data := filepath.Join(dir, "data")
	if out, err := run("initdb", "-D", data, "-A", "trust", "-E", "UTF8", "--no-sync", "-U", name).CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := run("postgres", "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "shared_buffers=64MB", "-c", "max_wal_size=1GB")
	log, err := os.Create(filepath.Join(t.TempDir(), "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT) // fast shutdown; Wait tells if it was gone before
		if err := server.Wait(); err != nil {
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				t.Errorf("stop the server: %v", err)
			}
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	await(t, log.Name(), func() error { return run("pg_isready", "-h", dir, "-q").Run() })
	return fmt.Sprintf("host=%s user=%s dbname=postgres", dir, name)
}

func credential(t testing.TB, dir string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Skip("there is no user postgres to run the server as")
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2, os.Chown(dir, int(uid), int(gid))); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// await asks until the server answers, or says what its log holds.
func await(t testing.TB, log string, ready func() error) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for ready() != nil {
		select {
		case <-tick.C:
		case <-late:
			out, err := os.ReadFile(log)
			t.Fatalf("the server does not answer (%v):\n%s", err, out)
		}
	}
}
