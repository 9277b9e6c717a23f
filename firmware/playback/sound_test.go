package playback_test

import (
	"bytes"
	"testing"
	"time"

	"campuskeep/firmware/fmp4"
	"campuskeep/firmware/playback"
	"campuskeep/scripts/sim/camera"
	"campuskeep/scripts/sim/render"
)

// whole checks what a browser insists on: fragments whose sound has no hole, as long as the pictures.
func whole(t *testing.T, b []byte, tracks int) {
	t.Helper()
	head := bytes.Index(b, []byte("moof")) - 4
	list, err := fmp4.Tracks(b[:head])
	if err != nil || len(list) != tracks {
		t.Fatalf("%v, tracks %+v", err, list)
	}
	if tracks == 1 {
		if list[0].Sound || len(list) != 1 {
			t.Error("the sound is still there")
		}
		return
	}
	var pictures, sound time.Duration
	for rest := b[head:]; len(rest) > 0; {
		n := bytes.Index(rest[8:], []byte("moof"))
		if n < 0 {
			n = len(rest) - 4
		} else {
			n += 4
		}
		_, runs, err := fmp4.Parse(rest[:min(n, len(rest))])
		if n == len(rest)-4 {
			_, runs, err = fmp4.Parse(rest)
			n = len(rest)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs {
			from, to := fmp4.FromTicks(int64(r.Base), list[r.Track-1].Scale), fmp4.FromTicks(int64(r.End()), list[r.Track-1].Scale)
			if r.Track == fmp4.VideoTrack {
				pictures = to
				continue
			}
			if hole := from - sound; hole.Abs() > 70*time.Millisecond {
				t.Errorf("at %v the sound has a hole of %v", from, hole)
			}
			sound = to
		}
		rest = rest[n:]
	}
	if d := (sound - pictures).Abs(); d > 70*time.Millisecond {
		t.Errorf("the pictures end at %v, the sound at %v", pictures, sound)
	}
}

// A browser gets the sound in a form that it can play, in time and without a hole, or none.
func TestSoundForABrowser(t *testing.T) {
	t.Parallel()
	for sound, tracks := range map[string]int{"aac": 2, "opus": 2, "alaw": 2, "ulaw": 2} {
		t.Run(sound, func(t *testing.T) {
			t.Parallel()
			r := record(t, func(o *camera.Options) { o.Sound, o.Coding.GOP = sound, 20 })
			r.await(5)
			r.cam.SetSilent(true)
			r.await(3)
			r.cam.SetSilent(false)
			r.await(6)
			all := r.review()
			b := file(t, all)
			d, _ := all.Close("v1")
			whole(t, b, tracks)
			span := d.Spans[0]
			span.From, span.To = span.From.Add(2300*time.Millisecond), span.To.Add(-1700*time.Millisecond)
			p := r.view(span)
			b = file(t, p)
			whole(t, b, tracks)
			seen, err := render.Decode(t.Context(), bytes.NewReader(b), "-")
			if err != nil {
				t.Fatal(err)
			}
			runs, bad := render.Runs(seen)
			if len(runs) != 1 || bad != 0 {
				t.Fatalf("pictures %v, %d unreadable", runs, bad)
			}
			if tracks == 1 {
				return
			}
			defer func() {
				if err := p.DisableAudio("v1"); err != nil {
					t.Fatal(err)
				}
				whole(t, file(t, p), 1)
			}()
			beeps, err := render.Beeps(t.Context(), bytes.NewReader(b))
			if err != nil || len(beeps) < 5 {
				t.Fatalf("beeps at %v, %v", beeps, err)
			}
			// The last picture says what time it is at the end.
			end := time.Duration(runs[0].Last+1) * 100 * time.Millisecond
			for _, at := range beeps[1:] {
				at += end - span.Duration() - 100*time.Millisecond
				if late := at - at.Round(time.Second); late.Abs() > 450*time.Millisecond {
					t.Errorf("a beep is %v off", late)
				}
			}
		})
	}
}

func TestSoundLive(t *testing.T) {
	t.Parallel()
	r := record(t, func(o *camera.Options) { o.Sound = "aac" })
	r.await(1)
	p := playback.New(r.vault.Source(r.clock.places), r.rec, r.clock, nil)
	if err := p.Open(playback.Viewing{ID: "v1", Camera: "c01", Live: true, Until: r.clock.Now().Wall.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Playlist(t.Context(), "v1"); err != nil {
		t.Fatal(err)
	}
	r.await(6)
	b := file(t, p)
	head := bytes.Index(b, []byte("moof")) - 4
	tracks, err := fmp4.Tracks(b[:head])
	if err != nil || len(tracks) != 2 {
		t.Fatalf("%v, %+v", err, tracks)
	}
	if beeps, err := render.Beeps(t.Context(), bytes.NewReader(b)); err != nil || len(beeps) < 2 {
		t.Errorf("beeps at %v, %v", beeps, err)
	}
}
