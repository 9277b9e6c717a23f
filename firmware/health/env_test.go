package health

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/ledgerdb/ledgerdbtest"
	"campuskeep/firmware/pin"
	"campuskeep/firmware/site"
	"campuskeep/scripts/sim/camera"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// env is the room over a real store and register.
type env struct {
	*Monitor
	t     *testing.T
	clock *clocktest.Clock
	store *ledgerdb.Store
	site  *site.Site
	light footage.Light

	mu    sync.Mutex
	watch []Seen
}

func newEnv(t *testing.T) *env {
	t.Helper()
	h := &env{t: t, light: footage.Lit, clock: clocktest.At(time.Date(2026, 5, 20, 1, 42, 0, 0, time.UTC))}
	h.store = ledgerdbtest.Open(t, t.TempDir(), h.clock).Store
	var err error
	h.site, err = site.Open(context.Background(), site.Options{Store: h.store, Clock: h.clock})
	h.must(err)
	h.reopen()
	return h
}

// reopen is what a restart of the program does.
func (h *env) reopen() {
	h.t.Helper()
	var err error
	h.Monitor, err = Open(Options{Store: h.store, Site: h.site, Clock: h.clock, Watch: []func() []Seen{h.seen}, Light: func(time.Time) footage.Light { return h.light },
		Beat: 10 * time.Millisecond, Log: slog.New(slog.NewTextHandler(h.t.Output(), nil))})
	h.must(err)
}

func (h *env) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *env) seen() []Seen {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.watch
}

func (h *env) sees(s ...Seen) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watch = s
}

func (h *env) camera(n int, still string) footage.Camera {
	h.t.Helper()
	c := footage.Camera{ID: fmt.Sprintf("c%02d", n), Name: "东大门", Place: "东大门", Area: footage.AreaGate, Custody: footage.CustodyVault,
		Main: fmt.Sprintf("rtsp://10.20.4.%d/main", n), Still: still, Policy: footage.Policy{Days: 30}, Technician: "p007"}
	h.must(h.site.PutCamera(h.t.Context(), account.System, c, &site.Login{User: "viewer", Password: "secret"}))
	return c
}

// beat lets the room take what is seen, every step for so long.
func (h *env) beat(d, step time.Duration) {
	h.t.Helper()
	for at := time.Duration(0); at <= d; at += step {
		h.must(h.applyObservations(h.t.Context(), h.observe()))
		h.clock.Pass(step)
	}
}

// look visits a camera as Run would, at intervals, n times.
func (h *env) look(cam footage.Camera, n int) {
	h.t.Helper()
	for range n {
		h.isDue(cam, h.clock.Now().Mono) // makes the visit's record
		h.must(h.applyObservations(h.t.Context(), h.visitCamera(h.t.Context(), cam)))
		h.clock.Pass(5 * time.Minute)
	}
}

func (h *env) entries(kind ledger.Kind) (out []ledger.Entry) {
	h.t.Helper()
	for e, err := range h.store.Entries(0, h.store.Size()) {
		h.must(err)
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

func (h *env) codes() (out []footage.FaultCode) {
	for _, f := range h.Faults() {
		out = append(out, f.Code)
	}
	return out
}

// stills is a camera's web server that shares the test's clock.
func (h *env) stills(o camera.StillOptions) *camera.Stills {
	h.t.Helper()
	o.Name = "c01"
	o.Now = func() time.Time { return h.clock.Now().Wall }
	s, err := camera.StartStills(o)
	h.must(err)
	h.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			h.t.Error(err)
		}
	})
	return s
}

// certificate is one that signs for itself, and its pin.
func certificate(t *testing.T) (*tls.Config, string) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	t.Cleanup(s.Close)
	return &tls.Config{Certificates: s.TLS.Certificates}, pin.Of(s.Certificate().Raw)
}

const trusted = clock.Trusted

// until waits for a condition of another goroutine.
func (h *env) until(ok func() bool) {
	h.t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			h.t.Fatal("it did not come about in 20 s")
		case <-tick.C:
		}
	}
}

// passUntil is until, with half a minute of the clock at every look.
func (h *env) passUntil(ok func() bool) {
	h.t.Helper()
	h.until(func() bool { h.clock.Pass(30 * time.Second); return ok() })
}
