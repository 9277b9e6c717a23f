package vault

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"campuskeep/firmware/disk/disktest"
	"campuskeep/shared/footage"
)

// Every operation of the disk fails for one camera, with each of the ways a disk fails: its writer is notified, its
// footage of before and after is there, the other camera loses nothing, and afterwards the check is clean. Covers F3.
func TestEveryOperationMayFailForOneCamera(t *testing.T) {
	for _, what := range []string{"create", "write", "close", "remove", "mkdir", "stat", "open", "read", "readdir"} {
		for _, how := range []error{syscall.EIO, syscall.EROFS, syscall.ENOSPC, fs.ErrPermission} {
			t.Run(fmt.Sprint(what, " ", how), func(t *testing.T) {
				b := start(t, t.TempDir())
				b.record("c01", "boot-a", 0, 2)
				b.record("c02", "boot-a", 0, 2)
				b.flush()
				ours, others := b.begin(meta("c01", "boot-a", 2)), b.begin(meta("c02", "boot-a", 2))
				for _, w := range []*Writer{ours, others} {
					if err := put(w, 2, 0); err != nil {
						t.Fatal(err)
					}
				}
				b.flush()
				restore := b.disk.Fail(disktest.Rule{Match: disktest.Match(what, "c01"), Err: how})
				shown := put(ours, 2, 1)
				b.flush()
				for _, err := range []error{shown, put(ours, 2, 2), ours.Close()} {
					if err != nil && !errors.Is(err, ErrAbandoned) {
						t.Fatal(err)
					}
				}
				// A segment of the same day, and one of the next, which needs a new directory.
				for _, n := range []int{3, 1440} {
					w := b.begin(meta("c01", "boot-a", n))
					if err := put(w, n, 0); err != nil && !errors.Is(err, ErrAbandoned) {
						t.Fatal(err)
					}
					if err := w.Close(); err != nil {
						t.Fatal(err)
					}
				}
				if err := put(others, 2, 1); err != nil {
					t.Fatalf("the other camera: %v", err)
				}
				if err := others.Close(); err != nil {
					t.Fatal(err)
				}
				b.record("c02", "boot-a", 3, 4)
				b.record("c02", "boot-a", 1440, 1441)
				b.flush()
				restore()
				b.record("c01", "boot-a", 1441, 1443)
				b.flush()
				select {
				case <-b.v.Repairable():
					if _, err := b.v.Repair(t.Context()); err != nil {
						t.Fatal(err)
					}
				default:
				}
				if got := b.rows("c02"); len(got) != 5 || got[2].Frags != 2 {
					t.Errorf("the other camera has %d rows; alarms %v", len(got), b.codes())
				}
				got := b.rows("c01")
				if len(got) < 4 || !slices.ContainsFunc(got, func(s footage.Segment) bool { return s.From == meta("", "", 1442).From }) {
					t.Errorf("%d rows", len(got))
				}
				if what == "create" || what == "write" || what == "mkdir" {
					if !slices.Contains(b.codes(), what) && !slices.Contains(b.codes(), "create") {
						t.Errorf("alarms %v", b.codes())
					}
				}
				b.check()
				b = b.again()
				b.check()
			})
		}
	}
}

// A bad spot under one camera's file makes the sync of the whole file system fail. Only that camera is interrupted.
func TestOneCamerasBadSpotInterruptsNoOther(t *testing.T) {
	b := start(t, t.TempDir())
	bad, good := b.begin(meta("c01", "boot-a", 0)), b.begin(meta("c02", "boot-a", 0))
	for _, w := range []*Writer{bad, good} {
		if err := put(w, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	restore := b.disk.Fail(disktest.Rule{Match: func(o disktest.Op) bool {
		return o.What == "syncfs" || o.What == "sync" && strings.HasPrefix(o.Name, "c01/")
	}, Err: syscall.EIO})
	if err := b.v.Flush(t.Context()); !errors.Is(err, syscall.EIO) {
		t.Fatalf("flush: %v", err)
	}
	if err := put(bad, 0, 1); !errors.Is(err, ErrAbandoned) {
		t.Errorf("the camera on the bad spot: %v", err)
	}
	if err := put(good, 0, 1); err != nil {
		t.Errorf("the other camera: %v", err)
	}
	fence(b)
	b.disk.PowerCut(t, nil) // what the other camera had then is durable, though no sync ever succeeded
	restore()
	b.kill()
	b = start(t, b.dir)
	if rows := b.rows("c02"); len(rows) != 1 || rows[0].Frags != 1 {
		t.Errorf("the other camera's rows after the power cut: %+v", rows)
	}
	b.check()
}

// What was abandoned gets its row as soon as the disk takes everything again, and then its camera-day can be erased.
// While it cannot be read it is tried again, more and more seldom.
func TestAbandonedSegmentsAreMended(t *testing.T) {
	b := start(t, t.TempDir())
	w := b.begin(meta("c01", "boot-a", 0))
	if err := put(w, 0, 0); err != nil {
		t.Fatal(err)
	}
	b.flush()
	restore := b.disk.Fail(disktest.Rule{Match: disktest.Match("write", "c01"), Err: syscall.ENOSPC})
	if err := put(w, 0, 1); err != nil {
		t.Fatal(err)
	}
	fence(b)
	restore()
	if err := put(w, 0, 2); !errors.Is(err, ErrAbandoned) {
		t.Fatal(err)
	}
	if list := b.findings(); len(list) != 1 || !strings.Contains(list[0].What, "abandoned after a disk error") {
		t.Errorf("findings before the next sync: %+v", list)
	}
	b.flush()
	unread := b.disk.Fail(disktest.Rule{Match: disktest.Match("read", w.file.String()), Err: syscall.EIO})
	if r := b.mend(); len(r.Unreadable) != 1 || len(r.Recovered) != 0 {
		t.Fatalf("mended %+v", r)
	}
	unread()
	b.flush()
	b.mustNotBeMendable() // not again at once
	if r, err := b.v.Repair(t.Context()); err != nil || len(r.Recovered) != 1 || r.Recovered[0].Frags != 1 {
		t.Fatalf("mended %+v, %v", r, err)
	}
	b.check()
	rows := b.rows("c01")
	if failed := b.v.Unlink(t.Context(), rows); len(failed) != 0 {
		t.Fatal(failed)
	}
	if err := b.v.DropRows(rows); err != nil {
		t.Fatal(err)
	}
	b.record("c01", "boot-a", 1440, 1441)
	b.flush()
	if err := errors.Join(b.v.EraseDays([]Day{{"c01", "2026-03-01"}})[0], b.v.ClearDay("c01", "2026-03-01")); err != nil {
		t.Errorf("the key of a day with a mended segment: %v", err)
	}
	b.check()
}

// A disk that is full for hours is tried again for every key frame. That must leave nothing behind.
func TestAFullDiskLeavesNoLitter(t *testing.T) {
	b := start(t, t.TempDir())
	restore := b.disk.Fail(disktest.Rule{Match: disktest.Match("write", ".ckf"), Err: syscall.ENOSPC})
	for n := range 300 {
		w := b.begin(meta("c01", "boot-a", n))
		if err := put(w, n, 0); err != nil && !errors.Is(err, ErrAbandoned) {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b.flush()
	left, err := filepath.Glob(filepath.Join(b.dir, "vault", "*", "*", "*"))
	if err != nil || len(left) != 0 {
		t.Fatalf("%d files, %v", len(left), err)
	}
	restore()
	b.record("c01", "boot-a", 300, 302)
	b.flush()
	b.check()
	if len(b.rows("c01")) != 2 {
		t.Error("recording does not go on")
	}
}

// The quarantine may be what cannot be written; then the odd file stays where it is and is reported, and the others
// are indexed.
func TestAQuarantineThatCannotBeMade(t *testing.T) {
	b := start(t, t.TempDir())
	b.record("c01", "boot-a", 0, 3)
	b.flush()
	b.end()
	odd := filepath.Join(b.dir, "vault", "c01", "2026-03-01", "0-notes.txt")
	if err := os.WriteFile(odd, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(b.dir, "index.db")); err != nil {
		t.Fatal(err)
	}
	b = &box{t: t, dir: b.dir, disk: disktest.New(t, filepath.Join(b.dir, "vault")), every: b.every}
	restore := b.disk.Fail(disktest.Rule{Match: disktest.Match("mkdir", quarantine), Err: syscall.EROFS})
	b.open(b.disk)
	if rows := b.rows("c01"); len(rows) != 3 {
		t.Errorf("%d rows beside an odd file", len(rows))
	}
	if list := b.findings(); len(list) != 1 || !strings.Contains(list[0].Where, "0-notes.txt") {
		t.Errorf("findings %+v", list)
	}
	restore()
	if r, err := b.v.Reconcile(t.Context(), nothingDies, nil); err != nil || len(r.Quarantined) != 1 {
		t.Fatalf("reconcile %+v, %v", r, err)
	}
	b.check()
}
