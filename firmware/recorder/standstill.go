package recorder

import (
	"context"
	"sync"
	"time"
)

const (
	// A beat that comes this late means that the program did not run: it was suspended, or the machine starved it.
	minStandstill = 5 * time.Second
	// What breaks within this time after it has gone on, breaks because of it.
	beatEvery = 30 * time.Second
	// Standing still is remembered this many times.
	stopsKept = 16
)

// standstill knows when the program itself was stopped: what is missed then is not the cameras' doing.
type standstill struct {
	mu    sync.Mutex
	beat  time.Duration
	stops []stop // guarded by mu
}

type stop struct{ from, to time.Duration }

// beat keeps r.own until ctx ends.
func (r *Recorder) beat(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	r.standstill.at(r.o.Clock.Now().Mono)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.standstill.at(r.o.Clock.Now().Mono)
		}
	}
}

// at notes that the program runs now.
func (s *standstill) at(now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.beat > 0 && now-s.beat > minStandstill {
		s.stops = append(s.stops, stop{s.beat, now})
		s.stops = s.stops[max(0, len(s.stops)-stopsKept):]
	}
	s.beat = max(s.beat, now)
}

// until says up to where a gap is our own doing; the beginning of the gap when it is not. Only what begins with a
// standstill is: a camera that was away before it would have been missed anyway.
func (s *standstill) until(from, to, now time.Duration, cause Cause) time.Duration {
	switch cause {
	case CauseNetwork, CauseOffline, CauseStalled, CauseOverload:
	default:
		return from
	}
	s.at(now) // anyone who tells a gap may be the first to go on
	s.mu.Lock()
	defer s.mu.Unlock()
	own := from
	for _, x := range s.stops {
		if from >= x.from-minStandstill && from <= x.to+beatEvery {
			own = max(own, min(to, x.to+beatEvery))
		}
	}
	return own
}
