package absence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/absence"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/ledger"
)

// Case reads one case with its revision.
func (a *Absence) Case(date, studentID string) (c absence.Case, rev uint64, err error) {
	err = a.o.Store.View(func(tx ledgerdb.Tx) error {
		var ok bool
		c, rev, ok, err = cases.Get(tx, caseKey(date, studentID))
		if err == nil && !ok {
			err = ErrNotFound
		}
		return err
	})
	if errors.Is(err, ledgerdb.ErrErased) {
		err = ErrNotFound
	}
	return c, rev, err
}

// Cases lists the cases of a date by class and pupil, the open ones first.
func (a *Absence) Cases(date string) ([]absence.Case, error) {
	_, stored, err := a.rows(date)
	if err != nil {
		return nil, err
	}
	out := make([]absence.Case, 0, len(stored))
	for _, r := range stored {
		out = append(out, r.Case)
	}
	sortCases(out)
	return out, nil
}

// OpenCases lists the cases that nobody has closed, of any day.
func (a *Absence) OpenCases() []absence.Case {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := slices.Collect(maps.Values(a.open))
	sortCases(out)
	return out
}

func sortCases(list []absence.Case) {
	slices.SortFunc(list, func(x, y absence.Case) int {
		open := 0
		if x.Open() != y.Open() {
			open = 1
			if x.Open() {
				open = -1
			}
		}
		return cmp.Or(open, cmp.Compare(y.Date, x.Date), cmp.Compare(x.Class, y.Class), cmp.Compare(x.Student, y.Student))
	})
}

// change takes an act of a person on a case: it reads, acts and commits, with the calls that follow and, where the
// result says how the day is, the mark. rev is the revision that the person saw; 0 does not ask.
func (a *Absence) change(ctx context.Context, by account.Who, role account.Role, date, studentID string, rev uint64, note string, act func(absence.Case, time.Time) (absence.Case, ledger.Kind, caseData, []Call, error)) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	now := a.o.Clock.Now().Wall.UTC().Truncate(time.Millisecond)
	var c absence.Case
	var moved []Call
	build := func() (ledgerdb.Change, error) {
		was, have, err := a.Case(date, studentID)
		if err != nil {
			return ledgerdb.Change{}, err
		}
		if rev != 0 && rev != have {
			return ledgerdb.Change{}, ErrConflict
		}
		var kind ledger.Kind
		var d caseData
		c, kind, d, moved, err = act(was, now)
		if errors.Is(err, absence.ErrClosed) || errors.Is(err, absence.ErrDone) {
			err = ErrConflict
		}
		if err != nil {
			return ledgerdb.Change{}, err
		}
		d.Case, d.Class = c.ID(), c.Class
		if !c.Open() {
			for _, x := range a.dropped(c.ID()) {
				if !slices.ContainsFunc(moved, func(m Call) bool { return m.ID == x.ID }) {
					moved = append(moved, x)
				}
			}
		}
		ch := ledgerdb.Change{Puts: []ledgerdb.Put{cases.PutRev(caseKey(date, studentID), c, have)}, Entries: []ledger.Draft{by.Draft(kind, role, studentID, d, part("note", studentID, note)...)}}
		for _, x := range moved {
			ch.Puts = append(ch.Puts, calls.Put(x.ID, x))
		}
		return ch, nil
	}
	ch, err := build()
	if err != nil {
		return err
	}
	if m, ok := markOf(c, role); ok {
		_, err = a.o.Gate.PutMarkWith(ctx, by, role, m, c.Class, cmp.Or(note, string(c.Why)), build)
	} else {
		_, err = a.o.Store.Commit(ctx, ch)
	}
	if errors.Is(err, ledgerdb.ErrConflict) {
		return ErrConflict
	}
	if err != nil {
		return fmt.Errorf("record an act on an absence: %w", err)
	}
	a.took(c, moved...)
	return nil
}

// markOf is what a closed case says about the day.
func markOf(c absence.Case, role account.Role) (attendance.Mark, bool) {
	m := attendance.Mark{Student: c.Student, Date: c.Date, By: byOf(role)}
	if c.Open() || c.Missing != "" {
		return m, false
	}
	switch c.Why {
	case absence.WasThere:
		m.Outcome = attendance.Present
	case absence.IsIll:
		m.Outcome, m.Leave = attendance.OnLeave, attendance.Sick
	case absence.IsExcused:
		m.Outcome, m.Leave = attendance.OnLeave, attendance.Personal
	default:
		return m, false
	}
	return m, true
}

// Answer acknowledges a step of a case with its result; a guardian's step is the call of the list. The caller has asked
// account.May. fielderr.Errors, ErrNotFound, ErrConflict.
func (a *Absence) Answer(ctx context.Context, by account.Who, role account.Role, date, studentID string, rev uint64, step int, result absence.Result, note string) error {
	return a.change(ctx, by, role, date, studentID, rev, note, func(c absence.Case, now time.Time) (absence.Case, ledger.Kind, caseData, []Call, error) {
		next, err := absence.Answer(c, step, by.ID, result, note, now)
		if err != nil {
			return c, "", caseData{}, nil, err
		}
		s := next.Steps[step]
		d := caseData{Rung: string(s.Rung), Result: string(result)}
		var moved []Call
		if s.Rung == absence.Guardian {
			d.Guardian = s.Guardian + 1
			if x, ok := a.waiting(callID(c, s.Guardian)); ok {
				x.Done, x.By, x.Result, x.Note = now, by.ID, result, s.Note
				moved = append(moved, x)
			}
		}
		return next, "absence.answered", d, moved, nil
	})
}

// Close closes a case with a reason that a person states.
func (a *Absence) Close(ctx context.Context, by account.Who, role account.Role, date, studentID string, rev uint64, why absence.Why, note string) error {
	return a.change(ctx, by, role, date, studentID, rev, note, func(c absence.Case, now time.Time) (absence.Case, ledger.Kind, caseData, []Call, error) {
		next, err := absence.Close(c, by.ID, why, note, now)
		return next, "absence.closed", caseData{Reason: string(why)}, nil, err
	})
}

func callID(c absence.Case, guardian int) string { return fmt.Sprintf("%s.g%d", c.ID(), guardian+1) }

// Alarms lists the alarms of a date.
func (a *Absence) Alarms(date string) ([]Alarm, error) {
	given, _, err := a.rows(date)
	if err != nil {
		return nil, err
	}
	out := slices.Collect(maps.Values(given))
	slices.SortFunc(out, func(x, y Alarm) int { return cmp.Or(x.Since.Compare(y.Since), cmp.Compare(x.Key(), y.Key())) })
	return out, nil
}

// OpenAlarms lists the alarms that nobody has judged, of any day.
func (a *Absence) OpenAlarms() []Alarm {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := slices.Collect(maps.Values(a.alarms))
	slices.SortFunc(out, func(x, y Alarm) int { return cmp.Compare(x.ID(), y.ID()) })
	return out
}

// Judge states what an alarm was. That pupils are really absent lets their cases open with the next round; the gate, the
// clock and missing cards prove nothing about anybody, so they can only be a fault. ErrNotFound, ErrConflict when
// somebody has judged it.
func (a *Absence) Judge(ctx context.Context, by account.Who, role account.Role, date, key string, v absence.Verdict) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	given, _, err := a.rows(date)
	if err != nil {
		return err
	}
	x, ok := given[key]
	switch {
	case !ok:
		return ErrNotFound
	case x.Verdict != "":
		return ErrConflict
	case v != absence.IsFault && (v != absence.IsReal || x.Cause != absence.WholeClass && x.Cause != absence.WholeSchool):
		return ErrNotFound
	}
	x.Verdict, x.By, x.At = v, by.ID, a.o.Clock.Now().Wall.UTC().Truncate(time.Millisecond)
	_, err = a.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{alarms.Put(date+"/"+key, x)},
		Entries: []ledger.Draft{by.Draft("absence.judged", role, x.ID(), map[string]any{"cause": x.Cause, "verdict": v})}})
	if err != nil {
		return fmt.Errorf("record what an alarm was: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.alarms, date+"/"+key)
	return nil
}
