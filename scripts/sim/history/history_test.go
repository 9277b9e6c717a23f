package history

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/vault"
	"campuskeep/scripts/sim/render"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

func openVault(t testing.TB) (*vault.Vault, string) {
	t.Helper()
	dir := t.TempDir()
	fsys, err := disk.Real(dir)
	if err != nil {
		t.Fatal(err)
	}
	root, err := keyring.OpenRoot(fsys)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := root.Ring("footage")
	if err != nil {
		t.Fatal(err)
	}
	if err := fsys.MkdirAll("vault", 0o700); err != nil {
		t.Fatal(err)
	}
	vfs, err := disk.Real(filepath.Join(dir, "vault"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(vault.Options{FS: vfs, IndexPath: filepath.Join(dir, "index.db"), Keys: ring, Holds: root, Log: slog.Default()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := v.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		done.Wait()
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v, filepath.Join(dir, "vault")
}

func TestADayOfThreeCameras(t *testing.T) {
	v, dir := openVault(t)
	zone := time.FixedZone("CST", 8*3600)
	to := time.Date(2026, 3, 9, 14, 7, 31, 0, zone)
	span := footage.Span{From: to.Add(-26 * time.Hour), To: to}
	anchor := clock.Anchor{Boot: "b1", Mono: 100 * 24 * time.Hour, UTC: to}
	cams := []footage.Camera{{ID: "c01"}, {ID: "c02"}, {ID: "c03"}}
	var done, total int
	began := time.Now()
	gaps, err := Fill(t.Context(), v, cams, span, anchor, func(d, n int) {
		if d < done {
			t.Errorf("progress went back from %d to %d", done, d)
		}
		done, total = d, n
	})
	if err != nil {
		t.Fatal(err)
	}
	if done != total || done == 0 {
		t.Errorf("progress ended at %d of %d", done, total)
	}
	t.Logf("%d segments in %v", total, time.Since(began))

	var size, files int64
	if err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			size += (info.Size() + 4095) / 4096 * 4096
			files++
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files, %d bytes on disk each", files, size/files)
	if size/files > 13000 { // 134,000 of them must stay below 2 GB
		t.Errorf("a segment takes %d bytes on disk", size/files)
	}

	src := v.Source(func() footage.Places { return footage.Places{Anchors: clock.NewAnchors(anchor)} })
	for _, c := range cams {
		list, err := src.Segments(t.Context(), c.ID, span)
		if err != nil {
			t.Fatal(err)
		}
		at := span.From
		for _, s := range list {
			if !s.Span.From.Equal(at) {
				want := footage.Span{From: at, To: s.Span.From}
				if len(gaps) == 0 || !told(gaps, c.ID, want) {
					t.Errorf("%s: %v missing and not told", c.ID, want)
				}
			}
			at = s.Span.To
		}
		if !at.Equal(span.To) {
			t.Errorf("%s ends at %v", c.ID, at)
		}
		checkPictures(t, v, list[len(list)/2])
	}
	if len(gaps) == 0 {
		t.Error("a day without any gap")
	}
}

func told(gaps []Gap, camera string, s footage.Span) bool {
	for _, g := range gaps {
		if g.Camera == camera && g.Span.From.Equal(s.From) && g.Span.To.Equal(s.To) && g.Cause != "" {
			return true
		}
	}
	return false
}

// checkPictures decodes a segment: a minute of readable counters that fits its hour.
func checkPictures(t *testing.T, v *vault.Vault, s footage.Placed) {
	t.Helper()
	r, err := v.OpenSegment(t.Context(), s.Segment)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	b := bytes.NewBuffer(bytes.Clone(r.Init()))
	for i := range r.Fragments() {
		f, err := r.Fragment(i)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(f)
	}
	seen, err := render.Decode(t.Context(), b, "-")
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != perMinute {
		t.Errorf("%d frames", len(seen))
	}
	hour := s.Span.From.In(time.FixedZone("CST", 8*3600)).Hour()
	for i, x := range seen {
		if want := uint32(hour*3600 + i*3); !x.OK || x.Counter != want {
			t.Errorf("frame %d shows %v, want %d", i, x, want)
		}
	}
}
