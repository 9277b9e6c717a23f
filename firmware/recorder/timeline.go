package recorder

import (
	"time"

	"campuskeep/firmware/fmp4"
)

const (
	// A frame this far back, or this far from the future, means that the camera's clock stepped; a camera that
	// sends what it had buffered when we connect stays below. In seconds.
	backStep  = 1
	aheadStep = 5
	// Frames that all come this late mean that the camera's clock stepped back or was stopped.
	lateStep = 5
	// The drift is measured over this window and made good over the next one, by at most maxRate.
	driftWindow = 5
	maxRate     = 20000 // parts in a million
)

// timeline maps the RTP time of a camera onto our monotonic time. Frame distances are the camera's, because it
// knows when it exposed them; the place is ours, because a camera's clock steps, drifts and starts anywhere. Late
// arrival is the network's doing and moves nothing: only the least delay of a window counts.
type timeline struct {
	stamps *stampQuality // what the camera's clock is worth; nil: it is always followed
	scale  int64         // ticks a second
	loose  int64         // after a step, what follows as usual may be this far from when it came
	begun  bool
	floor  time.Duration // the line may not start before this: the end of the line before it
	start  time.Duration // monotonic time of tick 0
	rtp    uint32        // of the last frame
	at     int64         // its ticks
	usual  int64         // distance of the frames before
	rate   int64         // correction in ppm
	low    int64         // least delay in this window
	end    int64         // of this window
	steps  int           // how often the camera's clock jumped
	moved  bool          // the last frame was placed by when it came, not by its stamp …
	said   int64         // … which tells this distance; zero while stamps are no measure of time
}

// videoLine counts as video over RTP does.
func videoLine(floor time.Duration) timeline {
	return timeline{scale: fmp4.ClockRate, loose: aheadStep * fmp4.ClockRate, floor: floor, stamps: newStampQuality(fmp4.ClockRate)}
}

// place gives the presentation time of a frame in ticks since the first one.
func (t *timeline) place(rtp uint32, arrival time.Duration) int64 {
	if !t.begun {
		t.begun, t.start, t.rtp = true, max(arrival, t.floor), rtp
		t.window(0)
		return 0
	}
	d := int64(int32(rtp - t.rtp))
	t.rtp = rtp
	now := fmp4.Ticks(arrival-t.start, uint32(t.scale))
	if t.stamps != nil {
		if was := t.stamps.byArrival; t.stamps.take(now, d) {
			t.at, t.moved, t.said = t.stamps.place(t.at, now, d), true, 0
			return t.at
		} else if was {
			t.rate = 0
			t.window(t.at)
		}
	}
	d += d * t.rate / 1e6
	next := t.at + d
	late := now - next
	t.moved, t.said = false, d
	t.low = min(t.low, late)
	switch {
	case d < -backStep*t.scale, late < -aheadStep*t.scale, next >= t.end && t.low > lateStep*t.scale:
		t.steps++
		t.moved = true
		if t.stamps != nil {
			t.stamps.stepped(now, d)
		}
		// Whatever the camera says, this frame follows the one before as usual, or came when it came.
		next = t.at + max(t.usual, 1)
		if now-next > t.loose || next-now > t.loose {
			next = max(now, t.at+1)
		}
		t.rate = 0
		t.window(next)
	case next >= t.end:
		t.rate = min(max(t.low*1e6/(driftWindow*t.scale), -maxRate), maxRate)
		t.window(next)
		t.usual = d
	case d > 0:
		t.usual = d
	}
	t.at = next
	return next
}

func (t *timeline) window(from int64) {
	t.low, t.end = 1<<62, from+driftWindow*t.scale
}

// mono is the monotonic time of a tick.
func (t *timeline) mono(ticks int64) time.Duration {
	return t.start + fmp4.FromTicks(ticks, uint32(t.scale))
}
