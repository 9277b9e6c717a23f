package usage

import (
	"context"
	"fmt"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	rules "campuskeep/shared/usage"
)

// Carry moves an application on by an event, together with rows and entries of a package above: all of it is true, or
// nothing. Without an event the application must only still be as it is, and not be revoked meanwhile. The caller has
// asked permission. build is given the application as it is at the commit.
func (e *Register) Carry(ctx context.Context, by account.Who, id string, events []rules.EventKind, build func(rules.Application) (ledgerdb.Change, error)) (rules.Application, ledgerdb.Receipt, error) {
	e.stepMu.Lock()
	defer e.stepMu.Unlock()
	f, ok := e.files.get(id)
	if !ok {
		return rules.Application{}, ledgerdb.Receipt{}, fmt.Errorf("application %s: %w", id, ErrNotFound)
	}
	s := e.step(by, "", f, f.app, "decided")
	for _, ev := range events {
		if err := s.next(rules.Event{Kind: ev, By: by.ID}, e.o.Clock.Now()); err != nil {
			return f.app, ledgerdb.Receipt{}, err
		}
	}
	c, err := build(s.after)
	if err != nil {
		return f.app, ledgerdb.Receipt{}, err
	}
	if len(events) == 0 {
		c.Require = append(c.Require, applications.Require(id, f.rev))
		receipt, err := e.o.Store.Commit(ctx, c)
		if err != nil {
			return f.app, receipt, fmt.Errorf("record what was done for application %s: %w", id, err)
		}
		return f.app, receipt, nil
	}
	s.with = c
	return e.commitStep(ctx, s)
}
