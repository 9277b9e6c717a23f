package web

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"campuskeep/shared/account"
)

// liveGate tells the gate board that something changed, within a second: the page then fetches itself again,
// so that what may be shown is decided in one place. Changes that come faster are folded.
func (o *Server) liveGate(c *call) error {
	events, cancel := o.d.Gate.Subscribe()
	defer cancel()
	return stream(c, events)
}

// liveLog tells the today page that the log grew.
func (o *Server) liveLog(c *call) error {
	sizes, cancel := o.d.Ledger.Subscribe()
	defer cancel()
	return stream(c, sizes)
}

const (
	liveBeat   = 20 * time.Second       // keeps proxies and browsers from taking a quiet stream for a dead one
	liveFold   = 300 * time.Millisecond // changes within this time are one
	askEvery   = time.Second            // whether the log-in still may is asked so often
	liveLength = 30 * time.Minute       // then the browser asks again, and the session is looked at again
)

// stream writes server-sent events until the browser goes, the session's time for one stream is over, or
// the program stops.
func stream[T any](c *call, changed <-chan T) error {
	ctl := http.NewResponseController(c.w)
	if err := ctl.SetWriteDeadline(time.Now().Add(liveLength + time.Minute)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("set the deadline of a live page: %w", err)
	}
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	c.w.WriteHeader(http.StatusOK)
	send := func(s string) bool {
		if _, err := c.w.Write([]byte(s)); err != nil {
			return false
		}
		return ctl.Flush() == nil
	}
	if !send("retry: 2000\n\n") {
		return nil
	}
	beat := time.NewTicker(liveBeat)
	defer beat.Stop()
	judged := time.NewTicker(askEvery)
	defer judged.Stop()
	over := time.NewTimer(liveLength)
	defer over.Stop()
	for {
		select {
		case <-c.r.Context().Done():
			return nil
		case <-c.o.stopping:
			return nil
		case <-over.C:
			return nil
		case <-judged.C:
			if !c.stillAllowed() {
				return nil
			}
		case <-beat.C:
			if !send(": still here\n\n") {
				return nil
			}
		case _, ok := <-changed:
			if !ok || !c.stillAllowed() || !acceptsEvents(c) || !settle(c, changed) {
				return nil
			}
		}
	}
}

// stillAllowed says whether the log-in that opened this stream is still there and may still have it. It is looked up
// without being used.
func (c *call) stillAllowed() bool {
	now := c.o.d.Clock.Now()
	for _, s := range c.o.d.People.Sessions(c.session.Person.ID) {
		if s.ID == c.session.ID {
			return account.May(c.o.d.Usage.Present(s.Actor, now), c.action, c.subject, now.Wall).Allowed
		}
	}
	return false
}

// settle lets what follows at once pass by: it is reported with the next event.
func settle[T any](c *call, changed <-chan T) bool {
	fold := time.NewTimer(liveFold)
	defer fold.Stop()
	again := false
	for {
		select {
		case <-fold.C:
			if again {
				return acceptsEvents(c)
			}
			return true
		case <-c.r.Context().Done():
			return false
		case _, ok := <-changed:
			if !ok {
				return false
			}
			again = true
		}
	}
}

func acceptsEvents(c *call) bool {
	if _, err := c.w.Write([]byte("event: change\ndata: {}\n\n")); err != nil {
		return false
	}
	return http.NewResponseController(c.w).Flush() == nil
}
