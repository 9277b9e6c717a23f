package office

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"time"

	"campuskeep/firmware/store"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/register"
	"campuskeep/shared/ui"
)

// footageView is the ribbon, the chosen day, and the list of gaps.
type footageView struct {
	Cameras  int
	Ribbon   ribbon
	Gaps     []gap
	MoreGaps int
	Day      *dayView
	Next     string // what is deleted next
	Paused   string // why nothing is deleted now
	Forecast *forecastView
	CanApply bool
	CanLive  bool
}

type forecastView struct {
	Text, Daily string
	X, W        string
	Short       bool
}

// footagePage shows where footage lies and where not. It shows no picture, so everybody who may apply
// for footage may see it.
func (o *Office) footagePage(c *call) error {
	chosen, day, err := c.chosenDay()
	if err != nil {
		return err
	}
	rib, err := o.ribbon(c, chosen, day)
	if err != nil {
		return err
	}
	v := footageView{Cameras: len(rib.Rows), Ribbon: rib, CanApply: c.can(account.ActApplicationCreate, account.Subject{}),
		CanLive: c.can(account.ActFootageLive, account.Subject{})}
	const most = 20
	for _, g := range rib.Gaps {
		if g.Span.Duration() < time.Minute {
			continue
		}
		if len(v.Gaps) == most {
			v.MoreGaps++
			continue
		}
		v.Gaps = append(v.Gaps, g)
	}
	k := o.d.Status.Keeping()
	switch {
	case k.Suspended != "":
		v.Paused = c.p.T(k.Suspended)
	case !k.NextDue.IsZero():
		v.Next = c.p.T("footage.next", c.p.When(k.NextDue, c.now.Wall), c.p.Words(max(time.Second, k.NextDue.Sub(c.now.Wall))))
	}
	v.Forecast = forecast(c.p, k)
	if chosen != "" {
		if v.Day, err = o.day(c, rib, chosen, day); err != nil {
			return err
		}
	}
	return c.page("footage", c.p.T("footage.title"), v)
}

// chosenDay reads camera and day from the address; no camera is no choice, a wrong one is nothing here.
func (c *call) chosenDay() (camera string, day time.Time, err error) {
	q := c.r.URL.Query()
	if camera = q.Get("camera"); camera == "" {
		return "", time.Time{}, nil
	}
	if _, ok := c.o.d.Site.Camera(camera); !ok {
		return "", time.Time{}, errNotFound
	}
	if q.Get("day") == "" {
		n := c.now.Wall.In(c.o.d.Zone)
		return camera, time.Date(n.Year(), n.Month(), n.Day(), 0, 0, 0, 0, c.o.d.Zone), nil
	}
	day, err = time.ParseInLocation(time.DateOnly, q.Get("day"), c.o.d.Zone)
	if err != nil || day.After(c.now.Wall) || day.Before(c.now.Wall.AddDate(-2, 0, 0)) {
		return "", time.Time{}, errNotFound
	}
	return camera, day, nil
}

// beingWritten is how much of a camera that records may lie in the segment that is still being written: it has no
// row in the index yet, and is not missing.
const beingWritten = 2 * time.Minute

// untilNow carries the runs of a camera that has been recording since an instant up to the present.
func untilNow(runs []footage.Span, since, now time.Time) []footage.Span {
	from := now.Add(-beingWritten)
	if since.After(from) {
		from = since
	}
	if n := len(runs); n > 0 && !from.After(runs[n-1].To.Add(runGap)) {
		runs = slices.Clone(runs)
		runs[n-1].To = now
		return runs
	}
	return append(slices.Clip(runs), footage.Span{From: from, To: now})
}

// ribbon gathers what the picture is made from.
func (o *Office) ribbon(c *call, camera string, day time.Time) (ribbon, error) {
	now := c.now.Wall
	span := footage.Span{From: now.Add(-ribDays * 24 * time.Hour), To: now}
	in := ribInput{Now: now, Zone: o.d.Zone, Runs: map[string][]footage.Span{}, Online: map[string]string{}, Camera: camera, Day: day,
		Holds: o.d.Register.Holds(), HoldName: holdName}
	for _, cam := range o.d.Site.Cameras() {
		if !cam.Retired {
			in.Cameras = append(in.Cameras, cam)
		}
	}
	slices.SortStableFunc(in.Cameras, func(a, b footage.Camera) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.ID, b.ID))
	})
	for _, cam := range in.Cameras {
		runs, err := o.coverage.runs(c.r.Context(), cam.ID, span, now, c.now.Mono)
		if err != nil {
			return ribbon{}, err
		}
		in.Runs[cam.ID] = runs
	}
	for id, st := range o.d.Status.Cameras() {
		in.Online[id] = st.State
		if st.State == "online" {
			in.Runs[id] = untilNow(in.Runs[id], st.Since, now)
		}
	}
	var err error
	if in.Noted, err = o.noted(c, span); err != nil {
		return ribbon{}, err
	}
	cal := o.d.Site.Calendar()
	in.SchoolOn = func(day time.Time) (bool, string) {
		d, _, err := cal.Day(day.Format(time.DateOnly))
		if err != nil {
			return true, "" // a calendar that cannot be read must not hide a day
		}
		for _, h := range cal.Holidays {
			if h.From <= d.Date && d.Date <= h.To && !d.School {
				return false, h.Name
			}
		}
		return d.School, ""
	}
	return drawRibbon(in, c.p), nil
}

// noted lists the gaps that the log explains.
func (o *Office) noted(c *call, span footage.Span) ([]footage.Gap, error) {
	q := store.Query{Kinds: []ledger.Kind{"footage.gap"}, From: span.From, Limit: 2000}
	page, err := o.d.Ledger.Search(c.r.Context(), q)
	if err != nil {
		return nil, fmt.Errorf("reading the gaps from the log: %w", err)
	}
	var out []footage.Gap
	for _, e := range page.Entries {
		var g struct {
			From  time.Time     `json:"from"`
			To    time.Time     `json:"to"`
			Cause footage.Cause `json:"cause"`
		}
		if json.Unmarshal(e.Data, &g) != nil {
			continue // an entry of a version that we do not know explains nothing
		}
		out = append(out, footage.Gap{Camera: e.Subject, Span: footage.Span{From: g.From, To: g.To}, Cause: g.Cause})
	}
	return out, nil
}

func holdName(h footage.Hold) string {
	if h.Application != "" {
		return appNumber(h.Application)
	}
	return h.ID
}

// holdShort is the name of a hold where there is little room: 视申047.
func holdShort(h footage.Hold) string {
	if _, n, ok := register.ParseApplicationID(h.Application); ok {
		return fmt.Sprintf("视申%03d", n)
	}
	return h.ID
}

func forecast(p ui.Printer, k Keeping) *forecastView {
	if k.Days <= 0 || k.Total == 0 {
		return nil
	}
	shown := min(k.Days, ribDays)
	f := &forecastView{X: ui.Pct(1 - shown/ribDays), W: ui.Pct(shown / ribDays), Short: k.Days < lineDays, Daily: p.T("footage.daily", p.Bytes(k.DailyBytes))}
	days := fmt.Sprintf("%.1f", k.Days)
	switch {
	case k.Days > 365:
		f.Text = p.T("footage.forecast.years", p.Bytes(int64(k.Total)))
	case f.Short:
		f.Text = p.T("footage.forecast.short", p.Bytes(int64(k.Total)), days, fmt.Sprintf("%.1f", lineDays-k.Days))
	default:
		f.Text = p.T("footage.forecast", p.Bytes(int64(k.Total)), days, fmt.Sprintf("%.1f", k.Days-lineDays))
	}
	return f
}

// dayView is the 24 h strip of one camera and the way to watch.
type dayView struct {
	Camera     footage.Camera
	Day        time.Time
	Prev, Next string
	Missing    time.Duration
	Held       string
	Deletes    string
	Empty      bool

	Recorded []bar
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
	// Incident is the purpose stated before, which still counts.
	Incident string
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
	End  bool
	X    string
}

type dayHold struct {
	Bar  bar
	Text string
}

func (o *Office) day(c *call, rib ribbon, camera string, day time.Time) (*dayView, error) {
	cam, _ := o.d.Site.Camera(camera)
	end := time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, o.d.Zone)
	whole := footage.Span{From: day, To: end}
	past := whole
	if past.To.After(c.now.Wall) {
		past.To = c.now.Wall
	}
	runs, err := o.coverage.runs(c.r.Context(), camera, past, c.now.Wall, c.now.Mono)
	if err != nil {
		return nil, err
	}
	sc := scale{day, end}
	v := &dayView{Camera: cam, Day: day, Empty: len(runs) == 0, Minutes: int(end.Sub(day) / time.Minute), Form: ui.Form{Name: "view", P: c.p, Values: c.r.URL.Query()}}
	link := func(d time.Time) string {
		return "/footage?" + url.Values{"camera": {camera}, "day": {d.Format(time.DateOnly)}}.Encode() + "#day"
	}
	if day.After(c.now.Wall.AddDate(0, 0, -ribDays)) {
		v.Prev = link(day.AddDate(0, 0, -1))
	}
	if end.Before(c.now.Wall) {
		v.Next = link(end)
	}
	for _, r := range runs {
		v.Recorded = append(v.Recorded, sc.bar(r))
	}
	for h := range 24 {
		at := day.Add(time.Duration(h) * time.Hour)
		q := url.Values{"camera": {camera}, "day": {day.Format(time.DateOnly)}, "t": {fmt.Sprintf("%02d:00", h)}}
		b := sc.bar(footage.Span{From: at, To: at.Add(time.Hour)})
		v.Hours = append(v.Hours, dayHour{X: b.X, W: b.W, Label: fmt.Sprintf("%02d:00", h), Edge: h%3 == 0, Href: "/footage?" + q.Encode() + "#watch", Name: c.p.T("day.hour", cam.Name, h)})
	}
	noted, err := o.noted(c, whole)
	if err != nil {
		return nil, err
	}
	due := past
	if cam.Since.After(due.From) {
		due.From = cam.Since
	}
	for _, m := range holes(runs, due) {
		v.Missing += m.Duration()
		b := sc.bar(m).atLeast(0.0015)
		cause := explain(noted, camera, m)
		g := dayGap{Bar: b, Tone: gapTone(cause), End: b.a > 0.5, X: b.X}
		if g.End {
			g.X = ui.Pct(b.b)
		}
		if len(v.Gaps) == 0 || b.a-v.Gaps[len(v.Gaps)-1].Bar.b > 0.25 { // labels that would lie on one another are left out
			g.Text = c.p.T("day.gap", gapName(c.p, cause), c.p.Clock(m.From), c.p.Clock(m.To), m.Duration())
		}
		v.Gaps = append(v.Gaps, g)
	}
	for _, h := range o.d.Register.Holds() {
		if h.Active(c.now.Wall) && h.Covers(camera, whole) {
			v.Holds = append(v.Holds, dayHold{sc.bar(h.Span.Intersect(whole)), c.p.T("day.hold", c.p.Day(h.Until), holdName(h))})
			v.Held = holdName(h)
		}
	}
	for _, g := range c.actor.Grants {
		if s := (footage.Span{From: g.From, To: g.To}); slices.Contains(g.Cameras, camera) && s.Overlaps(whole) && c.now.Wall.Before(g.Until) {
			v.Grants = append(v.Grants, dayHold{sc.bar(s.Intersect(whole)), c.p.T("day.grant", c.p.Clock(maxTime(g.From, day)), c.p.Clock(minTime(g.To, end)), appNumber(g.Application))})
		}
	}
	if !v.Empty {
		v.Deletes = c.p.T("day.deletes", c.p.Day(end.Add(cam.Policy.Keep())))
	}
	o.watchForm(c, v)
	return v, nil
}

// watchForm decides what stands under the strip: the purpose form for who watches by duty, the way to
// watch for who has a grant, the locked action for everybody else (it leads to the application).
func (o *Office) watchForm(c *call, v *dayView) {
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
	incident, running := o.d.Register.Incident(c.actor.ID)
	v.Incident, subject.Purpose = incident.Purpose, running // stated once per incident, not per click
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
