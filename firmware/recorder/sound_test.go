package recorder_test

import (
	"bytes"
	"testing"
	"time"

	"campuskeep/firmware/fmp4"
	"campuskeep/firmware/recorder"
	"campuskeep/scripts/sim/camera"
	"campuskeep/scripts/sim/render"
	"campuskeep/shared/footage"
)

// file gives a recorded segment as a file.
func (r *rig) file(s footage.Placed) []byte {
	r.t.Helper()
	rd, err := r.vault.OpenSegment(r.t.Context(), s.Segment)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rd.Close()
	b := bytes.Clone(rd.Init())
	for i := range rd.Fragments() {
		f, err := rd.Fragment(i)
		if err != nil {
			r.t.Fatal(err)
		}
		b = append(b, f...)
	}
	return b
}

// beeps decodes the sound of the only segment and says where beeps begin, by the camera's own seconds: a beep
// belongs at the beginning of each.
func (r *rig) beeps(id string) (late []time.Duration, pictures render.Run) {
	r.t.Helper()
	segs := r.recorded(id)
	if len(segs) != 1 {
		r.t.Fatalf("%d segments", len(segs))
	}
	b := r.file(segs[0])
	seen, err := render.Decode(r.t.Context(), bytes.NewReader(b), "-")
	if err != nil {
		r.t.Fatal(err)
	}
	runs, bad := render.Runs(seen)
	if len(runs) != 1 || bad != 0 {
		r.t.Fatalf("pictures %v, %d unreadable", runs, bad)
	}
	at, err := render.Beeps(r.t.Context(), bytes.NewReader(b))
	if err != nil && !r.garbage {
		r.t.Fatal(err)
	}
	for _, d := range at {
		d += time.Duration(runs[0].First) * 100 * time.Millisecond
		late = append(late, d-d.Round(time.Second))
	}
	return late, runs[0]
}

// inTime checks that beeps come where they belong, as far as a simulated camera is exact, and how many.
func inTime(t *testing.T, late []time.Duration, pictures render.Run) {
	t.Helper()
	if want := int(pictures.Last-pictures.First)/10 - 1; len(late) < want {
		t.Errorf("%d beeps beside pictures %v", len(late), pictures)
	}
	for i, d := range late {
		if i > 0 && d.Abs() > 150*time.Millisecond { // the first may be the end of one
			t.Errorf("beep %d is %v off", i, d)
		}
	}
}

func TestSoundIsRecordedBesideThePictures(t *testing.T) {
	t.Parallel()
	for sound, codec := range map[string]string{"aac": fmp4.AAC, "latm": fmp4.AAC, "opus": fmp4.Opus, "alaw": fmp4.ALaw, "ulaw": fmp4.MuLaw} {
		t.Run(sound, func(t *testing.T) {
			simulated(t, func(t *testing.T) {
				cam := startCamera(t, "c01", func(o *camera.Options) { o.Sound, o.Wrap = sound, true })
				r := newRig(t, recorder.Options{})
				r.rec.SetCameras([]recorder.Camera{heard("c01", cam)})
				r.awaitFragments("c01", 6)
				if s := r.status("c01"); s.Sound != codec || s.Steps != 0 {
					t.Errorf("status %+v", s)
				}
				late, pictures := r.beeps("c01")
				inTime(t, late, pictures)
			})
		})
	}
}

// Whatever the sound does, every picture is there, in one segment, without a gap.
func TestSoundNeverStopsThePictures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sound   string
		start   func(*camera.Camera)
		then    func(*camera.Camera)
		garbage bool
		heard   int // beeps in time at least, of about ten
	}{
		"comes late":             {sound: "aac", start: func(c *camera.Camera) { c.SetSilent(true) }, then: func(c *camera.Camera) { c.SetSilent(false) }, heard: 4},
		"never comes":            {sound: "opus", start: func(c *camera.Camera) { c.SetSilent(true) }},
		"is refused":             {sound: "aac", start: func(c *camera.Camera) { c.RefuseSound() }},
		"is garbage for a while": {sound: "aac", then: func(c *camera.Camera) { c.GarbageSound(20) }, garbage: true, heard: 4},
		"is garbage, Opus":       {sound: "opus", then: func(c *camera.Camera) { c.GarbageSound(60) }, garbage: true, heard: 4},
		"steps its clock back":   {sound: "alaw", then: func(c *camera.Camera) { c.StepSound(-time.Hour) }, heard: 6},
		"steps its clock ahead":  {sound: "ulaw", then: func(c *camera.Camera) { c.StepSound(time.Hour) }, heard: 6},
		"runs fast":              {sound: "alaw", start: func(c *camera.Camera) { c.SkewSound(5) }, heard: 6},
		"pauses":                 {sound: "opus", start: func(c *camera.Camera) { c.SetSilent(false) }, then: func(c *camera.Camera) { c.SetSilent(true) }, heard: 4},
	} {
		t.Run(name, func(t *testing.T) {
			simulated(t, func(t *testing.T) {
				cam := startCamera(t, "c01", func(o *camera.Options) { o.Sound = c.sound })
				if c.start != nil {
					c.start(cam)
				}
				r := newRig(t, recorder.Options{StallAfter: 2 * time.Second})
				r.garbage = c.garbage
				r.rec.SetCameras([]recorder.Camera{heard("c01", cam)})
				r.awaitFragments("c01", 5)
				if c.then != nil {
					c.then(cam)
				}
				r.awaitFragments("c01", 6)
				late, pictures := r.beeps("c01")
				good := 0
				for _, d := range late {
					if d.Abs() < 150*time.Millisecond {
						good++
					}
				}
				if good < c.heard || len(r.gapsOf("c01")) != 0 || pictures.Last-pictures.First < 95 {
					t.Errorf("%d beeps in time, off by %v, beside pictures %v; gaps %v", good, late, pictures, r.gapsOf("c01"))
				}
			})
		})
	}
}

// Sound alone is no recording: without pictures the camera stalls.
func TestSoundAloneIsAStall(t *testing.T) {
	simulated(t, func(t *testing.T) {
		cam := startCamera(t, "c01", func(o *camera.Options) { o.Sound = "aac" })
		r := newRig(t, recorder.Options{StallAfter: time.Second})
		r.rec.SetCameras([]recorder.Camera{heard("c01", cam)})
		r.awaitFragments("c01", 2)
		cam.Stall(true)
		r.await("stalled", func() bool { return r.status("c01").State == recorder.Stalled })
		cam.Stall(false)
		r.awaitFragments("c01", 2)
		runs, _, segs := r.allCounters("c01")
		holeMatches(t, runs, segs, r.gapsOf("c01"), recorder.CauseStalled)
	})
}

// tracksOf are the tracks that the initialisation section of a segment describes.
func (r *rig) tracksOf(s footage.Placed) int {
	r.t.Helper()
	rd, err := r.vault.OpenSegment(r.t.Context(), s.Segment)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rd.Close()
	tracks, err := fmp4.Tracks(rd.Init())
	if err != nil {
		r.t.Fatal(err)
	}
	return len(tracks)
}

// Covers F3: sound is recorded only where that was decided. Where it was not, the camera is not even asked for it; a
// decision takes effect by a new connection, and other cameras lose nothing.
func TestSoundIsRecordedOnlyWhereItWasDecided(t *testing.T) {
	simulated(t, func(t *testing.T) {
		cam := startCamera(t, "c01", func(o *camera.Options) { o.Sound = "aac" })
		other := startCamera(t, "c02", func(o *camera.Options) { o.Sound = "alaw" })
		r := newRig(t, recorder.Options{})
		for n, step := range []recorder.Camera{row("c01", cam), heard("c01", cam), row("c01", cam)} {
			r.rec.SetCameras([]recorder.Camera{step, row("c02", other)})
			r.await("the decision to take effect", func() bool {
				s := r.status("c01")
				return s.State == recorder.Recording && (s.Sound == fmp4.AAC) == step.Sound && len(r.gapsOf("c01")) == n
			})
			r.awaitFragments("c01", 2)
			if s := r.status("c01"); s.Offers != "AAC" {
				t.Errorf("it offers %q", s.Offers)
			}
			if asked := cam.SoundAsked(); asked != min(n, 1) {
				t.Errorf("step %d: the camera was asked for its sound %d times", n, asked)
			}
		}
		r.awaitFragments("c02", 1)
		segs := r.recorded("c01")
		if len(segs) != 3 {
			t.Fatalf("%d segments", len(segs))
		}
		for i, want := range []int{1, 2, 1} {
			if n := r.tracksOf(segs[i]); n != want {
				t.Errorf("segment %d has %d tracks, want %d", i, n, want)
			}
			if i == 0 {
				continue
			}
			if g := r.gapsOf("c01")[i-1]; g.Cause != recorder.CauseSwitched || g.To.Mono-g.From.Mono > 2*time.Second || segs[i].Session == segs[i-1].Session {
				t.Errorf("gap %+v between %+v and %+v", g, segs[i-1], segs[i])
			}
		}
		if runs, bad, list := r.allCounters("c02"); len(runs) != 1 || bad != 0 || len(r.gapsOf("c02")) != 0 || other.SoundAsked() != 0 || r.tracksOf(list[0]) != 1 {
			t.Errorf("the other camera: pictures %v, %d unreadable, gaps %v, asked for sound %d times", runs, bad, r.gapsOf("c02"), other.SoundAsked())
		}
	})
}
