package people

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/login"
)

// DutyChange is what one person proposed about the rights or the credentials of a duty person and a second one
// must confirm: anyone who can make and take over accounts must not become security officer alone (M3, M7).
type DutyChange struct {
	ID     string         `json:"id"`
	Person string         `json:"person"`           // whose rights or credentials
	What   string         `json:"what"`             // DutyRoles, DutyPassword, DutyFactor
	Was    []account.Role `json:"was,omitempty"`    // the roles at the proposal; it falls when they change
	Roles  []account.Role `json:"roles,omitempty"`  // the roles that it gives
	Enable bool           `json:"enable,omitempty"` // it also lifts the block of the account
	By     string         `json:"by"`
	At     login.Stamp    `json:"at"`
}

// What a DutyChange is about.
const (
	DutyRoles    = "roles"
	DutyPassword = "password"
	DutyFactor   = "factor"
)

// DutyTerm is how long a proposal waits for its second person.
const DutyTerm = 7 * 24 * time.Hour

// independentAfter is how long who gave a person rights or credentials does not count as a second person beside them.
const independentAfter = 30 * 24 * time.Hour

// ErrProposed says that the change is proposed and a second person must confirm it.
var ErrProposed = errors.New("people: proposed; a second person must confirm")

// ErrNotIndependent: the one who confirms is the proposer, the person concerned, or an account that the proposer
// gave its rights within the last thirty days.
var ErrNotIndependent = errors.New("people: not a second person")

func (d DutyChange) over(now clock.Reading) bool { return since(d.At, now, DutyTerm) }

// since says whether the time has gone by for certain: across boots only a trusted clock can tell.
func since(at login.Stamp, now clock.Reading, term time.Duration) bool {
	gone, ok := at.Since(now)
	return ok && gone >= term && (at.Boot == now.Boot || now.State == clock.Trusted)
}

// DutyChanges lists what waits for a second person, the oldest first.
func (p *People) DutyChanges() []DutyChange {
	now := p.now()
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []DutyChange
	for _, d := range p.proposed {
		if !d.over(now) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b DutyChange) int {
		return cmp.Or(a.At.Wall.Compare(b.At.Wall), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Independent says whether two accounts count as two persons: neither gave the other rights or credentials within
// thirty days.
func (p *People) Independent(a, b string) bool {
	now := p.now()
	p.mu.RLock()
	defer p.mu.RUnlock()
	gave := func(giver, taker string) bool {
		rec := p.persons[taker]
		return rec != nil && slices.Contains(rec.RightsBy, giver) && !since(rec.RightsAt, now, independentAfter)
	}
	return a != b && !gave(a, b) && !gave(b, a)
}

// widens says whether n has a right of duty that old had not.
func widens(old, n Person) bool {
	if n.Disabled {
		return false
	}
	return slices.ContainsFunc(n.Roles, func(r account.Role) bool {
		return account.NeedsSecondFactor([]account.Role{r}) && (old.Disabled || !slices.Contains(old.Roles, r))
	})
}

// narrowed is n without the duties that old had not: what one person alone may save.
func narrowed(old, n Person) Person {
	n.Roles = slices.DeleteFunc(slices.Clone(n.Roles), func(r account.Role) bool {
		return account.NeedsSecondFactor([]account.Role{r}) && !slices.Contains(old.Roles, r)
	})
	if len(n.Roles) == 0 {
		n.Roles = []account.Role{account.RoleStaff}
	}
	n.Disabled = n.Disabled || old.Disabled && account.NeedsSecondFactor(n.Roles)
	return n
}

// maySkipSecond says whether by may give duties and reset credentials of duty persons without a second person: the
// appliance itself, and anyone who sets the school up, until the first duty person has a second factor.
func (p *People) maySkipSecond(by account.Who) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return by.IsSystem() || !p.dutySet
}

// dutyEntry is what the log, the centre and the first page of the deciders learn.
func dutyEntry(by account.Who, role account.Role, state string, d DutyChange) ledger.Draft {
	data := map[string]any{"what": d.What, "state": state}
	if len(d.Roles) > 0 {
		data["roles"] = d.Roles
	}
	if d.By != by.ID {
		data["by"] = d.By
	}
	return by.Draft("person.duty", role, d.Person, data)
}

func (p *People) proposal(by account.Who, d DutyChange) DutyChange {
	b := make([]byte, 8)
	rand.Read(b)
	d.ID, d.By, d.At = hex.EncodeToString(b), by.ID, login.StampOf(p.now())
	return d
}

// propose keeps a proposal; a waiting one about the same thing is replaced. ErrProposed when it is kept.
func (p *People) propose(ctx context.Context, by account.Who, role account.Role, d DutyChange) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	d = p.proposal(by, d)
	ch := ledgerdb.Change{Entries: []ledger.Draft{dutyEntry(by, role, "proposed", d)}}
	drop := p.putProposal(&ch, d)
	if _, err := p.o.Store.Commit(ctx, ch); err != nil {
		return fmt.Errorf("propose a change of duty: %w", err)
	}
	p.takeProposal(d, drop)
	return ErrProposed
}

// putProposal adds the row to a change, and the removal of an earlier one about the same thing.
func (p *People) putProposal(ch *ledgerdb.Change, d DutyChange) (drop []string) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, o := range p.proposed {
		if o.Person == d.Person && o.What == d.What {
			drop = append(drop, o.ID)
			ch.Deletes = append(ch.Deletes, dutyChanges.Delete(o.ID))
		}
	}
	ch.Puts = append(ch.Puts, dutyChanges.PutRev(d.ID, d, 0))
	return drop
}

func (p *People) takeProposal(d DutyChange, drop []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range drop {
		delete(p.proposed, id)
	}
	p.proposed[d.ID] = d
}

// confirmable finds a proposal that by may confirm. ErrNotFound, ErrNotIndependent, *account.Refused.
func (p *People) confirmable(by account.Who, id string) (DutyChange, account.Role, error) {
	p.mu.RLock()
	d, ok := p.proposed[id]
	p.mu.RUnlock()
	if !ok || d.over(p.now()) {
		return d, "", ErrNotFound
	}
	role, err := p.allow(by, account.ActPeopleConfirm, account.Subject{Person: d.Person})
	if err != nil {
		return d, "", err
	}
	if !p.Independent(by.ID, d.By) {
		return d, "", ErrNotIndependent
	}
	return d, role, nil
}

// ConfirmDuty makes a proposal count. A password that it sets is given to the one who confirms, so that the
// proposer never holds it. Errors: ErrNotFound (also when it fell), ErrNotIndependent, *account.Refused.
func (p *People) ConfirmDuty(ctx context.Context, by account.Who, id string) (password string, err error) {
	d, role, err := p.confirmable(by, id)
	if err != nil {
		return "", err
	}
	givers := []string{d.By, by.ID}
	switch d.What {
	case DutyRoles:
		return "", p.confirmRoles(ctx, by, role, d, givers)
	case DutyPassword:
		return p.setOneTime(ctx, by, role, d.Person, givers, &d)
	}
	return "", p.removeFactor(ctx, by, role, d.Person, givers, &d)
}

// isPending says whether a proposal is still there: it may have ended since it was found. The caller holds writing.
func (p *People) isPending(id string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	_, ok := p.proposed[id]
	return ok
}

func (p *People) confirmRoles(ctx context.Context, by account.Who, role account.Role, d DutyChange, givers []string) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	old, ok := p.Person(d.Person)
	if !ok || !p.isPending(d.ID) || !slices.Equal(old.Roles, d.Was) {
		return ErrNotFound
	}
	n := old
	n.Roles, n.RightsBy, n.RightsAt = slices.Clone(d.Roles), givers, login.StampOf(p.now())
	if d.Enable {
		n.Disabled = false
	}
	if err := p.checkPerson(n, nil).Err(); err != nil {
		return err
	}
	rc, err := p.o.Store.Commit(ctx, ledgerdb.Change{
		Puts:    []ledgerdb.Put{persons.PutRev(n.ID, n, old.Rev)},
		Deletes: []ledgerdb.Delete{dutyChanges.Delete(d.ID)},
		Entries: []ledger.Draft{dutyEntry(by, role, "confirmed", d),
			by.Draft("person.changed", role, n.ID, map[string]any{"what": differing(old, n), "roles": n.Roles},
				part("before", personOwner(n.ID), old), part("after", personOwner(n.ID), n))},
	})
	if err != nil {
		return fmt.Errorf("give duties to %s: %w", n.ID, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	rec := p.persons[n.ID]
	rec.Person, rec.rev = n, rc.Revs[0]
	rec.Roles = slices.Clone(n.Roles)
	delete(p.proposed, d.ID)
	return nil
}

// DropDuty refuses or takes back a proposal: its proposer, or anyone who may confirm it. ErrNotFound,
// *account.Refused.
func (p *People) DropDuty(ctx context.Context, by account.Who, id string) error {
	p.mu.RLock()
	d, ok := p.proposed[id]
	p.mu.RUnlock()
	if !ok {
		return ErrNotFound
	}
	state, role := "withdrawn", account.Role("")
	if d.By != by.ID {
		var err error
		if role, err = p.allow(by, account.ActPeopleConfirm, account.Subject{Person: d.Person}); err != nil {
			return err
		}
		state = "refused"
	}
	return p.endProposal(ctx, d, dutyEntry(by, role, state, d))
}

func (p *People) endProposal(ctx context.Context, d DutyChange, entry ledger.Draft) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	if !p.isPending(d.ID) {
		return ErrNotFound
	}
	_, err := p.o.Store.Commit(ctx, ledgerdb.Change{Deletes: []ledgerdb.Delete{dutyChanges.Delete(d.ID)}, Entries: []ledger.Draft{entry}})
	if err != nil {
		return fmt.Errorf("end a proposal: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.proposed, d.ID)
	return nil
}

// expireDuty ends proposals whose term is over.
func (p *People) expireDuty(ctx context.Context) error {
	now := p.now()
	var over []DutyChange
	p.mu.RLock()
	for _, d := range p.proposed {
		if d.over(now) {
			over = append(over, d)
		}
	}
	p.mu.RUnlock()
	var errs []error
	for _, d := range over {
		errs = append(errs, p.endProposal(ctx, d, dutyEntry(account.System, "", "expired", d)))
	}
	return errors.Join(errs...)
}

// firstDuty notes for good that the school has a duty person with a second factor: from then on nobody gives duties
// alone. The row stays when that person leaves.
func (p *People) firstDuty(ch *ledgerdb.Change) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.dutySet && !p.dutyNoted {
		put := setUps.Put(dutyDone, setUpRow{})
		put.Expect = nil
		ch.Puts = append(ch.Puts, put)
	}
}

// rightsOf is what of n may be saved now: all of it by anyone who may give duties alone, else without new duties.
// A person who gets duties carries who gave them.
func (p *People) rightsOf(by account.Who, old, n Person) Person {
	switch {
	case !widens(old, n):
		return n
	case !p.maySkipSecond(by):
		return narrowed(old, n)
	case !by.IsSystem():
		n.RightsBy, n.RightsAt = []string{by.ID}, login.StampOf(p.now())
	}
	return n
}

// dutyStep adds to the change that saves n what the log must learn of duties: that they were given at the set-up, or
// the proposal of what was asked beyond n. The caller holds writing.
func (p *People) dutyStep(ch *ledgerdb.Change, by account.Who, role account.Role, old, asked, n Person) (DutyChange, bool) {
	if by.IsSystem() || !widens(old, asked) {
		return DutyChange{}, false
	}
	d := p.proposal(by, DutyChange{Person: n.ID, What: DutyRoles, Was: n.Roles, Roles: asked.Roles, Enable: old.Disabled && !asked.Disabled})
	if p.maySkipSecond(by) {
		ch.Entries = append(ch.Entries, dutyEntry(by, role, "first", d))
		return DutyChange{}, false
	}
	p.putProposal(ch, d)
	ch.Entries = append(ch.Entries, dutyEntry(by, role, "proposed", d))
	return d, true
}
