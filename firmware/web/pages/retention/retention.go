package retention

import (
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/timeline"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/ui"
)

// retentionView answers: does the disk hold what must be kept, what goes next, and what is in the way.
type retentionView struct {
	State   []frame.StateCell
	Notes   []ui.Note
	Sum     capacitySum
	Cameras []retentionRow
	CanList bool
	Full    string // what happens when the disk is full, in words
}

// capacitySum is the arithmetic of the disk, line by line as a person would write it down.
type capacitySum struct {
	Known                            bool
	Rows                             []sumRow
	PerDay, Cameras, Held, Need      string
	Total, Reserve, Other, Capacity  string
	Used                             string
	Fits                             bool
	Verdict, Left                    string
	NeedBar, HeldBar, UsedBar, CapAt string // of the drawn line
}

type sumRow struct {
	Camera, Stream  string
	PerDay, Product string
	Days            int
	Thin, Estimated bool
}

type retentionRow struct {
	C                footage.Camera
	Oldest, Next     string
	Watermark        string
	Tone, Icon, Word string
	Own              bool // in our custody: we delete it
}

func (o *Pages) retentionPage(c *call) error {
	k := o.d.Status.Retention()
	v := retentionView{Sum: c.capacitySum(k), CanList: true, Notes: c.retentionNotes(k)}
	if k.WhenFull != "" {
		v.Full = c.P.K("keeping.full.", k.WhenFull)
	}
	v.State = c.retentionState(k)
	for _, cam := range o.d.Site.Cameras() {
		row, err := o.retentionRow(c, k, cam)
		if err != nil {
			return err
		}
		v.Cameras = append(v.Cameras, row)
	}
	return c.Page("retention", c.P.T("keeping.title"), v)
}

// capacitySum does the multiplication in front of the reader. Need and verdict are those of footage.Predict.
func (c *call) capacitySum(k frame.RetentionStatus) capacitySum {
	s := capacitySum{Known: k.Total > 0, Held: c.P.Bytes(k.Held), Need: c.P.Bytes(k.Forecast.Need), PerDay: c.P.Bytes(k.Forecast.PerDay), Capacity: c.P.Bytes(k.Capacity),
		Total: c.P.Bytes(int64(k.Total)), Reserve: c.P.Bytes(k.Reserve), Other: c.P.Bytes(k.Other), Used: c.P.Bytes(k.Used), Fits: k.Forecast.Fits}
	var all int64
	for _, l := range k.Loads {
		product := l.BytesPerDay * int64(l.Days+1)
		all += product
		stream := c.P.T("keeping.stream.main")
		if l.Thin {
			stream = c.P.T("keeping.stream.sub")
		}
		s.Rows = append(s.Rows, sumRow{Camera: c.o.CameraName(l.Camera), Stream: stream, PerDay: c.P.Bytes(l.BytesPerDay), Days: l.Days + 1, Product: c.P.Bytes(product), Thin: l.Thin, Estimated: l.Estimated})
	}
	s.Cameras = c.P.Bytes(all)
	if !s.Known {
		return s
	}
	if s.Fits {
		s.Verdict, s.Left = c.P.T("keeping.fits"), c.P.T("keeping.left", c.P.Bytes(k.Capacity-k.Forecast.Need))
	} else {
		s.Verdict, s.Left = c.P.T("keeping.short", fmt.Sprintf("%.1f", k.Forecast.FullAt)), c.P.T("keeping.lacks", c.P.Bytes(k.Forecast.Need-k.Capacity))
	}
	whole := float64(max(k.Capacity, k.Forecast.Need, 1))
	s.NeedBar, s.HeldBar = ui.Pct(float64(all)/whole), ui.Pct(float64(k.Held)/whole)
	s.UsedBar, s.CapAt = ui.Pct(min(1, float64(k.Used)/whole)), ui.Pct(float64(k.Capacity)/whole)
	return s
}

// retentionNotes are what is in the way of keeping or of deleting.
func (c *call) retentionNotes(k frame.RetentionStatus) (out []ui.Note) {
	add := func(kind, icon, text, href, link string) {
		out = append(out, ui.Note{Kind: kind, Icon: icon, Text: text, Href: href, Link: link})
	}
	if c.Now.State != clock.Trusted {
		x := c.o.d.Time.Explain()
		add("warn", "clock", c.P.T("keeping.clock", c.P.K("clock.wait.", x.Waits)), "/clock", c.P.T("banner.clock.link"))
	} else if k.Suspended != "" {
		add("warn", "clock", c.P.T(k.Suspended), "", "")
	}
	if k.Condemned > 0 {
		add("bad", "bad", c.P.T("banner.condemned", k.Condemned), "/log?group=deletion", c.P.T("keeping.see_log"))
	}
	if k.KeysUnerased > 0 {
		add("bad", "bad", c.P.T("keeping.keys_stuck", k.KeysUnerased), "/log?group=deletion", c.P.T("keeping.see_log"))
	}
	if len(k.Skipped) > 0 {
		add("bad", "bad", c.P.T("keeping.skipped", c.CameraNames(k.Skipped)), "", "")
	}
	if len(k.Stopped) > 0 {
		add("bad", "disk", c.P.T("keeping.stopped", c.CameraNames(k.Stopped)), "", "")
	}
	if len(k.Thinned) > 0 {
		add("warn", "disk", c.P.T("keeping.thinned", c.CameraNames(k.Thinned)), "", "")
	}
	if k.Total == 0 {
		add("bad", "disk", c.P.T("keeping.unknown"), "", "")
	} else if !k.Forecast.Fits {
		add("bad", "disk", c.P.T("keeping.short", fmt.Sprintf("%.1f", k.Forecast.FullAt)), "", "")
	}
	return out
}

// retentionState is the line above: the present, before the arithmetic.
func (c *call) retentionState(k frame.RetentionStatus) []frame.StateCell {
	sweep := frame.StateCell{Icon: "cut", Name: c.P.T("today.deletion"), Tone: "ok", Mark: "ok", Word: c.P.T("today.deletion.ontime"), Value: c.P.T("keeping.none_due"), Text: c.P.T("today.deletion.rule")}
	if !k.NextDue.IsZero() {
		sweep.Value = c.P.When(k.NextDue, c.Now.Wall)
	}
	switch {
	case k.KeysStuck():
		sweep.Tone, sweep.Mark, sweep.Word = "bad", "bad", c.P.T("today.deletion.failed")
	case k.Suspended != "" || c.Now.State != clock.Trusted:
		sweep.Tone, sweep.Mark, sweep.Word = "warn", "clock", c.P.T("today.deletion.paused")
	}
	if !k.Swept.IsZero() {
		sweep.Text = c.P.T("today.swept", c.P.When(k.Swept, c.Now.Wall))
	}
	disk := frame.StateCell{Icon: "disk", Name: c.P.T("today.storage"), Tone: "ok", Mark: "ok", Word: c.P.T("keeping.fits.word"), Value: c.P.Bytes(k.Forecast.Need), Unit: c.P.T("keeping.of", c.P.Bytes(k.Capacity)), Text: c.P.T("keeping.used", c.P.Bytes(k.Used))}
	switch {
	case k.Total == 0:
		disk.Tone, disk.Mark, disk.Word, disk.Value, disk.Unit = "bad", "bad", c.P.T("keeping.unknown.word"), "–", ""
	case !k.Forecast.Fits:
		disk.Tone, disk.Mark, disk.Word = "bad", "bad", c.P.T("keeping.short.word")
		disk.Text = c.P.T("keeping.short", fmt.Sprintf("%.1f", k.Forecast.FullAt))
	}
	holds := len(c.o.d.Usage.Holds())
	held := frame.StateCell{Icon: "lock", Name: c.P.T("nav.holds"), Tone: "mute", Mark: "lock", Word: c.P.T("keeping.holds.some"), Value: c.P.T("keeping.holds.n", holds), Text: c.P.T("keeping.held", c.P.Bytes(k.Held))}
	if holds == 0 {
		held.Word = c.P.T("keeping.holds.none")
	}
	time := frame.StateCell{Icon: "clock", Name: c.P.T("today.clock"), Tone: "ok", Mark: "ok", Word: c.P.T("clock.state.trusted"), Value: frame.Uncertain(c.P, c.Now.Uncertainty), Text: c.P.T("clock.deletion.runs")}
	if c.Now.State != clock.Trusted {
		time.Tone, time.Mark, time.Word, time.Value = "warn", "clock", c.P.T("clock.state."+c.Now.State.String()), c.P.T("today.clock.waits")
		time.Text = c.P.T("clock.deletion.waits")
	}
	worth := frame.StateCell{Icon: "seal", Name: c.P.T("keeping.assurance"), Tone: "ok", Mark: "ok", Word: c.P.T("keeping.root." + rootPlace(k)), Value: c.P.K("keeping.assurance.", assuranceOf(k)), Text: c.P.K("keeping.assurance.text.", assuranceOf(k))}
	if assuranceOf(k) != "erased" {
		worth.Tone, worth.Mark = "mute", "info"
	}
	return []frame.StateCell{sweep, disk, held, time, worth}
}

func assuranceOf(k frame.RetentionStatus) string {
	if k.Assurance == "" {
		return "best_effort"
	}
	return k.Assurance
}

func rootPlace(k frame.RetentionStatus) string {
	if k.RootPlace == "tpm" {
		return "tpm"
	}
	return "file"
}

// retentionRow is one camera's policy and where its footage begins.
func (o *Pages) retentionRow(c *call, k frame.RetentionStatus, cam footage.Camera) (retentionRow, error) {
	row := retentionRow{C: cam, Own: cam.Custody != footage.CustodyNVR, Tone: "ok", Icon: "ok", Word: c.P.T("keeping.normal")}
	switch {
	case cam.Retired:
		row.Tone, row.Icon, row.Word = "mute", "camoff", c.P.T("cam.retired")
	case slices.Contains(k.Stopped, cam.ID):
		row.Tone, row.Icon, row.Word = "bad", "disk", c.P.T("keeping.stopped.word")
	case slices.Contains(k.Thinned, cam.ID):
		row.Tone, row.Icon, row.Word = "warn", "disk", c.P.T("keeping.thinned.word")
	case c.WrongRetention(footage.FaultFloor)[cam.ID]:
		row.Tone, row.Icon, row.Word = "bad", "bad", c.P.T("keeping.early")
	case c.WrongRetention(footage.FaultCeiling)[cam.ID]:
		row.Tone, row.Icon, row.Word = "bad", "bad", c.P.T("keeping.late")
	case !row.Own:
		row.Tone, row.Icon, row.Word = "mute", "eye", c.P.T("keeping.attested")
	}
	oldest, err := o.oldest(c, cam)
	if err != nil {
		return row, err
	}
	row.Oldest, row.Next = "–", "–"
	if !oldest.IsZero() {
		row.Oldest = c.P.DayTime(oldest)
		if next := oldest.Add(time.Minute + cam.Policy.Keep()); row.Own && next.After(c.Now.Wall) {
			row.Next = c.P.When(next, c.Now.Wall)
		} else if row.Own {
			row.Next = c.P.T("keeping.due_now")
		}
	}
	row.Watermark = "–"
	if at := k.Watermark[cam.ID]; !at.IsZero() {
		row.Watermark = c.P.DayTime(at)
	}
	return row, nil
}

// oldest is where the footage of a camera begins that no hold alone keeps, as far as the kept time goes.
func (o *Pages) oldest(c *call, cam footage.Camera) (time.Time, error) {
	keep := footage.Policy{Days: max(cam.Policy.Days, footage.MinDays)}.Keep()
	for at := c.Now.Wall.Add(-keep - time.Hour); at.Before(c.Now.Wall); at = at.Add(timeline.Block) {
		runs, err := o.Coverage.Runs(c.R.Context(), cam.ID, footage.Span{From: at, To: at.Add(timeline.Block)}, c.Now.Wall, c.Now.Mono)
		if err != nil {
			return time.Time{}, err
		}
		if len(runs) > 0 {
			return runs[0].From, nil
		}
	}
	return time.Time{}, nil
}

// mayPrint says whether this person hands out certificates and reports.
func (c *call) mayPrint() bool { return c.Can(account.ActFootageRetentionPrint, account.Subject{}) }
