package absence

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/absence"
	"campuskeep/firmware/web/frame"
	rules "campuskeep/shared/absence"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/table"
)

// listView is the absences of one date.
type listView struct {
	Date, Day     string
	Before, After string
	Rule          string // when who is asked
	Alarms        []alarmRow
	Chips         []frame.Chip
	Q             string
	State         string
	Rows          []caseRow
	Waiting       int // calls
	Pages         frame.Pages
	Older         []caseRow // open ones of earlier days
	Query         string
}

type alarmRow struct {
	ID, Title, Text, When string
	Over, Judged          string
	CanJudge, CanBeReal   bool
}

type caseRow struct {
	ID, Name, Class, Date string
	Tone, Icon, State     string
	Since, Owner, Detail  string
}

// ownClass is a class teacher's own class, and nothing in particular for those who see the whole school.
func ownClass(c *call) (account.Subject, error) {
	var s account.Subject
	if len(c.Actor.Classes) > 0 {
		s.Class = c.Actor.Classes[0]
	}
	return s, nil
}

// seesClass says whether a class is this person's to see.
func (c *call) seesClass(class string) bool {
	return c.Can(account.ActAbsenceView, account.Subject{Class: class})
}

// date is the date that is asked for, today when none is.
func (c *call) date() (string, error) {
	date := c.R.FormValue("date")
	if date == "" {
		return c.Today(), nil
	}
	if _, err := time.Parse(attendance.DateLayout, date); err != nil || date > c.Today() {
		return "", frame.ErrNotFound
	}
	return date, nil
}

// dayOf is noon of a date at the school.
func (c *call) dayOf(date string) time.Time {
	t, err := time.ParseInLocation(attendance.DateLayout, date, c.o.d.Zone)
	if err != nil {
		return c.Now.Wall
	}
	return t.Add(12 * time.Hour)
}

// found are the cases of a date that this person may see, after search and filters.
func (c *call) found(date string, f url.Values) ([]rules.Case, error) {
	list, err := c.o.d.Absence.Cases(date)
	if err != nil {
		return nil, err
	}
	words := strings.Fields(strings.ToLower(f.Get("q")))
	return slices.DeleteFunc(list, func(x rules.Case) bool {
		if !c.seesClass(x.Class) || f.Get("class") != "" && f.Get("class") != x.Class {
			return true
		}
		if s := f.Get("state"); s == "open" && !x.Open() || s == "closed" && x.Open() {
			return true
		}
		text := strings.ToLower(c.o.d.People.Name(x.Student) + " " + c.className(x.Class, date) + " " + x.Student)
		return slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	}), nil
}

func (c *call) className(class, date string) string {
	if cl, ok := c.o.d.People.Class(class); ok {
		return cl.Name(date)
	}
	return class
}

func (o *Pages) listPage(c *call) error {
	date, err := c.date()
	if err != nil {
		return err
	}
	f := c.R.URL.Query()
	list, err := c.found(date, f)
	if err != nil {
		return err
	}
	v := listView{Date: c.P.Date(c.dayOf(date)), Day: date, Q: f.Get("q"), State: f.Get("state"), Query: f.Encode()}
	v.Before = c.dayOf(date).AddDate(0, 0, -1).Format(attendance.DateLayout)
	if date < c.Today() {
		v.After = c.dayOf(date).AddDate(0, 0, 1).Format(attendance.DateLayout)
	}
	if _, hours, err := o.d.Site.Calendar().Day(date); err == nil {
		r := o.d.Site.Settings().Absence.Or()
		v.Rule = c.P.T("absence.rule", hours.AskTeacher, hours.TellParents, r.NextGuardian, r.Safety)
	}
	if v.Alarms, err = c.alarmRows(date); err != nil {
		return err
	}
	for _, s := range []string{"all", "open", "closed"} {
		x := frame.CloneValues(f)
		x.Del("page")
		x.Set("state", s)
		v.Chips = append(v.Chips, frame.Chip{Text: c.P.T("absence.state." + s), Href: "/absence?" + x.Encode(), On: f.Get("state") == s || s == "all" && f.Get("state") == ""})
	}
	from, to, pages := c.PagesOf("/absence", f, len(list))
	v.Pages = pages
	for _, x := range list[from:to] {
		v.Rows = append(v.Rows, c.caseRow(x))
	}
	v.Waiting = len(c.visibleCalls())
	if date == c.Today() {
		for _, x := range o.d.Absence.OpenCases() {
			if x.Date < date && c.seesClass(x.Class) && len(v.Older) < frame.PerPage {
				v.Older = append(v.Older, c.caseRow(x))
			}
		}
	}
	return c.Page("absences", c.P.T("absence.title"), v)
}

func (c *call) caseRow(x rules.Case) caseRow {
	r := caseRow{ID: x.ID(), Name: c.o.d.People.Name(x.Student), Class: c.className(x.Class, x.Date), Date: c.P.Day(c.dayOf(x.Date)), Since: c.P.Clock(x.Opened), Owner: c.P.T("absence.owner.safety")}
	if x.Owner != "" {
		r.Owner = c.o.Name(x.Owner)
	}
	r.Tone, r.Icon, r.State, r.Detail = c.stateOf(x)
	return r
}

// stateOf is how far a case is, in words.
func (c *call) stateOf(x rules.Case) (tone, icon, state, detail string) {
	switch {
	case !x.Open():
		return "ok", "ok", c.P.T("absence.closed"), c.P.K("absence.why.", x.Why)
	case x.Held != "":
		return "mute", "clock", c.P.T("absence.held"), c.P.K("att.r.", x.Held)
	}
	i := x.Waiting()
	if i < 0 {
		last := x.Steps[len(x.Steps)-1]
		return "warn", "clock", c.P.T("absence.going"), c.P.K("absence.result.", last.Result)
	}
	s := x.Steps[i]
	return "bad", "bad", c.P.K("absence.waits.", s.Rung), c.P.T("absence.since", c.P.Clock(s.At), c.Now.Wall.Sub(s.At))
}

func (c *call) alarmRows(date string) ([]alarmRow, error) {
	list, err := c.o.d.Absence.Alarms(date)
	if err != nil {
		return nil, err
	}
	var out []alarmRow
	for _, a := range list {
		if a.Class != "" && !c.seesClass(a.Class) || a.Class == "" && !c.Can(account.ActAbsenceView, account.Subject{}) && a.Verdict != "" {
			continue
		}
		r := alarmRow{ID: a.ID(), Title: c.alarmTitle(a), Text: c.P.K("absence.alarm.text.", a.Cause), When: c.P.When(a.Since, c.Now.Wall)}
		if !a.Until.IsZero() {
			r.Over = c.P.T("absence.alarm.over", c.P.When(a.Until, c.Now.Wall))
		}
		if a.Verdict != "" {
			r.Judged = c.P.T("absence.alarm.judged", c.o.Name(a.By), c.P.K("absence.verdict.", a.Verdict))
		}
		r.CanJudge = a.Verdict == "" && c.Can(account.ActAlarmJudge, account.Subject{})
		r.CanBeReal = a.Cause == rules.WholeClass || a.Cause == rules.WholeSchool
		out = append(out, r)
	}
	return out, nil
}

func (c *call) alarmTitle(a absence.Alarm) string {
	if a.Class != "" {
		return c.P.T("absence.alarm.class", c.className(a.Class, a.Date), a.Count, a.Of)
	}
	return c.P.T("absence.alarm."+string(a.Cause), a.Count, a.Of)
}

// judgeAlarm takes what an alarm was.
func (o *Pages) judgeAlarm(c *call) error {
	date, key, _ := strings.Cut(c.R.PathValue("id"), ".")
	if err := o.d.Absence.Judge(c.R.Context(), c.Who(), c.Decision.Role, date, key, rules.Verdict(c.R.PostForm.Get("verdict"))); err != nil {
		return err
	}
	return c.Done("/absence?date="+url.QueryEscape(date), "done.absence.alarm")
}

// exportList gives the list as a spreadsheet, after its entry.
func (o *Pages) exportList(c *call) error {
	date, err := c.date()
	if err != nil {
		return err
	}
	f, err := url.ParseQuery(c.R.PostForm.Get("query"))
	if err != nil {
		return frame.ErrNotFound
	}
	list, err := c.found(date, f)
	if err != nil {
		return err
	}
	var head []string
	for _, k := range []string{"date", "class", "pupil", "opened", "state", "detail", "owner", "note"} {
		head = append(head, c.P.T("absence.h."+k))
	}
	rows := [][]string{head}
	for _, x := range list {
		r := c.caseRow(x)
		rows = append(rows, []string{x.Date, r.Class, r.Name, r.Since, r.State, r.Detail, r.Owner, x.Note})
	}
	if _, _, err := o.LogPrintout(c.Call, "absence:"+date, frame.FormSheet, "", ""); err != nil {
		return err
	}
	b, err := table.XLSX(c.P.T("absence.title"), table.Text(rows))
	if err != nil {
		return err
	}
	c.File(fmt.Sprintf("campuskeep-%s-absence-%s.xlsx", o.d.Info.Appliance, strings.ReplaceAll(date, "-", "")), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b)
	return nil
}

// needs are the cases, calls and alarms that wait for this person.
func (c *call) needs() (out []frame.Need) {
	for _, a := range c.o.d.Absence.OpenAlarms() {
		if !c.Can(account.ActAlarmJudge, account.Subject{}) || a.Date != c.Today() && !a.Until.IsZero() {
			continue
		}
		out = append(out, frame.Need{Tone: "bad", Icon: "bad", Badge: c.P.T("absence.alarm"), Kind: c.P.T("nav.absence"), Title: c.alarmTitle(a), Text: c.P.K("absence.alarm.text.", a.Cause), Due: c.P.When(a.Since, c.Now.Wall),
			Href: "/absence?date=" + a.Date, Do: c.P.T("see")})
	}
	const most = 6
	n := 0
	for _, x := range c.o.d.Absence.OpenCases() {
		if !c.mine(x) {
			continue
		}
		if n++; n > most {
			continue
		}
		tone, icon, state, detail := c.stateOf(x)
		out = append(out, frame.Need{Tone: tone, Icon: icon, Badge: state, Kind: c.P.T("nav.absence"), Title: c.P.T("absence.need", c.o.d.People.Name(x.Student), c.className(x.Class, x.Date)), Text: detail, Due: c.P.When(x.Opened, c.Now.Wall),
			Href: "/absence/case/" + x.ID(), Do: c.P.T("see"), Primary: x.Owner == c.Actor.ID})
	}
	if n > most {
		out = append(out, frame.Need{Tone: "bad", Icon: "bad", Badge: c.P.T("absence.state.open"), Kind: c.P.T("nav.absence"), Title: c.P.T("absence.need.more", n-most), Href: "/absence?state=open", Do: c.P.T("see")})
	}
	return out
}

// mine says whether a case waits for this person: the own class, or what has reached the head of safety.
func (c *call) mine(x rules.Case) bool {
	if !c.Can(account.ActAbsenceAct, account.Subject{Class: x.Class}) {
		return false
	}
	_, safety := x.Last(rules.Safety)
	return slices.Contains(c.Actor.Classes, x.Class) || safety || x.Date < c.Today()
}
