package web

import (
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/ui"
)

// todayView answers in this order: is it in order, what needs me, what can be proved.
type todayView struct {
	Date     string
	Updated  string
	State    []stateCell
	Needs    []need
	Urgent   int
	Recent   []logRow
	Accesses int
	Refused  int
	Arrival  *arrival
	Deletion []fact
	CanApply bool
	CanLog   bool
	CanSign  bool // may begin a control-room shift
	OnShift  bool
}

// stateCell is one of the five of the state line.
type stateCell struct {
	Icon, Name       string
	Tone, Mark, Word string
	Value, Unit      string
	Text             string
	Ticks            []bar  // one per camera
	Bad              []bool // of the ticks
	Fill             string // part of the bar
	FillTone         string
	LimitX           string // where thirty days end
	Needle           string
	Label            string
}

type need struct {
	Tone, Icon, Badge string
	Kind, Title, Text string
	Due               string
	Href, Do          string
	Primary           bool
}

type fact struct {
	Tone, Icon, Title, Text string
	Due                     string
}

func (o *Server) todayPage(c *call) error {
	v := todayView{Date: c.p.FullDate(c.now.Wall) + " " + c.p.Weekday(c.now.Wall), Updated: c.p.Clock(c.now.Wall),
		CanApply: c.can(account.ActApplicationCreate, account.Subject{}), CanLog: c.can(account.ActLogSearch, account.Subject{}),
		CanSign: c.can(account.ActShift, account.Subject{Person: c.actor.ID}), OnShift: c.actor.OnShift}
	k, cams := o.d.Status.Retention(), o.d.Status.Cameras()
	branched, err := o.branches.open(c.r.Context(), o.d.Ledger)
	if err != nil {
		return err
	}
	v.State = []stateCell{c.clockCell(), c.syncCell(len(branched) > 0), c.storageCell(k), c.cameraCell(cams), c.deletionCell(k)}
	for _, needs := range o.needs {
		more, err := needs(c)
		if err != nil {
			return err
		}
		v.Needs = append(v.Needs, more...)
	}
	if c.can(account.ActGateView, account.Subject{}) {
		b, err := o.d.Gate.Board(c.today())
		if err != nil {
			return fmt.Errorf("read the gate's board: %w", err)
		}
		v.Arrival = drawArrival(b, 300, 88, c.p)
	}
	for _, n := range v.Needs {
		if n.Tone == "bad" {
			v.Urgent++
		}
	}
	slices.SortStableFunc(v.Needs, func(a, b need) int { return toneRank(a.Tone) - toneRank(b.Tone) })
	if v.CanLog {
		if err := o.recent(c, &v); err != nil {
			return err
		}
	}
	v.Deletion = c.deletionFacts(k)
	return c.page("today", c.p.T("nav.today"), v)
}

func (c *call) today() string { return c.now.Wall.In(c.o.d.Zone).Format(time.DateOnly) }

func toneRank(t string) int { return slices.Index([]string{"bad", "warn", "acc"}, t) }

func (c *call) clockCell() stateCell {
	s := c.o.d.Time.Explain()
	cell := stateCell{Icon: "clock", Name: c.p.T("today.clock"), Value: c.p.T("clock.state." + s.Reading.State.String()), Tone: "ok", Mark: "ok", Word: c.p.T("state.ok")}
	agree := 0
	for _, w := range s.Witnesses {
		if w.Fits {
			agree++
		}
	}
	cell.Text = c.p.T("today.clock.sources", uncertain(c.p, s.Reading.Uncertainty), agree)
	cell.Needle = ui.Pct(0.5)
	cell.Label = cell.Text
	if s.Reading.State != clock.Trusted {
		cell.Tone, cell.Mark, cell.Word = "warn", "warn", c.p.T("today.clock.waits")
		cell.Needle = ""
	}
	return cell
}

// syncCell is about the centre; branched: a roll-back of the log is not closed.
func (c *call) syncCell(branched bool) stateCell {
	s, size := c.o.d.Status.Sync(), c.o.d.Ledger.Size()
	cell := stateCell{Icon: "sync", Name: c.p.T("today.sync"), Tone: "ok", Mark: "ok", Word: c.p.T("state.ok")}
	behind := size - min(s.Acked, size)
	cell.Value = c.p.T("today.sync.behind", behind)
	if behind == 0 {
		cell.Value = c.p.T("today.sync.even")
	}
	cell.Fill, cell.FillTone = ui.Pct(float64(s.Acked)/float64(max(1, size))), "line"
	switch {
	case branched:
		cell.Tone, cell.Mark, cell.Word = "bad", "bad", c.p.T("today.sync.branched")
	case s.Centre == "":
		cell.Tone, cell.Mark, cell.Word = "warn", "warn", c.p.T("today.sync.none")
	case !s.Connected:
		cell.Tone, cell.Mark, cell.Word = "warn", "warn", c.p.T("today.sync.off")
	}
	if seen, at := c.o.d.Ledger.Witnessed(); seen > 0 {
		cell.Text = c.p.T("proof.witnessed", seen, c.p.When(at, c.now.Wall))
	} else {
		cell.Text = c.p.T("proof.never")
	}
	cell.Label = c.p.T("today.sync.label", size, s.Acked)
	return cell
}

func (c *call) storageCell(k RetentionStatus) stateCell {
	cell := stateCell{Icon: "disk", Name: c.p.T("today.storage"), Tone: "ok", Mark: "ok", Word: c.p.T("state.ok")}
	if k.Days <= 0 {
		cell.Tone, cell.Mark, cell.Word, cell.Value = "mute", "clock", c.p.T("state.unknown"), "–"
		cell.Text = c.p.T("today.storage.unknown")
		if k.Total > 0 {
			cell.Text = c.p.T("today.storage.free", c.p.Bytes(int64(k.Free)), c.p.Bytes(int64(k.Total)))
		}
		cell.Label = cell.Text
		return cell
	}
	cell.Value = c.p.T("today.storage.days", fmt.Sprintf("%.1f", k.Days))
	if k.Days > 365 {
		cell.Value = c.p.T("today.storage.years")
	}
	most := max(limitDays*1.2, min(k.Days, 90))
	cell.Fill, cell.FillTone, cell.LimitX = ui.Pct(min(1, k.Days/most)), "line", ui.Pct(limitDays/most)
	cell.Text = c.p.T("today.storage.free", c.p.Bytes(int64(k.Free)), c.p.Bytes(int64(k.Total)))
	cell.Label = cell.Value + " · " + cell.Text
	switch {
	case k.Days < limitDays:
		cell.Tone, cell.Mark, cell.Word, cell.FillTone = "bad", "bad", c.p.T("today.storage.short"), "bad"
	case k.Days < limitDays+2:
		cell.Tone, cell.Mark, cell.Word = "warn", "warn", c.p.T("today.storage.tight")
	}
	return cell
}

func (c *call) cameraCell(states map[string]CameraState) stateCell {
	cell := stateCell{Icon: "cam", Name: c.p.T("today.cameras"), Tone: "ok", Mark: "ok", Word: c.p.T("state.ok")}
	on, all := 0, 0
	var worst *CameraState
	worstName := ""
	var list []footage.Camera
	for _, cam := range c.o.d.Site.Cameras() {
		if _, known := states[cam.ID]; !cam.Retired && (known || cam.Custody == footage.CustodyVault) { // an NVR's are reported after its first check
			list = append(list, cam)
		}
	}
	for i, cam := range list {
		s, n := states[cam.ID], float64(len(list))
		all++
		cell.Ticks = append(cell.Ticks, scaleTick(float64(i)/n, 0.72/n))
		cell.Bad = append(cell.Bad, s.State != "online")
		if s.State == "online" {
			on++
		} else if worst == nil || s.Since.Before(worst.Since) {
			worst, worstName = &s, cam.Name
		}
	}
	cell.Value, cell.Unit = fmt.Sprintf("%d / %d", on, all), c.p.T("cam.online")
	cell.Label = c.p.T("today.cameras.label", all, on)
	cell.Text = c.p.T("today.cameras.all")
	if worst != nil {
		cell.Tone, cell.Mark, cell.Word = "bad", "bad", c.p.T("today.cameras.off", all-on)
		cell.Text = worstName
		if !worst.Since.IsZero() {
			cell.Text = c.p.T("today.cameras.since", worstName, c.p.When(worst.Since, c.now.Wall))
		}
	}
	return cell
}

func scaleTick(x, w float64) bar { return bar{X: ui.Pct(x), W: ui.Pct(w)} }

func (c *call) deletionCell(k RetentionStatus) stateCell {
	cell := stateCell{Icon: "cut", Name: c.p.T("today.deletion"), Tone: "ok", Mark: "ok", Word: c.p.T("state.ok"), Value: c.p.T("today.deletion.ontime"), Fill: "100%", FillTone: "line"}
	switch {
	case k.Condemned > 0:
		cell.Tone, cell.Mark, cell.Word, cell.Value = "bad", "bad", c.p.T("today.deletion.failed"), c.p.T("today.deletion.left", k.Condemned)
		cell.FillTone = "bad"
	case k.keysStuck():
		cell.Tone, cell.Mark, cell.Word, cell.Value, cell.FillTone = "bad", "bad", c.p.T("today.deletion.failed"), c.p.T("today.deletion.failed"), "bad"
	case k.Suspended != "":
		cell.Tone, cell.Mark, cell.Word, cell.Value = "warn", "clock", c.p.T("today.deletion.waits"), c.p.T("today.deletion.paused")
		cell.Text, cell.FillTone = c.p.T(k.Suspended), "none"
	}
	if early, late := len(c.wrongRetention(footage.FaultFloor)), len(c.wrongRetention(footage.FaultCeiling)); early+late > 0 && cell.Tone != "bad" {
		cell.Tone, cell.Mark, cell.FillTone = "bad", "bad", "bad"
		cell.Word, cell.Value, cell.Text = c.p.T("keeping.early"), c.p.T("today.deletion.nvr", early), ""
		if early == 0 {
			cell.Word, cell.Value = c.p.T("keeping.late"), c.p.T("today.deletion.nvr", late)
		}
	}
	if cell.Text == "" && !k.NextDue.IsZero() {
		cell.Text = c.p.T("today.deletion.next", c.p.When(k.NextDue, c.now.Wall))
	}
	if cell.Text == "" {
		cell.Text = c.p.T("today.deletion.none")
	}
	cell.Label = cell.Value
	return cell
}

// wrongRetention are the cameras whose NVR does not keep their footage for as long as it should.
func (c *call) wrongRetention(code footage.FaultCode) map[string]bool {
	out := map[string]bool{}
	for _, f := range c.o.d.Health.Faults() {
		if f.Code == code {
			out[f.Camera] = true
		}
	}
	return out
}

// clockNeeds are what a clock in doubt asks of this person.
func (c *call) clockNeeds() (out []need, _ error) {
	if c.now.State != clock.Trusted && c.can(account.ActClockConfirm, account.Subject{}) {
		n := need{Tone: "warn", Icon: "clock", Badge: c.p.T("clock.state." + c.now.State.String()), Kind: c.p.T("today.clock"), Title: c.p.T("need.clock"), Text: c.p.T("need.clock.text"), Href: "/clock", Do: c.p.T("see")}
		if c.o.d.Time.Explain().Alarmed {
			n.Tone, n.Icon, n.Title = "bad", "bad", c.p.T("need.clock.alarm")
		}
		out = append(out, n)
	}
	return out, nil
}

func (o *Server) recent(c *call, v *todayView) error {
	// What was refused is no access: it is counted here, and listed in the log.
	page, err := o.d.Ledger.Search(c.r.Context(), ledgerdb.Query{Kinds: []ledger.Kind{"footage.access.open"}, Limit: 8})
	if err != nil {
		return fmt.Errorf("read the latest accesses: %w", err)
	}
	for _, e := range page.Entries {
		v.Recent = append(v.Recent, c.logRow(e))
	}
	midnight, err := time.ParseInLocation(time.DateOnly, c.today(), o.d.Zone)
	if err != nil {
		return fmt.Errorf("find the beginning of the day: %w", err)
	}
	n, err := o.d.Ledger.Tally(c.r.Context(), ledgerdb.Query{Kinds: []ledger.Kind{"footage.access.open", "access.refused"}, From: midnight})
	if err != nil {
		return fmt.Errorf("count today's accesses: %w", err)
	}
	v.Accesses, v.Refused = n["footage.access.open"], n["access.refused"]
	return nil
}

func (c *call) deletionFacts(k RetentionStatus) []fact {
	var out []fact
	if !k.NextDue.IsZero() && k.Suspended == "" {
		out = append(out, fact{Tone: "bad", Icon: "cut", Title: c.p.T("today.deletion.next", c.p.When(k.NextDue, c.now.Wall)), Text: c.p.T("today.deletion.rule"), Due: c.p.Words(max(time.Second, k.NextDue.Sub(c.now.Wall)))})
	}
	if holds := c.holds(); len(holds) > 0 {
		first := slices.MinFunc(holds, func(a, b footage.Hold) int { return a.Until.Compare(b.Until) })
		out = append(out, fact{Tone: "hold", Icon: "lock", Title: c.p.T("today.holds", len(holds)), Text: c.p.T("today.holds.first", holdName(first), c.p.Day(first.Until))})
	}
	if !k.Swept.IsZero() {
		out = append(out, fact{Tone: "ok", Icon: "ok", Title: c.p.T("today.swept", c.p.When(k.Swept, c.now.Wall)), Text: c.p.T("today.swept.text")})
	}
	return out
}
