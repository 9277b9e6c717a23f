package recorder_test

import (
	"testing"
	"time"

	"campuskeep/firmware/recorder"
	"campuskeep/scripts/sim/history"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// What is missing between two runs is told by the later one.
func TestTheTimeBetweenTwoRunsIsAGap(t *testing.T) {
	t.Parallel()
	cam := startCamera(t, "c01", nil)
	for _, c := range []struct {
		boot  string
		cause recorder.Cause
	}{{"boot1", recorder.CauseRestart}, {"boot0", recorder.CausePower}} {
		r := newRig(t, recorder.Options{})
		now := r.clock.Now()
		ago := now.Wall.Add(-20 * time.Minute).Truncate(time.Second)
		anchor := clock.Anchor{Boot: c.boot, Mono: now.Mono - 20*time.Minute, UTC: ago}
		_, err := history.Fill(t.Context(), r.vault, []footage.Camera{{ID: "c01"}}, footage.Span{From: ago.Add(-30 * time.Minute), To: ago}, anchor, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.rec.SetCameras([]recorder.Camera{row("c01", cam)})
		r.await("the gap", func() bool { return len(r.gapsOf("c01")) == 1 })
		r.awaitFragments("c01", 1)
		g := r.gapsOf("c01")[0]
		if g.Cause != c.cause || !g.From.Wall.Equal(ago) || g.From.Boot != c.boot || g.From.Mono != anchor.Mono {
			t.Errorf("gap from %+v to %+v, %s", g.From, g.To, g.Cause)
		}
		if late := g.To.Wall.Sub(now.Wall); late < 0 || late > 10*time.Second || g.To.Boot != "boot1" {
			t.Errorf("gap ends at %+v, the recorder began at %+v", g.To, now)
		}
		r.stop()
		if n := len(r.gapsOf("c01")); n != 1 {
			t.Errorf("%d gaps", n)
		}
	}
}
