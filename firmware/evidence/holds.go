package evidence

import (
	"context"
	"fmt"

	"campuskeep/firmware/store"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
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
