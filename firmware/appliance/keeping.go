package appliance

import (
	"context"
	"fmt"
	"sync"
	"time"

	"campuskeep/firmware/evidence"
	"campuskeep/firmware/office"
	"campuskeep/firmware/retention"
	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// openKeeping opens retention over the vault, and the guarded source that everybody who shows footage reads.
func (a *Appliance) openKeeping() error {
	a.Keeping = retention.New(retention.Options{Store: a.Store, Vault: a.Vault, Cameras: a.Site.Cameras, Holds: evidence.HoldsIn,
		Clock: a.Keeper, Anchors: a.Keeper.Anchors, Assurance: a.assurance, Log: a.log})
	a.source = a.Keeping.Guard(a.Vault.Source(a.places))
	return nil
}

// places is the table from boots to UTC. When the ledger cannot be read nothing can be placed for certain, and
// the source then goes by what the wall clocks claimed; the guard refuses on its own reading.
func (a *Appliance) places() footage.Places {
	p, err := a.Keeping.Places()
	if err != nil {
		a.log.Error("the bounds of boots cannot be read", "err", err)
		return footage.Places{Anchors: a.Keeper.Anchors()}
	}
	return p
}

func (a *Appliance) checkKeeping(ctx context.Context, full bool, report func(Finding)) error {
	err := a.Keeping.Check(ctx, full, func(f vault.Finding) { report(Finding{f.Invariant, f.What, f.Where, ""}) })
	if err != nil {
		return fmt.Errorf("check the footage: %w", err)
	}
	return nil
}

// usage is how much footage there is and how much comes: asked of the index now and then, because counting a
// full archive takes seconds.
type usage struct {
	mu    sync.Mutex
	bytes int64 // guarded by mu; all segments
	daily int64 // guarded by mu; of the last seven days
}

const measureEvery = 15 * time.Minute

func (a *Appliance) measure(ctx context.Context) error {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for {
		if err := a.measureOnce(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("the amount of footage is not known", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (a *Appliance) measureOnce(ctx context.Context) error {
	cameras, err := a.Vault.Cameras()
	if err != nil {
		return err
	}
	now := a.Keeper.Now().Wall
	var all, recent int64
	oldest := now
	for _, c := range cameras {
		err := a.Vault.Rows(c, func(s footage.Segment) bool {
			all += s.Bytes
			if age := now.Sub(s.Wall); age >= 0 && age < 7*24*time.Hour {
				recent += s.Bytes
				if s.Wall.Before(oldest) {
					oldest = s.Wall
				}
			}
			return ctx.Err() == nil
		})
		if err != nil {
			return err
		}
	}
	days := max(now.Sub(oldest).Hours()/24, 1.0/24)
	a.usage.mu.Lock()
	defer a.usage.mu.Unlock()
	a.usage.bytes, a.usage.daily = all, int64(float64(recent)/days)
	return nil
}

func (s status) Keeping() office.Keeping {
	last := s.a.Keeping.Last()
	k := office.Keeping{Swept: last.At, NextDue: last.Next, Condemned: last.Failed, Watermark: map[string]time.Time{}}
	for _, c := range s.a.Site.Cameras() {
		at, err := s.a.Keeping.Watermark(c.ID)
		if err != nil {
			s.a.log.Error("watermark", "err", err)
			continue
		}
		k.Watermark[c.ID] = at
	}
	switch {
	case s.a.Keeper.Now().State != clock.Trusted:
		k.Suspended = "keeping.suspended.clock"
	case !last.At.IsZero() && !last.Settled:
		k.Suspended = "keeping.suspended.recovery"
	}
	s.a.usage.mu.Lock()
	used, daily := s.a.usage.bytes, s.a.usage.daily
	s.a.usage.mu.Unlock()
	k.DailyBytes = daily
	free, total, err := s.a.Vault.Free()
	if err != nil {
		s.a.log.Error("free space is unknown", "err", err)
		return k
	}
	k.Free, k.Total = free, total
	if daily > 0 {
		k.Days = float64(used+int64(free)) / float64(daily)
	}
	return k
}
