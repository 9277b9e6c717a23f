package home

import (
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/web/entrytext"
	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/timeline"
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
	State    []frame.StateCell
	Needs    []frame.Need
	Urgent   int
	Recent   []entrytext.LogRow
	Accesses int
	Refused  int
	Arrival  *frame.Arrival
	Deletion []fact
	CanApply bool
	CanLog   bool
	CanSign  bool // may begin a control-room shift
	OnShift  bool
}

type fact struct {
	Tone, Icon, Title, Text string
	Due                     string
}

func (o *Pages) todayPage(c *call) error {
	v := todayView{Date: c.P.FullDate(c.Now.Wall) + " " + c.P.Weekday(c.Now.Wall), Updated: c.P.Clock(c.Now.Wall),
		CanApply: c.Can(account.ActApplicationCreate, account.Subject{}), CanLog: c.Can(account.ActLogSearch, account.Subject{}),
		CanSign: c.Can(account.ActShift, account.Subject{Person: c.Actor.ID}), OnShift: c.Actor.OnShift}
	k, cams := o.d.Status.Retention(), o.d.Status.Cameras()
	branched, err := o.d.Branched(c.R.Context())
	if err != nil {
		return err
	}
	v.State = []frame.StateCell{c.clockCell(), c.syncCell(branched), c.storageCell(k), c.cameraCell(cams), c.deletionCell(k)}
	for _, needs := range append([]frame.NeedsFunc{o.Needs}, o.d.Needs...) {
		more, err := needs(c.Call)
		if err != nil {
			return err
		}
		v.Needs = append(v.Needs, more...)
	}
	if c.Can(account.ActGateView, account.Subject{}) {
		b, err := o.d.Gate.Board(c.Today())
		if err != nil {
			return fmt.Errorf("read the gate's board: %w", err)
		}
		v.Arrival = frame.DrawArrival(b, 300, 88, c.P)
	}
	for _, n := range v.Needs {
		if n.Tone == "bad" {
			v.Urgent++
		}
	}
	slices.SortStableFunc(v.Needs, func(a, b frame.Need) int { return toneRank(a.Tone) - toneRank(b.Tone) })
	if v.CanLog {
		if err := o.recent(c, &v); err != nil {
			return err
		}
	}
	v.Deletion = c.deletionFacts(k)
	return c.Page("today", c.P.T("nav.today"), v)
}

func toneRank(t string) int { return slices.Index([]string{"bad", "warn", "acc"}, t) }

func (c *call) clockCell() frame.StateCell {
	s := c.o.d.Time.Explain()
	cell := frame.StateCell{Icon: "clock", Name: c.P.T("today.clock"), Value: c.P.T("clock.state." + s.Reading.State.String()), Tone: "ok", Mark: "ok", Word: c.P.T("state.ok")}
	agree := 0
	for _, w := range s.Witnesses {
		if w.Fits {
			agree++
		}
	}
	cell.Text = c.P.T("today.clock.sources", frame.Uncertain(c.P, s.Reading.Uncertainty), agree)
	cell.Needle = ui.Pct(0.5)
	cell.Label = cell.Text
	if s.Reading.State != clock.Trusted {
		cell.Tone, cell.Mark, cell.Word = "warn", "warn", c.P.T("today.clock.waits")
		cell.Needle = ""
	}
	return cell
}

// syncCell is about the centre; branched: a roll-back of the log is not closed.
func (c *call) syncCell(branched bool) frame.StateCell {
	s, size := c.o.d.Status.Sync(), c.o.d.Ledger.Size()
	cell := frame.StateCell{Icon: "sync", Name: c.P.T("today.sync"), Tone: "ok", Mark: "ok", Word: c.P.T("state.ok")}
	behind := size - min(s.Acked, size)
	cell.Value = c.P.T("today.sync.behind", behind)
	if behind == 0 {
		cell.Value = c.P.T("today.sync.even")
	}
	cell.Fill, cell.FillTone = ui.Pct(float64(s.Acked)/float64(max(1, size))), "line"
	switch {
	case branched:
		cell.Tone, cell.Mark, cell.Word = "bad", "bad", c.P.T("today.sync.branched")
	case s.Centre == "":
		cell.Tone, cell.Mark, cell.Word = "warn", "warn", c.P.T("today.sync.none")
	case !s.Connected:
		cell.Tone, cell.Mark, cell.Word = "warn", "warn", c.P.T("today.sync.off")
	}
	if seen, at := c.o.d.Ledger.Witnessed(); seen > 0 {
		cell.Text = c.P.T("proof.witnessed", seen, c.P.When(at, c.Now.Wall))
	} else {
		cell.Text = c.P.T("proof.never")
	}
	cell.Label = c.P.T("today.sync.label", size, s.Acked)
	return cell
}

func (c *call) storageCell(k frame.RetentionStatus) frame.StateCell {
	cell := frame.StateCell{Icon: "disk", Name: c.P.T("today.storage"), Tone: "ok", Mark: "ok", Word: c.P.T("state.ok")}
	if k.Days <= 0 {
		cell.Tone, cell.Mark, cell.Word, cell.Value = "mute", "clock", c.P.T("state.unknown"), "–"
		cell.Text = c.P.T("today.storage.unknown")
		if k.Total > 0 {
			cell.Text = c.P.T("today.storage.free", c.P.Bytes(int64(k.Free)), c.P.Bytes(int64(k.Total)))
		}
		cell.Label = cell.Text
		return cell
	}
	cell.Value = c.P.T("today.storage.days", fmt.Sprintf("%.1f", k.Days))
	if k.Days > 365 {
		cell.Value = c.P.T("today.storage.years")
	}
	most := max(timeline.LimitDays*1.2, min(k.Days, 90))
	cell.Fill, cell.FillTone, cell.LimitX = ui.Pct(min(1, k.Days/most)), "line", ui.Pct(timeline.LimitDays/most)
	cell.Text = c.P.T("today.storage.free", c.P.Bytes(int64(k.Free)), c.P.Bytes(int64(k.Total)))
	cell.Label = cell.Value + " · " + cell.Text
	switch {
	case k.Days < timeline.LimitDays:
		cell.Tone, cell.Mark, cell.Word, cell.FillTone = "bad", "bad", c.P.T("today.storage.short"), "bad"
	case k.Days < timeline.LimitDays+2:
		cell.Tone, cell.Mark, cell.Word = "warn", "warn", c.P.T("today.storage.tight")
	}
	return cell
}

func (c *call) cameraCell(states map[string]frame.CameraState) frame.StateCell {
	cell := frame.StateCell{Icon: "cam", Name: c.P.T("today.cameras"), Tone: "ok", Mark: "ok", Word: c.P.T("state.ok")}
	on, all := 0, 0
	var worst *frame.CameraState
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
	cell.Value, cell.Unit = fmt.Sprintf("%d / %d", on, all), c.P.T("cam.online")
	cell.Label = c.P.T("today.cameras.label", all, on)
	cell.Text = c.P.T("today.cameras.all")
	if worst != nil {
		cell.Tone, cell.Mark, cell.Word = "bad", "bad", c.P.T("today.cameras.off", all-on)
		cell.Text = worstName
		if !worst.Since.IsZero() {
			cell.Text = c.P.T("today.cameras.since", worstName, c.P.When(worst.Since, c.Now.Wall))
		}
	}
	return cell
}

func scaleTick(x, w float64) frame.Bar { return frame.Bar{X: ui.Pct(x), W: ui.Pct(w)} }

func (c *call) deletionCell(k frame.RetentionStatus) frame.StateCell {
	cell := frame.StateCell{Icon: "cut", Name: c.P.T("today.deletion"), Tone: "ok", Mark: "ok", Word: c.P.T("state.ok"), Value: c.P.T("today.deletion.ontime"), Fill: "100%", FillTone: "line"}
	switch {
	case k.Condemned > 0:
		cell.Tone, cell.Mark, cell.Word, cell.Value = "bad", "bad", c.P.T("today.deletion.failed"), c.P.T("today.deletion.left", k.Condemned)
		cell.FillTone = "bad"
	case k.KeysStuck():
		cell.Tone, cell.Mark, cell.Word, cell.Value, cell.FillTone = "bad", "bad", c.P.T("today.deletion.failed"), c.P.T("today.deletion.failed"), "bad"
	case k.Suspended != "":
		cell.Tone, cell.Mark, cell.Word, cell.Value = "warn", "clock", c.P.T("today.deletion.waits"), c.P.T("today.deletion.paused")
		cell.Text, cell.FillTone = c.P.T(k.Suspended), "none"
	}
	if early, late := len(c.WrongRetention(footage.FaultFloor)), len(c.WrongRetention(footage.FaultCeiling)); early+late > 0 && cell.Tone != "bad" {
		cell.Tone, cell.Mark, cell.FillTone = "bad", "bad", "bad"
		cell.Word, cell.Value, cell.Text = c.P.T("keeping.early"), c.P.T("today.deletion.nvr", early), ""
		if early == 0 {
			cell.Word, cell.Value = c.P.T("keeping.late"), c.P.T("today.deletion.nvr", late)
		}
	}
	if cell.Text == "" && !k.NextDue.IsZero() {
		cell.Text = c.P.T("today.deletion.next", c.P.When(k.NextDue, c.Now.Wall))
	}
	if cell.Text == "" {
		cell.Text = c.P.T("today.deletion.none")
	}
	cell.Label = cell.Value
	return cell
}

// clockNeeds are what a clock in doubt asks of this person.
func (c *call) clockNeeds() (out []frame.Need, _ error) {
	if c.Now.State != clock.Trusted && c.Can(account.ActClockConfirm, account.Subject{}) {
		n := frame.Need{Tone: "warn", Icon: "clock", Badge: c.P.T("clock.state." + c.Now.State.String()), Kind: c.P.T("today.clock"), Title: c.P.T("need.clock"), Text: c.P.T("need.clock.text"), Href: "/clock", Do: c.P.T("see")}
		if c.o.d.Time.Explain().Alarmed {
			n.Tone, n.Icon, n.Title = "bad", "bad", c.P.T("need.clock.alarm")
		}
		out = append(out, n)
	}
	return out, nil
}

func (o *Pages) recent(c *call, v *todayView) error {
	// What was refused is no access: it is counted here, and listed in the log.
	page, err := o.d.Ledger.Search(c.R.Context(), ledgerdb.Query{Kinds: []ledger.Kind{"footage.access.open"}, Limit: 8})
	if err != nil {
		return fmt.Errorf("read the latest accesses: %w", err)
	}
	for _, e := range page.Entries {
		v.Recent = append(v.Recent, c.o.LogRow(c.Call, e))
	}
	midnight, err := time.ParseInLocation(time.DateOnly, c.Today(), o.d.Zone)
	if err != nil {
		return fmt.Errorf("find the beginning of the day: %w", err)
	}
	n, err := o.d.Ledger.Tally(c.R.Context(), ledgerdb.Query{Kinds: []ledger.Kind{"footage.access.open", "access.refused"}, From: midnight})
	if err != nil {
		return fmt.Errorf("count today's accesses: %w", err)
	}
	v.Accesses, v.Refused = n["footage.access.open"], n["access.refused"]
	return nil
}

func (c *call) deletionFacts(k frame.RetentionStatus) []fact {
	var out []fact
	if !k.NextDue.IsZero() && k.Suspended == "" {
		out = append(out, fact{Tone: "bad", Icon: "cut", Title: c.P.T("today.deletion.next", c.P.When(k.NextDue, c.Now.Wall)), Text: c.P.T("today.deletion.rule"), Due: c.P.Words(max(time.Second, k.NextDue.Sub(c.Now.Wall)))})
	}
	if holds := c.Holds(); len(holds) > 0 {
		first := slices.MinFunc(holds, func(a, b footage.Hold) int { return a.Until.Compare(b.Until) })
		out = append(out, fact{Tone: "hold", Icon: "lock", Title: c.P.T("today.holds", len(holds)), Text: c.P.T("today.holds.first", frame.HoldName(first), c.P.Day(first.Until))})
	}
	if !k.Swept.IsZero() {
		out = append(out, fact{Tone: "ok", Icon: "ok", Title: c.P.T("today.swept", c.P.When(k.Swept, c.Now.Wall)), Text: c.P.T("today.swept.text")})
	}
	return out
}
