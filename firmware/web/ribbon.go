package web

import (
	"html"
	"html/template"
	"net/url"
	"slices"
	"strings"
	"time"

	"campuskeep/shared/footage"
	"campuskeep/shared/lib/ui"
)

// The ribbon shows 30 days and 3 days of past-line zone on one scale: the left edge of the bright area is
// the deletion line, the right edge is now (design §8a). A week is shown without a zone.
const (
	limitDays = 30
	zoneDays  = 3
	ribDays   = limitDays + zoneDays
	weekDays  = 7
)

// scale places an instant on the ribbon: 0 is the left edge, 1 is now.
type scale struct{ from, to time.Time }

func (s scale) at(t time.Time) float64 {
	v := float64(t.Sub(s.from)) / float64(s.to.Sub(s.from))
	return min(1, max(0, v))
}

func (s scale) x(t time.Time) string { return ui.Pct(s.at(t)) }

func (s scale) bar(sp footage.Span) bar {
	a, b := s.at(sp.From), s.at(sp.To)
	return bar{X: ui.Pct(a), W: ui.Pct(b - a), a: a, b: b}
}

// bar is a piece of a row, in per cent of its width.
type bar struct {
	X, W string
	a, b float64
}

// End is the right edge.
func (b bar) End() string { return ui.Pct(b.b) }

// atLeast widens a bar that would be too thin to see or to hit.
func (b bar) atLeast(w float64) bar {
	if b.b-b.a < w {
		b.a = min(b.a, 1-w)
		b.b = b.a + w
		b.X, b.W = ui.Pct(b.a), ui.Pct(w)
	}
	return b
}

// gap is a time without footage, with the cause that the log gives for it.
type gap struct {
	Camera, Name string
	Span         footage.Span
	Cause        footage.Cause
	Open         bool // it still lasts
}

// gapTone says how a cause is drawn: what nobody has explained, and a camera that is off now, is bad.
func gapTone(c footage.Cause) string {
	switch c {
	case footage.CauseUnknown, footage.CauseCameraOff, footage.CauseLost, footage.CauseDamaged, footage.CauseBreach:
		return "bad"
	case footage.CauseSetup:
		return "plan"
	}
	return ""
}

// explain cuts holes by the causes that were noted for them.
func explain(noted []footage.Gap, missing []footage.Span) (out []footage.Piece) {
	for _, m := range missing {
		out = append(out, footage.Explain(m, noted)...)
	}
	return out
}

// legend lists the causes that the page explains; the rest are named where they appear.
var legend = []footage.Cause{footage.CauseBreach, footage.CauseFull, footage.CauseLost, footage.CauseDamaged, footage.CauseDisk, footage.CauseUnknown, footage.CausePowerOff, footage.CauseRestart, footage.CausePaused,
	footage.CauseCameraOff, footage.CauseNetwork, footage.CauseStalled, footage.CauseLogin, footage.CauseSignal, footage.CauseNoKey, footage.CauseNoSets, footage.CauseBadSets, footage.CauseFailed,
	footage.CauseOverload, footage.CauseClock, footage.CauseStart, footage.CauseSwitched}

type ribGap struct {
	Bar   bar
	Tone  string
	Char  string
	Spot  spot // of Char
	Hatch bool
}

type ribHold struct {
	Bar   bar
	Label string
	Spot  spot // of Label
}

type ribDay struct {
	Bar     bar
	Href    string
	Name    string
	Current bool
}

// ribRow is one camera.
type ribRow struct {
	Camera    footage.Camera
	Selected  bool
	Online    string // online, offline, ""
	OnNVR     bool   // the footage lies on an NVR
	Recorded  []bar
	Fetched   []bar // of what lies on an NVR: here as well
	Thin      []bar // the sub-stream only
	Weekend   []bar
	Cells     []string
	Gaps      []ribGap
	Holds     []ribHold
	Days      []ribDay
	Links     template.HTML // Days, drawn
	LongKeep  int           // days, when more than 30
	Began     string        // "in use since", when that lies inside the ribbon
	BeganSpot spot
	Percent   string
	Missing   time.Duration
	Tone      string // of the percentage
}

type ribHead struct {
	Spot, Wide   spot // of the short label, and of a longer one in a week
	Day, Weekday string
	Off          bool
	Now          bool
	Current      bool
	Bar          bar
}

type ribText struct {
	Text string
	Spot spot
}

// ribbon is the whole picture.
type ribbon struct {
	Days      int // 30 or 7
	LimitX    string
	LimitText ribText
	NowText   ribText
	Limit     time.Time
	Now       time.Time
	Heads     []ribHead
	Hours     []ribText // within the days of a week
	Holidays  []ribText
	Rows      []ribRow
	Gaps      []gap // of all cameras, newest first
	Groups    []ribGroup
}

// ribGroup is a group of cameras as the page shows it: open with the rows that are on this page, or closed.
type ribGroup struct {
	Name   string
	Key    string // in the address
	Count  int    // cameras in it that the filter lets through
	Gappy  int    // of them, with gaps
	Worst  string // their lowest share
	Tone   string
	Closed bool
	Toggle string // address that opens or closes it
	ID     string
	More   bool // it began on an earlier page
	Rows   []ribRow
}

// ribInput is what the picture is made from.
type ribInput struct {
	Now      time.Time
	Zone     *time.Location
	Days     int // 7, else 30
	Cameras  []footage.Camera
	Runs     map[string][]footage.Span
	Fetched  map[string][]footage.Span // of cameras whose footage lies on an NVR: what is here too
	Noted    map[string][]footage.Gap  // by camera
	Thin     map[string][]footage.Span
	Online   map[string]string
	Listed   map[string]time.Time // of cameras on an NVR: CameraState.Listed
	Holds    []footage.Hold
	HoldName func(footage.Hold) string
	SchoolOn func(day time.Time) (school bool, holiday string)
	Camera   string    // chosen
	Day      time.Time // chosen, local midnight; zero: none
	Link     func(camera string, day time.Time) string
}

func (in ribInput) limit() time.Time {
	if in.Days == weekDays {
		return in.Now.Add(-weekDays * 24 * time.Hour)
	}
	return in.Now.Add(-limitDays * 24 * time.Hour)
}

func (in ribInput) scale() scale {
	if in.Days == weekDays {
		return scale{in.limit(), in.Now}
	}
	return scale{in.Now.Add(-ribDays * 24 * time.Hour), in.Now}
}

func (in ribInput) tiers() []float64 {
	if in.Days == weekDays {
		return tiersWeek
	}
	return tiersMonth
}

func drawRibbon(in ribInput, p ui.Printer) ribbon {
	sc, line := in.scale(), in.limit()
	r := ribbon{Days: limitDays, LimitX: sc.x(line), Limit: line, Now: in.Now}
	if in.Days == weekDays {
		r.Days = weekDays
	}
	days := localDays(footage.Span{From: line, To: in.Now}, in.Zone)
	off := r.drawHead(in, sc, days, p)
	for _, cam := range in.Cameras {
		f := in.facts(cam)
		row := drawRow(in, cam, f, sc, days, off, p)
		r.Rows = append(r.Rows, row)
		r.Gaps = append(r.Gaps, f.gaps...)
		if n := len(r.Groups); n > 0 && r.Groups[n-1].Name == cam.Group {
			r.Groups[n-1].Rows = append(r.Groups[n-1].Rows, row)
			r.Groups[n-1].Count++
		} else {
			r.Groups = append(r.Groups, ribGroup{Name: cam.Group, Count: 1, Rows: []ribRow{row}})
		}
	}
	slices.SortStableFunc(r.Gaps, func(a, b gap) int { return b.Span.From.Compare(a.Span.From) })
	return r
}

// drawHead names the days and the two edges. It gives the days without school, by their beginning.
func (r *ribbon) drawHead(in ribInput, sc scale, days []footage.Span, p ui.Printer) map[int64]bool {
	off := map[int64]bool{}
	var numbers, feasts []label
	for _, d := range days {
		school, holiday := true, ""
		if in.SchoolOn != nil {
			school, holiday = in.SchoolOn(d.From.In(in.Zone))
		}
		b := sc.bar(d)
		h := ribHead{Day: headDay(d.From.In(in.Zone)), Weekday: p.WeekdayShort(d.From), Off: !school, Bar: b,
			Current: !in.Day.IsZero() && sameDay(d.From, in.Day, in.Zone), Now: d.To.Equal(in.Now)}
		if in.Days == weekDays {
			h.Day = d.From.In(in.Zone).Format("1/2")
		}
		if b.b-b.a < 0.012 { // a narrow piece of a first or last day has no room for its number
			h.Day, h.Weekday = "", ""
		}
		numbers = append(numbers, label{b.a, b.b, max(textPx(h.Day), textPx(h.Weekday)) - gapPx, []side{centre, before}})
		r.Heads = append(r.Heads, h)
		off[d.From.Unix()] = !school
		if holiday != "" && (len(r.Holidays) == 0 || r.Holidays[len(r.Holidays)-1].Text != holiday) {
			r.Holidays = append(r.Holidays, ribText{Text: holiday})
			feasts = append(feasts, label{b.a, b.b, textPx(holiday), []side{fromStart, centre}})
		}
	}
	for i, s := range place(numbers, in.tiers()...) {
		r.Heads[i].Spot = s
	}
	r.NowText.Text = p.T("ribbon.now", p.Clock(in.Now))
	r.LimitText.Text = p.T("ribbon.line", p.DayTime(r.Limit))
	edges := []label{{1, 1, textPx(r.NowText.Text), []side{before}}}
	if in.Days != weekDays {
		line := sc.at(r.Limit)
		edges = append(edges, label{line, line, textPx(r.LimitText.Text) + 12, []side{after}})
	}
	spots := place(append(edges, feasts...), in.tiers()...)
	r.NowText.Spot = spots[0]
	if len(edges) > 1 {
		r.LimitText.Spot = spots[1]
	}
	for i, s := range spots[len(edges):] {
		r.Holidays[i].Spot = s
	}
	return off
}

// rowFacts are what one camera's row says, before it is drawn.
type rowFacts struct {
	due     footage.Span // what ought to be there
	some    bool         // some of it is
	missing time.Duration
	gaps    []gap
}

func (f rowFacts) tone() string {
	switch share := float64(f.missing) / float64(max(1, f.due.Duration())); {
	case !f.some || share > 0.02:
		return "bad"
	case share > 0.001:
		return "warn"
	}
	return ""
}

func (in ribInput) facts(cam footage.Camera) rowFacts {
	runs, line := in.Runs[cam.ID], in.limit()
	f := rowFacts{due: footage.Span{From: line, To: in.Now}}
	if cam.Since.After(f.due.From) {
		f.due.From = cam.Since
	}
	if listed := in.Listed[cam.ID]; !listed.IsZero() && listed.Before(f.due.To) {
		f.due.To = maxTime(listed, f.due.From)
	}
	if first := firstAfter(runs, line); !first.IsZero() && first.After(f.due.From) && cam.Since.IsZero() {
		f.due.From = first
	}
	inside := within(runs, f.due)
	f.some = len(inside) > 0
	for _, m := range explain(in.Noted[cam.ID], holes(inside, f.due)) {
		g := gap{Camera: cam.ID, Name: cam.Name, Span: m.Span, Cause: m.Cause, Open: m.Span.To.Equal(f.due.To)}
		if g.Cause == footage.CauseUnknown && g.Open && in.Online[cam.ID] == "offline" {
			g.Cause = footage.CauseCameraOff
		}
		f.gaps = append(f.gaps, g)
		f.missing += m.Span.Duration()
	}
	return f
}

func drawRow(in ribInput, cam footage.Camera, f rowFacts, sc scale, days []footage.Span, off map[int64]bool, p ui.Printer) ribRow {
	row := ribRow{Camera: cam, Selected: cam.ID == in.Camera, Online: in.Online[cam.ID], OnNVR: cam.Custody == footage.CustodyNVR}
	line, shown := in.limit(), footage.Span{From: sc.from, To: in.Now}
	if cam.Policy.Days > limitDays {
		row.LongKeep = cam.Policy.Days
	}
	if f.due.From.After(line) {
		x := sc.at(f.due.From)
		row.Began = p.T("ribbon.began", p.Day(f.due.From))
		row.BeganSpot = place([]label{{x, x, textPx(row.Began), []side{before}}}, in.tiers()...)[0]
	}
	// What is there: one bar from the first to the last frame, gaps are drawn over it at true scale.
	if f.due.Duration() > 0 && f.some {
		row.Recorded = append(row.Recorded, sc.bar(f.due))
	}
	for _, x := range within(in.Runs[cam.ID], footage.Span{From: sc.from, To: line}) {
		if cam.Policy.Days > limitDays || heldAt(in.Holds, cam.ID, x) {
			row.Recorded = append(row.Recorded, sc.bar(x))
		}
	}
	for _, x := range within(in.Fetched[cam.ID], shown) {
		row.Fetched = append(row.Fetched, sc.bar(x).atLeast(0.002))
	}
	for _, x := range within(in.Thin[cam.ID], f.due) {
		row.Thin = append(row.Thin, sc.bar(x).atLeast(0.002))
	}
	for _, d := range days {
		if off[d.From.Unix()] && d.To.After(f.due.From) && f.some {
			row.Weekend = append(row.Weekend, sc.bar(d.Intersect(f.due)))
		}
		if d.From.After(line) {
			row.Cells = append(row.Cells, sc.x(d.From))
		}
	}
	row.Gaps = drawGaps(f.gaps, sc, p)
	for _, h := range in.Holds {
		if slices.Contains(h.Cameras, cam.ID) && h.Span.Overlaps(shown) {
			row.Holds = append(row.Holds, ribHold{Bar: sc.bar(h.Span).atLeast(0.004), Label: p.T("ribbon.hold", holdShort(h))})
		}
	}
	placeLabels(row.Holds, row.Gaps, in.tiers())
	for _, d := range days {
		row.Days = append(row.Days, dayCell(in, cam, d, f.gaps, sc, p))
	}
	row.Links = drawDays(row.Days)
	row.Missing = f.missing
	row.Percent = p.Percent(f.due.Duration()-f.missing, f.due.Duration())
	row.Tone = f.tone()
	return row
}

// drawDays writes the cells of a row. A page may have two thousand of them, which is too much for a template.
func drawDays(days []ribDay) template.HTML {
	var b strings.Builder
	for _, d := range days {
		b.WriteString("\n<a class=\"day\" href=\"")
		b.WriteString(html.EscapeString(d.Href))
		b.WriteString("\" aria-label=\"")
		b.WriteString(html.EscapeString(d.Name))
		b.WriteByte('"')
		if d.Current {
			b.WriteString(" aria-current=\"date\"")
		}
		b.WriteString("><rect x=\"")
		b.WriteString(d.Bar.X)
		b.WriteString("\" y=\"15\" width=\"")
		b.WriteString(d.Bar.W)
		b.WriteString("\" height=\"18\"/></a>")
	}
	return template.HTML(b.String())
}

// lockPx is the room of the lock before the name of a hold.
const lockPx = 16

// placeLabels finds room for the characters of gaps and then for the names of holds. What finds none is left out:
// the day's own name tells it.
func placeLabels(holds []ribHold, gaps []ribGap, tiers []float64) {
	var labels []label
	for _, g := range gaps {
		labels = append(labels, label{g.Bar.a, g.Bar.b, textPx(g.Char), []side{centre}})
	}
	for _, h := range holds {
		labels = append(labels, label{h.Bar.a, h.Bar.b, textPx(h.Label) + lockPx, []side{after, before, fromStart}})
	}
	spots := place(labels, tiers...)
	for i := range gaps {
		gaps[i].Spot = spots[i]
	}
	for i := range holds {
		holds[i].Spot = spots[len(gaps)+i]
	}
}

// drawGaps joins gaps that would lie on top of one another and gives each joint one character.
func drawGaps(gaps []gap, sc scale, p ui.Printer) []ribGap {
	var out []ribGap
	var worst time.Duration
	for _, g := range gaps {
		b := sc.bar(g.Span).atLeast(0.003)
		if n := len(out); n > 0 && b.a-out[n-1].Bar.b < 0.0015 {
			last := &out[n-1]
			last.Bar.b = max(last.Bar.b, b.b)
			last.Bar.W = ui.Pct(last.Bar.b - last.Bar.a)
			last.Hatch = last.Bar.b-last.Bar.a > 0.006
			if g.Span.Duration() > worst {
				worst, last.Tone, last.Char = g.Span.Duration(), gapTone(g.Cause), gapChar(p, g.Cause)
			}
			continue
		}
		worst = g.Span.Duration()
		out = append(out, ribGap{Bar: b, Tone: gapTone(g.Cause), Char: gapChar(p, g.Cause), Hatch: b.b-b.a > 0.006})
	}
	return out
}

func gapChar(p ui.Printer, cause footage.Cause) string {
	if k := "gap.char." + string(cause); ui.Has(k) {
		return p.T(k)
	}
	return p.T("gap.char.unknown")
}

func gapName(p ui.Printer, cause footage.Cause) string {
	if k := "gap." + string(cause); ui.Has(k) {
		return p.T(k)
	}
	return p.T("gap.unknown")
}

func dayCell(in ribInput, cam footage.Camera, d footage.Span, gaps []gap, sc scale, p ui.Printer) ribDay {
	cell := ribDay{Bar: sc.bar(d), Href: in.link(cam.ID, d.From), Current: cam.ID == in.Camera && !in.Day.IsZero() && sameDay(d.From, in.Day, in.Zone)}
	var lost, longest time.Duration
	cause := footage.CauseUnknown
	for _, g := range gaps {
		if part := g.Span.Intersect(d).Duration(); part > 0 {
			lost += part
			if part > longest {
				longest, cause = part, g.Cause
			}
		}
	}
	name := cam.Name + " " + p.Day(d.From)
	switch {
	case lost == 0:
		name = p.T("ribbon.day.whole", name)
	case lost >= d.Duration()-runGap:
		name = p.T("ribbon.day.none", name, gapName(p, cause))
	default:
		name = p.T("ribbon.day.gap", name, lost, gapName(p, cause))
	}
	for _, h := range in.Holds {
		if h.Covers(cam.ID, d) {
			name += p.T("ribbon.day.hold", in.HoldName(h))
			break
		}
	}
	cell.Name = name
	return cell
}

func (in ribInput) link(camera string, day time.Time) string {
	if in.Link != nil {
		return in.Link(camera, day)
	}
	return "/footage?" + url.Values{"camera": {camera}, "day": {day.In(in.Zone).Format(time.DateOnly)}}.Encode() + "#day"
}

// localDays cuts a span at local midnights.
func localDays(s footage.Span, zone *time.Location) []footage.Span {
	var out []footage.Span
	for at := s.From; at.Before(s.To); {
		l := at.In(zone)
		next := time.Date(l.Year(), l.Month(), l.Day()+1, 0, 0, 0, 0, zone)
		if next.After(s.To) {
			next = s.To
		}
		out = append(out, footage.Span{From: at, To: next})
		at = next
	}
	return out
}

func headDay(t time.Time) string {
	if t.Day() == 1 {
		return t.Format("1/2")
	}
	return t.Format("2")
}

func sameDay(a, b time.Time, zone *time.Location) bool {
	return a.In(zone).Format(time.DateOnly) == b.In(zone).Format(time.DateOnly)
}

func firstAfter(runs []footage.Span, t time.Time) time.Time {
	for _, r := range runs {
		if r.To.After(t) {
			if r.From.Before(t) {
				return t
			}
			return r.From
		}
	}
	return time.Time{}
}

func within(runs []footage.Span, s footage.Span) []footage.Span {
	var out []footage.Span
	for _, r := range runs {
		if x := r.Intersect(s); x.Duration() > 0 {
			out = append(out, x)
		}
	}
	return out
}

func heldAt(holds []footage.Hold, camera string, s footage.Span) bool {
	for _, h := range holds {
		if h.Covers(camera, s) {
			return true
		}
	}
	return false
}
