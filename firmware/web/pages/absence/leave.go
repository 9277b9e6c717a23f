package absence

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/web/frame"
	rules "campuskeep/shared/absence"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// leavesView is the list of requests for leave.
type leavesView struct {
	Query  string // what the list shows, for its export
	Chips  []frame.Chip
	Q      string
	State  string
	Rows   []leaveRow
	Pages  frame.Pages
	Ask    bool
	Passes int
}

type leaveRow struct {
	Href, Name, Class, Kind string
	Span                    string
	Days                    int
	Tone, Icon, State, By   string
}

// leaveSubject is about a request; whether it is long says who may decide it.
func leaveSubject(c *call) (account.Subject, error) {
	r, _, err := c.o.d.Absence.Leave(c.R.PathValue("student"), c.R.PathValue("id"))
	return account.Subject{Class: r.Class, Long: r.Long()}, err
}

// classOfForm is the class that a form is about: that of its pupil, or the chosen one.
func classOfForm(c *call) (account.Subject, error) {
	s, err := ownClass(c)
	if id := c.R.FormValue("student"); id != "" {
		s.Class = c.o.d.People.ClassOf(id, c.Today())
	} else if class := c.R.FormValue("class"); class != "" {
		s.Class = class
	}
	return s, err
}

func (c *call) foundLeaves(f url.Values) ([]rules.Request, error) {
	list, err := c.o.d.Absence.Leaves("")
	words := strings.Fields(strings.ToLower(f.Get("q")))
	return slices.DeleteFunc(list, func(r rules.Request) bool {
		if !c.Can(account.ActLeaveView, account.Subject{Class: r.Class}) {
			return true
		}
		switch f.Get("state") {
		case "asked":
			if r.State != rules.Asked {
				return true
			}
		case "now":
			if r.State != rules.Approved || c.Now.Wall.Before(r.From) || !c.Now.Wall.Before(r.To) {
				return true
			}
		}
		text := strings.ToLower(c.o.d.People.Name(r.Student) + " " + c.className(r.Class, c.Today()))
		return slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	}), err
}

func (o *Pages) leavesPage(c *call) error {
	f := c.R.URL.Query()
	list, err := c.foundLeaves(f)
	if err != nil {
		return err
	}
	v := leavesView{Query: f.Encode(), Q: f.Get("q"), State: f.Get("state"), Ask: c.mayAsk()}
	for _, s := range []string{"", "asked", "now"} {
		x := frame.CloneValues(f)
		x.Del("page")
		x.Set("state", s)
		text := c.P.T("leaves.state.all")
		if s != "" {
			text = c.P.T("leaves.filter." + s)
		}
		v.Chips = append(v.Chips, frame.Chip{Text: text, Href: "/leave?" + x.Encode(), On: s == f.Get("state")})
	}
	from, to, pages := c.PagesOf("/leave", f, len(list))
	v.Pages = pages
	for _, r := range list[from:to] {
		v.Rows = append(v.Rows, c.leaveRow(r))
	}
	given, err := c.passesToday()
	if err != nil {
		return err
	}
	v.Passes = len(given)
	return c.Page("leaves", c.P.T("leaves.title"), v)
}

// exportLeaves gives the list as a spreadsheet, after its entry. The reasons are not in it.
func (o *Pages) exportLeaves(c *call) error {
	f, err := url.ParseQuery(c.R.PostForm.Get("query"))
	if err != nil {
		return frame.ErrNotFound
	}
	list, err := c.foundLeaves(f)
	if err != nil {
		return err
	}
	rows := [][]string{{c.P.T("absence.h.pupil"), c.P.T("class"), c.P.T("leaves.f.kind"), c.P.T("leaves.f.from"), c.P.T("leaves.f.to"), c.P.T("leaves.h.days"), c.P.T("absence.h.state"), c.P.T("leaves.h.by")}}
	for _, r := range list {
		x := c.leaveRow(r)
		rows = append(rows, []string{x.Name, x.Class, x.Kind, c.P.Stamp(r.From), c.P.Stamp(r.To), strconv.Itoa(r.Days), x.State, x.By})
	}
	if _, _, err := o.LogPrintout(c.Call, "leave", frame.FormSheet, "", ""); err != nil {
		return err
	}
	return c.SendTable("leave-"+c.FileTime(), c.P.T("leaves.title"), rows)
}

// mayAsk says whether this person may register a leave of any class.
func (c *call) mayAsk() bool {
	return len(c.askClasses()) > 0
}

// askClasses are the classes of which this person may register leave.
func (c *call) askClasses() []string {
	var out []string
	for _, cl := range c.o.d.People.Classes(c.Today()) {
		if c.Can(account.ActLeaveAsk, account.Subject{Class: cl.ID}) {
			out = append(out, cl.ID)
		}
	}
	return out
}

func (c *call) leaveRow(r rules.Request) leaveRow {
	x := leaveRow{Href: "/leave/" + r.Student + "/" + r.ID, Name: c.o.d.People.Name(r.Student), Class: c.className(r.Class, c.Today()), Kind: c.P.K("att.leave.", r.Kind), Span: c.P.Span(r.From, r.To), Days: r.Days, State: c.P.K("leaves.state.", r.State), Tone: "mute", Icon: "x"}
	switch r.State {
	case rules.Asked:
		x.Tone, x.Icon = "warn", "clock"
	case rules.Approved:
		x.Tone, x.Icon = "ok", "ok"
	case rules.Refused:
		x.Tone, x.Icon = "bad", "bad"
	}
	if r.Decided != "" {
		x.By = c.P.T("leaves.by", c.o.Name(r.Decided), c.P.When(r.When, c.Now.Wall))
	}
	return x
}

// askView is the form of a request, or of a slip and a pass.
type askView struct {
	ui.Form
	Class, ClassID string
	Classes        []frame.Chip
	Pupils         []ui.Option
	Collectors     []ui.Option
	Pass           bool
}

// askView fills the form's choices: the classes that may be chosen, and the pupils of the one that is.
func (c *call) askView(name, path string, errs fielderr.Errors) askView {
	v := askView{Form: ui.Form{Name: name, P: c.P, Values: c.R.Form, Errors: errs}}
	classes := c.askClasses()
	v.ClassID = c.Subject.Class
	if !slices.Contains(classes, v.ClassID) && len(classes) > 0 {
		v.ClassID = classes[0]
	}
	for _, id := range classes {
		v.Classes = append(v.Classes, frame.Chip{Text: c.className(id, c.Today()), Href: path + "?class=" + url.QueryEscape(id), On: id == v.ClassID})
	}
	v.Class = c.className(v.ClassID, c.Today())
	for _, s := range c.o.d.People.Roster(v.ClassID, c.Today()) {
		v.Pupils = append(v.Pupils, ui.Option{Value: s.ID, Text: s.Name})
	}
	return v
}

// Student is the field of the pupil.
func (v askView) Student() ui.Field { return v.Pick("student", "select", v.Pupils) }

// Kinds is a field of the kind of leave.
func (v askView) Kinds(name string) ui.Field {
	var options []ui.Option
	for _, k := range rules.LeaveKinds {
		options = append(options, ui.Option{Value: string(k), Text: v.P.K("att.leave.", k)})
	}
	return v.Pick(name, "radio", options)
}

// Via is the field of how it was asked for.
func (v askView) Via() ui.Field {
	var options []ui.Option
	for _, k := range rules.Vias {
		options = append(options, ui.Option{Value: k, Text: v.P.T("leaves.via." + k)})
	}
	return v.Pick("via", "radio", options)
}

func (o *Pages) askPage(c *call) error {
	return c.Page("leave_new", c.P.T("leaves.new"), c.askView("leaves", "/leave/new", nil))
}

// instantOf reads a field of date and time as the browser writes it, at the school.
func (c *call) instantOf(text string) time.Time {
	t, err := time.ParseInLocation("2006-01-02T15:04", text, c.o.d.Zone)
	if err != nil {
		return time.Time{}
	}
	return t
}

func (o *Pages) askLeave(c *call) error {
	f := c.R.PostForm
	r := rules.Request{Student: f.Get("student"), Class: c.Subject.Class, Kind: attendance.LeaveKind(f.Get("kind")), From: c.instantOf(f.Get("from")), To: c.instantOf(f.Get("to")), Reason: f.Get("reason"), Via: f.Get("via")}
	if r.Class == "" || r.Student == "" {
		return c.PageStatus(http.StatusUnprocessableEntity, "leave_new", c.P.T("leaves.new"), c.askView("leaves", "/leave/new", fielderr.Errors{{Field: "student", Rule: "err.required"}}))
	}
	days, err := rules.SchoolDays(o.d.Site.Calendar(), r.From, r.To)
	if err != nil {
		return err
	}
	r.Days = days
	approve := f.Get("approve") != "" && c.Can(account.ActLeaveDecide, account.Subject{Class: r.Class, Long: r.Long()})
	r, err = o.d.Absence.AskLeave(c.R.Context(), c.Who(), c.Decision.Role, r, approve, ledgerdb.Change{})
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return c.PageStatus(http.StatusUnprocessableEntity, "leave_new", c.P.T("leaves.new"), c.askView("leaves", "/leave/new", errs))
	}
	if err != nil {
		return err
	}
	return c.Done("/leave/"+r.Student+"/"+r.ID, "done.leave."+string(r.State))
}

// requestView is one request.
type requestView struct {
	leaveRow
	F                ui.Form
	Rev              uint64
	Reason, Via      string
	AskedBy, Words   string
	Decide, Withdraw bool
	Long             bool
}

func (o *Pages) leavePage(c *call) error { return o.showLeave(c, http.StatusOK, nil) }

func (o *Pages) showLeave(c *call, status int, errs fielderr.Errors) error {
	r, rev, err := o.d.Absence.Leave(c.R.PathValue("student"), c.R.PathValue("id"))
	if err != nil {
		return err
	}
	v := requestView{leaveRow: c.leaveRow(r), F: ui.Form{Name: "leaves", P: c.P, Values: c.R.PostForm, Errors: errs}, Rev: rev, Reason: r.Reason, Via: c.P.T("leaves.via." + r.Via), Words: r.Words, Long: r.Long(),
		AskedBy: c.P.T("leaves.asked", o.Name(r.By), c.P.When(r.At, c.Now.Wall))}
	may := c.Can(account.ActLeaveDecide, account.Subject{Class: r.Class, Long: r.Long()})
	v.Decide = r.State == rules.Asked && may
	v.Withdraw = r.State == rules.Approved && may || r.State == rules.Asked && r.By == c.Actor.ID
	return c.PageStatus(status, "leave_request", c.P.T("leaves.of", v.Name), v)
}

func (o *Pages) decideLeave(c *call) error {
	f := c.R.PostForm
	student, id := c.R.PathValue("student"), c.R.PathValue("id")
	err := o.d.Absence.DecideLeave(c.R.Context(), c.Who(), c.Decision.Role, student, id, frame.FormRev(f), rules.LeaveState(f.Get("state")), f.Get("words"))
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showLeave(c, http.StatusUnprocessableEntity, errs)
	}
	if err != nil {
		return err
	}
	return c.Done("/leave/"+student+"/"+id, "done.leave."+f.Get("state"))
}

// leaveNeeds are the requests that wait for this person.
func (c *call) leaveNeeds() (out []frame.Need, _ error) {
	if !c.Can(account.ActLeaveDecide, account.Subject{}) && len(c.Actor.Classes) == 0 {
		return nil, nil
	}
	list, err := c.o.d.Absence.Leaves("")
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		if r.State != rules.Asked || !slices.Contains(c.Actor.Classes, r.Class) && !(r.Long() && c.Actor.Has(account.RoleHeadOfSafety)) || !c.Can(account.ActLeaveDecide, account.Subject{Class: r.Class, Long: r.Long()}) || len(out) >= 5 {
			continue
		}
		x := c.leaveRow(r)
		out = append(out, frame.Need{Tone: "warn", Icon: "doc", Badge: x.State, Kind: c.P.T("nav.leave"), Title: c.P.T("leaves.need", x.Name, x.Class, x.Kind), Text: x.Span, Due: c.P.When(r.From, c.Now.Wall), Href: x.Href, Do: c.P.T("see"), Primary: true})
	}
	return out, nil
}

// passesView is the slips and passes of today, with the form for another.
type passesView struct {
	askView
	Rows []passRow
	Give bool
}

type passRow struct {
	ID, Name, Class, Kind, When string
	Reason, Collect, Phone      string
	Tone, Icon, State           string
	Out                         bool
}

// passesToday are today's slips and passes that this person may see.
func (c *call) passesToday() ([]rules.Pass, error) {
	list, err := c.o.d.Absence.Passes(c.Today())
	return slices.DeleteFunc(list, func(p rules.Pass) bool { return !c.Can(account.ActLeaveView, account.Subject{Class: p.Class}) }), err
}

func (c *call) passRow(p rules.Pass) passRow {
	r := passRow{ID: p.Date + "/" + p.Student + "/" + p.ID, Name: c.o.d.People.Name(p.Student), Class: c.className(p.Class, p.Date), Kind: c.P.K("pass.kind.", p.Kind), When: c.P.Clock(p.From), Reason: p.Reason, Phone: p.Collect.Phone, Tone: "mute", Icon: "doc"}
	r.Collect = p.Collect.Name
	if p.Collect.Relation != "" {
		r.Collect += " " + c.P.K("absence.relation.", p.Collect.Relation)
	}
	switch {
	case p.Kind == rules.LateSlip:
		r.State = c.P.T("pass.given", c.o.Name(p.By))
	case !p.Passed.IsZero():
		r.Tone, r.Icon, r.State = "ok", "ok", c.P.T("pass.passed", c.P.Clock(p.Passed), c.o.Name(p.Guard))
	default:
		r.Tone, r.Icon, r.State, r.Out = "warn", "clock", c.P.T("pass.waits"), c.Can(account.ActPassUse, account.Subject{})
	}
	return r
}

func (o *Pages) passesPage(c *call) error { return o.showPasses(c, http.StatusOK, nil) }

func (o *Pages) showPasses(c *call, status int, errs fielderr.Errors) error {
	list, err := c.passesToday()
	if err != nil {
		return err
	}
	v := passesView{askView: c.askView("pass", "/leave/passes", errs), Give: c.mayAsk()}
	for _, p := range list {
		v.Rows = append(v.Rows, c.passRow(p))
	}
	if v.Values.Get("kind") == "" {
		v.Values = url.Values{"class": {v.ClassID}, "kind": {string(rules.EarlyPass)}, "from": {c.P.Input(c.Now.Wall)}}
	}
	return c.PageStatus(status, "passes", c.P.T("pass.title"), v)
}

// What is the field of the kind of slip.
func (v passesView) What() ui.Field {
	return v.Pick("kind", "radio", []ui.Option{{Value: string(rules.EarlyPass), Text: v.P.T("pass.kind.early")}, {Value: string(rules.LateSlip), Text: v.P.T("pass.kind.late")}})
}

// givePass gives out a slip or a pass. Who collects is a guardian by number, or somebody named.
func (o *Pages) givePass(c *call) error {
	f := c.R.PostForm
	p := rules.Pass{Student: f.Get("student"), Class: c.Subject.Class, Kind: rules.PassKind(f.Get("kind")), Leave: attendance.LeaveKind(f.Get("leave")), From: c.instantOf(f.Get("from")), Reason: f.Get("reason"),
		Collect: rules.Collector{Name: f.Get("collector"), Phone: f.Get("phone")}}
	if s, ok := o.d.People.Student(p.Student); ok {
		for i, g := range s.Guardians {
			if strings.TrimSpace(p.Collect.Name) == g.Name {
				p.Collect.Guardian, p.Collect.Relation, p.Collect.Phone = i+1, string(g.Relation), g.Phone
			}
		}
	}
	if p.Student == "" || p.Class == "" {
		return o.showPasses(c, http.StatusUnprocessableEntity, fielderr.Errors{{Field: "student", Rule: "err.required"}})
	}
	_, err := o.d.Absence.PutPass(c.R.Context(), c.Who(), c.Decision.Role, p)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showPasses(c, http.StatusUnprocessableEntity, errs)
	}
	if err != nil {
		return err
	}
	return c.Done("/leave/passes", "done.pass")
}

func (o *Pages) letOut(c *call) error {
	if err := o.d.Absence.LetOut(c.R.Context(), c.Who(), c.Decision.Role, c.R.PathValue("date"), c.R.PathValue("student"), c.R.PathValue("id")); err != nil {
		return err
	}
	return c.Done("/leave/passes", "done.pass.used")
}

// APILeave is a request for leave, as JSON.
type APILeave struct {
	rules.Request
	Name string `json:"name"`
	Rev  uint64 `json:"rev,omitempty"`
}

func (o *Pages) apiLeaves(c *call) error {
	list, err := c.foundLeaves(c.R.URL.Query())
	if err != nil {
		return err
	}
	out := []APILeave{}
	for _, r := range list {
		out = append(out, APILeave{Request: r, Name: o.d.People.Name(r.Student)})
	}
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiLeave(c *call) error {
	r, rev, err := o.d.Absence.Leave(c.R.PathValue("student"), c.R.PathValue("id"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, APILeave{r, o.d.People.Name(r.Student), rev})
}

// APIPass is a slip or pass of today, as JSON.
type APIPass struct {
	rules.Pass
	Name string `json:"name"`
}

func (o *Pages) apiPasses(c *call) error {
	list, err := c.passesToday()
	if err != nil {
		return err
	}
	out := []APIPass{}
	for _, p := range list {
		out = append(out, APIPass{p, o.d.People.Name(p.Student)})
	}
	return c.JSON(http.StatusOK, out)
}
