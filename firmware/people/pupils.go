package people

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
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
	now := p.now().Wall.UTC()
	var ch ledgerdb.Change
	for _, c := range newClasses {
		ch.Puts = append(ch.Puts, classes.PutRev(c.ID, c, 0))
		ch.Entries = append(ch.Entries, by.Draft("class.changed", role, c.ID, map[string]any{"what": []string{"created"}}))
	}
	next := p.nextID("s")
	added := slices.Clone(list)
	ids := make([]string, len(list))
	for i := range added {
		n := &added[i]
		n.ID, n.Since = fmt.Sprintf("s%04d", next+i), now
		ids[i] = n.ID
		ch.Puts = append(ch.Puts, students.PutRev(n.ID, n.Student, 0))
		data := map[string]any{}
		if n.Class != "" {
			data["class"] = n.Class
			ch.Puts = append(ch.Puts, enrolments.PutRev(n.ID+"/"+n.From, student.Enrolment{Student: n.ID, Class: n.Class, From: n.From}, 0))
		}
		for _, c := range n.Cards {
			ch.Puts = append(ch.Puts, cards.Put(p.cardHash(c), cardRow{Student: n.ID, Since: now}))
		}
		ch.Entries = append(ch.Entries, by.Draft("student.created", role, n.ID, data))
	}
	if len(list) > 1 {
		ch.Entries = append(ch.Entries, by.Draft("import", role, "students", map[string]any{"what": "students", "count": len(list)}))
	}
	rc, err := p.o.Store.Commit(ctx, ch)
	if err != nil {
		return nil, fmt.Errorf("register %d pupils: %w", len(list), err)
	}
	p.takeAdded(added, newClasses, rc.Revs)
	return ids, nil
}

// takeAdded takes what addStudents committed into the index, in the order of its puts.
func (p *People) takeAdded(added []NewStudent, newClasses []student.Class, revs []uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rev := func() uint64 {
		r := revs[0]
		revs = revs[1:]
		return r
	}
	for _, c := range newClasses {
		p.classes[c.ID] = classRec{c, rev()}
	}
	for _, n := range added {
		p.students[n.ID] = pupil{n.Student, rev()}
		if n.Class != "" {
			p.takeEnrolment(enrolment{student.Enrolment{Student: n.ID, Class: n.Class, From: n.From}, rev()})
		}
		for _, c := range n.Cards {
			p.cards[p.cardHash(c)] = n.ID
			rev()
		}
	}
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
	for h, id := range p.cards {
		hashes[h] = !p.markLeft(id, today)
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

// ChangeStudent changes basic and family information. Errors: ErrNotFound, ledgerdb.ErrConflict, fielderr.Errors,
// *account.Refused.
func (p *People) ChangeStudent(ctx context.Context, by account.Who, s student.Student) error {
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
	s.Since, s.Guardians = old.Since, slices.Clone(s.Guardians)
	errs := s.Check(p.today())
	if s.IDNumber != old.IDNumber && numbers[s.IDNumber] {
		errs.Add("id_number", "err.id_known")
	}
	if err := errs.Err(); err != nil {
		return err
	}
	what := differing(old.Student, s)
	if len(what) == 0 {
		return nil
	}
	rc, err := p.o.Store.Commit(ctx, ledgerdb.Change{
		Puts: []ledgerdb.Put{students.PutRev(s.ID, s, old.rev)},
		Entries: []ledger.Draft{by.Draft("student.changed", role, s.ID, map[string]any{"what": what},
			part("before", studentOwner(s.ID), old.Student), part("after", studentOwner(s.ID), s))},
	})
	if err != nil {
		return fmt.Errorf("change student %s: %w", s.ID, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.students[s.ID] = pupil{s, rc.Revs[0]}
	return nil
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
	p.mu.RLock()
	_, ok := p.students[id]
	history := slices.Clone(p.enrolled[id])
	_, classOK := p.classes[class]
	held := p.cardsOf(id)
	p.mu.RUnlock()
	if !ok {
		return ErrNotFound
	}
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
	if err := errs.Err(); err != nil {
		return err
	}
	var ch ledgerdb.Change
	var taken []student.Enrolment
	if planned != nil && (class == "" || back || planned.From != date) {
		ch.Deletes = append(ch.Deletes, enrolments.Delete(id+"/"+planned.From))
	}
	if back {
		taken = append(taken, open.Enrolment)
		ch.Puts = append(ch.Puts, enrolments.PutRev(id+"/"+open.From, open.Enrolment, open.rev))
	} else if open != nil {
		e := open.Enrolment
		e.To, e.Left = date, why
		taken = append(taken, e)
		ch.Puts = append(ch.Puts, enrolments.PutRev(id+"/"+e.From, e, open.rev))
	}
	data := map[string]any{"what": []string{"left"}}
	ends := class == "" && date <= today
	if class != "" {
		data = map[string]any{"what": []string{"class"}, "class": class}
	}
	if class != "" && !back {
		e := student.Enrolment{Student: id, Class: class, From: date}
		rev := uint64(0)
		if planned != nil && planned.From == date {
			rev = planned.rev
		}
		taken = append(taken, e)
		ch.Puts = append(ch.Puts, enrolments.PutRev(id+"/"+date, e, rev))
	}
	if ends {
		for _, h := range held {
			ch.Deletes = append(ch.Deletes, cards.Delete(h))
		}
	}
	ch.Entries = []ledger.Draft{by.Draft("student.changed", role, id, data)}
	rc, err := p.o.Store.Commit(ctx, ch)
	if err != nil {
		return fmt.Errorf("move student %s: %w", id, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if planned != nil {
		p.enrolled[id] = slices.DeleteFunc(p.enrolled[id], func(e enrolment) bool { return e.From == planned.From })
	}
	for i, e := range taken {
		p.takeEnrolment(enrolment{e, rc.Revs[i]})
	}
	if ends {
		for _, h := range held {
			delete(p.cards, h)
		}
	}
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
	for h, s := range p.cards {
		if s == id {
			hashes = append(hashes, h)
		}
	}
	slices.Sort(hashes)
	return hashes
}

func hexHash(h []byte) string { return hex.EncodeToString(h) }
