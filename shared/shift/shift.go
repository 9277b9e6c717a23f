// Package shift holds the rules of the control room's shifts (F20): who may begin, hand over and end one, when one
// is over by itself, and where nobody was on duty.
//
// It is pure: a step is a function of the shifts there are and an instant. It must never let a person be on duty
// twice at once, nor a hand-over count that the incoming officer has not signed.
package shift

import (
	"cmp"
	"slices"
	"time"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/login"
)

// Longest is how long a shift lasts at most: a night and the way home. It then ends by itself.
const Longest = 14 * time.Hour

// End is why a shift ended; the catalogue has "shift.end.<code>".
type End string

// The ends.
const (
	EndHanded    End = "handed"     // handed over, signed by both
	EndSignedOff End = "signed_off" // ended by the officer, with nobody following
	EndLoggedOut End = "logged_out" // ended at log-out, after the question
	EndLongest   End = "longest"    // it reached its greatest length
)

// Shift is one officer's time on duty. It holds no text: what was noted at the hand-over is sealed in the log.
type Shift struct {
	ID      string      `json:"id"`
	Officer string      `json:"officer"` // person id
	Began   login.Stamp `json:"began"`
	After   string      `json:"after,omitempty"`  // the shift that was handed over to this one
	Offered time.Time   `json:"offered,omitzero"` // notes are written, the next officer's signature is awaited
	Ended   time.Time   `json:"ended,omitzero"`
	End     End         `json:"end,omitempty"`
	Next    string      `json:"next,omitempty"` // the shift that took over
}

// Open says whether it has not ended.
func (s Shift) Open() bool { return s.Ended.IsZero() }

// Span is its time on duty as of now.
func (s Shift) Span(now time.Time) footage.Span {
	to := s.Ended
	if s.Open() {
		to = now
	}
	if to.Before(s.Began.Wall) {
		to = s.Began.Wall // the clock was set back meanwhile
	}
	return footage.Span{From: s.Began.Wall, To: to}
}

// Over says whether an open shift has reached its greatest length. Within one boot monotonic time decides, so
// that no step of the clock ends or prolongs it; over a boot the clock does, and where that cannot tell it is over.
func (s Shift) Over(now clock.Reading) bool {
	age, ok := s.Began.Since(now)
	return !ok || age >= Longest
}

// OnDuty says whether it gives its officer what duty gives.
func (s Shift) OnDuty(now clock.Reading) bool { return s.Open() && !s.Over(now) }

// Illegal is a step that the rules do not allow; Rule is a key of the catalogue.
type Illegal struct{ Rule string }

func (e *Illegal) Error() string { return "duty: " + e.Rule }

// The rules that a step may break.
var (
	ErrOnDuty     = &Illegal{"shift.err.on_duty"}     // already on duty
	ErrNotOnDuty  = &Illegal{"shift.err.not_on_duty"} // not on duty, or no more
	ErrSamePerson = &Illegal{"shift.err.same_person"} // nobody takes over from themselves
	ErrNotes      = &Illegal{"shift.err.no_notes"}    // the notes come first
)

// Of is the shift that gives the officer duty now.
func Of(open []Shift, officer string, now clock.Reading) (Shift, bool) {
	i := slices.IndexFunc(open, func(s Shift) bool { return s.Officer == officer && s.OnDuty(now) })
	if i < 0 {
		return Shift{}, false
	}
	return open[i], true
}

// Begin puts an officer on duty. open are the shifts that have not ended.
func Begin(open []Shift, id, officer string, now clock.Reading) (Shift, error) {
	if _, on := Of(open, officer, now); on {
		return Shift{}, ErrOnDuty
	}
	return Shift{ID: id, Officer: officer, Began: login.StampOf(now)}, nil
}

// Offer notes that the hand-over is written and awaits the signature of who takes over. The shift goes
// on.
func Offer(s Shift, now clock.Reading) (Shift, error) {
	if !s.OnDuty(now) {
		return s, ErrNotOnDuty
	}
	s.Offered = now.Wall.UTC()
	return s, nil
}

// Hand ends a shift and begins, or continues, that of the incoming officer, who has signed then and there. Who is on
// duty already goes on with the own shift.
func Hand(open []Shift, s Shift, id, incoming string, now clock.Reading) (out, in Shift, err error) {
	switch {
	case !s.OnDuty(now):
		return s, in, ErrNotOnDuty
	case s.Offered.IsZero():
		return s, in, ErrNotes
	case s.Officer == incoming:
		return s, in, ErrSamePerson
	}
	in, on := Of(open, incoming, now)
	if !on {
		if in, err = Begin(open, id, incoming, now); err != nil {
			return s, in, err
		}
		in.After = s.ID
	}
	s.Ended, s.End, s.Next = now.Wall.UTC(), EndHanded, in.ID
	return s, in, nil
}

// Finish ends a shift that nobody takes over. One that reached its greatest length ended then, not when it was noticed.
func Finish(s Shift, why End, now clock.Reading) (Shift, error) {
	if !s.Open() {
		return s, ErrNotOnDuty
	}
	s.Ended, s.End = now.Wall.UTC(), why
	if s.Over(now) {
		s.End = EndLongest
		if at := s.Began.Wall.Add(Longest); at.Before(s.Ended) {
			s.Ended = at.UTC()
		}
	}
	if s.Ended.Before(s.Began.Wall) {
		s.Ended = s.Began.Wall.UTC()
	}
	return s, nil
}

// Gaps are the stretches of span, up to now, in which nobody was on duty, in their order.
func Gaps(shifts []Shift, span footage.Span, now time.Time) (out []footage.Span) {
	if span.To.After(now) {
		span.To = now
	}
	sorted := slices.Clone(shifts)
	slices.SortFunc(sorted, func(a, b Shift) int {
		return cmp.Or(a.Began.Wall.Compare(b.Began.Wall), cmp.Compare(a.ID, b.ID))
	})
	at := span.From
	for _, s := range sorted {
		on := s.Span(now)
		if !on.From.Before(on.To) {
			continue // begun and ended in the same instant
		}
		if on.From.After(at) && at.Before(span.To) {
			gap := footage.Span{From: at, To: on.From}
			if gap.To.After(span.To) {
				gap.To = span.To
			}
			out = append(out, gap)
		}
		if on.To.After(at) {
			at = on.To
		}
	}
	if at.Before(span.To) {
		out = append(out, footage.Span{From: at, To: span.To})
	}
	return out
}
