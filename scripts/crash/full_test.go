package crash

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campuskeep/scripts/sim/process"
)

// A disk that is full: recording stops with an alarm and goes on by itself when there is room again, one gap entry
// says what is missing, and the check is clean at once. Covers F3, I3.
func TestTheDiskIsFull(t *testing.T) {
	if testing.Short() {
		t.Skip("records for half a minute, four times")
	}
	for _, kind := range []string{"ext4", "tmpfs"} {
		for _, all := range []bool{false, true} {
			name := "footage on " + kind
			if all {
				name = "everything on " + kind
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				h := newEnv(t, place{vault: !all}) // with a centre: a gap has its place in time once the clock is trusted
				dir := h.vaultDir()
				if all {
					dir = h.data
				}
				disk := newSmallDisk(t, kind, 96, dir)
				box := h.startBox()
				h.untilRecorded(box, 20<<10)
				free := disk.fill()
				if !all {
					h.untilEntered(box, "system.fault", `"code":"vault.`)
				}
				from := h.cameras[0].Counter()
				h.await(box, "eight seconds without room", func() bool { return h.cameras[0].Counter() > from+8*frameRate })
				free()
				h.untilRecorded(box, 20<<10)
				for i := range h.cameras {
					h.untilEntered(box, "footage.gap", fmt.Sprintf(`"subject":"c%02d"`, i+1), `"cause":"disk"`)
				}
				h.untilEntered(box, "system.fault", `"code":"vault.`)
				h.untilClean(box)
				if err := box.Stop(30 * time.Second); err != nil {
					t.Fatal(err)
				}
				h.mustBeClean()
				for i := range h.cameras {
					h.missingIsTold(i)
				}
			})
		}
	}
}

// A disk that goes read-only while it is written, as ext4 does after an error: the daemon goes on to answer and tells,
// and after the disk was seen to and the box was started again all is as it was, and recording goes on.
func TestTheDiskTurnsReadOnly(t *testing.T) {
	if testing.Short() {
		t.Skip("records for half a minute")
	}
	t.Parallel()
	h := newEnv(t, place{alone: true, vault: true})
	disk := newSmallDisk(t, "ext4", 96, h.vaultDir())
	box := h.startBox()
	h.untilRecorded(box, 30<<10)
	disk.failReadOnly()
	h.untilEntered(box, "system.fault", `"code":"vault.`)
	if err := process.Answers("https://" + h.cfg.Web.Listen + "/healthz")(); err != nil {
		t.Errorf("the box does not answer: %v", err)
	}
	if err := box.Stop(30 * time.Second); err == nil {
		t.Error("it stopped without a word about what it could not write")
	}
	disk.unmount()
	disk.mount()
	box = h.startBox()
	h.untilRecorded(box, 30<<10)
	h.untilClean(box)
	if err := box.Stop(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	h.mustBeClean()
}

// await looks again and again until the condition holds; the daemon must not end meanwhile.
func (h *env) await(box *process.Process, what string, ok func() bool) {
	h.t.Helper()
	limit := time.NewTimer(60 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-box.Done:
			h.t.Fatalf("the daemon ended while we waited for %s: %v\n%s", what, box.Failed(), process.Tail(box.Log, 30))
		case <-limit.C:
			h.t.Fatalf("waited too long for %s\n%s", what, process.Tail(box.Log, 30))
		case <-tick.C:
		}
	}
}

func (h *env) vaultDir() string {
	if h.cfg.Vault.Path != "" {
		return h.cfg.Vault.Path
	}
	return filepath.Join(h.data, "vault")
}

// untilRecorded waits until every camera has so many bytes more on the disk.
func (h *env) untilRecorded(box *process.Process, bytes int64) {
	h.t.Helper()
	for i := range h.cameras {
		dir := filepath.Join(h.vaultDir(), fmt.Sprintf("c%02d", i+1))
		from := bytesIn(dir)
		h.await(box, "footage in "+dir, func() bool { return bytesIn(dir) >= from+bytes })
	}
}

// untilEntered waits for an entry of the running box's log that holds all these words.
func (h *env) untilEntered(box *process.Process, kind string, words ...string) {
	h.t.Helper()
	words = append(words, fmt.Sprintf(`"kind":%q`, kind))
	h.await(box, "an entry with "+strings.Join(words, " "), func() bool {
		log, err := process.Once(h.t.Context(), h.bin, "campuskeepd", "export-log", "-c", h.config())
		if err != nil {
			return false
		}
		for line := range strings.Lines(log) {
			has := strings.HasPrefix(line, `{"v":`)
			for _, w := range words {
				has = has && strings.Contains(line, w)
			}
			if has {
				return true
			}
		}
		return false
	})
}

// untilClean asks the running daemon to check itself in full, until it finds nothing.
func (h *env) untilClean(box *process.Process) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 60*time.Second)
	defer cancel()
	var last error
	h.await(box, "a clean check", func() bool {
		if _, err := process.Once(ctx, h.bin, "campuskeepd", "check", "-full", "-c", h.config()); err != nil {
			last = err
			h.t.Log(last)
			return false
		}
		return true
	})
}

// missingIsTold compares what is missing of a camera with what the log is about it.
func (h *env) missingIsTold(i int) {
	h.t.Helper()
	var shown time.Duration
	for _, e := range h.entries() {
		if e.Kind != "footage.gap" || e.Subject != fmt.Sprintf("c%02d", i+1) {
			continue
		}
		if d := e.data(h.t); d.Cause == "disk" {
			shown += d.To.Sub(d.From)
		}
	}
	runs, bad := h.runs(i)
	missing := 0
	for n := 1; n < len(runs); n++ {
		missing += int(runs[n].First - runs[n-1].Last - 1)
	}
	if most := int(shown.Seconds()*frameRate) + frameRate; bad > 0 || missing == 0 || missing > most {
		h.t.Errorf("camera %d: runs %v, %d unreadable frames, %d missing, %s told", i+1, runs, bad, missing, shown)
	}
	h.t.Logf("camera %d: %d frames missing, %s told", i+1, missing, shown)
}
