package web

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/usage"
)

// footageView is the ribbon, the chosen day, and the list of gaps.
type footageView struct {
	Cameras  int // that the filter lets through
	All      int
	State    ribState
	Choice   ribChoice
	Ribbon   ribbon
	Pager    ui.Pager
	Sizes    []ribLink
	Views    []ribLink // 30 days, 7 days
	Clear    string    // address without a filter; empty: there is none
	Gaps     []gap
	GapPager ui.Pager
	Day      *dayView
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

// ribState is everything that the page remembers. It is in the address and nowhere else, so that it can be sent to
// somebody and is gone with the page.
type ribState struct {
	Camera, Day, T, To       string
	Days                     int // 30 or 7
	Text, Area, Group, Place string
	Gaps                     bool // only cameras with gaps
	Closed                   []string
	Page, Size, GapPage      int
}

var ribSizes = []int{16, 32, 64}

func stateOf(q url.Values) ribState {
	s := ribState{Camera: q.Get("camera"), Day: q.Get("day"), T: q.Get("t"), To: q.Get("to"), Days: limitDays, Text: strings.TrimSpace(q.Get("q")), Area: q.Get("area"),
		Group: q.Get("group"), Place: q.Get("place"), Gaps: q.Get("gaps") != "", Closed: slices.Compact(slices.Sorted(slices.Values(q["closed"]))),
		Page: pageNumber(q.Get("page")), Size: ribSizes[0], GapPage: pageNumber(q.Get("gap"))}
	if q.Get("days") == "7" {
		s.Days = weekDays
	}
	if n, err := strconv.Atoi(q.Get("size")); err == nil && slices.Contains(ribSizes, n) {
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

// href is the address of the page in this state.
func (s ribState) href(to string) string {
	q := url.Values{}
	set := func(k, v string) {
		if v != "" {
			q.Set(k, v)
		}
	}
	set("camera", s.Camera)
	set("day", s.Day)
	set("t", s.T)
	set("to", s.To)
	if s.Days == weekDays {
		q.Set("days", "7")
	}
	set("q", s.Text)
	set("area", s.Area)
	set("group", s.Group)
	set("place", s.Place)
	if s.Gaps {
		q.Set("gaps", "1")
	}
	if len(s.Closed) > 0 {
		q["closed"] = s.Closed
	}
	for k, n := range map[string]int{"page": s.Page, "gap": s.GapPage} {
		if n > 1 {
			q.Set(k, strconv.Itoa(n))
		}
	}
	if s.Size != ribSizes[0] {
		q.Set("size", strconv.Itoa(s.Size))
	}
	out := "/footage"
	if len(q) > 0 {
		out += "?" + q.Encode()
	}
	if to != "" {
		out += "#" + to
	}
	return out
}

// Kept are the parts of the state that the filter form does not ask for itself.
func (s ribState) Kept() map[string][]string {
	out := map[string][]string{"closed": s.Closed}
	if s.Camera != "" {
		out["camera"], out["day"] = []string{s.Camera}, []string{s.Day}
	}
	if s.Days == weekDays {
		out["days"] = []string{"7"}
	}
	if s.Size != ribSizes[0] {
		out["size"] = []string{strconv.Itoa(s.Size)}
	}
	return out
}

// Filtered says whether some cameras may be left out.
func (s ribState) Filtered() bool {
	return s.Text != "" || s.Area != "" || s.Group != "" || s.Place != "" || s.Gaps
}

// lets says whether the filter lets a camera through, whatever its gaps.
func (s ribState) lets(c footage.Camera) bool {
	return (s.Area == "" || string(c.Area) == s.Area) && (s.Group == "" || c.Group == s.Group) && (s.Place == "" || c.Place == s.Place) &&
		(s.Text == "" || strings.Contains(strings.ToLower(c.Name+" "+c.Place+" "+c.Group+" "+c.ID), strings.ToLower(s.Text)))
}

// shortGap is what the list of gaps and the filter leave out; the ribbon and its share do not.
const shortGap = time.Minute

// footagePage shows where footage lies and where not. It shows no picture, so everybody who may apply
// for footage may see it.
func (o *Server) footagePage(c *call) error {
	state := stateOf(c.r.URL.Query())
	chosen, day, err := c.chosenDay()
	if err != nil {
		return err
	}
	unread := ""
	if text := c.r.URL.Query().Get("when"); text != "" && chosen != "" {
		at, ok := parseWhen(text, day, c.now.Wall, o.d.Zone)
		if ok && !at.After(c.now.Wall) && at.After(c.now.Wall.AddDate(-2, 0, 0)) {
			state.Day, state.T, state.To = at.Format(time.DateOnly), at.Format("15:04"), ""
			return c.seeOther(state.href("watch"))
		}
		unread = text
	}
	in, err := o.ribInput(c, chosen, day)
	if err != nil {
		return err
	}
	in.Days = state.Days
	v := footageView{All: len(in.Cameras), State: state, Goto: unread, CanApply: c.can(account.ActApplicationCreate, account.Subject{}),
		CanLive: c.can(account.ActFootageLive, account.Subject{})}
	v.Choice = choiceOf(in.Cameras)
	o.buildFootagePage(c, &v, in)
	k := o.d.Status.Retention()
	switch {
	case k.Suspended != "":
		v.Paused = c.p.T(k.Suspended)
	case !k.NextDue.IsZero():
		v.Next = c.p.T("footage.next", c.p.When(k.NextDue, c.now.Wall), c.p.Words(max(time.Second, k.NextDue.Sub(c.now.Wall))))
	}
	if state.Days == limitDays {
		v.Forecast = forecast(c.p, k)
	}
	if chosen != "" {
		if v.Day, err = o.day(c, state, chosen, day); err != nil {
			return err
		}
	}
	return c.page("footage", c.p.T("footage.title"), v)
}

// buildFootagePage filters, groups and pages what the ribbon shows.
func (o *Server) buildFootagePage(c *call, v *footageView, in ribInput) {
	s := v.State
	rest := s
	rest.Camera, rest.Day, rest.T, rest.To = "", "", "", ""
	_, query, more := strings.Cut(rest.href("day"), "?") // two thousand addresses differ in two words
	if more {
		query = "&" + query
	} else {
		query = "#day"
	}
	in.Link = func(camera string, day time.Time) string {
		return "/footage?camera=" + camera + "&day=" + day.In(o.d.Zone).Format(time.DateOnly) + query
	}
	facts := map[string]rowFacts{}
	var gaps []gap
	in.Cameras = slices.DeleteFunc(slices.Clone(in.Cameras), func(cam footage.Camera) bool {
		if !s.lets(cam) {
			return true
		}
		f := in.facts(cam)
		long := slices.DeleteFunc(slices.Clone(f.gaps), func(g gap) bool { return g.Span.Duration() < shortGap })
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
	v.Ribbon = drawRibbon(shown, c.p)
	rows := map[string]ribRow{}
	for _, r := range v.Ribbon.Rows {
		rows[r.Camera.ID] = r
	}
	v.Ribbon.Groups = nil
	for _, g := range groups {
		rg := summed(c.p, g, in.Cameras, facts)
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
		rg.Toggle = t.href(rg.ID)
		v.Ribbon.Groups = append(v.Ribbon.Groups, rg)
	}
	v.State = s
	v.legend(in)
	v.links(c.p, s, pages)
	slices.SortStableFunc(gaps, func(a, b gap) int { return b.Span.From.Compare(a.Span.From) })
	v.pageGaps(c.p, s, gaps)
}

func (v *footageView) legend(in ribInput) {
	v.Legend = ribLegend{Zone: in.Days == limitDays, Hold: true, Thin: len(in.Thin) > 0,
		OnNVR:  slices.ContainsFunc(in.Cameras, func(c footage.Camera) bool { return c.Custody == footage.CustodyNVR }),
		Future: !in.Day.IsZero() && sameDay(in.Day, in.Now, in.Zone)}
}

// links are the ways to other views of the same.
func (v *footageView) links(p ui.Printer, s ribState, pages int) {
	for _, d := range []int{limitDays, weekDays} {
		t := s
		t.Days = d
		v.Views = append(v.Views, ribLink{p.T("ribbon.days", d), t.href(""), s.Days == d})
	}
	if v.Cameras > ribSizes[0] {
		for _, n := range ribSizes {
			t := s
			t.Size, t.Page = n, 1
			v.Sizes = append(v.Sizes, ribLink{strconv.Itoa(n), t.href("rt"), s.Size == n})
		}
	}
	if pages > 1 {
		v.Pager.Text = p.T("ribbon.page", s.Page, pages)
		if s.Page > 1 {
			t := s
			t.Page--
			v.Pager.Newer = t.href("rt")
		}
		if s.Page < pages {
			t := s
			t.Page++
			v.Pager.Older = t.href("rt")
		}
	}
	if s.Filtered() {
		t := ribState{Camera: s.Camera, Day: s.Day, Days: s.Days, Closed: s.Closed, Size: s.Size}
		v.Clear = t.href("")
	}
}

const gapsListed = 20

func (v *footageView) pageGaps(p ui.Printer, s ribState, gaps []gap) {
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
		v.GapPager.Newer = t.href("gaps")
	}
	if n < pages {
		t := s
		t.GapPage = n + 1
		v.GapPager.Older = t.href("gaps")
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

// pageOf cuts cameras, sorted by group, into pages. A closed group takes the room of one row.
func pageOf(cameras []footage.Camera, s *ribState) (out []groupPage, pages int) {
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
func summed(p ui.Printer, g groupPage, cameras []footage.Camera, facts map[string]rowFacts) ribGroup {
	out := ribGroup{Name: g.name, Key: groupKey(g.name), Closed: g.closed, More: g.more}
	worst := 2.0
	for _, cam := range cameras {
		if cam.Group != g.name {
			continue
		}
		f := facts[cam.ID]
		out.Count++
		if len(f.gaps) > 0 {
			out.Gappy++
		}
		if share := 1 - float64(f.missing)/float64(max(1, f.due.Duration())); share < worst {
			worst, out.Worst, out.Tone = share, p.Percent(f.due.Duration()-f.missing, f.due.Duration()), f.tone()
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

// ribbon is the picture of all cameras.
func (o *Server) ribbon(c *call, camera string, day time.Time) (ribbon, error) {
	in, err := o.ribInput(c, camera, day)
	if err != nil {
		return ribbon{}, err
	}
	return drawRibbon(in, c.p), nil
}

// ribInput gathers what the picture is made from.
func (o *Server) ribInput(c *call, camera string, day time.Time) (ribInput, error) {
	now := c.now.Wall
	span := footage.Span{From: now.Add(-ribDays * 24 * time.Hour), To: now}
	in := ribInput{Now: now, Zone: o.d.Zone, Runs: map[string][]footage.Span{}, Fetched: map[string][]footage.Span{}, Thin: map[string][]footage.Span{}, Noted: map[string][]footage.Gap{}, Online: map[string]string{}, Listed: map[string]time.Time{}, Camera: camera, Day: day,
		Holds: c.holds(), HoldName: holdName}
	for _, cam := range o.d.Site.Cameras() {
		if !cam.Retired {
			in.Cameras = append(in.Cameras, cam)
		}
	}
	slices.SortStableFunc(in.Cameras, func(a, b footage.Camera) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.ID, b.ID))
	})
	if err := o.gapCache.refresh(c.r.Context(), now); err != nil {
		return in, err
	}
	for _, cam := range in.Cameras {
		runs, err := o.coverage.runs(c.r.Context(), cam.ID, span, now, c.now.Mono)
		if err != nil {
			return in, err
		}
		in.Runs[cam.ID] = runs
		if cam.Custody == footage.CustodyNVR && c.seesHolds() { // it was fetched because somebody asked for it
			in.Fetched[cam.ID] = o.coverage.inVault(cam.ID, span)
		}
		gaps, thin := o.gapCache.of(cam.ID, span)
		in.Noted[cam.ID] = gaps
		if len(thin) > 0 {
			in.Thin[cam.ID] = thin
		}
	}
	for id, st := range o.d.Status.Cameras() {
		in.Online[id] = st.State
		if in.Listed[id] = st.Listed; st.State == "online" && st.Listed.IsZero() {
			in.Runs[id] = untilNow(in.Runs[id], st.Since, now)
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

func holdName(h footage.Hold) string {
	if h.Application != "" {
		return appNumber(h.Application)
	}
	return h.ID
}

// holdShort is the name of a hold where there is little room: 视申047.
func holdShort(h footage.Hold) string {
	if _, n, ok := usage.ParseApplicationID(h.Application); ok {
		return fmt.Sprintf("视申%03d", n)
	}
	return h.ID
}

func forecast(p ui.Printer, k RetentionStatus) *forecastView {
	if k.Days <= 0 || k.Total == 0 {
		return nil
	}
	shown := min(k.Days, ribDays)
	f := &forecastView{X: ui.Pct(1 - shown/ribDays), W: ui.Pct(shown / ribDays), Short: k.Days < limitDays, Daily: p.T("footage.daily", p.Bytes(k.DailyBytes))}
	days := fmt.Sprintf("%.1f", k.Days)
	switch {
	case k.Days > 365:
		f.Text = p.T("footage.forecast.years", p.Bytes(int64(k.Total)))
	case f.Short:
		f.Text = p.T("footage.forecast.short", p.Bytes(int64(k.Total)), days, fmt.Sprintf("%.1f", limitDays-k.Days))
	default:
		f.Text = p.T("footage.forecast", p.Bytes(int64(k.Total)), days, fmt.Sprintf("%.1f", k.Days-limitDays))
	}
	return f
}
