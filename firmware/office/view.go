package office

import (
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

// openView opens a viewing of recorded footage: the entry first, then the page (design principle 2).
func (o *Office) openView(c *call) error {
	camera, span, err := c.wanted()
	if err != nil {
		return err
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

// playerView is the player with its log line.
type playerView struct {
	V          opened
	Live       bool
	Name       string // of the camera
	Who, Role  string
	Where      string
	Ground     string
	Mark       string // what is written over the picture
	Marks      []struct{ X, Y int }
	FromMs     int64
	Seconds    int64
	ZoneMin    int
	Ticks      []dayHour
	Gone       []bar
	Until      string
	CanApply   bool
	CanLog     bool
	Back       string
	PrettySpan string
}

func (o *Office) viewPage(c *call) error {
	v, ok := o.viewings.get(c.r.PathValue("id"))
	if !ok {
		if e, past := o.viewings.past(c.r.PathValue("id")); past {
			w := o.outcomeOf(c.p, e.opened, e.reason)
			return c.pageStatus(http.StatusGone, "fault", w.Title, faultView{Title: w.Title, Text: w.Text, Href: w.Href, Link: w.Link})
		}
		return playback.ErrUnknown
	}
	_, offset := v.Span.From.In(o.d.Zone).Zone()
	pv := playerView{V: v, Live: v.live(), Name: o.cameraName(v.Camera), Who: c.session.Person.Name, Role: c.session.Person.Unit, Where: c.address.String(),
		FromMs: v.Span.From.UnixMilli(), Seconds: int64(v.Span.Duration() / time.Second), ZoneMin: offset / 60, Until: c.p.When(v.Until, c.now.Wall),
		CanApply: c.can(account.ActApplicationCreate, account.Subject{}), CanLog: c.can(account.ActLogProof, account.Subject{}), PrettySpan: c.p.Span(v.Span.From, v.Span.To)}
	pv.Mark = o.watermark(c, v)
	for y := 60; y < 560; y += 120 {
		for x := 20 - y/3; x < 960; x += 520 {
			pv.Marks = append(pv.Marks, struct{ X, Y int }{x, y})
		}
	}
	pv.Ground = c.p.T("view.ground.duty")
	if v.Application != "" {
		pv.Ground = c.p.T("view.ground.grant", appNumber(v.Application))
	}
	if v.live() {
		pv.PrettySpan, pv.Back = c.p.T("live.now"), "/live"
		pv.Ground = c.p.T("view.ground.live")
	} else {
		pv.Back = "/footage?camera=" + v.Camera + "&day=" + v.Span.From.In(o.d.Zone).Format(time.DateOnly) + "#day"
		o.scrub(c, &pv)
	}
	title := c.p.T("view.title", pv.Name)
	f := c.frame("view", title)
	f.Script = "player.js"
	return c.framed(http.StatusOK, "view", f, pv)
}

// scrub draws the strip under the picture: what the viewing may show, and where nothing is.
func (o *Office) scrub(c *call, pv *playerView) {
	sc := scale{pv.V.Span.From, pv.V.Span.To}
	step := 5 * time.Minute
	switch d := pv.V.Span.Duration(); {
	case d > 2*time.Hour:
		step = 30 * time.Minute
	case d > 45*time.Minute:
		step = 15 * time.Minute
	case d <= 10*time.Minute:
		step = time.Minute
	}
	for t := pv.V.Span.From.Truncate(step).Add(step); t.Before(pv.V.Span.To); t = t.Add(step) {
		pv.Ticks = append(pv.Ticks, dayHour{X: sc.x(t), Label: c.p.Clock(t)})
	}
	runs, err := o.coverage.runs(c.r.Context(), pv.V.Camera, pv.V.Span, c.now.Wall, c.now.Mono)
	if err != nil {
		o.d.Log.Warn("the strip of a viewing cannot show its gaps", "camera", pv.V.Camera, "error", err)
		return
	}
	for _, h := range holes(runs, pv.V.Span) {
		pv.Gone = append(pv.Gone, sc.bar(h).atLeast(0.002))
	}
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
	if err := o.end(c.r.Context(), v.ID, "closed"); err != nil {
		return err
	}
	if c.r.PostForm.Get("button") == "" {
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if v.live() {
		return c.done("/live", "done.view_closed")
	}
	return c.done("/footage", "done.view_closed")
}
