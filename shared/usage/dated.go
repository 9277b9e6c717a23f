package usage

import (
	"time"

	"campuskeep/shared/clock"
)

// unsure is when an act was, for a clock that is not trusted; nil for one that is: then the wall time says it.
func unsure(now clock.Reading) *clock.Stamp {
	if now.State == clock.Trusted {
		return nil
	}
	s := now.Stamp()
	return &s
}

// Dated corrects the instants of an application that only a clock in doubt has told, once the time is known: terms
// count from when an act really was. changed is false when there is nothing to correct, or now is in doubt too.
func Dated(a Application, anchors clock.Anchors, now clock.Reading) (_ Application, changed bool) {
	if now.State != clock.Trusted {
		return a, false
	}
	date := func(at *time.Time, s **clock.Stamp) {
		if *s == nil {
			return
		}
		if *at = (*s).Settled(now, anchors).At; (*s).Boot == now.Boot { // no anchor is needed to know
			*at = now.Wall.Add((*s).Mono - now.Mono).UTC()
		}
		*s, changed = nil, true
	}
	date(&a.Submitted, &a.SubmittedIn)
	if a.Decision != nil {
		d := *a.Decision
		date(&d.At, &a.DecidedIn)
		a.Decision = &d
	}
	date(&a.Ended, &a.EndedIn)
	return a, changed
}
