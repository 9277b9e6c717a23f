package frame

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"campuskeep/shared/account"
)

const (
	LiveBeat   = 20 * time.Second       // keeps proxies and browsers from taking a quiet stream for a dead one
	liveFold   = 300 * time.Millisecond // changes within this time are one
	askEvery   = time.Second            // whether the log-in still may is asked so often
	LiveLength = 30 * time.Minute       // then the browser asks again, and the session is looked at again
)

// Stream writes server-sent events until the browser goes, the session's time for one stream is over, or
// the program stops.
func Stream[T any](c *Call, changed <-chan T) error {
	ctl := http.NewResponseController(c.W)
	if err := ctl.SetWriteDeadline(time.Now().Add(LiveLength + time.Minute)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("set the deadline of a live page: %w", err)
	}
	h := c.W.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	c.W.WriteHeader(http.StatusOK)
	send := func(s string) bool {
		if _, err := c.W.Write([]byte(s)); err != nil {
			return false
		}
		return ctl.Flush() == nil
	}
	if !send("retry: 2000\n\n") {
		return nil
	}
	beat := time.NewTicker(LiveBeat)
	defer beat.Stop()
	judged := time.NewTicker(askEvery)
	defer judged.Stop()
	over := time.NewTimer(LiveLength)
	defer over.Stop()
	for {
		select {
		case <-c.R.Context().Done():
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
func (c *Call) stillAllowed() bool {
	now := c.o.d.Clock.Now()
	for _, s := range c.o.d.People.Sessions(c.Session.Person.ID) {
		if s.ID == c.Session.ID {
			return account.May(c.o.d.Usage.Present(s.Actor, now), c.Action, c.Subject, now.Wall).Allowed
		}
	}
	return false
}

// settle lets what follows at once pass by: it is reported with the next event.
func settle[T any](c *Call, changed <-chan T) bool {
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
		case <-c.R.Context().Done():
			return false
		case _, ok := <-changed:
			if !ok {
				return false
			}
			again = true
		}
	}
}

func acceptsEvents(c *Call) bool {
	if _, err := c.W.Write([]byte("event: change\ndata: {}\n\n")); err != nil {
		return false
	}
	return http.NewResponseController(c.W).Flush() == nil
}
