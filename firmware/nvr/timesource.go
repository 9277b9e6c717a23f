package nvr

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"campuskeep/firmware/nvr/nvrtime"

	"campuskeep/firmware/timekeeper"
	"campuskeep/shared/clock"
)

// askInterval is how seldom an NVR is asked for the time: every question is a log-in in its log.
const askInterval = time.Hour

// TimeSource gives an NVR as a witness of the time (design §5), for NVRs that are not set from us. mono is the
// monotonic time of this boot.
func (r *Supervisor) TimeSource(id string, mono func() time.Duration) timekeeper.Source {
	return &timeSource{r: r, id: id, mono: mono}
}

type timeSource struct {
	r    *Supervisor
	id   string
	mono func() time.Duration

	mu    sync.Mutex
	asked bool
	at    time.Duration
}

// Name is the source's code.
func (s *timeSource) Name() string { return "nvr." + s.id }

// Origin is that of all NVRs together: they may be set from one another.
func (s *timeSource) Origin() clock.Origin { return clock.OriginNVR }

// Observe asks the NVR, once an hour; in between, and when its digits or its zone are doubtful, it is silent.
func (s *timeSource) Observe(ctx context.Context) (o clock.Observation, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked && s.mono()-s.at < askInterval {
		return o, timekeeper.ErrSilent
	}
	state, known, err := s.r.State(s.id)
	if err != nil {
		return o, err
	}
	if !known || state.Calibration.BadZone || state.Fault == FaultOther {
		return o, timekeeper.ErrSilent
	}
	err = s.r.connectedIfFree(ctx, s.id, func(ctx context.Context, l *connection) error {
		dc, err := l.driver.Clock(ctx)
		if err != nil {
			return err
		}
		_, at, err := nvrtime.ReadClock(dc, s.r.o.Clock.Now())
		// The answer was made between question and now, and reports whole seconds.
		o = clock.Observation{
			Source: s.Name(), Origin: s.Origin(), Mono: s.mono() - dc.Delay/2, UTC: at.UTC.Add(500 * time.Millisecond),
			Uncertainty: dc.Delay/2 + 500*time.Millisecond,
		}
		return err
	})
	if errors.Is(err, errBusyHere) || errors.Is(err, errYield) { // a fetch may take minutes; the clock of the appliance does not wait for it
		return clock.Observation{}, timekeeper.ErrSilent
	}
	s.asked, s.at = true, s.mono()
	if err != nil {
		return clock.Observation{}, fmt.Errorf("time of NVR %s: %w", s.id, err)
	}
	return o, nil
}
