package nvr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/nvr/nvrtime"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/footage"
)

const (
	// window is the longest part of one playback whose pictures are held back until its end.
	window = time.Minute
	// smallest is the length below which a part is not divided any more.
	smallest = 4 * time.Second
)

// session plays parts of a fetch while it holds the connection to the NVR.
type session struct {
	r  *Supervisor
	l  *connection
	c  nvrtime.Calibration
	at nvrtime.Instant
	f  *Fetch
}

// run plays what is missing for one session. A part that could not be had is tried once more, and then those behind it
// come first.
func (t *session) run(ctx context.Context, missing []part) error {
	t.r.notePlayed(t.f.ID, nil, false)
	defer t.r.notePlayed(t.f.ID, nil, true)
	parts, err := t.list(ctx, missing)
	if err != nil {
		return err
	}
	parts = windows(parts, t.length())
	if n := len(parts); n > 0 {
		parts = slices.Concat(parts[min(t.f.Attempts/2, n-1):], parts[:min(t.f.Attempts/2, n-1)])
	}
	left := maxSession
	for _, p := range parts {
		if left <= 0 {
			return nil
		}
		left -= p.Duration()
		for _, s := range t.remaining(p) { // the one before may reach into it
			q := p
			q.Span = s
			if err := t.play(ctx, q); err != nil {
				return err
			}
		}
	}
	return nil
}

// length is how long a part of one playback is: a session where the NVR states times again and again, otherwise what
// can be held back.
func (t *session) length() time.Duration {
	if t.l.statesTimes {
		return maxSession
	}
	kbps := usualKbps
	for _, k := range t.l.kbps {
		kbps = max(kbps, k)
	}
	return min(window, max(2*smallest, time.Duration(maxPending/2/(kbps*125))*time.Second))
}

// windows cuts parts to a length.
func windows(parts []part, length time.Duration) (out []part) {
	for _, p := range parts {
		for p.Duration() > length*3/2 {
			q := p
			q.To, q.last = p.From.Add(length), false
			out = append(out, q)
			p.From = q.To
		}
		out = append(out, p)
	}
	return out
}

// list lists again what is missing: what is recorded may have changed since the last check, and records are played one
// by one. What is not listed any more is empty if a playback shows no picture of it either.
func (t *session) list(ctx context.Context, missing []part) (out []part, err error) {
	left := maxSession
	for _, m := range missing {
		if left <= 0 {
			break
		}
		if m.Duration() > left {
			m.To, m.last = m.From.Add(left), false
		}
		left -= m.Duration()
		list, err := t.records(ctx, m)
		if err != nil {
			return nil, err
		}
		at := m.From
		for _, s := range append(list, footage.Span{From: m.To, To: m.To}) {
			if gap := (footage.Span{From: at, To: s.From}); gap.Duration() > edgeSlack {
				there, _, err := t.probe(ctx, m.track, gap)
				if err != nil {
					return nil, err
				}
				if there {
					out = append(out, part{Span: gap, track: m.track, last: true})
				} else if err := t.save(ctx, played{}, gap); err != nil {
					return nil, err
				}
			}
			if q := s.Intersect(m.Span); q.From.Before(q.To) {
				out = append(out, part{Span: q, track: m.track, last: m.last && q.To.Equal(m.To) || q.To.Equal(s.To) && s.To.Before(m.To)})
			}
			at = s.To
		}
	}
	return out, nil
}

// records are what the NVR lists of a part now.
func (t *session) records(ctx context.Context, m part) (out []footage.Span, err error) {
	pad := t.at.UTC.Sub(t.at.Local).Abs() + time.Hour // whatever the digits of the question mean to it
	from, to := t.c.Stamp(m.From.Add(-pad), t.c.Search), t.c.Stamp(m.To.Add(pad), t.c.Search)
	err = t.l.driver.Search(ctx, m.track, from, to, func(rec driver.Record) error {
		a, _, ok := t.c.UTC(rec.From, t.c.Search)
		b, _, ok2 := t.c.UTC(rec.To, t.c.Search)
		if s := (footage.Span{From: a, To: b}); ok && ok2 && s.Overlaps(m.Span) {
			out = append(out, s)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the track again: %w", err)
	}
	if t.c.PlayStated {
		return footage.Join(out, footage.Joined), nil
	}
	return footage.Join(out, 0), nil
}

// probe says whether a playback has any picture of a span, and what the NVR states of the first one.
func (t *session) probe(ctx context.Context, track driver.TrackID, s footage.Span) (there bool, at time.Time, err error) {
	n, p := 0, playback{c: t.c}
	err = t.l.driver.Play(ctx, track, t.c.Stamp(s.From, t.c.Play), t.c.Stamp(s.To, t.c.Play), func(a driver.AccessUnit) error {
		there = true
		if n++; t.c.PlayStated && a.Clock.IsZero() && n < placeTries {
			return nil
		}
		if t.c.PlayStated && !a.Clock.IsZero() {
			at = p.stated(a)
			there = at.Before(s.To)
		}
		return driver.ErrEnough
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, driver.ErrSilent) {
		return false, at, nil
	}
	return there, at, err
}

// confirmSkip says whether an NVR that plays what lies behind a part does so because it has nothing before: then it plays
// exactly that when it is asked for it.
func (t *session) confirmSkip(ctx context.Context, track driver.TrackID, away time.Time) error {
	_, at, err := t.probe(ctx, track, footage.Span{From: away, To: away.Add(groupTime)})
	if err == nil && at.Sub(away).Abs() > groupTime {
		err = fmt.Errorf("%w: %v for %v", errPlayTime, at, away)
	}
	return err
}

// play plays a part, and what is left of it in smaller parts, until of each it is known whether there are pictures.
func (t *session) play(ctx context.Context, p part) error {
	for tries := 0; ; tries++ {
		p.small = p.Duration() <= max(smallest, 2*t.l.groups[p.track])
		before, group := t.f.settledTime(), t.l.groups[p.track]
		got, err := t.r.play(ctx, t.l, t.c, *t.f, p)
		empty := got.empty.Intersect(p.Span)
		if err == nil && !got.skippedTo.IsZero() {
			if err = t.confirmSkip(ctx, p.track, got.skippedTo); err == nil {
				empty = p.Span
			}
		}
		if nerr := t.save(context.WithoutCancel(ctx), got, empty); nerr != nil {
			return errors.Join(err, nerr)
		}
		left := t.remaining(p)
		progress := t.f.settledTime() > before
		switch {
		case errors.Is(err, driver.ErrSilent): // is no answer: it is asked again, now and in later turns, and what lies behind is had first
			if tries == 0 {
				continue
			}
			return nil
		case errors.Is(err, errStream):
			if p.small {
				return t.save(ctx, played{}, left...)
			}
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		case len(left) == 0:
			return nil
		case !got.seen && tries == 0, got.reached && !progress && group < groupTime && t.l.groups[p.track] > group:
			continue // once more: it may have been busy, or its groups of pictures are longer than was known
		case !got.seen, p.small && !progress:
			return t.save(ctx, played{}, left...)
		}
		for _, q := range divide(p, left, got, progress && (p.small || got.reached)) {
			if err := t.play(ctx, q); err != nil {
				return err
			}
		}
		return nil
	}
}

// remaining is what of a part is neither in the vault nor empty.
func (t *session) remaining(p part) (out []footage.Span) {
	for _, s := range subtract(p.Span, slices.Concat(t.f.Done, t.f.Empty), groupSlack) {
		if p.last && s.To.Equal(p.To) && s.Duration() <= edgeSlack {
			continue
		}
		out = append(out, s)
	}
	return out
}

// divide gives what is left of a part in smaller parts: cut where the pictures ended, or else in halves. With whole, each
// is played as it is.
func divide(p part, left []footage.Span, got played, whole bool) (out []part) {
	for _, s := range left {
		add := func(from, to time.Time, last bool) {
			out = append(out, part{Span: footage.Span{From: from, To: to}, track: p.track, last: last || p.last && to.Equal(p.To)})
		}
		cut := s.From.Add(s.Duration() / 2)
		ended := got.end.Sub(s.From) > smallest/2 && s.To.Sub(got.end) > smallest/2
		if ended {
			cut = got.end
		}
		if whole || s.Duration() <= smallest {
			add(s.From, s.To, false)
			continue
		}
		add(s.From, cut, ended)
		add(cut, s.To, false)
	}
	return out
}

// save writes down what a playback has shown, and what was found empty.
func (t *session) save(ctx context.Context, got played, empty ...footage.Span) error {
	f := t.f
	f.Done, f.Bytes = mergeSpans(slices.Concat(f.Done, got.done)), f.Bytes+got.bytes
	for _, s := range empty {
		if s.From.Before(s.To) {
			f.Empty = mergeSpans(append(f.Empty, s))
		}
	}
	t.r.notePlayed(f.ID, nil, false)
	row := *f
	_, err := t.r.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{fetches.Put(f.ID, row)}, Check: unlessEnded(f.ID)})
	t.r.invalidate()
	if err != nil {
		return fmt.Errorf("fetch %s: %w", f.ID, err)
	}
	return nil
}
