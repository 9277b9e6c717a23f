package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/disk/disktest"
	"campuskeep/firmware/keyring"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

var day0 = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// box is a data directory with a vault at work on it.
type box struct {
	t     testing.TB
	dir   string
	disk  *disktest.Disk // under the vault
	v     *Vault
	every time.Duration // sync cadence
	ended chan error
	stop  context.CancelFunc

	mu     sync.Mutex
	alarms []Alarm  // guarded by mu
	sealed []string // camera and end of each fragment; guarded by mu
}

func start(t testing.TB, dir string) *box {
	t.Helper()
	b := &box{t: t, dir: dir, disk: disktest.New(t, filepath.Join(dir, "vault")), every: time.Hour} // the tests sync by Flush
	b.open(b.disk)
	return b
}

func (b *box) open(fsys disk.FS) {
	b.t.Helper()
	data, err := disk.Real(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	root, err := keyring.OpenRoot(data)
	if err != nil {
		b.t.Fatal(err)
	}
	keys, err := root.Ring("footage")
	if err != nil {
		b.t.Fatal(err)
	}
	b.v, err = Open(Options{FS: fsys, IndexPath: filepath.Join(b.dir, "index.db"), Keys: keys, Holds: root,
		SyncEvery: b.every, Alarm: func(a Alarm) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.alarms = append(b.alarms, a)
		}, Sealed: func(camera string, to time.Duration) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.sealed = append(b.sealed, fmt.Sprint(camera, " ", to))
		}})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop, b.ended = stop, make(chan error, 1)
	go func() { b.ended <- b.v.Run(ctx) }()
	select {
	case <-b.v.Recovered():
	case err := <-b.ended:
		b.t.Fatalf("run: %v", err)
	}
	b.t.Cleanup(b.kill)
}

// end stops the vault as the daemon does.
func (b *box) end() {
	b.t.Helper()
	b.stop()
	if err := <-b.ended; err != nil {
		b.t.Errorf("run: %v", err)
	}
	b.ended <- nil
	if err := b.v.Close(); err != nil {
		b.t.Errorf("close: %v", err)
	}
	b.v = nil
}

// kill stops it without caring, after the power went.
func (b *box) kill() {
	if b.v == nil {
		return
	}
	b.stop()
	<-b.ended
	b.ended <- nil
	b.v.index.close()
	b.v.lock.Close()
	b.v = nil
}

func (b *box) again() *box {
	b.t.Helper()
	if b.v != nil {
		b.end()
	}
	return start(b.t, b.dir)
}

func (b *box) codes() (codes []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.alarms {
		codes = append(codes, a.Code)
	}
	return codes
}

// meta begins a segment n minutes into a boot.
func meta(camera, boot string, n int) Meta {
	at := time.Duration(n) * time.Minute
	return Meta{Camera: camera, Day: day0.Add(at).Format(time.DateOnly), Boot: boot, Session: 1, Codec: "h264",
		Init: []byte("ftyp moov avcC \x67\x64\x00\x28 \x68\xee\x3c\x80"), From: at, Wall: day0.Add(at)}
}

func pattern(camera string, n, i int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "moof mdat %s %d %d ", camera, n, i), 8)
}

func (b *box) begin(m Meta) *Writer {
	b.t.Helper()
	w, err := b.v.Begin(m)
	if err != nil {
		b.t.Fatal(err)
	}
	return w
}

// put hands fragment i of minute n to a writer.
func put(w *Writer, n, i int) error {
	at := time.Duration(n)*time.Minute + time.Duration(i)*time.Second
	return w.Fragment(Fragment{FragmentInfo: footage.FragmentInfo{From: at, To: at + time.Second, Key: i%2 == 0}, Data: pattern(w.meta.Camera, n, i)})
}

// record writes whole segments of a few fragments.
func (b *box) record(camera, boot string, from, to int) {
	b.t.Helper()
	for n := from; n < to; n++ {
		w := b.begin(meta(camera, boot, n))
		for i := range 3 {
			if err := put(w, n, i); err != nil {
				b.t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *box) flush() {
	b.t.Helper()
	if err := b.v.Flush(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) rows(camera string) (out []footage.Segment) {
	b.t.Helper()
	if err := b.v.Rows(camera, func(s footage.Segment) bool { out = append(out, s); return true }); err != nil {
		b.t.Fatal(err)
	}
	return out
}

// mend waits until the vault says that the disk takes everything again, and mends.
func (b *box) mend() Report {
	b.t.Helper()
	select {
	case <-b.v.Repairable():
	case <-time.After(10 * time.Second):
		b.t.Fatal("nothing is to be mended")
	}
	r, err := b.v.Repair(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *box) mustNotBeMendable() {
	b.t.Helper()
	select {
	case <-b.v.Repairable():
		b.t.Error("something is to be mended")
	default:
	}
}

// check expects a clean vault.
func (b *box) check() {
	b.t.Helper()
	for _, f := range b.findings() {
		b.t.Errorf("check: %s %s: %s", f.Invariant, f.Where, f.What)
	}
}

func (b *box) findings() (out []Finding) {
	b.t.Helper()
	if err := b.v.Check(b.t.Context(), CheckOptions{Full: true}, func(f Finding) { out = append(out, f) }); err != nil {
		b.t.Fatal(err)
	}
	return out
}

// whole reads a segment back and compares it with what record wrote.
func (b *box) whole(s footage.Segment, fragments int) {
	b.t.Helper()
	if err := b.readWhole(s, fragments); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) readWhole(s footage.Segment, fragments int) error {
	r, err := b.v.OpenSegment(b.t.Context(), s)
	if err != nil {
		return err
	}
	defer r.Close()
	if len(r.Fragments()) != fragments {
		return fmt.Errorf("%d fragments, want %d", len(r.Fragments()), fragments)
	}
	n := int(s.From / time.Minute)
	for i, info := range r.Fragments() {
		got, err := r.Fragment(i)
		if err != nil || !bytes.Equal(got, pattern(s.Camera, n, int((info.From-s.From)/time.Second))) {
			return fmt.Errorf("fragment %d of minute %d: %d bytes, %w", i, n, len(got), err)
		}
	}
	return nil
}

// Covers F3, F11: what was recorded comes back, sealed on the disk, found by time.
func TestRecordedFootageComesBack(t *testing.T) {
	b := start(t, t.TempDir())
	b.record("c01", "boot-a", 0, 10)
	b.record("c02", "boot-a", 0, 2)
	if rows := b.rows("c01"); len(rows) != 0 {
		t.Fatalf("%d rows before the sync", len(rows))
	}
	b.flush()
	rows := b.rows("c01")
	if len(rows) != 10 {
		t.Fatalf("%d rows, want 10", len(rows))
	}
	for n, s := range rows {
		if s.From != time.Duration(n)*time.Minute || s.To != s.From+3*time.Second || s.Boot != "boot-a" || s.Camera != "c01" ||
			s.Custody != footage.CustodyVault || s.Day != "2026-03-01" || !s.Wall.Equal(day0.Add(s.From)) || s.Frags != 3 || s.Codec != "h264" || s.Recovered {
			t.Fatalf("row %+v", s)
		}
		b.whole(s, 3)
	}
	b.check()
	b = b.again()
	if got := b.rows("c01"); len(got) != 10 || got[3] != rows[3] {
		t.Fatal("rows changed over a restart")
	}
	b.check()
	err := filepath.WalkDir(filepath.Join(b.dir, "vault"), func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		bin, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, secret := range [][]byte{[]byte("moov"), []byte("\x67\x64\x00\x28"), []byte("\x68\xee\x3c\x80"), []byte("moof")} {
			if bytes.Contains(bin, secret) {
				t.Errorf("%s shows %q", name, secret)
			}
		}
		for _, id := range b.v.o.Keys.IDs() {
			if key, _ := b.v.o.Keys.Key(id); bytes.Contains(bin, key[:8]) {
				t.Errorf("%s shows key bytes", name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSegmentsAreFoundByTime(t *testing.T) {
	b := start(t, t.TempDir())
	b.record("c01", "boot-a", 0, 60)
	b.record("c01", "boot-b", 0, 60) // unanchored: is where the wall clock claimed
	b.record("c01", "boot-c", 5, 60)
	b.flush()
	utc := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	places := footage.Places{Anchors: clock.NewAnchors(
		clock.Anchor{Boot: "boot-a", Mono: 10 * time.Minute, UTC: utc.Add(10 * time.Minute), Uncertainty: time.Second},
		clock.Anchor{Boot: "boot-c", Mono: 50 * time.Minute, UTC: utc.Add(150 * time.Minute), Uncertainty: time.Second},
	)}
	src := b.v.Source(func() footage.Places { return places })
	for _, c := range []struct {
		name     string
		span     footage.Span
		boot     string
		from, to int // minutes expected
	}{
		{"inside an anchored boot", footage.Span{From: utc.Add(30*time.Minute + time.Second), To: utc.Add(33 * time.Minute)}, "boot-a", 30, 32},
		{"another boot", footage.Span{From: utc.Add(140 * time.Minute), To: utc.Add(141 * time.Minute)}, "boot-c", 40, 40},
		{"by the claim", footage.Span{From: day0.Add(7 * time.Minute), To: day0.Add(8 * time.Minute)}, "boot-b", 7, 7},
		{"in the silence between two segments", footage.Span{From: utc.Add(30*time.Minute + 10*time.Second), To: utc.Add(30*time.Minute + 20*time.Second)}, "", 0, -1},
		{"nothing there", footage.Span{From: utc.Add(24 * time.Hour), To: utc.Add(25 * time.Hour)}, "", 0, -1},
	} {
		got, err := src.Segments(t.Context(), "c01", c.span)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != c.to-c.from+1 {
			t.Errorf("%s: %d segments, want %d", c.name, len(got), c.to-c.from+1)
			continue
		}
		for i, p := range got {
			if p.Boot != c.boot || p.From != time.Duration(c.from+i)*time.Minute {
				t.Errorf("%s: got %s %v", c.name, p.Boot, p.From)
			}
		}
	}
	b.check()
}

func TestOverloadIsToldAndTheSegmentGoesOn(t *testing.T) {
	b := start(t, t.TempDir())
	b.v.o.Queue = 1 << 20
	hold := make(chan struct{})
	release := b.disk.Fail(disktest.Rule{Match: func(o disktest.Op) bool {
		if o.What == "create" {
			<-hold
		}
		return false
	}})
	defer release()
	w := b.begin(meta("c01", "boot-a", 0))
	big := make([]byte, 100<<10)
	taken, refused := 0, 0
	for i := range 30 {
		at := time.Duration(i) * time.Second
		err := w.Fragment(Fragment{FragmentInfo: footage.FragmentInfo{From: at, To: at + time.Second}, Data: big})
		switch {
		case err == nil:
			taken++
		case errors.Is(err, ErrOverload):
			refused++
		default:
			t.Fatal(err)
		}
	}
	if taken < 9 || refused == 0 {
		t.Fatalf("%d taken, %d refused of a queue for ten", taken, refused)
	}
	close(hold)
	b.flush()
	if err := w.Fragment(Fragment{FragmentInfo: footage.FragmentInfo{From: 40 * time.Second, To: 41 * time.Second}, Data: []byte("after")}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b.flush()
	if rows := b.rows("c01"); len(rows) != 1 || rows[0].Frags != taken+1 {
		t.Fatalf("rows %+v, want one with %d fragments", rows, taken+1)
	}
	b.check()
}

func TestASecondDaemonIsRefused(t *testing.T) {
	b := start(t, t.TempDir())
	if _, err := Open(b.v.o); !errors.Is(err, disk.ErrLocked) {
		t.Fatalf("second opener got %v", err)
	}
	o := b.v.o
	o.FS = disktest.New(t, t.TempDir()) // another vault on the same index
	if _, err := Open(o); !errors.Is(err, disk.ErrLocked) {
		t.Fatalf("second opener of the index got %v", err)
	}
}

func TestBadMetaIsRefused(t *testing.T) {
	b := start(t, t.TempDir())
	for name, spoil := range map[string]func(*Meta){
		"camera": func(m *Meta) { m.Camera = "../c01" },
		"day":    func(m *Meta) { m.Day = "2026-02-30" },
		"path":   func(m *Meta) { m.Day = "../../x" },
		"boot":   func(m *Meta) { m.Boot = "" },
		"codec":  func(m *Meta) { m.Codec = "H 264" },
		"mono":   func(m *Meta) { m.From = -1 },
	} {
		m := meta("c01", "boot-a", 0)
		spoil(&m)
		if _, err := b.v.Begin(m); err == nil {
			t.Errorf("%s: begun with %+v", name, m)
		}
	}
	w := b.begin(meta("c01", "boot-a", 0))
	if err := put(w, 0, 5); err != nil {
		t.Fatal(err)
	}
	if err := put(w, 0, 1); err == nil {
		t.Error("a fragment before the last one was taken")
	}
	if err := put(w, 11, 1); err == nil {
		t.Error("a segment became longer than MaxSegment")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := put(w, 0, 6); err == nil {
		t.Error("a closed segment took a fragment")
	}
	b.flush()
	b.check()
}

func TestEmptySegmentLeavesNothing(t *testing.T) {
	b := start(t, t.TempDir())
	if err := b.begin(meta("c01", "boot-a", 0)).Close(); err != nil {
		t.Fatal(err)
	}
	b.flush()
	if rows := b.rows("c01"); len(rows) != 0 {
		t.Fatalf("rows %+v", rows)
	}
	b.check()
}

func TestStopKeepsWhatWasHandedOver(t *testing.T) {
	b := start(t, t.TempDir())
	w := b.begin(meta("c01", "boot-a", 0))
	for i := range 5 {
		if err := put(w, 0, i); err != nil {
			t.Fatal(err)
		}
	}
	b.end() // without Close or Flush
	if err := put(w, 0, 6); !errors.Is(err, ErrClosed) {
		t.Errorf("fragment after the end: %v", err)
	}
	b = start(t, b.dir)
	rows := b.rows("c01")
	if len(rows) != 1 || rows[0].Frags != 5 || rows[0].Recovered {
		t.Fatalf("rows %+v", rows)
	}
	b.whole(rows[0], 5)
	b.check()
}

func TestTailGivesFragmentsAtOnceAndSaysWhatItMissed(t *testing.T) {
	b := start(t, t.TempDir())
	w := b.begin(meta("c01", "boot-a", 0))
	ch, cancel := b.v.Tail("c01")
	for i := range tailRoom + 3 {
		if err := put(w, 0, i); err != nil {
			t.Fatal(err)
		}
	}
	for i := range tailRoom {
		if f := <-ch; !bytes.Equal(f.Data, pattern("c01", 0, i)) || f.Lost || len(f.Init) == 0 || f.Session != 1 {
			t.Fatalf("fragment %d: %+v", i, f)
		}
	}
	if err := put(w, 0, 40); err != nil {
		t.Fatal(err)
	}
	if f := <-ch; !f.Lost {
		t.Error("the reader is not told that it missed three")
	}
	if l, ok := b.v.Live("c01"); !ok || l.Last != 41*time.Second || l.Codec != "h264" {
		t.Errorf("live %+v", l)
	}
	cancel()
	cancel()
	if _, open := <-ch; open {
		t.Error("still open after cancel")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// Each fragment is counted once, with its camera and its end, when it is on its way to the disk.
func TestEverySealedFragmentIsCounted(t *testing.T) {
	b := start(t, t.TempDir())
	b.record("c01", "b1", 0, 2)
	b.record("c02", "b1", 2, 3)
	must(t, b.v.Flush(t.Context()))
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, s := range b.sealed {
		want := "c01 "
		if i >= 6 {
			want = "c02 "
		}
		if !strings.HasPrefix(s, want) || slices.Contains(b.sealed[:i], s) {
			t.Errorf("fragment %d: %q among %q", i, s, b.sealed)
		}
	}
	if len(b.sealed) != 9 {
		t.Errorf("%d fragments counted, want 9", len(b.sealed))
	}
}
