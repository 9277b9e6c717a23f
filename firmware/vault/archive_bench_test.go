package vault_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/vault"
	"campuskeep/shared/footage"
)

// BenchmarkArchive starts a process on the archive and asks it what it costs.
func BenchmarkArchive(b *testing.B) {
	dir := theArchive(b)
	for _, how := range []string{"cold", "warm"} {
		b.Run(how, func(b *testing.B) {
			var f figures
			for b.Loop() {
				if how == "cold" {
					coldMachine(b, dir)
				}
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), childArchive+"="+dir)
				out, err := cmd.Output()
				if err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				first, _, _ := strings.Cut(string(out), "\n")
				if err := json.Unmarshal([]byte(first), &f); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(f.Ready.Seconds(), "ready-s")
			b.ReportMetric(f.Forecast.Seconds(), "forecast-s")
			b.ReportMetric(f.Month.Seconds()*1000, "month-of-one-ms")
			b.ReportMetric(f.Ribbon.Seconds()*1000, "day-of-all-ms")
			b.ReportMetric(f.Idle.AnonMB, "idle-MB")
			b.ReportMetric(f.AfterForecast.AnonMB, "after-forecast-MB")
			b.ReportMetric(f.AfterRibbon.AnonMB, "after-ribbon-MB")
			b.ReportMetric(f.AfterRibbon.FileMB, "mapped-MB")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkSeek asks for a random instant of a random camera, up to the first bytes of the picture in clear: through
// the guard of retention, the index, the file and its key, as playback does. "small" reads the tiny files of whole
// days, "real" those that are as big as a camera's minute.
func BenchmarkSeek(b *testing.B) {
	dir := theArchive(b)
	for _, size := range []string{"small", "real"} {
		for _, how := range []string{"cold", "warm"} {
			b.Run(size+"/"+how, func(b *testing.B) { seek(b, dir, size == "real", how == "cold") })
		}
	}
}

func seek(b *testing.B, dir string, big, isCold bool) {
	coldMachine(b, dir)
	r, err := openServices(dir, archiveEnd)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := r.stop(); err != nil {
			b.Error(err)
		}
	}()
	rnd := rand.New(rand.NewPCG(1, 2))
	var took []time.Duration
	for b.Loop() {
		c := rnd.IntN(archiveCameras)
		minute := rnd.IntN(1440)
		if big {
			minute = minute/(1440/bigSegments)*(1440/bigSegments) + 1440/bigSegments/2
		}
		at := archiveBegin.Add(time.Duration(realDay(c))*24*time.Hour + time.Duration(minute)*time.Minute + time.Duration(rnd.IntN(54))*time.Second)
		span := footage.Span{From: at, To: at.Add(5 * time.Second)}
		start := time.Now()
		list, err := r.source.Segments(b.Context(), cameraID(c), span)
		if err != nil || len(list) == 0 || len(list) > 2 {
			b.Fatalf("%d segments of %s at %s, %v", len(list), cameraID(c), at, err)
		}
		if isCold { // not our work
			looked := time.Since(start)
			cold(b, filepath.Join(dir, "vault", cameraID(c), list[0].Day, list[0].File.String()+".ckf"))
			start = time.Now().Add(-looked)
		}
		seg, err := r.source.OpenSegment(b.Context(), list[0].Segment)
		if err != nil {
			b.Fatal(err)
		}
		offset := list[0].From + span.From.Sub(list[0].Span.From)
		i, _ := slices.BinarySearchFunc(seg.Fragments(), offset, func(f footage.FragmentInfo, t time.Duration) int {
			if f.To <= t {
				return -1
			}
			return 1
		})
		if _, err := seg.Fragment(min(i, len(seg.Fragments())-1)); err != nil {
			b.Fatal(err)
		}
		if err := seg.Close(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkDeletion sweeps many segments away while a camera records, and beside it removes as many files of the same
// size in the same directories in a bare loop, with the same camera recording.
func BenchmarkDeletion(b *testing.B) {
	var ours, bare, oursCPU, bareCPU time.Duration
	for b.Loop() {
		dir := b.TempDir()
		n := *deletions
		r, err := openServices(dir, archiveEnd)
		if err != nil {
			b.Fatal(err)
		}
		const cameras = 8
		for i := range n / cameras {
			for c := range cameras {
				if err := write(b.Context(), r.vault, cameraID(c), i, 2, 700); err != nil {
					b.Fatal(err)
				}
			}
		}
		if err := r.vault.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		if _, err := r.retention.Sweep(b.Context()); err != nil { // binds
			b.Fatal(err)
		}
		if err := r.stop(); err != nil {
			b.Fatal(err)
		}
		names := twin(b, dir)
		after := archiveBegin.Add(time.Duration(n/cameras)*time.Minute + 31*24*time.Hour)
		if r, err = openServices(dir, after); err != nil {
			b.Fatal(err)
		}
		<-r.vault.Recovered()
		runtime.GC()
		stop := recordOn(b, r.vault, after)
		start, cpu := time.Now(), cpuTime()
		for deleted := 0; deleted < n/cameras*cameras; {
			res, err := r.retention.Sweep(b.Context())
			if err != nil || res.Unlinked == 0 {
				b.Fatalf("%+v, %v", res, err)
			}
			deleted += res.Unlinked
		}
		ours, oursCPU = ours+time.Since(start), oursCPU+cpuTime()-cpu
		stop()
		stop = recordOn(b, r.vault, after.Add(24*time.Hour))
		start, cpu = time.Now(), cpuTime()
		for _, name := range names {
			if err := os.Remove(name); err != nil {
				b.Fatal(err)
			}
		}
		bare, bareCPU = bare+time.Since(start), bareCPU+cpuTime()-cpu
		stop()
		if err := r.stop(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(*deletions), "segments")
	b.ReportMetric(ours.Seconds()/float64(b.N), "sweep-s")
	b.ReportMetric(bare.Seconds()/float64(b.N), "bare-s")
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "ratio")
	b.ReportMetric(bareCPU.Seconds()/oursCPU.Seconds(), "cpu-ratio") // on a disk that others use too this one holds still
	b.ReportMetric(0, "ns/op")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// twin copies the files of a vault beside it, name for name, and lists the copies.
func twin(b *testing.B, dir string) (names []string) {
	b.Helper()
	from, to := filepath.Join(dir, "vault"), filepath.Join(dir, "twin")
	err := filepath.WalkDir(from, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		bin, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		names = append(names, filepath.Join(to, rel))
		return os.WriteFile(filepath.Join(to, rel), bin, 0o600)
	})
	fsys, derr := disk.Real(to)
	if err = errors.Join(err, derr); err == nil {
		err = fsys.SyncFS() // else the files have no blocks yet, and unlinking them costs nothing
	}
	if err != nil {
		b.Fatal(err)
	}
	return names
}

// recordOn records a camera, eight fragments a second, until stop, which makes sure that not one is missing.
func recordOn(b *testing.B, v *vault.Vault, at time.Time) (stop func()) {
	b.Helper()
	const camera = "c90"
	from := at.Sub(archiveBegin)
	w, err := v.Begin(vault.Meta{Camera: camera, Day: at.Format(time.DateOnly), Boot: archiveBoot, Session: uint64(from), Codec: "h264", From: from, Wall: at})
	if err != nil {
		b.Fatal(err)
	}
	var g errgroup.Group
	var ended atomic.Bool
	put := 0
	g.Go(func() error {
		tick := time.NewTicker(time.Second / 8)
		defer tick.Stop()
		for ; !ended.Load(); <-tick.C {
			at := from + time.Duration(put)*time.Second/8
			if err := w.Fragment(vault.Fragment{FragmentInfo: footage.FragmentInfo{From: at, To: at + time.Second/8, Key: true}, Data: make([]byte, 15_000)}); err != nil {
				return fmt.Errorf("fragment %d: %w", put, err)
			}
			put++
			if put%480 == 0 { // a minute
				if err := w.Close(); err != nil {
					return err
				}
				at += time.Second / 8
				if w, err = v.Begin(vault.Meta{Camera: camera, Day: archiveBegin.Add(at).Format(time.DateOnly), Boot: archiveBoot, Session: uint64(from), Codec: "h264", From: at, Wall: archiveBegin.Add(at)}); err != nil {
					return err
				}
			}
		}
		return w.Close()
	})
	return func() {
		ended.Store(true)
		if err := errors.Join(g.Wait(), v.Flush(b.Context())); err != nil {
			b.Fatal(err)
		}
		found := 0
		err := v.Rows(camera, func(s footage.Segment) bool {
			if s.Session == uint64(from) {
				found += s.Frags
			}
			return true
		})
		if err != nil || found != put {
			b.Fatalf("%d fragments recorded of %d while deleting, %v", found, put, err)
		}
	}
}

// BenchmarkBulkImport writes many small segments through the vault, and then the same bytes into as many files in a
// bare loop with one sync at the end.
func BenchmarkBulkImport(b *testing.B) {
	const n = 20_000
	var ours, bare time.Duration
	for b.Loop() {
		dir := b.TempDir()
		r, err := openServices(dir, archiveEnd)
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		for i := range n {
			if err := write(b.Context(), r.vault, cameraID(i%8), i/8, 10, 1350); err != nil {
				b.Fatal(err)
			}
		}
		if err := r.vault.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(start)
		if err := r.stop(); err != nil {
			b.Fatal(err)
		}
		start = time.Now()
		twin(b, dir)
		bare += time.Since(start)
	}
	b.ReportMetric(float64(b.N*n)/ours.Seconds(), "segments/s")
	b.ReportMetric(float64(b.N*n)/bare.Seconds(), "bare/s")
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRecord writes minutes of 1 Mbit/s as fast as they go: what the vault costs of a recorded stream.
func BenchmarkRecord(b *testing.B) {
	r, err := openServices(b.TempDir(), archiveEnd)
	if err != nil {
		b.Fatal(err)
	}
	minutes, cpu := 0, cpuTime()
	for b.Loop() {
		if err := write(b.Context(), r.vault, cameraID(minutes%16), minutes/16, 60, bigFragment); err != nil {
			b.Fatal(err)
		}
		minutes++
	}
	if err := errors.Join(r.vault.Flush(b.Context()), r.stop()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(60*(cpuTime()-cpu).Seconds()/float64(minutes), "CPU-s/stream-hour")
	b.ReportMetric(0, "ns/op")
}
