package web

import (
	"fmt"
	"slices"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/ui"
)

// retentionView answers: does the disk hold what must be kept, what goes next, and what is in the way.
type retentionView struct {
	State   []stateCell
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

func (o *Server) retentionPage(c *call) error {
	k := o.d.Status.Retention()
	v := retentionView{Sum: c.capacitySum(k), CanList: true, Notes: c.retentionNotes(k)}
	if k.WhenFull != "" {
		v.Full = c.p.K("keeping.full.", k.WhenFull)
	}
	v.State = c.retentionState(k)
	for _, cam := range o.d.Site.Cameras() {
		row, err := o.retentionRow(c, k, cam)
		if err != nil {
			return err
		}
		v.Cameras = append(v.Cameras, row)
	}
	return c.page("keeping", c.p.T("keeping.title"), v)
}

// capacitySum does the multiplication in front of the reader. Need and verdict are those of footage.Predict.
func (c *call) capacitySum(k RetentionStatus) capacitySum {
	s := capacitySum{Known: k.Total > 0, Held: c.p.Bytes(k.Held), Need: c.p.Bytes(k.Forecast.Need), PerDay: c.p.Bytes(k.Forecast.PerDay), Capacity: c.p.Bytes(k.Capacity),
		Total: c.p.Bytes(int64(k.Total)), Reserve: c.p.Bytes(k.Reserve), Other: c.p.Bytes(k.Other), Used: c.p.Bytes(k.Used), Fits: k.Forecast.Fits}
	var all int64
	for _, l := range k.Loads {
		product := l.BytesPerDay * int64(l.Days+1)
		all += product
		stream := c.p.T("keeping.stream.main")
		if l.Thin {
			stream = c.p.T("keeping.stream.sub")
		}
		s.Rows = append(s.Rows, sumRow{Camera: c.o.cameraName(l.Camera), Stream: stream, PerDay: c.p.Bytes(l.BytesPerDay), Days: l.Days + 1, Product: c.p.Bytes(product), Thin: l.Thin, Estimated: l.Estimated})
	}
	s.Cameras = c.p.Bytes(all)
	if !s.Known {
		return s
	}
	if s.Fits {
		s.Verdict, s.Left = c.p.T("keeping.fits"), c.p.T("keeping.left", c.p.Bytes(k.Capacity-k.Forecast.Need))
	} else {
		s.Verdict, s.Left = c.p.T("keeping.short", fmt.Sprintf("%.1f", k.Forecast.FullAt)), c.p.T("keeping.lacks", c.p.Bytes(k.Forecast.Need-k.Capacity))
	}
	whole := float64(max(k.Capacity, k.Forecast.Need, 1))
	s.NeedBar, s.HeldBar = ui.Pct(float64(all)/whole), ui.Pct(float64(k.Held)/whole)
	s.UsedBar, s.CapAt = ui.Pct(min(1, float64(k.Used)/whole)), ui.Pct(float64(k.Capacity)/whole)
	return s
}

// retentionNotes are what is in the way of keeping or of deleting.
func (c *call) retentionNotes(k RetentionStatus) (out []ui.Note) {
	add := func(kind, icon, text, href, link string) {
		out = append(out, ui.Note{Kind: kind, Icon: icon, Text: text, Href: href, Link: link})
	}
	if c.now.State != clock.Trusted {
		x := c.o.d.Time.Explain()
		add("warn", "clock", c.p.T("keeping.clock", c.p.K("clock.wait.", x.Waits)), "/clock", c.p.T("banner.clock.link"))
	} else if k.Suspended != "" {
		add("warn", "clock", c.p.T(k.Suspended), "", "")
	}
	if k.Condemned > 0 {
		add("bad", "bad", c.p.T("banner.condemned", k.Condemned), "/log?group=deletion", c.p.T("keeping.see_log"))
	}
	if k.KeysUnerased > 0 {
		add("bad", "bad", c.p.T("keeping.keys_stuck", k.KeysUnerased), "/log?group=deletion", c.p.T("keeping.see_log"))
	}
	if len(k.Skipped) > 0 {
		add("bad", "bad", c.p.T("keeping.skipped", c.cameraNames(k.Skipped)), "", "")
	}
	if len(k.Stopped) > 0 {
		add("bad", "disk", c.p.T("keeping.stopped", c.cameraNames(k.Stopped)), "", "")
	}
	if len(k.Thinned) > 0 {
		add("warn", "disk", c.p.T("keeping.thinned", c.cameraNames(k.Thinned)), "", "")
	}
	if k.Total == 0 {
		add("bad", "disk", c.p.T("keeping.unknown"), "", "")
	} else if !k.Forecast.Fits {
		add("bad", "disk", c.p.T("keeping.short", fmt.Sprintf("%.1f", k.Forecast.FullAt)), "", "")
	}
	return out
}

func (c *call) cameraNames(ids []string) string {
	var names []string
	for _, id := range ids {
		names = append(names, c.o.cameraName(id))
	}
	return joined(names, c.p.T("sep.list"))
}

func joined(list []string, sep string) string {
	out := ""
	for i, s := range list {
		if i > 0 {
			out += sep
		}
		out += s
	}
	return out
}

// retentionState is the line above: the present, before the arithmetic.
func (c *call) retentionState(k RetentionStatus) []stateCell {
	sweep := stateCell{Icon: "cut", Name: c.p.T("today.deletion"), Tone: "ok", Mark: "ok", Word: c.p.T("today.deletion.ontime"), Value: c.p.T("keeping.none_due"), Text: c.p.T("today.deletion.rule")}
	if !k.NextDue.IsZero() {
		sweep.Value = c.p.When(k.NextDue, c.now.Wall)
	}
	switch {
	case k.keysStuck():
		sweep.Tone, sweep.Mark, sweep.Word = "bad", "bad", c.p.T("today.deletion.failed")
	case k.Suspended != "" || c.now.State != clock.Trusted:
		sweep.Tone, sweep.Mark, sweep.Word = "warn", "clock", c.p.T("today.deletion.paused")
	}
	if !k.Swept.IsZero() {
		sweep.Text = c.p.T("today.swept", c.p.When(k.Swept, c.now.Wall))
	}
	disk := stateCell{Icon: "disk", Name: c.p.T("today.storage"), Tone: "ok", Mark: "ok", Word: c.p.T("keeping.fits.word"), Value: c.p.Bytes(k.Forecast.Need), Unit: c.p.T("keeping.of", c.p.Bytes(k.Capacity)), Text: c.p.T("keeping.used", c.p.Bytes(k.Used))}
	switch {
	case k.Total == 0:
		disk.Tone, disk.Mark, disk.Word, disk.Value, disk.Unit = "bad", "bad", c.p.T("keeping.unknown.word"), "–", ""
	case !k.Forecast.Fits:
		disk.Tone, disk.Mark, disk.Word = "bad", "bad", c.p.T("keeping.short.word")
		disk.Text = c.p.T("keeping.short", fmt.Sprintf("%.1f", k.Forecast.FullAt))
	}
	holds := len(c.o.d.Usage.Holds())
	held := stateCell{Icon: "lock", Name: c.p.T("nav.holds"), Tone: "mute", Mark: "lock", Word: c.p.T("keeping.holds.some"), Value: c.p.T("keeping.holds.n", holds), Text: c.p.T("keeping.held", c.p.Bytes(k.Held))}
	if holds == 0 {
		held.Word = c.p.T("keeping.holds.none")
	}
	time := stateCell{Icon: "clock", Name: c.p.T("today.clock"), Tone: "ok", Mark: "ok", Word: c.p.T("clock.state.trusted"), Value: uncertain(c.p, c.now.Uncertainty), Text: c.p.T("clock.deletion.runs")}
	if c.now.State != clock.Trusted {
		time.Tone, time.Mark, time.Word, time.Value = "warn", "clock", c.p.T("clock.state."+c.now.State.String()), c.p.T("today.clock.waits")
		time.Text = c.p.T("clock.deletion.waits")
	}
	worth := stateCell{Icon: "seal", Name: c.p.T("keeping.assurance"), Tone: "ok", Mark: "ok", Word: c.p.T("keeping.root." + rootPlace(k)), Value: c.p.K("keeping.assurance.", assuranceOf(k)), Text: c.p.K("keeping.assurance.text.", assuranceOf(k))}
	if assuranceOf(k) != "erased" {
		worth.Tone, worth.Mark = "mute", "info"
	}
	return []stateCell{sweep, disk, held, time, worth}
}

func assuranceOf(k RetentionStatus) string {
	if k.Assurance == "" {
		return "best_effort"
	}
	return k.Assurance
}

func rootPlace(k RetentionStatus) string {
	if k.RootPlace == "tpm" {
		return "tpm"
	}
	return "file"
}

// retentionRow is one camera's policy and where its footage begins.
func (o *Server) retentionRow(c *call, k RetentionStatus, cam footage.Camera) (retentionRow, error) {
	row := retentionRow{C: cam, Own: cam.Custody != footage.CustodyNVR, Tone: "ok", Icon: "ok", Word: c.p.T("keeping.normal")}
	switch {
	case cam.Retired:
		row.Tone, row.Icon, row.Word = "mute", "camoff", c.p.T("cam.retired")
	case slices.Contains(k.Stopped, cam.ID):
		row.Tone, row.Icon, row.Word = "bad", "disk", c.p.T("keeping.stopped.word")
	case slices.Contains(k.Thinned, cam.ID):
		row.Tone, row.Icon, row.Word = "warn", "disk", c.p.T("keeping.thinned.word")
	case c.wrongRetention(footage.FaultFloor)[cam.ID]:
		row.Tone, row.Icon, row.Word = "bad", "bad", c.p.T("keeping.early")
	case c.wrongRetention(footage.FaultCeiling)[cam.ID]:
		row.Tone, row.Icon, row.Word = "bad", "bad", c.p.T("keeping.late")
	case !row.Own:
		row.Tone, row.Icon, row.Word = "mute", "eye", c.p.T("keeping.attested")
	}
	oldest, err := o.oldest(c, cam)
	if err != nil {
		return row, err
	}
	row.Oldest, row.Next = "–", "–"
	if !oldest.IsZero() {
		row.Oldest = c.p.DayTime(oldest)
		if next := oldest.Add(time.Minute + cam.Policy.Keep()); row.Own && next.After(c.now.Wall) {
			row.Next = c.p.When(next, c.now.Wall)
		} else if row.Own {
			row.Next = c.p.T("keeping.due_now")
		}
	}
	row.Watermark = "–"
	if at := k.Watermark[cam.ID]; !at.IsZero() {
		row.Watermark = c.p.DayTime(at)
	}
	return row, nil
}

// oldest is where the footage of a camera begins that no hold alone keeps, as far as the kept time goes.
func (o *Server) oldest(c *call, cam footage.Camera) (time.Time, error) {
	keep := footage.Policy{Days: max(cam.Policy.Days, footage.MinDays)}.Keep()
	for at := c.now.Wall.Add(-keep - time.Hour); at.Before(c.now.Wall); at = at.Add(block) {
		runs, err := o.coverage.runs(c.r.Context(), cam.ID, footage.Span{From: at, To: at.Add(block)}, c.now.Wall, c.now.Mono)
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
func (c *call) mayPrint() bool { return c.can(account.ActKeepingPaper, account.Subject{}) }

// keysStuck says whether something that ought to be gone is not, or could not be looked at.
func (k RetentionStatus) keysStuck() bool {
	return k.Condemned > 0 || k.KeysUnerased > 0 || len(k.Skipped) > 0
}
