package appliance

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"campuskeep/firmware/office"
	"campuskeep/firmware/recorder"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// status is how the rooms stand, as the office page tells it.
type status struct{ a *Appliance }

func (s status) Cameras() map[string]office.CameraState {
	out := map[string]office.CameraState{}
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
		out[c.Camera] = office.CameraState{State: state, Since: c.Since.Wall, Cause: c.Cause, Offers: c.Offers, Sound: c.Sound != "", ByArrival: c.ByArrival}
	}
	s.onNVRs(out)
	return out
}

// onNVRs adds the cameras that NVRs keep, as the last check found them.
func (s status) onNVRs(out map[string]office.CameraState) {
	reports, err := s.a.NVR.Reports()
	if err != nil {
		s.a.log.Error("reports of the NVRs cannot be read", "err", err)
		return
	}
	for _, r := range reports {
		cam, ok := s.a.Site.Camera(r.Camera)
		if found := r.Attestation; ok && cam.Custody == footage.CustodyNVR && !found.At.IsZero() {
			out[r.Camera] = office.CameraState{State: "online", Since: found.At, Listed: found.Newest}
			if found.Silent {
				out[r.Camera] = office.CameraState{State: "offline", Since: found.Newest, Listed: found.At}
			}
		}
	}
}

// metrics answers /metrics: figures that an operator can act on, without personal data.
func (a *Appliance) metrics() http.Handler {
	r := prometheus.NewRegistry()
	gauge := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "campuskeep", Name: name, Help: help}, f))
	}
	gauge("log_entries", "Entries in the log.", func() float64 { return float64(a.Store.Size()) })
	gauge("log_witnessed_entries", "Entries that the centre has cosigned.", func() float64 { n, _ := a.Store.Witnessed(); return float64(n) })
	gauge("clock_trusted", "1 while two sources of time of different origin agree.", func() float64 {
		if a.Keeper.Now().State == clock.Trusted {
			return 1
		}
		return 0
	})
	gauge("clock_uncertainty_seconds", "How unsure the time is.", func() float64 { return a.Keeper.Now().Uncertainty.Seconds() })
	gauge("vault_free_bytes", "Free space of the vault's disk; -1 when it cannot be asked.", func() float64 {
		free, _, err := a.Vault.Free()
		if err != nil {
			return -1
		}
		return float64(free)
	})
	gauge("cameras_recording", "Cameras whose pictures go into the vault.", func() float64 {
		n := 0
		for _, c := range a.recorder.Status() {
			if c.State == recorder.Recording {
				n++
			}
		}
		return float64(n)
	})
	gauge("reports_waiting", "Reports of devices that are not in the log yet.", func() float64 { return float64(len(a.notes.queue)) })
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}
