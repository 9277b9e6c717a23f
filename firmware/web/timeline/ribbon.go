package timeline

import (
	"html"
	"html/template"
	"net/url"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/ui"
)

// The ribbon shows 30 days and 3 days of past-line zone on one scale: the left edge of the bright area is
// the deletion line, the right edge is now (design §8a). A week is shown without a zone.
const (
	LimitDays = 30
	zoneDays  = 3
	RibDays   = LimitDays + zoneDays
	WeekDays  = 7
)

// Scale places an instant on the ribbon: 0 is the left edge, 1 is now.
type Scale struct{ From, To time.Time }

// At is where an instant lies, from 0 to 1.
func (s Scale) At(t time.Time) float64 {
	v := float64(t.Sub(s.From)) / float64(s.To.Sub(s.From))
	return min(1, max(0, v))
}

// X is where an instant lies, as a percentage.
func (s Scale) X(t time.Time) string { return ui.Pct(s.At(t)) }

// Bar is where a span lies.
func (s Scale) Bar(sp footage.Span) frame.Bar {
	a, b := s.At(sp.From), s.At(sp.To)
	return frame.Bar{X: ui.Pct(a), W: ui.Pct(b - a), From: a, To: b}
}

// Gap is a time without footage, with the cause that the log gives for it.
type Gap struct {
	Camera, Name string
	Span         footage.Span
	Cause        footage.Cause
	Open         bool // it still lasts
}

// Explain cuts holes by the causes that were noted for them.
func Explain(noted []footage.Gap, missing []footage.Span) (out []footage.Piece) {
	for _, m := range missing {
		out = append(out, footage.Explain(m, noted)...)
	}
	return out
}

type ribGap struct {
	Bar   frame.Bar
	Tone  string
	Char  string
	Spot  spot // of Char
	Hatch bool
}

type ribHold struct {
	Bar   frame.Bar
	Label string
	Spot  spot // of Label
}

type ribDay struct {
	Bar     frame.Bar
	Href    string
	Name    string
	Current bool
}

// RibRow is one camera.
type RibRow struct {
	Camera    footage.Camera
	Selected  bool
	Online    string // online, offline, ""
	OnNVR     bool   // the footage lies on an NVR
	Recorded  []frame.Bar
	Fetched   []frame.Bar // of what lies on an NVR: here as well
	Thin      []frame.Bar // the sub-stream only
	Weekend   []frame.Bar
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
	Bar          frame.Bar
}

type ribText struct {
	Text string
	Spot spot
}

// Ribbon is the whole picture.
type Ribbon struct {
	Days      int // 30 or 7
	LimitX    string
	LimitText ribText
	NowText   ribText
	Limit     time.Time
	Now       time.Time
	Heads     []ribHead
	Hours     []ribText // within the days of a week
	Holidays  []ribText
	Rows      []RibRow
	Gaps      []Gap // of all cameras, newest first
	Groups    []RibGroup
}

// RibGroup is a group of cameras as the page shows it: open with the rows that are on this page, or closed.
type RibGroup struct {
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
	Rows   []RibRow
}

// RibInput is what the picture is made from.
type RibInput struct {
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

func (in RibInput) limit() time.Time {
	if in.Days == WeekDays {
		return in.Now.Add(-WeekDays * 24 * time.Hour)
	}
	return in.Now.Add(-LimitDays * 24 * time.Hour)
}

func (in RibInput) scale() Scale {
	if in.Days == WeekDays {
		return Scale{in.limit(), in.Now}
	}
	return Scale{in.Now.Add(-RibDays * 24 * time.Hour), in.Now}
}

func (in RibInput) tiers() []float64 {
	if in.Days == WeekDays {
		return tiersWeek
	}
	return tiersMonth
}

// DrawRibbon draws the footage of many cameras over one time scale.
func DrawRibbon(in RibInput, p ui.Printer) Ribbon {
	sc, line := in.scale(), in.limit()
	r := Ribbon{Days: LimitDays, LimitX: sc.X(line), Limit: line, Now: in.Now}
	if in.Days == WeekDays {
		r.Days = WeekDays
	}
	days := localDays(footage.Span{From: line, To: in.Now}, in.Zone)
	off := r.drawHead(in, sc, days, p)
	for _, cam := range in.Cameras {
		f := in.Facts(cam)
		row := drawRow(in, cam, f, sc, days, off, p)
		r.Rows = append(r.Rows, row)
		r.Gaps = append(r.Gaps, f.Gaps...)
		if n := len(r.Groups); n > 0 && r.Groups[n-1].Name == cam.Group {
			r.Groups[n-1].Rows = append(r.Groups[n-1].Rows, row)
			r.Groups[n-1].Count++
		} else {
			r.Groups = append(r.Groups, RibGroup{Name: cam.Group, Count: 1, Rows: []RibRow{row}})
		}
	}
	slices.SortStableFunc(r.Gaps, func(a, b Gap) int { return b.Span.From.Compare(a.Span.From) })
	return r
}

// drawHead names the days and the two edges. It gives the days without school, by their beginning.
func (r *Ribbon) drawHead(in RibInput, sc Scale, days []footage.Span, p ui.Printer) map[int64]bool {
	off := map[int64]bool{}
	var numbers, feasts []Label
	for _, d := range days {
		school, holiday := true, ""
		if in.SchoolOn != nil {
			school, holiday = in.SchoolOn(d.From.In(in.Zone))
		}
		b := sc.Bar(d)
		h := ribHead{Day: headDay(d.From.In(in.Zone)), Weekday: p.WeekdayShort(d.From), Off: !school, Bar: b,
			Current: !in.Day.IsZero() && frame.SameDay(d.From, in.Day, in.Zone), Now: d.To.Equal(in.Now)}
		if in.Days == WeekDays {
			h.Day = d.From.In(in.Zone).Format("1/2")
		}
		if b.To-b.From < 0.016 { // a narrow piece of a first or last day has no room for its number
			h.Day, h.Weekday = "", ""
		}
		numbers = append(numbers, Label{b.From, b.To, max(TextPx(h.Day), TextPx(h.Weekday)) - gapPx, []Side{Centre, before}})
		r.Heads = append(r.Heads, h)
		off[d.From.Unix()] = !school
		if holiday != "" && (len(r.Holidays) == 0 || r.Holidays[len(r.Holidays)-1].Text != holiday) {
			r.Holidays = append(r.Holidays, ribText{Text: holiday})
			feasts = append(feasts, Label{b.From, b.To, TextPx(holiday), []Side{fromStart, Centre}})
		}
	}
	for i, s := range Place(numbers, in.tiers()...) {
		r.Heads[i].Spot = s
	}
	r.NowText.Text = p.T("ribbon.now", p.Clock(in.Now))
	r.LimitText.Text = p.T("ribbon.line", p.DayTime(r.Limit))
	edges := []Label{{1, 1, TextPx(r.NowText.Text), []Side{before}}}
	if in.Days != WeekDays {
		line := sc.At(r.Limit)
		edges = append(edges, Label{line, line, TextPx(r.LimitText.Text) + 12, []Side{after}})
	}
	spots := Place(append(edges, feasts...), in.tiers()...)
	r.NowText.Spot = spots[0]
	if len(edges) > 1 {
		r.LimitText.Spot = spots[1]
	}
	for i, s := range spots[len(edges):] {
		r.Holidays[i].Spot = s
	}
	return off
}

// RowFacts are what one camera's row says, before it is drawn.
type RowFacts struct {
	Due     footage.Span // what ought to be there
	some    bool         // some of it is
	Missing time.Duration
	Gaps    []Gap
}

// Tone is the colour of a row: how complete its footage is.
func (f RowFacts) Tone() string {
	switch share := float64(f.Missing) / float64(max(1, f.Due.Duration())); {
	case !f.some || share > 0.02:
		return "bad"
	case share > 0.001:
		return "warn"
	}
	return ""
}

// Facts is what is there of a camera's footage, and what is missing.
func (in RibInput) Facts(cam footage.Camera) RowFacts {
	runs, line := in.Runs[cam.ID], in.limit()
	f := RowFacts{Due: footage.Span{From: line, To: in.Now}}
	if cam.Since.After(f.Due.From) {
		f.Due.From = cam.Since
	}
	if listed := in.Listed[cam.ID]; !listed.IsZero() && listed.Before(f.Due.To) {
		f.Due.To = MaxTime(listed, f.Due.From)
	}
	if first := firstAfter(runs, line); !first.IsZero() && first.After(f.Due.From) && cam.Since.IsZero() {
		f.Due.From = first
	}
	inside := Within(runs, f.Due)
	f.some = len(inside) > 0
	for _, m := range Explain(in.Noted[cam.ID], Holes(inside, f.Due)) {
		g := Gap{Camera: cam.ID, Name: cam.Name, Span: m.Span, Cause: m.Cause, Open: m.Span.To.Equal(f.Due.To)}
		if g.Cause == footage.CauseUnknown && g.Open && in.Online[cam.ID] == "offline" {
			g.Cause = footage.CauseCameraOff
		}
		f.Gaps = append(f.Gaps, g)
		f.Missing += m.Span.Duration()
	}
	return f
}

func drawRow(in RibInput, cam footage.Camera, f RowFacts, sc Scale, days []footage.Span, off map[int64]bool, p ui.Printer) RibRow {
	row := RibRow{Camera: cam, Selected: cam.ID == in.Camera, Online: in.Online[cam.ID], OnNVR: cam.Custody == footage.CustodyNVR}
	line, shown := in.limit(), footage.Span{From: sc.From, To: in.Now}
	if cam.Policy.Days > LimitDays {
		row.LongKeep = cam.Policy.Days
	}
	if f.Due.From.After(line) {
		x := sc.At(f.Due.From)
		row.Began = p.T("ribbon.began", p.Day(f.Due.From))
		row.BeganSpot = Place([]Label{{x, x, TextPx(row.Began), []Side{before}}}, in.tiers()...)[0]
	}
	// What is there: one bar from the first to the last frame, gaps are drawn over it at true scale.
	if f.Due.Duration() > 0 && f.some {
		row.Recorded = append(row.Recorded, sc.Bar(f.Due))
	}
	for _, x := range Within(in.Runs[cam.ID], footage.Span{From: sc.From, To: line}) {
		if cam.Policy.Days > LimitDays || heldAt(in.Holds, cam.ID, x) {
			row.Recorded = append(row.Recorded, sc.Bar(x))
		}
	}
	for _, x := range Within(in.Fetched[cam.ID], shown) {
		row.Fetched = append(row.Fetched, sc.Bar(x).AtLeast(0.002))
	}
	for _, x := range Within(in.Thin[cam.ID], f.Due) {
		row.Thin = append(row.Thin, sc.Bar(x).AtLeast(0.002))
	}
	for _, d := range days {
		if off[d.From.Unix()] && d.To.After(f.Due.From) && f.some {
			row.Weekend = append(row.Weekend, sc.Bar(d.Intersect(f.Due)))
		}
		if d.From.After(line) {
			row.Cells = append(row.Cells, sc.X(d.From))
		}
	}
	row.Gaps = drawGaps(f.Gaps, sc, p)
	for _, h := range in.Holds {
		if slices.Contains(h.Cameras, cam.ID) && h.Span.Overlaps(shown) {
			row.Holds = append(row.Holds, ribHold{Bar: sc.Bar(h.Span).AtLeast(0.004), Label: p.T("ribbon.hold", frame.HoldShort(h))})
		}
	}
	placeLabels(row.Holds, row.Gaps, in.tiers())
	for _, d := range days {
		row.Days = append(row.Days, dayCell(in, cam, d, f.Gaps, sc, p))
	}
	row.Links = drawDays(row.Days)
	row.Missing = f.Missing
	row.Percent = p.Percent(f.Due.Duration()-f.Missing, f.Due.Duration())
	row.Tone = f.Tone()
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

// lockPx is the width of the lock before the name of a hold.
const lockPx = 16

// placeLabels finds room for the characters of gaps and then for the names of holds. What finds none is left out:
// the day's own name tells it.
func placeLabels(holds []ribHold, gaps []ribGap, tiers []float64) {
	var labels []Label
	for _, g := range gaps {
		labels = append(labels, Label{g.Bar.From, g.Bar.To, TextPx(g.Char), []Side{Centre}})
	}
	for _, h := range holds {
		labels = append(labels, Label{h.Bar.From, h.Bar.To, TextPx(h.Label) + lockPx, []Side{after, before, fromStart}})
	}
	spots := Place(labels, tiers...)
	for i := range gaps {
		gaps[i].Spot = spots[i]
	}
	for i := range holds {
		holds[i].Spot = spots[len(gaps)+i]
	}
}

// drawGaps joins gaps that would lie on top of one another and gives each joint one character.
func drawGaps(gaps []Gap, sc Scale, p ui.Printer) []ribGap {
	var out []ribGap
	var worst time.Duration
	for _, g := range gaps {
		b := sc.Bar(g.Span).AtLeast(0.003)
		if n := len(out); n > 0 && b.From-out[n-1].Bar.To < 0.0015 {
			last := &out[n-1]
			last.Bar.To = max(last.Bar.To, b.To)
			last.Bar.W = ui.Pct(last.Bar.To - last.Bar.From)
			last.Hatch = last.Bar.To-last.Bar.From > 0.006
			if g.Span.Duration() > worst {
				worst, last.Tone, last.Char = g.Span.Duration(), frame.GapTone(g.Cause), frame.GapChar(p, g.Cause)
			}
			continue
		}
		worst = g.Span.Duration()
		out = append(out, ribGap{Bar: b, Tone: frame.GapTone(g.Cause), Char: frame.GapChar(p, g.Cause), Hatch: b.To-b.From > 0.006})
	}
	return out
}

func dayCell(in RibInput, cam footage.Camera, d footage.Span, gaps []Gap, sc Scale, p ui.Printer) ribDay {
	cell := ribDay{Bar: sc.Bar(d), Href: in.link(cam.ID, d.From), Current: cam.ID == in.Camera && !in.Day.IsZero() && frame.SameDay(d.From, in.Day, in.Zone)}
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
	case lost >= d.Duration()-RunGap:
		name = p.T("ribbon.day.none", name, frame.GapName(p, cause))
	default:
		name = p.T("ribbon.day.gap", name, lost, frame.GapName(p, cause))
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

func (in RibInput) link(camera string, day time.Time) string {
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

// Within cuts runs to a span.
func Within(runs []footage.Span, s footage.Span) []footage.Span {
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
