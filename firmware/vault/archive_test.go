package vault_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/retention"
	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/footage"
)

// The archive of the budgets (design §10): 64 cameras × 30 days of segments of a minute. Rows, anchor and bindings are
// all real; of the files there is one camera-day per camera, spread over the month, sealed like any other, and of each
// of those days a few are as big as a camera's minute is. It is kept between runs.
var (
	archiveDir  = flag.String("archive", filepath.Join(os.TempDir(), "campuskeep-archive"), "where the archive of the benchmarks is kept: 1 GB, made anew when it is of another shape")
	deletions   = flag.Int("deletions", 100_000, "how many segments the benchmark of deletion deletes")
	dropCaches  = flag.Bool("drop-caches", false, "drop the whole machine's page cache before cold figures; else only our files'")
	archiveDays = 30
)

const (
	archiveCameras = 64
	archiveBoot    = "archive"
	archiveShape   = "64 cameras, 30 days, 3"
	bigSegments    = 1       // per camera
	bigFragment    = 125_000 // a second at 1 Mbit/s
)

var (
	archiveBegin = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	archiveEnd   = archiveBegin.Add(time.Duration(archiveDays)*24*time.Hour - 10*time.Minute)
)

// archiveClock shows one instant of the archive's boot.
func archiveClock(at time.Time) *clocktest.Clock {
	return clocktest.New(clock.Reading{Wall: at, State: clock.Trusted, Boot: archiveBoot, Mono: at.Sub(archiveBegin)})
}

func anchors() clock.Anchors {
	return clock.NewAnchors(clock.Anchor{Boot: archiveBoot, UTC: archiveBegin})
}

// packages are the packages of a data directory that have to do with footage, at work.
type packages struct {
	store     *ledgerdb.Store
	vault     *vault.Vault
	retention *retention.Retention
	source    footage.Source
	stop      func() error
}

func openServices(dir string, at time.Time) (r *packages, err error) {
	data, err := disk.Real(dir)
	if err != nil {
		return nil, err
	}
	root, err := keyring.OpenRoot(data)
	if err != nil {
		return nil, err
	}
	people, err := root.Ring("people")
	if err != nil {
		return nil, err
	}
	keys, err := root.Ring("footage")
	if err != nil {
		return nil, err
	}
	fsys, err := disk.Real(filepath.Join(dir, "vault"))
	if err != nil {
		return nil, err
	}
	r = &packages{}
	r.store, err = ledgerdb.Open(ledgerdb.Options{Dir: dir, Origin: "campuskeep/archive", Clock: archiveClock(at), People: people, Signer: ed25519.NewKeyFromSeed(make([]byte, 32))})
	if err != nil {
		return nil, err
	}
	if r.vault, err = vault.Open(vault.Options{FS: fsys, IndexPath: filepath.Join(dir, "index.db"), Keys: keys, Holds: root}); err != nil {
		return nil, errors.Join(err, r.store.Close())
	}
	r.retention = retention.New(retention.Options{Store: r.store, Vault: r.vault, Cameras: func() []footage.Camera { return nil },
		Holds: func(ledgerdb.Tx) ([]footage.Hold, error) { return nil, nil }, Clock: archiveClock(at), Anchors: anchors,
		Assurance: func(time.Time) string { return keyring.AssuranceBestEffort }})
	r.source = r.retention.Guard(r.vault.Source(func() footage.Places { return footage.Places{Anchors: anchors()} }))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- r.store.Run(ctx) }()
	go func() { ended <- r.vault.Run(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-ended, <-ended, r.vault.Close(), r.store.Close())
	})
	return r, nil
}

func cameraID(c int) string { return fmt.Sprintf("c%02d", c+1) }

// realDay is the day of a camera of which there are files.
func realDay(c int) int { return c * archiveDays / archiveCameras }

// write records a segment of a minute, n minutes into the archive.
func write(ctx context.Context, v *vault.Vault, camera string, n, fragments, size int) error {
	retry := func(do func() error) error {
		err := do()
		for errors.Is(err, vault.ErrOverload) {
			if err = v.Flush(ctx); err == nil {
				err = do()
			}
		}
		return err
	}
	from := time.Duration(n) * time.Minute
	wall := archiveBegin.Add(from)
	var w *vault.Writer
	err := retry(func() (err error) {
		w, err = v.Begin(vault.Meta{Camera: camera, Day: wall.Format(time.DateOnly), Boot: archiveBoot, Session: 1, Codec: "h264",
			Init: make([]byte, 700), From: from, Wall: wall})
		return err
	})
	data, long := make([]byte, size), time.Minute/time.Duration(fragments)
	for i := range fragments {
		if err != nil {
			return err
		}
		at := from + time.Duration(i)*long
		err = retry(func() error {
			return w.Fragment(vault.Fragment{FragmentInfo: footage.FragmentInfo{From: at, To: at + long, Key: true}, Data: data})
		})
	}
	return errors.Join(err, w.Close())
}

// theArchive makes the archive, or takes the one that is there.
func theArchive(b testing.TB) string {
	b.Helper()
	stamp := filepath.Join(*archiveDir, "shape")
	if have, err := os.ReadFile(stamp); err == nil && string(have) == archiveShape {
		return *archiveDir
	}
	began := time.Now()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(*archiveDir, "index.db")); err == nil {
		must(os.RemoveAll(*archiveDir)) // begun and not finished, or of another shape
	}
	var fs unix.Statfs_t
	must(os.MkdirAll(*archiveDir, 0o700))
	must(unix.Statfs(*archiveDir, &fs))
	if free := fs.Bavail * uint64(fs.Bsize); free < 3<<30 {
		b.Skipf("%s has %d MB left, the archive needs 1 GB", *archiveDir, free>>20)
	}
	must(os.MkdirAll(*archiveDir, 0o700))
	r, err := openServices(*archiveDir, archiveEnd)
	must(err)
	for c := range archiveCameras {
		for n := range 1440 {
			fragments, size := 10, 100
			if n%(1440/bigSegments) == 1440/bigSegments/2 {
				fragments, size = 60, bigFragment
			}
			must(write(b.Context(), r.vault, cameraID(c), realDay(c)*1440+n, fragments, size))
		}
	}
	must(r.vault.Flush(b.Context()))
	must(r.stop())
	must(vault.AddRows(filepath.Join(*archiveDir, "index.db"), archiveRows))
	r, err = openServices(*archiveDir, archiveEnd)
	must(err)
	<-r.vault.Recovered()
	res, err := r.retention.Sweep(b.Context())
	must(err)
	must(r.stop())
	must(os.WriteFile(stamp, []byte(archiveShape), 0o600))
	b.Logf("the archive in %s was made in %s: %d camera-hours bound", *archiveDir, time.Since(began).Round(time.Second), res.Bound)
	return *archiveDir
}

// archiveRows gives the rows that have no file, in the order in which they would have been recorded.
func archiveRows(yield func([]footage.Segment) bool) {
	rnd := rand.NewChaCha8([32]byte{64})
	for d := range archiveDays {
		for c := range archiveCameras {
			if d == realDay(c) {
				continue
			}
			rows := dayOfRows(rnd, c, d)
			if !yield(rows) {
				return
			}
		}
	}
}

// dayOfRows gives a camera's rows of a day of the archive, a minute each.
func dayOfRows(rnd *rand.ChaCha8, c, d int) []footage.Segment {
	rows := make([]footage.Segment, 1440)
	for i := range rows {
		from := time.Duration(d*1440+i) * time.Minute
		s := &rows[i]
		*s = footage.Segment{Camera: cameraID(c), Custody: footage.CustodyVault, Day: archiveBegin.Add(from).Format(time.DateOnly), Boot: archiveBoot,
			From: from, To: from + time.Minute, Wall: archiveBegin.Add(from), Session: 1, Bytes: 7_500_000, Frags: 60, Codec: "h264"}
		rnd.Read(s.File[:])
		rnd.Read(s.Hash[:])
	}
	return rows
}

// cold makes the next read of a file come from the disk.
func cold(b testing.TB, name string) {
	b.Helper()
	f, err := os.Open(name)
	if err == nil {
		err = errors.Join(unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close())
	}
	if err != nil {
		b.Fatal(err)
	}
}

// coldMachine drops what the kernel keeps of the archive; of directories and inodes only with -drop-caches.
func coldMachine(b testing.TB, dir string) {
	b.Helper()
	unix.Sync()
	for _, name := range []string{"index.db", "ledger.db", "keys/footage.ring"} {
		cold(b, filepath.Join(dir, name))
	}
	if *dropCaches {
		if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3\n"), 0o200); err != nil {
			b.Fatal(err)
		}
	}
}

// figures are what a process of its own measures of itself on the archive.
type figures struct {
	Ready, Forecast, Month, Ribbon   time.Duration // ready to record; the forecast; 30 days of one camera; a day of all
	Idle, AfterForecast, AfterRibbon memory
}

// memory is what is resident: ours, and pages of files, which the kernel takes back when it needs room.
type memory struct{ AnonMB, FileMB float64 }

func resident() (m memory, err error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(string(b)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "RssAnon: %f kB", &kb); n == 1 {
			m.AnonMB = kb / 1024
		}
		if n, _ := fmt.Sscanf(line, "RssFile: %f kB", &kb); n == 1 {
			m.FileMB = kb / 1024
		}
	}
	return m, nil
}

// askArchive opens the archive as a starting daemon does and asks what pages ask.
func askArchive(ctx context.Context, dir string) (f figures, err error) {
	began := time.Now()
	r, err := openServices(dir, archiveEnd)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	last := archiveDays*1440 - 5
	if err := errors.Join(write(ctx, r.vault, "c99", last, 5, 1000), r.vault.Flush(ctx)); err != nil {
		return f, err
	}
	f.Ready = time.Since(began)
	if f.Idle, err = resident(); err != nil {
		return f, err
	}
	began = time.Now()
	if err := r.retention.Review(ctx); err != nil {
		return f, err
	}
	f.Forecast = time.Since(began)
	if f.AfterForecast, err = resident(); err != nil {
		return f, err
	}
	began = time.Now()
	list, err := r.source.Segments(ctx, "c32", footage.Span{From: archiveBegin, To: archiveEnd})
	if err != nil || len(list) < archiveDays*1440-20 {
		return f, fmt.Errorf("%d segments in the month, %w", len(list), err)
	}
	f.Month = time.Since(began)
	began = time.Now()
	day := footage.Span{From: archiveBegin.Add(14 * 24 * time.Hour), To: archiveBegin.Add(15 * 24 * time.Hour)}
	for c := range archiveCameras {
		list, err := r.source.Segments(ctx, cameraID(c), day)
		if err != nil || len(footage.Cover(day, list, nil).Pieces) != 1 {
			return f, fmt.Errorf("%d segments in a day of %s, %w", len(list), cameraID(c), err)
		}
	}
	f.Ribbon = time.Since(began)
	f.AfterRibbon, err = resident()
	return f, err
}

const childArchive = "CAMPUSKEEP_TEST_ARCHIVE"

// TestMain asks the archive instead of testing when BenchmarkArchive has started this program: its figures are those of
// a process of its own.
func TestMain(m *testing.M) {
	dir := os.Getenv(childArchive)
	if dir == "" {
		os.Exit(m.Run())
	}
	f, err := askArchive(context.Background(), dir)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
