package crash

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"campuskeep/firmware/appliance"
	"campuskeep/firmware/disk"
	"campuskeep/firmware/timekeeper"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// month is longer than the demo school's cameras are kept.
const month = 31 * 24 * time.Hour

// sky is the true time: what the machine says, and the months that the test lets go by while the box is off.
type sky struct{ passed atomic.Int64 }

func (s *sky) now() time.Time       { return time.Now().Add(time.Duration(s.passed.Load())).UTC() }
func (s *sky) pass(d time.Duration) { s.passed.Add(int64(d)) }

// chipless is a machine without a clock chip: its wall clock begins in 1970 at every boot.
type chipless struct {
	boot  string
	began time.Time
}

func (c chipless) Wall() time.Time         { return time.Unix(0, 0).Add(c.Boottime()).UTC() }
func (c chipless) Boottime() time.Duration { return time.Since(c.began) }
func (c chipless) BootID() string          { return c.boot }

// inner is the appliance in this process, at a time of the test's.
type inner struct {
	*appliance.Appliance
	h    *env
	sky  *sky
	host chipless
	stop func()
}

// boot starts it, on a disk for the footage or, when nil, the plain one. It knows no time.
func (h *env) boot(sky *sky, name string, fsys disk.FS) *inner {
	h.t.Helper()
	b := &inner{h: h, sky: sky, host: chipless{name, time.Now()}}
	var err error
	b.Appliance, err = appliance.Open(h.t.Context(), h.cfg, appliance.Deps{Host: b.host, Sources: []timekeeper.Source{}, Footage: fsys, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(h.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	over := false
	b.stop = func() {
		if over {
			return
		}
		over = true
		cancel()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
		if err := b.Close(); err != nil {
			h.t.Error(err)
		}
	}
	h.t.Cleanup(b.stop)
	return b
}

// trusted lets two honest sources speak and waits until that is on record.
func (b *inner) trusted() {
	b.h.t.Helper()
	for _, from := range []clock.Origin{clock.OriginNTP, clock.OriginCentre} {
		b.Timekeeper.Observe(clock.Observation{Source: string(from), Origin: from, Mono: b.host.Boottime(), UTC: b.sky.now(), Uncertainty: time.Second})
	}
	b.until("a clock that is trusted", func() bool { return b.Timekeeper.Now().State == clock.Trusted })
}

// until looks again and again until the condition holds.
func (b *inner) until(what string, ok func() bool) {
	b.h.t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(end) {
			b.h.t.Fatalf("waited too long for %s", what)
		}
	}
}

// recorded waits until these cameras have a few seconds more on the disk.
func (b *inner) recorded(cameras ...string) {
	b.h.t.Helper()
	for _, name := range cameras {
		dir := filepath.Join(b.h.vaultDir(), name)
		from := bytesIn(dir)
		b.until("footage of "+name, func() bool { return bytesIn(dir) >= from+8<<10 })
	}
}

// files counts the segments of a boot that are there.
func (b *inner) files(camera, boot string) (n int) {
	b.h.t.Helper()
	err := b.Vault.Rows(camera, func(s footage.Segment) bool {
		if s.Boot == boot && b.Vault.HasFile(s) {
			n++
		}
		return true
	})
	if err != nil {
		b.h.t.Fatal(err)
	}
	return n
}

// sweeps deletes what is due. Its error names what could not be deleted.
func (b *inner) sweeps() {
	b.h.t.Helper()
	if res, err := b.Retention.Sweep(b.h.t.Context()); !res.Complete {
		b.h.t.Fatalf("the sweep ends: %v", err)
	}
}

// findings is what the running box finds when it checks itself in full, a line each.
func (b *inner) findings() (lines []string) {
	b.h.t.Helper()
	var out bytes.Buffer
	found, err := appliance.Check(b.h.t.Context(), b.h.cfg, true, &out)
	if err != nil {
		b.h.t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		// "I4: …" is the sentence of a broken invariant, which follows its findings
		if number, _, _ := strings.Cut(line, " "); strings.HasPrefix(number, "I") && !strings.HasSuffix(number, ":") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	if len(lines) != found {
		b.h.t.Fatalf("%d findings: %s", found, out.String())
	}
	return lines
}
