package account

import (
	"slices"
	"time"
)

// May answers whether the actor may do the action to the subject at that instant. Nothing is allowed that
// [table] does not allow (F12). A refusal names the rule that forbids it as a key of the text catalogue;
// an allowance names the role and the basis under which it is logged.
func May(actor Actor, action Action, subject Subject, at time.Time) Decision {
	if action == ActPublic {
		return Decision{Allowed: true, Reason: "public"}
	}
	if actor.ID == "" {
		return Decision{Reason: "may.not_logged_in"}
	}
	refused := Decision{Reason: "may.role"}
	for _, line := range table[action] {
		for _, role := range line.roles {
			if !actor.Has(role) {
				continue
			}
			d := line.decide(actor, role, action, subject, at)
			if d.Allowed {
				return d
			}
			refused = d
		}
	}
	return refused
}

// Refused is the error of a refused action; the caller answers 403 with the text of Reason.
type Refused struct {
	Action Action
	Reason string // key of the text catalogue
}

func (r *Refused) Error() string { return "refused: " + string(r.Action) + ": " + r.Reason }

// Err is the refusal as an error, nil when the decision allows.
func (d Decision) Err(action Action) error {
	if d.Allowed {
		return nil
	}
	return &Refused{Action: action, Reason: d.Reason}
}

// rule says for some roles under which conditions an action is theirs. All conditions must hold.
type rule struct {
	roles []Role
	basis string // how the allowance is named in the log
	when  []condition
}

func (l rule) decide(a Actor, role Role, action Action, s Subject, at time.Time) Decision {
	if slices.Contains(duty, role) && !slices.Contains(oneFactorIsEnough, action) && !a.SecondFactor {
		return Decision{Reason: "may.second_factor"}
	}
	for _, c := range l.when {
		if reason := c(a, s, at); reason != "" {
			return Decision{Reason: reason}
		}
	}
	d := Decision{Allowed: true, Role: role, Reason: l.basis}
	if l.basis == basisGrant {
		g, _ := a.grantFor(s, at)
		d.Grant = g.Application
	}
	return d
}

// A condition gives the reason why not, or nothing when it holds.
type condition func(Actor, Subject, time.Time) string

func ownPage(a Actor, s Subject, _ time.Time) string {
	if s.Person != a.ID {
		return "may.not_own"
	}
	return ""
}

// inUnit: one speaks for one's own unit.
func inUnit(a Actor, s Subject, _ time.Time) string {
	if s.Unit == "" || !slices.Contains(a.Units, s.Unit) {
		return "may.not_unit"
	}
	return ""
}

// otherPerson: nobody changes their own rights (M3).
func otherPerson(a Actor, s Subject, _ time.Time) string {
	if s.Person == a.ID {
		return "may.own_rights"
	}
	return ""
}

func applicant(a Actor, s Subject, _ time.Time) string {
	if s.Applicant != a.ID {
		return "may.not_applicant"
	}
	return ""
}

// applicantOrNew: a new application is one's own; a returned one is mended by its applicant only.
func applicantOrNew(a Actor, s Subject, at time.Time) string {
	if s.Applicant == "" {
		return ""
	}
	return applicant(a, s, at)
}

// notApplicant: nobody handles their own application, whatever their duty (design §7).
func notApplicant(a Actor, s Subject, _ time.Time) string {
	if s.Applicant == "" {
		return "may.no_applicant"
	}
	if s.Applicant == a.ID {
		return "may.own_application"
	}
	return ""
}

// notOffice: what the security office itself applies for goes to a school leader (design §7).
func notOffice(_ Actor, s Subject, _ time.Time) string {
	if s.OfOffice {
		return "may.office_application"
	}
	return ""
}

// installing: a picture without a footage purpose is for aiming a new camera, or mending one, and for nothing else.
func installing(_ Actor, s Subject, _ time.Time) string {
	if !s.Installing {
		return "may.not_installing"
	}
	return ""
}

func purpose(_ Actor, s Subject, _ time.Time) string {
	if !s.Purpose {
		return "may.no_purpose"
	}
	return ""
}

// signed: no record opens without an agreement on confidentiality and the training on file (S36).
func signed(_ Actor, s Subject, _ time.Time) string {
	if !s.Signed {
		return "may.not_signed"
	}
	return ""
}

func onShift(a Actor, _ Subject, _ time.Time) string {
	if !a.OnShift {
		return "may.not_on_shift"
	}
	return ""
}

// shiftIfLive: what a viewing delivers live needs what opening it needed.
func shiftIfLive(a Actor, s Subject, at time.Time) string {
	if s.Way == WayLive {
		return onShift(a, s, at)
	}
	return ""
}

func recorded(_ Actor, s Subject, _ time.Time) string {
	if s.Way == WayLive {
		return "may.live_shift_only"
	}
	return ""
}

// viewOnly: duty lets one look; a copy always needs an approved application (F14).
func viewOnly(_ Actor, s Subject, _ time.Time) string {
	if s.Way != WayView {
		return "may.copy_needs_application"
	}
	return ""
}

// stillOnly: what a viewing shows is not a picture to keep.
func stillOnly(_ Actor, s Subject, _ time.Time) string {
	if s.Way != WayStill {
		return "may.still_needs_application"
	}
	return ""
}

func inGrant(a Actor, s Subject, at time.Time) string {
	_, reason := a.grantFor(s, at)
	return reason
}

func inClass(a Actor, s Subject, _ time.Time) string {
	if s.Class == "" || !slices.Contains(a.Classes, s.Class) {
		return "may.not_own_class"
	}
	return ""
}

// shortLeave: from three school days on the grade head approves a leave.
func shortLeave(_ Actor, s Subject, _ time.Time) string {
	if s.Long {
		return "may.long_leave"
	}
	return ""
}

// recentDay: a class teacher corrects the days of the last week; earlier ones the grade head does.
func recentDay(_ Actor, s Subject, at time.Time) string {
	if !s.From.IsZero() && at.Sub(s.From) > 8*24*time.Hour {
		return "may.correct_days"
	}
	return ""
}

// grantFor finds the grant that covers camera, span, way and instant. The reason is that of the grant
// which came nearest, so that the page can say what to apply for.
func (a Actor) grantFor(s Subject, at time.Time) (Grant, string) {
	reason, nearest := "may.no_grant", 0
	for _, g := range a.Grants {
		why, passed := g.covers(a.ID, s, at)
		if why == "" {
			return g, ""
		}
		if passed > nearest {
			reason, nearest = why, passed
		}
	}
	return Grant{}, reason
}

// covers gives the reason why the grant does not allow it, and how many of its limits were met before.
func (g Grant) covers(person string, s Subject, at time.Time) (string, int) {
	switch {
	case g.Application == "" || g.Person != person:
		return "may.no_grant", 0
	case s.Application != "" && s.Application != g.Application:
		return "may.no_grant", 0
	case !slices.Contains(g.Cameras, s.Camera):
		return "may.camera_not_granted", 1
	case !s.From.Before(s.To) || s.From.Before(g.From) || s.To.After(g.To):
		return "may.span_not_granted", 2
	case !slices.Contains(g.Ways, s.Way):
		return "may.way_not_granted", 3
	case at.Before(g.Since):
		return "may.grant_not_begun", 4
	case !at.Before(g.Until):
		return "may.grant_over", 4
	}
	return "", 5
}
