package appliance

import (
	"context"
	"fmt"
	"time"

	"campuskeep/firmware/retention"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/web"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// openKeeping opens retention over the vault, and the guarded sources that everybody who shows footage reads: players
// that with what is being recorded at this moment, all others that of what is complete.
func (a *Appliance) openKeeping() error {
	a.Keeping = a.newKeeping()
	a.Keeper.OnCorrection(a.Keeping.Lower)
	a.source = a.Keeping.Guard(a.NVR.Source(a.Vault.Source(a.places)))
	a.watched = a.Keeping.Guard(a.NVR.Source(a.Vault.OpenSource(a.places)))
	return nil
}

func (a *Appliance) newKeeping() *retention.Retention {
	return retention.New(retention.Options{Store: a.Store, Vault: a.Vault, Cameras: a.Site.Cameras, Holds: usage.HoldsIn,
		Clock: a.Keeper, Anchors: a.Keeper.Anchors, Assurance: a.worthNow, WhenFull: func() footage.WhenFull { return a.Site.Settings().Full() }, Log: a.log})
}

// papers write certificates and reports. They read the footage unguarded: what ought to be gone must show.
func (a *Appliance) papers() *retention.Papers {
	present := func(ctx context.Context, camera string, span footage.Span, f func(footage.Placed) bool) error {
		return a.Vault.Walk(ctx, a.places(), camera, span, f)
	}
	return retention.NewPapers(retention.PapersOptions{Store: a.Store, Cameras: a.Site.Cameras, Present: present, Clock: a.Keeper, Anchors: a.Keeper.Anchors,
		Zone: a.zone, School: a.Config.Appliance.School})
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

// fits is the site's question whether the disk can keep what a register of cameras records (design §5). Before the
// box runs nobody is asked: what tools seed a stopped box with is the forecast's to tell.
func (a *Appliance) fits(all []footage.Camera) error {
	if !a.running.Load() {
		return nil
	}
	f, fits, known := a.Keeping.Fits(all)
	switch {
	case !known:
		return fielderr.Errors{{Field: "custody", Rule: "err.room_unknown"}}
	case fits:
		return nil
	}
	var p ui.Printer
	return fielderr.Errors{{Field: "custody", Rule: "err.room", Args: []any{p.Bytes(f.PerDay), p.Bytes(f.Need), p.Bytes(f.Capacity), fmt.Sprintf("%.1f", f.FullAt)}}}
}

func (s status) Keeping() web.Keeping {
	last, out := s.a.Keeping.Last(), s.a.Keeping.Outlook()
	k := web.Keeping{Swept: last.At, NextDue: last.Next, Condemned: last.Failed, KeysStuck: last.Waiting, Skipped: last.Skipped, Rotten: last.Rotten, Watermark: map[string]time.Time{},
		DailyBytes: out.Forecast.PerDay, Loads: out.Loads, Held: out.Room.Held, Capacity: out.Room.Capacity, Other: out.Other, Used: out.Used,
		Forecast: out.Forecast, Thinned: out.Thinned, Stopped: out.Stopped, WhenFull: string(s.a.Site.Settings().Full())}
	_, k.RootPlace = s.a.root.Label()
	k.Assurance = s.a.worth(s.a.Keeper.Now().Wall.AddDate(0, 0, -footage.MinDays-1)) // of what goes today
	if know := s.a.rooted.Load(); know != nil {
		k.Rotated = know.at
	}
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
	if !out.Known {
		return k
	}
	k.Free, k.Total, k.Reserve = out.Free, out.Total, footage.Reserve(int64(out.Total))
	if k.DailyBytes > 0 {
		k.Days = float64(out.Room.Capacity) / float64(k.DailyBytes)
	}
	return k
}
