package nvr_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/nvr/driver"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/nvr"
	"campuskeep/firmware/nvr/hikvision"
	"campuskeep/firmware/site"
	"campuskeep/firmware/timekeeper"
	"campuskeep/firmware/vault"
	sim "campuskeep/scripts/sim/nvr"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// noon is where the simulated world begins.
var noon = time.Date(2026, 5, 20, 4, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

const fps = 10

var clip = sync.OnceValues(func() ([][][]byte, error) { return sim.Clip(context.Background(), "gate", 10, fps) })

var logKey = ed25519.NewKeyFromSeed([]byte("campuskeep test log signing key!"))

// world is the time that everybody in a test lives in.
type world struct{ *clocktest.Clock }

func newWorld() world {
	return world{clocktest.New(clock.Reading{Wall: noon, State: clock.Trusted, Boot: "boot1", Mono: time.Hour})}
}

// pass lets time pass and says what time it is then.
func (w world) pass(d time.Duration) time.Time {
	w.Pass(d)
	return w.Now().Wall
}

// rig is a supervisor with a real store, a real vault and a simulated NVR.
type rig struct {
	*nvr.Supervisor
	t       *testing.T
	dir     string
	world   world
	nvr     *sim.NVR
	store   *ledgerdb.Store
	vault   *vault.Vault
	cameras []footage.Camera
	down    func()

	mu      sync.Mutex
	anchors clock.Anchors
}

func camera(id string) footage.Camera {
	return footage.Camera{
		ID: id, Name: id, Place: "gate", Area: footage.AreaGate, Custody: footage.CustodyNVR, Policy: footage.Policy{Days: 30}, Since: noon.Add(-60 * day),
	}
}

func newRig(t *testing.T, change func(*sim.Options)) *rig {
	t.Helper()
	c, err := clip()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: t.TempDir(), world: newWorld(), cameras: []footage.Camera{camera("c01")}}
	o := sim.Options{
		Listen: "127.0.0.1", User: "keeper", Password: "right horse", Model: "DS-7732NI-K4", Now: func() time.Time { return r.world.Now().Wall },
		Habits: sim.Habits{Zone: "CST-8:00:00"}, Clip: c, FPS: fps, Speed: 100,
		Channels: []sim.Channel{{ID: 1, Name: "gate", Online: true, Days: 30, Keep: true, Pieces: sim.Hours(noon.Add(-30*day), noon)}},
	}
	if change != nil {
		change(&o)
	}
	if r.nvr, err = sim.Start(o); err != nil {
		t.Fatal(err)
	}
	r.up()
	t.Cleanup(func() {
		r.must(r.store.Check(context.Background(), func(f ledgerdb.Finding) { t.Errorf("check: %v", f) }))
		<-r.vault.Recovered()
		r.must(r.vault.Check(context.Background(), vault.CheckOptions{Full: true}, func(f vault.Finding) { t.Errorf("check: %+v", f) }))
		r.down()
		r.must(r.nvr.Close())
	})
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// up starts the appliance's part on the data directory as it is.
func (r *rig) up() {
	r.t.Helper()
	fsys, err := disk.Real(r.dir)
	r.must(err)
	root, err := keyring.OpenRoot(fsys)
	r.must(err)
	people, err := root.Ring("people")
	r.must(err)
	ring, err := root.Ring("footage")
	r.must(err)
	r.must(fsys.MkdirAll("vault", 0o700))
	vfs, err := disk.Real(filepath.Join(r.dir, "vault"))
	r.must(err)
	log := slog.New(slog.NewTextHandler(r.t.Output(), nil))
	r.store, err = ledgerdb.Open(ledgerdb.Options{Dir: r.dir, Origin: "campuskeep/ck-test", Clock: r.world, People: people, Signer: logKey, Log: log})
	r.must(err)
	r.vault, err = vault.Open(vault.Options{FS: vfs, IndexPath: filepath.Join(r.dir, "index.db"), Keys: ring, Holds: root, SyncEvery: 50 * time.Millisecond, Log: log})
	r.must(err)
	r.Supervisor, err = nvr.Open(nvr.Options{
		Store: r.store, Vault: r.vault, Clock: r.world, Cameras: func() []footage.Camera { return r.cameras },
		Drivers: map[string]driver.Kind{"hikvision": hikvision.Kind}, Anchor: r.anchor, Places: r.places, Log: log,
		Pause: func(int) time.Duration { return 0 },
	})
	r.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { r.must(r.store.Run(ctx)) })
	work.Go(func() { r.must(r.vault.Run(ctx)) })
	r.down = sync.OnceFunc(func() {
		cancel()
		work.Wait()
		r.must(r.vault.Close())
		r.must(r.store.Close())
	})
}

// anchor puts an anchor on record as the appliance does.
func (r *rig) anchor(ctx context.Context, a clock.Anchor) error {
	_, err := r.store.Commit(ctx, timekeeper.RecordAnchor(a))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.anchors = r.anchors.With(a)
	return err
}

func (r *rig) places() footage.Places {
	r.mu.Lock()
	defer r.mu.Unlock()
	return footage.Places{Anchors: r.anchors}
}

// run starts the workers; the returned function ends them.
func (r *rig) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { r.must(r.Run(ctx)) })
	return sync.OnceFunc(func() {
		cancel()
		work.Wait()
	})
}

func (r *rig) device() nvr.Device {
	return nvr.Device{ID: "n01", Name: "recorder", Driver: "hikvision", Address: r.nvr.Address(), RTSP: r.nvr.RTSPAddress(), Cameras: map[int]string{1: "c01"}}
}

func (r *rig) register() {
	r.t.Helper()
	r.must(r.Put(r.t.Context(), account.System, r.device(), &site.Login{User: "keeper", Password: "right horse"}))
}

func (r *rig) check() nvr.State {
	r.t.Helper()
	s, err := r.Check(r.t.Context(), "n01")
	r.must(err)
	return s
}

func (r *rig) report() nvr.Report {
	r.t.Helper()
	p, ok, err := r.Report("c01")
	r.must(err)
	if !ok {
		r.t.Fatal("no report")
	}
	return p
}

// entries gives the log of one kind.
func (r *rig) entries(kind ledger.Kind) (out []ledger.Entry) {
	r.t.Helper()
	for e, err := range r.store.Entries(0, r.store.Size()) {
		r.must(err)
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

func data[T any](t *testing.T, e ledger.Entry) (v T) {
	t.Helper()
	if err := json.Unmarshal(e.Data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// await looks again and again until the condition holds, as long as the test may run.
func (r *rig) await(what string, ok func() bool) {
	r.t.Helper()
	late := make(<-chan time.Time)
	if end, ok := r.t.Deadline(); ok {
		late = time.After(time.Until(end) - 5*time.Second)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-late:
			all, err := r.Fetches()
			r.t.Fatalf("waited too long for %s; fetches %+v, %v", what, all, err)
		case <-tick.C:
		}
	}
}

// bring fetches a span to its end.
func (r *rig) bring(span footage.Span) nvr.Fetch {
	r.t.Helper()
	f, err := r.Fetch(r.t.Context(), account.System, "c01", span, "a2026-0001")
	r.must(err)
	stop := r.run()
	defer stop()
	r.await("the fetch", func() bool {
		f, _, err = r.FetchOf(f.ID)
		r.must(err)
		return f.State.Ended()
	})
	return f
}

// fetched gives what lies in the vault.
func (r *rig) fetched() []footage.Placed {
	r.t.Helper()
	out, err := r.vault.Source(r.places).Segments(r.t.Context(), "c01", footage.Span{From: noon.Add(-100 * day), To: noon.Add(100 * day)})
	r.must(err)
	return out
}

func at(from, to time.Duration) footage.Span {
	return footage.Span{From: noon.Add(from), To: noon.Add(to)}
}
