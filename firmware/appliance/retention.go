package appliance

import (
	"campuskeep/firmware/web/frame"
	"context"
	"fmt"
	"time"

	"campuskeep/firmware/retention"
	"campuskeep/firmware/usage"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// openRetention opens retention over the vault, and the guarded sources that everybody who shows footage reads: players
// that with what is being recorded at this moment, all others that of what is complete.
func (a *Appliance) openRetention() error {
	a.Retention = a.newRetention()
	a.Timekeeper.OnCorrection(a.Retention.Lower)
	a.source = a.Retention.Guard(a.NVR.Source(a.Vault.Source(a.placeTable)))
	a.watched = a.Retention.Guard(a.NVR.Source(a.Vault.OpenSource(a.placeTable)))
	return nil
}

func (a *Appliance) newRetention() *retention.Retention {
	return retention.New(retention.Options{Store: a.Store, Vault: a.Vault, Cameras: a.Site.Cameras, Holds: usage.HoldsIn,
		Clock: a.Timekeeper, Anchors: a.Timekeeper.Anchors, Assurance: a.rootKey.AssuranceNow, WhenFull: func() footage.WhenFull { return a.Site.Settings().Full() }, Log: a.log})
}

// certificates returns the writer of certificates and reports. It reads the footage unguarded: what ought to be
// gone must show.
func (a *Appliance) certificates() *retention.Certificates {
	present := func(ctx context.Context, camera string, span footage.Span, f func(footage.Placed) bool) error {
		return a.Vault.Walk(ctx, a.placeTable(), camera, span, f)
	}
	return retention.NewCertificates(retention.CertificatesOptions{Store: a.Store, Cameras: a.Site.Cameras, Present: present, Clock: a.Timekeeper, Anchors: a.Timekeeper.Anchors,
		Zone: a.zone, School: a.Config.Appliance.School})
}

// placeTable returns the table from boots to UTC. When the ledger cannot be read nothing can be placed for certain,
// and the source then goes by what the wall clocks claimed; the guard refuses on its own reading.
func (a *Appliance) placeTable() footage.Places {
	p, err := a.Retention.Places()
	if err != nil {
		a.log.Error("the bounds of boots cannot be read", "err", err)
		return footage.Places{Anchors: a.Timekeeper.Anchors()}
	}
	return p
}

// checkCapacity says whether the disk can keep what a list of cameras records (design §5). Before the box runs it
// accepts everything: the forecast shows what a stopped box was seeded with.
func (a *Appliance) checkCapacity(all []footage.Camera) error {
	if !a.running.Load() {
		return nil
	}
	f, fits, known := a.Retention.CheckCapacity(all)
	switch {
	case !known:
		return fielderr.Errors{{Field: "custody", Rule: "err.room_unknown"}}
	case fits:
		return nil
	}
	var p ui.Printer
	return fielderr.Errors{{Field: "custody", Rule: "err.room", Args: []any{p.Bytes(f.PerDay), p.Bytes(f.Need), p.Bytes(f.Capacity), fmt.Sprintf("%.1f", f.FullAt)}}}
}

func (s status) Retention() frame.RetentionStatus {
	last, out := s.a.Retention.Last(), s.a.Retention.Outlook()
	k := frame.RetentionStatus{Swept: last.At, NextDue: last.Next, Condemned: last.Failed, KeysUnerased: last.Waiting, Skipped: last.Skipped, Rotten: last.Rotten, Watermark: map[string]time.Time{},
		DailyBytes: out.Forecast.PerDay, Loads: out.Loads, Held: out.Capacity.Held, Capacity: out.Capacity.Limit, Other: out.Other, Used: out.Used,
		Forecast: out.Forecast, Thinned: out.Thinned, Stopped: out.Stopped, WhenFull: string(s.a.Site.Settings().Full())}
	_, k.RootPlace = s.a.root.Label()
	k.Assurance = s.a.rootKey.Assurance(s.a.Timekeeper.Now().Wall.AddDate(0, 0, -footage.MinDays-1)) // of what goes today
	k.Rotated = s.a.rootKey.Rotated()
	for _, c := range s.a.Site.Cameras() {
		at, err := s.a.Retention.Watermark(c.ID)
		if err != nil {
			s.a.log.Error("watermark", "err", err)
			continue
		}
		k.Watermark[c.ID] = at
	}
	switch {
	case s.a.Timekeeper.Now().State != clock.Trusted:
		k.Suspended = "keeping.suspended.clock"
	case !last.At.IsZero() && !last.Settled:
		k.Suspended = "keeping.suspended.recovery"
	}
	if !out.Known {
		return k
	}
	k.Free, k.Total, k.Reserve = out.Free, out.Total, footage.Reserve(int64(out.Total))
	if k.DailyBytes > 0 {
		k.Days = float64(out.Capacity.Limit) / float64(k.DailyBytes)
	}
	return k
}
