package emergency

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	rules "campuskeep/shared/emergency"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// mostRunning is how many events can be open at once: a drill, and what really happens meanwhile.
const mostRunning = 4

// Begin opens an event with the rolls of its classes, prefilled with who is in school according to the gate. e.Classes
// empty with e.Whole is every class. The caller has asked account.May; role is the one under which it is allowed.
// Errors: fielderr.Errors.
func (r *Register) Begin(ctx context.Context, by account.Who, role account.Role, e rules.Event) (rules.Event, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	now, date := r.o.Clock.Now(), r.today()
	all := r.o.People.Classes(date)
	known := make([]string, len(all))
	for i, c := range all {
		known[i] = c.ID
	}
	e.Detail = strings.TrimSpace(e.Detail)
	if e.Whole {
		e.Classes = known
	} else { // in the order of the school, each once
		wanted := e.Classes
		e.Classes = slices.DeleteFunc(known, func(id string) bool { return !slices.Contains(wanted, id) })
		e.Whole = len(e.Classes) > 0 && len(e.Classes) == len(all)
	}
	errs := e.Check()
	if len(r.Running()) >= mostRunning {
		errs.Add("kind", "err.emergency_many", mostRunning)
	}
	if err := errs.Err(); err != nil {
		return e, err
	}
	r.mu.RLock()
	e.ID = next("e", r.events)
	for id, p := range r.plans {
		if p.v.Kind == e.Kind && !p.v.Retired && (e.Plan == "" || number(id) > number(e.Plan)) {
			e.Plan, e.PlanV, e.Muster = id, p.v.Version, p.v.Muster
		}
	}
	r.mu.RUnlock()
	e.By, e.Opened, e.Undone, e.Closed, e.Record, e.Version = by.ID, rules.InstantOf(now), nil, nil, rules.Record{}, 0
	list, err := r.rollsOf(e, date)
	if err != nil {
		return e, err
	}
	expected := 0
	ch := ledgerdb.Change{Puts: []ledgerdb.Put{events.PutRev(e.ID, e, 0)}}
	for _, x := range list {
		ch.Puts = append(ch.Puts, rolls.Put(e.ID+"/"+x.Class, x))
		for _, p := range x.Pupils {
			if p.Presence != rules.Away {
				expected++
			}
		}
	}
	data := map[string]any{"kind": string(e.Kind), "drill": e.Drill, "classes": len(e.Classes), "expected": expected}
	if e.Place != "" {
		data["place"] = e.Place
	}
	if e.Plan != "" {
		data["plan"], data["version"] = e.Plan, e.PlanV
	}
	ch.Entries = []ledger.Draft{by.Draft("emergency.opened", role, e.ID, data, part("event", eventOwner(e.ID), e))}
	rc, err := r.commit(ctx, "open an event", ch)
	if err != nil {
		return e, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events[e.ID] = &event{Event: e, rev: rc.Revs[0], loaded: true, rolls: list, said: map[string][]statement{}, done: map[string]done{}, batches: map[string]string{}, opened: map[string]time.Duration{}}
	r.wake()
	return r.events[e.ID].copy(), nil
}

// rollsOf makes the rolls of an event from what the gate knows at this moment.
func (r *Register) rollsOf(e rules.Event, date string) ([]roll, error) {
	days, last, err := r.o.Gate.SchoolDay(date)
	if err != nil {
		return nil, fmt.Errorf("ask the gate who is in school: %w", err)
	}
	at := map[string]rules.Pupil{}
	for _, d := range days {
		p := rules.Pupil{Student: d.Student, Presence: rules.PresenceOf(d), Reason: string(d.Outcome)}
		if t, ok := last[d.Student]; ok {
			p.LastTap, p.Reader = t.At, t.Reader
		}
		at[d.Student] = p
	}
	var out []roll
	for _, id := range e.Classes {
		c, ok := r.o.People.Class(id)
		if !ok {
			continue
		}
		x := roll{Event: e.ID, Class: id, Head: c.Head(date)}
		for _, s := range r.o.People.Roster(id, date) {
			p, ok := at[s.ID]
			if !ok { // enrolled since the gate looked
				p = rules.Pupil{Student: s.ID, Presence: rules.Unclear}
			}
			x.Pupils = append(x.Pupils, p)
		}
		out = append(out, x)
	}
	return out, nil
}

// change writes a new state of an event. The caller holds writing.
func (r *Register) change(ctx context.Context, n rules.Event, rev uint64, what string, entry ledger.Draft) error {
	rc, err := r.commit(ctx, what, ledgerdb.Change{Puts: []ledgerdb.Put{events.PutRev(n.ID, n, rev)}, Entries: []ledger.Draft{entry}})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.events[n.ID]
	e.Event, e.rev = n, rc.Revs[0]
	r.wake()
	return nil
}

// Undo takes an event back that was opened by mistake a moment ago. Errors: ErrNotFound, fielderr.Errors.
func (r *Register) Undo(ctx context.Context, by account.Who, role account.Role, id string) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	e, ok := r.Event(id)
	if !ok {
		return ErrNotFound
	}
	now := r.o.Clock.Now()
	if !e.MayUndo(e.Opened.Since(now, 0)) {
		return fielderr.Errors{{Field: "event", Rule: "err.emergency_undo", Args: []any{int(rules.UndoWithin / time.Minute)}}}
	}
	at := rules.InstantOf(now)
	e.Undone = &at
	return r.change(ctx, e, r.Rev(id), "take an event back", by.Draft("emergency.undone", role, id, nil))
}

// Close ends the counting. Without everybody accounted for it needs a reason. Errors: ErrNotFound, fielderr.Errors.
func (r *Register) Close(ctx context.Context, by account.Who, role account.Role, id, reason string) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	b, err := r.Board(id)
	if err != nil {
		return err
	}
	e := b.Event
	reason = strings.TrimSpace(reason)
	var errs fielderr.Errors
	rules.Text(&errs, "reason", reason, rules.MostText, false)
	if !e.Open() {
		errs.Add("reason", "err.emergency_closed")
	} else if rule, args := rules.MayClose(b.Count); rule != "" && reason == "" {
		errs.Add("reason", rule, args...)
	}
	if err := errs.Err(); err != nil {
		return err
	}
	now := r.o.Clock.Now()
	e.Closed = &rules.Closing{By: by.ID, At: rules.InstantOf(now), After: b.Since, Full: b.Full, Count: b.Count, Reason: reason}
	for _, p := range b.pupils() {
		if p.Standing.State == rules.Injured {
			e.Record.Injured = append(e.Record.Injured, rules.Injury{Student: p.Student, What: p.Standing.Note})
		}
	}
	data := map[string]any{"expected": b.Count.Expected, "safe": b.Count.Safe, "missing": b.Count.Missing, "injured": b.Count.Injured, "open": b.Count.Open, "seconds": int(b.Since / time.Second)}
	if b.Full > 0 {
		data["full_seconds"] = int(b.Full / time.Second)
	}
	return r.change(ctx, e, r.Rev(id), "close an event", by.Draft("emergency.closed", role, id, data, part("closing", eventOwner(id), e.Closed)))
}

// PutRecord writes a new version of what is recorded about an event: rev is the revision of the row that the form was
// made from. Errors: ErrNotFound, ledgerdb.ErrConflict, fielderr.Errors.
func (r *Register) PutRecord(ctx context.Context, by account.Who, role account.Role, id string, n rules.Record, reason string, rev uint64) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	e, ok := r.Event(id)
	if !ok {
		return ErrNotFound
	}
	errs := n.Check()
	rules.Text(&errs, "reason", reason, rules.MostDetail, e.Version > 0)
	for _, i := range n.Injured {
		if _, ok := r.o.People.Student(i.Student); !ok {
			errs.Add("what."+i.Student, "err.choice")
		}
	}
	if err := errs.Err(); err != nil {
		return err
	}
	before := e.Record
	e.Record, e.Version = n, e.Version+1
	return r.change(ctx, e, rev, "record an event", by.Draft("emergency.recorded", role, id, map[string]any{"version": e.Version},
		part("before", eventOwner(id), before), part("after", eventOwner(id), n), ledger.Part{Name: "reason", Owner: eventOwner(id), Plain: []byte(reason)}))
}

func part(name, owner string, v any) ledger.Part {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("emergency: %s does not marshal: %v", name, err)) // a fault of the type, not of the data
	}
	return ledger.Part{Name: name, Owner: owner, Plain: b}
}
