package playback_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"campuskeep/firmware/fmp4"
	"campuskeep/firmware/recorder"
	"campuskeep/scripts/sim/camera"
	"campuskeep/shared/footage"
)

// page plays a whole viewing through a media source, as hls.js does: it appends section and parts, shows nothing before
// it is at the start that the playlist states, and says what it sees.
const page = `<!doctype html><video id=v muted hidden></video><script>
const told = window.told = {parts: 0}
const v = document.getElementById("v")
v.onerror = () => { told.error = v.error.message }
async function run(base, type, start) {
  const lines = (await (await fetch(base + "/index.m3u8")).text()).split("\n").
    map(l => l.replace(/^#EXT-X-MAP:URI="(.*)"$/, "$1")).filter(l => l && !l.startsWith("#"))
  const ms = new MediaSource()
  v.src = URL.createObjectURL(ms)
  await new Promise(r => ms.onsourceopen = r)
  const sb = ms.addSourceBuffer(type)
  const put = async (u) => {
    const b = await (await fetch(base + "/" + u)).arrayBuffer()
    await new Promise((r, e) => { sb.onupdateend = r; sb.onerror = () => e("append " + u); sb.appendBuffer(b) })
  }
  for (const l of lines) { await put(l); told.parts++ }
  told.ranges = sb.buffered.length
  told.from = sb.buffered.start(0)
  told.to = sb.buffered.end(sb.buffered.length - 1)
  v.currentTime = start
  await new Promise(r => v.onseeked = r)
  v.requestVideoFrameCallback((now, m) => { // a busy machine leaves pictures out, or calls late
    told.first = m.mediaTime
    told.missed = v.getVideoPlaybackQuality().droppedVideoFrames + Math.max(0, m.presentedFrames - 1)
  })
  v.hidden = false // not before: a browser may paint the first picture that it has
  await v.play()
}
run(...JSON.parse(decodeURIComponent(location.hash.slice(1)))).catch(e => { told.error = String(e) })
</script>`

// Covers F12: a real browser plays pictures and sound to the end, begins with the picture at the beginning of the
// span, and never stops for the sound.
func TestABrowserPlaysPicturesAndSound(t *testing.T) {
	needChromium(t)
	for sound, codec := range map[string]string{"aac": ",mp4a.40.2", "opus": ",opus", "alaw": ",flac", "ulaw": ",flac"} {
		t.Run(sound, func(t *testing.T) {
			t.Parallel()
			r := record(t, func(o *camera.Options) { o.Sound, o.Coding.GOP = sound, 50 })
			r.await(4)
			r.cam.SetSilent(true)
			r.await(2)
			r.cam.SetSilent(false)
			r.await(4)
			all := r.review()
			init, err := all.Init(t.Context(), "v1", 0)
			if err != nil {
				t.Fatal(err)
			}
			file(t, all)
			d, _ := all.Close("v1")
			span := footage.Span{From: d.Spans[0].From.Add(2450 * time.Millisecond), To: d.Spans[0].To.Add(-700 * time.Millisecond)}
			avcc := init[bytes.Index(init, []byte("avcC"))+4:]
			kind := fmt.Sprintf(`video/mp4; codecs="avc1.%s%s"`, hex.EncodeToString(avcc[1:4]), codec)
			shown := watch(t, serve(t, r.view(span))+"/v1", kind, 0.1)
			long := span.Duration().Seconds() + 0.1
			if shown.Error != "" || shown.Ranges != 1 || shown.From > 0.03 || shown.To < long-0.15 || shown.To > long+0.1 {
				t.Errorf("%+v of %.2f s", shown, long)
			}
			// The picture of the beginning is the one before the first that begins in the span; or that, by then.
			if shown.First < 0.09 || shown.First > 0.3+0.1*float64(shown.Missed) {
				t.Errorf("the first picture shown is that of %v, %d missed", shown.First, shown.Missed)
			}
			if shown.End < long-0.3 || (codec != "") != (shown.Heard > 0) {
				t.Errorf("played to %v, %d bytes of sound", shown.End, shown.Heard)
			}
		})
	}
}

// Covers F3: a viewing in which sound was switched on and off again is one for the browser, from whichever side it
// begins: it takes no stream that has sound for a while.
func TestABrowserPlaysOnWhereSoundWasSwitched(t *testing.T) {
	needChromium(t)
	t.Parallel()
	r := record(t, func(o *camera.Options) { o.Sound = "alaw" })
	r.await(3)
	for _, on := range []bool{false, true} {
		r.hear(on)
		r.switched(on)
		r.await(3)
	}
	all := r.review()
	init, err := all.Init(t.Context(), "v1", 1)
	if err != nil {
		t.Fatal(err)
	}
	if tracks, err := fmp4.Tracks(init); err != nil || len(tracks) != 2 || tracks[1].Entry != "fLaC" {
		t.Fatalf("%v, %+v", err, tracks)
	}
	file(t, all)
	d, _ := all.Close("v1")
	if len(d.Spans) != 3 {
		t.Fatalf("%v", d.Spans)
	}
	avcc := init[bytes.Index(init, []byte("avcC"))+4:]
	kind := fmt.Sprintf(`video/mp4; codecs="avc1.%s,flac"`, hex.EncodeToString(avcc[1:4]))
	for name, n := range map[string]int{"with": 0, "without": 1} {
		span := footage.Span{From: d.Spans[n].From, To: d.Spans[2].To}
		last := d.Spans[2].From.Sub(span.From).Seconds() + 0.2
		shown := watch(t, serve(t, r.view(span))+"/v1", kind, last)
		if shown.Error != "" || shown.Ranges != 3-n || shown.End < span.Duration().Seconds()-0.4 || shown.Heard == 0 {
			t.Errorf("from the part %s sound on: %+v of %v", name, shown, span.Duration())
		}
	}
	p := r.view(footage.Span{From: d.Spans[0].From, To: d.Spans[2].To})
	if err := p.DisableAudio("v1"); err != nil {
		t.Fatal(err)
	}
	whole(t, file(t, p), 1)
}

// switched waits until sound is recorded, or is not.
func (r *recording) switched(on bool) {
	r.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, s := range r.rec.Status() {
			if s.State == recorder.Recording && (s.Sound != "") == on {
				return
			}
		}
		select {
		case <-deadline.C:
			r.t.Fatalf("waited too long: %+v", r.rec.Status())
		case <-tick.C:
		}
	}
}

func needChromium(t *testing.T) {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if _, err := exec.LookPath(name); err == nil && !testing.Short() {
			return
		}
	}
	t.Skip("no Chromium here; scripts/test installs it")
}

type told struct {
	Error                string
	Ranges, Parts, Heard int
	From, To, First, End float64
	Missed               int
}

// screen lets one window play at a time: two that stutter would show nothing.
var screen sync.Mutex

// stopChromium ends the browser of all tests, when one was started.
var stopChromium = func() {}

// startChromium starts the one Chromium of all tests; each viewing has a window of its own in it.
var startChromium = sync.OnceValues(func() (context.Context, error) {
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(profile),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(alloc)
	stopChromium = func() {
		last, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		err := chromedp.Cancel(last)
		end()
		stop()
		if err = errors.Join(err, os.RemoveAll(profile)); err != nil {
			fmt.Fprintln(os.Stderr, "stop Chromium:", err)
		}
	}
	return ctx, chromedp.Do(ctx)
})

func TestMain(m *testing.M) {
	code := m.Run()
	stopChromium()
	os.Exit(code)
}

// watch plays a viewing to its end.
func watch(t *testing.T, base, kind string, start float64) (got told) {
	t.Helper()
	screen.Lock()
	defer screen.Unlock()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if _, err := w.Write([]byte(page)); err != nil {
			t.Log(err)
		}
	}))
	defer s.Close()
	browser, err := startChromium()
	if err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	ctx, end := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	defer end()
	args, err := json.Marshal([]any{base, kind, start})
	if err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(s.URL+"/#"+url.PathEscape(string(args)))); err != nil {
		t.Fatal(err)
	}
	ended := chromedp.Poll[bool](`told.error || (told.to && v.currentTime > told.to - 0.25)`, chromedp.WithPollingTimeout(patience))
	if _, err := chromedp.Run(ctx, ended); err != nil {
		t.Logf("waiting for the end: %v", err)
	}
	said, err := chromedp.Run(ctx, chromedp.Evaluate[string](`JSON.stringify({...told, end: v.currentTime, heard: v.webkitAudioDecodedByteCount})`))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(said), &got); err != nil {
		t.Fatal(err)
	}
	return got
}
