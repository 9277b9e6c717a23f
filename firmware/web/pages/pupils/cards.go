package pupils

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"campuskeep/firmware/people"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// cardRow is a card that was handed out.
type cardRow struct {
	K                people.CardInfo
	Holder, Class    string
	Tail             string
	Tone, Icon, Word string
	Since            string
	LostSince        string
}

func (c *call) cardRow(k people.CardInfo) cardRow {
	r := cardRow{K: k, Tail: cmp.Or(k.Tail, "–"), Tone: "ok", Icon: "ok", Word: c.P.T("card.good"), Since: c.P.When(k.Since, c.Now.Wall)}
	s, _ := c.o.d.People.Pupil(k.Student, c.Today())
	r.Holder, r.Class = s.Name, c.className(s.Class)
	switch {
	case !k.Lost.IsZero():
		r.Tone, r.Icon, r.Word, r.LostSince = "bad", "bad", c.P.T("card.lost"), c.P.When(k.Lost, c.Now.Wall)
	case s.Class == "":
		r.Tone, r.Icon, r.Word = "mute", "x", c.P.T("card.left")
	}
	return r
}

// handOut gives a card to a pupil, in place of another one when the form names it.
func (o *Pages) handOut(c *call) error {
	f, id := c.R.PostForm, c.R.PathValue("id")
	s, ok := o.d.People.Pupil(id, c.Today())
	if !ok {
		return frame.ErrNotFound
	}
	card, err := attendance.ParseCard(strings.TrimSpace(f.Get("card")))
	switch {
	case strings.TrimSpace(f.Get("card")) == "":
		err = fielderr.Errors{{Field: "card", Rule: "err.required"}}
	case err != nil:
		err = fielderr.Errors{{Field: "card", Rule: "err.card"}}
	default:
		err = o.d.People.ReplaceCard(c.R.Context(), c.Who(), f.Get("replaces"), card, id)
	}
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		for i := range errs {
			if errs[i].Rule != "err.card_taken" && errs[i].Rule != "err.card_lost" {
				continue
			}
			if k, ok := o.d.People.Holder(card); ok { // who hands out cards sees every pupil
				h, _ := o.d.People.Pupil(k.Student, c.Today())
				errs[i] = fielderr.Error{Field: "card", Rule: errs[i].Rule + "_of", Args: []any{c.className(cmp.Or(h.Class, h.Last)) + " " + h.Name}}
			}
		}
		if c.API() {
			return errs
		}
		return o.showPupil(c, http.StatusUnprocessableEntity, pupilForms{s: s, values: knownValues(s), hand: f, given: errs})
	}
	if err != nil {
		return err
	}
	return o.donePupil(c, http.StatusOK, id, "done.card")
}

// changeCard reports a card lost, found or given back.
func (o *Pages) changeCard(c *call) error {
	id, what := c.R.PathValue("id"), c.R.PostForm.Get("what")
	if err := o.d.People.ChangeCard(c.R.Context(), c.Who(), id, c.R.PathValue("card"), what); err != nil {
		return err
	}
	if c.R.PostForm.Get("back") == "cards" && !c.API() {
		return c.Done("/cards", "done.card."+what)
	}
	return o.donePupil(c, http.StatusOK, id, "done.card."+what)
}

// cardsView is the list of cards.
type cardsView struct {
	Form     ui.Form
	Rows     []cardRow
	Text     string
	Pages    frame.Pages
	Filters  []frame.ListFilter
	Columns  []frame.ListColumn
	Without  int // pupils of today who have none
	Any      bool
	Filtered bool
}

// findCards gives the cards that the address asks for, newest first.
func (o *Pages) findCards(c *call, f url.Values) []cardRow {
	holders := map[string]bool{}
	if q := strings.TrimSpace(f.Get("q")); q != "" {
		for _, s := range o.d.People.Pupils(c.Today(), people.PupilQuery{Text: q, State: people.PupilsAll}) {
			holders[s.ID] = true
		}
	}
	var out []cardRow
	for _, k := range o.d.People.Cards() {
		q := strings.ToUpper(strings.TrimSpace(f.Get("q")))
		if q != "" && !holders[k.Student] && (k.Tail == "" || !strings.HasSuffix(q, k.Tail) && !strings.HasPrefix(k.Tail, q)) {
			continue
		}
		r := c.cardRow(k)
		if s := f.Get("state"); s != "" && s != map[string]string{"ok": "good", "bad": "lost", "mute": "left"}[r.Tone] {
			continue
		}
		out = append(out, r)
	}
	by := map[string]func(a, b cardRow) int{
		"class": func(a, b cardRow) int { return cmp.Compare(a.Class, b.Class) },
		"state": func(a, b cardRow) int { return cmp.Compare(a.Tone, b.Tone) },
	}
	name, down := strings.CutPrefix(f.Get("sort"), "-")
	if by, ok := by[name]; ok {
		slices.SortStableFunc(out, by)
	}
	if down {
		slices.Reverse(out)
	}
	return out
}

func (o *Pages) cardsPage(c *call) error {
	f := c.R.URL.Query()
	rows := o.findCards(c, f)
	v := cardsView{Form: ui.Form{Name: "cards", P: c.P, Values: f}, Any: len(o.d.People.Cards()) > 0, Filtered: f.Get("q") != "" || f.Get("state") != ""}
	v.Text = c.P.T("cards.sub", len(rows))
	for _, s := range o.d.People.Pupils(c.Today(), people.PupilQuery{}) {
		if s.Cards == 0 && s.Class != "" {
			v.Without++
		}
	}
	states := []ui.Option{{Text: c.P.T("cards.by.state")}}
	for _, k := range []string{"good", "lost", "left"} {
		states = append(states, ui.Option{Value: k, Text: c.P.T("card." + k)})
	}
	v.Filters = []frame.ListFilter{{Name: "state", Label: c.P.T("cards.by.state"), Options: states}}
	from, to, p := c.PagesOf("/cards", f, len(rows))
	v.Rows, v.Pages = rows[from:to], p
	v.Columns = c.columns("/cards", "cards.h.", []string{"since", "holder", "class", "state"}, f)
	return c.Page("cards", c.P.T("cards.title"), v)
}

func (o *Pages) exportCards(c *call) error {
	rows := o.findCards(c, c.R.PostForm)
	if err := o.logExport(c, "cards", len(rows)); err != nil {
		return err
	}
	out := [][]string{{c.P.T("pupil.id"), c.P.T("name"), c.P.T("class"), c.P.T("card.tail"), c.P.T("cards.h.since"), c.P.T("state"), c.P.T("card.lost_since")}}
	for _, r := range rows {
		out = append(out, []string{r.K.Student, r.Holder, r.Class, r.Tail, c.P.Stamp(r.K.Since), r.Word, r.LostSince})
	}
	return c.SendTable("cards-"+c.FileTime(), c.P.T("cards.title"), out)
}
