package crash

import (
	"math/rand/v2"
	"testing"
	"time"
)

// The daemon is killed, and the power goes just after it was started again: it is indexing then what the killed one left
// in memory, on a disk that does not have all of it yet. Every segment opens, no more is lost than at a power cut
// alone, and the check is clean. Covers F3, I1, I3.
func TestThePowerGoesRightAfterARestart(t *testing.T) {
	if testing.Short() {
		t.Skip("kills the daemon and cuts the power")
	}
	t.Parallel()
	h := newEnv(t, place{alone: true})
	disk := newSmallDisk(t, "ext4", 96, h.data)
	var cuts []cut
	off := func(lived time.Duration) {
		c := cut{lived: lived}
		for i, cam := range h.cameras {
			c.shown[i] = cam.Counter()
		}
		cuts = append(cuts, c)
	}
	for range 2 {
		box := h.startBox()
		h.untilRecorded(box, 10<<10)
		alive := time.Duration(1000+rand.IntN(3000)) * time.Millisecond // anywhere between two syncs
		waitUntil(time.Now().Add(alive))
		if err := box.Kill(); err != nil {
			t.Fatal(err)
		}
		off(mustOutliveCuts + time.Second) // there was footage on the disk

		box = h.startBox()
		alive = time.Duration(50+rand.IntN(950)) * time.Millisecond
		waitUntil(time.Now().Add(alive))
		off(alive)
		disk.powerCut()
		if err := box.Kill(); err != nil {
			t.Fatal(err)
		}
		disk.unmount()
		disk.mount()
	}
	box := h.startBox()
	h.untilRecorded(box, 10<<10)
	h.untilClean(box)
	if err := box.Stop(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	h.mustBeClean()
	for i := range h.cameras {
		h.framesAreThere(i, cuts, cutLossAllowed)
	}
}
