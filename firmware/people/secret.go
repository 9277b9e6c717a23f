package people

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/login"
)

// issuer is how a phone app names us beside the log-in name.
const issuer = "Campuskeep"

// ChangePassword is a person's own. It ends the person's other sessions. Wrong old passwords count towards the
// lock. fielderr.Errors at "old" and "new", ErrNoSession, *Locked.
func (p *People) ChangePassword(ctx context.Context, token, old, new string, from ledger.From) error {
	s, hash, err := p.sessionOf(ctx, token)
	if err != nil {
		return err
	}
	if errs := login.CheckPassword("new", new, s.Person.Login); len(errs) > 0 {
		return errs
	}
	if new == old {
		return fielderr.Errors{{Field: "new", Rule: "err.password_same"}}
	}
	keys := p.guardKeys(s.Person.Login, from)
	counts, err := p.checkOld(ctx, s.Person, old, keys, from)
	if err != nil {
		return err
	}
	p.guard.Return(counts)
	d := ledger.Draft{Actor: ledger.Actor{ID: s.Person.ID}, From: &from, Via: ledger.ViaWeb, Kind: "password.changed", Subject: s.Person.ID}
	hashed, err := p.hash(ctx, new)
	if err != nil {
		return err
	}
	return p.changeSecret(ctx, s.Person.ID, d, p.sessionsOf(s.Person.ID, hash), func(x *secret) error {
		x.Password, x.Set, x.Must = hashed, p.now().Wall.UTC(), false
		return nil
	}, ledgerdb.Change{})
}

// sessionOf is the session of a token with the token's hash.
func (p *People) sessionOf(ctx context.Context, token string) (Session, string, error) {
	s, err := p.Session(ctx, token, true)
	if err != nil {
		return Session{}, "", err
	}
	hash, _ := login.HashToken(token)
	return s, hash, nil
}

// checkOld verifies a present password with the same locks as a log-in. What it counted stays counted until the
// caller says that all was right.
func (p *People) checkOld(ctx context.Context, who Person, old string, keys login.Keys, from ledger.From) ([]login.Counted, error) {
	counts, err := p.guard.Charge(keys, p.now())
	if err != nil {
		return nil, err
	}
	var ok bool
	var checked error
	err = p.guard.Hash(ctx, func() {
		x, _, err := p.secretOf(who.ID)
		if err == nil {
			ok, _, err = login.Verify(old, x.Password, p.o.Cost)
		}
		checked = err
	})
	if err = errors.Join(err, checked); err != nil {
		p.guard.Return(counts)
		return nil, fmt.Errorf("check a password: %w", err)
	}
	if !ok {
		r := refusal{reason: "password", person: who.ID, name: p.pseudonym("name", who.Login), from: from, counts: counts}
		return nil, p.recordRefusal(ctx, r, fielderr.Errors{{Field: "old", Rule: "err.password_wrong"}})
	}
	return counts, nil
}

func (p *People) hash(ctx context.Context, password string) (hashed string, err error) {
	err = p.guard.Hash(ctx, func() { hashed = login.Hash(password, p.o.Cost) })
	return hashed, err
}

func (p *People) secretOf(person string) (s secret, rev uint64, err error) {
	err = p.o.Store.View(func(tx ledgerdb.Tx) (err error) {
		s, rev, _, err = secrets.Get(tx, person)
		return err
	})
	if err != nil {
		return s, 0, fmt.Errorf("read a secret: %w", err)
	}
	return s, rev, nil
}

// secretTries is how often a change of a secret is tried again when a log-in changed the row meanwhile.
const secretTries = 5

// changeSecret changes one person's secret with its entry, ending the given sessions, on top of what with brings.
func (p *People) changeSecret(ctx context.Context, person string, d ledger.Draft, ends []string, change func(*secret) error, with ledgerdb.Change) error {
	for try := 1; ; try++ {
		s, rev, err := p.secretOf(person)
		if err != nil {
			return err
		}
		s.Person = person
		if err := change(&s); err != nil {
			return err
		}
		ch := ledgerdb.Change{Puts: append(slices.Clone(with.Puts), secrets.PutRev(person, s, rev)), Deletes: slices.Clone(with.Deletes), Entries: slices.Clone(with.Entries)}
		if d.Kind != "" {
			ch.Entries = append(ch.Entries, d)
		}
		err = p.end(ctx, ends, ch, "change a secret")
		if errors.Is(err, ledgerdb.ErrConflict) && try < secretTries {
			continue
		}
		if err != nil {
			return err
		}
		p.mu.Lock()
		if rec := p.persons[person]; rec != nil {
			rec.take(s)
		}
		p.mu.Unlock()
		return nil
	}
}

// ResetPassword sets a one-time password for somebody else, which must be changed at the next log-in, and ends
// all their sessions. That of a duty person is only proposed (ErrProposed). *account.Refused, ErrNotFound.
func (p *People) ResetPassword(ctx context.Context, by account.Who, person string) (password string, err error) {
	role, err := p.resettable(by, person)
	if err != nil {
		return "", err
	}
	if p.needsSecond(by, person) {
		return "", p.propose(ctx, by, role, DutyChange{Person: person, What: DutyPassword})
	}
	return p.setOneTime(ctx, by, role, person, []string{by.ID}, nil)
}

// resettable says whether by may set somebody else's credentials.
func (p *People) resettable(by account.Who, person string) (account.Role, error) {
	role, err := p.allow(by, account.ActPeopleEdit, account.Subject{Person: person})
	if err != nil {
		return "", err
	}
	if _, ok := p.Person(person); !ok {
		return "", ErrNotFound
	}
	return role, nil
}

// needsSecond says whether a reset of this person's credentials must be confirmed by a second person.
func (p *People) needsSecond(by account.Who, person string) bool {
	n, _ := p.Person(person)
	return account.NeedsSecondFactor(n.Roles) && !p.maySkipSecond(by)
}

// setOneTime sets a one-time password; d is the proposal that it carries out, nil when none was needed.
func (p *People) setOneTime(ctx context.Context, by account.Who, role account.Role, person string, givers []string, d *DutyChange) (string, error) {
	password := login.OneTimePassword()
	hashed, err := p.hash(ctx, password)
	if err != nil {
		return "", err
	}
	return password, p.reset(ctx, by, by.Draft("password.changed", role, person, nil), role, person, givers, d, func(x *secret) error {
		x.Password, x.Set, x.Must = hashed, p.now().Wall.UTC(), true
		return nil
	})
}

// reset changes somebody else's secret, notes who did it, and ends the person's sessions.
func (p *People) reset(ctx context.Context, by account.Who, entry ledger.Draft, role account.Role, person string, givers []string, d *DutyChange, change func(*secret) error) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	n, ok := p.Person(person)
	if !ok || d != nil && !p.isPending(d.ID) {
		return ErrNotFound
	}
	var with ledgerdb.Change
	rev := n.Rev
	n.RightsBy, n.RightsAt = givers, login.StampOf(p.now())
	if !by.IsSystem() && account.NeedsSecondFactor(n.Roles) {
		with.Puts = []ledgerdb.Put{persons.PutRev(person, n, rev)}
	}
	if d != nil {
		with.Deletes = []ledgerdb.Delete{dutyChanges.Delete(d.ID)}
		with.Entries = []ledger.Draft{dutyEntry(by, role, "confirmed", *d)}
	} else if len(with.Puts) > 0 {
		what := DutyPassword
		if entry.Kind != "password.changed" {
			what = DutyFactor
		}
		with.Entries = []ledger.Draft{dutyEntry(by, role, "first", DutyChange{Person: person, What: what, By: by.ID})}
	}
	if err := p.changeSecret(ctx, person, entry, p.sessionsOf(person, ""), change, with); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if d != nil {
		delete(p.proposed, d.ID)
	}
	if len(with.Puts) > 0 {
		rec := p.persons[person]
		rec.RightsBy, rec.RightsAt = n.RightsBy, n.RightsAt
		rec.rev = rev + 1
	}
	return nil
}

// BeginFactor makes the secret of a second factor. It counts once ConfirmFactor has seen a code of it; until
// then an earlier one stays in use. It takes the present password and, where there is a factor already, a code of it
// or a recovery code: an unattended browser must not be enough to take the account over. fielderr.Errors at "old"
// and "code", ErrNoSession, *Locked.
func (p *People) BeginFactor(ctx context.Context, token, password, code string, from ledger.From) (Factor, error) {
	s, _, err := p.sessionOf(ctx, token)
	if err != nil {
		return Factor{}, err
	}
	keys := p.guardKeys(s.Person.Login, from)
	counts, err := p.checkOld(ctx, s.Person, password, keys, from)
	if err != nil {
		return Factor{}, err
	}
	fresh := login.NewSecret()
	var wrong fielderr.Errors
	err = p.changeSecret(ctx, s.Person.ID, ledger.Draft{}, nil, func(x *secret) error {
		_, err := x.Use(code, p.now())
		switch {
		case errors.Is(err, ErrCodeNeeded):
			wrong = fielderr.Errors{{Field: "code", Rule: "err.required"}}
		case errors.Is(err, ErrCodeClock):
			wrong = fielderr.Errors{{Field: "code", Rule: "login.code_clock"}}
		case errors.Is(err, login.ErrCodeUsed), errors.Is(err, login.ErrCodeWrong):
			wrong = fielderr.Errors{{Field: "code", Rule: "login.code_refused"}}
		case err != nil:
			return err
		}
		if wrong != nil {
			return wrong
		}
		x.Pending = fresh
		return nil
	}, ledgerdb.Change{})
	if wrong != nil && code != "" && wrong[0].Rule == "login.code_refused" {
		r := refusal{reason: "code", person: s.Person.ID, name: p.pseudonym("name", s.Person.Login), from: from, counts: counts}
		return Factor{}, p.recordRefusal(ctx, r, wrong)
	}
	p.guard.Return(counts)
	if err != nil {
		return Factor{}, err
	}
	return Factor{Text: login.SecretText(fresh), URI: login.SecretURI(fresh, issuer, s.Person.Login)}, nil
}

// ConfirmFactor takes the second factor into use, and gives the recovery codes, shown only this once. The
// session it came by has passed the factor from now on; the person's others end. fielderr.Errors at "code",
// ErrNoSession.
func (p *People) ConfirmFactor(ctx context.Context, token, code string, from ledger.From) (recovery []string, err error) {
	s, hash, err := p.sessionOf(ctx, token)
	if err != nil {
		return nil, err
	}
	var with ledgerdb.Change
	first := account.ConfirmsDuty(s.Person.Roles)
	if first {
		with.Puts = []ledgerdb.Put{setUps.Put(dutyDone, setUpRow{})}
	}
	d := ledger.Draft{Actor: ledger.Actor{ID: s.Person.ID}, From: &from, Via: ledger.ViaWeb, Kind: "person.changed", Subject: s.Person.ID,
		Data: map[string]any{"what": []string{"factor_on"}}}
	err = p.changeSecret(ctx, s.Person.ID, d, p.sessionsOf(s.Person.ID, hash), func(x *secret) error {
		recovery, err = x.Confirm(code, p.now())
		switch {
		case errors.Is(err, login.ErrNotBegun):
			return fielderr.Errors{{Field: "code", Rule: "err.factor_not_begun"}}
		case errors.Is(err, login.ErrClockWorse):
			return fielderr.Errors{{Field: "code", Rule: "err.code_clock"}}
		case err != nil:
			return fielderr.Errors{{Field: "code", Rule: "err.code"}}
		}
		return nil
	}, with)
	if err != nil {
		return nil, err
	}
	if first {
		p.mu.Lock()
		p.dutySet, p.dutyNoted = true, true
		p.mu.Unlock()
	}
	p.login.Lock()
	if x := p.login.sessions[hash]; x != nil {
		x.Factor = true
		x.written = login.Stamp{} // Run writes it down
	}
	p.login.Unlock()
	return recovery, nil
}

// ResetFactor removes a lost second factor of somebody else and ends their sessions; they set up a new one at
// the next log-in. That of a duty person is only proposed (ErrProposed). *account.Refused, ErrNotFound.
func (p *People) ResetFactor(ctx context.Context, by account.Who, person string) error {
	role, err := p.resettable(by, person)
	if err != nil {
		return err
	}
	if p.needsSecond(by, person) {
		return p.propose(ctx, by, role, DutyChange{Person: person, What: DutyFactor})
	}
	return p.removeFactor(ctx, by, role, person, []string{by.ID}, nil)
}

func (p *People) removeFactor(ctx context.Context, by account.Who, role account.Role, person string, givers []string, d *DutyChange) error {
	entry := by.Draft("person.changed", role, person, map[string]any{"what": []string{"factor_off"}})
	return p.reset(ctx, by, entry, role, person, givers, d, func(x *secret) error {
		x.Factor, x.Pending, x.LastStep, x.Recovery = nil, nil, 0, nil
		return nil
	})
}

// allow asks the permission table; what the appliance does by itself (installer's command, import) needs none.
func (p *People) allow(by account.Who, action account.Action, subject account.Subject) (account.Role, error) {
	if by.IsSystem() {
		return "", nil
	}
	d := account.May(by.Actor, action, subject, p.now().Wall)
	return d.Role, d.Err(action)
}
