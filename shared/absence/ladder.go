package absence

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/fielderr"
)

// EventKind is what happened to a case.
type EventKind string

// The kinds of events.
const (
	Opening EventKind = "opened"
	Reached EventKind = "step"
	Holding EventKind = "held"
	Resumed EventKind = "resumed"
	Closing EventKind = "closed"
)

// Event is one change that time or attendance brings to a case.
type Event struct {
	Kind EventKind
	Step int // of Case.Steps, for Reached
}

// Opens says whether a pupil without a case gets one. now is of a trusted clock.
func Opens(p Pupil, now time.Time) bool { return p.Absent() && !now.Before(p.Ask) }

// New is the case of a pupil who [Opens].
func New(p Pupil, date string, now time.Time) Case {
	return Case{Student: p.Student, Class: p.Class, Date: date, Owner: p.Head, Opened: now, Since: now, Due: p.Ask}
}

// OfTime is the next event that the passing of time, or what attendance says now, brings to a case; call it until there
// is none. now is of a trusted clock.
func OfTime(c Case, p Pupil, r Rules, now time.Time) (Case, Event, bool) {
	if !c.Open() {
		// What attendance closed opens again when a person then states the absence; what a person closed does not.
		if p.Absent() && p.Marked() && c.By == "" && c.Why != LeftRoll {
			c.Closed, c.Why, c.Since = time.Time{}, "", now
			return c, Event{Kind: Resumed}, true
		}
		return c, Event{}, false
	}
	if c.Missing != "" && p.Outcome != attendance.OnLeave && p.Outcome != attendance.NoSchool {
		p.Outcome = attendance.AbsentUnexplained
	}
	switch p.Outcome {
	case attendance.Present, attendance.Late, attendance.LeftEarly:
		why := Arrived
		if p.Marked() {
			why = WasThere
		}
		return c.end(why, now), Event{Kind: Closing}, true
	case attendance.OnLeave:
		return c.end(IsExcused, now), Event{Kind: Closing}, true
	case attendance.NoSchool:
		return c.end(NoSchool, now), Event{Kind: Closing}, true
	case attendance.AbsentUnexplained, attendance.Truant:
	default:
		if c.Held != "" {
			return c, Event{}, false
		}
		c.Held = attendance.NotDue
		if n := len(p.Reasons); n > 0 {
			c.Held = p.Reasons[n-1]
		}
		return c, Event{Kind: Holding}, true
	}
	if c.Held != "" {
		c.Held, c.Since = "", now
		return c, Event{Kind: Resumed}, true
	}
	if s, due := c.next(p, r, now); due {
		c.Steps = append(slices.Clone(c.Steps), s)
		return c, Event{Kind: Reached, Step: len(c.Steps) - 1}, true
	}
	return c, Event{}, false
}

// Missing is the case of a pupil who had come and is not in class: the teacher has answered, and the head of safety is
// asked at once, since the pupil may be anywhere in the school.
func Missing(c Case, p attendance.Period, teacher string, now time.Time) Case {
	c.Missing, c.Since, c.Closed, c.Why, c.By, c.Held = p, now, time.Time{}, "", "", ""
	c.Steps = append(slices.Clone(c.Steps), Step{Rung: Teacher, At: now, Done: now, By: teacher, Result: NotInClass}, Step{Rung: Safety, At: now})
	return c
}

// Back closes the case of a pupil whom a teacher sees in class again.
func Back(c Case, teacher string, now time.Time) Case {
	c.Steps = slices.Clone(c.Steps)
	c.acknowledgeRest(teacher, now)
	c = c.end(WasThere, now)
	c.By = teacher
	return c
}

// Gone closes the case of somebody who is on no roll any more.
func Gone(c Case, now time.Time) Case { return c.end(LeftRoll, now) }

func (c Case) end(why Why, now time.Time) Case {
	c.Closed, c.Why, c.Held = now, why, ""
	return c
}

// next is the step that is due now.
func (c Case) next(p Pupil, r Rules, now time.Time) (Step, bool) {
	step := func(rung Rung, guardian int) (Step, bool) {
		return Step{Rung: rung, Guardian: guardian, At: now}, true
	}
	teacher, asked := c.Last(Teacher)
	safety := slices.ContainsFunc(c.Steps, func(s Step) bool { return s.Rung == Safety })
	if !asked && p.Head != "" {
		return step(Teacher, 0)
	}
	if !asked && !safety {
		return step(Safety, 0) // a class without a teacher
	}
	first := c.firstCall(p, teacher)
	called := 0
	var last Step
	var unaware, wait bool
	for _, s := range c.Steps {
		if s.Rung != Guardian {
			continue
		}
		called, last = called+1, s
		unaware = unaware || s.Result == Unaware
		wait = wait || s.Result == OnWay && now.Before(s.Done.Add(minutes(r.OnWay)))
	}
	switch {
	case wait:
		return Step{}, false
	case !safety && (unaware || last.Result == OnWay || !now.Before(c.safetyAt(p, r)) || called >= p.Guardians && !now.Before(after(last, first, r))):
		return step(Safety, 0)
	case called < p.Guardians && !now.Before(after(last, first, r)) && last.Result != OnWay:
		return step(Guardian, called)
	}
	return Step{}, false
}

// firstCall is when the first guardian is to be called: never before the teacher has had the time to answer.
func (c Case) firstCall(p Pupil, teacher Step) time.Time {
	switch {
	case teacher.Result == CallNow:
		return teacher.Done
	case c.Missing != "":
		return c.Since.Add(p.Tell.Sub(p.Ask))
	case teacher.Result == NotInClass || p.Marked():
		return p.Tell
	}
	return later(p.Tell, c.Since.Add(p.Tell.Sub(p.Ask)))
}

// after is when the next guardian is to be called: at once when the last could not help, else when there was no answer
// for a while. With nobody called yet it is when the first is to be.
func after(last Step, first time.Time, r Rules) time.Time {
	switch {
	case last.At.IsZero():
		return first
	case !last.Done.IsZero():
		return last.Done
	}
	return last.At.Add(minutes(r.NextGuardian))
}

// safetyAt is when the head of safety is asked whatever happened; never before the guardians' turn.
func (c Case) safetyAt(p Pupil, r Rules) time.Time {
	wait := max(p.Bell.Add(minutes(r.Safety)).Sub(p.Ask), p.Tell.Sub(p.Ask))
	return later(p.Ask, c.Since).Add(wait)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func minutes(n int) time.Duration { return time.Duration(n) * time.Minute }

// Errors of an act on a case.
var (
	ErrClosed = errors.New("absence: the case is closed")
	ErrDone   = errors.New("absence: the step is acknowledged")
)

// maxNote is the longest note, in characters.
const maxNote = 500

// Answer acknowledges a step with its result. Some results end the case. fielderr.Errors at "result" and "note".
func Answer(c Case, step int, by string, result Result, note string, now time.Time) (Case, error) {
	var errs fielderr.Errors
	switch {
	case !c.Open():
		return c, ErrClosed
	case step < 0 || step >= len(c.Steps):
		errs.Add("step", "err.choice")
	case !c.Steps[step].Done.IsZero():
		return c, ErrDone
	case !slices.Contains(Results(c.Steps[step].Rung), result):
		errs.Add("result", "err.choice")
	}
	note = strings.TrimSpace(note)
	if utf8.RuneCountInString(note) > maxNote {
		errs.Add("note", "err.too_long", maxNote)
	}
	if (result == Found || result == Police) && note == "" {
		errs.Add("note", "err.required")
	}
	if err := errs.Err(); err != nil {
		return c, err
	}
	c.Steps = slices.Clone(c.Steps)
	s := &c.Steps[step]
	s.Done, s.By, s.Result, s.Note = now, by, result, note
	if why, ends := map[Result]Why{InClass: WasThere, Ill: IsIll, Personal: IsExcused, Found: WasFound}[result]; ends {
		c = c.end(why, now)
		c.By = by
		c.acknowledgeRest(by, now)
	}
	return c, nil
}

// acknowledgeRest acknowledges the steps that wait when the case ends: nobody has to act on them any more.
func (c *Case) acknowledgeRest(by string, now time.Time) {
	for i := range c.Steps {
		if c.Steps[i].Done.IsZero() {
			c.Steps[i].Done, c.Steps[i].By = now, by
		}
	}
}

// Close closes a case with a reason that a person states.
func Close(c Case, by string, why Why, note string, now time.Time) (Case, error) {
	var errs fielderr.Errors
	if !c.Open() {
		return c, ErrClosed
	}
	if !slices.Contains(Stated, why) {
		errs.Add("why", "err.choice")
	}
	note = strings.TrimSpace(note)
	if utf8.RuneCountInString(note) > maxNote {
		errs.Add("note", "err.too_long", maxNote)
	}
	if note == "" && why != AtHome {
		errs.Add("note", "err.required")
	}
	if err := errs.Err(); err != nil {
		return c, err
	}
	c.Steps = slices.Clone(c.Steps)
	c.acknowledgeRest(by, now)
	c = c.end(why, now)
	c.By, c.Note = by, note
	return c, nil
}
