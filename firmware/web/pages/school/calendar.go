package school

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// calendarView is the school calendar: its form, and what it makes of the days to come.
type calendarView struct {
	Form     ui.Form
	CanEdit  bool
	Set      bool // somebody has set it
	Terms    []int
	Holidays []int
	MakeUps  []int
	Days     []ui.Option // of the week
	Weeks    []weekRow
	Until    string // the last day that it knows; empty: every day
	Short    bool   // it soon ends
}

// weekRow is one week of the overview.
type weekRow struct {
	Month string
	Days  []dayCell
}

type dayCell struct {
	No         string
	Word, Tone string
	Today      bool
}

// The rows of the form: those that there are, and some to fill in.
const (
	spareRows    = 2
	maxRows      = 100
	shortBefore  = 21 // days before its end that the calendar is called short
	weeksVisible = 27
)

// weekdayNames in the order of the school week.
var weekdayNames = []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}

// APICalendar is the calendar with bell times, as JSON.
type APICalendar struct {
	attendance.Calendar
	Rev uint64 `json:"rev"` // a change must carry it
}

func (o *Pages) apiCalendar(c *call) error {
	rev := o.d.Site.CalendarRev()
	return c.JSON(http.StatusOK, APICalendar{o.d.Site.Calendar(), rev})
}

func (o *Pages) calendarPage(c *call) error {
	rev := o.d.Site.CalendarRev()
	return o.showCalendar(c, http.StatusOK, calendarValues(o.d.Site.Calendar(), rev), nil)
}

func calendarValues(cal attendance.Calendar, rev uint64) url.Values {
	v := url.Values{"rev": {strconv.FormatUint(rev, 10)}}
	ranges := func(name string, list []attendance.DateRange) {
		for i, r := range list {
			at := fmt.Sprintf("%s.%d.", name, i)
			v.Set(at+"name", r.Name)
			v.Set(at+"from", r.From)
			v.Set(at+"to", r.To)
		}
	}
	ranges("terms", cal.Terms)
	ranges("holidays", cal.Holidays)
	for i, m := range cal.MakeUps {
		v.Set(fmt.Sprintf("make_ups.%d.date", i), m.Date)
		v.Set(fmt.Sprintf("make_ups.%d.as", i), m.As)
	}
	return v
}

// typedCalendar reads the form over the calendar as it was; rows left empty are not there.
func typedCalendar(f url.Values, was attendance.Calendar) attendance.Calendar {
	cal := was
	ranges := func(name string) (out []attendance.DateRange) {
		for i := range maxRows {
			at := fmt.Sprintf("%s.%d.", name, i)
			r := attendance.DateRange{Name: strings.TrimSpace(f.Get(at + "name")), From: strings.TrimSpace(f.Get(at + "from")), To: strings.TrimSpace(f.Get(at + "to"))}
			if r.From == "" && r.To == "" {
				continue
			}
			if name == "holidays" {
				r.To = cmp.Or(r.To, r.From) // one day
			}
			out = append(out, r)
		}
		return out
	}
	cal.Terms, cal.Holidays, cal.MakeUps = ranges("terms"), ranges("holidays"), nil
	for i := range maxRows {
		if d := strings.TrimSpace(f.Get(fmt.Sprintf("make_ups.%d.date", i))); d != "" {
			cal.MakeUps = append(cal.MakeUps, attendance.MakeUp{Date: d, As: f.Get(fmt.Sprintf("make_ups.%d.as", i))})
		}
	}
	byFrom := func(a, b attendance.DateRange) int { return cmp.Compare(a.From, b.From) }
	slices.SortStableFunc(cal.Terms, byFrom)
	slices.SortStableFunc(cal.Holidays, byFrom)
	slices.SortStableFunc(cal.MakeUps, func(a, b attendance.MakeUp) int { return cmp.Compare(a.Date, b.Date) })
	return cal
}

func (o *Pages) showCalendar(c *call, status int, values url.Values, errs fielderr.Errors) error {
	cal := o.d.Site.Calendar()
	v := calendarView{Form: ui.Form{Name: "calendar", P: c.P, Values: values, Errors: errs}, CanEdit: c.Can(account.ActSchoolEdit, account.Subject{}),
		Set: o.d.Site.CalendarRev() > 0, Until: cal.KnownUntil()}
	v.Short = v.Until != "" && v.Until < c.dateIn(shortBefore)
	rows := func(name, field string) (out []int) {
		last := -1
		for i := range maxRows {
			if values.Get(fmt.Sprintf("%s.%d.%s", name, i, field)) != "" {
				last = i
			}
		}
		for i := range last + 1 + spareRows {
			out = append(out, i)
		}
		return out
	}
	v.Terms, v.Holidays, v.MakeUps = rows("terms", "from"), rows("holidays", "from"), rows("make_ups", "date")
	v.Days = []ui.Option{{Text: c.P.T("make_up.own")}}
	for _, d := range weekdayNames {
		v.Days = append(v.Days, ui.Option{Value: d, Text: c.P.T("make_up.as", c.P.T("weekday."+d))})
	}
	var err error
	if v.Weeks, err = c.weeks(cal); err != nil {
		return err
	}
	return c.PageStatus(status, "calendar", c.P.T("calendar.title"), v)
}

// dateIn is the date so many days from today.
func (c *call) dateIn(days int) string {
	y, m, d := c.Now.Wall.In(c.o.d.Zone).Date()
	return time.Date(y, m, d+days, 12, 0, 0, 0, c.o.d.Zone).Format(time.DateOnly)
}

// weeks is what the calendar says of the weeks around today.
func (c *call) weeks(cal attendance.Calendar) (out []weekRow, _ error) {
	y, m, d := c.Now.Wall.In(c.o.d.Zone).Date()
	today := time.Date(y, m, d, 12, 0, 0, 0, c.o.d.Zone)
	monday := today.AddDate(0, 0, -(int(today.Weekday())+6)%7-7)
	for w := range weeksVisible {
		r := weekRow{Month: c.P.Day(monday.AddDate(0, 0, 7*w))}
		for i := range 7 {
			t := monday.AddDate(0, 0, 7*w+i)
			day, _, err := cal.Day(t.Format(time.DateOnly))
			if err != nil {
				return nil, fmt.Errorf("read the calendar: %w", err)
			}
			cell := dayCell{No: strconv.Itoa(t.Day()), Today: t.Equal(today)}
			switch {
			case day.Reason == attendance.MakeUpDay:
				cell.Tone, cell.Word = "warn", c.P.T("calendar.day.make_up")
			case day.School:
				cell.Word = ""
			case day.Reason == attendance.Holiday:
				cell.Tone, cell.Word = "acc", c.P.T("calendar.day.holiday")
			case day.Reason == attendance.OffTerm:
				cell.Tone, cell.Word = "mute", c.P.T("calendar.day.off")
			default:
				cell.Tone, cell.Word = "mute", c.P.T("calendar.day.weekend")
			}
			r.Days = append(r.Days, cell)
		}
		out = append(out, r)
	}
	return out, nil
}

// putCalendar replaces terms, holidays and make-up days; the bell times stay.
func (o *Pages) putCalendar(c *call) error {
	f := c.R.PostForm
	rev, err := strconv.ParseUint(f.Get("rev"), 10, 64) // 0 is the calendar that nobody has set
	if err != nil {
		return fielderr.Errors{{Field: "rev", Rule: site.RowChanged}}
	}
	cal := typedCalendar(f, o.d.Site.Calendar())
	err = o.d.Site.PutCalendarFrom(c.R.Context(), c.Who(), cal, rev)
	errs, wrong := errors.AsType[fielderr.Errors](err)
	switch {
	case wrong && !c.API():
		now := o.d.Site.CalendarRev()
		status := http.StatusUnprocessableEntity
		if errs[0].Rule == site.RowChanged {
			status = http.StatusConflict
		}
		return o.showCalendar(c, status, calendarValues(cal, now), errs)
	case err != nil:
		return err
	case c.API():
		return o.apiCalendar(c)
	}
	return c.Done("/calendar", "done.calendar")
}

// Row is a field of the form in the n-th row of a list.
func (v calendarView) Row(list string, n int, field, kind string) ui.Field {
	d := v.Form.In(fmt.Sprintf("%s.%d.%s", list, n, field), kind)
	if field == "as" {
		d = v.Form.Pick(d.Name, kind, v.Days)
	}
	d.Label, d.Hint = v.Form.P.T("calendar.f."+list+"."+field), ""
	return d
}

// Needs says that the school is not set up yet, or that its calendar ends soon, to those who can go on with it.
func (o *Pages) Needs(f *frame.Call) (out []frame.Need, _ error) {
	c := &call{f, o}
	if !c.Can(account.ActSchoolEdit, account.Subject{}) {
		return nil, nil
	}
	if n := c.unfilled(); n > 0 {
		out = append(out, frame.Need{Tone: "warn", Icon: "flag", Badge: c.P.T("guide.state.open"), Kind: c.P.T("guide.title"), Title: c.P.T("need.guide"), Text: c.P.T("need.guide.text", n),
			Href: "/setup/guide", Do: c.P.T("guide.do"), Primary: true})
	}
	if until := o.d.Site.Calendar().KnownUntil(); until != "" && until < c.dateIn(shortBefore) {
		out = append(out, frame.Need{Tone: "warn", Icon: "clock", Badge: c.P.T("calendar.title"), Kind: c.P.T("calendar.title"), Title: c.P.T("need.calendar", until), Text: c.P.T("need.calendar.text"),
			Href: "/calendar", Do: c.P.T("edit")})
	}
	return out, nil
}
