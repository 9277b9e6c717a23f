package gate

import (
	"sync"
	"time"

	"campuskeep/shared/attendance"
)

// announcement is the signal to one person at one reader about one tap: amber when it takes long, then the
// final signal. The two never change places.
type announcement struct {
	show   func(attendance.Signal)
	timer  *time.Timer
	mu     sync.Mutex
	ended  bool
	waited bool
}

// announce starts the wait of a tap that was read age ago.
func (g *Gate) announce(readerID string, age time.Duration) *announcement {
	a := &announcement{show: func(s attendance.Signal) { g.o.Show(readerID, s) }}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.timer = time.AfterFunc(max(0, amberAfter-age), a.wait)
	return a
}

func (a *announcement) wait() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ended {
		a.waited = true
		a.show(attendance.SignalWait)
	}
}

// done gives the final signal and says whether amber was shown before.
func (a *announcement) done(s attendance.Signal) (waited bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	a.timer.Stop()
	a.show(s)
	return a.waited
}
