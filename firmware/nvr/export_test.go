package nvr

import (
	"context"
	"time"
)

// Step is what Run does at an NVR in turn.
func (r *Supervisor) Step(ctx context.Context, id string) (time.Duration, error) {
	return r.step(ctx, id)
}
