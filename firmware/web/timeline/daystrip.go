package timeline

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/ui"
)

// DayView is the 24 h strip of one camera and the way to watch.
type DayView struct {
	Camera     footage.Camera
	Day        time.Time
	Prev, Next string
	Close      string // back to the ribbon alone
	Missing    time.Duration
	Held       string
	Deletes    string
	Empty      bool
	OnNVR      bool

	Recorded []frame.Bar
	Fetched  []frame.Bar
	Thin     []frame.Bar
	Past     *frame.Bar // beyond the ceiling: deleted
	Future   *frame.Bar
	Hours    []DayHour
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

// DayHour is one tick of a day or of a viewing.
type DayHour struct {
	X, W, Label, Href, Name string
	Edge                    bool // drawn longer and labelled
	End                     bool
}

type dayGap struct {
	Bar  frame.Bar
	Text string
	Tone string
	Spot spot
}

type dayHold struct {
	Bar  frame.Bar
	Text string
	Spot spot
}

// Day gathers and draws the day of one camera.
func (o *Timeline) Day(c *frame.Call, state RibState, camera string, day time.Time) (*DayView, error) {
	cam, _ := o.d.Site.Camera(camera)
	end := time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, o.d.Zone)
	whole := footage.Span{From: day, To: end}
	previous := whole
	if previous.To.After(c.Now.Wall) {
		previous.To = c.Now.Wall
	}
	runs, err := o.Coverage.Runs(c.R.Context(), camera, previous, c.Now.Wall, c.Now.Mono)
	if err != nil {
		return nil, err
	}
	runs = c.WithoutHold(cam, runs)
	st := o.d.Status.Cameras()[camera]
	if st.State == "online" && st.Listed.IsZero() && whole.Contains(c.Now.Wall) {
		runs = Within(UntilNow(runs, st.Since, c.Now.Wall), previous)
	}
	sc := Scale{day, end}
	v := &DayView{Camera: cam, Day: day, Empty: len(runs) == 0, OnNVR: cam.Custody == footage.CustodyNVR, Minutes: int(end.Sub(day) / time.Minute),
		Form: ui.Form{Name: "view", P: c.P, Values: c.R.URL.Query()}}
	v.ways(o, c, state, end)
	v.drawHours(c, state, sc)
	for _, r := range runs {
		v.Recorded = append(v.Recorded, sc.Bar(r))
	}
	if v.OnNVR && c.SeesHolds() { // it was fetched because somebody asked for it
		for _, r := range o.Coverage.InVault(camera, previous) {
			v.Fetched = append(v.Fetched, sc.Bar(r).AtLeast(0.001))
		}
	}
	if err := o.GapCache.Refresh(c.R.Context(), c.Now.Wall); err != nil {
		return nil, err
	}
	noted, thin := o.GapCache.Of(camera, whole)
	for _, t := range Within(thin, previous) {
		v.Thin = append(v.Thin, sc.Bar(t).AtLeast(0.001))
	}
	due := v.edges(sc, previous, c.Now.Wall)
	if !st.Listed.IsZero() && st.Listed.Before(due.To) {
		due.To = MaxTime(st.Listed, due.From)
	}
	v.drawGaps(c.P, sc, Holes(Within(runs, due), due), noted)
	v.drawHolds(o, c, sc, whole)
	if !v.Empty {
		v.Deletes = c.P.T("day.deletes", c.P.Day(end.Add(cam.Policy.Keep())))
	}
	o.watchForm(c, v)
	return v, nil
}

// ways are the neighbouring days and the way back.
func (v *DayView) ways(o *Timeline, c *frame.Call, state RibState, end time.Time) {
	link := func(d time.Time) string {
		n := state
		n.Day, n.T, n.To = d.Format(time.DateOnly), "", ""
		return n.Href("day")
	}
	if v.Day.After(c.Now.Wall.AddDate(0, 0, -RibDays)) {
		v.Prev = link(v.Day.AddDate(0, 0, -1))
	}
	if end.Before(c.Now.Wall) {
		v.Next = link(end)
	}
	state.Camera, state.Day, state.T, state.To = "", "", "", ""
	v.Close = state.Href("rt")
}

func (v *DayView) drawHours(c *frame.Call, state RibState, sc Scale) {
	state.To = ""
	for h := range 24 {
		at := time.Date(v.Day.Year(), v.Day.Month(), v.Day.Day(), h, 0, 0, 0, v.Day.Location())
		if at.After(c.Now.Wall) {
			v.Hours = append(v.Hours, DayHour{X: sc.X(at), Label: fmt.Sprintf("%02d:00", h), Edge: h%3 == 0})
			continue
		}
		state.Camera, state.Day, state.T = v.Camera.ID, v.Day.Format(time.DateOnly), fmt.Sprintf("%02d:00", h)
		b := sc.Bar(footage.Span{From: at, To: at.Add(time.Hour)})
		v.Hours = append(v.Hours, DayHour{X: b.X, W: b.W, Label: state.T, Edge: h%3 == 0, Href: state.Href("watch"), Name: c.P.T("day.hour", v.Camera.Name, h)})
	}
}

// edges draws what is deleted and what has not come yet; what lies between ought to be there.
func (v *DayView) edges(sc Scale, previous footage.Span, now time.Time) footage.Span {
	due := previous
	if v.Camera.Since.After(due.From) {
		due.From = minTime(v.Camera.Since, previous.To)
	}
	if line := now.Add(-v.Camera.Policy.Keep()); line.After(due.From) {
		due.From = minTime(line, previous.To)
		b := sc.Bar(footage.Span{From: previous.From, To: due.From})
		v.Past = &b
	}
	if sc.To.After(now) {
		b := sc.Bar(footage.Span{From: previous.To, To: sc.To})
		v.Future = &b
	}
	return due
}

func (v *DayView) drawGaps(p ui.Printer, sc Scale, missing []footage.Span, noted []footage.Gap) {
	var labels []Label
	for _, m := range Explain(noted, missing) {
		v.Missing += m.Span.Duration()
		b := sc.Bar(m.Span).AtLeast(0.0015)
		g := dayGap{Bar: b, Tone: frame.GapTone(m.Cause), Text: p.T("day.gap", frame.GapName(p, m.Cause), p.Clock(m.Span.From), p.Clock(m.Span.To), m.Span.Duration())}
		v.Gaps = append(v.Gaps, g)
		labels = append(labels, Label{b.From, b.To, TextPx(g.Text), []Side{fromStart, before, after}})
	}
	for i, s := range Place(labels, tiersDay...) {
		v.Gaps[i].Spot = s
	}
}

// drawHolds draws what is kept beyond its time and what the viewer's approvals cover.
func (v *DayView) drawHolds(o *Timeline, c *frame.Call, sc Scale, whole footage.Span) {
	var labels []Label
	for _, g := range c.Actor.Grants { // what one may do comes before what is kept
		if s := (footage.Span{From: g.From, To: g.To}); slices.Contains(g.Cameras, v.Camera.ID) && s.Overlaps(whole) && c.Now.Wall.Before(g.Until) {
			h := dayHold{Bar: sc.Bar(s.Intersect(whole)).AtLeast(0.002), Text: c.P.T("day.grant", c.P.Clock(MaxTime(g.From, whole.From)), c.P.Clock(minTime(g.To, whole.To)), frame.AppNumber(g.Application))}
			v.Grants = append(v.Grants, h)
			labels = append(labels, Label{h.Bar.From, h.Bar.To, TextPx(h.Text), []Side{fromStart, before, after}})
		}
	}
	for _, h := range c.Holds() {
		if h.Covers(v.Camera.ID, whole) {
			d := dayHold{Bar: sc.Bar(h.Span.Intersect(whole)).AtLeast(0.002), Text: c.P.T("day.hold", c.P.Day(h.Until), frame.HoldName(h))}
			v.Holds = append(v.Holds, d)
			labels = append(labels, Label{d.Bar.From, d.Bar.To, TextPx(d.Text) + lockPx, []Side{fromStart, before, after}})
			v.Held = frame.HoldName(h)
		}
	}
	spots := Place(labels, tiersDay...)
	for i := range v.Grants {
		v.Grants[i].Spot = spots[i]
	}
	for i := range v.Holds {
		v.Holds[i].Spot = spots[len(v.Grants)+i]
	}
}

// watchForm decides what is under the strip: the purpose form for who watches by duty, the way to watch
// for who has a grant, the locked action for everybody else (it leads to the application).
func (o *Timeline) watchForm(c *frame.Call, v *DayView) {
	t := c.R.URL.Query().Get("t")
	from, err := time.ParseInLocation("2006-01-02T15:04", v.Day.Format(time.DateOnly)+"T"+t, o.d.Zone)
	if t == "" || err != nil {
		return
	}
	v.Chosen, v.From, v.MarkX = true, t, Scale{v.Day, v.Day.Add(24 * time.Hour)}.X(from)
	to := minTime(from.Add(30*time.Minute), c.Now.Wall.Add(-time.Second))
	if s := c.R.URL.Query().Get("to"); s != "" {
		if x, err := time.ParseInLocation("2006-01-02T15:04", v.Day.Format(time.DateOnly)+"T"+s, o.d.Zone); err == nil && x.After(from) {
			to = x
		}
	}
	subject := account.Subject{Camera: v.Camera.ID, From: from, To: to, Way: account.WayView}
	for _, g := range c.Actor.Grants { // inside a grant the span ends with it
		s := footage.Span{From: g.From, To: g.To}
		if slices.Contains(g.Cameras, v.Camera.ID) && s.Contains(from) && to.After(s.To) {
			subject.To, to = s.To, s.To
		}
	}
	v.To = c.P.Clock(to)
	incident, running := o.d.Usage.Incident(c.Actor.ID)
	v.Incident, v.IncidentUntil, subject.Purpose = incident.Purpose, incident.Until, running // stated once per incident, not per click
	if !running {
		v.Incident = ""
	}
	d := account.May(c.Actor, account.ActFootagePlayback, subject, c.Now.Wall)
	if !d.Allowed && d.Reason == "may.no_purpose" {
		v.Purpose = true
		subject.Purpose = true
		d = account.May(c.Actor, account.ActFootagePlayback, subject, c.Now.Wall)
	}
	switch {
	case d.Allowed:
		v.Ground, v.Grant = d.Reason, d.Grant
	default:
		v.Locked = c.P.T(d.Reason)
		if c.Can(account.ActApplicationCreate, account.Subject{}) {
			v.Apply = "/applications/new?" + url.Values{"place": {v.Camera.Place}, "from": {v.Day.Format(time.DateOnly) + "T" + v.From}, "to": {v.Day.Format(time.DateOnly) + "T" + v.To}}.Encode()
		}
	}
}

// MaxTime is the later of two instants.
func MaxTime(a, b time.Time) time.Time {
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
