package people

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/student"
)

// Class by id.
func (p *People) Class(id string) (student.Class, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	c, ok := p.classes[id]
	return c.copy(), ok
}

func (c classRec) copy() student.Class {
	c.Teachers = slices.Clone(c.Teachers)
	return c.Class
}

// Grade is the grade of a class on a date, 0 when it has none then or is not known.
func (p *People) Grade(class, date string) int {
	c, _ := p.Class(class)
	return c.Grade(date)
}

// Classes lists the classes that are in the school on a date, by grade and number.
func (p *People) Classes(date string) []student.Class {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []student.Class
	for _, c := range p.classes {
		if c.Grade(date) > 0 {
			out = append(out, c.copy())
		}
	}
	slices.SortFunc(out, func(a, b student.Class) int {
		return cmp.Or(cmp.Compare(a.Grade(date), b.Grade(date)), cmp.Compare(a.No, b.No), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Upcoming lists the classes that are in the school on a date, and those that begin after it.
func (p *People) Upcoming(date string) []student.Class {
	out := p.Classes(date)
	p.mu.RLock()
	defer p.mu.RUnlock()
	year, err := student.SchoolYear(date)
	if err != nil {
		return out
	}
	var later []student.Class
	for _, c := range p.classes {
		if c.Entry > year {
			later = append(later, c.copy())
		}
	}
	slices.SortFunc(later, func(a, b student.Class) int { return cmp.Or(cmp.Compare(a.Entry, b.Entry), cmp.Compare(a.ID, b.ID)) })
	return append(out, later...)
}

// ClassOf is the class of a student on a date; empty when there is none.
func (p *People) ClassOf(studentID, date string) string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.classOf(studentID, date)
}

// classOf: the caller holds mu.
func (p *People) classOf(studentID, date string) string {
	for _, e := range p.enrolled[studentID] {
		if e.On(date) {
			return e.Class
		}
	}
	return ""
}

// Roster lists the students of a class on a date, by id.
func (p *People) Roster(class, date string) []student.Student {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []student.Student
	for id := range p.members[class] {
		if s, ok := p.students[id]; ok && p.classOf(id, date) == class {
			out = append(out, s.copy())
		}
	}
	slices.SortFunc(out, func(a, b student.Student) int { return compareID(a.ID, b.ID) })
	return out
}

// ClassesOf lists the classes in a teacher's charge on a date, by id.
func (p *People) ClassesOf(person, date string) []string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.classesOf(person, date)
}

// classesOf: the caller holds mu.
func (p *People) classesOf(person, date string) []string {
	var out []string
	for id, c := range p.classes {
		for _, t := range c.Teachers {
			if t.Person == person && t.On(date) {
				out = append(out, id)
				break
			}
		}
	}
	slices.Sort(out)
	return out
}

// ClassRev is the revision of a class; 0 when there is none.
func (p *People) ClassRev(id string) uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.classes[id].rev
}

// AllClasses lists every class that ever was, the newest first.
func (p *People) AllClasses() []student.Class {
	p.mu.RLock()
	defer p.mu.RUnlock()
	out := make([]student.Class, 0, len(p.classes))
	for _, c := range p.classes {
		out = append(out, c.copy())
	}
	slices.SortFunc(out, func(a, b student.Class) int { return cmp.Or(cmp.Compare(b.Entry, a.Entry), cmp.Compare(a.ID, b.ID)) })
	return out
}

// Sizes counts the pupils of each class on a date.
func (p *People) Sizes(date string) map[string]int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	out := map[string]int{}
	for id := range p.students {
		if c := p.classOf(id, date); c != "" {
			out[c]++
		}
	}
	return out
}

// PutClass registers or changes a class and who is in charge of it, whatever is there. Errors: fielderr.Errors,
// *account.Refused.
func (p *People) PutClass(ctx context.Context, by account.Who, c student.Class) error {
	return p.putClass(ctx, by, c, nil)
}

// PutClassFrom is PutClass of a row that was seen at a revision; 0: there must be none yet. Errors:
// ledgerdb.ErrConflict, fielderr.Errors, *account.Refused.
func (p *People) PutClassFrom(ctx context.Context, by account.Who, c student.Class, rev uint64) error {
	return p.putClass(ctx, by, c, &rev)
}

func (p *People) putClass(ctx context.Context, by account.Who, c student.Class, seen *uint64) error {
	role, err := p.allow(by, account.ActPupilsEdit, account.Subject{Class: c.ID})
	if err != nil {
		return err
	}
	c.Teachers = slices.Clone(c.Teachers)
	p.writing.Lock()
	defer p.writing.Unlock()
	errs := c.Check()
	p.mu.RLock()
	old, exists := p.classes[c.ID]
	errs = append(errs, p.checkTeachers(c)...)
	p.mu.RUnlock()
	if seen != nil && *seen == 0 && exists {
		errs.Add("no", "err.class_taken")
	}
	if err := errs.Err(); err != nil {
		return err
	}
	if seen != nil && *seen != old.rev {
		return ledgerdb.ErrConflict
	}
	what := []string{"created"}
	if exists {
		if what = differing(old.Class, c); len(what) == 0 {
			return nil
		}
	}
	rc, err := p.o.Store.Commit(ctx, ledgerdb.Change{
		Puts:    []ledgerdb.Put{classes.PutRev(c.ID, c, old.rev)},
		Entries: []ledger.Draft{by.Draft("class.changed", role, c.ID, map[string]any{"what": what})},
	})
	if err != nil {
		return fmt.Errorf("change class %s: %w", c.ID, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.classes[c.ID] = classRec{c, rc.Revs[0]}
	return nil
}

// ClassPut is a class to register or change, seen at a revision; 0: it must not be there.
type ClassPut struct {
	student.Class
	Rev uint64
}

// PutClasses registers or changes classes, all or none. Errors: ledgerdb.ErrConflict, fielderr.Errors, *account.Refused.
func (p *People) PutClasses(ctx context.Context, by account.Who, list []ClassPut) error {
	role, err := p.allow(by, account.ActPupilsEdit, account.Subject{})
	if err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	var b batch
	for _, c := range list {
		errs := append(c.Check(), p.CheckTeachers(c.Class)...)
		if len(errs) > 0 {
			return errs
		}
		p.mu.RLock()
		old, exists := p.classes[c.ID]
		p.mu.RUnlock()
		if old.rev != c.Rev {
			return ledgerdb.ErrConflict
		}
		what := []string{"created"}
		if exists {
			what = differing(old.Class, c.Class)
		}
		if len(what) > 0 {
			p.draftClass(&b, by, role, c.Class, c.Rev, what)
		}
	}
	b.Entries = append(b.Entries, by.Draft("import", role, "classes", map[string]any{"what": "classes", "count": len(list)}))
	if err := p.commit(ctx, &b); err != nil {
		return fmt.Errorf("register %d classes: %w", len(list), err)
	}
	return nil
}

// CheckTeachers says what is wrong with who is in charge of a class.
func (p *People) CheckTeachers(c student.Class) fielderr.Errors {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.checkTeachers(c)
}

// ParseClass reads a class as people write it, by the stages that the school has.
func (p *People) ParseClass(text, date string) (c student.Class, rule string) {
	var schooling student.Schooling
	if p.o.Schooling != nil {
		schooling = p.o.Schooling()
	}
	return schooling.ParseClass(text, date)
}

// checkTeachers: one class teacher at a time, and only people who are here. The caller holds mu.
func (p *People) checkTeachers(c student.Class) (errs fielderr.Errors) {
	for i, t := range c.Teachers {
		if p.persons[t.Person] == nil {
			errs.Add("teachers", "err.person_unknown")
		}
		for _, o := range c.Teachers[:i] {
			if o.Duty == student.DutyHead && t.Duty == student.DutyHead && (o.To == "" || t.From < o.To) && (t.To == "" || o.From < t.To) {
				errs.Add("teachers", "err.two_heads")
			}
		}
	}
	return errs
}

// LeftOn is the last class of a student who is in no class on a date, and since when: the day on which they left, or on
// which the class left the school. Empty for who is here, was never enrolled, or is to come.
func (p *People) LeftOn(studentID, date string) (class, left string) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	list := p.enrolled[studentID]
	if len(list) == 0 {
		return "", ""
	}
	last := list[len(list)-1]
	if last.To != "" {
		if last.To <= date {
			return last.Class, last.To
		}
		return "", ""
	}
	c, ok := p.classes[last.Class]
	if ok && last.From <= date && c.Grade(date) == 0 {
		if end := c.LastDay(); end < date {
			return last.Class, end
		}
	}
	return "", ""
}
