package office

import (
	"net/url"
	"slices"
	"time"

	"campuskeep/shared/footage"
	"campuskeep/shared/ui"
)

// The ribbon shows 30 days and 3 days of past-line zone on one scale: the left edge of the bright area is
// the deletion line, the right edge is now (design language, "Signature").
const (
	lineDays = 30
	zoneDays = 3
	ribDays  = lineDays + zoneDays
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

// explain finds the cause of a hole: that of the noted gap which covers most of it.
func explain(noted []footage.Gap, camera string, hole footage.Span) footage.Cause {
	cause, most := footage.CauseUnknown, time.Duration(0)
	for _, g := range noted {
		if g.Camera != camera {
			continue
		}
		if d := g.Span.Intersect(hole).Duration(); d > most {
			cause, most = g.Cause, d
		}
	}
	return cause
}

// legend lists the causes that the page explains; the rest are named where they appear.
var legend = []footage.Cause{footage.CausePowerOff, footage.CauseNetwork, footage.CauseDisk, footage.CauseStalled, footage.CauseCameraOff, footage.CauseUnknown}

type ribGap struct {
	Bar   bar
	Mid   string
	Tone  string
	Char  string
	Hatch bool
}

type ribHold struct {
	Bar   bar
	Label string // beside the outline, on the side that has room; empty when neither has
	X     string
	Left  bool
}

type ribDay struct {
	Bar     bar
	Href    string
	Name    string
	Current bool
}

// ribRow is one camera.
type ribRow struct {
	Camera   footage.Camera
	Selected bool
	Online   string // online, offline, ""
	Recorded []bar
	Weekend  []bar
	Cells    []string
	Gaps     []ribGap
	Holds    []ribHold
	Days     []ribDay
	LongKeep int    // days, when more than 30
	Began    string // "in use since", when that lies inside the ribbon
	BeganX   string
	Percent  string
	Missing  time.Duration
	Tone     string // of the percentage
}

type ribHead struct {
	X, Day, Weekday string
	Off             bool
	Now             bool
	Current         bool
	Bar             bar
}

// ribbon is the whole picture.
type ribbon struct {
	LineX    string
	Line     time.Time
	Now      time.Time
	Heads    []ribHead
	Holidays []struct{ X, Name string }
	Rows     []ribRow
	Gaps     []gap // of all cameras, newest first
	Groups   []ribGroup
}

type ribGroup struct {
	Name string
	Rows []ribRow
}

// ribInput is what the picture is made from.
type ribInput struct {
	Now      time.Time
	Zone     *time.Location
	Cameras  []footage.Camera
	Runs     map[string][]footage.Span
	Noted    []footage.Gap
	Online   map[string]string
	Holds    []footage.Hold
	HoldName func(footage.Hold) string
	SchoolOn func(day time.Time) (school bool, holiday string)
	Camera   string    // chosen
	Day      time.Time // chosen, local midnight; zero: none
}

func drawRibbon(in ribInput, p ui.Printer) ribbon {
	sc := scale{in.Now.Add(-ribDays * 24 * time.Hour), in.Now}
	line := in.Now.Add(-lineDays * 24 * time.Hour)
	r := ribbon{LineX: sc.x(line), Line: line, Now: in.Now}
	days := localDays(footage.Span{From: line, To: in.Now}, in.Zone)
	off := map[int64]bool{}
	for _, d := range days {
		school, holiday := true, ""
		if in.SchoolOn != nil {
			school, holiday = in.SchoolOn(d.From.In(in.Zone))
		}
		b := sc.bar(d)
		mid := ui.Pct((b.a + b.b) / 2)
		h := ribHead{X: mid, Day: headDay(d.From.In(in.Zone)), Weekday: p.WeekdayShort(d.From), Off: !school, Bar: b,
			Current: !in.Day.IsZero() && sameDay(d.From, in.Day, in.Zone), Now: d.To.Equal(in.Now)}
		if b.b-b.a < 0.012 { // a sliver of a first or last day has no room for its number
			h.Day, h.Weekday = "", ""
		}
		r.Heads = append(r.Heads, h)
		off[d.From.Unix()] = !school
		if holiday != "" && (len(r.Holidays) == 0 || r.Holidays[len(r.Holidays)-1].Name != holiday) {
			r.Holidays = append(r.Holidays, struct{ X, Name string }{mid, holiday})
		}
	}
	for _, cam := range in.Cameras {
		row, gaps := drawRow(in, cam, sc, line, days, off, p)
		r.Rows = append(r.Rows, row)
		r.Gaps = append(r.Gaps, gaps...)
		if n := len(r.Groups); n > 0 && r.Groups[n-1].Name == cam.Group {
			r.Groups[n-1].Rows = append(r.Groups[n-1].Rows, row)
		} else {
			r.Groups = append(r.Groups, ribGroup{cam.Group, []ribRow{row}})
		}
	}
	slices.SortStableFunc(r.Gaps, func(a, b gap) int { return b.Span.From.Compare(a.Span.From) })
	return r
}

func drawRow(in ribInput, cam footage.Camera, sc scale, line time.Time, days []footage.Span, off map[int64]bool, p ui.Printer) (ribRow, []gap) {
	row := ribRow{Camera: cam, Selected: cam.ID == in.Camera, Online: in.Online[cam.ID]}
	runs := in.Runs[cam.ID]
	if cam.Policy.Days > lineDays {
		row.LongKeep = cam.Policy.Days
	}

	// What is there: one bar from the first to the last frame, gaps are drawn over it at true scale.
	due := footage.Span{From: line, To: in.Now}
	if cam.Since.After(due.From) {
		due.From = cam.Since
	}
	if first := firstAfter(runs, line); !first.IsZero() && first.After(due.From) && cam.Since.IsZero() {
		due.From = first
	}
	if due.From.After(line) {
		row.Began, row.BeganX = p.Day(due.From), sc.x(due.From)
	}
	inside := within(runs, due)
	missing := holes(inside, due)
	if due.Duration() > 0 && len(inside) > 0 {
		row.Recorded = append(row.Recorded, sc.bar(footage.Span{From: due.From, To: in.Now}))
	}
	for _, x := range within(runs, footage.Span{From: sc.from, To: line}) {
		if cam.Policy.Days > lineDays || heldAt(in.Holds, cam.ID, x, in.Now) {
			row.Recorded = append(row.Recorded, sc.bar(x))
		}
	}
	for _, d := range days {
		if off[d.From.Unix()] && d.To.After(due.From) && len(inside) > 0 {
			row.Weekend = append(row.Weekend, sc.bar(d.Intersect(due)))
		}
		if d.From.After(line) {
			row.Cells = append(row.Cells, sc.x(d.From))
		}
	}

	var gaps []gap
	for _, m := range missing {
		g := gap{Camera: cam.ID, Name: cam.Name, Span: m, Cause: explain(in.Noted, cam.ID, m), Open: m.To.Equal(in.Now)}
		if g.Cause == footage.CauseUnknown && g.Open && row.Online == "offline" {
			g.Cause = footage.CauseCameraOff
		}
		gaps = append(gaps, g)
	}
	row.Gaps = drawGaps(gaps, sc, p)
	for _, h := range in.Holds {
		if !h.Active(in.Now) || !slices.Contains(h.Cameras, cam.ID) || !h.Span.Overlaps(footage.Span{From: sc.from, To: in.Now}) {
			continue
		}
		row.Holds = append(row.Holds, ribHold{Bar: sc.bar(h.Span).atLeast(0.004), Label: p.T("ribbon.hold", holdShort(h))})
	}
	placeLabels(row.Holds, row.Gaps)
	for _, d := range days {
		row.Days = append(row.Days, dayCell(in, cam, d, gaps, sc, p))
	}

	lost := total(missing)
	row.Missing = lost
	row.Percent = p.Percent(due.Duration()-lost, due.Duration())
	switch share := float64(lost) / float64(max(1, due.Duration())); {
	case len(inside) == 0 || share > 0.02:
		row.Tone = "bad"
	case share > 0.001:
		row.Tone = "warn"
	}
	return row, gaps
}

// placeLabels finds room for the names of holds beside the characters of gaps and one another. A name that
// finds none is left out: the day's own name tells it.
func placeLabels(holds []ribHold, gaps []ribGap) {
	const wide, char = 0.115, 0.014 // of "lock, held, number", and of one character, in a ribbon of some 930 px
	var taken [][2]float64
	for _, g := range gaps {
		if g.Char != "" {
			mid := (g.Bar.a + g.Bar.b) / 2
			taken = append(taken, [2]float64{mid - char/2, mid + char/2})
		}
	}
	free := func(a, b float64) bool {
		return a > 0 && b < 1 && !slices.ContainsFunc(taken, func(t [2]float64) bool { return a < t[1] && t[0] < b })
	}
	for i := range holds {
		h := &holds[i]
		switch {
		case free(h.Bar.b, h.Bar.b+wide):
			h.X = ui.Pct(h.Bar.b)
			taken = append(taken, [2]float64{h.Bar.b, h.Bar.b + wide})
		case free(h.Bar.a-wide, h.Bar.a):
			h.X, h.Left = h.Bar.X, true
			taken = append(taken, [2]float64{h.Bar.a - wide, h.Bar.a})
		default:
			h.Label = ""
		}
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
			last.Mid = ui.Pct((last.Bar.a + last.Bar.b) / 2)
			last.Hatch = last.Bar.b-last.Bar.a > 0.006
			if g.Span.Duration() > worst {
				worst, last.Tone, last.Char = g.Span.Duration(), gapTone(g.Cause), gapChar(p, g.Cause)
			}
			continue
		}
		worst = g.Span.Duration()
		out = append(out, ribGap{Bar: b, Mid: ui.Pct((b.a + b.b) / 2), Tone: gapTone(g.Cause), Char: gapChar(p, g.Cause), Hatch: b.b-b.a > 0.006})
	}
	// Characters that would touch are left out; the gap itself stays.
	last := -1.0
	for i := range out {
		mid := (out[i].Bar.a + out[i].Bar.b) / 2
		if mid-last < 0.013 {
			out[i].Char = ""
			continue
		}
		last = mid
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
	q := url.Values{"camera": {cam.ID}, "day": {p.ISODate(d.From)}}
	cell := ribDay{Bar: sc.bar(d), Href: "/footage?" + q.Encode() + "#day", Current: cam.ID == in.Camera && !in.Day.IsZero() && sameDay(d.From, in.Day, in.Zone)}
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
		if h.Active(in.Now) && h.Covers(cam.ID, d) {
			name += p.T("ribbon.day.hold", in.HoldName(h))
			break
		}
	}
	cell.Name = name
	return cell
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

func heldAt(holds []footage.Hold, camera string, s footage.Span, now time.Time) bool {
	for _, h := range holds {
		if h.Active(now) && h.Covers(camera, s) {
			return true
		}
	}
	return false
}
