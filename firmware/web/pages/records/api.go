package records

import (
	"net/http"
	"strings"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	rules "campuskeep/shared/records"
)

// APIPupil is what a pupil's page shows before a section is opened.
type APIPupil struct {
	ID       string           `json:"id"`
	Name     string           `json:"name"`
	Class    string           `json:"class"`
	Care     []rules.CareNote `json:"care"`
	Records  map[string]int   `json:"records"` // by section that is not sensitive
	Concerns []rules.Concern  `json:"concerns"`
}

func (o *Pages) apiPupil(c *call) error {
	id := c.R.PathValue("id")
	if err := o.d.Records.View(c.R.Context(), c.Who(), id); err != nil {
		return notFound(err)
	}
	out := APIPupil{ID: id, Name: c.pupilName(id), Class: o.d.People.ClassOf(id, c.Today()), Care: append([]rules.CareNote{}, o.d.Records.Care(id)...), Records: map[string]int{}, Concerns: append([]rules.Concern{}, o.d.Records.Concerns(c.Who(), id, false)...)}
	for s, n := range o.d.Records.Counts(id) {
		if !s.Sensitive() && c.Can(s.ReadAction(), c.Subject) {
			out.Records[string(s)] = n
		}
	}
	return c.JSON(http.StatusOK, out)
}

// APIRecord is a record with the versions before.
type APIRecord struct {
	rules.Record
	Before []rules.Record `json:"before,omitempty"`
}

// apiSection reads a section; a sensitive one for the purpose that the address states.
func (o *Pages) apiSection(c *call) error {
	id, s := c.R.PathValue("id"), rules.Section(c.R.PathValue("section"))
	if !s.Known() {
		return frame.ErrNotFound
	}
	if err := c.must(s.ReadAction(), c.about(id)); err != nil {
		return err
	}
	q := c.R.URL.Query()
	list, err := o.d.Records.Read(c.R.Context(), c.Who(), id, s, rules.Purpose{Code: q.Get("purpose"), Note: strings.TrimSpace(q.Get("note"))})
	if err != nil {
		return notFound(err)
	}
	out := []APIRecord{}
	for _, h := range list {
		out = append(out, APIRecord{h.Current, h.Before})
	}
	c.W.Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiConcerns(c *call) error {
	return c.JSON(http.StatusOK, append([]rules.Concern{}, o.d.Records.Concerns(c.Who(), "", c.R.URL.Query().Get("state") == "closed")...))
}

func (o *Pages) apiConcern(c *call) error {
	x, _, err := o.d.Records.Concern(c.R.Context(), c.Who(), c.R.PathValue("concern"))
	if err != nil {
		return notFound(err)
	}
	return c.JSON(http.StatusOK, x)
}

// APIDoctor is the school doctor's page.
type APIDoctor struct {
	Care     []APICare       `json:"care"`
	Concerns []rules.Concern `json:"concerns"`
}

// APICare is a pupil with a care instruction.
type APICare struct {
	Student string           `json:"student"`
	Class   string           `json:"class"`
	Notes   []rules.CareNote `json:"notes"`
}

func (o *Pages) apiDoctor(c *call) error {
	out := APIDoctor{Care: []APICare{}, Concerns: []rules.Concern{}}
	for _, x := range o.d.Records.Concerns(c.Who(), "", false) {
		if x.Section == rules.Health {
			out.Concerns = append(out.Concerns, x)
		}
	}
	for _, cl := range o.d.People.Classes(c.Today()) {
		for _, s := range o.d.People.Roster(cl.ID, c.Today()) {
			if notes := o.d.Records.Care(s.ID); len(notes) > 0 {
				out.Care = append(out.Care, APICare{s.ID, cl.ID, notes})
			}
		}
	}
	return c.JSON(http.StatusOK, out)
}

// APIGlass is an opened emergency card; what it shows is there while it is open for the asker.
type APIGlass struct {
	rules.Glass
	Card *rules.Card      `json:"card,omitempty"`
	Care []rules.CareNote `json:"care,omitempty"`
	Call []APIContact     `json:"call,omitempty"`
}

// APIContact is whom to call, in their order.
type APIContact struct {
	Name     string `json:"name"`
	Relation string `json:"relation"`
	Phone    string `json:"phone"`
}

func (o *Pages) apiGlasses(c *call) error {
	out := []rules.Glass{}
	for _, g := range o.d.Records.Glasses() {
		if g.Person == c.Actor.ID || c.Can(account.ActGlassList, account.Subject{}) {
			out = append(out, g)
		}
	}
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiGlass(c *call) error {
	g, ok := o.d.Records.Glass(c.R.PathValue("glass"))
	if !ok || g.Person != c.Actor.ID && !c.Can(account.ActGlassList, account.Subject{}) {
		return frame.ErrNotFound
	}
	out := APIGlass{Glass: g}
	if g.Shows(c.Actor.ID, c.Now.Wall) {
		if card, ok := o.d.Records.Card(g.Student); ok {
			out.Card = &card
		}
		out.Care = o.d.Records.Care(g.Student)
		s, _ := o.d.People.Student(g.Student)
		for _, x := range s.Guardians {
			out.Call = append(out.Call, APIContact{x.Name, string(x.Relation), x.Phone})
		}
	}
	c.W.Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiAgreements(c *call) error {
	return c.JSON(http.StatusOK, append([]rules.Agreement{}, o.d.Records.Agreements()...))
}
