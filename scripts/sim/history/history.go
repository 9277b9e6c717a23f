// Package history fills a vault with the past: weeks of nearly still footage, so that a demonstration or a test
// starts with a school that has been recording for a month.
//
// It draws and encodes a minute for every camera and hour of the day once and then writes every minute of the span
// through the vault's own writers, as a recorder would have. It owns nothing, and it must never touch vault files
// itself: what it makes is footage like any other.
package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// Gap is a stretch that was left out, for the caller to record.
type Gap struct {
	Camera string
	Span   footage.Span
	Cause  string // power, network, offline, disk
}

const minute = time.Minute

// Fill writes the span for every camera, a segment a minute, with one recorder session between gaps. The anchor ties
// the boot's monotonic time to UTC; day labels and the light of the scene follow the location of span.From. The
// vault must be running. progress is called now and then with segments written and segments planned.
func Fill(ctx context.Context, v *vault.Vault, cams []footage.Camera, span footage.Span, anchor clock.Anchor, progress func(done, total int)) ([]Gap, error) {
	reels := make([]*dayLoop, len(cams))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	for i, c := range cams {
		g.Go(func() (err error) {
			reels[i], err = renderDay(gctx, c.ID)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	f := &filler{v: v, span: span, anchor: anchor, gaps: plan(cams, span)}
	f.total = len(cams) * int((span.Duration()+minute-1)/minute)
	f.progress = func() {
		if progress != nil {
			progress(min(f.done, f.total), f.total)
		}
	}
	f.progress()
	for from := span.From; from.Before(span.To); {
		to := from.Add(24 * time.Hour)
		if to.After(span.To) {
			to = span.To
		}
		for i, c := range cams {
			if err := f.writeSpan(ctx, c.ID, reels[i], footage.Span{From: from, To: to}); err != nil {
				return nil, fmt.Errorf("history of %s: %w", c.ID, err)
			}
		}
		from = to
	}
	if err := v.Flush(ctx); err != nil {
		return nil, fmt.Errorf("history: flush: %w", err)
	}
	f.done = f.total
	f.progress()
	return f.gaps, nil
}

// plan is what goes missing: at a fraction of the span, for so long, one camera or all (−1).
func plan(cams []footage.Camera, span footage.Span) []Gap {
	var gaps []Gap
	for _, p := range []struct {
		at    float64
		long  time.Duration
		cam   int
		cause string
	}{
		{0.11, 8 * time.Minute, 1, "network"},
		{0.29, 21 * time.Minute, -1, "power"},
		{0.52, 130 * time.Minute, 0, "offline"},
		{0.66, 3 * time.Minute, 2, "disk"},
		{0.83, 4 * time.Minute, 0, "network"},
		{0.94, 12 * time.Minute, 1, "offline"},
	} {
		if p.long > span.Duration()/100 {
			continue
		}
		from := span.From.Add(time.Duration(p.at * float64(span.Duration()))).Truncate(minute)
		for i, c := range cams {
			if p.cam < 0 || p.cam == i {
				gaps = append(gaps, Gap{c.ID, footage.Span{From: from, To: from.Add(p.long)}, p.cause})
			}
		}
	}
	return gaps
}

type filler struct {
	v           *vault.Vault
	span        footage.Span
	anchor      clock.Anchor
	gaps        []Gap
	done, total int
	progress    func()
}

// mono is the boot's monotonic time at an instant.
func (f *filler) mono(t time.Time) time.Duration { return f.anchor.Mono + t.Sub(f.anchor.UTC) }

// session is where the time line that reaches t began: after the last gap before it.
func (f *filler) session(camera string, t time.Time) time.Time {
	from := f.span.From
	for _, g := range f.gaps {
		if g.Camera == camera && !g.Span.To.After(t) && g.Span.To.After(from) {
			from = g.Span.To
		}
	}
	return from
}

// next is the first gap of the camera that begins at or after t, or an empty one at the end.
func (f *filler) next(camera string, t time.Time) footage.Span {
	for _, g := range f.gaps {
		if g.Camera == camera && g.Span.To.After(t) {
			return g.Span
		}
	}
	return footage.Span{From: f.span.To, To: f.span.To}
}

// writeSpan writes the minutes of a span of one camera.
func (f *filler) writeSpan(ctx context.Context, camera string, r *dayLoop, s footage.Span) error {
	for t := s.From; t.Before(s.To); {
		if err := ctx.Err(); err != nil {
			return err
		}
		gap := f.next(camera, t)
		if gap.Contains(t) {
			t = gap.To
			continue
		}
		end := t.Truncate(minute).Add(minute)
		for _, limit := range []time.Time{s.To, gap.From} {
			if limit.Before(end) {
				end = limit
			}
		}
		if err := f.segment(ctx, camera, r, footage.Span{From: t, To: end}); err != nil {
			return err
		}
		t = end
		if f.done++; f.done%500 == 0 {
			f.progress()
		}
	}
	return nil
}

// segment writes one minute, or the part of it that is wanted.
func (f *filler) segment(ctx context.Context, camera string, r *dayLoop, s footage.Span) error {
	begun := f.session(camera, s.From)
	local := s.From.In(f.span.From.Location())
	clip := r.hours[local.Hour()]
	meta := vault.Meta{
		Camera: camera, Day: local.Format(time.DateOnly), Boot: f.anchor.Boot, Session: uint64(f.mono(begun)),
		Codec: "h264", Init: r.init, From: f.mono(s.From), Wall: s.From.UTC(),
	}
	var w *vault.Writer
	err := f.waitDisk(ctx, func() (err error) {
		w, err = f.v.Begin(meta)
		return err
	})
	if err != nil {
		return fmt.Errorf("begin a segment: %w", err)
	}
	for i, frame := range clip {
		from := s.From.Add(time.Duration(i) * frameTime)
		to := from.Add(frameTime)
		if !from.Before(s.To) {
			break
		}
		if to.After(s.To) {
			to = s.To
		}
		frag := vault.Fragment{
			FragmentInfo: footage.FragmentInfo{From: f.mono(from), To: f.mono(to), Key: frame.key},
			Data:         frame.at(from.Sub(begun), to.Sub(from)),
		}
		if err := f.waitDisk(ctx, func() error { return w.Fragment(frag) }); err != nil {
			return errors.Join(fmt.Errorf("write a fragment: %w", err), w.Close())
		}
	}
	if err := f.waitDisk(ctx, w.Close); err != nil {
		return fmt.Errorf("close a segment: %w", err)
	}
	return nil
}

// waitDisk waits for the disk where a recorder would note a gap.
func (f *filler) waitDisk(ctx context.Context, do func() error) error {
	for {
		err := do()
		if !errors.Is(err, vault.ErrOverload) {
			return err
		}
		if err := f.v.Flush(ctx); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
	}
}
