package camera

import (
	"context"
	"fmt"
	"time"

	"campuskeep/scripts/sim/render"
)

// encodedFrame is one picture on its way through the encoder.
type encodedFrame struct {
	n   uint32    // pictures since the camera started; the RTP clock
	at  time.Time // true time
	due time.Time // when a machine that is not busy would have sent it; zero: now
}

// run takes pictures until ctx ends. It is the only goroutine that writes c.err before c.ended closes.
func (c *Camera) run(ctx context.Context, ready chan struct{}) {
	defer close(c.ended)
	defer c.Down()
	open := func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.open()
	}
	if c.o.Loop != nil {
		if c.err = open(); c.err == nil {
			close(ready)
			c.loop(ctx)
		}
		return
	}
	first := make(chan struct{})
	filming := make(chan error, 1)
	source := c.runEncoder
	if c.o.Prepared {
		source = c.runPrepared
	}
	go func() { filming <- source(ctx, first) }()
	select {
	case <-first: // the parameters are known now
		if err := open(); err != nil {
			c.cancel()
			<-filming
			c.err = err
			return
		}
		close(ready)
	case c.err = <-filming:
		return
	}
	c.err = <-filming
}

// loop serves ready-made access units at the frame rate.
func (c *Camera) loop(ctx context.Context) {
	c.startTime()
	tick := time.NewTicker(time.Second / time.Duration(c.o.FPS))
	defer tick.Stop()
	for n := uint32(0); ; n++ {
		select {
		case <-ctx.Done():
			return
		case at := <-tick.C:
			c.sendAudio(at)
			c.send(c.o.Loop[int(n)%len(c.o.Loop)], encodedFrame{n: n, at: at})
		}
	}
}

// runEncoder draws and encodes live. first is closed when the first access unit is there.
func (c *Camera) runEncoder(ctx context.Context, first chan struct{}) error {
	var (
		enc    *render.Encoder
		view   *render.View
		shots  chan encodedFrame // those inside the encoder, in order
		period = time.Second / time.Duration(c.o.FPS)
		start  = c.startTime()
		timer  = time.NewTimer(0)
		seen   bool
	)
	defer timer.Stop()
	stop := func() error {
		if enc == nil {
			return nil
		}
		e := enc
		enc = nil
		return e.Close()
	}
	for n := uint32(0); ; n++ {
		timer.Reset(time.Until(start.Add(time.Duration(n) * period)))
		select {
		case <-ctx.Done():
			if err := stop(); err != nil && ctx.Err() == nil {
				return err
			}
			return nil
		case <-timer.C:
		}
		c.sendAudio(time.Now())
		c.mu.Lock()
		c.counter = n
		stalled, recode, coding, step := c.stalled || c.half && n%2 == 1, c.recode, c.coding, c.step
		c.recode = false
		c.mu.Unlock()
		if recode {
			if err := stop(); err != nil && ctx.Err() == nil {
				return err
			}
		}
		if stalled {
			continue
		}
		if enc == nil {
			var err error
			view = render.New(c.o.Name, coding.W, coding.H, false)
			queue := make(chan encodedFrame, 64)
			shots = queue
			enc, err = render.NewEncoder(ctx, coding, func(au [][]byte) {
				c.send(au, <-queue)
				if !seen { // only this goroutine and its successors, one after another
					seen = true
					close(first)
				}
			})
			if err != nil {
				return err
			}
		}
		shots <- encodedFrame{n, time.Now(), start.Add(time.Duration(n) * period)}
		if err := enc.Frame(view.Draw(time.Now().Add(step).In(c.o.Zone), n)); err != nil {
			if ctx.Err() != nil {
				continue // ffmpeg was stopped with us
			}
			return fmt.Errorf("sim camera %s: %w", c.o.Name, err)
		}
	}
}
