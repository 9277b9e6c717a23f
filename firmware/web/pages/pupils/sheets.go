package pupils

import (
	"bytes"
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"

	"campuskeep/firmware/people"
	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/sheets"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/student"
)

// lists are the registers that come as spreadsheets.
func (o *Pages) lists() []sheets.List {
	roster := sheets.List{Path: "/pupils", Title: "pupils.title", From: true, Done: "done.import.pupils", Action: account.ActPupilsEdit,
		Rules: []string{"import.rule.empty", "import.rule.match", "import.rule.class", "import.rule.twins"},
		Label: func(c *frame.Call, field string) string { return rosterLabel(field) },
		Parse: func(c *frame.Call, b []byte, form url.Values) (sheets.Result, error) {
			return o.parseRoster(&call{c, o}, b, form)
		}}
	for _, col := range student.Columns {
		roster.Columns = append(roster.Columns, sheets.Column{Field: col.Field, Title: "roster.f." + col.Field, Must: col.Required, Hint: col.Example})
	}
	classes := sheets.List{Path: "/classes", Title: "classes.title", Done: "done.import.classes", Action: account.ActPupilsEdit, Rules: []string{"import.rule.classes"},
		Label: func(c *frame.Call, field string) string { return c.P.T("classsheet." + field) },
		Columns: []sheets.Column{{Field: "class", Title: "classsheet.class", Must: true, Hint: "三年级1班"}, {Field: "teacher", Title: "classsheet.teacher", Must: true, Hint: "classsheet.teacher.hint"},
			{Field: "duty", Title: "classsheet.duty", Hint: "classsheet.duty.hint"}, {Field: "from", Title: "classsheet.from", Hint: "2026-09-01", Date: true}, {Field: "to", Title: "classsheet.to", Hint: "2027-09-01", Date: true}}}
	classes.Parse = func(c *frame.Call, b []byte, _ url.Values) (sheets.Result, error) {
		return o.parseClasses(&call{c, o}, classes, b), nil
	}
	cards := sheets.List{Path: "/cards", Title: "cards.title", Done: "done.import.cards", Action: account.ActPupilsEdit, Rules: []string{"import.rule.cards"},
		Label:   func(c *frame.Call, field string) string { return c.P.T("cardsheet." + field) },
		Columns: []sheets.Column{{Field: "pupil", Title: "cardsheet.pupil", Must: true, Hint: "cardsheet.pupil.hint"}, {Field: "card", Title: "cardsheet.card", Must: true, Hint: "04A2B3C4"}}}
	cards.Parse = func(c *frame.Call, b []byte, _ url.Values) (sheets.Result, error) {
		return o.parseCards(&call{c, o}, cards, b), nil
	}
	return []sheets.List{roster, classes, cards}
}

// rosterLabel is a column of the roster as its heading has it; the headings are those of the national register.
func rosterLabel(field string) string {
	for _, col := range student.Columns {
		if col.Field == field {
			return col.Title
		}
	}
	return field
}

// parseRoster reads a roster and says what it changes, field by field.
func (o *Pages) parseRoster(c *call, b []byte, form url.Values) (r sheets.Result, err error) {
	from := cmp.Or(strings.TrimSpace(form.Get("from")), c.Today())
	if !student.IsDate(from) {
		r.Faults = append(r.Faults, c.P.T("sheet.from")+c.P.T("sep.colon")+c.P.T("err.date"))
		return r, nil
	}
	v, err := o.d.People.ReadRoster(bytes.NewReader(b))
	if err != nil {
		return r, err
	}
	if len(v.Ignored) > 0 {
		r.Notes = append(r.Notes, c.P.T("sheet.ignored", strings.Join(v.Ignored, c.P.T("sep.list"))))
	}
	for _, cl := range v.Classes {
		r.Notes = append(r.Notes, c.P.T("sheet.new_class", cl.Name(c.Today())))
	}
	for _, f := range v.Faults {
		if f.Line == 0 || slices.ContainsFunc(f.Errors, func(e fielderr.Error) bool {
			return strings.HasPrefix(e.Rule, "err.roster_column") || e.Field == "file"
		}) {
			for _, e := range f.Errors {
				r.Faults = append(r.Faults, c.P.T(e.Rule, e.Args...))
			}
			continue
		}
		r.Lines = append(r.Lines, sheets.Line{Line: f.Line, Errs: f.Errors})
	}
	for _, f := range v.Asks {
		for _, e := range f.Errors {
			r.Asks = append(r.Asks, c.P.T("sheet.line", f.Line)+c.P.T(e.Rule, e.Args...))
		}
	}
	for _, row := range v.Rows {
		r.Lines = append(r.Lines, sheets.Line{Line: row.Line, Name: row.Student.Name, Sub: row.Class.Name(c.Today()), New: true})
	}
	for _, u := range v.Updates {
		r.Lines = append(r.Lines, sheets.Line{Line: u.Line, Name: u.Now.Name, Sub: c.className(u.To), Changes: c.rosterChanges(u)})
	}
	slices.SortStableFunc(r.Lines, func(a, b sheets.Line) int { return a.Line - b.Line })
	r.Commit = func(ctx context.Context, who account.Who, agreed bool) error {
		v.Agreed = agreed
		_, err := o.d.People.ImportRoster(ctx, who, v, from)
		return err
	}
	return r, nil
}

// rosterChanges are the differences of a row to what is registered, before and after.
func (c *call) rosterChanges(u people.RosterUpdate) (out []string) {
	before, after := student.RosterCells(u.Was, ""), student.RosterCells(u.Now, "")
	for i, col := range student.Columns {
		if before[i] != after[i] {
			out = append(out, c.P.T("sheet.change", col.Title, cmp.Or(before[i], "–"), cmp.Or(after[i], "–")))
		}
	}
	if len(out) == 0 && len(u.What) > 0 {
		out = append(out, c.P.T("pupil.s3"))
	}
	if u.From != u.To {
		to := c.className(u.To)
		out = append(out, c.P.T("sheet.change", c.P.T("class"), c.className(u.From), cmp.Or(strings.Trim(to, "–"), u.To)))
	}
	if u.Card != nil {
		out = append(out, c.P.T("sheet.card"))
	}
	return out
}

// teacher finds somebody by name, staff number or log-in name; n is how many there are.
func (o *Pages) teacher(text string) (id string, n int) {
	for _, p := range o.d.People.People() {
		switch {
		case p.Disabled:
		case p.StaffNo == text || p.Login == strings.ToLower(text) || p.ID == text:
			return p.ID, 1
		case p.Name == text:
			id, n = p.ID, n+1
		}
	}
	return id, n
}

// dutyOf reads a duty in either language; empty is the class teacher.
func dutyOf(text string) (student.Duty, bool) {
	for _, d := range []student.Duty{student.DutyHead, student.DutySubject, student.DutyGrade} {
		if text == "" || text == string(d) || slices.ContainsFunc(ui.Langs, func(l ui.Lang) bool { return ui.T(l, "duty."+string(d)) == text }) {
			return d, true
		}
	}
	return "", false
}

// parseClasses reads classes with one teacher a row. Teachers that are registered already stay.
func (o *Pages) parseClasses(c *call, l sheets.List, b []byte) (r sheets.Result) {
	rows, faults := l.Rows(c.Call, b)
	if r.Faults = faults; len(faults) > 0 {
		return r
	}
	list := map[string]*student.Class{}
	revs := map[string]uint64{}
	var order []string
	for _, row := range rows {
		line := sheets.Line{Line: row.Line, Name: row.Cell["class"], Sub: row.Cell["teacher"]}
		cl, rule := o.d.People.ParseClass(row.Cell["class"], c.Today())
		if rule != "" {
			line.Errs.Add("class", rule)
		}
		duty, ok := dutyOf(row.Cell["duty"])
		if !ok {
			line.Errs.Add("duty", "err.choice")
		}
		t := student.Teaching{Duty: duty, From: c.Today()}
		for field, into := range map[string]*string{"from": &t.From, "to": &t.To} {
			if s := row.Cell[field]; s != "" {
				if *into, ok = student.ParseDate(s); !ok {
					line.Errs.Add(field, "err.date")
				}
			}
		}
		if name := row.Cell["teacher"]; name != "" {
			id, n := o.teacher(name)
			switch n {
			case 0:
				line.Errs.Add("teacher", "err.person_unknown")
			case 1:
				t.Person = id
			default:
				line.Errs.Add("teacher", "err.person_twice")
			}
		}
		if len(line.Errs) == 0 {
			if list[cl.ID] == nil {
				known, registered := o.d.People.Class(cl.ID)
				if !registered {
					known = cl
				}
				revs[cl.ID] = o.d.People.ClassRev(cl.ID)
				list[cl.ID], order = &known, append(order, cl.ID)
				line.New = !registered
			}
			x := list[cl.ID]
			same := func(o student.Teaching) bool {
				return o.Person == t.Person && o.Duty == t.Duty && (o.From == t.From || row.Cell["from"] == "")
			}
			if t.Person != "" && !slices.ContainsFunc(x.Teachers, same) {
				x.Teachers = append(x.Teachers, t)
				line.Changes = append(line.Changes, c.P.K("duty.", t.Duty)+c.P.T("sep.colon")+o.Name(t.Person)+" "+t.From)
			}
			for _, e := range append(x.Check(), o.d.People.CheckTeachers(*x)...) {
				line.Errs.Add("teacher", e.Rule, e.Args...)
			}
		}
		r.Lines = append(r.Lines, line)
	}
	r.Commit = func(ctx context.Context, who account.Who, _ bool) error {
		var puts []people.ClassPut
		for _, id := range order {
			puts = append(puts, people.ClassPut{Class: *list[id], Rev: revs[id]})
		}
		who.Via = ledger.ViaImport
		return o.d.People.PutClasses(ctx, who, puts)
	}
	return r
}

// parseCards reads cards, one a row, of pupils who are named by id, number, or name with class.
func (o *Pages) parseCards(c *call, l sheets.List, b []byte) (r sheets.Result) {
	rows, faults := l.Rows(c.Call, b)
	if r.Faults = faults; len(faults) > 0 {
		return r
	}
	var list []people.CardPut
	seen := map[string]int{}
	for _, row := range rows {
		line := sheets.Line{Line: row.Line, Name: row.Cell["pupil"]}
		found := o.d.People.Pupils(c.Today(), people.PupilQuery{Text: row.Cell["pupil"]})
		found = slices.DeleteFunc(found, func(s people.Pupil) bool {
			return row.Cell["pupil"] != s.Name && !strings.EqualFold(row.Cell["pupil"], s.ID) && row.Cell["pupil"] != s.IDNumber && row.Cell["pupil"] != s.NationalNo
		})
		switch len(found) {
		case 0:
			line.Errs.Add("pupil", "err.pupil_unknown")
		case 1:
			line.Name, line.Sub = found[0].Name, c.className(found[0].Class)
		default:
			line.Errs.Add("pupil", "err.pupil_twice", len(found))
		}
		card, err := attendance.ParseCard(row.Cell["card"])
		switch {
		case row.Cell["card"] == "":
			line.Errs.Add("card", "err.required")
		case student.IsSpreadsheetNumber(row.Cell["card"]) && strings.ContainsAny(row.Cell["card"], "+.,"):
			line.Errs.Add("card", "err.spreadsheet_number")
		case err != nil:
			line.Errs.Add("card", "err.card")
		case seen[card.String()] > 0:
			line.Errs.Add("card", "err.roster_twice", seen[card.String()])
		default:
			seen[card.String()] = row.Line
			k, taken := o.d.People.Holder(card)
			switch {
			case len(line.Errs) > 0:
			case taken && k.Student == found[0].ID && k.Lost.IsZero(): // it is so already
			case taken && k.Student != found[0].ID:
				line.Errs.Add("card", "err.card_taken")
			default:
				line.Changes = append(line.Changes, c.P.T("sheet.card"))
				list = append(list, people.CardPut{Student: found[0].ID, Card: card})
			}
		}
		r.Lines = append(r.Lines, line)
	}
	r.Commit = func(ctx context.Context, who account.Who, _ bool) error {
		who.Via = ledger.ViaImport
		return o.d.People.AssignCards(ctx, who, list)
	}
	return r
}
