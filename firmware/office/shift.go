package office

import (
	"context"
	"fmt"
	"sync"
	"time"

	"campuskeep/firmware/store"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
)

// shifts says who is signed in at the control room (F20). A shift belongs to a log-in: it ends with it, with
// the page's own stop, or after [longestShift]; after a restart one signs in anew.
type shifts struct {
	mu sync.Mutex
	on map[string]time.Duration // person → monotonic beginning; guarded by mu
}

const longestShift = 14 * time.Hour

func newShifts() *shifts { return &shifts{on: map[string]time.Duration{}} }

func (s *shifts) has(person string, mono time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	began, ok := s.on[person]
	return ok && mono-began < longestShift
}

func (s *shifts) begin(person string, mono time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on[person] = mono
}

// end says whether there was a shift to end.
func (s *shifts) end(person string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.on[person]
	delete(s.on, person)
	return ok
}

func (o *Office) beginShift(c *call) error {
	if !c.actor.OnShift {
		d := c.who().Draft("shift.began", c.decision.Role, c.actor.ID, nil)
		if _, err := o.d.Ledger.Commit(c.r.Context(), store.Change{Entries: []ledger.Draft{d}}); err != nil {
			c.unlogged = true
			return fmt.Errorf("entering the beginning of a shift: %w", err)
		}
		o.shifts.begin(c.actor.ID, c.now.Mono)
	}
	return c.done("/live", "done.shift_began")
}

func (o *Office) endShift(c *call) error {
	if err := o.overShift(c.r.Context(), c.who(), "signed_off"); err != nil {
		return err
	}
	return c.done("/", "done.shift_ended")
}

// overShift ends somebody's shift, and what they watch live with it.
func (o *Office) overShift(ctx context.Context, by account.Who, reason string) error {
	if !o.shifts.end(by.ID) {
		return nil
	}
	for _, id := range o.viewings.of(by.ID) {
		if v, ok := o.viewings.get(id); ok && v.live() {
			if err := o.end(ctx, id, "closed"); err != nil {
				return err
			}
		}
	}
	d := by.Draft("shift.ended", account.RoleOfficer, by.ID, struct {
		Reason string `json:"reason"`
	}{reason})
	if _, err := o.d.Ledger.Commit(ctx, store.Change{Entries: []ledger.Draft{d}}); err != nil {
		return fmt.Errorf("entering the end of a shift: %w", err)
	}
	return nil
}
