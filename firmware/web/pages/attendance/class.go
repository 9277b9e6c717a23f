package attendance

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/absence"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/student"
)

// classView is the phone page of a class for one period: forty pupils, prefilled, one confirmation.
type classView struct {
	Class, ID, Day, Date string
	Period               string
	Periods              []frame.Chip
	Checked              bool   // symptoms are asked for
	Taken                string // by whom and when; empty: nobody has
	Take                 bool
	Rev                  uint64
	Key                  string
	Rows                 []classPupil
	First                int // of them to be looked at
	Doubt                string
	Faults               []string
}

type classPupil struct {
	No               int
	ID, Name         string
	Tone, Icon, Text string
	Detail           string
	Options          []ui.Option // presence
	Symptoms         []ui.Option
	Unwell           bool
	Leave            string
	Care             []string // what to do for this pupil
}

// classList is the classes among which a person chooses.
type classList struct{ Rows []classChoice }

type classChoice struct{ ID, Name, State, Tone, Icon string }

// periodOf is the period of the request, the present one when it names none.
func (c *call) periodOf(date string) (attendance.Period, error) {
	p := attendance.Period(c.R.FormValue("period"))
	if p == "" {
		day, _, err := c.o.d.Calendar().Day(date)
		if err != nil {
			return "", err
		}
		return attendance.PeriodAt(day, c.Now.Wall), nil
	}
	if !slices.Contains(attendance.Periods, p) {
		return "", frame.ErrNotFound
	}
	return p, nil
}

// classesPage leads to the own class, or lists those that there are.
func (o *Pages) classesPage(c *call) error {
	date := c.Today()
	p, err := c.periodOf(date)
	if err != nil {
		return err
	}
	taken, err := o.d.Absence.Rolls(date)
	if err != nil {
		return err
	}
	var v classList
	for _, cl := range o.d.People.Classes(date) {
		if !c.Can(account.ActRollView, account.Subject{Class: cl.ID}) {
			continue
		}
		r := classChoice{ID: cl.ID, Name: cl.Name(date), State: c.P.T("class.open"), Tone: "warn", Icon: "clock"}
		if i := slices.IndexFunc(taken, func(x absence.Roll) bool { return x.Class == cl.ID && x.Period == p }); i >= 0 {
			r.Tone, r.Icon, r.State = "ok", "ok", c.P.T("class.taken", o.Name(taken[i].By), c.P.Clock(taken[i].At))
		}
		v.Rows = append(v.Rows, r)
	}
	if len(v.Rows) == 1 {
		return c.SeeOther("/class/" + v.Rows[0].ID)
	}
	return c.Page("classes_today", c.P.T("class.title"), v)
}

// classState is what a page and its JSON show of a class in a period.
type classState struct {
	class  student.Class
	date   string
	period attendance.Period
	days   []attendance.DayStatus
	roll   absence.Roll
	rev    uint64
	taken  bool
	checks map[string][]attendance.Symptom
}

func (c *call) classState() (s classState, err error) {
	var ok bool
	if s.class, ok = c.o.d.People.Class(c.R.PathValue("class")); !ok {
		return s, frame.ErrNotFound
	}
	if s.date, ok = c.rollDay(); !ok {
		return s, frame.ErrNotFound
	}
	if s.period, err = c.periodOf(s.date); err != nil {
		return s, err
	}
	if s.roll, s.rev, s.taken, err = c.o.d.Absence.Roll(s.class.ID, s.date, s.period); err != nil {
		return s, err
	}
	if s.days, err = c.o.d.Gate.Roll(s.class.ID, s.date); err != nil {
		return s, fmt.Errorf("read the roll of %s: %w", s.class.ID, err)
	}
	found, err := c.o.d.Absence.Checks(s.date, s.class.ID)
	s.checks = map[string][]attendance.Symptom{}
	for _, x := range found {
		if x.Period == s.period {
			s.checks[x.Student] = x.Symptoms
		}
	}
	return s, err
}

// presence is what the page is prefilled with: what was confirmed, else what attendance says.
func (s classState) presence(d attendance.DayStatus) attendance.Presence {
	if s.taken {
		return s.roll.Presence(d.Student)
	}
	return attendance.Expect(d, s.period)
}

func (o *Pages) classPage(c *call) error { return o.showClass(c, http.StatusOK, nil) }

func (o *Pages) showClass(c *call, status int, errs fielderr.Errors) error {
	s, err := c.classState()
	if err != nil {
		return err
	}
	v := classView{Class: s.class.Name(s.date), ID: s.class.ID, Day: s.date, Date: c.P.Date(c.dayOf(s.date)), Period: string(s.period), Checked: s.period.Checked(), Rev: s.rev,
		Key: fmt.Sprintf("%s-%x", c.Actor.ID, c.Now.Mono), Take: s.date == c.Today() && c.Can(account.ActRollTake, account.Subject{Class: s.class.ID})}
	for _, p := range attendance.Periods {
		v.Periods = append(v.Periods, frame.Chip{Text: c.P.K("class.period.", p), Href: "/class/" + v.ID + "?period=" + string(p), On: p == s.period})
	}
	if s.taken {
		v.Taken = c.P.T("class.taken", o.Name(s.roll.By), c.P.Clock(s.roll.At))
	}
	for _, a := range o.d.Absence.OpenAlarms() {
		if a.Date == s.date && a.Until.IsZero() && (a.Class == "" || a.Class == s.class.ID) {
			v.Doubt = c.P.K("absence.alarm.text.", a.Cause)
		}
	}
	for _, e := range errs {
		v.Faults = append(v.Faults, c.P.T(e.Rule, e.Args...))
	}
	for i, d := range s.days {
		v.Rows = append(v.Rows, c.classPupil(s, i+1, d))
	}
	slices.SortStableFunc(v.Rows, func(a, b classPupil) int { return frame.CompareBool(a.Tone == "ok", b.Tone == "ok") })
	v.First = len(v.Rows)
	if i := slices.IndexFunc(v.Rows, func(r classPupil) bool { return r.Tone == "ok" }); i >= 0 {
		v.First = i
	}
	f := c.Frame("class", v.Class)
	f.Script = "roll.js"
	return c.Framed(status, "class", f, v)
}

func (c *call) classPupil(s classState, no int, d attendance.DayStatus) classPupil {
	r := classPupil{No: no, ID: d.Student, Name: c.o.d.People.Name(d.Student), Tone: "ok", Icon: "ok", Text: c.P.K("att.", d.Outcome)}
	if !d.FirstIn.IsZero() {
		r.Detail = c.P.T("roll.in", c.P.Clock(d.FirstIn))
	}
	for _, why := range d.Reasons {
		if why != attendance.InOnTime {
			r.Detail = joinNonEmpty(r.Detail, c.P.K("att.r.", why), " · ")
		}
	}
	switch d.Outcome {
	case attendance.Late, attendance.LeftEarly:
		r.Tone, r.Icon, r.Text = "warn", "clock", c.P.T("roll.minutes", r.Text, d.Minutes)
	case attendance.AbsentUnexplained, attendance.Truant, attendance.Unknown:
		r.Tone, r.Icon = "bad", "bad"
	case attendance.OnLeave:
		r.Tone, r.Icon, r.Leave = "mute", "doc", string(d.Leave)
		if d.Leave != "" {
			r.Text = c.P.K("att.leave.", d.Leave)
		}
	case attendance.Present:
	default:
		r.Tone, r.Icon = "mute", "clock"
	}
	r.Care = c.care(s.class.ID, d.Student)
	now := s.presence(d)
	for _, p := range attendance.Presences {
		r.Options = append(r.Options, ui.Option{Value: string(p), Text: c.P.K("class.p.", p), On: p == now})
	}
	if s.period.Checked() {
		for _, x := range attendance.Symptoms {
			on := slices.Contains(s.checks[d.Student], x)
			r.Unwell = r.Unwell || on
			r.Symptoms = append(r.Symptoms, ui.Option{Value: string(x), Text: c.P.K("symptom.", x), On: on})
		}
	}
	return r
}

// care is what to do for a pupil of a class, in plain words, for those who may know it.
func (c *call) care(class, pupil string) (out []string) {
	if !c.Can(account.ActRecordView, account.Subject{Class: class, Signed: c.o.d.Signed(c.Actor.ID)}) {
		return nil
	}
	for _, n := range c.o.d.Care(pupil) {
		out = append(out, n.Steps...)
	}
	return out
}

// takeRoll takes the roll of a class in a period. A phone whose network broke off sends it again with the same key.
func (o *Pages) takeRoll(c *call) error {
	s, err := c.classState()
	if err != nil {
		return err
	}
	if s.date != c.Today() {
		return frame.ErrNotFound // what is over is corrected pupil by pupil, with a reason
	}
	f := c.R.PostForm
	rev, err := strconv.ParseUint(f.Get("rev"), 10, 64)
	if err != nil {
		rev = ^uint64(0)
	}
	n := absence.Taken{Class: s.class.ID, Date: s.date, Period: s.period, Key: f.Get("key"), Rev: rev}
	for k := range f {
		id, ok := strings.CutPrefix(k, "p.")
		if !ok {
			continue
		}
		l := attendance.Line{Student: id, Presence: attendance.Presence(f.Get(k))}
		for _, x := range f["s."+id] {
			l.Symptoms = append(l.Symptoms, attendance.Symptom(x))
		}
		if l.Presence == attendance.Excused {
			l.Leave = attendance.LeaveKind(f.Get("l." + id))
		}
		n.Lines = append(n.Lines, l)
	}
	slices.SortFunc(n.Lines, func(a, b attendance.Line) int { return strings.Compare(a.Student, b.Student) })
	err = o.d.Absence.TakeRoll(c.R.Context(), c.Who(), c.Decision.Role, n, s.days)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showClass(c, http.StatusUnprocessableEntity, errs)
	}
	if err != nil {
		return err
	}
	return c.Done("/class/"+s.class.ID+"?period="+string(s.period)+"&date="+s.date, "done.roll")
}

// APIClass is the page of a class in a period, as JSON.
type APIClass struct {
	Class  string            `json:"class"`
	Date   string            `json:"date"`
	Period attendance.Period `json:"period"`
	Rev    uint64            `json:"rev"`
	Taken  *absence.Roll     `json:"taken,omitempty"`
	Pupils []APIClassPupil   `json:"pupils"`
}

// APIClassPupil is one pupil of APIClass.
type APIClassPupil struct {
	ID       string               `json:"id"`
	Name     string               `json:"name"`
	Presence attendance.Presence  `json:"presence"`
	Symptoms []attendance.Symptom `json:"symptoms,omitempty"`
	Care     []string             `json:"care,omitempty"` // what to do for the pupil; never the diagnosis
	Status   attendance.DayStatus `json:"status"`
}

func (o *Pages) apiClass(c *call) error {
	s, err := c.classState()
	if err != nil {
		return err
	}
	out := APIClass{Class: s.class.ID, Date: s.date, Period: s.period, Rev: s.rev, Pupils: []APIClassPupil{}}
	if s.taken {
		out.Taken = &s.roll
	}
	for _, d := range s.days {
		out.Pupils = append(out.Pupils, APIClassPupil{d.Student, o.d.People.Name(d.Student), s.presence(d), s.checks[d.Student], c.care(s.class.ID, d.Student), d})
	}
	return c.JSON(http.StatusOK, out)
}
