package centre

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"campuskeep/shared/clock"
)

// hostClock is the machine's own clock. A centre's machine is kept by NTP: that is the operator's duty, and the
// appliances take its word only together with another source.
type hostClock struct{ boot string }

// hostUncertainty is what a clock kept by NTP may be off.
const hostUncertainty = 500 * time.Millisecond

func newHostClock() (hostClock, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return hostClock{}, fmt.Errorf("read the boot id: %w", err)
	}
	return hostClock{strings.TrimSpace(string(b))}, nil
}

func (h hostClock) Now() clock.Reading {
	r := clock.Reading{Wall: time.Now().UTC(), Uncertainty: hostUncertainty, State: clock.Trusted, Boot: h.boot}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err == nil {
		r.Mono = time.Duration(ts.Nano())
	}
	return r
}
