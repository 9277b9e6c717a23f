package appliance

import (
	"os"
	"slices"
	"time"

	"campuskeep/firmware/timekeeper"
)

// How unsure a source is by itself. A clock chip is set once and drifts some seconds a day until the next boot;
// a disciplined machine clock is good to a few milliseconds, and is believed to a twentieth of a second.
const (
	rtcUncertainty  = 30 * time.Second
	hostUncertainty = 50 * time.Millisecond
)

// sources are those that the configuration declares and that can be asked. The centre pushes its signed time, and
// NVRs are added and removed as the register of NVRs changes.
func (a *Appliance) sources(h timekeeper.HostClock) []timekeeper.Source {
	var out []timekeeper.Source
	declared := a.Config.Clock.Sources
	if slices.Contains(declared, "rtc") {
		out = append(out, &timekeeper.RTC{Clock: h, Sys: os.DirFS("/sys"), Unsynced: timekeeper.KernelUnsynced, Uncertainty: rtcUncertainty})
	}
	if slices.Contains(declared, "ntp") {
		out = append(out, timekeeper.NewNTP(h, a.Config.Clock.NTP...))
	}
	if slices.Contains(declared, "host") {
		out = append(out, timekeeper.Host{Clock: h, Uncertainty: hostUncertainty})
	}
	return out
}
