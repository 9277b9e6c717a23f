package school

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"

	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/sheets"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/student"
)

// lists are the registers that come as spreadsheets.
func (o *Pages) lists() []sheets.List {
	places := sheets.List{Path: "/places", Title: "places.title", Done: "done.place", Action: account.ActSchoolEdit, Rules: []string{"import.rule.empty"},
		Label: func(c *frame.Call, field string) string { return c.P.T("place.f." + field) },
		Columns: []sheets.Column{{Field: "id", Title: "place.f.id", Hint: "place.f.id.hint"}, {Field: "name", Title: "place.f.name", Must: true}, {Field: "kind", Title: "place.f.kind"},
			{Field: "cameras", Title: "place.f.cameras", Hint: "c01 c02"}}}
	places.Parse = func(c *frame.Call, b []byte, _ url.Values) (sheets.Result, error) {
		return o.parsePlaces(&call{c, o}, places, b), nil
	}
	days := sheets.List{Path: "/calendar", Title: "calendar.title", Done: "done.calendar", Action: account.ActSchoolEdit, Rules: []string{"import.rule.calendar"},
		Label: func(c *frame.Call, field string) string { return c.P.T("calsheet." + field) },
		Columns: []sheets.Column{{Field: "kind", Title: "calsheet.kind", Must: true, Hint: "calsheet.kind.hint"}, {Field: "name", Title: "calsheet.name"}, {Field: "from", Title: "calsheet.from", Must: true, Hint: "2026-10-01", Date: true},
			{Field: "to", Title: "calsheet.to", Hint: "2026-10-08", Date: true}, {Field: "as", Title: "calsheet.as", Hint: "calsheet.as.hint"}}}
	days.Parse = func(c *frame.Call, b []byte, _ url.Values) (sheets.Result, error) {
		return o.parseCalendar(&call{c, o}, days, b), nil
	}
	return []sheets.List{places, days}
}

// wordOf finds the code whose text in either language was written.
func wordOf(text, prefix string, codes []string) (string, bool) {
	for _, k := range codes {
		if text == k || slices.ContainsFunc(ui.Langs, func(l ui.Lang) bool { return strings.EqualFold(ui.T(l, prefix+k), text) }) {
			return k, true
		}
	}
	return "", false
}

// parsePlaces reads places; a place is known by its id, or by its name.
func (o *Pages) parsePlaces(c *call, l sheets.List, b []byte) (r sheets.Result) {
	rows, faults := l.Rows(c.Call, b)
	if r.Faults = faults; len(faults) > 0 {
		return r
	}
	var areas []string
	for _, a := range slices.Concat(footage.Areas, footage.PrivateAreas) {
		areas = append(areas, string(a))
	}
	byName := map[string]string{}
	for _, p := range o.d.Site.Places() {
		byName[p.Name] = p.ID
	}
	taken := map[string]int{}
	var list []site.PlacePut
	for _, row := range rows {
		line := sheets.Line{Line: row.Line, Name: row.Cell["name"]}
		id := cmp.Or(row.Cell["id"], byName[row.Cell["name"]])
		was, rev, known := o.d.Site.Place(id)
		p := was
		p.ID, p.Name = id, row.Cell["name"]
		if id == "" {
			p.ID = o.freePlaceID(taken)
		}
		if taken[p.ID] > 0 {
			line.Errs.Add("id", "err.roster_twice", taken[p.ID])
		}
		if first := taken["name:"+p.Name]; first > 0 {
			line.Errs.Add("name", "err.roster_twice", first)
		}
		taken[p.ID], taken["name:"+p.Name] = row.Line, row.Line
		if s, ok := row.Cell["kind"]; ok {
			code, fine := wordOf(s, "area.", append(areas, ""))
			if !fine && s != "" {
				line.Errs.Add("kind", "err.choice")
			}
			p.Kind = footage.Area(code)
		}
		if s, ok := row.Cell["cameras"]; ok {
			p.Cameras = strings.Fields(strings.NewReplacer(",", " ", "，", " ", "、", " ").Replace(s))
		}
		line.Errs = append(line.Errs, o.d.Site.CheckPlace(p)...)
		line.Sub, line.New = p.ID, !known
		if known {
			line.Changes = c.placeChanges(was, p)
		}
		if !known || len(line.Changes) > 0 {
			list = append(list, site.PlacePut{Place: p, Rev: rev})
		}
		r.Lines = append(r.Lines, line)
	}
	r.Commit = func(ctx context.Context, who account.Who, _ bool) error {
		who.Via = ledger.ViaImport
		return o.d.Site.PutPlaces(ctx, who, list)
	}
	return r
}

func (c *call) placeChanges(was, now site.Place) (out []string) {
	kind := func(k footage.Area) string {
		if k == "" {
			return "–"
		}
		return c.P.K("area.", k)
	}
	if was.Name != now.Name {
		out = append(out, c.P.T("sheet.change", c.P.T("place.f.name"), was.Name, now.Name))
	}
	if was.Kind != now.Kind {
		out = append(out, c.P.T("sheet.change", c.P.T("place.f.kind"), kind(was.Kind), kind(now.Kind)))
	}
	if !slices.Equal(was.Cameras, now.Cameras) {
		out = append(out, c.P.T("sheet.change", c.P.T("place.f.cameras"), cmp.Or(c.CameraNames(was.Cameras), "–"), cmp.Or(c.CameraNames(now.Cameras), "–")))
	}
	return out
}

var calendarKinds = []string{"term", "holiday", "make_up"}

// parseCalendar reads terms, holidays and make-up days, which take the place of those that there are.
func (o *Pages) parseCalendar(c *call, l sheets.List, b []byte) (r sheets.Result) {
	rows, faults := l.Rows(c.Call, b)
	if r.Faults = faults; len(faults) > 0 {
		return r
	}
	rev := o.d.Site.CalendarRev()
	was := o.d.Site.Calendar()
	cal := was
	cal.Terms, cal.Holidays, cal.MakeUps = nil, nil, nil
	for _, row := range rows {
		line := sheets.Line{Line: row.Line, Name: row.Cell["kind"], Sub: row.Cell["name"]}
		kind, ok := wordOf(row.Cell["kind"], "calsheet.kind.", calendarKinds)
		if !ok {
			line.Errs.Add("kind", "err.choice")
		}
		x := attendance.DateRange{Name: row.Cell["name"]}
		if x.From, ok = student.ParseDate(row.Cell["from"]); !ok {
			line.Errs.Add("from", "err.date")
		}
		x.To = x.From
		if s := row.Cell["to"]; s != "" {
			if x.To, ok = student.ParseDate(s); !ok {
				line.Errs.Add("to", "err.date")
			}
		}
		as := ""
		if s := row.Cell["as"]; s != "" {
			if as, ok = wordOf(s, "weekday.", weekdayNames); !ok {
				line.Errs.Add("as", "err.weekday")
			}
		}
		known := false
		switch kind {
		case "term":
			known = slices.Contains(was.Terms, x)
			cal.Terms = append(cal.Terms, x)
		case "holiday":
			known = slices.Contains(was.Holidays, x)
			cal.Holidays = append(cal.Holidays, x)
		case "make_up":
			m := attendance.MakeUp{Date: x.From, As: as}
			known = slices.Contains(was.MakeUps, m)
			cal.MakeUps = append(cal.MakeUps, m)
		}
		if len(line.Errs) == 0 {
			if errs, bad := cal.Check().(fielderr.Errors); bad {
				e := errs[len(errs)-1]
				line.Errs.Add("from", e.Rule, e.Args...)
			}
		}
		line.New = !known
		r.Lines = append(r.Lines, line)
	}
	if n := len(was.Terms) + len(was.Holidays) + len(was.MakeUps); n > 0 {
		r.Notes = append(r.Notes, c.P.T("calsheet.replaces", n))
	}
	r.Commit = func(ctx context.Context, who account.Who, _ bool) error {
		who.Via = ledger.ViaImport
		return o.d.Site.PutCalendarFrom(ctx, who, cal, rev)
	}
	return r
}

// exportCalendar gives terms, holidays and make-up days in the columns that the import takes. They name nobody.
func (o *Pages) exportCalendar(c *call) error {
	out := [][]string{{c.P.T("calsheet.kind"), c.P.T("calsheet.name"), c.P.T("calsheet.from"), c.P.T("calsheet.to"), c.P.T("calsheet.as")}}
	cal := o.d.Site.Calendar()
	for _, t := range cal.Terms {
		out = append(out, []string{c.P.T("calsheet.kind.term"), t.Name, t.From, t.To, ""})
	}
	for _, t := range cal.Holidays {
		out = append(out, []string{c.P.T("calsheet.kind.holiday"), t.Name, t.From, t.To, ""})
	}
	for _, m := range cal.MakeUps {
		as := ""
		if m.As != "" {
			as = c.P.T("weekday." + m.As)
		}
		out = append(out, []string{c.P.T("calsheet.kind.make_up"), "", m.Date, m.Date, as})
	}
	return c.SendTable("calendar-"+c.FileTime(), c.P.T("calendar.title"), out)
}
