package usage

import (
	"slices"
	"time"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// Availability is what there is of one camera's footage in a wanted span, while the form is filled in.
type Availability struct {
	Camera  string
	Present []footage.Span // recorded and not yet past its time, joined
	Missing []footage.Span // never recorded, or lost
	Gone    []footage.Span // past the camera's time and not held
	Bytes   int64          // of what is present
	// FirstLoss is when the first present second falls off unless it is held; zero when all of it is held
	// beyond its time or nothing is present.
	FirstLoss time.Time
	// BeforeReview says that something falls off before the security office has to answer, unless it is held.
	BeforeReview bool
}

// Complete says whether nothing of the span is missing or gone.
func (a Availability) Complete() bool { return len(a.Missing) == 0 && len(a.Gone) == 0 }

// Lacking is the time that is missing or gone.
func (a Availability) Lacking() time.Duration { return covered(a.Missing) + covered(a.Gone) }

// Available compares a wanted span with the segments that the source lists for it. answerBy is the end of the
// office's time to answer.
func Available(c footage.Camera, want footage.Span, segments []footage.Placed, holds []footage.Hold, now clock.Reading, answerBy time.Time) Availability {
	a := Availability{Camera: c.ID}
	want.To = earlier(want.To, now.Wall) // what is yet to come is not missing
	ceiling := now.Latest().Add(-c.Policy.Keep())
	for _, s := range segments {
		span := s.Span.Intersect(want)
		if span.Duration() <= 0 {
			continue
		}
		held := heldUntil(c.ID, s.Span, holds, now)
		falls := s.Span.To.Add(c.Policy.Keep())
		if !s.Span.To.After(ceiling) && held.IsZero() {
			continue
		}
		a.Present = append(a.Present, span)
		a.Bytes += s.Bytes
		if held.After(falls) {
			falls = held
		}
		if a.FirstLoss.IsZero() || falls.Before(a.FirstLoss) {
			a.FirstLoss = falls
		}
	}
	a.Present = join(a.Present)
	a.BeforeReview = !a.FirstLoss.IsZero() && a.FirstLoss.Before(answerBy)
	for _, hole := range holes(want, a.Present) {
		// What lies beyond the ceiling may have been recorded once: it is gone, not missing.
		gone := footage.Span{From: hole.From, To: earlier(hole.To, ceiling)}
		if gone.Duration() > 0 {
			a.Gone = append(a.Gone, gone)
			hole.From = gone.To
		}
		if hole.Duration() > 0 {
			a.Missing = append(a.Missing, hole)
		}
	}
	return a
}

func heldUntil(camera string, s footage.Span, holds []footage.Hold, now clock.Reading) time.Time {
	var until time.Time
	for _, h := range holds {
		if h.Active(now) && h.Covers(camera, s) && h.Until.After(until) {
			until = h.Until
		}
	}
	return until
}

func join(spans []footage.Span) []footage.Span {
	slices.SortFunc(spans, func(x, y footage.Span) int { return x.From.Compare(y.From) })
	var out []footage.Span
	for _, s := range spans {
		if n := len(out); n > 0 && s.From.Sub(out[n-1].To) <= footage.Joined {
			if s.To.After(out[n-1].To) {
				out[n-1].To = s.To
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

func holes(want footage.Span, present []footage.Span) []footage.Span {
	var out []footage.Span
	at := want.From
	for _, s := range present {
		if s.From.Sub(at) > footage.Joined {
			out = append(out, footage.Span{From: at, To: s.From})
		}
		at = s.To
	}
	if want.To.Sub(at) > footage.Joined {
		out = append(out, footage.Span{From: at, To: want.To})
	}
	return out
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
