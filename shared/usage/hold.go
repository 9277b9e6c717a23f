package usage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// Reasons of a hold; the catalogue has "hold.<code>".
const (
	HoldUndecided = "application" // waits for the decision
	HoldComplaint = "complaint"   // refused or revoked; may still be contested
	HoldUse       = "use"         // approved, in use, to be reported
)

// Holds is what the application holds in its present state: a function of the application alone, so that a
// change of state and the change of its holds can never disagree. What two people have released of it is taken off by
// [Unreleased].
func Holds(a Application, r Rules, is SchoolDays) []footage.Hold {
	switch {
	case a.State.Undecided():
		return requestedHolds(a, AfterSchoolDays(a.Submitted, r.UndecidedDays, is), HoldUndecided, a.SubmittedIn != nil)
	case a.State == Rejected:
		return requestedHolds(a, AfterSchoolDays(a.Ended, r.ComplaintDays, is), HoldComplaint, a.EndedIn != nil)
	case a.Decision == nil || !a.Decision.Approved:
		return nil
	case a.State == Revoked:
		return decidedHolds(a, AfterSchoolDays(a.Ended, r.ComplaintDays, is), HoldComplaint, a.EndedIn != nil)
	case slices.Contains([]State{Approved, Extracting, Delivered, InUse, ReportDue, Overdue, Reported, Accepted}, a.State):
		until := a.Decision.Until.Add(r.ReportDays + r.FilingDays).End()
		if last := a.useEnds(r, is); last.After(until) {
			until = last
		}
		return decidedHolds(a, until, HoldUse, a.DecidedIn != nil)
	}
	return nil
}

func requestedHolds(a Application, until time.Time, reason string, open bool) []footage.Hold {
	var out []footage.Hold
	for _, w := range a.Wanted {
		out = appendHold(out, footage.Hold{Application: a.ID, Cameras: normal(w.Cameras), Span: w.Span, Since: a.Submitted,
			Until: until, Reason: reason, Open: open})
	}
	return out
}

func decidedHolds(a Application, until time.Time, reason string, open bool) []footage.Hold {
	var out []footage.Hold
	for _, g := range a.Granted() {
		out = appendHold(out, footage.Hold{Application: a.ID, Cameras: g.Cameras, Span: g.Span, Since: a.Submitted,
			Until: until, Reason: reason, Open: open})
	}
	return out
}

// appendHold appends what a hold adds to a list: no two holds of an application are about the same footage, so that a
// release of one says nothing about another.
func appendHold(list []footage.Hold, h footage.Hold) []footage.Hold {
	return append(list, without(h, list)...)
}

// HoldID names a hold by its application, cameras and span: no other hold ever has its id, so that what is said of one
// is never taken for another.
func HoldID(h footage.Hold) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %d %d", h.Cameras, h.Span.From.UnixNano(), h.Span.To.UnixNano()))
	return "h" + strings.TrimPrefix(h.Application, "a") + "-" + hex.EncodeToString(sum[:8])
}

// Unreleased is what remains of holds when what two people have released of their application is taken off, camera by
// camera and span by span. What nobody released stays.
func Unreleased(list, released []footage.Hold) []footage.Hold {
	var out []footage.Hold
	for _, h := range list {
		out = append(out, without(h, released)...)
	}
	return out
}

// without is what remains of a hold, in pieces that have names of their own.
func without(h footage.Hold, cut []footage.Hold) (out []footage.Hold) {
	left := map[footage.Span][]string{} // cameras by what remains of them
	var spans []footage.Span
	for _, c := range h.Cameras {
		rest := []footage.Span{h.Span}
		for _, x := range cut {
			if slices.Contains(x.Cameras, c) {
				rest = footage.Without(rest, x.Span)
			}
		}
		for _, s := range rest {
			if len(left[s]) == 0 {
				spans = append(spans, s)
			}
			left[s] = append(left[s], c)
		}
	}
	for _, s := range spans {
		h.Cameras, h.Span = left[s], s
		h.ID = HoldID(h)
		out = append(out, h)
	}
	return out
}

// CameraTime is cameras × time of the holds in force that count against their applicant. What two hold of one camera
// counts once. What is kept for a complaint does not count: a refused application must not prevent the narrower one
// that was asked for.
func CameraTime(holds []footage.Hold, now clock.Reading) time.Duration {
	spans := map[string][]footage.Span{}
	for _, h := range holds {
		if h.Reason == HoldComplaint || !h.Active(now) {
			continue
		}
		for _, c := range h.Cameras {
			spans[c] = append(spans[c], h.Span)
		}
	}
	var sum time.Duration
	for _, list := range spans {
		sum += covered(list)
	}
	return sum
}
