package web

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/ui"
)

// dayView is the 24 h strip of one camera and the way to watch.
type dayView struct {
	Camera     footage.Camera
	Day        time.Time
	Prev, Next string
	Close      string // back to the ribbon alone
	Missing    time.Duration
	Held       string
	Deletes    string
	Empty      bool
	OnNVR      bool

	Recorded []bar
	Fetched  []bar
	Thin     []bar
	Past     *bar // beyond the ceiling: deleted
	Future   *bar
	Hours    []dayHour
	Gaps     []dayGap
	Holds    []dayHold
	Grants   []dayHold
	MarkX    string
	Minutes  int

	Form    ui.Form
	Chosen  bool // a time was chosen
	From    string
	To      string
	Ground  string // duty, grant, "" = locked
	Grant   string
	Locked  string // why, and the way forward
	Apply   string
	Purpose bool // a purpose must be stated
	// Incident is the purpose stated before, which still counts until an instant.
	Incident      string
	IncidentUntil time.Time
}

type dayHour struct {
	X, W, Label, Href, Name string
	Edge                    bool // drawn longer and labelled
	End                     bool
}

type dayGap struct {
	Bar  bar
	Text string
	Tone string
	Spot spot
}

type dayHold struct {
	Bar  bar
	Text string
	Spot spot
}

func (o *Server) day(c *call, state ribState, camera string, day time.Time) (*dayView, error) {
	cam, _ := o.d.Site.Camera(camera)
	end := time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, o.d.Zone)
	whole := footage.Span{From: day, To: end}
	previous := whole
	if previous.To.After(c.now.Wall) {
		previous.To = c.now.Wall
	}
	runs, err := o.coverage.runs(c.r.Context(), camera, previous, c.now.Wall, c.now.Mono)
	if err != nil {
		return nil, err
	}
	runs = c.withoutHold(cam, runs)
	st := o.d.Status.Cameras()[camera]
	if st.State == "online" && st.Listed.IsZero() && whole.Contains(c.now.Wall) {
		runs = within(untilNow(runs, st.Since, c.now.Wall), previous)
	}
	sc := scale{day, end}
	v := &dayView{Camera: cam, Day: day, Empty: len(runs) == 0, OnNVR: cam.Custody == footage.CustodyNVR, Minutes: int(end.Sub(day) / time.Minute),
		Form: ui.Form{Name: "view", P: c.p, Values: c.r.URL.Query()}}
	v.ways(o, c, state, end)
	v.drawHours(c, state, sc)
	for _, r := range runs {
		v.Recorded = append(v.Recorded, sc.bar(r))
	}
	if v.OnNVR && c.seesHolds() { // it was fetched because somebody asked for it
		for _, r := range o.coverage.inVault(camera, previous) {
			v.Fetched = append(v.Fetched, sc.bar(r).atLeast(0.001))
		}
	}
	if err := o.gapCache.refresh(c.r.Context(), c.now.Wall); err != nil {
		return nil, err
	}
	noted, thin := o.gapCache.of(camera, whole)
	for _, t := range within(thin, previous) {
		v.Thin = append(v.Thin, sc.bar(t).atLeast(0.001))
	}
	due := v.edges(sc, previous, c.now.Wall)
	if !st.Listed.IsZero() && st.Listed.Before(due.To) {
		due.To = maxTime(st.Listed, due.From)
	}
	v.drawGaps(c.p, sc, holes(within(runs, due), due), noted)
	v.drawHolds(o, c, sc, whole)
	if !v.Empty {
		v.Deletes = c.p.T("day.deletes", c.p.Day(end.Add(cam.Policy.Keep())))
	}
	o.watchForm(c, v)
	return v, nil
}

// ways are the neighbouring days and the way back.
func (v *dayView) ways(o *Server, c *call, state ribState, end time.Time) {
	link := func(d time.Time) string {
		n := state
		n.Day, n.T, n.To = d.Format(time.DateOnly), "", ""
		return n.href("day")
	}
	if v.Day.After(c.now.Wall.AddDate(0, 0, -ribDays)) {
		v.Prev = link(v.Day.AddDate(0, 0, -1))
	}
	if end.Before(c.now.Wall) {
		v.Next = link(end)
	}
	state.Camera, state.Day, state.T, state.To = "", "", "", ""
	v.Close = state.href("rt")
}

func (v *dayView) drawHours(c *call, state ribState, sc scale) {
	state.To = ""
	for h := range 24 {
		at := time.Date(v.Day.Year(), v.Day.Month(), v.Day.Day(), h, 0, 0, 0, v.Day.Location())
		if at.After(c.now.Wall) {
			v.Hours = append(v.Hours, dayHour{X: sc.x(at), Label: fmt.Sprintf("%02d:00", h), Edge: h%3 == 0})
			continue
		}
		state.Camera, state.Day, state.T = v.Camera.ID, v.Day.Format(time.DateOnly), fmt.Sprintf("%02d:00", h)
		b := sc.bar(footage.Span{From: at, To: at.Add(time.Hour)})
		v.Hours = append(v.Hours, dayHour{X: b.X, W: b.W, Label: state.T, Edge: h%3 == 0, Href: state.href("watch"), Name: c.p.T("day.hour", v.Camera.Name, h)})
	}
}

// edges draws what is deleted and what has not come yet; what lies between ought to be there.
func (v *dayView) edges(sc scale, previous footage.Span, now time.Time) footage.Span {
	due := previous
	if v.Camera.Since.After(due.From) {
		due.From = minTime(v.Camera.Since, previous.To)
	}
	if line := now.Add(-v.Camera.Policy.Keep()); line.After(due.From) {
		due.From = minTime(line, previous.To)
		b := sc.bar(footage.Span{From: previous.From, To: due.From})
		v.Past = &b
	}
	if sc.to.After(now) {
		b := sc.bar(footage.Span{From: previous.To, To: sc.to})
		v.Future = &b
	}
	return due
}

func (v *dayView) drawGaps(p ui.Printer, sc scale, missing []footage.Span, noted []footage.Gap) {
	var labels []label
	for _, m := range explain(noted, missing) {
		v.Missing += m.Span.Duration()
		b := sc.bar(m.Span).atLeast(0.0015)
		g := dayGap{Bar: b, Tone: gapTone(m.Cause), Text: p.T("day.gap", gapName(p, m.Cause), p.Clock(m.Span.From), p.Clock(m.Span.To), m.Span.Duration())}
		v.Gaps = append(v.Gaps, g)
		labels = append(labels, label{b.a, b.b, textPx(g.Text), []side{fromStart, before, after}})
	}
	for i, s := range place(labels, tiersDay...) {
		v.Gaps[i].Spot = s
	}
}

// drawHolds draws what is kept beyond its time and what the viewer's approvals cover.
func (v *dayView) drawHolds(o *Server, c *call, sc scale, whole footage.Span) {
	var labels []label
	for _, g := range c.actor.Grants { // what one may do comes before what is kept
		if s := (footage.Span{From: g.From, To: g.To}); slices.Contains(g.Cameras, v.Camera.ID) && s.Overlaps(whole) && c.now.Wall.Before(g.Until) {
			h := dayHold{Bar: sc.bar(s.Intersect(whole)).atLeast(0.002), Text: c.p.T("day.grant", c.p.Clock(maxTime(g.From, whole.From)), c.p.Clock(minTime(g.To, whole.To)), appNumber(g.Application))}
			v.Grants = append(v.Grants, h)
			labels = append(labels, label{h.Bar.a, h.Bar.b, textPx(h.Text), []side{fromStart, before, after}})
		}
	}
	for _, h := range c.holds() {
		if h.Covers(v.Camera.ID, whole) {
			d := dayHold{Bar: sc.bar(h.Span.Intersect(whole)).atLeast(0.002), Text: c.p.T("day.hold", c.p.Day(h.Until), holdName(h))}
			v.Holds = append(v.Holds, d)
			labels = append(labels, label{d.Bar.a, d.Bar.b, textPx(d.Text) + lockPx, []side{fromStart, before, after}})
			v.Held = holdName(h)
		}
	}
	spots := place(labels, tiersDay...)
	for i := range v.Grants {
		v.Grants[i].Spot = spots[i]
	}
	for i := range v.Holds {
		v.Holds[i].Spot = spots[len(v.Grants)+i]
	}
}

// watchForm decides what is under the strip: the purpose form for who watches by duty, the way to watch
// for who has a grant, the locked action for everybody else (it leads to the application).
func (o *Server) watchForm(c *call, v *dayView) {
	t := c.r.URL.Query().Get("t")
	from, err := time.ParseInLocation("2006-01-02T15:04", v.Day.Format(time.DateOnly)+"T"+t, o.d.Zone)
	if t == "" || err != nil {
		return
	}
	v.Chosen, v.From, v.MarkX = true, t, scale{v.Day, v.Day.Add(24 * time.Hour)}.x(from)
	to := minTime(from.Add(30*time.Minute), c.now.Wall.Add(-time.Second))
	if s := c.r.URL.Query().Get("to"); s != "" {
		if x, err := time.ParseInLocation("2006-01-02T15:04", v.Day.Format(time.DateOnly)+"T"+s, o.d.Zone); err == nil && x.After(from) {
			to = x
		}
	}
	subject := account.Subject{Camera: v.Camera.ID, From: from, To: to, Way: account.WayView}
	for _, g := range c.actor.Grants { // inside a grant the span ends with it
		s := footage.Span{From: g.From, To: g.To}
		if slices.Contains(g.Cameras, v.Camera.ID) && s.Contains(from) && to.After(s.To) {
			subject.To, to = s.To, s.To
		}
	}
	v.To = c.p.Clock(to)
	incident, running := o.d.Usage.Incident(c.actor.ID)
	v.Incident, v.IncidentUntil, subject.Purpose = incident.Purpose, incident.Until, running // stated once per incident, not per click
	if !running {
		v.Incident = ""
	}
	d := account.May(c.actor, account.ActFootagePlayback, subject, c.now.Wall)
	if !d.Allowed && d.Reason == "may.no_purpose" {
		v.Purpose = true
		subject.Purpose = true
		d = account.May(c.actor, account.ActFootagePlayback, subject, c.now.Wall)
	}
	switch {
	case d.Allowed:
		v.Ground, v.Grant = d.Reason, d.Grant
	default:
		v.Locked = c.p.T(d.Reason)
		if c.can(account.ActApplicationCreate, account.Subject{}) {
			v.Apply = "/applications/new?" + url.Values{"place": {v.Camera.Place}, "from": {v.Day.Format(time.DateOnly) + "T" + v.From}, "to": {v.Day.Format(time.DateOnly) + "T" + v.To}}.Encode()
		}
	}
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
