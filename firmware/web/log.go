package web

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/usage"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/usage"
)

// logGroups are the kinds of entries as people ask for them; the catalogue has "log.group.<name>".
var logGroups = []struct {
	name  string
	kinds []ledger.Kind
}{
	{"footage", []ledger.Kind{"footage.access.open", "footage.access.close"}},
	{"refused", []ledger.Kind{"access.refused", "login.refused", "login.locked"}},
	{"application", []ledger.Kind{"application.submitted", "application.reviewed", "application.returned", "application.approved", "application.rejected",
		"application.withdrawn", "application.expired", "application.revoked", "application.due", "application.overdue", "application.reported", "application.dated", "application.closed",
		"hold.registered", "hold.proposed", "hold.kept", "hold.released", "hold.ended"}},
	{"login", []ledger.Kind{"login.ok", "login.step", "login.storm", "logout", "password.changed", "shift.began", "shift.offered", "shift.handed", "shift.ended"}},
	{"search", []ledger.Kind{"log.search", "log.proof", "log.export", "document.printed", "certificate.issued"}},
	{"deletion", []ledger.Kind{"footage.condemned", "footage.deleted", "footage.unlinkfailed", "footage.breach", "key.erase.intent", "key.erased", "key.erasefailed", "key.root.intent", "key.root"}},
	{"recording", []ledger.Kind{"footage.recorded", "footage.gap", "footage.thinned", "footage.stopped", "footage.damaged", "system.fault", "fault.opened", "fault.acknowledged", "fault.closed", "log.held"}},
	{"nvr", []ledger.Kind{"nvr.checked", "nvr.breach", "nvr.expiry", "nvr.access", "nvr.fault", "nvr.calibrated", "nvr.fetch", "nvr.fetched", "nvr.signed"}},
	{"gate", []ledger.Kind{"attendance.tap", "attendance.unknown", "attendance.day", "reader.state"}},
	{"change", []ledger.Kind{"config.change", "camera.registered", "camera.changed", "camera.tested", "camera.exported", "person.created", "person.changed", "person.duty", "person.erased", "student.created", "student.changed", "class.changed", "import"}},
	{"clock", []ledger.Kind{"clock.state", "clock.step", "clock.anchor", "clock.correction", "clock.confirmed", "clock.alarm", "system.start", "system.stop"}},
	{"sync", []ledger.Kind{"sync.enrolled", "sync.witnessed", "sync.branched", "sync.branchclosed", "sync.centre"}},
}

// logView is the access log: whether it can be trusted, and the search.
type logView struct {
	Size, Witnessed uint64
	WitnessedAt     string
	WitnessX        string
	Waiting         uint64
	Checkpoint      []string
	Key             string

	Form      ui.Form
	Cameras   []ui.Option
	Chips     []chip
	Rows      []logRow
	Pager     ui.Pager
	CanExport bool
	Query     string // of the form, for export
	Nothing   bool
}

// logRow is one entry in words.
type logRow struct {
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

// logQuery turns what was typed into a query. Names become ids here: the log holds no names.
func (c *call) logQuery(f url.Values) (ledgerdb.Query, error) {
	q := ledgerdb.Query{Limit: 50}
	var errs fielderr.Errors
	day := func(field string) time.Time {
		s := f.Get(field)
		if s == "" {
			return time.Time{}
		}
		t, err := time.ParseInLocation(time.DateOnly, s, c.o.d.Zone)
		if err != nil {
			errs.Add(field, "err.date")
		}
		return t
	}
	q.From, q.To = day("from"), day("to")
	if !q.To.IsZero() {
		q.To = q.To.AddDate(0, 0, 1)
	}
	if !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) {
		errs.Add("to", "err.from_after_to")
	}
	q.Kinds = groupKinds(f.Get("group"))
	if cam := f.Get("camera"); cam != "" {
		if _, ok := c.o.d.Site.Camera(cam); !ok {
			errs.Add("camera", "err.unknown_camera")
		}
		q.About = append(q.About, cam)
	}
	if s := f.Get("before"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			errs.Add("before", "err.number")
		}
		q.Before = n
	}
	if text := strings.TrimSpace(f.Get("q")); text != "" {
		if n, ok := entryNumber(text); ok {
			return ledgerdb.Query{Before: n + 1, Limit: 1}, errs.Err() // printed copies name entries by their number
		}
		c.resolve(text, &q)
	}
	return q, errs.Err()
}

// holdID is the id of a hold: it begins with the application's.
var holdID = regexp.MustCompile(`^h(\d{4}-\d{4})-`)

// entryNumber reads the number of an entry as people write it: 4133, 4,133, 第4133条, #4133.
func entryNumber(text string) (uint64, bool) {
	text = strings.TrimSuffix(strings.TrimPrefix(text, "第"), "条")
	text = strings.Map(func(r rune) rune {
		if r == ',' || r == '，' || r == ' ' || r == '#' || r == '№' {
			return -1
		}
		return r
	}, text)
	n, err := strconv.ParseUint(text, 10, 63)
	return n, err == nil && len(text) <= 12
}

// byPeople are the groups that the page begins with: what people did. Taps and recordings are thousands a day
// and are in groups of their own.
var byPeople = []string{"footage", "refused", "application", "login", "search", "change"}

// groupKinds are the kinds of a group; "all" and unknown names limit nothing.
func groupKinds(name string) (kinds []ledger.Kind) {
	for _, g := range logGroups {
		if g.name == name || name == "" && slices.Contains(byPeople, g.name) {
			kinds = append(kinds, g.kinds...)
		}
	}
	return kinds
}

// nobody represents a name that nobody has: the search then finds nothing, rather than everything.
const nobody = "nobody-of-that-name"

func (c *call) resolve(text string, q *ledgerdb.Query) {
	for _, p := range c.o.d.People.FindPeople(text, 50) {
		q.Actors = append(q.Actors, p.ID)
	}
	if len(q.Actors) > 0 {
		return
	}
	var about []string
	for _, cam := range c.o.d.Site.Cameras() {
		if strings.Contains(cam.Name, text) || strings.Contains(cam.Place, text) || cam.ID == text {
			about = append(about, cam.ID)
		}
	}
	for _, a := range c.o.d.Usage.List() {
		if strings.Contains(a.Number(), text) || strings.Contains(a.NoticeNumber(), text) || a.ID == text {
			about = append(about, a.ID)
		}
	}
	if c.can(account.ActClassView, account.Subject{}) { // pupils only for those whose duty it is
		for _, s := range c.o.d.People.FindStudents(text, 50) {
			about = append(about, s.ID)
		}
	}
	if _, err := netip.ParseAddr(text); err == nil || len(about) == 0 && isCode(text) {
		about = append(about, text)
	}
	if kinds := c.kindsOf(text); len(about) == 0 && len(kinds) > 0 {
		q.Kinds = kinds
		return
	}
	if len(about) == 0 {
		about = []string{nobody}
	}
	q.About = append(q.About, about...)
}

// kindsOf are the kinds of entries whose name holds the text: people search for what was done.
func (c *call) kindsOf(text string) (out []ledger.Kind) {
	text = strings.ToLower(text)
	for k := range ledger.Kinds {
		if strings.Contains(strings.ToLower(c.p.K("kind.", k)), text) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

func isCode(s string) bool {
	return s != "" && len(s) <= 64 && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("._:-", r))
	}) < 0
}

func (o *Server) logPage(c *call) error {
	f := c.r.URL.Query()
	v := logView{Size: o.d.Ledger.Size(), Form: ui.Form{Name: "log", P: c.p, Values: f}, Key: o.d.Ledger.VerifierKey(),
		CanExport: c.can(account.ActLogExport, account.Subject{})}
	o.trust(c, &v)
	v.Cameras = append(v.Cameras, ui.Option{Text: c.p.T("log.all_cameras")})
	for _, cam := range o.d.Site.Cameras() {
		v.Cameras = append(v.Cameras, ui.Option{Value: cam.ID, Text: cam.Name})
	}
	q, err := c.logQuery(f)
	if errs, ok := err.(fielderr.Errors); ok {
		v.Form.Errors = errs
		return c.pageStatus(422, "log", c.p.T("log.title"), v)
	}
	page, err := o.d.Ledger.Search(c.r.Context(), q)
	if err != nil {
		return fmt.Errorf("search the log: %w", err)
	}
	for _, e := range page.Entries {
		v.Rows = append(v.Rows, c.logRow(e))
	}
	if err := o.logSearched(c, f, len(page.Entries)); err != nil {
		return err
	}
	o.chips(c, &v, q)
	v.Nothing = len(v.Rows) == 0
	link := func(before uint64) string {
		x := cloneValues(f)
		x.Set("before", strconv.FormatUint(before, 10))
		return "/log?" + x.Encode()
	}
	v.Pager.Text = c.p.T("log.shown", len(v.Rows))
	if page.Next > 0 && q.Limit > 1 {
		v.Pager.Older = link(page.Next)
	}
	if q.Before > 0 {
		x := cloneValues(f)
		x.Del("before")
		v.Pager.Newer = "/log?" + x.Encode()
	}
	x := cloneValues(f)
	x.Del("before")
	v.Query = x.Encode()
	return c.page("log", c.p.T("log.title"), v)
}

// logSearched enters the search itself (F13). Turning pages is the same search; the plain list is none.
func (o *Server) logSearched(c *call, f url.Values, found int) error {
	text := url.Values{}
	for _, k := range []string{"q", "camera", "from", "to"} {
		if f.Get(k) != "" {
			text.Set(k, f.Get(k))
		}
	}
	if len(text) > 0 && f.Get("group") != "" { // a group alone is a view of the list, no search
		text.Set("group", f.Get("group"))
	}
	if len(text) == 0 || f.Get("before") != "" {
		return nil
	}
	d := c.who().Draft("log.search", c.decision.Role, c.actor.ID, struct {
		Count int `json:"count"`
	}{found}, ledger.Part{Name: "query", Owner: "person:" + c.actor.ID, Plain: []byte(text.Encode())})
	if _, err := o.d.Ledger.Commit(c.r.Context(), ledgerdb.Change{Entries: []ledger.Draft{d}}); err != nil {
		c.unlogged = true
		return fmt.Errorf("enter a search of the log: %w", err)
	}
	return nil
}

func (o *Server) trust(c *call, v *logView) {
	seen, at := o.d.Ledger.Witnessed()
	v.Witnessed, v.Waiting = seen, v.Size-min(seen, v.Size)
	if seen > 0 {
		v.WitnessedAt = c.p.When(at, c.now.Wall)
		v.WitnessX = ui.Pct(float64(seen) / float64(max(1, v.Size)))
	}
	if b, err := o.d.Ledger.Checkpoint(v.Size); err == nil {
		v.Checkpoint = strings.Split(strings.TrimSpace(string(b)), "\n")
	}
}

func (o *Server) chips(c *call, v *logView, q ledgerdb.Query) {
	f := v.Form.Values
	with := func(group string) string {
		x := cloneValues(f)
		x.Del("before")
		x.Del("group")
		if group != "" {
			x.Set("group", group)
		}
		return "/log?" + x.Encode()
	}
	v.Chips = append(v.Chips, chip{c.p.T("log.group.people"), with(""), f.Get("group") == ""})
	for _, g := range logGroups {
		v.Chips = append(v.Chips, chip{c.p.T("log.group." + g.name), with(g.name), f.Get("group") == g.name})
	}
	v.Chips = append(v.Chips, chip{c.p.T("app.all"), with("all"), f.Get("group") == "all"})
}

func cloneValues(v url.Values) url.Values {
	out := url.Values{}
	for k, x := range v {
		out[k] = slices.Clone(x)
	}
	return out
}

func decode(data json.RawMessage, into any) bool {
	return len(data) > 0 && json.Unmarshal(data, into) == nil
}

// logRow says an entry in words.
func (c *call) logRow(e ledger.Entry) logRow {
	seen, _ := c.o.d.Ledger.Witnessed()
	r := logRow{E: e, Who: c.actorName(e.Actor), What: c.p.K("kind.", e.Kind), Seen: e.Seq < seen, Near: c.logTime(e.At)}
	if e.Actor.Role != "" {
		r.Role = c.p.K("role.", e.Actor.Role)
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
	decode(e.Data, &d)
	switch {
	case d.Camera != "":
		r.Object = c.o.cameraName(d.Camera)
	case d.Application != "":
		r.Object = appNumber(d.Application)
	case strings.HasPrefix(e.Subject, "a") && appNumber(e.Subject) != e.Subject:
		r.Object = appNumber(e.Subject)
	default:
		r.Object = c.subjectName(e.Subject)
	}
	switch {
	case d.Mode == usage.Live:
		r.Detail = c.p.T("live.now")
	case !d.From.IsZero() && d.From.Before(d.To):
		r.Detail = c.p.Span(d.From, d.To)
	case len(d.Delivered) > 0:
		r.Detail = c.p.Span(d.Delivered[0].From, d.Delivered[len(d.Delivered)-1].To)
	case !d.Hour.IsZero():
		r.Detail = c.p.Span(d.Hour, d.Hour.Add(time.Hour))
	case d.Outcome != "":
		r.Detail = c.p.K("att.", d.Outcome)
	case e.Kind == "reader.state":
		r.Detail = c.p.K("reader.", d.State)
	case d.State != "":
		r.Detail = c.p.K("state.", d.State)
	case d.Entry != nil:
		r.Detail = c.p.T("entry.no", *d.Entry)
	case d.Size > 0:
		r.Detail = c.p.T("entry.no", uint64(d.Size))
	case d.Count > 0:
		r.Detail = c.p.T("log.count", d.Count)
	}
	switch {
	case d.Application != "":
		r.Ground = appNumber(d.Application)
	case d.Ground != "":
		r.Ground = c.p.K("ground.", d.Ground)
	}
	r.Tone, r.Icon, r.Result = "ok", "ok", c.p.T("log.ok")
	switch e.Kind {
	case "access.refused", "login.refused", "login.locked":
		r.Tone, r.Icon, r.Edge = "bad", "bad", "bad"
		r.Result = c.p.T("log.refused", c.reason(e.Kind, d.Reason))
		if d.Action != "" {
			r.What = c.p.K("action.", d.Action)
		}
	case "footage.unlinkfailed", "footage.breach", "footage.stopped", "footage.damaged", "key.erasefailed", "system.fault", "clock.alarm":
		r.Tone, r.Icon, r.Edge, r.Result = "bad", "bad", "bad", c.p.T("log.fault")
	case "fault.opened", "fault.closed", "fault.acknowledged":
		r.Detail = c.p.K("camfault.", d.Code)
		if e.Kind == "fault.opened" {
			r.Tone, r.Icon, r.Edge, r.Result = "warn", "warn", "warn", c.p.T("log.note")
		}
	case "camera.tested":
		r.Detail = c.testResultWord(d.Result)
	case "sync.branched":
		r.Detail = c.vanished(e)
		r.Tone, r.Icon, r.Edge, r.Result = "bad", "bad", "bad", c.p.T("log.fault")
	case "log.held":
		r.Detail = c.p.T("log.held", c.p.K("kind.", d.Kind), d.Count)
		r.Tone, r.Icon, r.Edge, r.Result = "warn", "warn", "warn", c.p.T("log.note")
	case "footage.gap", "footage.thinned", "clock.step", "attendance.unknown", "application.overdue":
		r.Tone, r.Icon, r.Edge, r.Result = "warn", "warn", "warn", c.p.T("log.note")
	}
	if e.Kind == "config.change" && strings.HasPrefix(e.Subject, "nvr:") {
		r.What = c.nvrChange(e)
	}
	if isNVR(e.Kind) {
		c.nvrWords(&r, e)
	}
	if d.Cause != "" {
		r.Result = gapName(c.p, footage.Cause(d.Cause))
	}
	r.Certificate = c.certificateOf(e)
	return r
}

// certificateOf is where the certificate of a deletion is, for those who may see it.
func (c *call) certificateOf(e ledger.Entry) string {
	var d struct {
		Days []string
		Day  string
		Hour time.Time
		From time.Time
		Keys []string
	}
	switch e.Kind {
	case "footage.deleted", "footage.breach", "key.erased", "certificate.issued":
		if !decode(e.Data, &d) || !c.can(account.ActKeepingView, account.Subject{}) {
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
		day = d.Hour.In(c.o.d.Zone).Format(time.DateOnly)
	case !d.From.IsZero():
		day = d.From.In(c.o.d.Zone).Format(time.DateOnly)
	}
	if day == "" || e.Subject == "" {
		return ""
	}
	return "/keeping/certificate/" + url.PathEscape(e.Subject) + "/" + url.PathEscape(day)
}

// reason is why something was refused: a key of the catalogue, or a code of the log-in page.
func (c *call) reason(k ledger.Kind, code string) string {
	if k == "access.refused" {
		return c.p.K("", code)
	}
	return c.p.K("login.reason.", code)
}

// logTime is a time in the log: to the second today, else with its day.
func (c *call) logTime(t time.Time) string {
	if sameDay(t, c.now.Wall, c.o.d.Zone) {
		return c.p.ClockSec(t)
	}
	return c.p.When(t, c.now.Wall)
}

// subjectName is what a pseudonymous id represents, as far as this person may know.
func (c *call) subjectName(id string) string {
	switch {
	case id == "":
		return "–"
	case strings.HasPrefix(id, "s") && len(id) > 1 && id[1] >= '0' && id[1] <= '9':
		if c.can(account.ActClassView, account.Subject{}) {
			return ui.Hide(c.o.d.People.Name(id))
		}
		return id
	}
	if key, ok := strings.CutPrefix(id, "settings:"); ok && key != "" {
		return c.p.T("nav.settings")
	}
	if strings.HasPrefix(id, "k-") {
		return c.p.T("field.shift")
	}
	if day, ok := strings.CutPrefix(id, "duty-"); ok {
		return c.p.T("nav.duty") + " " + day
	}
	if what, ok := strings.CutPrefix(id, "report:"); ok {
		return c.p.T("retreport.title") + " " + what[strings.LastIndexByte(what, ':')+1:]
	}
	if m := holdID.FindStringSubmatch(id); m != nil {
		return c.p.T("ribbon.hold", appNumber("a"+m[1]))
	}
	if _, _, ok := rules.ParseApplicationID(id); ok {
		return appNumber(id)
	}
	for _, h := range c.holds() {
		if h.ID == id {
			return c.p.T("ribbon.hold", holdName(h))
		}
	}
	if _, ok := c.o.d.Site.Camera(id); ok {
		return c.o.cameraName(id)
	}
	if name := c.o.nvrName(strings.TrimPrefix(id, "nvr:")); name != strings.TrimPrefix(id, "nvr:") {
		return name
	}
	if name := c.o.readerName(id); name != id {
		return name
	}
	return c.o.d.People.Name(id)
}
