package records

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/records"
)

// concernRow is one concern of a list. What it says in words is on its own page.
type concernRow struct {
	ID, Href, Title    string
	Pupil, Class       string
	Owner, Age, Due    string
	Section            string
	Tone, Icon         string
	Mine, Overdue      bool
	Report, Unowned    bool
	Proposed, Situated string
}

func (c *call) concernRow(x rules.Concern, now time.Time) concernRow {
	r := concernRow{ID: x.ID, Href: "/concerns/" + x.ID, Title: c.P.K("record.k.", x.Kind), Pupil: c.pupilName(x.Student), Class: c.className(x.Student), Section: c.P.K("section.", string(x.Section)),
		Age: c.P.T("concern.days", x.Days(now)), Due: c.date(x.Due), Tone: "mute", Icon: "clock", Mine: x.Owner == c.Actor.ID, Overdue: x.Overdue(c.Today()), Report: x.MustReport(), Unowned: x.Owner == ""}
	r.Owner = c.P.T("concern.nobody")
	if x.Owner != "" {
		r.Owner = c.o.Name(x.Owner)
	}
	if x.Proposed != "" {
		r.Proposed = c.P.K("concern.w.", x.Proposed)
	}
	switch {
	case r.Report, r.Overdue:
		r.Tone, r.Icon = "bad", "bad"
	case r.Unowned || c.o.d.Records.Rises(x):
		r.Tone, r.Icon = "warn", "warn"
	}
	return r
}

type concernsView struct {
	Q     string
	State string
	Of    string
	Query string // what the list shows, for its export
	Chips []frame.Chip
	Rows  []concernRow
	Pages frame.Pages
	Sub   string
	Days  int // after which an unowned one rises
}

func (o *Pages) concernsPage(c *call) error {
	q := c.R.URL.Query()
	closed, mine := q.Get("state") == "closed", q.Get("of") == "mine"
	list := c.foundConcerns(q)
	v := concernsView{Q: q.Get("q"), State: q.Get("state"), Of: q.Get("of"), Query: q.Encode(), Days: int(rules.UnownedRises / (24 * time.Hour)), Sub: c.P.T("concerns.sub", len(list)), Chips: []frame.Chip{
		{Text: c.P.T("concerns.open"), Href: "/concerns", On: !closed && !mine}, {Text: c.P.T("concerns.mine"), Href: "/concerns?of=mine", On: mine}, {Text: c.P.T("concerns.closed"), Href: "/concerns?state=closed", On: closed}}}
	from, to, p := c.PagesOf("/concerns", q, len(list))
	v.Pages = p
	for _, x := range list[from:to] {
		v.Rows = append(v.Rows, c.concernRow(x, c.Now.Wall))
	}
	return c.Page("concerns", c.P.T("concerns.title"), v)
}

// foundConcerns are the concerns that this person may see and that a list asks for.
func (c *call) foundConcerns(q url.Values) []rules.Concern {
	words := strings.Fields(strings.ToLower(q.Get("q")))
	return slices.DeleteFunc(c.o.d.Records.Concerns(c.Who(), "", q.Get("state") == "closed"), func(x rules.Concern) bool {
		if q.Get("of") == "mine" && x.Owner != c.Actor.ID {
			return true
		}
		text := strings.ToLower(c.pupilName(x.Student) + " " + c.className(x.Student) + " " + c.o.Name(x.Owner) + " " + c.P.K("record.k.", x.Kind))
		return slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	})
}

// exportConcerns gives the list as a spreadsheet, after its entry. What a concern says in words is not in it.
func (o *Pages) exportConcerns(c *call) error {
	q, err := url.ParseQuery(c.R.PostForm.Get("query"))
	if err != nil {
		return frame.ErrNotFound
	}
	var head []string
	for _, k := range []string{"what", "section", "pupil", "class", "owner", "age", "due", "state"} {
		head = append(head, c.P.T("concerns.h."+k))
	}
	rows := [][]string{head}
	for _, x := range c.foundConcerns(q) {
		r := c.concernRow(x, c.Now.Wall)
		state := r.Proposed
		if r.Report {
			state = c.P.T("concern.report")
		}
		rows = append(rows, []string{r.Title, r.Section, r.Pupil, r.Class, r.Owner, r.Age, r.Due, state})
	}
	if _, _, err := o.LogPrintout(c.Call, "concerns", frame.FormSheet, "", ""); err != nil {
		return err
	}
	return c.SendTable("concerns-"+c.FileTime(), c.P.T("concerns.title"), rows)
}

// concernView is one concern with its steps and the form of the next.
type concernView struct {
	ui.Form
	concernRow
	PupilID    string
	Rev        uint64
	Open       bool
	ReportBy   string
	Situations []string
	Steps      []stepView
	Today      string
	owners     []ui.Option
	steps      []ui.Option
}

type stepView struct{ When, Who, What, Note string }

// Field is a field of the form.
func (v *concernView) Field(name, kind string) ui.Field {
	switch name {
	case "what":
		return v.Pick(name, kind, v.steps)
	case "owner":
		return v.Pick(name, kind, v.owners)
	}
	return v.In(name, kind)
}

func (o *Pages) concernPage(c *call) error { return o.showConcern(c, http.StatusOK, nil, nil) }

func (o *Pages) showConcern(c *call, status int, values url.Values, errs fielderr.Errors) error {
	x, rev, err := o.d.Records.Concern(c.R.Context(), c.Who(), c.R.PathValue("concern"))
	if err != nil {
		return notFound(err)
	}
	v := &concernView{Form: ui.Form{Name: "concern", P: c.P, Values: values, Errors: errs}, concernRow: c.concernRow(x, c.Now.Wall), PupilID: x.Student, Rev: rev, Open: x.IsOpen(), Today: c.Today(), owners: c.owners()}
	if v.Values == nil {
		v.Values = url.Values{"what": {rules.StepNote}}
	}
	if x.MustReport() {
		v.ReportBy = c.P.When(x.ReportBy(), c.Now.Wall)
	}
	for _, s := range x.Situations {
		v.Situations = append(v.Situations, c.P.T("situation."+s))
	}
	for i := len(x.Steps) - 1; i >= 0; i-- {
		s := x.Steps[i]
		y := stepView{When: c.P.When(s.At, c.Now.Wall), Who: c.ActorName(ledger.Actor{ID: s.By}), What: c.P.K("concern.w.", s.What), Note: s.Note}
		if s.Owner != "" {
			y.What += c.P.T("sep.colon") + o.Name(s.Owner)
		}
		if s.Due != "" {
			y.What += c.P.T("sep.clause") + c.P.T("concern.due", c.date(s.Due))
		}
		v.Steps = append(v.Steps, y)
	}
	for _, s := range rules.Steps {
		if _, errs := x.Next(rules.Step{What: s, By: c.Actor.ID, Note: "-", Owner: "-", Due: x.Due, At: c.Now.Wall}, c.Today()); onlyDue(errs) {
			v.steps = append(v.steps, ui.Option{Value: s, Text: c.P.K("concern.w.", s)})
		}
	}
	c.W.Header().Set("Cache-Control", "no-store")
	return c.PageStatus(status, "concern", v.Title, v)
}

// onlyDue says whether nothing is wrong with a step but a date that is still to be written.
func onlyDue(errs fielderr.Errors) bool {
	for _, e := range errs {
		if e.Field != "due" {
			return false
		}
	}
	return true
}

// step takes a step in a concern.
func (o *Pages) step(c *call) error {
	f, id := c.R.PostForm, c.R.PathValue("concern")
	s := rules.Step{What: f.Get("what"), Note: f.Get("note"), Due: f.Get("due")}
	if s.What == rules.StepOwner {
		s.Owner = f.Get("owner")
	}
	if s.What != rules.StepDue {
		s.Due = ""
	}
	err := o.d.Records.Step(c.R.Context(), c.Who(), id, frame.FormRev(f), s)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showConcern(c, http.StatusUnprocessableEntity, f, errs)
	}
	if err != nil {
		return notFound(err)
	}
	return c.Done("/concerns/"+id, "done.concern")
}

// Needs are what waits for the person who asks: emergency cards to review, concerns that nobody owns or that are due, the
// own emergency card.
func (o *Pages) Needs(fc *frame.Call) ([]frame.Need, error) {
	c := &call{fc, o}
	out := c.glassNeeds()
	if !o.d.Records.Signed(c.Actor.ID) {
		return out, nil
	}
	const most = 5
	n := 0
	for _, x := range o.d.Records.Concerns(c.Who(), "", false) {
		rises, mine := o.d.Records.Rises(x) && c.Can("record.readers", c.signedAlone()), x.Owner == c.Actor.ID
		if !rises && !(mine && x.Due <= c.Today()) {
			continue
		}
		if n++; n > most {
			continue
		}
		r := c.concernRow(x, c.Now.Wall)
		need := frame.Need{Tone: "warn", Icon: "clock", Badge: r.Title, Kind: c.P.T("concerns.title"), Title: c.P.T("need.concern", r.Class), Text: c.P.T("need.concern.text", r.Owner, r.Age), Due: r.Due, Href: r.Href, Do: c.P.T("see"), Primary: mine}
		if r.Report || r.Overdue {
			need.Tone, need.Icon = "bad", "bad"
		}
		if r.Report {
			need.Title, need.Due, need.Primary = c.P.T("need.concern.report", r.Class), c.P.When(x.ReportBy(), c.Now.Wall), true
		}
		out = append(out, need)
	}
	if n > most {
		out = append(out, frame.Need{Tone: "warn", Icon: "clock", Badge: c.P.T("concerns.title"), Kind: c.P.T("concerns.title"), Title: c.P.T("need.concern.more", strconv.Itoa(n-most)), Href: "/concerns", Do: c.P.T("see")})
	}
	return out, nil
}
