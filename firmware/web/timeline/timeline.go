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

const (
	refreshEvery = 15 * time.Second // what was shown and has grown old is read again
	warmEvery    = time.Hour        // less than staleDays, so that nobody waits for the first page of a day
)

// Run keeps what pages show of the footage up to date, until ctx ends. It begins with reading where all footage lies, so
// that the first page after a start does not wait for the index.
func (o *Timeline) Run(ctx context.Context) error {
	refresh, warm := time.NewTicker(refreshEvery), time.NewTicker(warmEvery)
	defer refresh.Stop()
	defer warm.Stop()
	err := o.warm(ctx)
	for {
		if err != nil && ctx.Err() == nil {
			o.d.Log.Error("where footage lies could not be read", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-warm.C:
			err = o.warm(ctx)
		case <-refresh.C:
			now := o.d.Clock.Now()
			err = o.Coverage.refresh(ctx, now.Wall, now.Mono)
		}
	}
}

// warm reads where the footage of every camera in service lies.
func (o *Timeline) warm(ctx context.Context) error {
	return o.Coverage.warm(ctx, o.d.Site.Cameras(), o.d.Clock.Now)
}
