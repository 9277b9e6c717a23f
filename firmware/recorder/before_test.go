package recorder_test

import (
	"testing"
	"time"

	"campuskeep/firmware/recorder"
	"campuskeep/scripts/sim/history"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// What is missing between two runs is reported by the later one, in the time of the boots: from the end of what was
// known then, be it footage or a gap, whatever the wall clocks claim. A gap that was noted is not reported again.
func TestTheTimeBetweenTwoRunsIsAGap(t *testing.T) {
	t.Parallel()
	const ago = 20 * time.Minute
	for name, c := range map[string]struct {
		boot  string        // of the footage; none when empty
		noted string        // boot of the last gap that was noted; none when empty
		after time.Duration // how long after the footage it ended
		from  string        // boot in which the gap begins; none when empty
		cause recorder.Cause
	}{
		"a restart":                             {boot: "boot1", from: "boot1", cause: recorder.CauseRestart},
		"a power cut":                           {boot: "boot0", from: "boot0", cause: recorder.CausePower},
		"dead since, told up to a restart":      {boot: "boot1", noted: "boot1", after: 15 * time.Minute, from: "boot1", cause: recorder.CauseRestart},
		"footage after the last gap":            {boot: "boot1", noted: "boot1", after: -time.Minute, from: "boot1", cause: recorder.CauseRestart},
		"dead for a boot, then a power cut":     {boot: "boot0", noted: "boot0b", after: 15 * time.Minute, from: "boot0b", cause: recorder.CausePower},
		"dead for longer than footage is kept":  {noted: "boot0", after: 0, from: "boot0", cause: recorder.CausePower},
		"dead in this boot, footage of another": {boot: "boot0", noted: "boot1", after: 15 * time.Minute, from: "boot1", cause: recorder.CauseRestart},
		"a new camera":                          {},
	} {
		t.Run(name, func(t *testing.T) {
			simulated(t, func(t *testing.T) {
				cam := startCamera(t, "c01", nil)
				var noted footage.Instant
				r := newRig(t, recorder.Options{Noted: func(string) (footage.Instant, bool, error) { return noted, noted.Boot != "", nil }})
				now := r.clock.Now()
				last := footage.Instant{Boot: c.boot, Mono: now.Mono - ago}
				if c.boot != "" {
					// The wall clock of that boot claimed nothing that could be believed.
					claim := time.Unix(0, 0).UTC().Add(time.Hour)
					anchor := clock.Anchor{Boot: c.boot, Mono: last.Mono, UTC: claim}
					if _, err := history.Fill(t.Context(), r.vault, []footage.Camera{{ID: "c01"}}, footage.Span{From: claim.Add(-30 * time.Minute), To: claim}, anchor, nil); err != nil {
						t.Fatal(err)
					}
				}
				want := footage.Instant{Boot: c.from, Mono: last.Mono}
				if c.noted != "" {
					noted = footage.Instant{Boot: c.noted, Mono: last.Mono + c.after}
					if c.after >= 0 {
						want.Mono = noted.Mono
					}
				}
				r.rec.SetCameras([]recorder.Camera{row("c01", cam)})
				r.awaitFragments("c01", 1)
				if c.from == "" {
					r.stop()
					if g := r.gapsOf("c01"); len(g) != 0 {
						t.Errorf("gaps %+v", g)
					}
					return
				}
				r.await("the gap", func() bool { return len(r.gapsOf("c01")) == 1 })
				g := r.gapsOf("c01")[0]
				if g.Cause != c.cause || g.From != want {
					t.Errorf("gap from %+v, %s, want from %+v, %s", g.From, g.Cause, want, c.cause)
				}
				if late := g.To.Mono - now.Mono; late < 0 || late > 10*time.Second || g.To.Boot != "boot1" {
					t.Errorf("gap ends at %+v, the recorder began at %+v", g.To, now)
				}
				r.stop()
				if n := len(r.gapsOf("c01")); n != 1 {
					t.Errorf("%d gaps", n)
				}
			})
		})
	}
}

// What was missed while the program was away and what is missed because the camera is off then, or because the start
// takes long, are two gaps that touch and do not overlap.
func TestTheGapOfAnEarlierRunEndsWhereTheNextBegins(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		away  time.Duration
		cause recorder.Cause
	}{
		"the camera is off at first": {2 * time.Second, recorder.CauseOffline},
		"and for longer":             {15 * time.Second, recorder.CauseOffline},
	} {
		t.Run(name, func(t *testing.T) {
			simulated(t, func(t *testing.T) {
				cam := startCamera(t, "c01", nil)
				noted := footage.Instant{Boot: "boot1"}
				r := newRig(t, recorder.Options{Noted: func(string) (footage.Instant, bool, error) { return noted, true, nil }})
				noted.Mono = r.clock.Now().Mono - 20*time.Minute
				cam.Down()
				r.rec.SetCameras([]recorder.Camera{row("c01", cam)})
				<-time.After(c.away)
				if err := cam.Up(); err != nil {
					t.Fatal(err)
				}
				r.awaitFragments("c01", 2)
				segs := r.recorded("c01")
				g := r.gapsOf("c01")
				if len(g) != 2 {
					t.Fatalf("gaps %v", g)
				}
				if g[0].From != noted || g[0].Cause != recorder.CauseRestart {
					t.Errorf("the first gap is %+v", g[0])
				}
				if g[1].From != g[0].To || g[1].Cause != c.cause || g[1].To.Mono != segs[0].From {
					t.Errorf("%+v follows %+v, footage begins at %v", g[1], g[0], segs[0].From)
				}
			})
		})
	}
}
