package retention

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"campuskeep/firmware/disk/disktest"
	"campuskeep/firmware/store"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

// Covers F3: to the minute, never early, and the key of the day dies with its last segment.
func TestFootageGoesAtThirtyDaysByItsLastFrame(t *testing.T) {
	h := newHouse(t)
	h.record("c01", 60) // 08:00 to 09:00, the hour
	h.clock.advance(time.Hour)
	h.record("c01", 1)
	h.sweep()

	h.clock.set(func(r *clock.Reading) { r.Uncertainty = 3 * time.Second })
	h.clock.advance(30*day - 2*time.Hour - 5*time.Second) // 5 s before the first segment's last frame is 30 days old
	if res := h.sweep(); res.Unlinked != 0 {
		t.Fatalf("%d segments went early", res.Unlinked)
	}
	// 30 d × 50 ppm: the monotonic clock may have run away 129.6 s from the anchor; nothing goes before that is covered.
	s := h.rows("c01")[0]
	places, err := h.r.Places()
	h.must(err)
	last, _ := places.LastFrame(s)
	due := last.Add(30*day + 3*time.Second)
	h.clock.advance(due.Sub(h.clock.Now().Wall) - time.Nanosecond)
	if res := h.sweep(); res.Unlinked != 0 || !res.Next.Equal(last.Add(30*day)) {
		t.Fatalf("%+v a nanosecond before the time, next %v", res, res.Next)
	}
	h.clock.advance(time.Nanosecond)
	if res := h.sweep(); res.Unlinked != 1 || h.files("c01") != 60 {
		t.Fatalf("%+v at the time, %d files", res, h.files("c01"))
	}
	if n := len(h.entries("footage.deleted")); n != 0 {
		t.Fatalf("%d deletion entries before the hour is complete", n)
	}
	h.check()

	h.clock.advance(time.Hour)
	h.sweep()
	list := h.entries("footage.deleted")
	if len(list) != 1 || list[0].Count != 60 || list[0].Subject != "c01" || !list[0].Hour.Equal(morning) || list[0].Assurance != "best_effort" {
		t.Fatalf("entries %+v", list)
	}
	recorded := h.entries("footage.recorded")
	if len(recorded) == 0 || !bytes.Equal(recorded[0].Root, list[0].Root) || recorded[0].Count != 60 {
		t.Errorf("the hour was recorded as %+v", recorded)
	}
	if n := len(h.entries("key.erased")); n != 0 {
		t.Errorf("a key died while its day had footage")
	}
	h.clock.advance(2 * time.Hour)
	h.sweep()
	erased := h.entries("key.erased")
	if len(erased) != 1 || erased[0].Ring != "footage" || len(erased[0].Keys) != 1 || erased[0].Keys[0] != "c01:2026-03-02" {
		t.Fatalf("erased %+v", erased)
	}
	if len(h.keys.IDs()) != 0 || len(h.rows("c01")) != 0 || h.deleted() != 61 {
		t.Fatalf("left: keys %v, %d rows, %d deleted", h.keys.IDs(), len(h.rows("c01")), h.deleted())
	}
	h.check()
}

// Covers F3: each camera by its own policy.
func TestEachCameraByItsOwnPolicy(t *testing.T) {
	h := newHouse(t)
	h.record("c01", 3)
	h.record("c02", 3)
	h.clock.advance(31 * day)
	h.sweep()
	if a, b := h.files("c01"), h.files("c02"); a != 0 || b != 3 {
		t.Fatalf("after 31 days %d and %d files", a, b)
	}
	h.clock.advance(60 * day)
	h.sweep()
	if h.files("c02") != 0 || h.deleted() != 6 {
		t.Fatalf("after 91 days %d files, %d deleted", h.files("c02"), h.deleted())
	}
	h.check()
}

// A clock that jumps 31 days forward is not trusted: nothing goes, and what this boot recorded can be watched.
func TestClockOfThirtyOneDaysAheadDeletesNothing(t *testing.T) {
	for _, state := range []clock.State{clock.Untrusted, clock.Suspect} {
		h := newHouse(t)
		h.record("c01", 3)
		h.clock.set(func(r *clock.Reading) { r.Wall, r.State = r.Wall.Add(31*day), state })
		if res := h.sweep(); res.Unlinked != 0 || h.files("c01") != 3 {
			t.Fatalf("%v: %+v", state, res)
		}
		r, err := h.source().OpenSegment(t.Context(), h.rows("c01")[0])
		if err != nil {
			t.Fatalf("%v: footage of the running boot is hidden: %v", state, err)
		}
		h.must(r.Close())
		h.clock.set(func(r *clock.Reading) { r.Wall, r.State = r.Wall.Add(-31*day), clock.Trusted })
		h.sweep()
		if h.files("c01") != 3 {
			t.Fatal("gone after the correction")
		}
		h.clock.advance(30*day + time.Hour)
		h.sweep()
		if h.files("c01") != 0 {
			t.Fatal("kept beyond its time")
		}
		h.check()
	}
}

// 1970 for five hours, then corrected: placed by the anchor, kept thirty days from when it really was.
func TestFiveHoursOf1970ThenCorrected(t *testing.T) {
	h := newHouse(t)
	h.clock.reboot("boot-2", time.Unix(0, 0).UTC())
	h.record("c01", 5*60)
	if res := h.sweep(); res.Unlinked != 0 {
		t.Fatal("deleted by a clock at 1970")
	}
	h.clock.trust(morning.Add(5*time.Hour), time.Second)
	h.sweep()
	if h.files("c01") != 300 {
		t.Fatal("the correction deleted footage")
	}
	list, err := h.source().Segments(t.Context(), "c01", footage.Span{From: morning, To: morning.Add(time.Hour)})
	if err != nil || len(list) != 60 || !list[0].Anchored {
		t.Fatalf("%d segments in the first hour, %v", len(list), err)
	}
	h.clock.advance(30*day - 5*time.Hour - time.Minute)
	h.sweep()
	if h.files("c01") != 300 {
		t.Fatal("deleted early")
	}
	h.clock.advance(5*time.Hour + 5*time.Minute)
	h.sweep()
	if h.files("c01") != 0 || h.deleted() != 300 {
		t.Fatalf("%d files, %d deleted", h.files("c01"), h.deleted())
	}
	h.check()
}

// A boot that never got an anchor goes thirty days after the first trusted instant behind it.
func TestBootWithoutAnchorGoesAtItsUpperBound(t *testing.T) {
	h := newHouse(t)
	h.clock.reboot("boot-2", time.Unix(0, 0).UTC())
	h.record("c01", 10)
	h.clock.reboot("boot-3", time.Unix(0, 0).UTC())
	h.sweep()
	h.clock.trust(morning.Add(7*day), time.Second)
	h.sweep()
	h.restart()
	h.clock.advance(30*day - time.Minute)
	h.sweep()
	if h.files("c01") != 10 {
		t.Fatal("deleted before its upper bound")
	}
	h.clock.advance(2 * time.Minute)
	h.sweep()
	if h.files("c01") != 0 {
		t.Fatal("an unanchored boot is kept for ever")
	}
	h.check()
}

func TestClockAnHourBackDeletesNothingEarly(t *testing.T) {
	h := newHouse(t)
	h.record("c01", 10)
	h.clock.set(func(r *clock.Reading) { r.Wall, r.State = r.Wall.Add(-time.Hour), clock.Suspect })
	h.record("c01", 10) // goes on, with another claim
	h.sweep()
	h.clock.set(func(r *clock.Reading) { r.Wall, r.State = r.Wall.Add(time.Hour), clock.Trusted })
	rows := h.rows("c01")
	if len(rows) != 20 || rows[10].From < rows[9].To {
		t.Fatalf("%d rows; the order of recording is lost", len(rows))
	}
	h.clock.advance(30*day - 15*time.Minute)
	h.sweep()
	if n := h.files("c01"); n < 14 || n > 18 {
		t.Fatalf("%d files in the middle of the deletion", n)
	}
	h.clock.advance(time.Hour)
	h.sweep()
	if h.files("c01") != 0 {
		t.Fatal("kept too long")
	}
	h.check()
}

// Two months without power: refused at the first moment, deleted with the first trusted one.
func TestTwoMonthsWithoutPower(t *testing.T) {
	h := newHouse(t)
	h.record("c01", 30)
	h.sweep()
	h.restart()
	h.clock.reboot("boot-2", morning.Add(60*day))
	old := h.rows("c01")[0]
	if _, err := h.source().OpenSegment(t.Context(), old); !errors.Is(err, footage.ErrPastCeiling) {
		t.Fatalf("two months old, before the clock is trusted: %v", err)
	}
	if list, err := h.source().Segments(t.Context(), "c01", footage.Span{From: morning, To: morning.Add(day)}); err != nil || len(list) != 0 {
		t.Fatalf("still listed: %d, %v", len(list), err)
	}
	if res := h.sweep(); res.Unlinked != 0 {
		t.Fatal("deleted by an untrusted clock")
	}
	h.clock.trust(morning.Add(60*day), time.Second)
	h.record("c01", 5)
	h.sweep()
	if n := h.files("c01"); n != 5 || h.deleted() != 30 {
		t.Fatalf("%d files, %d deleted", n, h.deleted())
	}
	h.check()
}

// Two months without a network in one boot: the uncertainty grows, deletion stays punctual within it.
func TestTwoMonthsOffline(t *testing.T) {
	h := newHouse(t)
	h.record("c01", 30)
	h.clock.advance(60 * day)
	h.clock.set(func(r *clock.Reading) { r.Uncertainty = clock.Drift(60 * day) })
	h.record("c01", 1)
	h.sweep()
	if n := h.files("c01"); n != 1 || h.deleted() != 30 {
		t.Fatalf("%d files, %d deleted", n, h.deleted())
	}
	h.check()
}

// Covers F3: what cannot be unlinked stays condemned: refused, alarmed, without a deletion entry; it goes later.
func TestFailingUnlinkStaysCondemned(t *testing.T) {
	h := newHouse(t)
	h.record("c01", 10)
	stuck := h.rows("c01")[4]
	restore := h.disk.Fail(disktest.Rule{Match: disktest.Match("remove", stuck.File.String()), Err: syscall.EIO})
	h.clock.advance(31 * day)
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
	h := newHouse(t)
	h.record("c01", 3)
	restore := h.disk.Fail(disktest.Rule{Match: disktest.Match("syncdir", "c01/"), Err: syscall.EIO})
	h.clock.advance(31 * day)
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
	h := newHouse(t)
	h.record("c01", 120)
	span := footage.Span{From: morning.Add(30 * time.Minute), To: morning.Add(40 * time.Minute)}
	h.hold(footage.Hold{ID: "h1", Cameras: []string{"c01"}, Span: span, Until: morning.Add(45 * day)})
	h.hold(footage.Hold{ID: "h2", Cameras: []string{"c01"}, Span: footage.Span{From: span.From, To: span.From.Add(2 * time.Minute)}, Until: morning.Add(60 * day)})
	h.clock.advance(31 * day)
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
	h.clock.advance(20 * day) // the first hold has ended
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
	h := newHouse(t)
	h.record("c01", 3)
	h.clock.advance(31 * day)
	calls := 0
	inner := h.r.o.Holds
	h.r.o.Holds = func(tx store.Tx) ([]footage.Hold, error) {
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

// What a crash cuts short is finished once, whatever step it hit: every segment is accounted for exactly once.
func TestDeletionSurvivesPowerCutsAtEveryStep(t *testing.T) {
	for n := range 40 {
		h := newHouse(t)
		h.record("c01", 8)
		h.clock.advance(31 * day)
		var ops int
		done := errors.New("the power goes here")
		restore := h.disk.Fail(disktest.Rule{Match: func(o disktest.Op) bool {
			ops++
			return ops > n && o.What != "close"
		}, Err: done, Done: n%2 == 0})
		_, err := h.r.Sweep(t.Context())
		if err == nil && ops <= n {
			restore()
			h.check()
			return
		}
		var rnd = newRand(uint64(n))
		if n%3 == 0 {
			rnd = nil
		}
		h.powerCut(rnd)
		h.sweep()
		h.sweep()
		if h.files("c01") != 0 || h.deleted() != 8 || len(h.rows("c01")) != 0 {
			t.Fatalf("cut after %d operations: %d files, %d deleted, %d rows", n, h.files("c01"), h.deleted(), len(h.rows("c01")))
		}
		if intents, erased := h.entries("key.erase.intent"), h.entries("key.erased"); len(erased) != 1 || len(intents) < 1 {
			t.Fatalf("cut after %d operations: %d intents, %d erased", n, len(intents), len(erased))
		}
		h.check()
	}
	t.Error("a sweep has more operations than were tried")
}

// Covers F3: every hour is bound before anybody asks, also over restarts and with an index that was lost.
func TestHoursAreBoundOnce(t *testing.T) {
	h := newHouse(t)
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

// Files that vanish are told; too many of them are a matter of the disk, and no row is touched.
func TestReconcileTellsWhatIsMissing(t *testing.T) {
	h := newHouse(t)
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
	h.check()
	for _, s := range rows[10:30] {
		remove(s)
	}
	h.must(h.r.Reconcile(t.Context()))
	if len(h.rows("c01")) != 39 || len(h.entries("footage.damaged")) != 1 {
		t.Fatalf("a reconcile took %d rows", 39-len(h.rows("c01")))
	}
	if f := h.findings(); len(f) != 20 || f[0].Invariant != "I3" {
		t.Fatalf("%d findings", len(f))
	}
	if _, err := h.source().OpenSegment(t.Context(), rows[12]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file opens: %v", err)
	}
}

// I4: a deletion before its floor is found in the ledger, unless a breach explains it.
func TestCheckFindsEarlyDeletion(t *testing.T) {
	h := newHouse(t)
	g := &hourGroup{hour: morning}
	g.add(footage.Segment{Camera: "c01"}, morning, morning.Add(time.Hour))
	early := g.data()
	early["assurance"] = "best_effort"
	h.clock.advance(29 * day)
	_, err := h.store.Commit(t.Context(), store.Change{Entries: draftList(draft("footage.deleted", "c01", early))})
	h.must(err)
	if f := h.findings(); len(f) != 1 || f[0].Invariant != "I4" {
		t.Fatalf("findings %+v", f)
	}
	_, err = h.store.Commit(t.Context(), store.Change{Entries: draftList(draft("footage.breach", "c01",
		map[string]any{"reason": "disk_full", "from": morning, "to": morning.Add(2 * time.Hour)}))})
	h.must(err)
	h.check()
}

// A camera whose directory cannot be read keeps nothing of the others from going.
func TestOneCameraDoesNotHoldUpTheOthers(t *testing.T) {
	h := newHouse(t)
	h.cameras[1].Policy.Days = 30
	h.record("c01", 3)
	h.record("c02", 3)
	restore := h.disk.Fail(disktest.Rule{Match: disktest.Match("readdir", "c01/"), Err: syscall.EIO})
	h.clock.advance(31 * day)
	if _, err := h.r.Sweep(t.Context()); !errors.Is(err, syscall.EIO) {
		t.Fatalf("the fault is not told: %v", err)
	}
	if keys := h.keys.IDs(); len(keys) != 1 || keys[0] != "c01:2026-03-02" || h.deleted() != 6 {
		t.Fatalf("keys %v, %d deleted", keys, h.deleted())
	}
	restore()
	h.restart()
	h.sweep()
	if keys := h.keys.IDs(); len(keys) != 0 {
		t.Fatalf("keys %v", keys)
	}
	h.check()
}

// A lost index is rebuilt while the sweep goes on: nothing is bound twice, nothing is kept, no key dies early.
func TestLostIndexChangesNothing(t *testing.T) {
	h := newHouse(t)
	h.record("c01", 130)
	h.sweep()
	bound := len(h.entries("footage.recorded"))
	h.close(true)
	h.must(os.Remove(filepath.Join(h.dir, "index.db")))
	h.open()
	if res := h.sweep(); res.Bound != 0 || res.Keys != 0 || h.files("c01") != 130 {
		t.Fatalf("%+v, %d files", res, h.files("c01"))
	}
	h.check()
	h.clock.advance(31 * day)
	h.sweep()
	if h.deleted() != 130 || len(h.keys.IDs()) != 0 || len(h.entries("footage.recorded")) != bound+1 {
		t.Fatalf("%d deleted, keys %v, %d bound", h.deleted(), h.keys.IDs(), len(h.entries("footage.recorded")))
	}
	h.check()
}
