package attendance

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"campuskeep/shared/lib/fielderr"
)

// DateLayout is how dates are written here: local, of the school's zone.
const DateLayout = "2006-01-02"

// Calendar says on which days school is kept. Statutory holidays and the working days that make up for
// them (调休) come from the yearly notice; both win over the weekend.
type Calendar struct {
	Zone     string      `json:"zone"`               // IANA name, "Asia/Shanghai"
	Terms    []Term      `json:"terms,omitempty"`    // none: school is kept all year
	Holidays []DateRange `json:"holidays,omitempty"` // statutory and the school's own
	MakeUps  []MakeUp    `json:"make_ups,omitempty"`
	Hours    Hours       `json:"hours"`
	// Weekdays holds other hours for single days of the week ("friday" → short afternoon).
	Weekdays map[string]Hours `json:"weekdays,omitempty"`
	// Dates holds other hours for single dates (examinations, school outing). They win over those of grades.
	Dates map[string]Hours `json:"dates,omitempty"`
	// Grades holds bell times of their own for some grades.
	Grades []GradeHours `json:"grades,omitempty"`
}

// GradeHours are the hours of some grades, where they differ from the school's. Nothing of the school's weekdays applies
// to these grades.
type GradeHours struct {
	Grades   []int            `json:"grades"` // 1 to 12
	Hours    Hours            `json:"hours"`
	Weekdays map[string]Hours `json:"weekdays,omitempty"`
}

// MaxGrade is the highest grade, 高三.
const MaxGrade = 12

// DateRange is the dates From to To, both included.
type DateRange struct {
	From string `json:"from"`
	To   string `json:"to"`
	Name string `json:"name,omitempty"`
}

func (r DateRange) contains(date string) bool { return r.From <= date && date <= r.To }

// Term is a span of dates in which school is kept.
type Term = DateRange

// MakeUp is a weekend or holiday date on which school is kept, with the hours of another weekday.
type MakeUp struct {
	Date string `json:"date"`
	As   string `json:"as,omitempty"` // weekday whose hours it follows, "friday"; empty: its own
}

// Hours are the times of one school day, in minutes after local midnight, and the windows around them.
type Hours struct {
	Opens  int `json:"opens"`  // first taps that count, 06:00 = 360
	Bell   int `json:"bell"`   // morning bell
	Grace  int `json:"grace"`  // minutes after the bell that still count as on time
	Home   int `json:"home"`   // end of the last lesson
	Slack  int `json:"slack"`  // minutes before Home that still count as the end of the day
	Closes int `json:"closes"` // who is still inside then has not gone home on time

	AskTeacher  int `json:"ask_teacher"`  // minutes after the bell; never before the grace is over (S7)
	TellParents int `json:"tell_parents"` // minutes after the bell; never before AskTeacher (S7)

	// TapOut says that students tap on leaving. Without it nobody is ever "not left".
	TapOut bool `json:"tap_out"`
	// Repeat is how many minutes after a tap another one at a two-way reader is still the same movement.
	Repeat int `json:"repeat"`
}

// DefaultHours is a safe start: bell 8:00, home 16:30, teacher asked after 5 minutes, parents after 15 (S7).
var DefaultHours = Hours{Opens: 6 * 60, Bell: 8 * 60, Grace: 0, Home: 16*60 + 30, Slack: 5, Closes: 18*60 + 30,
	AskTeacher: 5, TellParents: 15, TapOut: true, Repeat: 10}

// Day is what the calendar says about one date.
type Day struct {
	Date   string
	School bool
	Reason Reason // why there is none; or MakeUpDay
	Start  time.Time
	End    time.Time // next local midnight
}

// At is the instant that lies so many minutes after local midnight.
func (d Day) At(minutes int) time.Time {
	y, m, day := d.Start.Date()
	return time.Date(y, m, day, 0, minutes, 0, 0, d.Start.Location())
}

// Location loads the calendar's zone.
func (c Calendar) Location() (*time.Location, error) {
	if c.Zone == "" {
		return nil, fmt.Errorf("the school calendar has no time zone")
	}
	if loc, ok := zones.Load(c.Zone); ok {
		return loc.(*time.Location), nil
	}
	loc, err := time.LoadLocation(c.Zone)
	if err != nil {
		return nil, fmt.Errorf("load the time zone of the school calendar: %w", err)
	}
	zones.Store(c.Zone, loc)
	return loc, nil
}

// zones remembers loaded time zones: each card tap asks for the school's.
var zones sync.Map

// Date is the local date of an instant.
func (c Calendar) Date(t time.Time) (string, error) {
	loc, err := c.Location()
	if err != nil {
		return "", err
	}
	return t.In(loc).Format(DateLayout), nil
}

// Day says whether school is kept on a date ("2006-01-02") and with which hours; grades may have others.
func (c Calendar) Day(date string) (Day, Hours, error) { return c.DayOf(date, 0) }

// DayOf is Day with the hours of a grade; 0: those of the school.
func (c Calendar) DayOf(date string, grade int) (Day, Hours, error) {
	loc, err := c.Location()
	if err != nil {
		return Day{}, Hours{}, err
	}
	start, err := time.ParseInLocation(DateLayout, date, loc)
	if err != nil {
		return Day{}, Hours{}, fmt.Errorf("date %q is not of the form 2006-01-02", date)
	}
	y, m, d := start.Date()
	day := Day{Date: date, Start: start, End: time.Date(y, m, d+1, 0, 0, 0, 0, loc)}
	weekday := start.Weekday()

	switch {
	case !c.inTerm(date):
		day.Reason = OffTerm
	case c.makeUp(date) != nil:
		day.School, day.Reason = true, MakeUpDay
		if w, ok := weekdays[c.makeUp(date).As]; ok {
			weekday = w
		}
	case c.holiday(date):
		day.Reason = Holiday
	case weekday == time.Saturday || weekday == time.Sunday:
		day.Reason = Weekend
	default:
		day.School = true
	}

	hours, special := c.Hours, c.Weekdays
	for _, g := range c.Grades {
		if slices.Contains(g.Grades, grade) {
			hours, special = g.Hours, g.Weekdays
		}
	}
	for name, h := range special {
		if weekdays[name] == weekday {
			hours = h
		}
	}
	if h, ok := c.Dates[date]; ok {
		hours = h
	}
	return day, hours, nil
}

func (c Calendar) inTerm(date string) bool {
	for _, t := range c.Terms {
		if t.contains(date) {
			return true
		}
	}
	return len(c.Terms) == 0
}

func (c Calendar) holiday(date string) bool {
	for _, h := range c.Holidays {
		if h.contains(date) {
			return true
		}
	}
	return false
}

func (c Calendar) makeUp(date string) *MakeUp {
	for i := range c.MakeUps {
		if c.MakeUps[i].Date == date {
			return &c.MakeUps[i]
		}
	}
	return nil
}

var weekdays = map[string]time.Weekday{
	"sunday": time.Sunday, "monday": time.Monday, "tuesday": time.Tuesday, "wednesday": time.Wednesday,
	"thursday": time.Thursday, "friday": time.Friday, "saturday": time.Saturday,
}

// Check says everything that is wrong with the calendar, field by field; nil when it can be used.
func (c Calendar) Check() error {
	var errs fielderr.Errors
	if _, err := c.Location(); err != nil {
		errs.Add("zone", "err.zone", c.Zone)
	}
	for i, t := range c.Terms {
		t.check(fmt.Sprintf("terms.%d", i), &errs)
	}
	for i, h := range c.Holidays {
		h.check(fmt.Sprintf("holidays.%d", i), &errs)
	}
	for i, m := range c.MakeUps {
		field := fmt.Sprintf("make_ups.%d", i)
		if !isDate(m.Date) {
			errs.Add(field+".date", "err.date")
		}
		if _, ok := weekdays[m.As]; m.As != "" && !ok {
			errs.Add(field+".as", "err.weekday")
		}
	}
	c.checkTwice(&errs)
	c.Hours.check("hours", &errs)
	checkWeekdays("weekdays.", c.Weekdays, &errs)
	seen := map[int]bool{}
	for i, g := range c.Grades {
		field := fmt.Sprintf("grades.%d", i)
		if len(g.Grades) == 0 {
			errs.Add(field+".grades", "err.required")
		}
		for _, n := range g.Grades {
			switch {
			case n < 1 || n > MaxGrade:
				errs.Add(field+".grades", "err.range", 1, MaxGrade)
			case seen[n]:
				errs.Add(field+".grades", "err.grade_twice")
			}
			seen[n] = true
		}
		g.Hours.check(field+".hours", &errs)
		checkWeekdays(field+".weekdays.", g.Weekdays, &errs)
	}
	for date, h := range c.Dates {
		if !isDate(date) {
			errs.Add("dates."+date, "err.date")
		}
		h.check("dates."+date, &errs)
	}
	return errs.Err()
}

func checkWeekdays(field string, special map[string]Hours, errs *fielderr.Errors) {
	for name, h := range special {
		if _, ok := weekdays[name]; !ok {
			errs.Add(field+name, "err.weekday")
		}
		h.check(field+name, errs)
	}
}

// checkTwice refuses what a slip of the pen makes: terms that overlap, and a date that is made up for twice.
func (c Calendar) checkTwice(errs *fielderr.Errors) {
	for i, t := range c.Terms {
		for _, o := range c.Terms[:i] {
			if t.From <= o.To && o.From <= t.To {
				errs.Add(fmt.Sprintf("terms.%d.from", i), "err.term_overlaps")
			}
		}
	}
	for i, m := range c.MakeUps {
		for _, o := range c.MakeUps[:i] {
			if m.Date == o.Date {
				errs.Add(fmt.Sprintf("make_ups.%d.date", i), "err.date_twice")
			}
		}
	}
}

// KnownUntil is the last day of the last term: the calendar knows nothing of the days after it. Empty: without terms
// school is kept all year.
func (c Calendar) KnownUntil() string {
	last := ""
	for _, t := range c.Terms {
		last = max(last, t.To)
	}
	return last
}

func (r DateRange) check(field string, errs *fielderr.Errors) {
	switch {
	case !isDate(r.From):
		errs.Add(field+".from", "err.date")
	case !isDate(r.To):
		errs.Add(field+".to", "err.date")
	case r.To < r.From:
		errs.Add(field+".to", "err.from_after_to")
	}
}

func isDate(s string) bool {
	_, err := time.Parse(DateLayout, s)
	return err == nil
}

func (h Hours) check(field string, errs *fielderr.Errors) {
	for _, x := range []struct {
		name  string
		v     int
		floor int // it must not lie before this
	}{
		{"opens", h.Opens, 0},
		{"bell", h.Bell, h.Opens},
		{"grace", h.Grace, 0},
		{"home", h.Home, h.Bell + h.Grace + 1},
		{"slack", h.Slack, 0},
		{"closes", h.Closes, h.Home},
		{"ask_teacher", h.AskTeacher, h.Grace},
		{"tell_parents", h.TellParents, h.AskTeacher},
		{"repeat", h.Repeat, 0},
	} {
		if x.v < x.floor {
			errs.Add(field+"."+x.name, "err.time_before", clockText(x.floor))
		} else if x.v >= 24*60 {
			errs.Add(field+"."+x.name, "err.time_of_day")
		}
	}
}

func clockText(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }
