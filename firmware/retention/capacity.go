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

// Never early (design §5): every few seconds the disk is asked, what comes and what goes is added up, and the
// cameras are given which of their streams to record. The rule is footage.Thin; the setting decides what happens
// when even that is not enough.

// thinning is a camera that records, or has recorded, less than its main stream, with the rates that were measured
// before the change: while it records one stream nothing can be measured about the other.
type thinning struct {
	Stream footage.Stream `json:"stream"`
	Since  time.Time      `json:"since"`
	Main   int64          `json:"main"` // bytes a day
	Sub    int64          `json:"sub"`
}

var thinnings = ledgerdb.NewTable[thinning]("thinned")

const (
	reviewEvery    = 10 * time.Second
	rollingDays    = 7 * 24 * time.Hour
	minRecorded    = 10 * time.Minute // recorded time from which a rate is believed at all …
	enoughRecorded = time.Hour        // … and over one remembered from before
	unknownRetry   = time.Hour        // how often an unanswered disk is entered in the log
)

// Outlook is the state of the disk and its forecast.
type Outlook struct {
	At          time.Time // of the review; zero: none yet
	Known       bool      // the disk could be asked; if not, the figures of the disk are of the last time
	Free, Total uint64
	Capacity    footage.Capacity
	Used        int64 // footage there now
	Other       int64 // what else lies on the disk
	Loads       []footage.Load
	Forecast    footage.Forecast
	Full        float64 // in so many days the disk is full as things are now; -1: never
	Thinned     []string
	Stopped     []string
}

// load is what is known about the rates of one camera.
type load struct {
	main, sub int64
	measured  bool
}

// Outlook is what the last review found.
func (r *Retention) Outlook() Outlook {
	r.waiters.Lock()
	defer r.waiters.Unlock()
	return r.outlook
}

// Streams says which cameras are not to record their main stream.
func (r *Retention) Streams() (map[string]footage.Stream, error) {
	out := map[string]footage.Stream{}
	err := r.o.Store.View(func(tx ledgerdb.Tx) error {
		for camera, g := range thinnings.All(tx) {
			if g.Stream != footage.StreamMain {
				out[camera] = g.Stream
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what the cameras are to record: %w", err)
	}
	return out, nil
}

// Shifted wakes its one reader after Streams has changed.
func (r *Retention) Shifted() <-chan struct{} { return r.shifted }

// Watch reviews the capacity until ctx ends. A review that fails is logged and tried again.
func (r *Retention) Watch(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-r.o.Vault.Recovered():
	}
	tick := time.NewTicker(reviewEvery)
	defer tick.Stop()
	for {
		if err := r.Review(ctx); err != nil && ctx.Err() == nil {
			r.o.Log.Error("the free space of the disk is not known", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Review asks the disk, foresees, and changes what the cameras record where that is necessary. With the setting
// breach, and a disk that is really full, it has the oldest footage of the lowest priority condemned.
func (r *Retention) Review(ctx context.Context) error {
	r.reviewing.Lock()
	defer r.reviewing.Unlock()
	s, err := r.readState()
	if err != nil {
		return err
	}
	if err := r.usage.count(r.o.Vault, s.places); err != nil {
		return fmt.Errorf("count the footage: %w", err)
	}
	rows := map[string]thinning{}
	err = r.o.Store.View(func(tx ledgerdb.Tx) error {
		for camera, g := range thinnings.All(tx) {
			rows[camera] = g
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read what the cameras record: %w", err)
	}
	cameras := r.o.Cameras()
	demands, loads, held := r.demands(s, cameras, rows)
	out := Outlook{At: s.now.Wall, Known: true, Full: -1}
	for _, d := range demands {
		for _, n := range d.Stock {
			out.Used += n
		}
	}
	out.Used += held
	free, total, err := r.o.Vault.Free()
	if err != nil {
		out.Known = false
		r.publish(out, cameras, loads, demands, rows)
		return errors.Join(fmt.Errorf("ask the disk for its free space: %w", err), r.unknown(ctx))
	}
	r.unknownAt = time.Time{}
	out.Free, out.Total = free, total
	out.Capacity = footage.CapacityOf(int64(total), int64(free), out.Used, held)
	out.Other = max(int64(total)-int64(free)-out.Used, 0)
	full := r.whenFull(s.now)
	if s.now.State == clock.Trusted || out.Used > out.Capacity.Hard {
		// Without a trusted clock nothing is deleted and ages mean nothing; only a disk that is full counts then.
		if err := r.shift(ctx, s.now, out.Capacity, demands, rows, full); err != nil {
			return err
		}
	}
	now := map[string]footage.Stream{}
	for _, d := range demands {
		now[d.Camera] = rows[d.Camera].Stream
	}
	out.Full = footage.ForecastFill(out.Capacity, out.Capacity.Limit, demands, now).Full
	r.publish(out, cameras, loads, demands, rows)
	if over := out.Used - out.Capacity.Hard; full == footage.Breach && over > 0 {
		return r.breach(ctx, over+out.Forecast.PerDay/24)
	}
	return nil
}

// whenFull is the setting, as far as it can be followed: without a trusted clock nothing is deleted, and when a
// breach found nothing to delete, recording has to stop for a while.
func (r *Retention) whenFull(now clock.Reading) footage.WhenFull {
	if r.o.WhenFull == nil || now.State != clock.Trusted || now.Mono < r.nothingReleasable {
		return footage.Stop
	}
	return r.o.WhenFull()
}

// demands is what each camera needs. Footage of cameras that record no more counts until it goes.
func (r *Retention) demands(s state, cameras []footage.Camera, rows map[string]thinning) (list []footage.Demand, loads map[string]load, held int64) {
	loads = map[string]load{}
	recording := map[string]bool{}
	for _, c := range cameras {
		if c.Retired || c.Custody != footage.CustodyVault {
			continue
		}
		recording[c.ID] = true
		g := rows[c.ID]
		since := s.now.Wall.Add(-rollingDays)
		if g.Since.After(since) {
			since = g.Since
		}
		d := footage.Demand{Camera: c.ID, Priority: c.Priority, Days: policyOf(s.policies, c.ID).Days, Now: g.Stream, For: s.now.Wall.Sub(g.Since)}
		f := r.usage.of(c.ID, d.Days, s.now.Wall, since, heldSpans(s, c.ID))
		d.Stock, held = f.stock, held+f.held
		l := rates(c, g, f)
		if d.Main, d.Sub = l.main, l.sub; !l.measured {
			d.Main, d.Sub = 0, 0 // it writes nothing yet
		}
		loads[c.ID] = l
		list = append(list, d)
	}
	for _, id := range r.usage.cameraIDs() {
		if recording[id] {
			continue
		}
		d := footage.Demand{Camera: id, Days: policyOf(s.policies, id).Days}
		f := r.usage.of(id, d.Days, s.now.Wall, s.now.Wall, heldSpans(s, id))
		d.Stock, held = f.stock, held+f.held
		list = append(list, d)
	}
	return list, loads, held
}

// rates are the rates of a camera's streams: measured, remembered from before it was thinned, or estimated.
func rates(c footage.Camera, g thinning, f figures) load {
	main, sub := footage.Estimate(c)
	l := load{main: main, sub: sub, measured: g.Main > 0 || f.recorded >= minRecorded}
	if g.Main > 0 {
		l.main = g.Main
	}
	if g.Sub > 0 && c.Sub != "" {
		l.sub = g.Sub
	}
	if seen := f.perDay(); f.recorded >= enoughRecorded || f.recorded >= minRecorded && g.Main == 0 {
		switch g.Stream {
		case footage.StreamMain:
			l.main = seen
		case footage.StreamSub:
			l.sub = seen
		}
	}
	if c.Sub == "" {
		l.sub = 0
	} else if g.Sub == 0 && g.Stream == footage.StreamMain {
		l.sub = footage.SubOf(l.main)
	}
	return l
}

// heldSpans are the spans of a camera that holds in force keep.
func heldSpans(s state, camera string) (spans []footage.Span) {
	for _, h := range s.holds {
		if h.Active(s.now) && slices.Contains(h.Cameras, camera) {
			spans = append(spans, h.Span)
		}
	}
	return spans
}

// shift has the cameras record what the rule says; every change is an entry, and with it an alarm at the centre.
func (r *Retention) shift(ctx context.Context, now clock.Reading, room footage.Capacity, list []footage.Demand, rows map[string]thinning, full footage.WhenFull) error {
	to := footage.Thin(room, list, full)
	var c ledgerdb.Change
	streams := map[string]footage.Stream{}
	data := map[string]any{"capacity": room.Limit, "held": room.Held, "per_day": int64(0)}
	var perDay int64
	for _, d := range list {
		streams[d.Camera] = d.Now
		perDay += d.Rate(d.Now)
	}
	data["per_day"] = perDay
	if at := footage.ForecastFill(room, room.Limit, list, streams).Full; at >= 0 {
		data["full_in_h"] = int(at * 24)
	}
	changed := map[string]thinning{}
	for _, d := range list {
		next := to[d.Camera]
		if next == d.Now {
			continue
		}
		g := thinning{Stream: next, Since: now.Wall.UTC(), Main: d.Main, Sub: d.Sub}
		changed[d.Camera] = g
		c.Puts = append(c.Puts, thinnings.Put(d.Camera, g))
		for _, k := range []struct {
			kind   ledger.Kind
			stream footage.Stream
		}{{"footage.stopped", footage.StreamNone}, {"footage.thinned", footage.StreamSub}} {
			if was, is := d.Now == k.stream, next == k.stream; was != is {
				c.Entries = append(c.Entries, draft(k.kind, d.Camera, with(data, "on", is)))
			}
		}
		r.o.Log.Warn("a camera changes what it records because of the free space on the disk", "camera", d.Camera, "from", d.Now, "to", next)
	}
	if len(c.Puts) == 0 {
		return nil
	}
	if _, err := r.o.Store.Commit(ctx, c); err != nil {
		return fmt.Errorf("change what cameras record: %w", err)
	}
	for camera, g := range changed {
		rows[camera] = g
	}
	select {
	case r.shifted <- struct{}{}:
	default: // the reader has not looked since the last change
	}
	return nil
}

func with(data map[string]any, key string, v any) map[string]any {
	out := map[string]any{key: v}
	for k, x := range data {
		out[k] = x
	}
	return out
}

// publish puts the review where pages read it.
func (r *Retention) publish(out Outlook, cameras []footage.Camera, loads map[string]load, list []footage.Demand, rows map[string]thinning) {
	for _, d := range list {
		l, ok := loads[d.Camera]
		if !ok {
			continue
		}
		x := footage.Load{Camera: d.Camera, Days: d.Days, BytesPerDay: l.main, Estimated: !l.measured}
		switch rows[d.Camera].Stream {
		case footage.StreamSub:
			x.BytesPerDay, x.Thin = l.sub, true
			out.Thinned = append(out.Thinned, d.Camera)
		case footage.StreamNone:
			x.BytesPerDay = 0
			out.Stopped = append(out.Stopped, d.Camera)
		}
		out.Loads = append(out.Loads, x)
	}
	r.waiters.Lock()
	defer r.waiters.Unlock()
	if !out.Known {
		out.Free, out.Total, out.Capacity, out.Other = r.outlook.Free, r.outlook.Total, r.outlook.Capacity, r.outlook.Other
	}
	out.Forecast = footage.Predict(out.Loads, out.Capacity.Held, out.Capacity.Limit)
	r.outlook, r.loads, r.register = out, loads, cameras
}

// unknown enters that the disk does not say how much room it has. Nothing is deleted and nothing is changed
// meanwhile.
func (r *Retention) unknown(ctx context.Context) error {
	if !r.unknownAt.IsZero() && time.Since(r.unknownAt) < unknownRetry {
		return nil
	}
	_, err := r.o.Store.Commit(ctx, ledgerdb.Change{Entries: []ledger.Draft{draft("system.fault", "", map[string]any{"code": "vault.free_unknown"})}})
	if err != nil {
		return fmt.Errorf("enter that the free space is unknown: %w", err)
	}
	r.unknownAt = time.Now()
	return nil
}

// CheckCapacity says whether the disk can keep what a register of cameras records for its days. What needs no more than the
// register as it is, is always fine. known is false before the disk was asked: nothing can be said then.
func (r *Retention) CheckCapacity(all []footage.Camera) (f footage.Forecast, fits, known bool) {
	r.waiters.Lock()
	out, loads, register := r.outlook, r.loads, r.register
	r.waiters.Unlock()
	if out.At.IsZero() || out.Total == 0 {
		return f, false, false
	}
	f = predict(all, loads, out.Capacity)
	return f, f.Fits || f.Need <= predict(register, loads, out.Capacity).Need, true
}

// predict is the forecast of a register in which every camera records its main stream.
func predict(cameras []footage.Camera, known map[string]load, room footage.Capacity) footage.Forecast {
	var list []footage.Load
	for _, c := range cameras {
		if c.Retired || c.Custody != footage.CustodyVault {
			continue
		}
		rate, _ := footage.Estimate(c)
		if l, ok := known[c.ID]; ok && l.measured {
			rate = l.main
		}
		list = append(list, footage.Load{Camera: c.ID, BytesPerDay: rate, Days: max(c.Policy.Days, footage.MinDays)})
	}
	return footage.Predict(list, room.Held, room.Limit)
}
