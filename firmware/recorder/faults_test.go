package recorder_test

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/recorder"
	"campuskeep/scripts/sim/camera"
	"campuskeep/scripts/sim/render"
)

// What cameras do to their streams. Beside each is another camera, of which not one picture is missing.
func TestWhatCamerasDo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*camera.Options)
		udp     bool
		then    func(*camera.Camera)
		cause   recorder.Cause // of the only gap; none when empty
		parts   int            // runs of pictures
		garbage bool
	}{
		"RTP time wraps":                  {change: func(o *camera.Options) { o.Wrap = true }, parts: 1},
		"no sender reports":               {change: func(o *camera.Options) { o.Reports = camera.NoReports }, parts: 1},
		"wild sender reports":             {change: func(o *camera.Options) { o.Reports = camera.WildReports; o.Sound = "aac" }, parts: 1},
		"packets change places":           {change: func(o *camera.Options) { o.UDP, o.Net = true, nil }, udp: true, then: func(c *camera.Camera) { c.Reorder(7) }, parts: 1},
		"H.265 becomes larger":            {change: func(o *camera.Options) { o.Coding.Codec = "h265" }, then: func(c *camera.Camera) { c.Change(render.Coding{W: 640, H: 360, GOP: 10, Codec: "h265"}) }, parts: 1},
		"half the frame rate":             {then: func(c *camera.Camera) { c.Half(true) }, parts: -1},
		"the clock goes back in a report": {then: func(c *camera.Camera) { c.StepClock(-time.Hour) }, parts: 1},
		"H.265 garbage":                   {change: func(o *camera.Options) { o.Coding.Codec = "h265" }, then: func(c *camera.Camera) { c.Garbage(20) }, parts: -1, garbage: true},
		"restarts":                        {then: restart, cause: recorder.CauseOffline, parts: 2},
		"drops everybody":                 {then: (*camera.Camera).Drop, cause: recorder.CauseNetwork, parts: 2},
	} {
		t.Run(name, func(t *testing.T) {
			over(c.udp)(t, func(t *testing.T) {
				var beside func(*camera.Options)
				if c.udp {
					beside = onSockets
				}
				bad, good := startCamera(t, "c01", c.change), startCamera(t, "c02", beside)
				r := newRig(t, reached(c.udp))
				r.garbage = c.garbage
				x := heard("c01", bad)
				x.UDP = c.udp
				r.rec.SetCameras([]recorder.Camera{x, row("c02", good)})
				r.awaitFragments("c01", 3)
				r.awaitFragments("c02", 1)
				if c.then != nil {
					c.then(bad)
				}
				if c.cause != "" {
					r.await("the gap", func() bool { return len(r.gapsOf("c01")) > 0 })
				}
				r.awaitFragments("c01", 5)
				until := bad.Counter()
				runs, unreadable, _ := r.allCounters("c01")
				gaps := r.gapsOf("c01")
				if c.cause == "" && len(gaps) != 0 || c.cause != "" && (len(gaps) != 1 || gaps[0].Cause != c.cause && gaps[0].Cause != recorder.CauseNetwork) {
					t.Errorf("gaps %v", gaps)
				}
				if c.parts >= 0 && (len(runs) != c.parts || unreadable != 0) {
					t.Errorf("pictures %v, %d unreadable", runs, unreadable)
				}
				if last := runs[len(runs)-1].Last; last+25 < until {
					t.Errorf("the last picture is %d, the camera was at %d", last, until)
				}
				if runs, bad, segs := r.allCounters("c02"); len(runs) != 1 || bad != 0 || len(segs) != 1 || len(r.gapsOf("c02")) != 0 {
					t.Errorf("the other camera: %v, %d unreadable, %d segments, gaps %v", runs, bad, len(segs), r.gapsOf("c02"))
				}
			})
		})
	}
}

func restart(c *camera.Camera) {
	c.Down()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for from := c.Counter(); c.Counter() < from+5; <-tick.C { // what it takes meanwhile is missing
	}
	if err := c.Up(); err != nil {
		panic(err)
	}
}

// A camera ends the session by itself, between two packets.
func TestACameraTearsDownTheSession(t *testing.T) {
	simulated(t, func(t *testing.T) {
		cam := startCamera(t, "c01", nil)
		u, err := url.Parse(cam.URL())
		if err != nil {
			t.Fatal(err)
		}
		w, err := camera.NewCable(network, u.Host)
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, recorder.Options{})
		c := row("c01", cam)
		c.Main = "rtsp://" + w.Address() + "/stream"
		r.rec.SetCameras([]recorder.Camera{c})
		r.awaitFragments("c01", 2)
		w.TearDown()
		r.await("the gap", func() bool { return len(r.gapsOf("c01")) == 1 })
		r.awaitFragments("c01", 2)
		runs, unreadable, segs := r.allCounters("c01")
		if unreadable != 0 {
			t.Errorf("%d unreadable", unreadable)
		}
		holeMatches(t, runs, segs, r.gapsOf("c01"), recorder.CauseNetwork)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Covers F11: a camera without a password may send us to another of its ports, never to another device, and not in
// circles.
func TestRedirects(t *testing.T) {
	simulated(t, func(t *testing.T) {
		open := func(o *camera.Options) { o.User = "" }
		first, second := startCamera(t, "c01", open), startCamera(t, "c02", open)
		r := newRig(t, recorder.Options{})
		first.Redirect(second.URL())
		c := row("c01", first)
		c.User = ""
		r.rec.SetCameras([]recorder.Camera{c})
		r.awaitFragments("c01", 2)

		lure, err := network.Listen("tcp", "127.0.0.2:0")
		if err != nil {
			t.Skip(err)
		}
		defer lure.Close()
		var caught sync.WaitGroup
		caught.Go(func() {
			if c, err := lure.Accept(); err == nil {
				t.Error("another device was spoken to")
				_ = c.Close()
			}
		})
		for _, to := range []string{"rtsp://" + lure.Addr().String() + "/stream", first.URL()} {
			first.Redirect(to)
			second.Drop()
			r.await("refusal", func() bool {
				s := r.status("c01")
				return s.State == recorder.Connecting && s.Cause == recorder.CauseStream
			})
			first.Redirect(second.URL())
			r.awaitFragments("c01", 2)
		}
		if err := lure.Close(); err != nil {
			t.Error(err)
		}
		caught.Wait()
	})
}

// One refusal of a password that was right a moment ago is a camera that starts; two are a changed password.
func TestOneRefusalOfAGoodPasswordIsForgiven(t *testing.T) {
	simulated(t, func(t *testing.T) {
		cam := startCamera(t, "c01", nil)
		r := newRig(t, recorder.Options{Pace: func(_ int, c recorder.Cause) time.Duration {
			if c == recorder.CauseCredentials {
				return time.Hour
			}
			return 100 * time.Millisecond
		}})
		r.rec.SetCameras([]recorder.Camera{row("c01", cam)})
		r.awaitFragments("c01", 2)
		cam.Refuse(2) // asked for the password, and refused
		cam.Drop()
		r.await("the gap", func() bool { return len(r.gapsOf("c01")) == 1 })
		r.awaitFragments("c01", 2)
		if g := r.gapsOf("c01"); g[0].Cause != recorder.CauseCredentials {
			t.Errorf("gaps %v", g)
		}
		cam.SetPassword("another")
		cam.Drop()
		refused := map[time.Duration]bool{}
		r.await("two refusals", func() bool {
			if s := r.status("c01"); s.State == recorder.Unauthorised {
				refused[s.Since.Mono] = true
			}
			return len(refused) == 2
		})
		cam.SetPassword("secret")
		from := cam.Counter()
		r.await("two seconds", func() bool { return cam.Counter() > from+20 })
		if s := r.status("c01"); s.State != recorder.Unauthorised {
			t.Errorf("asked again at once: %+v", s)
		}
	})
}

// An independent program sends pictures that are decoded in another order than they are shown, and sound.
func TestAnotherProgramsPackets(t *testing.T) {
	t.Parallel()
	for codec, encode := range map[string][]string{
		"h264": {"-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-x264-params", "keyint=20:min-keyint=20:scenecut=0"},
		"h265": {"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=20:min-keyint=20:scenecut=0:bframes=2:log-level=error:pools=1"},
	} {
		t.Run(codec, func(t *testing.T) {
			over(true)(t, func(t *testing.T) {
				relay, err := camera.StartRelay()
				if err != nil {
					t.Fatal(err)
				}
				defer relay.Close()
				const n = 120
				raw := filepath.Join(t.TempDir(), "pictures")
				whole := raw + ".mkv"
				var pix []byte
				view := render.New("c01", 320, 180, false)
				for i := range n {
					pix = append(pix, view.Draw(time.Unix(int64(i), 0), uint32(i)).Pix...)
				}
				if err := os.WriteFile(raw, pix, 0o600); err != nil {
					t.Fatal(err)
				}
				args := append([]string{
					"-v", "error", "-nostdin", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "320x180", "-r", "10", "-i", raw,
					"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=16000", "-shortest", "-c:a", "aac",
				}, encode...)
				ffmpeg(t, append(args, whole)...)
				r := newRig(t, reached(true))
				c := recorder.Camera{Camera: row("c01", startCamera(t, "c01", nil)).Camera}
				c.Main, c.Sound = relay.URL(), true
				r.rec.SetCameras([]recorder.Camera{c})
				ffmpeg(t, "-v", "error", "-nostdin", "-re", "-i", whole, "-c", "copy", "-f", "rtsp", "-rtsp_transport", "tcp", relay.URL())
				r.await("the end", func() bool { return r.status("c01").State != recorder.Recording })
				runs, bad, segs := r.allCounters("c01")
				if bad != 0 || len(runs) != 1 || runs[0].Last != n-1 || runs[0].First != 0 {
					t.Errorf("pictures %v, %d unreadable, in %d segments", runs, bad, len(segs))
				}
				if b, err := render.Beeps(t.Context(), strings.NewReader(string(r.file(segs[0])))); err != nil || len(b) != 1 {
					t.Errorf("sound %v, %v", b, err)
				}
			})
		})
	}
}

// ffmpeg runs it to its end.
func ffmpeg(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
}
