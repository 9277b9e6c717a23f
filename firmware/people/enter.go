package people

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/store"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/login"
)

// entrant is somebody whose credentials were found right.
type entrant struct {
	person string
	factor string // "password", "totp", "recovery"
	puts   []store.Put
	clear  []store.Delete // failures that no longer count
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
	row := sessionRow{Person: e.person, Began: login.StampOf(now), Used: login.StampOf(now), Factor: e.factor != factorNone, From: from}
	ch := store.Change{Puts: append(e.puts, sessions.PutRev(hash, row, 0)), Deletes: e.clear, Entries: []ledger.Draft{entered(e, from)}}
	dropped := p.surplus(e.person, &ch)
	if err := p.enter(ctx, ch); err != nil {
		return Session{}, err
	}
	p.door.Lock()
	p.door.sessions[hash] = &session{sessionRow: row, written: row.Used}
	for _, h := range dropped {
		delete(p.door.sessions, h)
	}
	p.door.Unlock()
	s, err := p.describe(hash, row, now)
	s.Token, s.Device = token, p.deviceCookie(c.Device, e.person)
	return s, err
}

// Verify is Login without a session: for a second person who authenticates at somebody's screen (F14).
func (p *People) Verify(ctx context.Context, c Credentials, from ledger.From) (account.Actor, error) {
	e, err := p.authenticate(ctx, c, from)
	if err != nil {
		return account.Actor{}, err
	}
	if err := p.enter(ctx, store.Change{Puts: e.puts, Deletes: e.clear, Entries: []ledger.Draft{entered(e, from)}}); err != nil {
		return account.Actor{}, err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	rec := p.persons[e.person]
	if rec == nil || rec.Disabled {
		return account.Actor{}, ErrRefused
	}
	return p.actor(rec, e.factor != factorNone), nil
}

const (
	factorNone     = "password"
	factorCode     = "totp"
	factorRecovery = "recovery"
)

func entered(e entrant, from ledger.From) ledger.Draft {
	return ledger.Draft{Actor: ledger.Actor{ID: e.person}, From: &from, Via: ledger.ViaWeb, Kind: "login.ok", Subject: e.person,
		Data: map[string]any{"factor": e.factor}}
}

// enter commits a log-in. The revision of the secret is expected, so of two that use one code at the same
// time only one gets in.
func (p *People) enter(ctx context.Context, ch store.Change) error {
	_, err := p.o.Store.Commit(ctx, ch)
	switch {
	case errors.Is(err, store.ErrConflict):
		return ErrCodeRefused
	case err != nil:
		return fmt.Errorf("record a log-in: %w", err)
	}
	return nil
}

// maxSessions of one person; the next log-in ends the oldest.
const maxSessions = 10

// surplus adds to the change the removal of a person's oldest sessions beyond the limit.
func (p *People) surplus(person string, ch *store.Change) (dropped []string) {
	p.door.Lock()
	defer p.door.Unlock()
	for {
		n, oldest := 0, ""
		for hash, s := range p.door.sessions {
			if s.Person != person || slices.Contains(dropped, hash) {
				continue
			}
			n++
			if oldest == "" || s.Began.Wall.Before(p.door.sessions[oldest].Began.Wall) {
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

// authenticate says who the credentials belong to. Locks are looked at before and counted at once after the
// hashing, inside its slot, so that parallel guesses do not slip past them.
func (p *People) authenticate(ctx context.Context, c Credentials, from ledger.From) (entrant, error) {
	name := strings.ToLower(strings.TrimSpace(c.User))
	keys := p.guardKeys(name, from)
	p.mu.RLock()
	device := p.knownDevice(c.Device, p.byLogin[name])
	p.mu.RUnlock()
	if device != "" {
		keys = guardKeys{name: device}
	}
	if err := p.locked(keys); err != nil {
		return entrant{}, err
	}
	select {
	case p.hashing <- struct{}{}:
	case <-ctx.Done():
		return entrant{}, ctx.Err()
	}
	e, refusal, err := p.checkInSlot(name, c, keys)
	<-p.hashing
	if refusal != nil {
		refusal.from = from
		return entrant{}, p.recordRefusal(ctx, *refusal, err)
	}
	if errors.Is(err, ErrCodeNeeded) { // somebody has the password: whoever stole it must not try it unseen
		return entrant{}, p.recordStep(ctx, e.person, from, err)
	}
	return e, err
}

// recordStep commits the entry of a right password that waits for its code, and gives err, or what kept it from
// being recorded.
func (p *People) recordStep(ctx context.Context, person string, from ledger.From, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	_, cerr := p.o.Store.Commit(ctx, store.Change{Entries: []ledger.Draft{{Actor: ledger.Actor{ID: person}, From: &from, Via: ledger.ViaWeb, Kind: "login.step",
		Subject: person, Data: map[string]any{"passed": factorNone}}}})
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
	keys   guardKeys
	from   ledger.From
	counts []counted
}

type counted struct {
	key    string
	a      login.Attempts
	begins bool
}

func (p *People) checkInSlot(name string, c Credentials, keys guardKeys) (entrant, *refusal, error) {
	if err := p.locked(keys); err != nil {
		return entrant{}, nil, err
	}
	p.mu.RLock()
	id := p.byLogin[name]
	rec := p.persons[id]
	disabled := rec != nil && rec.Disabled
	p.mu.RUnlock()

	fail := func(reason string, err error) (entrant, *refusal, error) {
		r := &refusal{reason: reason, person: id, name: p.pseudonym("name", name), keys: keys}
		r.counts = p.count(keys)
		return entrant{}, r, err
	}
	var s secret
	var rev uint64
	if rec != nil {
		err := p.o.Store.View(func(tx store.Tx) (err error) {
			s, rev, _, err = secrets.Get(tx, id)
			return err
		})
		if err != nil {
			return entrant{}, nil, fmt.Errorf("read a secret: %w", err)
		}
	}
	stored := s.Password
	if stored == "" {
		stored = p.decoy
	}
	ok, rehash, err := login.Verify(c.Password, stored, p.o.Cost)
	switch {
	case err != nil:
		return entrant{}, nil, fmt.Errorf("check a password: %w", err)
	case rec == nil:
		return fail("unknown", ErrRefused)
	case !ok || s.Password == "":
		return fail("password", ErrRefused)
	case disabled:
		return fail("disabled", ErrRefused)
	}
	if rehash {
		s.Password = login.Hash(c.Password, p.o.Cost)
	}
	factor, err := useFactor(&s, c.Code, p.now())
	switch {
	case errors.Is(err, login.ErrCodeUsed):
		return fail("code_used", ErrCodeRefused)
	case errors.Is(err, login.ErrCodeWrong) && p.now().State == clock.Suspect && !login.LooksLikeRecovery(c.Code):
		return fail("code", ErrCodeClock) // it may be the clock that is wrong; it counts as a guess all the same
	case errors.Is(err, login.ErrCodeWrong):
		return fail("code", ErrCodeRefused)
	case err != nil:
		return entrant{person: id}, nil, err
	}
	e := entrant{person: id, factor: factor, clear: p.forgive(keys)}
	if rehash || factor != factorNone {
		e.puts = []store.Put{secrets.PutRev(id, s, rev)}
	}
	return e, nil, nil
}

// useFactor checks the second factor of somebody whose password was right, and notes in s what was used.
func useFactor(s *secret, code string, now clock.Reading) (factor string, err error) {
	switch {
	case len(s.Factor) == 0:
		return factorNone, nil
	case strings.TrimSpace(code) == "":
		return "", ErrCodeNeeded
	case login.LooksLikeRecovery(code):
		left, ok := login.UseRecovery(code, s.Recovery)
		if !ok {
			return "", login.ErrCodeWrong
		}
		s.Recovery = left
		return factorRecovery, nil
	}
	// In doubt too: the reading follows the line that was trusted in this boot, or is not before the last trusted time
	// on record, so no code of the past comes to life again. If the clock is off, a right code is refused.
	step, err := login.VerifyCode(s.Factor, code, now, s.LastStep)
	if errors.Is(err, login.ErrClockWorse) {
		return "", ErrCodeClock
	}
	if err != nil {
		return "", err
	}
	s.LastStep = step
	return factorCode, nil
}

// guardKeys are the rows that count failures: of the name as typed, and of the address.
type guardKeys struct{ name, address string }

func (p *People) guardKeys(name string, from ledger.From) guardKeys {
	k := guardKeys{name: "n-" + hex.EncodeToString(p.pseudonym("name", name))}
	if from.Address != "" {
		k.address = "a-" + hex.EncodeToString(p.pseudonym("address", network(from.Address)))
	}
	return k
}

// network is whom the failures of an address count for: an IPv6 host has a whole /64 to send from.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Unmap().Is4() {
		return address
	}
	return netip.PrefixFrom(a, 64).Masked().String()
}

func (p *People) locked(k guardKeys) error {
	now := p.now()
	p.door.Lock()
	defer p.door.Unlock()
	wait := max(p.door.attempts[k.name].Locked(now), p.door.attempts[k.address].Locked(now))
	if wait > 0 {
		return &Locked{Wait: wait}
	}
	return nil
}

// count notes a failure in memory at once; recordRefusal stores it.
func (p *People) count(k guardKeys) []counted {
	now := p.now()
	p.door.Lock()
	defer p.door.Unlock()
	var out []counted
	add := func(key string, rule login.LockRule) {
		if key == "" {
			return
		}
		a, begins := rule.Failed(p.door.attempts[key], now)
		p.door.attempts[key] = a
		out = append(out, counted{key, a, begins})
	}
	add(k.name, login.AccountLock)
	add(k.address, login.AddressLock)
	return out
}

// forgive clears the failures of the name; those of the address stay, they may be somebody else's.
func (p *People) forgive(k guardKeys) []store.Delete {
	p.door.Lock()
	defer p.door.Unlock()
	if _, some := p.door.attempts[k.name]; !some {
		return nil
	}
	delete(p.door.attempts, k.name)
	return []store.Delete{attempts.Delete(k.name)}
}

// recordTime bounds the commit of a refusal, which does not end with the request: whoever hangs up early
// leaves a trace all the same.
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
	ch := store.Change{Entries: []ledger.Draft{draft("login.refused", map[string]any{"reason": r.reason})}}
	var longest time.Duration
	for _, c := range r.counts {
		ch.Puts = append(ch.Puts, attempts.Put(c.key, c.a))
		if c.begins {
			longest = max(longest, c.a.Lock)
		}
	}
	if longest > 0 {
		ch.Entries = append(ch.Entries, draft("login.locked", map[string]any{"until": p.now().Wall.Add(longest).UTC()}))
	}
	p.door.Lock()
	count, storm := p.door.storm.Count(login.LoginStorm, p.now().Mono)
	p.door.Unlock()
	if storm {
		ch.Entries = append(ch.Entries, account.System.Draft("login.storm", "", "", map[string]any{"what": "login", "count": count, "minutes": int(login.LoginStorm.Window / time.Minute)}))
	}
	if _, cerr := p.o.Store.Commit(ctx, ch); cerr != nil {
		return fmt.Errorf("record a refused log-in: %w", cerr)
	}
	return err
}
