package people

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/student"
)

// YearTurn is what changes at the turn of a school year. Classes move up by themselves, and those past their last grade
// graduate; this is the rest. It names pupils and persons by their ids alone.
type YearTurn struct {
	Year    int               `json:"year"`              // in which the new school year begins, on 1 September
	Classes []student.Class   `json:"classes,omitempty"` // that are made
	Moves   []Move            `json:"moves,omitempty"`   // of pupils who are retained, go into another class, or leave
	Heads   map[string]string `json:"heads,omitempty"`   // class → its new class teacher
	State   TurnState         `json:"state,omitempty"`
	Done    []Move            `json:"done,omitempty"` // what was entered, graduates included: for the way back
}

// TurnState is how far a turn of the year is.
type TurnState string

// The states of a turn. It is a draft until it is entered.
const (
	TurnDraft   TurnState = ""
	TurnEntered TurnState = "entered"
)

// yearTurns by year.
var yearTurns = ledgerdb.NewTable[YearTurn]("year_turns")

func turnKey(year int) string { return fmt.Sprintf("%04d", year) }

// Begins is the first day of the school year.
func (t YearTurn) Begins() string { return fmt.Sprintf("%04d-09-01", t.Year) }

// NextTurn is the year whose turn is next on a date: until October the one that has begun can still be entered.
func NextTurn(date string) (int, error) {
	y, err := student.SchoolYear(date)
	if err != nil {
		return 0, err
	}
	if date >= fmt.Sprintf("%04d-09-01", y) && date < fmt.Sprintf("%04d-11-01", y) {
		return y, nil
	}
	return y + 1, nil
}

// Turn is the turn of a year with its revision; one that nobody has begun is empty and has the revision 0.
func (p *People) Turn(year int) (t YearTurn, rev uint64, err error) {
	err = p.o.Store.View(func(tx ledgerdb.Tx) error {
		var ok bool
		t, rev, ok, err = yearTurns.Get(tx, turnKey(year))
		if !ok {
			t = YearTurn{Year: year}
		}
		return err
	})
	if err != nil {
		return t, 0, fmt.Errorf("read the turn of the year %d: %w", year, err)
	}
	return t, rev, nil
}

// SaveTurn keeps the draft of a turn that was seen at a revision. Errors: ledgerdb.ErrConflict, fielderr.Errors,
// *account.Refused.
func (p *People) SaveTurn(ctx context.Context, by account.Who, t YearTurn, rev uint64) error {
	role, err := p.allow(by, account.ActPupilsEdit, account.Subject{})
	if err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	old, now, err := p.Turn(t.Year)
	switch {
	case err != nil:
		return err
	case rev != now:
		return ledgerdb.ErrConflict
	case old.State == TurnEntered:
		return fielderr.Errors{{Field: "year", Rule: "err.turn_entered"}}
	}
	t.State, t.Done = TurnDraft, nil
	if errs := p.checkTurn(t); len(errs) > 0 {
		return errs
	}
	ch := ledgerdb.Change{Puts: []ledgerdb.Put{yearTurns.PutRev(turnKey(t.Year), t, rev)}, Entries: []ledger.Draft{turnEntry(by, role, t, "drafted", len(t.Moves))}}
	if _, err := p.o.Store.Commit(ctx, ch); err != nil {
		return fmt.Errorf("keep the turn of the year %d: %w", t.Year, err)
	}
	return nil
}

func turnEntry(by account.Who, role account.Role, t YearTurn, state string, n int) ledger.Draft {
	return by.Draft("year.turn", role, "year:"+turnKey(t.Year), map[string]any{"year": t.Year, "state": state, "count": n})
}

// checkTurn says what is wrong with a draft, each move and each class by its number. The caller holds writing.
func (p *People) checkTurn(t YearTurn) (errs fielderr.Errors) {
	day, seen := t.Begins(), map[string]bool{}
	p.mu.RLock()
	defer p.mu.RUnlock()
	known := func(id string) (student.Class, bool) {
		if i := slices.IndexFunc(t.Classes, func(c student.Class) bool { return c.ID == id }); i >= 0 {
			return t.Classes[i], true
		}
		c, ok := p.classes[id]
		return c.Class, ok
	}
	for i, c := range t.Classes {
		field := fmt.Sprintf("classes.%d", i)
		for _, e := range c.Check() {
			errs.Add(field, e.Rule, e.Args...)
		}
		if _, taken := p.classes[c.ID]; taken || slices.ContainsFunc(t.Classes[:i], func(o student.Class) bool { return o.ID == c.ID }) {
			errs.Add(field, "err.class_taken")
		}
	}
	for i, m := range t.Moves {
		field := fmt.Sprintf("moves.%d", i)
		c, ok := known(m.Class)
		switch _, pupil := p.students[m.Student]; {
		case !pupil:
			errs.Add(field, "err.pupil_unknown")
		case seen[m.Student]:
			errs.Add(field, "err.turn_twice") // in two classes on one day
		case m.Class != "" && !ok:
			errs.Add(field, "err.class_unknown")
		case m.Class != "" && c.Grade(day) == 0:
			errs.Add(field, "err.class_gone")
		}
		seen[m.Student] = true
	}
	for class, person := range t.Heads {
		if _, ok := known(class); !ok {
			errs.Add("heads."+class, "err.class_unknown")
		}
		if p.persons[person] == nil {
			errs.Add("heads."+class, "err.person_unknown")
		}
	}
	return errs
}

// TurnClass is what a turn does to one class.
type TurnClass struct {
	student.Class
	New       bool
	Graduates bool
	Stay      int // pupils who move up with it
	Come, Go  int
	Before    string // class teacher today
	Head      string // class teacher from the first day on; empty: none
}

// TurnPreview is what a turn would do.
type TurnPreview struct {
	Classes   []TurnClass
	Moves     []Move // of the draft, with day and reason
	Graduates int
	Headless  int // classes without a class teacher on the first day
	Empty     int // classes without pupils on the first day
}

// PreviewTurn works out what a turn would do, from the pupils of today.
func (p *People) PreviewTurn(t YearTurn) TurnPreview {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var v TurnPreview
	today, day := p.today(), t.Begins()
	at := map[string]int{}
	add := func(c student.Class, isNew bool) {
		x := TurnClass{Class: c, New: isNew, Graduates: c.Grade(day) == 0, Before: c.Head(today), Head: c.Head(day)}
		if h := t.Heads[c.ID]; h != "" {
			x.Head = h
		}
		at[c.ID] = len(v.Classes)
		v.Classes = append(v.Classes, x)
	}
	for _, id := range slices.Sorted(maps.Keys(p.classes)) {
		if c := p.classes[id]; c.Grade(today) > 0 || c.Grade(day) > 0 {
			add(c.copy(), false)
		}
	}
	for _, c := range t.Classes {
		add(c, true)
	}
	moved := map[string]bool{}
	for _, m := range t.turnMoves() {
		v.Moves, moved[m.Student] = append(v.Moves, m), true
		if i, ok := at[p.classOf(m.Student, today)]; ok {
			v.Classes[i].Go++
		}
		if i, ok := at[m.Class]; ok {
			v.Classes[i].Come++
		}
	}
	for id := range p.students {
		i, ok := at[p.classOf(id, today)]
		switch {
		case !ok || moved[id]:
		case v.Classes[i].Graduates:
			v.Graduates++
			v.Classes[i].Go++
		default:
			v.Classes[i].Stay++
		}
	}
	for _, c := range v.Classes {
		if !c.Graduates && c.Head == "" {
			v.Headless++
		}
		if !c.Graduates && c.Stay+c.Come == 0 {
			v.Empty++
		}
	}
	return v
}

// turnMoves are the moves of a draft with their day and reason.
func (t YearTurn) turnMoves() (out []Move) {
	for _, m := range t.Moves {
		m.Date = t.Begins()
		m.Why = student.LeftMoved
		if m.Class == "" {
			m.Why = student.LeftSchool
		}
		out = append(out, m)
	}
	return out
}

// EnterTurn enters the draft that was seen at a revision, in one change: classes are made, pupils move and graduate, and
// class teachers change, all on the first day of the school year. Errors: ledgerdb.ErrConflict, fielderr.Errors,
// *account.Refused.
func (p *People) EnterTurn(ctx context.Context, by account.Who, year int, rev uint64) error {
	role, err := p.allow(by, account.ActPupilsEdit, account.Subject{})
	if err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	t, now, err := p.Turn(year)
	switch {
	case err != nil:
		return err
	case rev != now:
		return ledgerdb.ErrConflict
	case t.State == TurnEntered:
		return fielderr.Errors{{Field: "year", Rule: "err.turn_entered"}}
	}
	if errs := p.checkTurn(t); len(errs) > 0 {
		return errs
	}
	t.Done = append(t.turnMoves(), p.graduates(t)...)
	if len(t.Done) > MaxAdded {
		return fielderr.Errors{{Field: "year", Rule: "err.turn_large", Args: []any{MaxAdded}}}
	}
	var b batch
	for _, c := range t.Classes {
		p.draftHead(&b, by, role, classRec{Class: c}, t.Heads[c.ID], t.Begins())
	}
	for i, m := range t.Done {
		for _, e := range p.draftMove(&b, by, role, m, t.Classes) {
			return fielderr.Errors{{Field: fmt.Sprintf("moves.%d", i), Rule: e.Rule, Args: e.Args}}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(t.Heads)) {
		p.mu.RLock()
		c, ok := p.classes[id]
		p.mu.RUnlock()
		if ok {
			p.draftHead(&b, by, role, c, t.Heads[id], t.Begins())
		}
	}
	t.State = TurnEntered
	b.put(yearTurns.PutRev(turnKey(year), t, rev), func(uint64) {})
	b.Entries = append(b.Entries, turnEntry(by, role, t, "entered", len(t.Done)))
	if err := p.commit(ctx, &b); err != nil {
		return fmt.Errorf("enter the turn of the year %d: %w", year, err)
	}
	return nil
}

// graduates are the pupils whose class is past its last grade, but for those who do something else.
func (p *People) graduates(t YearTurn) (out []Move) {
	today, day := p.today(), t.Begins()
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, id := range slices.SortedFunc(maps.Keys(p.students), compareID) {
		c, ok := p.classes[p.classOf(id, today)]
		if !ok || c.Grade(day) > 0 || slices.ContainsFunc(t.Moves, func(m Move) bool { return m.Student == id }) {
			continue
		}
		list := p.enrolled[id]
		if last := list[len(list)-1]; last.To != "" && last.To <= day {
			continue // leaves before
		}
		out = append(out, Move{Student: id, Date: day, Why: student.LeftGraduated})
	}
	return out
}

// draftHead puts somebody in charge of a class from a day on; who was it until then is it no longer. The caller holds
// writing.
func (p *People) draftHead(b *batch, by account.Who, role account.Role, c classRec, person, day string) {
	n := c.copy()
	if person != "" && n.Head(day) != person {
		n.Teachers = slices.DeleteFunc(n.Teachers, func(t student.Teaching) bool { return t.Duty == student.DutyHead && t.From >= day })
		for i, t := range n.Teachers {
			if t.Duty == student.DutyHead && t.On(day) {
				n.Teachers[i].To = day
			}
		}
		n.Teachers = append(n.Teachers, student.Teaching{Person: person, Duty: student.DutyHead, From: day})
	}
	what := []string{"created"}
	if c.rev > 0 {
		what = differing(c.Class, n)
	}
	if len(what) > 0 {
		p.draftClass(b, by, role, n, c.rev, what)
	}
}

// UndoTurn takes back a turn that was entered and has not begun: pupils stay where they are, class teachers too, and
// what was entered is a draft again. What somebody changed of a pupil meanwhile stays. Errors: fielderr.Errors,
// *account.Refused.
func (p *People) UndoTurn(ctx context.Context, by account.Who, year int) error {
	role, err := p.allow(by, account.ActPupilsEdit, account.Subject{})
	if err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	t, rev, err := p.Turn(year)
	day := t.Begins()
	switch {
	case err != nil:
		return err
	case t.State != TurnEntered:
		return fielderr.Errors{{Field: "year", Rule: "err.turn_draft"}}
	case p.today() >= day:
		return fielderr.Errors{{Field: "year", Rule: "err.turn_begun"}}
	}
	var b batch
	undone := 0
	for _, m := range t.Done {
		p.mu.RLock()
		list := slices.Clone(p.enrolled[m.Student])
		present := p.classOf(m.Student, p.today())
		p.mu.RUnlock()
		if len(list) == 0 || !plannedBy(list[len(list)-1].Enrolment, m) {
			continue
		}
		if errs := p.draftMove(&b, by, role, Move{m.Student, present, day, student.LeftMoved}, nil); len(errs) > 0 {
			return errs
		}
		undone++
	}
	for _, id := range slices.Sorted(maps.Keys(t.Heads)) {
		p.mu.RLock()
		c, ok := p.classes[id]
		p.mu.RUnlock()
		if ok && !slices.ContainsFunc(t.Classes, func(o student.Class) bool { return o.ID == id }) {
			p.draftHeadBack(&b, by, role, c, t.Heads[id], day)
		}
	}
	for _, c := range t.Classes { // a class that somebody has entered a pupil into meanwhile stays
		if p.enteredBeside(c.ID, t.Done) {
			continue
		}
		b.del(classes.Delete(c.ID), func() { delete(p.classes, c.ID) })
		b.Entries = append(b.Entries, by.Draft("class.changed", role, c.ID, map[string]any{"what": []string{"removed"}}))
	}
	t.State, t.Done = TurnDraft, nil
	b.put(yearTurns.PutRev(turnKey(year), t, rev), func(uint64) {})
	b.Entries = append(b.Entries, turnEntry(by, role, t, "undone", undone))
	if err := p.commit(ctx, &b); err != nil {
		return fmt.Errorf("take back the turn of the year %d: %w", year, err)
	}
	return nil
}

// enteredBeside says whether a class has pupils who came by none of the moves. The caller holds writing.
func (p *People) enteredBeside(class string, moves []Move) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for id := range p.members[class] {
		in := slices.ContainsFunc(p.enrolled[id], func(e enrolment) bool { return e.Class == class })
		if in && !slices.ContainsFunc(moves, func(m Move) bool { return m.Student == id && m.Class == class }) {
			return true
		}
	}
	return false
}

// plannedBy says whether an enrolment, the last one of a pupil, is as a move left it.
func plannedBy(e student.Enrolment, m Move) bool {
	if m.Class == "" {
		return e.To == m.Date && e.Left == m.Why
	}
	return e.From == m.Date && e.Class == m.Class
}

// draftHeadBack takes back what draftHead did. The caller holds writing.
func (p *People) draftHeadBack(b *batch, by account.Who, role account.Role, c classRec, person, day string) {
	n := c.copy()
	added := func(t student.Teaching) bool {
		return t.Duty == student.DutyHead && t.Person == person && t.From == day
	}
	if !slices.ContainsFunc(n.Teachers, added) {
		return
	}
	n.Teachers = slices.DeleteFunc(n.Teachers, added)
	for i, t := range n.Teachers {
		if t.Duty == student.DutyHead && t.To == day {
			n.Teachers[i].To = ""
		}
	}
	p.draftClass(b, by, role, n, c.rev, differing(c.Class, n))
}
