package records

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/sealedfiles"
	"campuskeep/shared/account"
	rules "campuskeep/shared/records"
)

// Agreements lists what is on file, by person.
func (r *Records) Agreements() (out []rules.Agreement) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, a := range r.agreements {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b rules.Agreement) int { return cmp.Compare(a.Person, b.Person) })
	return out
}

// PutAgreement enters that a person has signed and was trained; scan is the signed sheet, nil when it is in the cabinet
// alone. Nobody enters their own. Errors: *account.Refused, fielderr.Errors.
func (r *Records) PutAgreement(ctx context.Context, by account.Who, a rules.Agreement, scan io.Reader) error {
	role, err := r.allow(by, account.ActAgreementsEdit, account.Subject{Person: a.Person})
	if err != nil {
		return err
	}
	errs := a.Check(r.today())
	if a.Person != "" && !r.works(a.Person) {
		errs.Add("person", "err.person_unknown")
	}
	if err := errs.Err(); err != nil {
		return err
	}
	var ch ledgerdb.Change
	var staged []*sealedfiles.Staged
	a.File, a.By, a.At = "", by.ID, r.now().UTC()
	data := map[string]any{"signed": a.Signed, "trained": a.Trained, "until": a.Until}
	if scan != nil {
		g, err := r.o.Files.Stage(ctx, by, "person:"+a.Person, sealedfiles.UseForm, scan)
		if err != nil {
			return err
		}
		g.Into(&ch, by, role)
		staged, a.File, data["file"] = append(staged, g), g.File.ID, g.File.ID
	}
	ch.Puts = append(ch.Puts, agreements.Put(a.Person, a))
	ch.Entries = append(ch.Entries, by.Draft("agreement.recorded", role, a.Person, data))
	_, err = r.o.Store.Commit(ctx, ch)
	if err = settle(staged, err); err != nil {
		return fmt.Errorf("enter an agreement: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.agreements[a.Person] = a
	return nil
}
