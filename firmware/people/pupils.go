package people

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/student"
)

// MaxAdded is how many pupils one call of AddStudents takes: all of them are one change, so that an import is
// done whole or not at all.
const MaxAdded = student.MaxRosterRows

// Student by id.
func (p *People) Student(id string) (student.Student, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	s, ok := p.students[id]
	return s.copy(), ok
}

func (s pupil) copy() student.Student {
	s.Guardians = slices.Clone(s.Guardians)
	return s.Student
}

// Students counts them.
func (p *People) Students() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.students)
}

// FindStudents finds by part of name, id or 学籍号; at most limit, by id.
func (p *People) FindStudents(text string, limit int) []student.Student {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "" {
		return nil
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []student.Student
	for _, s := range p.students {
		if strings.Contains(strings.ToLower(s.Name+"\x00"+s.ID+"\x00"+s.NationalNo), text) {
			out = append(out, s.copy())
		}
	}
	slices.SortFunc(out, func(a, b student.Student) int { return compareID(a.ID, b.ID) })
	return out[:min(limit, len(out))]
}

// AddStudents registers pupils with class and cards, all or none. Errors: fielderr.Errors with fields
// "<n>.<field>", n from 0; *account.Refused.
func (p *People) AddStudents(ctx context.Context, by account.Who, list []NewStudent) (ids []string, err error) {
	return p.addStudents(ctx, by, list, nil)
}

// addStudents registers classes that are new with their pupils.
func (p *People) addStudents(ctx context.Context, by account.Who, list []NewStudent, newClasses []student.Class) ([]string, error) {
	role, err := p.allow(by, account.ActPupilsEdit, account.Subject{})
	if err != nil {
		return nil, err
	}
	if len(list) > MaxAdded {
		return nil, fielderr.Errors{{Field: "file", Rule: "err.roster_long", Args: []any{MaxAdded}}}
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	if err := p.checkNew(list, newClasses).Err(); err != nil {
		return nil, err
	}
	var b batch
	ids := p.draftNew(&b, by, role, list, newClasses)
	if len(list) > 1 {
		b.Entries = append(b.Entries, by.Draft("import", role, "students", map[string]any{"what": "students", "count": len(list)}))
	}
	if err := p.commit(ctx, &b); err != nil {
		return nil, fmt.Errorf("register %d pupils: %w", len(list), err)
	}
	return ids, nil
}

// batch is one change, with what each of its puts and deletes does to the index.
type batch struct {
	ledgerdb.Change
	taken []func(rev uint64) // of each put, in order
	gone  []func()           // of deletes
}

func (b *batch) put(x ledgerdb.Put, taken func(rev uint64)) {
	b.Puts, b.taken = append(b.Puts, x), append(b.taken, taken)
}

func (b *batch) del(x ledgerdb.Delete, gone func()) {
	b.Deletes, b.gone = append(b.Deletes, x), append(b.gone, gone)
}

// commit stores a batch and takes it into the index. The caller holds writing.
func (p *People) commit(ctx context.Context, b *batch) error {
	if n := len(b.Puts) + len(b.Deletes); n > ledgerdb.MaxRows {
		return tooManyRows(n)
	}
	rc, err := p.o.Store.Commit(ctx, b.Change)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range b.gone {
		f()
	}
	for i, f := range b.taken {
		f(rc.Revs[i])
	}
	return nil
}

// tooManyRows says that a list would change more rows than one change takes.
func tooManyRows(n int) fielderr.Errors {
	return fielderr.Errors{{Field: "file", Rule: "err.change_rows", Args: []any{n, ledgerdb.MaxRows}}}
}

// draftNew adds classes and pupils that were checked to a batch, and gives the ids of the pupils. The caller holds writing.
func (p *People) draftNew(b *batch, by account.Who, role account.Role, list []NewStudent, newClasses []student.Class) (ids []string) {
	now := p.now().Wall.UTC()
	for _, c := range newClasses {
		p.draftClass(b, by, role, c, 0, []string{"created"})
	}
	next := p.nextID("s")
	for i, n := range list {
		n.ID, n.Since = fmt.Sprintf("s%04d", next+i), now
		ids = append(ids, n.ID)
		b.put(students.PutRev(n.ID, n.Student, 0), func(rev uint64) { p.students[n.ID] = pupil{n.Student, rev} })
		data := map[string]any{}
		if n.Class != "" {
			data["class"] = n.Class
			p.draftEnrolment(b, student.Enrolment{Student: n.ID, Class: n.Class, From: n.From}, 0)
		}
		for _, c := range n.Cards {
			p.draftCard(b, c, n.ID, now)
		}
		b.Entries = append(b.Entries, by.Draft("student.created", role, n.ID, data))
	}
	return ids
}

func (p *People) draftClass(b *batch, by account.Who, role account.Role, c student.Class, rev uint64, what []string) {
	b.put(classes.PutRev(c.ID, c, rev), func(rev uint64) { p.classes[c.ID] = classRec{c, rev} })
	b.Entries = append(b.Entries, by.Draft("class.changed", role, c.ID, map[string]any{"what": what}))
}

func (p *People) draftEnrolment(b *batch, e student.Enrolment, rev uint64) {
	b.put(enrolments.PutRev(e.Student+"/"+e.From, e, rev), func(rev uint64) { p.takeEnrolment(enrolment{e, rev}) })
}

func (p *People) draftCard(b *batch, c attendance.Card, id string, now time.Time) {
	hash, row := p.cardHash(c), cardRow{Student: id, Since: now, Tail: tailOf(c)}
	b.put(cards.Put(hash, row), func(uint64) { p.cards[hash] = row })
}

// checkNew says what is wrong with pupils to register. The caller holds writing.
func (p *People) checkNew(list []NewStudent, newClasses []student.Class) fielderr.Errors {
	var errs fielderr.Errors
	today := p.today()
	p.mu.RLock()
	defer p.mu.RUnlock()
	numbers, hashes := p.usedNumbers()
	known := func(class string) bool {
		_, ok := p.classes[class]
		return ok || slices.ContainsFunc(newClasses, func(c student.Class) bool { return c.ID == class })
	}
	for i, n := range list {
		at := func(field string) string { return fmt.Sprintf("%d.%s", i, field) }
		for _, e := range n.Student.Check(today) {
			errs.Add(at(e.Field), e.Rule, e.Args...)
		}
		switch {
		case n.Class == "" && !n.Outside:
			errs.Add(at("class"), "err.required")
		case n.Class != "" && !known(n.Class):
			errs.Add(at("class"), "err.class_unknown")
		case n.Class != "" && !student.IsDate(n.From):
			errs.Add(at("from"), "err.date")
		}
		if n.IDNumber != "" {
			if numbers[n.IDNumber] {
				errs.Add(at("id_number"), "err.id_known")
			}
			numbers[n.IDNumber] = true
		}
		for _, c := range n.Cards {
			h := p.cardHash(c)
			if hashes[h] {
				errs.Add(at("card"), "err.card_taken")
			}
			hashes[h] = true
		}
	}
	return errs
}

// usedNumbers gives the identity numbers and card hashes in use. The caller holds mu.
func (p *People) usedNumbers() (numbers, hashes map[string]bool) {
	numbers, hashes = map[string]bool{}, map[string]bool{}
	for _, s := range p.students {
		if s.IDNumber != "" {
			numbers[s.IDNumber] = true
		}
	}
	today := p.today()
	for h, c := range p.cards {
		hashes[h] = !p.markLeft(c.Student, today)
	}
	return numbers, hashes
}

// markLeft says that a student has left on a date: the cards are then free for others. The caller holds mu.
func (p *People) markLeft(id, date string) bool {
	list := p.enrolled[id]
	if len(list) == 0 {
		return false
	}
	last := list[len(list)-1]
	return last.To != "" && last.To <= date
}

// ChangeStudent changes basic and family information of a row that was seen at a revision; 0 takes whatever is there.
// Errors: ErrNotFound, ledgerdb.ErrConflict, fielderr.Errors, *account.Refused.
func (p *People) ChangeStudent(ctx context.Context, by account.Who, s student.Student, rev uint64) error {
	role, err := p.allow(by, account.ActPupilsEdit, account.Subject{})
	if err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.RLock()
	old, ok := p.students[s.ID]
	numbers, _ := p.usedNumbers()
	p.mu.RUnlock()
	if !ok {
		return ErrNotFound
	}
	if rev != 0 && rev != old.rev {
		return ledgerdb.ErrConflict
	}
	s.Since, s.Guardians = old.Since, slices.Clone(s.Guardians)
	errs := s.Check(p.today())
	if s.IDNumber != old.IDNumber && numbers[s.IDNumber] {
		errs.Add("id_number", "err.id_known")
	}
	if err := errs.Err(); err != nil {
		return err
	}
	var b batch
	p.draftChange(&b, by, role, old, s)
	if len(b.Puts) == 0 {
		return nil
	}
	if err := p.commit(ctx, &b); err != nil {
		return fmt.Errorf("change student %s: %w", s.ID, err)
	}
	return nil
}

// draftChange adds the change of a row to a batch, when there is one. The caller holds writing.
func (p *People) draftChange(b *batch, by account.Who, role account.Role, old pupil, s student.Student) {
	what := differing(old.Student, s)
	if len(what) == 0 {
		return
	}
	b.put(students.PutRev(s.ID, s, old.rev), func(rev uint64) { p.students[s.ID] = pupil{s, rev} })
	b.Entries = append(b.Entries, by.Draft("student.changed", role, s.ID, map[string]any{"what": what},
		part("before", studentOwner(s.ID), old.Student), part("after", studentOwner(s.ID), s)))
}

// Move is a pupil who goes into another class on a date; class "" when the pupil leaves the school.
type Move struct {
	Student string       `json:"student"`
	Class   string       `json:"class,omitempty"`
	Date    string       `json:"date"`
	Why     student.Left `json:"why"`
}

// MoveStudent ends the current enrolment on a date and begins one in another class; class "" when the student
// leaves the school. The cards end with the enrolment, on that date. A move that is still to come is replaced; a move
// into the present class takes it back. Errors: ErrNotFound, fielderr.Errors, *account.Refused.
func (p *People) MoveStudent(ctx context.Context, by account.Who, id, class, date string, why student.Left) error {
	role, err := p.allow(by, account.ActPupilsEdit, account.Subject{})
	if err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	if _, ok := p.Student(id); !ok {
		return ErrNotFound
	}
	var b batch
	if err := p.draftMove(&b, by, role, Move{id, class, date, why}, nil).Err(); err != nil {
		return err
	}
	if err := p.commit(ctx, &b); err != nil {
		return fmt.Errorf("move student %s: %w", id, err)
	}
	return nil
}

// draftMove adds a move to a batch that may make classes too. The caller holds writing.
func (p *People) draftMove(b *batch, by account.Who, role account.Role, m Move, newClasses []student.Class) fielderr.Errors {
	id, class, date, why := m.Student, m.Class, m.Date, m.Why
	p.mu.RLock()
	history := slices.Clone(p.enrolled[id])
	_, classOK := p.classes[class]
	held := p.cardsOf(id)
	p.mu.RUnlock()
	classOK = classOK || slices.ContainsFunc(newClasses, func(c student.Class) bool { return c.ID == class })
	var errs fielderr.Errors
	today := p.today()
	history, planned, undone := withoutPlan(history, today)
	var open *enrolment
	if n := len(history); n > 0 && history[n-1].To == "" {
		open = &history[n-1]
	}
	back := undone && open != nil && open.Class == class // as if nothing had been planned
	switch {
	case back && student.IsDate(date):
	case !student.IsDate(date):
		errs.Add("date", "err.date")
	case class != "" && !classOK:
		errs.Add("class", "err.class_unknown")
	case open != nil && open.Class == class:
		errs.Add("class", "err.class_same")
	case open != nil && date <= open.From, open == nil && len(history) > 0 && date < history[len(history)-1].To:
		errs.Add("date", "err.date_before_enrolment", history[len(history)-1].From)
	case open == nil && class == "":
		errs.Add("class", "err.not_enrolled")
	}
	if len(errs) > 0 {
		return errs
	}
	if planned != nil {
		forget := func() {
			p.enrolled[id] = slices.DeleteFunc(p.enrolled[id], func(e enrolment) bool { return e.From == planned.From })
		}
		if class == "" || back || planned.From != date {
			b.del(enrolments.Delete(id+"/"+planned.From), forget)
		}
	}
	if back {
		p.draftEnrolment(b, open.Enrolment, open.rev)
	} else if open != nil {
		e := open.Enrolment
		e.To, e.Left = date, why
		p.draftEnrolment(b, e, open.rev)
	}
	data := map[string]any{"what": []string{"left"}}
	if class != "" {
		data = map[string]any{"what": []string{"class"}, "class": class}
	}
	if class != "" && !back {
		rev := uint64(0)
		if planned != nil && planned.From == date {
			rev = planned.rev
		}
		p.draftEnrolment(b, student.Enrolment{Student: id, Class: class, From: date}, rev)
	}
	if class == "" && date <= today {
		for _, h := range held {
			b.del(cards.Delete(h), func() { delete(p.cards, h) })
		}
	}
	b.Entries = append(b.Entries, by.Draft("student.changed", role, id, data))
	return nil
}

// withoutPlan is a history without the move that is still to come: planned is the enrolment that it would begin.
func withoutPlan(history []enrolment, today string) (out []enrolment, planned *enrolment, undone bool) {
	n := len(history)
	if n > 1 && history[n-1].From > today {
		planned, history = &history[n-1], history[:n-1]
		n--
	}
	if n > 0 && history[n-1].To > today {
		history[n-1].To, history[n-1].Left, undone = "", "", true
	}
	return history, planned, undone
}

// cardsOf gives the hashes of a student's cards. The caller holds mu.
func (p *People) cardsOf(id string) (hashes []string) {
	for h, c := range p.cards {
		if c.Student == id {
			hashes = append(hashes, h)
		}
	}
	slices.Sort(hashes)
	return hashes
}

func hexHash(h []byte) string { return hex.EncodeToString(h) }
