package absence

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/absence"
	"campuskeep/firmware/web/frame"
	rules "campuskeep/shared/absence"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/student"
)

// caseView is one case: what happened, what waits, and how it ends.
type caseView struct {
	ID, Name, Class, Date string
	Tone, Icon, State     string
	Detail, Owner         string
	Rev                   uint64
	Steps                 []stepRow
	Form                  ui.Form // to close it
	Open, Act             bool
	Note                  string // of the closing
	Closed                string
	Guardians             []guardianRow
}

type stepRow struct {
	No                        int
	Tone, Icon, What, When    string
	Done, Note                string
	Phone, Waits              string
	Results                   []ui.Option // what may be answered; empty: nothing
	Held                      bool
	Title, Text, State, Entry string
}

type guardianRow struct{ Name, Relation, Phone string }

func splitID(id string) (date, studentID string) {
	date, studentID, _ = strings.Cut(id, ".")
	return date, studentID
}

func caseSubject(c *call) (account.Subject, error) {
	date, studentID := splitID(c.R.PathValue("id"))
	x, _, err := c.o.d.Absence.Case(date, studentID)
	return account.Subject{Class: x.Class}, err
}

func (o *Pages) casePage(c *call) error { return o.showCase(c, http.StatusOK, nil) }

func (o *Pages) showCase(c *call, status int, errs fielderr.Errors) error {
	date, studentID := splitID(c.R.PathValue("id"))
	x, rev, err := o.d.Absence.Case(date, studentID)
	if err != nil {
		return err
	}
	v := caseView{ID: x.ID(), Name: o.d.People.Name(studentID), Class: c.className(x.Class, date), Date: c.P.Date(c.dayOf(date)), Rev: rev, Open: x.Open(), Note: x.Note, Owner: c.P.T("absence.owner.safety")}
	if x.Owner != "" {
		v.Owner = o.Name(x.Owner)
	}
	v.Tone, v.Icon, v.State, v.Detail = c.stateOf(x)
	v.Act = x.Open() && c.Can(account.ActAbsenceAct, account.Subject{Class: x.Class})
	s, _ := o.d.People.Student(studentID)
	for _, g := range s.Guardians {
		v.Guardians = append(v.Guardians, guardianRow{g.Name, c.P.K("absence.relation.", g.Relation), g.Phone})
	}
	for i, step := range x.Steps {
		v.Steps = append(v.Steps, c.stepRow(x, s, i, step, v.Act))
	}
	if !x.Open() {
		v.Closed = c.P.T("absence.closed.at", c.P.When(x.Closed, c.Now.Wall))
		if x.By != "" {
			v.Closed = c.P.T("absence.closed.by", o.Name(x.By), c.P.When(x.Closed, c.Now.Wall))
		}
	}
	v.Form = ui.Form{Name: "absence", P: c.P, Values: c.R.PostForm, Errors: errs}
	return c.PageStatus(status, "absence", v.Name, v)
}

// Why is the field of the reason.
func (v caseView) Why() ui.Field {
	var options []ui.Option
	for _, w := range rules.Stated {
		options = append(options, ui.Option{Value: string(w), Text: v.Form.P.K("absence.why.", w)})
	}
	return v.Form.Pick("why", "radio", options)
}

func (c *call) stepRow(x rules.Case, s student.Student, i int, step rules.Step, act bool) stepRow {
	r := stepRow{No: i, What: c.P.K("absence.rung.", step.Rung), When: c.P.Clock(step.At), Tone: "mute", Icon: "ok", Note: step.Note, Held: x.Held != ""}
	switch step.Rung {
	case rules.Teacher:
		r.What += c.P.T("sep.colon") + c.o.Name(x.Owner)
	case rules.Guardian:
		if step.Guardian < len(s.Guardians) {
			g := s.Guardians[step.Guardian]
			r.What += c.P.T("sep.colon") + g.Name + " " + c.P.K("absence.relation.", g.Relation)
			r.Phone = g.Phone
		}
	}
	switch {
	case !step.Done.IsZero() && step.Result != "":
		r.Done = c.P.T("absence.step.done", c.o.Name(step.By), c.P.Clock(step.Done), c.P.K("absence.result.", step.Result))
	case !step.Done.IsZero() || !x.Open():
		r.Done = c.P.T("absence.step.needless")
	default:
		r.Tone, r.Icon, r.Waits = "bad", "clock", c.P.T("absence.since", c.P.Clock(step.At), c.Now.Wall.Sub(step.At))
		if act && x.Held == "" {
			for _, k := range rules.Results(step.Rung) {
				r.Results = append(r.Results, ui.Option{Value: string(k), Text: c.P.K("absence.result.", k)})
			}
		}
	}
	return r
}

// answerStep acknowledges a step with its result.
func (o *Pages) answerStep(c *call) error {
	date, studentID := splitID(c.R.PathValue("id"))
	f := c.R.PostForm
	step, err := strconv.Atoi(f.Get("step"))
	if err != nil {
		step = -1
	}
	err = o.d.Absence.Answer(c.R.Context(), c.Who(), c.Decision.Role, date, studentID, frame.FormRev(f), step, rules.Result(f.Get("result")), f.Get("note"))
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showCase(c, http.StatusUnprocessableEntity, errs)
	}
	if err != nil {
		return err
	}
	return c.Done("/absence/case/"+c.R.PathValue("id"), "done.absence.answer")
}

// closeCase closes a case with a reason.
func (o *Pages) closeCase(c *call) error {
	date, studentID := splitID(c.R.PathValue("id"))
	f := c.R.PostForm
	err := o.d.Absence.Close(c.R.Context(), c.Who(), c.Decision.Role, date, studentID, frame.FormRev(f), rules.Why(f.Get("why")), f.Get("note"))
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showCase(c, http.StatusUnprocessableEntity, errs)
	}
	if err != nil {
		return err
	}
	return c.Done("/absence/case/"+c.R.PathValue("id"), "done.absence.closed")
}

// callsView is the list of calls to guardians.
type callsView struct {
	Rows []callRow
	Q    string
}

type callRow struct {
	ID, Kind, Name, Class string
	Guardian, Phone       string
	Since, Case, Say      string
	Results               []ui.Option
}

// visibleCalls are the calls that wait in this person's classes.
func (c *call) visibleCalls() []absence.Call {
	return slices.DeleteFunc(c.o.d.Absence.Calls(), func(x absence.Call) bool { return !c.seesClass(x.Class) })
}

func callSubject(c *call) (account.Subject, error) {
	for _, x := range c.o.d.Absence.Calls() {
		if x.ID == c.R.PathValue("id") {
			return account.Subject{Class: x.Class}, nil
		}
	}
	return account.Subject{}, absence.ErrNotFound
}

func (o *Pages) callsPage(c *call) error {
	v := callsView{Q: c.R.FormValue("q")}
	for _, x := range c.visibleCalls() {
		r := c.callRow(x)
		if v.Q == "" || strings.Contains(r.Name+r.Class+r.Guardian, v.Q) {
			v.Rows = append(v.Rows, r)
		}
	}
	return c.Page("calls", c.P.T("calls.title"), v)
}

func (c *call) callRow(x absence.Call) callRow {
	r := callRow{ID: x.ID, Kind: c.P.K("calls.kind.", x.Kind), Name: c.o.d.People.Name(x.Student), Class: c.className(x.Class, c.Today()), Say: x.Say, Since: c.P.T("absence.since", c.P.Clock(x.Added), c.Now.Wall.Sub(x.Added))}
	if s, ok := c.o.d.People.Student(x.Student); ok && x.Guardian < len(s.Guardians) {
		g := s.Guardians[x.Guardian]
		r.Guardian, r.Phone = g.Name+" "+c.P.K("absence.relation.", g.Relation), g.Phone
	}
	results := absence.CallResults
	if x.Kind == absence.CallAbsence {
		results, r.Case = rules.Results(rules.Guardian), x.For
	}
	if c.Can(account.ActAbsenceAct, account.Subject{Class: x.Class}) {
		for _, k := range results {
			r.Results = append(r.Results, ui.Option{Value: string(k), Text: c.P.K("absence.result.", k)})
		}
	}
	return r
}

// recordCall takes the result of a call.
func (o *Pages) recordCall(c *call) error {
	f := c.R.PostForm
	if err := o.d.Absence.Called(c.R.Context(), c.Who(), c.Decision.Role, c.R.PathValue("id"), rules.Result(f.Get("result")), f.Get("note")); err != nil {
		return err
	}
	return c.Done("/absence/calls", "done.call")
}
