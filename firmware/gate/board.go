package gate

import (
	"cmp"
	"fmt"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/reader"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

// Tally counts students by the status of their day.
type Tally struct {
	Expected int                        `json:"expected"`
	Attended int                        `json:"attended"` // in school at some time of the day
	Missing  int                        `json:"missing"`  // expected, and neither come nor on leave
	Away     int                        `json:"away"`     // on leave and not come: Expected = Attended + Missing + Away
	By       map[attendance.Outcome]int `json:"by"`
}

func (t *Tally) add(s attendance.DayStatus) {
	if t.By == nil {
		t.By = map[attendance.Outcome]int{}
	}
	t.By[s.Outcome]++
	if s.Outcome == attendance.NoSchool {
		return // who comes all the same is no part of what is expected
	}
	t.Expected++
	switch {
	case s.Attended:
		t.Attended++
	case s.Outcome == attendance.OnLeave:
		t.Away++
	default:
		t.Missing++
	}
}

// ClassTally is one class on the board.
type ClassTally struct {
	Class string `json:"class"`
	Tally
}

// ReaderToday is one reader on the board.
type ReaderToday struct {
	Reader
	State  reader.State `json:"state"`
	Reason string       `json:"reason"`
	// Off is since when it takes no taps, while that lasts: who does not come is unknown for so long.
	Off  time.Time `json:"off,omitzero"`
	Taps int       `json:"taps"`
}

// Board is the state of a day at the gate, class by class.
type Board struct {
	Date     string
	Day      attendance.Day
	Hours    attendance.Hours
	Now      clock.Reading
	Total    Tally
	Classes  []ClassTally
	Arrivals []int   // first arrivals in each minute from Hours.Opens on
	Recent   []Event // newest first
	Readers  []ReaderToday
}

// Board reads the state of a date.
func (g *Gate) Board(date string) (Board, error) {
	now := g.o.Clock.Now()
	day, hours, err := g.o.Site.Calendar().Day(date)
	if err != nil {
		return Board{}, err
	}
	b := Board{Date: date, Day: day, Hours: hours, Now: now, Recent: g.Recent()}
	all, err := g.decideAll(date, now)
	if err != nil {
		return Board{}, err
	}
	perReader := map[string]int{}
	b.Arrivals = make([]int, max(0, hours.Closes-hours.Opens)+1)
	for _, d := range all {
		if n := len(b.Classes); n == 0 || b.Classes[n-1].Class != d.status.Class {
			b.Classes = append(b.Classes, ClassTally{Class: d.status.Class})
		}
		b.Classes[len(b.Classes)-1].add(d.status)
		b.Total.add(d.status)
		for _, t := range d.taps {
			perReader[t.Reader]++
		}
		if !d.status.FirstIn.IsZero() {
			m := int(d.status.FirstIn.Sub(day.At(hours.Opens)) / time.Minute)
			b.Arrivals[min(max(m, 0), len(b.Arrivals)-1)]++
		}
	}
	b.Readers = g.readersToday(perReader)
	return b, nil
}

func (g *Gate) readersToday(taps map[string]int) []ReaderToday {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []ReaderToday
	for _, r := range g.o.Site.Readers() {
		t := ReaderToday{Reader: r, State: reader.Offline, Reason: reader.ReasonStart, Taps: taps[r.ID]}
		if r.NoBus {
			t.Reason = ReasonNoBus
		} else if s, ok := g.readers[r.ID]; ok {
			t.State, t.Reason = s.State, s.Reason
		}
		if o := g.openOutage(r.ID); o != nil {
			t.Off = o.From
		}
		out = append(out, t)
	}
	return out
}

// Roll is the state of a date for the students of one class, in the order of the class.
func (g *Gate) Roll(class, date string) ([]attendance.DayStatus, error) {
	all, err := g.decideAll(date, g.o.Clock.Now())
	if err != nil {
		return nil, err
	}
	var out []attendance.DayStatus
	for _, d := range all {
		if d.status.Class == class {
			out = append(out, d.status)
		}
	}
	return out, nil
}

// Days reads the days of a date as they are stored, by student; students nil is everybody's. Today's are decided now.
func (g *Gate) Days(date string, students []string) (map[string]attendance.DayStatus, error) {
	out := map[string]attendance.DayStatus{}
	now := g.o.Clock.Now()
	if today, err := g.o.Site.Calendar().Date(now.Wall); err != nil || today == date {
		all, err := g.decideAll(date, now)
		for _, d := range all {
			out[d.status.Student] = d.status
		}
		return out, err
	}
	err := g.o.Store.View(func(tx ledgerdb.Tx) error {
		if students == nil {
			for _, d := range days.Prefix(tx, date+"/") {
				out[d.Student] = d
			}
			return nil
		}
		for _, id := range students {
			d, _, ok, err := days.Get(tx, dayKey(date, id))
			if err != nil {
				return err
			}
			if ok {
				out[id] = d
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the days of %s: %w", date, err)
	}
	return out, nil
}

// PupilDay is a student's day with the moments that the rules of absence go by.
type PupilDay struct {
	attendance.DayStatus
	Bell time.Time // when the student is due, leave considered
	Ask  time.Time // the class teacher may be asked from then on
	Tell time.Time // guardians may be called from then on
	// Unheard is what fails now, or failed since an absence was decided: who comes may not be heard. Empty: nothing.
	Unheard attendance.Reason
}

// Pupils decides a date for every student, as the clock is now.
func (g *Gate) Pupils(date string) ([]PupilDay, clock.Reading, error) {
	now := g.o.Clock.Now()
	all, err := g.decideAll(date, now)
	if err != nil {
		return nil, now, err
	}
	out := make([]PupilDay, len(all))
	for i, d := range all {
		out[i] = PupilDay{DayStatus: d.status, Bell: d.due, Ask: d.due.Add(time.Duration(d.hours.AskTeacher) * time.Minute), Tell: d.due.Add(time.Duration(d.hours.TellParents) * time.Minute), Unheard: d.unheard}
	}
	return out, now, nil
}

type decided struct {
	status attendance.DayStatus
	taps   []attendance.Tap
	due    time.Time
	hours  attendance.Hours

	unheard attendance.Reason
}

// decideAll decides a date for every student from the evidence as it is, without storing anything.
func (g *Gate) decideAll(date string, now clock.Reading) ([]decided, error) {
	cal := g.o.Site.Calendar()
	day, _, err := cal.Day(date)
	if err != nil {
		return nil, err
	}
	known, err := g.known(day)
	if err != nil {
		return nil, fmt.Errorf("read the day %s: %w", date, err)
	}
	blind, carded := g.unobserved(day, now), g.o.Students.Carded()
	failing := g.failing()
	var out []decided
	for _, c := range g.o.Students.Classes(date) {
		_, hours, err := cal.DayOf(date, g.o.Students.Grade(c.ID, date))
		if err != nil {
			return nil, err
		}
		for _, s := range c.Students {
			e := known[s]
			e.Student, e.Class, e.Day, e.Hours, e.Unobserved, e.Doubt = s, c.ID, day, hours, blind, now.State != clock.Trusted
			e.NoCard = !carded[s]
			at := asOf(day, now)
			out = append(out, decided{attendance.Decide(e, at), e.Taps, attendance.Due(e, at), hours, cmp.Or(failing, attendance.Unheard(e, at))})
		}
	}
	return out, nil
}

// dayRows is the evidence of one date, kept because every open gate page asks for it again with each tap.
type dayRows struct {
	date    string
	version uint64
	of      map[string]attendance.Evidence // by student; only read
}

// known gives taps, marks and leaves of a date by student.
func (g *Gate) known(day attendance.Day) (map[string]attendance.Evidence, error) {
	version := g.version.Load() // before reading: what is committed meanwhile makes the rows old, never the reverse
	if r := g.rows.Load(); r != nil && r.date == day.Date && r.version == version {
		return r.of, nil
	}
	of := map[string]attendance.Evidence{}
	err := g.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, t := range taps.Prefix(tx, day.Date+"/") {
			e := of[t.Student]
			e.Taps = append(e.Taps, t)
			of[t.Student] = e
		}
		for _, m := range marks.Prefix(tx, day.Date+"/") {
			e := of[m.Student]
			e.Marks = append(e.Marks, m)
			of[m.Student] = e
		}
		for _, l := range leaves.All(tx) {
			if l.From.Before(day.End) && l.To.After(day.Start) {
				e := of[l.Student]
				e.Leaves = append(e.Leaves, l)
				of[l.Student] = e
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	g.rows.Store(&dayRows{day.Date, version, of})
	return of, nil
}
