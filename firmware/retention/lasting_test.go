package retention

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"campuskeep/firmware/disk/disktest"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// Covers F3: a fault that lasts, of one file, directory, ring or disk, keeps nothing else: the other camera's footage and
// keys go on time, holds end, also over restarts. It is an entry once, and what it kept goes when it is mended.
func TestLastingFaultOfOneThing(t *testing.T) {
	const label = "2026-04-02" // of the camera-days that fall due
	dir := func(what string) func(disktest.Op) bool {
		return func(o disktest.Op) bool { return o.What == what && o.Name == "c01/"+label }
	}
	for _, c := range []struct {
		name  string
		harm  func(*env) // done while the box is off
		match func(disktest.Op) bool
		err   error
		entry string // kind, or code of a system.fault
		keeps []string
	}{
		{name: "a file set aside that cannot be unlinked", entry: "retention.left_over", err: syscall.EIO, match: disktest.Match("remove", "quarantine/c01"), harm: func(h *env) {
			aside := filepath.Join(h.dir, "vault", "quarantine", "c01", label)
			h.must(os.MkdirAll(aside, 0o700))
			h.must(os.WriteFile(filepath.Join(aside, "odd.ckf"), []byte("odd"), 0o600))
		}},
		{name: "a directory that cannot be read", entry: "retention.camera", err: syscall.EIO, match: dir("readdir"), keeps: []string{"c01:" + label}},
		{name: "a directory that cannot be removed", entry: "retention.left_over", err: syscall.ENOTEMPTY, match: dir("remove")},
		{name: "a file that cannot be unlinked", entry: "footage.unlinkfailed", err: syscall.EPERM, match: disktest.Match("remove", "c01/"+label+"/"), keeps: []string{"c01:" + label}},
		{name: "a ring with a flipped bit", harm: func(h *env) {
			file := filepath.Join(h.dir, "keys", "hold-h1.ring")
			b, err := os.ReadFile(file)
			h.must(err)
			b[len(b)/2] ^= 1
			h.must(os.WriteFile(file, b, 0o600))
		}},
		{name: "a ring that cannot be removed", entry: "key.erasefailed", err: syscall.EIO, match: disktest.Match("remove", "hold-h1.ring"), keeps: []string{"hold-h1"}},
		{name: "no room for keys", entry: "key.erasefailed", err: syscall.ENOSPC, match: disktest.Match("create", "footage.ring"), keeps: []string{"c01:" + label, "c02:" + label}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newEnv(t)
			h.cameras[1].Policy.Days = 30
			h.record("c01", 2)
			h.hold(footage.Hold{ID: "h1", Cameras: []string{"c01"}, Span: footage.Span{From: morning, To: morning.Add(day)}, Until: morning.Add(90 * day)})
			h.clock.Pass(31 * day)
			h.sweep() // now the hold has a ring
			h.record("c01", 3)
			h.record("c02", 3)
			h.release("h1")
			h.clock.Pass(31 * day)
			broken := func() (restore []func()) {
				if c.match == nil {
					return nil
				}
				rule := disktest.Rule{Match: c.match, Err: c.err}
				return []func(){h.disk.Fail(rule), h.data.Fail(rule)}
			}
			h.close(true)
			if c.harm != nil {
				c.harm(h)
			}
			h.open()
			restore := broken()
			var res Result
			for i := range 4 {
				if i == 2 {
					h.close(true)
					h.open()
					restore = broken()
				}
				var err error
				if res, err = h.r.Sweep(t.Context()); !res.Complete {
					t.Fatalf("the sweep ends: %v", err)
				}
			}
			if n := h.files("c02"); n != 0 {
				t.Errorf("%d files of the other camera are kept", n)
			}
			left := h.keys.IDs()
			kept, err := h.vault.Kept()
			h.must(err)
			for _, id := range kept {
				left = append(left, "hold-"+id)
			}
			if !slices.Equal(left, c.keeps) {
				t.Errorf("keys left %v, want %v", left, c.keeps)
			}
			h.told(c.entry)
			for _, f := range restore {
				f()
			}
			if strings.HasPrefix(c.entry, "retention.left") && res.Waiting != 1 {
				t.Errorf("%+v", res)
			}
			h.sweep()
			h.sweep()
			if n := len(h.keys.IDs()); n != 0 || h.deleted() != 8 {
				t.Errorf("mended: keys %v, %d deleted", h.keys.IDs(), h.deleted())
			}
			if kept, err := h.vault.Kept(); err != nil || len(kept) != 0 {
				t.Errorf("mended: holds %v, %v", kept, err)
			}
			if list, err := h.disk.ReadDir("c01"); err != nil || len(list) != 0 { // also that of the day that the hold kept
				t.Errorf("mended: directories %v, %v", list, err)
			}
			h.check()
		})
	}
}

// told wants the entry of a lasting fault: once, but for what a sweep only knows of the run it is in.
func (h *env) told(entry string) {
	h.t.Helper()
	if entry == "" {
		return
	}
	most := 1
	if entry == "retention.camera" {
		most = 2 // one a run
	}
	times := map[string]int{}
	for _, d := range h.entries("system.fault") {
		if d.Code == entry {
			times[d.Subject]++
		}
	}
	if !strings.HasPrefix(entry, "retention.") {
		for _, d := range h.entries(ledger.Kind(entry)) {
			times[d.Subject]++
		}
	}
	if len(times) == 0 {
		h.t.Errorf("no entry %s", entry)
	}
	for camera, n := range times {
		if n > most {
			h.t.Errorf("%d entries %s of %q, want %d at most", n, entry, camera, most)
		}
	}
}

// Covers F4: a hold still in force whose keys cannot be opened is named, once; the other hold is served.
func TestARottenRingOfAHoldInForceIsNamed(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 60)
	span := footage.Span{From: morning, To: morning.Add(30 * time.Minute)}
	for _, id := range []string{"h1", "h2"} {
		h.hold(footage.Hold{ID: id, Cameras: []string{"c01"}, Span: span, Until: morning.Add(150 * day)})
	}
	h.clock.Pass(91 * day)
	h.sweep()
	h.close(true)
	file := filepath.Join(h.dir, "keys", "hold-h1.ring")
	b, err := os.ReadFile(file)
	h.must(err)
	b[len(b)/2] ^= 1
	h.must(os.WriteFile(file, b, 0o600))
	h.open()
	for range 3 {
		h.clock.Pass(time.Hour)
		res, err := h.r.Sweep(t.Context())
		if err == nil || !strings.Contains(err.Error(), "hold h1") {
			t.Errorf("the sweep says %v", err)
		}
		if !slices.Equal(res.Rotten, []string{"h1"}) {
			t.Errorf("the sweep names %v", res.Rotten)
		}
	}
	named := 0
	for _, e := range h.entries("system.fault") {
		if e.Code == "retention.hold" && e.Part == "hold-h1" {
			named++
		}
	}
	if named != 1 {
		t.Errorf("the ring is named %d times: %v", named, h.entries("system.fault"))
	}
	if kept, err := h.vault.Kept(); err != nil || len(kept) != 2 {
		t.Errorf("rings %v, %v", kept, err)
	}
}
