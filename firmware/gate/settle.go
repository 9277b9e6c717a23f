package gate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// unsettledTap points at a tap whose instant is only a claim of a clock that was not trusted.
type unsettledTap struct {
	Key  string `json:"key"`
	Boot string `json:"boot"`
	// Alone says that the claimed date had no day of this student before: only such taps have made it.
	Alone bool `json:"alone,omitempty"`
}

// settle gives taps that were made while the clock was in doubt their true time, once it is trusted: what is certain of
// such a tap is how long ago it was. Their entries in the log stay as they are; the days that they belong to, and those
// that they were taken for, are decided again. Taps of an earlier boot of the machine keep their claim.
func (g *Gate) settle(ctx context.Context) error {
	now := g.o.Clock.Now()
	if now.State != clock.Trusted {
		return nil
	}
	type claim struct {
		tap attendance.Tap
		of  unsettledTap
	}
	var claims []claim
	err := g.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, d := range unsettledTaps.All(tx) {
			if d.Boot != now.Boot {
				continue
			}
			tap, _, ok, err := taps.Get(tx, d.Key)
			if err != nil {
				return err
			}
			if ok {
				claims = append(claims, claim{tap, d})
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the taps made while the clock was in doubt: %w", err)
	}
	for _, c := range claims {
		if err := g.settleTap(ctx, c.tap, c.of, now); err != nil {
			return fmt.Errorf("place a tap made while the clock was in doubt: %w", err)
		}
	}
	return nil
}

// settleTap gives a tap its true time. When that is on another date it leaves the claimed one first: that day is
// decided again from what is left, since somebody may have been there, or missing, by a clock that was right.
func (g *Gate) settleTap(ctx context.Context, tap attendance.Tap, d unsettledTap, now clock.Reading) error {
	claimed := d.Key[:len(attendance.DateLayout)]
	tap.At = now.Wall.Add(time.Duration(tap.Mono) - now.Mono).UTC().Truncate(time.Millisecond)
	date, err := g.o.Site.Calendar().Date(tap.At)
	if err != nil {
		return err
	}
	if date != claimed {
		was := d.Key
		d.Key = tapKey(date, tap)
		n := evidenceChange{
			puts:    []ledgerdb.Put{taps.Put(d.Key, tap), unsettledTaps.Put(tap.ID, d)},
			deletes: []ledgerdb.Delete{taps.Delete(was)},
			add: func(ev *attendance.Evidence) {
				ev.Taps = slices.DeleteFunc(ev.Taps, func(t attendance.Tap) bool { return t.ID == tap.ID })
			},
			undone: d.Alone,
		}
		day, _, err := g.derive(ctx, claimed, tap.Student, tap.Class, now, n)
		if err != nil {
			return err
		}
		g.publishDay(day, now)
	}
	tap.Doubt = false
	day, _, err := g.derive(ctx, date, tap.Student, tap.Class, now, evidenceChange{
		puts:    []ledgerdb.Put{taps.Put(tapKey(date, tap), tap)},
		deletes: []ledgerdb.Delete{unsettledTaps.Delete(tap.ID)},
		add: func(ev *attendance.Evidence) {
			ev.Taps = append(slices.DeleteFunc(ev.Taps, func(t attendance.Tap) bool { return t.ID == tap.ID }), tap)
		},
		entry: func(_ attendance.Evidence, day attendance.DayStatus) ledger.Draft { return dayEntry(day) },
	})
	if err != nil {
		return err
	}
	g.publishDay(day, now)
	return nil
}
