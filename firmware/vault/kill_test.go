package vault

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var kills = flag.Int("kills", 12, "how often to kill the recording process")

const (
	childDir   = "CAMPUSKEEP_TEST_VAULT_DIR"
	childRound = "CAMPUSKEEP_TEST_VAULT_ROUND"
)

// TestKilledRecorder kills a real process that records, again and again in one directory. Covers I7 of
// footage: what it reported as durable is there; what is there is whole.
func TestKilledRecorder(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		recordUntilKilled(t, dir)
		return
	}
	dir := t.TempDir()
	rnd := newRand(uint64(time.Now().UnixNano()))
	durable := map[string]int{} // boot/camera → fragments that were reported
	for round := range *kills {
		boot := fmt.Sprintf("boot-%d", round)
		cmd := exec.Command(os.Args[0], "-test.run", "^TestKilledRecorder$")
		cmd.Env = append(os.Environ(), childDir+"="+dir, childRound+"="+boot)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 1 + rnd.IntN(12) {
			if !lines.Scan() {
				t.Fatal("the recorder ended by itself")
			}
			var camera string
			var frags int
			if _, err := fmt.Sscan(lines.Text(), &camera, &frags); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			durable[boot+"/"+camera] = frags
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // reported before the kill took effect
			var camera string
			var frags int
			if n, _ := fmt.Sscan(lines.Text(), &camera, &frags); n == 2 {
				durable[boot+"/"+camera] = frags
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the recorder ended by itself")
		}
	}
	b := start(t, dir)
	found := map[string]int{}
	for _, camera := range []string{"c01", "c02", "c03"} {
		for _, s := range b.rows(camera) {
			found[s.Boot+"/"+camera] += s.Frags
			b.whole(s, s.Frags)
		}
	}
	for k, want := range durable {
		if found[k] < want {
			t.Errorf("%s: %d fragments, %d were reported durable", k, found[k], want)
		}
	}
	b.check()
	if set, err := os.ReadDir(filepath.Join(dir, "vault", quarantine)); err == nil {
		t.Logf("in quarantine: %d cameras", len(set)) // files killed before their first whole fragment
	}
}

// recordUntilKilled records three cameras and reports after each sync how many fragments are durable.
func recordUntilKilled(t *testing.T, dir string) {
	b := start(t, dir)
	boot := os.Getenv(childRound)
	cameras := []string{"c01", "c02", "c03"}
	given := map[string]int{}
	for n := 0; ; n++ {
		ws := make([]*Writer, len(cameras))
		for i, camera := range cameras {
			ws[i] = b.begin(meta(camera, boot, n))
		}
		for i := range 9 {
			for _, w := range ws {
				for err := put(w, n, i); err != nil; err = put(w, n, i) {
					if !errors.Is(err, ErrOverload) {
						t.Fatal(err)
					}
					b.flush()
				}
				given[w.meta.Camera]++
			}
			if i%4 == 3 {
				b.flush()
				for _, camera := range cameras {
					fmt.Println(camera, given[camera])
				}
			}
		}
		for _, w := range ws {
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What a killed process leaves open is found at the next start without looking through the archive.
func TestStartLooksOnlyWhereFilesMayBeWithoutRow(t *testing.T) {
	b := start(t, t.TempDir())
	for day := range 5 {
		b.record("c01", "boot-a", day*1440, day*1440+3)
		b.flush()
	}
	b.flush()
	marks, err := b.v.index.marks()
	if err != nil {
		t.Fatal(err)
	}
	var days []string
	for id := range marks {
		days = append(days, id.day)
	}
	slices.Sort(days)
	if !slices.Equal(days, []string{"2026-03-05"}) {
		t.Errorf("marked camera-days while recording: %v", days)
	}
	b.end()
	b = start(t, b.dir)
	if marks, err := b.v.index.marks(); err != nil || len(marks) != 0 {
		t.Errorf("marks after a clean stop: %v, %v", marks, err)
	}
	b.check()
}
