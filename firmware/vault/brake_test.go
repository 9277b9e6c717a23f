package vault

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"campuskeep/firmware/disk/disktest"
	"campuskeep/shared/footage"
)

// Covers F3: a vault that is not mounted is noticed by the first directory that is missing, and where files are missing by
// the hundred it takes no longer than until there are too many: nobody is asked about each row, and no row is touched.
func TestTheBrakeActsBeforeTheWork(t *testing.T) {
	for _, whole := range []bool{true, false} {
		b := start(t, t.TempDir())
		b.record("c01", "boot-a", 0, 60)
		b.record("c02", "boot-a", 0, 60)
		b.flush()
		gone := filepath.Join(b.dir, "vault", "c01")
		if !whole {
			gone = filepath.Join(gone, "2026-03-01")
		}
		if err := os.Rename(gone, filepath.Join(b.dir, "elsewhere")); err != nil {
			t.Fatal(err)
		}
		asked, rows, stats := 0, 0, 0
		restore := b.disk.Fail(disktest.Rule{Match: func(o disktest.Op) bool {
			if o.What == "stat" {
				stats++
			}
			return false
		}})
		r, err := b.v.Reconcile(t.Context(), func() func(footage.Segment) bool {
			asked++
			return func(footage.Segment) bool { rows++; return false }
		}, nil)
		restore()
		if err != nil || !r.Stopped || !slices.Contains(b.codes(), "brake") {
			t.Fatalf("%+v, %v, alarms %v", r, err, b.codes())
		}
		if asked > 2 || rows > 2*(brakeLeast+1) || stats > 2+brakeLeast+1 {
			t.Errorf("looked %d times, at %d rows and %d files", asked, rows, stats)
		}
		if whole && asked > 0 {
			t.Error("rows were looked for although the camera has no directory")
		}
		if n := len(b.rows("c01")); n != 60 {
			t.Errorf("%d rows", n)
		}
	}
}
