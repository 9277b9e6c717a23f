package reader

import (
	"sync"
	"time"

	"campuskeep/shared/clock"
)

// KeepCard is how long the number of a card stays in memory after it was held to a reader.
const KeepCard = 2 * time.Minute

// Recent holds the last card of each reader in memory for a short time, for the pages that wait for one: the test of
// a reader, and handing out cards. It writes nothing anywhere.
type Recent struct {
	clock clock.Clock

	mu   sync.Mutex
	n    uint64
	last map[string]Seen
	subs map[chan string]bool
}

// Seen is a card that a reader saw, with its running number.
type Seen struct {
	CardRead
	N    uint64
	When time.Time
}

// NewRecent makes an empty one.
func NewRecent(c clock.Clock) *Recent {
	return &Recent{clock: c, last: map[string]Seen{}, subs: map[chan string]bool{}}
}

// Note takes a card; it never waits.
func (r *Recent) Note(c CardRead) {
	now := r.clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	r.last[c.Reader] = Seen{CardRead: c, N: r.n, When: now.Wall}
	for id, s := range r.last {
		if now.Mono-s.At > KeepCard {
			delete(r.last, id)
		}
	}
	for ch := range r.subs {
		select {
		case ch <- c.Reader:
		default: // one wake-up is pending already
		}
	}
}

// Number is the running number of the last card at any reader; what comes later has a higher one.
func (r *Recent) Number() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n
}

// After is the last card at a reader if its number is higher than n and it is not too long ago.
func (r *Recent) After(reader string, n uint64) (Seen, bool) {
	now := r.clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.last[reader]
	if !ok || s.N <= n || now.Mono-s.At > KeepCard {
		return Seen{}, false
	}
	return s, true
}

// Subscribe wakes with each card at any reader; cancel ends it and closes the channel.
func (r *Recent) Subscribe() (<-chan string, func()) {
	ch := make(chan string, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.subs[ch] = true
	return ch, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.subs[ch] {
			delete(r.subs, ch)
			close(ch)
		}
	}
}
