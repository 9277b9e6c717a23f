package emergency

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	rules "campuskeep/shared/emergency"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// plansView is the list of emergency plans with what is due (S21).
type plansView struct {
	Rows []planRow
	Edit bool
	Over int
}

type planRow struct {
	ID, Title, Kind  string
	Version          int
	Announced        string
	Last, Due        string
	Tone, Icon, Text string
	Retired          bool
}

func (c *call) planRow(p rules.Plan) planRow {
	d := c.o.d.Emergency.Due(p)
	r := planRow{ID: p.ID, Title: p.Title, Kind: c.P.K("em.kind.", p.Kind), Version: p.Version, Announced: orDash(p.Announced), Last: orDash(d.Last), Due: orDash(d.Drill), Tone: "ok", Icon: "ok", Text: c.P.T("emplans.ok"), Retired: p.Retired}
	switch {
	case p.Retired:
		r.Tone, r.Icon, r.Text = "mute", "info", c.P.T("emplans.retired")
	case d.Over:
		r.Tone, r.Icon, r.Text = "bad", "clock", c.P.T("emplans.over")
	case d.Review:
		r.Tone, r.Icon, r.Text = "warn", "doc", c.P.T("emplans.review.over", p.Review)
	case p.Announced == "":
		r.Tone, r.Icon, r.Text = "warn", "msg", c.P.T("emplans.unannounced")
	}
	return r
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func (o *Pages) plansPage(c *call) error {
	v := plansView{Edit: c.Can(account.ActPlansEdit, account.Subject{})}
	for _, p := range o.d.Emergency.Plans() {
		v.Rows = append(v.Rows, c.planRow(p))
	}
	slices.SortStableFunc(v.Rows, func(a, b planRow) int { return frame.CompareBool(a.Retired, b.Retired) })
	return c.Page("plans", c.P.T("emplans.title"), v)
}

// planView is one plan with its drills.
type planView struct {
	planRow
	Muster, Body string
	Review       string
	Months       int
	By           string
	Drills       []drillRow
	Edit         bool
	Form         ui.Form
}

type drillRow struct {
	Event, Date, Full, Lessons string
	Participants, Version      int
}

func (o *Pages) planPage(c *call) error { return o.showPlan(c, http.StatusOK, nil) }

func (o *Pages) showPlan(c *call, status int, errs fielderr.Errors) error {
	p, _, ok := o.d.Emergency.Plan(c.R.PathValue("id"))
	if !ok {
		return frame.ErrNotFound
	}
	v := planView{planRow: c.planRow(p), Muster: p.Muster, Body: p.Text, Review: orDash(p.Review), Months: p.Months, By: c.P.T("emplans.by", o.Name(p.By), c.P.When(p.At, c.Now.Wall)),
		Edit: c.Can(account.ActPlansEdit, account.Subject{}), Form: ui.Form{Name: "drill", P: c.P, Values: c.R.PostForm, Errors: errs}}
	for _, d := range o.d.Emergency.Drills(p) {
		r := drillRow{Event: d.Event, Date: d.Date, Full: "–", Lessons: d.Lessons, Participants: d.Participants, Version: d.Version}
		if d.Full > 0 {
			r.Full = minutes(d.Full)
		}
		v.Drills = append(v.Drills, r)
	}
	return c.PageStatus(status, "plan", p.Title, v)
}

// planForm writes a plan or a new version of it.
type planForm struct {
	ui.Form
	ID    string
	Rev   uint64
	Kinds []ui.Option
}

func (o *Pages) planForm(c *call) error {
	id := c.R.PathValue("id")
	f := url.Values{"months": {"6"}, "kind": {string(rules.Fire)}}
	var rev uint64
	if id != "" {
		p, at, ok := o.d.Emergency.Plan(id)
		if !ok {
			return frame.ErrNotFound
		}
		rev = at
		f = url.Values{"title": {p.Title}, "kind": {string(p.Kind)}, "muster": {p.Muster}, "text": {p.Text}, "months": {strconv.Itoa(p.Months)}, "announced": {p.Announced}, "review": {p.Review}}
		if p.Retired {
			f.Set("retired", "1")
		}
	}
	return o.showPlanForm(c, http.StatusOK, f, rev, nil)
}

func (o *Pages) showPlanForm(c *call, status int, f url.Values, rev uint64, errs fielderr.Errors) error {
	v := planForm{Form: ui.Form{Name: "emplan", P: c.P, Values: f, Errors: errs}, ID: c.R.PathValue("id"), Rev: rev}
	for _, k := range rules.Kinds {
		v.Kinds = append(v.Kinds, ui.Option{Value: string(k), Text: c.P.K("em.kind.", k)})
	}
	return c.PageStatus(status, "plan_form", c.P.T("emplans.form"), v)
}

func (o *Pages) putPlan(c *call) error {
	f := c.R.PostForm
	n := rules.Plan{ID: c.R.PathValue("id"), Title: strings.TrimSpace(f.Get("title")), Kind: rules.Kind(f.Get("kind")), Muster: strings.TrimSpace(f.Get("muster")), Text: strings.TrimSpace(f.Get("text")),
		Announced: f.Get("announced"), Review: f.Get("review"), Retired: f.Get("retired") != ""}
	rev := uint64(0)
	if n.ID != "" {
		rev = frame.FormRev(f)
	}
	var err error
	var errs fielderr.Errors
	if n.Months, err = strconv.Atoi(strings.TrimSpace(f.Get("months"))); err != nil {
		errs.Add("months", "err.number")
	} else if n, err = o.d.Emergency.PutPlan(c.R.Context(), c.Who(), c.Decision.Role, n, strings.TrimSpace(f.Get("reason")), rev); err == nil {
		return c.Done("/plans/"+n.ID, "done.emplan")
	} else if !errors.As(err, &errs) {
		return notFound(err)
	}
	return o.showPlanForm(c, http.StatusUnprocessableEntity, f, rev, errs)
}

func (o *Pages) putDrill(c *call) error {
	f := c.R.PostForm
	d := rules.PastDrill{Date: f.Get("date"), Lessons: strings.TrimSpace(f.Get("lessons"))}
	var errs fielderr.Errors
	for _, x := range []struct {
		name string
		to   *int
	}{{"participants", &d.Participants}, {"minutes", &d.Minutes}} {
		text := strings.TrimSpace(f.Get(x.name))
		n, err := strconv.Atoi(text)
		if err != nil && text != "" {
			errs.Add(x.name, "err.number")
		}
		*x.to = n
	}
	if len(errs) == 0 {
		err := o.d.Emergency.RecordDrill(c.R.Context(), c.Who(), c.Decision.Role, c.R.PathValue("id"), d)
		if err == nil {
			return c.Done("/plans/"+c.R.PathValue("id"), "done.drill")
		}
		if !errors.As(err, &errs) {
			return notFound(err)
		}
	}
	return o.showPlan(c, http.StatusUnprocessableEntity, errs)
}

// patrolsView is the list of patrols, with the form of a new one.
type patrolsView struct {
	Form   ui.Form
	Places []ui.Option
	Write  bool
	Rows   []patrolRow
	Pages  frame.Pages
	Filter string
	Total  int
}

type patrolRow struct{ When, Place, Findings, Action, By string }

func (o *Pages) patrolsPage(c *call) error {
	return o.showPatrols(c, http.StatusOK, url.Values{"date": {c.Today()}, "clock": {c.P.Clock(c.Now.Wall)}}, nil)
}

func (o *Pages) showPatrols(c *call, status int, f url.Values, errs fielderr.Errors) error {
	v := patrolsView{Form: ui.Form{Name: "patrol", P: c.P, Values: f, Errors: errs}, Write: c.Can(account.ActPatrolsWrite, account.Subject{}), Filter: c.R.URL.Query().Get("place")}
	for _, p := range o.d.Site.Places() {
		v.Places = append(v.Places, ui.Option{Value: p.ID, Text: p.Name, On: p.ID == v.Filter})
	}
	list := o.d.Emergency.Patrols()
	if v.Filter != "" {
		list = slices.DeleteFunc(list, func(p rules.Patrol) bool { return p.Place != v.Filter })
	}
	v.Total = len(list)
	from, to, pages := c.PagesOf("/patrols", c.R.URL.Query(), len(list))
	v.Pages = pages
	for _, p := range list[from:to] {
		v.Rows = append(v.Rows, patrolRow{p.Date + " " + p.Clock, c.placeName(p.Place), p.Findings, p.Action, o.Name(p.By)})
	}
	return c.PageStatus(status, "patrols", c.P.T("patrols.title"), v)
}

func (o *Pages) putPatrol(c *call) error {
	f := c.R.PostForm
	var places []string
	for _, p := range o.d.Site.Places() {
		places = append(places, p.ID)
	}
	p := rules.Patrol{Date: f.Get("date"), Clock: strings.TrimSpace(f.Get("clock")), Place: f.Get("place"), Findings: strings.TrimSpace(f.Get("findings")), Action: strings.TrimSpace(f.Get("action"))}
	err := o.d.Emergency.PutPatrol(c.R.Context(), c.Who(), c.Decision.Role, p, places)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showPatrols(c, http.StatusUnprocessableEntity, f, errs)
	}
	if err != nil {
		return err
	}
	return c.Done("/patrols", "done.patrol")
}

// APIPlan is an emergency plan with its drills.
type APIPlan struct {
	rules.Plan
	LastDrill string     `json:"last_drill,omitempty"`
	NextDrill string     `json:"next_drill,omitempty"`
	Overdue   bool       `json:"overdue"`
	Held      []APIDrill `json:"held"`
}

// APIDrill is one drill of a plan.
type APIDrill struct {
	Event        string `json:"event,omitempty"`
	Date         string `json:"date"`
	Participants int    `json:"participants"`
	FullSeconds  int    `json:"full_seconds,omitempty"`
	Lessons      string `json:"lessons,omitempty"`
}

func (o *Pages) apiPlan(p rules.Plan) APIPlan {
	d := o.d.Emergency.Due(p)
	out := APIPlan{Plan: p, LastDrill: d.Last, NextDrill: d.Drill, Overdue: d.Over, Held: []APIDrill{}}
	for _, x := range o.d.Emergency.Drills(p) {
		out.Held = append(out.Held, APIDrill{x.Event, x.Date, x.Participants, int(x.Full.Seconds()), x.Lessons})
	}
	return out
}

func (o *Pages) apiPlans(c *call) error {
	out := []APIPlan{}
	for _, p := range o.d.Emergency.Plans() {
		out = append(out, o.apiPlan(p))
	}
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiOnePlan(c *call) error {
	p, _, ok := o.d.Emergency.Plan(c.R.PathValue("id"))
	if !ok {
		return frame.ErrNotFound
	}
	return c.JSON(http.StatusOK, o.apiPlan(p))
}

func (o *Pages) apiPatrols(c *call) error {
	return c.JSON(http.StatusOK, o.d.Emergency.Patrols()) // never nil
}
