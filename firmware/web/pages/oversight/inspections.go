package oversight

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/oversight"
)

func (c *call) seesFinding(f rules.Finding) bool {
	return c.Can(account.ActInspectionView, account.Subject{Person: f.Owner})
}

// seesInspections: all of them; an owner of findings sees these alone.
func (c *call) seesInspections() bool { return c.Can(account.ActInspectionView, account.Subject{}) }

type inspectionsView struct {
	Plans    []planRow
	Findings []findingRow
	Past     []inspectionRow
	Chips    []frame.Chip
	Pages    frame.Pages
	CanPlan  bool
	CanMake  bool
	All      bool
	Open     int
	Overdue  int
}

type planRow struct {
	ID, Title, Cadence, Who string
	Last, LastText          string
	Due, Tone               string
	Items                   int
	Ended                   bool
}

type findingRow struct {
	F              rules.Finding
	Who, State     string
	Tone, Due, DoT string
}

type inspectionRow struct {
	I                       rules.Inspection
	Number, Who, When, Text string
	Href                    string
	Bad                     int
}

func findingSubject(c *call) (account.Subject, error) {
	f, _, err := c.o.d.Oversight.Finding(c.R.PathValue("id"))
	return account.Subject{Person: f.Owner}, known(err)
}

func (c *call) findingRow(f rules.Finding) findingRow {
	r := findingRow{F: f, Who: c.name(f.Owner), State: c.P.K("finding.state.", f.State), Tone: "acc"}
	if r.Due, r.DoT = c.due(f.Due); f.State != rules.ToMend {
		r.Due, r.DoT = c.P.Day(f.Due), ""
	}
	switch {
	case f.State == rules.Closed:
		r.Tone = "ok"
	case f.Overdue(c.Now.Wall) || f.Private && f.Police == nil:
		r.Tone = "bad"
	case f.State == rules.Mended:
		r.Tone = "warn"
	}
	return r
}

func (o *Pages) inspectionsPage(c *call) error {
	f := c.R.URL.Query()
	v := inspectionsView{CanPlan: c.Can(account.ActInspectionPlan, account.Subject{}), CanMake: c.Can(account.ActInspectionMake, account.Subject{}), All: c.seesInspections()}
	closed := f.Get("state") == "closed"
	var rows []findingRow
	for _, x := range o.d.Oversight.Findings() {
		if !c.seesFinding(x) {
			continue
		}
		if x.State != rules.Closed {
			v.Open++
			if x.Overdue(c.Now.Wall) {
				v.Overdue++
			}
		}
		if (x.State == rules.Closed) == closed {
			rows = append(rows, c.findingRow(x))
		}
	}
	v.Chips = []frame.Chip{{Text: c.P.T("findings.open"), Href: "/inspections", On: !closed}, {Text: c.P.T("findings.closed"), Href: "/inspections?state=closed", On: closed}}
	from, to, pages := c.PagesOf("/inspections", f, len(rows))
	v.Findings, v.Pages = rows[from:to], pages
	if v.All {
		for _, p := range o.d.Oversight.Plans() {
			r := planRow{ID: p.ID, Title: p.Title, Cadence: c.P.K("cadence.", p.Cadence), Who: c.name(p.Person), Items: len(p.Items), Ended: p.Ended}
			r.Due, r.Tone = c.due(p.Due)
			if p.Last != nil {
				r.Last, r.LastText = c.P.Day(p.Last.Submitted), c.P.T("inspection.found", len(p.Last.Items), p.Last.BadOnes())
			}
			v.Plans = append(v.Plans, r)
		}
		for i, x := range o.d.Oversight.Inspections() {
			if i == frame.MostPast {
				break
			}
			r := inspectionRow{I: x, Number: x.Number(), Who: c.name(x.By), When: c.P.DayTime(x.Began), Href: "/inspections/" + x.ID, Text: c.P.T("inspection.left", x.Left()), Bad: x.BadOnes()}
			if !x.Submitted.IsZero() {
				r.When, r.Text = c.P.DayTime(x.Submitted), c.P.T("inspection.found", len(x.Items), r.Bad)
			}
			v.Past = append(v.Past, r)
		}
	}
	return c.Page("inspections", c.P.T("inspections.title"), v)
}

type planView struct {
	ID      string
	Form    ui.Form
	Cadence ui.Field
	Person  ui.Field
}

// proposed are the checklists that a school can begin with: the mock's four.
var proposed = []struct {
	key     string
	cadence rules.Cadence
}{{"private", rules.Weekly}, {"devices", rules.Monthly}, {"use", rules.Quarterly}}

func (o *Pages) planPage(c *call) error {
	f := url.Values{"from": {c.P.ISODate(c.Now.Wall)}, "cadence": {string(rules.Monthly)}}
	if id := c.R.PathValue("id"); id != "" {
		p, n, err := o.d.Oversight.Plan(id)
		if err != nil {
			return known(err)
		}
		f = rev(n)
		f["id"], f["title"], f["cadence"], f["person"], f["from"] = []string{p.ID}, []string{p.Title}, []string{string(p.Cadence)}, []string{p.Person}, []string{c.P.ISODate(p.From)}
		f.Set("items", itemsText(p.Items))
		if p.Ended {
			f.Set("ended", "yes")
		}
	}
	for _, x := range proposed {
		if c.R.URL.Query().Get("from") == x.key {
			f.Set("title", c.P.T("plan.proposed."+x.key))
			f.Set("items", c.P.T("plan.proposed."+x.key+".items"))
			f.Set("cadence", string(x.cadence))
		}
	}
	return o.showPlan(c, http.StatusOK, f, nil)
}

// privateMark begins a line whose finding is to be reported to the police.
const privateMark = "*"

func itemsText(items []rules.Item) string {
	var b strings.Builder
	for _, i := range items {
		if i.Private {
			b.WriteString(privateMark + " ")
		}
		b.WriteString(i.Text + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func itemsOf(text string) (items []rules.Item) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		rest, private := strings.CutPrefix(line, privateMark)
		items = append(items, rules.Item{Text: strings.TrimSpace(rest), Private: private})
	}
	return items
}

func (o *Pages) showPlan(c *call, status int, f url.Values, errs fielderr.Errors) error {
	v := planView{ID: f.Get("id"), Form: ui.Form{Name: "plan", P: c.P, Values: f, Errors: errs}}
	var cadences []ui.Option
	for _, k := range rules.Cadences {
		cadences = append(cadences, ui.Option{Value: string(k), Text: c.P.K("cadence.", k)})
	}
	v.Cadence = v.Form.Pick("cadence", "select", cadences).Req()
	v.Person = v.Form.Pick("person", "select", c.persons(c.P.T("choose"))).Req()
	return c.PageStatus(status, "inspection_plan", c.P.T("plan.title"), v)
}

func (o *Pages) putPlan(c *call) error {
	f := c.R.PostForm
	var errs fielderr.Errors
	from := c.day(f, "from", &errs)
	p := rules.Plan{ID: f.Get("id"), Title: f.Get("title"), Cadence: rules.Cadence(f.Get("cadence")), Person: f.Get("person"), Items: itemsOf(f.Get("items")), From: from, Ended: f.Get("ended") == "yes"}
	if len(errs) == 0 {
		_, err := o.d.Oversight.PutPlan(c.R.Context(), c.Who(), p, formRev(f))
		if errs, err = fault(c, err); err != nil {
			return err
		}
	}
	if len(errs) > 0 {
		return o.showPlan(c, http.StatusUnprocessableEntity, f, errs)
	}
	return c.Done("/inspections", "done.plan")
}

func (o *Pages) beginInspection(c *call) error {
	i, err := o.d.Oversight.BeginInspection(c.R.Context(), c.Who(), c.R.PostForm.Get("plan"))
	if err != nil {
		return known(err)
	}
	return c.SeeOther("/inspections/" + i.ID)
}

type inspectionView struct {
	I       rules.Inspection
	Number  string
	Who     string
	Began   string
	Done    string // when it was submitted
	Left    int
	Items   []itemRow
	Mine    bool
	Errors  fielderr.Errors
	Form    ui.Form
	Persons []ui.Option
}

type itemRow struct {
	Index, N  int // of the item, from 0 and from 1
	Item      rules.Item
	A         rules.Answer
	Result    string
	Owner     string
	Due       string
	Finding   string
	Error     string
	Persons   []ui.Option
	Good, Bad bool
	NA        bool
}

func (o *Pages) inspectionPage(c *call) error {
	return o.showInspection(c, http.StatusOK, nil)
}

func (o *Pages) showInspection(c *call, status int, errs fielderr.Errors) error {
	i, _, err := o.d.Oversight.Inspection(c.R.PathValue("id"))
	if err != nil {
		return known(err)
	}
	v := inspectionView{I: i, Number: i.Number(), Who: c.name(i.By), Began: c.P.DayTime(i.Began), Left: i.Left(), Mine: i.By == c.Actor.ID && i.Submitted.IsZero(), Form: ui.Form{Name: "inspection", P: c.P, Errors: errs}}
	if !i.Submitted.IsZero() {
		v.Done = c.P.DayTime(i.Submitted)
	}
	persons := c.persons(c.P.T("choose"))
	for n, it := range i.Items {
		a := i.Answers[n]
		r := itemRow{Index: n, N: n + 1, Item: it, A: a, Owner: c.name(a.Owner), Good: a.Result == rules.Good, Bad: a.Result == rules.Bad, NA: a.Result == rules.NotApplicable}
		if a.Result != "" {
			r.Result = c.P.K("check.", a.Result)
		}
		if !a.Due.IsZero() {
			r.Due = c.P.ISODate(a.Due)
		}
		if v.Done != "" && r.Bad {
			r.Finding = fmt.Sprintf("%s.%d", i.ID, n+1)
		}
		for _, e := range errs {
			if e.Field == fmt.Sprintf("item.%d", n) {
				r.Error = c.P.T(e.Rule, e.Args...)
			}
		}
		for _, p := range persons {
			p.On = p.Value == a.Owner
			r.Persons = append(r.Persons, p)
		}
		v.Items = append(v.Items, r)
	}
	return c.PageStatus(status, "inspection", i.Title, v)
}

// putInspection keeps every answer that was given, and ends the inspection when that is asked for.
func (o *Pages) putInspection(c *call) error {
	f := c.R.PostForm
	id := c.R.PathValue("id")
	i, _, err := o.d.Oversight.Inspection(id)
	if err != nil {
		return known(err)
	}
	var errs fielderr.Errors
	for n := range i.Items {
		field := fmt.Sprintf("item.%d", n)
		result := f.Get(field)
		if result == "" {
			continue
		}
		a := rules.Answer{Result: rules.Result(result), Text: f.Get(field + ".text"), Owner: f.Get(field + ".owner"), Due: c.day(f, field+".due", &errs)}
		if was := i.Answers[n]; a.Result == was.Result && a.Text == was.Text && a.Owner == was.Owner && a.Due.Equal(was.Due) {
			continue
		}
		_, err := o.d.Oversight.AnswerItem(c.R.Context(), c.Who(), id, n, a)
		e, err := fault(c, err)
		if err != nil {
			return err
		}
		for _, x := range e {
			x.Field = field
			errs = append(errs, x)
		}
	}
	if len(errs) == 0 && f.Get("do") == "submit" {
		_, err := o.d.Oversight.SubmitInspection(c.R.Context(), c.Who(), id)
		if errs, err = fault(c, err); err != nil {
			return err
		}
		if len(errs) == 0 {
			return c.Done("/inspections", "done.inspection")
		}
	}
	if len(errs) > 0 {
		return o.showInspection(c, http.StatusUnprocessableEntity, errs)
	}
	return c.Done("/inspections/"+id, "done.inspection.saved")
}

type findingView struct {
	findingRow
	Inspection             string
	Text, At               string
	Steps                  []stepRow
	Rev                    string
	Mend, Check, Move      bool
	Police                 bool // is to be reported
	Reported               *rules.Police
	ReportedAt             string
	Form                   ui.Form
	Which                  string
	Owner                  ui.Field
	MustReport, OwnNoCheck bool
}

func (o *Pages) findingPage(c *call) error {
	return o.showFinding(c, http.StatusOK, "", url.Values{}, nil)
}

func (o *Pages) showFinding(c *call, status int, which string, f url.Values, errs fielderr.Errors) error {
	x, n, err := o.d.Oversight.Finding(c.R.PathValue("id"))
	if err != nil {
		return known(err)
	}
	check := c.Can(account.ActFindingCheck, account.Subject{Person: x.Owner})
	v := findingView{findingRow: c.findingRow(x), Text: x.Text, At: c.P.DayTime(x.At), Steps: c.steps("finding.step.", x.Steps), Rev: rev(n).Get("rev"), Which: which, Reported: x.Police,
		Form: ui.Form{Name: "finding", P: c.P, Values: f, Errors: errs}}
	if c.seesInspections() {
		v.Inspection = x.Inspection
	}
	v.Mend = x.State == rules.ToMend && c.Can(account.ActFindingMend, account.Subject{Person: x.Owner})
	v.Check = x.State == rules.Mended && check
	v.Move = x.State == rules.ToMend && check
	v.MustReport = x.Private && x.Police == nil
	v.Police = v.MustReport && check && x.State != rules.Closed
	if x.Police != nil {
		v.ReportedAt = c.P.Day(x.Police.At)
	}
	if which != rules.StepMove {
		f = url.Values{"owner": {x.Owner}}
	}
	v.Owner = ui.Form{Name: "finding", P: c.P, Values: f, Errors: errs}.Pick("owner", "select", c.persons(c.P.T("choose"))).Req()
	return c.PageStatus(status, "finding", x.What, v)
}

func (o *Pages) stepFinding(kind string) func(*call) error {
	return func(c *call) error {
		f := c.R.PostForm
		var errs fielderr.Errors
		e := rules.FindingEvent{Kind: kind, Text: f.Get("text"), Owner: f.Get("owner"), Due: c.day(f, "due", &errs)}
		if kind == rules.StepPolice {
			at := c.day(f, "at", &errs)
			if !at.IsZero() {
				at = at.Add(time.Second - 24*time.Hour) // its beginning: today is no day of the future
			}
			e.Police = &rules.Police{At: at, To: f.Get("to"), Receipt: f.Get("receipt")}
		}
		if len(errs) == 0 {
			_, err := o.d.Oversight.StepFinding(c.R.Context(), c.Who(), c.R.PathValue("id"), formRev(f), e)
			if errs, err = fault(c, err); err != nil {
				return err
			}
		}
		if len(errs) > 0 {
			return o.showFinding(c, http.StatusUnprocessableEntity, kind, f, errs)
		}
		return c.Done("/findings/"+c.R.PathValue("id"), "done.finding")
	}
}

func (o *Pages) apiInspections(c *call) error {
	return list(c, o.d.Oversight.Inspections(), func(rules.Inspection) bool { return c.seesInspections() })
}

func (o *Pages) apiFindings(c *call) error {
	return list(c, o.d.Oversight.Findings(), c.seesFinding)
}
