package appliance

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"campuskeep/firmware/vault"
)

// underReadOnly names the data directory that a test finds mounted read-only when it is run again by mountedReadOnly.
const underReadOnly = "CAMPUSKEEP_TEST_READ_ONLY"

// mountedReadOnly runs this test once more, in a process for which the directory at is mounted read-only; c.Appliance.Data
// is in it. Nobody else sees the mount.
func mountedReadOnly(t *testing.T, c Config, at string) {
	t.Helper()
	const mount = `mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"`
	if out, err := exec.Command("unshare", "-m", "sh", "-c", mount, "sh", at).CombinedOutput(); err != nil {
		t.Skipf("this machine does not let us mount: %v %s", err, out)
	}
	cmd := exec.Command("unshare", "-m", "sh", "-c", mount+` && exec "$2" -test.v -test.run "^$3\$"`, "sh", at, os.Args[0], t.Name())
	cmd.Env = append(os.Environ(), underReadOnly+"="+c.Appliance.Data)
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// Covers F13, I1 to I6: a copy of a box on a file system that is mounted read-only is checked and exported; the box does
// not start there.
func TestCheckOfAReadOnlyCopy(t *testing.T) {
	if dir := os.Getenv(underReadOnly); dir != "" {
		c := testConfig(t)
		c.Appliance.Data = dir
		if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err == nil {
			t.Fatal("the directory can be written")
		}
		var out bytes.Buffer
		if found, err := Check(t.Context(), c, true, &out); err != nil || found != 0 {
			t.Errorf("%d, %v: %s", found, err, out.String())
		}
		for _, line := range []string{"read-only: nobody can be writing here, no lock taken\n", "clean: I1 I2 I3 I4 I5 I6"} {
			if !strings.Contains(out.String(), line) {
				t.Errorf("%q does not say %q", out.String(), line)
			}
		}
		if len(exported(t, c)) == 0 {
			t.Error("the export is empty")
		}
		if _, err := Open(t.Context(), c, Deps{}); err == nil || !strings.Contains(err.Error(), "mounted read-only") {
			t.Errorf("start: %v", err)
		}
		return
	}
	c := stocked(t)
	filmed(t, c, func(context.Context, *vault.Vault) error { return nil })
	if err := os.Remove(filepath.Join(c.Appliance.Data, "campuskeepd.lock")); err != nil { // nothing needs it
		t.Fatal(err)
	}
	mountedReadOnly(t, c, c.Appliance.Data)
}

// Covers F13: what is wrong with a read-only copy is found: a file that is missing, one that is another.
func TestCheckFindsWhatIsWrongWithAReadOnlyCopy(t *testing.T) {
	if dir := os.Getenv(underReadOnly); dir != "" {
		c := testConfig(t)
		c.Appliance.Data = dir
		var out bytes.Buffer
		if _, err := Check(t.Context(), c, false, &out); err != nil {
			t.Error(err)
		}
		for _, line := range []string{"files  is missing  keys/site", "I3  the row has no file  c01/2026-05-20/", "\nI3: Every live segment row"} {
			if !strings.Contains(out.String(), line) {
				t.Errorf("%q does not say %q", out.String(), line)
			}
		}
		return
	}
	c := stocked(t)
	filmed(t, c, func(context.Context, *vault.Vault) error { return nil })
	if err := os.Remove(filepath.Join(c.Appliance.Data, "keys/site")); err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(c.Appliance.Data, "vault/c01/2026-05-20/*"))
	if err != nil || len(segments) != 1 {
		t.Fatal(segments, err)
	}
	if err := os.Remove(segments[0]); err != nil {
		t.Fatal(err)
	}
	mountedReadOnly(t, c, c.Appliance.Data)
}

// Covers F13: what was being written when the copy was taken has no row yet, which only a start can give it: check counts
// it and calls it no fault. What a write of a key left behind is none either.
func TestCheckOfAReadOnlyCopyOfARunningBox(t *testing.T) {
	if dir := os.Getenv(underReadOnly); dir != "" {
		c := testConfig(t)
		c.Appliance.Data = dir
		var out bytes.Buffer
		if found, err := Check(t.Context(), c, true, &out); err != nil || found != 0 || !strings.Contains(out.String(), "read-only: 1 footage files") {
			t.Errorf("%d, %v: %s", found, err, out.String())
		}
		return
	}
	c := stocked(t)
	var taken Config
	filmed(t, c, func(ctx context.Context, v *vault.Vault) error {
		w, err := begun(v)
		if err == nil {
			err = v.Flush(ctx)
		}
		if err != nil {
			return err
		}
		taken = copied(t, c)
		return w.Close()
	})
	if err := os.WriteFile(filepath.Join(taken.Appliance.Data, "keys/people.ring.tmp"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	mountedReadOnly(t, taken, taken.Appliance.Data)
}

// Covers F13: the footage disk alone is mounted read-only.
func TestCheckWithAReadOnlyFootageDisk(t *testing.T) {
	if dir := os.Getenv(underReadOnly); dir != "" {
		c := testConfig(t)
		c.Appliance.Data = dir
		var out bytes.Buffer
		if found, err := Check(t.Context(), c, true, &out); err != nil || found != 0 {
			t.Errorf("%d, %v: %s", found, err, out.String())
		}
		return
	}
	c := stocked(t)
	filmed(t, c, func(context.Context, *vault.Vault) error { return nil })
	mountedReadOnly(t, c, filepath.Join(c.Appliance.Data, "vault"))
}
