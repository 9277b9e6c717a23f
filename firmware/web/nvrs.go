package web

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/usage"
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
	N                NVR
	Tone, Icon, Word string
	Checked, Offset  string
	OffTone          string
	Found            []mark // what the last check found, worst first
}

// mark is a short statement with its tone.
type mark struct{ Tone, Icon, Text string }

func (o *Server) nvrsPage(c *call) error {
	list, err := o.d.NVRs.NVRs()
	if err != nil {
		return fmt.Errorf("list the NVRs: %w", err)
	}
	v := nvrsView{CanEdit: c.can(account.ActNVRsEdit, account.Subject{})}
	for _, n := range list {
		v.Rows = append(v.Rows, c.nvrRow(n))
	}
	slices.SortStableFunc(v.Rows, func(a, b nvrRow) int {
		return cmp.Or(compareBool(a.N.Retired, b.N.Retired), compareBool(b.Tone == "bad", a.Tone == "bad"), cmp.Compare(a.N.ID, b.N.ID))
	})
	return c.page("nvrs", c.p.T("nvrs.title"), v)
}

func (c *call) nvrRow(n NVR) nvrRow {
	r := nvrRow{N: n, Checked: c.p.T("nvr.never"), Offset: "–"}
	if !n.Checked.IsZero() {
		r.Checked = c.p.When(n.Checked, c.now.Wall)
	}
	if n.Clock.Known {
		r.Offset = signed(c.p, n.Clock.Offset)
		if n.Fault == "clock" || n.Fault == "zone" {
			r.OffTone = "bad"
		}
	}
	r.Found = c.nvrFound(n)
	r.Tone, r.Icon, r.Word = "ok", "ok", c.p.T("nvr.fine")
	switch {
	case n.Retired:
		r.Tone, r.Icon, r.Word = "mute", "clock", c.p.T("nvr.retired")
	case n.Fault != "":
		r.Tone, r.Icon, r.Word = "bad", "bad", c.p.K("nvr.fault.", n.Fault)
	case n.Checked.IsZero():
		r.Tone, r.Icon, r.Word = "warn", "clock", c.p.T("nvr.unchecked")
	case len(r.Found) > 0:
		r.Tone, r.Icon, r.Word = r.Found[0].Tone, r.Found[0].Icon, c.p.T("nvr.attention")
	}
	return r
}

// nvrFound sums up what the last check found of all its cameras.
func (c *call) nvrFound(n NVR) (out []mark) {
	var short, over, silent, unjudged, ignored int
	for _, x := range n.Cameras {
		count(&short, x.Found.Floor())
		count(&over, x.Found.Ceiling())
		count(&silent, x.Seen && x.Found.Silent)
		count(&unjudged, x.Seen && !x.Found.Judged)
		count(&ignored, x.Result == "ignored")
	}
	add := func(n int, tone, key string) {
		if n > 0 {
			out = append(out, mark{tone, tone, c.p.T(key, n)})
		}
	}
	add(short, "bad", "nvr.n.short")
	add(over, "bad", "nvr.n.over")
	add(silent, "bad", "nvr.n.silent")
	add(ignored, "warn", "nvr.n.ignored")
	add(unjudged, "warn", "nvr.n.unjudged")
	switch {
	case n.Retired || !n.PathsSigned.IsZero():
	case !n.PathsBefore.IsZero():
		out = append(out, mark{"bad", "bad", c.p.T("nvr.reopened")})
	default:
		out = append(out, mark{"warn", "warn", c.p.T("nvr.unsigned")})
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
	N        NVR
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
	Accesses []logRow
	Breaches []logRow
	Clock    []mark
	Fetches  []nvrFetch
	Pending  int // fetches that are not over
	Wires    nvrWiresView
	Changes  []cameraChange
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
	C               NVRCamera
	Name            string
	Facts           string
	Online          mark
	Oldest, Covered string
	Age             string
	Days            int
	Expiry          string
	Set             mark
	Marks           []mark
	Gone            []bar
	Have            bar
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
	F                NVRFetch
	Camera, Span     string
	Ground, Href     string
	Tone, Icon, Word string
	Bar, Text        string
}

// mostGaps of one NVR are on its page.
const mostGaps = 20

func (o *Server) nvrPage(c *call) error { return o.showNVR(c, http.StatusOK, nvrShown{}) }

func (o *Server) showNVR(c *call, status int, shown nvrShown) error {
	n, err := o.nvrOf(c)
	if err != nil {
		return err
	}
	serve := c.can(account.ActNVRsEdit, account.Subject{})
	v := nvrView{N: n, Row: c.nvrRow(n), Tech: o.name(n.Technician), CanEdit: serve && !n.Retired, CanServe: serve,
		CanLog: c.can(account.ActLogSearch, account.Subject{}), Running: n.Work.running(), Work: c.nvrWork(n.Work)}
	for _, x := range n.Cameras {
		v.Cameras = append(v.Cameras, c.nvrCamera(x))
		v.gaps(c, x)
		if cam, ok := o.d.Site.Camera(x.Camera); ok && x.Seen && (!x.KeepOn || x.Keep != cam.Policy.Keep()) {
			v.Unset = append(v.Unset, c.p.T("nvr.expiry.change", cam.Name, c.expiry(x), cam.Policy.Days))
		}
	}
	slices.SortStableFunc(v.Gaps, func(a, b nvrGap) int {
		return compareBool(a.Cause != footage.CauseBreach, b.Cause != footage.CauseBreach)
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
	return c.pageStatus(status, "nvr", n.Name, v)
}

func (c *call) nvrWork(w *NVRWork) *nvrWork {
	if w == nil {
		return nil
	}
	out := &nvrWork{Title: c.p.K("nvr.work.", w.What), Tone: "acc", Icon: "sync", Running: w.running()}
	switch {
	case w.running() && w.Of > 0:
		out.Text = c.p.T("nvr.work.at", c.o.cameraName(w.Camera), w.Done+1, w.Of)
		out.Part = ui.Pct(float64(w.Done) / float64(w.Of))
	case w.running():
		out.Text = c.p.T("nvr.work.asking")
		out.Part = "2%"
	case w.Fault != "":
		out.Tone, out.Icon, out.Text, out.Fault, out.Detail = "bad", "bad", c.p.K("nvr.fault.", w.Fault), c.p.K("nvr.fault.text.", w.Fault), w.Detail
	case c.now.Wall.Sub(w.Ended) > time.Hour:
		return nil
	default:
		out.Tone, out.Icon, out.Text = "ok", "ok", c.p.T("nvr.work.done", c.p.When(w.Ended, c.now.Wall))
	}
	return out
}

// expiry says how long the NVR is set to keep a camera.
func (c *call) expiry(x NVRCamera) string {
	switch {
	case !x.KeepOn || x.Keep == 0:
		return c.p.T("nvr.expiry.none")
	}
	return c.p.T("nvr.days", int(x.Keep/(24*time.Hour)))
}

func (c *call) nvrCamera(x NVRCamera) nvrCamera {
	out := nvrCamera{C: x, Name: c.o.cameraName(x.Camera), Oldest: "–", Covered: "–", Expiry: "–", Days: x.Found.Days, Facts: c.streamFacts(x.Streams)}
	if x.Online != nil {
		out.Online = mark{"ok", "ok", c.p.T("cam.online")}
		if !*x.Online {
			out.Online = mark{"bad", "bad", c.p.T("cam.offline")}
		}
	}
	if cam, ok := c.o.d.Site.Camera(x.Camera); ok {
		out.Days = cam.Policy.Days
	}
	if !x.Seen {
		out.Marks = append(out.Marks, mark{"warn", "clock", c.p.T("nvr.unchecked")})
		return out
	}
	a := x.Found
	out.Expiry = c.expiry(x)
	switch {
	case x.Result != "":
		out.Set = mark{map[string]string{"confirmed": "ok"}[x.Result], map[string]string{"confirmed": "ok", "ignored": "warn"}[x.Result], c.p.K("nvr.expiry.", x.Result)}
		if out.Set.Tone == "" {
			out.Set.Tone = "bad"
		}
	case x.Asked > 0:
		out.Set = mark{"acc", "clock", c.p.T("nvr.expiry.set")}
	}
	if !a.Oldest.IsZero() {
		out.Oldest, out.Age = c.p.DayTime(a.Oldest), c.p.T("nvr.age", fmt.Sprintf("%.1f", a.At.Sub(a.Oldest).Hours()/24))
		out.Covered = c.p.Percent(a.Recorded, a.Recorded+a.Missing)
		if a.Missing > 0 {
			out.Missing = c.p.T("ribbon.missing", c.p.Words(a.Missing))
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
	sc := scale{a.At.Add(-time.Duration(a.Days) * 24 * time.Hour), a.At}
	x.HasStrip = true
	if a.Pieces > 0 {
		x.Have = sc.bar(footage.Span{From: maxTime(a.Oldest, sc.from), To: a.At})
	}
	for _, g := range a.Gaps {
		x.Gone = append(x.Gone, sc.bar(g.Span).atLeast(0.004))
	}
}

// verdict says what a listing means for the floor and the ceiling.
func (c *call) verdict(a footage.Attestation) (out []mark) {
	switch {
	case !a.Judged:
		out = append(out, mark{"warn", "clock", c.p.T("nvr.unjudged")})
	case a.Floor():
		out = append(out, mark{"bad", "bad", c.p.T("nvr.short", c.p.Words(a.Short.Duration()))})
	default:
		out = append(out, mark{"ok", "ok", c.p.T("nvr.floor.ok")})
	}
	if a.Judged && a.Ceiling() {
		out = append(out, mark{"bad", "bad", c.p.T("nvr.over", c.p.Words(a.Over.Duration()))})
	} else if a.Judged {
		out = append(out, mark{"ok", "ok", c.p.T("nvr.ceiling.ok")})
	}
	if a.Silent {
		out = append(out, mark{"bad", "bad", c.p.T("nvr.silent")})
	}
	if a.Locked > 0 {
		out = append(out, mark{"warn", "lock", c.p.T("nvr.locked", a.Locked)})
	}
	return out
}

// streamFacts are the main stream's properties in one line.
func (c *call) streamFacts(list []NVRStream) string {
	if len(list) == 0 {
		return ""
	}
	return c.streamText(list[0])
}

func (c *call) streamText(s NVRStream) string {
	var parts []string
	if s.Codec != "" {
		parts = append(parts, s.Codec)
	}
	if s.W > 0 {
		parts = append(parts, fmt.Sprintf("%d×%d", s.W, s.H))
	}
	if s.MilFr > 0 {
		parts = append(parts, c.p.T("nvr.fps", strings.TrimSuffix(fmt.Sprintf("%.1f", float64(s.MilFr)/1000), ".0")))
	}
	if s.Kbps > 0 {
		parts = append(parts, c.p.T("nvr.kbps", s.Kbps))
	}
	if s.GOP > 0 {
		g := c.p.T("nvr.gop", s.GOP)
		if s.MilFr > 0 {
			g = c.p.T("nvr.gop.s", s.GOP, fmt.Sprintf("%.1f", float64(s.GOP)*1000/float64(s.MilFr)))
		}
		parts = append(parts, g)
	}
	return strings.Join(parts, " · ")
}

func (v *nvrView) gaps(c *call, x NVRCamera) {
	for _, g := range slices.Backward(x.Found.Gaps) {
		if g.Span.Duration() < time.Minute {
			continue
		}
		name := gapName(c.p, g.Cause)
		if g.Cause == footage.CauseBreach { // an NVR says not why
			name = c.p.T("nvr.breach.floor")
		}
		v.Gaps = append(v.Gaps, nvrGap{Camera: c.o.cameraName(x.Camera), Span: c.p.Span(g.Span.From, g.Span.To), Long: c.p.Words(g.Span.Duration()), Cause: g.Cause, Name: name})
	}
}

// nvrClock explains in words what was found out about an NVR's times, and what follows from it.
func (c *call) nvrClock(n NVR) (out []mark) {
	k := n.Clock
	if k.At.IsZero() {
		return []mark{{"warn", "clock", c.p.T("nvr.clock.none")}}
	}
	say := func(tone, key string, args ...any) {
		out = append(out, mark{tone, toneIcon[tone], c.p.T(key, args...)})
	}
	switch {
	case !k.Known && c.now.State != clock.Trusted:
		say("warn", "nvr.clock.ours")
	case !k.Known:
		say("warn", "nvr.clock.unknown")
	case k.BadZone:
		say("bad", "nvr.clock.bad_zone", signed(c.p, k.Offset))
	case k.Offset.Abs() > time.Minute+k.Error:
		say("bad", "nvr.clock.off", signed(c.p, k.Offset), uncertain(c.p, k.Error))
	default:
		say("ok", "nvr.clock.fits", signed(c.p, k.Offset), uncertain(c.p, k.Error))
	}
	say("ok", "nvr.clock.zone", k.Zone, east(c.p, k.East))
	for _, s := range []struct{ what, means string }{{"list", k.List}, {"playback", k.Playback}, {"log", k.Log}} {
		if s.means == "" {
			if s.what != "log" || !n.NoLog {
				say("warn", "nvr.clock."+s.what+".unknown")
			}
			continue
		}
		say("ok", "nvr.clock."+s.what, c.p.K("nvr.means.", s.means))
	}
	if k.FalseZ {
		say("warn", "nvr.clock.false_z")
	}
	if k.Told {
		say("ok", "nvr.clock.told")
	}
	if n.NoLog {
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

func (c *call) nvrFetch(f NVRFetch) nvrFetch {
	// Which hours are fetched tells who is being looked into.
	out := nvrFetch{F: f, Camera: c.p.T("nvr.fetch.hidden"), Span: "–", Ground: c.p.T("nvr.fetch.hidden"), Bar: fmt.Sprintf("%d%%", max(1, f.Percent))}
	if c.can(account.ActHoldView, account.Subject{}) {
		out.Camera, out.Span = c.o.cameraName(f.Camera), c.p.Span(f.Span.From, f.Span.To)
	}
	if c.can(account.ActApplicationList, account.Subject{}) {
		if out.Ground = appNumber(f.Ground); out.Ground != f.Ground {
			out.Href = "/applications/" + f.Ground
		} else {
			out.Ground = c.p.T("view.ground.duty")
		}
	}
	out.Tone, out.Icon, out.Word, out.Text = c.fetchWords(usage.Fetching{State: f.State, Percent: f.Percent, Reason: f.Reason, Next: f.Next})
	if f.State == "done" {
		out.Text = c.p.T("fetch.done.text", c.p.Bytes(f.Bytes), c.p.When(f.Ended, c.now.Wall))
	}
	return out
}

// fetchWords is how far a fetch is, in words.
func (c *call) fetchWords(f usage.Fetching) (tone, icon, word, text string) {
	word = c.p.K("fetch.", f.State)
	switch f.State {
	case "running":
		tone, icon, text = "acc", "sync", c.p.T("fetch.percent", f.Percent)
	case "queued":
		tone, icon, text = "mute", "clock", c.p.T("fetch.queued.text")
		if f.Ahead > 0 {
			text = c.p.T("fetch.ahead", f.Ahead)
		}
	case "waiting":
		tone, icon, text = "warn", "clock", c.p.K("fetch.reason.", f.Reason)+c.p.T("sep.clause")+c.p.T("fetch.again", c.p.When(f.Next, c.now.Wall))
	case "done":
		tone, icon, text = "ok", "ok", ""
	case "partial":
		tone, icon, text = "warn", "warn", c.p.K("fetch.reason.", f.Reason)
	default:
		tone, icon, text = "bad", "bad", c.p.K("fetch.reason.", f.Reason)
	}
	return tone, icon, word, text
}

// beginAt answers a button that starts something long at an NVR: it goes on in the background, and the page tells.
func (o *Server) beginAt(what string) handler {
	return func(c *call) error {
		id := c.r.PathValue("id")
		if err := o.d.NVRs.Begin(c.who(), id, what); errors.Is(err, ErrNoNVR) {
			return errNotFound
		} else if err != nil {
			return err
		}
		to := "/nvrs/" + id
		if what == nvrPaths {
			to += "/doors"
		}
		return c.seeOther(to)
	}
}
