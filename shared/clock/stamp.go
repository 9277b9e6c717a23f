package clock

import "time"

// One rule for all that ends by time: it ends by a trusted reading, or by monotonic time within one boot, and by
// nothing else. A clock in doubt ends nothing and begins nothing.
//
// Four shapes of it are here. [Reading.Reached] is for an end that is an instant ("kept until 3 May").
// [Stamp.Passed] is for a length from an act ("one hour from the opening", "thirty days from the hold").
// [Stamp.Placed] is for an end that a calendar makes of the act ("ten school days after the submission"): place the
// stamp, compute the end, ask Reached. [Reading.Due] is for what lives no longer than the program.

// Reached says whether t has come for certain. While the clock is in doubt nothing has.
func (r Reading) Reached(t time.Time) bool { return r.State == Trusted && !r.Earliest().Before(t) }

// Due is the monotonic instant of this boot at which t comes, as the clock is now. What lives no longer than the
// program (a viewing, an incident) is given its end so when it begins, and ends by it whatever the wall clock does.
func (r Reading) Due(t time.Time) time.Duration { return r.Mono + t.Sub(r.Wall) }

// Stamp is the instant from which a term counts, as a row keeps it: what the clock claimed then, and the monotonic
// instant that says when it truly was once the boot has an anchor.
type Stamp struct {
	At   time.Time     `json:"at"`
	Boot string        `json:"boot,omitempty"` // none: At alone says when (rows of earlier versions)
	Mono time.Duration `json:"mono,omitempty"` // ns
	Sure bool          `json:"sure,omitempty"` // At came from a trusted clock, or from an anchor since
}

// Stamp is the reading as a row keeps it.
func (r Reading) Stamp() Stamp {
	return Stamp{At: r.Wall.UTC(), Boot: r.Boot, Mono: r.Mono, Sure: r.State == Trusted}
}

// Placed is the stamp where the anchors put it now; a corrected anchor moves it with it. Sure is false as long as
// nobody knows when it was.
func (s Stamp) Placed(a Anchors) Stamp {
	if s.Boot == "" {
		s.Sure = true
		return s
	}
	if at, _, ok := a.UTC(s.Boot, s.Mono); ok {
		s.At, s.Sure = at.UTC(), true
	}
	return s
}

// Settled is the stamp for a row to keep: placed, and when its boot is over and never learnt the time, moved to now,
// the first trusted instant after it, so that what counts from it ends too, and not early. While the clock is in doubt
// a stamp without a place stays as it is. A row whose stamp differs from its settled one is written again before
// anything is ended by it.
func (s Stamp) Settled(now Reading, a Anchors) Stamp {
	p := s.Placed(a)
	if !p.Sure && now.State == Trusted && s.Boot != now.Boot {
		return now.Stamp()
	}
	return p
}

// Passed says whether d has passed since s for certain: by monotonic time within the boot, whatever the clock says,
// else by a trusted reading from where the anchors put s.
func (s Stamp) Passed(d time.Duration, now Reading, a Anchors) bool {
	if s.Boot != "" && s.Boot == now.Boot {
		return now.Mono-s.Mono >= d
	}
	p := s.Placed(a)
	return p.Sure && now.Reached(p.At.Add(d))
}
