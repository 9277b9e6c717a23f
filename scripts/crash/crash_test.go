// Package crash kills the real daemon, again and again, while it records, reads cards and syncs, and then asks
// what is left: every tap that beeped, and the exact frames.
//
// It owns the processes it starts and a temporary directory. It must never look the other way: what is acknowledged
// and missing fails the test, however rarely it happens.
package crash

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"
)

var kills = flag.Int("kills", 8, "how often the daemon is killed")

// Stated loss of footage at a kill: what waits for the vault's writer is at most one fragment (1 s). The rest of
// the allowance is the way of a picture through encoder, network and reassembly. A power cut costs up to 2 s more.
const (
	frameRate   = 8
	lossAllowed = (1 + 1) * frameRate
	// A run that lives longer has recorded something: connecting, at most one GOP (2 s) until a key frame, a fragment.
	mustRecordAfter = 5 * time.Second
)

// Covers F3, F13, S6, I1, I3, I7, I8.
func TestNothingAcknowledgedIsLostWhenTheDaemonIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("kills the daemon many times")
	}
	t.Parallel()
	h := newEnv(t, place{})
	var beeped []int // cards that beeped, by number
	var cuts []cut
	card, left := 0, -1 // left: held to the reader when the daemon died, without a beep
	for n := range *kills {
		box := h.startBox()
		if left >= 0 && h.late() {
			beeped = append(beeped, left)
		}
		left = -1
		alive := time.Duration(300+rand.IntN(3000)) * time.Millisecond
		if n%5 == 4 {
			alive += 4 * time.Second // now and then long enough for a whole segment of work
		}
		end := time.Now().Add(alive)
		for most := (n + 1) * len(h.cards) / *kills; time.Now().Before(end) && card < most; {
			waitUntil(time.Now().Add(time.Duration(rand.Int64N(int64(alive) / 8))))
			if h.tap(card, end) {
				beeped = append(beeped, card)
			} else {
				left = card
			}
			card++
		}
		waitUntil(end)
		if err := box.Kill(); err != nil {
			t.Fatal(err)
		}
		c := cut{lived: alive}
		for i, cam := range h.cameras {
			c.shown[i] = cam.Counter()
		}
		cuts = append(cuts, c)
	}
	if len(beeped) < *kills/2 {
		t.Fatalf("only %d cards beeped in %d runs: the test shows nothing", len(beeped), *kills)
	}

	box := h.startBox()
	h.untilWitnessed()
	if err := box.Stop(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	h.mustBeClean()
	h.centreHolds(h.beepsAreInTheLog(beeped))
	t.Logf("%d kills, %d taps beeped", *kills, len(beeped))
	for i := range h.cameras {
		h.framesAreThere(i, cuts, lossAllowed)
	}
}

// beepsAreInTheLog: each card that beeped is in the log once. It says how many entries there are.
func (h *env) beepsAreInTheLog(beeped []int) int {
	h.t.Helper()
	entries := h.entries()
	once := map[string]int{}
	for _, e := range entries {
		if e.Kind == "attendance.tap" {
			once[e.data(h.t).Card]++
		}
	}
	for _, n := range beeped {
		if got := once[h.cardHash(n)]; got != 1 {
			h.t.Errorf("card %d beeped and is in the log %d times", n, got)
		}
	}
	return len(entries)
}

// cut is one kill.
type cut struct {
	shown [cameras]uint32 // the counter that each camera showed when the daemon died
	lived time.Duration
}

// framesAreThere compares what a camera showed with what was recorded of it: inside a session no frame is missing,
// and at each kill no more than is stated.
func (h *env) framesAreThere(i int, cuts []cut, allowed int) {
	sessions := h.sessions(i)
	var worst int
	var before uint32
	for n, c := range cuts {
		last := lastOfRun(sessions, before, c.shown[i])
		before = c.shown[i]
		switch lost := int(c.shown[i]) - int(last); {
		case last == 0 && c.lived > mustRecordAfter:
			h.t.Errorf("camera %d, run %d: nothing recorded in %s", i+1, n+1, c.lived)
		case last == 0: // killed before the first key frame and fragment; the log has the gap
		case lost > allowed:
			h.t.Errorf("camera %d, kill %d: %d frames lost (%.1f s), allowed %d", i+1, n+1, lost, float64(lost)/frameRate, allowed)
		default:
			worst = max(worst, lost)
		}
	}
	h.t.Logf("camera %d: %d sessions, at most %d frames lost at a kill (%.1f s)", i+1, len(sessions), worst, float64(worst)/frameRate)
}

// lastOfRun is the last picture that a run recorded, of those that the camera took between two kills; 0: none. A picture
// leaves the encoder only when the next one is taken, so the first of a session may have been taken before the kill that
// the run came after: what it recorded last tells the run.
func lastOfRun(sessions []session, before, shown uint32) (last uint32) {
	for _, s := range sessions {
		if s.Last > before && s.Last <= shown {
			last = s.Last
		}
	}
	return last
}

// A daemon that is up again before the encoder has given out what was taken before the kill records it: that is a picture
// of the new run, and hides nothing that the old one lost.
func TestAPictureFromBeforeTheKillIsOfTheNewRun(t *testing.T) {
	sessions := []session{{First: 8, Last: 40}, {First: 48, Last: 96}} // killed at 48 and at 97
	if got := lastOfRun(sessions, 0, 48); got != 40 {
		t.Errorf("last picture of the first run %d, want 40", got)
	}
	if got := lastOfRun(sessions, 48, 97); got != 96 {
		t.Errorf("last picture of the second run %d, want 96", got)
	}
	if got := lastOfRun(sessions, 97, 120); got != 0 {
		t.Errorf("last picture of a run without a session %d, want none", got)
	}
}
