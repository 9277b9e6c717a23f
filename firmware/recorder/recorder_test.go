package recorder_test

import (
	"bytes"
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/recorder"
	"campuskeep/scripts/sim/camera"
	"campuskeep/scripts/sim/render"
	"campuskeep/shared/footage"
)

// recorded gives the segments of a camera after everything has been written.
func (r *rig) recorded(id string) []footage.Placed {
	r.t.Helper()
	r.stop()
	now := r.clock.Now().Wall
	list, err := r.vault.Source(r.clock.places).Segments(r.t.Context(), id, footage.Span{From: now.Add(-time.Hour), To: now.Add(time.Hour)})
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// counters decodes one recorded segment with ffmpeg.
func (r *rig) counters(s footage.Placed) []render.Seen {
	r.t.Helper()
	rd, err := r.vault.OpenSegment(r.t.Context(), s.Segment)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rd.Close()
	b := bytes.NewBuffer(bytes.Clone(rd.Init()))
	for i := range rd.Fragments() {
		f, err := rd.Fragment(i)
		if err != nil {
			r.t.Fatal(err)
		}
		b.Write(f)
	}
	seen, err := render.Decode(r.t.Context(), b, "-")
	if err != nil && !r.garbage {
		r.t.Fatal(err)
	}
	return seen
}

// allCounters decodes all that was recorded of a camera.
func (r *rig) allCounters(id string) (runs []render.Run, unreadable int, segments []footage.Placed) {
	r.t.Helper()
	var seen []render.Seen
	segments = r.recorded(id)
	for _, s := range segments {
		seen = append(seen, r.counters(s)...)
	}
	runs, unreadable = render.Runs(seen)
	return runs, unreadable, segments
}

func TestRecordsWhatTheCameraSends(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*camera.Options)
		udp    bool
	}{
		{name: "H.264 TCP"},
		{name: "H.264 UDP", udp: true, change: func(o *camera.Options) { o.UDP, o.Net = true, nil }},
		{name: "H.265 TCP", change: func(o *camera.Options) { o.Coding.Codec = "h265" }},
		{name: "group of pictures of a minute", change: func(o *camera.Options) { o.Coding.GOP = 600 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			over(c.udp)(t, func(t *testing.T) {
				cam := startCamera(t, "c01", c.change)
				r := newRig(t, reached(c.udp))
				cr := row("c01", cam)
				cr.UDP = c.udp
				if cam.Counter() > 5 && c.name == "group of pictures of a minute" {
					// nobody was connected at the first key frame: let the camera make another
					cam.Change(render.Coding{W: 320, H: 180, GOP: 600})
				}
				r.rec.SetCameras([]recorder.Camera{cr})
				r.await("a picture", func() bool { return r.status("c01").LastFrame.Mono > 0 })
				if c.name == "group of pictures of a minute" {
					cam.Change(render.Coding{W: 320, H: 180, GOP: 600})
				}
				r.awaitFragments("c01", 4)
				if s := r.status("c01"); s.State != recorder.Recording || s.Bytes == 0 || s.Lost != 0 {
					t.Errorf("status %+v", s)
				}
				runs, bad, segs := r.allCounters("c01")
				if bad != 0 || len(runs) != 1 || runs[0].Last-runs[0].First < 25 {
					t.Fatalf("runs %v, %d unreadable", runs, bad)
				}
				if len(r.gapsOf("c01")) != 0 {
					t.Errorf("gaps %v", r.gapsOf("c01"))
				}
				for _, s := range segs {
					rd, err := r.vault.OpenSegment(t.Context(), s.Segment)
					if err != nil {
						t.Fatal(err)
					}
					for i, f := range rd.Fragments() {
						if f.To-f.From > 1010*time.Millisecond || f.To <= f.From {
							t.Errorf("fragment %d lasts %v", i, f.To-f.From)
						}
					}
					if got := s.To - s.From; got > time.Duration(runs[0].Last-runs[0].First+2)*100*time.Millisecond {
						t.Errorf("segment lasts %v for %v", got, runs)
					}
					if err := rd.Close(); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// holeMatches checks that what is missing in the pictures is what the gap says, and that the gap is the hole in the
// footage.
func holeMatches(t *testing.T, runs []render.Run, segs []footage.Placed, gaps []recorder.Gap, cause recorder.Cause) {
	t.Helper()
	if len(runs) != 2 || len(gaps) != 1 {
		t.Fatalf("runs %v, gaps %v", runs, gaps)
	}
	missing := time.Duration(runs[1].First-runs[0].Last-1) * 100 * time.Millisecond
	shown := gaps[0].To.Mono - gaps[0].From.Mono
	hole := time.Duration(0)
	for i := 1; i < len(segs); i++ {
		hole = max(hole, segs[i].From-segs[i-1].To)
	}
	const slack = 250 * time.Millisecond
	if (shown-missing).Abs() > slack || hole > 0 && (shown-hole).Abs() > slack || gaps[0].Cause != cause {
		t.Errorf("%v of pictures are missing, told %v as %s", missing, shown, gaps[0].Cause)
	}
}

func TestABrokenConnectionIsAGapAndOthersGoOn(t *testing.T) {
	simulated(t, func(t *testing.T) {
		bad, good := startCamera(t, "c01", nil), startCamera(t, "c02", nil)
		r := newRig(t, recorder.Options{})
		r.rec.SetCameras([]recorder.Camera{row("c01", bad), row("c02", good)})
		r.awaitFragments("c01", 3)
		r.awaitFragments("c02", 3)
		bad.Drop()
		r.await("the gap", func() bool { return len(r.gapsOf("c01")) == 1 })
		r.awaitFragments("c01", 3)
		runs, unreadable, segs := r.allCounters("c01")
		if unreadable != 0 {
			t.Errorf("%d unreadable", unreadable)
		}
		holeMatches(t, runs, segs, r.gapsOf("c01"), recorder.CauseNetwork)
		if runs, bad, _ := r.allCounters("c02"); len(runs) != 1 || bad != 0 || len(r.gapsOf("c02")) != 0 {
			t.Errorf("the other camera: runs %v, %d unreadable, gaps %v", runs, bad, r.gapsOf("c02"))
		}
	})
}

func TestACameraThatGoesOffIsWaitedFor(t *testing.T) {
	simulated(t, func(t *testing.T) {
		cam := startCamera(t, "c01", nil)
		r := newRig(t, recorder.Options{})
		r.rec.SetCameras([]recorder.Camera{row("c01", cam)})
		r.awaitFragments("c01", 2)
		cam.Down()
		r.await("offline", func() bool {
			s := r.status("c01")
			return s.State == recorder.Connecting && s.Cause == recorder.CauseOffline
		})
		if err := cam.Up(); err != nil {
			t.Fatal(err)
		}
		r.awaitFragments("c01", 2)
		runs, _, segs := r.allCounters("c01")
		holeMatches(t, runs, segs, r.gapsOf("c01"), recorder.CauseOffline)
	})
}

func TestAStallIsNoticedAndTold(t *testing.T) {
	simulated(t, func(t *testing.T) {
		cam := startCamera(t, "c01", nil)
		r := newRig(t, recorder.Options{StallAfter: time.Second})
		r.rec.SetCameras([]recorder.Camera{row("c01", cam)})
		r.awaitFragments("c01", 2)
		cam.Stall(true)
		r.await("stalled", func() bool { return r.status("c01").State == recorder.Stalled })
		cam.Stall(false)
		r.awaitFragments("c01", 2)
		runs, _, segs := r.allCounters("c01")
		holeMatches(t, runs, segs, r.gapsOf("c01"), recorder.CauseStalled)
	})
}

// Between two frames of one connection nothing was seen either.
func TestAFreezeIsAGapWithoutReconnecting(t *testing.T) {
	simulated(t, func(t *testing.T) {
		cam := startCamera(t, "c01", nil)
		r := newRig(t, recorder.Options{})
		r.rec.SetCameras([]recorder.Camera{row("c01", cam)})
		r.awaitFragments("c01", 2)
		cam.Stall(true)
		frozen := cam.Counter()
		r.await("three seconds", func() bool { return cam.Counter() > frozen+32 })
		cam.Stall(false)
		r.awaitFragments("c01", 2)
		runs, bad, segs := r.allCounters("c01")
		if bad != 0 {
			t.Errorf("%d unreadable", bad)
		}
		holeMatches(t, runs, segs, r.gapsOf("c01"), recorder.CauseStalled)
		for _, s := range segs {
			if s.Session != segs[0].Session {
				t.Error("the time line broke")
			}
		}
	})
}

func TestParametersMayChangeInMidStream(t *testing.T) {
	simulated(t, func(t *testing.T) {
		cam := startCamera(t, "c01", nil)
		r := newRig(t, recorder.Options{})
		r.rec.SetCameras([]recorder.Camera{row("c01", cam)})
		r.awaitFragments("c01", 2)
		cam.Change(render.Coding{W: 640, H: 360, GOP: 10})
		r.awaitFragments("c01", 4)
		runs, bad, segs := r.allCounters("c01")
		if bad != 0 || len(runs) != 1 {
			t.Fatalf("runs %v, %d unreadable", runs, bad)
		}
		if len(segs) != 2 || segs[0].Session == segs[1].Session {
			t.Fatalf("%d segments", len(segs))
		}
		if d := segs[1].From - segs[0].To; d < 0 || d > 150*time.Millisecond {
			t.Errorf("%v between the two", d)
		}
		if len(r.gapsOf("c01")) != 0 {
			t.Errorf("gaps %v", r.gapsOf("c01"))
		}
	})
}

func TestACameraClockThatJumpsBreaksNothing(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{5 * time.Hour, -5 * time.Hour, -20 * time.Second} {
		t.Run(step.String(), func(t *testing.T) {
			simulated(t, func(t *testing.T) {
				cam := startCamera(t, "c01", nil)
				r := newRig(t, recorder.Options{})
				r.rec.SetCameras([]recorder.Camera{row("c01", cam)})
				r.awaitFragments("c01", 2)
				cam.StepClock(step)
				r.awaitFragments("c01", 3)
				if s := r.status("c01"); s.Steps != 1 {
					t.Errorf("%d steps noticed", s.Steps)
				}
				runs, bad, segs := r.allCounters("c01")
				if bad != 0 || len(runs) != 1 || len(segs) != 1 {
					t.Fatalf("runs %v, %d unreadable, %d segments", runs, bad, len(segs))
				}
				want := time.Duration(runs[0].Last-runs[0].First+1) * 100 * time.Millisecond
				if d := (segs[0].To - segs[0].From - want).Abs(); d > 300*time.Millisecond {
					t.Errorf("%v of footage lasts %v", want, segs[0].To-segs[0].From)
				}
			})
		})
	}
}

func TestGarbageAmongThePackets(t *testing.T) {
	simulated(t, func(t *testing.T) {
		cam := startCamera(t, "c01", nil)
		r := newRig(t, recorder.Options{})
		r.rec.SetCameras([]recorder.Camera{row("c01", cam)})
		r.awaitFragments("c01", 2)
		cam.Garbage(30)
		r.awaitFragments("c01", 12)
		after := cam.Counter() - 30
		r.garbage = true
		runs, _, _ := r.allCounters("c01")
		for _, x := range runs {
			if x.First <= after && x.Last >= after+10 {
				return
			}
		}
		t.Fatalf("after the garbage, from %d on, the pictures are not whole again: %v", after, runs)
	})
}

func TestPacketsLostOnTheWayAreCounted(t *testing.T) {
	over(true)(t, func(t *testing.T) {
		cam := startCamera(t, "c01", func(o *camera.Options) { o.UDP, o.Net = true, nil })
		r := newRig(t, reached(true))
		c := row("c01", cam)
		c.UDP = true
		r.rec.SetCameras([]recorder.Camera{c})
		r.awaitFragments("c01", 2)
		cam.Lose(10)
		r.await("losses", func() bool { return r.status("c01").Lost >= 3 })
		cam.Lose(0)
		r.awaitFragments("c01", 3)
		after := cam.Counter()
		r.awaitFragments("c01", 2)
		r.garbage = true // what refers to a lost picture cannot be decoded properly
		runs, _, segs := r.allCounters("c01")
		last := runs[len(runs)-1]
		if last.First > after || last.Last < after+10 || len(runs) < 2 {
			t.Errorf("after the losses, from %d on, the pictures are not whole again: %v", after, runs)
		}
		for _, s := range segs {
			if s.Session != segs[0].Session {
				t.Error("the time line broke")
			}
		}
	})
}

func TestAWrongPasswordIsToldAndTheRightOneTriedAtOnce(t *testing.T) {
	simulated(t, func(t *testing.T) {
		cam := startCamera(t, "c01", nil)
		r := newRig(t, recorder.Options{Pace: recorder.Backoff})
		wrong := row("c01", cam)
		wrong.Password = "guess"
		r.rec.SetCameras([]recorder.Camera{wrong})
		r.await("refusal", func() bool {
			s := r.status("c01")
			return s.State == recorder.Unauthorised && s.Cause == recorder.CauseCredentials
		})
		r.rec.SetCameras([]recorder.Camera{row("c01", cam)})
		r.awaitFragments("c01", 1)
		r.rec.SetCameras(nil)
		r.await("the end", func() bool { return len(r.rec.Status()) == 0 })
		if runs, _, _ := r.allCounters("c01"); len(runs) != 1 {
			t.Errorf("runs %v", runs)
		}
	})
}

// Covers F3: a camera is thinned days before the disk is full; what is missing between the two streams is reported.
func TestThinningSwitchesToTheSubStreamAndBack(t *testing.T) {
	simulated(t, func(t *testing.T) {
		main := startCamera(t, "c01", nil)
		sub := startCamera(t, "c02", func(o *camera.Options) { o.Coding = render.Coding{W: 160, H: 96, GOP: 10} })
		r := newRig(t, recorder.Options{})
		c := row("c01", main)
		c.Sub = sub.URL()
		thin := c
		thin.Thin = true
		for n, step := range []recorder.Camera{c, thin, c} {
			r.rec.SetCameras([]recorder.Camera{step})
			r.await("the stream that was asked for", func() bool {
				s := r.status("c01")
				return s.Thin == step.Thin && s.State == recorder.Recording && len(r.gapsOf("c01")) == n
			})
			r.awaitFragments("c01", 2)
		}
		segs := r.recorded("c01")
		if len(segs) != 3 {
			t.Fatalf("%d segments", len(segs))
		}
		for i, g := range r.gapsOf("c01") {
			if d := (g.From.Mono - segs[i].To).Abs(); g.Cause != recorder.CauseSwitched || d > 150*time.Millisecond || g.To.Mono != segs[i+1].From {
				t.Errorf("gap %+v between %+v and %+v", g, segs[i], segs[i+1])
			}
			if g.To.Mono-g.From.Mono > 2*time.Second {
				t.Errorf("switching took %v", g.To.Mono-g.From.Mono)
			}
		}
		thin.Sub = ""
		r = newRig(t, recorder.Options{})
		r.rec.SetCameras([]recorder.Camera{thin}) // a camera without a sub-stream has nothing to be thinned to
		r.awaitFragments("c01", 1)
		if r.status("c01").Thin {
			t.Error("the main stream passes for the sub-stream")
		}
	})
}

func TestBackoffGrowsAndIsPatientWithPasswords(t *testing.T) {
	t.Parallel()
	for n, most := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second} {
		if d := recorder.Backoff(n, recorder.CauseOffline); d < most/2 || d > most {
			t.Errorf("attempt %d waits %v", n, d)
		}
	}
	if d := recorder.Backoff(1000, recorder.CauseNetwork); d < 2500*time.Millisecond || d > 5*time.Second {
		t.Errorf("attempt 1000 waits %v", d)
	}
	if d := recorder.Backoff(0, recorder.CauseCredentials); d < 10*time.Minute {
		t.Errorf("after a refused password %v", d)
	}
}

func TestOverTLSOnlyThePinnedCameraIsTrusted(t *testing.T) {
	simulated(t, func(t *testing.T) {
		cert, pin := selfSigned(t)
		cam := startCamera(t, "c01", func(o *camera.Options) { o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}} })
		r := newRig(t, recorder.Options{})
		other := row("c01", cam)
		r.rec.SetCameras([]recorder.Camera{other})
		r.await("refusal", func() bool { return r.status("c01").Cause == recorder.CauseOffline })
		other.Pin = strings.Repeat("0", 64)
		r.rec.SetCameras([]recorder.Camera{other})
		r.await("another refusal", func() bool { return r.status("c01").Cause == recorder.CauseOffline && r.status("c01").Fragments == 0 })
		other.Pin = pin
		r.rec.SetCameras([]recorder.Camera{other})
		r.awaitFragments("c01", 2)
	})
}
