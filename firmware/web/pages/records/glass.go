package records

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/records"
)

func (c *call) signedAlone() account.Subject {
	return account.Subject{Signed: c.o.d.Records.Signed(c.Actor.ID)}
}

// glassRow is one emergency card that was opened.
type glassRow struct {
	ID, Href, Who, Pupil, Class string
	When, Reason, Verdict       string
	Waits                       bool
}

func (c *call) glassRow(g rules.Glass) glassRow {
	r := glassRow{ID: g.ID, Href: "/glass/" + g.ID, Who: c.o.Name(g.Person), Pupil: c.pupilName(g.Student), Class: c.className(g.Student), When: c.P.When(g.Opened, c.Now.Wall), Reason: g.Reason, Waits: g.Reviewed.IsZero()}
	if !r.Waits {
		r.Verdict = c.P.K("glass.v.", g.Verdict)
	}
	return r
}

// glassView finds a pupil and asks why the card is opened.
type glassView struct {
	ui.Form
	Query   string
	Found   []pupilLink
	Pupil   *pupilLink
	None    bool
	Minutes int
	Rows    []glassRow // those that this person opened, or all for who reviews them
	All     bool
}

type pupilLink struct{ ID, Name, Class, Href string }

// Field is a field of the form.
func (v *glassView) Field(name, kind string) ui.Field { return v.In(name, kind) }

func (o *Pages) glassPage(c *call) error { return o.showGlass(c, http.StatusOK, nil, nil) }

func (o *Pages) showGlass(c *call, status int, values url.Values, errs fielderr.Errors) error {
	q := c.R.URL.Query()
	v := &glassView{Form: ui.Form{Name: "glass", P: c.P, Values: values, Errors: errs}, Query: strings.TrimSpace(q.Get("q")), Minutes: int(rules.GlassFor.Minutes()), All: c.Can(account.ActGlassList, account.Subject{})}
	pupil := q.Get("pupil")
	if values != nil {
		pupil = values.Get("pupil")
	}
	if s, ok := o.d.People.Student(pupil); ok {
		v.Pupil = &pupilLink{s.ID, s.Name, c.className(s.ID), ""}
	} else if v.Query != "" {
		for _, s := range o.d.People.FindStudents(v.Query, 12) {
			v.Found = append(v.Found, pupilLink{s.ID, s.Name, c.className(s.ID), "/glass?pupil=" + s.ID})
		}
		v.None = len(v.Found) == 0
	}
	for _, g := range o.d.Records.Glasses() {
		if (v.All || g.Person == c.Actor.ID) && len(v.Rows) < 30 {
			v.Rows = append(v.Rows, c.glassRow(g))
		}
	}
	return c.PageStatus(status, "glass", c.P.T("glass.title"), v)
}

// breakGlass opens the card after its entry.
func (o *Pages) breakGlass(c *call) error {
	f := c.R.PostForm
	g, err := o.d.Records.BreakGlass(c.R.Context(), c.Who(), f.Get("pupil"), f.Get("reason"))
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showGlass(c, http.StatusUnprocessableEntity, f, errs)
	}
	if err != nil {
		c.Unlogged = true
		return notFound(err)
	}
	return c.SeeOther("/glass/" + g.ID)
}

// cardView is the emergency card: whom to call, blood group, allergy, what to do. Nothing else.
type cardView struct {
	ui.Form
	glassRow
	Shows        bool   // the card is open for this person
	Left         string // how long
	Initial      string
	Facts        []fact
	Care         []careView
	Contacts     []contact
	Mine, Closed bool
	Happened     string
	Review       bool
	Note         string
	Reviewer     string
	verdicts     []ui.Option
}

// Field is a field of the forms.
func (v *cardView) Field(name, kind string) ui.Field {
	if name == "verdict" {
		return v.Pick(name, kind, v.verdicts)
	}
	return v.In(name, kind)
}

func (o *Pages) glassCard(c *call) error { return o.showCard(c, http.StatusOK, nil, nil) }

func (o *Pages) showCard(c *call, status int, values url.Values, errs fielderr.Errors) error {
	g, ok := o.d.Records.Glass(c.R.PathValue("glass"))
	if !ok || g.Person != c.Actor.ID && !c.Can(account.ActGlassList, account.Subject{}) {
		return frame.ErrNotFound
	}
	v := &cardView{Form: ui.Form{Name: "glass", P: c.P, Values: values, Errors: errs}, glassRow: c.glassRow(g), Mine: g.Person == c.Actor.ID, Closed: !g.Closed.IsZero(), Happened: g.Happened, Note: g.Note,
		Shows: g.Shows(c.Actor.ID, c.Now.Wall), Initial: initial(c.pupilName(g.Student)), Review: g.Reviewed.IsZero() && c.Can(account.ActGlassReview, account.Subject{Person: g.Person})}
	if g.Reviewer != "" {
		v.Reviewer = o.Name(g.Reviewer)
	}
	for _, x := range rules.Verdicts {
		v.verdicts = append(v.verdicts, ui.Option{Value: x, Text: c.P.K("glass.v.", x)})
	}
	if v.Shows {
		v.Left = c.P.Words(g.Until.Sub(c.Now.Wall))
		v.Facts, v.Care, v.Contacts = c.cardFacts(g.Student), c.care(g.Student), c.contacts(g.Student)
	}
	c.W.Header().Set("Cache-Control", "no-store")
	return c.PageStatus(status, "glass_card", c.P.T("glass.title"), v)
}

// cardFacts are blood group and allergy, as the doctor wrote them for everybody.
func (c *call) cardFacts(pupil string) (out []fact) {
	card, ok := c.o.d.Records.Card(pupil)
	if !ok {
		return []fact{{c.P.T("record.f.blood"), c.P.T("glass.unknown")}, {c.P.T("record.f.allergy"), c.P.T("glass.unknown")}}
	}
	blood := c.P.K("record.o.blood.", card.Blood)
	if card.Rh != "" {
		blood += c.P.T("sep.clause") + c.P.K("record.o.rh.", card.Rh)
	}
	out = []fact{{c.P.T("record.f.blood"), blood}, {c.P.T("record.f.allergy"), card.Allergy}}
	if card.Hospital != "" {
		out = append(out, fact{c.P.T("record.f.hospital"), card.Hospital})
	}
	return out
}

func (o *Pages) closeGlass(c *call) error {
	id := c.R.PathValue("glass")
	err := o.d.Records.CloseGlass(c.R.Context(), c.Who(), id, c.R.PostForm.Get("happened"))
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showCard(c, http.StatusUnprocessableEntity, c.R.PostForm, errs)
	}
	if err != nil {
		return notFound(err)
	}
	return c.Done("/glass/"+id, "done.glass.closed")
}

func (o *Pages) reviewGlass(c *call) error {
	id, f := c.R.PathValue("glass"), c.R.PostForm
	err := o.d.Records.ReviewGlass(c.R.Context(), c.Who(), id, f.Get("verdict"), f.Get("note"))
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showCard(c, http.StatusUnprocessableEntity, f, errs)
	}
	if err != nil {
		return notFound(err)
	}
	return c.Done("/glass/"+id, "done.glass.reviewed")
}

// glassNeeds are cards that wait for a review, and the own ones that wait for words.
func (c *call) glassNeeds() (out []frame.Need) {
	for _, g := range c.o.d.Records.Glasses() {
		r := c.glassRow(g)
		review := g.Reviewed.IsZero() && c.Can(account.ActGlassReview, account.Subject{Person: g.Person})
		sees := c.Can(account.ActGlassList, account.Subject{}) && within(g.Opened, c.Now.Wall, rules.ReviewWithin)
		switch {
		case len(out) >= 5:
			return out
		case review || sees && g.Reviewed.IsZero() && g.Person != c.Actor.ID:
			out = append(out, frame.Need{Tone: "bad", Icon: "heart", Badge: c.P.T("glass.title"), Kind: c.P.T("glass.kind"), Title: c.P.T("need.glass", r.Who, r.Class), Text: r.Reason, Due: c.P.When(g.Opened.Add(rules.ReviewWithin), c.Now.Wall), Href: r.Href, Do: c.P.T("see"), Primary: review})
		case g.Person == c.Actor.ID && g.Closed.IsZero():
			out = append(out, frame.Need{Tone: "warn", Icon: "heart", Badge: c.P.T("glass.title"), Kind: c.P.T("glass.kind"), Title: c.P.T("need.glass.mine", r.Class), Text: c.P.T("need.glass.mine.text"), Due: r.When, Href: r.Href, Do: c.P.T("see"), Primary: true})
		}
	}
	return out
}
