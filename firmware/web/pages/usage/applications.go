package usage

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/usage"
)

// applicationsView is a list of applications: all of them, or one's own.
type applicationsView struct {
	Mine   bool
	Rows   []applicationRow
	Filter string
	Chips  []frame.Chip
	CanNew bool
}

type applicationRow struct {
	A          rules.Application
	Applicant  string
	Places     string
	Span       string
	Tone, Icon string
	State      string
	Mine       bool // for this person to decide or to mend
	Due        string
}

func (o *Pages) applicationsPage(c *call) error { return o.listApplications(c, false) }

func (o *Pages) myApplications(c *call) error { return o.listApplications(c, true) }

func (o *Pages) listApplications(c *call, mine bool) error {
	v := applicationsView{Mine: mine, Filter: c.R.URL.Query().Get("state"), CanNew: c.Can(account.ActApplicationCreate, account.Subject{})}
	path := c.R.URL.Path
	counts := map[rules.Plain]int{}
	for _, a := range o.d.Usage.List() {
		if mine && a.Applicant != c.Actor.ID {
			continue
		}
		p := a.State.Plain()
		counts[p]++
		if v.Filter == "" || v.Filter == string(p) {
			v.Rows = append(v.Rows, c.row(a))
		}
	}
	v.Chips = append(v.Chips, frame.Chip{Text: c.P.T("app.all"), Href: path, On: v.Filter == ""})
	for _, p := range []rules.Plain{rules.PlainFill, rules.PlainWait, rules.PlainUse, rules.PlainReport, rules.PlainOver} {
		if counts[p] > 0 {
			v.Chips = append(v.Chips, frame.Chip{Text: fmt.Sprintf("%s %d", c.P.K("plain.", p), counts[p]), Href: path + "?state=" + string(p), On: v.Filter == string(p)})
		}
	}
	slices.SortStableFunc(v.Rows, func(a, b applicationRow) int { // what needs this person first, then the newest
		return cmp.Or(-frame.CompareBool(a.Mine, b.Mine), b.A.Submitted.Compare(a.A.Submitted))
	})
	return c.Page("applications", c.P.T("app.title"), v)
}

// row is one application as lists show it.
func (c *call) row(a rules.Application) applicationRow {
	r := applicationRow{A: a, Applicant: c.o.Name(a.Applicant), Places: strings.Join(a.Places(), c.P.T("sep.list")), State: c.P.K("state.", a.State)}
	if s := a.Spans(); len(s) > 0 {
		r.Span = c.P.Span(s[0].From, s[0].To)
		if len(s) > 1 {
			r.Span += c.P.T("app.more_spans", len(s)-1)
		}
	}
	r.Tone, r.Icon = appTone(a.State)
	switch {
	case a.State.Undecided() && a.State != rules.Returned:
		r.Mine = c.Can(account.ActApplicationDecide, usage.Subject(a))
	case a.State == rules.Returned, a.State == rules.ReportDue, a.State == rules.Overdue:
		r.Mine = a.Applicant == c.Actor.ID
	case a.State == rules.Reported:
		r.Mine = c.Can(account.ActApplicationReview, usage.Subject(a))
	}
	if a.Decision != nil && a.Decision.Approved && a.State.Plain() == rules.PlainUse {
		r.Due = c.P.T("app.until", c.P.Day(a.Decision.Until.Begin()))
	}
	if t := a.ReportBy(c.o.d.Site.Settings().Register); a.State == rules.ReportDue || a.State == rules.Overdue {
		r.Due = c.P.T("app.report_by", c.P.Day(t.Add(-time.Second)))
	}
	return r
}

// appTone is colour and icon of a state.
func appTone(s rules.State) (tone, icon string) {
	switch s {
	case rules.Approved, rules.InUse, rules.Delivered, rules.Accepted:
		return "ok", "ok"
	case rules.Rejected, rules.Revoked, rules.Overdue, rules.Unavailable:
		return "bad", "bad"
	case rules.Submitted, rules.UnderReview, rules.AwaitSecond, rules.Returned, rules.ReportDue, rules.Reported:
		return "warn", "warn"
	case rules.Extracting:
		return "acc", "rec"
	}
	return "mute", "doc"
}

// applicationView is one application: what was asked, how it is, its custody timeline, and what this
// person may do with it.
type applicationView struct {
	A            rules.Application
	Row          applicationRow
	Applicant    string
	Purpose      string
	Ways         []string
	Steps        []ui.Step
	Holds        []footage.Hold
	Offers       []offerRow
	Decide       *decideForm
	CanReturn    bool
	CanReview    bool
	CanRevoke    bool
	CanAccept    bool
	CanRetract   bool
	CanResubmit  bool
	CanReport    bool
	Watch        []watchLink
	Report       ui.Form
	Results      []ui.Option
	Copies       []ui.Option
	Own          bool // one's own: who decides instead
	NotApplicant string
	Granted      []grantedRow // what was approved, exactly
	Notice       bool         // there is a notice to print
	Rejection    bool
	Use          usage.Use
	Refused      []ui.Step // refused attempts of others: apart, so that they bury nothing
	Problem      string    // why the last act was not done
	Typed        string    // what was typed for it, when its form is not here any more
	Wait         string    // what an approval waits for
	Reason       string    // typed for a return or a revocation that was not done
	ReasonErr    string
	UseDays      string // asked for
	GrantDays    string // approved
}

// grantedRow is one approved span with its cameras.
type grantedRow struct{ Span, Cameras string }

type watchLink struct{ Text, Href string }

type decideForm struct {
	ui.Form
	Cameras []ui.Option
	Ways    []ui.Option
	Spans   []ui.Option
	Codes   []ui.Option
	Second  bool   // two must approve
	Last    bool   // the first has approved: this is the second
	Locked  string // why this person cannot approve, although they decide
}

func applicationSubject(c *call) (account.Subject, error) {
	a, err := c.o.d.Usage.Get(c.R.PathValue("id"))
	if err != nil {
		return account.Subject{}, err
	}
	return usage.Subject(a), nil
}

func (o *Pages) applicationPage(c *call) error {
	a, err := o.d.Usage.Get(c.R.PathValue("id"))
	if err != nil {
		return err
	}
	return o.showApplication(c, 200, a, nil)
}

func (o *Pages) showApplication(c *call, status int, a rules.Application, errs fielderr.Errors) error {
	v := applicationView{A: a, Row: c.row(a), Applicant: o.Name(a.Applicant), Purpose: string(a.Purpose) + " " + c.P.K("purpose.", a.Purpose), Own: a.Applicant == c.Actor.ID,
		Report: ui.Form{Name: "report", P: c.P, Values: c.R.PostForm, Errors: errs}}
	for _, w := range a.Ways {
		v.Ways = append(v.Ways, c.P.K("way.", w))
	}
	for _, r := range []string{"nothing_found", "found", "not_used"} {
		v.Results = append(v.Results, ui.Option{Value: r, Text: c.P.K("report.result.", r)})
	}
	for _, r := range []string{"none", "destroyed", "returned"} {
		v.Copies = append(v.Copies, ui.Option{Value: r, Text: c.P.K("report.copies.", r)})
	}
	for _, h := range c.Holds() {
		if h.Application == a.ID {
			v.Holds = append(v.Holds, h)
		}
	}
	allowed := func(k rules.EventKind) bool { return slices.Contains(a.State.Allowed(), k) }
	s := usage.Subject(a)
	decides := (allowed(rules.Approve) || a.State == rules.Submitted) && c.Can(account.ActApplicationDecide, s)
	reviews := c.Can(account.ActApplicationReview, s)
	v.CanReturn = reviews && allowed(rules.Return)
	v.CanReview = reviews && a.State == rules.Submitted
	v.CanRevoke = allowed(rules.Revoke) && c.Can(account.ActApplicationDecide, s)
	v.CanAccept = reviews && allowed(rules.Accept)
	own := c.Can(account.ActApplicationWithdraw, s)
	v.CanRetract = own && allowed(rules.Retract)
	v.CanResubmit = own && a.State == rules.Returned
	v.CanReport = own && allowed(rules.File)
	if v.Own && a.State.Undecided() && a.State != rules.Returned {
		v.NotApplicant = c.P.T("may.own_application")
	} else if a.State == rules.AwaitSecond && a.Decision.By == c.Actor.ID {
		v.NotApplicant, decides = c.P.T("app.wait.yours"), false
	} else if a.State.Undecided() && !decides && c.Can(account.ActApplicationList, account.Subject{}) && a.State != rules.Returned {
		v.NotApplicant = c.P.T(account.May(c.Actor, account.ActApplicationDecide, s, c.Now.Wall).Reason)
	}
	var err error
	if a.State.Undecided() || v.CanRevoke {
		if v.Offers, err = o.offers(c, a.Wanted); err != nil {
			return err
		}
	}
	if decides {
		v.Decide = o.decideForm(c, a, errs)
	}
	if own && a.State.Plain() == rules.PlainUse {
		v.Watch = o.watchLinks(c, a)
	}
	if a.State == rules.AwaitSecond {
		v.Wait = c.P.T("app.wait", o.Name(a.Decision.By))
	}
	v.Notice, v.Rejection = hasDocument(a, "notice"), hasDocument(a, "rejection")
	for _, g := range a.Granted() {
		v.Granted = append(v.Granted, grantedRow{c.P.Span(g.Span.From, g.Span.To), c.CameraNames(g.Cameras)})
	}
	if a.Decision != nil && a.Decision.Approved {
		if v.Use, err = o.d.Usage.UseOf(c.R.Context(), a.ID); err != nil {
			return err
		}
	}
	if v.Steps, v.Refused, err = o.steps(c, a); err != nil {
		return err
	}
	v.UseDays, v.Reason = c.days(a.UseFrom, a.UseUntil), c.R.PostForm.Get("reason")
	if a.Decision != nil && a.Decision.Approved {
		v.GrantDays = c.days(a.Decision.From, a.Decision.Until)
	}
	if !v.CanReport { // that form shows its own faults
		v.ReasonErr = v.Report.Error("text")
	}
	for _, e := range errs {
		if e.Field == "state" {
			v.Problem = c.P.T(e.Rule, e.Args...)
			if e.Rule == "err.state" {
				v.Problem = c.P.T("app.conflict", c.P.K("state.", a.State))
			}
			if v.Decide == nil || v.Decide.Locked != "" {
				v.Typed = cmp.Or(c.R.PostForm.Get("note"), c.R.PostForm.Get("reason"), c.R.PostForm.Get("text"))
			}
		}
	}
	return c.PageStatus(status, "application", a.Number(), v)
}

func (o *Pages) watchLinks(c *call, a rules.Application) []watchLink {
	var out []watchLink
	for _, g := range a.Granted() {
		for _, cam := range g.Cameras {
			s := g.Span
			l := s.From.In(o.d.Zone)
			href := fmt.Sprintf("/footage?camera=%s&day=%s&t=%s", cam, l.Format(time.DateOnly), l.Format("15:04"))
			if end := s.To.In(o.d.Zone); end.Format(time.DateOnly) == l.Format(time.DateOnly) {
				href += "&to=" + end.Format("15:04")
			}
			out = append(out, watchLink{o.CameraName(cam) + " " + c.P.Span(s.From, s.To), href + "#watch"})
		}
	}
	return out
}

// decideForm offers what was asked for, and to the second of two what the first approved.
func (o *Pages) decideForm(c *call, a rules.Application, errs fielderr.Errors) *decideForm {
	asked := rules.Decision{Cameras: a.Cameras, Spans: a.Spans(), Ways: a.Ways, From: a.UseFrom, Until: a.UseUntil}
	if len(asked.Cameras) == 0 {
		asked.Cameras = askedCameras(a)
	}
	f := &decideForm{Second: a.NeedsSecond(), Last: a.State == rules.AwaitSecond}
	if f.Last {
		asked = *a.Decision
	}
	values := c.R.PostForm
	if values == nil || !values.Has("decision") && !values.Has("look") {
		values = url.Values{"until": {string(asked.Until)}, "from": {string(asked.From)}, "cameras": asked.Cameras}
		for _, w := range asked.Ways {
			values.Add("ways", string(w))
		}
		for i := range asked.Spans {
			values.Add("spans", fmt.Sprint(i))
		}
	}
	f.Form = ui.Form{Name: "decide", P: c.P, Values: values, Errors: errs}
	for _, id := range asked.Cameras {
		option := ui.Option{Value: id, Text: o.CameraName(id)}
		if cam, ok := o.d.Site.Camera(id); ok {
			option.Hint = cam.Place
		}
		f.Cameras = append(f.Cameras, option)
	}
	for i, s := range asked.Spans {
		f.Spans = append(f.Spans, ui.Option{Value: fmt.Sprint(i), Text: c.P.Span(s.From, s.To), Hint: c.CameraNames(asked.In(a, s))})
	}
	for _, w := range asked.Ways {
		off := !slices.Contains(rules.OfferedWays, w)
		f.Ways = append(f.Ways, ui.Option{Value: string(w), Text: c.P.K("way.", w), Hint: c.P.K("way.hint.", w), Off: off})
	}
	f.Codes = append(f.Codes, ui.Option{Value: "", Text: c.P.T("decide.choose")})
	for _, code := range rules.AllRejections {
		f.Codes = append(f.Codes, ui.Option{Value: code, Text: c.P.K("reject.", code)})
	}
	// A copy has a reviewer and an approver: anyone who takes the application up cannot approve it.
	if a.AsksCopy() && !a.OfOffice && (a.State == rules.Submitted || a.State == rules.UnderReview && a.Reviewer == c.Actor.ID) {
		f.Locked = c.P.T("err.reviewer_approves")
	}
	return f
}

// askedCameras are the cameras that an application asks for: those that were at its places when it was submitted.
func askedCameras(a rules.Application) []string {
	var out []string
	for _, w := range a.Wanted {
		for _, c := range w.Cameras {
			if !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

// decide approves in full or in part, or refuses with a reason.
func (o *Pages) decide(c *call) error {
	a, err := o.d.Usage.Get(c.R.PathValue("id"))
	if err != nil {
		return err
	}
	f := c.R.PostForm
	d := rules.Decision{Approved: f.Get("decision") == "approve", Note: strings.TrimSpace(f.Get("note"))}
	var errs fielderr.Errors
	switch f.Get("decision") {
	case "approve":
		d.Cameras = f["cameras"]
		for _, w := range f["ways"] {
			d.Ways = append(d.Ways, rules.Way(w))
		}
		spans := a.Spans()
		if a.State == rules.AwaitSecond {
			spans = a.Decision.Spans
		}
		for _, n := range f["spans"] {
			if i, err := strconv.Atoi(n); err == nil && i >= 0 && i < len(spans) {
				d.Spans = append(d.Spans, spans[i])
			}
		}
		d.From, d.Until = rules.Date(f.Get("from")), rules.Date(f.Get("until"))
		for _, x := range []struct {
			field string
			empty bool
		}{{"cameras", len(d.Cameras) == 0}, {"spans", len(d.Spans) == 0}, {"ways", len(d.Ways) == 0}} {
			if x.empty {
				errs.Add(x.field, "err.required")
			}
		}
	case "reject":
		d.Code = f.Get("code")
		if d.Code == "" {
			errs.Add("code", "err.required")
		}
		if d.Note == "" {
			errs.Add("note", "err.required")
		}
	default:
		errs.Add("decision", "err.choice")
	}
	if len(errs) > 0 {
		return o.showApplication(c, http.StatusUnprocessableEntity, a, errs)
	}
	a, err = o.d.Usage.Decide(c.R.Context(), c.Who(), a.ID, d)
	switch {
	case err != nil:
		return o.showNotDone(c, a.ID, err)
	case a.State == rules.AwaitSecond:
		return c.Done("/applications/"+a.ID, "done.approved_first")
	case d.Approved:
		return c.Done("/applications/"+a.ID, "done.approved")
	}
	return c.Done("/applications/"+a.ID, "done.rejected")
}

// showNotDone shows an application as it is now, why the act on it was not done, and what was typed for it.
func (o *Pages) showNotDone(c *call, id string, err error) error {
	errs, fields := errors.AsType[fielderr.Errors](err)
	status := http.StatusUnprocessableEntity
	if illegal, ok := errors.AsType[*rules.Illegal](err); ok {
		status, errs = http.StatusConflict, fielderr.Errors{{Field: "state", Rule: illegal.Rule}}
	} else if errors.Is(err, ledgerdb.ErrConflict) {
		status, errs = http.StatusConflict, fielderr.Errors{{Field: "state", Rule: "err.state"}}
	} else if !fields {
		return err
	}
	a, err := o.d.Usage.Get(id)
	if err != nil {
		return err
	}
	return o.showApplication(c, status, a, errs)
}

// step does one of the small steps of an application and says so.
func (o *Pages) step(done string, do func(*call, string) (rules.Application, error)) handler {
	return func(c *call) error {
		id := c.R.PathValue("id")
		if _, err := do(c, id); err != nil {
			if c.API() {
				return err
			}
			return o.showNotDone(c, id, err)
		}
		return c.Done("/applications/"+id, done)
	}
}

func (o *Pages) startReview(c *call, id string) (rules.Application, error) {
	a, err := o.d.Usage.Get(id)
	if err != nil {
		return a, err
	}
	return o.d.Usage.Review(c.R.Context(), c.Who(), id, askedCameras(a), "")
}

func (o *Pages) returnApplication(c *call, id string) (rules.Application, error) {
	return o.d.Usage.Return(c.R.Context(), c.Who(), id, strings.TrimSpace(c.R.PostForm.Get("reason")))
}

func (o *Pages) accept(c *call, id string) (rules.Application, error) {
	return o.d.Usage.Accept(c.R.Context(), c.Who(), id)
}

// revoke ends an approval, and what is being watched under it.
func (o *Pages) revoke(c *call, id string) (rules.Application, error) {
	a, err := o.d.Usage.Revoke(c.R.Context(), c.Who(), id, strings.TrimSpace(c.R.PostForm.Get("reason")))
	if err == nil {
		o.d.Viewings.EndUnder(c.R.Context(), id)
	}
	return a, err
}

func (o *Pages) withdraw(c *call, id string) (rules.Application, error) {
	a, err := o.d.Usage.Withdraw(c.R.Context(), c.Who(), id)
	if err == nil {
		o.d.Viewings.EndUnder(c.R.Context(), id)
	}
	return a, err
}

func (o *Pages) report(c *call, id string) (rules.Application, error) {
	f := c.R.PostForm
	return o.d.Usage.Report(c.R.Context(), c.Who(), id, rules.Report{At: c.Now.Wall.UTC(), Result: f.Get("result"), Text: strings.TrimSpace(f.Get("text")), Copies: f.Get("copies")})
}

// steps is the custody timeline: what the log says was done, and what is to come. Refused attempts of others are apart,
// each once with its number: they are the office's matter.
func (o *Pages) steps(c *call, a rules.Application) (out, refused []ui.Step, _ error) {
	page, err := o.d.Ledger.Search(c.R.Context(), ledgerdb.Query{About: []string{a.ID}, Limit: 200})
	if err != nil {
		return nil, nil, fmt.Errorf("read the log of %s: %w", a.ID, err)
	}
	canLog := c.Can(account.ActLogProof, account.Subject{})
	for _, e := range slices.Backward(page.Entries) {
		key := "step." + string(e.Kind)
		var d struct{ Result, What string }
		frame.Decode(e.Data, &d)
		if e.Kind == "application.reviewed" && d.Result == "first" || e.Kind == "application.returned" && d.What == "report" {
			key += "." + cmp.Or(d.Result, d.What)
		}
		if !ui.Has(key) {
			continue
		}
		s := ui.Step{State: "done", Title: c.P.T(key), Text: c.ActorName(e.Actor), When: c.P.When(e.At, c.Now.Wall), Entry: c.P.T("entry.no", e.Seq)}
		if canLog {
			s.EntryHref = fmt.Sprintf("/log/%d", e.Seq)
		}
		switch e.Kind {
		case "access.refused", "application.rejected", "application.revoked", "application.overdue":
			s.State = "bad"
		case "footage.access.open", "footage.snapshot":
			s.Text += " · " + c.entrySpan(e)
		}
		switch {
		case e.Kind != "access.refused" || e.Actor.ID == c.Actor.ID:
			out = append(out, s)
		case canLog:
			refused = append(refused, s)
		}
	}
	return append(out, c.coming(a)...), refused, nil
}

// coming is what is still to be done, by whom and by when.
func (c *call) coming(a rules.Application) []ui.Step {
	next := func(key, text, when string) ui.Step {
		return ui.Step{State: "next", Title: c.P.T(key), Text: text, When: when}
	}
	var out []ui.Step
	switch a.State {
	case rules.Submitted, rules.UnderReview:
		out = append(out, next("coming.decide", c.P.T("coming.decide.text"), ""), next("coming.use", "", c.P.T("app.until", c.P.Day(a.UseUntil.Begin()))))
	case rules.AwaitSecond:
		out = append(out, next("coming.second", c.P.T("coming.second.text"), ""))
	case rules.Returned:
		out = append(out, next("coming.mend", c.o.Name(a.Applicant), ""))
	case rules.Approved, rules.InUse, rules.Extracting, rules.Delivered:
		out = append(out, next("coming.end", c.P.T("coming.end.text"), c.P.T("app.until", c.P.Day(a.Decision.Until.Begin()))),
			next("coming.report", c.P.T("coming.report.text"), c.P.T("app.report_by", c.P.Day(a.ReportBy(c.o.d.Site.Settings().Register).Add(-time.Second)))))
	case rules.ReportDue, rules.Overdue:
		out = append(out, next("coming.report", c.P.T("coming.report.text"), c.P.T("app.report_by", c.P.Day(a.ReportBy(c.o.d.Site.Settings().Register).Add(-time.Second)))))
	case rules.Reported:
		out = append(out, next("coming.accept", "", ""))
	}
	if len(out) > 0 {
		out[0].State = "now"
	}
	return out
}

// entrySpan is camera and span of an entry about footage.
func (c *call) entrySpan(e ledger.Entry) string {
	var d struct {
		Camera   string
		From, To time.Time
		Mode     string
	}
	if !frame.Decode(e.Data, &d) || d.Camera == "" {
		return ""
	}
	if d.Mode == usage.Live || d.From.IsZero() {
		return c.o.CameraName(d.Camera)
	}
	return c.o.CameraName(d.Camera) + " " + c.P.Span(d.From, d.To)
}

// applicationNeeds are the applications that wait for this person, and decisions that they are notified
// of.
func (c *call) applicationNeeds() (out []frame.Need, _ error) {
	for _, a := range c.o.d.Usage.List() {
		if n, ok := c.needOf(a); ok {
			out = append(out, n)
		}
	}
	return out, nil
}

func (c *call) needOf(a rules.Application) (frame.Need, bool) {
	row := c.row(a)
	shown := c.decisionNews(a)
	if !row.Mine && shown == "" {
		return frame.Need{}, false
	}
	n := frame.Need{Tone: row.Tone, Icon: row.Icon, Badge: row.State, Kind: c.P.T("need.application"), Title: a.Number() + " · " + c.P.K("purpose.", a.Purpose),
		Text: a.Unit + " " + row.Applicant + " · " + row.Places + " " + row.Span, Href: "/applications/" + a.ID, Do: c.P.T("app.handle"), Due: row.Due}
	if n.Tone == "mute" || n.Tone == "ok" {
		n.Tone, n.Icon = "acc", "info"
	}
	for _, f := range c.firstLoss(a) {
		n.Text += " · " + f
	}
	n.Primary = a.State == rules.Overdue
	if shown != "" {
		n.Text, n.Do = shown+c.P.T("sep.clause")+row.Places, c.P.T("see")
	}
	return n, true
}

// decisionShown is how long the applicant's first page is about a decision that asks nothing of them.
const decisionShown = 7 * 24 * time.Hour

// decisionNews is what the applicant is to learn of a decision on the first page: approval until it is first used, refusal,
// revocation and the end by time for a week.
func (c *call) decisionNews(a rules.Application) string {
	if a.Applicant != c.Actor.ID {
		return ""
	}
	recent := func(t time.Time) bool { return !t.IsZero() && c.Now.Wall.Sub(t) < decisionShown }
	switch {
	case a.State == rules.Approved:
		return c.P.T("told.approved", c.P.Day(a.Decision.Until.Begin()))
	case a.State == rules.Rejected && recent(a.Ended):
		return c.P.T("told.rejected", c.P.K("reject.", a.Decision.Code))
	case a.Revoked != "" && recent(a.Ended):
		return c.P.T("told.revoked", a.Revoked)
	case a.State == rules.Expired && recent(a.Ended), a.State == rules.Unavailable && recent(a.Ended):
		return c.P.K("state.", a.State)
	case a.State == rules.ReportDue && a.Returned != "":
		return c.P.T("app.report_returned", a.Returned)
	}
	return ""
}

// firstLoss says for an undecided application until when its hold keeps the footage.
func (c *call) firstLoss(a rules.Application) []string {
	if !a.State.Undecided() {
		return nil
	}
	for _, h := range c.Holds() {
		if h.Application == a.ID {
			return []string{c.P.T("need.held", c.P.Day(h.Until))}
		}
	}
	return nil
}
