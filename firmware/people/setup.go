package people

import (
	"context"
	"crypto/subtle"
	"fmt"
	"slices"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/login"
)

// NeedsSetUp says whether there is nobody yet who could log in.
func (p *People) NeedsSetUp() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.persons) == 0
}

// SetUpCode makes the code that lets the first administrator in; an earlier one is void from then on. The
// installer's command prints it (design §8a: a headless box has no console). ErrSetUp.
func (p *People) SetUpCode(ctx context.Context) (code string, err error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	if !p.NeedsSetUp() {
		return "", ErrSetUp
	}
	code, hash := login.NewSetupCode()
	_, err = p.o.Store.Commit(ctx, ledgerdb.Change{
		Puts:    []ledgerdb.Put{setUps.Put(firstKey, setUpRow{Hash: hash})},
		Entries: []ledger.Draft{account.System.Draft("config.change", "", "setup", map[string]any{"what": "setup_code"})},
	})
	if err != nil {
		return "", fmt.Errorf("make a set-up code: %w", err)
	}
	return code, nil
}

// SetUp creates the first administrator by the code. Errors: ErrSetUp, ErrRefused (the code), *Locked,
// fielderr.Errors.
func (p *People) SetUp(ctx context.Context, code string, first Person, password string, from ledger.From) (Person, error) {
	if !p.NeedsSetUp() {
		return Person{}, ErrSetUp
	}
	keys := p.guardKeys("\x00setup", from)
	counts, err := p.guard.Charge(keys, p.now())
	if err != nil {
		return Person{}, err
	}
	var row setUpRow
	var rev uint64
	err = p.o.Store.View(func(tx ledgerdb.Tx) (err error) {
		row, rev, _, err = setUps.Get(tx, firstKey)
		return err
	})
	if err != nil {
		return Person{}, fmt.Errorf("read the set-up code: %w", err)
	}
	if len(row.Hash) == 0 || subtle.ConstantTimeCompare(login.HashCode(code), row.Hash) != 1 {
		r := refusal{reason: "setup_code", name: p.pseudonym("name", "\x00setup"), from: from, counts: counts}
		return Person{}, p.recordRefusal(ctx, r, ErrRefused)
	}
	p.guard.Return(counts)
	if !slices.Contains(first.Roles, account.RoleAdmin) {
		first.Roles = append(slices.Clone(first.Roles), account.RoleAdmin)
	}
	errs := p.checkPerson(first, nil)
	errs = append(errs, login.CheckPassword("password", password, first.Login)...)
	if len(errs) > 0 {
		return Person{}, errs
	}
	hashed, err := p.hash(ctx, password)
	if err != nil {
		return Person{}, err
	}
	by := account.Who{Actor: account.Actor{ID: ledger.System.ID}, From: from, Via: ledger.ViaWeb}
	added, err := p.add(ctx, by, "", []Person{first}, []secret{{Secret: login.Secret{Password: hashed}}},
		ledgerdb.Change{Deletes: []ledgerdb.Delete{setUps.DeleteRev(firstKey, rev)}})
	if err != nil {
		return Person{}, err
	}
	return added[0], nil
}
