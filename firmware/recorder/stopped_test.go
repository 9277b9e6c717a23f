package recorder_test

import (
	"testing"

	"campuskeep/firmware/recorder"
)

// Covers F3: with a full disk a camera is not recorded, and what is missing is reported with that cause.
func TestStoppedCameraIsAGapWithItsCause(t *testing.T) {
	simulated(t, func(t *testing.T) {
		cam := startCamera(t, "c01", nil)
		r := newRig(t, recorder.Options{})
		c := row("c01", cam)
		stopped := c
		stopped.Stopped = recorder.CauseFull
		for _, step := range []recorder.Camera{c, stopped, c} {
			r.rec.SetCameras([]recorder.Camera{step})
			if step.Stopped != "" {
				r.await("the stop", func() bool { s := r.status("c01"); return s.State == recorder.Stopped && s.Cause == recorder.CauseFull })
				continue
			}
			r.await("recording", func() bool { return r.status("c01").State == recorder.Recording })
			r.awaitFragments("c01", 2)
		}
		r.await("the gap", func() bool { return len(r.gapsOf("c01")) == 1 })
		segs := r.recorded("c01")
		if g := r.gapsOf("c01")[0]; g.Cause != recorder.CauseFull || len(segs) != 2 || g.To.Mono != segs[1].From {
			t.Errorf("gap %+v, segments %+v", g, segs)
		}
	})
}
