package nvr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"time"

	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/nvr/nvrtime"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

const (
	// maxFetch is the longest span of one fetch: a playback takes as long as what it plays.
	maxFetch = 24 * time.Hour
	// maxSession is how long a fetch keeps the connection; then a check may come between.
	maxSession = 10 * time.Minute
	// edgeSlack is what may be missing at an end: an NVR reports whole seconds, and the last one need not be full.
	edgeSlack = 1100 * time.Millisecond
	// groupSlack is what may be missing between two groups of pictures.
	groupSlack = 100 * time.Millisecond
	// maxPause is how long a fetch waits for its next try at most.
	maxPause = time.Hour
	// maxFailures is how many attempts in a row may bring nothing before a fetch gives up.
	maxFailures = 8
	// maxTimeFaults is how many of them may show another time than was asked for, or none: one statement may get lost.
	maxTimeFaults = 3
)

// ErrNothing: the NVR lists nothing of the span.
var ErrNothing = errors.New("nvr: the NVR has nothing of that time")

var basisForm = regexp.MustCompile(`^[a-z0-9._:-]{1,64}$`)

// Fetch asks for a span to be brought into the vault. ground is what allows it, an application id as a rule; whether
// it does is the caller's to decide. The entry is committed before the NVR is asked for a picture. A fetch of the same
// span that is still under way is given back instead of a second one.
func (r *Supervisor) Fetch(ctx context.Context, by account.Who, camera string, span footage.Span, ground string) (Fetch, error) {
	if !span.From.Before(span.To) || span.Duration() > maxFetch {
		return Fetch{}, fmt.Errorf("nvr: a fetch is of some time, and of at most %v", maxFetch)
	}
	if !basisForm.MatchString(ground) {
		return Fetch{}, fmt.Errorf("nvr: %q is no ground", ground)
	}
	rep, ok, err := r.Report(camera)
	if err != nil {
		return Fetch{}, err
	}
	if !ok || rep.NVR == "" { // not looked at yet
		if rep.NVR, rep.Channel, ok = r.attachedTo(camera); !ok {
			return Fetch{}, fmt.Errorf("camera %s: %w", camera, ErrNothing)
		}
		d, _ := r.device(rep.NVR)
		rep.Track = r.Kind(d.v).Track(rep.Channel)
	}
	listed, err := r.listed(camera, span)
	if err != nil {
		return Fetch{}, err
	}
	if len(listed) > 0 { // it may lie where the camera was before
		rep.NVR, rep.Track = listed[0].nvr, listed[0].track
	}
	if len(listed) == 0 && (!span.To.After(rep.Attestation.At) || !span.From.Before(r.o.Clock.Now().Wall)) {
		return Fetch{}, fmt.Errorf("camera %s: %w", camera, ErrNothing)
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	if d, ok := r.device(rep.NVR); !ok || d.v.Retired {
		return Fetch{}, fmt.Errorf("camera %s: %w", camera, ErrNothing)
	}
	all, err := r.fetchesOf(camera)
	if err != nil {
		return Fetch{}, err
	}
	for _, f := range all {
		if f.Span == span && f.Ground == ground && !f.State.Ended() {
			return f, nil
		}
	}
	r.mu.Lock()
	r.number++
	id := fmt.Sprintf("f%06d", r.number)
	r.mu.Unlock()
	f := Fetch{ID: id, NVR: rep.NVR, Camera: camera, Track: rep.Track, Span: span, Ground: ground, State: FetchWaiting, Asked: r.o.Clock.Now().Wall.UTC()}
	ch := ledgerdb.Change{Puts: []ledgerdb.Put{fetches.PutRev(id, f, 0)}, Entries: []ledger.Draft{by.Draft("nvr.fetch", "", rep.NVR, map[string]any{
		"fetch": id, "camera": camera, "from": span.From.UTC(), "to": span.To.UTC(), "ground": ground,
	})}}
	if _, err := r.o.Store.Commit(ctx, ch); err != nil {
		return Fetch{}, fmt.Errorf("fetch of camera %s: %w", camera, err)
	}
	r.invalidate()
	r.wake()
	return f, nil
}

// FetchOf gives one by its id.
func (r *Supervisor) FetchOf(id string) (f Fetch, ok bool, err error) {
	err = r.o.Store.View(func(tx ledgerdb.Tx) error {
		f, _, ok, err = fetches.Get(tx, id)
		return err
	})
	return f, ok, err
}

// advanceNext takes the next due fetch of an NVR one step further. It gives the time at which another will be due.
func (r *Supervisor) advanceNext(ctx context.Context, id string) (next time.Time, err error) {
	k, err := r.cached()
	if err != nil {
		return next, err
	}
	now := r.o.Clock.Now().Wall
	for _, f := range k.all {
		if f.NVR != id || f.State.Ended() {
			continue
		}
		if f.Next.After(now) && f.Next.Sub(now) <= maxPause { // further on: our clock was ahead
			if next.IsZero() || f.Next.Before(next) {
				next = f.Next
			}
			continue
		}
		if err := r.advance(ctx, id, f); err != nil {
			return now, err
		}
		return now, nil
	}
	return next, nil
}

// advance plays what is still missing of a fetch, for one session, and stores how far it came.
func (r *Supervisor) advance(ctx context.Context, id string, f Fetch) error {
	missing, err := r.missing(f)
	if err != nil {
		return err
	}
	var why error
	if len(missing) > 0 {
		before := f.settledTime()
		why = r.connected(ctx, id, func(ctx context.Context, l *connection) error {
			s, _, err := r.State(id)
			if err != nil {
				return err
			}
			c, at, err := r.calibrate(ctx, l, s.Calibration, s.Info.Firmware)
			if err != nil {
				return err
			}
			if c.Play == nvrtime.Unknown {
				return nvrtime.ErrUncalibrated
			}
			return (&session{r: r, l: l, c: c, at: at, f: &f}).run(ctx, missing)
		})
		if ctx.Err() != nil && f.settledTime() == before {
			return ctx.Err()
		}
		switch {
		case f.settledTime() > before:
			f.Attempts = 0
		case !errors.Is(why, errYield):
			f.Attempts++
		}
		if missing, err = r.missing(f); err != nil {
			return err
		}
	}
	return r.settle(context.WithoutCancel(ctx), f, missing, why)
}

// settledTime is of how much of the fetch it is known whether the NVR has pictures.
func (f Fetch) settledTime() (sum time.Duration) {
	for _, s := range mergeSpans(slices.Concat(f.Done, f.Empty)) {
		sum += s.Duration()
	}
	return sum
}

// settle stores the state of a fetch. What is in the vault is in Done, whatever happened behind it.
func (r *Supervisor) settle(ctx context.Context, f Fetch, missing []part, why error) error {
	now := r.o.Clock.Now().Wall.UTC()
	f.Next, f.Reason = time.Time{}, reason(why)
	switch {
	case len(missing) == 0 && len(f.Done) == 0 && len(f.Empty) == 0:
		f.State, f.Reason = FetchFailed, "nothing"
	case len(missing) == 0 && len(f.Empty) > 0: // listed, and not there
		f.State, f.Reason = FetchFailed, "gone"
	case len(missing) == 0:
		f.State, f.Reason = FetchDone, ""
	case f.Attempts >= maxFailures, errors.Is(why, errPlayTime) && f.Attempts >= maxTimeFaults:
		f.State = FetchFailed
	case f.Attempts > 0:
		f.Next = now.Add(r.o.Pause(f.Attempts - 1))
	}
	if f.State == FetchFailed && len(f.Done) > 0 {
		f.State = FetchPartial
	}
	ch := ledgerdb.Change{Puts: []ledgerdb.Put{fetches.Put(f.ID, f)}}
	if f.State.Ended() {
		ch = r.endFetch(&f)
	}
	ch.Check = unlessEnded(f.ID)
	if _, err := r.o.Store.Commit(ctx, ch); err != nil && !errors.Is(err, errEnded) {
		return fmt.Errorf("fetch %s: %w", f.ID, err)
	}
	r.invalidate()
	if why != nil && !errors.Is(why, errYield) {
		r.o.Log.Warn("fetch interrupted", "fetch", f.ID, "nvr", f.NVR, "err", why, "attempts", f.Attempts)
	}
	return nil
}

// errEnded: the fetch was ended meanwhile, with the NVR.
var errEnded = errors.New("nvr: the fetch is over")

func nonNil(s []footage.Span) []footage.Span { return append([]footage.Span{}, s...) }

// reason is a code for why a fetch waits or failed.
func reason(err error) string {
	switch {
	case err == nil:
		return "broke_off"
	case errors.Is(err, errYield):
		return ""
	case errors.Is(err, driver.ErrBusy):
		return "busy"
	case errors.Is(err, driver.ErrRefused):
		return "credentials"
	case errors.Is(err, driver.ErrForbidden):
		return "forbidden"
	case errors.Is(err, driver.ErrInClear):
		return "in_clear"
	case errors.Is(err, fs.ErrNotExist):
		return "gone"
	case errors.Is(err, errPlayTime), errors.Is(err, nvrtime.ErrUncalibrated):
		return "uncalibrated"
	case errors.Is(err, errStream):
		return "stream"
	}
	return "offline"
}

// part is what has to be played.
type part struct {
	footage.Span
	track driver.TrackID
	last  bool // nothing is recorded behind it: its last second need not be full
	// small: it is not divided any more. Where the NVR states times, its first group of pictures is kept, and otherwise
	// what comes, with the length as part of the doubt.
	small bool
}

// missing is what the NVR lists of a fetch's span, is not in the vault yet, and was not found empty.
func (r *Supervisor) missing(f Fetch) (out []part, err error) {
	pieces, err := r.listed(f.Camera, f.Span)
	if err != nil {
		return nil, err
	}
	tracks := map[driver.TrackID][]footage.Span{}
	for _, p := range pieces {
		if p.nvr == f.NVR {
			tracks[p.track] = append(tracks[p.track], p.Span)
		}
	}
	for track, spans := range tracks {
		for _, s := range footage.Join(spans, footage.Joined) {
			for _, left := range subtract(s.Intersect(f.Span), slices.Concat(f.Done, f.Empty), groupSlack) {
				p := part{Span: left, track: track, last: left.To.Equal(s.To)}
				if (p.last || left.From.Equal(s.From)) && left.Duration() <= edgeSlack {
					continue
				}
				out = append(out, p)
			}
		}
	}
	slices.SortFunc(out, func(a, b part) int { return a.From.Compare(b.From) })
	return out, nil
}

func mergeSpans(s []footage.Span) []footage.Span { return footage.Join(s, groupSlack) }

// subtract gives what is left of a span, in parts longer than least.
func subtract(s footage.Span, taken []footage.Span, least time.Duration) (out []footage.Span) {
	at := s.From
	for _, t := range footage.Join(taken, 0) {
		if !t.To.After(at) || !t.From.Before(s.To) {
			continue
		}
		if t.From.Sub(at) > least {
			out = append(out, footage.Span{From: at, To: t.From})
		}
		at = t.To
	}
	if s.To.Sub(at) > least {
		out = append(out, footage.Span{From: at, To: s.To})
	}
	return out
}
