package usage

import (
	"slices"
	"time"
)

// State is the state of an application (design §7).
type State string

// The states. The catalogue has "state.<code>" for each.
const (
	Draft       State = "draft"
	Submitted   State = "submitted"
	Returned    State = "returned" // to the applicant, for changes
	UnderReview State = "under_review"
	AwaitSecond State = "awaiting_second"
	Approved    State = "approved" // fully or in part, see Decision.Part
	Extracting  State = "extracting"
	Delivered   State = "delivered"
	InUse       State = "in_use"
	ReportDue   State = "report_due"
	Overdue     State = "overdue" // the report
	Reported    State = "reported"
	Accepted    State = "accepted"
	Closed      State = "closed"
	Rejected    State = "rejected"
	Withdrawn   State = "withdrawn"
	Unavailable State = "unavailable" // the footage is not there
	Expired     State = "expired"     // not decided, or not used, in time
	Revoked     State = "revoked"
)

// AllStates in the order of the path, side exits last.
var AllStates = []State{Draft, Submitted, Returned, UnderReview, AwaitSecond, Approved, Extracting, Delivered, InUse,
	ReportDue, Overdue, Reported, Accepted, Closed, Rejected, Withdrawn, Unavailable, Expired, Revoked}

// Undecided says whether the security office still owes an answer, or the applicant a correction.
func (s State) Undecided() bool {
	return slices.Contains([]State{Submitted, Returned, UnderReview, AwaitSecond}, s)
}

// Ended says whether the path ends here.
func (s State) Ended() bool { return len(path[s]) == 0 }

// Plain is one of the five states that the applicant sees; the catalogue has "plain.<code>".
type Plain string

// The five.
const (
	PlainFill   Plain = "fill"   // yours to fill in or mend
	PlainWait   Plain = "wait"   // for the security office to decide
	PlainUse    Plain = "use"    // approved
	PlainReport Plain = "report" // yours to report
	PlainOver   Plain = "over"
)

// Plain maps the state to what the applicant sees.
func (s State) Plain() Plain {
	switch s {
	case Draft, Returned:
		return PlainFill
	case Submitted, UnderReview, AwaitSecond:
		return PlainWait
	case Approved, Extracting, Delivered, InUse:
		return PlainUse
	case ReportDue, Overdue, Reported:
		return PlainReport
	}
	return PlainOver
}

// EventKind names what happens to an application.
type EventKind string

// The events. The catalogue has "event.<code>" for each.
const (
	Submit  EventKind = "submit"
	Return  EventKind = "return" // the application for changes, or the report
	Review  EventKind = "review" // taken up, places narrowed to cameras
	Approve EventKind = "approve"
	Reject  EventKind = "reject"
	Retract EventKind = "withdraw"
	Missing EventKind = "unavailable" // nothing of the footage is left or ever was
	Expire  EventKind = "expire"
	Extract EventKind = "extract"
	Deliver EventKind = "deliver"
	Use     EventKind = "use" // a viewing begins
	Extend  EventKind = "extend"
	Revoke  EventKind = "revoke"
	Due     EventKind = "due"     // use is over, the report is awaited
	Late    EventKind = "overdue" // the report is
	File    EventKind = "report"
	Accept  EventKind = "accept" // the report
	Close   EventKind = "close"
)

// AllEvents in the order of the path.
var AllEvents = []EventKind{Submit, Return, Review, Approve, Reject, Retract, Missing, Expire, Extract, Deliver, Use, Extend,
	Revoke, Due, Late, File, Accept, Close}

// Event is what happens, by whom; only the fields that the kind needs are set.
type Event struct {
	Kind     EventKind
	By       string    // person id; empty when time itself or the appliance acts
	Text     string    // Return, Revoke: the reason in words
	Cameras  []string  // Review
	Decision *Decision // Approve, Reject, Extend
	Report   *Report   // File
}

// path is every transition there is. Where two targets are possible the first is the plain one; see Next.
var path = map[State]map[EventKind]State{
	Draft:       {Submit: Submitted, Retract: Withdrawn},
	Submitted:   {Return: Returned, Review: UnderReview, Retract: Withdrawn, Missing: Unavailable, Expire: Expired},
	Returned:    {Submit: Submitted, Retract: Withdrawn, Expire: Expired},
	UnderReview: {Review: UnderReview, Return: Returned, Approve: Approved, Reject: Rejected, Retract: Withdrawn, Missing: Unavailable, Expire: Expired},
	AwaitSecond: {Return: Returned, Approve: Approved, Reject: Rejected, Retract: Withdrawn, Missing: Unavailable, Expire: Expired},
	Approved:    {Use: InUse, Extract: Extracting, Extend: Approved, Retract: Withdrawn, Revoke: Revoked, Expire: Expired},
	Extracting:  {Use: Extracting, Extract: Extracting, Deliver: Delivered, Extend: Extracting, Revoke: Revoked, Due: ReportDue, Expire: Expired},
	Delivered:   {Use: InUse, Extract: Extracting, Deliver: Delivered, Extend: Delivered, Revoke: Revoked, Due: ReportDue, File: Reported},
	InUse:       {Use: InUse, Extract: Extracting, Deliver: InUse, Extend: InUse, Revoke: Revoked, Due: ReportDue, File: Reported},
	ReportDue:   {File: Reported, Late: Overdue},
	Overdue:     {File: Reported},
	Reported:    {Accept: Accepted, Return: ReportDue},
	Accepted:    {Close: Closed},
	Revoked:     {Due: ReportDue, File: Reported, Close: Closed},
}

// Allowed lists the events that the state admits, in the order of [AllEvents]; the page shows what is here
// and what May allows, nothing else.
func (s State) Allowed() []EventKind {
	var out []EventKind
	for _, e := range AllEvents {
		if _, ok := path[s][e]; ok {
			out = append(out, e)
		}
	}
	return out
}

// Illegal is the error of an event that does not fit.
type Illegal struct {
	State State
	Event EventKind
	Rule  string // key of the text catalogue
}

func (e *Illegal) Error() string {
	return "application " + string(e.State) + ", event " + string(e.Event) + ": " + e.Rule
}

// OfTime is the event that the passing of time alone brings: the end of an undecided application, of a use
// period, of the week for the report, of a complaint. ok is false when nothing is due. No term that counts from an
// instant which no trusted clock has told is over.
func OfTime(a Application, at time.Time, r Rules, is SchoolDays) (e Event, ok bool) {
	after := func(t time.Time) bool { return !t.IsZero() && !at.Before(t) }
	switch {
	case a.State.Undecided() && a.SubmittedIn == nil && after(AfterSchoolDays(a.Submitted, r.UndecidedDays, is)):
		return Event{Kind: Expire}, true
	case slices.Contains([]State{Approved, Extracting, Delivered, InUse}, a.State):
		switch {
		case a.Decision == nil || a.DecidedIn != nil || !after(a.useEnds(r, is)):
		case a.Used.IsZero() && a.State != Delivered && a.State != InUse:
			return Event{Kind: Expire}, true // nothing was ever seen or taken: there is nothing to report
		default:
			return Event{Kind: Due}, true
		}
	case a.State == ReportDue && after(a.ReportBy(r)):
		return Event{Kind: Late}, true
	case a.State == Accepted:
		return Event{Kind: Close}, true
	case a.State == Revoked && a.EndedIn == nil && after(AfterSchoolDays(a.Ended, r.ComplaintDays, is)):
		if a.Used.IsZero() {
			return Event{Kind: Close}, true
		}
		return Event{Kind: Due}, true // what was seen is reported (F15)
	}
	return Event{}, false
}

// useEnds is when the period of use is over. One that was over before it was approved, because the clock of that day
// was wrong, gives its applicant the time of an undecided application to ask again.
func (a Application) useEnds(r Rules, is SchoolDays) time.Time {
	end := a.Decision.Until.End()
	if !a.Decision.At.Before(end) {
		return AfterSchoolDays(a.Decision.At, r.UndecidedDays, is)
	}
	return end
}

// ReportBy is until when the report must be filed (F15); zero when nothing was approved.
func (a Application) ReportBy(r Rules) time.Time {
	if a.Decision == nil || !a.Decision.Approved {
		return time.Time{}
	}
	last := a.Decision.Until
	if a.Revoked != "" && !a.Ended.IsZero() {
		last = DateOf(a.Ended) // the use ended with the revocation
	}
	return last.Add(r.ReportDays).End()
}
