package footage

import (
	"slices"
	"time"
)

// FaultCode names what is wrong with a camera (F1). It is in the log.
type FaultCode string

// The faults that open by themselves.
const (
	FaultOffline  FaultCode = "offline"  // no pictures come
	FaultLogin    FaultCode = "login"    // the camera refuses our password
	FaultUnusable FaultCode = "unusable" // pictures come, and none can be recorded
	FaultTime     FaultCode = "time"     // its clock is wrong
	FaultFrozen   FaultCode = "frozen"   // the same picture over and over
	FaultBlack    FaultCode = "black"    // nothing is to be seen
	FaultFloor    FaultCode = "floor"    // its NVR deletes footage before its time
	FaultCeiling  FaultCode = "ceiling"  // its NVR keeps footage beyond its time
)

// FaultCodes lists them in the order of pages.
var FaultCodes = []FaultCode{FaultOffline, FaultLogin, FaultUnusable, FaultTime, FaultFrozen, FaultBlack, FaultFloor, FaultCeiling}

// Patience is how long a camera must be ill before a fault opens, and well before it closes.
type Patience struct{ Ill, Well time.Duration }

// PatienceWith gives the times of a fault. A camera that restarts is back within two minutes; a switch that is
// changed takes less than two. Pictures are looked at every five minutes, so black takes three looks and frozen four.
func PatienceWith(c FaultCode) Patience {
	switch c {
	case FaultOffline, FaultLogin:
		return Patience{2 * time.Minute, 5 * time.Minute}
	case FaultFloor, FaultCeiling:
		return Patience{Well: 10 * time.Minute} // judged once a day, from everything that an NVR lists
	case FaultUnusable: // the recorder has waited already
		return Patience{15 * time.Second, 5 * time.Minute}
	}
	return Patience{10 * time.Minute, 10 * time.Minute}
}

// Flapping: every fault that closed within the last day doubles the time that the next must be well, up to this. So a
// loose plug makes at most some ten faults a day and not hundreds.
const (
	FlapMemory = 24 * time.Hour
	FlapMost   = 6 * time.Hour
)

// FaultSilence is the longest time between two observations for which both speak.
const FaultSilence = 15 * time.Minute

// FaultStep is what follows from an observation.
type FaultStep uint8

// The steps.
const (
	FaultStays FaultStep = iota
	FaultOpens
	FaultCloses
)

// FaultWatch follows one possible fault of one camera. Times are monotonic. The zero value has seen nothing.
type FaultWatch struct {
	Open   bool
	Closed []time.Duration // when faults of this kind closed, oldest first; those older than FlapMemory are dropped

	last Finding       // of the last observation
	at   time.Duration // its time
	side Finding       // what it has been for the time of run: Well or Ill
	run  time.Duration // for so long, counted over observations that agree; silence between counts for nothing
}

// WellFor is how long the camera must be well before the open fault closes.
func (w FaultWatch) WellFor(c FaultCode) time.Duration {
	need := PatienceWith(c).Well
	for range w.Closed {
		if need *= 2; need >= FlapMost {
			return FlapMost
		}
	}
	return need
}

// Step takes an observation at a monotonic instant. Only time between two observations in a row that agree counts, so
// an hour without any neither opens nor closes a fault.
func (w FaultWatch) Step(c FaultCode, f Finding, at time.Duration) (FaultWatch, FaultStep) {
	w.Closed = slices.DeleteFunc(slices.Clone(w.Closed), func(t time.Duration) bool { return at-t > FlapMemory })
	if f != Unsure {
		if f != w.side {
			w.side, w.run = f, 0
		} else if d := at - w.at; w.last == f && d > 0 && d <= FaultSilence {
			w.run += d
		}
	}
	w.last, w.at = f, at
	switch {
	case f == Ill && !w.Open && w.run >= PatienceWith(c).Ill:
		w.Open, w.run = true, 0
		return w, FaultOpens
	case f == Well && w.Open && w.run >= w.WellFor(c):
		w.Open, w.run = false, 0
		w.Closed = append(w.Closed, at)
		return w, FaultCloses
	}
	return w, FaultStays
}

// Limits of a camera's clock against ours. A crystal of 20 ppm without a server of time is 52 s off after a month;
// a fault opens beyond a minute and closes within half of one. Both are widened by what is not known.
const (
	ClockWrong = time.Minute
	ClockRight = 30 * time.Second
)

// JudgeClock says whether a camera's clock is wrong: offset is its time minus ours, unsure what either may be off.
// zoneless clocks tell a local time as if it were UTC: a difference of whole quarter hours up to 14 h is then taken
// for a time zone.
func JudgeClock(offset, unsure time.Duration, zoneless bool) Finding {
	if zoneless {
		const quarter = 15 * time.Minute
		if rest := offset - offset.Round(quarter); max(offset, -offset) <= 14*time.Hour {
			offset = rest
		}
	}
	switch off := max(offset, -offset); {
	case off-unsure > ClockWrong:
		return Ill
	case off+unsure <= ClockRight:
		return Well
	}
	return Unsure
}
