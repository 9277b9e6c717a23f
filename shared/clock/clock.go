// Package clock says what is known about the present moment, and how sure that is.
//
// Time is a state here, not a fact: every decision that depends on an instant takes a [Reading]. The
// package owns nothing and is pure: it never asks the machine for the time. Agreement between sources
// and the table from boot-relative to UTC time live here as functions of values; firmware/timekeeper
// feeds them.
package clock

import (
	"fmt"
	"time"
)

// State says how far the wall clock may be relied on.
type State uint8

const (
	// Untrusted: no two sources of different origin agree (yet). Nothing is deleted.
	Untrusted State = iota
	// Suspect: it was trusted, and something contradicts it (a step, a source that disagrees).
	// Nothing is deleted until it is resolved.
	Suspect
	// Trusted: two sources of different origin agree within their uncertainties.
	Trusted
)

var stateNames = [...]string{"untrusted", "suspect", "trusted"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// MarshalText writes the state as its English code.
func (s State) MarshalText() ([]byte, error) {
	if int(s) >= len(stateNames) {
		return nil, fmt.Errorf("clock: no such state %d", s)
	}
	return []byte(stateNames[s]), nil
}

// UnmarshalText reads the code that MarshalText writes; anything else is an error.
func (s *State) UnmarshalText(b []byte) error {
	for i, n := range stateNames {
		if n == string(b) {
			*s = State(i)
			return nil
		}
	}
	return fmt.Errorf("clock: state %q is not one of untrusted, suspect, trusted", b)
}

// Reading is what is known about one instant.
type Reading struct {
	Wall        time.Time     // best estimate, UTC
	Uncertainty time.Duration // the true instant lies within Wall ± Uncertainty
	State       State
	Boot        string        // id of this boot of the machine
	Mono        time.Duration // since that boot, including sleep (CLOCK_BOOTTIME); never steps
}

// Earliest is the earliest instant that now can be.
func (r Reading) Earliest() time.Time { return r.Wall.Add(-r.Uncertainty) }

// Latest is the latest instant that now can be.
func (r Reading) Latest() time.Time { return r.Wall.Add(r.Uncertainty) }

// Clock gives readings. firmware/timekeeper implements it for the running machine; tests and the
// demo filler pass their own.
type Clock interface{ Now() Reading }
