package recorder_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"campuskeep/firmware/disk/disktest"
	"campuskeep/firmware/recorder"
	"campuskeep/scripts/sim/camera"
	"campuskeep/scripts/sim/render"
	"campuskeep/shared/clock"
	"campuskeep/shared/clock/clocktest"
)

// A disk that hangs costs the frames that do not fit into memory, and exactly those are reported.
func TestADiskThatHangsIsAnOverload(t *testing.T) {
	simulated(t, func(t *testing.T) {
		cam := startCamera(t, "c01", nil)
		r := newRigOn(t, recorder.Options{}, 30<<10) // three seconds of this camera
		hangs := make(chan chan struct{}, 1)         // in it: what ends when the disk works
		works := make(chan struct{})
		close(works)
		hangs <- works
		restore := r.disk.Fail(disktest.Rule{Match: func(o disktest.Op) bool {
			if o.What == "write" {
				until := <-hangs
				hangs <- until
				<-until // not a lock: simulated time goes on
			}
			return false
		}})
		defer restore()
		r.rec.SetCameras([]recorder.Camera{row("c01", cam)})
		r.awaitFragments("c01", 2)
		until := make(chan struct{})
		<-hangs
		hangs <- until
		from := cam.Counter()
		r.await("ten seconds of pictures", func() bool { return cam.Counter() > from+100 })
		close(until)
		r.await("the gap", func() bool { return len(r.gapsOf("c01")) == 1 })
		r.awaitFragments("c01", 2)
		runs, bad, segs := r.allCounters("c01")
		if bad != 0 {
			t.Errorf("%d unreadable", bad)
		}
		holeMatches(t, runs, segs, r.gapsOf("c01"), recorder.CauseOverload)
	})
}

// A disk that fails is tried again, and one gap is about all that is missing.
func TestADiskThatFails(t *testing.T) {
	simulated(t, func(t *testing.T) {
		cam := startCamera(t, "c01", nil)
		r := newRigOn(t, recorder.Options{}, 0)
		r.rec.SetCameras([]recorder.Camera{row("c01", cam)})
		r.awaitFragments("c01", 3)
		restore := r.disk.Fail(disktest.Rule{Match: func(o disktest.Op) bool {
			return o.What == "write" && strings.HasSuffix(o.Name, ".ckf")
		}, Err: syscall.ENOSPC})
		from := cam.Counter()
		r.await("five seconds without a disk", func() bool { return cam.Counter() > from+50 })
		restore()
		r.await("the gap", func() bool { return len(r.gapsOf("c01")) > 0 })
		r.awaitFragments("c01", 2)
		runs, bad, _ := r.allCounters("c01")
		gaps := r.gapsOf("c01")
		if bad != 0 || len(gaps) != 1 || gaps[0].Cause != recorder.CauseDisk {
			t.Fatalf("runs %v, %d unreadable, gaps %v", runs, bad, gaps)
		}
		last := runs[len(runs)-1]
		if len(runs) > 2 || last.Last-last.First < 40 {
			t.Errorf("after the disk came back: %v", runs)
		}
		if shown := gaps[0].To.Mono - gaps[0].From.Mono; shown < 5*time.Second {
			t.Errorf("only %v told", shown)
		}
	})
}

// farOff is a clock that shows a year of the next century.
type farOff struct{ sinceBoot }

func (c farOff) Now() clock.Reading {
	r := c.sinceBoot.Now()
	r.Wall = r.Wall.AddDate(160, 0, 0)
	return r
}

// A clock so far ahead that its date cannot be stored is reported as what it is, and not as a disk that
// fails.
func TestADateThatCannotBeStored(t *testing.T) {
	simulated(t, func(t *testing.T) {
		cam := startCamera(t, "c01", nil)
		r := newRigOn(t, recorder.Options{Clock: farOff{sinceBoot{clocktest.RunningFrom(time.Now().Add(-time.Hour), time.Now)}}}, 0)
		r.rec.SetCameras([]recorder.Camera{row("c01", cam)})
		r.await("two seconds of pictures", func() bool { return cam.Counter() > 20 })
		r.stop()
		if g := r.gapsOf("c01"); len(g) != 1 || g[0].Cause != recorder.CauseClock {
			t.Errorf("gaps %v", g)
		}
	})
}

// A disk that fails for one camera, that becomes read-only, or whose sync fails: what is missing is reported as the
// disk's doing, recording goes on by itself, and anyone who was not hit has lost nothing.
func TestDiskFaultsWhileRecording(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		match func(disktest.Op) bool
		err   error
		all   bool // hits the other camera, too
	}{
		"EIO for one camera":       {func(o disktest.Op) bool { return o.What == "write" && strings.HasPrefix(o.Name, "c01/") }, syscall.EIO, false},
		"one camera's files fail":  {func(o disktest.Op) bool { return o.What == "create" && strings.HasPrefix(o.Name, "c01/") }, syscall.EROFS, false},
		"the file system is EROFS": {func(o disktest.Op) bool { return o.What == "create" || o.What == "write" || o.What == "mkdir" }, syscall.EROFS, true},
		"syncs fail":               {func(o disktest.Op) bool { return o.What == "syncfs" || o.What == "sync" }, syscall.EIO, true},
	} {
		t.Run(name, func(t *testing.T) {
			simulated(t, func(t *testing.T) {
				cams := []*camera.Camera{startCamera(t, "c01", nil), startCamera(t, "c02", nil)}
				r := newRigOn(t, recorder.Options{}, 0)
				r.rec.SetCameras([]recorder.Camera{row("c01", cams[0]), row("c02", cams[1])})
				r.awaitFragments("c01", 3)
				r.awaitFragments("c02", 1)
				restore := r.disk.Fail(disktest.Rule{Match: c.match, Err: c.err})
				if name == "one camera's files fail" {
					cams[0].Change(render.Coding{W: 640, H: 360, GOP: 10}) // a new segment
				}
				from := cams[0].Counter()
				r.await("some seconds without a disk", func() bool { return cams[0].Counter() > from+40 })
				restore()
				r.await("the gap", func() bool { return len(r.gapsOf("c01")) > 0 })
				r.awaitFragments("c01", 3)
				runs, bad, _ := r.allCounters("c01")
				for _, g := range r.gapsOf("c01") {
					if g.Cause != recorder.CauseDisk {
						t.Errorf("gap %+v", g)
					}
				}
				if last := runs[len(runs)-1]; bad != 0 || last.Last < from+60 {
					t.Errorf("after the fault %v, %d unreadable", runs, bad)
				}
				runs, bad, _ = r.allCounters("c02")
				if !c.all && (len(runs) != 1 || bad != 0 || len(r.gapsOf("c02")) != 0) {
					t.Errorf("the other camera: %v, %d unreadable, gaps %v", runs, bad, r.gapsOf("c02"))
				}
				if c.all && (len(runs) == 0 || len(r.gapsOf("c02")) == 0) {
					t.Errorf("the other camera was hit as well: %v, gaps %v", runs, r.gapsOf("c02"))
				}
			})
		})
	}
}
