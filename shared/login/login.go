// Package login holds the rules of proving who one is: passwords, one-time codes, recovery codes, sessions
// and lock-out, for the appliance's pages and the centre's console alike.
//
// It owns nothing: each rule is a function of values and of a [clock.Reading] that the caller hands in, and
// anyone who keeps the values keeps them sealed. It must never keep a password, a session token or a recovery
// code in a form from which it could be used again, and never say whether a log-in name exists.
package login

import (
	"time"

	"campuskeep/shared/clock"
)

// Stamp is an instant as it can be compared later, also when the wall clock was stepped in between: within
// one boot the monotonic part counts.
type Stamp struct {
	Wall time.Time     `json:"wall"`
	Boot string        `json:"boot"`
	Mono time.Duration `json:"mono"` // ns since boot
}

// StampOf is the instant of a reading.
func StampOf(r clock.Reading) Stamp { return Stamp{Wall: r.Wall.UTC(), Boot: r.Boot, Mono: r.Mono} }

// IsZero says whether the stamp was never set.
func (s Stamp) IsZero() bool { return s == Stamp{} }

// Since is the time that went by between the stamp and the reading. Across boots only the wall clock is
// left; ok is false when it says that the stamp lies in the future by more than the reading's uncertainty,
// because then nothing is known about the distance.
func (s Stamp) Since(now clock.Reading) (d time.Duration, ok bool) {
	if s.Boot == now.Boot {
		return now.Mono - s.Mono, true
	}
	d = now.Wall.Sub(s.Wall)
	if d < -now.Uncertainty {
		return 0, false
	}
	return max(d, 0), true
}
