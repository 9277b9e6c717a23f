package school

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/student"
)

// A set of bell times is named in addresses: "school", a weekday ("friday"), a group of grades by its place in the list
// ("grades-0"; the next free one makes a new group), the weekday of such a group ("grades-0-friday"), or a date.
type bellSet struct {
	weekday string
	group   int // -1: none
	date    string
}

func parseSet(s string) (b bellSet, ok bool) {
	b.group = -1
	if rest, grades := strings.CutPrefix(s, "grades-"); grades {
		n, day, _ := strings.Cut(rest, "-")
		group, err := strconv.Atoi(n)
		b.group, b.weekday = group, day
		return b, err == nil && group >= 0 && group < attendance.MaxGrade && (day == "" || slices.Contains(weekdayNames, day))
	}
	switch {
	case s == "school":
		return b, true
	case slices.Contains(weekdayNames, s):
		b.weekday = s
		return b, true
	case student.IsDate(s):
		b.date = s
		return b, true
	}
	return b, false
}

// hours finds the bell times of a set; false when it has none of its own, and then those that it follows.
func (b bellSet) hours(cal attendance.Calendar) (attendance.Hours, bool) {
	h, special := cal.Hours, cal.Weekdays
	known := true
	if b.group >= 0 {
		known = b.group < len(cal.Grades)
		if known {
			h, special = cal.Grades[b.group].Hours, cal.Grades[b.group].Weekdays
		}
	}
	switch {
	case b.weekday != "":
		if x, ok := special[b.weekday]; ok {
			return x, true
		}
		return h, false
	case b.date != "":
		if x, ok := cal.Dates[b.date]; ok {
			return x, true
		}
		return h, false
	}
	return h, known
}

// with gives the calendar with other bell times for a set; nil takes them away.
func (b bellSet) with(cal attendance.Calendar, h *attendance.Hours, grades []int) attendance.Calendar {
	change := func(m map[string]attendance.Hours, key string) map[string]attendance.Hours {
		m = maps.Clone(m)
		if h == nil {
			delete(m, key)
			return m
		}
		if m == nil {
			m = map[string]attendance.Hours{}
		}
		m[key] = *h
		return m
	}
	switch {
	case b.date != "":
		cal.Dates = change(cal.Dates, b.date)
	case b.group >= 0:
		cal.Grades = slices.Clone(cal.Grades)
		if b.group >= len(cal.Grades) {
			b.group = len(cal.Grades)
			cal.Grades = append(cal.Grades, attendance.GradeHours{Hours: cal.Hours})
		}
		g := &cal.Grades[b.group]
		switch {
		case b.weekday != "":
			g.Weekdays = change(g.Weekdays, b.weekday)
		case h == nil:
			cal.Grades = slices.Delete(cal.Grades, b.group, b.group+1)
		default:
			g.Hours, g.Grades = *h, grades
		}
	case b.weekday != "":
		cal.Weekdays = change(cal.Weekdays, b.weekday)
	case h != nil:
		cal.Hours = *h
	}
	return cal
}

// bellTimes are the times of a set of bell times, and how many minutes before or after.
var (
	bellTimes   = []string{"opens", "bell", "home", "closes"}
	bellMinutes = []string{"grace", "slack", "ask_teacher", "tell_parents", "repeat"}
)

func hoursField(h *attendance.Hours, name string) *int {
	switch name {
	case "opens":
		return &h.Opens
	case "bell":
		return &h.Bell
	case "home":
		return &h.Home
	case "closes":
		return &h.Closes
	case "grace":
		return &h.Grace
	case "slack":
		return &h.Slack
	case "ask_teacher":
		return &h.AskTeacher
	case "tell_parents":
		return &h.TellParents
	}
	return &h.Repeat
}

func clockText(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

// bellsView is all sets of bell times.
type bellsView struct {
	Rows     []bellRow
	CanEdit  bool
	Set      bool
	Weekdays []ui.Option // that have none of their own yet
	NewGroup string
	Today    string
}

type bellRow struct {
	Set, Name, Of          string
	Bell, Home, Opens      string
	Teacher, Parents, Taps string
}

func (o *Pages) bellsPage(c *call) error {
	cal := o.d.Site.Calendar()
	v := bellsView{CanEdit: c.Can(account.ActSchoolEdit, account.Subject{}), Set: o.d.Site.CalendarRev() > 0, NewGroup: fmt.Sprintf("grades-%d", len(cal.Grades)), Today: c.Today()}
	add := func(set string, h attendance.Hours) {
		b, _ := parseSet(set)
		r := bellRow{Set: set, Name: c.setName(b, cal), Bell: clockText(h.Bell), Home: clockText(h.Home), Opens: clockText(h.Opens) + "–" + clockText(h.Closes),
			Teacher: c.P.T("bells.after", h.AskTeacher), Parents: c.P.T("bells.after", h.TellParents), Taps: c.P.T("bells.in")}
		if h.TapOut {
			r.Taps = c.P.T("bells.in_out")
		}
		v.Rows = append(v.Rows, r)
	}
	add("school", cal.Hours)
	for _, d := range weekdayNames {
		if h, ok := cal.Weekdays[d]; ok {
			add(d, h)
		} else {
			v.Weekdays = append(v.Weekdays, ui.Option{Value: d, Text: c.P.T("weekday." + d)})
		}
	}
	for i, g := range cal.Grades {
		add(fmt.Sprintf("grades-%d", i), g.Hours)
		for _, d := range weekdayNames {
			if h, ok := g.Weekdays[d]; ok {
				add(fmt.Sprintf("grades-%d-%s", i, d), h)
			}
		}
	}
	for _, d := range slices.Sorted(maps.Keys(cal.Dates)) {
		add(d, cal.Dates[d])
	}
	return c.Page("bells", c.P.T("bells.title"), v)
}

// setName is a set of bell times as people call it.
func (c *call) setName(b bellSet, cal attendance.Calendar) string {
	var parts []string
	if b.group >= 0 {
		name := c.P.T("bells.new_group")
		if b.group < len(cal.Grades) {
			var words []string
			for _, g := range cal.Grades[b.group].Grades {
				words = append(words, student.GradeName(g))
			}
			name = strings.Join(words, c.P.T("sep.list"))
		}
		parts = append(parts, name)
	}
	if b.weekday != "" {
		parts = append(parts, c.P.T("weekday."+b.weekday))
	}
	if b.date != "" {
		parts = append(parts, b.date)
	}
	if len(parts) == 0 {
		return c.P.T("bells.school")
	}
	return strings.Join(parts, " ")
}

// bellView is the form of one set.
type bellView struct {
	Form     ui.Form
	Set      string
	Name     string
	Group    bool
	Grades   []ui.Option
	TapOut   []ui.Option
	Times    []ui.Field
	Minutes  []ui.Field
	Known    bool
	CanErase bool
	Days     []ui.Option // weekdays of a group, for hours of their own
}

func (o *Pages) bellPage(c *call) error {
	if d := c.R.URL.Query().Get("of"); c.R.PathValue("set") == "new" { // a choice of the list: a weekday or a date
		return c.SeeOther("/bells/" + url.PathEscape(d))
	}
	b, ok := parseSet(c.R.PathValue("set"))
	if !ok {
		return frame.ErrNotFound
	}
	rev := o.d.Site.CalendarRev() // before the row: a newer row is then a conflict, never the reverse
	cal := o.d.Site.Calendar()
	h, _ := b.hours(cal)
	values := url.Values{"rev": {strconv.FormatUint(rev, 10)}, "tap_out": {"in"}}
	if h.TapOut {
		values.Set("tap_out", "in_out")
	}
	for _, k := range bellTimes {
		values.Set(k, clockText(*hoursField(&h, k)))
	}
	for _, k := range bellMinutes {
		values.Set(k, strconv.Itoa(*hoursField(&h, k)))
	}
	if b.group >= 0 && b.group < len(cal.Grades) {
		for _, g := range cal.Grades[b.group].Grades {
			values.Add("grades", strconv.Itoa(g))
		}
	}
	return o.showBells(c, http.StatusOK, b, values, nil)
}

func (o *Pages) showBells(c *call, status int, b bellSet, values url.Values, errs fielderr.Errors) error {
	cal := o.d.Site.Calendar()
	_, known := b.hours(cal)
	v := bellView{Form: ui.Form{Name: "bells", P: c.P, Values: values, Errors: errs}, Set: c.R.PathValue("set"), Name: c.setName(b, cal), Group: b.group >= 0 && b.weekday == "", Known: known,
		CanErase: known && (b.group >= 0 || b.weekday != "" || b.date != "")}
	for g := 1; g <= attendance.MaxGrade; g++ {
		v.Grades = append(v.Grades, ui.Option{Value: strconv.Itoa(g), Text: student.GradeName(g)})
	}
	for _, k := range []string{"in_out", "in"} {
		v.TapOut = append(v.TapOut, ui.Option{Value: k, Text: c.P.T("bells." + k)})
	}
	for _, k := range bellTimes {
		v.Times = append(v.Times, v.Form.In(k, "time").Req().Cols(3))
	}
	for _, k := range bellMinutes {
		v.Minutes = append(v.Minutes, v.Form.In(k, "number").Req().Cols(3).Range("0", "240"))
	}
	if v.Group && known {
		for _, d := range weekdayNames {
			v.Days = append(v.Days, ui.Option{Value: fmt.Sprintf("grades-%d-%s", b.group, d), Text: c.P.T("weekday." + d)})
		}
	}
	return c.PageStatus(status, "bell_form", v.Name, v)
}

// typedHours reads the form of a set.
func typedHours(f url.Values) (h attendance.Hours, grades []int, errs fielderr.Errors) {
	for _, k := range bellTimes {
		hour, minute, ok := strings.Cut(strings.ReplaceAll(strings.TrimSpace(f.Get(k)), "：", ":"), ":")
		x, err := strconv.Atoi(hour)
		y, err2 := strconv.Atoi(minute)
		if !ok || err != nil || err2 != nil || x < 0 || x > 23 || y < 0 || y > 59 {
			errs.Add(k, "err.time_of_day")
			continue
		}
		*hoursField(&h, k) = 60*x + y
	}
	for _, k := range bellMinutes {
		n, err := strconv.Atoi(strings.TrimSpace(f.Get(k)))
		if err != nil {
			errs.Add(k, "err.number")
			continue
		}
		*hoursField(&h, k) = n
	}
	switch f.Get("tap_out") {
	case "in_out":
		h.TapOut = true
	case "in":
	default:
		errs.Add("tap_out", "err.choice")
	}
	for _, g := range f["grades"] {
		n, err := strconv.Atoi(g)
		if err != nil {
			errs.Add("grades", "err.choice")
			continue
		}
		grades = append(grades, n)
	}
	return h, grades, errs
}

// putBells sets the bell times of a set.
func (o *Pages) putBells(c *call) error {
	b, ok := parseSet(c.R.PathValue("set"))
	if !ok {
		return frame.ErrNotFound
	}
	f := c.R.PostForm
	rev, err := strconv.ParseUint(f.Get("rev"), 10, 64) // 0 is the calendar that nobody has set
	if err != nil {
		return fielderr.Errors{{Field: "rev", Rule: site.RowChanged}}
	}
	h, grades, errs := typedHours(f)
	if err = errs.Err(); err == nil {
		err = o.d.Site.PutCalendarFrom(c.R.Context(), c.Who(), b.with(o.d.Site.Calendar(), &h, grades), rev)
	}
	if errs, wrong := errors.AsType[fielderr.Errors](err); wrong && !c.API() {
		for i := range errs { // grades.0.hours.bell is the field bell of this form
			errs[i].Field = errs[i].Field[strings.LastIndexByte(errs[i].Field, '.')+1:]
		}
		values, status := frame.CloneValues(f), http.StatusUnprocessableEntity
		if errs[0].Rule == site.RowChanged {
			status = http.StatusConflict
			values.Set("rev", strconv.FormatUint(o.d.Site.CalendarRev(), 10))
		}
		return o.showBells(c, status, b, values, errs)
	}
	if err != nil {
		return err
	}
	if c.API() {
		return o.apiCalendar(c)
	}
	return c.Done("/bells", "done.bells")
}

// removeBells takes bell times away that a weekday, some grades or a date have of their own.
func (o *Pages) removeBells(c *call) error {
	b, ok := parseSet(c.R.PathValue("set"))
	cal := o.d.Site.Calendar()
	if _, known := b.hours(cal); !ok || !known || b == (bellSet{group: -1}) {
		return frame.ErrNotFound
	}
	if err := o.d.Site.PutCalendar(c.R.Context(), c.Who(), b.with(cal, nil, nil)); err != nil {
		return err
	}
	return c.Done("/bells", "done.bells.removed")
}
