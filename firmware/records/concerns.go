package records

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	rules "campuskeep/shared/records"
)

func unmarshal(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read an entry: %w", err)
	}
	return nil
}

func isCanceled(err error) bool { return errors.Is(err, context.Canceled) }

// stepEntry is the entry of the newest step of a concern.
func stepEntry(by account.Who, role account.Role, c rules.Concern) ledger.Draft {
	s := c.Steps[len(c.Steps)-1]
	data := map[string]any{"student": c.Student, "concern": c.ID, "section": string(c.Section), "step": s.What}
	if s.Owner != "" {
		data["owner"] = s.Owner
	}
	if s.Due != "" {
		data["due"] = s.Due
	}
	if s.What == rules.StepOpened && len(c.Situations) > 0 {
		data["situations"] = c.Situations
	}
	return by.Draft("concern.step", role, c.Student, data, part("note", rules.Owner(c.Student, c.Section), s.Note)...)
}

// sees says whether a person may see a concern: who owns it, who keeps its section, and the head of safety.
func (r *Records) sees(by account.Who, c rules.Concern) (account.Role, error) {
	s := r.Subject(by.ID, c.Student)
	s.Person = c.Owner
	role, err := r.allow(by, account.ActConcernStep, s)
	if err == nil {
		return role, nil
	}
	if c.Section == rules.Conduct || c.Section == rules.Special { // everybody writes these; who reads them may follow them up
		role, e := r.allow(by, c.Section.ReadAction(), s)
		if e == nil {
			return role, nil
		}
		return "", err
	}
	if role, e := r.allow(by, c.Section.WriteAction(), s); e == nil {
		return role, nil
	}
	return "", err
}

// Concerns are those that a person may see, the most pressing first; a pupil or "" for all. Closed ones when asked for.
// What they say in words is read with Concern.
func (r *Records) Concerns(by account.Who, pupil string, closed bool) (out []rules.Concern) {
	r.mu.RLock()
	var all []rules.Concern
	for _, c := range r.concerns {
		if (pupil == "" || c.Student == pupil) && c.IsOpen() != closed && !r.erased[c.Student][c.Section] {
			all = append(all, c.Concern)
		}
	}
	r.mu.RUnlock()
	now, today := r.now(), r.today()
	for _, c := range all {
		if _, err := r.sees(by, c); err == nil {
			c.Steps = nil
			out = append(out, c)
		}
	}
	rank := func(c rules.Concern) int {
		switch {
		case c.MustReport():
			return 0
		case c.Rises(now, today, r.works):
			return 1
		}
		return 2
	}
	slices.SortFunc(out, func(a, b rules.Concern) int {
		return cmp.Or(rank(a)-rank(b), cmp.Compare(a.Due, b.Due), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Rises says whether a concern is the head of safety's to look at now.
func (r *Records) Rises(c rules.Concern) bool { return c.Rises(r.now(), r.today(), r.works) }

// Concern reads one concern in words; of a sensitive section that is a reading and is entered.
func (r *Records) Concern(ctx context.Context, by account.Who, id string) (rules.Concern, uint64, error) {
	r.mu.RLock()
	c, ok := r.concerns[id]
	gone := r.erased[c.Student][c.Section]
	r.mu.RUnlock()
	if !ok || gone {
		return rules.Concern{}, 0, ErrNotFound
	}
	role, err := r.sees(by, c.Concern)
	if err != nil {
		return rules.Concern{}, 0, err
	}
	if c.Section.Sensitive() {
		if err := r.enter(ctx, by, role, c.Student, c.Section, rules.Purpose{Code: "follow_up"}, map[string]any{"concern": id}); err != nil {
			return rules.Concern{}, 0, err
		}
		r.Close(by.ID, c.Student, c.Section) // following up one concern does not open the section
	}
	return c.Concern, c.rev, nil
}

// Step takes a step in a concern. rev is the revision that the form was made from. Errors: ErrNotFound, *account.Refused,
// fielderr.Errors, ledgerdb.ErrConflict.
func (r *Records) Step(ctx context.Context, by account.Who, id string, rev uint64, s rules.Step) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.RLock()
	old, ok := r.concerns[id]
	gone := r.erased[old.Student][old.Section]
	r.mu.RUnlock()
	if !ok || gone {
		return ErrNotFound
	}
	role, err := r.sees(by, old.Concern)
	if err != nil {
		return err
	}
	if rev != old.rev {
		return ledgerdb.ErrConflict
	}
	s.At, s.By = r.now().UTC(), by.ID
	c, errs := old.Next(s, r.today())
	if s.What == rules.StepOwner && s.Owner != "" && !r.works(s.Owner) {
		errs.Add("owner", "err.person_unknown")
	}
	if len(c.Steps) > mostSteps {
		errs.Add("note", "err.too_many", mostSteps)
	}
	if err := fielderr.Errors(errs).Err(); err != nil {
		return err
	}
	rc, err := r.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{concerns.PutRev(id, c, old.rev)}, Entries: []ledger.Draft{stepEntry(by, role, c)}})
	if err != nil {
		return fmt.Errorf("take a step in concern %s: %w", id, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.concerns[id] = concern{c, rc.Revs[0]}
	return nil
}

// mostSteps bounds the row of a concern.
const mostSteps = 60
