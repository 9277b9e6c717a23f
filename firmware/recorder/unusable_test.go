package recorder_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"campuskeep/firmware/recorder"
	"campuskeep/scripts/sim/camera"
)

// pictures reads a film: its access units, each with one slice, and its parameter sets.
func pictures(t *testing.T, name string) (aus [][][]byte, sets [][]byte) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var au [][]byte
	for nal := range bytes.SplitSeq(b, []byte{0, 0, 1}) {
		if nal = bytes.TrimRight(nal, "\x00"); len(nal) == 0 {
			continue
		}
		switch nal[0] & 0x1f {
		case 7, 8:
			if len(aus) == 0 {
				sets = append(sets, nal)
			}
			continue
		}
		if au = append(au, nal); nal[0]&0x1f == 1 || nal[0]&0x1f == 5 {
			aus = append(aus, au)
			au = nil
		}
	}
	return aus, sets
}

// Covers F1: a camera is recorded when something of it is stored, and what keeps it from that has a name.
func TestRecordingMeansRecorded(t *testing.T) {
	t.Parallel()
	noIDR, sets := pictures(t, "no-idr-after-the-first.h264")
	recovery, _ := pictures(t, "recovery-points-only.h264")
	bad := [][]byte{append([]byte(nil), sets[0][:4]...), sets[1]}
	for name, c := range map[string]struct {
		loop  [][][]byte
		sets  [][]byte
		cause recorder.Cause // empty: it is recorded
	}{
		"no key pictures":             {noIDR[1:], sets, recorder.CauseNoKey},
		"no parameter sets":           {noIDR[1:], nil, recorder.CauseNoSets},
		"parameter sets of no use":    {append([][][]byte{append(bad, noIDR[1]...)}, noIDR[2:]...), nil, recorder.CauseBadSets},
		"recovery points, never more": {recovery[3:], sets, ""},
	} {
		t.Run(name, func(t *testing.T) {
			simulated(t, func(t *testing.T) {
				cam := startCamera(t, "c01", func(o *camera.Options) { o.Loop, o.Params = c.loop, c.sets })
				r := newRig(t, recorder.Options{StallAfter: time.Second, KeyAfter: time.Second})
				r.rec.SetCameras([]recorder.Camera{row("c01", cam)})
				if c.cause == "" {
					r.awaitFragments("c01", 3)
					if s := r.status("c01"); s.State != recorder.Recording {
						t.Errorf("%+v", s)
					}
					return
				}
				r.await("the state", func() bool {
					s := r.status("c01")
					if s.State == recorder.Recording {
						t.Fatal("recording, of which nothing is stored")
					}
					return s.State == recorder.Unusable
				})
				if s := r.status("c01"); s.Cause != c.cause || s.Fragments != 0 {
					t.Errorf("%+v", s)
				}
				r.stop()
				if g := r.gapsOf("c01"); len(g) != 1 || g[0].Cause != c.cause {
					t.Errorf("gaps %v", g)
				}
			})
		})
	}
}
