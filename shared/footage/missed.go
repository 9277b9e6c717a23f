package footage

import (
	"time"

	"campuskeep/shared/clock"
)

// Instant is an instant of one boot; the anchor table places it in UTC.
type Instant struct {
	Boot string        `json:"boot"`
	Mono time.Duration `json:"mono"` // ns
}

// Missed is a time without footage as it was noted: by the clocks of the boots, because what the wall clock claimed may
// have been wrong.
type Missed struct {
	Camera string  `json:"camera"`
	From   Instant `json:"from"`
	To     Instant `json:"to"`
	Cause  Cause   `json:"cause"`
}

// Place gives the time in UTC. ok is false while one of its boots has no anchor, and when it would end before it began.
func (m Missed) Place(a clock.Anchors) (s Span, ok bool) {
	from, _, begins := a.UTC(m.From.Boot, m.From.Mono)
	to, _, ends := a.UTC(m.To.Boot, m.To.Mono)
	if !begins || !ends || !from.Before(to) {
		return Span{}, false
	}
	return Span{From: from.UTC(), To: to.UTC()}, true
}

// Goes says whether n goes on, with the same cause, where m ends.
func (m Missed) Goes(n Missed) bool { return m.To == n.From && m.Cause == n.Cause }

// Settled is what several times that follow each other come to.
type Settled struct {
	Missed
	Span   Span // when Placed
	Placed bool
	Parts  int // how many of the noted times it represents
}

// Settle places the times that were noted of one camera, in their order, while boot is running. What leads into a boot
// that ended without an anchor, and what leads out of it, is one time: nobody can say when that boot was, only that the
// camera has nothing for certain from before it to after it.
func Settle(noted []Missed, a clock.Anchors, boot string) (out []Settled) {
	lost := func(b string) bool { return b != boot && !a.Has(b) }
	for i := 0; i < len(noted); {
		s := Settled{Missed: noted[i], Parts: 1}
		for i += s.Parts; i < len(noted) && noted[i].From.Boot == s.To.Boot && lost(s.To.Boot); i++ {
			if s.To, s.Parts = noted[i].To, s.Parts+1; s.From.Boot != s.To.Boot {
				s.Cause = CausePowerOff
			}
		}
		s.Span, s.Placed = s.Place(a)
		out = append(out, s)
	}
	return out
}
