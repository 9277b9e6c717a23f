package crash

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"campuskeep/firmware/disk/disktest"
)

// One camera's directory refuses for ever, through restarts and months: the others record and their footage goes on
// time, one entry names the fault, and the check says that and nothing else. Covers F3, I4.
func TestALastingFaultOfOneCamera(t *testing.T) {
	if testing.Short() {
		t.Skip("records for a while")
	}
	for _, c := range []struct{ name, op, entry, finding string }{
		{"files that cannot be unlinked", "remove", "footage.unlinkfailed", "condemned, cannot be unlinked: permission  c01/"},
		{"directories that cannot be made", "mkdir", `"code":"vault.create"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, sky := newEnv(t, place{alone: true, inside: true}), &sky{}
			all, others := []string{"c01", "c02"}, []string{"c02"}
			for n := range 3 {
				disk := disktest.New(t, h.vaultDir())
				recording := all
				if n > 0 {
					disk.Fail(disktest.Rule{Match: disktest.Match(c.op, "c01"), Err: syscall.EPERM})
					if c.op == "mkdir" {
						recording = others
					}
				}
				b := h.boot(sky, fmt.Sprintf("boot-%d", n), disk)
				b.trusted()
				b.recorded(recording...)
				if n > 0 {
					before := fmt.Sprintf("boot-%d", n-1)
					b.until("the others' end", func() bool { b.sweeps(); return b.files("c02", before) == 0 })
					b.sweeps()
				}
				if n == 2 {
					h.faultIsTold(b, n, b.files("c01", "boot-0")+b.files("c01", "boot-1"), c.entry, c.finding)
				}
				b.stop()
				sky.pass(month)
			}
		})
	}
}

// faultIsTold wants the fault of the first camera in the log, once for each run that had it, and in the findings, with
// nothing beside it.
func (h *env) faultIsTold(b *inner, runs, stuck int, entry, finding string) {
	h.t.Helper()
	shown := 0
	for _, e := range h.entries() {
		if e.Kind != "footage.unlinkfailed" && e.Kind != "system.fault" {
			continue
		}
		shown++
		if says := fmt.Sprintf("%s %s", e.Kind, e.Data); e.Subject != "c01" || !strings.Contains(says, entry) {
			h.t.Errorf("entered of %q: %s", e.Subject, says)
		}
	}
	if shown != runs {
		h.t.Errorf("the fault is entered %d times, want once in each of %d runs", shown, runs)
	}
	got := b.findings()
	if want := finding != ""; want != (stuck > 0) || len(got) != stuck {
		h.t.Errorf("%d files of the camera are left, check: %s", stuck, strings.Join(got, "\n"))
	}
	for _, line := range got {
		if !strings.Contains(line, finding) {
			h.t.Errorf("check: %s", line)
		}
	}
}
