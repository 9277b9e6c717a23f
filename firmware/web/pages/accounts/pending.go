package accounts

import (
	"sync"
	"time"

	"campuskeep/firmware/people"
	"campuskeep/shared/login"
)

// pending keeps what was typed in the first step of a log-in until the one-time code comes: in memory, for a
// short while, so that the password never goes back into a page.
type pending struct {
	mu   sync.Mutex
	open map[string]firstStep // by hash of the token in the page; guarded by mu
}

type firstStep struct {
	cred people.Credentials
	at   time.Duration // monotonic
}

const (
	pendingFor  = 3 * time.Minute
	pendingMost = 256
)

func newPending() *pending { return &pending{open: map[string]firstStep{}} }

// add stores the first step and gives the token for the page.
func (p *pending) add(c people.Credentials, mono time.Duration) string {
	token, hash := login.NewToken()
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, s := range p.open {
		if mono-s.at > pendingFor || len(p.open) >= pendingMost {
			delete(p.open, k)
		}
	}
	p.open[hash] = firstStep{c, mono}
	return token
}

// get finds the first step again; it stays, because a code may be mistyped.
func (p *pending) get(token string, mono time.Duration) (people.Credentials, bool) {
	hash, ok := login.HashToken(token)
	if !ok {
		return people.Credentials{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.open[hash]
	if !ok || mono-s.at > pendingFor {
		delete(p.open, hash)
		return people.Credentials{}, false
	}
	return s.cred, true
}

// remove forgets a first step that has served.
func (p *pending) remove(token string) {
	if hash, ok := login.HashToken(token); ok {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, hash)
	}
}
