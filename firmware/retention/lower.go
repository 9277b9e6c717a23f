package retention

import (
	"context"
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// A time that was trusted and wrong has raised marks and bounds: by a mark in the future fresh footage would go as soon
// as it has a row. The correction lowers them in the Change that records it; a mark that is found ahead later is judged
// as if it were lowered, lowered, and entered.

// markSlack is how far a mark may lie above what the present time bears out: the uncertainty of an earlier reading.
const markSlack = time.Hour

// markLimit is how far a mark can have been raised by the present time; zero while the clock cannot tell.
func (s state) markLimit() time.Time {
	if s.now.State != clock.Trusted {
		return time.Time{}
	}
	return markLimit(s.now.Latest())
}

func markLimit(now time.Time) time.Time {
	return now.Add(-footage.Policy{Days: footage.MinDays}.Keep()).UTC()
}

// wrong says whether neither the time nor a breach entry can have raised a mark so far.
func (w Watermark) wrong(limit time.Time) bool {
	return !limit.IsZero() && w.At.After(limit.Add(markSlack)) && (w.Early.Before(w.At) || w.Early.After(limit.Add(breachReach())))
}

// breachReach is how much younger than its time the youngest footage is that a breach deletes.
func breachReach() time.Duration {
	return footage.Policy{Days: footage.MinDays}.Keep() - lastSpare + markSlack
}

// lowered is a mark that no uncertainty of the present time makes too high.
func (w Watermark) lowered(limit time.Time) Watermark { return Watermark{At: limit.Add(-markSlack)} }

// Lower gives the marks and bounds that lie above a time, lowered to it.
func (r *Retention) Lower(to time.Time) (puts []ledgerdb.Put) {
	limit := markLimit(to)
	err := r.o.Store.View(func(tx ledgerdb.Tx) error {
		for camera, w := range watermarks.All(tx) {
			if w.wrong(limit) {
				puts = append(puts, watermarks.Put(camera, w.lowered(limit)))
			}
		}
		for boot, b := range bounds.All(tx) {
			if b.NotAfter.After(to) {
				puts = append(puts, bounds.Put(boot, bootBound{to.UTC()}))
			}
		}
		return nil
	})
	if err != nil {
		r.o.Log.Error("what a wrong time has raised is lowered by the next sweep", "err", err)
	}
	return puts[:min(len(puts), perChange)] // the next sweep lowers the rest
}

// lowerMarks lowers marks that are ahead of the time, and says so.
func (r *Retention) lowerMarks(ctx context.Context, s state) error {
	for part := range slices.Chunk(s.ahead, perBind) {
		var c ledgerdb.Change
		for _, camera := range part {
			c.Puts = append(c.Puts, watermarks.Put(camera, Watermark{At: s.marks[camera]}))
			c.Entries = append(c.Entries, draftFault("retention.mark_ahead", camera, ""))
			r.o.Log.Error("the watermark of a camera lay in the future and is lowered", "camera", camera, "to", s.marks[camera])
		}
		if _, err := r.o.Store.Commit(ctx, c); err != nil {
			return fmt.Errorf("lower watermarks: %w", err)
		}
	}
	return nil
}

// draftFault makes the entry of a fault, of a camera or a ring of keys or of none.
func draftFault(code, camera, ring string) ledger.Draft {
	data := map[string]any{"code": code}
	if camera != "" {
		data["camera"] = camera
	}
	if ring != "" {
		data["part"] = ring
	}
	return draft("system.fault", camera, data)
}
