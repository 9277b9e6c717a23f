package oversight

import (
	"net/http"
	"net/url"
	"slices"

	"campuskeep/firmware/people"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/oversight"
)

type regulationsView struct {
	Rows    []regulationRow
	CanEdit bool
}

type regulationRow struct {
	R             rules.Regulation
	State, Tone   string
	Version, When string
	Readers, Of   int
}

// seesVersion: what is announced or counts is for everybody, the rest for those who write it.
func (c *call) seesVersion(r rules.Regulation) bool {
	return r.State == rules.Announced || r.State == rules.Effective || r.State == rules.Replaced || c.Can(account.ActRegulationEdit, account.Subject{})
}

func (c *call) regulationRow(r rules.Regulation) regulationRow {
	row := regulationRow{R: r, State: c.P.K("regulation.state.", r.State), Version: c.P.T("regulation.version", r.Version), Tone: "mute", Readers: len(r.Readers)}
	for _, p := range c.o.d.People.People() {
		if !p.Disabled {
			row.Of++
		}
	}
	switch r.State {
	case rules.Effective:
		row.Tone, row.When = "ok", c.P.T("regulation.since", c.P.Day(r.Effective))
	case rules.Announced:
		row.Tone, row.When = "acc", c.P.T("regulation.announced", c.P.Day(r.Announced), c.P.Day(r.Until), c.P.Day(r.Effective))
	case rules.Drafted, rules.Reviewed:
		row.Tone, row.When = "warn", c.P.T("regulation.written", c.name(r.By), c.P.Day(r.Written))
	}
	return row
}

func (o *Pages) regulationsPage(c *call) error {
	v := regulationsView{CanEdit: c.Can(account.ActRegulationEdit, account.Subject{})}
	for _, r := range o.d.Oversight.Regulations() {
		if c.seesVersion(r) {
			v.Rows = append(v.Rows, c.regulationRow(r))
		}
	}
	return c.Page("regulations", c.P.T("regulations.title"), v)
}

type regulationView struct {
	regulationRow
	Text, Changes          string
	Steps                  []stepRow
	Rev                    string
	Review, Announce, Drop bool
	Edit, Next             bool
	ToRead, HasRead        bool
	Unread                 []string
	CanEdit                bool
	Form                   ui.Form
	Which                  string
	Org                    string
}

func (o *Pages) regulationPage(c *call) error {
	return o.showRegulation(c, http.StatusOK, "", url.Values{}, nil)
}

func (o *Pages) showRegulation(c *call, status int, which string, f url.Values, errs fielderr.Errors) error {
	r, n, err := o.d.Oversight.Regulation(c.R.PathValue("id"))
	if err != nil {
		return known(err)
	}
	if !c.seesVersion(r) {
		return frame.ErrNotFound
	}
	v := regulationView{regulationRow: c.regulationRow(r), Text: r.Text, Changes: r.Changes, Rev: rev(n).Get("rev"), Which: which, Org: o.d.Info.School, CanEdit: c.Can(account.ActRegulationEdit, account.Subject{}),
		Form: ui.Form{Name: "regulation", P: c.P, Values: f, Errors: errs}}
	if v.CanEdit {
		v.Steps = c.steps("regulation.step.", r.Steps)
		v.Review = r.State == rules.Drafted && r.By != c.Actor.ID
		v.Edit = r.State == rules.Drafted
		v.Announce = r.State == rules.Reviewed
		v.Drop = r.State == rules.Drafted || r.State == rules.Reviewed || r.State == rules.Announced
		v.Next = r.State == rules.Effective
		if r.State == rules.Announced || r.State == rules.Effective {
			v.Unread = c.unread(r)
		}
	}
	_, v.HasRead = r.Readers[c.Actor.ID]
	v.ToRead = !v.HasRead && (r.State == rules.Announced || r.State == rules.Effective)
	return c.PageStatus(status, "regulation", r.Title, v)
}

// unread are the names of those who have not confirmed that they have read it.
func (c *call) unread(r rules.Regulation) (names []string) {
	list := slices.DeleteFunc(c.o.d.People.People(), func(p people.Person) bool {
		_, read := r.Readers[p.ID]
		return read || p.Disabled
	})
	for _, p := range list {
		names = append(names, p.Name)
	}
	return names
}

type draftView struct {
	ID, Name string
	Version  int
	Form     ui.Form
}

func (o *Pages) draftPage(c *call) error {
	f := url.Values{}
	id := c.R.PathValue("id")
	if from := c.R.URL.Query().Get("of"); id == "" && from != "" { // a new version begins with the text of the last
		r, _, err := o.d.Oversight.Regulation(from)
		if err != nil {
			return known(err)
		}
		f = url.Values{"name": {r.Name}, "title": {r.Title}, "text": {r.Text}}
	}
	if id != "" {
		r, n, err := o.d.Oversight.Regulation(id)
		if err != nil {
			return known(err)
		}
		f = rev(n)
		f["id"], f["name"], f["title"], f["text"], f["changes"] = []string{r.ID}, []string{r.Name}, []string{r.Title}, []string{r.Text}, []string{r.Changes}
	}
	return o.showDraft(c, http.StatusOK, f, nil)
}

func (o *Pages) showDraft(c *call, status int, f url.Values, errs fielderr.Errors) error {
	return c.PageStatus(status, "regulation_draft", c.P.T("regulation.draft"), draftView{ID: f.Get("id"), Name: f.Get("name"), Form: ui.Form{Name: "regulation", P: c.P, Values: f, Errors: errs}})
}

func (o *Pages) putDraft(c *call) error {
	f := c.R.PostForm
	r, err := o.d.Oversight.DraftRegulation(c.R.Context(), c.Who(), rules.Regulation{ID: f.Get("id"), Name: f.Get("name"), Title: f.Get("title"), Text: f.Get("text"), Changes: f.Get("changes")}, formRev(f))
	errs, err := fault(c, err)
	if err != nil {
		return err
	}
	if errs != nil {
		return o.showDraft(c, http.StatusUnprocessableEntity, f, errs)
	}
	return c.Done("/regulations/"+r.ID, "done.regulation")
}

func (o *Pages) stepRegulation(kind string) func(*call) error {
	return func(c *call) error {
		f := c.R.PostForm
		var errs fielderr.Errors
		e := rules.RegulationEvent{Kind: kind, Text: f.Get("text"), Effective: c.day(f, "effective", &errs)}
		if len(errs) == 0 {
			_, err := o.d.Oversight.StepRegulation(c.R.Context(), c.Who(), c.R.PathValue("id"), formRev(f), e)
			if errs, err = fault(c, err); err != nil {
				return err
			}
		}
		if len(errs) > 0 {
			return o.showRegulation(c, http.StatusUnprocessableEntity, kind, f, errs)
		}
		return c.Done("/regulations/"+c.R.PathValue("id"), "done.regulation."+kind)
	}
}

func (o *Pages) readRegulation(c *call) error {
	if err := o.d.Oversight.ReadRegulation(c.R.Context(), c.Who(), c.R.PathValue("id")); err != nil {
		return known(err)
	}
	return c.Done("/regulations/"+c.R.PathValue("id"), "done.regulation.read")
}

func (o *Pages) apiRegulations(c *call) error {
	all := o.d.Oversight.Regulations()
	if !c.Can(account.ActRegulationEdit, account.Subject{}) {
		for i := range all {
			all[i].Readers = nil // who has read it is the office's to know
		}
	}
	return list(c, all, c.seesVersion)
}
