package gate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// PutMark records what a teacher or the office states about a student's day, with the reason (S6, S7), and decides
// the day again. The caller has asked account.May; role is the one under which it is allowed. The reason is sealed
// under the student's key. fielderr.Errors when the mark makes no sense.
func (g *Gate) PutMark(ctx context.Context, by account.Who, role account.Role, m attendance.Mark, class, reason string) (attendance.DayStatus, error) {
	return g.PutMarkWith(ctx, by, role, m, class, reason, nil)
}

// PutMarkWith is PutMark with what else becomes true by it, in the same commit; with is asked again at each try.
func (g *Gate) PutMarkWith(ctx context.Context, by account.Who, role account.Role, m attendance.Mark, class, reason string, with func() (ledgerdb.Change, error)) (attendance.DayStatus, error) {
	now := g.o.Clock.Now()
	today, err := g.o.Site.Calendar().Date(now.Wall)
	if err != nil {
		return attendance.DayStatus{}, err
	}
	if err := checkMark(m, today, reason); err != nil {
		return attendance.DayStatus{}, err
	}
	m.At, m.Person = now.Wall.UTC(), by.ID
	m.ID = fmt.Sprintf("m-%.8s-%x", now.Boot, int64(now.Mono))
	data := map[string]any{"date": m.Date, "class": class, "status": m.Outcome, "by": m.By}
	if m.Minutes > 0 {
		data["minutes"] = m.Minutes
	}
	if m.Leave != "" {
		data["leave"] = m.Leave
	}
	draft := by.Draft("attendance.mark", role, m.Student, data, sealedReason(m.Student, reason)...)
	day, _, err := g.derive(ctx, m.Date, m.Student, class, now, evidenceChange{
		puts:  []ledgerdb.Put{marks.PutRev(m.Date+"/"+m.Student+"/"+m.ID, m, 0)},
		add:   func(ev *attendance.Evidence) { ev.Marks = append(ev.Marks, m) },
		entry: func(attendance.Evidence, attendance.DayStatus) ledger.Draft { return draft },
		with:  with,
	})
	if err != nil {
		return day, fmt.Errorf("record a mark of the day %s: %w", m.Date, err)
	}
	g.publishDay(day, now)
	return day, nil
}

var (
	markOutcomes = []attendance.Outcome{attendance.Present, attendance.Late, attendance.LeftEarly, attendance.OnLeave, attendance.Truant, attendance.AbsentUnexplained}
	leaveKinds   = []attendance.LeaveKind{attendance.Sick, attendance.Personal, attendance.Official, attendance.Other}
)

// maxReason is the longest reason, in characters.
const maxReason = 500

func checkMark(m attendance.Mark, today, reason string) error {
	var errs fielderr.Errors
	if m.Student == "" {
		errs.Add("student", "err.required")
	}
	if _, err := time.Parse(attendance.DateLayout, m.Date); err != nil {
		errs.Add("date", "err.date")
	} else if m.Date > today {
		errs.Add("date", "err.future")
	}
	if !slices.Contains(markOutcomes, m.Outcome) {
		errs.Add("outcome", "err.choice")
	}
	if m.By != attendance.ByTeacher && m.By != attendance.ByOffice {
		errs.Add("by", "err.choice")
	}
	timed := m.Outcome == attendance.Late || m.Outcome == attendance.LeftEarly
	if timed && (m.Minutes < 1 || m.Minutes > 24*60) {
		errs.Add("minutes", "err.range", 1, 24*60)
	} else if !timed && m.Minutes != 0 {
		errs.Add("minutes", "err.empty")
	}
	if m.Outcome == attendance.OnLeave && !slices.Contains(leaveKinds, m.Leave) {
		errs.Add("leave", "err.choice")
	} else if m.Outcome != attendance.OnLeave && m.Leave != "" {
		errs.Add("leave", "err.empty")
	}
	if m.Date < today && strings.TrimSpace(reason) == "" {
		errs.Add("reason", "err.required") // a correction always says why
	}
	checkReason(&errs, reason)
	return errs.Err()
}

func checkReason(errs *fielderr.Errors, reason string) {
	if utf8.RuneCountInString(reason) > maxReason {
		errs.Add("reason", "err.too_long", maxReason)
	}
}

func sealedReason(student, reason string) []ledger.Part {
	if reason == "" {
		return nil
	}
	return []ledger.Part{{Name: "reason", Owner: "student:" + student, Plain: []byte(reason)}}
}

// maxLeaveDays is the longest leave; longer ones are a change of enrolment.
const maxLeaveDays = 366 * 24 * time.Hour

// PutLeave records a leave, or its new state when the id is known, and decides the days up to today that it
// touches again. The caller has asked account.May. The reason is sealed under the student's key.
func (g *Gate) PutLeave(ctx context.Context, by account.Who, role account.Role, l attendance.Leave, class, reason string) (attendance.Leave, error) {
	return g.PutLeaveWith(ctx, by, role, l, class, reason, ledgerdb.Change{})
}

// PutLeaveWith is PutLeave with what else becomes true by it, in the same commit.
func (g *Gate) PutLeaveWith(ctx context.Context, by account.Who, role account.Role, l attendance.Leave, class, reason string, with ledgerdb.Change) (attendance.Leave, error) {
	now := g.o.Clock.Now()
	if err := checkLeave(l, reason); err != nil {
		return l, err
	}
	if l.ID == "" {
		l.ID = fmt.Sprintf("l-%.8s-%x", now.Boot, int64(now.Mono))
	}
	l.From, l.To = l.From.UTC(), l.To.UTC()
	key := l.Student + "/" + l.ID
	var before attendance.Leave
	err := g.o.Store.View(func(tx ledgerdb.Tx) error {
		var err error
		before, _, _, err = leaves.Get(tx, key)
		return err
	})
	if err != nil {
		return l, fmt.Errorf("read the leave as it was: %w", err)
	}
	data := map[string]any{"leave": l.ID, "kind": l.Kind, "from": l.From, "to": l.To, "approved": l.Approved}
	_, err = g.o.Store.Commit(ctx, ledgerdb.Change{
		Puts:    append([]ledgerdb.Put{leaves.Put(key, l)}, with.Puts...),
		Entries: append([]ledger.Draft{by.Draft("attendance.leave", role, l.Student, data, sealedReason(l.Student, reason)...)}, with.Entries...),
	})
	g.version.Add(1)
	if err != nil {
		return l, fmt.Errorf("record a leave: %w", err)
	}
	dates, err := datesOf(g.o.Site.Calendar(), now.Wall, l, before)
	if err != nil {
		return l, err
	}
	for _, date := range dates {
		day, _, err := g.derive(ctx, date, l.Student, class, now, evidenceChange{})
		if err != nil {
			return l, fmt.Errorf("decide the day %s after a leave: %w", date, err)
		}
		g.publishDay(day, now)
	}
	return l, nil
}

// datesOf lists the dates up to an instant that leaves touch, first and last day included.
func datesOf(cal attendance.Calendar, until time.Time, of ...attendance.Leave) ([]string, error) {
	loc, err := cal.Location()
	if err != nil {
		return nil, err
	}
	dates := map[string]bool{}
	for _, l := range of {
		y, m, d := l.From.In(loc).Date()
		for at := l.From; at.Before(l.To) && !at.After(until); d++ {
			dates[at.In(loc).Format(attendance.DateLayout)] = true
			at = time.Date(y, m, d+1, 0, 0, 0, 0, loc)
		}
	}
	return slices.Sorted(maps.Keys(dates)), nil
}

func checkLeave(l attendance.Leave, reason string) error {
	var errs fielderr.Errors
	if l.Student == "" {
		errs.Add("student", "err.required")
	}
	if !slices.Contains(leaveKinds, l.Kind) {
		errs.Add("kind", "err.choice")
	}
	switch {
	case l.From.IsZero():
		errs.Add("from", "err.required")
	case !l.From.Before(l.To):
		errs.Add("to", "err.from_after_to")
	case l.To.Sub(l.From) > maxLeaveDays:
		errs.Add("to", "err.days_range", 1, int(maxLeaveDays/(24*time.Hour)))
	}
	checkReason(&errs, reason)
	return errs.Err()
}
