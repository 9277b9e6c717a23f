package pupils

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/student"
)

// yearView is the turn of a school year: what is planned, what it would do, and the way back.
type yearView struct {
	Form      ui.Form
	Year      int
	Begins    string
	Entered   bool
	Begun     bool
	Saved     bool // there is a draft
	Rows      []turnRow
	Moves     []int // rows of pupils
	News      []int // rows of new classes
	Targets   []ui.Option
	Stages    []ui.Option
	Listed    []moveRow
	Preview   people.TurnPreview
	Teachers  []ui.Option
	Graduates int
}

type turnRow struct {
	C            people.TurnClass
	Now, Next    string
	Before, Head string
	Field        ui.Field
}

type moveRow struct{ Name, From, To string }

const (
	spareMoves   = 3
	spareClasses = 2
	maxTurnRows  = 400
	retained     = "retain"
	leaves       = "leave"
)

func (o *Pages) yearPage(c *call) error {
	year, err := people.NextTurn(c.Today())
	if err != nil {
		return err
	}
	t, rev, err := o.d.People.Turn(year)
	if err != nil {
		return err
	}
	return o.showYear(c, http.StatusOK, t, c.turnValues(t, rev), nil)
}

// turnValues are the values of the form of a turn.
func (c *call) turnValues(t people.YearTurn, rev uint64) url.Values {
	v := url.Values{"rev": {strconv.FormatUint(rev, 10)}, "year": {strconv.Itoa(t.Year)}}
	for class, person := range t.Heads {
		v.Set("head."+class, person)
	}
	for i, m := range t.Moves {
		v.Set(fmt.Sprintf("m%d_who", i), c.o.d.People.Name(m.Student)+" "+m.Student)
		to := m.Class
		if to == "" {
			to = leaves
		}
		v.Set(fmt.Sprintf("m%d_to", i), to)
	}
	for i, x := range t.Classes {
		v.Set(fmt.Sprintf("c%d_stage", i), string(x.Stage))
		v.Set(fmt.Sprintf("c%d_entry", i), strconv.Itoa(x.Entry))
		v.Set(fmt.Sprintf("c%d_no", i), strconv.Itoa(x.No))
	}
	return v
}

func (o *Pages) showYear(c *call, status int, t people.YearTurn, values url.Values, errs fielderr.Errors) error {
	day := t.Begins()
	v := yearView{Form: ui.Form{Name: "year", P: c.P, Values: values, Errors: errs}, Year: t.Year, Begins: day, Entered: t.State == people.TurnEntered, Begun: c.Today() >= day,
		Saved: values.Get("rev") != "0", Preview: o.d.People.PreviewTurn(t)}
	v.Graduates = v.Preview.Graduates
	v.Teachers = []ui.Option{{Text: c.P.T("year.head.same")}}
	for _, p := range o.d.People.People() {
		if !p.Disabled {
			v.Teachers = append(v.Teachers, ui.Option{Value: p.ID, Text: p.Name + c.P.T("bracket", p.Unit)})
		}
	}
	v.Targets = []ui.Option{{Value: retained, Text: c.P.T("year.to.retain")}, {Value: leaves, Text: c.P.T("year.to.leave")}}
	for _, x := range v.Preview.Classes {
		r := turnRow{C: x, Now: x.Name(c.Today()), Next: x.Name(day), Before: o.Name(x.Before), Head: o.Name(x.Head)}
		if x.Grade(c.Today()) == 0 {
			r.Now = "–"
		}
		if x.Graduates {
			r.Next = c.P.T("left.graduated")
		} else {
			v.Targets = append(v.Targets, ui.Option{Value: x.ID, Text: c.P.T("year.to.class", r.Next)})
			r.Field = v.Form.Pick("head."+x.ID, "select", v.Teachers)
			r.Field.Label = c.P.T("year.head.of", r.Next)
		}
		v.Rows = append(v.Rows, r)
	}
	for _, m := range v.Preview.Moves {
		r := moveRow{Name: o.Name(m.Student), From: c.className(o.d.People.ClassOf(m.Student, c.Today())), To: c.P.T("left.left_school")}
		if i := slices.IndexFunc(v.Preview.Classes, func(x people.TurnClass) bool { return x.ID == m.Class }); m.Class != "" && i >= 0 {
			r.To = v.Preview.Classes[i].Name(day)
		}
		v.Listed = append(v.Listed, r)
	}
	v.Moves, v.News = rowsOf(values, "m%d_who", spareMoves), rowsOf(values, "c%d_no", spareClasses)
	v.Stages = []ui.Option{{Text: "–"}}
	for _, s := range []student.Stage{student.Primary, student.Junior, student.Senior} {
		v.Stages = append(v.Stages, ui.Option{Value: string(s), Text: c.P.K("schooling.", s)})
	}
	return c.PageStatus(status, "year", c.P.T("year.title", strconv.Itoa(t.Year)), v)
}

// rowsOf numbers the rows of a list in a form that are filled in, and some more.
func rowsOf(values url.Values, field string, spare int) (out []int) {
	last := -1
	for i := range maxTurnRows {
		if values.Get(fmt.Sprintf(field, i)) != "" {
			last = i
		}
	}
	for i := range last + 1 + spare {
		out = append(out, i)
	}
	return out
}

// Row is a field of the n-th row of a list of the form.
func (v yearView) Row(list string, n int, field, kind string) ui.Field {
	name := fmt.Sprintf("%s%d_%s", list, n, field)
	d := v.Form.Pick(name, kind, map[string][]ui.Option{"to": v.Targets, "stage": v.Stages}[field])
	d.Label, d.Hint = v.Form.P.T("year.f."+field), ""
	if e := v.Form.Error(map[string]string{"who": "moves.", "no": "classes."}[field] + strconv.Itoa(n)); e != "" && d.Error == "" {
		d.Error = e
	}
	return d
}

var pupilID = regexp.MustCompile(`^s\d{4,}$`)

// typedTurn reads the form. Errors are those of rows that name nobody, or several.
func (o *Pages) typedTurn(c *call, f url.Values, year int) (t people.YearTurn, errs fielderr.Errors) {
	t = people.YearTurn{Year: year, Heads: map[string]string{}}
	for k, v := range f {
		if class, ok := strings.CutPrefix(k, "head."); ok && v[0] != "" {
			t.Heads[class] = v[0]
		}
	}
	for i := range maxTurnRows {
		if no := strings.TrimSpace(f.Get(fmt.Sprintf("c%d_no", i))); no != "" {
			n, err := strconv.Atoi(no)
			entry, err2 := strconv.Atoi(strings.TrimSpace(f.Get(fmt.Sprintf("c%d_entry", i))))
			if err != nil || err2 != nil {
				errs.Add(fmt.Sprintf("classes.%d", i), "err.number")
			}
			t.Classes = append(t.Classes, student.NewClass(student.Stage(f.Get(fmt.Sprintf("c%d_stage", i))), entry, n))
		}
	}
	for i := range maxTurnRows {
		who := strings.TrimSpace(f.Get(fmt.Sprintf("m%d_who", i)))
		if who == "" {
			continue
		}
		id, rule, n := o.onePupil(c, who)
		if rule != "" {
			errs.Add(fmt.Sprintf("moves.%d", i), rule, n)
			continue
		}
		m := people.Move{Student: id, Class: f.Get(fmt.Sprintf("m%d_to", i))}
		switch m.Class {
		case leaves:
			m.Class = ""
		case retained:
			cl, _ := o.d.People.Class(o.d.People.ClassOf(id, c.Today()))
			m.Class = student.NewClass(cl.Stage, cl.Entry+1, cl.No).ID
		}
		t.Moves = append(t.Moves, m)
	}
	return t, errs
}

// onePupil finds the pupil whom a field names: by id, also behind the name, by number, or by a name that occurs once.
func (o *Pages) onePupil(c *call, text string) (id, rule string, n int) {
	words := strings.Fields(text)
	if last := words[len(words)-1]; pupilID.MatchString(last) {
		if _, ok := o.d.People.Student(last); ok {
			return last, "", 1
		}
		return "", "err.pupil_unknown", 0
	}
	found := o.d.People.Pupils(c.Today(), people.PupilQuery{Text: text})
	switch len(found) {
	case 0:
		return "", "err.pupil_unknown", 0
	case 1:
		return found[0].ID, "", 1
	}
	return "", "err.pupil_twice", len(found)
}

// putYear keeps the draft of a turn, and shows what it would do.
func (o *Pages) putYear(c *call) error {
	f := c.R.PostForm
	year, err := people.NextTurn(c.Today())
	if err != nil {
		return err
	}
	rev, err := strconv.ParseUint(f.Get("rev"), 10, 64) // 0 is a turn that nobody has begun
	if err != nil {
		return fielderr.Errors{{Field: "rev", Rule: site.RowChanged}}
	}
	t, errs := o.typedTurn(c, f, year)
	if err = errs.Err(); err == nil {
		err = o.d.People.SaveTurn(c.R.Context(), c.Who(), t, rev)
	}
	if errors.Is(err, ledgerdb.ErrConflict) && !c.API() {
		now, nowRev, err := o.d.People.Turn(year)
		if err != nil {
			return err
		}
		values := c.turnValues(t, nowRev)
		return o.showYear(c, http.StatusConflict, now, values, fielderr.Errors{{Field: "rev", Rule: site.RowChanged}})
	}
	if errs, ok := errors.AsType[fielderr.Errors](err); ok && !c.API() {
		now, _, err := o.d.People.Turn(year)
		if err != nil {
			return err
		}
		return o.showYear(c, http.StatusUnprocessableEntity, now, f, errs)
	}
	if err != nil {
		return err
	}
	return o.doneYear(c, "done.year.saved")
}

func (o *Pages) doneYear(c *call, key string) error {
	if c.API() {
		return o.apiYear(c)
	}
	return c.Done("/year", key)
}

// enterYear enters the draft that was shown.
func (o *Pages) enterYear(c *call) error {
	year, err := people.NextTurn(c.Today())
	if err != nil {
		return err
	}
	rev, err := strconv.ParseUint(c.R.PostForm.Get("rev"), 10, 64)
	if err != nil || rev == 0 {
		return fielderr.Errors{{Field: "rev", Rule: site.RowChanged}}
	}
	err = o.d.People.EnterTurn(c.R.Context(), c.Who(), year, rev)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok && !c.API() {
		t, rev, err := o.d.People.Turn(year)
		if err != nil {
			return err
		}
		return o.showYear(c, http.StatusUnprocessableEntity, t, c.turnValues(t, rev), errs)
	}
	if err != nil {
		return err
	}
	return o.doneYear(c, "done.year.entered")
}

// undoYear takes back what was entered, as long as it has not begun.
func (o *Pages) undoYear(c *call) error {
	year, err := people.NextTurn(c.Today())
	if err != nil {
		return err
	}
	if err := o.d.People.UndoTurn(c.R.Context(), c.Who(), year); err != nil {
		return err
	}
	return o.doneYear(c, "done.year.undone")
}

// APITurnClass is what a turn does to a class, as JSON.
type APITurnClass struct {
	ID        string `json:"id"`
	Now       string `json:"now"`
	Next      string `json:"next,omitempty"` // empty: it graduates
	Graduates bool   `json:"graduates,omitempty"`
	Stay      int    `json:"stay"`
	Come      int    `json:"come"`
	Go        int    `json:"go"`
	Head      string `json:"head,omitempty"` // person, from the first day on
}

// APIYear is the turn of a school year with what it would do, as JSON.
type APIYear struct {
	people.YearTurn
	Rev       uint64         `json:"rev"` // a change must carry it
	Preview   []APITurnClass `json:"preview"`
	Graduates int            `json:"graduates"`
	Headless  int            `json:"without_class_teacher"`
}

func (o *Pages) apiYear(c *call) error {
	year, err := people.NextTurn(c.Today())
	if err != nil {
		return err
	}
	t, rev, err := o.d.People.Turn(year)
	if err != nil {
		return err
	}
	v := o.d.People.PreviewTurn(t)
	out := APIYear{YearTurn: t, Rev: rev, Graduates: v.Graduates, Headless: v.Headless, Preview: []APITurnClass{}}
	for _, x := range v.Classes {
		a := APITurnClass{ID: x.ID, Now: x.Name(c.Today()), Graduates: x.Graduates, Stay: x.Stay, Come: x.Come, Go: x.Go, Head: x.Head}
		if !x.Graduates {
			a.Next = x.Name(t.Begins())
		}
		out.Preview = append(out.Preview, a)
	}
	return c.JSON(http.StatusOK, out)
}

// YearForm are the fields of a turn's form: rows of pupils (m0_who, m0_to: retain, leave or a class), of new classes
// (c0_stage, c0_entry, c0_no), and a new class teacher for each class (head.2024-03).
type YearForm struct {
	Rev   uint64 `json:"rev"`
	Who   string `json:"m0_who,omitempty"`
	To    string `json:"m0_to,omitempty"`
	Stage string `json:"c0_stage,omitempty"`
	Entry int    `json:"c0_entry,omitempty"`
	No    int    `json:"c0_no,omitempty"`
}

// TurnForm enters a turn that was seen at a revision.
type TurnForm struct {
	Rev uint64 `json:"rev"`
}
