package pupils

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/student"
)

// pupilsView is the register of pupils: searched, filtered, sorted, a page at a time.
type pupilsView struct {
	Form     ui.Form
	Rows     []pupilRow
	Filters  []frame.ListFilter
	Columns  []frame.ListColumn
	Text     string
	Pages    frame.Pages
	CanEdit  bool
	Filtered bool
	Any      bool
	Classes  int // in the school today: without one nobody can be entered
}

type pupilRow struct {
	S            people.Pupil
	Class        string
	Sex          string
	Guardian     string
	Phone        string
	Tone, Icon   string // of the cards
	Card         string
	Href, Detail string
}

// cardStates are what the list is filtered by.
var cardStates = []string{"has", "none", "lost"}

func cardState(s people.Pupil) string {
	switch {
	case s.Cards > 0:
		return "has"
	case s.Lost > 0:
		return "lost"
	}
	return "none"
}

// find gives the pupils that the address asks for, as far as this person may see them.
func (o *Pages) find(c *call, f url.Values) []people.Pupil {
	q := people.PupilQuery{Text: f.Get("q"), Class: f.Get("class"), Classes: c.classes(), State: people.PupilState(f.Get("state"))}
	rows := o.d.People.Pupils(c.Today(), q)
	if card := f.Get("card"); card != "" {
		rows = slices.DeleteFunc(rows, func(s people.Pupil) bool { return cardState(s) != card })
	}
	name, down := strings.CutPrefix(f.Get("sort"), "-")
	if by, ok := pupilOrder[name]; ok {
		slices.SortStableFunc(rows, by)
	}
	if down {
		slices.Reverse(rows)
	}
	return rows
}

// pupilOrder are the orders beside that of the class list.
var pupilOrder = map[string]func(a, b people.Pupil) int{
	"id":    func(a, b people.Pupil) int { return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID)) },
	"sex":   func(a, b people.Pupil) int { return cmp.Compare(a.Sex, b.Sex) },
	"birth": func(a, b people.Pupil) int { return cmp.Compare(a.Birth, b.Birth) },
	"card":  func(a, b people.Pupil) int { return cmp.Compare(a.Cards, b.Cards) },
}

func (o *Pages) pupilsPage(c *call) error {
	f := c.R.URL.Query()
	v := pupilsView{Form: ui.Form{Name: "pupils", P: c.P, Values: f}, CanEdit: c.Can(account.ActPupilsEdit, account.Subject{}),
		Classes: len(o.d.People.Classes(c.Today()))}
	all := o.d.People.Pupils(c.Today(), people.PupilQuery{Classes: c.classes(), State: people.PupilsAll})
	v.Any = len(all) > 0
	rows := o.find(c, f)
	for _, x := range []string{"q", "class", "state", "card"} {
		v.Filtered = v.Filtered || f.Get(x) != ""
	}
	v.Text = c.P.T("pupils.sub", len(rows))
	if v.Filtered {
		v.Text = c.P.T("pupils.found", len(rows), len(all))
	}
	v.Filters = c.pupilFilters()
	from, to, p := c.PagesOf("/pupils", f, len(rows))
	v.Pages = p
	for _, s := range rows[from:to] {
		v.Rows = append(v.Rows, c.pupilRow(s, v.CanEdit))
	}
	v.Columns = c.columns("/pupils", "pupils.h.", []string{"class", "name", "sex", "birth", "guardian", "card"}, f)
	return c.Page("pupils", c.P.T("pupils.title"), v)
}

func (c *call) pupilFilters() []frame.ListFilter {
	classes := []ui.Option{{Text: c.P.T("pupils.by.class")}}
	mine := c.classes()
	for _, cl := range c.o.d.People.Classes(c.Today()) {
		if mine == nil || slices.Contains(mine, cl.ID) {
			classes = append(classes, ui.Option{Value: cl.ID, Text: cl.Name(c.Today())})
		}
	}
	states := []ui.Option{{Text: c.P.T("pupils.state.here")}, {Value: string(people.PupilsLeft), Text: c.P.T("pupils.state.left")}, {Value: string(people.PupilsAll), Text: c.P.T("pupils.state.all")}}
	held := []ui.Option{{Text: c.P.T("pupils.by.card")}}
	for _, k := range cardStates {
		held = append(held, ui.Option{Value: k, Text: c.P.T("pupils.card." + k)})
	}
	return []frame.ListFilter{{Name: "class", Label: c.P.T("pupils.by.class"), Options: classes}, {Name: "state", Label: c.P.T("pupils.by.state"), Options: states},
		{Name: "card", Label: c.P.T("pupils.by.card"), Options: held}}
}

func (c *call) pupilRow(s people.Pupil, edit bool) pupilRow {
	r := pupilRow{S: s, Class: c.className(s.Class), Sex: c.P.K("sex.", s.Sex), Tone: "ok", Icon: "ok", Card: c.P.T("pupils.cards", s.Cards)}
	switch cardState(s) {
	case "none":
		r.Tone, r.Icon, r.Card = "warn", "warn", c.P.T("pupils.card.none")
	case "lost":
		r.Tone, r.Icon, r.Card = "bad", "bad", c.P.T("pupils.card.lost")
	}
	if s.Class == "" {
		r.Tone, r.Icon, r.Card = "mute", "x", c.P.T("pupils.state.left")
		r.Class = c.className(s.Last)
		if s.Outside {
			r.Card, r.Class = c.P.T("pupils.outside"), "–"
		} else if s.Left != "" {
			r.Card = c.P.K("left.", s.Left)
		}
	}
	if len(s.Guardians) > 0 {
		g := s.Guardians[0]
		r.Guardian, r.Phone = g.Name+c.P.T("bracket", c.P.K("relation.", g.Relation)), g.Phone
	}
	if edit {
		r.Href = "/pupils/" + s.ID + "/edit"
	}
	return r
}

// className is a class as it is called today.
func (c *call) className(id string) string {
	if cl, ok := c.o.d.People.Class(id); ok {
		return cl.Name(c.Today())
	}
	return "–"
}

// columns are the heads of a table that can be sorted by each; the first is the order by itself.
func (c *call) columns(path, prefix string, names []string, f url.Values) []frame.ListColumn {
	out := c.SortHeads(f, path, prefix, names[0], names)
	for i, name := range names {
		if name == "guardian" || name == "name" || name == "holder" { // the list has no order by these
			out[i].Href = ""
		}
	}
	return out
}

// logExport enters that a list leaves the appliance, before its first byte.
func (o *Pages) logExport(c *call, what string, count int) error {
	d := c.Who().Draft("register.exported", c.Decision.Role, c.Actor.ID, map[string]any{"what": what, "count": count})
	if _, err := o.d.Ledger.Commit(c.R.Context(), ledgerdb.Change{Entries: []ledger.Draft{d}}); err != nil {
		c.Unlogged = true
		return fmt.Errorf("enter that the list %s was exported: %w", what, err)
	}
	return nil
}

// exportPupils gives the pupils that the filters show, in the columns that the import takes.
func (o *Pages) exportPupils(c *call) error {
	rows := o.find(c, c.R.PostForm)
	if err := o.logExport(c, "students", len(rows)); err != nil {
		return err
	}
	out := [][]string{student.RosterHead()}
	for _, s := range rows {
		class := ""
		if cl, ok := o.d.People.Class(s.Class); ok {
			class = cl.Name(c.Today())
		}
		out = append(out, student.RosterCells(s.Student, class))
	}
	return c.SendTable("pupils-"+c.FileTime(), c.P.T("pupils.title"), out)
}
