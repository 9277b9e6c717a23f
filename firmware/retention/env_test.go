package retention

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/disk/disktest"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

var morning = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// handClock is a clock that only moves when the test moves it, with the anchors of its boots.
type handClock struct {
	*clocktest.Clock
	mu      sync.Mutex // guards anchors
	anchors clock.Anchors
}

func newClock() *handClock {
	return &handClock{Clock: clocktest.New(clock.Reading{Wall: morning, State: clock.Trusted, Boot: "boot-1", Mono: time.Hour}),
		anchors: clock.NewAnchors(clock.Anchor{Boot: "boot-1", Mono: time.Hour, UTC: morning})}
}

func (c *handClock) Anchors() clock.Anchors {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.anchors
}

// reboot after an outage; the wall clock then claims something, and is not trusted.
func (c *handClock) reboot(boot string, wall time.Time) {
	c.Reboot(boot)
	c.Change(func(r *clock.Reading) { r.Wall, r.State, r.Uncertainty = wall, clock.Untrusted, 0 })
}

// trust says that it is utc now, within an uncertainty, and anchors the boot.
func (c *handClock) trust(utc time.Time, unc time.Duration) {
	c.Change(func(r *clock.Reading) { r.Wall, r.Uncertainty, r.State = utc, unc, clock.Trusted })
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.anchors = c.anchors.With(clock.Anchor{Boot: now.Boot, Mono: now.Mono, UTC: utc, Uncertainty: unc})
}

var testHolds = ledgerdb.NewTable[footage.Hold]("test_holds")

func holdsIn(tx ledgerdb.Tx) (list []footage.Hold, err error) {
	for _, h := range testHolds.All(tx) {
		list = append(list, h)
	}
	return list, nil
}

// env is a data directory with store, vault and retention at work on it.
type env struct {
	t       testing.TB
	dir     string
	clock   *handClock
	disk    *disktest.Disk // the vault's
	data    *disktest.Disk // that of the keys
	root    *keyring.Root
	keys    *keyring.Ring
	store   *ledgerdb.Store
	vault   *vault.Vault
	r       *Retention
	cameras []footage.Camera
	plain   bool           // the plain disk, for benchmarks
	zone    *time.Location // of the day labels
	small   *smallDisk
	full    footage.WhenFull
	worth   string // of erasing a key, instead of what the root says
	stop    context.CancelFunc
	ended   sync.WaitGroup
}

func newEnv(t testing.TB) *env {
	h := &env{t: t, dir: t.TempDir(), clock: newClock(),
		cameras: []footage.Camera{{ID: "c01", Policy: footage.Policy{Days: 30}}, {ID: "c02", Policy: footage.Policy{Days: 90, Reason: "key site"}}}}
	h.open()
	t.Cleanup(func() { h.close(false) })
	return h
}

func (h *env) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *env) open() {
	h.t.Helper()
	var err error
	h.data = disktest.New(h.t, h.dir)
	h.root, err = keyring.OpenRoot(h.data)
	h.must(err)
	people, err := h.root.Ring("people")
	h.must(err)
	h.keys, err = h.root.Ring("footage")
	h.must(err)
	h.store, err = ledgerdb.Open(ledgerdb.Options{Dir: h.dir, Origin: "campuskeep/ck-test", Clock: h.clock, People: people,
		Signer: ed25519.NewKeyFromSeed([]byte("campuskeep test log signing key!"))})
	h.must(err)
	h.disk = disktest.New(h.t, filepath.Join(h.dir, "vault"))
	var fsys disk.FS = h.disk
	if h.plain {
		fsys, err = disk.Real(filepath.Join(h.dir, "vault"))
		h.must(err)
	}
	if h.small != nil {
		h.small.FS = fsys
		fsys = h.small
	}
	h.vault, err = vault.Open(vault.Options{FS: fsys, IndexPath: filepath.Join(h.dir, "index.db"), Keys: h.keys, Holds: h.root, SyncEvery: time.Hour})
	h.must(err)
	h.r = New(Options{Store: h.store, Vault: h.vault, Cameras: func() []footage.Camera { return h.cameras }, Holds: holdsIn,
		Clock: h.clock, Anchors: h.clock.Anchors, Assurance: func(time.Time) string { a, _ := h.root.Label(); return cmp.Or(h.worth, a) },
		WhenFull: func() footage.WhenFull { return h.full }})
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.ended.Go(func() {
		if err := h.store.Run(ctx); err != nil {
			h.t.Errorf("store: %v", err)
		}
	})
	v := h.vault
	h.ended.Go(func() {
		if err := v.Run(ctx); err != nil && h.vault != nil {
			h.t.Logf("vault: %v", err) // after a power cut its last sync fails
		}
	})
	<-h.vault.Recovered()
}

func (h *env) close(clean bool) {
	if h.vault == nil {
		return
	}
	h.stop()
	h.ended.Wait()
	err := h.vault.Close()
	if serr := h.store.Close(); err == nil {
		err = serr
	}
	if clean && err != nil {
		h.t.Errorf("close: %v", err)
	}
	h.vault = nil
}

// realDisk starts again on the plain disk.
func (h *env) realDisk() {
	h.t.Helper()
	h.close(true)
	h.plain = true
	h.open()
}

// restart as after a clean stop.
func (h *env) restart() {
	h.t.Helper()
	h.close(true)
	h.open()
}

// powerCut loses what is not durable and starts again.
func (h *env) powerCut(rnd *rand.Rand) {
	h.t.Helper()
	h.disk.PowerCut(h.t, rnd)
	h.data.PowerCut(h.t, rnd)
	h.close(false)
	h.open()
}

// record writes n segments of one minute, one after the other, and the clock goes along.
func (h *env) record(camera string, n int) {
	h.t.Helper()
	for range n {
		now := h.clock.Now()
		w, err := h.vault.Begin(vault.Meta{Camera: camera, Day: now.Wall.In(h.label()).Format(time.DateOnly), Boot: now.Boot, Session: 1, Codec: "h264",
			Init: []byte("moov"), From: now.Mono, Wall: now.Wall})
		h.must(err)
		for i := range 2 {
			from := now.Mono + time.Duration(i)*30*time.Second
			h.must(w.Fragment(vault.Fragment{FragmentInfo: footage.FragmentInfo{From: from, To: from + 30*time.Second, Key: true}, Data: []byte("moof mdat of " + camera)}))
		}
		h.must(w.Close())
		h.clock.Pass(time.Minute)
	}
	h.must(h.vault.Flush(h.t.Context()))
}

func (h *env) label() *time.Location {
	if h.zone != nil {
		return h.zone
	}
	return time.UTC
}

func (h *env) sweep() Result {
	h.t.Helper()
	res, err := h.r.Sweep(h.t.Context())
	h.must(err)
	return res
}

func (h *env) rows(camera string) (out []footage.Segment) {
	h.t.Helper()
	h.must(h.vault.Rows(camera, func(s footage.Segment) bool { out = append(out, s); return true }))
	return out
}

// files counts the segment files of a camera.
func (h *env) files(camera string) (n int) {
	h.t.Helper()
	for _, s := range h.rows(camera) {
		if h.vault.HasFile(s) {
			n++
		}
	}
	return n
}

func (h *env) source() footage.Source {
	return h.r.Guard(h.vault.Source(func() footage.Places {
		p, err := h.r.Places()
		h.must(err)
		return p
	}))
}

func (h *env) hold(hold footage.Hold) {
	h.t.Helper()
	_, err := h.store.Commit(h.t.Context(), ledgerdb.Change{Puts: []ledgerdb.Put{testHolds.Put(hold.ID, hold)}})
	h.must(err)
}

func (h *env) release(id string) {
	h.t.Helper()
	_, err := h.store.Commit(h.t.Context(), ledgerdb.Change{Deletes: []ledgerdb.Delete{testHolds.Delete(id)}})
	h.must(err)
}

// data is what the entries about footage and keys carry.
type data struct {
	Seq             uint64
	Subject         string
	Hour            time.Time
	Count           int
	Root            []byte
	First, Last     time.Time
	From, To        time.Time
	Cause           footage.Cause
	Reason, Ring    string
	Keys            []string
	Assurance, File string
	Code, Part      string
	On              bool
	FullInH         int64 `json:"full_in_h"`
	Capacity        int64
}

func (h *env) entries(kind ledger.Kind) (out []data) {
	h.t.Helper()
	for e, err := range h.store.Entries(0, h.store.Size()) {
		h.must(err)
		if e.Kind != kind {
			continue
		}
		d := data{Seq: e.Seq, Subject: e.Subject}
		h.must(json.Unmarshal(e.Data, &d))
		out = append(out, d)
	}
	return out
}

// deleted counts the segments that deletion entries account for.
func (h *env) deleted() (n int) {
	h.t.Helper()
	for _, d := range h.entries("footage.deleted") {
		n += d.Count
	}
	return n
}

// check ends a test: all invariants that can be seen here.
func (h *env) check() {
	h.t.Helper()
	for _, f := range h.findings() {
		h.t.Errorf("check: %s %s: %s", f.Invariant, f.Where, f.What)
	}
	h.must(h.store.Check(h.t.Context(), func(f ledgerdb.Finding) { h.t.Errorf("check: %v", f) }))
}

func (h *env) findings() (out []vault.Finding) {
	h.t.Helper()
	h.must(h.r.Check(h.t.Context(), true, func(f vault.Finding) { out = append(out, f) }))
	return out
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 3)) }

func draftList(d ...ledger.Draft) []ledger.Draft { return d }
