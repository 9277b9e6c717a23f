package vault

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/shared/footage"
)

// Covers F3, I3: index.db is rebuilt when it is lost, empty, cut or garbled, whichever page it is: never a panic, and
// the files are known again at the next start at the latest. A check of the stopped box never calls it clean.
func TestIndexDamaged(t *testing.T) {
	const page = 4096
	garble := func(at int64, zero bool) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			b := make([]byte, page)
			if !zero {
				rnd := rand.New(rand.NewPCG(uint64(at), 1))
				for i := range b {
					b[i] = byte(rnd.Uint32())
				}
			}
			if _, err := f.WriteAt(b, at*page); err != nil {
				t.Fatal(err)
			}
		}
	}
	cases := map[string]func(*testing.T, string){
		"lost":  func(t *testing.T, path string) { must(t, os.Remove(path)) },
		"empty": func(t *testing.T, path string) { must(t, os.Truncate(path, 0)) },
		"cut":   func(t *testing.T, path string) { must(t, os.Truncate(path, 5*page)) },
		"text":  func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte("not an index"), 0o600)) },
	}
	for at := range int64(10) {
		cases["page zero "+string(rune('0'+at))] = garble(at, true)
		cases["page noise "+string(rune('0'+at))] = garble(at, false)
	}
	for name, harm := range cases {
		t.Run(name, func(t *testing.T) {
			b := start(t, t.TempDir())
			for n, camera := range []string{"c01", "c02", "c03"} {
				b.record(camera, "boot-a", n*1440, n*1440+60)
			}
			b.flush()
			want := len(b.rows("c01")) + len(b.rows("c02")) + len(b.rows("c03"))
			b.end()
			path := filepath.Join(b.dir, "index.db")
			harm(t, path)
			checkStopped(t, b)
			for range 3 { // the first start may find it while it works
				b = start(t, b.dir)
				for _, camera := range []string{"c01", "c02", "c03"} {
					_ = b.v.Rows(camera, seen)
					_, _ = b.v.Boots(camera)
				}
				_, _ = b.v.Reconcile(t.Context(), nothingDies, nil)
				b.stop()
				<-b.ended
				b.ended <- nil
				_ = b.v.Close()
				b.v = nil
			}
			b = start(t, b.dir)
			if n := len(b.rows("c01")) + len(b.rows("c02")) + len(b.rows("c03")); n != want {
				t.Errorf("%d rows, want %d", n, want)
			}
			b.check()
		})
	}
}

// checkStopped checks a stopped box as the command does.
func checkStopped(t *testing.T, b *box) {
	t.Helper()
	data, err := disk.Real(b.dir)
	must(t, err)
	root, err := keyring.OpenRoot(data)
	must(t, err)
	keys, err := root.Ring("footage")
	must(t, err)
	v, err := OpenReadOnly(Options{FS: b.disk, IndexPath: filepath.Join(b.dir, "index.db"), Keys: keys, Holds: root})
	must(t, err)
	findings := 0
	must(t, v.Check(t.Context(), CheckOptions{Full: true}, func(Finding) { findings++ }))
	rows := 0
	for _, camera := range []string{"c01", "c02", "c03"} {
		if err := v.Rows(camera, func(footage.Segment) bool { rows++; return true }); err != nil {
			rows = -1000
		}
	}
	if findings == 0 && rows != 180 {
		t.Errorf("called clean with %d rows", rows)
	}
	must(t, v.Close())
}

func seen(footage.Segment) bool { return true }

// nothingDies is what a reconcile gets when no deletion is under way.
func nothingDies() func(footage.Segment) bool {
	return func(footage.Segment) bool { return false }
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
