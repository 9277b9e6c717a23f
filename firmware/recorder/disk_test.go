package recorder_test

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"campuskeep/firmware/disk/disktest"
	"campuskeep/firmware/recorder"
)

// A disk that hangs costs the frames that do not fit into memory, and exactly those are told.
func TestADiskThatHangsIsAnOverload(t *testing.T) {
	t.Parallel()
	cam := startCamera(t, "c01", nil)
	r := newRigOn(t, recorder.Options{}, 30<<10) // three seconds of this camera
	var gate sync.RWMutex
	restore := r.disk.Fail(disktest.Rule{Match: func(o disktest.Op) bool {
		if o.What == "write" {
			gate.RLock()
			defer gate.RUnlock()
		}
		return false
	}})
	defer restore()
	r.rec.SetCameras([]recorder.Camera{row("c01", cam)})
	r.awaitFragments("c01", 2)
	gate.Lock()
	from := cam.Counter()
	r.await("ten seconds of pictures", func() bool { return cam.Counter() > from+100 })
	gate.Unlock()
	r.await("the gap", func() bool { return len(r.gapsOf("c01")) == 1 })
	r.awaitFragments("c01", 2)
	runs, bad, _ := r.allCounters("c01")
	if bad != 0 {
		t.Errorf("%d unreadable", bad)
	}
	holeMatches(t, runs, r.gapsOf("c01"), recorder.CauseOverload)
}

// A disk that fails is tried again, and one gap tells of all that is missing.
func TestADiskThatFails(t *testing.T) {
	t.Parallel()
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
	if told := gaps[0].To.Mono - gaps[0].From.Mono; told < 5*time.Second {
		t.Errorf("only %v told", told)
	}
}
