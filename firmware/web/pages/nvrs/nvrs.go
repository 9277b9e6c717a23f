package nvrs

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/nvr"
	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/nvr/nvrtime"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/web/entrytext"
	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/timeline"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// nvrsView is the list of NVRs.
type nvrsView struct {
	Rows    []nvrRow
	CanEdit bool
}

type nvrRow struct {
	N                nvr.Overview
	Tone, Icon, Word string
	Checked, Offset  string
	OffTone          string
	Found            []frame.Mark // what the last check found, worst first
}

func (o *Pages) nvrsPage(c *call) error {
	list, err := o.d.NVRs.NVRs()
	if err != nil {
		return fmt.Errorf("list the NVRs: %w", err)
	}
	v := nvrsView{CanEdit: c.Can(account.ActNVRsEdit, account.Subject{})}
	for _, n := range list {
		v.Rows = append(v.Rows, c.nvrRow(n))
	}
	slices.SortStableFunc(v.Rows, func(a, b nvrRow) int {
		return cmp.Or(frame.CompareBool(a.N.Retired, b.N.Retired), frame.CompareBool(b.Tone == "bad", a.Tone == "bad"), cmp.Compare(a.N.ID, b.N.ID))
	})
	return c.Page("nvrs", c.P.T("nvrs.title"), v)
}

func (c *call) nvrRow(n nvr.Overview) nvrRow {
	r := nvrRow{N: n, Checked: c.P.T("nvr.never"), Offset: "–"}
	s := n.State
	if !s.Checked.IsZero() {
		r.Checked = c.P.When(s.Checked, c.Now.Wall)
	}
	if s.Calibration.Known {
		r.Offset = frame.Signed(c.P, s.Calibration.Offset)
		if s.Fault == nvr.FaultClock || s.Fault == nvr.FaultZone {
			r.OffTone = "bad"
		}
	}
	r.Found = c.nvrFound(n)
	r.Tone, r.Icon, r.Word = "ok", "ok", c.P.T("nvr.fine")
	switch {
	case n.Retired:
		r.Tone, r.Icon, r.Word = "mute", "clock", c.P.T("nvr.retired")
	case s.Fault != nvr.FaultNone:
		r.Tone, r.Icon, r.Word = "bad", "bad", c.P.K("nvr.fault.", s.Fault)
	case s.Checked.IsZero():
		r.Tone, r.Icon, r.Word = "warn", "clock", c.P.T("nvr.unchecked")
	case len(r.Found) > 0:
		r.Tone, r.Icon, r.Word = r.Found[0].Tone, r.Found[0].Icon, c.P.T("nvr.attention")
	}
	return r
}

// nvrFound sums up what the last check found of all its cameras.
func (c *call) nvrFound(n nvr.Overview) (out []frame.Mark) {
	var short, over, silent, unjudged, ignored int
	for _, x := range n.Behind {
		a := x.Report.Attestation
		count(&short, a.Floor())
		count(&over, a.Ceiling())
		count(&silent, x.Seen() && a.Silent)
		count(&unjudged, x.Seen() && !a.Judged)
		count(&ignored, x.Report.Expiry.Found == "ignored")
	}
	add := func(n int, tone, key string) {
		if n > 0 {
			out = append(out, frame.Mark{Tone: tone, Icon: tone, Text: c.P.T(key, n)})
		}
	}
	add(short, "bad", "nvr.n.short")
	add(over, "bad", "nvr.n.over")
	add(silent, "bad", "nvr.n.silent")
	add(ignored, "warn", "nvr.n.ignored")
	add(unjudged, "warn", "nvr.n.unjudged")
	switch {
	case n.Retired || !n.Access.Signed.IsZero():
	case !n.Access.Previous.IsZero():
		out = append(out, frame.Mark{Tone: "bad", Icon: "bad", Text: c.P.T("nvr.reopened")})
	default:
		out = append(out, frame.Mark{Tone: "warn", Icon: "warn", Text: c.P.T("nvr.unsigned")})
	}
	return out
}

func count(n *int, yes bool) {
	if yes {
		*n++
	}
}

// nvrView is everything about one NVR.
type nvrView struct {
	N        nvr.Overview
	Row      nvrRow
	Tech     string
	CanEdit  bool
	CanLog   bool
	Work     *nvrWork
	Running  bool
	Cameras  []nvrCamera
	Unset    []string // cameras whose expiry is not what their policy says, with what it is
	Days     []string // what would be set
	Gaps     []nvrGap
	MoreGaps int
	Accesses []entrytext.LogRow
	Breaches []entrytext.LogRow
	Clock    []frame.Mark
	Fetches  []nvrFetch
	Others   []string // channels that are not in the register
	Pending  int      // fetches that are not over
	Wires    nvrWiresView
	Changes  []frame.RecordChange
	CanServe bool // take it out of service or back
}

// nvrShown is what was typed into the form of channels on an NVR's page, and why it was refused.
type nvrShown struct {
	wires url.Values
	errs  fielderr.Errors
	why   error
}

type nvrWork struct {
	Title, Text   string
	Tone, Icon    string
	Part          string // of a bar
	Running       bool
	Fault, Detail string
}

type nvrCamera struct {
	C               nvr.Behind
	Name            string
	Facts           string
	Online          frame.Mark
	Oldest, Covered string
	Age             string
	Days            int
	Expiry          string
	Set             frame.Mark
	Marks           []frame.Mark
	Gone            []frame.Bar
	Have            frame.Bar
	HasStrip        bool
	Missing         string
}

type nvrGap struct {
	Camera string
	Span   string
	Long   string
	Cause  footage.Cause
	Name   string // of the cause
}

type nvrFetch struct {
	F                nvr.FetchStatus
	Camera, Span     string
	Ground, Href     string
	Tone, Icon, Word string
	Bar, Text        string
}

// mostGaps of one NVR are on its page.
const mostGaps = 20

func (o *Pages) nvrPage(c *call) error { return o.showNVR(c, http.StatusOK, nvrShown{}) }

func (o *Pages) showNVR(c *call, status int, shown nvrShown) error {
	n, err := o.nvrOf(c)
	if err != nil {
		return err
	}
	serve := c.Can(account.ActNVRsEdit, account.Subject{})
	v := nvrView{N: n, Row: c.nvrRow(n), Tech: o.Name(n.Technician), CanEdit: serve && !n.Retired, CanServe: serve,
		CanLog: c.Can(account.ActLogSearch, account.Subject{}), Running: n.Work.Running(), Work: c.nvrWork(n.Work)}
	for _, x := range n.Behind {
		v.Cameras = append(v.Cameras, c.nvrCamera(x))
		v.gaps(c, x)
		e := x.Report.Expiry
		if cam, ok := o.d.Site.Camera(x.Camera); ok && x.Seen() && (!e.On || e.Keep != cam.Policy.Keep()) {
			v.Unset = append(v.Unset, c.P.T("nvr.expiry.change", cam.Name, c.expiry(e.On, e.Keep), cam.Policy.Days))
		}
	}
	for _, x := range n.Unregistered() {
		v.Others = append(v.Others, fmt.Sprintf("%d %s", x.ID, x.Name))
	}
	slices.SortStableFunc(v.Gaps, func(a, b nvrGap) int {
		return frame.CompareBool(a.Cause != footage.CauseBreach, b.Cause != footage.CauseBreach)
	})
	if len(v.Gaps) > mostGaps {
		v.MoreGaps, v.Gaps = len(v.Gaps)-mostGaps, v.Gaps[:mostGaps]
	}
	v.Clock = c.nvrClock(n)
	for _, f := range n.Fetches {
		v.Fetches = append(v.Fetches, c.nvrFetch(f))
		count(&v.Pending, f.Ended.IsZero())
	}
	if v.CanLog {
		if err := o.nvrLog(c, &v); err != nil {
			return err
		}
	}
	if v.Changes, err = o.nvrChanges(c, n.ID); err != nil {
		return err
	}
	v.Wires = c.nvrWires(n, shown.wires, shown.errs, shown.why)
	return c.PageStatus(status, "nvr", n.Name, v)
}

func (c *call) nvrWork(w nvr.Work) *nvrWork {
	if w.Since.IsZero() {
		return nil
	}
	out := &nvrWork{Title: c.P.K("nvr.work.", w.What), Tone: "acc", Icon: "sync", Running: w.Running()}
	switch {
	case w.Running() && w.Of > 0:
		out.Text = c.P.T("nvr.work.at", c.o.CameraName(w.Camera), w.Done+1, w.Of)
		out.Part = ui.Pct(float64(w.Done) / float64(w.Of))
	case w.Running():
		out.Text = c.P.T("nvr.work.asking")
		out.Part = "2%"
	case w.Fault != nvr.FaultNone:
		out.Tone, out.Icon, out.Text, out.Fault, out.Detail = "bad", "bad", c.P.K("nvr.fault.", w.Fault), c.P.K("nvr.fault.text.", w.Fault), w.Detail
	case c.Now.Wall.Sub(w.Ended) > time.Hour:
		return nil
	default:
		out.Tone, out.Icon, out.Text = "ok", "ok", c.P.T("nvr.work.done", c.P.When(w.Ended, c.Now.Wall))
	}
	return out
}

// expiry says how long the NVR is set to keep a camera.
func (c *call) expiry(on bool, keep time.Duration) string {
	if !on || keep == 0 {
		return c.P.T("nvr.expiry.none")
	}
	return c.P.T("nvr.days", int(keep/(24*time.Hour)))
}

func (c *call) nvrCamera(x nvr.Behind) nvrCamera {
	a, e := x.Report.Attestation, x.Report.Expiry
	out := nvrCamera{C: x, Name: c.o.CameraName(x.Camera), Oldest: "–", Covered: "–", Expiry: "–", Days: a.Days, Facts: c.streamFacts(x.Channel.Streams)}
	if online := x.Channel.Online; online != nil {
		out.Online = frame.Mark{Tone: "ok", Icon: "ok", Text: c.P.T("cam.online")}
		if !*online {
			out.Online = frame.Mark{Tone: "bad", Icon: "bad", Text: c.P.T("cam.offline")}
		}
	}
	if cam, ok := c.o.d.Site.Camera(x.Camera); ok {
		out.Days = cam.Policy.Days
	}
	if !x.Seen() {
		out.Marks = append(out.Marks, frame.Mark{Tone: "warn", Icon: "clock", Text: c.P.T("nvr.unchecked")})
		return out
	}
	out.Expiry = c.expiry(e.On, e.Keep)
	switch {
	case e.Found != "":
		out.Set = frame.Mark{Tone: map[string]string{"confirmed": "ok"}[e.Found], Icon: map[string]string{"confirmed": "ok", "ignored": "warn"}[e.Found], Text: c.P.K("nvr.expiry.", e.Found)}
		if out.Set.Tone == "" {
			out.Set.Tone = "bad"
		}
	case e.Asked > 0:
		out.Set = frame.Mark{Tone: "acc", Icon: "clock", Text: c.P.T("nvr.expiry.set")}
	}
	if !a.Oldest.IsZero() {
		out.Oldest, out.Age = c.P.DayTime(a.Oldest), c.P.T("nvr.age", fmt.Sprintf("%.1f", a.At.Sub(a.Oldest).Hours()/24))
		out.Covered = c.P.Percent(a.Recorded, a.Recorded+a.Missing)
		if a.Missing > 0 {
			out.Missing = c.P.T("ribbon.missing", c.P.Words(a.Missing))
		}
	}
	out.strip(a)
	out.Marks = c.verdict(a)
	return out
}

// strip draws the time that is kept: what is there, and what is missing.
func (x *nvrCamera) strip(a footage.Attestation) {
	if a.Days <= 0 {
		return
	}
	sc := timeline.Scale{From: a.At.Add(-time.Duration(a.Days) * 24 * time.Hour), To: a.At}
	x.HasStrip = true
	if a.Pieces > 0 {
		x.Have = sc.Bar(footage.Span{From: timeline.MaxTime(a.Oldest, sc.From), To: a.At})
	}
	for _, g := range a.Gaps {
		x.Gone = append(x.Gone, sc.Bar(g.Span).AtLeast(0.004))
	}
}

// verdict says what a listing means for the floor and the ceiling.
func (c *call) verdict(a footage.Attestation) (out []frame.Mark) {
	switch {
	case !a.Judged:
		out = append(out, frame.Mark{Tone: "warn", Icon: "clock", Text: c.P.T("nvr.unjudged")})
	case a.Floor():
		out = append(out, frame.Mark{Tone: "bad", Icon: "bad", Text: c.P.T("nvr.short", c.P.Words(a.Short.Duration()))})
	default:
		out = append(out, frame.Mark{Tone: "ok", Icon: "ok", Text: c.P.T("nvr.floor.ok")})
	}
	if a.Judged && a.Ceiling() {
		out = append(out, frame.Mark{Tone: "bad", Icon: "bad", Text: c.P.T("nvr.over", c.P.Words(a.Over.Duration()))})
	} else if a.Judged {
		out = append(out, frame.Mark{Tone: "ok", Icon: "ok", Text: c.P.T("nvr.ceiling.ok")})
	}
	if a.Silent {
		out = append(out, frame.Mark{Tone: "bad", Icon: "bad", Text: c.P.T("nvr.silent")})
	}
	if a.Locked > 0 {
		out = append(out, frame.Mark{Tone: "warn", Icon: "lock", Text: c.P.T("nvr.locked", a.Locked)})
	}
	return out
}

// streamFacts are the main stream's properties in one line.
func (c *call) streamFacts(list []driver.Stream) string {
	if len(list) == 0 {
		return ""
	}
	return c.streamText(list[0])
}

func (c *call) streamText(s driver.Stream) string {
	var parts []string
	if s.Codec != "" {
		parts = append(parts, s.Codec)
	}
	if s.W > 0 {
		parts = append(parts, fmt.Sprintf("%d×%d", s.W, s.H))
	}
	if s.MilFr > 0 {
		parts = append(parts, c.P.T("nvr.fps", strings.TrimSuffix(fmt.Sprintf("%.1f", float64(s.MilFr)/1000), ".0")))
	}
	if s.Kbps > 0 {
		parts = append(parts, c.P.T("nvr.kbps", s.Kbps))
	}
	if s.GOP > 0 {
		g := c.P.T("nvr.gop", s.GOP)
		if s.MilFr > 0 {
			g = c.P.T("nvr.gop.s", s.GOP, fmt.Sprintf("%.1f", float64(s.GOP)*1000/float64(s.MilFr)))
		}
		parts = append(parts, g)
	}
	return strings.Join(parts, " · ")
}

func (v *nvrView) gaps(c *call, x nvr.Behind) {
	for _, g := range slices.Backward(x.Report.Attestation.Gaps) {
		if g.Span.Duration() < time.Minute {
			continue
		}
		name := frame.GapName(c.P, g.Cause)
		if g.Cause == footage.CauseBreach { // an NVR says not why
			name = c.P.T("nvr.breach.floor")
		}
		v.Gaps = append(v.Gaps, nvrGap{Camera: c.o.CameraName(x.Camera), Span: c.P.Span(g.Span.From, g.Span.To), Long: c.P.Words(g.Span.Duration()), Cause: g.Cause, Name: name})
	}
}

// nvrClock explains in words what was found out about an NVR's times, and what follows from it.
func (c *call) nvrClock(n nvr.Overview) (out []frame.Mark) {
	k := n.State.Calibration
	if k.At.IsZero() {
		return []frame.Mark{{Tone: "warn", Icon: "clock", Text: c.P.T("nvr.clock.none")}}
	}
	say := func(tone, key string, args ...any) {
		out = append(out, frame.Mark{Tone: tone, Icon: toneIcon[tone], Text: c.P.T(key, args...)})
	}
	switch {
	case !k.Known && c.Now.State != clock.Trusted:
		say("warn", "nvr.clock.ours")
	case !k.Known:
		say("warn", "nvr.clock.unknown")
	case k.BadZone:
		say("bad", "nvr.clock.bad_zone", frame.Signed(c.P, k.Offset))
	case k.Offset.Abs() > time.Minute+k.Error:
		say("bad", "nvr.clock.off", frame.Signed(c.P, k.Offset), frame.Uncertain(c.P, k.Error))
	default:
		say("ok", "nvr.clock.fits", frame.Signed(c.P, k.Offset), frame.Uncertain(c.P, k.Error))
	}
	say("ok", "nvr.clock.zone", k.ZoneText, east(c.P, k.East()))
	for _, s := range []struct {
		what  string
		means nvrtime.Meaning
	}{{"list", k.Search}, {"playback", k.Play}, {"log", k.Log}} {
		if s.means == nvrtime.Unknown {
			if s.what != "log" || !n.State.NoLog {
				say("warn", "nvr.clock."+s.what+".unknown")
			}
			continue
		}
		say("ok", "nvr.clock."+s.what, c.P.K("nvr.means.", s.means))
	}
	if k.FalseZ {
		say("warn", "nvr.clock.false_z")
	}
	if k.PlayStated {
		say("ok", "nvr.clock.told")
	}
	if n.State.NoLog {
		say("warn", "nvr.clock.no_log")
	}
	return out
}

var toneIcon = map[string]string{"ok": "ok", "warn": "warn", "bad": "bad", "acc": "info", "mute": "clock"}

// east is a distance from UTC as people know zones.
func east(p ui.Printer, d time.Duration) string {
	sign := "+"
	if d < 0 {
		sign, d = "−", -d
	}
	return fmt.Sprintf("UTC%s%d:%02d", sign, int(d.Hours()), int(d.Minutes())%60)
}

func (c *call) nvrFetch(f nvr.FetchStatus) nvrFetch {
	// Which hours are fetched tells who is being looked into.
	out := nvrFetch{F: f, Camera: c.P.T("nvr.fetch.hidden"), Span: "–", Ground: c.P.T("nvr.fetch.hidden"), Bar: fmt.Sprintf("%d%%", max(1, f.Percent()))}
	if c.Can(account.ActHoldView, account.Subject{}) {
		out.Camera, out.Span = c.o.CameraName(f.Camera), c.P.Span(f.Span.From, f.Span.To)
	}
	if c.Can(account.ActApplicationList, account.Subject{}) {
		if out.Ground = frame.AppNumber(f.Ground); out.Ground != f.Ground {
			out.Href = "/applications/" + f.Ground
		} else {
			out.Ground = c.P.T("view.ground.duty")
		}
	}
	out.Tone, out.Icon, out.Word, out.Text = c.FetchWords(usage.Fetching{State: f.Status(), Percent: f.Percent(), Reason: f.Reason, Next: f.Next})
	if f.State == nvr.FetchDone {
		out.Text = c.P.T("fetch.done.text", c.P.Bytes(f.Bytes), c.P.When(f.Ended, c.Now.Wall))
	}
	return out
}

// beginAt answers a button that starts something long at an NVR: it goes on in the background, and the page tells.
func (o *Pages) beginAt(what string) handler {
	return func(c *call) error {
		id := c.R.PathValue("id")
		if err := o.d.NVRs.Begin(c.Who(), id, what); err != nil {
			return err
		}
		to := "/nvrs/" + id
		if what == nvr.WorkAccess {
			to += "/access-paths"
		}
		return c.SeeOther(to)
	}
}
