package appliance

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/keyring"
	"campuskeep/firmware/keyring/tpmtest"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// rootEntries are the entries about root keys, as "intent" and "done" with the beginning of the root's name.
func rootEntries(t *testing.T, c Config) (out []string) {
	t.Helper()
	for _, e := range exported(t, c) {
		var d struct{ Root []byte }
		switch e.Kind {
		case "key.root.intent", "key.root":
			if err := json.Unmarshal(e.Data, &d); err != nil {
				t.Fatal(err)
			}
			out = append(out, strings.TrimPrefix(string(e.Kind), "key.")+" "+string(rune('A'+slices.Index(allRoots(t, c), string(d.Root)))))
		}
	}
	return out
}

// allRoots lists the roots in the order in which the log first names them.
func allRoots(t *testing.T, c Config) (roots []string) {
	t.Helper()
	for _, e := range exported(t, c) {
		var d struct{ Root []byte }
		if strings.HasPrefix(string(e.Kind), "key.root") && json.Unmarshal(e.Data, &d) == nil && !slices.Contains(roots, string(d.Root)) {
			roots = append(roots, string(d.Root))
		}
	}
	return roots
}

// Covers F11, design §5: the root key is rotated on a running and on a stopped box; each is announced and confirmed in
// the log, also when a crash came between, and what was sealed before is read after.
func TestRotateRootRunningStoppedAndCutShort(t *testing.T) {
	c := testConfig(t)
	a, stop := running(t, c)
	ring, err := a.root.Ring("footage")
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.Ensure(t.Context(), "c01:2026-03-01"); err != nil {
		t.Fatal(err)
	}
	key, _ := ring.Key("c01:2026-03-01")
	if got := get(t, a, "/healthz"); got != 200 { // it is up
		t.Fatal(got)
	}
	var out bytes.Buffer
	if err := RotateRoot(t.Context(), c, &out); err != nil || !strings.Contains(out.String(), "a file") {
		t.Fatalf("running: %v, %q", err, out.String())
	}
	if k := (status{a}).Retention(); k.Rotated.IsZero() || k.Assurance != keyring.AssuranceBestEffort || k.RootPlace != keyring.PlaceFile {
		t.Errorf("keeping tells %v, %s, %s", k.Rotated, k.Assurance, k.RootPlace)
	}
	stop()
	if err := RotateRoot(t.Context(), c, &out); err != nil {
		t.Fatalf("stopped: %v", err)
	}
	// A crash after the announcement: the next start says which root it is.
	if a, err = Open(t.Context(), c, Deps{}); err != nil {
		t.Fatal(err)
	}
	end := a.Base(t.Context())
	crash := errors.New("crash")
	err = a.root.Rotate(func(id keyring.RootID, place string) error {
		return errors.Join(a.rootKey.Announce(t.Context(), id, place), crash)
	})
	if !errors.Is(err, crash) {
		t.Fatal(err)
	}
	if err := errors.Join(end(), a.Close()); err != nil {
		t.Fatal(err)
	}
	a, stop = running(t, c)
	get(t, a, "/healthz")
	if ring, err = a.root.Ring("footage"); err != nil {
		t.Fatal(err)
	}
	if again, ok := ring.Key("c01:2026-03-01"); !ok || again != key {
		t.Error("the key of a camera-day is lost")
	}
	stop()
	if got, want := rootEntries(t, c), []string{"root.intent A", "root A", "root.intent B", "root B", "root.intent C", "root B"}; !slices.Equal(got, want) {
		t.Errorf("the log says %q, want %q", got, want)
	}
	list, err := filepath.Glob(filepath.Join(c.Appliance.Data, "keys", "root*"))
	if err != nil || len(list) != 1 {
		t.Errorf("roots %v, %v", list, err)
	}
	if found, err := Check(t.Context(), c, true, &out); err != nil || found != 0 {
		t.Errorf("check: %d, %v: %s", found, err, out.String())
	}
}

// Covers F3: the site's refusal shows the arithmetic; a stopped box is not asked.
func TestCamerasThatDoNotFitAreRefused(t *testing.T) {
	c := testConfig(t)
	a, err := Open(t.Context(), c, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	end := a.Base(t.Context())
	defer func() {
		if err := errors.Join(end(), a.Close()); err != nil {
			t.Error(err)
		}
	}()
	<-a.Vault.Recovered()
	huge := []footage.Camera{{ID: "c01", Custody: footage.CustodyVault, Main: "rtsp://c", Kbps: 100_000, Policy: footage.Policy{Days: 365}}}
	if err := a.checkCapacity(huge); err != nil {
		t.Errorf("a stopped box: %v", err)
	}
	a.running.Store(true)
	if err := a.checkCapacity(huge); err == nil || !strings.Contains(err.Error(), "err.room_unknown") {
		t.Errorf("before the disk was asked: %v", err)
	}
	if err := a.Retention.Review(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.checkCapacity(huge); err == nil || !strings.Contains(err.Error(), "custody: err.room [1.1 TB 395 TB") {
		t.Errorf("an impossible camera: %v", err)
	}
	if err := a.checkCapacity(nil); err != nil {
		t.Errorf("none: %v", err)
	}
}

// Covers F11, design §5: with a TPM the root moves into it, erasures of later keys are worth the word, and the root is
// turned by itself within a day after keys were erased, not without reason.
func TestRootInTheTPMTurnsAfterErasures(t *testing.T) {
	c := testConfig(t)
	_, stop := running(t, c)
	stop()
	c.Keys.TPM, _ = tpmtest.Start(t, t.TempDir())
	a, stop := running(t, c)
	get(t, a, "/healthz")
	now := a.Timekeeper.Now().Wall
	if got := a.rootKey.Assurance(now); got != keyring.AssuranceBestEffort {
		t.Errorf("while the root lies in a file: %s", got)
	}
	var out bytes.Buffer
	if err := RotateRoot(t.Context(), c, &out); err != nil || !strings.Contains(out.String(), "TPM") {
		t.Fatalf("%v, %q", err, out.String())
	}
	if before, after := a.rootKey.Assurance(now.Add(-time.Hour)), a.rootKey.Assurance(now.Add(time.Hour)); before != keyring.AssuranceBestEffort || after != keyring.AssuranceErased {
		t.Errorf("keys made before: %s, after: %s", before, after)
	}
	turned := func(later time.Duration) bool {
		t.Helper()
		was := a.root.ID()
		if err := a.rootKey.TurnDue(t.Context(), clock.Reading{Wall: time.Unix(0, 0), Mono: later}); err != nil { // whatever the wall clock claims
			t.Fatal(err)
		}
		return a.root.ID() != was
	}
	if turned(48 * time.Hour) {
		t.Error("turned although no key was erased")
	}
	if err := a.enter(t.Context(), "key.erased", "c01", map[string]any{"ring": "footage", "keys": []string{"c01:2026-03-01"}}); err != nil {
		t.Fatal(err)
	}
	if turned(49*time.Hour) || turned(72*time.Hour) || !turned(74*time.Hour) || turned(100*time.Hour) {
		t.Error("not turned once within the day")
	}
	stop()
	if found, err := Check(t.Context(), c, true, &out); err != nil || found != 0 {
		t.Errorf("check: %d, %v: %s", found, err, out.String())
	}
}
