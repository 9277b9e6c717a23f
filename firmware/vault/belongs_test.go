package vault

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campuskeep/firmware/disk"
)

// Covers F3, I3: a directory that is not the one of the rows is refused before anything is recorded into it or dropped
// from the index, whatever it looks like; a new one, an older one without a marker and one whose index is lost open.
func TestAVaultThatIsNotMountedIsRefused(t *testing.T) {
	marker := func(b *box) string { return filepath.Join(b.dir, "vault", MarkerName) }
	unmount := func(t *testing.T, b *box) {
		must(t, os.Rename(filepath.Join(b.dir, "vault"), filepath.Join(b.dir, "elsewhere")))
		must(t, os.Mkdir(filepath.Join(b.dir, "vault"), 0o700))
	}
	forget := func(t *testing.T, b *box) { // as a program before the marker left it
		x, err := openIndex(filepath.Join(b.dir, "index.db"), slog.New(slog.DiscardHandler), func(error) {})
		must(t, err)
		must(t, x.setVaultID(""))
		must(t, x.close())
		must(t, os.Remove(marker(b)))
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, b *box)
		says   string // empty: it opens
	}{
		"as it was":          {func(*testing.T, *box) {}, ""},
		"an empty directory": {unmount, "2 cameras have rows"},
		"what was recorded below the mount point": {func(t *testing.T, b *box) {
			unmount(t, b)
			must(t, os.MkdirAll(filepath.Join(b.dir, "vault", "c01", "2026-03-01"), 0o700))
		}, "its file .campuskeep is missing"},
		"the disk of another box": {func(t *testing.T, b *box) {
			must(t, os.WriteFile(marker(b), []byte(strings.Repeat("ab", 16)+"\n"), 0o600))
		}, "that of another vault"},
		"a marker that rotted":    {func(t *testing.T, b *box) { must(t, os.WriteFile(marker(b), make([]byte, 33), 0o600)) }, ""},
		"an older one":            {forget, ""},
		"an older one, not there": {func(t *testing.T, b *box) { forget(t, b); unmount(t, b) }, "2 cameras have rows"},
		"a lost index":            {func(t *testing.T, b *box) { must(t, os.Remove(filepath.Join(b.dir, "index.db"))) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, t.TempDir())
			b.record("c01", "boot-a", 0, 2)
			b.record("c02", "boot-a", 0, 2)
			b.flush()
			o := b.v.o
			b.end()
			c.change(t, b)
			fsys, err := disk.Real(filepath.Join(b.dir, "vault"))
			must(t, err)
			o.FS = fsys
			for range 2 {
				v, err := Open(o)
				if c.says == "" {
					must(t, err)
					id, err := v.index.vaultID()
					must(t, err)
					if text, err := os.ReadFile(marker(b)); err != nil || strings.TrimSpace(string(text)) != id || id == "" {
						t.Errorf("marker %q, %v, index %q", text, err, id)
					}
					must(t, v.Close())
					continue
				}
				if !errors.Is(err, ErrWrongVault) || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("%v, want %q", err, c.says)
				}
				if list, err := os.ReadDir(filepath.Join(b.dir, "vault", "c01")); err == nil && len(list) > 1 {
					t.Errorf("something was recorded: %v", list)
				}
			}
			if c.says == "" {
				return
			}
			x, err := openIndex(o.IndexPath, o.Log, func(error) {})
			must(t, err)
			defer func() { must(t, x.close()) }()
			if ids, err := x.withRows(); err != nil || len(ids) != 2 {
				t.Errorf("rows of %v, %v", ids, err)
			}
		})
	}
}
