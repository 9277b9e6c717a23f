package absence

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/absence"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// Calls lists the calls to guardians that wait, the longest waiting first. Those of a case that is held are left out:
// no guardian hears of a missing child while that is not known.
func (a *Absence) Calls() []Call {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var out []Call
	for _, c := range a.calls {
		if c.Kind == CallAbsence {
			date, studentID, _ := strings.Cut(c.For, ".")
			if k, open := a.open[caseKey(date, studentID)]; !open || k.Held != "" {
				continue
			}
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(x, y Call) int { return cmp.Or(x.Added.Compare(y.Added), cmp.Compare(x.ID, y.ID)) })
	return out
}

// CallsOf lists all calls of a case, or of whatever calls were added for, made or not.
func (a *Absence) CallsOf(of string) ([]Call, error) {
	var out []Call
	err := a.o.Store.View(func(tx ledgerdb.Tx) error {
		out = slices.Collect(maps.Values(maps.Collect(calls.Prefix(tx, of+"."))))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the calls of %s: %w", of, err)
	}
	slices.SortFunc(out, func(x, y Call) int { return cmp.Compare(x.ID, y.ID) })
	return out, nil
}

func (a *Absence) waiting(id string) (Call, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	x, ok := a.calls[id]
	return x, ok
}

// MaxCalls is how many calls one AddCalls takes.
const MaxCalls = 500

// AddCalls puts calls to guardians on the list, for illness and emergencies; those of absences come by themselves. The id
// of a call is that of what it is for, the pupil and the guardian, so that adding it again changes nothing.
func (a *Absence) AddCalls(ctx context.Context, by account.Who, role account.Role, list []Call) error {
	if len(list) > MaxCalls {
		return fielderr.Errors{{Field: "calls", Rule: "err.too_many", Args: []any{MaxCalls}}}
	}
	a.writing.Lock()
	defer a.writing.Unlock()
	now := a.o.Clock.Now().Wall.UTC().Truncate(time.Millisecond)
	var ch ledgerdb.Change
	var added []Call
	err := a.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, x := range list {
			x.ID, x.Added = fmt.Sprintf("%s.%s.g%d", x.For, x.Student, x.Guardian+1), now
			if _, _, there, err := calls.Get(tx, x.ID); err != nil || there {
				if err != nil {
					return err
				}
				continue
			}
			added = append(added, x)
			ch.Puts = append(ch.Puts, calls.PutRev(x.ID, x, 0))
			ch.Entries = append(ch.Entries, by.Draft("call.added", role, x.Student, callData{Call: x.ID, Kind: string(x.Kind), Guardian: x.Guardian + 1}, part("say", x.Student, x.Say)...))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the list of calls: %w", err)
	}
	if len(added) == 0 {
		return nil
	}
	if _, err := a.o.Store.Commit(ctx, ch); err != nil {
		return fmt.Errorf("add %d calls: %w", len(added), err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, x := range added {
		a.tookCall(x)
	}
	return nil
}

type callData struct {
	Call     string `json:"call"`
	Kind     string `json:"kind"`
	Guardian int    `json:"guardian"`
	Result   string `json:"result,omitempty"`
}

// Called records the result of a call. That of an absence is the answer of its step. fielderr.Errors, ErrNotFound,
// ErrConflict when somebody has recorded one.
func (a *Absence) Called(ctx context.Context, by account.Who, role account.Role, id string, result absence.Result, note string) error {
	x, ok := a.waiting(id)
	if !ok {
		return ErrConflict
	}
	if x.Kind == CallAbsence {
		date, studentID, _ := strings.Cut(x.For, ".")
		c, rev, err := a.Case(date, studentID)
		if err != nil {
			return err
		}
		step := slices.IndexFunc(c.Steps, func(s absence.Step) bool { return s.Rung == absence.Guardian && s.Guardian == x.Guardian })
		return a.Answer(ctx, by, role, date, studentID, rev, step, result, note)
	}
	var errs fielderr.Errors
	if !slices.Contains(CallResults, result) {
		errs.Add("result", "err.choice")
	}
	if note = strings.TrimSpace(note); utf8.RuneCountInString(note) > 500 {
		errs.Add("note", "err.too_long", 500)
	}
	if err := errs.Err(); err != nil {
		return err
	}
	a.writing.Lock()
	defer a.writing.Unlock()
	if x, ok = a.waiting(id); !ok {
		return ErrConflict
	}
	x.Done, x.By, x.Result, x.Note = a.o.Clock.Now().Wall.UTC().Truncate(time.Millisecond), by.ID, result, note
	_, err := a.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{calls.Put(id, x)},
		Entries: []ledger.Draft{by.Draft("call.made", role, x.Student, callData{Call: x.ID, Kind: string(x.Kind), Guardian: x.Guardian + 1, Result: string(result)}, part("note", x.Student, note)...)}})
	if err != nil {
		return fmt.Errorf("record a call: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tookCall(x)
	return nil
}

// The results of calls that are about no absence.
const (
	Told     absence.Result = "told"
	Comes    absence.Result = "comes" // fetches the child
	Declined absence.Result = "declined"
)

// CallResults are the results of calls that are about no absence.
var CallResults = []absence.Result{Told, Comes, Declined, absence.NoAnswer, absence.WrongNumber}
