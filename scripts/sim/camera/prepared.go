package camera

import (
	"context"
	"fmt"
	"time"

	"campuskeep/scripts/sim/render"
)

// runPrepared sends pictures that are encoded before they are due. The stream begins again, with a key picture, where a
// camera would have to encode otherwise: after a change, a restart, a stall. first is closed when the parameters are
// known.
func (c *Camera) runPrepared(ctx context.Context, first chan struct{}) error {
	var (
		stream *render.Stream
		every  uint32
		period = time.Second / time.Duration(c.o.FPS)
		start  = c.startTime()
		timer  = time.NewTimer(0)
	)
	defer timer.Stop()
	for n := uint32(0); ; n++ {
		due := start.Add(time.Duration(n) * period)
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		c.sendAudio(time.Now())
		c.mu.Lock()
		c.counter = n
		stalled, half, recode, coding := c.stalled, c.half, c.recode, c.coding
		c.recode = false
		c.mu.Unlock()
		if recode || stalled || half != (every == 2) {
			stream = nil
		}
		if stalled || half && n%2 == 1 {
			continue
		}
		if stream == nil {
			every = 1
			if half {
				every = 2
			}
			stream = render.NewStream(c.o.Name, coding, n, every)
		}
		au, err := stream.At(ctx, n)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("sim camera %s: %w", c.o.Name, err)
		}
		c.send(au, encodedFrame{n, time.Now(), due})
		if n == 0 {
			close(first)
		}
	}
}
