package retention

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/retention"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/qr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/packet"
)

// daysView is the list of deleted camera-days.
type daysView struct {
	Form    ui.Form
	Cameras []ui.Option
	Rows    []deletedRow
	Total   int // that match; of the list on paper
	Pager   ui.Pager
	Print   *frame.PrintedCopy // the list on paper; nil: the page
	Org     string
	Title   string // of the list on paper
	Can     bool
	Filters bool
}

type deletedRow struct {
	D          retention.DeletedDay
	Camera     string
	Date       string
	Erased     string
	Attested   bool
	Tone, Icon string
	Word       string
}

const (
	daysShown   = 30
	daysPrinted = 3000 // three months of 32 cameras; what does not fit is counted
	daysCounted = 100_000
)

// dayFilter reads the filter of the list.
func (c *call) dayFilter(f url.Values) (retention.DayFilter, error) {
	q := retention.DayFilter{Camera: f.Get("camera"), Month: f.Get("month"), Limit: daysShown}
	var errs fielderr.Errors
	if q.Camera != "" {
		if _, ok := c.o.d.Site.Camera(q.Camera); !ok {
			errs.Add("camera", "err.unknown_camera")
		}
	}
	if q.Month != "" {
		if _, err := time.Parse("2006-01", q.Month); err != nil {
			errs.Add("month", "err.month")
		}
	}
	if s := f.Get("before"); s != "" {
		if _, err := fmt.Sscan(s, &q.Before); err != nil {
			errs.Add("before", "err.number")
		}
	}
	return q, errs.Err()
}

func daysDocument(f retention.DayFilter) string {
	return "days:" + orAll(f.Camera) + ":" + orAll(f.Month)
}

func orAll(s string) string {
	if s == "" {
		return "all"
	}
	return s
}

func (o *Pages) daysPage(c *call) error {
	f := c.R.URL.Query()
	v := daysView{Form: ui.Form{Name: "days", P: c.P, Values: f}, Can: c.mayPrint(), Org: c.P.T("doc.org", o.d.Info.School), Filters: f.Get("camera") != "" || f.Get("month") != ""}
	v.Cameras = append(v.Cameras, ui.Option{Text: c.P.T("log.all_cameras")})
	for _, cam := range o.d.Site.Cameras() {
		v.Cameras = append(v.Cameras, ui.Option{Value: cam.ID, Text: cam.Name})
	}
	q, err := c.dayFilter(f)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		v.Form.Errors = errs
		return c.PageStatus(422, "days", c.P.T("days.title"), v)
	}
	if v.Print, err = o.LogCopy(c.Call, daysDocument(q)); err != nil {
		return err
	}
	if v.Print != nil {
		q.Limit = daysCounted
	}
	list, next, err := o.d.Certificates.DeletedDays(c.R.Context(), q)
	if err != nil {
		return fmt.Errorf("list deleted days: %w", err)
	}
	v.Total = len(list)
	if v.Print != nil {
		list = list[:min(len(list), daysPrinted)]
	}
	for _, d := range list {
		v.Rows = append(v.Rows, c.deletedRow(d))
	}
	link := func(before uint64) string {
		x := frame.CloneValues(f)
		x.Del("before")
		if before > 0 {
			x.Set("before", fmt.Sprint(before))
		}
		return "/keeping/days?" + x.Encode()
	}
	v.Pager.Text = c.P.T("days.shown", len(v.Rows))
	if next > 0 {
		v.Pager.Older = link(next)
	}
	if q.Before > 0 {
		v.Pager.Newer = link(0)
	}
	v.Title = c.P.T("days.title")
	if q.Camera != "" {
		v.Title += " · " + o.CameraName(q.Camera)
	}
	if q.Month != "" {
		v.Title += " · " + q.Month
	}
	if v.Print != nil {
		return c.Page("days_print", v.Title, v)
	}
	return c.Page("days", c.P.T("days.title"), v)
}

func (c *call) deletedRow(d retention.DeletedDay) deletedRow {
	r := deletedRow{D: d, Camera: c.o.CameraName(d.Camera), Date: d.Day, Erased: c.P.Stamp(d.Erased), Attested: d.Attested, Tone: "ok", Icon: "ok", Word: c.P.T("days.destroyed")}
	if s := packet.DaySpan(d.Day, c.o.d.Zone); !s.From.IsZero() {
		r.Date = c.P.FullDate(s.From) + " " + c.P.Weekday(s.From)
	}
	switch {
	case d.Attested:
		r.Tone, r.Icon, r.Word = "mute", "eye", c.P.T("keeping.attested")
	case c.storedOn(d.Camera, d.Day):
		r.Tone, r.Icon, r.Word = "hold", "lock", c.P.T("cert.outcome.held")
	}
	return r
}

// storedOn says whether a hold in force reaches into a camera's day.
func (c *call) storedOn(camera, day string) bool {
	span := packet.DaySpan(day, c.o.d.Zone)
	return slices.ContainsFunc(c.o.d.Usage.Holds(), func(h footage.Hold) bool { return h.Covers(camera, span) })
}

// printDays enters a copy of the list and leads to it on A4.
func (o *Pages) printDays(c *call) error {
	f := url.Values{"camera": {c.R.PostForm.Get("camera")}, "month": {c.R.PostForm.Get("month")}}
	q, err := c.dayFilter(f)
	if err != nil {
		return err
	}
	_, entry, err := o.LogPrintout(c.Call, daysDocument(q), frame.FormPrint, q.Camera, "")
	if err != nil {
		return err
	}
	f.Set("entry", fmt.Sprint(entry))
	return c.SeeOther("/keeping/days?" + f.Encode())
}

// certificateView is the deletion certificate of one camera-day, on A4.
type certificateView struct {
	Org        string
	Decl       packet.Declared
	D          packet.Day
	Camera     string
	Date       string
	Tone, Icon string
	Title      string
	Says       string // the finding
	Outcome    string
	Facts      []certFact
	Hours      []certHour
	Gaps       []certGap
	Holds      []frame.CertHold
	Hidden     bool // there are holds that this person may not see
	Missing    string
	CanPrint   bool
	Ready      bool   // it can be issued
	Today      string // date of the paper
	Appliance  string
	Print      *frame.PrintedCopy
	Number     uint64 // entry of the issue; 0: a preview
	Hash       string
	Witnessed  string
	QR         qr.Code
	File, Key  string
	Attested   bool
}

type certFact struct {
	Label, Value, Tone string
}

type certHour struct {
	Hour               string
	Recorded, Deleted  int
	Root               string
	RecordSeq, GoneSeq uint64
	Gone               string
	Same               bool
	Left               int
}

type certGap struct{ Span, Cause, Long string }

func certificateDocument(camera, day string) string { return "certificate:" + camera + ":" + day }

func cameraDay(c *call) (camera, day string) { return c.R.PathValue("camera"), c.R.PathValue("day") }

// aCameraDay is the subject of a certificate.
func aCameraDay(c *call) (account.Subject, error) {
	return account.Subject{Camera: c.R.PathValue("camera")}, nil
}

func (o *Pages) certificatePage(c *call) error {
	camera, day := cameraDay(c)
	decl, d, err := o.d.Certificates.Day(c.R.Context(), camera, day)
	if err != nil {
		return printFault(err)
	}
	v := c.certificate(decl, d)
	if v.Print, err = o.LogCopy(c.Call, certificateDocument(camera, day)); err != nil {
		return err
	}
	if v.Ready {
		seq, ok, err := o.d.Certificates.Issued(c.R.Context(), camera, day)
		if err != nil {
			return printFault(err)
		}
		if ok {
			if err := o.certificateProof(c, &v, seq); err != nil {
				return err
			}
		}
	}
	return c.Page("certificate", v.Title, v)
}

func (o *Pages) certificateProof(c *call, v *certificateView, seq uint64) error {
	p, err := o.d.Ledger.Proof(seq)
	if err != nil {
		return fmt.Errorf("make the proof of a certificate: %w", err)
	}
	hash := frame.LeafHash(p.Leaf)
	v.Number, v.Hash = seq, frame.FingerprintWords(hash)
	if size, at := o.d.Ledger.Witnessed(); seq < size {
		v.Witnessed = c.P.Stamp(at)[:16]
	}
	v.QR, err = qr.Draw(fmt.Sprintf("campuskeep:%s:%d:%s", o.d.Info.Appliance, seq, hash))
	return err
}

// downloadCertificate sends the certificate: as the file that campuskeep-verify reads, or printed. The issue and the
// copy are entries before anything leaves.
func (o *Pages) downloadCertificate(c *call) error {
	camera, day := cameraDay(c)
	form := c.R.PostForm.Get("form")
	if form != frame.FormPrint && form != frame.FormFile {
		return fielderr.Errors{{Field: "form", Rule: "err.choice"}}
	}
	cert, _, err := o.d.Certificates.Issue(c.R.Context(), c.Who(), c.Decision.Role, camera, day)
	if errors.Is(err, retention.ErrNotOver) {
		return fielderr.Errors{{Field: "day", Rule: "err.day_not_over"}}
	}
	if err != nil {
		return printFault(err)
	}
	_, entry, err := o.LogPrintout(c.Call, certificateDocument(camera, day), form, camera, "")
	if err != nil {
		return err
	}
	if form == frame.FormPrint {
		return c.SeeOther(fmt.Sprintf("/keeping/certificate/%s/%s?entry=%d", camera, day, entry))
	}
	c.File(o.certificateFile(camera, day), "text/plain; charset=utf-8", cert.Format())
	return nil
}

func (o *Pages) certificateFile(camera, day string) string {
	return fmt.Sprintf("campuskeep-%s-%s-%s.certificate.txt", o.d.Info.Appliance, camera, day)
}

// printFault says what was not found from what went wrong.
func printFault(err error) error {
	if errors.Is(err, retention.ErrNoDay) {
		return frame.ErrNotFound
	}
	return fmt.Errorf("read the certificates of retention: %w", err)
}

// certificate puts a day into the words of the page.
func (c *call) certificate(decl packet.Declared, d packet.Day) certificateView {
	o := c.o
	v := certificateView{Org: c.P.T("doc.org", o.d.Info.School), Decl: decl, D: d, Camera: decl.Name, Date: d.Day, Outcome: c.P.K("cert.outcome.", d.Outcome), CanPrint: c.mayPrint(),
		Title: c.P.T("cert.title"), Says: c.says(d), Today: c.P.FullDate(c.Now.Wall), Appliance: o.d.Info.Appliance,
		Ready: issuable(d), File: o.certificateFile(d.Camera, d.Day), Key: o.d.Ledger.VerifierKey(), Attested: d.Assurance == packet.AssuranceAttested, Missing: c.P.Words(d.Missing)}
	if !d.Nominal.From.IsZero() {
		v.Date = c.P.FullDate(d.Nominal.From)
	}
	if v.Attested {
		v.Title = c.P.T("cert.title.attested")
	}
	v.Tone, v.Icon = "ok", "ok"
	switch {
	case d.Outcome == packet.OutcomePartial, d.Outcome == packet.OutcomeUnbound:
		v.Tone, v.Icon = "warn", "clock"
	case !d.Clean():
		v.Tone, v.Icon = "bad", "bad"
	case d.Outcome == packet.OutcomeHeld:
		v.Tone, v.Icon = "hold", "lock"
	}
	v.Facts = c.certFacts(d)
	for _, h := range d.Hours {
		v.Hours = append(v.Hours, c.certHours(h)...)
	}
	for _, g := range d.Gaps {
		v.Gaps = append(v.Gaps, certGap{c.P.ClockSec(g.Span.From) + "–" + c.P.ClockSec(g.Span.To), frame.GapName(c.P, g.Cause), c.P.Words(g.Span.Duration())})
	}
	v.Holds, v.Hidden = c.KeptHolds(d.Holds)
	if v.Hidden {
		v.Hours = nil // hour by hour they tell what is held
	}
	return v
}

// issuable says whether a certificate of the day can be issued.
func issuable(d packet.Day) bool {
	return d.Outcome != packet.OutcomePartial && d.Outcome != packet.OutcomeUnbound
}

// says is the finding of a certificate, in the words of the page: with what the end of the key is worth, because that is
// not the same everywhere.
func (c *call) says(d packet.Day) string {
	switch d.Outcome {
	case packet.OutcomeErased, packet.OutcomeHeld:
	default:
		return c.P.K("cert.says.", d.Outcome)
	}
	due := c.P.T("cert.due.all")
	if d.Early > 0 || d.Unexcused {
		due = c.P.T("cert.due.early")
	}
	return c.P.T("cert.says."+d.Outcome, due) + c.P.K("cert.says.key.", d.Assurance)
}

func (c *call) certFacts(d packet.Day) (out []certFact) {
	add := func(label, value, tone string) { out = append(out, certFact{c.P.T(label), value, tone}) }
	if d.Assurance == "attested" {
		if !d.LastListed.At.IsZero() {
			add("cert.last_listed", c.P.Stamp(d.LastListed.At), "")
		}
		if !d.NotListed.At.IsZero() {
			add("cert.not_listed", c.P.Stamp(d.NotListed.At), "")
			add("cert.oldest_then", c.P.Stamp(d.NotListed.Oldest), "")
		}
		add("cert.assurance", c.P.T("cert.assurance.attested"), "")
		return out
	}
	if !d.Span.From.IsZero() {
		add("cert.span", c.P.Stamp(d.Span.From)+" – "+c.P.Stamp(d.Span.To), "")
	}
	add("cert.segments", c.P.T("cert.segments.n", d.Recorded, d.Deleted, d.Remaining()), "")
	if d.Deleted == 0 {
		return out
	}
	add("cert.policy", c.P.T("cert.policy.n", d.Policy), "")
	add("cert.due", c.P.Stamp(d.Due), "")
	add("cert.unlinked", c.P.Stamp(d.Unlinked), "")
	switch {
	case d.Erased.IsZero():
		add("cert.key", c.P.T("cert.key.not_yet"), "warn")
	case d.KeyLate():
		add("cert.key", c.P.Stamp(d.Erased)+" "+c.P.T("cert.key.late"), "bad")
	default:
		add("cert.key", c.P.Stamp(d.Erased), "")
	}
	switch {
	case d.Late == 0:
		add("cert.late", c.P.T("cert.late.none", int(footage.OnTime.Seconds())), "")
	case d.Unexplained > 0:
		add("cert.late", c.P.T("cert.late.open", c.P.Words(d.Late), c.P.Words(d.Unexplained)), "bad")
	default:
		add("cert.late", c.P.T("cert.late.explained", c.P.Words(d.Late), c.lateCauses(d.Causes)), "")
	}
	switch {
	case d.Unexcused:
		add("cert.early", c.P.T("cert.early.open", c.P.Words(d.Early)), "bad")
	case d.Early > 0:
		add("cert.early", c.P.T("cert.early.breach", c.P.Words(d.Early)), "bad")
	default:
		add("cert.early", c.P.T("cert.early.none"), "")
	}
	add("cert.assurance", c.P.K("cert.assurance.", d.Assurance), "")
	if d.Turned.Seq > 0 {
		add("cert.turned", c.P.T("cert.turned.n", c.P.Stamp(d.Turned.At), fmt.Sprint(d.Turned.Seq)), "")
	}
	return out
}

func (c *call) lateCauses(causes []footage.LateCause) string {
	var list []string
	for _, x := range causes {
		list = append(list, c.P.K("late.", x))
	}
	return strings.Join(list, c.P.T("sep.list"))
}

// certHours is an hour in one row, or in one for each entry when parts were bound or deleted apart.
func (c *call) certHours(h packet.DayHour) (out []certHour) {
	recorded, deleted := h.Counts()
	for i := range max(len(h.Recorded), len(h.Deleted)) {
		row := certHour{Same: h.Same()}
		if i == 0 {
			row.Hour, row.Left = c.P.Clock(h.Hour), max(0, recorded-deleted)
		}
		if i < len(h.Recorded) {
			b := h.Recorded[i]
			row.Recorded, row.Root, row.RecordSeq = b.Count, hex.EncodeToString(b.Root[:8]), b.Seq
		}
		if i < len(h.Deleted) {
			b := h.Deleted[i]
			row.Deleted, row.Gone, row.GoneSeq = b.Count, c.P.Stamp(b.At), b.Seq
			if row.Root == "" {
				row.Root = hex.EncodeToString(b.Root[:8])
			}
		}
		out = append(out, row)
	}
	return out
}
