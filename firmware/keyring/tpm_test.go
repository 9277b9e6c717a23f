package keyring

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campuskeep/firmware/disk/disktest"
	"campuskeep/firmware/keyring/tpmtest"
)

// Covers F11, design §5: with a TPM the root lies in it and erasures may be called that; the disk alone gives nothing.
func TestRootInTPM(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	device, stop := tpmtest.Start(t, state)
	d := disktest.New(t, dir)
	r, want := stocked(t, d) // as the box was before it had a TPM
	if word, place := r.Label(); word != AssuranceBestEffort || place != PlaceFile {
		t.Errorf("without a TPM: %s, %s", word, place)
	}
	open := func() *Root {
		t.Helper()
		r, err := OpenRoot(d, TPMSlots(d, device)...)
		must(t, err)
		return r
	}
	r = open()
	if word, place := r.Label(); word != AssuranceBestEffort || place != PlaceFile {
		t.Errorf("before it was moved: %s, %s", word, place)
	}
	old := r.key
	must(t, r.Rotate(func(_ RootID, place string) error {
		if place != PlaceTPM {
			t.Errorf("it goes to %s", place)
		}
		return nil
	}))
	for range 3 {
		if word, place := r.Label(); word != AssuranceErased || place != PlaceTPM {
			t.Errorf("in the TPM: %s, %s", word, place)
		}
		got := map[string]Key{}
		for _, name := range ringNames {
			k, err := r.Ring(name)
			must(t, err)
			for _, id := range k.IDs() {
				got[name+"/"+id], _ = k.Key(id)
			}
		}
		if !maps.Equal(got, want) {
			t.Fatalf("keys %v", got)
		}
		stop() // the box is switched off
		device, stop = tpmtest.Start(t, state)
		r = open()
		must(t, r.Rotate(silent))
	}
	list, err := os.ReadDir(filepath.Join(dir, "keys"))
	must(t, err)
	for _, e := range list {
		b, err := os.ReadFile(filepath.Join(dir, "keys", e.Name()))
		must(t, err)
		if strings.Contains(string(b), string(r.key[:])) || strings.Contains(string(b), string(old[:])) || strings.HasPrefix(e.Name(), "root") {
			t.Errorf("%s holds a root", e.Name())
		}
	}
	if _, err := OpenRoot(d); err == nil || !strings.Contains(err.Error(), "TPM") {
		t.Errorf("without the TPM: %v", err)
	}
	stop()
	if _, err := OpenRoot(d, TPMSlots(d, device)...); err == nil {
		t.Error("opened although the TPM does not answer")
	}
}

// A new box with a TPM makes its root there; another data directory on the same TPM is refused, not overwritten.
func TestTPMOfAnotherDirectory(t *testing.T) {
	device, _ := tpmtest.Start(t, t.TempDir())
	d := disktest.New(t, t.TempDir())
	r, err := OpenRoot(d, TPMSlots(d, device)...)
	must(t, err)
	if word, _ := r.Label(); word != AssuranceErased {
		t.Error(word)
	}
	k, err := r.Ring("people")
	must(t, err)
	must(t, k.Ensure(t.Context(), "a"))
	other := disktest.New(t, t.TempDir())
	if _, err := OpenRoot(other, TPMSlots(other, device)...); err == nil || !strings.Contains(err.Error(), "another data directory") {
		t.Errorf("another directory: %v", err)
	}
	again, err := OpenRoot(d, TPMSlots(d, device)...)
	must(t, err)
	if again.key != r.key {
		t.Error("another root")
	}
}

// Covers design §5: a rotation in the TPM that loses the disk at any step is settled by the next start.
func TestRotationInTPMCutShort(t *testing.T) {
	device, _ := tpmtest.Start(t, t.TempDir())
	dir := t.TempDir()
	d := disktest.New(t, dir)
	r, err := OpenRoot(d, TPMSlots(d, device)...)
	must(t, err)
	k, err := r.Ring("people")
	must(t, err)
	must(t, k.Ensure(t.Context(), "a", "b"))
	want, _ := k.Key("a")
	for step, more := 0, true; more; step += 2 {
		d = disktest.New(t, dir)
		r, err := OpenRoot(d, TPMSlots(d, device)...)
		must(t, err)
		d.Fail(disktest.Rule{Match: func(disktest.Op) bool { return true }, After: step, Err: disktest.ErrPower})
		if err := r.Rotate(silent); err == nil {
			more = false
		} else if !errors.Is(err, disktest.ErrPower) {
			t.Fatal(err)
		}
		d.PowerCut(t, nil)
		d = disktest.New(t, dir)
		r, err = OpenRoot(d, TPMSlots(d, device)...)
		must(t, err)
		k, err := r.Ring("people")
		must(t, err)
		if got, ok := k.Key("a"); !ok || got != want {
			t.Fatalf("step %d: the key is lost", step)
		}
	}
}

// One secret in eight would have a zero in it, and would not open the chip. Covers F11.
func TestSecretsOfTheTPMHaveNoZeros(t *testing.T) {
	for range 500 {
		if s := newSecret(); len(s) != 32 || bytes.IndexByte(s, 0) >= 0 {
			t.Fatalf("secret %x", s)
		}
	}
}
