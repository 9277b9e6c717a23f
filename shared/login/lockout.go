package login

import (
	"time"

	"campuskeep/shared/clock"
)

// LockRule slows guessing: after Free failures each further one locks for First, doubled every time, at most
// Longest. A quiet time of Forget clears the count. Bounded on purpose: anyone who knows a colleague's log-in
// name must not be able to keep the colleague out for long.
type LockRule struct {
	Free    int
	First   time.Duration
	Longest time.Duration
	Forget  time.Duration
}

// AccountLock is for one log-in name (whether it exists or not, so that nothing can be learned from it);
// AddressLock is for one network address, wider because a school often has one address for many people.
var (
	AccountLock = LockRule{Free: 5, First: time.Minute, Longest: 15 * time.Minute, Forget: 24 * time.Hour}
	AddressLock = LockRule{Free: 20, First: time.Minute, Longest: 15 * time.Minute, Forget: 2 * time.Hour}
)

// Attempts counts the failures of one name or address. The zero value has none.
type Attempts struct {
	Failures int           `json:"failures"`
	Last     Stamp         `json:"last"` // of the last failure
	Lock     time.Duration `json:"lock"` // how long the lock counts from Last; zero: not locked
}

// Locked is how long the lock still lasts; zero when there is none. After a restart with a clock that went
// back, the full lock counts: a step of the clock opens nothing.
func (a Attempts) Locked(now clock.Reading) time.Duration {
	if a.Lock == 0 {
		return 0
	}
	gone, ok := a.Last.Since(now)
	if !ok {
		return a.Lock
	}
	return max(a.Lock-gone, 0)
}

// Failed counts one more failure. begins says that it began a lock.
func (r LockRule) Failed(a Attempts, now clock.Reading) (next Attempts, begins bool) {
	if r.Forgotten(a, now) {
		a = Attempts{}
	}
	a.Failures++
	a.Last = StampOf(now)
	a.Lock = 0
	if over := a.Failures - r.Free; over >= 0 {
		a.Lock = r.First
		for i := 0; i < over && a.Lock < r.Longest; i++ {
			a.Lock *= 2
		}
		a.Lock = min(a.Lock, r.Longest)
	}
	return a, a.Lock > 0
}

// Forgotten says whether the failures lie so far back that they count no more; the row may be removed.
func (r LockRule) Forgotten(a Attempts, now clock.Reading) bool {
	gone, ok := a.Last.Since(now)
	return a.Failures == 0 || ok && gone >= r.Forget
}
