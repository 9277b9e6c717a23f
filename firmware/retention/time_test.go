package retention

import (
	"context"
	"crypto/ed25519"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/timekeeper"
	"campuskeep/firmware/vault"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// since2026 moves the test's time, which begins in the year 2000, to where the product lives.
var since2026 = morning.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))

func truth() time.Time { return time.Now().Add(since2026).UTC() }

// box is a machine whose boot began with the test; its wall clock was never set.
type box struct{ began time.Time }

func (b box) Wall() time.Time         { return time.Unix(0, 0).Add(b.Boottime()).UTC() }
func (b box) Boottime() time.Duration { return time.Since(b.began) }
func (b box) BootID() string          { return "boot-1" }

// timeSource is a source of time that can be made to lie and to fall silent.
type timeSource struct {
	box
	origin clock.Origin
	mu     sync.Mutex
	off    time.Duration
	quiet  bool
}

func (v *timeSource) Name() string         { return string(v.origin) }
func (v *timeSource) Origin() clock.Origin { return v.origin }
func (v *timeSource) Observe(context.Context) (clock.Observation, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.quiet {
		return clock.Observation{}, timekeeper.ErrSilent
	}
	return clock.Observation{Source: v.Name(), Origin: v.origin, Mono: v.Boottime(), UTC: truth().Add(v.off), Uncertainty: time.Second}, nil
}

func (v *timeSource) set(off time.Duration, quiet bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.off, v.quiet = off, quiet
}

// timed is retention at work by the real keeper of time: both run as in the appliance, over months of the test's
// time.
type timed struct {
	t      *testing.T
	keeper *timekeeper.Keeper
	store  *ledgerdb.Store
	vault  *vault.Vault
	r      *Retention
	made   []time.Time // in truth, when the last frame of each segment was
}

func newTimed(t *testing.T, sources ...timekeeper.Source) *timed {
	t.Helper()
	h := &timed{t: t}
	dir, log := t.TempDir(), slog.New(slog.NewTextHandler(io.Discard, nil))
	data, err := disk.Real(dir)
	h.must(err)
	root, err := keyring.OpenRoot(data)
	h.must(err)
	people, err := root.Ring("people")
	h.must(err)
	keys, err := root.Ring("footage")
	h.must(err)
	h.keeper = timekeeper.New(timekeeper.Options{Host: box{time.Now()}, Sources: sources, Every: 2 * time.Hour, Log: log})
	h.store, err = ledgerdb.Open(ledgerdb.Options{Dir: dir, Origin: "campuskeep/ck-test", Clock: h.keeper, People: people, Signer: ed25519.NewKeyFromSeed([]byte("campuskeep test log signing key!")), Log: log})
	h.must(err)
	h.must(h.keeper.Attach(h.store))
	fsys, err := disk.Real(filepath.Join(dir, "vault"))
	h.must(err)
	h.vault, err = vault.Open(vault.Options{FS: fsys, IndexPath: filepath.Join(dir, "index.db"), Keys: keys, Holds: root, SyncEvery: 100 * 24 * time.Hour, Log: log})
	h.must(err)
	h.r = New(Options{Store: h.store, Vault: h.vault, Cameras: func() []footage.Camera { return []footage.Camera{{ID: "c01", Policy: footage.Policy{Days: 30}}} }, Holds: holdsIn,
		Clock: h.keeper, Anchors: h.keeper.Anchors, Assurance: func(time.Time) string { return "best_effort" }, Log: log})
	ctx, stop := context.WithCancel(context.Background())
	ground, stopGround := context.WithCancel(context.Background())
	var base, upper sync.WaitGroup
	base.Go(func() { h.must(h.store.Run(ground)) })
	base.Go(func() { h.must(h.vault.Run(ground)) })
	upper.Go(func() { h.must(h.keeper.Run(ctx)) })
	<-h.vault.Recovered()
	t.Cleanup(func() {
		h.must(h.r.Check(context.Background(), true, func(f vault.Finding) { t.Errorf("check: %+v", f) }))
		stop()
		upper.Wait()
		stopGround()
		base.Wait()
		h.must(h.vault.Close())
		h.must(h.store.Close())
	})
	return h
}

func (h *timed) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Error(err)
	}
}

// pass lets time go by.
func (h *timed) pass(d time.Duration) {
	<-time.After(d) // of the bubble
	synctest.Wait()
}

// work lets retention run while f looks: all of the time it would only cost the test its time.
func (h *timed) work(f func()) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.r.Run(ctx) }()
	defer func() {
		stop()
		h.must(<-ended)
	}()
	f()
}

// until lets time go by up to an instant of the true time.
func (h *timed) until(at time.Time) { h.pass(at.Sub(truth())) }

// record makes a segment of a minute that ends now.
func (h *timed) record() {
	h.t.Helper()
	now := h.keeper.Now()
	w, err := h.vault.Begin(vault.Meta{Camera: "c01", Day: now.Wall.Format(time.DateOnly), Boot: now.Boot, Session: 1, Codec: "h264", Init: []byte("moov"),
		From: now.Mono - time.Minute, Wall: now.Wall.Add(-time.Minute)})
	h.must(err)
	h.must(w.Fragment(vault.Fragment{FragmentInfo: footage.FragmentInfo{From: now.Mono - time.Minute, To: now.Mono, Key: true}, Data: []byte("moof mdat")}))
	h.must(w.Close())
	h.must(h.vault.Flush(h.t.Context()))
	h.made = append(h.made, truth())
}

// left counts the segments that are still there.
func (h *timed) left() (n int) {
	h.t.Helper()
	h.must(h.vault.Rows("c01", func(s footage.Segment) bool {
		if h.vault.HasFile(s) {
			n++
		}
		return true
	}))
	return n
}

// punctual watches each segment from the i-th on to its end: there until its thirty days are full, gone a minute and
// the uncertainty of the clock later.
func (h *timed) punctual(i int) {
	h.t.Helper()
	for ; i < len(h.made); i++ {
		h.until(h.made[i].Add(30*day - 5*time.Minute))
		h.work(func() { h.watch(i) })
	}
}

func (h *timed) watch(i int) {
	h.t.Helper()
	due := h.made[i].Add(30 * day)
	h.until(due.Add(-time.Second))
	if n, want := h.left(), len(h.made)-i; n != want {
		h.t.Fatalf("a second before segment %d is due %d are there, want %d", i, n, want)
	}
	now := h.keeper.Now()
	if now.State != clock.Trusted {
		h.t.Fatalf("the clock is %s: %s", now.State, h.keeper.Explain().Reason)
	}
	h.until(due.Add(time.Minute + 2*now.Uncertainty + 2*time.Minute)) // an anchor by people is good to two minutes
	if n, want := h.left(), len(h.made)-i-1; n != want {
		h.t.Fatalf("segment %d is there %v after its thirty days: %d, want %d; clock ± %v", i, truth().Sub(due), n, want, h.keeper.Now().Uncertainty)
	}
}

// Covers F3: no battery clock, no internet, only an NVR that says what time it is: for five weeks nothing goes and
// the box says what it waits for. Two people state the time; what is overdue goes at once, the rest punctually.
func TestTwoMonthsWithoutBatteryClockAndInternet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nvr := &timeSource{box: box{time.Now()}, origin: clock.OriginNVR}
		h := newTimed(t, nvr)
		for range 7 {
			h.pass(5 * day)
			h.record()
		}
		h.work(func() { h.pass(10 * time.Minute) })
		if n := h.left(); n != 7 || h.keeper.Explain().Waits != timekeeper.WaitSecond {
			t.Fatalf("%d left, waits for %q", n, h.keeper.Explain().Waits)
		}
		alarms := 0
		for e, err := range h.store.Entries(0, h.store.Size()) {
			h.must(err)
			if e.Kind == "clock.alarm" {
				alarms++
			}
		}
		if alarms != 1 {
			t.Fatalf("%d alarms in five weeks of doubt, want one", alarms)
		}
		h.pass(time.Hour)
		who := func(id string) account.Who { return account.Who{Actor: account.Actor{ID: id}, Via: ledger.ViaWeb} }
		_, err := h.keeper.Confirm(t.Context(), who("p002"), account.RoleOfficer, truth().Add(20*time.Second), func(a, b string) bool { return a != b })
		h.must(err)
		done, err := h.keeper.Confirm(t.Context(), who("p004"), account.RoleLeader, truth().Add(-15*time.Second), func(a, b string) bool { return a != b })
		h.must(err)
		h.work(func() { h.pass(10 * time.Minute) })
		if n := h.left(); !done || n != 6 {
			t.Fatalf("two people have spoken (%v) and %d are left, want 6", done, n)
		}
		h.punctual(1)
	})
}

// Covers F3: trusted once, then two months with nobody to ask: deletion goes on punctually by monotonic time.
func TestTwoMonthsWithNobodyToAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := box{time.Now()}
		ntp, centre := &timeSource{box: began, origin: clock.OriginNTP}, &timeSource{box: began, origin: clock.OriginCentre}
		h := newTimed(t, ntp, centre)
		h.pass(time.Hour)
		h.record()
		ntp.set(0, true)
		centre.set(0, true)
		for range 4 {
			h.pass(7 * day)
			h.record()
		}
		h.punctual(0)
	})
}

// Covers F3: everything on the school's network jumps 31 days ahead, together: nothing goes. When the clocks are right
// again, deletion is as punctual as if nothing had been.
func TestForwardStepOf31DaysDeletesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := box{time.Now()}
		ntp, nvr := &timeSource{box: began, origin: clock.OriginNTP}, &timeSource{box: began, origin: clock.OriginNVR}
		h := newTimed(t, ntp, nvr)
		h.pass(time.Hour)
		for range 3 {
			h.record()
			h.pass(2 * day)
		}
		ntp.set(31*day, false)
		nvr.set(31*day, false)
		h.pass(15 * day)
		h.work(func() { h.pass(3 * time.Hour) })
		if n, x := h.left(), h.keeper.Explain(); n != 3 || x.Reading.State != clock.Suspect || x.Waits != timekeeper.WaitConfirm {
			t.Fatalf("%d left, clock %s, waits for %q", n, x.Reading.State, x.Waits)
		}
		ntp.set(0, false)
		nvr.set(0, false)
		h.pass(day)
		h.punctual(0)
	})
}
