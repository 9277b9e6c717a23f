package appliance

import (
	"context"
	"fmt"
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

// pruneEvery is how often anchors of boots without footage are looked for.
const pruneEvery = 24 * time.Hour

// pruneAnchors lets the keeper forget boots of long ago of which no footage is left, once the vault knows all it has.
func (a *Appliance) pruneAnchors(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !a.Retention.Last().Settled || time.Since(last) < pruneEvery {
			continue
		}
		last = time.Now()
		if err := a.pruneNow(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("anchors of boots without footage stay", "err", err)
		}
	}
}

func (a *Appliance) pruneNow(ctx context.Context) error {
	cameras, err := a.Vault.Cameras()
	if err != nil {
		return fmt.Errorf("list the cameras with footage: %w", err)
	}
	used := map[string]bool{}
	for _, camera := range cameras {
		boots, err := a.Vault.Boots(camera)
		if err != nil {
			return fmt.Errorf("list the boots of %s: %w", camera, err)
		}
		for _, boot := range boots {
			used[boot] = true
		}
	}
	return a.Timekeeper.Prune(ctx, func(boot string) bool { return used[boot] })
}
