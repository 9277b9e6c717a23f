package footage

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/timeline"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/ui"
)

// footageView is the ribbon, the chosen day, and the list of gaps.
type footageView struct {
	Cameras  int // that the filter lets through
	All      int
	State    timeline.RibState
	Choice   ribChoice
	Ribbon   timeline.Ribbon
	Pager    ui.Pager
	Sizes    []ribLink
	Views    []ribLink // 30 days, 7 days
	Clear    string    // address without a filter; empty: there is none
	Gaps     []timeline.Gap
	GapPager ui.Pager
	Day      *timeline.DayView
	Next     string // what is deleted next
	Paused   string // why nothing is deleted now
	Forecast *forecastView
	CanApply bool
	CanLive  bool
	Legend   ribLegend
	Goto     string // what was typed as a time and could not be read
}

// ribLegend says which marks the page needs to explain: those that can be on it.
type ribLegend struct{ Thin, OnNVR, Zone, Hold, Future bool }

type ribLink struct {
	Text, Href string
	Current    bool
}

// ribChoice are the values that the filter offers.
type ribChoice struct {
	Areas          []footage.Area
	Groups, Places []string
}

type forecastView struct {
	Text, Daily string
	X, W        string
	Short       bool
}

func stateOf(q url.Values) timeline.RibState {
	s := timeline.RibState{Camera: q.Get("camera"), Day: q.Get("day"), T: q.Get("t"), To: q.Get("to"), Days: timeline.LimitDays, Text: strings.TrimSpace(q.Get("q")), Area: q.Get("area"),
		Group: q.Get("group"), Place: q.Get("place"), Gaps: q.Get("gaps") != "", Closed: slices.Compact(slices.Sorted(slices.Values(q["closed"]))),
		Page: pageNumber(q.Get("page")), Size: timeline.RibSizes[0], GapPage: pageNumber(q.Get("gap"))}
	if q.Get("days") == "7" {
		s.Days = timeline.WeekDays
	}
	if n, err := strconv.Atoi(q.Get("size")); err == nil && slices.Contains(timeline.RibSizes, n) {
		s.Size = n
	}
	return s
}

func pageNumber(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 10000 {
		return 1
	}
	return n
}

// shortGap is what the list of gaps and the filter leave out; the ribbon and its share do not.
const shortGap = time.Minute

// footagePage shows where footage lies and where not. It shows no picture, so everybody who may apply
// for footage may see it.
func (o *Pages) footagePage(c *call) error {
	state := stateOf(c.R.URL.Query())
	chosen, day, err := c.chosenDay()
	if err != nil {
		return err
	}
	unread := ""
	if text := c.R.URL.Query().Get("when"); text != "" && chosen != "" {
		at, ok := timeline.ParseWhen(text, day, c.Now.Wall, o.d.Zone)
		if ok && !at.After(c.Now.Wall) && at.After(c.Now.Wall.AddDate(-2, 0, 0)) {
			state.Day, state.T, state.To = at.Format(time.DateOnly), at.Format("15:04"), ""
			return c.SeeOther(state.Href("watch"))
		}
		unread = text
	}
	in, err := o.ribInput(c, chosen, day)
	if err != nil {
		return err
	}
	in.Days = state.Days
	v := footageView{All: len(in.Cameras), State: state, Goto: unread, CanApply: c.Can(account.ActApplicationCreate, account.Subject{}),
		CanLive: c.Can(account.ActFootageLive, account.Subject{})}
	v.Choice = choiceOf(in.Cameras)
	o.buildFootagePage(c, &v, in)
	k := o.d.Status.Retention()
	switch {
	case k.Suspended != "":
		v.Paused = c.P.T(k.Suspended)
	case !k.NextDue.IsZero():
		v.Next = c.P.T("footage.next", c.P.When(k.NextDue, c.Now.Wall), c.P.Words(max(time.Second, k.NextDue.Sub(c.Now.Wall))))
	}
	if state.Days == timeline.LimitDays {
		v.Forecast = forecast(c.P, k)
	}
	if chosen != "" {
		if v.Day, err = o.Day(c.Call, state, chosen, day); err != nil {
			return err
		}
	}
	f := c.Frame("footage", c.P.T("footage.title"))
	f.Prefetch = "player.js"
	return c.Framed(http.StatusOK, "footage", f, v)
}

// buildFootagePage filters, groups and pages what the ribbon shows.
func (o *Pages) buildFootagePage(c *call, v *footageView, in timeline.RibInput) {
	s := v.State
	rest := s
	rest.Camera, rest.Day, rest.T, rest.To = "", "", "", ""
	_, query, more := strings.Cut(rest.Href("day"), "?") // two thousand addresses differ in two words
	if more {
		query = "&" + query
	} else {
		query = "#day"
	}
	in.Link = func(camera string, day time.Time) string {
		return "/footage?camera=" + camera + "&day=" + day.In(o.d.Zone).Format(time.DateOnly) + query
	}
	facts := map[string]timeline.RowFacts{}
	var gaps []timeline.Gap
	in.Cameras = slices.DeleteFunc(slices.Clone(in.Cameras), func(cam footage.Camera) bool {
		if !s.Lets(cam) {
			return true
		}
		f := in.Facts(cam)
		long := slices.DeleteFunc(slices.Clone(f.Gaps), func(g timeline.Gap) bool { return g.Span.Duration() < shortGap })
		if s.Gaps && len(long) == 0 {
			return true
		}
		facts[cam.ID] = f
		gaps = append(gaps, long...)
		return false
	})
	v.Cameras = len(in.Cameras)
	groups, pages := pageOf(in.Cameras, &s)
	shown := in
	shown.Cameras = nil
	for _, g := range groups {
		shown.Cameras = append(shown.Cameras, g.cameras...)
	}
	v.Ribbon = timeline.DrawRibbon(shown, c.P)
	rows := map[string]timeline.RibRow{}
	for _, r := range v.Ribbon.Rows {
		rows[r.Camera.ID] = r
	}
	v.Ribbon.Groups = nil
	for _, g := range groups {
		rg := summed(c.P, g, in.Cameras, facts)
		rg.ID = fmt.Sprintf("group-%08x", crc32.ChecksumIEEE([]byte(rg.Key)))
		for _, cam := range g.cameras {
			rg.Rows = append(rg.Rows, rows[cam.ID])
		}
		t := s
		t.Page = 1
		if g.closed {
			t.Closed = slices.DeleteFunc(slices.Clone(s.Closed), func(k string) bool { return k == rg.Key })
		} else {
			t.Closed = slices.Sorted(slices.Values(append(slices.Clone(s.Closed), rg.Key)))
		}
		rg.Toggle = t.Href(rg.ID)
		v.Ribbon.Groups = append(v.Ribbon.Groups, rg)
	}
	v.State = s
	v.legend(in)
	v.links(c.P, s, pages)
	slices.SortStableFunc(gaps, func(a, b timeline.Gap) int { return b.Span.From.Compare(a.Span.From) })
	v.pageGaps(c.P, s, gaps)
}

func (v *footageView) legend(in timeline.RibInput) {
	v.Legend = ribLegend{Zone: in.Days == timeline.LimitDays, Hold: true, Thin: len(in.Thin) > 0,
		OnNVR:  slices.ContainsFunc(in.Cameras, func(c footage.Camera) bool { return c.Custody == footage.CustodyNVR }),
		Future: !in.Day.IsZero() && frame.SameDay(in.Day, in.Now, in.Zone)}
}

// links are the ways to other views of the same.
func (v *footageView) links(p ui.Printer, s timeline.RibState, pages int) {
	for _, d := range []int{timeline.LimitDays, timeline.WeekDays} {
		t := s
		t.Days = d
		v.Views = append(v.Views, ribLink{p.T("ribbon.days", d), t.Href(""), s.Days == d})
	}
	if v.Cameras > timeline.RibSizes[0] {
		for _, n := range timeline.RibSizes {
			t := s
			t.Size, t.Page = n, 1
			v.Sizes = append(v.Sizes, ribLink{strconv.Itoa(n), t.Href("rt"), s.Size == n})
		}
	}
	if pages > 1 {
		v.Pager.Text = p.T("ribbon.page", s.Page, pages)
		if s.Page > 1 {
			t := s
			t.Page--
			v.Pager.Newer = t.Href("rt")
		}
		if s.Page < pages {
			t := s
			t.Page++
			v.Pager.Older = t.Href("rt")
		}
	}
	if s.Filtered() {
		t := timeline.RibState{Camera: s.Camera, Day: s.Day, Days: s.Days, Closed: s.Closed, Size: s.Size}
		v.Clear = t.Href("")
	}
}

const gapsListed = 20

func (v *footageView) pageGaps(p ui.Printer, s timeline.RibState, gaps []timeline.Gap) {
	pages := max(1, (len(gaps)+gapsListed-1)/gapsListed)
	n := min(s.GapPage, pages)
	v.Gaps = gaps[min(len(gaps), (n-1)*gapsListed):min(len(gaps), n*gapsListed)]
	if pages == 1 {
		return
	}
	v.GapPager.Text = p.T("gaps.page", n, pages, len(gaps))
	if n > 1 {
		t := s
		t.GapPage = n - 1
		v.GapPager.Newer = t.Href("gaps")
	}
	if n < pages {
		t := s
		t.GapPage = n + 1
		v.GapPager.Older = t.Href("gaps")
	}
}

// groupPage is the part of a group that one page shows.
type groupPage struct {
	name    string
	closed  bool
	more    bool
	cameras []footage.Camera
}

func groupKey(name string) string { return cmp.Or(name, "-") }

// pageOf cuts cameras, sorted by group, into pages. A closed group counts as one row.
func pageOf(cameras []footage.Camera, s *timeline.RibState) (out []groupPage, pages int) {
	type line struct {
		group  string
		camera int // -1: a closed group
	}
	var lines []line
	for i, cam := range cameras {
		first := i == 0 || cameras[i-1].Group != cam.Group
		switch closed := slices.Contains(s.Closed, groupKey(cam.Group)); {
		case closed && first:
			lines = append(lines, line{cam.Group, -1})
		case !closed:
			lines = append(lines, line{cam.Group, i})
		}
	}
	pages = max(1, (len(lines)+s.Size-1)/s.Size)
	s.Page = min(s.Page, pages)
	from := (s.Page - 1) * s.Size
	for i := from; i < min(len(lines), from+s.Size); i++ {
		l := lines[i]
		if n := len(out); n == 0 || out[n-1].name != l.group || out[n-1].closed {
			out = append(out, groupPage{name: l.group, closed: l.camera < 0, more: i > 0 && l.camera >= 0 && lines[i-1].group == l.group})
		}
		if l.camera >= 0 {
			g := &out[len(out)-1]
			g.cameras = append(g.cameras, cameras[l.camera])
		}
	}
	return out, pages
}

// summed is the head of a group: what it holds, open or closed.
func summed(p ui.Printer, g groupPage, cameras []footage.Camera, facts map[string]timeline.RowFacts) timeline.RibGroup {
	out := timeline.RibGroup{Name: g.name, Key: groupKey(g.name), Closed: g.closed, More: g.more}
	worst := 2.0
	for _, cam := range cameras {
		if cam.Group != g.name {
			continue
		}
		f := facts[cam.ID]
		out.Count++
		if len(f.Gaps) > 0 {
			out.Gappy++
		}
		if share := 1 - float64(f.Missing)/float64(max(1, f.Due.Duration())); share < worst {
			worst, out.Worst, out.Tone = share, p.Percent(f.Due.Duration()-f.Missing, f.Due.Duration()), f.Tone()
		}
	}
	return out
}

func choiceOf(cameras []footage.Camera) ribChoice {
	areas, groups, places := map[footage.Area]bool{}, map[string]bool{}, map[string]bool{}
	for _, c := range cameras {
		areas[c.Area] = true
		if c.Group != "" {
			groups[c.Group] = true
		}
		places[c.Place] = true
	}
	out := ribChoice{Groups: slices.Sorted(maps.Keys(groups)), Places: slices.Sorted(maps.Keys(places))}
	for _, a := range footage.Areas {
		if areas[a] {
			out.Areas = append(out.Areas, a)
		}
	}
	return out
}

// chosenDay reads camera and day from the address; no camera is no choice, a wrong one is nothing here.
func (c *call) chosenDay() (camera string, day time.Time, err error) {
	q := c.R.URL.Query()
	if camera = q.Get("camera"); camera == "" {
		return "", time.Time{}, nil
	}
	if _, ok := c.o.d.Site.Camera(camera); !ok {
		return "", time.Time{}, frame.ErrNotFound
	}
	if q.Get("day") == "" {
		n := c.Now.Wall.In(c.o.d.Zone)
		return camera, time.Date(n.Year(), n.Month(), n.Day(), 0, 0, 0, 0, c.o.d.Zone), nil
	}
	day, err = time.ParseInLocation(time.DateOnly, q.Get("day"), c.o.d.Zone)
	if err != nil || day.After(c.Now.Wall) || day.Before(c.Now.Wall.AddDate(-2, 0, 0)) {
		return "", time.Time{}, frame.ErrNotFound
	}
	return camera, day, nil
}

// ribbon is the picture of all cameras.
func (o *Pages) ribbon(c *call, camera string, day time.Time) (timeline.Ribbon, error) {
	in, err := o.ribInput(c, camera, day)
	if err != nil {
		return timeline.Ribbon{}, err
	}
	return timeline.DrawRibbon(in, c.P), nil
}

// ribInput gathers what the picture is made from.
func (o *Pages) ribInput(c *call, camera string, day time.Time) (timeline.RibInput, error) {
	now := c.Now.Wall
	span := footage.Span{From: now.Add(-timeline.RibDays * 24 * time.Hour), To: now}
	in := timeline.RibInput{Now: now, Zone: o.d.Zone, Runs: map[string][]footage.Span{}, Fetched: map[string][]footage.Span{}, Thin: map[string][]footage.Span{}, Noted: map[string][]footage.Gap{}, Online: map[string]string{}, Listed: map[string]time.Time{}, Camera: camera, Day: day,
		Holds: c.Holds(), HoldName: frame.HoldName}
	for _, cam := range o.d.Site.Cameras() {
		if !cam.Retired {
			in.Cameras = append(in.Cameras, cam)
		}
	}
	slices.SortStableFunc(in.Cameras, func(a, b footage.Camera) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.ID, b.ID))
	})
	if err := o.GapCache.Refresh(c.R.Context(), now); err != nil {
		return in, err
	}
	for _, cam := range in.Cameras {
		runs, err := o.Coverage.Runs(c.R.Context(), cam.ID, span, now, c.Now.Mono)
		if err != nil {
			return in, err
		}
		in.Runs[cam.ID] = runs
		if cam.Custody == footage.CustodyNVR && c.SeesHolds() { // it was fetched because somebody asked for it
			in.Fetched[cam.ID] = o.Coverage.InVault(cam.ID, span)
		}
		gaps, thin := o.GapCache.Of(cam.ID, span)
		in.Noted[cam.ID] = gaps
		if len(thin) > 0 {
			in.Thin[cam.ID] = thin
		}
	}
	for id, st := range o.d.Status.Cameras() {
		in.Online[id] = st.State
		if in.Listed[id] = st.Listed; st.State == "online" && st.Listed.IsZero() {
			in.Runs[id] = timeline.UntilNow(in.Runs[id], st.Since, now)
		}
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
	return in, nil
}

func forecast(p ui.Printer, k frame.RetentionStatus) *forecastView {
	if k.Days <= 0 || k.Total == 0 {
		return nil
	}
	shown := min(k.Days, timeline.RibDays)
	f := &forecastView{X: ui.Pct(1 - shown/timeline.RibDays), W: ui.Pct(shown / timeline.RibDays), Short: k.Days < timeline.LimitDays, Daily: p.T("footage.daily", p.Bytes(k.DailyBytes))}
	days := fmt.Sprintf("%.1f", k.Days)
	switch {
	case k.Days > 365:
		f.Text = p.T("footage.forecast.years", p.Bytes(int64(k.Total)))
	case f.Short:
		f.Text = p.T("footage.forecast.short", p.Bytes(int64(k.Total)), days, fmt.Sprintf("%.1f", timeline.LimitDays-k.Days))
	default:
		f.Text = p.T("footage.forecast", p.Bytes(int64(k.Total)), days, fmt.Sprintf("%.1f", k.Days-timeline.LimitDays))
	}
	return f
}
