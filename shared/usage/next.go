package usage

import (
	"slices"
	"strings"
	"time"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
)

// Next is what becomes of the application through the event at that instant: the only place that knows the
// transitions. The given value is not changed. The error is *Illegal when the event does not fit the state or
// the person, fielderr.Errors when what it carries is at fault.
func Next(a Application, e Event, now clock.Reading) (Application, error) {
	at := now.Wall.UTC()
	to, ok := path[a.State][e.Kind]
	if !ok {
		return a, &Illegal{a.State, e.Kind, "err.state"}
	}
	if rule := person(a, e); rule != "" {
		return a, &Illegal{a.State, e.Kind, rule}
	}
	b := a
	b.State = to
	var faults fielderr.Errors
	switch e.Kind {
	case Submit:
		b.Submitted, b.Returned, b.Cameras, b.Reviewer, b.Decision = at, "", nil, "", nil
		b = b.withoutSecond()
		b.SubmittedIn, b.DecidedIn = unsure(now), nil
	case Return:
		requireText(&faults, "text", e.Text)
		b.Returned = e.Text
		if a.State != Reported {
			b.Decision, b.DecidedIn = nil, nil
			b = b.withoutSecond()
		}
	case Review:
		b.Cameras, b.Reviewer = normal(e.Cameras), e.By
		if len(b.Cameras) == 0 {
			faults.Add("cameras", "err.required")
		}
	case Approve:
		if b, faults = approve(a, e, at); a.State != AwaitSecond {
			b.DecidedIn = unsure(now)
		}
	case Reject:
		d := Decision{By: e.By, At: at}
		if e.Decision == nil || !slices.Contains(AllRejections, e.Decision.Code) {
			faults.Add("code", "err.choice")
		} else {
			d.Code, d.Note = e.Decision.Code, e.Decision.Note
			requireText(&faults, "note", d.Note)
		}
		b.Decision, b.DecidedIn = &d, unsure(now)
		b = b.withoutSecond()
	case Use:
		if a.Used.IsZero() {
			b.Used = at
		}
	case Extract:
		if !a.Decision.allows(WayPackage) {
			return a, &Illegal{a.State, e.Kind, "err.no_package"}
		}
	case Extend:
		b, faults = extend(a, e, at)
	case Revoke:
		b.Revoked = e.Text
		requireText(&faults, "text", e.Text)
	case File:
		b.Report, faults = report(e, at)
		b.Returned = ""
	}
	if err := faults.Err(); err != nil {
		return a, err
	}
	if to.Ended() || to == Revoked {
		b.Ended, b.EndedIn = at, unsure(now)
	}
	return b, nil
}

// person checks what hangs on who acts. Permission by role is account.May's; that nobody decides on their own
// application, or agrees with themselves, holds here whatever their role.
func person(a Application, e Event) string {
	switch e.Kind {
	case Submit, Retract, File:
		if e.By != a.Applicant {
			return "err.not_applicant"
		}
	case Close:
		if e.By != "" && e.By == a.Applicant { // time alone may close
			return "err.own_application"
		}
	case Return, Review, Approve, Reject, Extract, Deliver, Extend, Revoke, Accept:
		if e.By == "" {
			return "err.nobody"
		}
		if e.By == a.Applicant {
			return "err.own_application"
		}
	}
	if e.Kind == Approve && a.State == AwaitSecond && a.Decision != nil && e.By == a.Decision.By {
		return "err.same_approver"
	}
	// A copy has a reviewer and an approver, also when its time is extended; what the office itself applies for is decided by a leader alone.
	if (e.Kind == Approve && a.State == UnderReview || e.Kind == Extend) && a.AsksCopy() && !a.OfOffice && e.By == a.Reviewer {
		return "err.reviewer_approves"
	}
	return ""
}

// withoutSecond forgets that two were to approve.
func (a Application) withoutSecond() Application {
	a.First, a.Second, a.SecondAt, a.SecondNote = nil, "", time.Time{}, ""
	return a
}

func approve(a Application, e Event, at time.Time) (Application, fielderr.Errors) {
	b := a
	var d Decision
	if e.Decision != nil {
		d = *e.Decision
	}
	d.By, d.At, d.Approved, d.Code = e.By, at, true, ""
	d.Cameras = normal(d.Cameras)
	bounds := Decision{Cameras: a.Cameras, Ways: a.Ways, From: a.UseFrom, Until: a.UseUntil}
	for _, w := range a.Wanted {
		bounds.Spans = append(bounds.Spans, w.Span)
	}
	if a.State == AwaitSecond { // the second decides on what the first approved, and may give less
		first := *a.Decision
		bounds = first
		b.First, b.Second, b.SecondAt, b.SecondNote = &first, e.By, at, d.Note
		d.By, d.At, d.Note = first.By, first.At, first.Note
	}
	faults := within(bounds, d, at)
	b.Decision, b.State = &d, Approved
	// A span at places none of whose cameras were approved is not approved either.
	d.Spans = slices.DeleteFunc(slices.Clone(d.Spans), func(s footage.Span) bool { return len(b.approved(s)) == 0 })
	if len(faults) == 0 && len(d.Spans) == 0 {
		faults.Add("spans", "err.required")
	}
	d.Part = partial(a, d)
	if a.NeedsSecond() && a.State != AwaitSecond {
		b.State = AwaitSecond
	}
	return b, faults
}

// within checks that a decision gives no more than was asked for, or than the first of two approved.
func within(bounds, d Decision, at time.Time) fielderr.Errors {
	var faults fielderr.Errors
	switch {
	case len(d.Cameras) == 0:
		faults.Add("cameras", "err.required")
	case slices.ContainsFunc(d.Cameras, func(c string) bool { return !slices.Contains(bounds.Cameras, c) }):
		faults.Add("cameras", "err.not_asked")
	}
	if len(d.Spans) == 0 {
		faults.Add("spans", "err.required")
	}
	for _, s := range d.Spans {
		if !s.From.Before(s.To) {
			faults.Add("spans", "err.from_after_to")
			break
		}
		if !slices.ContainsFunc(bounds.Spans, func(b footage.Span) bool { return !s.From.Before(b.From) && !s.To.After(b.To) }) {
			faults.Add("spans", "err.not_asked")
			break
		}
	}
	switch {
	case len(d.Ways) == 0:
		faults.Add("ways", "err.required")
	case slices.ContainsFunc(d.Ways, func(w Way) bool { return !slices.Contains(bounds.Ways, w) }):
		faults.Add("ways", "err.not_asked")
	}
	switch {
	case !d.From.Valid():
		faults.Add("from", "err.date")
	case !d.Until.Valid():
		faults.Add("until", "err.date")
	case d.Until < d.From:
		faults.Add("until", "err.from_after_to")
	case d.From < bounds.From || d.Until > bounds.Until:
		faults.Add("until", "err.not_asked")
	case !at.Before(d.Until.End()):
		faults.Add("until", "err.in_past")
	}
	return faults
}

// partial says whether the decision gives less than was asked for. Narrowing places to cameras is not less.
func partial(a Application, d Decision) bool {
	return len(d.Cameras) < len(a.Cameras) || len(d.Ways) < len(a.Ways) || d.Until < a.UseUntil || d.From > a.UseFrom ||
		slices.ContainsFunc(a.Wanted, func(w RequestedSpan) bool { return !slices.Contains(d.Spans, w.Span) })
}

// extend changes the end of use and nothing else, with a reason.
func extend(a Application, e Event, at time.Time) (Application, fielderr.Errors) {
	var faults fielderr.Errors
	d := *a.Decision
	if e.Decision == nil || !e.Decision.Until.Valid() {
		faults.Add("until", "err.date")
		return a, faults
	}
	switch {
	case e.Decision.Until <= d.Until:
		faults.Add("until", "err.not_later")
	case len(a.Extensions) == MaxExtensions:
		faults.Add("until", "err.extensions", MaxExtensions)
	}
	requireText(&faults, "note", e.Decision.Note)
	x := Extension{By: e.By, At: at, Was: d.Until, Until: e.Decision.Until, Note: e.Decision.Note}
	d.Until = x.Until
	a.Decision, a.Extensions = &d, append(slices.Clone(a.Extensions), x)
	return a, faults
}

// MaxExtensions is how often the use of one application is extended; who needs more applies again.
const MaxExtensions = 6

func report(e Event, at time.Time) (*Report, fielderr.Errors) {
	var faults fielderr.Errors
	if e.Report == nil {
		faults.Add("result", "err.required")
		return nil, faults
	}
	r := *e.Report
	r.At = at
	if !slices.Contains([]string{"found", "nothing_found", "not_used"}, r.Result) {
		faults.Add("result", "err.choice")
	}
	if !slices.Contains([]string{"none", "destroyed", "returned"}, r.Copies) {
		faults.Add("copies", "err.choice")
	}
	if r.Result == "found" {
		requireText(&faults, "text", r.Text)
	}
	return &r, faults
}

func (d *Decision) allows(w Way) bool { return d != nil && d.Approved && slices.Contains(d.Ways, w) }

func requireText(faults *fielderr.Errors, field, text string) {
	if strings.TrimSpace(text) == "" {
		faults.Add(field, "err.required")
		return
	}
	checkText(faults, field, text, maxReason)
}

// normal sorts a copy and drops repetitions.
func normal(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}

// covered is the time of the spans, overlaps counted once.
func covered(spans []footage.Span) time.Duration {
	s := slices.Clone(spans)
	slices.SortFunc(s, func(x, y footage.Span) int { return x.From.Compare(y.From) })
	var sum time.Duration
	var end time.Time
	for _, x := range s {
		if x.From.Before(end) {
			x.From = end
		}
		if x.To.After(x.From) {
			sum += x.Duration()
			end = x.To
		}
	}
	return sum
}
