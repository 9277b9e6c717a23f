package attendance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/table"
)

// sheetView is a class in a month: one line for each pupil, one column for each school day.
type sheetView struct {
	Class, ID, Month, Title string
	Before, After           string
	Classes                 []frame.Chip
	Days                    []sheetDay
	Rows                    []sheetRow
	Sum                     sheetSum
	Printed                 string
	School                  bool // may see the school's sheet
}

type sheetDay struct{ Date, Day, Weekday string }

type sheetRow struct {
	No       int
	ID, Name string
	Marks    []sheetMark
	Sum      sheetSum
}

type sheetMark struct{ Char, Text, Tone string }

// sheetSum counts days.
type sheetSum struct {
	Expected, Present, Late, LeftEarly, Sick, Personal, OtherLeave, Absent, Unknown int
}

func (s *sheetSum) add(d attendance.DayStatus) {
	switch d.Outcome {
	case attendance.NoSchool, attendance.Pending:
		return
	case attendance.Present:
		s.Present++
	case attendance.Late:
		s.Late++
	case attendance.LeftEarly:
		s.LeftEarly++
	case attendance.OnLeave:
		switch d.Leave {
		case attendance.Sick:
			s.Sick++
		case attendance.Personal:
			s.Personal++
		default:
			s.OtherLeave++
		}
	case attendance.Unknown:
		s.Unknown++
	default:
		s.Absent++
	}
	s.Expected++
}

func (s *sheetSum) plus(o sheetSum) {
	s.Expected += o.Expected
	s.Present += o.Present
	s.Late += o.Late
	s.LeftEarly += o.LeftEarly
	s.Sick += o.Sick
	s.Personal += o.Personal
	s.OtherLeave += o.OtherLeave
	s.Absent += o.Absent
	s.Unknown += o.Unknown
}

// Rate is the share of days on which pupils came, among those of which it is known.
func (s sheetSum) Rate() string {
	n := s.Expected - s.Unknown
	if n == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f%%", 100*float64(s.Present+s.Late+s.LeftEarly)/float64(n))
}

// monthOf is the month that is asked for and its dates up to today.
func (c *call) monthOf() (month string, dates []string, err error) {
	month = c.R.FormValue("month")
	if month == "" {
		month = c.Today()[:7]
	}
	first, err := time.ParseInLocation("2006-01", month, c.o.d.Zone)
	if err != nil || month > c.Today()[:7] {
		return "", nil, frame.ErrNotFound
	}
	for d := first; d.Format("2006-01") == month && d.Format(attendance.DateLayout) <= c.Today(); d = d.AddDate(0, 0, 1) {
		dates = append(dates, d.Format(attendance.DateLayout))
	}
	return month, dates, nil
}

// schoolDays are those of the dates on which school is kept.
func (c *call) schoolDays(dates []string) (out []string, err error) {
	for _, date := range dates {
		day, _, err := c.o.d.Calendar().Day(date)
		if err != nil {
			return nil, err
		}
		if day.School {
			out = append(out, date)
		}
	}
	return out, nil
}

// sheetSubject is the class that is asked for, or the first of the own ones.
func sheetSubject(c *call) (account.Subject, error) {
	if class := c.R.FormValue("class"); class != "" {
		return account.Subject{Class: class}, nil
	}
	if len(c.Actor.Classes) > 0 {
		return account.Subject{Class: c.Actor.Classes[0]}, nil
	}
	if list := c.o.d.People.Classes(c.Today()); len(list) > 0 {
		return account.Subject{Class: list[0].ID}, nil
	}
	return account.Subject{}, nil
}

func (c *call) sheet() (v sheetView, err error) {
	month, dates, err := c.monthOf()
	if err != nil {
		return v, err
	}
	cl, ok := c.o.d.People.Class(c.Subject.Class)
	if !ok {
		return v, frame.ErrNotFound
	}
	if dates, err = c.schoolDays(dates); err != nil {
		return v, err
	}
	last := c.Today()
	if len(dates) > 0 {
		last = dates[len(dates)-1]
	}
	v = sheetView{Class: cl.Name(last), ID: cl.ID, Month: month, Title: c.P.T("sheets.of", cl.Name(last), month), Printed: c.P.DayTime(c.Now.Wall), School: c.Can(account.ActSheetsView, account.Subject{})}
	first := c.dayOf(month + "-01")
	v.Before = first.AddDate(0, -1, 0).Format("2006-01")
	if month < c.Today()[:7] {
		v.After = first.AddDate(0, 1, 0).Format("2006-01")
	}
	for _, x := range c.o.d.People.Classes(last) {
		if c.Can(account.ActSheetsView, account.Subject{Class: x.ID}) {
			v.Classes = append(v.Classes, frame.Chip{Text: x.Name(last), Href: "/sheets?" + url.Values{"class": {x.ID}, "month": {month}}.Encode(), On: x.ID == cl.ID})
		}
	}
	var ids []string
	names := map[string]string{}
	for _, date := range dates { // who was in the class on any day of the month
		for _, s := range c.o.d.People.Roster(cl.ID, date) {
			if names[s.ID] == "" {
				ids, names[s.ID] = append(ids, s.ID), s.Name
			}
		}
	}
	slices.Sort(ids)
	for i, id := range ids {
		v.Rows = append(v.Rows, sheetRow{No: i + 1, ID: id, Name: names[id]})
	}
	for _, date := range dates {
		t := c.dayOf(date)
		v.Days = append(v.Days, sheetDay{date, fmt.Sprint(t.Day()), c.P.WeekdayShort(t)})
		days, err := c.o.d.Gate.Days(date, ids)
		if err != nil {
			return v, err
		}
		for i := range v.Rows {
			d, known := days[v.Rows[i].ID]
			if known && d.Class == cl.ID {
				v.Rows[i].Sum.add(d)
			}
			v.Rows[i].Marks = append(v.Rows[i].Marks, c.sheetMark(d, known && d.Class == cl.ID))
		}
	}
	for _, r := range v.Rows {
		v.Sum.plus(r.Sum)
	}
	return v, nil
}

// sheetMark is one day as the sheet shows it: a character that also tells without colour.
func (c *call) sheetMark(d attendance.DayStatus, known bool) sheetMark {
	if !known {
		return sheetMark{"", c.P.T("sheets.none"), ""}
	}
	key := string(d.Outcome)
	if d.Outcome == attendance.OnLeave && d.Leave == attendance.Sick {
		key = "sick"
	}
	m := sheetMark{Char: c.P.T("sheets.char." + key), Text: c.P.K("att.", d.Outcome)}
	switch d.Outcome {
	case attendance.AbsentUnexplained, attendance.Truant:
		m.Tone = "bad"
	case attendance.Late, attendance.LeftEarly, attendance.Unknown:
		m.Tone = "warn"
	}
	return m
}

func (o *Pages) sheetPage(c *call) error {
	v, err := c.sheet()
	if err != nil {
		return err
	}
	return c.Page("sheet", v.Title, v)
}

// sumCells are the figures of a sum, in the order of the heads.
func (s sheetSum) sumCells() []string {
	out := []string{}
	for _, n := range []int{s.Expected, s.Present, s.Late, s.LeftEarly, s.Sick, s.Personal, s.OtherLeave, s.Absent, s.Unknown} {
		out = append(out, fmt.Sprint(n))
	}
	return append(out, s.Rate())
}

var sumHeads = []string{"expected", "present", "late", "early", "sick", "personal", "other", "absent", "unknown", "rate"}

// exportSheet gives the class's month as a spreadsheet, after its entry.
func (o *Pages) exportSheet(c *call) error {
	v, err := c.sheet()
	if err != nil {
		return err
	}
	head := []string{c.P.T("sheets.h.no"), c.P.T("absence.h.pupil")}
	for _, d := range v.Days {
		head = append(head, d.Date[5:])
	}
	for _, k := range sumHeads {
		head = append(head, c.P.T("sheets.h."+k))
	}
	rows := [][]string{head}
	for _, r := range v.Rows {
		line := []string{fmt.Sprint(r.No), r.Name}
		for _, m := range r.Marks {
			line = append(line, m.Char)
		}
		rows = append(rows, append(line, r.Sum.sumCells()...))
	}
	if _, _, err := o.LogPrintout(c.Call, "sheet:"+v.ID+":"+v.Month, frame.FormSheet, "", ""); err != nil {
		return err
	}
	b, err := table.XLSX(v.Month, table.Text(rows))
	if err != nil {
		return err
	}
	c.File(fmt.Sprintf("campuskeep-attendance-%s-%s.xlsx", v.ID, v.Month), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b)
	return nil
}

// schoolView is the school in a month: grades with their classes, and what the days of the week tell.
type schoolView struct {
	Month, Before, After string
	Grades               []gradeSum
	Total                sheetSum
	Weekdays             []namedSum
	Periods              []periodSum
	Printed              string
}

type namedSum struct {
	Name, Href string
	Sum        sheetSum
}

type gradeSum struct {
	Name    string
	Sum     sheetSum
	Classes []namedSum
}

type periodSum struct {
	Name                   string
	Rolls, Of, Away, Leave int
	Unwell                 int
}

func (c *call) schoolSheet() (v schoolView, err error) {
	month, dates, err := c.monthOf()
	if err != nil {
		return v, err
	}
	v = schoolView{Month: month, Printed: c.P.DayTime(c.Now.Wall)}
	first := c.dayOf(month + "-01")
	v.Before = first.AddDate(0, -1, 0).Format("2006-01")
	if month < c.Today()[:7] {
		v.After = first.AddDate(0, 1, 0).Format("2006-01")
	}
	if dates, err = c.schoolDays(dates); err != nil {
		return v, err
	}
	classes, weekdays, periods := map[string]*sheetSum{}, [7]sheetSum{}, map[attendance.Period]*periodSum{}
	for _, date := range dates {
		days, err := c.o.d.Gate.Days(date, nil)
		if err != nil {
			return v, err
		}
		for _, d := range days {
			if classes[d.Class] == nil {
				classes[d.Class] = &sheetSum{}
			}
			classes[d.Class].add(d)
			weekdays[c.dayOf(date).Weekday()].add(d)
			v.Total.add(d)
		}
		taken, err := c.o.d.Absence.Rolls(date)
		if err != nil {
			return v, err
		}
		for _, r := range taken {
			p := periods[r.Period]
			if p == nil {
				p = &periodSum{Name: c.P.K("class.period.", r.Period)}
				periods[r.Period] = p
			}
			p.Rolls++
			p.Of += r.Of
			p.Away += len(r.Away)
			p.Leave += len(r.Leave)
			p.Unwell += r.Unwell
		}
	}
	last := c.Today()
	if len(dates) > 0 {
		last = dates[len(dates)-1]
	}
	for _, cl := range c.o.d.People.Classes(last) {
		s := classes[cl.ID]
		if s == nil {
			continue
		}
		grade := gradeName(c.P, cl.Grade(last))
		if n := len(v.Grades); n == 0 || v.Grades[n-1].Name != grade {
			v.Grades = append(v.Grades, gradeSum{Name: grade})
		}
		g := &v.Grades[len(v.Grades)-1]
		g.Sum.plus(*s)
		g.Classes = append(g.Classes, namedSum{cl.Name(last), "/sheets?" + url.Values{"class": {cl.ID}, "month": {month}}.Encode(), *s})
	}
	for i := range 7 {
		if wd := (i + 1) % 7; weekdays[wd].Expected > 0 {
			v.Weekdays = append(v.Weekdays, namedSum{Name: c.P.T(fmt.Sprintf("weekday.%d", wd)), Sum: weekdays[wd]})
		}
	}
	for _, p := range attendance.Periods {
		if periods[p] != nil {
			v.Periods = append(v.Periods, *periods[p])
		}
	}
	return v, nil
}

func (o *Pages) schoolPage(c *call) error {
	v, err := c.schoolSheet()
	if err != nil {
		return err
	}
	return c.Page("sheet_school", c.P.T("sheets.school"), v)
}

// pupilView is one pupil's days that were not plain presence, with the corrections.
type pupilSheet struct {
	ID, Name, Class string
	From, To        string
	Sum             sheetSum
	Days            []pupilDay
	History         []correction
	all             []attendance.DayStatus
}

type pupilDay struct{ Date, Tone, Icon, Text, Detail string }

type correction struct{ When, Who, Date, Text, Reason string }

// pupilSheetSubject is the class of a pupil.
func pupilSheetSubject(c *call) (account.Subject, error) {
	return account.Subject{Class: c.o.d.People.ClassOf(c.R.PathValue("student"), c.Today())}, nil
}

// pupilDays is how far a pupil's sheet goes back.
const pupilDays = 120

func (o *Pages) pupilPage(c *call) error {
	v, err := o.pupilSheet(c)
	if err != nil {
		return err
	}
	return c.Page("sheet_pupil", v.Name, v)
}

func (o *Pages) pupilSheet(c *call) (v pupilSheet, err error) {
	id := c.R.PathValue("student")
	s, ok := o.d.People.Student(id)
	if !ok {
		return v, frame.ErrNotFound
	}
	v = pupilSheet{ID: id, Name: s.Name, Class: c.Subject.Class, To: c.Today()}
	if cl, ok := o.d.People.Class(c.Subject.Class); ok {
		v.Class = cl.Name(c.Today())
	}
	for n := range pupilDays {
		date := c.dayOf(c.Today()).AddDate(0, 0, -n).Format(attendance.DateLayout)
		days, err := o.d.Gate.Days(date, []string{id})
		if err != nil {
			return v, err
		}
		d, known := days[id]
		if !known {
			continue
		}
		v.From, v.all = date, append(v.all, d)
		v.Sum.add(d)
		if d.Outcome == attendance.Present || d.Outcome == attendance.NoSchool || d.Outcome == attendance.Pending {
			continue
		}
		m := c.sheetMark(d, true)
		row := pupilDay{Date: c.P.Date(c.dayOf(date)), Tone: m.Tone, Icon: "info", Text: m.Text}
		if row.Tone == "" {
			row.Tone = "mute"
		}
		if d.Minutes > 0 {
			row.Text = c.P.T("roll.minutes", row.Text, d.Minutes)
		}
		var why []string
		for _, r := range d.Reasons {
			why = append(why, c.P.K("att.r.", r))
		}
		row.Detail = strings.Join(why, " · ")
		v.Days = append(v.Days, row)
	}
	v.History, err = c.corrections(id)
	return v, err
}

// corrections are what people stated about the days of a pupil, with their reasons, newest first.
func (c *call) corrections(id string) (out []correction, err error) {
	page, err := c.o.d.Ledger.Search(c.R.Context(), ledgerdb.Query{Kinds: []ledger.Kind{"attendance.mark"}, About: []string{id}, Limit: 50})
	if err != nil {
		return nil, fmt.Errorf("look for the corrections of a pupil: %w", err)
	}
	for _, e := range page.Entries {
		var d struct {
			Date, Status, Leave string
			Minutes             int
		}
		if err := json.Unmarshal(e.Data, &d); err != nil {
			continue // of another form
		}
		x := correction{When: c.P.When(e.At, c.Now.Wall), Who: c.o.Name(e.Actor.ID), Date: d.Date, Text: c.P.K("att.", d.Status)}
		if d.Leave != "" {
			x.Text = c.P.K("att.leave.", d.Leave)
		}
		parts, err := c.o.d.Ledger.Parts(e.Seq)
		if err != nil {
			return nil, fmt.Errorf("read the reason of entry %d: %w", e.Seq, err)
		}
		for _, p := range parts {
			x.Reason = string(p.Plain)
		}
		out = append(out, x)
	}
	return out, nil
}

// APISheet is a class in a month, as JSON.
type APISheet struct {
	Class  string     `json:"class"`
	Month  string     `json:"month"`
	Days   []string   `json:"days"`
	Pupils []APILine  `json:"pupils"`
	Sum    APICounted `json:"sum"`
}

// APILine is one pupil of a sheet.
type APILine struct {
	ID    string     `json:"id"`
	Name  string     `json:"name"`
	Marks []string   `json:"marks"`
	Sum   APICounted `json:"sum"`
}

// APICounted is a sum of days by what they were.
type APICounted struct {
	Expected   int `json:"expected"`
	Present    int `json:"present"`
	Late       int `json:"late"`
	LeftEarly  int `json:"left_early"`
	Sick       int `json:"sick"`
	Personal   int `json:"personal"`
	OtherLeave int `json:"other_leave"`
	Absent     int `json:"absent"`
	Unknown    int `json:"unknown"`
}

func (o *Pages) apiSheet(c *call) error {
	v, err := c.sheet()
	if err != nil {
		return err
	}
	out := APISheet{Class: v.ID, Month: v.Month, Days: []string{}, Pupils: []APILine{}, Sum: APICounted(v.Sum)}
	for _, d := range v.Days {
		out.Days = append(out.Days, d.Date)
	}
	for _, r := range v.Rows {
		l := APILine{ID: r.ID, Name: r.Name, Marks: []string{}, Sum: APICounted(r.Sum)}
		for _, m := range r.Marks {
			l.Marks = append(l.Marks, m.Text)
		}
		out.Pupils = append(out.Pupils, l)
	}
	return c.JSON(http.StatusOK, out)
}

// APISchool is the school in a month, as JSON.
type APISchool struct {
	Month   string                `json:"month"`
	Sum     APICounted            `json:"sum"`
	Classes map[string]APICounted `json:"classes"`
}

func (o *Pages) apiSchool(c *call) error {
	v, err := c.schoolSheet()
	if err != nil {
		return err
	}
	out := APISchool{v.Month, APICounted(v.Total), map[string]APICounted{}}
	for _, g := range v.Grades {
		for _, cl := range g.Classes {
			out.Classes[cl.Name] = APICounted(cl.Sum)
		}
	}
	return c.JSON(http.StatusOK, out)
}

// APIPupilSheet is a pupil's days of the last months, as JSON.
type APIPupilSheet struct {
	ID      string                 `json:"id"`
	Name    string                 `json:"name"`
	From    string                 `json:"from"`
	To      string                 `json:"to"`
	Sum     APICounted             `json:"sum"`
	Days    []attendance.DayStatus `json:"days"`
	History []APICorrection        `json:"history"`
}

// APICorrection is what a person stated about a day.
type APICorrection struct {
	Date   string `json:"date"`
	Status string `json:"status"`
	By     string `json:"by"`
	At     string `json:"at"`
	Reason string `json:"reason,omitempty"`
}

func (o *Pages) apiPupilSheet(c *call) error {
	v, err := o.pupilSheet(c)
	if err != nil {
		return err
	}
	out := APIPupilSheet{ID: v.ID, Name: v.Name, From: v.From, To: v.To, Sum: APICounted(v.Sum), Days: v.all, History: []APICorrection{}}
	for _, h := range v.History {
		out.History = append(out.History, APICorrection{h.Date, h.Text, h.Who, h.When, h.Reason})
	}
	return c.JSON(http.StatusOK, out)
}
