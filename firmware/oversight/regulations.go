package oversight

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"campuskeep/shared/account"
	rules "campuskeep/shared/oversight"
)

// Regulations lists all versions: by regulation, the newest version first.
func (o *Office) Regulations() []rules.Regulation {
	return o.regulations.all(func(a, b rules.Regulation) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(b.Version, a.Version))
	})
}

// Regulation is one version, with its revision.
func (o *Office) Regulation(id string) (rules.Regulation, uint64, error) {
	r, err := o.regulations.get(id)
	return r.value, r.rev, err
}

type regulationData struct {
	Step    string `json:"step"`
	Version int    `json:"version"`
}

// DraftRegulation writes a draft: a new regulation (no ID, no Name), a new version of one (Name), or another text of a
// draft (ID). Errors: ErrNotFound, ledgerdb.ErrConflict, *rules.Illegal, fielderr.Errors, *account.Refused.
func (o *Office) DraftRegulation(ctx context.Context, by account.Who, r rules.Regulation, rev uint64) (rules.Regulation, error) {
	role, end, err := o.step(ctx, by, account.ActRegulationEdit, account.Subject{})
	if err != nil {
		return r, err
	}
	defer end()
	if r.ID != "" {
		was, err := o.regulations.get(r.ID)
		if err != nil {
			return r, err
		}
		if was.value.State != rules.Drafted {
			return r, &rules.Illegal{State: string(was.value.State), Step: "draft", Rule: "err.oversight.state"}
		}
		title, text, changes := r.Title, r.Text, r.Changes
		r = was.value
		r.Title, r.Text, r.Changes = title, text, changes
	} else {
		rev, r.Version = 0, 1
		known := r.Name == ""
		for _, x := range o.Regulations() {
			if x.Name != r.Name || r.Name == "" {
				continue
			}
			known = true
			if x.State == rules.Drafted || x.State == rules.Reviewed || x.State == rules.Announced {
				return r, &rules.Illegal{State: string(x.State), Step: "draft", Rule: "err.oversight.version_open"}
			}
			r.Version = max(r.Version, x.Version+1)
		}
		if !known {
			return r, ErrNotFound
		}
		if r.Name == "" {
			r.Name = strings.ToLower(rand.Text()[:8])
		}
		r.ID, r.State = rules.RegulationID(r.Name, r.Version), rules.Drafted
	}
	r.By, r.Written = by.ID, o.o.Clock.Now().Wall
	if err := r.Check(); err != nil {
		return r, err
	}
	return r, o.commit(ctx, "regulation "+r.ID, []pending{o.regulations.write(r.ID, r, rev)},
		by.Draft("regulation.step", role, r.ID, regulationData{"draft", r.Version}, sealed(r.ID, "text", r.Title+"\n\n"+r.Text)...))
}

// StepRegulation takes a step of a version. Errors: ErrNotFound, ledgerdb.ErrConflict, *rules.Illegal, fielderr.Errors,
// *account.Refused.
func (o *Office) StepRegulation(ctx context.Context, by account.Who, id string, rev uint64, e rules.RegulationEvent) (rules.Regulation, error) {
	d, err := o.o.Allow(ctx, by, account.ActRegulationEdit, account.Subject{})
	if err != nil {
		return rules.Regulation{}, err
	}
	if e.Kind == rules.StepEffect || e.Kind == rules.StepReplace {
		return rules.Regulation{}, &rules.Illegal{State: "", Step: e.Kind, Rule: "err.oversight.state"} // time does these
	}
	o.stepMu.Lock()
	defer o.stepMu.Unlock()
	r, err := o.regulations.get(id)
	if err != nil {
		return r.value, err
	}
	e.By = by.ID
	next, err := r.value.Step(e, o.o.Clock.Now().Wall, o.o.Settings())
	if err != nil {
		return r.value, err
	}
	return next, o.commit(ctx, "regulation "+id, []pending{o.regulations.write(id, next, rev)},
		by.Draft("regulation.step", d.Role, id, regulationData{e.Kind, next.Version}, sealed(id, "text", next.Steps[len(next.Steps)-1].Text)...))
}

// ReadRegulation notes that the person has read a version; once is enough.
func (o *Office) ReadRegulation(ctx context.Context, by account.Who, id string) error {
	role, end, err := o.step(ctx, by, account.ActRegulationRead, account.Subject{})
	if err != nil {
		return err
	}
	defer end()
	r, err := o.regulations.get(id)
	if err != nil {
		return err
	}
	next, changed := r.value.Read(by.ID, o.o.Clock.Now().Wall)
	if !changed {
		return nil
	}
	return o.commit(ctx, "regulation "+id, []pending{o.regulations.write(id, next, r.rev)},
		by.Draft("regulation.step", role, id, regulationData{"read", next.Version}))
}

// takeEffect makes the versions effective whose day has come, and the ones before them replaced, in one Change.
func (o *Office) takeEffect(ctx context.Context, now time.Time) (err error) {
	o.stepMu.Lock()
	defer o.stepMu.Unlock()
	for _, r := range o.Regulations() {
		if r.State != rules.Announced || now.Before(r.Effective) {
			continue
		}
		err = errors.Join(err, o.effect(ctx, r.ID, now))
	}
	return err
}

func (o *Office) effect(ctx context.Context, id string, now time.Time) error {
	r, err := o.regulations.get(id)
	if err != nil {
		return err
	}
	next, err := r.value.Step(rules.RegulationEvent{Kind: rules.StepEffect}, now, o.o.Settings())
	if err != nil {
		return err
	}
	rows := []pending{o.regulations.write(id, next, r.rev)}
	for _, x := range o.Regulations() {
		if x.Name != next.Name || x.State != rules.Effective {
			continue
		}
		was, err := o.regulations.get(x.ID)
		if err != nil {
			return err
		}
		old, err := was.value.Step(rules.RegulationEvent{Kind: rules.StepReplace}, now, o.o.Settings())
		if err != nil {
			return err
		}
		rows = append(rows, o.regulations.write(x.ID, old, was.rev))
	}
	return o.commit(ctx, "regulation "+id, rows, account.System.Draft("regulation.step", "", id, regulationData{rules.StepEffect, next.Version}))
}
