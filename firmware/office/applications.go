package office

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/evidence"
	"campuskeep/firmware/store"
	"campuskeep/shared/account"
	"campuskeep/shared/fielderr"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/register"
	"campuskeep/shared/ui"
)

// applicationsView is a list of applications: all of them, or one's own.
type applicationsView struct {
	Mine   bool
	Rows   []applicationRow
	Filter string
	Chips  []chip
	CanNew bool
}

type chip struct {
	Text, Href string
	On         bool
}

type applicationRow struct {
	A          register.Application
	Applicant  string
	Places     string
	Span       string
	Tone, Icon string
	State      string
	Mine       bool // for this person to decide or to mend
	Due        string
}

func (o *Office) applicationsPage(c *call) error { return o.listApplications(c, false) }
func (o *Office) myApplications(c *call) error   { return o.listApplications(c, true) }

func (o *Office) listApplications(c *call, mine bool) error {
	v := applicationsView{Mine: mine, Filter: c.r.URL.Query().Get("state"), CanNew: c.can(account.ActApplicationCreate, account.Subject{})}
	path := c.r.URL.Path
	counts := map[register.Plain]int{}
	for _, a := range o.d.Register.List() {
		if mine && a.Applicant != c.actor.ID {
			continue
		}
		p := a.State.Plain()
		counts[p]++
		if v.Filter == "" || v.Filter == string(p) {
			v.Rows = append(v.Rows, c.row(a))
		}
	}
	v.Chips = append(v.Chips, chip{c.p.T("app.all"), path, v.Filter == ""})
	for _, p := range []register.Plain{register.PlainFill, register.PlainWait, register.PlainUse, register.PlainReport, register.PlainOver} {
		if counts[p] > 0 {
			v.Chips = append(v.Chips, chip{fmt.Sprintf("%s %d", c.p.K("plain.", p), counts[p]), path + "?state=" + string(p), v.Filter == string(p)})
		}
	}
	slices.SortStableFunc(v.Rows, func(a, b applicationRow) int { // what needs this person first, then the newest
		return cmp.Or(-compareBool(a.Mine, b.Mine), b.A.Submitted.Compare(a.A.Submitted))
	})
	return c.page("applications", c.p.T("app.title"), v)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// row is one application as lists show it.
func (c *call) row(a register.Application) applicationRow {
	r := applicationRow{A: a, Applicant: c.o.name(a.Applicant), Places: strings.Join(a.Places(), c.p.T("sep.list")), State: c.p.K("state.", a.State)}
	if s := a.Spans(); len(s) > 0 {
		r.Span = c.p.Span(s[0].From, s[0].To)
		if len(s) > 1 {
			r.Span += c.p.T("app.more_spans", len(s)-1)
		}
	}
	r.Tone, r.Icon = appTone(a.State)
	switch {
	case a.State.Undecided() && a.State != register.Returned:
		r.Mine = c.can(account.ActApplicationDecide, evidence.Subject(a))
	case a.State == register.Returned, a.State == register.ReportDue, a.State == register.Overdue:
		r.Mine = a.Applicant == c.actor.ID
	case a.State == register.Reported:
		r.Mine = c.can(account.ActApplicationReview, evidence.Subject(a))
	}
	if a.Decision != nil && a.Decision.Approved && a.State.Plain() == register.PlainUse {
		r.Due = c.p.T("app.until", c.p.Day(a.Decision.Until.Begin()))
	}
	if t := a.ReportBy(c.o.d.Site.Settings().Register); a.State == register.ReportDue || a.State == register.Overdue {
		r.Due = c.p.T("app.report_by", c.p.Day(t.Add(-time.Second)))
	}
	return r
}

// appTone is colour and icon of a state.
func appTone(s register.State) (tone, icon string) {
	switch s {
	case register.Approved, register.InUse, register.Delivered, register.Accepted:
		return "ok", "ok"
	case register.Rejected, register.Revoked, register.Overdue, register.Unavailable:
		return "bad", "bad"
	case register.Submitted, register.UnderReview, register.AwaitSecond, register.Returned, register.ReportDue, register.Reported:
		return "warn", "warn"
	case register.Extracting:
		return "acc", "rec"
	}
	return "mute", "doc"
}

// applicationView is one application: what was asked, how it stands, its custody timeline, and what this
// person may do with it.
type applicationView struct {
	A          register.Application
	Row        applicationRow
	Applicant  string
	Purpose    string
	Ways       []string
	Steps      []ui.Step
	Holds      []footage.Hold
	Offers     []offerRow
	Decide     *decideForm
	CanReturn  bool
	CanTake    bool
	CanRevoke  bool
	CanAccept  bool
	CanRetract bool
	CanMend    bool
	CanReport  bool
	Watch      []watchLink
	Report     ui.Form
	Results    []ui.Option
	Copies     []ui.Option
	Own        bool // one's own: who decides instead
	NotMe      string
}

type watchLink struct{ Text, Href string }

type decideForm struct {
	ui.Form
	Cameras []ui.Option
	Ways    []ui.Option
	Codes   []ui.Option
	Second  bool
}

func applicationSubject(c *call) (account.Subject, error) {
	a, err := c.o.d.Register.Get(c.r.PathValue("id"))
	if err != nil {
		return account.Subject{}, err
	}
	return evidence.Subject(a), nil
}

func (o *Office) applicationPage(c *call) error {
	a, err := o.d.Register.Get(c.r.PathValue("id"))
	if err != nil {
		return err
	}
	return o.showApplication(c, 200, a, nil)
}

func (o *Office) showApplication(c *call, status int, a register.Application, errs fielderr.Errors) error {
	v := applicationView{A: a, Row: c.row(a), Applicant: o.name(a.Applicant), Purpose: string(a.Purpose) + " " + c.p.K("purpose.", a.Purpose), Own: a.Applicant == c.actor.ID,
		Report: ui.Form{Name: "report", P: c.p, Values: c.r.PostForm, Errors: errs}}
	for _, w := range a.Ways {
		v.Ways = append(v.Ways, c.p.K("way.", w))
	}
	for _, r := range []string{"nothing_found", "found", "not_used"} {
		v.Results = append(v.Results, ui.Option{Value: r, Text: c.p.K("report.result.", r)})
	}
	for _, r := range []string{"none", "destroyed", "returned"} {
		v.Copies = append(v.Copies, ui.Option{Value: r, Text: c.p.K("report.copies.", r)})
	}
	for _, h := range c.holds() {
		if h.Application == a.ID {
			v.Holds = append(v.Holds, h)
		}
	}
	allowed := func(k register.EventKind) bool { return slices.Contains(a.State.Allowed(), k) }
	s := evidence.Subject(a)
	decides := (allowed(register.Approve) || a.State == register.Submitted) && c.can(account.ActApplicationDecide, s)
	reviews := c.can(account.ActApplicationReview, s)
	v.CanReturn = reviews && allowed(register.Return) && a.State != register.Reported
	v.CanTake = reviews && a.State == register.Submitted
	v.CanRevoke = allowed(register.Revoke) && c.can(account.ActApplicationDecide, s)
	v.CanAccept = reviews && allowed(register.Accept)
	own := c.can(account.ActApplicationWithdraw, s)
	v.CanRetract = own && allowed(register.Retract)
	v.CanMend = own && a.State == register.Returned
	v.CanReport = own && allowed(register.File)
	if v.Own && a.State.Undecided() && a.State != register.Returned {
		v.NotMe = c.p.T("may.own_application")
	} else if a.State.Undecided() && !decides && c.can(account.ActApplicationList, account.Subject{}) && a.State != register.Returned {
		v.NotMe = c.p.T(account.May(c.actor, account.ActApplicationDecide, s, c.now.Wall).Reason)
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
	if own && a.Decision != nil && a.State.Plain() == register.PlainUse {
		v.Watch = o.watchLinks(c, a)
	}
	if v.Steps, err = o.steps(c, a); err != nil {
		return err
	}
	return c.pageStatus(status, "application", a.Number(), v)
}

func (o *Office) watchLinks(c *call, a register.Application) []watchLink {
	var out []watchLink
	for _, cam := range a.Decision.Cameras {
		for _, s := range a.Decision.Spans {
			l := s.From.In(o.d.Zone)
			href := fmt.Sprintf("/footage?camera=%s&day=%s&t=%s", cam, l.Format(time.DateOnly), l.Format("15:04"))
			if end := s.To.In(o.d.Zone); end.Format(time.DateOnly) == l.Format(time.DateOnly) {
				href += "&to=" + end.Format("15:04")
			}
			out = append(out, watchLink{o.cameraName(cam) + " " + c.p.Span(s.From, s.To), href + "#watch"})
		}
	}
	return out
}

func (o *Office) decideForm(c *call, a register.Application, errs fielderr.Errors) *decideForm {
	values := c.r.PostForm
	if values == nil || values.Get("decision") == "" {
		values = map[string][]string{"until": {string(a.UseUntil)}, "from": {string(a.UseFrom)}}
		for _, p := range a.Places() {
			for _, cam := range o.d.Site.Cameras() {
				if cam.Place == p && !cam.Retired && (len(a.Cameras) == 0 || slices.Contains(a.Cameras, cam.ID)) {
					values["cameras"] = append(values["cameras"], cam.ID)
				}
			}
		}
		for _, w := range a.Ways {
			values["ways"] = append(values["ways"], string(w))
		}
		for i := range a.Spans() {
			values["spans"] = append(values["spans"], fmt.Sprint(i))
		}
	}
	f := &decideForm{Form: ui.Form{Name: "decide", P: c.p, Values: values, Errors: errs}, Second: a.NeedsSecond()}
	for _, cam := range o.d.Site.Cameras() {
		if slices.Contains(a.Places(), cam.Place) && !cam.Retired {
			f.Cameras = append(f.Cameras, ui.Option{Value: cam.ID, Text: cam.Name, Hint: cam.Place})
		}
	}
	for _, w := range a.Ways {
		f.Ways = append(f.Ways, ui.Option{Value: string(w), Text: c.p.K("way.", w), Hint: c.p.K("way.hint.", w)})
	}
	f.Codes = append(f.Codes, ui.Option{Value: "", Text: c.p.T("decide.choose")})
	for _, code := range register.AllRejections {
		f.Codes = append(f.Codes, ui.Option{Value: code, Text: c.p.K("reject.", code)})
	}
	return f
}

// Spans are the wanted spans as choices of the form.
func (f decideForm) Spans(a register.Application) ui.Field {
	var out []ui.Option
	for i, s := range a.Spans() {
		out = append(out, ui.Option{Value: fmt.Sprint(i), Text: f.P.Span(s.From, s.To)})
	}
	return f.Pick("spans", "check", out)
}

// decide approves in full or in part, or refuses with a reason.
func (o *Office) decide(c *call) error {
	a, err := o.d.Register.Get(c.r.PathValue("id"))
	if err != nil {
		return err
	}
	f := c.r.PostForm
	d := register.Decision{Approved: f.Get("decision") == "approve", Note: strings.TrimSpace(f.Get("note"))}
	var errs fielderr.Errors
	if d.Approved {
		d.Cameras = f["cameras"]
		for _, w := range f["ways"] {
			d.Ways = append(d.Ways, register.Way(w))
		}
		spans := a.Spans()
		for _, n := range f["spans"] {
			for i, s := range spans {
				if fmt.Sprint(i) == n {
					d.Spans = append(d.Spans, s)
				}
			}
		}
		d.From, d.Until = register.Date(f.Get("from")), register.Date(f.Get("until"))
		for field, empty := range map[string]bool{"cameras": len(d.Cameras) == 0, "ways": len(d.Ways) == 0, "spans": len(d.Spans) == 0} {
			if empty {
				errs.Add(field, "err.required")
			}
		}
		places := 0
		for _, cam := range o.d.Site.Cameras() {
			if slices.Contains(a.Places(), cam.Place) && !cam.Retired {
				places++
			}
		}
		d.Part = len(d.Cameras) < places || len(d.Spans) < len(spans) || len(d.Ways) < len(a.Ways) || d.Until < a.UseUntil
	} else if f.Get("decision") == "reject" {
		d.Code = f.Get("code")
		if d.Code == "" {
			errs.Add("code", "err.required")
		}
		if d.Note == "" {
			errs.Add("note", "err.required")
		}
	} else {
		errs.Add("decision", "err.choice")
	}
	if len(errs) == 0 {
		_, err = o.d.Register.Decide(c.r.Context(), c.who(), a.ID, d)
		if err == nil {
			if d.Approved {
				return c.done("/applications/"+a.ID, "done.approved")
			}
			return c.done("/applications/"+a.ID, "done.rejected")
		}
		var ok bool
		if errs, ok = errors.AsType[fielderr.Errors](err); !ok {
			return err
		}
	}
	return o.showApplication(c, 422, a, errs)
}

// step does one of the small steps of an application and says so.
func (o *Office) step(done string, do func(*call, string) (register.Application, error)) handler {
	return func(c *call) error {
		id := c.r.PathValue("id")
		_, err := do(c, id)
		if errs, ok := errors.AsType[fielderr.Errors](err); ok {
			a, err := o.d.Register.Get(id)
			if err != nil {
				return err
			}
			return o.showApplication(c, 422, a, errs)
		}
		if err != nil {
			return err
		}
		return c.done("/applications/"+id, done)
	}
}

func (o *Office) take(c *call, id string) (register.Application, error) {
	return o.d.Register.Review(c.r.Context(), c.who(), id, o.asked(id), "")
}

// asked are the cameras at the places that an application names.
func (o *Office) asked(id string) []string {
	a, err := o.d.Register.Get(id)
	if err != nil {
		return nil // whoever acts on it next says so
	}
	var out []string
	for _, cam := range o.d.Site.Cameras() {
		if slices.Contains(a.Places(), cam.Place) && !cam.Retired {
			out = append(out, cam.ID)
		}
	}
	return out
}

func (o *Office) giveBack(c *call, id string) (register.Application, error) {
	return o.d.Register.Return(c.r.Context(), c.who(), id, strings.TrimSpace(c.r.PostForm.Get("reason")))
}

func (o *Office) accept(c *call, id string) (register.Application, error) {
	return o.d.Register.Accept(c.r.Context(), c.who(), id)
}

// revoke ends an approval, and what is being watched under it.
func (o *Office) revoke(c *call, id string) (register.Application, error) {
	a, err := o.d.Register.Revoke(c.r.Context(), c.who(), id, strings.TrimSpace(c.r.PostForm.Get("reason")))
	if err == nil {
		o.closeUnder(c.r.Context(), id)
	}
	return a, err
}

func (o *Office) withdraw(c *call, id string) (register.Application, error) {
	a, err := o.d.Register.Withdraw(c.r.Context(), c.who(), id)
	if err == nil {
		o.closeUnder(c.r.Context(), id)
	}
	return a, err
}

func (o *Office) report(c *call, id string) (register.Application, error) {
	f := c.r.PostForm
	return o.d.Register.Report(c.r.Context(), c.who(), id, register.Report{At: c.now.Wall.UTC(), Result: f.Get("result"), Text: strings.TrimSpace(f.Get("text")), Copies: f.Get("copies")})
}

// steps is the custody timeline: what the log says was done, and what is to come.
func (o *Office) steps(c *call, a register.Application) ([]ui.Step, error) {
	page, err := o.d.Ledger.Search(c.r.Context(), store.Query{About: []string{a.ID}, Limit: 200})
	if err != nil {
		return nil, fmt.Errorf("reading the log of %s: %w", a.ID, err)
	}
	canLog := c.can(account.ActLogProof, account.Subject{})
	var out []ui.Step
	for _, e := range slices.Backward(page.Entries) {
		key := "step." + string(e.Kind)
		if !ui.Has(key) {
			continue
		}
		s := ui.Step{State: "done", Title: c.p.T(key), Text: c.actorName(e.Actor), When: c.p.When(e.At, c.now.Wall), Entry: c.p.T("entry.no", e.Seq)}
		if canLog {
			s.EntryHref = fmt.Sprintf("/log/%d", e.Seq)
		}
		switch e.Kind {
		case "access.refused", "application.rejected", "application.revoked", "application.overdue":
			s.State = "bad"
		case "footage.access.open":
			s.Text += " · " + c.entrySpan(e)
		}
		if e.Kind == "access.refused" && e.Actor.ID != c.actor.ID && !canLog {
			continue // others' refusals are the office's matter
		}
		out = append(out, s)
	}
	return append(out, c.coming(a)...), nil
}

// coming is what is still to be done, by whom and by when.
func (c *call) coming(a register.Application) []ui.Step {
	next := func(key, text, when string) ui.Step {
		return ui.Step{State: "next", Title: c.p.T(key), Text: text, When: when}
	}
	var out []ui.Step
	switch a.State {
	case register.Submitted, register.UnderReview:
		out = append(out, next("coming.decide", c.p.T("coming.decide.text"), ""), next("coming.use", "", c.p.T("app.until", string(a.UseUntil))))
	case register.AwaitSecond:
		out = append(out, next("coming.second", c.p.T("coming.second.text"), ""))
	case register.Returned:
		out = append(out, next("coming.mend", c.o.name(a.Applicant), ""))
	case register.Approved, register.InUse, register.Extracting, register.Delivered:
		out = append(out, next("coming.end", c.p.T("coming.end.text"), c.p.T("app.until", c.p.Day(a.Decision.Until.Begin()))),
			next("coming.report", c.p.T("coming.report.text"), c.p.T("app.report_by", c.p.Day(a.ReportBy(c.o.d.Site.Settings().Register).Add(-time.Second)))))
	case register.ReportDue, register.Overdue:
		out = append(out, next("coming.report", c.p.T("coming.report.text"), c.p.T("app.report_by", c.p.Day(a.ReportBy(c.o.d.Site.Settings().Register).Add(-time.Second)))))
	case register.Reported:
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
	if !decode(e.Data, &d) || d.Camera == "" {
		return ""
	}
	if d.Mode == evidence.Live || d.From.IsZero() {
		return c.o.cameraName(d.Camera)
	}
	return c.o.cameraName(d.Camera) + " " + c.p.Span(d.From, d.To)
}
