package footage

import (
	"time"

	"campuskeep/shared/clock"
)

// Watermark is the instant up to which footage has been kept for its whole time: now − uncertainty − N × 24 h
// (F3, design §5). It is zero unless the clock is trusted: an untrusted or suspect clock deletes nothing.
func Watermark(policy Policy, now clock.Reading) time.Time {
	if now.State != clock.Trusted {
		return time.Time{}
	}
	return now.Earliest().Add(-policy.Keep())
}

// Verdict is what is to become of one segment.
type Verdict uint8

const (
	// Unplaced: nothing is known about when its boot was; it stays.
	Unplaced Verdict = iota
	// Live: it has not been kept for its whole time.
	Live
	// HeldBack: it would have to go, but a hold in force keeps it.
	HeldBack
	// Expired: it must go.
	Expired
)

// Judge says what is to become of one segment, with the watermark of its camera. A segment goes when its last frame is
// at least N × 24 h old by the most cautious reading of both clocks, then and now: never early. A hold in force keeps
// what overlaps its span. last bounds its last frame from above; it is zero for Unplaced.
func Judge(s Segment, places Places, holds []Hold, watermark time.Time, now clock.Reading) (v Verdict, last time.Time) {
	last, ok := places.LastFrame(s)
	switch {
	case !ok:
		return Unplaced, time.Time{}
	case watermark.IsZero() || last.After(watermark):
		return Live, last
	case len(holds) > 0 && HeldBy(holds, places.Place(s), now) != "":
		return HeldBack, last
	}
	return Expired, last
}

// HeldBy gives the id of a hold in force that covers the segment, "" when there is none. The segment's
// place is taken with its uncertainty: in doubt it is held.
func HeldBy(holds []Hold, p Placed, now clock.Reading) string {
	wide := Span{p.Span.From.Add(-p.Uncertainty), p.Span.To.Add(p.Uncertainty)}
	for _, h := range holds {
		if h.Active(now) && h.Covers(p.Camera, wide) {
			return h.ID
		}
	}
	return ""
}

// PastCeiling says whether a segment must no longer be shown, because some plausible clock says that it is
// older than its camera keeps. It answers before the sweep has caught up, for instance after weeks without
// power. For the boot that is running, its own monotonic clock is the only plausible one, so a wall clock
// that jumps a month hides nothing that was recorded since.
func PastCeiling(s Segment, places Places, policy Policy, now clock.Reading) bool {
	keep := policy.Keep()
	if s.Boot == now.Boot {
		age := now.Mono - s.To
		return age+clock.Drift(age) >= keep
	}
	at, unc, ok := places.Anchors.UTC(s.Boot, s.To)
	switch {
	case s.Custody == CustodyNVR: // it has no boot of ours: the NVR's list has placed it
		at = s.Wall.Add(s.To - s.From)
	case !ok:
		if at, ok = places.Bounds[s.Boot]; !ok {
			return false
		}
	}
	latest := now.Wall
	if now.State == clock.Trusted { // otherwise the uncertainty has no meaningful size
		latest = now.Latest()
	}
	return latest.Sub(at.Add(-unc)) >= keep
}
