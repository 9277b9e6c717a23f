package footage

import (
	"errors"
	"time"

	"campuskeep/shared/clock"
)

// What OpenSegment answers when the bytes are there but may not be shown.
var (
	// ErrPastCeiling: by a plausible clock it is older than its camera keeps, and no hold covers it.
	ErrPastCeiling = errors.New("footage: past its last day")
	// ErrCondemned: it lies below the camera's watermark and is being deleted.
	ErrCondemned = errors.New("footage: condemned to deletion")
)

// MaxSegment is the longest that one segment may last. Look-ups by time and the closing of hours rely on it.
const MaxSegment = 10 * time.Minute

// Places turns (boot, monotonic) pairs into UTC.
type Places struct {
	Anchors clock.Anchors
	// Bounds says of boots without an anchor that no frame of theirs is later than this: the first trusted
	// instant known to lie after the boot.
	Bounds map[string]time.Time
}

// Place puts a segment on the UTC time line. Without an anchor it is where the wall clock claimed.
func (p Places) Place(s Segment) Placed {
	from, unc, ok := p.Anchors.UTC(s.Boot, s.From)
	if !ok {
		return Placed{Segment: s, Span: Span{s.Wall, s.Wall.Add(s.To - s.From)}}
	}
	to, unc2, _ := p.Anchors.UTC(s.Boot, s.To)
	return Placed{Segment: s, Span: Span{from, to}, Uncertainty: max(unc, unc2), Anchored: true}
}

// LastFrame bounds the instant of the segment's last frame from above: the frame is certainly not later.
// ok is false while nothing is known about the boot, and then nothing of it is deleted.
func (p Places) LastFrame(s Segment) (at time.Time, ok bool) {
	at, unc, ok := p.Anchors.UTC(s.Boot, s.To)
	if ok {
		return at.Add(unc), true
	}
	at, ok = p.Bounds[s.Boot]
	return at, ok
}

// Unplaced says whether nothing is known about when the boot was.
func (p Places) Unplaced(boot string) bool {
	_, bound := p.Bounds[boot]
	return !bound && !p.Anchors.Has(boot)
}
