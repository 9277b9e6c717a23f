package gate

import (
	"context"
	"fmt"
	"time"

	"campuskeep/firmware/store"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// doubtedTap points at a tap whose instant is only a claim of a clock that was not trusted.
type doubtedTap struct {
	Key  string `json:"key"`
	Boot string `json:"boot"`
}

// settle gives taps that were made while the clock was in doubt their true time, once it is trusted: what is
// certain of such a tap is how long ago it was. Their entries in the log stay as they are; the days that they
// belong to are decided anew. Taps of an earlier boot of the machine keep their claim.
func (g *Gate) settle(ctx context.Context) error {
	now := g.o.Clock.Now()
	if now.State != clock.Trusted {
		return nil
	}
	var claims []attendance.Tap
	var keys []string
	err := g.o.Store.View(func(tx store.Tx) error {
		for _, d := range doubted.All(tx) {
			if d.Boot != now.Boot {
				continue
			}
			tap, _, ok, err := taps.Get(tx, d.Key)
			if err != nil {
				return err
			}
			if ok {
				claims, keys = append(claims, tap), append(keys, d.Key)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the taps made while the clock was in doubt: %w", err)
	}
	for i, tap := range claims {
		if err := g.settleTap(ctx, tap, keys[i], now); err != nil {
			return fmt.Errorf("place a tap made while the clock was in doubt: %w", err)
		}
	}
	return nil
}

func (g *Gate) settleTap(ctx context.Context, tap attendance.Tap, claimed string, now clock.Reading) error {
	tap.At = now.Wall.Add(time.Duration(tap.Mono) - now.Mono).UTC().Truncate(time.Millisecond)
	tap.Doubt = false
	cal := g.o.Site.Calendar()
	date, err := cal.Date(tap.At)
	if err != nil {
		return err
	}
	n := news{
		puts:    []store.Put{taps.Put(tapKey(date, tap), tap)},
		deletes: []store.Delete{doubted.Delete(tap.ID)},
		add: func(ev *attendance.Evidence) {
			for i := range ev.Taps {
				if ev.Taps[i].ID == tap.ID {
					ev.Taps[i] = tap
					return
				}
			}
			ev.Taps = append(ev.Taps, tap)
		},
		entry: func(_ attendance.Evidence, day attendance.DayStatus) ledger.Draft { return dayEntry(day) },
	}
	if was := tapKey(date, tap); was != claimed {
		// It lay under another date, which nobody has tapped on by a clock that could be believed.
		n.deletes = append(n.deletes, taps.Delete(claimed), days.Delete(claimed[:len(attendance.DateLayout)]+"/"+tap.Student))
	}
	day, _, err := g.derive(ctx, date, tap.Student, tap.Class, now, n)
	if err != nil {
		return err
	}
	g.publishDay(day, now)
	return nil
}
