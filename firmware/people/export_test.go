package people

import "context"

// Tidy is one round of Run.
func (p *People) Tidy(ctx context.Context) error { return p.tidy(ctx) }
