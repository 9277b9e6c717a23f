package appliance

import (
	"campuskeep/firmware/recorder"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/footage"
)

// status gathers the state of the box for the web pages.
type status struct{ a *Appliance }

func (s status) Cameras() map[string]frame.CameraState {
	out := map[string]frame.CameraState{}
	for _, c := range s.a.recorder.Status() {
		state := "offline"
		switch c.State {
		case recorder.Recording:
			state = "online"
		case recorder.Unusable:
			state = "unusable"
		case recorder.Connecting:
			if c.Cause == "" || c.Cause == recorder.CauseStart {
				state = "connecting"
			}
		}
		out[c.Camera] = frame.CameraState{State: state, Since: c.Since.Wall, Cause: c.Cause, Offers: c.Offers, Sound: c.Sound != "", ByArrival: c.ByArrival}
	}
	s.onNVRs(out)
	return out
}

// onNVRs adds the cameras that NVRs keep, as the last check found them.
func (s status) onNVRs(out map[string]frame.CameraState) {
	reports, err := s.a.NVR.Reports()
	if err != nil {
		s.a.log.Error("reports of the NVRs cannot be read", "err", err)
		return
	}
	for _, r := range reports {
		cam, ok := s.a.Site.Camera(r.Camera)
		if found := r.Attestation; ok && cam.Custody == footage.CustodyNVR && !found.At.IsZero() {
			out[r.Camera] = frame.CameraState{State: "online", Since: found.At, Listed: found.Newest}
			if found.Silent {
				out[r.Camera] = frame.CameraState{State: "offline", Since: found.Newest, Listed: found.At}
			}
		}
	}
}
