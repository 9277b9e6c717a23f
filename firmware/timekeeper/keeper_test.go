package timekeeper

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// machine is a host clock under the test's hand. Boottime runs with the test's time.
type machine struct {
	began time.Time // test time at boot
	boot  string

	mu  sync.Mutex
	off time.Duration // of the wall clock
}

func (m *machine) Wall() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return truth().Add(m.off)
}
func (m *machine) Boottime() time.Duration { return time.Since(m.began) }
func (m *machine) BootID() string          { return m.boot }
func (m *machine) step(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.off += d
}

// Time in a synctest bubble begins in the year 2000; the product is younger.
var shift = time.Date(2026, 5, 20, 0, 0, 0, 0, time.UTC).Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))

func truth() time.Time { return time.Now().Add(shift).UTC() }

// centre is a source that can be cut off.
type centre struct {
	m    *machine
	mu   sync.Mutex
	gone bool
	off  time.Duration
}

func (c *centre) Name() string         { return "centre" }
func (c *centre) Origin() clock.Origin { return clock.OriginCentre }
func (c *centre) Observe(context.Context) (clock.Observation, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return clock.Observation{}, errors.New("no network")
	}
	return clock.Observation{Source: "centre", Origin: clock.OriginCentre, Mono: c.m.Boottime(), UTC: truth().Add(c.off), Uncertainty: time.Second}, nil
}
func (c *centre) cut(gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = gone
}

// box is a keeper on a real store.
type box struct {
	t      *testing.T
	dir    string
	signer ed25519.PrivateKey
	m      *machine
	centre *centre
	k      *Keeper
	s      *ledgerdb.Store
	stop   func()
}

func newBox(t *testing.T) *box {
	_, signer, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	b := &box{t: t, dir: t.TempDir(), signer: signer}
	b.m = &machine{began: time.Now(), boot: "boot-1"}
	b.centre = &centre{m: b.m}
	return b
}

// start runs store and keeper; the store takes its instants from the keeper as in the appliance.
func (b *box) start() {
	b.t.Helper()
	b.k = New(Options{Host: b.m, Sources: []Source{Host{b.m, time.Second}, b.centre}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	fsys, err := disk.Real(b.dir)
	must(b.t, err)
	root, err := keyring.OpenRoot(fsys)
	must(b.t, err)
	ring, err := root.Ring("people")
	must(b.t, err)
	b.s, err = ledgerdb.Open(ledgerdb.Options{Dir: b.dir, Origin: "campuskeep/ck-test", Clock: b.k, People: ring, Signer: b.signer})
	must(b.t, err)
	must(b.t, b.k.Attach(b.s))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	storeCtx, stopStore := context.WithCancel(context.Background())
	wg.Go(func() { must(b.t, b.s.Run(storeCtx)) })
	done := make(chan struct{})
	go func() { defer close(done); must(b.t, b.k.Run(ctx)) }()
	b.stop = func() {
		cancel()
		<-done
		stopStore()
		wg.Wait()
		must(b.t, b.s.Check(context.Background(), func(f ledgerdb.Finding) { b.t.Errorf("check: %+v", f) }))
		must(b.t, b.s.Close())
	}
}

func (b *box) after(d time.Duration) clock.Reading {
	<-time.After(d) // of the bubble
	synctest.Wait()
	return b.k.Now()
}

func (b *box) kinds(kinds ...string) []ledger.Entry {
	b.t.Helper()
	var out []ledger.Entry
	for e, err := range b.s.Entries(0, b.s.Size()) {
		must(b.t, err)
		for _, k := range kinds {
			if string(e.Kind) == k {
				out = append(out, e)
			}
		}
	}
	return out
}

// Covers F3: trust needs two sources, and its anchor is on record before it is reported.
func TestTrustIsToldOnceItsAnchorIsOnRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.centre.cut(true)
		b.start()
		if r := b.after(time.Hour); r.State != clock.Untrusted || b.k.Explain().Waits != WaitSecond {
			t.Fatalf("with one source: %s, waits for %q", r.State, b.k.Explain().Waits)
		}
		b.centre.cut(false)
		r := b.after(2 * time.Minute)
		if r.State != clock.Trusted || !contains(r, truth()) || b.k.Explain().Waits != "" {
			t.Fatalf("%+v, truth %v", r, truth())
		}
		if e := b.kinds("clock.anchor", "clock.state"); len(e) != 2 || e[0].Clock.State != clock.Untrusted {
			t.Fatalf("%+v", e)
		}
		if !b.k.Anchors().Has("boot-1") {
			t.Fatal("no anchor")
		}
		b.stop()
	})
}

// Covers F3: the host's clock jumps 31 days ahead while the network is away: doubt at once, entry, banner; the
// reading does not follow. When the centre answers again it is settled.
func TestHostJumps31Days(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.start()
		b.after(5 * time.Minute)
		b.centre.cut(true)
		b.m.step(31 * 24 * time.Hour)
		r := b.after(2 * time.Minute)
		if r.State != clock.Suspect || !contains(r, truth()) || b.k.Explain().Waits != WaitAgreement {
			t.Fatalf("%+v waits for %q", r, b.k.Explain().Waits)
		}
		states := b.kinds("clock.state")
		if last := states[len(states)-1]; !strings.Contains(string(last.Data), `"to":"suspect"`) || !strings.Contains(string(last.Data), "contradiction") {
			t.Fatalf("%s", last.Data)
		}
		b.centre.cut(false)
		if r = b.after(3 * time.Minute); r.State != clock.Trusted || !contains(r, truth()) {
			t.Fatalf("with the centre again: %+v", r)
		}
		b.stop()
	})
}

// Covers F3: another run in the same boot goes on from the record, two months without any network.
func TestTwoMonthsAloneAndARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.start()
		b.after(5 * time.Minute)
		b.centre.cut(true)
		b.after(24 * time.Hour)
		b.stop()
		<-time.After(59 * 24 * time.Hour) // of the bubble
		b.start()
		r := b.after(2 * time.Minute)
		if r.State != clock.Trusted || !contains(r, truth()) || r.Uncertainty > 5*time.Minute {
			t.Fatalf("%+v, truth %v", r, truth())
		}
		b.stop()
	})
}

// Covers F3: a clean stop puts on record how far time has come; the next boot, alone with a host clock that is an hour
// slow, goes on from there.
func TestACleanStopRecordsHowFarTimeHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.start()
		b.after(9 * time.Minute)
		end := truth()
		b.stop()
		b.m = &machine{began: time.Now(), boot: "boot-2", off: -time.Hour}
		b.centre = &centre{m: b.m, gone: true}
		b.start()
		if r := b.after(time.Second); r.State == clock.Trusted || r.Wall.Before(end.Add(-5*time.Second)) {
			t.Errorf("%s at %v, stopped at %v", r.State, r.Wall, end)
		}
		b.stop()
	})
}

// Covers F3: a new boot after a long power-off has only the host's clock and the record: two people confirm.
func TestTwoPeopleConfirmAfterALongPowerOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.start()
		b.after(5 * time.Minute)
		b.stop()
		<-time.After(60 * 24 * time.Hour) // of the bubble
		b.m.boot, b.m.began = "boot-2", time.Now()
		b.centre.cut(true)
		b.start()
		if r := b.after(time.Minute); r.State != clock.Untrusted {
			t.Fatal(r.State)
		}
		ctx := t.Context()
		done, err := b.k.Confirm(ctx, person("p002"), account.RoleOfficer, truth().Add(20*time.Second), twoPersons)
		must(t, err)
		if done || !b.k.Explain().Stated {
			t.Fatal("one person is enough")
		}
		if _, err := b.k.Confirm(ctx, person("p002"), account.RoleOfficer, truth(), twoPersons); !errors.Is(err, ErrSamePerson) {
			t.Fatal(err)
		}
		b.after(5 * time.Minute)
		done, err = b.k.Confirm(ctx, person("p004"), account.RoleLeader, truth(), twoPersons)
		must(t, err)
		if r := b.after(time.Minute); !done || r.State != clock.Trusted || !contains(r, truth()) {
			t.Fatalf("%v %+v", done, r)
		}
		if e := b.kinds("clock.confirmed"); len(e) != 2 || e[0].Actor.ID != "p002" || e[1].Actor.ID != "p004" {
			t.Fatalf("%+v", e)
		}
		b.stop()
	})
}

func TestStatementsThatDifferCountForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.centre.cut(true)
		b.start()
		b.after(time.Minute)
		_, err := b.k.Confirm(t.Context(), person("p002"), account.RoleOfficer, truth(), twoPersons)
		must(t, err)
		if _, err := b.k.Confirm(t.Context(), person("p004"), account.RoleLeader, truth().Add(time.Hour), twoPersons); !errors.Is(err, ErrDiffer) {
			t.Fatal(err)
		}
		// Too late is a first statement again.
		_, err = b.k.Confirm(t.Context(), person("p002"), account.RoleOfficer, truth(), twoPersons)
		must(t, err)
		b.after(20 * time.Minute)
		done, err := b.k.Confirm(t.Context(), person("p004"), account.RoleLeader, truth(), twoPersons)
		must(t, err)
		if done || b.after(time.Minute).State == clock.Trusted {
			t.Fatal("a statement counted after its quarter of an hour")
		}
		b.stop()
	})
}

// Covers F3: all sources go back: two sources alone do not lower the highest trusted time; the centre among them
// does, as a correction in the log, and the wrong anchors go.
func TestBackAnHourIsACorrection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.m.step(time.Hour)
		b.centre.off = time.Hour
		b.start()
		b.after(30 * time.Minute)
		b.m.step(-time.Hour)
		b.centre.mu.Lock()
		b.centre.off = 0
		b.centre.mu.Unlock()
		r := b.after(5 * time.Minute)
		if r.State != clock.Trusted || !contains(r, truth()) {
			t.Fatalf("%+v, truth %v", r, truth())
		}
		e := b.kinds("clock.correction", "clock.step")
		if len(e) != 2 {
			t.Fatalf("%+v", e)
		}
		var c correctionData
		must(t, json.Unmarshal(e[1].Data, &c))
		if c.Reason != "centre" || !c.After.Before(c.Before) {
			t.Fatalf("%+v", c)
		}
		if n := len(b.k.Anchors()); n != 1 {
			t.Fatalf("%d anchors, the wrong ones among them", n)
		}
		b.stop()
		b.start()
		if r := b.after(time.Minute); r.State != clock.Trusted || len(b.k.Anchors()) != 1 {
			t.Fatalf("after a restart %+v with %d anchors", r, len(b.k.Anchors()))
		}
		b.stop()
	})
}

func TestBatteryClockIsReadOnceEarlyAndUnsynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{began: time.Now(), boot: "boot-1"}
		synced := false
		sys := fstest.MapFS{"class/rtc/rtc0/since_epoch": {Data: []byte("1779235200\n")}}
		rtc := func() *RTC {
			return &RTC{Clock: m, Sys: sys, Unsynced: func() bool { return !synced }, Uncertainty: time.Minute}
		}
		r := rtc()
		o, err := r.Observe(t.Context())
		must(t, err)
		if o.Origin != clock.OriginRTC || o.UTC.Unix() != 1779235200 || o.Uncertainty < time.Minute {
			t.Fatalf("%+v", o)
		}
		if _, err := r.Observe(t.Context()); !errors.Is(err, ErrSilent) {
			t.Fatalf("a second reading: %v", err)
		}
		synced = true
		if _, err := rtc().Observe(t.Context()); !errors.Is(err, ErrSilent) {
			t.Fatalf("after NTP was copied into it: %v", err)
		}
		synced = false
		<-time.After(time.Hour) // of the bubble
		if _, err := rtc().Observe(t.Context()); !errors.Is(err, ErrSilent) {
			t.Fatalf("an hour after boot: %v", err)
		}
	})
}

func TestMachine(t *testing.T) {
	m, err := NewMachine()
	must(t, err)
	a := m.Boottime()
	if b := m.Boottime(); a <= 0 || b < a || len(m.BootID()) != 36 {
		t.Fatalf("%v %v %q", a, b, m.BootID())
	}
}

func FuzzSeconds(f *testing.F) {
	f.Add("1779235200\n")
	f.Add("-1")
	f.Add("253402300800")
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := parseSeconds(s); err == nil {
			if _, err := time.Unix(n, 0).UTC().MarshalJSON(); err != nil {
				t.Fatalf("%q gives an instant that the log cannot hold: %v", s, err)
			}
		}
	})
}

func person(id string) account.Who {
	return account.Who{Actor: account.Actor{ID: id}, Via: ledger.ViaWeb}
}

func contains(r clock.Reading, at time.Time) bool {
	return !at.Before(r.Earliest()) && !at.After(r.Latest())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func twoPersons(a, b string) bool { return a != b }
