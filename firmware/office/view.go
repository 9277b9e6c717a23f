package office

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/playback"
	"campuskeep/shared/account"
	"campuskeep/shared/fielderr"
	"campuskeep/shared/footage"
)

// longestView is the most that one viewing may span; who needs more opens the next one, which is an entry
// of its own.
const longestView = 4 * time.Hour

// wanted reads camera and span of the form that opens a viewing.
func (c *call) wanted() (camera string, span footage.Span, err error) {
	f := c.r.PostForm
	camera = f.Get("camera")
	if _, ok := c.o.d.Site.Camera(camera); !ok {
		return "", span, errNotFound
	}
	var errs fielderr.Errors
	day, dayErr := time.ParseInLocation(time.DateOnly, f.Get("day"), c.o.d.Zone)
	at := func(field string, day time.Time) time.Time {
		t, ok := parseWhen(f.Get(field), day, c.now.Wall, c.o.d.Zone)
		if !ok || dayErr != nil {
			errs.Add(field, "err.time")
		}
		return t
	}
	span.From = at("from", day)
	if !span.From.IsZero() {
		day = span.From // an end without a day is of the day of the beginning
	}
	span.To = at("to", day)
	if len(errs) == 0 {
		switch {
		case span.To.Equal(span.From.Truncate(24*time.Hour)) || f.Get("to") == "00:00" && !span.From.Before(span.To):
			span.To = span.To.AddDate(0, 0, 1) // midnight as people write the end of a day
		case !span.From.Before(span.To):
			errs.Add("to", "err.from_after_to")
		}
	}
	if len(errs) == 0 && span.Duration() > longestView {
		errs.Add("to", "err.view_too_long", longestView)
	}
	if len(errs) == 0 && span.From.After(c.now.Wall) {
		errs.Add("from", "err.future")
	}
	if span.To.After(c.now.Wall) {
		span.To = c.now.Wall.Truncate(time.Second)
	}
	return camera, span, errs.Err()
}

// wantedSubject is what opening a viewing of recorded footage is about.
func wantedSubject(c *call) (account.Subject, error) {
	camera, span, err := c.wanted()
	if _, isField := errors.AsType[fielderr.Errors](err); err != nil && !isField {
		return account.Subject{}, err
	}
	_, incident := c.o.d.Register.Incident(c.actor.ID)
	return account.Subject{Camera: camera, From: span.From, To: span.To, Way: account.WayView,
		Purpose: incident || strings.TrimSpace(c.r.PostForm.Get("purpose")) != ""}, nil
}

// openView opens a viewing of recorded footage: the entry first, then the page (design §1.2).
func (o *Office) openView(c *call) error {
	camera, span, err := c.wanted()
	if err != nil {
		return err
	}
	if other := strings.TrimSpace(c.r.PostForm.Get("another")); other != "" {
		c.r.PostForm.Set("purpose", other) // a new incident, although the last one still counts
	}
	return o.view(c, camera, span, false)
}

func (o *Office) view(c *call, camera string, span footage.Span, live bool) error {
	v, err := o.openViewing(c, camera, span, live)
	if err != nil {
		return err
	}
	return c.seeOther("/view/" + v.ID)
}

// viewing is the subject of everything below an open viewing.
func viewing(c *call) (account.Subject, error) {
	if v, ok := c.o.viewings.get(c.r.PathValue("id")); ok {
		return v.subject(), nil
	}
	// Of what is over May is asked again: who lost the right is refused, and that is entered, before anybody hears
	// that the viewing has ended.
	if e, ok := c.o.viewings.past(c.r.PathValue("id")); ok {
		return e.subject(), nil
	}
	return account.Subject{}, playback.ErrUnknown
}

// viewer is the subject of ending a viewing: one may always end one's own, also when it is allowed no more.
func viewer(c *call) (account.Subject, error) {
	if v, ok := c.o.viewings.get(c.r.PathValue("id")); ok {
		return account.Subject{Person: v.Person}, nil
	}
	if e, ok := c.o.viewings.past(c.r.PathValue("id")); ok {
		return account.Subject{Person: e.Person}, nil
	}
	return account.Subject{}, playback.ErrUnknown
}

func number(file, ext string) (int, error) {
	s, ok := strings.CutSuffix(file, ext)
	n, err := strconv.Atoi(s)
	if !ok || err != nil || n < 0 {
		return 0, errNotFound
	}
	return n, nil
}

// closeView ends a viewing: the page was left (a beacon, which looks at no answer), or the button was used.
func (o *Office) closeView(c *call) error {
	v, ok := o.viewings.get(c.r.PathValue("id"))
	if !ok {
		return playback.ErrUnknown
	}
	if c.r.PostForm.Get("button") == "" { // the page goes away, perhaps to be loaded again
		o.viewings.leave(v.ID, func() {
			if err := o.end(context.Background(), v.ID, "closed"); err != nil {
				o.d.Log.Error("a viewing could not be closed in the log", "viewing", v.ID, "error", err)
			}
		})
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err := o.end(c.r.Context(), v.ID, "closed"); err != nil {
		return err
	}
	if v.live() {
		return c.done("/live", "done.view_closed")
	}
	return c.done("/footage", "done.view_closed")
}
