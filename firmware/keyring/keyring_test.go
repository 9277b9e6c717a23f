package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/disk/disktest"
)

func open(t *testing.T, fsys disk.FS, name string) *Ring {
	t.Helper()
	r, err := OpenRoot(fsys)
	if err != nil {
		t.Fatal(err)
	}
	k, err := r.Ring(name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeysAreDurableBeforeEnsureReturnsAndGoneWhenEraseReturns(t *testing.T) {
	dir := t.TempDir()
	d := disktest.New(t, dir)
	k := open(t, d, "footage")
	if err := k.Ensure(t.Context(), "c01/2026-03-01", "c01/2026-03-02"); err != nil {
		t.Fatal(err)
	}
	first, _ := k.Key("c01/2026-03-01")
	second, _ := k.Key("c01/2026-03-02")
	d.PowerCut(t, nil)

	d = disktest.New(t, dir)
	k = open(t, d, "footage")
	if got, ok := k.Key("c01/2026-03-01"); !ok || got != first {
		t.Fatal("a key that Ensure reported is not there after the power cut")
	}
	if err := k.Erase("c01/2026-03-01"); err != nil {
		t.Fatal(err)
	}
	d.PowerCut(t, nil)

	k = open(t, disktest.New(t, dir), "footage")
	if _, ok := k.Key("c01/2026-03-01"); ok {
		t.Fatal("an erased key came back with the power cut")
	}
	if got, ok := k.Key("c01/2026-03-02"); !ok || got != second {
		t.Fatal("the other key did not survive the erasure")
	}
}

// A key once given stays, while others ask for it.
func TestManyCallersShareWrites(t *testing.T) {
	dir := t.TempDir()
	d := disktest.New(t, dir)
	k := open(t, d, "people")
	given := make([]Key, 64)
	var came sync.WaitGroup
	came.Add(len(given))
	var writes atomic.Int32
	d.Fail(disktest.Rule{Match: func(op disktest.Op) bool {
		if op.What == "sync" && writes.Add(1) == 1 {
			came.Wait() // all others come during the first write
		}
		return false
	}})
	var wg sync.WaitGroup
	for i := range given {
		wg.Go(func() {
			if err := k.Ensure(asked{t.Context(), came.Done}, fmt.Sprintf("student:s%04d", i), "application:a2026-0001"); err != nil {
				t.Error(err)
			}
			given[i], _ = k.Key("application:a2026-0001")
		})
	}
	wg.Wait()
	must(t, k.Ensure(t.Context(), "application:a2026-0002"))
	again := open(t, disktest.New(t, dir), "people")
	stored, _ := again.Key("application:a2026-0001")
	for i, key := range given {
		if key != stored {
			t.Fatalf("caller %d was given a key that is not the stored one", i)
		}
	}
	if n, m := len(k.IDs()), len(again.IDs()); n != 66 || m != 66 {
		t.Fatalf("%d keys, %d in the file, want 66", n, m)
	}
	if n := writes.Load(); n != 3 {
		t.Errorf("%d writes: one with the callers that were there, one with all others, one later", n)
	}
}

// asked is a context that says when it is asked whether it has ended.
type asked struct {
	context.Context
	came func()
}

func (c asked) Err() error {
	c.came()
	return c.Context.Err()
}

// A second caller for the same key, who comes while the first one's write is under way, neither replaces the key
// with the next write nor brings it back after its erasure.
func TestTheSecondCallerDuringAWriteReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	d := disktest.New(t, dir)
	k := open(t, d, "people")
	syncing, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	d.Fail(disktest.Rule{Match: func(op disktest.Op) bool {
		if op.What == "sync" {
			once.Do(func() {
				close(syncing)
				<-release
			})
		}
		return false
	}})
	first, second, came := make(chan error, 1), make(chan error, 1), make(chan struct{})
	go func() { first <- k.Ensure(t.Context(), "x") }()
	<-syncing
	go func() { second <- k.Ensure(asked{t.Context(), func() { close(came) }}, "x") }()
	<-came
	close(release)
	must(t, <-first)
	given, _ := k.Key("x")
	must(t, <-second)
	must(t, k.Ensure(t.Context(), "y"))
	if now, _ := k.Key("x"); now != given {
		t.Fatal("the key was replaced")
	}
	if stored, _ := open(t, disktest.New(t, dir), "people").Key("x"); stored != given {
		t.Fatal("the stored key was replaced")
	}
	must(t, k.Erase("x"))
	must(t, k.Ensure(t.Context(), "z"))
	if _, ok := k.Key("x"); ok {
		t.Fatal("the erased key came back")
	}
}

// A caller who gave up leaves nothing behind that a later write makes true.
func TestAKeyThatNobodyWaitsForIsNotMade(t *testing.T) {
	k := open(t, disktest.New(t, t.TempDir()), "people")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Ensure(gone, "x"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	must(t, k.Ensure(t.Context(), "y"))
	if _, ok := k.Key("x"); ok {
		t.Error("the key was made although its caller had gone")
	}
}

// An erasure that failed may have reached the disk: who then asks for the key gets yes only after it is there
// again for certain.
func TestAKeyWhoseErasureFailedIsWrittenAgainBeforeItIsPromised(t *testing.T) {
	dir := t.TempDir()
	d := disktest.New(t, dir)
	k := open(t, d, "people")
	must(t, k.Ensure(t.Context(), "x"))
	given, _ := k.Key("x")
	restore := d.Fail(disktest.Rule{Match: disktest.Match("syncdir", ""), Err: errors.New("broken"), Done: true})
	if err := k.Erase("x"); err == nil {
		t.Fatal("erased on a failing disk")
	}
	restore()
	must(t, k.Ensure(t.Context(), "x"))
	if stored, _ := open(t, disktest.New(t, dir), "people").Key("x"); stored != given {
		t.Error("the key that Ensure promised is not in the file")
	}
}

// Any number of callers who make and erase keys on a disk that fails now and then: a key once given stays until it is
// erased, an erased one never comes back, and what is promised survives a power cut.
func TestCallersSideBySideAgainstAModel(t *testing.T) {
	base, n := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		dir := filepath.Join(base, fmt.Sprint(n))
		must(t, os.Mkdir(dir, 0o700))
		d := disktest.New(t, dir)
		m := ringModel{ring: open(t, d, "people"), live: map[string]Key{}, dead: map[Key]bool{}, seen: map[Key]bool{}}
		ids := []string{"a", "b", erasable}
		plans := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, len(ids)), 1, 8), 2, 6).Draw(rt, "plans")
		fail := rapid.IntRange(1, 6).Draw(rt, "one in how many syncs fails, 1: none")
		syncs := 0
		restore := d.Fail(disktest.Rule{Err: errors.New("broken"), Done: rapid.Bool().Draw(rt, "done"), Match: func(op disktest.Op) bool {
			if op.What != "sync" && op.What != "syncdir" {
				return false
			}
			syncs++
			runtime.Gosched()
			return fail > 1 && syncs%fail == 0
		}})
		var wg sync.WaitGroup
		for _, plan := range plans {
			wg.Go(func() {
				for _, what := range plan {
					if what == len(ids) {
						m.erase()
					} else {
						m.ensure(t.Context(), ids[what])
					}
				}
			})
		}
		wg.Wait()
		restore()
		must(t, m.ring.Ensure(t.Context(), "last"))
		for id, key := range m.live {
			if now, ok := m.ring.Key(id); !ok || now != key {
				m.fault("the key of %s is not the one that was given", id)
			}
		}
		d.PowerCut(t, nil)
		again := open(t, disktest.New(t, dir), "people")
		for _, id := range append(ids, "last") {
			now, has := again.Key(id)
			if was, had := m.ring.Key(id); has != had || now != was {
				m.fault("%s after the power cut is not what the ring promised", id)
			}
		}
		for _, f := range m.faults {
			rt.Error(f)
		}
	})
}

// erasable is the one id that the model erases.
const erasable = "c"

// ringModel is what callers have seen of a ring.
type ringModel struct {
	ring *Ring

	mu     sync.Mutex
	live   map[string]Key // the keys that were given, of ids that nobody erases
	seen   map[Key]bool   // keys that the erasable id ever had
	dead   map[Key]bool   // those of them that were seen before an erasure began, which then succeeded
	faults []string
}

func (m *ringModel) fault(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = append(m.faults, fmt.Sprintf(format, args...))
}

func (m *ringModel) ensure(ctx context.Context, id string) {
	m.mu.Lock()
	dead := maps.Clone(m.dead)
	m.mu.Unlock()
	if m.ring.Ensure(ctx, id) != nil {
		return
	}
	key, ok := m.ring.Key(id)
	m.mu.Lock()
	was, known := m.live[id]
	if ok && id == erasable {
		m.seen[key] = true
	} else if ok {
		m.live[id] = key
	}
	m.mu.Unlock()
	switch {
	case !ok && id != erasable:
		m.fault("%s was promised and is not there", id)
	case known && was != key:
		m.fault("%s was given two keys", id)
	case ok && dead[key]:
		m.fault("an erased key of %s came back", id)
	}
}

func (m *ringModel) erase() {
	m.mu.Lock()
	before := maps.Clone(m.seen)
	m.mu.Unlock()
	if m.ring.Erase(erasable) != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.Copy(m.dead, before)
}

func TestFailedWriteMakesNoKeyAndLaterOnesWork(t *testing.T) {
	d := disktest.New(t, t.TempDir())
	k := open(t, d, "people")
	restore := d.Fail(disktest.Rule{Match: disktest.Match("sync", ""), Err: errors.New("broken")})
	if err := k.Ensure(t.Context(), "person:p001"); err == nil {
		t.Fatal("Ensure succeeded on a failing disk")
	}
	if _, ok := k.Key("person:p001"); ok {
		t.Fatal("a key that is not durable can be used")
	}
	restore()
	if err := k.Ensure(t.Context(), "person:p001"); err != nil {
		t.Fatal(err)
	}
}

func TestSealedValuesAreBoundAndDieWithTheirKey(t *testing.T) {
	k := open(t, disktest.New(t, t.TempDir()), "people")
	if _, err := k.Seal("person:p001", nil, []byte("x")); !errors.Is(err, ErrErased) {
		t.Fatalf("sealed without a key: %v", err)
	}
	if err := k.Ensure(t.Context(), "person:p001", "person:p002"); err != nil {
		t.Fatal(err)
	}
	sealed, err := k.Seal("person:p001", []byte("row 7"), []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := k.Open("person:p001", []byte("row 7"), sealed); err != nil || string(plain) != "text" {
		t.Fatalf("opened %q, %v", plain, err)
	}
	for name, try := range map[string]func() ([]byte, error){
		"another row":   func() ([]byte, error) { return k.Open("person:p001", []byte("row 8"), sealed) },
		"another owner": func() ([]byte, error) { return k.Open("person:p002", []byte("row 7"), sealed) },
		"a changed byte": func() ([]byte, error) {
			c := bytes.Clone(sealed)
			c[len(c)-1] ^= 1
			return k.Open("person:p001", []byte("row 7"), c)
		},
		"a short value": func() ([]byte, error) { return k.Open("person:p001", []byte("row 7"), sealed[:20]) },
	} {
		if b, err := try(); err == nil || errors.Is(err, ErrErased) {
			t.Errorf("%s: opened %q, %v", name, b, err)
		}
	}
	if err := k.Erase("person:p001"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Open("person:p001", []byte("row 7"), sealed); !errors.Is(err, ErrErased) {
		t.Fatalf("after the erasure: %v", err)
	}
}

func TestRootRefusesLooseModesAndALostRoot(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "keys", "root")
	k := open(t, disktest.New(t, dir), "people")
	if err := k.Ensure(t.Context(), "person:p001"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(root); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("root key has mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(root, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRoot(disktest.New(t, dir)); err == nil {
		t.Error("a root key that others may read was accepted")
	}
	if err := os.Remove(root); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRoot(disktest.New(t, dir)); err == nil {
		t.Error("a new root was made beside an old ring")
	}
}

func TestDropLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	k := open(t, disktest.New(t, dir), "hold-h1")
	if err := k.Ensure(t.Context(), "wrap"); err != nil {
		t.Fatal(err)
	}
	if err := k.root.Drop("hold-h1"); err != nil {
		t.Fatal(err)
	}
	if _, ok := k.Key("wrap"); ok {
		t.Error("the dropped ring still gives keys")
	}
	if _, err := os.Stat(filepath.Join(dir, "keys", "hold-h1.ring")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the ring's file is still there: %v", err)
	}
}

// A ring that cannot be opened any more still ends: dropping it does not read it, and what a cut write left of it goes too.
func TestDropOfARottenRing(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, disktest.New(t, dir), "hold-1").Ensure(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "keys", "hold-1.ring")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".tmp", b, 0o600); err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := OpenRoot(disktest.New(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Ring("hold-1"); err == nil {
		t.Fatal("a ring with a flipped bit opens")
	}
	if err := r.Drop("hold-1"); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(file + "*"); err != nil || len(left) != 0 {
		t.Fatalf("left %v, %v", left, err)
	}
	k, err := r.Ring("hold-1")
	if err != nil || len(k.IDs()) != 0 {
		t.Fatalf("a ring of that name begun again: %v", err)
	}
}

func TestNoKeyByteLiesInClear(t *testing.T) {
	dir := t.TempDir()
	k := open(t, disktest.New(t, dir), "people")
	if err := k.Ensure(t.Context(), "person:p001"); err != nil {
		t.Fatal(err)
	}
	key, _ := k.Key("person:p001")
	b, err := os.ReadFile(filepath.Join(dir, "keys", "people.ring"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, key[:8]) || bytes.Contains(b, []byte("p001")) {
		t.Error("the ring file shows a key or an id")
	}
}

func FuzzRing(f *testing.F) {
	var root Key
	f.Add(sealRing(root, "people", map[string]Key{"person:p001": {1}}))
	f.Add([]byte(ringMagic))
	f.Add([]byte{3, 'a', 'b'})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := unsealRing(root, "people", b); err == nil && len(b) < len(ringMagic) {
			t.Fatal("accepted a short file")
		}
		keys, err := parseRing(b)
		if err == nil && len(keys) == 0 && len(b) > 0 {
			t.Fatal("accepted bytes that name no key")
		}
	})
}
