// Package timeline draws footage over time: the ribbon of many cameras, the day of one, gaps with their causes.
package timeline

import (
	"context"
	"log/slog"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/site"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// Deps is what drawing footage over time needs.
type Deps struct {
	Log     *slog.Logger
	Clock   clock.Clock
	Zone    *time.Location
	Ledger  *ledgerdb.Store
	Site    *site.Site
	Usage   *usage.Register
	Footage footage.Source // guarded: refuses what is past the ceiling
	Time    frame.Timekeeper
	Status  frame.Status
}

// Timeline knows where footage lies and which gaps the log tells of. All methods are safe for concurrent use.
type Timeline struct {
	*frame.Server
	d        Deps
	Coverage *coverage
	GapCache *gapCache
}

// New makes a timeline that has read nothing yet.
func New(s *frame.Server, d Deps) *Timeline {
	return &Timeline{Server: s, d: d, Coverage: newCoverage(d.Footage), GapCache: newGapCache(d.Ledger, d.Time.Anchors)}
}

// refreshEvery is how often it is read again where footage lies.
const refreshEvery = 15 * time.Second

// Run keeps what pages show of the footage up to date, until ctx ends.
func (o *Timeline) Run(ctx context.Context) error {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			now := o.d.Clock.Now()
			if err := o.Coverage.refresh(ctx, now.Wall, now.Mono); err != nil && ctx.Err() == nil {
				o.d.Log.Error("where footage lies could not be read again", "err", err)
			}
		}
	}
}
