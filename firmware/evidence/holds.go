package evidence

import (
	"context"
	"fmt"

	"campuskeep/firmware/store"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/register"
)

// endHolds removes the holds whose end has certainly passed; each end is an entry (design §5).
func (e *Office) endHolds(ctx context.Context, now clock.Reading) error {
	for _, h := range e.Holds() {
		if now.Earliest().Before(h.Until) {
			continue
		}
		if err := e.endHold(ctx, h.ID); err != nil {
			return err
		}
	}
	return nil
}

func (e *Office) endHold(ctx context.Context, id string) error {
	e.desk.Lock()
	defer e.desk.Unlock()
	_, err := e.o.Store.Commit(ctx, store.Change{Deletes: []store.Delete{holds.Delete(id)},
		Entries: []ledger.Draft{account.System.Draft("hold.ended", "", id, holdEnd{id, "time"})}})
	if err != nil {
		return fmt.Errorf("end hold %s: %w", id, err)
	}
	e.files.mu.Lock()
	defer e.files.mu.Unlock()
	delete(e.files.holds, id)
	return nil
}

// disk is what the holds of all applications cost, and what this one would add. A file that two hold counts once.
func (e *Office) disk(ctx context.Context, a register.Application) (register.Disk, error) {
	if e.o.Capacity == nil {
		return register.Disk{}, nil
	}
	total, err := e.o.Capacity()
	if err != nil {
		return register.Disk{}, fmt.Errorf("ask the size of the footage disk: %w", err)
	}
	d := register.Disk{Total: total}
	seen := map[footage.FileID]bool{}
	weigh := func(camera string, s footage.Span) (sum uint64, err error) {
		if s.Duration() <= 0 || s.Duration() > e.o.Rules().CameraTime {
			return 0, nil // refused by its own rule
		}
		list, err := e.o.Footage.Segments(ctx, camera, s)
		if err != nil {
			return 0, fmt.Errorf("weigh footage of camera %s: %w", camera, err)
		}
		for _, x := range list {
			if !seen[x.File] {
				seen[x.File], sum = true, sum+uint64(x.Bytes)
			}
		}
		return sum, nil
	}
	for _, h := range e.Holds() {
		if h.Application == a.ID {
			continue
		}
		for _, c := range h.Cameras {
			n, err := weigh(c, h.Span)
			if err != nil {
				return d, err
			}
			d.Held += n
		}
	}
	for _, w := range a.Wanted {
		for _, c := range w.Cameras {
			n, err := weigh(c, w.Span)
			if err != nil {
				return d, err
			}
			d.Asked += n
		}
	}
	return d, nil
}
