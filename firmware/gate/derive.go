package gate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// evidenceChange is a new piece of evidence with what follows from it, before the commit. The zero value has no
// evidence: the day is only decided again.
type evidenceChange struct {
	puts    []ledgerdb.Put
	deletes []ledgerdb.Delete
	add     func(*attendance.Evidence)
	entry   func(attendance.Evidence, attendance.DayStatus) ledger.Draft
	// last sees the day as it was in the store, and may add to the puts what depends on it.
	last func(before attendance.DayStatus) []ledgerdb.Put
	// with gives what is to be committed beside, worked out again at each try; its error ends the change.
	with func() (ledgerdb.Change, error)
	// undone says that the day was never decided by a clock to be believed: without evidence it is no day any more.
	undone bool
}

// derive decides a student's day from all evidence with the news added, and commits news, day and entries
// together. When somebody else changed the day meanwhile it reads and decides again.
func (g *Gate) derive(ctx context.Context, date, student, class string, now clock.Reading, n evidenceChange) (attendance.DayStatus, []ledger.Entry, error) {
	for {
		ev, before, rev, err := g.evidence(date, student, class, now)
		if err != nil {
			return before, nil, err
		}
		c := ledgerdb.Change{Puts: n.puts[:len(n.puts):len(n.puts)], Deletes: n.deletes}
		if n.add != nil {
			n.add(&ev)
		}
		day := attendance.Decide(ev, asOf(ev.Day, now))
		gone := n.undone && len(ev.Taps) == 0 && len(ev.Marks) == 0
		if gone {
			day.Outcome, day.Reasons, day.Minutes = attendance.Unknown, []attendance.Reason{attendance.ClockDoubt}, 0
		}
		if n.last != nil {
			c.Puts = append(c.Puts, n.last(before)...)
		}
		if n.entry != nil {
			c.Entries = append(c.Entries, n.entry(ev, day))
		}
		// Rows that move need an entry, also when the day is as it was.
		if !day.Same(before) || n.entry == nil && len(c.Puts)+len(c.Deletes) > 0 {
			c.Entries = append(c.Entries, dayEntry(day))
		}
		if n.with != nil {
			w, err := n.with()
			if err != nil {
				return before, nil, err
			}
			c.Puts, c.Entries, c.Deletes = append(c.Puts, w.Puts...), append(c.Entries, w.Entries...), append(c.Deletes[:len(c.Deletes):len(c.Deletes)], w.Deletes...)
		}
		if len(c.Entries) == 0 || n.empty() && before.V == 0 && quietOutcome(day.Outcome) {
			return day, nil, nil
		}
		if gone {
			c.Deletes = append(c.Deletes[:len(c.Deletes):len(c.Deletes)], ledgerdb.Delete{Table: "days", Key: dayKey(date, student), Expect: &rev})
		} else {
			c.Puts = append(c.Puts, days.PutRev(dayKey(date, student), day, rev))
		}
		r, err := g.o.Store.Commit(ctx, c)
		g.version.Add(1) // also after an error: the commit may have come through
		if errors.Is(err, ledgerdb.ErrConflict) && ctx.Err() == nil {
			continue
		}
		return day, r.Entries, err
	}
}

// empty says that there is no new evidence: the day is only decided again.
func (n evidenceChange) empty() bool { return n.entry == nil && len(n.puts)+len(n.deletes) == 0 }

// asOf is the instant at which a day is judged: now, or its end when it is over.
func asOf(day attendance.Day, now clock.Reading) time.Time {
	if now.Wall.After(day.End) {
		return day.End
	}
	return now.Wall
}

func dayKey(date, student string) string { return date + "/" + student }

type dayData struct {
	Date    string   `json:"date"`
	Class   string   `json:"class"`
	Status  string   `json:"status"`
	Reasons []string `json:"reasons"`
	Minutes int      `json:"minutes,omitempty"`
}

func dayEntry(d attendance.DayStatus) ledger.Draft {
	return ledger.Draft{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "attendance.day", Subject: d.Student,
		Data: dayData{d.Date, d.Class, string(d.Outcome), d.ReasonCodes(), d.Minutes}}
}

// evidence reads all that is known of one student's day, and the day as it is with its revision.
func (g *Gate) evidence(date, student, class string, now clock.Reading) (ev attendance.Evidence, before attendance.DayStatus, rev uint64, err error) {
	day, hours, err := g.o.Site.Calendar().DayOf(date, g.o.Students.Grade(class, date))
	if err != nil {
		return ev, before, 0, err
	}
	ev = attendance.Evidence{Student: student, Class: class, Day: day, Hours: hours, Doubt: now.State != clock.Trusted}
	err = g.o.Store.View(func(tx ledgerdb.Tx) error {
		var err error
		if before, rev, _, err = days.Get(tx, dayKey(date, student)); err != nil {
			return err
		}
		for _, t := range taps.Prefix(tx, date+"/"+student+"/") {
			ev.Taps = append(ev.Taps, t)
		}
		for _, m := range marks.Prefix(tx, date+"/"+student+"/") {
			ev.Marks = append(ev.Marks, m)
		}
		for _, l := range leaves.Prefix(tx, student+"/") {
			ev.Leaves = append(ev.Leaves, l)
		}
		return nil
	})
	if err != nil {
		return ev, before, 0, fmt.Errorf("read the day %s of a student: %w", date, err)
	}
	ev.Unobserved = g.unobserved(day, now)
	ev.NoCard = len(ev.Taps) == 0 && !g.o.Students.Carded()[student]
	return ev, before, rev, nil
}
