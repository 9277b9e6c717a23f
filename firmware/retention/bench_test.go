package retention

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/vault"
	"campuskeep/shared/footage"
)

// stock fills an appliance with small segments of one camera, a minute each.
func (h *env) stock(minutes, size int) {
	h.t.Helper()
	data := make([]byte, size)
	begin := h.clock.Now()
	for n := range minutes {
		at := time.Duration(n) * time.Minute
		m := vault.Meta{Camera: "c01", Day: begin.Wall.Add(at).Format(time.DateOnly), Boot: begin.Boot, Session: 1, Codec: "h264", From: begin.Mono + at, Wall: begin.Wall.Add(at)}
		var w *vault.Writer
		var err error
		for w, err = h.vault.Begin(m); errors.Is(err, vault.ErrOverload); w, err = h.vault.Begin(m) {
			h.must(h.vault.Flush(h.t.Context()))
		}
		h.must(err)
		f := vault.Fragment{FragmentInfo: footage.FragmentInfo{From: m.From, To: m.From + time.Minute, Key: true}, Data: data}
		for err = w.Fragment(f); errors.Is(err, vault.ErrOverload); err = w.Fragment(f) {
			h.must(h.vault.Flush(h.t.Context()))
		}
		h.must(err)
		h.must(w.Close())
	}
	h.must(h.vault.Flush(h.t.Context()))
	h.clock.Pass(time.Duration(minutes) * time.Minute)
}

// BenchmarkDeletion compares a sweep over N segments with a bare loop of unlinks over as many files of the same
// size in the same directories.
func BenchmarkDeletion(b *testing.B) {
	const n, size = 20_000, 14 << 10
	var ours, bare time.Duration
	for b.Loop() {
		h := newEnv(b)
		h.realDisk()
		h.stock(n, size)
		h.sweep() // binds
		h.clock.Pass(32 * day)
		start := time.Now()
		res := h.sweep()
		ours += time.Since(start)
		if res.Unlinked != n {
			b.Fatalf("%+v", res)
		}

		dir := b.TempDir()
		var names []string
		for i := range n {
			if i%1440 == 0 {
				h.must(os.Mkdir(filepath.Join(dir, fmt.Sprint(i/1440)), 0o700))
			}
			name := filepath.Join(dir, fmt.Sprint(i/1440), fmt.Sprintf("%032x.ckf", i))
			h.must(os.WriteFile(name, make([]byte, size), 0o600))
			names = append(names, name)
		}
		fsys, err := disk.Real(dir)
		h.must(err)
		h.must(fsys.SyncFS()) // else the files have no blocks yet, and unlinking them costs nothing
		start = time.Now()
		for _, name := range names {
			h.must(os.Remove(name))
		}
		bare += time.Since(start)
		h.close(true)
	}
	b.ReportMetric(ours.Seconds()/float64(b.N), "sweep-s")
	b.ReportMetric(bare.Seconds()/float64(b.N), "bare-s")
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "ratio")
}

// BenchmarkRibbon lists thirty days of one camera through the guard.
func BenchmarkRibbon(b *testing.B) {
	h := newEnv(b)
	h.realDisk()
	h.stock(30*1440, 64)
	src := h.source()
	for i := range 5 {
		h.hold(footage.Hold{ID: fmt.Sprint("h", i), Cameras: []string{"c01"}, Span: footage.Span{From: morning, To: morning.Add(time.Hour)}, Until: morning.Add(60 * day)})
	}
	for b.Loop() {
		list, err := src.Segments(b.Context(), "c01", footage.Span{From: morning, To: morning.Add(30 * day)})
		h.must(err)
		if len(list) < 40_000 {
			b.Fatal(len(list))
		}
		if c := footage.Cover(footage.Span{From: morning, To: morning.Add(29 * day)}, list, nil); len(c.Pieces) != 1 {
			b.Fatal(len(c.Pieces))
		}
	}
}

// BenchmarkMonthThere reports on a month of one camera of which all is still there: every row of the index is looked at.
func BenchmarkMonthThere(b *testing.B) {
	h := newEnv(b)
	h.clock.Pass(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC).Sub(h.clock.Now().Wall))
	h.realDisk()
	h.stock(30*1440, 64)
	h.sweep()
	before := processorTime(b)
	for b.Loop() {
		r, err := h.certificates().Month(b.Context(), "c01", "2026-04")
		h.must(err)
		if r.Here != 30*1440 || r.Faults() != 0 {
			b.Fatalf("%d there, %d faults", r.Here, r.Faults())
		}
	}
	b.ReportMetric(float64((processorTime(b)-before).Milliseconds())/float64(b.N), "cpu-ms/op")
}
