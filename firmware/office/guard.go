package office

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"campuskeep/firmware/people"
	"campuskeep/firmware/playback"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/ui"
)

// What ends viewings by itself: every change of a right is an entry of the log, so each new entry has them judged
// anew; what time alone brings is looked at once a second.
const (
	judgeEvery = time.Second
	idleEvery  = 15 * time.Second
)

// watchOver ends viewings that may go on no more, until ctx ends.
func (o *Office) watchOver(ctx context.Context) {
	grown, cancel := o.d.Ledger.Subscribe()
	defer cancel()
	second, idle := time.NewTicker(judgeEvery), time.NewTicker(idleEvery)
	defer second.Stop()
	defer idle.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-grown:
			if !ok {
				return
			}
			o.judge(ctx)
		case <-second.C:
			o.judge(ctx)
		case <-idle.C:
			o.closeIdle(ctx)
			now := o.d.Clock.Now()
			if err := o.coverage.refresh(ctx, now.Wall, now.Mono); err != nil && ctx.Err() == nil {
				o.d.Log.Error("where footage lies could not be read again", "error", err)
			}
		}
	}
}

// judge asks of every open viewing whether it would still be allowed, and ends those that would not. Covers what
// happens in other rooms: roles, people, approvals, shifts, log-ins.
func (o *Office) judge(ctx context.Context) {
	now := o.d.Clock.Now()
	for _, id := range o.viewings.ids() {
		v, ok := o.viewings.get(id)
		if !ok {
			continue
		}
		reason := o.verdict(v, now)
		if reason == "" {
			continue
		}
		if err := o.end(ctx, id, reason); err != nil && ctx.Err() == nil {
			o.d.Log.Error("a viewing could not be closed in the log", "viewing", id, "error", err)
		}
	}
}

// verdict is the reason why a viewing must end now; empty when it may go on.
func (o *Office) verdict(v opened, now clock.Reading) string {
	if now.Mono >= v.due {
		return "over"
	}
	actor, ok := o.still(v, now)
	if !ok {
		if p, known := o.d.People.Person(v.Person); !known || p.Disabled {
			return "disabled"
		}
		return "logged_out"
	}
	d := account.May(actor, account.ActMediaRead, v.subject(), now.Wall)
	switch {
	case d.Allowed:
		return ""
	case v.Application != "":
		return "revoked"
	case d.Reason == "may.not_on_shift":
		return "shift"
	}
	return "role"
}

// still is the viewer as they stand now, by the log-in that the viewing belongs to; false when that is over. It is
// looked up without being used: watching alone keeps no log-in alive.
func (o *Office) still(v opened, now clock.Reading) (account.Actor, bool) {
	for _, s := range o.d.People.Sessions(v.Person) {
		if s.ID == v.session {
			return o.actor(s, now), true
		}
	}
	return account.Actor{}, false
}

// actor is who asks, with what the office knows of them at this moment.
func (o *Office) actor(s people.Session, now clock.Reading) account.Actor {
	a := s.Actor
	a.OnShift = o.d.Register.OnShift(a.ID)
	a.Grants = o.d.Register.Grants(a.ID, now.Wall)
	return a
}

// outcome is what a page says about a viewing that shows nothing any more.
type outcome struct {
	State string `json:"state"` // ended, or open
	Title string `json:"title"`
	Text  string `json:"text"`
	Href  string `json:"href,omitempty"`
	Link  string `json:"link,omitempty"`
}

// outcomeOf gives a reason its words, view.end.<reason>; one that a person is not told is "closed".
func (o *Office) outcomeOf(p ui.Printer, v opened, reason string) outcome {
	if !ui.Has("view.end." + reason) {
		reason = "closed"
	}
	out := outcome{State: "ended", Title: p.T("view.end." + reason), Text: p.T("view.end." + reason + ".text")}
	switch {
	case reason == "disabled" || reason == "logged_out":
		out.Href, out.Link = "/login", p.T("view.end.login")
	case v.live():
		out.Href, out.Link = "/live", p.T("live.title")
	default:
		out.Href, out.Link = o.dayLink(v.Camera, v.Span.From), p.T("view.end.again")
	}
	return out
}

func (o *Office) dayLink(camera string, at time.Time) string {
	at = at.In(o.d.Zone)
	return "/footage?" + url.Values{"camera": {camera}, "day": {at.Format(time.DateOnly)}, "t": {at.Format("15:04")}}.Encode() + "#watch"
}

// viewState says how a viewing stands: the page asks when an answer was refused, and tells the person.
func (o *Office) viewState(c *call) error {
	id := c.r.PathValue("id")
	if e, ok := o.viewings.past(id); ok {
		return c.json(http.StatusOK, o.outcomeOf(c.p, e.opened, e.reason))
	}
	return c.json(http.StatusOK, outcome{State: "open"})
}

// viewEvents tells the page that its viewing has ended, in the moment it does. What the browser has fetched ahead
// endedEvent answers a page that asks for the events of a viewing that is over: one event, which says why.
func (o *Office) endedEvent(c *call) error {
	e, ok := o.viewings.past(c.r.PathValue("id"))
	if !ok {
		return playback.ErrUnknown
	}
	b, err := json.Marshal(o.outcomeOf(c.p, e.opened, e.reason))
	if err != nil {
		return fmt.Errorf("telling the end of a viewing: %w", err)
	}
	c.w.Header().Set("Content-Type", "text/event-stream")
	c.send(http.StatusOK, []byte("retry: 60000\n\nevent: end\ndata: "+string(b)+"\n\n"))
	return nil
}

// it can only be asked not to show.
func (o *Office) viewEvents(c *call) error {
	v, ok := o.viewings.get(c.r.PathValue("id"))
	if !ok {
		return o.endedEvent(c)
	}
	ctl := http.NewResponseController(c.w)
	if err := ctl.SetWriteDeadline(time.Now().Add(liveLength + time.Minute)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("setting the deadline of a live page: %w", err)
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
		case <-v.over.Done():
			reason := "closed"
			if by, ok := errors.AsType[endedBy](context.Cause(v.over)); ok {
				reason = string(by)
			}
			b, err := json.Marshal(o.outcomeOf(c.p, v, reason))
			if err != nil {
				return fmt.Errorf("telling the end of a viewing: %w", err)
			}
			send("event: end\ndata: " + string(b) + "\n\n")
			return nil
		}
	}
}
