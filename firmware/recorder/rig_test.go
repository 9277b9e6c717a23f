package recorder_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/disk/disktest"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/recorder"
	"campuskeep/firmware/vault"
	"campuskeep/scripts/sim/camera"
	"campuskeep/scripts/sim/render"
	"campuskeep/shared/clock"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/footage"
)

// sinceBoot is a clock of a machine that booted an hour before the test.
type sinceBoot struct{ clocktest.Running }

func (c sinceBoot) places() footage.Places {
	return footage.Places{Anchors: clock.NewAnchors(c.Anchor())}
}

// network reaches every camera that simulated tests start; machine those that need sockets.
var (
	network = camera.NewNet()
	machine = new(net.Dialer).DialContext
)

// simulated runs a test in a time of its own, which goes on when everybody waits for it: cameras and recorder are never
// late, however busy the machine is.
func simulated(t *testing.T, f func(*testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// over runs a test whose cameras send over TCP in simulated time, and one that needs real sockets for UDP in ours.
func over(udp bool) func(*testing.T, func(*testing.T)) {
	if !udp {
		return simulated
	}
	return func(t *testing.T, f func(*testing.T)) {
		t.Parallel()
		f(t)
	}
}

// reached is the options of a recorder that reaches its cameras over real sockets, or within the process.
func reached(udp bool) (o recorder.Options) {
	if udp {
		o.Network = machine
	}
	return o
}

// onSockets puts a camera on real sockets.
func onSockets(o *camera.Options) { o.Net = nil }

// rig is a recorder with a vault on a real disk.
type rig struct {
	t     *testing.T
	clock sinceBoot
	disk  *disktest.Disk
	vault *vault.Vault
	rec   *recorder.Recorder
	stop  func()

	garbage bool // some of what was sent cannot be decoded

	mu     sync.Mutex
	gaps   []recorder.Gap
	change *sync.Cond
}

func newRig(t *testing.T, o recorder.Options) *rig { return newRigOn(t, o, 0) }

// newRigOn makes a rig whose vault keeps at most queue bytes waiting for the disk; 0 is the vault's own limit.
func newRigOn(t *testing.T, o recorder.Options, queue int64) *rig {
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
	vfs := disktest.New(t, filepath.Join(dir, "vault"))
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	v, err := vault.Open(vault.Options{
		FS: vfs, IndexPath: filepath.Join(dir, "index.db"), Keys: ring, Holds: root, SyncEvery: 200 * time.Millisecond,
		Queue: queue, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, disk: vfs, clock: sinceBoot{clocktest.RunningFrom(time.Now().Add(-time.Hour), time.Now)}, vault: v}
	r.change = sync.NewCond(&r.mu)
	if o.Clock == nil {
		o.Clock = r.clock
	}
	if o.Network == nil {
		o.Network = network.DialContext
	}
	o.Vault, o.Log = v, log
	o.Gap = func(g recorder.Gap) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.gaps = append(r.gaps, g)
		r.change.Broadcast()
	}
	if o.Pace == nil {
		o.Pace = func(int, recorder.Cause) time.Duration { return 100 * time.Millisecond }
	}
	r.rec = recorder.New(o)
	vctx, stopVault := context.WithCancel(context.Background())
	rctx, stopRec := context.WithCancel(context.Background())
	var vaultDone, recDone sync.WaitGroup
	vaultDone.Go(func() {
		if err := v.Run(vctx); err != nil {
			t.Error(err)
		}
	})
	recDone.Go(func() {
		if err := r.rec.Run(rctx); err != nil {
			t.Error(err)
		}
	})
	r.stop = sync.OnceFunc(func() {
		stopRec()
		recDone.Wait()
		stopVault()
		vaultDone.Wait()
	})
	t.Cleanup(func() {
		r.stop()
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func startCamera(t *testing.T, name string, change func(*camera.Options)) *camera.Camera {
	t.Helper()
	o := camera.Options{
		Name: name, Listen: "127.0.0.1:0", User: "admin", Password: "secret",
		Coding: render.Coding{W: 320, H: 180, GOP: 10}, FPS: 10, Prepared: true, Net: network,
	}
	if change != nil {
		change(&o)
	}
	c, err := camera.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func row(id string, c *camera.Camera) recorder.Camera {
	return recorder.Camera{
		Camera: footage.Camera{ID: id, Custody: footage.CustodyVault, Main: c.URL()}, User: "admin", Password: "secret",
	}
}

// heard is a camera whose sound is to be recorded.
func heard(id string, c *camera.Camera) recorder.Camera {
	r := row(id, c)
	r.Sound, r.SoundReason = true, "校门值守须知"
	return r
}

// await looks again and again until the condition holds. The recorder offers no event for what tests wait for.
func (r *rig) await(what string, ok func() bool) {
	r.t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			r.t.Fatalf("waited too long for: %s; status %+v", what, r.rec.Status())
		case <-tick.C:
		}
	}
}

func (r *rig) status(id string) recorder.Status {
	for _, s := range r.rec.Status() {
		if s.Camera == id {
			return s
		}
	}
	return recorder.Status{}
}

// awaitFragments waits until n more fragments of the camera are recorded.
func (r *rig) awaitFragments(id string, n uint64) {
	r.t.Helper()
	from := r.status(id).Fragments
	r.await("fragments of "+id, func() bool { return r.status(id).Fragments >= from+n })
}

func (r *rig) gapsOf(id string) []recorder.Gap {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []recorder.Gap
	for _, g := range r.gaps {
		if g.Camera == id {
			out = append(out, g)
		}
	}
	return out
}
