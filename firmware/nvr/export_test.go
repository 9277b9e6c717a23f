package nvr

import (
	"context"
	"time"

	"campuskeep/firmware/ledgerdb"
)

// Step is what Run does at an NVR in turn.
func (r *Supervisor) Step(ctx context.Context, id string) (time.Duration, error) {
	return r.step(ctx, id)
}

// FetchPut writes the row of a fetch.
func FetchPut(f Fetch) ledgerdb.Put { return fetches.Put(f.ID, f) }
