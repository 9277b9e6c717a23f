// Package usage holds the rules of the register of footage use: what an application says, which states it goes
// through, what it may ask for, what it holds, and which numbers its documents carry (F4–F9, F14–F18).
//
// It owns nothing and does no I/O: every rule is a function of values and an instant, so that the school and
// the centre come to the same answer. Nobody but [Next] may change an application's state.
package usage

import (
	"slices"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// Application is 《视频监控信息使用申请表》 and what became of it. It holds personal text: its row is sealed.
type Application struct {
	ID    string `json:"id"` // a2026-0001; given at submission
	Year  int    `json:"year"`
	No    int    `json:"no"`
	State State  `json:"state"`

	Applicant string `json:"applicant"` // person id
	OfOffice  bool   `json:"of_office"` // the applicant belongs to the security office: a school leader decides
	Unit      string `json:"unit"`
	Contact   string `json:"contact"`

	Purpose  Purpose         `json:"purpose"`
	Reason   string          `json:"reason"` // what happened, where, what is to be found out
	Ways     []Way           `json:"ways"`
	Wanted   []RequestedSpan `json:"wanted"`
	UseFrom  Date            `json:"use_from"`  // first day of use
	UseUntil Date            `json:"use_until"` // last day of use

	Recipients   []Recipient   `json:"recipients"`
	Publication  bool          `json:"publication,omitempty"` // is to be shown in public
	Identified   bool          `json:"identified,omitempty"`  // an identified pupil is the subject
	Undertakings []Undertaking `json:"undertakings"`
	Attachments  []string      `json:"attachments,omitempty"` // file ids

	Key       string    `json:"key,omitempty"`      // of the form: the same form sent twice is one application
	Submitted time.Time `json:"submitted,omitzero"` // the latest submission
	Cameras   []string  `json:"cameras,omitempty"`  // narrowed from places at review
	Reviewer  string    `json:"reviewer,omitempty"`
	Returned  string    `json:"returned,omitempty"` // what is to be corrected, in the application or in the report
	Decision  *Decision `json:"decision,omitempty"`
	Second    string    `json:"second,omitempty"` // who approved second when two must; the first is Decision.By
	SecondAt  time.Time `json:"second_at,omitzero"`
	// What the first of two approved, when the second has agreed; Decision is then what both approved.
	First      *Decision `json:"first,omitempty"`
	SecondNote string    `json:"second_note,omitempty"`

	Extensions []Extension `json:"extensions,omitempty"` // of the period of use, each a decision of its own

	Used    time.Time `json:"used,omitzero"` // first viewing
	Report  *Report   `json:"report,omitempty"`
	Revoked string    `json:"revoked,omitempty"` // why
	Ended   time.Time `json:"ended,omitzero"`    // since when nothing more is to be done, or only filing

	// Set while Submitted, Decision.At and Ended are what a clock claimed that was not trusted: see [Dated].
	SubmittedIn *clock.Stamp `json:"submitted_in,omitempty"`
	DecidedIn   *clock.Stamp `json:"decided_in,omitempty"`
	EndedIn     *clock.Stamp `json:"ended_in,omitempty"`
}

// RequestedSpan is one place for one span, as the applicant thinks of it.
type RequestedSpan struct {
	Place   string       `json:"place"`
	Span    footage.Span `json:"span"`
	Cameras []string     `json:"cameras,omitempty"` // in service there at submission; what is held and may be approved
}

// Recipient is one named person who will see the footage (F9).
type Recipient struct {
	Name     string `json:"name"`
	Unit     string `json:"unit"`
	Person   string `json:"person,omitempty"`  // person id of one of ours
	Document string `json:"papers,omitempty"`  // staff number, badge, identity paper
	Outside  bool   `json:"outside,omitempty"` // not of this school
}

// Way is a way of use; what is not asked for is not allowed.
type Way string

// The ways that can be applied for. The codes are those of the permission table.
const (
	WayView    Way = account.WayView
	WayStill   Way = account.WayStill // with WayView: single pictures of what is watched
	WayPackage Way = account.WayPackage
)

// OfferedWays are those that the appliance can give.
var OfferedWays = []Way{WayView, WayStill, WayPackage}

// AllWays in the order of the form.
var AllWays = []Way{WayView, WayStill, WayPackage}

// Purpose is the code of a purpose on the form. Its text is the catalogue's "purpose.<code>".
type Purpose string

// AllPurposes in the order of the form: public security, injury, lost property, damage, school management,
// authorities, drills and emergencies, other.
var AllPurposes = []Purpose{"01", "02", "03", "04", "05", "06", "07", "09"}

// Undertaking is the code of a promise on the form (F8). Its text is the catalogue's "undertaking.<code>".
type Undertaking string

// AllUndertakings must every one be accepted: only this purpose, no copies or passing on, report a leak at
// once, file the report within a week.
var AllUndertakings = []Undertaking{"purpose", "no_copy", "leak", "report"}

// Decision is what the security office or a leader decided.
type Decision struct {
	By       string         `json:"by"`
	At       time.Time      `json:"at,omitzero"`
	Approved bool           `json:"approved"`
	Part     bool           `json:"part,omitempty"`    // less than was asked for
	Cameras  []string       `json:"cameras,omitempty"` // approved
	Spans    []footage.Span `json:"spans,omitempty"`   // approved
	Ways     []Way          `json:"ways,omitempty"`    // approved
	From     Date           `json:"from,omitempty"`
	Until    Date           `json:"until,omitempty"` // last day of use
	Code     string         `json:"code,omitempty"`  // of a refusal: catalogue "reject.<code>"
	Note     string         `json:"note,omitempty"`  // conditions, or the reason in words
	Year     int            `json:"year,omitempty"`  // of the approval notice's number
	No       int            `json:"no,omitempty"`
}

// Extension is a decision on time alone: the use may go on until a later day.
type Extension struct {
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	Was   Date      `json:"was"`
	Until Date      `json:"until"`
	Note  string    `json:"note"` // why
}

// AllRejections are the codes of a refusal, each "reject.<code>" in the catalogue.
var AllRejections = []string{"purpose", "not_needed", "too_wide", "papers", "privacy", "gone", "other"}

// Report is 《视频监控信息使用报告》 (F15).
type Report struct {
	At     time.Time `json:"at"`
	Result string    `json:"result"` // code: found, nothing_found, not_used
	Text   string    `json:"text,omitempty"`
	Copies string    `json:"copies"` // code: none, destroyed, returned
}

// Spans are the wanted spans, one per place and time, oldest first, each once.
func (a Application) Spans() []footage.Span {
	var out []footage.Span
	for _, w := range a.Wanted {
		if !slices.Contains(out, w.Span) {
			out = append(out, w.Span)
		}
	}
	slices.SortFunc(out, func(x, y footage.Span) int { return x.From.Compare(y.From) })
	return out
}

// Places are the wanted places, each once, in the order of the form.
func (a Application) Places() []string {
	var out []string
	for _, w := range a.Wanted {
		if !slices.Contains(out, w.Place) {
			out = append(out, w.Place)
		}
	}
	return out
}

// Asks says whether the way is applied for.
func (a Application) Asks(w Way) bool { return slices.Contains(a.Ways, w) }

// AsksCopy says whether something is to leave the screen: a package, or single pictures.
func (a Application) AsksCopy() bool { return a.Asks(WayPackage) || a.Asks(WayStill) }

// NeedsSecond says whether a second approver must agree: recipients outside the school, publication, or an
// identified pupil as the subject (design §7).
func (a Application) NeedsSecond() bool {
	return a.Publication || a.Identified || slices.ContainsFunc(a.Recipients, func(r Recipient) bool { return r.Outside })
}

// approved are the decision's cameras that are where this span was wanted: two places at two times are not two
// places at both times.
func (a Application) approved(s footage.Span) []string {
	var out []string
	for _, w := range a.Wanted {
		if s.From.Before(w.Span.From) || s.To.After(w.Span.To) {
			continue
		}
		for _, c := range w.Cameras {
			if slices.Contains(a.Decision.Cameras, c) {
				out = append(out, c)
			}
		}
	}
	return normal(out)
}

// Granted is one approved span with the cameras that may be seen in it.
type Granted struct {
	Span    footage.Span
	Cameras []string
}

// Granted is what the decision gives, exactly: each approved span with those of the approved cameras that were asked
// for in it. Page, notice, entry, hold and permission are all made of it. Nil when nothing was approved.
func (a Application) Granted() []Granted {
	if a.Decision == nil || !a.Decision.Approved {
		return nil
	}
	var out []Granted
	for _, s := range a.Decision.Spans {
		out = append(out, Granted{s, a.approved(s)})
	}
	return out
}

// In are the decision's cameras that were asked for in a span.
func (d Decision) In(a Application, s footage.Span) []string {
	a.Decision = &d
	return a.approved(s)
}

// Grants are what the application allows its applicant: nothing unless it is approved.
func (a Application) Grants() []account.Grant {
	d := a.Decision
	if d == nil || !d.Approved || !slices.Contains([]State{Approved, Extracting, Delivered, InUse}, a.State) {
		return nil
	}
	var out []account.Grant
	for _, s := range a.Granted() {
		g := account.Grant{Application: a.ID, Person: a.Applicant, Cameras: s.Cameras,
			From: s.Span.From, To: s.Span.To, Since: d.From.Begin(), Until: d.Until.End()}
		for _, w := range d.Ways {
			g.Ways = append(g.Ways, string(w))
		}
		out = append(out, g)
	}
	return out
}
