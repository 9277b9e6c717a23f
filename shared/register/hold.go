package register

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/shared/footage"
)

// Reasons of a hold; the catalogue has "hold.<code>".
const (
	HoldUndecided = "application" // waits for the decision
	HoldComplaint = "complaint"   // refused or revoked; may still be contested
	HoldUse       = "use"         // approved, in use, to be reported
)

// Holds is what the application holds in its present state: a function of the application alone, so that a
// change of state and the change of its holds can never disagree.
func Holds(a Application, r Rules, is SchoolDays) []footage.Hold {
	switch {
	case a.State.Undecided():
		return wantedHolds(a, AfterSchoolDays(a.Submitted, r.UndecidedDays, is), HoldUndecided)
	case a.State == Rejected:
		return wantedHolds(a, AfterSchoolDays(a.Ended, r.ComplaintDays, is), HoldComplaint)
	case a.Decision == nil || !a.Decision.Approved:
		return nil
	case a.State == Revoked:
		return decidedHolds(a, AfterSchoolDays(a.Ended, r.ComplaintDays, is), HoldComplaint)
	case slices.Contains([]State{Approved, Extracting, Delivered, InUse, ReportDue, Overdue, Reported, Accepted}, a.State):
		return decidedHolds(a, a.Decision.Until.Add(r.ReportDays+r.FilingDays).End(), HoldUse)
	}
	return nil
}

func wantedHolds(a Application, until time.Time, reason string) []footage.Hold {
	var out []footage.Hold
	for i, w := range a.Wanted {
		if len(w.Cameras) > 0 {
			out = append(out, hold(a, i, normal(w.Cameras), w.Span, until, reason))
		}
	}
	return out
}

func decidedHolds(a Application, until time.Time, reason string) []footage.Hold {
	var out []footage.Hold
	for i, s := range a.Decision.Spans {
		out = append(out, hold(a, i, a.approved(s), s, until, reason))
	}
	return out
}

func hold(a Application, i int, cameras []string, s footage.Span, until time.Time, reason string) footage.Hold {
	return footage.Hold{ID: fmt.Sprintf("h%s-%d", strings.TrimPrefix(a.ID, "a"), i+1), Application: a.ID,
		Cameras: cameras, Span: s, Since: a.Submitted, Until: until, Reason: reason}
}

// CameraTime is cameras × time of the holds in force at that instant.
func CameraTime(holds []footage.Hold, at time.Time) time.Duration {
	var sum time.Duration
	for _, h := range holds {
		if h.Active(at) {
			sum += time.Duration(len(h.Cameras)) * h.Span.Duration()
		}
	}
	return sum
}
