package oversight

import (
	"net/http"
	"net/url"
	"strings"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/oversight"
)

type violationsView struct {
	Rows    []violationRow
	Chips   []frame.Chip
	Pages   frame.Pages
	CanOpen bool
	All     bool // more than one's own
	Find    string
}

type violationRow struct {
	V                       rules.Violation
	Number, What, Who, From string
	State, Tone, Due, Late  string
	Measure                 string
}

type violationView struct {
	violationRow
	At, Facts           string
	Application         string
	First, Second       *rulingView
	Steps               []stepRow
	Hear, Note, Decide  bool
	Appeal, Settle, Own bool
	Rev                 string
	Form                ui.Form
	Which               string // the form that was refused
	Measures            ui.Field
}

type rulingView struct{ Measure, Who, When, Text, Referred, Receipt, Grave string }

func violationSubject(c *call) (account.Subject, error) {
	v, err := c.o.d.Oversight.Violation(c.R.PathValue("id"))
	return account.Subject{Person: v.Person, Application: v.Application}, known(err)
}

func (c *call) seesViolation(v rules.Violation) bool {
	return c.Can(account.ActViolationView, account.Subject{Person: v.Person})
}

func (c *call) violationRow(v rules.Violation) violationRow {
	r := violationRow{V: v, Number: v.Number(), What: c.P.K("violation.code.", v.Code), Who: c.name(v.Person), From: c.P.T("violation.by.rule"), State: c.P.K("violation.state.", v.State), Tone: "warn"}
	if v.By != "" {
		r.From = c.name(v.By)
	}
	if v.State != rules.Final {
		r.Due, r.Late = c.due(v.Due)
		if v.State == rules.Decided {
			r.Late = ""
		}
	}
	if f := v.InForce(); f != nil {
		r.Measure = c.P.K("measure.", f.Measure)
	}
	switch {
	case v.State == rules.Final:
		r.Tone = "mute"
	case v.Overdue(c.Now.Wall):
		r.Tone = "bad"
	case v.State == rules.Decided:
		r.Tone = "acc"
	}
	return r
}

func (o *Pages) violationsPage(c *call) error {
	f := c.R.URL.Query()
	v := violationsView{CanOpen: c.Can(account.ActViolationOpen, account.Subject{}), All: c.Can(account.ActViolationView, account.Subject{Person: "-"}), Find: strings.TrimSpace(f.Get("q"))}
	var rows []violationRow
	for _, x := range o.d.Oversight.Violations() {
		if !c.seesViolation(x) || (f.Get("state") == "final") != (x.State == rules.Final) {
			continue
		}
		r := c.violationRow(x)
		if v.Find != "" && !strings.Contains(r.Number+r.Who+r.What+x.Facts+x.Application, v.Find) {
			continue
		}
		rows = append(rows, r)
	}
	v.Chips = []frame.Chip{{Text: c.P.T("violations.open"), Href: "/violations", On: f.Get("state") != "final"}, {Text: c.P.T("violations.final"), Href: "/violations?state=final", On: f.Get("state") == "final"}}
	from, to, pages := c.PagesOf("/violations", f, len(rows))
	v.Rows, v.Pages = rows[from:to], pages
	return c.Page("violations", c.P.T("violations.title"), v)
}

type newViolationView struct {
	Form   ui.Form
	Code   ui.Field
	Person ui.Field
}

func (o *Pages) newViolationPage(c *call) error {
	return o.showNewViolation(c, http.StatusOK, c.R.URL.Query(), nil)
}

func (o *Pages) showNewViolation(c *call, status int, f url.Values, errs fielderr.Errors) error {
	v := newViolationView{Form: ui.Form{Name: "violation", P: c.P, Values: f, Errors: errs}}
	var codes []ui.Option
	for _, k := range rules.ViolationCodes {
		codes = append(codes, ui.Option{Value: string(k), Text: c.P.K("violation.code.", k)})
	}
	v.Code = v.Form.Pick("code", "select", codes).Req()
	v.Person = v.Form.Pick("person", "select", c.persons(c.P.T("violation.nobody")))
	return c.PageStatus(status, "violation_new", c.P.T("violation.new"), v)
}

func (o *Pages) openViolation(c *call) error {
	f := c.R.PostForm
	v, err := o.d.Oversight.OpenViolation(c.R.Context(), c.Who(), rules.Violation{Code: rules.ViolationCode(f.Get("code")), Person: f.Get("person"), Application: strings.TrimSpace(f.Get("application")), Facts: f.Get("facts")})
	errs, err := fault(c, err)
	if err != nil {
		return err
	}
	if errs != nil {
		return o.showNewViolation(c, http.StatusUnprocessableEntity, f, errs)
	}
	return c.Done("/violations/"+v.ID, "done.violation")
}

func (o *Pages) violationPage(c *call) error {
	return o.showViolation(c, http.StatusOK, "", url.Values{}, nil)
}

func (o *Pages) showViolation(c *call, status int, which string, f url.Values, errs fielderr.Errors) error {
	x, n, err := o.d.Oversight.ViolationRev(c.R.PathValue("id"))
	if err != nil {
		return known(err)
	}
	about := account.Subject{Person: x.Person}
	v := violationView{violationRow: c.violationRow(x), At: c.P.DayTime(x.At), Facts: x.Facts, Application: x.Application, Steps: c.steps("violation.step.", x.Steps), Which: which,
		Own: x.Person == c.Actor.ID, Rev: rev(n).Get("rev"), Form: ui.Form{Name: "violation", P: c.P, Values: f, Errors: errs}}
	v.First, v.Second = c.rulingView(x.Ruling), c.rulingView(x.Second)
	v.Hear = x.State == rules.Opened && c.Can(account.ActViolationHear, about)
	v.Note = x.State != rules.Final && c.Can(account.ActViolationOpen, about)
	v.Decide = x.State == rules.Heard && c.Actor.ID != x.By && c.Can(account.ActViolationDecide, about)
	v.Appeal = x.State == rules.Decided && !c.Now.Wall.After(x.Due) && v.Own && c.Can(account.ActViolationAppeal, about)
	v.Settle = x.State == rules.Appealed && x.Ruling.By != c.Actor.ID && c.Can(account.ActViolationDecide, about)
	var measures []ui.Option
	for _, m := range rules.Measures {
		measures = append(measures, ui.Option{Value: string(m), Text: c.P.K("measure.", m)})
	}
	v.Measures = v.Form.Pick("measure", "radio", measures).Req().Cols(12)
	return c.PageStatus(status, "violation", v.Number, v)
}

func (c *call) rulingView(r *rules.Ruling) *rulingView {
	if r == nil {
		return nil
	}
	v := &rulingView{Measure: c.P.K("measure.", r.Measure), Who: c.name(r.By), When: c.P.DayTime(r.At), Text: r.Text, Referred: r.Referred, Receipt: r.Receipt}
	if r.Grave {
		v.Grave = c.P.T("violation.grave")
	}
	return v
}

func (o *Pages) stepViolation(kind string) func(*call) error {
	return func(c *call) error {
		f := c.R.PostForm
		e := rules.ViolationEvent{Kind: kind, Text: f.Get("text")}
		if kind == rules.StepDecide || kind == rules.StepSettle {
			e.Ruling = &rules.Ruling{Measure: rules.Measure(f.Get("measure")), Grave: f.Get("grave") == "yes", Text: f.Get("text"), Referred: f.Get("referred"), Receipt: f.Get("receipt")}
		}
		_, err := o.d.Oversight.StepViolation(c.R.Context(), c.Who(), c.R.PathValue("id"), formRev(f), e)
		errs, err := fault(c, err)
		if err != nil {
			return err
		}
		if errs != nil {
			return o.showViolation(c, http.StatusUnprocessableEntity, kind, f, errs)
		}
		return c.Done("/violations/"+c.R.PathValue("id"), "done.violation."+kind)
	}
}

func (o *Pages) apiViolations(c *call) error {
	return list(c, o.d.Oversight.Violations(), c.seesViolation)
}
