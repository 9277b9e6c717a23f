package playback_test

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"campuskeep/firmware/playback"
	"campuskeep/firmware/recorder"
	"campuskeep/firmware/vault"
	"campuskeep/firmware/vault/vaulttest"
	"campuskeep/scripts/sim/camera"
	"campuskeep/scripts/sim/render"
	"campuskeep/shared/clock"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/footage"
)

// running is the clock of a machine that booted an hour before the test.
type running struct{ clocktest.Running }

func (c running) places() footage.Places {
	return footage.Places{Anchors: clock.NewAnchors(c.Anchor())}
}

// patience ends a step that never ends by itself. It is no measure of anything: a busy machine takes its time.
const patience = 2 * time.Minute

// recording is a camera being recorded.
type recording struct {
	t     *testing.T
	cam   *camera.Camera
	vault *vault.Vault
	rec   *recorder.Recorder
	clock running
	stop  func() // the recorder, not the vault

	mu   sync.Mutex
	gaps []recorder.Gap
}

func record(t *testing.T, change ...func(*camera.Options)) *recording {
	t.Helper()
	o := camera.Options{
		Name: "c01", Listen: "127.0.0.1:0", User: "admin", Password: "secret", Coding: render.Coding{W: 320, H: 180, GOP: 10}, FPS: 10,
	}
	for _, c := range change {
		c(&o)
	}
	cam, err := camera.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cam.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &recording{t: t, cam: cam, vault: vaulttest.Open(t), clock: running{clocktest.RunningFrom(time.Now().Add(-time.Hour), time.Now)}}
	r.rec = recorder.New(recorder.Options{
		Vault: r.vault, Clock: r.clock,
		Gap: func(g recorder.Gap) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.gaps = append(r.gaps, g)
		},
		Pace:       func(int, recorder.Cause) time.Duration { return 100 * time.Millisecond },
		StallAfter: patience, // no camera here falls silent; one that waits for a busy machine is no stall
	})
	r.hear(o.Sound != "")
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := r.rec.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	r.stop = sync.OnceFunc(func() {
		cancel()
		done.Wait()
	})
	t.Cleanup(r.stop)
	return r
}

// hear says whether the sound of the camera is recorded from now on.
func (r *recording) hear(on bool) {
	r.rec.SetCameras([]recorder.Camera{{
		Camera: footage.Camera{ID: "c01", Custody: footage.CustodyVault, Main: r.cam.URL(), Sound: on}, User: "admin", Password: "secret",
	}})
}

// await waits until n more fragments are recorded.
func (r *recording) await(n uint64) {
	r.t.Helper()
	count := func() uint64 {
		for _, s := range r.rec.Status() {
			return s.Fragments
		}
		return 0
	}
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for from := count(); count() < from+n; {
		select {
		case <-deadline.C:
			r.t.Fatalf("waited too long: %+v", r.rec.Status())
		case <-tick.C:
		}
	}
}

// From the camera's sensor to another player's screen: what is missing is exactly what was reported.
func TestFromCameraToPlayer(t *testing.T) {
	t.Parallel()
	r := record(t)
	r.await(3)
	r.cam.Drop()
	r.await(4)
	p := r.review()
	seen, err := render.Decode(t.Context(), nil, serve(t, p)+"/v1/index.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	runs, bad := render.Runs(seen)
	if bad != 0 || len(runs) != 2 {
		t.Fatalf("runs %v, %d unreadable", runs, bad)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.gaps) != 1 {
		t.Fatalf("gaps %v", r.gaps)
	}
	missing := time.Duration(runs[1].First-runs[0].Last-1) * 100 * time.Millisecond
	shown := r.gaps[0].To.Mono - r.gaps[0].From.Mono
	if shown < missing-250*time.Millisecond-r.cam.Late() { // more is reported where a busy machine sent its pictures late
		t.Errorf("%v missing, %v told", missing, shown)
	}
	segs, err := r.vault.Source(r.clock.places).Segments(t.Context(), "c01", footage.Span{From: r.clock.Now().Wall.Add(-time.Hour), To: r.clock.Now().Wall})
	if err != nil || len(segs) != 2 || (segs[1].From-segs[0].To-shown).Abs() > 250*time.Millisecond { // the last picture may reach a little beyond the break
		t.Errorf("the hole in the footage %v, %v is not what was told: %v", segs, err, shown)
	}
	d, _ := p.Close("v1")
	var delivered time.Duration
	for _, s := range d.Spans {
		delivered += s.Duration()
	}
	if diff := (delivered - time.Duration(len(seen))*100*time.Millisecond).Abs(); diff > 400*time.Millisecond+r.cam.Late() { // a picture that was sent late may move a session
		t.Errorf("%v counted as delivered, %d frames seen", delivered, len(seen))
	}
}

// Covers F12: footage can be watched while its file is still being written.
func TestFootageIsWatchedWhileItIsWritten(t *testing.T) {
	t.Parallel()
	r := record(t)
	r.await(4)
	at := r.clock.Now().Wall
	p := playback.New(r.vault.OpenSource(r.clock.places), nil, r.clock, nil)
	if err := p.Open(playback.Viewing{ID: "v1", Camera: "c01", Span: footage.Span{From: at.Add(-time.Minute), To: at}, Until: at.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	seen, err := render.Decode(t.Context(), bytes.NewReader(file(t, p)), "-")
	if runs, bad := render.Runs(seen); err != nil || bad != 0 || len(runs) != 1 || len(seen) < 10 {
		t.Errorf("%v, runs %v, %d unreadable", err, runs, bad)
	}
}

// review ends the recording and opens all of it as viewing v1.
func (r *recording) review() *playback.Player {
	r.t.Helper()
	r.stop()
	if err := r.vault.Flush(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	at := r.clock.Now().Wall
	return r.view(footage.Span{From: at.Add(-time.Hour), To: at.Add(time.Minute)})
}

// view opens a span as viewing v1.
func (r *recording) view(span footage.Span) *playback.Player {
	r.t.Helper()
	p := playback.New(r.vault.Source(r.clock.places), nil, r.clock, nil)
	if err := p.Open(playback.Viewing{ID: "v1", Camera: "c01", Span: span, Until: r.clock.Now().Wall.Add(time.Hour)}); err != nil {
		r.t.Fatal(err)
	}
	return p
}

// file takes all of viewing v1, which has one time line, the way a browser's media source does.
func file(t *testing.T, p *playback.Player) []byte {
	t.Helper()
	list, err := p.Playlist(t.Context(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.Init(t.Context(), "v1", 0)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(list)) {
		segment, part, ok := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), ".m4s"), "/")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		i, err := strconv.Atoi(part)
		if err != nil {
			t.Fatal(err)
		}
		media, err := p.Fragment(t.Context(), "v1", segment, i)
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, media...)
	}
	return b
}

// Each change of parameters starts a new section with its own initialisation. They are decoded one by one here, the
// way a browser's media source takes them: ffmpeg 5 keeps the first initialisation of a playlist for ever.
func TestAChangeOfParametersLosesNothing(t *testing.T) {
	t.Parallel()
	r := record(t)
	r.await(3)
	r.cam.Change(render.Coding{W: 640, H: 360, GOP: 10})
	r.await(4)
	p := r.review()
	list, err := p.Playlist(t.Context(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	var seen []render.Seen
	for n, section := range strings.Split(string(list), "#EXT-X-MAP")[1:] {
		init, err := p.Init(t.Context(), "v1", n)
		if err != nil {
			t.Fatal(err)
		}
		b := bytes.NewBuffer(init)
		for line := range strings.Lines(section) {
			segment, ok := strings.CutSuffix(strings.TrimSpace(line), "/0.m4s")
			if !ok {
				continue
			}
			media, err := p.Fragment(t.Context(), "v1", segment, 0)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(media)
		}
		part, err := render.Decode(t.Context(), b, "-")
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, part...)
	}
	if runs, bad := render.Runs(seen); bad != 0 || len(runs) != 1 || len(seen) < 50 {
		t.Fatalf("runs %v, %d unreadable\n%s", runs, bad, list)
	}
}

func TestLivePicturesAreAFewSecondsOld(t *testing.T) {
	r := record(t)
	r.await(1)
	p := playback.New(r.vault.Source(r.clock.places), r.rec, r.clock, nil)
	if err := p.Open(playback.Viewing{ID: "v1", Camera: "c01", Live: true, Until: r.clock.Now().Wall.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	address := serve(t, p) + "/v1/index.m3u8"
	if _, err := p.Playlist(t.Context(), "v1"); err != nil {
		t.Fatal(err)
	}
	seen, err := render.Decode(t.Context(), nil, address, "-t", "4")
	if err != nil {
		t.Fatal(err)
	}
	runs, bad := render.Runs(seen)
	if bad != 0 || len(runs) != 1 {
		t.Fatalf("runs %v, %d unreadable", runs, bad)
	}
	if age := int(r.cam.Counter()) - int(runs[0].Last); age > 60 {
		t.Errorf("the last picture is %d frames old", age)
	}
	d, ok := p.Close("v1")
	if !ok || d.Bytes == 0 || len(d.Spans) != 1 {
		t.Errorf("delivered %+v", d)
	}
	if _, err := p.Playlist(t.Context(), "v1"); err == nil {
		t.Error("a closed live viewing goes on")
	}
}

// A player that joins late or is slow gets pieces that begin with a key frame, and a discontinuity where some are lost.
func TestALivePlaylistGoesOnOverABreak(t *testing.T) {
	t.Parallel()
	src := &tail{ch: make(chan vault.LiveFragment, 100)}
	p, _ := newPlayer(nil, src)
	if err := p.Open(playback.Viewing{ID: "v1", Camera: "c01", Live: true, Until: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	send := func(sec int, key, lost bool, session uint64) {
		src.ch <- vault.LiveFragment{
			Fragment: vault.Fragment{
				FragmentInfo: footage.FragmentInfo{From: time.Duration(sec) * time.Second, To: time.Duration(sec+1) * time.Second, Key: key},
				Wall:         now.Add(time.Duration(sec) * time.Second), Data: []byte{byte(sec)},
			},
			Session: session, Init: []byte{byte(session)}, Lost: lost,
		}
	}
	send(0, false, false, 1) // nothing can be shown yet
	for sec := 1; sec <= 6; sec++ {
		send(sec, sec%2 == 1, false, 1)
	}
	send(7, false, true, 1) // lost some; no key frame
	send(8, true, false, 1)
	send(9, true, false, 2) // another session
	send(10, true, false, 2)
	b, err := p.Playlist(t.Context(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	var got [][]byte
	for i := range 5 {
		m, err := p.Fragment(t.Context(), "v1", "live", i)
		if err != nil {
			t.Fatalf("piece %d: %v\n%s", i, err, b)
		}
		got = append(got, m)
	}
	want := [][]byte{{1, 2}, {3, 4}, {5, 6}, {8}, {9}}
	if !slices.EqualFunc(got, want, slices.Equal[[]byte]) {
		t.Errorf("pieces %v\n%s", got, b)
	}
	for n, want := range []byte{1, 2} {
		if init, err := p.Init(t.Context(), "v1", n); err != nil || init[0] != want {
			t.Errorf("init %d: %v %v", n, init, err)
		}
	}
}

type tail struct{ ch chan vault.LiveFragment }

func (s *tail) Tail(string) (<-chan vault.LiveFragment, func()) { return s.ch, func() {} }
