package appliance

import (
	"sync"
	"time"

	"campuskeep/firmware/health"
	"campuskeep/firmware/recorder"
	"campuskeep/shared/footage"
)

// openHealth opens the package that looks after the cameras, above the recorder and the NVRs.
func (a *Appliance) openHealth() (err error) {
	n := &nvrWatch{a: a}
	a.Health, err = health.Open(health.Options{Store: a.Store, Site: a.Site, Clock: a.Timekeeper, Watch: []func() []health.Seen{a.seenByRecorder, n.seen}, Light: health.LightByCalendar(a.Site.Calendar, a.zone, a.log), Log: a.log})
	return err
}

// seenByRecorder is what the recorder sees of the cameras that it records.
func (a *Appliance) seenByRecorder() []health.Seen {
	var out []health.Seen
	for _, s := range a.recorder.Status() {
		offline, login, unusable := footage.Ill, footage.Unsure, footage.Unsure
		switch s.State {
		case recorder.Recording:
			offline, login, unusable = footage.Well, footage.Well, footage.Well
		case recorder.Unusable:
			offline, login, unusable = footage.Well, footage.Well, footage.Ill
		case recorder.Unauthorised: // it is there
			offline, login = footage.Well, footage.Ill
		}
		out = append(out, health.Seen{Camera: s.Camera, Code: footage.FaultOffline, Finding: offline}, health.Seen{Camera: s.Camera, Code: footage.FaultLogin, Finding: login},
			health.Seen{Camera: s.Camera, Code: footage.FaultUnusable, Finding: unusable})
	}
	return out
}

// nvrWatch is what the NVRs' reports say of the cameras that they keep. They are made once a day and read once a
// minute.
type nvrWatch struct {
	a    *Appliance
	mu   sync.Mutex // guards the rest
	read time.Duration
	last []health.Seen
}

func (n *nvrWatch) seen() []health.Seen {
	now := n.a.Timekeeper.Now().Mono
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last != nil && now-n.read < time.Minute {
		return n.last
	}
	n.read = now
	reports, err := n.a.NVR.Reports()
	if err != nil {
		n.a.log.Error("reports of the NVRs cannot be read", "err", err)
		return n.last
	}
	n.last = []health.Seen{}
	for _, r := range reports {
		cam, ok := n.a.Site.Camera(r.Camera)
		if !ok || cam.Custody != footage.CustodyNVR || r.Attestation.At.IsZero() {
			continue
		}
		f := footage.Well
		if r.Attestation.Silent {
			f = footage.Ill
		}
		floor, ceiling := footage.Well, footage.Well
		if r.Attestation.Floor() {
			floor = footage.Ill
		}
		if r.Attestation.Ceiling() {
			ceiling = footage.Ill
		}
		if !r.Attestation.Judged { // what was judged last is
			floor, ceiling = footage.Unsure, footage.Unsure
		}
		n.last = append(n.last, health.Seen{Camera: r.Camera, Code: footage.FaultOffline, Finding: f},
			health.Seen{Camera: r.Camera, Code: footage.FaultFloor, Finding: floor}, health.Seen{Camera: r.Camera, Code: footage.FaultCeiling, Finding: ceiling})
	}
	return n.last
}
