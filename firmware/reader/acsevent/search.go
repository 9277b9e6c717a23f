package acsevent

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/reader"
)

const (
	pagesAtOnce = 40 // of one turn; the rest comes with the next
	gapPages    = 40 // of a search for numbers that are missing
	timeLayout  = "2006-01-02T15:04:05-07:00"
)

// Events of all times are asked for: the clock of the terminal may be wrong.
var (
	allFrom = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	allTo   = time.Date(2037, 12, 31, 0, 0, 0, 0, time.UTC)
)

// uuid names a search: version 4 of RFC 9562.
func uuid() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return fmt.Sprintf("%X-%X-%X-%X-%X", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// ask sends one search.
func (t *Terminal) ask(ctx context.Context, c condition, from time.Time) (page, error) {
	if c.Max == 0 {
		c.Max = pageSize
	}
	c.Start, c.End = from.In(t.o.Zone).Format(timeLayout), allTo.In(t.o.Zone).Format(timeLayout)
	body, err := json.Marshal(struct {
		Cond condition `json:"AcsEventCond"`
	}{c})
	if err != nil {
		return page{}, err
	}
	b, err := t.c.do(ctx, "POST", "/ISAPI/AccessControl/AcsEvent?format=json", body)
	if err != nil {
		return page{}, err
	}
	return parsePage(b)
}

// newest is the last event of the terminal's memory; false when it is empty.
func (t *Terminal) newest(ctx context.Context) (event, bool, error) {
	p, err := t.ask(ctx, condition{SearchID: uuid(), Major: majorCard, Max: 1}, allFrom)
	if err != nil || p.Total == 0 {
		return event{}, false, err
	}
	c, last := condition{SearchID: uuid(), Major: majorCard, Position: max(0, p.Total-pageSize)}, event{Serial: -1}
	for range pageSize {
		if p, err = t.ask(ctx, c, allFrom); err != nil {
			return event{}, false, err
		}
		for _, e := range p.Events {
			if e.Serial > last.Serial {
				last = e
			}
		}
		c.Position += len(p.Events) + p.Bad
		if !p.More || len(p.Events)+p.Bad == 0 {
			break
		}
	}
	if last.Serial < 0 {
		return last, false, fmt.Errorf("%w: no event where one was promised", errAnswer)
	}
	return last, true, nil
}

// place begins behind what a terminal remembers when it is first met: that is its history.
func (t *Terminal) place(ctx context.Context) error {
	e, some, err := t.newest(ctx)
	if err != nil {
		return err
	}
	at := cursor{}
	if some {
		at = cursor{e.Serial, e.Time.Shown.Unix()}
	}
	if err := t.o.Marks.PutStamp(ctx, t.o.ID, t.serial, at.String()); err != nil {
		return errStore{err}
	}
	t.at, t.placed = at, true
	return nil
}

// readOn takes what is new since the cursor. The event of the cursor is asked for as well: another one in its place says
// that the numbers have begun again.
func (t *Terminal) readOn(ctx context.Context) error {
	c := condition{SearchID: uuid(), Major: majorCard, Begin: max(t.at.Serial, 1)}
	from := allFrom
	if t.byTime {
		c.Begin, from = 0, allFrom
		if t.at.Shown > 0 {
			from = stated{Shown: time.Unix(t.at.Shown, 0).UTC()}.in(t.o.Zone, true).Add(-time.Minute)
		}
	}
	seen := 0
	for n := range pagesAtOnce {
		c.Position = seen
		p, err := t.ask(ctx, c, from)
		if err != nil {
			return err
		}
		slices.SortStableFunc(p.Events, func(a, b event) int { return cmp.Compare(a.Serial, b.Serial) })
		if n == 0 {
			if again, err := t.look(ctx, c, p); err != nil || again {
				return err
			}
		}
		if err := t.takePage(ctx, p); err != nil {
			return err
		}
		seen += len(p.Events) + p.Bad
		if !p.More || len(p.Events)+p.Bad == 0 {
			return nil
		}
	}
	return nil
}

// look judges the first page: whether the numbers have begun again, or are not searched by at all. Then the next turn
// asks otherwise.
func (t *Terminal) look(ctx context.Context, c condition, p page) (again bool, err error) {
	if c.Begin > 1 && slices.ContainsFunc(p.Events, func(e event) bool { return e.Serial < c.Begin }) {
		t.byTime = true
		return true, nil
	}
	if t.at.Serial == 0 {
		return false, nil
	}
	for _, e := range p.Events {
		other := e.Serial == t.at.Serial && e.Time.Shown.Unix() != t.at.Shown
		if other || t.byTime && e.Serial < t.at.Serial && e.Time.Shown.Unix() > t.at.Shown {
			return true, t.restart(ctx, p.Events[len(p.Events)-1].Serial)
		}
	}
	if len(p.Events) > 0 || p.Bad > 0 || t.byTime {
		return false, nil
	}
	last, some, err := t.newest(ctx)
	switch {
	case err != nil || !some: // its memory was emptied
		return true, err
	case last.Serial < t.at.Serial:
		return true, t.restart(ctx, last.Serial)
	case last.Serial > t.at.Serial:
		t.byTime = true
	}
	return true, nil
}

// restart begins with the first number again. What is known already is a repeat.
func (t *Terminal) restart(ctx context.Context, last int64) error {
	if err := t.o.Marks.Report(ctx, t.o.ID, reader.MarksRestarted, 1, t.at.Serial, last); err != nil {
		return errStore{err}
	}
	t.o.Log.Warn("the event numbers of a terminal have begun again", "reader", t.o.ID, "before", t.at.Serial, "now", last)
	t.at = cursor{0, t.at.Shown}
	if !t.byTime {
		t.at.Shown = 0
	}
	return nil
}

// takePage enters the numbers that are missing, and takes the events behind the cursor.
func (t *Terminal) takePage(ctx context.Context, p page) error {
	fresh := slices.DeleteFunc(p.Events[:len(p.Events):len(p.Events)], func(e event) bool { return e.Serial <= t.at.Serial })
	before := t.at.Serial
	for _, e := range fresh {
		if before > 0 && e.Serial > before+1 {
			if err := t.hole(ctx, before+1, e.Serial-1); err != nil {
				return err
			}
		}
		before = e.Serial
	}
	if len(fresh) == 0 && p.Bad == 0 {
		return nil
	}
	return t.take(ctx, fresh, p.Bad)
}

// hole looks for the events with these numbers among all groups: those of the device itself have numbers too. What is
// not there is lost.
func (t *Terminal) hole(ctx context.Context, from, to int64) error {
	there := map[int64]bool{}
	c := condition{SearchID: uuid(), Begin: from, Last: to}
	for seen := 0; !t.single && !t.byTime && len(there) < gapPages*pageSize; {
		c.Position = seen
		p, err := t.ask(ctx, c, allFrom)
		var status *statusError
		if errors.As(err, &status) && status.status/100 == 4 {
			t.single = true // it cannot be told apart: a number that is missing is a hole
			break
		}
		if err != nil {
			return err
		}
		for _, e := range p.Events {
			if e.Serial >= from && e.Serial <= to {
				there[e.Serial] = true
			}
		}
		seen += len(p.Events) + p.Bad
		if !p.More || len(p.Events)+p.Bad == 0 {
			break
		}
	}
	missing := to - from + 1 - int64(len(there))
	if missing <= 0 {
		return nil
	}
	t.o.Log.Warn("event numbers of a terminal are missing", "reader", t.o.ID, "from", from, "to", to, "missing", missing)
	if err := t.o.Marks.Report(ctx, t.o.ID, reader.MarksHole, int(min(missing, 1<<30)), from, to); err != nil {
		return errStore{err}
	}
	return nil
}
