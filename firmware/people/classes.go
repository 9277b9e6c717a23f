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

// PutClass registers or changes a class and who is in charge of it. Errors: fielderr.Errors, *account.Refused.
func (p *People) PutClass(ctx context.Context, by account.Who, c student.Class) error {
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
	if err := errs.Err(); err != nil {
		return err
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
