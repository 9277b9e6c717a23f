package viewing

import (
	"context"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/clock"
)

// Run ends the viewings that are allowed no more and those that nobody watches, until ctx ends; then it closes what
// is open. Every change of a right is an entry of the log, so each new entry has the viewings judged again; what time
// alone brings is looked at once a second. It runs once.
func (m *Viewings) Run(ctx context.Context) error {
	m.watch(ctx)
	// The entries that close the viewings must still be written, so they get their own time.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return m.EndAll(end, Stopping)
}

func (m *Viewings) watch(ctx context.Context) {
	grown, cancel := m.o.Subscribe()
	defer cancel()
	second, idle := time.NewTicker(checkEvery), time.NewTicker(idleEvery)
	defer second.Stop()
	defer idle.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-grown:
			if !ok {
				return
			}
			m.Check(ctx)
		case <-second.C:
			m.Check(ctx)
		case <-idle.C:
			m.CloseIdle(ctx)
		}
	}
}

// Check asks of every open viewing whether it would still be allowed, and ends those that would not.
func (m *Viewings) Check(ctx context.Context) {
	now := m.o.Clock.Now()
	for _, id := range m.matching(func(v Opened) bool { return v.given == nil }) {
		v, ok := m.Get(id)
		if !ok {
			continue
		}
		if reason := m.endReason(v, now); reason != "" {
			m.endLogged(ctx, id, reason)
		}
	}
}

// endReason is the reason why a viewing must end now; empty when it may go on.
func (m *Viewings) endReason(v Opened, now clock.Reading) EndedBy {
	if now.Mono >= v.due {
		return TimeOver
	}
	actor, ok := m.viewer(v, now)
	if !ok {
		if p, known := m.o.People.Person(v.Person); !known || p.Disabled {
			return Disabled
		}
		return LoggedOut
	}
	d := account.May(actor, account.ActMediaRead, v.Subject(), now.Wall)
	switch {
	case d.Allowed:
		return ""
	case v.Application != "":
		return Revoked
	case d.Reason == "may.not_on_shift":
		return ShiftEnded
	}
	return RoleLost
}

// viewer is who watches, by the log-in that the viewing belongs to; false when that is over. The log-in is looked up
// without being used: watching alone keeps none alive.
func (m *Viewings) viewer(v Opened, now clock.Reading) (account.Actor, bool) {
	for _, s := range m.o.People.Sessions(v.Person) {
		if s.ID == v.session {
			return m.o.Register.Present(s.Actor, now), true
		}
	}
	return account.Actor{}, false
}

// CloseIdle ends the viewings that fetch nothing any more or whose time has passed, and tries again to enter the end
// of those whose closing entry could not be written.
func (m *Viewings) CloseIdle(ctx context.Context) {
	for _, id := range m.o.Player.Idle(idleAfter) {
		reason := Idle
		if v, ok := m.Get(id); ok && m.o.Clock.Now().Mono >= v.due {
			reason = TimeOver
		}
		m.endLogged(ctx, id, reason)
	}
	for _, id := range m.matching(func(v Opened) bool { return v.given != nil }) {
		m.endLogged(ctx, id, Idle)
	}
}
