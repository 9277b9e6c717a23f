package emergency

import (
	"errors"
	"net/http"
	"slices"

	"campuskeep/firmware/emergency"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	rules "campuskeep/shared/emergency"
	"campuskeep/shared/lib/fielderr"
)

// rollView is a class on its teacher's phone during an event.
type rollView struct {
	alarm
	Who             string // the person's id: what the phone keeps is theirs
	ID, Class, Name string
	Head            string
	Muster          string
	Batch           string
	Count           rules.Count
	Open            bool // statements are still taken as part of the event
	Done            string
	First           []pupilRow // missing, injured, contradictory
	Rest            []pupilRow // not yet counted
	Safe            []pupilRow
	Away            []pupilRow
	Control         bool
	Faults          []string
}

type pupilRow struct {
	No             int
	Student, Name  string
	Tap, Detail    string
	State          string // what this person stated, or else what counts
	Note           string
	Tone           string
	Mine           bool // this person stated it
	Conflicts      []string
	Absent, Tapped bool
}

func (o *Pages) rollPage(c *call) error { return o.showRoll(c, http.StatusOK, nil) }

func (o *Pages) showRoll(c *call, status int, errs fielderr.Errors) error {
	v, err := o.roll(c)
	if err != nil {
		return err
	}
	for _, e := range errs {
		v.Faults = append(v.Faults, c.P.T(e.Rule, e.Args...))
	}
	f := c.Frame("emroll", v.Name)
	f.Script = "emergency.js"
	return c.Framed(status, "emroll", f, v)
}

func (o *Pages) roll(c *call) (rollView, error) {
	id, class := c.R.PathValue("id"), c.R.PathValue("class")
	o.d.Emergency.Viewed(id, class)
	b, err := o.d.Emergency.Board(id, class)
	if err != nil {
		return rollView{}, notFound(err)
	}
	cb, ok := b.Class(class)
	if !ok || b.Event.Undone != nil {
		return rollView{}, frame.ErrNotFound
	}
	mine, err := o.d.Emergency.Said(id, c.Actor.ID)
	if err != nil {
		return rollView{}, notFound(err)
	}
	v := rollView{alarm: c.alarm(b), Who: c.Actor.ID, ID: id, Class: class, Name: c.className(class), Muster: b.Event.Muster, Batch: newBatch(), Count: cb.Count, Open: b.Event.Open(), Control: c.Can(account.ActEmergencyControl, account.Subject{})}
	if cb.Head != "" {
		v.Head = o.Name(cb.Head)
	}
	if cb.Done != nil {
		v.Done = c.P.T("em.roll.done", c.clockOf(b.Event, *cb.Done), o.Name(cb.DoneBy))
	}
	for i, p := range cb.Pupils {
		r := o.pupilRow(c, b.Event, class, i, p, mine)
		switch {
		case !p.Expected && p.Standing.State != rules.Absent || p.Standing.State == rules.Absent && !p.Expected:
			v.Away = append(v.Away, r)
		case p.Standing.State == "":
			v.Rest = append(v.Rest, r)
		case p.Standing.State == rules.Safe && len(r.Conflicts) == 0:
			v.Safe = append(v.Safe, r)
		default:
			v.First = append(v.First, r)
		}
	}
	return v, nil
}

func (o *Pages) pupilRow(c *call, e rules.Event, class string, i int, p emergency.PupilBoard, mine map[string]rules.Statement) pupilRow {
	r := pupilRow{No: i + 1, Student: p.Student, Name: o.d.People.Name(p.Student), Tap: c.tapText(p.Pupil), Tapped: p.Presence == rules.In, Note: p.Standing.Note,
		State: string(p.Standing.State), Absent: p.Presence != rules.In}
	if p.Presence != rules.In && p.Reason != "" {
		r.Tap = c.P.K("att.", p.Reason)
	}
	own, ok := mine[p.Student]
	if r.Mine = ok && own.Class == class; r.Mine {
		r.State, r.Note = string(own.State), own.Note
	}
	switch p.Standing.State {
	case rules.Missing:
		r.Tone = "bad"
	case rules.Injured:
		r.Tone = "warn"
	}
	if s := p.Standing.Seen; s != nil && s.By != c.Actor.ID {
		r.Detail = c.seenText(e, s)
	}
	r.Conflicts = c.conflictText(slices.DeleteFunc(slices.Clone(p.Standing.Conflicts), func(x rules.Conflict) bool { return !x.Open() }))
	return r
}

// say hands what was read to the register, with the whole roll for "all others are safe".
func (o *Pages) say(c *call) error {
	id, class := c.R.PathValue("id"), c.R.PathValue("class")
	b, err := o.d.Emergency.Board(id, class)
	if err != nil {
		return notFound(err)
	}
	cb, ok := b.Class(class)
	if !ok {
		return frame.ErrNotFound
	}
	f := frame.CloneValues(c.R.PostForm)
	var pupils []string
	for _, p := range cb.Pupils {
		pupils = append(pupils, p.Student)
		if f.Get("rest") != "" && p.Expected && p.Standing.State == "" && f.Get("m."+p.Student) == "" {
			f.Set("m."+p.Student, string(rules.Safe))
		}
	}
	return notFound(o.d.Emergency.Say(c.R.Context(), c.Who(), c.Decision.Role, id, batchOf(f, class, pupils)))
}

func (o *Pages) putRoll(c *call) error {
	err := o.say(c)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showRoll(c, http.StatusUnprocessableEntity, errs)
	}
	if err != nil {
		return err
	}
	return c.Done("/emergency/"+c.R.PathValue("id")+"/class/"+c.R.PathValue("class"), "done.emergency.roll")
}

func (o *Pages) apiPutRoll(c *call) error {
	if err := o.say(c); err != nil {
		return err
	}
	return o.apiClass(c)
}

// notFound is an error of the register as the pages answer it.
func notFound(err error) error {
	if errors.Is(err, emergency.ErrNotFound) {
		return frame.ErrNotFound
	}
	return err
}

// foundView is "some other class's pupil is with me".
type foundView struct {
	alarm
	Who       string
	ID, Batch string
	Query     string
	Searched  bool
	Found     []foundRow
	Mine      []foundRow
	Faults    []string
	Most      bool
}

type foundRow struct {
	Student, Name, Class string
	State, Note, At      string
	Batch                string
}

// mostFound is how many pupils a search names.
const mostFound = 12

func (o *Pages) foundPage(c *call) error { return o.showFound(c, http.StatusOK, foundView{}, nil) }

func (o *Pages) showFound(c *call, status int, v foundView, errs fielderr.Errors) error {
	id := c.R.PathValue("id")
	b, err := o.d.Emergency.Board(id, "-") // no class: the counts of classes are not shown here
	if err != nil {
		return notFound(err)
	}
	if b.Event.Undone != nil {
		return frame.ErrNotFound
	}
	v.alarm, v.Who, v.ID, v.Batch = c.alarm(b), c.Actor.ID, id, newBatch()
	mine, err := o.d.Emergency.Said(id, c.Actor.ID)
	if err != nil {
		return notFound(err)
	}
	for student, s := range mine {
		if s.Class == "" && !s.Settled {
			v.Mine = append(v.Mine, foundRow{Student: student, Name: o.d.People.Name(student), Class: c.className(o.d.People.ClassOf(student, c.Today())), State: string(s.State), Note: s.Note, At: c.clockOf(b.Event, s.Said), Batch: newBatch()})
		}
	}
	for _, s := range b.Unknown {
		if s.By == c.Actor.ID {
			v.Mine = append(v.Mine, foundRow{Name: s.Note, Class: c.P.T("em.found.unknown"), State: string(s.State), At: c.clockOf(b.Event, s.Said)})
		}
	}
	slices.SortFunc(v.Mine, func(x, y foundRow) int { return compareText(y.At, x.At) })
	for _, e := range errs {
		v.Faults = append(v.Faults, c.P.T(e.Rule, e.Args...))
	}
	f := c.Frame("emfound", c.P.T("em.found.title"))
	f.Script = "emergency.js"
	return c.Framed(status, "emfound", f, v)
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// searchFound looks a name up within the school, for the time of the event alone; each search is an entry.
func (o *Pages) searchFound(c *call) error {
	e, err := c.event()
	if err != nil {
		return err
	}
	v := foundView{Query: c.R.PostForm.Get("q"), Searched: true}
	list, err := o.d.Emergency.Search(c.R.Context(), c.Who(), c.Decision.Role, e.ID, v.Query, mostFound+1)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showFound(c, http.StatusUnprocessableEntity, v, errs)
	}
	if err != nil {
		return notFound(err)
	}
	v.Most = len(list) > mostFound
	for _, s := range list[:min(len(list), mostFound)] {
		v.Found = append(v.Found, foundRow{Student: s.ID, Name: s.Name, Class: c.className(o.d.People.ClassOf(s.ID, c.Today())), Batch: newBatch()})
	}
	return o.showFound(c, http.StatusOK, v, nil)
}

func (o *Pages) putFound(c *call) error {
	err := o.sayFound(c)
	if errs, ok := errors.AsType[fielderr.Errors](err); ok {
		return o.showFound(c, http.StatusUnprocessableEntity, foundView{}, errs)
	}
	if err != nil {
		return err
	}
	return c.Done("/emergency/"+c.R.PathValue("id")+"/found", "done.emergency.found")
}

func (o *Pages) sayFound(c *call) error {
	return notFound(o.d.Emergency.Say(c.R.Context(), c.Who(), c.Decision.Role, c.R.PathValue("id"), batchOf(c.R.PostForm, "", nil)))
}

func (o *Pages) apiPutFound(c *call) error {
	if err := o.sayFound(c); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, APITaken{true})
}

// Counted is how many of those to be accounted for somebody has stated something about.
func (v rollView) Counted() int { return v.Count.Expected - v.Count.Open }

// Total is how many pupils the class has.
func (v rollView) Total() int { return len(v.First) + len(v.Rest) + len(v.Safe) + len(v.Away) }
