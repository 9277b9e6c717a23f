package attendance

import "time"

// Limits of what a network terminal says about the time.
const (
	// TerminalTolerance is how far the clock of a terminal may be off.
	TerminalTolerance = time.Minute
	// MaxMarkAge is how old a mark may be that a terminal kept back. Older ones are its history.
	MaxMarkAge = 31 * 24 * time.Hour
)

// noMarkBefore is before the first network terminal of this product: a mark of then was made by a clock without power.
var noMarkBefore = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// TerminalState says what is known of a terminal's clock.
type TerminalState string

// A terminal has shown by a mark that came at once that its clock is right, or wrong; or neither.
const (
	ClockUnproven TerminalState = ""
	ClockRight    TerminalState = "right"
	ClockWrong    TerminalState = "wrong"
)

// TerminalClock is what the marks of a terminal have shown of its clock.
type TerminalClock struct {
	State TerminalState `json:"state,omitempty"`
	Off   time.Duration `json:"off,omitempty"`  // its clock less ours, at the last mark that came at once
	First time.Time     `json:"first,omitzero"` // when it was first heard; what it says of the time before is its history
}

// Placed is where a mark belongs.
type Placed struct {
	At     time.Time
	Unsure bool // see Tap.Unsure
	Live   bool // it came at once
	Old    bool // history of the terminal: it counts for no day
}

// PlaceMark says when the mark was made of which a terminal says said, and which came at got by a trusted clock; away
// says whether the terminal could not have delivered a mark of an instant at once. The clock is what is known of the
// terminal's; it is returned as it is after the mark. A wrong clock never makes a student late or absent: such a mark
// is unsure.
func PlaceMark(said, got time.Time, c TerminalClock, away func(time.Time) bool) (Placed, TerminalClock) {
	wrong := func() (Placed, TerminalClock) {
		c.State, c.Off = ClockWrong, said.Sub(got)
		return Placed{At: got, Unsure: true, Live: true}, c
	}
	late, meant := got.Sub(said), said
	if c.State == ClockWrong {
		meant = said.Add(-c.Off) // as far as it is known
	}
	switch {
	case late >= -TerminalTolerance && late <= TerminalTolerance:
		c.State, c.Off = ClockRight, -late
		return Placed{At: said, Live: true}, c
	case late < 0, said.Before(noMarkBefore):
		return wrong()
	case got.Sub(meant) > MaxMarkAge, meant.Before(c.First.Add(-TerminalTolerance)):
		if c.State == ClockRight {
			c.State = ClockUnproven // its history again, or a clock that was set back
		}
		return Placed{At: said, Old: true}, c
	case away(said):
		if c.State == ClockRight {
			return Placed{At: said}, c
		}
		return Placed{At: earlier(meant, got), Unsure: true}, c
	}
	return wrong() // it would have come at once
}
