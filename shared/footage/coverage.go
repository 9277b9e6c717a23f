package footage

import (
	"cmp"
	"slices"
	"time"
)

// Cause is why footage is missing; it is in `footage.gap` entries and on the ribbon.
type Cause string

// The causes of a gap. The first group is what a recorder sees.
const (
	CauseCameraOff Cause = "offline"     // the camera could not be reached
	CauseNetwork   Cause = "network"     // the connection broke, and the camera was there again at once
	CauseStalled   Cause = "stalled"     // connected, but no pictures
	CauseLogin     Cause = "credentials" // the camera refused our password
	CauseSignal    Cause = "stream"      // what the camera offers cannot be recorded
	CauseNoKey     Cause = "no_key"      // pictures come, but none that needs no other
	CauseNoSets    Cause = "no_sets"     // pictures come, but nothing says how to read them
	CauseBadSets   Cause = "bad_sets"    // … and what says it cannot be used
	CauseFailed    Cause = "failed"      // what the camera sends made our own program fail
	CauseOverload  Cause = "overload"    // the disk did not keep up
	CauseDisk      Cause = "disk"        // a write or sync failed; the segment was abandoned
	CauseClock     Cause = "clock"       // the clock shows a date that no footage can be kept under
	CauseStart     Cause = "start"       // recording began, the first picture took long
	CauseSwitched  Cause = "switched"    // another stream, address or password was set for the camera, or its sound switched on or off
	CauseFull      Cause = "full"        // the disk will not hold the days, so the camera is not recorded (entry `footage.stopped`)
	CausePaused    Cause = "paused"      // the appliance itself was stopped: suspended, or too busy to read

	CauseRestart  Cause = "restart"    // the program was down, the machine was up
	CausePowerOff Cause = "power"      // the machine was off
	CauseDamaged  Cause = "damaged"    // recorded, but the bytes no longer verify
	CauseLost     Cause = "lost"       // recorded, but the file is gone
	CauseSetup    Cause = "not_set_up" // before the camera was registered
	CauseBreach   Cause = "breach"     // deleted early because the disk was full (entry `footage.breach`)
	CauseUnknown  Cause = "unknown"    // no entry explains it
)

// Gap is a time for which a camera has no footage, as noted when it happened.
type Gap struct {
	Camera string `json:"camera"`
	Span   Span   `json:"span"`
	Cause  Cause  `json:"cause"`
}

// Joined is the silence between two segments that still counts as continuous: segments of a session meet
// within a frame, and a reconnect is never this fast.
const Joined = 2 * time.Second

// Piece is a stretch of the ribbon: recorded, or missing with its cause.
type Piece struct {
	Span      Span
	Recorded  bool
	Cause     Cause // when not recorded
	Unsure    bool  // recorded in a boot without an anchor: its place is what the wall clock claimed
	Recovered bool  // recorded, saved after a power cut
}

// Coverage is what one camera has of a span, without holes from the span's beginning to its end.
type Coverage struct {
	Span     Span
	Pieces   []Piece
	Recorded time.Duration
	Missing  time.Duration
}

// Completeness is the recorded part of the span, 0 to 1; an empty span is complete.
func (c Coverage) Completeness() float64 {
	if c.Recorded+c.Missing == 0 {
		return 1
	}
	return float64(c.Recorded) / float64(c.Recorded+c.Missing)
}

// Cover lays the segments of one camera over a span and explains the holes by the gaps that were noted. The
// caller ends the span at the present moment, otherwise the future counts as missing.
func Cover(span Span, segments []Placed, gaps []Gap) Coverage {
	c := Coverage{Span: span}
	if !span.From.Before(span.To) {
		return c
	}
	sorted := segments
	byStart := func(a, b Placed) int { return a.Span.From.Compare(b.Span.From) }
	if !slices.IsSortedFunc(sorted, byStart) {
		sorted = slices.SortedStableFunc(slices.Values(segments), byStart)
	}
	at := span.From
	for _, s := range sorted {
		part := s.Span.Intersect(span)
		if part.From.Before(at) { // overlap: what is covered stays covered
			part.From = at
		}
		if !part.From.Before(part.To) {
			continue
		}
		if part.From.Sub(at) > Joined {
			c.missing(Span{at, part.From}, gaps)
		} else {
			part.From = at
		}
		c.recorded(Piece{Span: part, Recorded: true, Unsure: !s.Anchored, Recovered: s.Recovered})
		at = part.To
	}
	if span.To.Sub(at) > Joined {
		c.missing(Span{at, span.To}, gaps)
	} else if n := len(c.Pieces); n > 0 && at.Before(span.To) {
		c.Pieces[n-1].Span.To = span.To
		c.Recorded += span.To.Sub(at)
	}
	return c
}

func (c *Coverage) recorded(p Piece) {
	c.Recorded += p.Span.Duration()
	if n := len(c.Pieces); n > 0 {
		last := &c.Pieces[n-1]
		if last.Recorded && last.Unsure == p.Unsure && last.Recovered == p.Recovered {
			last.Span.To = p.Span.To
			return
		}
	}
	c.Pieces = append(c.Pieces, p)
}

// missing adds a hole, cut by the causes that were noted for it.
func (c *Coverage) missing(hole Span, gaps []Gap) {
	c.Missing += hole.Duration()
	c.Pieces = append(c.Pieces, Explain(hole, gaps)...)
}

// rounding is how far the ends of a noted gap and of the footage beside it may differ: two clocks placed them.
const rounding = 10 * time.Second

// Explain cuts a hole as [Causes] does. What is left over at the end of a noted gap, by rounding, is put down to that gap.
func Explain(hole Span, gaps []Gap) (out []Piece) {
	pieces := Causes(hole, gaps)
	for i, p := range pieces {
		if p.Cause == CauseUnknown && p.Span.Duration() <= rounding {
			switch {
			case i > 0:
				p.Cause = pieces[i-1].Cause
			case len(pieces) > 1:
				p.Cause = pieces[1].Cause
			}
		}
		out = joined(out, p)
	}
	return out
}

// joined appends a missing piece, to the last one when that has the same cause.
func joined(list []Piece, p Piece) []Piece {
	if n := len(list); n > 0 && list[n-1].Cause == p.Cause {
		list[n-1].Span.To = p.Span.To
		return list
	}
	return append(list, p)
}

// Causes cuts a hole into stretches of one cause each, without a rest: their times add up to the hole. Where noted gaps
// overlap, the shortest names the cause, because it was noted nearest to what happened; what none of them covers is
// unknown.
func Causes(hole Span, gaps []Gap) (out []Piece) {
	var near []Gap
	cuts := []time.Time{hole.From, hole.To}
	for _, g := range gaps {
		if part := g.Span.Intersect(hole); part.Duration() > 0 {
			near = append(near, g)
			cuts = append(cuts, part.From, part.To)
		}
	}
	slices.SortStableFunc(near, func(a, b Gap) int {
		unknown := func(g Gap) int {
			if g.Cause == CauseUnknown {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(unknown(a), unknown(b)), cmp.Compare(a.Span.Duration(), b.Span.Duration()), a.Span.From.Compare(b.Span.From), cmp.Compare(a.Cause, b.Cause))
	})
	slices.SortFunc(cuts, time.Time.Compare)
	for i := range len(cuts) - 1 {
		p := Piece{Span: Span{cuts[i], cuts[i+1]}, Cause: CauseUnknown}
		if p.Span.Duration() <= 0 {
			continue
		}
		for _, g := range near {
			if !g.Span.From.After(p.Span.From) && !g.Span.To.Before(p.Span.To) {
				p.Cause = g.Cause
				break
			}
		}
		out = joined(out, p)
	}
	return out
}

// ByPart cuts a coverage into the completeness of equal parts, for the ribbon's marks.
func (c Coverage) ByPart(part time.Duration) []float64 {
	if part <= 0 {
		return nil
	}
	n := int((c.Span.Duration() + part - 1) / part)
	out := make([]float64, n)
	for _, p := range c.Pieces {
		if !p.Recorded {
			continue
		}
		first := int(p.Span.From.Sub(c.Span.From) / part)
		for i := first; i < n; i++ {
			from := c.Span.From.Add(time.Duration(i) * part)
			to := from.Add(part)
			if to.After(c.Span.To) {
				to = c.Span.To
			}
			if !from.Before(p.Span.To) {
				break
			}
			out[i] += float64(p.Span.Intersect(Span{from, to}).Duration()) / float64(to.Sub(from))
		}
	}
	return out
}

// SortGaps orders gaps by their beginning.
func SortGaps(gaps []Gap) {
	slices.SortFunc(gaps, func(a, b Gap) int {
		return cmp.Or(a.Span.From.Compare(b.Span.From), cmp.Compare(a.Camera, b.Camera))
	})
}
