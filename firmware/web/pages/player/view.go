package player

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/playback"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/viewing"
	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/timeline"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
)

// wanted reads camera and span of the form that opens a viewing.
func (c *call) wanted() (camera string, span footage.Span, err error) {
	f := c.R.PostForm
	camera = f.Get("camera")
	if _, ok := c.o.d.Site.Camera(camera); !ok {
		return "", span, frame.ErrNotFound
	}
	var errs fielderr.Errors
	day, dayErr := time.ParseInLocation(time.DateOnly, f.Get("day"), c.o.d.Zone)
	at := func(field string, day time.Time) time.Time {
		t, ok := timeline.ParseWhen(f.Get(field), day, c.Now.Wall, c.o.d.Zone)
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
	if len(errs) == 0 && span.Duration() > usage.LongestView {
		errs.Add("to", "err.view_too_long", usage.LongestView)
	}
	if len(errs) == 0 && span.From.After(c.Now.Wall) {
		errs.Add("from", "err.future")
	}
	if span.To.After(c.Now.Wall) {
		span.To = c.Now.Wall.Truncate(time.Second)
	}
	return camera, span, errs.Err()
}

// wantedSubject is what opening a viewing of recorded footage is about.
func wantedSubject(c *call) (account.Subject, error) {
	camera, span, err := c.wanted()
	if _, isField := errors.AsType[fielderr.Errors](err); err != nil && !isField {
		return account.Subject{}, err
	}
	_, incident := c.o.d.Usage.Incident(c.Actor.ID)
	return account.Subject{Camera: camera, From: span.From, To: span.To, Way: account.WayView,
		Purpose: incident || strings.TrimSpace(c.R.PostForm.Get("purpose")) != ""}, nil
}

// openView opens a viewing of recorded footage: the entry first, then the page (design §1.2).
func (o *Pages) openView(c *call) error {
	camera, span, err := c.wanted()
	if err != nil {
		return err
	}
	if other := strings.TrimSpace(c.R.PostForm.Get("another")); other != "" {
		c.R.PostForm.Set("purpose", other) // a new incident, although the last one still counts
	}
	return o.view(c, viewing.Request{Camera: camera, Span: span})
}

func (o *Pages) view(c *call, q viewing.Request) error {
	v, err := o.openViewing(c, q)
	if err != nil {
		return err
	}
	return c.SeeOther("/view/" + v.ID)
}

// viewingSubject is the subject of everything below an open viewing.
func viewingSubject(c *call) (account.Subject, error) {
	if v, ok := c.o.d.Viewings.Get(c.R.PathValue("id")); ok {
		return v.Subject(), nil
	}
	// Of what is over May is asked again: who lost the right is refused, and that is entered, before anybody hears
	// that the viewing has ended.
	if e, ok := c.o.d.Viewings.Ended(c.R.PathValue("id")); ok {
		return e.Subject(), nil
	}
	return account.Subject{}, playback.ErrUnknown
}

// ownViewing is the subject of ending a viewing: one may always end one's own, also when it is allowed no more.
func ownViewing(c *call) (account.Subject, error) {
	if v, ok := c.o.d.Viewings.Get(c.R.PathValue("id")); ok {
		return account.Subject{Person: v.Person}, nil
	}
	if e, ok := c.o.d.Viewings.Ended(c.R.PathValue("id")); ok {
		return account.Subject{Person: e.Person}, nil
	}
	return account.Subject{}, playback.ErrUnknown
}

func number(file, ext string) (int, error) {
	s, ok := strings.CutSuffix(file, ext)
	n, err := strconv.Atoi(s)
	if !ok || err != nil || n < 0 {
		return 0, frame.ErrNotFound
	}
	return n, nil
}

// closeView ends a viewing: the page was left (a beacon, which looks at no answer), or the button was used.
func (o *Pages) closeView(c *call) error {
	v, ok := o.d.Viewings.Get(c.R.PathValue("id"))
	if !ok {
		return playback.ErrUnknown
	}
	if c.R.PostForm.Get("button") == "" { // the page goes away, perhaps to be loaded again
		o.d.Viewings.ScheduleEnd(v.ID)
		c.W.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err := o.d.Viewings.End(c.R.Context(), v.ID, viewing.ByViewer); err != nil {
		return err
	}
	if v.Live() {
		return c.Done("/live", "done.view_closed")
	}
	return c.Done("/footage", "done.view_closed")
}
