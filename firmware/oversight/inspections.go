package oversight

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	rules "campuskeep/shared/oversight"
)

// PlanDue is a plan with its last inspection and when the next is due.
type PlanDue struct {
	rules.Plan
	Rev  uint64            `json:"rev"`
	Last *rules.Inspection `json:"last,omitempty"` // submitted
	Due  time.Time         `json:"due,omitzero"`
}

// Plans lists the plans with what is due, the most urgent first; ended ones at the end.
func (o *Office) Plans() []PlanDue {
	last := map[string]rules.Inspection{}
	for _, i := range o.Inspections() {
		if !i.Submitted.IsZero() && i.Submitted.After(last[i.Plan].Submitted) {
			last[i.Plan] = i
		}
	}
	var out []PlanDue
	for _, p := range o.plans.all(func(a, b rules.Plan) int { return cmp.Compare(a.ID, b.ID) }) {
		d := PlanDue{Plan: p}
		if r, err := o.plans.get(p.ID); err == nil {
			d.Rev = r.rev
		}
		if i, ok := last[p.ID]; ok {
			d.Last = &i
		}
		d.Due = p.Due(last[p.ID].Submitted)
		out = append(out, d)
	}
	slices.SortStableFunc(out, func(a, b PlanDue) int { return cmp.Or(falseFirst(a.Ended, b.Ended), a.Due.Compare(b.Due)) })
	return out
}

// Plan by id, with its revision.
func (o *Office) Plan(id string) (rules.Plan, uint64, error) {
	r, err := o.plans.get(id)
	return r.value, r.rev, err
}

type planData struct {
	Cadence rules.Cadence `json:"cadence"`
	Items   int           `json:"items"`
	Ended   bool          `json:"ended,omitempty"`
}

// PutPlan makes a plan (empty id) or changes one. Errors: ErrNotFound, ledgerdb.ErrConflict, fielderr.Errors,
// *account.Refused.
func (o *Office) PutPlan(ctx context.Context, by account.Who, p rules.Plan, rev uint64) (rules.Plan, error) {
	d, err := o.o.Allow(ctx, by, account.ActInspectionPlan, account.Subject{})
	if err != nil {
		return p, err
	}
	if err := p.Check(); err != nil {
		return p, err
	}
	if p.ID == "" {
		p.ID, rev = "p-"+strings.ToLower(rand.Text()[:12]), 0
	} else if _, err := o.plans.get(p.ID); err != nil {
		return p, err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return p, fmt.Errorf("write down the plan: %w", err)
	}
	return p, o.commit(ctx, "plan "+p.ID, []pending{o.plans.write(p.ID, p, rev)},
		by.Draft("inspection.planned", d.Role, p.ID, planData{p.Cadence, len(p.Items), p.Ended}, sealed(p.ID, "plan", string(text))...))
}

// Inspections lists them all, the newest first.
func (o *Office) Inspections() []rules.Inspection {
	return o.inspections.all(func(a, b rules.Inspection) int { return cmp.Or(cmp.Compare(b.Year, a.Year), cmp.Compare(b.No, a.No)) })
}

// Inspection by id, with its revision.
func (o *Office) Inspection(id string) (rules.Inspection, uint64, error) {
	r, err := o.inspections.get(id)
	return r.value, r.rev, err
}

// BeginInspection begins one of a plan; one that the person has begun and not submitted goes on.
func (o *Office) BeginInspection(ctx context.Context, by account.Who, plan string) (rules.Inspection, error) {
	_, end, err := o.step(ctx, by, account.ActInspectionMake, account.Subject{})
	if err != nil {
		return rules.Inspection{}, err
	}
	defer end()
	p, err := o.plans.get(plan)
	if err != nil {
		return rules.Inspection{}, err
	}
	now := o.o.Clock.Now().Wall
	i := rules.Begin(p.value, by.ID, now)
	i.Year = now.In(o.o.Zone).Year()
	all := o.Inspections()
	for _, x := range all {
		if x.Plan == plan && x.By == by.ID && x.Submitted.IsZero() {
			return x, nil
		}
	}
	i.No = nextNo(all, i.Year, func(x rules.Inspection) (int, int) { return x.Year, x.No })
	i.ID = rules.InspectionID(i.Year, i.No)
	return i, o.commit(ctx, "inspection "+i.ID, []pending{o.inspections.write(i.ID, i, 0)})
}

// AnswerItem keeps the answer to one item. Answers to other items that came meanwhile stay: on a phone they come one by
// one, and again when the network was gone. Errors: ErrNotFound, *rules.Illegal, fielderr.Errors, *account.Refused.
func (o *Office) AnswerItem(ctx context.Context, by account.Who, id string, item int, a rules.Answer) (rules.Inspection, error) {
	_, end, err := o.step(ctx, by, account.ActInspectionMake, account.Subject{})
	if err != nil {
		return rules.Inspection{}, err
	}
	defer end()
	r, err := o.ownInspection(id, by, "answer")
	if err != nil {
		return r.value, err
	}
	i, err := r.value.Answered(item, a, o.o.Clock.Now().Wall)
	if err != nil {
		return r.value, err
	}
	return i, o.commit(ctx, "inspection "+id, []pending{o.inspections.write(id, i, r.rev)})
}

// ownInspection is an inspection that this person began.
func (o *Office) ownInspection(id string, by account.Who, step string) (record[rules.Inspection], error) {
	r, err := o.inspections.get(id)
	if err == nil && r.value.By != by.ID {
		err = &rules.Illegal{State: "begun", Step: step, Rule: "err.oversight.not_inspector"}
	}
	return r, err
}

type madeData struct {
	Plan  string `json:"plan"`
	Items int    `json:"items"`
	Bad   int    `json:"bad"`
}

// SubmitInspection ends an inspection and opens its findings, in one Change. Errors: ErrNotFound, *rules.Illegal,
// fielderr.Errors, *account.Refused.
func (o *Office) SubmitInspection(ctx context.Context, by account.Who, id string) (rules.Inspection, error) {
	role, end, err := o.step(ctx, by, account.ActInspectionMake, account.Subject{})
	if err != nil {
		return rules.Inspection{}, err
	}
	defer end()
	r, err := o.ownInspection(id, by, "submit")
	if err != nil {
		return r.value, err
	}
	i, found, err := r.value.Submit(o.o.Clock.Now().Wall)
	if err != nil {
		return r.value, err
	}
	rows := []pending{o.inspections.write(id, i, r.rev)}
	for _, f := range found { // at most rules.MaxItems
		f.ID = fmt.Sprintf("%s.%d", id, f.Item+1)
		rows = append(rows, o.findings.write(f.ID, f, 0))
	}
	text, err := json.Marshal(i)
	if err != nil {
		return r.value, fmt.Errorf("write down the inspection: %w", err)
	}
	return i, o.commit(ctx, "inspection "+id, rows,
		by.Draft("inspection.made", role, id, madeData{i.Plan, len(i.Items), len(found)}, sealed(id, "inspection", string(text))...))
}

// Findings lists them all: open ones first, the earliest due first.
func (o *Office) Findings() []rules.Finding {
	return o.findings.all(func(a, b rules.Finding) int {
		return cmp.Or(falseFirst(a.State == rules.Closed, b.State == rules.Closed), a.Due.Compare(b.Due), cmp.Compare(a.ID, b.ID))
	})
}

// Finding by id, with its revision.
func (o *Office) Finding(id string) (rules.Finding, uint64, error) {
	r, err := o.findings.get(id)
	return r.value, r.rev, err
}

type findingData struct {
	Step    string `json:"step"`
	Private bool   `json:"private,omitempty"`
}

// StepFinding takes a step of a finding. Errors: ErrNotFound, ledgerdb.ErrConflict, *rules.Illegal, fielderr.Errors,
// *account.Refused.
func (o *Office) StepFinding(ctx context.Context, by account.Who, id string, rev uint64, e rules.FindingEvent) (rules.Finding, error) {
	r, err := o.findings.get(id)
	if err != nil {
		return r.value, err
	}
	action := account.ActFindingCheck
	if e.Kind == rules.StepMend {
		action = account.ActFindingMend
	}
	d, err := o.o.Allow(ctx, by, action, account.Subject{Person: r.value.Owner})
	if err != nil {
		return r.value, err
	}
	if rev != r.rev {
		return r.value, fmt.Errorf("finding %s: %w", id, ledgerdb.ErrConflict)
	}
	e.By = by.ID
	f, err := r.value.Step(e, o.o.Clock.Now().Wall)
	if err != nil {
		return r.value, err
	}
	text := f.Steps[len(f.Steps)-1].Text
	if e.Kind == rules.StepPolice {
		text = strings.TrimSpace(f.Police.To + " " + f.Police.Receipt + "\n" + text)
	}
	return f, o.commit(ctx, "finding "+id, []pending{o.findings.write(id, f, rev)},
		by.Draft("finding.step", d.Role, id, findingData{e.Kind, f.Private}, sealed(f.Inspection, "text", text)...))
}

func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
