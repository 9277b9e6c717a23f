package sync_test

import (
	"bytes"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"campuskeep/cloud/centre"
	"campuskeep/cloud/centredb"
	"campuskeep/cloud/centredb/storetest"
	boxstore "campuskeep/firmware/ledgerdb"
	"campuskeep/scripts/sim/sync"
	"campuskeep/shared/ledger"
)

const id = "ck-0001"

func logger(t *testing.T) *slog.Logger {
	if !testing.Verbose() {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// eventually waits for a condition of the outside world, looking often.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(60 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

func startCentre(t *testing.T, cfg centre.Config) *sync.Centre {
	t.Helper()
	c, err := sync.StartCentre(cfg, centre.Deps{Log: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func startBox(t *testing.T, c *sync.Centre, dir string) *sync.Box {
	t.Helper()
	b, err := sync.StartBox(dir, id, c.Addresses.Enrol, c.Fingerprint(), logger(t))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func enrol(t *testing.T, c *sync.Centre, b *sync.Box) {
	t.Helper()
	token, _, err := c.Enrol.Token(t.Context(), b.ID, "云汀第一小学")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Uplink.Enrol(t.Context(), token); err != nil {
		t.Fatal(err)
	}
}

func stop(t *testing.T, what string, f func() error) {
	t.Helper()
	if err := f(); err != nil {
		t.Errorf("stop %s: %v", what, err)
	}
}

func witnessed(b *sync.Box) bool {
	n, _ := b.Store.Witnessed()
	return n == b.Store.Size() && n > 0
}

// checkI8 compares the centre with the box's own export.
func checkI8(t *testing.T, c *sync.Centre, b *sync.Box) {
	t.Helper()
	var export bytes.Buffer
	size, err := b.Store.Export(t.Context(), &export)
	if err != nil {
		t.Fatal(err)
	}
	n, err := centre.CheckBox(t.Context(), c.Store, b.ID, &export, func(f centre.Finding) { t.Errorf("check: %v", f) })
	if err != nil || n.Leaves != size {
		t.Errorf("check compared %+v of %d leaves: %v", n, size, err)
	}
}

// Covers I8, design §6: enrolment, batches, cosigned acknowledgements, released text at the centre and
// nothing that is withheld, the centre's time.
func TestFromTheBoxToTheCentre(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { fromBoxToCentre(t, sync.Config(t.TempDir())) })
	t.Run("postgres", func(t *testing.T) {
		cfg := sync.Config(t.TempDir())
		cfg.Database.Engine, cfg.Database.DSN = centre.EnginePostgres, storetest.Server(t)
		fromBoxToCentre(t, cfg)
	})
}

func fromBoxToCentre(t *testing.T, cfg centre.Config) {
	c := startCentre(t, cfg)
	defer stop(t, "centre", c.Stop)
	b := startBox(t, c, t.TempDir())
	defer stop(t, "box", b.Stop)
	enrol(t, c, b)
	defer stop(t, "uplink", b.Connect())
	if err := b.Tap(t.Context(), 30); err != nil {
		t.Fatal(err)
	}
	secret := "只有学校知道的表格内容"
	_, err := b.Store.Commit(t.Context(), boxstore.Change{Entries: []ledger.Draft{{
		Actor: ledger.Actor{ID: "p007", Role: "staff"}, Via: ledger.ViaWeb, Kind: "application.submitted", Subject: "a2026-0001",
		Data:   map[string]any{"places": 1, "spans": []map[string]any{{"from": time.Now().Add(-time.Hour), "to": time.Now()}}, "way": "view"},
		Sealed: []ledger.Part{{Name: "purpose", Owner: "application:a2026-0001", Plain: []byte("寻找丢失的自行车")}, {Name: "form", Owner: "application:a2026-0001", Plain: []byte(secret)}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "everything witnessed", func() bool { return witnessed(b) })
	eventually(t, "the purpose at the centre", func() bool {
		a, err := c.Store.Application(t.Context(), id, "a2026-0001")
		return err == nil && a.Purpose == "寻找丢失的自行车" && a.State == centredb.AppSubmitted
	})
	day, err := c.Store.AttendanceToday(t.Context(), id, time.Now().UTC().Format(time.DateOnly))
	if err != nil || day.Taps != 30 {
		t.Errorf("attendance at the centre: %+v %v", day, err)
	}
	s, err := c.Store.School(t.Context(), id, time.Now())
	if err != nil || s.Status != centredb.StatusHealthy || !s.Online || s.Witnessed != b.Store.Size() {
		t.Errorf("school: %+v %v", s, err)
	}
	select {
	case o := <-b.Times:
		if d := time.Since(o.UTC).Abs(); d > time.Minute {
			t.Errorf("the centre's time is off by %v", d)
		}
	default:
		t.Error("the centre's time did not arrive")
	}
	checkI8(t, c, b)
	// What the table of kinds withholds is nowhere in what the centre keeps.
	err = filepath.WalkDir(c.Config.Centre.Data, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(secret)) {
			t.Errorf("%s holds a withheld part", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A stranger gets in nowhere: not with a wrong or spent token, not with another's identity, not once denied.
func TestWhoIsNotEnrolledStaysOutside(t *testing.T) {
	c := startCentre(t, sync.Config(t.TempDir()))
	defer stop(t, "centre", c.Stop)
	b := startBox(t, c, t.TempDir())
	defer stop(t, "box", b.Stop)
	if err := b.Uplink.Enrol(t.Context(), "guess"); err == nil {
		t.Error("a guessed token enrols")
	}
	other, _, err := c.Enrol.Token(t.Context(), "ck-0002", "别的学校")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Uplink.Enrol(t.Context(), other); err == nil {
		t.Error("another appliance's token enrols")
	}
	if b.Uplink.Status().Enrolled {
		t.Error("enrolled by a refused token")
	}
	enrol(t, c, b)
	disconnect := b.Connect()
	eventually(t, "connected", func() bool { return b.Uplink.Status().Connected })
	if err := c.Enrol.Deny(t.Context(), id, "stolen"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "kicked at once", func() bool { return !b.Uplink.Status().Connected })
	size := b.Store.Size()
	if err := b.Tap(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	eventually(t, "refused", func() bool { return b.Uplink.Status().Fault == "refused" })
	if s, err := c.Store.School(t.Context(), id, time.Now()); err != nil || s.Witnessed > size {
		t.Errorf("a denied appliance still ships: %+v %v", s, err)
	}
	stop(t, "uplink", disconnect)
	// Another authority's fingerprint: the box does not even talk to it.
	wrong, err := sync.StartBox(t.TempDir(), "ck-0003", c.Addresses.Enrol, "sha256:"+string(bytes.Repeat([]byte("0"), 64)), logger(t))
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, "box", wrong.Stop)
	if err := wrong.Uplink.Enrol(t.Context(), "x"); err == nil {
		t.Error("a centre of another authority is believed")
	}
}

// copyDir copies a stopped box or centre: the image that someone restores tomorrow.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "image")
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copy: %v\n%s", err, out)
	}
	return to
}

// A box restored from yesterday's copy does not know it; it continues under an epoch that the centre grants, and
// the centre keeps what the box has forgotten.
func TestBoxRestoredFromYesterdaysCopy(t *testing.T) {
	c := startCentre(t, sync.Config(t.TempDir()))
	defer stop(t, "centre", c.Stop)
	dir := t.TempDir()
	b := startBox(t, c, dir)
	enrol(t, c, b)
	run := func(b *sync.Box, taps int) {
		disconnect := b.Connect()
		if err := b.Tap(t.Context(), taps); err != nil {
			t.Fatal(err)
		}
		eventually(t, "witnessed", func() bool { return witnessed(b) && b.Uplink.Status().InStep })
		stop(t, "uplink", disconnect)
	}
	run(b, 20)
	stop(t, "box", b.Stop)
	image := copyDir(t, dir)
	b = startBox(t, c, dir)
	run(b, 15)
	lost := b.Store.Size()
	stop(t, "box", b.Stop)

	b = startBox(t, c, image)
	defer func() { stop(t, "box", b.Stop) }()
	fork := b.Store.Size()
	run(b, 5)
	if b.Store.Epoch() != 2 {
		t.Errorf("epoch %d after a restore, want 2", b.Store.Epoch())
	}
	checkI8(t, c, b)
	old, err := c.Store.Entries(t.Context(), id, centredb.EntryFilter{Epoch: 1}, centredb.Page{Limit: 500})
	if err != nil || uint64(len(old)) != lost {
		t.Errorf("the centre keeps %d leaves of the first epoch, want %d (fork at %d): %v", len(old), lost, fork, err)
	}
	alarms, err := c.Store.Alarms(t.Context(), id, true, 10)
	if err != nil || len(alarms) == 0 || alarms[0].Ours == nil || alarms[0].Theirs == nil {
		t.Errorf("no alarm with both checkpoints: %+v %v", alarms, err)
	}
}

// A centre restored from yesterday's copy finds out from its own signatures, and receives again what it lost.
func TestCentreRestoredFromYesterdaysCopy(t *testing.T) {
	dir := t.TempDir()
	cfg := sync.Config(dir)
	c := startCentre(t, cfg)
	b := startBox(t, c, t.TempDir())
	defer stop(t, "box", b.Stop)
	enrol(t, c, b)
	disconnect := b.Connect()
	if err := b.Tap(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	eventually(t, "witnessed", func() bool { return witnessed(b) })
	addresses := c.Addresses
	stop(t, "centre", c.Stop)
	image := copyDir(t, dir)
	cfg.Broker.Listen = addresses.Broker
	c = startCentre(t, cfg)
	before, err := c.Store.Incarnation(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Tap(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	eventually(t, "witnessed", func() bool { return witnessed(b) })
	stop(t, "centre", c.Stop)

	cfg.Centre.Data = image
	c = startCentre(t, cfg)
	defer func() { stop(t, "centre", c.Stop) }()
	eventually(t, "a new incarnation", func() bool {
		inc, err := c.Store.Incarnation(t.Context())
		return err == nil && inc.ID != before.ID
	})
	eventually(t, "everything again", func() bool {
		s, err := c.Store.School(t.Context(), id, time.Now())
		return err == nil && s.Witnessed == b.Store.Size() && witnessed(b)
	})
	stop(t, "uplink", disconnect)
	checkI8(t, c, b)
}

func storeFilter(query string) centredb.ApplicationFilter {
	return centredb.ApplicationFilter{Query: query}
}
