package vault_test

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"campuskeep/firmware/vault"
	"campuskeep/shared/footage"
)

var (
	reconcileCameras = flag.Int("reconcile-cameras", 2, "cameras of the benchmark of reconcile")
	reconcileDays    = flag.Int("reconcile-days", 1, "days of each of them, with 1,440 names of files each")
)

// BenchmarkReconcile compares rows with files when nothing is wrong, as every start does beside its work. The files are
// empty: a reconcile reads names. 64 cameras × 90 days are 8.3 million of them.
func BenchmarkReconcile(b *testing.B) {
	dir := b.TempDir()
	r, err := openServices(dir, archiveEnd)
	if err == nil {
		err = r.stop() // there is an index now
	}
	if err == nil {
		err = vault.AddRows(filepath.Join(dir, "index.db"), func(yield func([]footage.Segment) bool) { rowsWithFiles(b, dir, yield) })
	}
	if err == nil {
		r, err = openServices(dir, archiveEnd)
	}
	if err != nil {
		b.Fatal(err)
	}
	<-r.vault.Recovered()
	debug.FreeOSMemory()
	before, err := resident()
	if err != nil {
		b.Fatal(err)
	}
	ended, top := make(chan struct{}), make(chan float64)
	go func() {
		most := before.AnonMB
		for {
			select {
			case <-ended:
				top <- most
				return
			case <-time.After(10 * time.Millisecond):
				if m, err := resident(); err == nil {
					most = max(most, m.AnonMB)
				}
			}
		}
	}()
	living := func() func(footage.Segment) bool { return func(footage.Segment) bool { return false } }
	for b.Loop() {
		rep, err := r.vault.Reconcile(b.Context(), living, nil)
		if err != nil || rep.Stopped || len(rep.Missing)+len(rep.Recovered) > 0 {
			b.Fatalf("%+v, %v", rep, err)
		}
	}
	close(ended)
	b.ReportMetric(<-top-before.AnonMB, "more-MB")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "reconcile-s")
	b.ReportMetric(float64(*reconcileCameras**reconcileDays*1440), "segments")
	b.ReportMetric(0, "ns/op")
	if err := r.stop(); err != nil {
		b.Error(err)
	}
}

// rowsWithFiles gives the rows of the benchmark and makes a name for each: the names of a day are links to one empty
// file, since a link costs a tenth of a file, and a disk has fewer inodes than a large school has segments.
func rowsWithFiles(b *testing.B, dir string, yield func([]footage.Segment) bool) {
	b.Helper()
	rnd := rand.NewChaCha8([32]byte{90})
	for d := range *reconcileDays {
		for c := range *reconcileCameras {
			rows := dayOfRows(rnd, c, d)
			day := filepath.Join(dir, "vault", cameraID(c), rows[0].Day)
			if err := os.MkdirAll(day, 0o700); err != nil {
				b.Fatal(err)
			}
			first := ""
			for _, s := range rows {
				name, err := filepath.Join(day, s.File.String()+".ckf"), error(nil)
				if first == "" {
					first, err = name, os.WriteFile(name, nil, 0o600)
				} else {
					err = os.Link(first, name)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			if !yield(rows) {
				return
			}
		}
	}
}
