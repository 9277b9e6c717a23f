package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/cloud/centredb"
	"campuskeep/cloud/console/words"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

type overviewView struct {
	Now      time.Time
	Totals   centredb.Totals
	Schools  []centredb.School
	Filter   string
	Query    string
	Counts   map[string]int
	Alarms   []centredb.Alarm
	CanOpen  bool
	CanEnrol bool
	Columns  []column
	Pager    ui.Pager
}

// column is a heading of the schools' list that sorts it.
type column struct {
	Text, Href, Sorted string // Sorted: "ascending", "descending" or empty
	Num                bool
}

// schoolOrders are what the list can be sorted by; without one the worst come first.
var schoolOrders = []struct {
	name, text string
	num        bool
	compare    func(a, b centredb.School) int
}{
	{"name", "console.school", false, func(a, b centredb.School) int { return cmp.Compare(a.Name, b.Name) }},
	{"", "console.status", false, nil},
	{"cameras", "console.cameras", true, func(a, b centredb.School) int { return cmp.Compare(a.Cameras, b.Cameras) }},
	{"kept", "console.kept", true, func(a, b centredb.School) int { return cmp.Compare(a.Kept, b.Kept) }},
	{"witnessed", "console.witnessed", true, func(a, b centredb.School) int { return cmp.Compare(a.Witnessed, b.Witnessed) }},
	{"behind", "console.behind", true, func(a, b centredb.School) int { return cmp.Compare(waiting(a), waiting(b)) }},
	{"contact", "console.contact", false, func(a, b centredb.School) int { return a.LastContact.Compare(b.LastContact) }},
	{"alarms", "console.alarms", true, func(a, b centredb.School) int { return cmp.Compare(a.OpenAlarms, b.OpenAlarms) }},
}

// waiting is how many entries of a school are not witnessed yet, as far as it has said.
func waiting(s centredb.School) uint64 {
	if s.Claimed > s.Witnessed {
		return s.Claimed - s.Witnessed
	}
	return 0
}

// arrange sorts the list and takes the page that is asked for.
func (v *overviewView) arrange(p ui.Printer, q url.Values) error {
	offset, err := number(q.Get("offset"))
	if err != nil || offset > 1_000_000 {
		return fielderr.Errors{{Field: "offset", Rule: "err.number"}}
	}
	sort, falling, known := q.Get("sort"), q.Get("order") == "down", false
	address := func(sort string, falling bool, offset int) string {
		a := url.Values{"show": {v.Filter}, "q": {v.Query}, "sort": {sort}}
		if falling {
			a.Set("order", "down")
		}
		if offset > 0 {
			a.Set("offset", strconv.Itoa(offset))
		}
		return "/?" + a.Encode()
	}
	for _, o := range schoolOrders {
		c := column{Text: p.T(o.text), Num: o.num, Href: address(o.name, o.num && o.name != "kept", 0)}
		if o.name == sort {
			known, c.Sorted = true, "ascending"
			if falling {
				c.Sorted = "descending"
			}
			if o.compare != nil {
				c.Href = address(o.name, !falling, 0)
				slices.SortStableFunc(v.Schools, func(a, b centredb.School) int {
					if falling {
						a, b = b, a
					}
					return o.compare(a, b)
				})
			}
		}
		v.Columns = append(v.Columns, c)
	}
	if !known {
		return fielderr.Errors{{Field: "sort", Rule: "err.choice"}}
	}
	found, at := len(v.Schools), min(int(offset), len(v.Schools))
	v.Schools = v.Schools[at:min(at+perPage, found)]
	v.Pager.Text = p.T("console.schools.shown", len(v.Schools), found)
	if at > 0 {
		v.Pager.Newer = address(sort, falling, max(0, at-perPage))
	}
	if at+len(v.Schools) < found {
		v.Pager.Older = address(sort, falling, at+perPage)
	}
	return nil
}

// statusGroups are the chips over the list: what must be dealt with, what to watch.
var statusGroups = map[string][]centredb.Status{
	"act":   {centredb.StatusForked, centredb.StatusDenied},
	"watch": {centredb.StatusSilent, centredb.StatusBehind, centredb.StatusAlarm},
	"fine":  {centredb.StatusHealthy, centredb.StatusNew},
}

func (k *call) overview() error {
	ctx := k.r.Context()
	all, err := k.c.d.Store.ListSchools(ctx, k.now.Wall)
	if err != nil {
		return fmt.Errorf("list schools: %w", err)
	}
	v := overviewView{Now: k.now.Wall, Filter: k.r.URL.Query().Get("show"), Query: strings.TrimSpace(k.r.URL.Query().Get("q")),
		Counts: map[string]int{"": len(all)}, CanOpen: k.can(account.ActCentreSchool), CanEnrol: k.can(account.ActCentreEnrol)}
	for _, s := range all {
		shown := v.Filter == ""
		for name, group := range statusGroups {
			if slices.Contains(group, s.Status) {
				v.Counts[name]++
				shown = shown || name == v.Filter
			}
		}
		if short(s.Kept) {
			v.Counts["short"]++
			shown = shown || v.Filter == "short"
		}
		if shown && (v.Query == "" || strings.Contains(s.Name, v.Query) || strings.Contains(s.Appliance, v.Query)) {
			v.Schools = append(v.Schools, s)
		}
	}
	if err := v.arrange(k.p, k.r.URL.Query()); err != nil {
		return err
	}
	if v.Totals, err = k.c.d.Store.Totals(ctx, k.now.Wall); err != nil {
		return fmt.Errorf("counting: %w", err)
	}
	if k.can(account.ActCentreAlarms) {
		if v.Alarms, err = k.c.d.Store.Alarms(ctx, "", true, 3); err != nil {
			return fmt.Errorf("list alarms: %w", err)
		}
	}
	return k.page("overview", k.p.T("console.overview"), v)
}

type schoolView struct {
	Now           time.Time
	School        centredb.School
	Today         centredb.AttendanceDay
	TodayIs       time.Time
	ShowToday     bool
	Applications  []centredb.Application
	Total         int
	Entries       []centredb.Entry
	Alarms        []centredb.Alarm
	Retention     centredb.Retention // of the last [retentionDays]
	RetentionDays int
	CanDeny       bool
}

// retentionDays is how far back a school's page counts recorded and deleted hours: one whole period of keeping.
const retentionDays = 31

func (k *call) school() error {
	ctx, st, id := k.r.Context(), k.c.d.Store, k.r.PathValue("id")
	s, err := st.School(ctx, id, k.now.Wall)
	if err != nil {
		return fmt.Errorf("read school: %w", err)
	}
	v := schoolView{Now: k.now.Wall, TodayIs: k.now.Wall, School: s, RetentionDays: retentionDays, CanDeny: k.can(account.ActCentreEnrol)}
	if v.ShowToday = k.can(account.ActCentreAttendance); v.ShowToday {
		if v.Today, err = st.AttendanceToday(ctx, id, k.now.Wall.In(k.c.d.Zone).Format(time.DateOnly)); err != nil {
			return fmt.Errorf("read attendance: %w", err)
		}
	}
	page, err := st.Applications(ctx, centredb.ApplicationFilter{Appliance: id}, 0, 10)
	if err != nil {
		return fmt.Errorf("list applications: %w", err)
	}
	v.Applications, v.Total = page.Items, page.Total
	if v.Entries, err = st.Entries(ctx, id, centredb.EntryFilter{}, centredb.Page{Limit: 12}); err != nil {
		return fmt.Errorf("list entries: %w", err)
	}
	if v.Alarms, err = st.Alarms(ctx, id, false, 20); err != nil {
		return fmt.Errorf("list alarms: %w", err)
	}
	if v.Retention, err = st.RetentionSince(ctx, id, k.now.Wall.AddDate(0, 0, -retentionDays)); err != nil {
		return fmt.Errorf("count what was kept: %w", err)
	}
	return k.page("school", s.Name, v)
}

type entriesView struct {
	School centredb.School
	Kind   string
	Items  []centredb.Entry
	Pager  ui.Pager
}

const perPage = 50

func (k *call) entries() error {
	ctx, id, q := k.r.Context(), k.r.PathValue("id"), k.r.URL.Query()
	s, err := k.c.d.Store.School(ctx, id, k.now.Wall)
	if err != nil {
		return fmt.Errorf("read school: %w", err)
	}
	before, err := number(q.Get("before"))
	if err != nil {
		return fielderr.Errors{{Field: "before", Rule: "err.number"}}
	}
	v := entriesView{School: s, Kind: q.Get("kind")}
	filter := centredb.EntryFilter{}
	if v.Kind != "" {
		filter.Kinds = []string{v.Kind}
	}
	if v.Items, err = k.c.d.Store.Entries(ctx, id, filter, centredb.Page{Limit: perPage, Before: before}); err != nil {
		return fmt.Errorf("list entries: %w", err)
	}
	base := "/schools/" + url.PathEscape(id) + "/log?kind=" + url.QueryEscape(v.Kind)
	if before > 0 {
		v.Pager.Newer = base
	}
	if n := len(v.Items); n == perPage && v.Items[n-1].Seq > 0 {
		v.Pager.Older = base + "&before=" + strconv.FormatUint(v.Items[n-1].Seq, 10)
	}
	return k.page("entries", k.p.T("console.log.of", s.Name), v)
}

func number(s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	return strconv.ParseUint(s, 10, 63)
}

type applicationsView struct {
	Items  []centredb.Application
	Total  int
	State  string
	Query  string
	States []centredb.ApplicationState
	Pager  ui.Pager
}

var applicationStates = []centredb.ApplicationState{centredb.AppSubmitted, centredb.AppReviewed, centredb.AppReturned, centredb.AppApproved, centredb.AppRejected,
	centredb.AppWithdrawn, centredb.AppExpired, centredb.AppRevoked, centredb.AppClosed, centredb.AppDue, centredb.AppOverdue, centredb.AppReported}

func (k *call) findApplications() (applicationsView, error) {
	q := k.r.URL.Query()
	v := applicationsView{State: q.Get("state"), Query: strings.TrimSpace(q.Get("q")), States: applicationStates}
	if v.State != "" && !slices.Contains(applicationStates, centredb.ApplicationState(v.State)) {
		return v, fielderr.Errors{{Field: "state", Rule: "err.choice"}}
	}
	offset, err := number(q.Get("offset"))
	if err != nil || offset > 1_000_000 {
		return v, fielderr.Errors{{Field: "offset", Rule: "err.number"}}
	}
	at := int(offset)
	page, err := k.c.d.Store.Applications(k.r.Context(), centredb.ApplicationFilter{State: centredb.ApplicationState(v.State), Query: v.Query}, at, perPage)
	if err != nil {
		return v, fmt.Errorf("list applications: %w", err)
	}
	v.Items, v.Total = page.Items, page.Total
	base := "/applications?state=" + url.QueryEscape(v.State) + "&q=" + url.QueryEscape(v.Query) + "&offset="
	if at > 0 {
		v.Pager.Newer = base + strconv.Itoa(max(0, at-perPage))
	}
	if at+len(v.Items) < v.Total {
		v.Pager.Older = base + strconv.Itoa(at+perPage)
	}
	v.Pager.Text = k.p.T("console.shown", len(v.Items), v.Total)
	return v, nil
}

func (k *call) applications() error {
	v, err := k.findApplications()
	if err != nil {
		return err
	}
	return k.page("applications", k.p.T("console.nav.applications"), v)
}

func (k *call) application() error {
	a, err := k.c.d.Store.Application(k.r.Context(), k.r.PathValue("id"), k.r.PathValue("app"))
	if err != nil {
		return fmt.Errorf("read application: %w", err)
	}
	return k.page("application", a.ID, a)
}

type alarmsView struct {
	Items []centredb.Alarm
	All   bool
}

func (k *call) alarms() error {
	v := alarmsView{All: k.r.URL.Query().Get("show") == "all"}
	var err error
	if v.Items, err = k.c.d.Store.Alarms(k.r.Context(), "", !v.All, 200); err != nil {
		return fmt.Errorf("list alarms: %w", err)
	}
	return k.page("alarms", k.p.T("console.nav.alarms"), v)
}

func (k *call) closeAlarm() error {
	id, err := strconv.ParseInt(k.r.PathValue("alarm"), 10, 64)
	if err != nil {
		return centredb.ErrNotFound
	}
	note := strings.TrimSpace(k.r.PostFormValue("note"))
	if n := len([]rune(note)); n < 4 || n > 500 {
		return k.done("/alarms", "done.console.alarm_note")
	}
	if err := k.note("alarm.close", strconv.FormatInt(id, 10), "ok"); err != nil {
		return err
	}
	if err := k.c.d.Store.CloseAlarm(k.r.Context(), id, k.now.Wall, k.actor.ID, note); err != nil {
		return fmt.Errorf("close alarm: %w", err)
	}
	return k.done("/alarms", "done.console.alarm_closed")
}

type enrolView struct {
	Form             ui.Form
	Token, ID        string
	Until            time.Time
	CAPrint, Address string
	Certificates     []Certificate
}

var applianceID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$`)

func (k *call) enrolPage() error {
	return k.page("enrol", k.p.T("console.nav.enrol"), enrolView{Form: ui.Form{Name: "console.enrol", P: k.p}, CAPrint: k.c.d.CAPrint, Address: k.c.d.Address, Certificates: k.c.certificates()})
}

func (k *call) enrol() error {
	v := enrolView{Form: ui.Form{Name: "console.enrol", P: k.p, Values: k.r.PostForm}, CAPrint: k.c.d.CAPrint, Address: k.c.d.Address, Certificates: k.c.certificates()}
	v.ID = strings.TrimSpace(k.r.PostFormValue("id"))
	name := strings.TrimSpace(k.r.PostFormValue("school"))
	if !applianceID.MatchString(v.ID) {
		v.Form.Errors.Add("id", "err.appliance_id")
	}
	if n := len([]rune(name)); n < 2 || n > 60 {
		v.Form.Errors.Add("school", "err.length", 2, 60)
	}
	if len(v.Form.Errors) > 0 {
		return k.pageStatus(422, "enrol", k.p.T("console.nav.enrol"), v)
	}
	var err error
	v.Token, v.Until, err = k.c.d.Enrol.Token(k.r.Context(), v.ID, name)
	if errors.Is(err, centredb.ErrExists) {
		return k.namedOtherwise(v)
	}
	if err != nil {
		return fmt.Errorf("make an enrolment token: %w", err)
	}
	if err := k.note("enrol.token", v.ID, "ok"); err != nil { // no token is shown without its line
		return err
	}
	return k.page("enrol", k.p.T("console.nav.enrol"), v)
}

// namedOtherwise answers a token that was asked for under another name than the registered one.
func (k *call) namedOtherwise(v enrolView) error {
	s, err := k.c.d.Store.School(k.r.Context(), v.ID, k.now.Wall)
	if err != nil {
		return fmt.Errorf("read school: %w", err)
	}
	v.Form.Errors.Add("school", "err.school_named", s.Name)
	return k.pageStatus(422, "enrol", k.p.T("console.nav.enrol"), v)
}

// rename gives a school another name, e.g. after a slip at its registration.
func (k *call) rename() error {
	id, name := k.r.PathValue("id"), strings.TrimSpace(k.r.PostFormValue("name"))
	path := "/schools/" + url.PathEscape(id)
	if n := len([]rune(name)); n < 2 || n > 60 {
		return k.done(path, "done.console.name")
	}
	if err := k.note("school.name", id, "ok"); err != nil {
		return err
	}
	if err := k.c.d.Store.Rename(k.r.Context(), id, name); err != nil {
		return err
	}
	return k.done(path, "done.saved")
}

func (k *call) deny() error {
	id, why := k.r.PathValue("id"), strings.TrimSpace(k.r.PostFormValue("why"))
	if n := len([]rune(why)); k.r.PostFormValue("lift") == "" && (n < 4 || n > 200) {
		return k.done("/schools/"+url.PathEscape(id), "done.console.deny_why")
	}
	if k.r.PostFormValue("lift") != "" {
		why = ""
	}
	if err := k.note("appliance.deny", id, map[bool]string{true: "lifted", false: "ok"}[why == ""]); err != nil {
		return err
	}
	if err := k.c.d.Enrol.Deny(k.r.Context(), id, why); err != nil {
		return fmt.Errorf("refuse an appliance: %w", err)
	}
	return k.done("/schools/"+url.PathEscape(id), "done.saved")
}

func (k *call) audit() error {
	items, err := k.c.d.Store.ListAudit(k.r.Context(), 200)
	if err != nil {
		return fmt.Errorf("list the centre's log: %w", err)
	}
	people, err := k.c.d.Store.ListPeople(k.r.Context())
	if err != nil {
		return fmt.Errorf("list people: %w", err)
	}
	all, err := k.c.d.Store.ListSchools(k.r.Context(), k.now.Wall)
	if err != nil {
		return fmt.Errorf("list schools: %w", err)
	}
	names, schools := map[string]string{}, map[string]string{}
	for _, p := range people {
		names[p.ID] = p.Name
	}
	for _, s := range all {
		schools[s.Appliance] = s.Name
	}
	return k.page("audit", k.p.T("console.nav.audit"), words.AuditRows(k.p, items, names, schools))
}

func (k *call) apiSchools() error {
	all, err := k.c.d.Store.ListSchools(k.r.Context(), k.now.Wall)
	if err != nil {
		return fmt.Errorf("list schools: %w", err)
	}
	return k.json(map[string]any{"schools": all})
}

func (k *call) apiSchool() error {
	id := k.r.PathValue("id")
	s, err := k.c.d.Store.School(k.r.Context(), id, k.now.Wall)
	if err != nil {
		return fmt.Errorf("read school: %w", err)
	}
	out := map[string]any{"school": s}
	if k.can(account.ActCentreAttendance) {
		if out["attendance"], err = k.c.d.Store.AttendanceToday(k.r.Context(), id, k.now.Wall.In(k.c.d.Zone).Format(time.DateOnly)); err != nil {
			return fmt.Errorf("read attendance: %w", err)
		}
	}
	return k.json(out)
}

func (k *call) apiApplications() error {
	v, err := k.findApplications()
	if err != nil {
		return err
	}
	return k.json(map[string]any{"applications": v.Items, "total": v.Total})
}

func (k *call) apiAlarms() error {
	items, err := k.c.d.Store.Alarms(k.r.Context(), "", k.r.URL.Query().Get("show") != "all", 200)
	if err != nil {
		return fmt.Errorf("list alarms: %w", err)
	}
	return k.json(map[string]any{"alarms": items})
}
