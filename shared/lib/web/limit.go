package web

import (
	"net/netip"
	"sync"
	"time"
)

// Limiter slows down one address that asks too much: a bucket per address that refills steadily.
// An office of people behind one address must not feel it; a script that guesses passwords must.
type Limiter struct {
	rate  float64 // per second
	burst float64

	mu      sync.Mutex
	buckets map[netip.Addr]bucket // guarded by mu; emptied of full ones when it grows
}

type bucket struct {
	level float64
	at    time.Duration // monotonic
}

const maxBuckets = 4096

// NewLimiter makes a limiter that lets so many pass per second, and burst at once.
func NewLimiter(perSecond, burst float64) *Limiter {
	return &Limiter{rate: perSecond, burst: burst, buckets: map[netip.Addr]bucket{}}
}

// source is who counts as one: of IPv6 a machine may have a whole /64 to itself.
func source(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if !a.Is6() {
		return a
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}

// Allow takes one from the bucket of the address. mono is the monotonic time: a wall clock that is set
// must not open or close anything.
func (l *Limiter) Allow(a netip.Addr, mono time.Duration) bool {
	a = source(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[a]
	if !ok {
		if len(l.buckets) >= maxBuckets {
			l.sweep(mono)
		}
		b = bucket{l.burst, mono}
	}
	b.level = min(l.burst, b.level+l.rate*(mono-b.at).Seconds())
	b.at = mono
	ok = b.level >= 1
	if ok {
		b.level--
	}
	l.buckets[a] = b
	return ok
}

// sweep forgets who has not asked for long; when all still count, any of them go until there is room.
func (l *Limiter) sweep(mono time.Duration) {
	for a, b := range l.buckets {
		if b.level+l.rate*(mono-b.at).Seconds() >= l.burst {
			delete(l.buckets, a)
		}
	}
	for a := range l.buckets {
		if len(l.buckets) < maxBuckets {
			return
		}
		delete(l.buckets, a)
	}
}
