package pupils

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/student"
)

// pupilView is the form of one pupil, new or known, with the classes and cards of one who is known.
type pupilView struct {
	Form      ui.Form
	New       bool
	S         people.Pupil
	Class     string
	Guardians []guardianForm
	Move      ui.Form
	Leavings  []ui.Option
	History   []enrolmentRow
	Hand      ui.Form
	Cards     []cardRow
	Classes   []ui.Option
}

// guardianForm is the place of one guardian in the form.
type guardianForm struct {
	N    int
	Name string
	Open bool
}

type enrolmentRow struct {
	Class, From, To, Why string
	Planned              bool
}

func (v pupilView) options(prefix string, codes []string) (out []ui.Option) {
	for _, k := range codes {
		out = append(out, ui.Option{Value: k, Text: v.Form.P.K(prefix, k)})
	}
	return out
}

// Pick is a choice of the form by its name.
func (v pupilView) Pick(name string) ui.Field {
	switch name {
	case "sex":
		return v.Form.Pick(name, "radio", v.options("sex.", []string{"1", "2", "9"}))
	case "id_kind":
		return v.Form.Pick(name, "select", v.options("idkind.", []string{"resident", "passport", "other", "none"}))
	}
	out := []ui.Option{{Text: "–"}}
	for _, k := range student.Ethnicities() {
		n, _ := student.EthnicityName(k)
		out = append(out, ui.Option{Value: k, Text: n})
	}
	return v.Form.Pick(name, "select", out)
}

// Of is a field of the n-th guardian.
func (v pupilView) Of(n int, field, kind string) ui.Field {
	name := fmt.Sprintf("guardian%d_%s", n, field)
	var options []ui.Option
	switch field {
	case "relation":
		options = append(options, ui.Option{Text: "–"})
		for _, r := range student.Relations {
			options = append(options, ui.Option{Value: string(r), Text: v.Form.P.K("relation.", r)})
		}
	case "knows":
		for _, t := range student.Topics {
			options = append(options, ui.Option{Value: string(t), Text: v.Form.P.K("topic.", t)})
		}
		options = append(options, ui.Option{Value: collects, Text: v.Form.P.T("guardian.collects")})
	case "priority":
		for i := 1; i <= student.MaxGuardians; i++ {
			options = append(options, ui.Option{Value: strconv.Itoa(i), Text: strconv.Itoa(i)})
		}
	}
	d := v.Form.Pick(name, kind, options)
	d.Label, d.Hint = v.Form.P.T("guardian.f."+field), ""
	if ui.Has("guardian.f." + field + ".hint") {
		d.Hint = v.Form.P.T("guardian.f." + field + ".hint")
	}
	return d
}

// collects is the value of the form that says that a guardian may fetch the child.
const collects = "collect"

// kindCode is the kind of identity document as the form has it.
func kindCode(k student.IDKind) string { return cmp.Or(string(k), "none") }

// pupilValues are the values of the form of a pupil.
func pupilValues(s student.Student) url.Values {
	v := url.Values{"name": {s.Name}, "sex": {string(s.Sex)}, "birth": {s.Birth}, "ethnicity": {s.Ethnicity}, "id_kind": {kindCode(s.IDKind)}, "id_number": {s.IDNumber},
		"national_no": {s.NationalNo}, "address": {s.Address}, "phone": {s.Phone}}
	if s.Outside {
		v.Set("outside", "yes")
	}
	for i := range student.MaxGuardians {
		at := fmt.Sprintf("guardian%d_", i+1)
		v.Set(at+"priority", strconv.Itoa(i+1))
		v[at+"knows"] = append(topicCodes(student.Guardian{}), collects)
		if i < len(s.Guardians) {
			g := s.Guardians[i]
			v.Set(at+"name", g.Name)
			v.Set(at+"relation", string(g.Relation))
			v.Set(at+"phone", g.Phone)
			v.Set(at+"workplace", g.Workplace)
			v[at+"knows"] = topicCodes(g)
			if !g.NoCollect {
				v[at+"knows"] = append(v[at+"knows"], collects)
			}
		}
	}
	return v
}

func topicCodes(g student.Guardian) (out []string) {
	for _, t := range student.Topics {
		if g.MayKnow(t) {
			out = append(out, string(t))
		}
	}
	return out
}

// typedPupil reads the form over the row as it was. Guardians that were left empty are not there, and the order of the
// others is that of their priority.
func typedPupil(f url.Values, was student.Student) student.Student {
	s := was
	text := func(k string) string { return strings.TrimSpace(f.Get(k)) }
	s.Name, s.Sex, s.Ethnicity = student.CleanName(f.Get("name")), student.Sex(f.Get("sex")), f.Get("ethnicity")
	s.Birth = text("birth")
	if d, ok := student.ParseDate(s.Birth); ok {
		s.Birth = d
	}
	s.IDKind = student.IDKind(strings.TrimSuffix(f.Get("id_kind"), "none"))
	s.IDNumber, s.NationalNo = student.CleanNumber(f.Get("id_number")), student.CleanNumber(f.Get("national_no"))
	s.Address, s.Phone, s.Outside = text("address"), student.CleanPhone(f.Get("phone")), f.Get("outside") != ""
	type ranked struct {
		student.Guardian
		at int
	}
	var list []ranked
	for n := 1; n <= student.MaxGuardians; n++ {
		at := fmt.Sprintf("guardian%d_", n)
		g := student.Guardian{Name: student.CleanName(f.Get(at + "name")), Phone: student.CleanPhone(f.Get(at + "phone")), Workplace: text(at + "workplace")}
		if g.Name == "" && g.Phone == "" && g.Workplace == "" {
			continue
		}
		g.Relation = student.Relation(f.Get(at + "relation"))
		knows, asked := f[at+"knows"]
		for _, t := range student.Topics {
			if (asked || f.Get("rev") != "") && !slices.Contains(knows, string(t)) {
				g.Withheld = append(g.Withheld, t)
			}
		}
		g.NoCollect = (asked || f.Get("rev") != "") && !slices.Contains(knows, collects)
		rank, err := strconv.Atoi(f.Get(at + "priority"))
		if err != nil {
			rank = n
		}
		list = append(list, ranked{g, rank})
	}
	slices.SortStableFunc(list, func(a, b ranked) int { return cmp.Compare(a.at, b.at) })
	s.Guardians = nil
	for _, g := range list {
		s.Guardians = append(s.Guardians, g.Guardian)
	}
	return s
}

func (o *Pages) newPupilPage(c *call) error {
	values := pupilValues(student.Student{IDKind: student.IDResident})
	values.Set("class", c.R.URL.Query().Get("class"))
	values.Set("from", c.Today())
	return o.showPupil(c, http.StatusOK, pupilForms{values: values})
}

func (o *Pages) editPupilPage(c *call) error {
	s, ok := o.d.People.Pupil(c.R.PathValue("id"), c.Today())
	if !ok {
		return frame.ErrNotFound
	}
	return o.showPupil(c, http.StatusOK, pupilForms{s: s, values: knownValues(s)})
}

func knownValues(s people.Pupil) url.Values {
	v := pupilValues(s.Student)
	v.Set("rev", strconv.FormatUint(s.Rev, 10))
	return v
}

// pupilForms is what was typed into the forms of a pupil's page, and what is wrong with it.
type pupilForms struct {
	s                  people.Pupil // zero: new
	values, move, hand url.Values
	errs, moved, given fielderr.Errors
}

func (o *Pages) showPupil(c *call, status int, x pupilForms) error {
	today := c.Today()
	v := pupilView{Form: ui.Form{Name: "pupil", P: c.P, Values: x.values, Errors: x.errs}, New: x.s.ID == "", S: x.s, Class: c.className(x.s.Class)}
	for n := 1; n <= student.MaxGuardians; n++ {
		name := x.values.Get(fmt.Sprintf("guardian%d_name", n))
		v.Guardians = append(v.Guardians, guardianForm{n, name, n == 1 || name != ""})
	}
	if x.move == nil {
		x.move = url.Values{"class": {x.s.Class}, "date": {today}}
	}
	v.Move = ui.Form{Name: "move", Mark: "m-", P: c.P, Values: x.move, Errors: x.moved}
	for _, why := range []student.Left{student.LeftSchool, student.LeftGraduated} {
		v.Leavings = append(v.Leavings, ui.Option{Value: string(why), Text: c.P.K("left.", why)})
	}
	v.Hand = ui.Form{Name: "card", Mark: "c-", P: c.P, Values: x.hand, Errors: x.given}
	v.Classes = append([]ui.Option{{Text: "–"}}, o.classOptions(c)...)
	if v.New {
		return c.PageStatus(status, "pupil_form", c.P.T("pupil.new"), v)
	}
	for _, e := range o.d.People.Enrolments(x.s.ID) {
		r := enrolmentRow{Class: e.Class, From: e.From, To: e.To, Planned: e.From > today}
		if cl, ok := o.d.People.Class(e.Class); ok {
			r.Class = cl.YearName()
		}
		if e.Left != "" {
			r.Why = c.P.K("left.", e.Left)
		}
		v.History = append(v.History, r)
	}
	for _, k := range o.d.People.CardsOf(x.s.ID) {
		v.Cards = append(v.Cards, c.cardRow(k))
	}
	return c.PageStatus(status, "pupil_form", x.s.Name, v)
}

// classOptions are the classes that a pupil can be in, today or from next September on.
func (o *Pages) classOptions(c *call) []ui.Option {
	var out []ui.Option
	for _, cl := range o.d.People.Upcoming(c.Today()) {
		text := cl.Name(c.Today())
		if cl.Grade(c.Today()) == 0 {
			text = c.P.T("class.from_september", cl.YearName())
		}
		out = append(out, ui.Option{Value: cl.ID, Text: text})
	}
	return out
}

// putPupil registers a pupil with class and card, or changes one.
func (o *Pages) putPupil(c *call) error {
	f, id := c.R.PostForm, c.R.PathValue("id")
	if id == "" {
		return o.addPupil(c, f)
	}
	was, ok := o.d.People.Pupil(id, c.Today())
	if !ok {
		return frame.ErrNotFound
	}
	s := typedPupil(f, was.Student)
	err := o.d.People.ChangeStudent(c.R.Context(), c.Who(), s, frame.FormRev(f))
	if errors.Is(err, ledgerdb.ErrConflict) && !c.API() {
		return o.pupilMoved(c, was, s)
	}
	if errs, ok := errors.AsType[fielderr.Errors](err); ok && !c.API() {
		values := pupilValues(s)
		values.Set("rev", f.Get("rev"))
		return o.showPupil(c, http.StatusUnprocessableEntity, pupilForms{s: was, values: values, errs: errs})
	}
	if err != nil {
		return err
	}
	return o.donePupil(c, http.StatusOK, id, "done.pupil")
}

// donePupil ends a change of a pupil: back to the form, or the pupil as JSON.
func (o *Pages) donePupil(c *call, status int, id, key string) error {
	if !c.API() {
		return c.Done("/pupils/"+id+"/edit", key)
	}
	s, ok := o.d.People.Pupil(id, c.Today())
	if !ok {
		return frame.ErrNotFound
	}
	return c.JSON(status, o.apiPupil(c, s))
}

func (o *Pages) addPupil(c *call, f url.Values) error {
	n := people.NewStudent{Student: typedPupil(f, student.Student{}), Class: f.Get("class"), From: cmp.Or(strings.TrimSpace(f.Get("from")), c.Today())}
	if n.Class == "" {
		n.From = ""
	}
	var errs fielderr.Errors
	if number := strings.TrimSpace(f.Get("card")); number != "" {
		card, err := attendance.ParseCard(number)
		if err != nil {
			errs.Add("card", "err.card")
		} else {
			n.Cards = []attendance.Card{card}
		}
	}
	var ids []string
	err := errs.Err()
	if err == nil {
		ids, err = o.d.People.AddStudents(c.R.Context(), c.Who(), []people.NewStudent{n})
	}
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		for i := range errs {
			errs[i].Field = strings.TrimPrefix(errs[i].Field, "0.")
		}
		if c.API() {
			return errs
		}
		values := pupilValues(n.Student)
		for _, k := range []string{"class", "from", "card"} {
			values.Set(k, f.Get(k))
		}
		return o.showPupil(c, http.StatusUnprocessableEntity, pupilForms{values: values, errs: errs})
	}
	if err != nil {
		return err
	}
	if f.Get("again") != "" && !c.API() {
		return c.Done("/pupils/new?class="+url.QueryEscape(n.Class), "done.pupil")
	}
	return o.donePupil(c, http.StatusCreated, ids[0], "done.pupil")
}

// pupilMoved shows the form again with what was typed, and at each field what somebody else has put there meanwhile.
func (o *Pages) pupilMoved(c *call, now people.Pupil, typed student.Student) error {
	errs := fielderr.Errors{{Field: "rev", Rule: site.RowChanged}}
	values, stored := pupilValues(typed), pupilValues(now.Student)
	for _, field := range slices.Sorted(maps.Keys(stored)) {
		if !slices.Equal(values[field], stored[field]) && !strings.HasSuffix(field, "knows") && !strings.HasSuffix(field, "priority") {
			errs.Add(field, "err.row_now", cmp.Or(stored.Get(field), "–"))
		}
	}
	values.Set("rev", strconv.FormatUint(now.Rev, 10))
	return o.showPupil(c, http.StatusConflict, pupilForms{s: now, values: values, errs: errs})
}

// movePupil moves a pupil into another class on a date, or lets them leave.
func (o *Pages) movePupil(c *call) error {
	f, id := c.R.PostForm, c.R.PathValue("id")
	s, ok := o.d.People.Pupil(id, c.Today())
	if !ok {
		return frame.ErrNotFound
	}
	class, why := f.Get("class"), student.LeftMoved
	if leaving := student.Left(f.Get("leave")); leaving != "" {
		class, why = "", leaving
	}
	var err error
	if why != student.LeftMoved && why != student.LeftSchool && why != student.LeftGraduated {
		err = fielderr.Errors{{Field: "leave", Rule: "err.choice"}}
	} else {
		err = o.d.People.MoveStudent(c.R.Context(), c.Who(), id, class, strings.TrimSpace(f.Get("date")), why)
	}
	if errs, ok := errors.AsType[fielderr.Errors](err); ok && !c.API() {
		return o.showPupil(c, http.StatusUnprocessableEntity, pupilForms{s: s, values: knownValues(s), move: f, moved: errs})
	}
	if err != nil {
		return err
	}
	return o.donePupil(c, http.StatusOK, id, "done.pupil.moved")
}
