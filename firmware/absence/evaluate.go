package absence

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/absence"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// Evaluate looks at the whole school at this instant: it gives alarms, opens cases and leads them on. It may be called
// as often as one likes.
func (a *Absence) Evaluate(ctx context.Context) error {
	date, err := a.today()
	if err != nil {
		return err
	}
	days, now, err := a.o.Gate.Pupils(date)
	if err != nil {
		return fmt.Errorf("read the day %s: %w", date, err)
	}
	at := now.Wall.UTC().Truncate(time.Millisecond)
	pupils := make([]absence.Pupil, len(days))
	heads := map[string]string{}
	for i, d := range days {
		pupils[i] = absence.Pupil{Student: d.Student, Class: d.Class, Outcome: d.Outcome, Reasons: d.Reasons, Attended: d.Attended, Bell: d.Bell, Ask: d.Ask, Tell: d.Tell}
		if p := &pupils[i]; d.Unheard != "" && p.Absent() && !p.Marked() { // may have come since
			p.Outcome, p.Reasons = attendance.Unknown, []attendance.Reason{d.Unheard}
		}
		if _, known := heads[d.Class]; !known {
			c, _ := a.o.People.Class(d.Class)
			heads[d.Class] = c.Head(date)
		}
		pupils[i].Head = heads[d.Class]
	}
	a.writing.Lock()
	defer a.writing.Unlock()
	before, stored, err := a.rows(date)
	if err != nil {
		return err
	}
	rules := a.o.Rules()
	doubts := absence.Doubts(pupils, rules, at, func(key string) bool { return before[key].Verdict == absence.IsReal })
	if err := a.alarm(ctx, date, doubts, before, at); err != nil {
		return err
	}
	return a.lead(ctx, date, absence.Doubted(pupils, doubts), stored, rules, at, now.State == clock.Trusted)
}

type caseRow struct {
	absence.Case
	rev uint64
}

// rows reads the alarms of a date by key, and its cases by pupil.
func (a *Absence) rows(date string) (map[string]Alarm, map[string]caseRow, error) {
	given, stored := map[string]Alarm{}, map[string]caseRow{}
	err := a.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, x := range alarms.Prefix(tx, date+"/") {
			given[x.Key()] = x
		}
		for key, r := range cases.Rows(tx, date+"/") {
			if errors.Is(r.Err, ledgerdb.ErrErased) {
				continue
			}
			if r.Err != nil {
				return fmt.Errorf("case %s: %w", key, r.Err)
			}
			stored[r.Value.Student] = caseRow{r.Value, r.Rev}
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read the cases of %s: %w", date, err)
	}
	return given, stored, nil
}

// lead opens cases and brings on those that there are. The cases of one round are one commit each, side by side: what
// fails for one pupil holds up no other. While the clock is not trusted no moment is known to have come: cases only end,
// because the pupil is there, or are held.
func (a *Absence) lead(ctx context.Context, date string, pupils []absence.Pupil, stored map[string]caseRow, rules absence.Rules, now time.Time, trusted bool) error {
	var eg errgroup.Group
	eg.SetLimit(32)
	for i := range pupils {
		p := &pupils[i]
		row, there := stored[p.Student]
		delete(stored, p.Student)
		if !there && (!trusted || !absence.Opens(*p, now)) {
			continue
		}
		if !there || row.Open() {
			if s, ok := a.o.People.Student(p.Student); ok {
				p.Guardians = len(s.Guardians)
			}
		}
		var events []absence.Event
		c := row.Case
		if !there {
			c = absence.New(*p, date, now)
			events = append(events, absence.Event{Kind: absence.Opening})
		}
		for {
			next, e, more := absence.OfTime(c, *p, rules, now)
			if !more || !trusted && e.Kind != absence.Closing && e.Kind != absence.Holding {
				break
			}
			c, events = next, append(events, e)
		}
		if len(events) > 0 {
			eg.Go(func() error { return a.commitEvents(ctx, c, row.rev, events) })
		}
	}
	for _, row := range stored { // of those who are on no roll any more
		if row.Open() && trusted {
			eg.Go(func() error {
				return a.commitEvents(ctx, absence.Gone(row.Case, now), row.rev, []absence.Event{{Kind: absence.Closing}})
			})
		}
	}
	return eg.Wait()
}

// commitEvents writes a case after what time brought to it, with the calls that follow.
func (a *Absence) commitEvents(ctx context.Context, c absence.Case, rev uint64, events []absence.Event) error {
	ch := ledgerdb.Change{Puts: []ledgerdb.Put{cases.PutRev(caseKey(c.Date, c.Student), c, rev)}}
	var moved []Call
	for _, e := range events {
		d := caseData{Case: c.ID(), Class: c.Class}
		kind := ledger.Kind("absence." + string(e.Kind))
		switch e.Kind {
		case absence.Reached:
			s := c.Steps[e.Step]
			d.Rung = string(s.Rung)
			if s.Rung == absence.Guardian {
				d.Guardian = s.Guardian + 1
				moved = append(moved, Call{ID: fmt.Sprintf("%s.g%d", c.ID(), s.Guardian+1), Kind: CallAbsence, For: c.ID(), Student: c.Student, Class: c.Class, Guardian: s.Guardian, Added: s.At})
			}
		case absence.Holding:
			d.Reason = string(c.Held)
		case absence.Closing:
			d.Reason = string(c.Why)
			moved = append(moved, a.dropped(c.ID())...)
		}
		ch.Entries = append(ch.Entries, account.System.Draft(kind, "", c.Student, d))
	}
	for _, x := range moved {
		ch.Puts = append(ch.Puts, calls.Put(x.ID, x))
	}
	if _, err := a.o.Store.Commit(ctx, ch); err != nil {
		return fmt.Errorf("record what becomes of an absence: %w", err)
	}
	a.took(c, moved...)
	return nil
}

// caseData is the data of entries about cases.
type caseData struct {
	Case     string `json:"case"`
	Class    string `json:"class"`
	Rung     string `json:"rung,omitempty"`
	Guardian int    `json:"guardian,omitempty"` // from 1
	Result   string `json:"result,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// took takes what was committed into memory.
func (a *Absence) took(c absence.Case, moved ...Call) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := caseKey(c.Date, c.Student)
	if c.Open() {
		a.open[key] = c
	} else {
		delete(a.open, key)
	}
	for _, x := range moved {
		a.tookCall(x)
	}
}

// tookCall: the caller holds mu.
func (a *Absence) tookCall(x Call) {
	if x.Waits() {
		a.calls[x.ID] = x
	} else {
		delete(a.calls, x.ID)
	}
}

// dropped are the waiting calls of a case or of whatever they belong to, as they are when nobody needs them any more.
func (a *Absence) dropped(of string) []Call {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var out []Call
	for _, id := range slices.Sorted(maps.Keys(a.calls)) {
		if x := a.calls[id]; x.For == of {
			x.Dropped = true
			out = append(out, x)
		}
	}
	return out
}

// alarm gives the alarms that are new, raises those that grew, and ends those that are over.
func (a *Absence) alarm(ctx context.Context, date string, doubts []absence.Doubt, before map[string]Alarm, now time.Time) error {
	var ch ledgerdb.Change
	var changed []Alarm
	put := func(x Alarm, state string) {
		changed = append(changed, x)
		ch.Puts = append(ch.Puts, alarms.Put(x.Date+"/"+x.Key(), x))
		ch.Entries = append(ch.Entries, account.System.Draft("absence.alarm", "", x.ID(), alarmData{string(x.Cause), x.Class, x.Count, x.Of, state}))
	}
	lasting := map[string]bool{}
	for _, d := range doubts {
		lasting[d.Key()] = true
		x, known := before[d.Key()]
		switch {
		case !known:
			put(Alarm{Date: date, Cause: d.Cause, Class: d.Class, Count: d.Count, Of: d.Of, Since: now}, "given")
		case !x.Until.IsZero():
			x.Until, x.Count, x.Of = time.Time{}, max(x.Count, d.Count), d.Of
			put(x, "again")
		case d.Count >= 2*x.Count:
			x.Count, x.Of = d.Count, d.Of
			put(x, "grown")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if x := before[key]; !lasting[key] && x.Until.IsZero() {
			x.Until = now
			put(x, "over")
		}
	}
	if len(changed) == 0 {
		return nil
	}
	if _, err := a.o.Store.Commit(ctx, ch); err != nil {
		return fmt.Errorf("record an alarm of the absences: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, x := range changed {
		before[x.Key()] = x
		if x.Verdict == "" {
			a.alarms[x.Date+"/"+x.Key()] = x
		}
	}
	return nil
}

type alarmData struct {
	Cause string `json:"cause"`
	Class string `json:"class,omitempty"`
	Count int    `json:"count"`
	Of    int    `json:"of"`
	State string `json:"state"`
}
