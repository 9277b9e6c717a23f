package attendance

import (
	"cmp"
	"slices"
	"time"
)

// Move is a tap with the way it went.
type Move struct {
	Tap
	Way Direction // In or Out
}

// Resolve gives each tap of one student's day its way, oldest first. A reader with a fixed direction
// says it itself. At a two-way reader: before the bell every tap is in, from the end of the day on every
// tap is out, and in between the first of the day is in and each later one turns round, unless it follows
// within Hours.Repeat minutes (held the card twice). The result does not depend on the order of taps,
// so that a tap which a terminal delivers hours late falls into place.
func Resolve(day Day, h Hours, taps []Tap) []Move {
	ordered := slices.SortedFunc(slices.Values(taps), func(a, b Tap) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Reader, b.Reader), cmp.Compare(a.ID, b.ID))
	})
	bell, home := day.At(h.Bell), day.At(h.Home).Add(-minutes(h.Slack))
	moves := make([]Move, 0, len(ordered))
	var way Direction
	var last time.Time
	for _, t := range ordered {
		if t.At.Before(day.Start) || !t.At.Before(day.End) {
			continue
		}
		switch {
		case t.Direction != Auto:
			way = t.Direction
		case t.At.Before(bell):
			way = In
		case !t.At.Before(home):
			way = Out
		case way == "":
			way = In
		case t.At.Sub(last) < minutes(h.Repeat):
			// the same movement again
		case way == In:
			way = Out
		default:
			way = In
		}
		last = t.At
		moves = append(moves, Move{Tap: t, Way: way})
	}
	return moves
}
