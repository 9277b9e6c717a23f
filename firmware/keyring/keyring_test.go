package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

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

func TestManyCallersShareWrites(t *testing.T) {
	dir := t.TempDir()
	d := disktest.New(t, dir)
	k := open(t, d, "people")
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			if err := k.Ensure(t.Context(), fmt.Sprintf("student:s%04d", i), "application:a2026-0001"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(k.IDs()); n != 65 {
		t.Fatalf("%d keys, want 65", n)
	}
	if n := len(open(t, disktest.New(t, dir), "people").IDs()); n != 65 {
		t.Fatalf("%d keys in the file, want 65", n)
	}
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
