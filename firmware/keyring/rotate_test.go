package keyring

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/disk/disktest"
)

var ringNames = []string{"footage", "people", "hold-h1"}

// stocked is a root with three rings, of which some keys were erased, and what the rings hold.
func stocked(t testing.TB, fsys disk.FS) (*Root, map[string]Key) {
	t.Helper()
	r, err := OpenRoot(fsys)
	must(t, err)
	want := map[string]Key{}
	for _, name := range ringNames {
		k, err := r.Ring(name)
		must(t, err)
		must(t, k.Ensure(t.Context(), "a", "b", "c"))
		must(t, k.Erase("b"))
		for _, id := range k.IDs() {
			want[name+"/"+id], _ = k.Key(id)
		}
	}
	return r, want
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// held reads all keys after a start, and sees that the start left nothing of a rotation.
func held(t testing.TB, dir string) (*Root, map[string]Key) {
	t.Helper()
	r, err := OpenRoot(disktest.New(t, dir))
	must(t, err)
	got := map[string]Key{}
	for _, name := range ringNames {
		k, err := r.Ring(name)
		must(t, err)
		for _, id := range k.IDs() {
			got[name+"/"+id], _ = k.Key(id)
		}
	}
	list, err := os.ReadDir(filepath.Join(dir, "keys"))
	must(t, err)
	roots := 0
	for _, e := range list {
		switch {
		case strings.HasPrefix(e.Name(), "root"):
			roots++
		case !strings.HasSuffix(e.Name(), ".ring"):
			t.Errorf("%s is left", e.Name())
		}
	}
	if roots != 1 {
		t.Errorf("%d roots are stored", roots)
	}
	return r, got
}

func silent(RootID, string) error { return nil }

// Covers F11: after a rotation the same keys are there, under another root, and the old root opens nothing.
func TestRotationKeepsTheKeysAndForgetsTheRoot(t *testing.T) {
	dir := t.TempDir()
	r, want := stocked(t, disktest.New(t, dir))
	old, before := r.key, r.ID()
	var announced RootID
	must(t, r.Rotate(func(id RootID, place string) error {
		if announced = id; place != PlaceFile || id == before {
			t.Errorf("announced %x in %s, it is %x", id, place, before)
		}
		return nil
	}))
	if r.ID() != announced || r.key == old {
		t.Error("the root is not the announced one")
	}
	for _, name := range ringNames {
		b, err := os.ReadFile(filepath.Join(dir, "keys", name+".ring"))
		must(t, err)
		if _, err := unsealRing(old, name, b); err == nil {
			t.Errorf("the old root opens %s", name)
		}
	}
	k, err := r.Ring("people")
	must(t, err)
	must(t, k.Ensure(t.Context(), "later"))
	want["people/later"], _ = k.Key("later")
	for range 3 { // back and forth between the slots
		var got map[string]Key
		if r, got = held(t, dir); !maps.Equal(got, want) {
			t.Fatalf("keys %v", slices.Sorted(maps.Keys(got)))
		}
		must(t, r.Rotate(silent))
	}
	if err := r.Rotate(func(RootID, string) error { return errors.New("the log is full") }); err == nil {
		t.Error("rotated without the announcement")
	}
	if _, got := held(t, dir); !maps.Equal(got, want) {
		t.Error("a refused rotation changed the keys")
	}
}

// Covers F11, design §5: at whatever step a rotation is killed, fails, fails although it was done, or loses its power:
// the next start has all keys, none that was erased, one root, and nothing half-done.
func TestRotationCutShortAtEveryStep(t *testing.T) {
	broken := errors.New("broken")
	for _, how := range []string{"killed", "fails", "fails but done", "power cut", "power cut by chance"} {
		for step, more := 0, true; more; step++ {
			name := fmt.Sprintf("%s at step %d", how, step)
			dir := t.TempDir()
			d := disktest.New(t, dir)
			r, want := stocked(t, d)
			d = disktest.New(t, dir) // what was there is durable
			r.fs, r.slots = d, fileSlots(d)
			rule := disktest.Rule{Match: func(disktest.Op) bool { return true }, After: step, Err: broken, Done: how == "fails but done"}
			if strings.HasPrefix(how, "fails") {
				rule.Times = 1
			}
			restore := d.Fail(rule)
			err := r.Rotate(silent)
			restore()
			more = err != nil
			if strings.HasPrefix(how, "fails") {
				// The process lives on: either it can write keys that last, or it says that it cannot.
				k, err := r.Ring("people")
				must(t, err)
				switch err := k.Ensure(t.Context(), "later"); {
				case err == nil:
					want["people/later"], _ = k.Key("later")
					must(t, k.Erase("a"))
					delete(want, "people/a")
				case !errors.Is(err, ErrHalfRotated):
					t.Fatalf("%s: %v", name, err)
				}
			}
			switch how {
			case "power cut":
				d.PowerCut(t, nil)
			case "power cut by chance":
				d.PowerCut(t, rand.New(rand.NewPCG(uint64(step), 7)))
			}
			again, got := held(t, dir)
			if !maps.Equal(got, want) {
				t.Fatalf("%s: keys %v, want %v", name, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
			must(t, again.Rotate(silent))
			if _, got := held(t, dir); !maps.Equal(got, want) {
				t.Fatalf("%s: and then rotated", name)
			}
			if step > 200 {
				t.Fatal("it never succeeds")
			}
		}
	}
}

// Covers F11: any order of making keys, erasing, rotating, crashing in the middle and starting again gives what a
// plain map gives.
func TestRingsAgainstAModel(t *testing.T) {
	base := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		dir := filepath.Join(base, fmt.Sprint(n))
		must(t, os.Mkdir(dir, 0o700))
		d := disktest.New(t, dir)
		r, want := stocked(t, d)
		start := func() {
			var got map[string]Key
			if r, got = held(t, dir); !maps.Equal(got, want) {
				rt.Fatalf("keys %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
			d = disktest.New(t, dir)
			r.fs, r.slots = d, fileSlots(d)
		}
		start()
		rt.Repeat(map[string]func(*rapid.T){
			"make": func(rt *rapid.T) {
				name, id := rapid.SampledFrom(ringNames).Draw(rt, "ring"), rapid.StringMatching("[a-e]").Draw(rt, "id")
				k, err := r.Ring(name)
				must(t, err)
				must(t, k.Ensure(t.Context(), id))
				want[name+"/"+id], _ = k.Key(id)
			},
			"erase": func(rt *rapid.T) {
				name, id := rapid.SampledFrom(ringNames).Draw(rt, "ring"), rapid.StringMatching("[a-e]").Draw(rt, "id")
				k, err := r.Ring(name)
				must(t, err)
				must(t, k.Erase(id))
				delete(want, name+"/"+id)
			},
			"rotate": func(*rapid.T) { must(t, r.Rotate(silent)) },
			"rotate and lose the power": func(rt *rapid.T) {
				d.Fail(disktest.Rule{Match: func(disktest.Op) bool { return true }, After: rapid.IntRange(0, 40).Draw(rt, "step"), Err: disktest.ErrPower})
				_ = r.Rotate(silent) // as far as it comes
				d.PowerCut(t, rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "chance"), 1)))
				start()
			},
			"start": func(*rapid.T) { start() },
		})
	})
}

// A ring whose file has rotted stops no rotation: one that the box has read is whole again, another is set aside by
// name, is not taken for an empty one, and can still be dropped.
func TestRotationWithARottenRing(t *testing.T) {
	for name, read := range map[string]bool{"set aside": false, "written from memory": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r, want := stocked(t, disktest.New(t, dir))
			flipLast(t, filepath.Join(dir, "keys", "hold-h1.ring"))
			if !read {
				var err error
				r, err = OpenRoot(disktest.New(t, dir))
				must(t, err)
				if _, err := r.Ring("hold-h1"); err == nil {
					t.Fatal("a rotten ring was opened")
				}
			}
			must(t, r.Rotate(silent))
			must(t, r.Rotate(silent))
			aside, err := r.Aside()
			must(t, err)
			if read {
				if _, got := held(t, dir); !maps.Equal(got, want) || len(aside) > 0 {
					t.Fatalf("keys %v, set aside %v", slices.Sorted(maps.Keys(got)), aside)
				}
				return
			}
			if !slices.Equal(aside, []string{"hold-h1"}) {
				t.Errorf("set aside: %v", aside)
			}
			r, err = OpenRoot(disktest.New(t, dir))
			must(t, err)
			if _, err := r.Ring("hold-h1"); err == nil || !strings.Contains(err.Error(), "hold-h1.ring.rotten") {
				t.Errorf("opened: %v", err)
			}
			people, err := r.Ring("people")
			must(t, err)
			if len(people.IDs()) != 2 {
				t.Errorf("people has %v", people.IDs())
			}
			must(t, r.Drop("hold-h1"))
			if k, err := r.Ring("hold-h1"); err != nil || len(k.IDs()) > 0 {
				t.Errorf("after it was dropped: %v", err)
			}
			_, got := held(t, dir)
			for id := range want {
				if _, ok := got[id]; ok == strings.HasPrefix(id, "hold-h1/") {
					t.Errorf("%s is there: %v", id, ok)
				}
			}
		})
	}
}

// A ring that rots between a rotation cut short and the start stops only itself.
func TestAStartFinishesARotationOverARottenRing(t *testing.T) {
	for step := range 60 {
		dir := t.TempDir()
		d := disktest.New(t, dir)
		r, want := stocked(t, d)
		d = disktest.New(t, dir)
		r.fs, r.slots = d, fileSlots(d)
		d.Fail(disktest.Rule{Match: func(disktest.Op) bool { return true }, After: step, Err: errors.New("killed")})
		if r.Rotate(silent) == nil {
			return
		}
		for _, file := range []string{"hold-h1.ring", "hold-h1.ring.new"} {
			if _, err := os.Stat(filepath.Join(dir, "keys", file)); err == nil {
				flipLast(t, filepath.Join(dir, "keys", file))
			}
		}
		again, err := OpenRoot(disktest.New(t, dir))
		if err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		for _, name := range []string{"footage", "people"} {
			k, err := again.Ring(name)
			must(t, err)
			for _, id := range []string{"a", "c"} {
				if key, _ := k.Key(id); key != want[name+"/"+id] {
					t.Fatalf("step %d: %s/%s is another", step, name, id)
				}
			}
		}
		if _, err := again.Ring("hold-h1"); err == nil {
			t.Fatalf("step %d: the rotten ring was opened", step)
		}
	}
	t.Fatal("it never succeeds")
}

func flipLast(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	b[len(b)-1] ^= 1
	must(t, os.WriteFile(file, b, 0o600))
}
