package usage

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	rules "campuskeep/shared/usage"
)

// Fetcher brings footage that lies on an NVR alone into the vault. What allows it is decided here, never there.
type Fetcher interface {
	// Fetch asks for a span of one camera. ground is an application or an incident. What is in the vault, what is on
	// its way, and what nobody has is not asked for; what failed on this ground is asked for again only with again.
	Fetch(ctx context.Context, by account.Who, camera string, span footage.Span, ground string, again bool) error
	// Fetching says how far the fetches of a camera are that touch a span; ok is false when there is none.
	Fetching(camera string, span footage.Span) (f Fetching, ok bool, err error)
}

// Fetching is how far footage is on its way from an NVR. The catalogue has "fetch.<state>" and "fetch.reason.<reason>".
type Fetching struct {
	State   string        // queued, running, waiting (for the next try), failed, partial, done
	Percent int           // of the footage asked for
	Reason  string        // why it waits or failed
	Next    time.Time     // of the next try, when it waits
	Ahead   int           // other fetches of the same NVR that come first
	Left    time.Duration // of footage to be played yet: NVRs play in real time as a rule
}

// Over says whether nothing more comes by itself.
func (f Fetching) Over() bool {
	return f.State == "failed" || f.State == "partial" || f.State == "done"
}

// vaultTolerance is how much of a span may lie on the NVR alone and still count as nothing: an NVR gives whole seconds.
const vaultTolerance = 3 * time.Second

// Awaited says how far the footage of a viewing is on its way from an NVR. ok is false when there is nothing to wait
// for: everything is in the vault, or nothing more comes and what came can be shown.
func (e *Register) Awaited(ctx context.Context, v Viewing) (f Fetching, ok bool, err error) {
	if !e.fetched(v) {
		return f, false, nil
	}
	f, ok, err = e.o.Fetcher.Fetching(v.Camera, v.Span)
	if err != nil || f.State == "done" {
		return f, false, err
	}
	here, there, err := e.locate(ctx, v.Camera, v.Span)
	switch {
	case err != nil, there == 0 && (!ok || f.Over()), here > 0 && (!ok || f.Over()):
		return f, false, err
	case !ok:
		return Fetching{State: "failed", Reason: "unasked"}, true, nil
	}
	return f, true, nil
}

// fetched says whether what a viewing shows has to come from an NVR first.
func (e *Register) fetched(v Viewing) bool {
	return e.o.Fetcher != nil && v.Mode != Live && e.onNVR(v.Camera)
}

// locate returns how much of a span lies in the vault, and how much an NVR lists and the vault has
// not.
func (e *Register) locate(ctx context.Context, camera string, span footage.Span) (here, there time.Duration, err error) {
	list, err := e.o.Footage.Segments(ctx, camera, span)
	if err != nil {
		return 0, 0, fmt.Errorf("look up footage of camera %s: %w", camera, err)
	}
	for _, s := range list {
		switch d := s.Span.Intersect(span).Duration(); {
		case s.Custody != footage.CustodyNVR:
			here += d
		case d > vaultTolerance:
			there += d
		}
	}
	return here, there, nil
}

// segmentBytes returns what a segment adds to the disk when a span of it is kept: a file of ours as it is, and of a
// recording that lies on an NVR the part that would be fetched.
func segmentBytes(x footage.Placed, span footage.Span) uint64 {
	whole := x.Span.Duration()
	if x.Custody != footage.CustodyNVR || whole <= 0 {
		return uint64(x.Bytes)
	}
	return uint64(float64(x.Bytes) * float64(x.Span.Intersect(span).Duration()) / float64(whole))
}

// onNVR says whether a camera's footage is kept by an NVR.
func (e *Register) onNVR(camera string) bool {
	for _, c := range e.o.Cameras() {
		if c.ID == camera {
			return c.Custody == footage.CustodyNVR
		}
	}
	return false
}

// fetchFor asks for what a viewing that was just opened is to show. The entry of the viewing is before it; that
// nothing could be asked for shows in [Register.Awaited].
func (e *Register) fetchFor(ctx context.Context, by account.Who, v Viewing) {
	if !e.fetched(v) {
		return
	}
	if err := e.o.Fetcher.Fetch(ctx, by, v.Camera, v.Span, cmp.Or(v.Application, v.Incident), true); err != nil {
		e.o.Log.Error("footage of a viewing was not asked for", "viewing", v.ID, "err", err)
	}
}

// wakeFetch makes Run check at once whether something has to be fetched.
func (e *Register) wakeFetch() {
	select {
	case e.holdUse <- struct{}{}:
	default: // it will look
	}
}

// fetchForHolds asks for everything that a hold or an approval keeps and that an NVR has: before the NVR's own time is
// over. It is asked for once; what failed is tried again when somebody wants to see it.
func (e *Register) fetchForHolds(ctx context.Context) error {
	if e.o.Fetcher == nil {
		return nil
	}
	ask := func(cameras []string, span footage.Span, ground string) error {
		for _, c := range cameras {
			if !e.onNVR(c) || ground == "" {
				continue
			}
			if err := e.o.Fetcher.Fetch(ctx, account.System, c, span, ground, false); err != nil {
				return fmt.Errorf("fetch footage of camera %s for %s: %w", c, ground, err)
			}
		}
		return nil
	}
	for _, h := range e.Holds() {
		if err := ask(h.Cameras, h.Span, h.Application); err != nil {
			return err
		}
	}
	now := e.o.Clock.Now().Wall
	for _, a := range e.List() {
		if err := e.requestGranted(a, now, ask); err != nil {
			return err
		}
	}
	return nil
}

func (e *Register) requestGranted(a rules.Application, now time.Time, ask func([]string, footage.Span, string) error) error {
	for _, g := range a.Grants() {
		if !now.Before(g.Until) {
			continue
		}
		if err := ask(g.Cameras, footage.Span{From: g.From, To: g.To}, a.ID); err != nil {
			return err
		}
	}
	return nil
}
