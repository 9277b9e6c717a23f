// Package oversight shows supervision: violations, inspections with their findings, the regulation, the feedback of the
// units, and the filing with the police.
package oversight

import (
	"cmp"
	"embed"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/oversight"
	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/oversight"
)

// Templates are the pages of this package.
//
//go:embed *.html
var Templates embed.FS

// Deps is what these pages need.
type Deps struct {
	Oversight *oversight.Office
	People    *people.People
	Site      *site.Site
	Info      frame.Info
	Zone      *time.Location
}

// Pages are the pages of this subject; all methods are safe for concurrent use.
type Pages struct {
	*frame.Server
	d Deps
}

// New makes the pages; it starts nothing.
func New(s *frame.Server, d Deps) *Pages { return &Pages{Server: s, d: d} }

// call is one request, with the pages that answer it.
type call struct {
	*frame.Call
	o *Pages
}

// Routes are the addresses of this package with their permissions.
func (o *Pages) Routes() []frame.Route {
	on := frame.Binder[*call](func(c *frame.Call) *call { return &call{c, o} })
	get := func(pattern string, a account.Action, s frame.SubjectFunc, h func(*call) error) frame.Route {
		return frame.Route{Pattern: pattern, Action: a, Subject: s, Handle: on.Do(h)}
	}
	violation, finding := on.About(violationSubject), on.About(findingSubject)
	return []frame.Route{
		get("GET /violations", account.ActViolationView, frame.Self, o.violationsPage),
		get("GET /violations/new", account.ActViolationOpen, frame.Anything, o.newViolationPage),
		get("POST /violations/new", account.ActViolationOpen, frame.Anything, o.openViolation),
		get("GET /violations/{id}", account.ActViolationView, violation, o.violationPage),
		get("POST /violations/{id}/hear", account.ActViolationHear, violation, o.stepViolation(rules.StepHear)),
		get("POST /violations/{id}/note", account.ActViolationOpen, violation, o.stepViolation(rules.StepNote)),
		get("POST /violations/{id}/decide", account.ActViolationDecide, violation, o.stepViolation(rules.StepDecide)),
		get("POST /violations/{id}/appeal", account.ActViolationAppeal, violation, o.stepViolation(rules.StepAppeal)),
		get("POST /violations/{id}/settle", account.ActViolationDecide, violation, o.stepViolation(rules.StepSettle)),
		get("GET /inspections", account.ActInspectionView, frame.Self, o.inspectionsPage),
		get("GET /inspections/plans/new", account.ActInspectionPlan, frame.Anything, o.planPage),
		get("GET /inspections/plans/{id}", account.ActInspectionPlan, frame.Anything, o.planPage),
		get("POST /inspections/plans", account.ActInspectionPlan, frame.Anything, o.putPlan),
		get("POST /inspections/begin", account.ActInspectionMake, frame.Anything, o.beginInspection),
		get("GET /inspections/{id}", account.ActInspectionView, frame.Anything, o.inspectionPage),
		get("POST /inspections/{id}", account.ActInspectionMake, frame.Anything, o.putInspection),
		get("GET /findings/{id}", account.ActInspectionView, finding, o.findingPage),
		get("POST /findings/{id}/mend", account.ActFindingMend, finding, o.stepFinding(rules.StepMend)),
		get("POST /findings/{id}/pass", account.ActFindingCheck, finding, o.stepFinding(rules.StepPass)),
		get("POST /findings/{id}/back", account.ActFindingCheck, finding, o.stepFinding(rules.StepBack)),
		get("POST /findings/{id}/move", account.ActFindingCheck, finding, o.stepFinding(rules.StepMove)),
		get("POST /findings/{id}/police", account.ActFindingCheck, finding, o.stepFinding(rules.StepPolice)),
		get("GET /regulations", account.ActRegulationRead, frame.Anything, o.regulationsPage),
		get("GET /regulations/new", account.ActRegulationEdit, frame.Anything, o.draftPage),
		get("POST /regulations", account.ActRegulationEdit, frame.Anything, o.putDraft),
		get("GET /regulations/{id}", account.ActRegulationRead, frame.Anything, o.regulationPage),
		get("GET /regulations/{id}/edit", account.ActRegulationEdit, frame.Anything, o.draftPage),
		get("POST /regulations/{id}/review", account.ActRegulationEdit, frame.Anything, o.stepRegulation(rules.StepReview)),
		get("POST /regulations/{id}/announce", account.ActRegulationEdit, frame.Anything, o.stepRegulation(rules.StepAnnounce)),
		get("POST /regulations/{id}/drop", account.ActRegulationEdit, frame.Anything, o.stepRegulation(rules.StepDrop)),
		get("POST /regulations/{id}/read", account.ActRegulationRead, frame.Anything, o.readRegulation),
		get("GET /feedback", account.ActRegulationRead, frame.Anything, o.feedbackPage),
		get("POST /feedback", account.ActFeedbackAsk, frame.Anything, o.ask),
		get("POST /feedback/{id}/reply", account.ActFeedbackReply, on.About(ownUnit), o.reply),
		get("POST /feedback/{id}/answer", account.ActFeedbackAsk, frame.Anything, o.answerUnit),
		get("GET /filing", account.ActFilingView, frame.Anything, o.filingPage),
		get("POST /filing", account.ActFilingEdit, frame.Anything, o.putFiling),
		get("POST /filing/print", account.ActFilingView, frame.Anything, o.printFiling),
		get("GET /filing/sheet", account.ActFilingView, frame.Anything, o.filingSheet),
		get("GET /api/v1/violations", account.ActViolationView, frame.Self, o.apiViolations),
		get("GET /api/v1/inspections", account.ActInspectionView, frame.Self, o.apiInspections),
		get("GET /api/v1/findings", account.ActInspectionView, frame.Self, o.apiFindings),
		get("GET /api/v1/regulations", account.ActRegulationRead, frame.Anything, o.apiRegulations),
		get("GET /api/v1/feedback", account.ActRegulationRead, frame.Anything, o.apiFeedback),
		get("GET /api/v1/filing", account.ActFilingView, frame.Anything, o.apiFiling),
	}
}

// fault turns an error of a step into what the page shows at its form: the fields, and the text of what does not fit.
// Another error is returned.
func fault(c *call, err error) (fielderr.Errors, error) {
	if err == nil {
		return nil, nil
	}
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return errs, nil
	}
	if ill, ok := errors.AsType[*rules.Illegal](err); ok {
		return fielderr.Errors{{Field: "text", Rule: ill.Rule}}, nil
	}
	if errors.Is(err, oversight.ErrNotFound) {
		return nil, frame.ErrNotFound
	}
	return nil, err
}

// known turns "no such record" into the answer of a page.
func known(err error) error {
	if errors.Is(err, oversight.ErrNotFound) {
		return frame.ErrNotFound
	}
	return err
}

// persons are those who can be given something to do, by name.
func (c *call) persons(none string) []ui.Option {
	out := []ui.Option{{Value: "", Text: none}}
	var list []people.Person
	for _, p := range c.o.d.People.People() {
		if !p.Disabled {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b people.Person) int { return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Name, b.Name)) })
	for _, p := range list {
		text := p.Name
		if p.Unit != "" {
			text = p.Unit + " " + text
		}
		out = append(out, ui.Option{Value: p.ID, Text: text})
	}
	return out
}

// units are the departments that persons belong to.
func (c *call) units() (out []string) {
	for _, p := range c.o.d.People.People() {
		if p.Unit != "" && !p.Disabled && !slices.Contains(out, p.Unit) {
			out = append(out, p.Unit)
		}
	}
	slices.Sort(out)
	return out
}

func (c *call) name(id string) string {
	if id == "" {
		return ""
	}
	return c.o.Name(id)
}

// day is a date that was typed: the end of that day, zero when there is none.
func (c *call) day(f url.Values, field string, errs *fielderr.Errors) time.Time {
	text := strings.TrimSpace(f.Get(field))
	if text == "" {
		return time.Time{}
	}
	t, err := time.ParseInLocation(time.DateOnly, text, c.o.d.Zone)
	if err != nil {
		errs.Add(field, "err.date")
		return time.Time{}
	}
	return t.Add(24*time.Hour - time.Second)
}

func formRev(f url.Values) uint64 { return frame.FormRev(f) }

func rev(n uint64) url.Values { return url.Values{"rev": {strconv.FormatUint(n, 10)}} }

// stepRow is one step of a record as its page lists it.
type stepRow struct{ What, Who, When, Text string }

func (c *call) steps(prefix string, list []rules.Step) []stepRow {
	var out []stepRow
	for _, s := range slices.Backward(list) {
		out = append(out, stepRow{c.P.K(prefix, s.Kind), c.name(s.By), c.P.DayTime(s.At), s.Text})
	}
	return out
}

// due is a date with its tone: late, near, or neither.
func (c *call) due(at time.Time) (text, tone string) {
	if at.IsZero() {
		return "", ""
	}
	switch left := at.Sub(c.Now.Wall); {
	case left < 0:
		return c.P.T("oversight.late", c.P.Words(-left.Truncate(time.Minute))), "bad"
	case left < 3*24*time.Hour:
		return c.P.Day(at), "warn"
	}
	return c.P.Day(at), ""
}

// Needs are what waits for the person who asks.
func (o *Pages) Needs(call0 *frame.Call) ([]frame.Need, error) {
	c := &call{call0, o}
	now := c.Now.Wall
	var out []frame.Need
	for _, v := range o.d.Oversight.Violations() {
		own := v.Person == c.Actor.ID
		n := frame.Need{Tone: "warn", Icon: "warn", Kind: c.P.T("violations.title"), Badge: c.P.K("violation.state.", v.State), Title: v.Number(), Text: c.P.K("violation.code.", v.Code), Href: "/violations/" + v.ID, Do: c.P.T("see")}
		if !v.Due.IsZero() {
			n.Due, _ = c.due(v.Due)
		}
		if v.Overdue(now) {
			n.Tone, n.Icon = "bad", "bad"
		}
		switch {
		case own && (v.State == rules.Opened || v.State == rules.Decided && now.Before(v.Due)):
			n.Primary = v.State == rules.Opened
			out = append(out, n)
		case !own && (v.State == rules.Heard || v.State == rules.Appealed || v.Overdue(now)) && c.Can(account.ActViolationDecide, account.Subject{Person: v.Person}):
			n.Primary = true
			out = append(out, n)
		}
	}
	for _, f := range o.d.Oversight.Findings() {
		if f.State == rules.Closed {
			break // they come last
		}
		mine := f.State == rules.ToMend && f.Owner == c.Actor.ID
		check := c.Can(account.ActFindingCheck, account.Subject{}) && (f.State == rules.Mended || f.Overdue(now) || f.Private && f.Police == nil)
		if !mine && !check {
			continue
		}
		n := frame.Need{Tone: "warn", Icon: "doc", Kind: c.P.T("findings.title"), Badge: c.P.K("finding.state.", f.State), Title: f.What, Text: f.Text, Href: "/findings/" + f.ID, Do: c.P.T("see"), Primary: mine}
		if n.Due, _ = c.due(f.Due); f.Overdue(now) || f.Private && f.Police == nil {
			n.Tone, n.Icon = "bad", "bad"
		}
		out = append(out, n)
	}
	if c.Can(account.ActInspectionMake, account.Subject{}) {
		for _, p := range o.d.Oversight.Plans() {
			if !p.Due.IsZero() && p.Person == c.Actor.ID && p.Due.Before(now.AddDate(0, 0, 1)) {
				due, tone := c.due(p.Due)
				out = append(out, frame.Need{Tone: cmp.Or(tone, "warn"), Icon: "doc", Kind: c.P.T("inspections.title"), Badge: c.P.K("cadence.", p.Cadence), Title: p.Title, Due: due, Href: "/inspections", Do: c.P.T("see")})
			}
		}
	}
	for _, r := range o.d.Oversight.Regulations() {
		if _, read := r.Readers[c.Actor.ID]; r.State == rules.Announced && !read && c.Can(account.ActRegulationRead, account.Subject{}) {
			out = append(out, frame.Need{Tone: "acc", Icon: "doc", Kind: c.P.T("regulations.title"), Badge: c.P.K("regulation.state.", r.State), Title: r.Title, Due: c.P.Day(r.Until), Href: "/regulations/" + r.ID, Do: c.P.T("regulation.toread")})
		}
	}
	for _, f := range o.d.Oversight.Feedback() {
		for _, u := range f.Missing() {
			if c.Can(account.ActFeedbackReply, account.Subject{Unit: u}) {
				due, tone := c.due(f.Due)
				out = append(out, frame.Need{Tone: cmp.Or(tone, "acc"), Icon: "doc", Kind: c.P.T("feedback.title"), Title: f.Title, Text: u, Due: due, Href: "/feedback#" + f.ID, Do: c.P.T("feedback.reply")})
			}
		}
	}
	if c.Can(account.ActFilingEdit, account.Subject{}) {
		if d, filed := c.difference(); filed && !d.None() {
			due, tone := c.due(d.Due)
			out = append(out, frame.Need{Tone: cmp.Or(tone, "warn"), Icon: "doc", Kind: c.P.T("filing.title"), Title: c.P.T("filing.need"), Due: due, Href: "/filing", Do: c.P.T("see")})
		}
	}
	return out, nil
}

func ownUnit(c *call) (account.Subject, error) {
	return account.Subject{Unit: c.R.PostForm.Get("unit")}, nil
}

// list answers JSON that is never null.
func list[T any](c *call, all []T, keep func(T) bool) error {
	out := []T{}
	for _, x := range all {
		if keep(x) {
			out = append(out, x)
		}
	}
	return c.JSON(http.StatusOK, out)
}
