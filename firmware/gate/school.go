package gate

import (
	"campuskeep/shared/attendance"
)

// SchoolDay is the state of a date for every pupil of the school, class by class, with the last tap of those who have
// one. It decides from the evidence as it is, and stores nothing.
func (g *Gate) SchoolDay(date string) (all []attendance.DayStatus, last map[string]attendance.Tap, err error) {
	decided, err := g.decideAll(date, g.o.Clock.Now())
	if err != nil {
		return nil, nil, err
	}
	last = map[string]attendance.Tap{}
	for _, d := range decided {
		all = append(all, d.status)
		for _, t := range d.taps {
			if t.At.After(last[t.Student].At) {
				last[t.Student] = t
			}
		}
	}
	return all, last, nil
}
