package attendance

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// rollView is one class on one page, prefilled from the gate (S6).
type rollView struct {
	Class  string
	ID     string
	Date   string
	Day    string // 2026-05-20
	Before string // the days that may be looked at beside it; empty: none
	After  string
	Late   int // of those who came
	Head   string
	Tabs   []frame.Chip
	Counts map[string]int
	First  []pupilRow // to be dealt with
	Leave  []pupilRow
	In     []pupilRow
	Out    []pupilRow // not expected, or not yet
	Mark   bool       // this person may take the roll
}

type pupilRow struct {
	No               int
	ID, Name         string
	Form             *markForm // nil: the day is, or this person takes no roll
	Tone, Icon, Text string
	Detail           string
}

func classSubject(c *call) (account.Subject, error) {
	return account.Subject{Class: c.R.PathValue("class")}, nil
}

// markSubject is the class and the day that a mark is about.
func markSubject(c *call) (account.Subject, error) {
	date, ok := c.rollDay()
	if !ok {
		return account.Subject{}, frame.ErrNotFound
	}
	return account.Subject{Class: c.R.PathValue("class"), From: c.dayOf(date)}, nil
}

func (o *Pages) rollPage(c *call) error { return o.showRoll(c, http.StatusOK, "", nil) }

// showRoll shows the class; errs belong to the mark of one pupil.
func (o *Pages) showRoll(c *call, status int, at string, errs fielderr.Errors) error {
	id := c.R.PathValue("class")
	cl, ok := o.d.People.Class(id)
	if !ok {
		return frame.ErrNotFound
	}
	date, ok := c.rollDay()
	if !ok {
		return frame.ErrNotFound
	}
	days, err := o.d.Gate.Roll(id, date)
	if err != nil {
		return fmt.Errorf("read the roll of %s: %w", id, err)
	}
	v := rollView{Class: cl.Name(date), ID: id, Day: date, Date: c.P.Date(c.Now.Wall) + " " + c.P.Clock(c.Now.Wall), Counts: map[string]int{"all": len(days)}}
	v.Before, v.After = c.adjacentDates(date)
	if date != c.Today() {
		v.Date = c.P.Date(c.dayOf(date))
	}
	if h := cl.Head(date); h != "" {
		v.Head = o.Name(h)
	}
	v.Mark = c.Can(account.ActClassMark, account.Subject{Class: id, From: c.dayOf(date)})
	for i, d := range days {
		r := pupilRow{No: i + 1, ID: d.Student, Name: o.d.People.Name(d.Student), Tone: "ok", Icon: "ok", Text: c.P.K("att.", d.Outcome)}
		if !d.FirstIn.IsZero() {
			r.Detail = c.P.T("roll.in", c.P.Clock(d.FirstIn))
		}
		for _, why := range d.Reasons {
			if why != attendance.InOnTime {
				r.Detail = joinNonEmpty(r.Detail, c.P.K("att.r.", why), " · ")
			}
		}
		if v.Mark && d.Outcome != attendance.NoSchool { // who is present by a card that a friend held can be put right
			r.Form = newMarkForm(c, id, d, at, errs)
		}
		v.count(d)
		switch d.Outcome {
		case attendance.Late, attendance.LeftEarly:
			r.Tone, r.Icon, r.Text = "warn", "clock", c.P.T("roll.minutes", r.Text, d.Minutes)
			v.First = append(v.First, r)
		case attendance.AbsentUnexplained, attendance.Truant, attendance.Unknown:
			r.Tone, r.Icon = "bad", "bad"
			v.First = append(v.First, r)
		case attendance.OnLeave:
			r.Tone, r.Icon = "mute", "doc"
			v.Leave = append(v.Leave, r)
		case attendance.Present:
			v.In = append(v.In, r)
		default:
			r.Tone, r.Icon = "mute", "clock"
			if d.Attended {
				v.In = append(v.In, r)
			} else {
				v.Out = append(v.Out, r)
			}
		}
	}
	for _, k := range []string{"all", "come", "absent", "leave", "waiting"} {
		v.Tabs = append(v.Tabs, frame.Chip{Text: c.P.T("roll." + k), Href: fmt.Sprint(v.Counts[k])})
	}
	return c.PageStatus(status, "roll", v.Class, v)
}

// count puts a day into one of the counts, so that they add up to the class, as on the board.
func (v *rollView) count(d attendance.DayStatus) {
	switch {
	case d.Attended:
		v.Counts["come"]++
		if d.Outcome == attendance.Late || d.Outcome == attendance.LeftEarly {
			v.Late++
		}
	case d.Outcome == attendance.OnLeave:
		v.Counts["leave"]++
	case d.Outcome == attendance.Pending || d.Outcome == attendance.NoSchool:
		v.Counts["waiting"]++
	default:
		v.Counts["absent"]++
	}
}

// rollBack is how many days back the roll can be looked at and put right.
const rollBack = 366

// rollDay is the date of the request, today when it names none; false for one that cannot be looked at.
func (c *call) rollDay() (string, bool) {
	date, today := c.R.FormValue("date"), c.Today()
	if date == "" {
		return today, true
	}
	_, err := time.Parse(attendance.DateLayout, date)
	return date, err == nil && date <= today && date >= c.dayOf(today).AddDate(0, 0, -rollBack).Format(attendance.DateLayout)
}

// dayOf is noon of a date at the school.
func (c *call) dayOf(date string) time.Time {
	t, err := time.ParseInLocation(attendance.DateLayout, date, c.o.d.Zone)
	if err != nil {
		return c.Now.Wall
	}
	return t.Add(12 * time.Hour)
}

// adjacentDates are the dates before and after one, as far as they can be looked at.
func (c *call) adjacentDates(date string) (before, after string) {
	t, today := c.dayOf(date), c.Today()
	if b := t.AddDate(0, 0, -1).Format(attendance.DateLayout); b >= c.dayOf(today).AddDate(0, 0, -rollBack).Format(attendance.DateLayout) {
		before = b
	}
	if date < today {
		after = t.AddDate(0, 0, 1).Format(attendance.DateLayout)
	}
	return before, after
}

func joinNonEmpty(a, b, sep string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + sep + b
}

// markForm states how one pupil's day is (S6, S7).
type markForm struct {
	ui.Form
	Class, Student string
	Date, Seen     string // the day, and how it was when the page was made
	Open           bool   // something is wrong with it
	Choices        []ui.Option
}

// markChoices are what a teacher may state, as the page offers it: outcome, or outcome and kind of leave.
var markChoices = []string{"present", "late", "leave.sick", "leave.personal", "truant", "absent_unexplained"}

func newMarkForm(c *call, class string, d attendance.DayStatus, at string, errs fielderr.Errors) *markForm {
	f := &markForm{Form: ui.Form{Name: "mark", P: c.P}, Class: class, Student: d.Student, Date: d.Date, Seen: seenDay(d)}
	if d.Student == at {
		f.Open, f.Values, f.Errors = true, c.R.PostForm, errs
	}
	for _, k := range markChoices {
		f.Choices = append(f.Choices, ui.Option{Value: k, Text: c.P.K("mark.", k)})
	}
	return f
}

// seenDay is the state of a day, for a form to say what its reader saw.
func seenDay(d attendance.DayStatus) string { return string(d.Outcome) + "." + strconv.Itoa(d.Minutes) }

// Field is a field of the form with an id of its own: there is one form for each pupil on the page.
func (f *markForm) Field(name, kind string) ui.Field {
	d := f.In(name, kind)
	if name == "outcome" {
		d = f.Pick(name, kind, f.Choices)
	}
	d.ID = "f-" + name + "-" + f.Student
	return d
}

// putMark takes what the teacher states about a pupil's day.
func (o *Pages) putMark(c *call) error {
	class, f := c.R.PathValue("class"), c.R.PostForm
	date, ok := c.rollDay()
	if !ok {
		return frame.ErrNotFound
	}
	m := attendance.Mark{Student: f.Get("student"), Date: date, By: attendance.ByOffice}
	if c.Decision.Role == account.RoleClassTeacher {
		m.By = attendance.ByTeacher
	}
	days, err := o.d.Gate.Roll(class, m.Date)
	if err != nil {
		return fmt.Errorf("read the roll of %s: %w", class, err)
	}
	at := slices.IndexFunc(days, func(d attendance.DayStatus) bool { return d.Student == m.Student })
	if at < 0 {
		return frame.ErrNotFound // nobody of this class
	}
	if seen := f.Get("seen"); seen != seenDay(days[at]) {
		errs := fielderr.Errors{{Field: "outcome", Rule: "err.row_now", Args: []any{c.P.K("att.", days[at].Outcome)}}}
		return o.showRoll(c, http.StatusConflict, m.Student, errs)
	}
	outcome, leave, _ := strings.Cut(f.Get("outcome"), ".")
	m.Outcome, m.Leave = attendance.Outcome(outcome), attendance.LeaveKind(leave)
	var errs fielderr.Errors
	if s := strings.TrimSpace(f.Get("minutes")); s != "" && m.Outcome == attendance.Late {
		if m.Minutes, err = strconv.Atoi(s); err != nil {
			errs.Add("minutes", "err.number")
		}
	}
	if len(errs) == 0 {
		_, err = o.d.Gate.PutMark(c.R.Context(), c.Who(), c.Decision.Role, m, class, strings.TrimSpace(f.Get("reason")))
		if err == nil {
			return c.Done("/gate/class/"+class+"?date="+date, "done.mark")
		}
		var ok bool
		if errs, ok = errors.AsType[fielderr.Errors](err); !ok {
			return err
		}
	}
	return o.showRoll(c, http.StatusUnprocessableEntity, m.Student, errs)
}
