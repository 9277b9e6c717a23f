package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/login"
)

// Session finds a session by its token; used marks it as used, which only what a person did may do: what a page asks
// by itself keeps no log-in alive. It answers from memory, with the roles and classes of this moment. ErrNoSession.
func (p *People) Session(_ context.Context, token string, used bool) (Session, error) {
	hash, ok := login.HashToken(token)
	if !ok {
		return Session{}, ErrNoSession
	}
	now := p.now()
	p.login.Lock()
	s := p.login.sessions[hash]
	if s == nil || p.o.Policy().Session.Check(s.Began, s.Used, now) != nil {
		p.login.Unlock()
		return Session{}, ErrNoSession
	}
	if used {
		s.Used = login.StampOf(now)
	}
	row := s.sessionRow
	p.login.Unlock()
	return p.describe(hash, row, now)
}

func (p *People) describe(hash string, row sessionRow, now clock.Reading) (Session, error) {
	policy := p.o.Policy()
	p.mu.RLock()
	defer p.mu.RUnlock()
	rec := p.persons[row.Person]
	if rec == nil || rec.Disabled {
		return Session{}, ErrNoSession
	}
	tooOld := policy.PasswordDays > 0 && now.Reached(rec.set.Add(time.Duration(policy.PasswordDays)*24*time.Hour))
	return Session{
		ID:           hash[:12],
		Person:       rec.copy(),
		Actor:        p.actor(rec, row.Factor),
		From:         row.From,
		Began:        row.Began.Wall,
		Expires:      policy.Session.Ends(row.Began),
		MustPassword: rec.must || tooOld,
		MustFactor:   !rec.factor && account.NeedsSecondFactor(rec.Roles),
	}, nil
}

// actor is the person as the permission table sees it now. The caller holds mu.
func (p *People) actor(rec *personRec, factor bool) account.Actor {
	return account.Actor{ID: rec.ID, Roles: slices.Clone(rec.Roles), Classes: p.classesOf(rec.ID, p.today()),
		Units: []string{rec.Unit}, SecondFactor: factor}
}

// Sessions lists somebody's open sessions, the newest first, without tokens.
func (p *People) Sessions(person string) []Session {
	now := p.now()
	rules := p.o.Policy().Session
	rows := map[string]sessionRow{}
	p.login.Lock()
	for hash, s := range p.login.sessions {
		if s.Person == person && rules.Check(s.Began, s.Used, now) == nil {
			rows[hash] = s.sessionRow
		}
	}
	p.login.Unlock()
	var out []Session
	for hash, row := range rows {
		if s, err := p.describe(hash, row, now); err == nil {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b Session) int { return b.Began.Compare(a.Began) })
	return out
}

// Logout ends a session; one that is over already is fine.
func (p *People) Logout(ctx context.Context, token string, from ledger.From) error {
	hash, ok := login.HashToken(token)
	if !ok {
		return nil
	}
	p.login.Lock()
	s := p.login.sessions[hash]
	p.login.Unlock()
	if s == nil {
		return nil
	}
	d := ledger.Draft{Actor: ledger.Actor{ID: s.Person}, From: &from, Via: ledger.ViaWeb, Kind: "logout", Subject: s.Person,
		Data: map[string]any{"reason": "user"}}
	return p.end(ctx, []string{hash}, ledgerdb.Change{Entries: []ledger.Draft{d}}, "log out")
}

// EndSessions ends all sessions of somebody: their own, or somebody else's with account.ActPeopleEdit.
func (p *People) EndSessions(ctx context.Context, by account.Who, person string) error {
	var role account.Role
	if by.ID != person {
		var err error
		if role, err = p.allow(by, account.ActPeopleEdit, account.Subject{Person: person}); err != nil {
			return err
		}
	}
	hashes := p.sessionsOf(person, "")
	if len(hashes) == 0 {
		return nil
	}
	d := by.Draft("logout", role, person, map[string]any{"reason": "ended"})
	return p.end(ctx, hashes, ledgerdb.Change{Entries: []ledger.Draft{d}}, "end sessions")
}

// sessionsOf gives the hashes of a person's sessions, but for one.
func (p *People) sessionsOf(person, but string) (hashes []string) {
	p.login.Lock()
	defer p.login.Unlock()
	for hash, s := range p.login.sessions {
		if s.Person == person && hash != but {
			hashes = append(hashes, hash)
		}
	}
	return hashes
}

// end commits a change that also removes sessions. They are gone from memory first: if the commit fails they
// come back, so nobody is let in by a session that is being revoked.
func (p *People) end(ctx context.Context, hashes []string, ch ledgerdb.Change, doing string) error {
	held := map[string]*session{}
	p.login.Lock()
	for _, h := range hashes {
		if s := p.login.sessions[h]; s != nil {
			held[h] = s
			delete(p.login.sessions, h)
		}
		ch.Deletes = append(ch.Deletes, sessions.Delete(h))
	}
	p.login.Unlock()
	if _, err := p.o.Store.Commit(ctx, ch); err != nil {
		p.login.Lock()
		for h, s := range held {
			p.login.sessions[h] = s
		}
		p.login.Unlock()
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// tidyEvery is how often Run writes down which sessions are in use. A crash makes a session look idle by so
// much more, never by less.
const tidyEvery = time.Minute

// Run writes down which sessions are in use and removes what is over, until ctx ends.
func (p *People) Run(ctx context.Context) error {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := errors.Join(p.tidy(ctx), p.expireDuty(ctx)); err != nil && ctx.Err() == nil {
			p.o.Log.Error("sessions could not be written down", "err", err)
		}
	}
}

func (p *People) tidy(ctx context.Context) error {
	now := p.now()
	rules := p.o.Policy().Session
	var ch ledgerdb.Change
	written := map[string]login.Stamp{}
	p.login.Lock()
	for hash, s := range p.login.sessions {
		switch {
		case len(ch.Puts)+len(ch.Deletes) >= ledgerdb.MaxRows:
		case rules.Check(s.Began, s.Used, now) != nil:
			delete(p.login.sessions, hash)
			ch.Deletes = append(ch.Deletes, sessions.Delete(hash))
		case s.Used != s.written:
			put := sessions.Put(hash, s.sessionRow)
			put.Expect = nil
			ch.Puts = append(ch.Puts, put)
			written[hash] = s.Used
		}
	}
	p.login.Unlock()
	for _, key := range p.guard.Tidy(now, ledgerdb.MaxRows-len(ch.Puts)-len(ch.Deletes), func(key string) bool { return strings.HasPrefix(key, networkPrefix) }) {
		ch.Deletes = append(ch.Deletes, attempts.Delete(key))
	}
	if len(ch.Puts)+len(ch.Deletes) == 0 {
		return nil
	}
	// A session that ends meanwhile must not come back: look again inside the commit.
	ch.Check = func(tx ledgerdb.Tx) error {
		for hash := range written {
			if _, _, ok, err := sessions.Get(tx, hash); err != nil || !ok {
				return errors.Join(errEndedMeanwhile, err)
			}
		}
		return nil
	}
	if _, err := p.o.Store.Commit(ctx, ch); err != nil {
		if errors.Is(err, errEndedMeanwhile) {
			return nil // the next round writes the others
		}
		return err
	}
	p.login.Lock()
	defer p.login.Unlock()
	for hash, used := range written {
		if s := p.login.sessions[hash]; s != nil {
			s.written = used
		}
	}
	return nil
}

var errEndedMeanwhile = errors.New("people: a session ended meanwhile")
