package recorder

import (
	"math/rand/v2"
	"testing"
	"time"
)

// play feeds frames at 25 a second by a camera whose clock runs by skew parts in a million fast; each arrives with
// the delay that late gives. It returns how far the last frame was placed from when it was taken.
func play(t *testing.T, tl *timeline, n int, skew float64, late func(i int) time.Duration) time.Duration {
	t.Helper()
	var off time.Duration
	last := int64(-1)
	for i := range n {
		taken := time.Duration(i) * 40 * time.Millisecond
		rtp := uint32(4294900000) + uint32(int64(float64(taken/time.Microsecond)*(1+skew/1e6)*90/1000))
		at := tl.place(rtp, time.Hour+taken+late(i))
		if at <= last {
			t.Fatalf("frame %d at tick %d after %d", i, at, last)
		}
		last = at
		off = tl.mono(at) - time.Hour - taken
	}
	return off
}

func TestTheNetworkMovesNoFrame(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	tl := videoLine(0)
	off := play(t, &tl, 25*600, 0, func(i int) time.Duration {
		if i > 1000 && i < 1100 { // the line hangs for four seconds and then delivers everything
			return max(time.Duration(1100-i)*40*time.Millisecond, 20*time.Millisecond)
		}
		return 20*time.Millisecond + time.Duration(rnd.IntN(200))*time.Millisecond
	})
	if off < 0 || off > 400*time.Millisecond || tl.steps != 0 {
		t.Errorf("after ten minutes %v off, %d steps", off, tl.steps)
	}
}

func TestADriftingCameraIsFollowed(t *testing.T) {
	for _, ppm := range []float64{-2000, -100, 100, 2000} { // a bad crystal, and far worse
		tl := videoLine(0)
		if off := play(t, &tl, 25*3600, ppm, func(int) time.Duration { return 30 * time.Millisecond }); off.Abs() > 200*time.Millisecond {
			t.Errorf("%v ppm: %v off after an hour", ppm, off)
		}
		if tl.steps != 0 {
			t.Errorf("%v ppm: %d steps", ppm, tl.steps)
		}
	}
}

// A camera that first sends what it has buffered seems to be ahead of its time; that passes.
func TestABufferedStartIsNoStep(t *testing.T) {
	tl := videoLine(0)
	off := play(t, &tl, 25*600, 0, func(i int) time.Duration {
		if i < 50 {
			return time.Duration(50-i) * 40 * time.Millisecond
		}
		return 0
	})
	if tl.steps != 0 || off > 2*time.Second {
		t.Errorf("%d steps, %v off", tl.steps, off)
	}
}

func TestTheNextLineStartsAfterTheLast(t *testing.T) {
	tl := videoLine(5 * time.Second)
	if at := tl.mono(tl.place(1, 4*time.Second)); at != 5*time.Second {
		t.Errorf("began at %v", at)
	}
}
