package absence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/absence"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

type leaveData struct {
	Leave string               `json:"leave"`
	Kind  attendance.LeaveKind `json:"kind"`
	Class string               `json:"class"`
	From  time.Time            `json:"from"`
	To    time.Time            `json:"to"`
	Days  int                  `json:"days"`
	State absence.LeaveState   `json:"state"`
	Via   string               `json:"via,omitempty"`
	Files int                  `json:"files,omitempty"`
}

func leaveEntry(by account.Who, role account.Role, r absence.Request, words string) ledger.Draft {
	return by.Draft("leave.request", role, r.Student, leaveData{r.ID, r.Kind, r.Class, r.From, r.To, r.Days, r.State, r.Via, len(r.Files)}, part("reason", r.Student, words)...)
}

func leaveKey(studentID, id string) string { return studentID + "/" + id }

// Leave reads one request with its revision.
func (a *Absence) Leave(studentID, id string) (r absence.Request, rev uint64, err error) {
	err = a.o.Store.View(func(tx ledgerdb.Tx) error {
		var ok bool
		r, rev, ok, err = requests.Get(tx, leaveKey(studentID, id))
		if err == nil && !ok || errors.Is(err, ledgerdb.ErrErased) {
			err = ErrNotFound
		}
		return err
	})
	return r, rev, err
}

// Leaves lists the requests, the newest first; studentID "" is everybody's.
func (a *Absence) Leaves(studentID string) (out []absence.Request, err error) {
	prefix := ""
	if studentID != "" {
		prefix = studentID + "/"
	}
	err = a.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, r := range requests.Prefix(tx, prefix) {
			out = append(out, r)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the requests for leave: %w", err)
	}
	slices.SortFunc(out, func(x, y absence.Request) int { return cmp.Or(y.At.Compare(x.At), cmp.Compare(x.ID, y.ID)) })
	return out, nil
}

// AskLeave registers a request for leave; approve says that the person may approve it, and does. with is what else
// becomes true by it: the slip's file. fielderr.Errors.
func (a *Absence) AskLeave(ctx context.Context, by account.Who, role account.Role, r absence.Request, approve bool, with ledgerdb.Change) (absence.Request, error) {
	days, err := absence.SchoolDays(a.o.Calendar(), r.From, r.To)
	if err != nil {
		return r, err
	}
	now := a.o.Clock.Now()
	r.Days, r.By, r.At, r.State = days, by.ID, now.Wall.UTC().Truncate(time.Millisecond), absence.Asked
	r.From, r.To = r.From.UTC(), r.To.UTC()
	r.Reason = strings.TrimSpace(r.Reason)
	if err := r.Check().Err(); err != nil {
		return r, err
	}
	r.ID = fmt.Sprintf("l-%.8s-%x", now.Boot, int64(now.Mono))
	if approve {
		r.State, r.Decided, r.When = absence.Approved, by.ID, r.At
	}
	with.Puts = append(with.Puts, requests.PutRev(leaveKey(r.Student, r.ID), r, 0))
	with.Entries = append(with.Entries, leaveEntry(by, role, r, r.Reason))
	if approve {
		return r, a.grant(ctx, by, role, r, with)
	}
	if _, err := a.o.Store.Commit(ctx, with); err != nil {
		return r, fmt.Errorf("record a request for leave: %w", err)
	}
	return r, nil
}

// grant gives the gate the leave in the same commit.
func (a *Absence) grant(ctx context.Context, by account.Who, role account.Role, r absence.Request, with ledgerdb.Change) error {
	l := attendance.Leave{ID: r.ID, Student: r.Student, Kind: r.Kind, From: r.From, To: r.To, Approved: r.State == absence.Approved}
	if _, err := a.o.Gate.PutLeaveWith(ctx, by, role, l, r.Class, r.Reason, with); err != nil {
		return fmt.Errorf("record a leave: %w", err)
	}
	return nil
}

// DecideLeave approves, refuses or withdraws a request; an approved one may still be withdrawn. A refusal needs words. rev
// is the revision that the person saw. fielderr.Errors, ErrNotFound, ErrConflict.
func (a *Absence) DecideLeave(ctx context.Context, by account.Who, role account.Role, studentID, id string, rev uint64, state absence.LeaveState, words string) error {
	r, have, err := a.Leave(studentID, id)
	if err != nil {
		return err
	}
	words = strings.TrimSpace(words)
	var errs fielderr.Errors
	switch {
	case have != rev, r.State != absence.Asked && (r.State != absence.Approved || state != absence.Withdrawn):
		return ErrConflict
	case state != absence.Approved && state != absence.Refused && state != absence.Withdrawn:
		errs.Add("state", "err.choice")
	case words == "" && state != absence.Approved:
		errs.Add("words", "err.required")
	case utf8.RuneCountInString(words) > 500:
		errs.Add("words", "err.too_long", 500)
	}
	if err := errs.Err(); err != nil {
		return err
	}
	granted := r.State == absence.Approved || state == absence.Approved
	r.State, r.Decided, r.When, r.Words = state, by.ID, a.o.Clock.Now().Wall.UTC().Truncate(time.Millisecond), words
	ch := ledgerdb.Change{Puts: []ledgerdb.Put{requests.PutRev(leaveKey(studentID, id), r, have)}, Entries: []ledger.Draft{leaveEntry(by, role, r, words)}}
	if granted {
		err = a.grant(ctx, by, role, r, ch)
	} else {
		_, err = a.o.Store.Commit(ctx, ch)
	}
	if errors.Is(err, ledgerdb.ErrConflict) {
		return ErrConflict
	}
	return err
}

// Passes lists the slips and passes of a date.
func (a *Absence) Passes(date string) (out []absence.Pass, err error) {
	err = a.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, p := range passes.Prefix(tx, date+"/") {
			out = append(out, p)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the passes of %s: %w", date, err)
	}
	slices.SortFunc(out, func(x, y absence.Pass) int { return cmp.Or(x.From.Compare(y.From), cmp.Compare(x.ID, y.ID)) })
	return out, nil
}

// PutPass gives out a late slip, which states why the pupil was late, or an early-leave pass, which is a leave until the
// end of the day. fielderr.Errors.
func (a *Absence) PutPass(ctx context.Context, by account.Who, role account.Role, p absence.Pass) (absence.Pass, error) {
	now := a.o.Clock.Now()
	at := now.Wall.UTC().Truncate(time.Millisecond)
	p.Reason, p.Collect.Name = strings.TrimSpace(p.Reason), strings.TrimSpace(p.Collect.Name)
	if err := p.Check().Err(); err != nil {
		return p, err
	}
	p.Date = a.dateOf(at)
	day, hours, err := a.o.Calendar().DayOf(p.Date, a.o.People.Grade(p.Class, p.Date))
	if err != nil {
		return p, err
	}
	p.ID, p.By, p.At = fmt.Sprintf("p-%.8s-%x", now.Boot, int64(now.Mono)), by.ID, at
	draft := by.Draft("pass.given", role, p.Student, map[string]any{"pass": p.ID, "kind": p.Kind, "class": p.Class, "date": p.Date}, part("reason", p.Student, p.Reason)...)
	if p.Kind == absence.LateSlip {
		p.From = at
		m := attendance.Mark{Student: p.Student, Date: p.Date, Outcome: attendance.Late, By: byOf(role), Minutes: max(1, int(at.Sub(day.At(hours.Bell))/time.Minute))}
		if !at.After(day.At(hours.Bell)) {
			return p, fielderr.Errors{{Field: "kind", Rule: "err.not_late"}}
		}
		_, err := a.o.Gate.PutMarkWith(ctx, by, role, m, p.Class, p.Reason, func() (ledgerdb.Change, error) {
			return ledgerdb.Change{Puts: []ledgerdb.Put{passes.PutRev(passKey(p), p, 0)}, Entries: []ledger.Draft{draft}}, nil
		})
		return p, err
	}
	home := day.At(hours.Home)
	if !p.From.Before(home) || p.From.Before(day.Start) {
		return p, fielderr.Errors{{Field: "from", Rule: "err.pass_today"}}
	}
	p.From = p.From.UTC()
	l := attendance.Leave{ID: p.ID, Student: p.Student, Kind: p.Leave, From: p.From, To: home.UTC(), Approved: true}
	_, err = a.o.Gate.PutLeaveWith(ctx, by, role, l, p.Class, p.Reason, ledgerdb.Change{Puts: []ledgerdb.Put{passes.PutRev(passKey(p), p, 0)}, Entries: []ledger.Draft{draft}})
	return p, err
}

func passKey(p absence.Pass) string { return p.Date + "/" + p.Student + "/" + p.ID }

// LetOut records that the guard at the gate let a pupil out to the one who is named on the pass. ErrNotFound, ErrConflict.
func (a *Absence) LetOut(ctx context.Context, by account.Who, role account.Role, date, studentID, id string) error {
	key := date + "/" + studentID + "/" + id
	var p absence.Pass
	var rev uint64
	err := a.o.Store.View(func(tx ledgerdb.Tx) (err error) {
		var ok bool
		p, rev, ok, err = passes.Get(tx, key)
		if err == nil && !ok {
			err = ErrNotFound
		}
		return err
	})
	if err != nil {
		return err
	}
	if !p.Passed.IsZero() || p.Kind != absence.EarlyPass {
		return ErrConflict
	}
	p.Passed, p.Guard = a.o.Clock.Now().Wall.UTC().Truncate(time.Millisecond), by.ID
	_, err = a.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{passes.PutRev(key, p, rev)},
		Entries: []ledger.Draft{by.Draft("pass.used", role, p.Student, map[string]any{"pass": p.ID, "class": p.Class, "date": p.Date})}})
	if errors.Is(err, ledgerdb.ErrConflict) {
		return ErrConflict
	}
	return err
}
