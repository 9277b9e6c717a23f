package timekeeper

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"campuskeep/shared/clock"
)

// Machine is the HostClock of the machine we run on.
type Machine struct{ boot string }

// NewMachine reads the id of this boot.
func NewMachine() (*Machine, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("read the id of this boot: %w", err)
	}
	return &Machine{strings.TrimSpace(string(b))}, nil
}

// Wall is the machine's wall clock, whatever it says.
func (m *Machine) Wall() time.Time { return time.Now().UTC() }

// Boottime is CLOCK_BOOTTIME.
func (m *Machine) Boottime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(fmt.Sprintf("timekeeper: CLOCK_BOOTTIME: %v", err)) // Linux has had it since 2.6.39
	}
	return time.Duration(ts.Nano())
}

// BootID is the kernel's id of this boot.
func (m *Machine) BootID() string { return m.boot }

// Host is the machine's own clock as a source: only where the configuration declares it, because on most machines
// it was set from the RTC or by NTP and would count one origin twice.
type Host struct {
	Clock       HostClock
	Uncertainty time.Duration
}

// Name is "host".
func (h Host) Name() string { return "host" }

// Origin is clock.OriginHost.
func (h Host) Origin() clock.Origin { return clock.OriginHost }

// Observe reads the clock between two readings of monotonic time.
func (h Host) Observe(context.Context) (clock.Observation, error) {
	before := h.Clock.Boottime()
	wall := h.Clock.Wall()
	after := h.Clock.Boottime()
	return clock.Observation{Source: h.Name(), Origin: h.Origin(), Mono: after, UTC: wall.UTC(), Uncertainty: h.Uncertainty + after - before}, nil
}

// rtcWithin is how long after boot the RTC still counts as read at boot.
const rtcWithin = 10 * time.Minute

// RTC is the battery clock as read at boot: once, early, and only while the kernel is not synchronised, for
// afterwards the kernel copies NTP into it.
type RTC struct {
	Clock    HostClock
	Sys      fs.FS       // /sys
	Unsynced func() bool // [KernelUnsynced]
	// Uncertainty covers the drift since it was last set: cheap crystals lose seconds a day.
	Uncertainty time.Duration

	mu   sync.Mutex
	read bool
}

// Name is "rtc".
func (r *RTC) Name() string { return "rtc" }

// Origin is clock.OriginRTC.
func (r *RTC) Origin() clock.Origin { return clock.OriginRTC }

// Observe reads it the first time; then and when it is too late it is silent.
func (r *RTC) Observe(context.Context) (clock.Observation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	mono := r.Clock.Boottime()
	if r.read || mono > rtcWithin || !r.Unsynced() {
		return clock.Observation{}, ErrSilent
	}
	b, err := fs.ReadFile(r.Sys, "class/rtc/rtc0/since_epoch")
	if err != nil {
		return clock.Observation{}, fmt.Errorf("read the battery clock: %w", err)
	}
	seconds, err := parseSeconds(string(b))
	if err != nil {
		return clock.Observation{}, fmt.Errorf("read the battery clock: %w", err)
	}
	r.read = true
	// It counts whole seconds: the middle of the second, half a second unsure.
	return clock.Observation{Source: r.Name(), Origin: r.Origin(), Mono: mono, UTC: time.Unix(seconds, int64(time.Second/2)).UTC(),
		Uncertainty: r.Uncertainty + time.Second/2}, nil
}

// maxSkew is the year 9999: beyond it an instant does not fit the log's format.
const maxSkew = 253402300799

func parseSeconds(s string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 || n > maxSkew {
		return 0, fmt.Errorf("%.20q is not a number of seconds since 1970", s)
	}
	return n, nil
}

// KernelUnsynced says whether the kernel's clock is not disciplined by anybody.
func KernelUnsynced() bool {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	return err == nil && (state == unix.TIME_ERROR || tx.Status&unix.STA_UNSYNC != 0)
}
