package appliance

import (
	"context"
	"slices"

	"campuskeep/firmware/nvr"
	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/nvr/hikvision"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/vault"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
)

// drivers are the NVRs that the box can talk to, by the name that is in the register.
var drivers = map[string]driver.Kind{"hikvision": hikvision.Kind}

// openNVRs opens the supervisor of the NVRs, before everything that reads footage.
func (a *Appliance) openNVRs() (err error) {
	a.NVR, err = nvr.Open(nvr.Options{Store: a.Store, Vault: a.Vault, Clock: a.Timekeeper, Cameras: a.Site.Cameras, Drivers: drivers,
		Anchor: a.Timekeeper.AddAnchor, Places: a.placeTable, Zone: a.zone, Log: a.log})
	return err
}

// followNVRs makes the clocks of the NVRs witnesses of the time, as they come and go, when the configuration declares
// them a source.
func (a *Appliance) followNVRs(ctx context.Context) error {
	declared := slices.Contains(a.Config.Clock.Sources, "nvr")
	asked := map[string]string{} // by NVR, the source's name
	for {
		changed := a.NVR.Changed()
		now := map[string]bool{}
		for _, d := range a.NVR.Devices() {
			if now[d.ID] = declared && !d.Retired; now[d.ID] && asked[d.ID] == "" {
				s := a.NVR.TimeSource(d.ID, a.Timekeeper.Mono)
				a.Timekeeper.AddSource(s)
				asked[d.ID] = s.Name()
			}
		}
		for id, name := range asked {
			if !now[id] {
				a.Timekeeper.RemoveSource(name)
				delete(asked, id)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// liveSource gives live pictures from anyone who receives them: of cameras that an NVR keeps, the NVR.
type liveSource struct{ a *Appliance }

func (l liveSource) Tail(camera string) (<-chan vault.LiveFragment, func()) {
	if c, ok := l.a.Site.Camera(camera); ok && c.Custody == footage.CustodyNVR {
		return l.a.NVR.Tail(camera)
	}
	return l.a.recorder.Tail(camera)
}

// fetcher brings footage from NVRs for the register of footage use.
type fetcher struct{ *nvr.Supervisor }

func (f fetcher) Fetch(ctx context.Context, by account.Who, camera string, span footage.Span, ground string, again bool) error {
	return f.EnsureFetched(ctx, by, camera, span, ground, again)
}

func (f fetcher) Fetching(camera string, span footage.Span) (usage.Fetching, bool, error) {
	p, ok, err := f.Progress(camera, span)
	out := usage.Fetching{State: p.Status(), Percent: p.Percent, Reason: p.Reason, Next: p.Next, Ahead: p.Ahead, Left: p.Left}
	return out, ok, err
}
