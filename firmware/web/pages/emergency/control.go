package emergency

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/emergency"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	rules "campuskeep/shared/emergency"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// alarm is the line above every page of an event.
type alarm struct {
	Real        bool
	Kind, Where string
	Opened      string
	Age         string
	Muster      string
	Doubt       bool
	Closed      string
	Late        bool // statements arrive after the end
}

func (c *call) alarm(b emergency.Board) alarm {
	e := b.Event
	a := alarm{Real: !e.Drill, Kind: c.P.K("em.kind.", e.Kind), Muster: e.Muster, Doubt: e.Opened.Doubt, Age: minutes(b.Since),
		Opened: c.P.T("em.opened", c.P.When(e.Opened.At, c.Now.Wall), c.o.Name(e.By))}
	var where []string
	for _, w := range []string{c.placeName(e.Place), e.Detail, c.extent(e)} {
		if w != "" {
			where = append(where, w)
		}
	}
	a.Where = strings.Join(where, " · ")
	if e.Closed != nil {
		a.Closed = c.P.T("em.closed", c.P.When(e.Closed.At.At, c.Now.Wall), c.o.Name(e.Closed.By))
	}
	return a
}

func (c *call) extent(e rules.Event) string {
	if e.Whole {
		return c.P.T("em.whole", len(e.Classes))
	}
	if len(e.Classes) <= 3 {
		var names []string
		for _, id := range e.Classes {
			names = append(names, c.className(id))
		}
		return strings.Join(names, c.P.T("sep.list"))
	}
	return c.P.T("em.classes", len(e.Classes))
}

// controlView is the control page of an event: live counts, and the record once it is closed.
type controlView struct {
	alarm
	Event         rules.Event
	Time          string
	Count         rules.Count
	Percent       string
	Clues         int
	Silent        int // classes of which nothing is known
	SilentPupils  int
	Missing       []missingRow
	Contradictory []missingRow
	Injured       []missingRow
	Unknown       []unknownRow
	Grades        []gradeView
	Quiet         []quietRow
	Course        []courseRow
	Why           string // why it cannot be closed without a reason
	MayClose      bool
	MaySettle     bool
	MayUndo       bool
	Close         ui.Form
	Record        *recordView
	Announce      string
}

type missingRow struct {
	Student, Name, Class, ClassID string
	Tap, Seen, Clue, Tone         string
	Conflicts                     []string
	Batch                         string
}

type unknownRow struct{ Name, By, At, State string }

type quietRow struct {
	Class, ClassID, Head, Phone, Text, Tone string
}

type courseRow struct{ At, Text string }

type gradeView struct {
	Name    string
	Classes []classRow
}

type classRow struct {
	ID, Name, Full         string
	Tone, Icon, Word       string
	Count                  rules.Count
	SafeW, InjuredX        string
	InjuredW, MissX, MissW string
	Silent                 bool
	Text                   string
	CanOpen                bool
}

// redAfter is how long a class may stay silent before it is marked.
const redAfter = 5 * time.Minute

func (o *Pages) controlPage(c *call) error { return o.showControl(c, http.StatusOK, nil, nil) }

func (o *Pages) showControl(c *call, status int, closing, record fielderr.Errors) error {
	v, err := o.control(c, closing, record)
	if err != nil {
		return err
	}
	return c.PageStatus(status, "emergency", c.P.T("em.title"), v)
}

func (o *Pages) control(c *call, closing, record fielderr.Errors) (controlView, error) {
	b, err := o.d.Emergency.Board(c.R.PathValue("id"))
	if err != nil {
		return controlView{}, notFound(err)
	}
	v := controlView{alarm: c.alarm(b), Event: b.Event, Time: c.P.ClockSec(c.Now.Wall), Count: b.Count,
		MaySettle: c.Can(account.ActEmergencySettle, account.Subject{}) && b.Event.Open(),
		MayClose:  c.Can(account.ActEmergencyClose, account.Subject{}) && b.Event.Open(),
		MayUndo:   c.Can(account.ActEmergencyUndo, account.Subject{Person: b.Event.By}) && b.Event.MayUndo(b.Since)}
	if b.Count.Expected > 0 {
		v.Percent = fmt.Sprintf("%.1f%%", 100*float64(b.Count.Safe)/float64(b.Count.Expected))
	}
	if rule, args := rules.MayClose(b.Count); rule != "" {
		v.Why = c.P.T(rule, args...)
	}
	v.Close = ui.Form{Name: "emclose", Mark: "c-", P: c.P, Values: c.R.PostForm, Errors: closing}
	for _, p := range b.With(rules.Missing) {
		r := o.missingRow(c, b.Event, p)
		if p.Standing.Seen != nil || p.Standing.Note != "" {
			v.Clues++
		}
		v.Missing = append(v.Missing, r)
	}
	slices.SortStableFunc(v.Missing, func(x, y missingRow) int { return compareText(x.Tone, y.Tone) }) // bad before warn
	for _, p := range b.With(rules.Injured) {
		v.Injured = append(v.Injured, o.missingRow(c, b.Event, p))
	}
	for _, p := range b.Contradictory() {
		if p.Standing.State != rules.Missing {
			v.Contradictory = append(v.Contradictory, o.missingRow(c, b.Event, p))
		}
	}
	for _, s := range b.Unknown {
		v.Unknown = append(v.Unknown, unknownRow{s.Note, o.Name(s.By), c.clockOf(b.Event, s.Said), c.P.K("em.state.", s.State)})
	}
	for _, s := range b.Course {
		v.Course = append(v.Course, courseRow{c.clockOf(b.Event, s.Said), c.courseText(s)})
	}
	o.classRows(c, b, &v)
	v.Announce = c.P.T("em.announce", b.Count.Safe, b.Count.Missing, b.Count.Injured, b.Count.Open)
	if b.Event.Closed != nil {
		v.Record = o.recordView(c, b, record)
	}
	return v, nil
}

func (o *Pages) missingRow(c *call, e rules.Event, p emergency.PupilBoard) missingRow {
	r := missingRow{Student: p.Student, Name: o.d.People.Name(p.Student), ClassID: p.Class, Class: c.className(p.Class), Tap: c.tapText(p.Pupil), Clue: p.Standing.Note, Tone: "bad", Batch: newBatch()}
	if p.Standing.State == rules.Injured {
		r.Seen = c.P.T("em.seen", c.clockOf(e, p.Standing.Said), o.Name(p.Standing.By))
		r.Tone = "warn"
	} else if s := p.Standing.Seen; s != nil {
		r.Seen, r.Tone = c.seenText(e, s), "warn"
	}
	r.Conflicts = c.conflictText(p.Standing.Conflicts)
	return r
}

// classRows groups the classes by grade, and lists those of which nothing, or not everything, is known.
func (o *Pages) classRows(c *call, b emergency.Board, v *controlView) {
	for _, cb := range b.Classes {
		r := classRow{ID: cb.Class, Name: cb.Class, Full: c.className(cb.Class), Count: cb.Count, CanOpen: c.Can(account.ActEmergencyRoll, account.Subject{Class: cb.Class})}
		grade := ""
		if cl, ok := o.d.People.Class(cb.Class); ok {
			r.Name = c.P.T("gate.class", cl.No)
			grade = strings.TrimSuffix(r.Full, fmt.Sprintf("%d班", cl.No))
		}
		n := float64(max(1, cb.Count.Expected))
		safe, hurt, miss := float64(cb.Count.Safe)/n, float64(cb.Count.Injured)/n, float64(cb.Count.Missing)/n
		r.SafeW, r.InjuredX, r.InjuredW, r.MissX, r.MissW = ui.Pct(safe), ui.Pct(safe), ui.Pct(hurt), ui.Pct(safe+hurt), ui.Pct(miss)
		left := cb.Count.Open
		switch {
		case cb.Count.Missing > 0:
			r.Tone, r.Icon, r.Word = "bad", "help", c.P.T("em.class.missing", cb.Count.Missing)
		case !cb.Answered() && cb.Count.Expected > 0:
			r.Tone, r.Icon, r.Word, r.Silent = "warn", "clock", c.P.T("em.class.silent"), true
			v.Silent++
		case left > 0:
			r.Tone, r.Icon, r.Word = "warn", "clock", c.P.T("em.class.left", left)
		case cb.Count.Conflicts > 0:
			r.Tone, r.Icon, r.Word = "warn", "warn", c.P.T("em.class.conflict", cb.Count.Conflicts)
		default:
			r.Icon, r.Word = "ok", c.P.T("em.class.full")
		}
		if r.Silent {
			v.SilentPupils += cb.Count.Open
		}
		if cb.Answered() {
			r.Text = c.P.T("em.class.after", minutes(cb.Last))
		} else if cb.Opened != nil {
			r.Text = c.P.T("em.class.opened", c.clockOf(b.Event, *cb.Opened))
		} else {
			r.Text = c.P.T("em.class.unopened")
		}
		if left > 0 && b.Event.Open() {
			o.quietRow(c, b, cb, r, v)
		}
		if k := len(v.Grades); k == 0 || v.Grades[k-1].Name != grade {
			v.Grades = append(v.Grades, gradeView{Name: grade})
		}
		g := &v.Grades[len(v.Grades)-1]
		g.Classes = append(g.Classes, r)
	}
}

func (o *Pages) quietRow(c *call, b emergency.Board, cb emergency.ClassBoard, r classRow, v *controlView) {
	q := quietRow{Class: r.Full, ClassID: cb.Class, Text: r.Text, Tone: "warn"}
	if cb.Answered() {
		q.Text = c.P.T("em.quiet.part", cb.Count.Expected-cb.Count.Open, cb.Count.Open)
	}
	if b.Since > redAfter {
		q.Tone = "bad"
	}
	if p, ok := o.d.People.Person(cb.Head); ok {
		q.Head, q.Phone = p.Name, p.Phone
	}
	v.Quiet = append(v.Quiet, q)
}

// settle lets the control decide what counts for one pupil.
func (o *Pages) settle(c *call) error {
	b := batchOf(c.R.PostForm, "", nil)
	b.Settle = true
	if err := o.d.Emergency.Say(c.R.Context(), c.Who(), c.Decision.Role, c.R.PathValue("id"), b); err != nil {
		return notFound(err)
	}
	return c.Done("/emergency/"+c.R.PathValue("id"), "done.emergency.settled")
}

func (o *Pages) undo(c *call) error {
	if err := o.d.Emergency.Undo(c.R.Context(), c.Who(), c.Decision.Role, c.R.PathValue("id")); err != nil {
		return notFound(err)
	}
	return c.Done("/emergency", "done.emergency.undone")
}

func (o *Pages) close(c *call) error {
	id := c.R.PathValue("id")
	err := o.d.Emergency.Close(c.R.Context(), c.Who(), c.Decision.Role, id, c.R.PostForm.Get("reason"))
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showControl(c, http.StatusUnprocessableEntity, errs, nil)
	}
	if err != nil {
		return notFound(err)
	}
	return c.Done("/emergency/"+id, "done.emergency.closed")
}

// recordView is what is written down after an event.
type recordView struct {
	ui.Form
	Rev     uint64
	Version int
	May     bool
	Facts   []fact
	Injured []injuredRow
	Texts   []fact // as it is, for those who may not change it
}

type fact struct{ Name, Value string }

type injuredRow struct {
	Student, Name, Class string
	What, Course         ui.Field
}

func (o *Pages) recordView(c *call, b emergency.Board, errs fielderr.Errors) *recordView {
	e, x := b.Event, b.Event.Closed
	r := &recordView{Form: ui.Form{Name: "emrecord", P: c.P, Values: c.R.PostForm, Errors: errs}, Rev: o.d.Emergency.Rev(e.ID), Version: e.Version, May: c.Can(account.ActEmergencyClose, account.Subject{})}
	if r.Values == nil || errs == nil {
		r.Values = map[string][]string{"investigation": {e.Record.Investigation}, "measures": {e.Record.Measures}, "lessons": {e.Record.Lessons}}
		for _, i := range e.Record.Injured {
			r.Values["what."+i.Student], r.Values["course."+i.Student] = []string{i.What}, []string{i.Course}
		}
	}
	add := func(key, value string) {
		if value != "" {
			r.Facts = append(r.Facts, fact{c.P.T(key), value})
		}
	}
	add("em.fact.time", c.P.Span(e.Opened.At, e.Opened.At.Add(x.After)))
	add("em.fact.count", c.P.T("em.announce", x.Count.Safe, x.Count.Missing, x.Count.Injured, x.Count.Open))
	if x.Full > 0 {
		add("em.fact.full", minutes(x.Full))
	} else {
		add("em.fact.full", c.P.T("em.fact.never"))
	}
	add("em.fact.reason", x.Reason)
	if now := b.Count; now != x.Count {
		add("em.fact.late", c.P.T("em.announce", now.Safe, now.Missing, now.Injured, now.Open))
	}
	for _, f := range []struct{ key, text string }{{"emrecord.f.investigation", e.Record.Investigation}, {"emrecord.f.measures", e.Record.Measures}, {"emrecord.f.lessons", e.Record.Lessons}} {
		r.Texts = append(r.Texts, fact{c.P.T(f.key), f.text})
	}
	for _, i := range e.Record.Injured {
		row := injuredRow{Student: i.Student, Name: o.d.People.Name(i.Student), Class: c.className(o.d.People.ClassOf(i.Student, c.Today()))}
		row.What, row.Course = r.In("what."+i.Student, "text"), r.In("course."+i.Student, "text")
		row.What.Label, row.Course.Label = c.P.T("emrecord.f.what"), c.P.T("emrecord.f.course")
		r.Injured = append(r.Injured, row)
	}
	return r
}

func (o *Pages) putRecord(c *call) error {
	e, err := c.event()
	if err != nil {
		return err
	}
	if e.Closed == nil {
		return frame.ErrNotFound
	}
	f := c.R.PostForm
	n := rules.Record{Investigation: strings.TrimSpace(f.Get("investigation")), Measures: strings.TrimSpace(f.Get("measures")), Lessons: strings.TrimSpace(f.Get("lessons"))}
	for _, i := range e.Record.Injured {
		n.Injured = append(n.Injured, rules.Injury{Student: i.Student, What: strings.TrimSpace(f.Get("what." + i.Student)), Course: strings.TrimSpace(f.Get("course." + i.Student))})
	}
	err = o.d.Emergency.PutRecord(c.R.Context(), c.Who(), c.Decision.Role, e.ID, n, strings.TrimSpace(f.Get("reason")), frame.FormRev(f))
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showControl(c, http.StatusUnprocessableEntity, nil, errs)
	}
	if err != nil {
		return notFound(err)
	}
	return c.Done("/emergency/"+e.ID, "done.emergency.recorded")
}
