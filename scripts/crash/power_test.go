package crash

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"
)

var cutsWanted = flag.Int("cuts", 3, "how often the power goes")

// At a power cut what was not synced is lost too: the vault syncs every 2 s. Connecting and the first sync have to
// fit into a run before anything must be there.
const (
	cutLossAllowed  = lossAllowed + 2*frameRate
	mustOutliveCuts = mustRecordAfter + 3*time.Second
)

// The power goes while the box records, reads cards and syncs. The file system is a real one, which forgets what was
// not synced: log, index, footage and keys together. What was acknowledged is there, the loss of pictures is what is
// stated, and the check is clean. Covers F3, F13, S6, I1, I3, I7, I8.
func TestNothingAcknowledgedIsLostWhenThePowerGoes(t *testing.T) {
	if testing.Short() {
		t.Skip("cuts the power several times")
	}
	t.Parallel()
	h := newEnv(t, place{})
	disk := newSmallDisk(t, "ext4", 192, h.data)
	var beeped []int
	var cuts []cut
	card, left := 0, -1
	for n := range *cutsWanted {
		box := h.startBox()
		if left >= 0 && h.late() {
			beeped = append(beeped, left)
		}
		left = -1
		alive := time.Duration(500+rand.IntN(3000)) * time.Millisecond
		if n%3 == 2 {
			alive += mustOutliveCuts
		}
		end := time.Now().Add(alive)
		for most := (n + 1) * len(h.cards) / *cutsWanted; time.Now().Before(end) && card < most; card++ {
			if h.tap(card, end) {
				beeped = append(beeped, card)
			} else {
				left = card
			}
		}
		waitUntil(end)
		c := cut{lived: alive}
		for i, cam := range h.cameras {
			c.shown[i] = cam.Counter()
		}
		disk.powerCut()
		if err := box.Kill(); err != nil {
			t.Fatal(err)
		}
		disk.unmount()
		disk.mount()
		cuts = append(cuts, c)
	}
	if len(beeped) < *cutsWanted {
		t.Fatalf("only %d cards beeped in %d runs: the test shows nothing", len(beeped), *cutsWanted)
	}
	box := h.startBox()
	h.untilWitnessed()
	h.untilClean(box)
	if err := box.Stop(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	h.mustBeClean()
	h.centreHolds(h.beepsAreInTheLog(beeped))
	t.Logf("%d cuts, %d taps beeped", *cutsWanted, len(beeped))
	for i := range h.cameras {
		h.framesAreThere(i, cuts, cutLossAllowed)
	}
}
