package player

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"campuskeep/firmware/playback"
	"campuskeep/firmware/viewing"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/lib/ui"
)

// Outcome is what a page says about a viewing that shows nothing any more.
type Outcome struct {
	State string `json:"state"` // ended, or open
	Title string `json:"title"`
	Text  string `json:"text"`
	Href  string `json:"href,omitempty"`
	Link  string `json:"link,omitempty"`
}

// outcomeOf gives a reason its words, view.end.<reason>; one that a person does not see is "closed".
func (o *Pages) outcomeOf(p ui.Printer, v viewing.Opened, by viewing.EndedBy) Outcome {
	reason := string(by)
	if !ui.Has("view.end." + reason) {
		reason = string(viewing.ByViewer)
	}
	out := Outcome{State: "ended", Title: p.T("view.end." + reason), Text: p.T("view.end." + reason + ".text")}
	switch {
	case by == viewing.Disabled || by == viewing.LoggedOut:
		out.Href, out.Link = "/login", p.T("view.end.login")
	case v.Live():
		out.Href, out.Link = "/live", p.T("live.title")
	default:
		out.Href, out.Link = o.DayLink(v.Camera, v.Span.From), p.T("view.end.again")
	}
	return out
}

// viewState says the state of a viewing: the page asks when an answer was refused, and tells the person.
func (o *Pages) viewState(c *call) error {
	id := c.R.PathValue("id")
	if e, ok := o.d.Viewings.Ended(id); ok {
		return c.JSON(http.StatusOK, o.outcomeOf(c.P, e.Opened, e.Reason))
	}
	return c.JSON(http.StatusOK, Outcome{State: "open"})
}

// endedEvent answers a page that asks for the events of a viewing that is over: one event, which says why.
func (o *Pages) endedEvent(c *call) error {
	e, ok := o.d.Viewings.Ended(c.R.PathValue("id"))
	if !ok {
		return playback.ErrUnknown
	}
	b, err := json.Marshal(o.outcomeOf(c.P, e.Opened, e.Reason))
	if err != nil {
		return fmt.Errorf("send the end of a viewing: %w", err)
	}
	c.W.Header().Set("Content-Type", "text/event-stream")
	c.Send(http.StatusOK, []byte("retry: 60000\n\nevent: end\ndata: "+string(b)+"\n\n"))
	return nil
}

// viewEvents tells the page that its viewing has ended, in the moment it does. What the browser has fetched ahead
// it can only be asked not to show.
func (o *Pages) viewEvents(c *call) error {
	v, ok := o.d.Viewings.Get(c.R.PathValue("id"))
	if !ok {
		return o.endedEvent(c)
	}
	defer o.d.Viewings.Shown(v.ID)()
	ctl := http.NewResponseController(c.W)
	if err := ctl.SetWriteDeadline(time.Now().Add(frame.LiveLength + time.Minute)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("set the deadline of a live page: %w", err)
	}
	h := c.W.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	c.W.WriteHeader(http.StatusOK)
	send := func(s string) bool {
		_, err := c.W.Write([]byte(s))
		return err == nil && ctl.Flush() == nil
	}
	if !send("retry: 1000\n\n") {
		return nil
	}
	beat, length := time.NewTicker(frame.LiveBeat), time.NewTimer(frame.LiveLength)
	defer beat.Stop()
	defer length.Stop()
	for {
		select {
		case <-c.R.Context().Done():
			return nil
		case <-length.C:
			return nil
		case <-beat.C:
			if !send(": still here\n\n") {
				return nil
			}
		case <-v.Context().Done():
			reason := viewing.ByViewer
			if by, ok := errors.AsType[viewing.EndedBy](context.Cause(v.Context())); ok {
				reason = by
			}
			b, err := json.Marshal(o.outcomeOf(c.P, v, reason))
			if err != nil {
				return fmt.Errorf("send the end of a viewing: %w", err)
			}
			send("event: end\ndata: " + string(b) + "\n\n")
			return nil
		}
	}
}
