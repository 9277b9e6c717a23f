package people

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/login"
)

// authenticated is somebody whose credentials were found right.
type authenticated struct {
	person string
	factor string // "password", "totp", "recovery"
	puts   []ledgerdb.Put
	clear  []ledgerdb.Delete // failures that no longer count
}

// Login checks the credentials and begins a session. Errors: ErrRefused, ErrCodeNeeded, ErrCodeRefused,
// ErrCodeClock, *Locked. Each refusal is an entry of the log; so is the beginning of a lock, not each attempt
// during it.
func (p *People) Login(ctx context.Context, c Credentials, from ledger.From) (Session, error) {
	e, err := p.authenticate(ctx, c, from)
	if err != nil {
		return Session{}, err
	}
	token, hash := login.NewToken()
	now := p.now()
	row := sessionRow{Person: e.person, Began: login.StampOf(now), Used: login.StampOf(now), Factor: e.factor != login.FactorNone, From: from}
	ch := ledgerdb.Change{Puts: append(e.puts, sessions.PutRev(hash, row, 0)), Deletes: e.clear, Entries: []ledger.Draft{entered(e, from)}}
	dropped := p.dropOldest(e.person, &ch)
	if err := p.enter(ctx, ch); err != nil {
		return Session{}, err
	}
	p.login.Lock()
	p.login.sessions[hash] = &session{sessionRow: row, written: row.Used}
	for _, h := range dropped {
		delete(p.login.sessions, h)
	}
	p.login.Unlock()
	s, err := p.describe(hash, row, now)
	s.Token, s.Device = token, login.DeviceCookie(p.siteKey[:], c.Device, e.person)
	return s, err
}

// Verify is Login without a session: for a second person who authenticates at somebody's screen (F14).
func (p *People) Verify(ctx context.Context, c Credentials, from ledger.From) (account.Actor, error) {
	e, err := p.authenticate(ctx, c, from)
	if err != nil {
		return account.Actor{}, err
	}
	if err := p.enter(ctx, ledgerdb.Change{Puts: e.puts, Deletes: e.clear, Entries: []ledger.Draft{entered(e, from)}}); err != nil {
		return account.Actor{}, err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	rec := p.persons[e.person]
	if rec == nil || rec.Disabled {
		return account.Actor{}, ErrRefused
	}
	return p.actor(rec, e.factor != login.FactorNone), nil
}

func entered(e authenticated, from ledger.From) ledger.Draft {
	return ledger.Draft{Actor: ledger.Actor{ID: e.person}, From: &from, Via: ledger.ViaWeb, Kind: "login.ok", Subject: e.person,
		Data: map[string]any{"factor": e.factor}}
}

// enter commits a log-in. The revision of the secret is expected, so of two that use one code at the same
// time only one gets in.
func (p *People) enter(ctx context.Context, ch ledgerdb.Change) error {
	_, err := p.o.Store.Commit(ctx, ch)
	switch {
	case errors.Is(err, ledgerdb.ErrConflict):
		return ErrCodeRefused
	case err != nil:
		return fmt.Errorf("record a log-in: %w", err)
	}
	return nil
}

// maxSessions of one person; the next log-in ends the oldest.
const maxSessions = 10

// dropOldest adds to the change the removal of a person's oldest sessions beyond the limit.
func (p *People) dropOldest(person string, ch *ledgerdb.Change) (dropped []string) {
	p.login.Lock()
	defer p.login.Unlock()
	for {
		n, oldest := 0, ""
		for hash, s := range p.login.sessions {
			if s.Person != person || slices.Contains(dropped, hash) {
				continue
			}
			n++
			if oldest == "" || s.Began.Wall.Before(p.login.sessions[oldest].Began.Wall) {
				oldest = hash
			}
		}
		if n < maxSessions {
			return dropped
		}
		dropped = append(dropped, oldest)
		ch.Deletes = append(ch.Deletes, sessions.Delete(oldest))
	}
}

// authenticate says who the credentials belong to. Each log-in is counted as failed before it is tried.
func (p *People) authenticate(ctx context.Context, c Credentials, from ledger.From) (authenticated, error) {
	name := strings.ToLower(strings.TrimSpace(c.User))
	keys := p.guardKeys(name, from)
	p.mu.RLock()
	id := p.byLogin[name]
	p.mu.RUnlock()
	if device := login.KnownDevice(p.siteKey[:], c.Device, id); device != "" {
		keys = login.Keys{Name: "d-" + hex.EncodeToString(p.pseudonym("device", device+"\x00"+id))}
	}
	counts, err := p.guard.Charge(keys, p.now())
	if err != nil {
		return authenticated{}, err
	}
	var proof login.Proof
	var rev uint64
	var checked error
	if err := p.guard.Hash(ctx, func() { id, rev, proof, checked = p.prove(name, c) }); err != nil {
		p.guard.Return(counts) // nothing was tried
		return authenticated{}, err
	}
	switch {
	case proof.Reason != "":
		return authenticated{}, p.recordRefusal(ctx, refusal{reason: proof.Reason, person: id, name: p.pseudonym("name", name), from: from, counts: counts}, checked)
	case checked != nil:
		p.guard.Return(counts)
		if errors.Is(checked, ErrCodeNeeded) { // somebody has the password: anyone who stole it must not try it unseen
			return authenticated{}, p.recordStep(ctx, id, from, checked)
		}
		return authenticated{}, checked
	}
	e := authenticated{person: id, factor: proof.Factor}
	if p.guard.Succeed(keys, counts) {
		e.clear = []ledgerdb.Delete{attempts.Delete(keys.Name)}
	}
	if proof.Changed {
		e.puts = []ledgerdb.Put{secrets.PutRev(id, secret{id, proof.Secret}, rev)}
	}
	return e, nil
}

// prove holds credentials against the person of a log-in name.
func (p *People) prove(name string, c Credentials) (id string, rev uint64, proof login.Proof, err error) {
	p.mu.RLock()
	id = p.byLogin[name]
	rec := p.persons[id]
	who := login.Account{Known: rec != nil, Disabled: rec != nil && rec.Disabled}
	p.mu.RUnlock()
	if who.Known {
		s, r, err := p.secretOf(id)
		if err != nil {
			return id, 0, proof, err
		}
		who.Secret, rev = s.Secret, r
	}
	proof, err = p.verifier.Verify(who, c.Password, c.Code, p.now())
	return id, rev, proof, err
}

// recordStep commits the entry of a right password that waits for its code, and gives err, or what kept it from
// being recorded.
func (p *People) recordStep(ctx context.Context, person string, from ledger.From, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	_, cerr := p.o.Store.Commit(ctx, ledgerdb.Change{Entries: []ledger.Draft{{Actor: ledger.Actor{ID: person}, From: &from, Via: ledger.ViaWeb, Kind: "login.step",
		Subject: person, Data: map[string]any{"passed": login.FactorNone}}}})
	if cerr != nil {
		return fmt.Errorf("record the first step of a log-in: %w", cerr)
	}
	return err
}

// refusal is a failed log-in on its way to the log.
type refusal struct {
	reason string // code
	person string // empty when the name is unknown
	name   []byte // pseudonym of what was typed
	from   ledger.From
	counts []login.Counted
}

// guardKeys are the rows that count failures: of the name as typed, and of the network.
func (p *People) guardKeys(name string, from ledger.From) login.Keys {
	k := login.Keys{Name: "n-" + hex.EncodeToString(p.pseudonym("name", name))}
	if from.Address != "" {
		k.Network = networkPrefix + hex.EncodeToString(p.pseudonym("address", login.Network(from.Address)))
	}
	return k
}

// networkPrefix begins the keys of networks.
const networkPrefix = "a-"

// recordTime bounds the commit of a refusal, which does not end with the request: anyone who hangs up
// early leaves a trace all the same.
const recordTime = 10 * time.Second

// recordRefusal commits the entries of a failed log-in and gives err, or what kept it from being recorded.
func (p *People) recordRefusal(ctx context.Context, r refusal, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	actor := r.person
	if actor == "" {
		actor = "unknown"
	}
	draft := func(kind ledger.Kind, data map[string]any) ledger.Draft {
		data["user_hash"] = r.name
		return ledger.Draft{Actor: ledger.Actor{ID: actor}, From: &r.from, Via: ledger.ViaWeb, Kind: kind, Subject: r.person, Data: data}
	}
	ch := ledgerdb.Change{Entries: []ledger.Draft{draft("login.refused", map[string]any{"reason": r.reason})}}
	var longest time.Duration
	for _, c := range r.counts {
		ch.Puts = append(ch.Puts, attempts.Put(c.Key, c.Attempts))
		if c.Begins {
			longest = max(longest, c.Attempts.Lock)
		}
	}
	if longest > 0 {
		ch.Entries = append(ch.Entries, draft("login.locked", map[string]any{"until": p.now().Wall.Add(longest).UTC()}))
	}
	if count, storm := p.guard.Storm(p.now()); storm {
		ch.Entries = append(ch.Entries, account.System.Draft("login.storm", "", "", map[string]any{"what": "login", "count": count, "minutes": int(login.LoginStorm.Window / time.Minute)}))
	}
	if _, cerr := p.o.Store.Commit(ctx, ch); cerr != nil {
		return fmt.Errorf("record a refused log-in: %w", cerr)
	}
	return err
}
