package log

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/web/entrytext"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
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
	{"change", []ledger.Kind{"config.change", "camera.registered", "camera.changed", "camera.tested", "camera.exported", "person.created", "person.changed", "person.duty", "person.erased", "student.created", "student.changed", "class.changed", "import", "register.exported", "year.turn"}},
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
	Chips     []frame.Chip
	Rows      []entrytext.LogRow
	Pager     ui.Pager
	CanExport bool
	Query     string // of the form, for export
	Nothing   bool
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

// entryNumber reads the number of an entry as people write it: 4133, 4,133, 日志第4133条, 第4133条, #4133.
func entryNumber(text string) (uint64, bool) {
	text = strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(text, "日志"), "条"), "第")
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
	if c.Can(account.ActClassView, account.Subject{}) { // pupils only for those whose duty it is
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
		if strings.Contains(strings.ToLower(c.P.K("kind.", k)), text) {
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

func (o *Pages) logPage(c *call) error {
	f := c.R.URL.Query()
	v := logView{Size: o.d.Ledger.Size(), Form: ui.Form{Name: "log", P: c.P, Values: f}, Key: o.d.Ledger.VerifierKey(),
		CanExport: c.Can(account.ActLogExport, account.Subject{})}
	o.trust(c, &v)
	v.Cameras = append(v.Cameras, ui.Option{Text: c.P.T("log.all_cameras")})
	for _, cam := range o.d.Site.Cameras() {
		v.Cameras = append(v.Cameras, ui.Option{Value: cam.ID, Text: cam.Name})
	}
	q, err := c.logQuery(f)
	if errs, ok := err.(fielderr.Errors); ok {
		v.Form.Errors = errs
		return c.PageStatus(422, "log", c.P.T("log.title"), v)
	}
	page, err := o.d.Ledger.Search(c.R.Context(), q)
	if err != nil {
		return fmt.Errorf("search the log: %w", err)
	}
	for _, e := range page.Entries {
		v.Rows = append(v.Rows, c.o.LogRow(c.Call, e))
	}
	if err := o.logSearched(c, f, len(page.Entries)); err != nil {
		return err
	}
	o.chips(c, &v, q)
	v.Nothing = len(v.Rows) == 0
	link := func(before uint64) string {
		x := frame.CloneValues(f)
		x.Set("before", strconv.FormatUint(before, 10))
		return "/log?" + x.Encode()
	}
	v.Pager.Text = c.P.T("log.shown", len(v.Rows))
	if page.Next > 0 && q.Limit > 1 {
		v.Pager.Older = link(page.Next)
	}
	if q.Before > 0 {
		x := frame.CloneValues(f)
		x.Del("before")
		v.Pager.Newer = "/log?" + x.Encode()
	}
	x := frame.CloneValues(f)
	x.Del("before")
	v.Query = x.Encode()
	return c.Page("log", c.P.T("log.title"), v)
}

// logSearched enters the search itself (F13). Turning pages is the same search; the plain list is none.
func (o *Pages) logSearched(c *call, f url.Values, found int) error {
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
	d := c.Who().Draft("log.search", c.Decision.Role, c.Actor.ID, struct {
		Count int `json:"count"`
	}{found}, ledger.Part{Name: "query", Owner: "person:" + c.Actor.ID, Plain: []byte(text.Encode())})
	if _, err := o.d.Ledger.Commit(c.R.Context(), ledgerdb.Change{Entries: []ledger.Draft{d}}); err != nil {
		c.Unlogged = true
		return fmt.Errorf("enter a search of the log: %w", err)
	}
	return nil
}

func (o *Pages) trust(c *call, v *logView) {
	seen, at := o.d.Ledger.Witnessed()
	v.Witnessed, v.Waiting = seen, v.Size-min(seen, v.Size)
	if seen > 0 {
		v.WitnessedAt = c.P.When(at, c.Now.Wall)
		v.WitnessX = ui.Pct(float64(seen) / float64(max(1, v.Size)))
	}
	if b, err := o.d.Ledger.Checkpoint(v.Size); err == nil {
		v.Checkpoint = strings.Split(strings.TrimSpace(string(b)), "\n")
	}
}

func (o *Pages) chips(c *call, v *logView, q ledgerdb.Query) {
	f := v.Form.Values
	with := func(group string) string {
		x := frame.CloneValues(f)
		x.Del("before")
		x.Del("group")
		if group != "" {
			x.Set("group", group)
		}
		return "/log?" + x.Encode()
	}
	v.Chips = append(v.Chips, frame.Chip{Text: c.P.T("log.group.people"), Href: with(""), On: f.Get("group") == ""})
	for _, g := range logGroups {
		v.Chips = append(v.Chips, frame.Chip{Text: c.P.T("log.group." + g.name), Href: with(g.name), On: f.Get("group") == g.name})
	}
	v.Chips = append(v.Chips, frame.Chip{Text: c.P.T("app.all"), Href: with("all"), On: f.Get("group") == "all"})
}
