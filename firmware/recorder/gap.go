package recorder

import (
	"sync"
	"time"
)

// gapQueue carries gaps from the feeds to Run, so that telling them never holds up a camera.
type gapQueue struct {
	mu   sync.Mutex
	list []Gap
	wake chan struct{}
}

func (q *gapQueue) put(g Gap) {
	q.mu.Lock()
	q.list = append(q.list, g)
	q.mu.Unlock()
	signal(q.wake)
}

func (q *gapQueue) take() []Gap {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.list
	q.list = nil
	return l
}

const (
	// An open gap is reported in pieces of this length.
	gapPiece = time.Hour
	// A start that takes less than this is an ordinary start.
	slowStart = 10 * time.Second
	// Less than this between two sessions is the rounding of frame times.
	smallest = 50 * time.Millisecond
)

// outage follows what one camera misses.
type outage struct {
	open  bool
	since time.Duration
	cause Cause
	emit  func(from, to time.Duration, cause Cause)
}

// lost opens a gap. One that is open keeps its beginning; its cause becomes the later one, which knows more, unless
// that is only a broken connection or our own doing. A camera that is not to be recorded is a gap of its own.
func (o *outage) lost(at time.Duration, cause Cause) {
	switch {
	case !o.open:
		o.open, o.since, o.cause = true, at, cause
	case cause == CauseFull && o.cause == CauseFull, cause == CauseSwitched, cause == CauseNetwork && o.cause != CauseStart:
	case cause == CauseFull, o.cause == CauseFull:
		if at-o.since >= smallest {
			o.emit(o.since, at, o.cause)
		}
		o.since, o.cause = max(o.since, at), cause
	default:
		o.cause = cause
	}
}

// turn says what was missed up to an instant and goes on with another cause from there.
func (o *outage) turn(at time.Duration, cause Cause) {
	if o.open {
		at = max(at, o.since) // what was reported stays
	}
	if o.open && o.cause != cause {
		o.back(at)
	}
	if !o.open {
		o.open, o.since, o.cause = true, at, cause
	}
}

// back closes the gap: recording goes on at this instant.
func (o *outage) back(at time.Duration) {
	if !o.open {
		return
	}
	o.open = false
	if at-o.since < smallest || (o.cause == CauseStart && at-o.since < slowStart) {
		return
	}
	o.emit(o.since, at, o.cause)
}

// tick tells a piece of a long gap.
func (o *outage) tick(now time.Duration) {
	if o.open && now-o.since >= gapPiece {
		o.emit(o.since, now, o.cause)
		o.since = now
	}
}
