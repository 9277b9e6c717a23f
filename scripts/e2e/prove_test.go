package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"campuskeep/firmware/appliance"
)

// prove finds an entry as a supervisor would, takes its proof along, and lets the program for outsiders judge it:
// it is accepted, and refused after any byte was changed. Covers F13.
func (h *env) prove(t *testing.T) {
	verify := filepath.Join(h.dir, "campuskeep-verify")
	build := exec.Command("go", "build", "-o", verify, "campuskeep/shared/cmd/campuskeep-verify")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	key := h.box.Store.VerifierKey()
	b := h.tab(t, "jian")
	saved := b.download(t)
	from := h.box.Store.Size()
	b.open("/log")
	b.fill("#q", "郭允文")
	b.follow("form[role=search] button")
	b.says("郭允文")
	h.entry(t, from, "log.search")
	b.follow("a.chip[href*='group=application']")
	b.says("郭允文")
	b.follow("tbody td.act a")
	seq := strings.TrimPrefix(b.where(), "/log/")
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		t.Fatalf("the proof leads to %s", b.where())
	}
	if e, err := h.box.Store.Entry(n); err != nil || !strings.HasPrefix(string(e.Kind), "application.") && !strings.HasPrefix(string(e.Kind), "hold.") || e.Actor.ID != h.account(t, "guo").ID {
		t.Errorf("entry %d is %s of %s, %v", n, e.Kind, e.Actor.ID, err)
	}
	from = h.box.Store.Size()
	b.click("a[download]")
	file := filepath.Join(saved, "campuskeep-ck-e2e-"+seq+".proof.txt")
	// The browser reserves the name with an empty file, and puts the whole one in its place.
	until(t, "downloaded proof", func() bool { info, err := os.Stat(file); return err == nil && info.Size() > 0 })
	h.entry(t, from, "log.proof")
	proof, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if code, out := judge(t, verify, key, file); code != 0 || !strings.Contains(out, seq) {
		t.Fatalf("the proof is judged %d:\n%s", code, out)
	}
	h.refusesChanges(t, verify, key, proof, 61)
	export := filepath.Join(h.dir, "log.txt")
	var all bytes.Buffer
	if err := appliance.ExportLog(t.Context(), h.cfg, &all); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(export, all.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := judge(t, verify, key, export); code != 0 {
		t.Fatalf("the exported log is judged %d:\n%s", code, out)
	}
	h.refusesChanges(t, verify, key, all.Bytes(), 7)
}

// refusesChanges turns one bit of a byte, at so many places over the whole file.
func (h *env) refusesChanges(t *testing.T, verify, key string, good []byte, places int) {
	t.Helper()
	file := filepath.Join(h.dir, "changed")
	for i := range places {
		at := i * (len(good) - 1) / (places - 1)
		bad := bytes.Clone(good)
		bad[at] ^= 1
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if code, out := judge(t, verify, key, file); code != 1 {
			t.Errorf("byte %d of %d changed from %q: judged %d\n%s", at, len(good), good[at], code, out)
		}
	}
}

func judge(t *testing.T, verify, key, file string) (code int, out string) {
	t.Helper()
	c := exec.Command(verify, "-key", key, file)
	b, err := c.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), string(b)
}

// download lets the window save files and gives the folder.
func (b *tab) download(t *testing.T) string {
	dir := t.TempDir()
	id := chromedp.FromContext(b.ctx).BrowserContextID
	if _, err := chromedp.CallBrowser(b.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: id, DownloadPath: dir}); err != nil {
		t.Fatal(err)
	}
	return dir
}
