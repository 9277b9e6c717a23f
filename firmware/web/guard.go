package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"campuskeep/firmware/playback"
	"campuskeep/firmware/viewing"
	"campuskeep/shared/lib/ui"
)

// outcome is what a page says about a viewing that shows nothing any more.
type outcome struct {
	State string `json:"state"` // ended, or open
	Title string `json:"title"`
	Text  string `json:"text"`
	Href  string `json:"href,omitempty"`
	Link  string `json:"link,omitempty"`
}

// outcomeOf gives a reason its words, view.end.<reason>; one that a person does not see is "closed".
func (o *Server) outcomeOf(p ui.Printer, v viewing.Opened, by viewing.EndedBy) outcome {
	reason := string(by)
	if !ui.Has("view.end." + reason) {
		reason = string(viewing.ByViewer)
	}
	out := outcome{State: "ended", Title: p.T("view.end." + reason), Text: p.T("view.end." + reason + ".text")}
	switch {
	case by == viewing.Disabled || by == viewing.LoggedOut:
		out.Href, out.Link = "/login", p.T("view.end.login")
	case v.Live():
		out.Href, out.Link = "/live", p.T("live.title")
	default:
		out.Href, out.Link = o.dayLink(v.Camera, v.Span.From), p.T("view.end.again")
	}
	return out
}

func (o *Server) dayLink(camera string, at time.Time) string {
	at = at.In(o.d.Zone)
	return "/footage?" + url.Values{"camera": {camera}, "day": {at.Format(time.DateOnly)}, "t": {at.Format("15:04")}}.Encode() + "#watch"
}

// viewState says the state of a viewing: the page asks when an answer was refused, and tells the person.
func (o *Server) viewState(c *call) error {
	id := c.r.PathValue("id")
	if e, ok := o.d.Viewings.Ended(id); ok {
		return c.json(http.StatusOK, o.outcomeOf(c.p, e.Opened, e.Reason))
	}
	return c.json(http.StatusOK, outcome{State: "open"})
}

// endedEvent answers a page that asks for the events of a viewing that is over: one event, which says why.
func (o *Server) endedEvent(c *call) error {
	e, ok := o.d.Viewings.Ended(c.r.PathValue("id"))
	if !ok {
		return playback.ErrUnknown
	}
	b, err := json.Marshal(o.outcomeOf(c.p, e.Opened, e.Reason))
	if err != nil {
		return fmt.Errorf("send the end of a viewing: %w", err)
	}
	c.w.Header().Set("Content-Type", "text/event-stream")
	c.send(http.StatusOK, []byte("retry: 60000\n\nevent: end\ndata: "+string(b)+"\n\n"))
	return nil
}

// viewEvents tells the page that its viewing has ended, in the moment it does. What the browser has fetched ahead
// it can only be asked not to show.
func (o *Server) viewEvents(c *call) error {
	v, ok := o.d.Viewings.Get(c.r.PathValue("id"))
	if !ok {
		return o.endedEvent(c)
	}
	ctl := http.NewResponseController(c.w)
	if err := ctl.SetWriteDeadline(time.Now().Add(liveLength + time.Minute)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("set the deadline of a live page: %w", err)
	}
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	c.w.WriteHeader(http.StatusOK)
	send := func(s string) bool {
		_, err := c.w.Write([]byte(s))
		return err == nil && ctl.Flush() == nil
	}
	if !send("retry: 1000\n\n") {
		return nil
	}
	beat, length := time.NewTicker(liveBeat), time.NewTimer(liveLength)
	defer beat.Stop()
	defer length.Stop()
	for {
		select {
		case <-c.r.Context().Done():
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
			b, err := json.Marshal(o.outcomeOf(c.p, v, reason))
			if err != nil {
				return fmt.Errorf("send the end of a viewing: %w", err)
			}
			send("event: end\ndata: " + string(b) + "\n\n")
			return nil
		}
	}
}
