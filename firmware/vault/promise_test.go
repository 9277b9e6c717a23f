package vault

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"campuskeep/firmware/disk/disktest"
)

// Covers F2, I7: a killed process leaves bytes that only the cache has. They get their row when the disk has them, so
// that a power cut right after the start takes nothing that a row promises.
func TestARowNeverPromisesMoreThanTheDiskHolds(t *testing.T) {
	for _, whole := range []bool{false, true} {
		b := start(t, t.TempDir())
		b.record("c01", "boot-a", 0, 1)
		b.flush()
		seg := b.rows("c01")[0]
		bin := b.bytesOf(seg)
		if !whole {
			bin = bin[:b.records(bin)[3]] // the init and two fragments
		}
		b.end()
		for _, err := range []error{os.Remove(b.path(seg)), os.Remove(filepath.Join(b.dir, "index.db"))} {
			if err != nil {
				t.Fatal(err)
			}
		}
		b = &box{t: t, dir: b.dir, disk: disktest.New(t, filepath.Join(b.dir, "vault")), every: b.every}
		f, err := b.disk.OpenFile(filePath(dayID{"c01", seg.Day}, seg.File), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(bin); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		b.open(b.disk)
		rows := b.rows("c01")
		if len(rows) != 1 || rows[0].Recovered == whole {
			t.Fatalf("rows %+v", rows)
		}
		b.disk.PowerCut(t, nil)
		b.kill()
		b = start(t, b.dir)
		if !slices.Equal(b.rows("c01"), rows) {
			t.Fatalf("rows %+v after the cut, %+v before", b.rows("c01"), rows)
		}
		b.whole(rows[0], rows[0].Frags)
		b.check()
	}
}

// A row of a version that gave it too early: what is whole is shown, the rest is reported.
func TestARecoveredRowFallsBackToWhatIsWhole(t *testing.T) {
	b := start(t, t.TempDir())
	b.record("c01", "boot-a", 0, 1)
	b.flush()
	seg := b.rows("c01")[0]
	bin := b.bytesOf(seg)
	b.end()
	cuts := b.records(bin)
	if err := os.WriteFile(b.path(seg), bin[:cuts[4]], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(b.dir, "index.db")); err != nil {
		t.Fatal(err)
	}
	b = start(t, b.dir)
	seg = b.rows("c01")[0]
	if !seg.Recovered || seg.Frags != 3 {
		t.Fatalf("row %+v", seg)
	}
	for _, size := range []int{cuts[3], cuts[3] + 7} {
		if err := os.WriteFile(b.path(seg), bin[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		b.whole(seg, 2)
		if codes := b.codes(); !slices.Contains(codes, "damaged") {
			t.Errorf("alarms %v", codes)
		}
		if f := b.findings(); len(f) != 1 || f[0].Invariant != "I3" {
			t.Errorf("findings %+v", f)
		}
	}
}
