package model

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing/synctest"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/usage"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	rules "campuskeep/shared/usage"
)

// asked is an application as the world knows it.
type asked struct {
	id    string
	span  footage.Span
	until time.Time // in truth: its hold must stay until then; zero: it may go
	wrong bool      // people had stated a wrong time since
	free  bool      // two people have released it: no later act holds it again
}

// done counts what was done at the register of all lives, and how much of it by a clock that was not trusted.
var done = map[string]int{}

func (b *box) count(what string) {
	done[what]++
	if b.keeper.Now().State != clock.Trusted {
		done[what+", in doubt"]++
	}
}

func (a *asked) due() bool { return !a.wrong && !a.free && present().Before(a.until.Add(-time.Hour)) }

func cameras() []footage.Camera {
	return []footage.Camera{{ID: "c01", Place: "gate", Policy: footage.Policy{Days: 30}}}
}

func person(id string, roles ...account.Role) account.Who {
	return account.Who{Actor: account.Actor{ID: id, Roles: roles, SecondFactor: true}, Via: ledger.ViaWeb, From: ledger.From{Address: "10.20.3.18", Terminal: "t1"}}
}

var (
	teacher = person("p010", account.RoleStaff, account.RoleClassTeacher)
	officer = person("p002", account.RoleStaff, account.RoleOfficer)
	head    = person("p003", account.RoleStaff, account.RoleHeadOfSafety)
	leader  = person("p004", account.RoleStaff, account.RoleLeader)
)

func schoolDay(d rules.Date) bool { return weekday(string(d)) }

func weekday(date string) bool {
	d, err := time.Parse(time.DateOnly, date)
	return err == nil && d.Weekday() != time.Saturday && d.Weekday() != time.Sunday
}

func (b *box) openOffice(log *slog.Logger) (err error) {
	b.office, err = usage.Open(usage.Options{Store: b.store, Clock: b.keeper, Cameras: cameras, Anchors: b.keeper.Anchors, SchoolDay: weekday, Log: log,
		Footage: b.vault.Source(func() footage.Places { return footage.Places{Anchors: b.keeper.Anchors()} })})
	return err
}

// round lets the register do once what time alone brings.
func (b *box) round(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- b.office.Run(ctx) }()
	synctest.Wait()
	cancel()
	return <-ended
}

// register is one act at the register, whatever the clock is.
func (b *box) register(ctx context.Context, what int) error {
	if what < 2 || len(b.asked) == 0 {
		return b.submit(ctx, what == 1)
	}
	a := b.asked[len(b.asked)-1]
	app, err := b.office.Get(a.id)
	if err != nil {
		return fmt.Errorf("application %s is not there: %w", a.id, err)
	}
	now := b.keeper.Now()
	switch what {
	case 2: // approved; a day that a clock in doubt names is no promise
		if app, err = b.office.Decide(ctx, leader, a.id, rules.Decision{Approved: true}); err == nil && app.State == rules.Approved {
			b.count("approved")
			if a.until = app.Decision.Until.End(); now.State != clock.Trusted {
				a.until = time.Time{}
			}
		}
	case 3:
		if _, err = b.office.Decide(ctx, officer, a.id, rules.Decision{Code: "papers", Note: "no"}); err == nil {
			b.count("refused")
			a.until = rules.AfterSchoolDays(present(), rules.DefaultRules.ComplaintDays, schoolDay)
		}
	case 4:
		if _, err = b.office.Withdraw(ctx, teacher, a.id); err == nil {
			b.count("withdrawn")
			a.until = time.Time{}
		}
	case 5: // two people let go what it holds
		for _, h := range b.office.Holds() {
			if h.Application != a.id {
				continue
			}
			if _, err = b.office.ProposeRelease(ctx, head, h.ID, "not needed"); err != nil {
				break
			}
			if err := b.office.ConfirmRelease(ctx, head, h.ID); err == nil {
				return fmt.Errorf("one person has released hold %s", h.ID)
			}
			if err = b.office.ConfirmRelease(ctx, leader, h.ID); err == nil {
				b.count("released")
				a.free = true
			}
		}
	}
	return unlessRefused(err)
}

func unlessRefused(err error) error {
	var faults fielderr.Errors
	var refused *account.Refused
	var illegal *rules.Illegal
	if errors.As(err, &faults) || errors.As(err, &refused) || errors.As(err, &illegal) || errors.Is(err, usage.ErrNotFound) {
		return nil
	}
	return err
}

// submit applies for footage that has a place, with the dates of the box's clock: the first is about to go.
func (b *box) submit(ctx context.Context, first bool) error {
	one, err := b.one(first)
	if err != nil || one == nil {
		return err
	}
	now := b.keeper.Now().Wall
	app, err := b.office.Submit(ctx, teacher, rules.Application{Unit: "7", Contact: "8326", Purpose: "03", Reason: "a bag", Ways: []rules.Way{rules.WayView},
		Wanted: []rules.RequestedSpan{{Place: "gate", Span: one.Span}}, UseFrom: rules.DateOf(now), UseUntil: rules.DateOf(now.Add(5 * day)),
		Recipients: []rules.Recipient{{Name: "someone"}}, Undertakings: rules.AllUndertakings})
	if err != nil {
		return unlessRefused(err)
	}
	b.count("submitted")
	b.asked = append(b.asked, &asked{id: app.ID, span: one.Span, wrong: b.wrong,
		until: rules.AfterSchoolDays(present(), rules.DefaultRules.UndecidedDays, schoolDay)})
	return nil
}

// lookAtRegister checks that what an application may count on is still held.
func (b *box) lookAtRegister() error {
	return b.store.View(func(tx ledgerdb.Tx) error {
		list, err := usage.HoldsIn(tx)
		if err != nil {
			return err
		}
		for _, a := range b.asked {
			held := false
			for _, h := range list {
				held = held || h.Application == a.id && h.Released.IsZero() && h.Active(b.keeper.Now()) && h.Covers("c01", a.span)
			}
			if a.due() && !held && !b.wrong {
				return fmt.Errorf("the hold of %s is lost %v early; clock %+v; holds %+v", a.id, a.until.Sub(present()), b.keeper.Now(), list)
			}
		}
		return nil
	})
}

// err has people state a wrong time. Where that makes the clock trusted, what was there is theirs to answer for.
func (b *box) err(by time.Duration) error {
	b.state(by)
	if b.keeper.Now().State != clock.Trusted {
		return nil
	}
	b.wrong, b.erred = true, true
	done["wrong time stated"]++
	for file := range b.made {
		b.spoilt[file] = true
	}
	for _, a := range b.asked {
		a.wrong = true
	}
	list, err := b.holds()
	for _, h := range list {
		h.Wrong = true
		if _, cerr := b.store.Commit(context.Background(), ledgerdb.Change{Puts: []ledgerdb.Put{keptRows.Put(h.ID, h)}}); cerr != nil {
			err = errors.Join(err, cerr)
		}
	}
	return err
}
