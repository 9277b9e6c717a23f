package nvr

import (
	"context"
	"errors"
	"slices"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/footage"
)

// listingAge is how old a listing may be when footage is asked for that is younger than it.
const listingAge = 2 * time.Minute

// refetchDelay is how long what was fetched and is not in the vault any more is not requested again.
const refetchDelay = time.Hour

// EnsureFetched requests a span, as [Supervisor.Fetch] does, unless no fetch is needed: it is in the vault or on its way, the NVR has
// nothing of it, or it could not be had on this ground before and again is not set.
func (r *Supervisor) EnsureFetched(ctx context.Context, by account.Who, camera string, span footage.Span, ground string, again bool) error {
	mine, err := r.fetchesOf(camera)
	if err != nil {
		return err
	}
	have, err := r.inVault(ctx, camera, span)
	if err != nil {
		return err
	}
	left := without([]footage.Span{span}, have)
	now := r.o.Clock.Now().Wall
	for _, f := range mine {
		if len(left) == 0 {
			return nil
		}
		if !f.Span.Overlaps(span) || f.Reason == reassigned {
			continue
		}
		switch {
		case !f.State.Ended():
			left = without(left, []footage.Span{f.Span})
		case f.State == FetchDone, f.Ground == ground && !again: // what it has not brought is not there
			left = without(left, without([]footage.Span{f.Span}, f.Done))
		}
		if since := now.Sub(f.Ended); f.State.Ended() && since >= 0 && since < refetchDelay {
			left = without(left, f.Done)
		}
	}
	if left, err = r.byNVR(camera, left); err != nil {
		return err
	}
	for _, s := range left {
		if _, err := r.Fetch(ctx, by, camera, s, ground); err != nil && !errors.Is(err, ErrNothing) {
			return err
		}
	}
	return nil
}

// byNVR cuts spans where a camera's footage goes on on another NVR: a fetch is from one.
func (r *Supervisor) byNVR(camera string, spans []footage.Span) (out []footage.Span, err error) {
	for _, s := range spans {
		list, err := r.listed(camera, s)
		if err != nil {
			return nil, err
		}
		for i, h := range list {
			if i > 0 && h.nvr != list[i-1].nvr && h.Span.From.After(s.From) && h.Span.From.Before(s.To) {
				out = append(out, footage.Span{From: s.From, To: h.Span.From})
				s.From = h.Span.From
			}
		}
		out = append(out, s)
	}
	return out, nil
}

func without(left, taken []footage.Span) (out []footage.Span) {
	for _, s := range left {
		out = append(out, subtract(s, taken, edgeSlack)...)
	}
	return out
}

// Progress is how far the fetches of a span are.
type Progress struct {
	State   FetchState
	Running bool // being played now
	Percent int  // of what was asked for
	Reason  string
	Next    time.Time
	Ahead   int           // fetches of the same NVR that come first
	Left    time.Duration // of footage still to be played
}

// Progress gives the state of the fetches of a camera that overlap a span: of the one furthest from its end. ok is false
// when there is none.
func (r *Supervisor) Progress(camera string, span footage.Span) (p Progress, ok bool, err error) {
	k, err := r.cached()
	if err != nil {
		return p, false, err
	}
	all := k.all
	var mine []Fetch
	for _, f := range k.camera[camera] {
		if f.Span.Overlaps(span) && f.Reason != reassigned {
			mine = append(mine, f)
		}
	}
	if len(mine) == 0 {
		return p, false, nil
	}
	last := mine[len(mine)-1]
	if i := slices.IndexFunc(mine, func(f Fetch) bool { return !f.State.Ended() }); i >= 0 {
		last = mine[i]
	}
	p = Progress{State: last.State, Reason: last.Reason, Next: last.Next}
	var asked, done time.Duration
	for _, f := range mine {
		if f.State.Ended() && f.ID != last.ID {
			continue
		}
		asked += f.Span.Duration()
		now, _ := r.Now(f)
		done += doneTime(now)
	}
	p.Left = max(0, asked-done)
	if asked > 0 {
		p.Percent = min(99, int(100*done/asked))
	}
	if last.State == FetchDone {
		p.Percent, p.Left = 100, 0
	}
	for _, f := range all {
		if f.ID == last.ID {
			break
		}
		if f.NVR == last.NVR && !f.State.Ended() {
			p.Ahead++
		}
	}
	_, p.Running = r.Now(last)
	return p, true, nil
}

func doneTime(f Fetch) (sum time.Duration) {
	for _, d := range f.Done {
		sum += d.Intersect(f.Span).Duration()
	}
	return sum
}

// Now gives a fetch with what its running playback has brought so far, and says whether one is running.
func (r *Supervisor) Now(f Fetch) (Fetch, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	done, running := r.playing[f.ID]
	if len(done) > 0 {
		f.Done = mergeSpans(append(slices.Clone(f.Done), done...))
	}
	return f, running
}

// Percent is how much of the fetch is in the vault.
func (f Fetch) Percent() int {
	switch all := f.Span.Duration(); {
	case f.State == FetchDone:
		return 100
	case all > 0:
		return min(99, int(100*doneTime(f)/all))
	}
	return 0
}

// notePlayed notes what a running playback has brought; nil begins, and over ends it.
func (r *Supervisor) notePlayed(fetch string, spans []footage.Span, over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if over {
		delete(r.playing, fetch)
		return
	}
	r.playing[fetch] = spans
}

// attachedTo gives the NVR and the channel that a camera is assigned to.
func (r *Supervisor) attachedTo(camera string) (nvr string, channel int, ok bool) {
	for _, d := range r.Devices() {
		for n, id := range d.Cameras {
			if id == camera && !d.Retired {
				return d.ID, n, true
			}
		}
	}
	return "", 0, false
}

// stale says whether something is asked for that is younger than the last listing.
func (r *Supervisor) stale(id string, s State, now time.Time) (bool, error) {
	if now.Sub(s.Checked).Abs() < listingAge {
		return false, nil
	}
	all, err := r.Fetches()
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(all, func(f Fetch) bool {
		return f.NVR == id && !f.State.Ended() && !f.Next.After(now) && f.Span.To.After(s.Checked)
	}), nil
}
