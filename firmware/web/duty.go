package web

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/usage"
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

	Strip     []bar // on duty, over the day
	Lacks     []bar // nobody on duty
	Hours     []dayHour
	Shifts    []dutyShift
	Gaps      []string
	GapTotal  string
	Incidents []dutyIncident
	Faults    []dutyFact
	Clock     []dutyFact
	Decisions []dutyFact
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
	from, to       time.Time
}

// dutyFact is an entry of the log in one line.
type dutyFact struct {
	At, What, Text, Who string
	Tone, Icon          string
	Seq                 uint64
}

// The kinds of entries that a sheet is about.
var (
	dutyFaults    = []ledger.Kind{"fault.opened", "fault.acknowledged", "fault.closed", "nvr.fault", "nvr.breach", "footage.unlinkfailed", "key.erasefailed", "footage.breach", "footage.damaged", "system.fault"}
	dutyClock     = []ledger.Kind{"clock.state", "clock.step", "clock.correction", "clock.confirmed", "clock.alarm"}
	dutyDecisions = []ledger.Kind{"application.approved", "application.rejected", "application.revoked"}
)

// mostOnSheet is how many entries a day's sheet is made of; a control room has hundreds.
const mostOnSheet = 20000

// chosenDuty is the day of a sheet; today when none is asked for.
func (c *call) chosenDuty(day string) (footage.Span, error) {
	if day == "" {
		day = c.today()
	}
	from, err := time.ParseInLocation(time.DateOnly, day, c.o.d.Zone)
	if err != nil || from.After(c.now.Wall) {
		return footage.Span{}, errNotFound
	}
	return footage.Span{From: from, To: from.AddDate(0, 0, 1)}, nil
}

func (o *Server) dutyPage(c *call) error {
	span, err := c.chosenDuty(c.r.URL.Query().Get("day"))
	if err != nil {
		return err
	}
	v, err := o.dutySheet(c, span)
	if err != nil {
		return err
	}
	return c.page("duty", c.p.T("duty.title"), v)
}

// dutySheet gathers the day from the shifts and the log.
func (o *Server) dutySheet(c *call, span footage.Span) (v dutyView, err error) {
	v.Day, v.DayText = span.From.In(o.d.Zone).Format(time.DateOnly), c.p.FullDate(span.From)+" "+c.p.Weekday(span.From)
	v.Before, v.Today = span.From.AddDate(0, 0, -1).Format(time.DateOnly), c.now.Wall.Before(span.To)
	if !v.Today {
		v.After = span.To.In(o.d.Zone).Format(time.DateOnly)
	}
	v.Form = ui.Form{Name: "duty", P: c.p, Values: map[string][]string{"day": {v.Day}}}
	v.Mine, v.CanSign = c.actor.OnShift, c.can(account.ActShift, account.Subject{Person: c.actor.ID})
	for _, s := range o.d.Usage.OpenShifts() {
		n := onDuty{Name: o.name(s.Officer), Since: c.p.When(s.Began.Wall, c.now.Wall)}
		if !s.Offered.IsZero() {
			n.Offered = c.p.When(s.Offered, c.now.Wall)
		}
		v.Now = append(v.Now, n)
	}
	if err := o.dutyShifts(c, &v, span); err != nil {
		return v, err
	}
	entries, err := o.dayEntries(c.r.Context(), span, slices.Concat([]ledger.Kind{"footage.access.open"}, dutyFaults, dutyClock, dutyDecisions))
	if err != nil {
		return v, err
	}
	if v.Incidents, err = o.incidents(c, entries); err != nil {
		return v, err
	}
	v.Faults, v.Clock, v.Decisions = o.facts(c, entries, dutyFaults), o.facts(c, entries, dutyClock), o.facts(c, entries, dutyDecisions)
	v.Empty = len(v.Shifts)+len(v.Incidents)+len(v.Faults)+len(v.Clock)+len(v.Decisions) == 0
	return v, nil
}

func (o *Server) dutyShifts(c *call, v *dutyView, span footage.Span) error {
	shifts := o.d.Usage.Shifts(span)
	sc := scale{span.From, span.To}
	for _, s := range shifts {
		on := s.Span(c.now.Wall)
		row := dutyShift{Name: o.name(s.Officer), Span: c.p.Span(on.From, on.To), Length: c.p.Words(on.Duration()), Tone: "ok", Icon: "ok", End: c.p.K("shift.end.", s.End),
			From: o.officerOf(s.After, on.From), To: o.officerOf(s.Next, on.To)}
		switch {
		case s.Open() && !s.Offered.IsZero():
			row.Tone, row.Icon, row.End, row.Offered = "warn", "clock", c.p.T("shift.end.offered"), c.p.DayTime(s.Offered)
		case s.Open():
			row.Tone, row.Icon, row.End = "acc", "user", c.p.T("shift.end.open")
		case s.End == shift.EndLongest:
			row.Tone, row.Icon = "warn", "warn"
		}
		if s.Open() {
			row.Span = c.p.T("duty.since", c.p.DayTime(on.From))
		}
		if !s.Offered.IsZero() {
			var err error
			if row.Notes, err = o.notes(c.r.Context(), s.ID); err != nil {
				return err
			}
			row.Noted = row.Notes != usage.HandoverNotes{}
		}
		v.Shifts = append(v.Shifts, row)
		v.Strip = append(v.Strip, sc.bar(on).atLeast(0.002))
	}
	total := time.Duration(0)
	for _, g := range shift.Gaps(shifts, span, c.now.Wall) {
		if g.Duration() < time.Minute {
			continue
		}
		total += g.Duration()
		v.Gaps = append(v.Gaps, c.p.Span(g.From, g.To))
		v.Lacks = append(v.Lacks, sc.bar(g))
	}
	if total > 0 {
		v.GapTotal = c.p.Words(total)
	}
	for h := 0; h <= 24; h += 4 {
		v.Hours = append(v.Hours, dayHour{X: ui.Pct(float64(h) / 24), Label: fmt.Sprintf("%02d:00", h)})
	}
	return nil
}

// officerOf is whose shift that was; it touches the instant.
func (o *Server) officerOf(shift string, at time.Time) string {
	if shift == "" {
		return ""
	}
	for _, s := range o.d.Usage.Shifts(footage.Span{From: at.Add(-time.Second), To: at.Add(time.Second)}) {
		if s.ID == shift {
			return o.name(s.Officer)
		}
	}
	return ""
}

// dayEntries are the entries of these kinds, oldest first.
func (o *Server) dayEntries(ctx context.Context, span footage.Span, kinds []ledger.Kind) (out []ledger.Entry, _ error) {
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

func (o *Server) facts(c *call, entries []ledger.Entry, kinds []ledger.Kind) (out []dutyFact) {
	for _, e := range entries {
		if slices.Contains(kinds, e.Kind) {
			out = append(out, o.fact(c, e))
		}
	}
	return out
}

func (o *Server) fact(c *call, e ledger.Entry) dutyFact {
	r := c.logRow(e)
	f := dutyFact{At: c.p.Clock(e.At), What: r.What, Who: r.Who, Tone: r.Tone, Icon: r.Icon, Seq: e.Seq}
	var d clockData
	decode(e.Data, &d)
	switch {
	case slices.Contains(dutyClock, e.Kind):
		f.Text = d.words(c, e.Kind)
	case r.Detail != "" && r.Object != "–":
		f.Text = r.Object + " · " + r.Detail
	case r.Object != "–":
		f.Text = r.Object
	default:
		f.Text = r.Detail
	}
	if e.Kind == "fault.closed" {
		f.Tone, f.Icon = "ok", "ok"
	}
	if e.Kind == "fault.opened" {
		f.Tone, f.Icon = "warn", "warn"
	}
	return f
}

// incidents gathers what was opened by duty under one purpose. What an application allowed is in its own documents.
func (o *Server) incidents(c *call, entries []ledger.Entry) (out []dutyIncident, _ error) {
	index := map[string]int{}
	for _, e := range entries {
		if e.Kind != "footage.access.open" {
			continue
		}
		var d struct{ Viewing, Camera, Mode, Ground, Incident string }
		if !decode(e.Data, &d) || d.Ground != usage.BasisDuty {
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
			out = append(out, dutyIncident{Who: c.actorName(e.Actor), Purpose: purpose, Seq: e.Seq, from: e.At})
		}
		x := &out[i]
		x.to, x.Count = e.At, x.Count+1
		name, list := o.cameraName(d.Camera), &x.Playback
		if d.Mode == usage.Live {
			list = &x.Live
		}
		if !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
	}
	for i := range out {
		out[i].Span = c.p.Clock(out[i].from)
		if out[i].to.Sub(out[i].from) >= time.Minute {
			out[i].Span += "–" + c.p.Clock(out[i].to)
		}
	}
	return out, nil
}

func (o *Server) purposeOf(seq uint64) (string, error) {
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
func (o *Server) dutyFacts(c *call, span footage.Span) (out []dutyFact, err error) {
	for _, f := range o.d.Health.Faults() {
		r := c.faultRow(f, nil)
		out = append(out, dutyFact{At: r.Opened, What: r.What, Text: r.Camera, Tone: "bad", Icon: "warn"})
	}
	kinds := slices.DeleteFunc(slices.Concat(dutyFaults, dutyClock), func(k ledger.Kind) bool { return k == "fault.opened" || k == "fault.acknowledged" })
	span.To = span.To.Add(time.Second) // what happens now counts
	entries, err := o.dayEntries(c.r.Context(), span, append(kinds, "footage.access.open"))
	if err != nil {
		return nil, err
	}
	out = append(out, o.facts(c, entries, kinds)...)
	incidents, err := o.incidents(c, entries)
	if err != nil {
		return nil, err
	}
	for _, i := range incidents {
		out = append(out, dutyFact{At: i.Span, What: i.Purpose, Text: i.Who + " · " + strings.Join(append(i.Live, i.Playback...), c.p.T("sep.list")), Tone: "mute", Icon: "eye"})
	}
	return out, nil
}

// Paper and spreadsheet: each that leaves is an entry first.

func dutySubject(day string) string { return "duty-" + day }

// printed enters a copy of a sheet, printed or as a file, and returns its number.
func (o *Server) dutyPrinted(c *call, day, form string) (copy, entry uint64, err error) {
	o.handing.Lock()
	defer o.handing.Unlock()
	n, err := o.d.Ledger.Tally(c.r.Context(), ledgerdb.Query{Kinds: []ledger.Kind{"document.printed"}, About: []string{dutySubject(day)}})
	if err != nil {
		return 0, 0, fmt.Errorf("count the copies of a duty sheet: %w", err)
	}
	copy = uint64(n["document.printed"]) + 1
	d := c.who().Draft("document.printed", c.decision.Role, dutySubject(day), struct {
		Copy uint64 `json:"copy"`
		Form string `json:"form"`
	}{copy, form})
	receipt, err := o.d.Ledger.Commit(c.r.Context(), ledgerdb.Change{Entries: []ledger.Draft{d}})
	if err != nil {
		c.unlogged = true
		return 0, 0, fmt.Errorf("enter a copy of a duty sheet: %w", err)
	}
	return copy, receipt.First, nil
}

// printDuty enters the copy and leads to the sheet on A4.
func (o *Server) printDuty(c *call) error {
	span, err := c.chosenDuty(c.r.PostForm.Get("day"))
	if err != nil {
		return err
	}
	day := span.From.In(o.d.Zone).Format(time.DateOnly)
	_, entry, err := o.dutyPrinted(c, day, "duty")
	if err != nil {
		return err
	}
	return c.seeOther(fmt.Sprintf("/duty/sheet?day=%s&entry=%d", day, entry))
}

// printableDuty shows the sheet on A4 to who entered that copy.
func (o *Server) printableDuty(c *call) error {
	q := c.r.URL.Query()
	span, err := c.chosenDuty(q.Get("day"))
	if err != nil {
		return err
	}
	var entry uint64
	if _, err := fmt.Sscan(q.Get("entry"), &entry); err != nil || entry >= o.d.Ledger.Size() {
		return errNotFound
	}
	e, err := o.d.Ledger.Entry(entry)
	if err != nil {
		return fmt.Errorf("read entry %d: %w", entry, err)
	}
	var d struct {
		Copy uint64
		Form string
	}
	if e.Kind != "document.printed" || e.Actor.ID != c.actor.ID || !decode(e.Data, &d) || d.Form != "duty" || e.Subject != dutySubject(span.From.In(o.d.Zone).Format(time.DateOnly)) {
		return errNotFound
	}
	v, err := o.dutySheet(c, span)
	if err != nil {
		return err
	}
	v.Org, v.Copy, v.Entry = c.p.T("doc.org", o.d.Info.School), d.Copy, entry
	v.Printed = c.p.T("doc.printed", c.p.Stamp(e.At)[:16], c.session.Person.Name)
	return c.page("dutysheet", c.p.T("duty.title")+" "+v.Day, v)
}

// exportDuty gives the sheet as a spreadsheet.
func (o *Server) exportDuty(c *call) error {
	span, err := c.chosenDuty(c.r.PostForm.Get("day"))
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
	b, err := writeSheet(c.p.T("duty.title"), o.dutyTable(c, v))
	if err != nil {
		return err
	}
	c.file(fmt.Sprintf("campuskeep-%s-duty-%s.xlsx", o.d.Info.Appliance, v.Day), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b)
	return nil
}

func (o *Server) dutyTable(c *call, v dutyView) [][]string {
	sep := c.p.T("sep.list")
	t := [][]string{{c.p.T("duty.title"), v.DayText}, {}, {c.p.T("duty.shifts")}, {c.p.T("duty.officer"), c.p.T("span"), c.p.T("duty.length"), c.p.T("duty.end"), c.p.T("handover.happened"), c.p.T("handover.equipment"), c.p.T("handover.open")}}
	for _, s := range v.Shifts {
		end := s.End
		if s.To != "" {
			end += " → " + s.To
		}
		t = append(t, []string{s.Name, s.Span, s.Length, end, s.Notes.Happened, s.Notes.Equipment, s.Notes.Open})
	}
	for _, g := range v.Gaps {
		t = append(t, []string{c.p.T("duty.gap"), g})
	}
	t = append(t, []string{}, []string{c.p.T("duty.incidents")}, []string{c.p.T("log.h.time"), c.p.T("log.h.who"), c.p.T("duty.purpose"), c.p.T("duty.live"), c.p.T("duty.playback"), c.p.T("entry.number")})
	for _, i := range v.Incidents {
		t = append(t, []string{i.Span, i.Who, i.Purpose, strings.Join(i.Live, sep), strings.Join(i.Playback, sep), fmt.Sprint(i.Seq)})
	}
	for _, part := range []struct {
		key  string
		rows []dutyFact
	}{{"duty.faults", v.Faults}, {"duty.clock", v.Clock}, {"duty.decisions", v.Decisions}} {
		t = append(t, []string{}, []string{c.p.T(part.key)}, []string{c.p.T("log.h.time"), c.p.T("log.h.what"), c.p.T("log.h.detail"), c.p.T("log.h.who"), c.p.T("entry.number")})
		for _, f := range part.rows {
			t = append(t, []string{f.At, f.What, f.Text, f.Who, fmt.Sprint(f.Seq)})
		}
	}
	return t
}

// clockData is what entries about the clock hold.
type clockData struct {
	From, To, Reason, State, Boot string
	Step                          int64     `json:"step_ms"`
	Offset                        int64     `json:"offset_ms"`
	Uncertainty                   int64     `json:"uncertainty_ms"`
	Before                        time.Time `json:"highest_before"`
	After                         time.Time `json:"highest_after"`
	UTC                           time.Time `json:"utc"`
	Hours                         int64     `json:"hours"`
	Sources                       []string  `json:"sources"`
}

// words says an entry about the clock as a person reads it.
func (d clockData) words(c *call, k ledger.Kind) string {
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	switch k {
	case "clock.state":
		return c.p.T("clock.h.state", c.p.K("clock.state.", d.To), c.p.K("clock.reason.", d.Reason))
	case "clock.step":
		return c.p.T("clock.h.step", signed(c.p, ms(d.Step)))
	case "clock.correction":
		return c.p.T("clock.h.correction", c.p.Stamp(d.Before), c.p.Stamp(d.After), c.p.K("origin.", d.Reason))
	case "clock.confirmed":
		return c.p.T("clock.h.confirmed", c.p.Stamp(d.UTC))
	case "clock.alarm":
		return c.p.T("clock.h.alarm", d.Hours, c.p.K("clock.reason.", d.Reason))
	case "clock.anchor":
		return c.p.T("clock.h.anchor", c.p.Stamp(d.UTC), uncertain(c.p, ms(d.Uncertainty)))
	}
	return ""
}
