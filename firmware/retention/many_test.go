package retention

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/footage"
)

// Covers F3: no Change grows with what there is: one more than fits a Change goes in several.
func TestMoreThanFitsAChange(t *testing.T) {
	t.Run("keys of a disk that is gone", func(t *testing.T) { // an old ring, an empty vault
		h := newEnv(t)
		keys := map[string]keyring.Key{}
		for i := range ledgerdb.MaxRows + 1 {
			keys["c01:"+time.Date(2000, 1, 1+i, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)] = keyring.Key{byte(i)}
		}
		h.must(h.keys.Adopt(t.Context(), keys))
		h.realDisk()
		h.sweep()
		if n := len(h.keys.IDs()); n != 0 {
			t.Errorf("%d keys left", n)
		}
		h.check()
	})
	t.Run("boots without an anchor", func(t *testing.T) {
		h := newEnv(t)
		var c ledgerdb.Change
		for i := range ledgerdb.MaxRows {
			c.Puts = append(c.Puts, bounds.Put(fmt.Sprintf("boot-x%d", i), bootBound{morning}))
		}
		_, err := h.store.Commit(t.Context(), c)
		h.must(err)
		_, err = h.store.Commit(t.Context(), ledgerdb.Change{Puts: []ledgerdb.Put{bounds.Put("boot-y", bootBound{morning})}})
		h.must(err)
		h.sweep()
		if p, err := h.r.Places(); err != nil || len(p.Bounds) != 0 {
			t.Errorf("%d bounds left, %v", len(p.Bounds), err)
		}
	})
	t.Run("boots of one camera", func(t *testing.T) { // more than the row of a mark holds
		mark := bound{Boots: map[string]time.Duration{}}
		for i := range 10 * perBound {
			mark.Boots[fmt.Sprintf("%032x", i)] = time.Duration(i) * time.Hour
		}
		h := newEnv(t)
		var c ledgerdb.Change
		mark.rows(&c, "c01", 0)
		_, err := h.store.Commit(t.Context(), c)
		h.must(err)
		read := func(want int) {
			t.Helper()
			h.must(h.store.View(func(tx ledgerdb.Tx) error {
				b, err := boundIn(tx, "c01")
				if len(b.Boots) != want {
					t.Errorf("%d boots, want %d", len(b.Boots), want)
				}
				return err
			}))
		}
		read(10 * perBound)
		h.record("c01", 61)
		h.clock.Pass(2 * time.Hour)
		h.sweep() // boots without rows are forgotten
		read(1)
	})
}

// Covers F3: a box that starts again and again, more often than a Change holds, and then learns the time tells one gap.
func TestAGapOverMoreBootsThanAChangeHolds(t *testing.T) {
	h := newEnv(t)
	began := h.clock.Now()
	from := footage.Instant{Boot: began.Boot, Mono: began.Mono}
	var puts []ledgerdb.Put
	for i := range ledgerdb.MaxRows + 1 {
		to := footage.Instant{Boot: fmt.Sprintf("boot-x%d", i), Mono: time.Second}
		puts = append(puts, gapsWaiting.Put(gapKey("c01", uint64(i)), footage.Missed{Camera: "c01", From: from, To: to, Cause: footage.CausePowerOff}))
		from = to
	}
	for part := range slices.Chunk(puts, ledgerdb.MaxRows) {
		_, err := h.store.Commit(t.Context(), ledgerdb.Change{Puts: part})
		h.must(err)
	}
	h.clock.reboot("boot-y", began.Wall.Add(9*day))
	h.clock.trust(began.Wall.Add(9*day), time.Second)
	now := h.clock.Now()
	_, err := h.store.Commit(t.Context(), ledgerdb.Change{Puts: []ledgerdb.Put{gapsWaiting.Put(gapKey("c01", ledgerdb.MaxRows+1),
		footage.Missed{Camera: "c01", From: from, To: footage.Instant{Boot: now.Boot, Mono: now.Mono}, Cause: footage.CausePowerOff})}})
	h.must(err)
	for range 3 {
		h.must(h.gaps().Settle(t.Context()))
	}
	if shown := h.toldGaps(); len(shown) != 1 || (shown[0].Span.Duration()-9*day).Abs() > time.Minute {
		t.Errorf("told %d gaps: %+v", len(shown), shown[:min(len(shown), 3)])
	}
}
