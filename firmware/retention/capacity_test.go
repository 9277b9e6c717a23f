package retention

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// smallDisk says of a disk that it has a certain size; what is free is what its files leave.
type smallDisk struct {
	disk.FS
	t     testing.TB
	dir   string
	size  int64
	other int64 // something else's
	err   error
}

func (d *smallDisk) used() (sum int64) {
	err := filepath.WalkDir(d.dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		d.t.Fatal(err)
	}
	return sum
}

func (d *smallDisk) Free() (free, total uint64, err error) {
	return uint64(max(d.size-d.used()-d.other, 0)), uint64(d.size), d.err
}

// newSmallEnv is an appliance on a disk of so many bytes. The cameras are the gate (priority 1), the yard (2) and
// the shed (none stated); each minute of theirs is about a kilobyte.
func newSmallEnv(t testing.TB, size int64, full footage.WhenFull) *env {
	h := newEnv(t)
	h.full = full
	h.small = &smallDisk{t: t, dir: filepath.Join(h.dir, "vault"), size: size}
	h.cameras = nil
	for i, id := range []string{"gate", "yard", "shed"} {
		h.cameras = append(h.cameras, footage.Camera{ID: id, Custody: footage.CustodyVault, Main: "rtsp://" + id, Priority: (i + 1) % 3, Policy: footage.Policy{Days: 30}})
	}
	h.restart()
	return h
}

// hours records whole hours of all cameras, ten minutes of each at a time.
func (h *env) hours(n int, cameras ...string) {
	h.t.Helper()
	for range n {
		h.hour(6, 6000, cameras...)
	}
}

// hour records so many segments of ten minutes of each camera in an hour.
func (h *env) hour(segments, size int, cameras ...string) {
	h.t.Helper()
	const long = 10 * time.Minute
	now := h.clock.Now()
	for n := range segments {
		at := time.Duration(n) * long
		for _, camera := range cameras {
			w, err := h.vault.Begin(vault.Meta{Camera: camera, Day: now.Wall.Format(time.DateOnly), Boot: now.Boot, Session: 1, Codec: "h264", From: now.Mono + at, Wall: now.Wall.Add(at)})
			h.must(err)
			h.must(w.Fragment(vault.Fragment{FragmentInfo: footage.FragmentInfo{From: now.Mono + at, To: now.Mono + at + long, Key: true}, Data: make([]byte, size)}))
			h.must(w.Close())
		}
	}
	h.clock.Pass(time.Hour)
}

func (h *env) review() Outlook {
	h.t.Helper()
	h.must(h.vault.Flush(h.t.Context()))
	h.must(h.r.Review(h.t.Context()))
	return h.r.Outlook()
}

var allThree = []string{"gate", "yard", "shed"}

// Covers F3, design §5: loads are measured by the time that was recorded, and the arithmetic is that of the disk.
func TestOutlookMeasuresAndForecasts(t *testing.T) {
	h := newSmallEnv(t, 200<<20, footage.Stop)
	h.small.other = 10 << 20
	h.hours(5, "gate", "yard")
	h.clock.Pass(3 * day) // nothing was recorded: not averaged down
	h.hours(3, "gate")
	out := h.review()
	if !out.Known || len(out.Loads) != 3 || out.Used < 78*6000 || out.Capacity.Held != 0 {
		t.Fatalf("%+v", out)
	}
	perSegment := out.Used / 78
	for i, id := range []string{"gate", "yard"} {
		l := out.Loads[i]
		if want := perSegment * 6 * 24; l.Camera != id || l.Estimated || l.Days != 30 || l.BytesPerDay < want-want/50 || l.BytesPerDay > want+want/50 {
			t.Errorf("load %+v, want about %d a day", l, want)
		}
	}
	if l := out.Loads[2]; l.Camera != "shed" || !l.Estimated || l.BytesPerDay != 43_200_000_000 {
		t.Errorf("a camera that never recorded: %+v", l)
	}
	if out.Other < 10<<20 || out.Capacity.Limit != h.small.size-out.Other-footage.Reserve(h.small.size) || out.Full != -1 {
		t.Errorf("%+v", out)
	}
	// A hold keeps an hour of two cameras beyond its time, and counts with it.
	h.hold(footage.Hold{ID: "h1", Cameras: []string{"gate", "yard"}, Span: footage.Span{From: morning.Add(time.Hour), To: morning.Add(2 * time.Hour)}, Until: morning.Add(90 * day)})
	if held := h.review().Capacity.Held; held != 12*perSegment {
		t.Errorf("held %d, want %d", held, 12*perSegment)
	}
	// What goes leaves the totals, and they are the same as counted again.
	h.clock.Pass(28*day + 4*time.Hour)
	h.sweep()
	after := h.review()
	h.r.usage.recount()
	if again := h.review(); after.Used != again.Used || after.Used >= out.Used || len(h.entries("footage.deleted")) == 0 {
		t.Errorf("used %d, counted anew %d, before %d", after.Used, again.Used, out.Used)
	}
	h.check()
}

// Covers F3: a register that the disk cannot keep for its days is refused; what asks for no more never is.
func TestFitsShowsTheArithmetic(t *testing.T) {
	h := newSmallEnv(t, 60<<20, footage.Stop)
	h.cameras = h.cameras[:2]
	if _, _, known := h.r.CheckCapacity(h.cameras); known {
		t.Error("fits before the disk was asked")
	}
	h.hours(3, "gate", "yard")
	out := h.review() // 2 × 0.87 MB × 31 = 54 MB, of 60 less a tenth
	with := func(change func(c *footage.Camera)) []footage.Camera {
		all := append([]footage.Camera(nil), h.cameras...)
		change(&all[1])
		return all
	}
	if f, fits, known := h.r.CheckCapacity(h.cameras); !known || !fits || f.Need != (out.Loads[0].BytesPerDay+out.Loads[1].BytesPerDay)*31 {
		t.Fatalf("as it is: %+v", f)
	}
	more := append(with(func(*footage.Camera) {}), footage.Camera{ID: "new", Custody: footage.CustodyVault, Main: "rtsp://new", Policy: footage.Policy{Days: 30}})
	f, fits, _ := h.r.CheckCapacity(more)
	if fits || f.PerDay < 43_200_000_000 || f.FullAt <= 0 || f.FullAt > 1 {
		t.Errorf("a camera more: %+v", f)
	}
	more[2].Custody = footage.CustodyNVR
	if _, fits, _ = h.r.CheckCapacity(more); !fits {
		t.Error("a camera of an NVR takes no room here")
	}
	if _, fits, _ = h.r.CheckCapacity(with(func(c *footage.Camera) { c.Policy.Days = 90 })); fits {
		t.Error("ninety days")
	}
	h.small.other = 20 << 20 // now not even what there is fits; less is fine all the same
	h.review()
	if _, fits, _ = h.r.CheckCapacity(with(func(c *footage.Camera) { c.Policy.Days = 31 })); fits {
		t.Error("a day more on a disk that is too small")
	}
	for name, better := range map[string]func(c *footage.Camera){"as it is": func(*footage.Camera) {}, "retired": func(c *footage.Camera) { c.Retired = true }, "to the NVR": func(c *footage.Camera) { c.Custody = footage.CustodyNVR }} {
		if _, fits, _ = h.r.CheckCapacity(with(better)); !fits {
			t.Errorf("%s: refused", name)
		}
	}
}

// Covers F3: days before the disk is full the lowest priority records its sub-stream, with an entry; later it is back.
func TestThinningIsEnteredAndRemembered(t *testing.T) {
	h := newSmallEnv(t, 85<<20, footage.Stop)
	for i := range h.cameras {
		h.cameras[i].Sub = "rtsp://sub"
		h.cameras[i].Kbps = 80
	}
	for range 22 { // days of 24 h, in pieces of an hour
		for range 24 {
			h.hour(6, 6000, allThree...)
		}
		h.review()
		if out := h.r.Outlook(); len(out.Thinned) > 0 {
			break
		}
	}
	out := h.review()
	if len(out.Thinned) != 1 || out.Thinned[0] != "shed" || len(out.Stopped) != 0 {
		t.Fatalf("thinned %v, full in %.1f days, %+v", out.Thinned, out.Full, out.Capacity)
	}
	list := h.entries("footage.thinned")
	if len(list) != 1 || list[0].Subject != "shed" || !list[0].On || list[0].FullInH < 24 || list[0].FullInH > 240 || list[0].Capacity != out.Capacity.Limit {
		t.Fatalf("entries %+v", list)
	}
	select {
	case <-h.r.Shifted():
	default:
		t.Error("nobody was told")
	}
	h.restart()
	streams, err := h.r.Streams()
	h.must(err)
	if len(streams) != 1 || streams["shed"] != footage.StreamSub {
		t.Fatalf("after a restart: %v", streams)
	}
	// There is room again: back after a day, not before, and only as much as leaves a tenth free.
	h.small.size = 300 << 20
	h.clock.Pass(footage.ThinStays - time.Hour)
	if out = h.review(); len(out.Thinned) != 1 {
		t.Fatal("back before its time")
	}
	h.clock.Pass(time.Hour)
	if out = h.review(); len(out.Thinned) != 0 || len(h.entries("footage.thinned")) != 2 {
		t.Fatalf("thinned %v", out.Thinned)
	}
	h.check()
}

// Covers F3: without anything to thin, stop keeps what there is: nothing goes early, the lowest priority stops.
func TestStopAtTrueFull(t *testing.T) {
	h := newSmallEnv(t, 4<<20, footage.Stop)
	stopped := map[string]bool{}
	for range 24 * 4 {
		var on []string
		for _, id := range allThree {
			if !stopped[id] {
				on = append(on, id)
			}
		}
		h.hour(6, 6000, on...)
		out := h.review()
		h.sweep()
		for _, id := range out.Stopped {
			stopped[id] = true
		}
		if int64(out.Free) < footage.Reserve(h.small.size)/2-3*40_000 { // what comes in an hour, until the next look
			t.Fatalf("%d bytes free of a reserve of %d", out.Free, footage.Reserve(h.small.size))
		}
	}
	if !stopped["shed"] || h.deleted() != 0 || len(h.entries("footage.breach")) != 0 {
		t.Fatalf("stopped %v, %d deleted", stopped, h.deleted())
	}
	if list := h.entries("footage.stopped"); len(list) < 2 || !list[0].On || list[0].Subject == "gate" || list[1].Subject == "gate" {
		t.Fatalf("entries %+v", list)
	}
	// Thirty days later there is room for days of the one that matters most.
	h.clock.Pass(31 * day)
	for range 8 {
		h.sweep()
		h.review()
		h.clock.Pass(time.Hour)
	}
	if streams, err := h.r.Streams(); err != nil || streams["gate"] != footage.StreamMain {
		t.Fatalf("still stopped: %v, %v", streams, err)
	}
	h.check()
}

// Covers F3: breach deletes exactly enough of the oldest footage of the lowest priority, after its entry, never held
// footage, and check accepts just that.
func TestBreachAtTrueFull(t *testing.T) {
	h := newSmallEnv(t, 8<<20, footage.Breach)
	held := footage.Hold{ID: "h1", Cameras: []string{"shed"}, Span: footage.Span{From: morning.Add(2 * time.Hour), To: morning.Add(4 * time.Hour)}, Until: morning.Add(90 * day)}
	h.hold(held)
	for range 84 {
		h.hour(6, 6000, allThree...)
		out := h.review()
		h.sweep()
		if len(out.Stopped) > 0 {
			t.Fatal("a camera stopped although the setting is breach")
		}
		free, _, _ := h.small.Free()
		if int64(free) < footage.Reserve(h.small.size)/2 {
			t.Fatalf("%d bytes free", free)
		}
		if free := int64(free); len(h.entries("footage.breach")) > 0 && free > footage.Reserve(h.small.size)/2+8*40_000 {
			t.Fatalf("%d bytes free: more went than was necessary", free)
		}
	}
	list := h.entries("footage.breach")
	if len(list) < 3 {
		t.Fatalf("%d breaches", len(list))
	}
	count := 0
	for _, b := range list {
		if b.Subject != "shed" || b.Reason != "disk_full" || b.Count == 0 {
			t.Fatalf("breach %+v", b)
		}
		count += b.Count
	}
	first := h.entries("footage.deleted")[0]
	if h.deleted() != count || first.Seq < list[0].Seq {
		t.Fatalf("%d deleted, %d entered; first deletion %d, first breach %d", h.deleted(), count, first.Seq, list[0].Seq)
	}
	left, err := h.source().Segments(t.Context(), "shed", held.Span)
	if err != nil || len(left) != 12 {
		t.Fatalf("%d held segments are left, %v", len(left), err)
	}
	if h.files("gate") != 84*6 || h.files("yard") != 84*6 {
		t.Error("a higher priority lost footage")
	}
	h.check()
	h.powerCut(newRand(1))
	h.sweep()
	h.check()
}

// While the clock is not trusted nothing goes early either: recording stops instead.
func TestBreachNeedsATrustedClock(t *testing.T) {
	h := newSmallEnv(t, 2<<20, footage.Breach)
	h.clock.Change(func(r *clock.Reading) { r.State = clock.Suspect })
	for range 20 {
		h.hour(6, 6000, allThree...)
	}
	out := h.review()
	if len(out.Stopped) == 0 || len(h.entries("footage.breach")) != 0 || h.deleted() != 0 {
		t.Fatalf("stopped %v, %d breaches", out.Stopped, len(h.entries("footage.breach")))
	}
}

// Covers F3: a disk that does not say how much room it has is unknown: an entry, and nothing is deleted or changed.
func TestUnknownRoomDeletesNothing(t *testing.T) {
	h := newSmallEnv(t, 8<<20, footage.Breach)
	for range 24 * 3 {
		h.hour(6, 6000, allThree...)
	}
	h.must(h.vault.Flush(t.Context()))
	h.small.size = 4 << 20
	h.small.err = syscall.EIO
	for range 3 {
		if err := h.r.Review(t.Context()); !errors.Is(err, syscall.EIO) {
			t.Fatalf("the fault is not told: %v", err)
		}
	}
	if out := h.r.Outlook(); out.Known || len(h.entries("footage.breach")) != 0 || h.deleted() != 0 {
		t.Fatalf("%+v", out)
	}
	if list := h.entries("system.fault"); len(list) != 1 || list[0].Code != "vault.free_unknown" {
		t.Fatalf("entries %+v", list)
	}
	h.check()
}

// Covers F3: whatever the disk, the holds and the moments of review, a breach takes nothing held, and leaves the
// ledger able to explain every deletion.
func TestBreachAgainstAModel(t *testing.T) {
	for seed := range uint64(12) {
		rnd := newRand(seed)
		h := newSmallEnv(t, int64(4+rnd.IntN(8))<<20, footage.Breach)
		spans := map[string]footage.Span{}
		for i := range rnd.IntN(3) {
			camera := allThree[i]
			from := morning.Add(time.Duration(rnd.IntN(40)) * time.Hour)
			spans[camera] = footage.Span{From: from, To: from.Add(2 * time.Hour)}
			h.hold(footage.Hold{ID: "hold-of-" + camera, Cameras: []string{camera}, Span: spans[camera], Until: morning.Add(90 * day)})
		}
		for range 30 + rnd.IntN(30) {
			h.hour(1, 1000+rnd.IntN(200_000), allThree...)
			if rnd.IntN(5) == 0 {
				h.review()
			}
		}
		h.review()
		h.sweep()
		for camera, span := range spans {
			list, err := h.source().Segments(t.Context(), camera, span)
			h.must(err)
			kept := 0
			for _, s := range list {
				if h.vault.HasFile(s.Segment) {
					kept++
				}
			}
			if span.To.Before(h.clock.Now().Wall) && kept != 2 {
				t.Fatalf("seed %d: %d held segments of %s are left", seed, kept, camera)
			}
		}
		h.check()
		h.close(true)
	}
}
