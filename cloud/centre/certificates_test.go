package centre

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campuskeep/shared/clock"
)

// lockedBuffer is a log that the test reads while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// running is a clock that goes with the time of the test.
type running struct{}

func (running) Now() clock.Reading { return clock.Reading{Wall: time.Now(), State: clock.Trusted} }

// Covers F11: from thirty days before its end the broker's certificate is warned of, once a day; what the centre renews
// by itself is not.
func TestCertificateWarningInTheLog(t *testing.T) {
	cfg := Default()
	cfg.Centre.Data, cfg.Centre.Name, cfg.Centre.Names = t.TempDir(), "test", []string{"localhost"}
	var log lockedBuffer
	c, err := Open(t.Context(), cfg, Deps{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Enrol.ServerTLS().GetCertificate(nil); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		c.clock = running{}
		until := time.Now().Add(certificateWarning + 36*time.Hour)
		c.brokerUntil.Store(&until)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.watchCertificates(ctx) }()
		for day, want := range []int{0, 0, 1, 2, 3} {
			synctest.Wait()
			if got := strings.Count(log.String(), "certificate ends soon"); got != want {
				t.Errorf("after %d days %d warnings, want %d", day, got, want)
			}
			time.Sleep(24 * time.Hour)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if text := log.String(); !strings.Contains(text, "certificate=broker") || strings.Contains(text, "certificate=server") {
		t.Errorf("the log: %s", text)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
