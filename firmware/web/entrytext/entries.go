package entrytext

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/usage"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/usage"
)

// LogRow is one entry in words.
type LogRow struct {
	E              ledger.Entry
	Who, Role      string
	Where          string
	What           string
	Object, Detail string
	Ground         string
	Tone, Icon     string
	Result         string
	Seen           bool // witnessed
	Edge           string
	Near           string // when, seen from today
	Certificate    string // address of the certificate that is about this deletion; "": none
}

// holdID is the id of a hold: it begins with the application's.
var holdID = regexp.MustCompile(`^h(\d{4}-\d{4})-`)

// LogRow says an entry in words.
func (o *Words) LogRow(c *frame.Call, e ledger.Entry) LogRow {
	seen, _ := o.d.Ledger.Witnessed()
	r := LogRow{E: e, Who: c.ActorName(e.Actor), What: c.P.K("kind.", e.Kind), Seen: e.Seq < seen, Near: o.logTime(c, e.At)}
	if e.Actor.Role != "" {
		r.Role = c.P.K("role.", e.Actor.Role)
	}
	if e.From != nil {
		r.Where = e.From.Address
	}
	var d struct {
		Camera, Application, Ground, Reason, Cause, Action, Code, Result string
		Mode, Student, Outcome, Direction, State, Notice, Class, Kind    string
		From, To, Hour                                                   time.Time
		Count, Size                                                      int64
		Entry                                                            *uint64
		Delivered                                                        []footage.Span
	}
	frame.Decode(e.Data, &d)
	switch {
	case d.Camera != "":
		r.Object = o.CameraName(d.Camera)
	case d.Application != "":
		r.Object = frame.AppNumber(d.Application)
	case strings.HasPrefix(e.Subject, "a") && frame.AppNumber(e.Subject) != e.Subject:
		r.Object = frame.AppNumber(e.Subject)
	default:
		r.Object = o.SubjectName(c, e.Subject)
	}
	switch {
	case d.Mode == usage.Live:
		r.Detail = c.P.T("live.now")
	case !d.From.IsZero() && d.From.Before(d.To):
		r.Detail = c.P.Span(d.From, d.To)
	case len(d.Delivered) > 0:
		r.Detail = c.P.Span(d.Delivered[0].From, d.Delivered[len(d.Delivered)-1].To)
	case !d.Hour.IsZero():
		r.Detail = c.P.Span(d.Hour, d.Hour.Add(time.Hour))
	case d.Outcome != "":
		r.Detail = c.P.K("att.", d.Outcome)
	case e.Kind == "reader.state":
		r.Detail = c.P.K("reader.", d.State)
	case d.State != "":
		r.Detail = c.P.K("state.", d.State)
	case d.Entry != nil:
		r.Detail = c.P.T("entry.no", *d.Entry)
	case d.Size > 0:
		r.Detail = c.P.T("entry.no", uint64(d.Size))
	case d.Count > 0:
		r.Detail = c.P.T("log.count", d.Count)
	}
	switch {
	case d.Application != "":
		r.Ground = frame.AppNumber(d.Application)
	case d.Ground != "":
		r.Ground = c.P.K("ground.", d.Ground)
	}
	r.Tone, r.Icon, r.Result = "ok", "ok", c.P.T("log.ok")
	switch e.Kind {
	case "access.refused", "login.refused", "login.locked":
		r.Tone, r.Icon, r.Edge = "bad", "bad", "bad"
		r.Result = c.P.T("log.refused", o.reason(c, e.Kind, d.Reason))
		if d.Action != "" {
			r.What = c.P.K("action.", d.Action)
		}
	case "footage.unlinkfailed", "footage.breach", "footage.stopped", "footage.damaged", "key.erasefailed", "system.fault", "clock.alarm":
		r.Tone, r.Icon, r.Edge, r.Result = "bad", "bad", "bad", c.P.T("log.fault")
		if e.Kind == "system.fault" && ui.Has("sysfault."+d.Code) {
			r.Detail = c.P.T("sysfault." + d.Code)
		}
	case "fault.opened", "fault.closed", "fault.acknowledged":
		r.Detail = c.P.K("camfault.", d.Code)
		if e.Kind == "fault.opened" {
			r.Tone, r.Icon, r.Edge, r.Result = "warn", "warn", "warn", c.P.T("log.note")
		}
	case "camera.tested":
		r.Detail = c.TestResultWord(d.Result)
	case "sync.branched":
		r.Detail = o.Vanished(c, e)
		r.Tone, r.Icon, r.Edge, r.Result = "bad", "bad", "bad", c.P.T("log.fault")
	case "log.held":
		r.Detail = c.P.T("log.held", c.P.K("kind.", d.Kind), d.Count)
		r.Tone, r.Icon, r.Edge, r.Result = "warn", "warn", "warn", c.P.T("log.note")
	case "footage.gap", "footage.thinned", "clock.step", "attendance.unknown", "application.overdue":
		r.Tone, r.Icon, r.Edge, r.Result = "warn", "warn", "warn", c.P.T("log.note")
	}
	if e.Kind == "config.change" && strings.HasPrefix(e.Subject, "nvr:") {
		r.What = o.NvrChange(c, e)
	}
	if isNVR(e.Kind) {
		o.nvrWords(c, &r, e)
	}
	if d.Cause != "" {
		r.Result = frame.GapName(c.P, footage.Cause(d.Cause))
	}
	r.Certificate = o.certificateOf(c, e)
	return r
}

// certificateOf is where the certificate of a deletion is, for those who may see it.
func (o *Words) certificateOf(c *frame.Call, e ledger.Entry) string {
	var d struct {
		Days []string
		Day  string
		Hour time.Time
		From time.Time
		Keys []string
	}
	switch e.Kind {
	case "footage.deleted", "footage.breach", "key.erased", "certificate.issued":
		if !frame.Decode(e.Data, &d) || !c.Can(account.ActFootageRetentionView, account.Subject{}) {
			return ""
		}
	default:
		return ""
	}
	day := d.Day
	switch {
	case day != "":
	case len(d.Days) > 0:
		day = d.Days[0]
	case len(d.Keys) == 1:
		_, day, _ = strings.Cut(d.Keys[0], ":")
	case !d.Hour.IsZero():
		day = d.Hour.In(o.d.Zone).Format(time.DateOnly)
	case !d.From.IsZero():
		day = d.From.In(o.d.Zone).Format(time.DateOnly)
	}
	if day == "" || e.Subject == "" {
		return ""
	}
	return "/keeping/certificate/" + url.PathEscape(e.Subject) + "/" + url.PathEscape(day)
}

// reason is why something was refused: a key of the catalogue, or a code of the log-in page.
func (o *Words) reason(c *frame.Call, k ledger.Kind, code string) string {
	if k == "access.refused" {
		return c.P.K("", code)
	}
	return c.P.K("login.reason.", code)
}

// logTime is a time in the log: to the second today, else with its day.
func (o *Words) logTime(c *frame.Call, t time.Time) string {
	if frame.SameDay(t, c.Now.Wall, o.d.Zone) {
		return c.P.ClockSec(t)
	}
	return c.P.When(t, c.Now.Wall)
}

// SubjectName is what a pseudonymous id represents, as far as this person may know.
func (o *Words) SubjectName(c *frame.Call, id string) string {
	switch {
	case id == "":
		return "–"
	case strings.HasPrefix(id, "s") && len(id) > 1 && id[1] >= '0' && id[1] <= '9':
		if c.Can(account.ActClassView, account.Subject{}) {
			return ui.Hide(o.d.People.Name(id))
		}
		return id
	}
	if key, ok := strings.CutPrefix(id, "settings:"); ok && key != "" {
		return c.P.T("nav.settings")
	}
	if strings.HasPrefix(id, "k-") {
		return c.P.T("field.shift")
	}
	if day, ok := strings.CutPrefix(id, "duty-"); ok {
		return c.P.T("nav.duty") + " " + day
	}
	if what, ok := strings.CutPrefix(id, "report:"); ok {
		return c.P.T("retreport.title") + " " + what[strings.LastIndexByte(what, ':')+1:]
	}
	if m := holdID.FindStringSubmatch(id); m != nil {
		return c.P.T("ribbon.hold", frame.AppNumber("a"+m[1]))
	}
	if _, _, ok := rules.ParseApplicationID(id); ok {
		return frame.AppNumber(id)
	}
	for _, h := range c.Holds() {
		if h.ID == id {
			return c.P.T("ribbon.hold", frame.HoldName(h))
		}
	}
	if _, ok := o.d.Site.Camera(id); ok {
		return o.CameraName(id)
	}
	if name := o.NvrName(strings.TrimPrefix(id, "nvr:")); name != strings.TrimPrefix(id, "nvr:") {
		return name
	}
	if name := o.ReaderName(id); name != id {
		return name
	}
	return o.d.People.Name(id)
}

type branchData struct {
	Fork uint64
	Had  *uint64 // nil: an entry from before it was reported
}

// BranchIsEmpty says whether the centre had nothing beyond the fork.
func BranchIsEmpty(data json.RawMessage) bool {
	var d branchData
	return frame.Decode(data, &d) && d.Had != nil && *d.Had <= d.Fork
}

// Vanished says which numbers of the log are not what the centre received under them.
func (o *Words) Vanished(c *frame.Call, e ledger.Entry) string {
	var d branchData
	frame.Decode(e.Data, &d)
	switch {
	case BranchIsEmpty(e.Data):
		return c.P.T("branch.none")
	case d.Had == nil:
		return c.P.T("branch.vanished.from", d.Fork)
	case *d.Had == d.Fork+1:
		return c.P.T("branch.vanished.one", d.Fork)
	}
	return c.P.T("branch.vanished", d.Fork, *d.Had-1)
}

// DutyFact is an entry of the log in one line.
type DutyFact struct {
	At, What, Text, Who string
	Tone, Icon          string
	Seq                 uint64
}

// The kinds of entries that a sheet is about.
var (
	DutyFaults    = []ledger.Kind{"fault.opened", "fault.acknowledged", "fault.closed", "nvr.fault", "nvr.breach", "footage.unlinkfailed", "key.erasefailed", "footage.breach", "footage.damaged", "system.fault"}
	DutyClock     = []ledger.Kind{"clock.state", "clock.step", "clock.correction", "clock.confirmed", "clock.alarm"}
	DutyDecisions = []ledger.Kind{"application.approved", "application.rejected", "application.revoked", "application.extended"}
)

// Fact is an entry as the sheet of a day of duty lists it.
func (o *Words) Fact(c *frame.Call, e ledger.Entry) DutyFact {
	r := o.LogRow(c, e)
	f := DutyFact{At: c.P.Clock(e.At), What: r.What, Who: r.Who, Tone: r.Tone, Icon: r.Icon, Seq: e.Seq}
	var d ClockData
	frame.Decode(e.Data, &d)
	switch {
	case slices.Contains(DutyClock, e.Kind):
		f.Text = d.Words(c, e.Kind)
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

// ClockData is what entries about the clock hold.
type ClockData struct {
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

// Words says an entry about the clock as a person reads it.
func (d ClockData) Words(c *frame.Call, k ledger.Kind) string {
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	switch k {
	case "clock.state":
		return c.P.T("clock.h.state", c.P.K("clock.state.", d.To), c.P.K("clock.reason.", d.Reason))
	case "clock.step":
		return c.P.T("clock.h.step", frame.Signed(c.P, ms(d.Step)))
	case "clock.correction":
		return c.P.T("clock.h.correction", c.P.Stamp(d.Before), c.P.Stamp(d.After), c.P.K("origin.", d.Reason))
	case "clock.confirmed":
		return c.P.T("clock.h.confirmed", c.P.Stamp(d.UTC))
	case "clock.alarm":
		return c.P.T("clock.h.alarm", d.Hours, c.P.K("clock.reason.", d.Reason))
	case "clock.anchor":
		return c.P.T("clock.h.anchor", c.P.Stamp(d.UTC), frame.Uncertain(c.P, ms(d.Uncertainty)))
	}
	return ""
}
