package centre

import (
	"context"
	"testing"
)

// A stop while the centre starts is a stop, not a fault: a service that is ended at once does not look broken.
func TestStoppedWhileItStarts(t *testing.T) {
	cfg := Default()
	cfg.Centre.Data, cfg.Centre.Name, cfg.Centre.Names = t.TempDir(), "test", []string{"localhost"}
	c, err := Open(t.Context(), cfg, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := c.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
