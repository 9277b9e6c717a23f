package retention

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

const (
	// lastSpare is what a breach leaves of every camera, however full the disk: what just happened.
	lastSpare = 24 * time.Hour
	// breachPause is how long recording stops when a breach finds nothing to delete.
	breachPause = time.Hour
)

// breach frees at least so many bytes, and no whole camera-hour more than that takes: the oldest footage of the
// camera of the lowest priority, then of the next. The entry and the watermark that condemns the footage are one
// commit, and only the sweep behind it deletes. What a hold keeps never goes, nor what nobody can place in time.
func (r *Retention) breach(ctx context.Context, need int64) error {
	for {
		freed, err := r.condemnEarly(ctx, need)
		if errors.Is(err, errHoldsChanged) && ctx.Err() == nil {
			continue // look again
		}
		if err != nil {
			return fmt.Errorf("delete early: %w", err)
		}
		if freed < need {
			now := r.o.Clock.Now()
			r.nothingReleasable = now.Mono + breachPause
		}
		if freed == 0 {
			return nil
		}
		_, err = r.Sweep(ctx)
		return err
	}
}

// condemnEarly raises watermarks beyond what policies ask for, with the entries that say so.
func (r *Retention) condemnEarly(ctx context.Context, need int64) (freed int64, err error) {
	r.sweeping.Lock()
	defer r.sweeping.Unlock()
	s, err := r.readState()
	if err != nil || s.now.State != clock.Trusted {
		return 0, err
	}
	cameras, err := r.byPriority(s)
	if err != nil {
		return 0, err
	}
	var c ledgerdb.Change
	for _, camera := range cameras {
		if freed >= need {
			break
		}
		e, err := r.oldest(camera, s, need-freed)
		if err != nil {
			return 0, err
		}
		if e.count == 0 {
			continue
		}
		freed += e.bytes
		c.Puts = append(c.Puts, watermarks.Put(camera, Watermark{At: e.span.To, Early: e.span.To}))
		c.Entries = append(c.Entries, e.draft(camera))
		r.o.Log.Error("the disk is full: footage goes before its time", "camera", camera, "from", e.span.From, "to", e.span.To, "segments", e.count)
	}
	if len(c.Puts) == 0 {
		return 0, nil
	}
	c.Check = r.sameHolds(s)
	if _, err := r.o.Store.Commit(ctx, c); err != nil {
		return 0, err
	}
	return freed, nil
}

// byPriority lists the cameras that have footage, the lowest priority first; those that record no more come before all.
func (r *Retention) byPriority(s state) ([]string, error) {
	ids, err := r.o.Vault.Cameras()
	if err != nil {
		return nil, err
	}
	rank := map[string]int{}
	for _, c := range r.o.Cameras() {
		if !c.Retired && c.Custody == footage.CustodyVault {
			rank[c.ID] = footage.Demand{Priority: c.Priority}.Rank()
		}
	}
	of := func(id string) int {
		if n, ok := rank[id]; ok {
			return n
		}
		return footage.LastRank + 1
	}
	slices.SortStableFunc(ids, func(a, b string) int { return of(b) - of(a) })
	return ids, nil
}

// early is what one camera gives up before its time.
type early struct {
	span  footage.Span // first frame of the first to last frame of the last
	count int
	bytes int64
}

func (e early) draft(camera string) ledger.Draft {
	return draft("footage.breach", camera, map[string]any{"reason": "disk_full", "from": e.span.From.UTC(), "to": e.span.To.UTC(), "count": e.count, "bytes": e.bytes})
}

// oldest finds the oldest camera-hours that together have so many bytes, or all there are.
func (r *Retention) oldest(camera string, s state, need int64) (e early, err error) {
	type hour struct {
		at    time.Time
		last  time.Time
		bytes int64
	}
	hours := map[int64]*hour{}
	latest := s.now.Earliest().Add(-lastSpare)
	err = r.releasable(camera, s, func(seg footage.Segment, last time.Time) {
		at := hourOf(s.places.Place(seg))
		h := hours[at.Unix()]
		if h == nil {
			h = &hour{at: at}
			hours[at.Unix()] = h
		}
		h.bytes += seg.Bytes
		if last.After(h.last) {
			h.last = last
		}
	})
	if err != nil {
		return e, err
	}
	order := make([]*hour, 0, len(hours))
	for _, h := range hours {
		order = append(order, h)
	}
	slices.SortFunc(order, func(a, b *hour) int { return a.last.Compare(b.last) })
	var sum int64
	var mark time.Time
	for _, h := range order {
		if sum >= need || h.last.After(latest) {
			break
		}
		sum, mark = sum+h.bytes, h.last
	}
	if mark.IsZero() {
		return e, nil
	}
	// The watermark condemns everything up to it, so everything up to it is counted.
	err = r.releasable(camera, s, func(seg footage.Segment, last time.Time) {
		if last.After(mark) {
			return
		}
		if from := s.places.Place(seg).Span.From; e.span.From.IsZero() || from.Before(e.span.From) {
			e.span.From = from
		}
		e.count++
		e.bytes += seg.Bytes
	})
	e.span.To = mark
	return e, err
}

// releasable gives the segments of a camera that are not yet condemned, that no hold keeps, and whose place in time
// is known.
func (r *Retention) releasable(camera string, s state, f func(seg footage.Segment, last time.Time)) error {
	err := r.o.Vault.Rows(camera, func(seg footage.Segment) bool {
		last, ok := s.places.LastFrame(seg)
		if _, known := s.condemned[seg.File]; ok && !known && last.After(s.marks[camera]) && s.heldBy(seg) == "" {
			f(seg, last)
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("look for the oldest footage of %s: %w", camera, err)
	}
	return nil
}
