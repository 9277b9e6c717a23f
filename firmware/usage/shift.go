package usage

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/shift"
)

// shifts are the control room's shifts (F20). A row holds no text: the notes of a hand-over are sealed in its entry.
var shifts = ledgerdb.NewTable[shift.Shift]("shifts", ledgerdb.Replayable())

// shiftList holds the shifts in memory.
type shiftList struct {
	stepMu sync.Mutex // one step at a time
	mu     sync.Mutex
	rows   map[string]shiftRow // guarded by mu
	open   []shift.Shift       // guarded by mu: those that have not ended, in their order; replaced, never written to
}

type shiftRow struct {
	shift.Shift
	rev uint64
}

func (r *shiftList) read(tx ledgerdb.Tx) error {
	r.rows = map[string]shiftRow{}
	defer r.sort()
	for key, row := range shifts.Rows(tx, "") {
		if row.Err != nil {
			return fmt.Errorf("shift %s: %w", key, row.Err)
		}
		r.rows[key] = shiftRow{row.Value, row.Rev}
	}
	return nil
}

// sort finds the open ones again. The caller holds mu, or nobody else knows r yet.
func (r *shiftList) sort() {
	r.open = nil
	for _, s := range r.rows {
		if s.Open() {
			r.open = append(r.open, s.Shift)
		}
	}
	slices.SortFunc(r.open, byBegin)
}

func (r *shiftList) running() []shift.Shift {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open
}

func byBegin(a, b shift.Shift) int {
	return cmp.Or(a.Began.Wall.Compare(b.Began.Wall), strings.Compare(a.ID, b.ID))
}

// HandoverNotes are written by the outgoing officer for the incoming one.
type HandoverNotes struct {
	Happened  string // what happened
	Equipment string // the state of the equipment
	Open      string // what is still to be done
}

const maxHandoverNotes = 4000

func (n *HandoverNotes) check() error {
	var errs fielderr.Errors
	for _, f := range []struct {
		name string
		text *string
	}{{"happened", &n.Happened}, {"equipment", &n.Equipment}, {"open", &n.Open}} {
		*f.text = strings.TrimSpace(strings.ReplaceAll(*f.text, "\r\n", "\n"))
		if !utf8.ValidString(*f.text) || utf8.RuneCountInString(*f.text) > maxHandoverNotes {
			errs.Add(f.name, "err.too_long", maxHandoverNotes)
		}
	}
	if n.Happened == "" {
		errs.Add("happened", "err.required")
	}
	if n.Equipment == "" {
		errs.Add("equipment", "err.required")
	}
	return errs.Err()
}

// HandoverNotesOwner is whose key seals the notes of a shift.
func HandoverNotesOwner(shift string) string { return "shift:" + shift }

func (n HandoverNotes) parts(shift string) (out []ledger.Part) {
	for _, p := range []ledger.Part{{Name: "happened", Plain: []byte(n.Happened)}, {Name: "equipment", Plain: []byte(n.Equipment)}, {Name: "open", Plain: []byte(n.Open)}} {
		if len(p.Plain) > 0 {
			p.Owner = HandoverNotesOwner(shift)
			out = append(out, p)
		}
	}
	return out
}

// OnShift says whether the person is on duty in the control room now; live permission hangs on it.
func (e *Register) OnShift(person string) bool {
	_, on := e.Shift(person)
	return on
}

// Shift is the person's shift, when on duty now.
func (e *Register) Shift(person string) (shift.Shift, bool) {
	return shift.Of(e.shifts.running(), person, e.o.Clock.Now())
}

// OpenShifts are those of all who are on duty now.
func (e *Register) OpenShifts() []shift.Shift {
	now := e.o.Clock.Now()
	return slices.DeleteFunc(slices.Clone(e.shifts.running()), func(s shift.Shift) bool { return !s.OnDuty(now) })
}

// Shifts are those that touch the span, in their order.
func (e *Register) Shifts(span footage.Span) (out []shift.Shift) {
	now := e.o.Clock.Now().Wall
	e.shifts.mu.Lock()
	defer e.shifts.mu.Unlock()
	for _, s := range e.shifts.rows {
		if on := s.Span(now); on.From.Before(span.To) && (span.From.Before(on.To) || on.From.Equal(span.From)) {
			out = append(out, s.Shift)
		}
	}
	slices.SortFunc(out, byBegin)
	return out
}

// The data of the entries of a shift.
type (
	shiftBegan struct {
		Shift string `json:"shift"`
		After string `json:"after,omitempty"`
	}
	shiftHanded struct {
		Shift string `json:"shift"`
		Next  string `json:"next"`
		To    string `json:"to"`
	}
	shiftEnded struct {
		Shift  string    `json:"shift"`
		Reason shift.End `json:"reason"`
		At     time.Time `json:"at"`
	}
	shiftOffered struct {
		Shift string `json:"shift"`
	}
)

func newShiftID() string { return "k-" + strings.ToLower(rand.Text()[:16]) }

// BeginShift puts the person on duty; who is on duty already stays so.
func (e *Register) BeginShift(ctx context.Context, by account.Who) (shift.Shift, error) {
	e.shifts.stepMu.Lock()
	defer e.shifts.stepMu.Unlock()
	d, err := e.Allow(ctx, by, account.ActShift, account.Subject{Person: by.ID})
	if err != nil {
		return shift.Shift{}, err
	}
	now := e.o.Clock.Now()
	if err := e.endLongest(ctx, now); err != nil {
		return shift.Shift{}, err
	}
	s, err := shift.Begin(e.shifts.running(), newShiftID(), by.ID, now)
	if errors.Is(err, shift.ErrOnDuty) {
		s, _ = e.Shift(by.ID)
		return s, nil
	}
	if err != nil {
		return shift.Shift{}, err
	}
	return s, e.writeShifts(ctx, []shift.Shift{s}, by.Draft("shift.began", d.Role, s.ID, shiftBegan{s.ID, ""}))
}

// OfferShift writes the notes of the hand-over. The shift goes on until the next officer has signed; writing them again
// replaces nothing: both are in the log, the later counts.
func (e *Register) OfferShift(ctx context.Context, by account.Who, n HandoverNotes) (shift.Shift, error) {
	if err := n.check(); err != nil {
		return shift.Shift{}, err
	}
	e.shifts.stepMu.Lock()
	defer e.shifts.stepMu.Unlock()
	d, err := e.Allow(ctx, by, account.ActShift, account.Subject{Person: by.ID})
	if err != nil {
		return shift.Shift{}, err
	}
	s, on := e.Shift(by.ID)
	if !on {
		return s, shift.ErrNotOnDuty
	}
	if s, err = shift.Offer(s, e.o.Clock.Now()); err != nil {
		return s, err
	}
	return s, e.writeShifts(ctx, []shift.Shift{s}, by.Draft("shift.offered", d.Role, s.ID, shiftOffered{s.ID}, n.parts(s.ID)...))
}

// HandShift ends the shift of the outgoing officer and begins that of the incoming one in one step. The caller has
// seen both authenticate then and there: the outgoing by the session, the incoming by password and code.
func (e *Register) HandShift(ctx context.Context, from, to account.Who) (in shift.Shift, err error) {
	e.shifts.stepMu.Lock()
	defer e.shifts.stepMu.Unlock()
	d, err := e.Allow(ctx, from, account.ActShift, account.Subject{Person: from.ID})
	if err != nil {
		return in, err
	}
	taking, err := e.Allow(ctx, to, account.ActShift, account.Subject{Person: to.ID})
	if err != nil {
		return in, err
	}
	now := e.o.Clock.Now()
	s, on := e.Shift(from.ID)
	if !on {
		return in, shift.ErrNotOnDuty
	}
	out, in, err := shift.Hand(e.shifts.running(), s, newShiftID(), to.ID, now)
	if err != nil {
		return in, err
	}
	rows := []shift.Shift{out}
	drafts := []ledger.Draft{from.Draft("shift.handed", d.Role, out.ID, shiftHanded{out.ID, in.ID, to.ID})}
	if in.After == out.ID {
		rows = append(rows, in)
		drafts = append(drafts, to.Draft("shift.began", taking.Role, in.ID, shiftBegan{in.ID, out.ID}))
	}
	return in, e.writeShifts(ctx, rows, drafts...)
}

// EndShift ends the person's shift with nobody following; without one there is nothing to do.
func (e *Register) EndShift(ctx context.Context, by account.Who, why shift.End) error {
	e.shifts.stepMu.Lock()
	defer e.shifts.stepMu.Unlock()
	now := e.o.Clock.Now()
	s, on := e.Shift(by.ID)
	if !on {
		return nil
	}
	s, err := shift.Finish(s, why, now)
	if err != nil {
		return err
	}
	return e.writeShifts(ctx, []shift.Shift{s}, by.Draft("shift.ended", account.RoleOfficer, s.ID, shiftEnded{s.ID, s.End, s.Ended}))
}

// endLongest ends the shifts that reached their greatest length. The caller holds stepMu.
func (e *Register) endLongest(ctx context.Context, now clock.Reading) error {
	for _, s := range e.shifts.running() {
		if !s.Over(now) {
			continue
		}
		s, err := shift.Finish(s, shift.EndLongest, now)
		if err != nil {
			return err
		}
		if err := e.writeShifts(ctx, []shift.Shift{s}, account.System.Draft("shift.ended", "", s.ID, shiftEnded{s.ID, s.End, s.Ended})); err != nil {
			return err
		}
	}
	return nil
}

func (e *Register) passShifts(ctx context.Context) error {
	e.shifts.stepMu.Lock()
	defer e.shifts.stepMu.Unlock()
	return e.endLongest(ctx, e.o.Clock.Now())
}

// writeShifts commits rows and entries, and knows them once they are durable. The caller holds stepMu.
func (e *Register) writeShifts(ctx context.Context, rows []shift.Shift, drafts ...ledger.Draft) error {
	c := ledgerdb.Change{Entries: drafts}
	e.shifts.mu.Lock()
	for _, s := range rows {
		c.Puts = append(c.Puts, shifts.PutRev(s.ID, s, e.shifts.rows[s.ID].rev))
	}
	e.shifts.mu.Unlock()
	receipt, err := e.o.Store.Commit(ctx, c)
	if err != nil {
		return fmt.Errorf("record a shift: %w", err)
	}
	e.shifts.mu.Lock()
	defer e.shifts.mu.Unlock()
	for i, s := range rows {
		e.shifts.rows[s.ID] = shiftRow{s, receipt.Revs[i]}
	}
	e.shifts.sort()
	return nil
}
