// Package backfill makes an appliance as it would be after weeks of work: a school, its footage, its
// applications.
//
// It goes through the product's own packages under clocks of its own, and owns nothing afterwards. It must never
// write a file of the product itself.
package backfill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"campuskeep/firmware/appliance"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/nvr"
	"campuskeep/firmware/site"
	"campuskeep/firmware/timekeeper"
	"campuskeep/scripts/sim/history"
	"campuskeep/scripts/sim/school"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/usage"
)

// historyClock is the machine that the demo's past was recorded on: a boot of its own, whose clocks are where the
// filler puts them.
type historyClock struct {
	mu    sync.Mutex
	begin time.Time
	at    time.Duration // guarded by mu
}

func (p *historyClock) Wall() time.Time { return p.begin.Add(p.Boottime()) }
func (p *historyClock) BootID() string  { return "demo-past" }
func (p *historyClock) Boottime() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

// filler makes the demo's appliance as it would be after a month of work, through the product's own packages.
type filler struct {
	Options
	clock *historyClock
	a     *appliance.Appliance
	zone  *time.Location
}

// Options says what past to make.
type Options struct {
	Config      appliance.Config
	Now         time.Time // the present
	Days        int       // of footage; 0: none, and no applications
	Cameras     []string  // RTSP addresses
	Stills      []string  // of their still pictures; none: they have none
	CameraLogin site.Login
	ReaderPort  string       // of the OSDP line
	NVRs        []NVR        // with the cameras behind them, by channel
	Progress    func(string) // what is being made
}

// NVR is one beside the box. Its cameras are on its channels in their order, and have been there for long.
type NVR struct {
	nvr.Device
	Login   site.Login
	Cameras []footage.Camera
}

// nvrAge is how long the cameras behind NVRs have been there.
const nvrAge = 200 * 24 * time.Hour

// register puts the NVRs and their cameras into the register.
func (f *filler) register(ctx context.Context) error {
	for _, n := range f.NVRs {
		var list []site.CameraPut
		d := n.Device
		d.Cameras, d.Installed = map[int]string{}, f.Now.Add(-nvrAge).In(f.zone).Format(time.DateOnly)
		for i, c := range n.Cameras {
			c.Since, c.Installed = f.Now.Add(-nvrAge).UTC(), d.Installed
			list = append(list, site.CameraPut{Camera: c})
			d.Cameras[i+1] = c.ID
		}
		if _, err := f.a.Site.PutCameras(ctx, account.System, list); err != nil {
			return fmt.Errorf("register the cameras of NVR %s: %w", d.ID, err)
		}
		if err := f.a.NVR.Put(ctx, account.System, d, &n.Login); err != nil {
			return fmt.Errorf("register NVR %s: %w", d.ID, err)
		}
	}
	return nil
}

// Fill makes the past up to now and leaves a stopped box behind.
func Fill(ctx context.Context, o Options) (out school.Filled, err error) {
	zone, err := time.LoadLocation(o.Config.Appliance.Timezone)
	if err != nil {
		return out, err
	}
	now, progress := o.Now, o.Progress
	if progress == nil {
		progress = func(string) {}
	}
	from := now.Add(-time.Duration(o.Days) * 24 * time.Hour).Truncate(time.Minute)
	// The cameras are registered when their pictures begin: a minute after the boot.
	f := &filler{Options: o, zone: zone, clock: &historyClock{begin: from.Add(-time.Minute), at: time.Minute}}
	f.a, err = appliance.Open(ctx, o.Config, appliance.Deps{Host: f.clock, Sources: []timekeeper.Source{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, f.a.Close()) }()
	stop := f.a.Base(ctx)
	defer func() { err = errors.Join(err, stop()) }()
	clockCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- f.a.Timekeeper.Run(clockCtx) }()
	defer func() {
		cancel()
		if e := <-ended; e != nil && !errors.Is(e, context.Canceled) {
			err = errors.Join(err, e)
		}
	}()
	if err := f.moveTo(ctx, f.clock.Wall()); err != nil {
		return out, err
	}
	progress("people, classes, pupils, cards")
	out, err = school.Fill(ctx, school.Options{People: f.a.People, Site: f.a.Site, Records: f.a.Records, Clock: f.a.Timekeeper, Zone: zone, Today: now.In(zone).Format(time.DateOnly),
		Cameras: o.Cameras, Stills: o.Stills, CameraLogin: o.CameraLogin, ReaderPort: o.ReaderPort})
	if err != nil || o.Days == 0 {
		return out, errors.Join(err, f.register(ctx))
	}
	day := now.Add(-24 * time.Hour).Truncate(time.Minute)
	// Most of the month is bound into the log while the clock is a day before the present: nothing is due then. From
	// the first deadline on the box deletes as it would have done.
	gaps, err := f.record(ctx, footage.Span{From: from, To: day}, 0, progress)
	if err != nil {
		return out, err
	}
	progress("emergency plans and a drill")
	if err := f.prepare(ctx, out, day); err != nil {
		return out, err
	}
	if err := f.note(ctx, gaps, day); err != nil {
		return out, err
	}
	if err := f.sweep(ctx, day); err != nil {
		return out, err
	}
	if gaps, err = f.record(ctx, footage.Span{From: day, To: now.Truncate(time.Minute)}, o.Days-1, progress); err != nil {
		return out, err
	}
	end := now.Add(-20 * time.Minute)
	for at := from.Add(footage.Policy{Days: footage.MinDays}.Keep()); at.Before(end); at = at.Add(footage.OnTime / 2) {
		progress("deletions of the last day, " + at.In(zone).Format("15:04"))
		if err := f.sweep(ctx, at); err != nil {
			return out, err
		}
	}
	if err := f.note(ctx, gaps, end); err != nil { // a gap is noted when it is over, and the applications are still to come
		return out, err
	}
	progress("applications and leave")
	if err := f.leave(ctx, out); err != nil {
		return out, err
	}
	if err := f.apply(ctx, out); err != nil {
		return out, err
	}
	return out, f.register(ctx)
}

// moveTo puts the past machine's clocks at an instant and lets two sources confirm it. It returns when the
// clock is trusted there and that is on record.
func (f *filler) moveTo(ctx context.Context, at time.Time) error {
	f.clock.mu.Lock()
	f.clock.at = max(f.clock.at, at.Sub(f.clock.begin))
	f.clock.mu.Unlock()
	mono, wall := f.clock.Boottime(), f.clock.Wall()
	f.a.Timekeeper.Observe(clock.Observation{Source: "host", Origin: clock.OriginHost, Mono: mono, UTC: wall, Uncertainty: 20 * time.Millisecond})
	f.a.Timekeeper.Observe(clock.Observation{Source: "centre", Origin: clock.OriginCentre, Mono: mono, UTC: wall, Uncertainty: 20 * time.Millisecond})
	limit := time.After(10 * time.Second)
	for f.a.Timekeeper.Now().State != clock.Trusted {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit:
			return errors.New("the past machine's clock did not become trusted")
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// sweep keeps the footage at an instant.
func (f *filler) sweep(ctx context.Context, at time.Time) error {
	if err := f.moveTo(ctx, at); err != nil {
		return err
	}
	if _, err := f.a.Retention.Sweep(ctx); err != nil {
		return fmt.Errorf("keep the month's footage: %w", err)
	}
	return nil
}

// record writes a span of footage for all cameras, and says what was left out.
func (f *filler) record(ctx context.Context, span footage.Span, doneDays int, progress func(string)) ([]history.Gap, error) {
	anchor := clock.Anchor{Boot: f.clock.BootID(), Mono: 0, UTC: f.clock.begin}
	total := f.Days * 24 * 60 * len(f.Cameras)
	before := doneDays * 24 * 60 * len(f.Cameras)
	local := footage.Span{From: span.From.In(f.zone), To: span.To.In(f.zone)}
	gaps, err := history.Fill(ctx, f.a.Vault, f.a.Site.Cameras(), local, anchor, func(done, _ int) {
		progress(fmt.Sprintf("footage: %d of %d segments", before+done, total))
	})
	if err != nil {
		return nil, fmt.Errorf("write the month's footage: %w", err)
	}
	return gaps, nil
}

// note enters gaps at an instant.
func (f *filler) note(ctx context.Context, gaps []history.Gap, at time.Time) error {
	if err := f.moveTo(ctx, at); err != nil {
		return err
	}
	var c ledgerdb.Change
	for _, g := range gaps {
		c.Entries = append(c.Entries, ledger.Draft{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "footage.gap", Subject: g.Camera,
			Data: map[string]any{"from": g.Span.From.UTC(), "to": g.Span.To.UTC(), "cause": g.Cause}})
	}
	if len(c.Entries) == 0 {
		return nil
	}
	if _, err := f.a.Store.Commit(ctx, c); err != nil {
		return fmt.Errorf("enter the gaps: %w", err)
	}
	return nil
}

// apply files three applications: one approved, one refused, one waiting for the officer.
func (f *filler) apply(ctx context.Context, s school.Filled) error {
	at := func(days, hour int) time.Time {
		d := f.Now.In(f.zone).AddDate(0, 0, -days)
		return time.Date(d.Year(), d.Month(), d.Day(), hour, 0, 0, 0, f.zone).UTC()
	}
	date := func(days int) usage.Date {
		return usage.Date(f.Now.In(f.zone).AddDate(0, 0, days).Format(time.DateOnly))
	}
	places, err := f.a.Usage.Places(ctx)
	if err != nil {
		return err
	}
	if len(places) < 2 {
		return fmt.Errorf("the demo school has %d places, want at least 2", len(places))
	}
	submit := func(by, reason string, p usage.Purpose, place string, from, to time.Time) (usage.Application, error) {
		w := who(s, by)
		person, _ := f.a.People.Person(w.ID)
		return f.a.Usage.Submit(ctx, w, usage.Application{
			Unit: person.Unit, Contact: person.Phone, Purpose: p, Reason: reason, Ways: []usage.Way{usage.WayView},
			Wanted:  []usage.RequestedSpan{{Place: place, Span: footage.Span{From: from, To: to}}},
			UseFrom: date(0), UseUntil: date(7), Undertakings: usage.AllUndertakings,
			Recipients: []usage.Recipient{{Name: person.Name, Unit: person.Unit, Person: w.ID}},
		})
	}
	a, err := submit("he", "八年级学生反映自行车被挪动，查看放学后至次日早晨车棚情况。", "03", places[1], at(3, 16), at(3, 19))
	if err != nil {
		return fmt.Errorf("first application: %w", err)
	}
	a, err = f.a.Usage.Review(ctx, who(s, "zhou"), a.ID, a.Wanted[0].Cameras, "")
	if err != nil {
		return fmt.Errorf("review the first application: %w", err)
	}
	if _, err = f.a.Usage.Decide(ctx, who(s, "zheng"), a.ID, usage.Decision{Approved: true, Cameras: a.Cameras, Spans: []footage.Span{a.Wanted[0].Span},
		Ways: a.Ways, From: a.UseFrom, Until: a.UseUntil, Note: "仅限现场查看。"}); err != nil {
		return fmt.Errorf("approve the first application: %w", err)
	}
	b, err := submit("ding", "想看运动会训练录像，用于个人公众号。", "09", places[0], at(2, 9), at(2, 10))
	if err != nil {
		return fmt.Errorf("second application: %w", err)
	}
	if _, err = f.a.Usage.Decide(ctx, who(s, "zheng"), b.ID, usage.Decision{Code: "purpose", Note: "用途与校园安全无关，不得用于个人发布。"}); err != nil {
		return fmt.Errorf("refuse the second application: %w", err)
	}
	if _, err = submit("guo", "校门旁宣传栏玻璃损坏，核查损坏时间与经过。", "04", places[0], at(1, 14), at(1, 18)); err != nil {
		return fmt.Errorf("third application: %w", err)
	}
	return nil
}
