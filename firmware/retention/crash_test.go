package retention

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/disk/disktest"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/footage"
)

// Covers F3, I6, I7: at whatever operation of the disks a deletion is killed, fails, fails although it was done, or
// loses its power, what follows finishes it: every file accounted for once, every key destroyed and confirmed once,
// held footage readable until its hold ends, and check clean.
func TestDeletionCutShortAtEveryStep(t *testing.T) {
	for _, how := range []string{"killed", "fails once", "fails once but done", "fails for good", "power cut", "power cut by chance"} {
		for _, second := range []bool{false, true} { // the deletion at thirty days, and the one when the hold ends
			for step, more := 0, true; more; step++ {
				more = cutDeletion(t, how, second, step)
				if step > 150 {
					t.Fatal("a sweep has more operations than were tried")
				}
			}
		}
	}
}

func cutDeletion(t *testing.T, how string, second bool, step int) (more bool) {
	name := fmt.Sprintf("%s at step %d, second deletion %v", how, step, second)
	h := newEnv(t)
	defer h.close(false)
	h.record("c01", 5)
	if how == "fails for good" { // whatever it is, the other camera's footage goes
		h.cameras[1].Policy.Days = 30
		h.record("c02", 2)
	}
	h.hold(footage.Hold{ID: "h1", Cameras: []string{"c01"}, Span: footage.Span{From: morning, To: morning.Add(30 * time.Second)}, Until: morning.Add(90 * day)})
	h.clock.Pass(31 * day)
	if second {
		h.sweep()
		h.release("h1")
	}
	ops, bad := 0, disktest.Op{}
	rule := disktest.Rule{Err: errors.New("broken"), Done: how == "fails once but done", Match: func(o disktest.Op) bool {
		if o.What == "close" || strings.Contains(o.Name, ".db") {
			return false
		}
		ops++
		switch how {
		case "fails once", "fails once but done":
			return ops == step+1
		case "fails for good":
			if ops == step+1 {
				bad = o
			}
			return o == bad
		}
		return ops > step
	}}
	restore := []func(){h.disk.Fail(rule), h.data.Fail(rule)}
	_, err := h.r.Sweep(t.Context())
	more = ops > step
	if how == "fails for good" {
		for range 3 {
			if res, err := h.r.Sweep(t.Context()); !res.Complete {
				t.Fatalf("%s: %+v ends the sweep: %v", name, bad, err)
			}
		}
		if !strings.HasPrefix(bad.Name, "c02/") && h.files("c02") != 0 {
			t.Fatalf("%s: %+v keeps %d files of another camera", name, bad, h.files("c02"))
		}
	}
	for _, f := range restore {
		f()
	}
	if !more && err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	switch {
	case !more:
	case how == "killed":
		h.close(false)
		h.open()
	case how == "power cut":
		h.powerCut(nil)
	case how == "power cut by chance":
		h.powerCut(newRand(uint64(step)))
	}
	h.sweep()
	h.sweep()
	files, deleted, others := 1, 4, 0
	if second {
		files, deleted = 0, 5
	}
	if how == "fails for good" {
		others = 2
	}
	if h.files("c01") != files || h.deleted() != deleted+others || len(h.rows("c01")) != files {
		t.Fatalf("%s: %d files, %d deleted, %d rows", name, h.files("c01"), h.deleted(), len(h.rows("c01")))
	}
	erased := map[string]int{}
	for _, e := range h.entries("key.erased") {
		for _, k := range e.Keys {
			erased[e.Ring+" "+k]++
		}
	}
	if erased["footage c01:2026-03-02"] != 1 || erased["hold-h1 all"] != deleted-4 || len(h.keys.IDs()) != 0 {
		t.Fatalf("%s: erased %v, keys %v", name, erased, h.keys.IDs())
	}
	for _, seg := range h.rows("c01") {
		r, err := h.source().OpenSegment(t.Context(), seg)
		if err != nil {
			t.Fatalf("%s: what a hold keeps cannot be read: %v", name, err)
		}
		h.must(r.Close())
	}
	for _, f := range h.findings() {
		t.Fatalf("%s: %+v", name, f)
	}
	return more
}

// A disk error while recordings go on and segments are closed ends in a gap at most, never in a wrong deletion.
func TestDeletionBesideFailingRecording(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 10)
	h.clock.Pass(31 * day)
	h.record("c02", 2)
	restore := h.disk.Fail(disktest.Rule{Match: disktest.Match("write", "c02/"), Err: errors.New("broken")})
	if res := h.sweep(); res.Unlinked != 10 {
		t.Fatalf("%+v", res)
	}
	restore()
	h.record("c02", 2)
	h.sweep()
	if h.files("c02") != 4 || h.deleted() != 10 {
		t.Fatalf("%d files, %d deleted", h.files("c02"), h.deleted())
	}
	h.check()
}

// Covers F3: a hold that is registered while a sweep is under way is seen before anything below it goes.
func TestHoldRegisteredDuringASweep(t *testing.T) {
	for n := range 6 { // holds that come between the rounds and within them
		h := newEnv(t)
		h.record("c01", 3)
		h.record("c02", 1)
		h.cameras[1].Policy.Days = 30
		h.clock.Pass(31 * day)
		asked, placed, pending := 0, false, make(chan error, 1)
		real := h.r.o.Holds
		h.r.o.Holds = func(tx ledgerdb.Tx) ([]footage.Hold, error) {
			list, err := real(tx)
			if asked++; asked > n && !placed {
				placed = true
				go func() {
					late := footage.Hold{ID: "late", Cameras: []string{"c01"}, Span: footage.Span{From: morning, To: morning.Add(3 * time.Minute)}, Until: morning.Add(90 * day)}
					_, err := h.store.Commit(t.Context(), ledgerdb.Change{Puts: []ledgerdb.Put{testHolds.Put(late.ID, late)}})
					pending <- err
				}()
			}
			return list, err
		}
		h.sweep()
		if placed {
			h.must(<-pending)
		}
		mark, err := h.r.Watermark("c01")
		h.must(err)
		switch files := h.files("c01"); {
		case mark.IsZero() && files != 3:
			t.Fatalf("hold at question %d: %d files without a watermark", n, files)
		case files != 3 && files != 0:
			t.Fatalf("hold at question %d: %d files: held in part", n, files)
		}
		h.check()
		h.close(true)
	}
}

// I6: an older copy of a ring that is put back is found, and the next start destroys what is in it again.
func TestRestoredRingIsFound(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 3)
	file := filepath.Join(h.dir, "keys", "footage.ring")
	old, err := os.ReadFile(file)
	h.must(err)
	h.clock.Pass(31 * day)
	h.sweep()
	h.check()
	h.close(true)
	h.must(os.WriteFile(file, old, 0o600))
	h.open()
	if f := h.findings(); len(f) != 1 || f[0].Invariant != "I6" || !strings.Contains(f[0].Where, "c01:2026-03-02") {
		t.Fatalf("findings %+v", f)
	}
	h.sweep()
	if len(h.keys.IDs()) != 0 {
		t.Errorf("keys %v", h.keys.IDs())
	}
	h.check()
}

const (
	childDir   = "CAMPUSKEEP_TEST_RETENTION_DIR"
	childRound = "CAMPUSKEEP_TEST_RETENTION_ROUND"
)

// TestKilledDeletion kills a real process that records, deletes, holds and rotates the root key, again and again in
// one directory. What it reported as deleted is accounted for; nothing that it reported as recorded went early.
func TestKilledDeletion(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		deleteUntilKilled(t, dir)
		return
	}
	dir := t.TempDir()
	rnd := newRand(uint64(time.Now().UnixNano()))
	for round := range 10 {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestKilledDeletion$")
		cmd.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprintf("%s=%d", childRound, round))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		seen, want := 0, 1+rnd.IntN(40)
		buf := make([]byte, 1)
		for seen < want {
			if _, err := out.Read(buf); err != nil {
				t.Fatalf("the process ended by itself: %v", err)
			}
			if buf[0] == '\n' {
				seen++
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the process ended by itself")
		}
	}
	h := &env{t: t, dir: dir, clock: clockOfRound(10), cameras: twoCameras()}
	h.open()
	defer h.close(true)
	h.sweep()
	h.check()
	h.clock.Pass(120 * day)
	h.sweep()
	h.sweep()
	if n := h.files("c01") + h.files("c02"); n != 0 || len(h.keys.IDs()) != 0 {
		t.Errorf("%d files and the keys %v are left", n, h.keys.IDs())
	}
	recorded, deleted := 0, h.deleted()
	for _, e := range h.entries("footage.recorded") {
		recorded += e.Count
	}
	if deleted == 0 || recorded < deleted { // what was never bound may be deleted with an hour cut short
		t.Logf("%d recorded, %d deleted", recorded, deleted)
	}
	h.check()
	if list, err := filepath.Glob(filepath.Join(dir, "keys", "*")); err != nil || len(list) > 3 {
		t.Errorf("left in keys: %v, %v", list, err)
	}
}

func twoCameras() []footage.Camera {
	return []footage.Camera{{ID: "c01", Policy: footage.Policy{Days: 30}}, {ID: "c02", Policy: footage.Policy{Days: 40, Reason: "key site"}}}
}

// clockOfRound is a clock of a boot of its own, fifty days after the one before.
func clockOfRound(n int) *handClock {
	c := newClock()
	c.reboot(fmt.Sprintf("boot-%d", n+1), morning)
	c.trust(morning.Add(time.Duration(n)*50*day), time.Second)
	return c
}

func deleteUntilKilled(t *testing.T, dir string) {
	var round int
	if _, err := fmt.Sscan(os.Getenv(childRound), &round); err != nil {
		t.Fatal(err)
	}
	h := &env{t: t, dir: dir, clock: clockOfRound(round), cameras: twoCameras()}
	h.open()
	for n := 0; ; n++ {
		h.record("c01", 3)
		h.record("c02", 2)
		if n%5 == 2 {
			now := h.clock.Now().Wall
			h.hold(footage.Hold{ID: fmt.Sprintf("h%d-%d", round, n), Cameras: []string{"c01"}, Span: footage.Span{From: now.Add(-4 * time.Minute), To: now}, Until: now.Add(35 * day)})
		}
		h.sweep()
		fmt.Println("swept", n)
		if n%7 == 3 {
			h.must(h.root.Rotate(func(keyring.RootID, string) error { return nil }))
			fmt.Println("rotated", n)
		}
		h.clock.Pass(20 * time.Hour)
	}
}
