package pupils

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/student"
)

// classesView is the list of classes with who is in charge.
type classesView struct {
	Form    ui.Form
	Rows    []classRow
	Text    string
	NoHead  int
	Filters []frame.ListFilter
	Any     bool
}

type classRow struct {
	C             student.Class
	Name, Year    string
	Pupils        int
	Head, Subject string
	GradeHead     string
	Begins        bool // next September
}

// classRows are the classes that the address asks for: of today and those to come, or those that have left.
func (o *Pages) classRows(c *call, f url.Values) (rows []classRow) {
	today := c.Today()
	sizes := o.d.People.Sizes(today)
	list := o.d.People.Upcoming(today)
	if f.Get("state") == "left" {
		list = slices.DeleteFunc(o.d.People.AllClasses(), func(cl student.Class) bool {
			return slices.ContainsFunc(list, func(x student.Class) bool { return x.ID == cl.ID })
		})
	}
	q := strings.ToLower(strings.TrimSpace(f.Get("q")))
	for _, cl := range list {
		r := classRow{C: cl, Name: cl.Name(today), Year: cl.YearName(), Pupils: sizes[cl.ID], Begins: cl.Grade(today) == 0 && f.Get("state") == ""}
		day := today
		if r.Begins {
			day = fmt.Sprintf("%d-09-01", cl.Entry)
		}
		var subjects, heads []string
		for _, t := range cl.Teachers {
			switch {
			case !t.On(day):
			case t.Duty == student.DutyHead:
				r.Head = o.Name(t.Person)
			case t.Duty == student.DutyGrade:
				heads = append(heads, o.Name(t.Person))
			default:
				subjects = append(subjects, o.Name(t.Person))
			}
		}
		r.Subject, r.GradeHead = strings.Join(subjects, c.P.T("sep.list")), strings.Join(heads, c.P.T("sep.list"))
		if q == "" || strings.Contains(strings.ToLower(r.Name+"\n"+r.Year+"\n"+cl.ID+"\n"+r.Head+"\n"+r.Subject+"\n"+r.GradeHead), q) {
			rows = append(rows, r)
		}
	}
	return rows
}

func (o *Pages) classesPage(c *call) error {
	f := c.R.URL.Query()
	v := classesView{Form: ui.Form{Name: "classes", P: c.P, Values: f}, Rows: o.classRows(c, f), Any: len(o.d.People.AllClasses()) > 0}
	pupils := 0
	for _, r := range v.Rows {
		pupils += r.Pupils
		if r.Head == "" && f.Get("state") == "" {
			v.NoHead++
		}
	}
	v.Text = c.P.T("classes.sub", len(v.Rows), pupils)
	v.Filters = []frame.ListFilter{{Name: "state", Label: c.P.T("pupils.by.state"), Options: []ui.Option{{Text: c.P.T("classes.state.here")}, {Value: "left", Text: c.P.T("classes.state.left")}}}}
	return c.Page("classes", c.P.T("classes.title"), v)
}

// APIClass is a class with its size, as JSON.
type APIClass struct {
	student.Class
	Name   string `json:"name"`
	Pupils int    `json:"pupils"`
	Rev    uint64 `json:"rev"` // a change must carry it
}

func (o *Pages) apiClass(c *call, cl student.Class, size int) APIClass {
	return APIClass{cl, cl.Name(c.Today()), size, o.d.People.ClassRev(cl.ID)}
}

func (o *Pages) apiClasses(c *call) error {
	out := []APIClass{}
	for _, r := range o.classRows(c, c.R.URL.Query()) {
		out = append(out, o.apiClass(c, r.C, r.Pupils))
	}
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiOneClass(c *call) error {
	cl, ok := o.d.People.Class(c.R.PathValue("class"))
	if !ok {
		return frame.ErrNotFound
	}
	return c.JSON(http.StatusOK, o.apiClass(c, cl, o.d.People.Sizes(c.Today())[cl.ID]))
}

func (o *Pages) exportClasses(c *call) error {
	rows := o.classRows(c, c.R.PostForm)
	if err := o.logExport(c, "classes", len(rows)); err != nil {
		return err
	}
	out := [][]string{{c.P.T("class"), c.P.T("classes.h.year"), c.P.T("classes.h.pupils"), c.P.T("duty.head"), c.P.T("duty.grade"), c.P.T("duty.subject")}}
	for _, r := range rows {
		out = append(out, []string{r.Name, r.Year, strconv.Itoa(r.Pupils), r.Head, r.GradeHead, r.Subject})
	}
	return c.SendTable("classes-"+c.FileTime(), c.P.T("classes.title"), out)
}

// classView is the form of one class.
type classView struct {
	Form     ui.Form
	New      bool
	C        student.Class
	Name     string
	Stages   []ui.Option
	Teachers []int // numbers of the rows
	Persons  []ui.Option
	Duties   []ui.Option
	NoRole   []string // in charge, and without the right that it takes
}

// Of is a field of the n-th teacher.
func (v classView) Of(n int, field, kind string) ui.Field {
	name := fmt.Sprintf("t%d_%s", n, field)
	d := v.Form.Pick(name, kind, map[string][]ui.Option{"person": v.Persons, "duty": v.Duties}[field])
	d.Label, d.Hint = v.Form.P.T("teaching.f."+field), ""
	return d
}

func (o *Pages) newClassPage(c *call) error {
	year, err := student.SchoolYear(c.Today())
	if err != nil {
		return err
	}
	values := url.Values{"stage": {string(student.Primary)}, "entry": {strconv.Itoa(year)}}
	return o.showClass(c, http.StatusOK, student.Class{}, values, nil)
}

func (o *Pages) editClassPage(c *call) error {
	rev := o.d.People.ClassRev(c.R.PathValue("class")) // before the row: a newer row is then a conflict, never the reverse
	cl, ok := o.d.People.Class(c.R.PathValue("class"))
	if !ok {
		return frame.ErrNotFound
	}
	return o.showClass(c, http.StatusOK, cl, classValues(cl, rev), nil)
}

func classValues(cl student.Class, rev uint64) url.Values {
	v := url.Values{"stage": {string(cl.Stage)}, "entry": {strconv.Itoa(cl.Entry)}, "no": {strconv.Itoa(cl.No)}, "rev": {strconv.FormatUint(rev, 10)}}
	if cl.Years > 0 {
		v.Set("years", strconv.Itoa(cl.Years))
	}
	for i, t := range cl.Teachers {
		at := fmt.Sprintf("t%d_", i+1)
		v.Set(at+"person", t.Person)
		v.Set(at+"duty", string(t.Duty))
		v.Set(at+"from", t.From)
		v.Set(at+"to", t.To)
	}
	return v
}

// spareTeachers are the empty places of the form, maxTeachers all of them.
const (
	spareTeachers = 2
	maxTeachers   = 60
)

// dutyRole is the right that a duty in a class takes.
var dutyRole = map[student.Duty]account.Role{student.DutyHead: account.RoleClassTeacher, student.DutySubject: account.RoleSubjectTeacher, student.DutyGrade: account.RoleGradeHead}

func (o *Pages) showClass(c *call, status int, cl student.Class, values url.Values, errs fielderr.Errors) error {
	v := classView{Form: ui.Form{Name: "class", P: c.P, Values: values, Errors: errs}, New: cl.ID == "", C: cl, Name: c.P.T("class.new")}
	if !v.New {
		v.Name = cl.Name(c.Today())
	}
	for _, s := range []student.Stage{student.Primary, student.Junior, student.Senior} {
		v.Stages = append(v.Stages, ui.Option{Value: string(s), Text: c.P.K("schooling.", s)})
	}
	last := 0
	for n := 1; n <= maxTeachers; n++ {
		if values.Get(fmt.Sprintf("t%d_person", n)) != "" {
			last = n
		}
	}
	for n := 1; n <= last+spareTeachers; n++ {
		v.Teachers = append(v.Teachers, n)
	}
	v.Persons = []ui.Option{{Text: "–"}}
	for _, p := range o.d.People.People() {
		if !p.Disabled {
			v.Persons = append(v.Persons, ui.Option{Value: p.ID, Text: p.Name + c.P.T("bracket", p.Unit)})
		}
	}
	for _, d := range []student.Duty{student.DutyHead, student.DutySubject, student.DutyGrade} {
		v.Duties = append(v.Duties, ui.Option{Value: string(d), Text: c.P.K("duty.", d)})
	}
	for _, t := range cl.Teachers {
		if p, ok := o.d.People.Person(t.Person); ok && t.On(c.Today()) && !slices.Contains(p.Roles, dutyRole[t.Duty]) {
			v.NoRole = append(v.NoRole, c.P.T("class.no_role", p.Name, c.P.K("role.", dutyRole[t.Duty])))
		}
	}
	return c.PageStatus(status, "class_form", v.Name, v)
}

// putClass registers a class, or changes who is in charge of it.
func (o *Pages) putClass(c *call) error {
	f, id := c.R.PostForm, c.R.PathValue("class")
	was, known := o.d.People.Class(id)
	if id != "" && !known {
		return frame.ErrNotFound
	}
	var errs fielderr.Errors
	number := func(field string, empty int) int { return frame.FormNumber(f, field, empty, &errs) }
	cl, rev := was, uint64(0)
	if known {
		rev = frame.FormRev(f)
	} else {
		cl = student.NewClass(student.Stage(f.Get("stage")), number("entry", 0), number("no", 0))
	}
	cl.Years, cl.Teachers = number("years", 0), nil
	for n := 1; n <= maxTeachers; n++ {
		at := fmt.Sprintf("t%d_", n)
		if f.Get(at+"person") == "" {
			continue
		}
		t := student.Teaching{Person: f.Get(at + "person"), Duty: student.Duty(cmp.Or(f.Get(at+"duty"), string(student.DutySubject))),
			From: cmp.Or(strings.TrimSpace(f.Get(at+"from")), c.Today()), To: strings.TrimSpace(f.Get(at + "to"))}
		cl.Teachers = append(cl.Teachers, t)
	}
	err := errs.Err()
	if err == nil {
		err = o.d.People.PutClassFrom(c.R.Context(), c.Who(), cl, rev)
	}
	if errors.Is(err, ledgerdb.ErrConflict) && !c.API() {
		now, _ := o.d.People.Class(id)
		values := frame.CloneValues(f)
		values.Set("rev", strconv.FormatUint(o.d.People.ClassRev(id), 10))
		return o.showClass(c, http.StatusConflict, now, values, fielderr.Errors{{Field: "rev", Rule: site.RowChanged}, {Field: "teachers", Rule: "err.row_now", Args: []any{c.teachersNow(now)}}})
	}
	if errs, ok := errors.AsType[fielderr.Errors](err); ok && !c.API() {
		return o.showClass(c, http.StatusUnprocessableEntity, was, f, errs)
	}
	if err != nil {
		return err
	}
	if c.API() {
		return c.JSON(http.StatusOK, o.apiClass(c, cl, o.d.People.Sizes(c.Today())[cl.ID]))
	}
	return c.Done("/classes", "done.class")
}

// teachersNow names who is in charge of a class as it is stored.
func (c *call) teachersNow(cl student.Class) string {
	var out []string
	for _, t := range cl.Teachers {
		out = append(out, c.o.Name(t.Person)+c.P.T("bracket", c.P.K("duty.", t.Duty)))
	}
	return cmp.Or(strings.Join(out, c.P.T("sep.list")), "–")
}
