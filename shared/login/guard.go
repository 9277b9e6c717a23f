package login

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"campuskeep/shared/clock"
)

// Locked is the answer during a lock-out.
type Locked struct{ Wait time.Duration }

func (e *Locked) Error() string { return "login: locked out for " + e.Wait.String() }

// Keys are the rows that count the failures of one log-in: of the name as typed (or of a device that its person has
// used before, which counts apart), and of the network; empty for none.
type Keys struct{ Name, Network string }

// Counted is a row of failures as it is now, for anyone who stores it.
type Counted struct {
	Key      string
	Attempts Attempts
	Begins   bool // this failure began a lock

	before Attempts
}

// Guard counts log-ins and bounds how many passwords are hashed at once: nobody need be logged in to ask for one. Each
// log-in is counted as failed before it is tried, so guesses side by side are counted like guesses one after the
// other. Storing what it counts is its owner's part. Safe for concurrent use.
type Guard struct {
	hashing chan struct{}

	mu       sync.Mutex
	attempts map[string]Attempts
	storm    Storm
}

// NewGuard makes one that hashes so many passwords at once and knows the stored counts.
func NewGuard(hashings int, stored map[string]Attempts) *Guard {
	return &Guard{hashing: make(chan struct{}, hashings), attempts: stored}
}

// Hash runs fn, which hashes a password, when there is a slot.
func (g *Guard) Hash(ctx context.Context, fn func()) error {
	select {
	case g.hashing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-g.hashing }()
	fn()
	return nil
}

// Charge counts a log-in as failed before it is tried. *Locked: it must not be tried, and counts nothing.
func (g *Guard) Charge(k Keys, now clock.Reading) ([]Counted, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if wait := max(g.attempts[k.Name].Locked(now), g.attempts[k.Network].Locked(now)); wait > 0 {
		return nil, &Locked{wait}
	}
	var out []Counted
	for _, row := range []struct {
		key  string
		rule LockRule
	}{{k.Name, AccountLock}, {k.Network, AddressLock}} {
		if row.key == "" {
			continue
		}
		before := g.attempts[row.key]
		a, begins := row.rule.Failed(before, now)
		g.attempts[row.key] = a
		out = append(out, Counted{row.key, a, begins, before})
	}
	return out, nil
}

// Return takes back what Charge counted: the log-in was no failure. Other failures keep counting.
func (g *Guard) Return(counts []Counted) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range counts {
		g.take(c)
	}
}

// Succeed takes back what Charge counted and clears the failures of the name; those of the network stay, they may be
// somebody else's. had says that the name had failures before.
func (g *Guard) Succeed(k Keys, counts []Counted) (had bool) {
	g.Return(counts)
	g.mu.Lock()
	defer g.mu.Unlock()
	_, had = g.attempts[k.Name]
	delete(g.attempts, k.Name)
	return had
}

func (g *Guard) take(c Counted) {
	a, ok := g.attempts[c.Key]
	switch {
	case !ok: // cleared meanwhile
	case a != c.Attempts: // others were counted meanwhile
		a.Failures = max(a.Failures-1, 0)
		g.attempts[c.Key] = a
	case c.before.Failures == 0:
		delete(g.attempts, c.Key)
	default:
		g.attempts[c.Key] = c.before
	}
}

// Storm notes a refusal. told is how many came within [LoginStorm], when this one must be reported.
func (g *Guard) Storm(now clock.Reading) (shown int, storm bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.storm.Count(LoginStorm, now.Mono)
}

// Tidy forgets at most so many rows that count no more, and names them. ofNetwork tells the rows of networks.
func (g *Guard) Tidy(now clock.Reading, most int, ofNetwork func(key string) bool) (forgotten []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, a := range g.attempts {
		rule := AccountLock
		if ofNetwork(key) {
			rule = AddressLock
		}
		if len(forgotten) < most && rule.Forgotten(a, now) {
			delete(g.attempts, key)
			forgotten = append(forgotten, key)
		}
	}
	return forgotten
}

// Network is whom the failures of an address count for: an IPv6 host has a whole /64 to send from.
func Network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Unmap().Is4() {
		return address
	}
	return netip.PrefixFrom(a, 64).Masked().String()
}
