package shifts

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/web/entrytext"
	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/timeline"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/shift"
)

// dutyView is the control room's daily sheet (F20): who was on duty, what they left for the next, what was watched
// and why, and what happened to cameras, clock and applications.
type dutyView struct {
	Day, DayText  string
	Before, After string // the days beside it; After empty: it is today
	Form          ui.Form
	Today         bool

	Now     []onDuty
	Mine    bool // the person is on duty
	CanSign bool

	Strip     []frame.Bar // on duty, over the day
	Lacks     []frame.Bar // nobody on duty
	Hours     []timeline.DayHour
	Shifts    []dutyShift
	Gaps      []string
	GapTotal  string
	Incidents []dutyIncident
	Faults    []entrytext.DutyFact
	Clock     []entrytext.DutyFact
	Decisions []entrytext.DutyFact
	Empty     bool

	Org, Printed string // on paper
	Copy, Entry  uint64
}

type onDuty struct {
	Name, Since string
	Offered     string // a hand-over is written and not signed
}

type dutyShift struct {
	Name, Span, Length string
	Tone, Icon, End    string
	From, To           string // whom it was taken over from, and handed over to
	Offered            string
	Notes              usage.HandoverNotes
	Noted              bool
}

// dutyIncident is a purpose that a duty officer stated, and what was opened under it.
type dutyIncident struct {
	Who, Purpose   string
	Span           string
	Live, Playback []string // cameras
	Count          int
	Seq            uint64

	officer        string // person id
	live, playback []string
	from, to       time.Time
}

// mostOnSheet is how many entries a day's sheet is made of; a control room has hundreds.
const mostOnSheet = 20000

// chosenDuty is the day of a sheet; today when none is asked for.
func (c *call) chosenDuty(day string) (footage.Span, error) {
	if day == "" {
		day = c.Today()
	}
	from, err := time.ParseInLocation(time.DateOnly, day, c.o.d.Zone)
	if err != nil || from.After(c.Now.Wall) {
		return footage.Span{}, frame.ErrNotFound
	}
	return footage.Span{From: from, To: from.AddDate(0, 0, 1)}, nil
}

func (o *Pages) dutyPage(c *call) error {
	span, err := c.chosenDuty(c.R.URL.Query().Get("day"))
	if err != nil {
		return err
	}
	v, err := o.dutySheet(c, span)
	if err != nil {
		return err
	}
	return c.Page("duty", c.P.T("duty.title"), v)
}

// dutySheet gathers the day from the shifts and the log.
func (o *Pages) dutySheet(c *call, span footage.Span) (v dutyView, err error) {
	v.Day, v.DayText = span.From.In(o.d.Zone).Format(time.DateOnly), c.P.FullDate(span.From)+" "+c.P.Weekday(span.From)
	v.Before, v.Today = span.From.AddDate(0, 0, -1).Format(time.DateOnly), c.Now.Wall.Before(span.To)
	if !v.Today {
		v.After = span.To.In(o.d.Zone).Format(time.DateOnly)
	}
	v.Form = ui.Form{Name: "duty", P: c.P, Values: map[string][]string{"day": {v.Day}}}
	v.Mine, v.CanSign = c.Actor.OnShift, c.Can(account.ActShift, account.Subject{Person: c.Actor.ID})
	for _, s := range o.d.Usage.OpenShifts() {
		n := onDuty{Name: o.Name(s.Officer), Since: c.P.When(s.Began.Wall, c.Now.Wall)}
		if !s.Offered.IsZero() {
			n.Offered = c.P.When(s.Offered, c.Now.Wall)
		}
		v.Now = append(v.Now, n)
	}
	if err := o.dutyShifts(c, &v, span); err != nil {
		return v, err
	}
	entries, err := o.sheetEntries(c.R.Context(), span)
	if err != nil {
		return v, err
	}
	if v.Incidents, err = o.incidents(c, entries); err != nil {
		return v, err
	}
	v.Faults, v.Clock, v.Decisions = o.facts(c, entries, entrytext.DutyFaults), o.facts(c, entries, entrytext.DutyClock), o.facts(c, entries, entrytext.DutyDecisions)
	v.Empty = len(v.Shifts)+len(v.Incidents)+len(v.Faults)+len(v.Clock)+len(v.Decisions) == 0
	return v, nil
}

func (o *Pages) dutyShifts(c *call, v *dutyView, span footage.Span) error {
	shifts := o.d.Usage.Shifts(span)
	sc := timeline.Scale{From: span.From, To: span.To}
	for _, s := range shifts {
		on := s.Span(c.Now.Wall)
		row := dutyShift{Name: o.Name(s.Officer), Span: c.P.Span(on.From, on.To), Length: c.P.Words(on.Duration()), Tone: "ok", Icon: "ok", End: c.P.K("shift.end.", s.End),
			From: o.officerOf(s.After, on.From), To: o.officerOf(s.Next, on.To)}
		switch {
		case s.Open() && !s.Offered.IsZero():
			row.Tone, row.Icon, row.End, row.Offered = "warn", "clock", c.P.T("shift.end.offered"), c.P.DayTime(s.Offered)
		case s.Open():
			row.Tone, row.Icon, row.End = "acc", "user", c.P.T("shift.end.open")
		case s.End == shift.EndLongest:
			row.Tone, row.Icon = "warn", "warn"
		}
		if s.Open() {
			row.Span = c.P.T("duty.since", c.P.DayTime(on.From))
		}
		if !s.Offered.IsZero() {
			var err error
			if row.Notes, err = o.notes(c.R.Context(), s.ID); err != nil {
				return err
			}
			row.Noted = row.Notes != usage.HandoverNotes{}
		}
		v.Shifts = append(v.Shifts, row)
		v.Strip = append(v.Strip, sc.Bar(on).AtLeast(0.002))
	}
	total := time.Duration(0)
	for _, g := range unattended(shifts, span, c.Now.Wall) {
		total += g.Duration()
		v.Gaps = append(v.Gaps, c.P.Span(g.From, g.To))
		v.Lacks = append(v.Lacks, sc.Bar(g))
	}
	if total > 0 {
		v.GapTotal = c.P.Words(total)
	}
	for h := 0; h <= 24; h += 4 {
		v.Hours = append(v.Hours, timeline.DayHour{X: ui.Pct(float64(h) / 24), Label: fmt.Sprintf("%02d:00", h)})
	}
	return nil
}

// unattended lists the times of a minute or more in which nobody was on duty.
func unattended(shifts []shift.Shift, span footage.Span, now time.Time) []footage.Span {
	return slices.DeleteFunc(shift.Gaps(shifts, span, now), func(g footage.Span) bool { return g.Duration() < time.Minute })
}

// officerOf is whose shift that was; it touches the instant.
func (o *Pages) officerOf(shift string, at time.Time) string {
	if shift == "" {
		return ""
	}
	for _, s := range o.d.Usage.Shifts(footage.Span{From: at.Add(-time.Second), To: at.Add(time.Second)}) {
		if s.ID == shift {
			return o.Name(s.Officer)
		}
	}
	return ""
}

// sheetEntries are the entries that a day's sheet is made of, oldest first.
func (o *Pages) sheetEntries(ctx context.Context, span footage.Span) ([]ledger.Entry, error) {
	return o.dayEntries(ctx, span, slices.Concat([]ledger.Kind{"footage.access.open"}, entrytext.DutyFaults, entrytext.DutyClock, entrytext.DutyDecisions))
}

// dayEntries are the entries of these kinds, oldest first.
func (o *Pages) dayEntries(ctx context.Context, span footage.Span, kinds []ledger.Kind) (out []ledger.Entry, _ error) {
	q := ledgerdb.Query{Kinds: kinds, From: span.From, To: span.To, Limit: 1000}
	for len(out) < mostOnSheet {
		page, err := o.d.Ledger.Search(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("gather a duty sheet: %w", err)
		}
		out = append(out, page.Entries...)
		if page.Next == 0 {
			break
		}
		q.Before = page.Next
	}
	slices.Reverse(out)
	return out, nil
}

func (o *Pages) facts(c *call, entries []ledger.Entry, kinds []ledger.Kind) (out []entrytext.DutyFact) {
	for _, e := range entries {
		if slices.Contains(kinds, e.Kind) {
			out = append(out, o.Fact(c.Call, e))
		}
	}
	return out
}

// incidents gathers what was opened by duty under one purpose. What an application allowed is in its own documents.
func (o *Pages) incidents(c *call, entries []ledger.Entry) (out []dutyIncident, _ error) {
	index := map[string]int{}
	for _, e := range entries {
		if e.Kind != "footage.access.open" {
			continue
		}
		var d struct{ Viewing, Camera, Mode, Ground, Incident string }
		if !frame.Decode(e.Data, &d) || d.Ground != usage.BasisDuty {
			continue
		}
		key := d.Incident
		if key == "" {
			key = d.Viewing
		}
		i, known := index[key]
		if !known {
			purpose, err := o.purposeOf(e.Seq)
			if err != nil {
				return nil, err
			}
			i = len(out)
			index[key] = i
			out = append(out, dutyIncident{Who: c.ActorName(e.Actor), Purpose: purpose, Seq: e.Seq, officer: e.Actor.ID, from: e.At})
		}
		x := &out[i]
		x.to, x.Count = e.At, x.Count+1
		name, list, ids := o.CameraName(d.Camera), &x.Playback, &x.playback
		if d.Mode == usage.Live {
			list, ids = &x.Live, &x.live
		}
		if !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
		if !slices.Contains(*ids, d.Camera) {
			*ids = append(*ids, d.Camera)
		}
	}
	for i := range out {
		out[i].Span = c.P.Clock(out[i].from)
		if out[i].to.Sub(out[i].from) >= time.Minute {
			out[i].Span += "–" + c.P.Clock(out[i].to)
		}
	}
	return out, nil
}

func (o *Pages) purposeOf(seq uint64) (string, error) {
	parts, err := o.d.Ledger.Parts(seq)
	if err != nil {
		return "", fmt.Errorf("open the purpose of entry %d: %w", seq, err)
	}
	for _, p := range parts {
		if p.Name == "purpose" {
			return string(p.Plain), nil
		}
	}
	return "", nil
}

// dutyFacts is what is beside the notes of a hand-over: what is broken now, and what else the shift saw: what was
// mended, the clock, and why footage was watched.
func (o *Pages) dutyFacts(c *call, span footage.Span) (out []entrytext.DutyFact, err error) {
	for _, f := range o.d.Health.Faults() {
		r := c.o.FaultRow(c.Call, f, nil)
		out = append(out, entrytext.DutyFact{At: r.Opened, What: r.What, Text: r.Camera, Tone: "bad", Icon: "warn"})
	}
	kinds := slices.DeleteFunc(slices.Concat(entrytext.DutyFaults, entrytext.DutyClock), func(k ledger.Kind) bool { return k == "fault.opened" || k == "fault.acknowledged" })
	span.To = span.To.Add(time.Second) // what happens now counts
	entries, err := o.dayEntries(c.R.Context(), span, append(kinds, "footage.access.open"))
	if err != nil {
		return nil, err
	}
	out = append(out, o.facts(c, entries, kinds)...)
	incidents, err := o.incidents(c, entries)
	if err != nil {
		return nil, err
	}
	for _, i := range incidents {
		out = append(out, entrytext.DutyFact{At: i.Span, What: i.Purpose, Text: i.Who + " · " + strings.Join(append(i.Live, i.Playback...), c.P.T("sep.list")), Tone: "mute", Icon: "eye"})
	}
	return out, nil
}

// Paper and spreadsheet: each that leaves is an entry first.

func dutySubject(day string) string { return "duty-" + day }

// printed enters a copy of a sheet, printed or as a file, and returns its number.
func (o *Pages) dutyPrinted(c *call, day, form string) (copy, entry uint64, err error) {
	o.Handing.Lock()
	defer o.Handing.Unlock()
	n, err := o.d.Ledger.Tally(c.R.Context(), ledgerdb.Query{Kinds: []ledger.Kind{"document.printed"}, About: []string{dutySubject(day)}})
	if err != nil {
		return 0, 0, fmt.Errorf("count the copies of a duty sheet: %w", err)
	}
	copy = uint64(n["document.printed"]) + 1
	d := c.Who().Draft("document.printed", c.Decision.Role, dutySubject(day), struct {
		Copy uint64 `json:"copy"`
		Form string `json:"form"`
	}{copy, form})
	receipt, err := o.d.Ledger.Commit(c.R.Context(), ledgerdb.Change{Entries: []ledger.Draft{d}})
	if err != nil {
		c.Unlogged = true
		return 0, 0, fmt.Errorf("enter a copy of a duty sheet: %w", err)
	}
	return copy, receipt.First, nil
}

// printDuty enters the copy and leads to the sheet on A4.
func (o *Pages) printDuty(c *call) error {
	span, err := c.chosenDuty(c.R.PostForm.Get("day"))
	if err != nil {
		return err
	}
	day := span.From.In(o.d.Zone).Format(time.DateOnly)
	_, entry, err := o.dutyPrinted(c, day, "duty")
	if err != nil {
		return err
	}
	return c.SeeOther(fmt.Sprintf("/duty/sheet?day=%s&entry=%d", day, entry))
}

// printableDuty shows the sheet on A4 to who entered that copy.
func (o *Pages) printableDuty(c *call) error {
	q := c.R.URL.Query()
	span, err := c.chosenDuty(q.Get("day"))
	if err != nil {
		return err
	}
	var entry uint64
	if _, err := fmt.Sscan(q.Get("entry"), &entry); err != nil || entry >= o.d.Ledger.Size() {
		return frame.ErrNotFound
	}
	e, err := o.d.Ledger.Entry(entry)
	if err != nil {
		return fmt.Errorf("read entry %d: %w", entry, err)
	}
	var d struct {
		Copy uint64
		Form string
	}
	if e.Kind != "document.printed" || e.Actor.ID != c.Actor.ID || !frame.Decode(e.Data, &d) || d.Form != "duty" || e.Subject != dutySubject(span.From.In(o.d.Zone).Format(time.DateOnly)) {
		return frame.ErrNotFound
	}
	v, err := o.dutySheet(c, span)
	if err != nil {
		return err
	}
	v.Org, v.Copy, v.Entry = c.P.T("doc.org", o.d.Info.School), d.Copy, entry
	v.Printed = c.P.T("doc.printed", c.P.Stamp(e.At)[:16], c.Session.Person.Name)
	return c.Page("dutysheet", c.P.T("duty.title")+" "+v.Day, v)
}

// exportDuty gives the sheet as a spreadsheet.
func (o *Pages) exportDuty(c *call) error {
	span, err := c.chosenDuty(c.R.PostForm.Get("day"))
	if err != nil {
		return err
	}
	v, err := o.dutySheet(c, span)
	if err != nil {
		return err
	}
	if _, _, err := o.dutyPrinted(c, v.Day, "duty.xlsx"); err != nil {
		return err
	}
	return c.SendTable("duty-"+v.Day, c.P.T("duty.title"), o.dutyTable(c, v))
}

func (o *Pages) dutyTable(c *call, v dutyView) [][]string {
	sep := c.P.T("sep.list")
	t := [][]string{{c.P.T("duty.title"), v.DayText}, {}, {c.P.T("duty.shifts")}, {c.P.T("duty.officer"), c.P.T("span"), c.P.T("duty.length"), c.P.T("duty.end"), c.P.T("handover.happened"), c.P.T("handover.equipment"), c.P.T("handover.open")}}
	for _, s := range v.Shifts {
		end := s.End
		if s.To != "" {
			end += " → " + s.To
		}
		t = append(t, []string{s.Name, s.Span, s.Length, end, s.Notes.Happened, s.Notes.Equipment, s.Notes.Open})
	}
	for _, g := range v.Gaps {
		t = append(t, []string{c.P.T("duty.gap"), g})
	}
	t = append(t, []string{}, []string{c.P.T("duty.incidents")}, []string{c.P.T("log.h.time"), c.P.T("log.h.who"), c.P.T("duty.purpose"), c.P.T("duty.live"), c.P.T("duty.playback"), c.P.T("entry.number")})
	for _, i := range v.Incidents {
		t = append(t, []string{i.Span, i.Who, i.Purpose, strings.Join(i.Live, sep), strings.Join(i.Playback, sep), fmt.Sprint(i.Seq)})
	}
	for _, part := range []struct {
		key  string
		rows []entrytext.DutyFact
	}{{"duty.faults", v.Faults}, {"duty.clock", v.Clock}, {"duty.decisions", v.Decisions}} {
		t = append(t, []string{}, []string{c.P.T(part.key)}, []string{c.P.T("log.h.time"), c.P.T("log.h.what"), c.P.T("log.h.detail"), c.P.T("log.h.who"), c.P.T("entry.number")})
		for _, f := range part.rows {
			t = append(t, []string{f.At, f.What, f.Text, f.Who, fmt.Sprint(f.Seq)})
		}
	}
	return t
}
