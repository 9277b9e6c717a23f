package absence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/absence"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/ledger"
)

// Roll is a class that was called over in a period: who confirmed it, and who was not simply there. What symptoms there
// were is in the checks.
type Roll struct {
	Date   string            `json:"date"`
	Class  string            `json:"class"`
	Period attendance.Period `json:"period"`
	Key    string            `json:"key"` // of the confirmation, so that what is sent twice counts once
	By     string            `json:"by"`
	At     time.Time         `json:"at"`
	Of     int               `json:"of"`
	Late   []string          `json:"late,omitempty"`
	Away   []string          `json:"away,omitempty"`
	Leave  []string          `json:"leave,omitempty"`
	Unwell int               `json:"unwell,omitempty"`
}

// Presence is what the roll says about a pupil.
func (r Roll) Presence(id string) attendance.Presence {
	switch {
	case slices.Contains(r.Late, id):
		return attendance.CameLate
	case slices.Contains(r.Away, id):
		return attendance.Away
	case slices.Contains(r.Leave, id):
		return attendance.Excused
	}
	return attendance.Here
}

// Check is what the daily check found at one pupil.
type Check struct {
	Date     string               `json:"date"`
	Period   attendance.Period    `json:"period"`
	Student  string               `json:"student"`
	Class    string               `json:"class"`
	Symptoms []attendance.Symptom `json:"symptoms"`
	By       string               `json:"by"`
	At       time.Time            `json:"at"`
}

func rollKey(date, class string, p attendance.Period) string {
	return date + "/" + class + "/" + string(p)
}

func checkKey(date, class, student string, p attendance.Period) string {
	return date + "/" + class + "/" + student + "/" + string(p)
}

// Roll reads the roll of a class in a period, with its revision; ok is false when nobody has taken it.
func (a *Absence) Roll(class, date string, p attendance.Period) (r Roll, rev uint64, ok bool, err error) {
	err = a.o.Store.View(func(tx ledgerdb.Tx) error {
		r, rev, ok, err = rolls.Get(tx, rollKey(date, class, p))
		return err
	})
	if err != nil {
		return r, 0, false, fmt.Errorf("read the roll of %s: %w", class, err)
	}
	return r, rev, ok, nil
}

// Rolls lists the rolls of a date.
func (a *Absence) Rolls(date string) (out []Roll, err error) {
	err = a.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, r := range rolls.Prefix(tx, date+"/") {
			out = append(out, r)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the rolls of %s: %w", date, err)
	}
	return out, nil
}

// Checks lists what the checks of a class found on a date; class "" is the school.
func (a *Absence) Checks(date, class string) (out []Check, err error) {
	prefix := date + "/"
	if class != "" {
		prefix += class + "/"
	}
	err = a.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, c := range checks.Prefix(tx, prefix) {
			out = append(out, c)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the checks of %s: %w", date, err)
	}
	return out, nil
}

// Taken is a roll as it is sent.
type Taken struct {
	Class, Date string
	Period      attendance.Period
	Key         string
	Rev         uint64 // of the roll that the page showed; 0: nobody had taken it
	Lines       []attendance.Line
}

// TakeRoll records a roll: first the marks of those whose day it changes, one commit each, then the roll with its checks.
// What is sent again under the same key changes nothing; a roll that broke off is finished by sending it again.
// fielderr.Errors, ErrConflict when somebody else took it meanwhile.
func (a *Absence) TakeRoll(ctx context.Context, by account.Who, role account.Role, n Taken, days []attendance.DayStatus) error {
	students := make([]string, len(days))
	status := map[string]attendance.DayStatus{}
	for i, d := range days {
		students[i], status[d.Student] = d.Student, d
	}
	errs := attendance.CheckLines(n.Lines, n.Period, students)
	if !attendance.KeyOK(n.Key) {
		errs.Add("key", "err.choice")
	}
	if err := errs.Err(); err != nil {
		return err
	}
	before, rev, _, err := a.Roll(n.Class, n.Date, n.Period)
	if err != nil {
		return err
	}
	if before.Key == n.Key {
		return nil
	}
	if rev != n.Rev {
		return ErrConflict
	}
	if err := a.markRoll(ctx, by, role, n, status); err != nil {
		return err
	}
	if err := a.putRoll(ctx, by, role, n, rev); err != nil {
		return err
	}
	return a.FollowIllness(ctx)
}

// markRoll states the days that the roll changes.
func (a *Absence) markRoll(ctx context.Context, by account.Who, role account.Role, n Taken, status map[string]attendance.DayStatus) error {
	day, hours, err := a.o.Calendar().DayOf(n.Date, a.o.People.Grade(n.Class, n.Date))
	if err != nil {
		return err
	}
	now := a.o.Clock.Now().Wall
	late := int(min(now.Sub(day.At(hours.Bell)), 4*time.Hour) / time.Minute)
	for _, l := range n.Lines {
		m, changes := attendance.MarkFor(l, status[l.Student], n.Period, late)
		if !changes {
			continue
		}
		m.By = byOf(role)
		if _, err := a.o.Gate.PutMarkWith(ctx, by, role, m, n.Class, "roll", nil); err != nil {
			return fmt.Errorf("record a roll: %w", err)
		}
	}
	return nil
}

// byOf is whose mark it is that somebody makes under a role.
func byOf(role account.Role) attendance.By {
	if role == account.RoleClassTeacher || role == account.RoleSubjectTeacher {
		return attendance.ByTeacher
	}
	return attendance.ByOffice
}

// putRoll records the roll with what the check found; those who are missing from a lesson get a case at once.
func (a *Absence) putRoll(ctx context.Context, by account.Who, role account.Role, n Taken, rev uint64) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	now := a.o.Clock.Now().Wall.UTC().Truncate(time.Millisecond)
	r := Roll{Date: n.Date, Class: n.Class, Period: n.Period, Key: n.Key, By: by.ID, At: now, Of: len(n.Lines)}
	found, err := a.Checks(n.Date, n.Class)
	if err != nil {
		return err
	}
	var ch ledgerdb.Change
	var unwell []Check
	for _, l := range n.Lines {
		switch l.Presence {
		case attendance.CameLate:
			r.Late = append(r.Late, l.Student)
		case attendance.Away:
			r.Away = append(r.Away, l.Student)
		case attendance.Excused:
			r.Leave = append(r.Leave, l.Student)
		}
		was := slices.IndexFunc(found, func(c Check) bool { return c.Student == l.Student && c.Period == n.Period })
		switch {
		case len(l.Symptoms) > 0:
			r.Unwell++
			c := Check{Date: n.Date, Period: n.Period, Student: l.Student, Class: n.Class, Symptoms: l.Symptoms, By: by.ID, At: now}
			unwell = append(unwell, c)
			ch.Puts = append(ch.Puts, checks.Put(checkKey(n.Date, n.Class, l.Student, n.Period), c))
		case was >= 0:
			ch.Deletes = append(ch.Deletes, checks.Delete(checkKey(n.Date, n.Class, l.Student, n.Period)))
		}
	}
	ch.Puts = append(ch.Puts, rolls.PutRev(rollKey(n.Date, n.Class, n.Period), r, rev))
	ch.Entries = append(ch.Entries, by.Draft("roll.taken", role, n.Class, map[string]any{"date": n.Date, "class": n.Class, "period": n.Period, "of": r.Of, "late": len(r.Late), "away": len(r.Away), "leave": len(r.Leave), "unwell": r.Unwell, "again": rev != 0}))
	for _, c := range unwell {
		text := ""
		for _, s := range c.Symptoms {
			text += string(s) + " "
		}
		ch.Entries = append(ch.Entries, by.Draft("roll.unwell", role, c.Student, map[string]any{"date": n.Date, "class": n.Class, "period": n.Period}, part("symptoms", c.Student, text)...))
	}
	var missing []absence.Case
	var moved []Call
	if n.Period != attendance.Morning && n.Date == a.dateOf(now) {
		if missing, moved, err = a.missing(by, role, n, now, &ch); err != nil {
			return err
		}
	}
	if _, err := a.o.Store.Commit(ctx, ch); errors.Is(err, ledgerdb.ErrConflict) {
		return ErrConflict
	} else if err != nil {
		return fmt.Errorf("record a roll: %w", err)
	}
	for _, c := range missing {
		a.took(c, moved...)
	}
	return nil
}

func (a *Absence) dateOf(at time.Time) string {
	date, err := a.o.Calendar().Date(at)
	if err != nil {
		return ""
	}
	return date
}

// missing opens a case for each pupil who was there in the morning and is not now, and closes that of those who are back.
func (a *Absence) missing(by account.Who, role account.Role, n Taken, now time.Time, ch *ledgerdb.Change) (out []absence.Case, moved []Call, err error) {
	_, stored, err := a.rows(n.Date)
	if err != nil {
		return nil, nil, err
	}
	owner := ""
	if c, ok := a.o.People.Class(n.Class); ok {
		owner = c.Head(n.Date)
	}
	for _, l := range n.Lines {
		row, there := stored[l.Student]
		var c absence.Case
		kind := ledger.Kind("absence.opened")
		d := caseData{Class: n.Class, Reason: string(n.Period)}
		switch {
		case l.Presence == attendance.Away && !there:
			c = absence.Missing(absence.Case{Student: l.Student, Class: n.Class, Date: n.Date, Owner: owner, Opened: now, Due: now}, n.Period, by.ID, now)
		case l.Presence == attendance.Away && !row.Open():
			c, kind = absence.Missing(row.Case, n.Period, by.ID, now), "absence.resumed"
		case l.Presence != attendance.Away && there && row.Open() && row.Missing != "":
			c, kind, d.Reason = absence.Back(row.Case, by.ID, now), "absence.closed", string(absence.WasThere)
		default:
			continue
		}
		d.Case = c.ID()
		ch.Puts = append(ch.Puts, cases.PutRev(caseKey(n.Date, l.Student), c, row.rev))
		if !c.Open() {
			for _, x := range a.dropped(c.ID()) {
				moved, ch.Puts = append(moved, x), append(ch.Puts, calls.Put(x.ID, x))
			}
		}
		ch.Entries = append(ch.Entries, by.Draft(kind, role, l.Student, d))
		out = append(out, c)
	}
	return out, moved, nil
}
