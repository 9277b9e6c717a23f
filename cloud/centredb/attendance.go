package centredb

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"campuskeep/shared/attendance"
	"campuskeep/shared/wire/protocol"
)

type tapData struct {
	Student   string `json:"student"`
	Class     string `json:"class"`
	Direction string `json:"direction"`
	Date      string `json:"date"`
	Outcome   string `json:"outcome"` // of the day as it was after a tap
	Status    string `json:"status"`  // of the day as the rules decided it
}

// china is the zone of the schools' days.
var china = time.FixedZone("CST", 8*60*60)

// studentDay is what one pupil's entries of a day come to.
type studentDay struct {
	class, direction string
	outcome          attendance.Outcome
	tapped           bool
}

// AttendanceToday derives one school's day from its attendance entries of the newest chain.
func (s *DB) AttendanceToday(ctx context.Context, appliance, date string) (AttendanceDay, error) {
	out := AttendanceDay{Appliance: appliance, Date: date}
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return out, fmt.Errorf("date %q: want YYYY-MM-DD", date)
	}
	// The school's day lies within these UTC instants wherever the school is.
	f := EntryFilter{Kinds: []string{"attendance."}, From: day.Add(-15 * time.Hour), To: day.Add(39 * time.Hour)}
	pupils := map[string]studentDay{}
	err = s.view(ctx, appliance, func(x *tx) error {
		pieces, err := x.epochSpans(f)
		if err != nil {
			return err
		}
		for _, p := range pieces {
			if err := x.attendance(f, p, &out, pupils); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	out.sum(pupils)
	return out, nil
}

func (x *tx) attendance(f EntryFilter, p protocol.Piece, out *AttendanceDay, pupils map[string]studentDay) error {
	cond, args, err := x.where(f, p)
	if err != nil {
		return err
	}
	return x.each(func(scan func(...any) error) error {
		e, err := x.scanEntry(scan)
		if err != nil || e.Mark != "" {
			return err
		}
		var d tapData
		if len(e.Entry.Data) > 0 {
			if err := json.Unmarshal(e.Entry.Data, &d); err != nil {
				return fmt.Errorf("%w: leaf %d", ErrDamaged, e.Seq)
			}
		}
		switch e.Entry.Kind {
		case "attendance.tap":
			out.tap(d, e.Entry.At, pupils)
		case "attendance.day":
			if d.Date == out.Date {
				s := pupils[e.Entry.Subject]
				s.class, s.outcome = d.Class, attendance.Outcome(d.Status)
				pupils[e.Entry.Subject] = s
			}
		case "attendance.unknown":
			if d.Date == "" { // of an appliance of before: the school's day is China's (design §8b)
				d.Date = e.Entry.At.In(china).Format(time.DateOnly)
			}
			if d.Date == out.Date {
				out.UnknownCards++
			}
		}
		return nil
	}, entryColumns+cond+" ORDER BY seq", args...)
}

func (a *AttendanceDay) tap(d tapData, at time.Time, pupils map[string]studentDay) {
	if d.Date != a.Date {
		return
	}
	a.Taps++
	if a.FirstTap.IsZero() {
		a.FirstTap = at
	}
	a.LastTap = at
	s := pupils[d.Student]
	s.class, s.direction, s.outcome, s.tapped = d.Class, d.Direction, attendance.Outcome(d.Outcome), true
	pupils[d.Student] = s
}

// sum counts the pupils by the newest outcome that their entries state.
func (a *AttendanceDay) sum(pupils map[string]studentDay) {
	classes := map[string]*ClassDay{}
	for _, s := range pupils {
		c := classes[s.class]
		if c == nil {
			c = &ClassDay{Class: s.class}
			classes[s.class] = c
		}
		if s.tapped {
			a.Students++
		}
		switch s.outcome {
		case attendance.Present, attendance.LeftEarly:
			a.Present++
			c.Present++
		case attendance.Late:
			a.Late++
			c.Late++
		case attendance.OnLeave:
			a.Leave++
		case attendance.AbsentUnexplained, attendance.Truant:
			a.Absent++
		case attendance.Unknown:
			a.Unknown++
		}
		if s.tapped && s.direction == "out" {
			c.Left++
		}
	}
	for _, c := range classes {
		a.Classes = append(a.Classes, *c)
	}
	slices.SortFunc(a.Classes, func(x, y ClassDay) int { return cmp.Compare(x.Class, y.Class) })
}
