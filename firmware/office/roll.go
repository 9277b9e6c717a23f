package office

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/fielderr"
	"campuskeep/shared/ui"
)

// rollView is one class on one page, prefilled from the gate (S6).
type rollView struct {
	Class  string
	ID     string
	Date   string
	Head   string
	Tabs   []chip
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
	Form             *markForm // nil: the day stands, or this person takes no roll
	Tone, Icon, Text string
	Detail           string
}

func classSubject(c *call) (account.Subject, error) {
	return account.Subject{Class: c.r.PathValue("class")}, nil
}

func (o *Office) rollPage(c *call) error { return o.showRoll(c, http.StatusOK, "", nil) }

// showRoll shows the class; errs belong to the mark of one pupil.
func (o *Office) showRoll(c *call, status int, at string, errs fielderr.Errors) error {
	id := c.r.PathValue("class")
	cl, ok := o.d.People.Class(id)
	if !ok {
		return errNotFound
	}
	date := c.today()
	days, err := o.d.Gate.Roll(id, date)
	if err != nil {
		return fmt.Errorf("reading the roll of %s: %w", id, err)
	}
	v := rollView{Class: cl.Name(date), ID: id, Date: c.p.Date(c.now.Wall) + " " + c.p.Clock(c.now.Wall), Counts: map[string]int{"all": len(days)}}
	if h := cl.Head(date); h != "" {
		v.Head = o.name(h)
	}
	v.Mark = c.can(account.ActClassMark, account.Subject{Class: id})
	for i, d := range days {
		r := pupilRow{No: i + 1, ID: d.Student, Name: o.d.People.Name(d.Student), Tone: "ok", Icon: "ok", Text: c.p.K("att.", d.Outcome)}
		if !d.FirstIn.IsZero() {
			r.Detail = c.p.T("roll.in", c.p.Clock(d.FirstIn))
			v.Counts["come"]++
		}
		for _, why := range d.Reasons {
			if why != attendance.InOnTime {
				r.Detail = joinNonEmpty(r.Detail, c.p.K("att.r.", why), " · ")
			}
		}
		if v.Mark && d.Outcome != attendance.NoSchool && (d.Outcome != attendance.Present || len(d.Reasons) > 1) {
			r.Form = newMarkForm(c, id, d.Student, at, errs)
		}
		switch d.Outcome {
		case attendance.Late, attendance.LeftEarly:
			r.Tone, r.Icon, r.Text = "warn", "clock", c.p.T("roll.minutes", r.Text, d.Minutes)
			v.First = append(v.First, r)
			v.Counts["late"]++
		case attendance.AbsentUnexplained, attendance.Truant, attendance.Unknown:
			r.Tone, r.Icon = "bad", "bad"
			v.First = append(v.First, r)
			v.Counts["absent"]++
		case attendance.OnLeave:
			r.Tone, r.Icon = "mute", "doc"
			v.Leave = append(v.Leave, r)
			v.Counts["leave"]++
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
	for _, k := range []string{"all", "come", "absent", "late", "leave"} {
		v.Tabs = append(v.Tabs, chip{Text: c.p.T("roll." + k), Href: fmt.Sprint(v.Counts[k])})
	}
	return c.pageStatus(status, "roll", v.Class, v)
}

func joinNonEmpty(a, b, sep string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + sep + b
}

// markForm states how one pupil's day stands (S6, S7).
type markForm struct {
	ui.Form
	Class, Student string
	Open           bool // something is wrong with it
	Choices        []ui.Option
}

// markChoices are what a teacher may state, as the page offers it: outcome, or outcome and kind of leave.
var markChoices = []string{"present", "late", "leave.sick", "leave.personal", "truant", "absent_unexplained"}

func newMarkForm(c *call, class, student, at string, errs fielderr.Errors) *markForm {
	f := &markForm{Form: ui.Form{Name: "mark", P: c.p}, Class: class, Student: student}
	if student == at {
		f.Open, f.Values, f.Errors = true, c.r.PostForm, errs
	}
	for _, k := range markChoices {
		f.Choices = append(f.Choices, ui.Option{Value: k, Text: c.p.K("mark.", k)})
	}
	return f
}

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
func (o *Office) putMark(c *call) error {
	class, f := c.r.PathValue("class"), c.r.PostForm
	m := attendance.Mark{Student: f.Get("student"), Date: c.today(), By: attendance.ByOffice}
	if c.decision.Role == account.RoleClassTeacher {
		m.By = attendance.ByTeacher
	}
	days, err := o.d.Gate.Roll(class, m.Date)
	if err != nil {
		return fmt.Errorf("reading the roll of %s: %w", class, err)
	}
	if !slices.ContainsFunc(days, func(d attendance.DayStatus) bool { return d.Student == m.Student }) {
		return errNotFound // nobody of this class
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
		_, err = o.d.Gate.PutMark(c.r.Context(), c.who(), c.decision.Role, m, class, strings.TrimSpace(f.Get("reason")))
		if err == nil {
			return c.done("/gate/class/"+class, "done.mark")
		}
		var ok bool
		if errs, ok = errors.AsType[fielderr.Errors](err); !ok {
			return err
		}
	}
	return o.showRoll(c, http.StatusUnprocessableEntity, m.Student, errs)
}
