package oversight

import (
	"cmp"
	"context"
	"errors"
	"time"

	"campuskeep/shared/account"
	rules "campuskeep/shared/oversight"
	usagerules "campuskeep/shared/usage"
)

// Violations lists them all, the newest first.
func (o *Office) Violations() []rules.Violation {
	return o.violations.all(func(a, b rules.Violation) int { return cmp.Or(cmp.Compare(b.Year, a.Year), cmp.Compare(b.No, a.No)) })
}

// Violation by id.
func (o *Office) Violation(id string) (rules.Violation, error) {
	r, err := o.violations.get(id)
	return r.value, err
}

type openedData struct {
	Code        rules.ViolationCode `json:"code"`
	Person      string              `json:"person,omitempty"`
	Application string              `json:"application,omitempty"`
}

type stepData struct {
	Step    string        `json:"step"`
	Measure rules.Measure `json:"measure,omitempty"`
	Grave   bool          `json:"grave,omitempty"`
}

// OpenViolation opens a violation; v says what, whose and under which application. Errors: fielderr.Errors,
// *account.Refused.
func (o *Office) OpenViolation(ctx context.Context, by account.Who, v rules.Violation) (rules.Violation, error) {
	role, end, err := o.step(ctx, by, account.ActViolationOpen, account.Subject{Person: v.Person})
	if err != nil {
		return v, err
	}
	defer end()
	v.By = by.ID
	return o.openViolation(ctx, by, role, v)
}

// openViolation: the caller holds stepMu.
func (o *Office) openViolation(ctx context.Context, by account.Who, role account.Role, v rules.Violation) (rules.Violation, error) {
	now := o.o.Clock.Now().Wall
	v, err := rules.Open(v, now, o.o.Settings())
	if err != nil {
		return v, err
	}
	v.Year = now.In(o.o.Zone).Year()
	v.No = nextNo(o.Violations(), v.Year, func(x rules.Violation) (int, int) { return x.Year, x.No })
	v.ID = rules.ViolationID(v.Year, v.No)
	return v, o.commit(ctx, "violation "+v.ID, []pending{o.violations.write(v.ID, v, 0)},
		by.Draft("violation.opened", role, v.ID, openedData{v.Code, v.Person, v.Application}, sealed(v.ID, "facts", v.Facts)...))
}

// actionOf is the permission that a step of a violation needs.
var actionOf = map[string]account.Action{
	rules.StepHear: account.ActViolationHear, rules.StepNote: account.ActViolationOpen, rules.StepDecide: account.ActViolationDecide,
	rules.StepAppeal: account.ActViolationAppeal, rules.StepSettle: account.ActViolationDecide,
}

// StepViolation takes a step of a violation. rev is the revision of the page that it was made on. Errors: ErrNotFound,
// ledgerdb.ErrConflict, *rules.Illegal, fielderr.Errors, *account.Refused.
func (o *Office) StepViolation(ctx context.Context, by account.Who, id string, rev uint64, e rules.ViolationEvent) (rules.Violation, error) {
	r, err := o.violations.get(id)
	if err != nil {
		return r.value, err
	}
	action, ok := actionOf[e.Kind]
	if !ok {
		return r.value, &rules.Illegal{State: string(r.value.State), Step: e.Kind, Rule: "err.oversight.state"}
	}
	role, end, err := o.step(ctx, by, action, account.Subject{Person: r.value.Person})
	if err != nil {
		return r.value, err
	}
	defer end()
	e.By = by.ID
	next, err := rules.Next(r.value, e, o.o.Clock.Now().Wall, o.o.Settings())
	if err != nil {
		return r.value, err
	}
	return next, o.writeStep(ctx, by, role, next, rev, e.Kind)
}

func (o *Office) writeStep(ctx context.Context, by account.Who, role account.Role, v rules.Violation, rev uint64, kind string) error {
	data := stepData{Step: kind}
	if r := v.InForce(); r != nil && (kind == rules.StepDecide || kind == rules.StepSettle) {
		data.Measure, data.Grave = r.Measure, r.Grave
	}
	return o.commit(ctx, "violation "+v.ID, []pending{o.violations.write(v.ID, v, rev)},
		by.Draft("violation.step", role, v.ID, data, sealed(v.ID, "text", v.Steps[len(v.Steps)-1].Text)...))
}

// ViolationRev is a violation with the revision that a form must carry.
func (o *Office) ViolationRev(id string) (rules.Violation, uint64, error) {
	r, err := o.violations.get(id)
	return r.value, r.rev, err
}

// openOverdue opens a violation for each report of use that is overdue, once (F15). Late filing does not close it.
func (o *Office) openOverdue(ctx context.Context) (err error) {
	if o.o.Applications == nil {
		return nil
	}
	o.stepMu.Lock()
	defer o.stepMu.Unlock()
	known := map[string]bool{}
	for _, v := range o.Violations() {
		if v.Code == rules.LateReport {
			known[v.Application] = true
		}
	}
	for _, a := range o.o.Applications() {
		if a.State != usagerules.Overdue || known[a.ID] {
			continue
		}
		_, e := o.openViolation(ctx, account.System, "", rules.Violation{Code: rules.LateReport, Person: a.Applicant, Application: a.ID, Facts: a.Number()})
		err = errors.Join(err, e)
	}
	return err
}

// lapseAppeals ends the violations whose term of appeal is over.
func (o *Office) lapseAppeals(ctx context.Context, now time.Time) (err error) {
	o.stepMu.Lock()
	defer o.stepMu.Unlock()
	for _, v := range o.Violations() {
		if !rules.Lapses(v, now) {
			continue
		}
		r, e := o.violations.get(v.ID)
		if e == nil {
			var next rules.Violation
			if next, e = rules.Next(r.value, rules.ViolationEvent{Kind: rules.StepLapse}, now, o.o.Settings()); e == nil {
				e = o.writeStep(ctx, account.System, "", next, r.rev, rules.StepLapse)
			}
		}
		err = errors.Join(err, e)
	}
	return err
}
