package usage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/usage"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
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
	Extend       *ui.Form // of the period of use
	Package      bool     // an extraction is approved
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
	v.Package = a.Decision != nil && a.Decision.Approved && slices.Contains(a.Decision.Ways, rules.WayPackage)
	v.CanRevoke = allowed(rules.Revoke) && c.Can(account.ActApplicationDecide, s)
	reviewed := a.AsksCopy() && !a.OfOffice && a.Reviewer == c.Actor.ID // another one decides
	if allowed(rules.Extend) && !reviewed && c.Can(account.ActApplicationDecide, s) {
		v.Extend = &ui.Form{Name: "extend", P: c.P, Values: c.R.PostForm, Errors: errs}
	}
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
