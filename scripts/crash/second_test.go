package crash

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A second daemon on the same data directory, or on the same footage, is refused with a sentence that names the
// directory, and the first one does not notice. Covers I3.
func TestASecondDaemonIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real programs")
	}
	t.Parallel()
	h := newEnv(t, place{alone: true, vault: true})
	box := h.startBox()
	h.untilRecorded(box, 10<<10)
	text, err := os.ReadFile(h.config())
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(h.dir, "elsewhere")
	same, other := filepath.Join(h.dir, "same.toml"), filepath.Join(h.dir, "other.toml")
	moved := strings.NewReplacer(h.data, elsewhere, h.cfg.Web.Listen, fmt.Sprintf("127.0.0.1:%d", freePort(t))).Replace(string(text))
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The other box was set up with footage of its own, and then its configuration was pointed at this one's.
	write(other, strings.ReplaceAll(moved, h.vaultDir(), filepath.Join(h.dir, "own-footage")))
	if out, err := exec.Command(filepath.Join(h.bin, "campuskeepd"), "init", "-c", other).CombinedOutput(); err != nil {
		t.Fatalf("the other box: %v\n%s", err, out)
	}
	write(other, moved)
	write(same, string(text))
	for config, names := range map[string]string{same: h.data, other: h.vaultDir()} {
		for range 3 {
			out, err := exec.Command(filepath.Join(h.bin, "campuskeepd"), "run", "-c", config).CombinedOutput()
			exit, ok := errors.AsType[*exec.ExitError](err)
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if last := lines[len(lines)-1]; !ok || exit.ExitCode() != 1 || !strings.Contains(last, names+" is in use by another campuskeepd") {
				t.Errorf("a second daemon on %s: %v\n%s", names, err, out)
			}
		}
	}
	h.untilRecorded(box, 10<<10)
	h.untilClean(box)
	if err := box.Stop(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	h.mustBeClean()
	for i := range h.cameras {
		if got := h.sessions(i); len(got) != 1 {
			t.Errorf("camera %d: %d sessions: something interrupted it", i+1, len(got))
		}
	}
}
