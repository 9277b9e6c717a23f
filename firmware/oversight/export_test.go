package oversight

import "context"

// Beat is one round of Run.
func (o *Office) Beat(ctx context.Context) error { return o.beat(ctx) }
