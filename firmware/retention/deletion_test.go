package retention

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"campuskeep/firmware/disk/disktest"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/vault"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

// Covers F3: what cannot be unlinked stays condemned: refused, alarmed, without a deletion entry; it goes later.
func TestFailingUnlinkStaysCondemned(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 10)
	stuck := h.rows("c01")[4]
	restore := h.disk.Fail(disktest.Rule{Match: disktest.Match("remove", stuck.File.String()), Err: syscall.EIO})
	h.clock.Pass(31 * day)
	res := h.sweep()
	if res.Failed != 1 || h.files("c01") != 1 {
		t.Fatalf("%+v, %d files", res, h.files("c01"))
	}
	h.sweep()
	failed := h.entries("footage.unlinkfailed")
	if len(failed) != 1 || failed[0].Count != 1 || failed[0].Reason != "io" || failed[0].Subject != "c01" {
		t.Fatalf("entries %+v", failed)
	}
	if h.deleted() != 9 || len(h.entries("key.erased")) != 0 {
		t.Fatalf("%d deleted, keys %+v", h.deleted(), h.entries("key.erased"))
	}
	// Not even a hold that comes now brings it back.
	h.hold(footage.Hold{ID: "h1", Cameras: []string{"c01"}, Span: footage.Span{From: morning, To: morning.Add(day)}, Until: morning.Add(90 * day)})
	if _, err := h.source().OpenSegment(t.Context(), stuck); !errors.Is(err, footage.ErrCondemned) {
		t.Fatalf("a condemned segment opens: %v", err)
	}
	if f := h.findings(); len(f) != 1 || f[0].Invariant != "I4" {
		t.Fatalf("findings %+v", f)
	}
	h.restart() // the real disk again
	restore()
	h.sweep()
	if h.files("c01") != 0 || h.deleted() != 10 || len(h.entries("footage.deleted")) != 2 || len(h.entries("key.erased")) != 1 {
		t.Fatalf("%d files, %d deleted", h.files("c01"), h.deleted())
	}
	h.check()
}

// A directory that cannot be synced may bring its names back: not deleted until it can.
func TestUnsyncedDirectoryIsNotDeleted(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 3)
	restore := h.disk.Fail(disktest.Rule{Match: disktest.Match("syncdir", "c01/"), Err: syscall.EIO})
	h.clock.Pass(31 * day)
	if res := h.sweep(); res.Failed != 3 || h.deleted() != 0 {
		t.Fatalf("%+v, %d deleted", res, h.deleted())
	}
	restore()
	h.sweep()
	if h.deleted() != 3 {
		t.Fatalf("%d deleted", h.deleted())
	}
	h.check()
}

// Covers F4, F14: a hold keeps footage readable past its time, its day key dies on time, and it goes with its end.
func TestHoldKeepsAndEnds(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 120)
	span := footage.Span{From: morning.Add(30 * time.Minute), To: morning.Add(40 * time.Minute)}
	h.hold(footage.Hold{ID: "h1", Cameras: []string{"c01"}, Span: span, Until: morning.Add(45 * day)})
	h.hold(footage.Hold{ID: "h2", Cameras: []string{"c01"}, Span: footage.Span{From: span.From, To: span.From.Add(2 * time.Minute)}, Until: morning.Add(60 * day)})
	h.clock.Pass(31 * day)
	res := h.sweep()
	if res.Held == 0 || h.files("c01") != res.Held {
		t.Fatalf("%+v, %d files", res, h.files("c01"))
	}
	if res.Held < 10 || res.Held > 14 { // the span, and what overlaps it within the drift of 31 days
		t.Fatalf("%d held", res.Held)
	}
	if len(h.keys.IDs()) != 0 {
		t.Fatalf("the day key lives on: %v", h.keys.IDs())
	}
	list, err := h.source().Segments(t.Context(), "c01", span)
	h.must(err)
	if len(list) != 10 {
		t.Fatalf("%d segments of the held span are shown", len(list))
	}
	for _, p := range list {
		r, err := h.source().OpenSegment(t.Context(), p.Segment)
		h.must(err)
		if b, err := r.Fragment(0); err != nil || string(b) != "moof mdat of c01" {
			t.Fatalf("held fragment %q, %v", b, err)
		}
		h.must(r.Close())
	}
	h.check()
	h.restart()
	h.sweep()
	h.clock.Pass(20 * day) // the first hold has ended
	h.sweep()
	left := h.files("c01")
	if left < 2 || left > 6 {
		t.Fatalf("%d files under the second hold", left)
	}
	if kept, err := h.vault.Kept(); err != nil || len(kept) != 1 || kept[0] != "h2" {
		t.Fatalf("hold rings %v, %v", kept, err)
	}
	h.check()
	h.release("h2")
	h.sweep()
	if kept, err := h.vault.Kept(); err != nil || len(kept) != 0 || h.files("c01") != 0 || h.deleted() != 120 {
		t.Fatalf("rings %v, %v, %d files, %d deleted", kept, err, h.files("c01"), h.deleted())
	}
	h.check()
}

// A hold that is registered between the look and the commit of the watermark still counts.
func TestHoldBeforeTheWatermarkCommitCounts(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 3)
	h.clock.Pass(31 * day)
	calls := 0
	inner := h.r.o.Holds
	h.r.o.Holds = func(tx ledgerdb.Tx) ([]footage.Hold, error) {
		calls++
		list, err := inner(tx)
		if calls >= 3 { // the look of the sweep, the look of the round, then the commit
			list = append(list, footage.Hold{ID: "h1", Cameras: []string{"c01"}, Span: footage.Span{From: morning, To: morning.Add(day)}, Until: morning.Add(90 * day)})
		}
		return list, err
	}
	res := h.sweep()
	if res.Unlinked != 0 || res.Held != 3 || calls < 4 {
		t.Fatalf("%+v after %d looks", res, calls)
	}
	h.check()
}

// Covers F3: every hour is bound before anybody asks, also over restarts and with an index that was lost.
func TestHoursAreBoundOnce(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 150)
	h.sweep()
	h.sweep()
	if n := len(h.entries("footage.recorded")); n != 2 {
		t.Fatalf("%d entries for two complete hours", n)
	}
	h.restart()
	h.record("c01", 60)
	h.sweep()
	if n := len(h.entries("footage.recorded")); n != 3 {
		t.Fatalf("%d entries for three complete hours", n)
	}
	h.clock.reboot("boot-2", h.clock.Now().Wall)
	h.sweep()
	list := h.entries("footage.recorded")
	total := 0
	for i, d := range list {
		total += d.Count
		if i > 0 && !d.First.After(list[i-1].First) {
			t.Errorf("entries out of order: %+v", list)
		}
	}
	if len(list) != 4 || total != 210 {
		t.Fatalf("%d entries, %d segments", len(list), total)
	}
	var leaves []packet.Hash
	for _, s := range h.rows("c01")[:60] {
		leaves = append(leaves, packet.SegmentLeaf(s))
	}
	if root := packet.TreeRoot(leaves); !bytes.Equal(root[:], list[0].Root) {
		t.Error("the root does not bind the segments of the hour")
	}
	h.check()
}

// Files that vanish are reported; too many of them are a matter of the disk, and no row is touched.
func TestReconcileTellsWhatIsMissing(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 40)
	rows := h.rows("c01")
	remove := func(s footage.Segment) {
		h.must(h.disk.Remove(s.Camera + "/" + s.Day + "/" + s.File.String() + ".ckf"))
	}
	remove(rows[3])
	h.must(h.r.Reconcile(t.Context()))
	list := h.entries("footage.damaged")
	if len(list) != 1 || list[0].File != rows[3].File.String() || list[0].Reason != "missing" || len(h.rows("c01")) != 39 {
		t.Fatalf("entries %+v, %d rows", list, len(h.rows("c01")))
	}
	if f := h.findings(); len(f) != 1 || f[0].Invariant != "I3" || !strings.Contains(f[0].Where, rows[3].File.String()) {
		t.Fatalf("findings %+v", f) // though its row is gone
	}
	for _, s := range rows[10:30] {
		remove(s)
	}
	h.must(h.r.Reconcile(t.Context()))
	if len(h.rows("c01")) != 39 || len(h.entries("footage.damaged")) != 1 {
		t.Fatalf("a reconcile took %d rows", 39-len(h.rows("c01")))
	}
	if f := h.findings(); len(f) != 21 || f[0].Invariant != "I3" {
		t.Fatalf("%d findings", len(f))
	}
	if _, err := h.source().OpenSegment(t.Context(), rows[12]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file opens: %v", err)
	}
}

// A file that vanished is entered before its row goes: when the log takes nothing the row stays, and the next reconcile
// tells it.
func TestAMissingFileIsEnteredBeforeItsRowGoes(t *testing.T) {
	h := newEnv(t)
	h.record("c01", 40)
	rows := h.rows("c01")
	h.must(h.disk.Remove(rows[3].Camera + "/" + rows[3].Day + "/" + rows[3].File.String() + ".ckf"))
	people, err := h.root.Ring("people")
	h.must(err)
	stopped, err := ledgerdb.Open(ledgerdb.Options{Dir: t.TempDir(), Origin: "campuskeep/ck-stopped", Clock: h.clock, People: people,
		Signer: ed25519.NewKeyFromSeed([]byte("campuskeep test log signing key!"))})
	h.must(err)
	well := h.r.o.Store
	h.r.o.Store = stopped // nobody runs it
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := h.r.Reconcile(ctx); err == nil || len(h.rows("c01")) != 40 {
		t.Errorf("%v, and %d rows are left", err, len(h.rows("c01")))
	}
	h.r.o.Store = well
	h.must(stopped.Close())
	h.must(h.r.Reconcile(t.Context()))
	if list := h.entries("footage.damaged"); len(list) != 1 || list[0].Reason != "missing" || len(h.rows("c01")) != 39 {
		t.Errorf("afterwards: entries %+v, %d rows", list, len(h.rows("c01")))
	}
}

// A box that deletes while it is checked is in order: what went meanwhile is no finding, whether its hour is accounted for
// already or not; what was missing before is one.
func TestASweepDuringACheckIsNoFinding(t *testing.T) {
	for _, minutes := range []time.Duration{10, 70} { // of the second camera, past its time when the check is half through
		h := newEnv(t)
		h.cameras[1].Policy.Days = 30
		h.record("c01", 5)
		h.record("c02", 80)
		h.sweep()
		first := h.rows("c01")[0]
		h.clock.Pass(30*day - 85*time.Minute)
		h.must(h.disk.Remove(first.Camera + "/" + first.Day + "/" + first.File.String() + ".ckf"))
		var found []vault.Finding
		err := h.r.Check(t.Context(), true, func(f vault.Finding) {
			if found = append(found, f); len(found) == 1 {
				h.clock.Pass((5 + minutes) * time.Minute)
				if res := h.sweep(); res.Unlinked == 0 || h.files("c02") == len(h.rows("c02")) {
					t.Fatalf("nothing deleted: %+v", res)
				}
			}
		})
		h.must(err)
		if len(found) != 1 || found[0].Invariant != "I3" || !strings.Contains(found[0].Where, first.File.String()) {
			t.Errorf("%d minutes: %+v", minutes, found)
		}
	}
}

// Covers F3: I4: a deletion before its floor is found in the ledger, unless a breach was entered before it.
func TestCheckFindsEarlyDeletion(t *testing.T) {
	h := newEnv(t)
	breach := func(from, to time.Time) {
		_, err := h.store.Commit(t.Context(), ledgerdb.Change{Entries: draftList(draft("footage.breach", "c01", map[string]any{"reason": "disk_full", "from": from, "to": to}))})
		h.must(err)
	}
	gone := func(hours int) {
		g := &hourGroup{hour: morning}
		g.add(footage.Segment{Camera: "c01", Day: "2026-03-02"}, morning, morning.Add(time.Duration(hours)*time.Hour))
		early := g.data()
		early["assurance"] = "best_effort"
		_, err := h.store.Commit(t.Context(), ledgerdb.Change{Entries: draftList(draft("footage.deleted", "c01", early))})
		h.must(err)
	}
	h.clock.Pass(29 * day)
	breach(morning, morning.Add(time.Hour))
	breach(morning.Add(time.Hour), morning.Add(2*time.Hour))
	gone(2) // across both
	h.check()
	gone(3)
	if f := h.findings(); len(f) != 1 || f[0].Invariant != "I4" {
		t.Fatalf("findings %+v", f)
	}
	breach(morning, morning.Add(4*time.Hour)) // too late to excuse it
	if f := h.findings(); len(f) != 1 {
		t.Fatalf("findings %+v", f)
	}
}

// I4: the floor is that of the camera, as its policy was when the footage could have been condemned.
func TestCheckKnowsThePolicyOfEachTime(t *testing.T) {
	for _, c := range []struct {
		name           string
		before, after  int // days of the policy
		change, delete int // day
		fine           bool
	}{
		{"a key site at thirty-one days", 90, 90, 5, 31, false},
		{"a key site at its days", 90, 90, 5, 91, true},
		{"lowered before", 90, 30, 20, 31, true},
		{"lowered after", 90, 30, 40, 41, true},
		{"deleted, then lowered", 90, 30, 40, 39, false},
		{"raised before it was due", 30, 90, 20, 31, false},
		{"raised after it was due, and only then unlinked", 30, 90, 35, 36, true},
	} {
		h := newEnv(t)
		enter := func(d ledger.Draft) {
			_, err := h.store.Commit(t.Context(), ledgerdb.Change{Entries: draftList(d)})
			h.must(err)
		}
		at := func(n int) { h.clock.Pass(morning.Add(time.Duration(n)*day + time.Hour).Sub(h.clock.Now().Wall)) }
		enter(draft("camera.registered", "c07", map[string]any{"custody": "vault", "area": "gate", "days": c.before}))
		change := func() {
			at(c.change)
			enter(draft("camera.changed", "c07", map[string]any{"what": []string{"policy"}, "days": c.after}))
		}
		if c.change < c.delete {
			change()
		}
		at(c.delete)
		g := &hourGroup{hour: morning}
		g.add(footage.Segment{Camera: "c07", Day: "2026-03-02"}, morning, morning.Add(time.Minute))
		data := g.data()
		data["assurance"] = "best_effort"
		enter(draft("footage.deleted", "c07", data))
		if c.change >= c.delete {
			change()
		}
		if f := h.findings(); (len(f) == 0) != c.fine {
			t.Errorf("%s: %+v", c.name, f)
		}
		h.close(true)
	}
}

// A camera whose directory cannot be read keeps nothing of the others from going.
func TestOneCameraDoesNotHoldUpTheOthers(t *testing.T) {
	h := newEnv(t)
	h.cameras[1].Policy.Days = 30
	h.record("c01", 3)
	h.record("c02", 3)
	aside := filepath.Join(h.dir, "vault", "quarantine", "c01", "2026-03-02")
	h.must(os.MkdirAll(aside, 0o700))
	h.must(os.WriteFile(filepath.Join(aside, "odd.ckf"), nil, 0o600))
	directory, file := disktest.Match("readdir", "c01/"), disktest.Match("remove", "quarantine/c01")
	readable := false
	restore := h.disk.Fail(disktest.Rule{Match: func(o disktest.Op) bool { return !readable && directory(o) || file(o) }, Err: syscall.EIO})
	h.clock.Pass(31 * day)
	faulty := func() {
		t.Helper()
		if _, err := h.r.Sweep(t.Context()); !errors.Is(err, syscall.EIO) {
			t.Fatalf("the fault is not told: %v", err)
		}
	}
	faulty()
	if keys := h.keys.IDs(); len(keys) != 1 || keys[0] != "c01:2026-03-02" || h.deleted() != 6 {
		t.Fatalf("keys %v, %d deleted", keys, h.deleted())
	}
	readable = true
	faulty() // now its key goes, and the file that was set aside stays
	h.record("c02", 2)
	h.clock.Pass(31 * day)
	faulty()
	if keys := h.keys.IDs(); len(keys) != 0 || h.files("c02") != 0 {
		t.Fatalf("keys %v, %d files", keys, h.files("c02"))
	}
	restore()
	h.sweep()
	if left, err := os.ReadDir(aside); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("left %v, %v", left, err)
	}
	h.check()
}

// A lost index is rebuilt while the sweep goes on: nothing is bound twice, nothing is kept, no key dies early, and a boot
// without an anchor keeps its bound.
func TestLostIndexChangesNothing(t *testing.T) {
	h := newEnv(t)
	h.clock.reboot("boot-0", time.Unix(0, 0).UTC())
	h.record("c01", 5)
	h.clock.reboot("boot-1", morning)
	h.clock.trust(morning, time.Second)
	h.record("c01", 130)
	h.sweep()
	p, err := h.r.Places()
	h.must(err)
	limit := p.Bounds["boot-0"]
	h.clock.Pass(20 * day)
	h.sweep()
	bound := len(h.entries("footage.recorded"))
	h.close(true)
	h.must(os.Remove(filepath.Join(h.dir, "index.db")))
	h.open()
	if res := h.sweep(); res.Bound != 0 || res.Keys != 0 || h.files("c01") != 135 {
		t.Fatalf("%+v, %d files", res, h.files("c01"))
	}
	if p, err := h.r.Places(); err != nil || limit.IsZero() || !p.Bounds["boot-0"].Equal(limit) {
		t.Fatalf("the bound was %v and is %v, %v", limit, p.Bounds["boot-0"], err)
	}
	h.check()
	h.clock.Pass(11 * day)
	h.sweep()
	if h.deleted() != 135 || len(h.keys.IDs()) != 0 || len(h.entries("footage.recorded")) != bound {
		t.Fatalf("%d deleted, keys %v, %d bound", h.deleted(), h.keys.IDs(), len(h.entries("footage.recorded")))
	}
	h.check()
}

// An index of which nothing has its row again yet drops no bound of a boot.
func TestBoundsOutliveAnIndexThatIsBeingRebuilt(t *testing.T) {
	h := newEnv(t)
	puts := []ledgerdb.Put{bounds.Put("boot-0", bootBound{morning})}
	_, err := h.store.Commit(t.Context(), ledgerdb.Change{Puts: puts})
	h.must(err)
	for _, settled := range []bool{false, true} {
		s, err := h.r.readState()
		h.must(err)
		h.must(h.r.boundBoots(t.Context(), &s, settled))
		if p, err := h.r.Places(); err != nil || p.Bounds["boot-0"].IsZero() != settled {
			t.Fatalf("settled %v: bounds %v, %v", settled, p.Bounds, err)
		}
	}
}
