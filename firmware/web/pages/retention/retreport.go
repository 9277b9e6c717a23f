package retention

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/timeline"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// reportView is the monthly retention report: of all cameras on one page, or of one camera in detail.
type reportView struct {
	Form    ui.Form
	Cameras []ui.Option
	Month   string // in words
	Prev    string
	Next    string
	Running bool // the month is not over
	Rows    []reportRow
	One     *reportRow
	Faults  int
	Can     bool
	Print   *frame.PrintedCopy
	Org     string
	Pager   ui.Pager
}

// reportRow is one camera's month, with what is zero or explained in words.
type reportRow struct {
	C                     footage.Camera
	R                     footage.MonthReport
	Attested              bool
	Ought, Have, Missing  string
	Percent               string
	Causes                []causeRow
	Unexplained           string // time that nobody explains; "": none
	Removed               string
	OnTime                int
	Early, Late           []timedRow
	In                    frame.Bar // the camera was in service, up to now
	Gaps                  []frame.Bar
	Bad                   []frame.Bar
	Tone, Icon, Word      string
	Faults                int
	FaultText             []string
	Watermark             string
	Policies              []string
	Holds                 []frame.CertHold
	Hidden                bool // there are holds that this person may not see
	Here                  int
	Days                  int
	EarlyOpen, LateOpen   int // of them without an explanation
	LateWorst, EarlyWorst string
}

type causeRow struct {
	Cause, Time string
	N           int
	Unknown     bool
}

type timedRow struct {
	Hour, By, Why string
	Count         int
	Seq           uint64 // of the first
	Open          bool
	from, to      time.Time
}

func reportDocument(camera, month string) string { return "report:" + orAll(camera) + ":" + month }

// reportMonth is the month asked for, by default the last full one.
func (c *call) reportMonth(f url.Values) (label string, span footage.Span, err error) {
	now := c.Now.Wall.In(c.o.d.Zone)
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, c.o.d.Zone)
	at := first.AddDate(0, -1, 0)
	if s := f.Get("month"); s != "" {
		if at, err = time.ParseInLocation("2006-01", s, c.o.d.Zone); err != nil {
			return "", span, fielderr.Errors{{Field: "month", Rule: "err.month"}}
		}
		if at.After(now) {
			return "", span, fielderr.Errors{{Field: "month", Rule: "err.month_future"}}
		}
	}
	return at.Format("2006-01"), footage.Span{From: at, To: at.AddDate(0, 1, 0)}, nil
}

func (o *Pages) reportPage(c *call) error {
	f := c.R.URL.Query()
	v, err := o.monthView(c, f, false)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		v.Form.Errors = errs
		return c.PageStatus(422, "retreport", c.P.T("retreport.title"), v)
	}
	if err != nil {
		return err
	}
	if v.Print != nil {
		return c.Page("retreport_print", c.P.T("retreport.title")+" "+v.Month, v)
	}
	return c.Page("retreport", c.P.T("retreport.title"), v)
}

// monthView makes the report; whole: of all cameras at once, for what is printed or exported.
func (o *Pages) monthView(c *call, f url.Values, whole bool) (reportView, error) {
	v := reportView{Form: ui.Form{Name: "retreport", P: c.P, Values: frame.CloneValues(f)}, Can: c.mayPrint(), Org: c.P.T("doc.org", o.d.Info.School)}
	v.Cameras = append(v.Cameras, ui.Option{Text: c.P.T("log.all_cameras")})
	for _, cam := range o.d.Site.Cameras() {
		v.Cameras = append(v.Cameras, ui.Option{Value: cam.ID, Text: cam.Name})
	}
	label, span, err := c.reportMonth(f)
	if err != nil {
		return v, err
	}
	v.Form.Values.Set("month", label)
	camera := f.Get("camera")
	if err := c.knownCamera(camera); err != nil {
		return v, err
	}
	v.Month = c.P.T("retreport.month", fmt.Sprint(span.From.Year()), fmt.Sprint(int(span.From.Month())))
	v.Running = c.Now.Wall.Before(span.To)
	link := func(at time.Time) string {
		return "/keeping/report?" + url.Values{"camera": {camera}, "month": {at.Format("2006-01")}}.Encode()
	}
	v.Prev = link(span.From.AddDate(0, -1, 0))
	if !v.Running {
		v.Next = link(span.To)
	}
	if v.Print, err = o.LogCopy(c.Call, reportDocument(camera, label)); err != nil {
		return v, err
	}
	list, err := o.reported(c, camera, label)
	if err != nil {
		return v, err
	}
	if v.Print == nil && !whole {
		list = c.reportPart(&v, f, list)
	}
	reports, err := o.months(c, list, label)
	if err != nil {
		return v, err
	}
	for i, cam := range list {
		row := c.reportRow(cam, reports[i])
		v.Faults += row.Faults
		v.Rows = append(v.Rows, row)
	}
	if camera != "" && len(v.Rows) == 1 {
		v.One = &v.Rows[0]
	}
	return v, nil
}

// knownCamera refuses the name of a camera that is not registered; empty is all of them.
func (c *call) knownCamera(camera string) error {
	if _, ok := c.o.d.Site.Camera(camera); camera != "" && !ok {
		return fielderr.Errors{{Field: "camera", Rule: "err.unknown_camera"}}
	}
	return nil
}

// reported lists the cameras that a report of a month is about: one, or all that were in service.
func (o *Pages) reported(c *call, camera, month string) (list []footage.Camera, _ error) {
	served, err := o.d.Certificates.InService(c.R.Context(), month)
	if err != nil {
		return nil, printFault(err)
	}
	for _, cam := range o.d.Site.Cameras() {
		if cam.ID == camera || camera == "" && slices.Contains(served, cam.ID) {
			list = append(list, cam)
		}
	}
	return list, nil
}

func (o *Pages) months(c *call, list []footage.Camera, month string) ([]footage.MonthReport, error) {
	var ids []string
	for _, cam := range list {
		ids = append(ids, cam.ID)
	}
	reports, err := o.d.Certificates.Months(c.R.Context(), ids, month)
	if err != nil {
		return nil, printFault(err)
	}
	return reports, nil
}

// reportsShown is how many cameras are on one page, and are summed up for it.
const reportsShown = 16

// reportPart is the page of cameras asked for.
func (c *call) reportPart(v *reportView, f url.Values, list []footage.Camera) []footage.Camera {
	n, err := strconv.Atoi(f.Get("part"))
	if err != nil || n < 0 || n*reportsShown >= len(list) {
		n = 0
	}
	link := func(part int) string {
		x := frame.CloneValues(f)
		x.Set("part", strconv.Itoa(part))
		return "/keeping/report?" + x.Encode()
	}
	if n > 0 {
		v.Pager.Newer = link(n - 1)
	}
	if (n+1)*reportsShown < len(list) {
		v.Pager.Older = link(n + 1)
	}
	v.Pager.Text = c.P.T("retreport.part", n*reportsShown+1, min(len(list), (n+1)*reportsShown), len(list))
	return list[n*reportsShown : min(len(list), (n+1)*reportsShown)]
}

// reportRow puts the sums into words. What nobody explains is counted and named, whatever else is in order.
func (c *call) reportRow(cam footage.Camera, r footage.MonthReport) reportRow {
	row := reportRow{C: cam, R: r, Attested: cam.Custody == footage.CustodyNVR, Ought: c.Hours(r.Ought), Have: c.Hours(r.Have), Missing: c.Hours(r.Missing), Percent: c.P.Percent(r.Have, r.Ought),
		Removed: c.P.T("retreport.removed", r.Removals, c.P.Bytes(r.Freed)), OnTime: r.OnTime, Faults: r.Faults(), Here: r.Here, Days: cam.Policy.Days}
	for _, x := range r.Causes {
		unknown := x.Cause == footage.CauseUnknown
		row.Causes = append(row.Causes, causeRow{frame.GapName(c.P, x.Cause), c.Hours(x.Time), x.Gaps, unknown})
		if unknown {
			row.Unexplained = c.Hours(x.Time)
		}
	}
	sc := timeline.Scale{From: r.Span.From, To: r.Span.To}
	if n := len(r.Pieces); n > 0 {
		row.In = sc.Bar(footage.Span{From: r.Pieces[0].Span.From, To: r.Pieces[n-1].Span.To})
	}
	for _, p := range r.Pieces {
		switch {
		case p.Recorded:
		case p.Cause == footage.CauseUnknown:
			row.Bad = append(row.Bad, sc.Bar(p.Span).AtLeast(0.004))
		default:
			row.Gaps = append(row.Gaps, sc.Bar(p.Span).AtLeast(0.004))
		}
	}
	c.timings(&row, r)
	for i, p := range r.Policies {
		if p.At.Before(r.Span.From) && i+1 < len(r.Policies) && !r.Policies[i+1].At.After(r.Span.From) {
			continue // an earlier policy had taken over before the month began
		}
		row.Policies = append(row.Policies, c.P.T("retreport.policy", c.P.FullDate(p.At), p.Days))
	}
	row.Holds, row.Hidden = c.KeptHolds(r.Holds)
	row.Watermark = "–"
	if !r.Watermark.IsZero() {
		row.Watermark = c.P.Stamp(r.Watermark)
	}
	row.FaultText = c.faultWords(row, r)
	row.Tone, row.Icon, row.Word = "ok", "ok", c.P.T("retreport.clean")
	switch {
	case row.Faults > 0:
		row.Tone, row.Icon, row.Word = "bad", "bad", c.P.T("retreport.open", row.Faults)
	case !r.Until.IsZero() && r.Until.Before(r.Span.To):
		row.Tone, row.Icon, row.Word = "mute", "camoff", c.P.T("cam.retired")
	case r.Missing > 0 || len(r.Early)+len(r.Late) > 0:
		row.Tone, row.Icon, row.Word = "ok", "ok", c.P.T("retreport.explained")
	}
	return row
}

func (c *call) timings(row *reportRow, r footage.MonthReport) {
	var worst time.Duration
	for _, t := range r.Early {
		why := c.P.T("retreport.no_breach")
		if t.Breach > 0 {
			why = c.P.T("retreport.breach", t.Breach-1)
		}
		if t.Faulty() {
			row.EarlyOpen++
		}
		worst = max(worst, t.Early)
		row.Early = c.timed(row.Early, t, t.Early, why)
	}
	row.EarlyWorst = c.P.Words(worst)
	worst = 0
	for _, t := range r.Late {
		why := c.lateCauses(t.Causes)
		if t.Unexplained > 0 {
			why = c.P.T("retreport.late.open", c.P.Words(t.Unexplained))
			row.LateOpen++
		}
		worst = max(worst, t.Late)
		row.Late = c.timed(row.Late, t, t.Late, why)
	}
	row.LateWorst = c.P.Words(worst)
}

// timed adds a deletion to a list; hours that follow each other and are off by the same for the same reason are one line.
func (c *call) timed(list []timedRow, t footage.Timing, by time.Duration, why string) []timedRow {
	x := timedRow{By: c.P.Words(by), Count: t.Count, Seq: t.Seq, Open: t.Faulty(), Why: why, from: t.Hour, to: t.Hour.Add(time.Hour)}
	if n := len(list); n > 0 && list[n-1].to.Equal(x.from) && list[n-1].By == x.By && list[n-1].Why == why && list[n-1].Open == x.Open {
		x.from, x.Count, x.Seq = list[n-1].from, x.Count+list[n-1].Count, list[n-1].Seq
		list = list[:n-1]
	}
	x.Hour = c.P.Span(x.from, x.to)
	return append(list, x)
}

// faultWords names what nobody explains.
func (c *call) faultWords(row reportRow, r footage.MonthReport) (out []string) {
	for _, f := range []struct {
		bad  bool
		text string
	}{
		{row.Unexplained != "", c.P.T("retreport.f.missing", row.Unexplained)},
		{r.Lost > 0, c.P.T("retreport.f.lost", r.Lost)},
		{row.EarlyOpen > 0, c.P.T("retreport.f.early", row.EarlyOpen)},
		{row.LateOpen > 0, c.P.T("retreport.f.late", row.LateOpen)},
		{r.Overdue > 0, c.P.T("retreport.f.overdue", r.Overdue)},
		{r.Dark > 0, c.P.T("retreport.f.dark", r.Dark)},
		{r.Over > 0, c.P.T("retreport.f.over", r.Over)},
		{r.Short > 0, c.P.T("retreport.f.short", r.Short)},
		{row.Attested && r.Breached() > 0, c.P.T("retreport.f.breach", c.Hours(r.Breached()))},
	} {
		if f.bad {
			out = append(out, f.text)
		}
	}
	return out
}

// downloadReport sends the report: printed or as a spreadsheet. The copy is an entry before anything leaves.
func (o *Pages) downloadReport(c *call) error {
	f := url.Values{"camera": {c.R.PostForm.Get("camera")}, "month": {c.R.PostForm.Get("month")}}
	form := c.R.PostForm.Get("form")
	if form != frame.FormPrint && form != frame.FormSheet {
		return fielderr.Errors{{Field: "form", Rule: "err.choice"}}
	}
	v, err := o.monthView(c, f, form == frame.FormSheet)
	if err != nil {
		return err
	}
	month := v.Form.Values.Get("month")
	_, entry, err := o.LogPrintout(c.Call, reportDocument(f.Get("camera"), month), form, f.Get("camera"), "")
	if err != nil {
		return err
	}
	if form == frame.FormPrint {
		f.Set("entry", fmt.Sprint(entry))
		return c.SeeOther("/keeping/report?" + f.Encode())
	}
	return c.SendTable("retention-"+month, c.P.T("retreport.title"), c.reportTable(v))
}

// reportTable is the report as a spreadsheet: one line for each camera, then what was missing, early and late.
func (c *call) reportTable(v reportView) [][]string {
	t := [][]string{{c.P.T("retreport.title"), v.Month, v.Org}, {}}
	head := []string{"camera", "camera.f.place", "camera.f.custody", "camera.f.days", "retreport.ought", "retreport.have", "retreport.missing", "retreport.unexplained", "retreport.segments",
		"retreport.here", "retreport.gone", "retreport.lost", "retreport.removals", "retreport.ontime", "retreport.early", "retreport.late", "retreport.overdue", "retreport.watermark", "retreport.verdict"}
	var row []string
	for _, h := range head {
		row = append(row, c.P.T(h))
	}
	t = append(t, row)
	for _, r := range v.Rows {
		t = append(t, []string{r.C.Name, r.C.Place, c.P.K("custody.", r.C.Custody), fmt.Sprint(r.C.Policy.Days), r.Ought, r.Have, r.Missing, orZero(r.Unexplained), fmt.Sprint(r.R.Segments),
			fmt.Sprint(r.R.Here), fmt.Sprint(r.R.Gone), fmt.Sprint(r.R.Lost), fmt.Sprint(r.R.Removals), fmt.Sprint(r.OnTime), fmt.Sprint(len(r.R.Early)), fmt.Sprint(len(r.R.Late)), fmt.Sprint(r.R.Overdue),
			r.Watermark, strings.Join(slices.Concat([]string{r.Word}, r.FaultText), c.P.T("sep.clause"))})
	}
	t = append(t, nil, []string{c.P.T("camera"), c.P.T("retreport.causes"), c.P.T("retreport.time"), c.P.T("retreport.gaps")})
	for _, r := range v.Rows {
		for _, x := range r.Causes {
			t = append(t, []string{r.C.Name, x.Cause, x.Time, fmt.Sprint(x.N)})
		}
	}
	t = append(t, nil, []string{c.P.T("camera"), c.P.T("retreport.hour"), c.P.T("retreport.by"), c.P.T("retreport.segments"), c.P.T("retreport.why"), c.P.T("log.h.seq")})
	for _, r := range v.Rows {
		for _, x := range slices.Concat(r.Early, r.Late) {
			t = append(t, []string{r.C.Name, x.Hour, x.By, fmt.Sprint(x.Count), x.Why, fmt.Sprint(x.Seq)})
		}
	}
	return t
}

func orZero(s string) string {
	if s == "" {
		return "0"
	}
	return s
}
