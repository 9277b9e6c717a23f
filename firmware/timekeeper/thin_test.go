package timekeeper

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
)

// stored gives the anchors on record.
func (b *box) stored() clock.Anchors {
	var list []clock.Anchor
	must(b.t, b.s.View(func(tx ledgerdb.Tx) error {
		for _, row := range anchorRows.Rows(tx, "") {
			must(b.t, row.Err)
			list = append(list, row.Value)
		}
		return nil
	}))
	return clock.NewAnchors(list...)
}

// put writes anchors as an earlier version left them.
func (b *box) put(list []clock.Anchor) {
	b.t.Helper()
	for some := range slices.Chunk(list, 1000) {
		var c ledgerdb.Change
		for _, a := range some {
			c.Puts = append(c.Puts, anchorRows.Put(anchorKey(a), a))
		}
		_, err := b.s.Commit(b.t.Context(), c)
		must(b.t, err)
	}
}

// Covers F3: a boot of half a year with more anchors on record than one Change may delete, as earlier versions left it,
// then a clock that is corrected: the correction is not refused.
func TestACorrectionAfterMoreAnchorsThanAChangeHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.start()
		b.after(time.Minute)
		const n = ledgerdb.MaxRows + 1
		const age = 180 * 24 * time.Hour
		b.m.began = b.m.began.Add(-age) // the boot is half a year old
		var list []clock.Anchor
		for i := range n {
			mono := age / n * time.Duration(i)
			list = append(list, clock.Anchor{Boot: "boot-1", Mono: mono, UTC: truth().Add(mono - age + time.Hour), Uncertainty: time.Second})
		}
		b.put(list)
		b.stop()
		b.start()
		b.after(time.Minute)
		if got := b.stored(); len(got) > 2*181 {
			t.Fatalf("%d anchors are on record", len(got))
		}
		// They were an hour ahead: the machine and the centre say so.
		r := b.after(5 * time.Minute)
		if r.State != clock.Trusted || !contains(r, truth()) || len(b.stored()) != 1 {
			t.Fatalf("%+v, truth %v, %d anchors", r, truth(), len(b.stored()))
		}
		b.stop()
	})
}

// Covers F3: nothing could be written for long, and the clock fell into doubt and out of it all the while: all of it
// comes on record, however much there is.
func TestMoreJudgementsThanAChangeHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.start()
		b.after(time.Minute)
		b.k.mu.Lock()
		for i := range ledgerdb.MaxRows/2 + 1 {
			a := clock.Anchor{Boot: "boot-1", Mono: time.Minute + time.Duration(i), UTC: truth().Add(time.Duration(i)), Uncertainty: time.Second}
			b.k.pending = append(b.k.pending, clock.Result{From: clock.Trusted, To: clock.Suspect, Reason: clock.ReasonContradiction}, clock.Result{From: clock.Suspect, To: clock.Trusted, Reason: clock.ReasonNone, Anchor: &a, Replaces: i%3 == 0})
		}
		b.k.mu.Unlock()
		if r := b.after(3 * time.Minute); r.State != clock.Trusted || len(b.k.pending) != 0 {
			t.Fatalf("%+v, %d are pending", r, len(b.k.pending))
		}
		b.stop()
	})
}

// Covers F3: two judgements of one instant, one of them a correction of what is on record for that very instant: one row,
// and not a Change that is refused for ever.
func TestTwoAnchorsOfOneInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.start()
		b.after(time.Minute)
		b.k.mu.Lock()
		a := b.k.anchors[0]
		for i := range 3 {
			x := a
			x.Uncertainty += time.Duration(i)
			b.k.pending = append(b.k.pending, clock.Result{From: clock.Trusted, To: clock.Trusted, Anchor: &x, Replaces: i == 0})
		}
		b.k.mu.Unlock()
		b.after(2 * time.Minute)
		if got := b.stored(); len(b.k.pending) != 0 || !slices.Contains(got, clock.Anchor{Boot: a.Boot, Mono: a.Mono, UTC: a.UTC, Uncertainty: a.Uncertainty + 2}) {
			t.Fatalf("%d are pending, on record %+v", len(b.k.pending), got)
		}
		b.stop()
	})
}

// Anchors of boots of long ago without footage go, however many; what has footage keeps them.
func TestAnchorsOfOldBootsWithoutFootageGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.start()
		b.after(time.Minute)
		var list []clock.Anchor
		for i := range ledgerdb.MaxRows + 1 {
			list = append(list, clock.Anchor{Boot: fmt.Sprintf("old-%d", i), UTC: truth().Add(-500 * 24 * time.Hour), Uncertainty: time.Second})
		}
		b.put(list)
		b.stop()
		b.start()
		b.after(time.Minute)
		must(t, b.k.AddAnchor(t.Context(), clock.Anchor{Boot: "recent", UTC: truth().Add(-300 * 24 * time.Hour), Uncertainty: time.Second}))
		must(t, b.k.Prune(t.Context(), func(boot string) bool { return boot == "old-7" }))
		if got := b.stored(); len(got) != 3 || !got.Has("old-7") || !got.Has("recent") || !got.Has("boot-1") || len(b.k.Anchors()) != 3 {
			t.Fatalf("%d anchors are left", len(got))
		}
		b.stop()
	})
}

// Ten days of a boot with two sources that are always there: two anchors a day, and not many more entries.
func TestABootNeedsFewAnchors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		b.start()
		b.after(10 * 24 * time.Hour)
		if n, e := len(b.stored()), len(b.kinds("clock.anchor")); n > 22 || e > 8*10 {
			t.Fatalf("%d anchors, %d entries", n, e)
		}
		b.stop()
	})
}
