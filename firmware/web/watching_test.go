package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/people"
	"campuskeep/firmware/playback"
	"campuskeep/firmware/vault"
	"campuskeep/scripts/sim/history"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/usage"
)

// broken is realFootage with a pause in it, and with codec told as given.
func broken(t *testing.T, codec string, spans ...footage.Span) func(*env, *Deps) {
	return func(h *env, d *Deps) {
		t.Helper()
		dir := t.TempDir()
		fsys, err := disk.Real(dir)
		h.must(err)
		root, err := keyring.OpenRoot(fsys)
		h.must(err)
		ring, err := root.Ring("footage")
		h.must(err)
		h.must(fsys.MkdirAll("vault", 0o700))
		vfs, err := disk.Real(filepath.Join(dir, "vault"))
		h.must(err)
		v, err := vault.Open(vault.Options{FS: vfs, IndexPath: filepath.Join(dir, "index.db"), Keys: ring, Holds: root, Log: d.Log})
		h.must(err)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- v.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if err := v.Close(); err != nil {
				t.Error(err)
			}
		})
		now := h.clock.Now()
		anchor := clock.Anchor{Boot: now.Boot, Mono: now.Mono, UTC: now.Wall}
		for _, s := range spans {
			_, err = history.Fill(t.Context(), v, h.site.Cameras()[:1], s, anchor, func(int, int) {})
			h.must(err)
		}
		h.must(v.Flush(t.Context()))
		var source footage.Source = v.Source(func() footage.Places { return footage.Places{Anchors: clock.NewAnchors(anchor)} })
		d.Player = playback.New(source, nil, h.clock, d.Log)
		d.Footage = coded{source, codec}
		d.Watched = d.Footage
	}
}

// coded tells another codec of the same footage, so that the page believes it.
type coded struct {
	footage.Source
	codec string
}

func (c coded) Segments(ctx context.Context, camera string, span footage.Span) ([]footage.Placed, error) {
	out, err := c.Source.Segments(ctx, camera, span)
	for i := range out {
		if c.codec != "" {
			out[i].Codec = c.codec
		}
	}
	return out, err
}

// seat is somebody before a browser.
type seat struct {
	t   *testing.T
	ctx context.Context
}

func (h *env) seat(who string) *seat {
	h.t.Helper()
	ctx, stop := context.WithTimeout(browser(h.t), 25*time.Minute)
	h.t.Cleanup(stop)
	s := &seat{h.t, ctx}
	h.must(chromedp.Do(ctx)) // the window lives as long as the context of its first step
	token := h.as(who).token()
	s.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error { return h.wear(ctx, tab, token, "light") }), viewport(1366, 768))
	return s
}

func (s *seat) do(steps ...chromedp.Action[chromedp.Void]) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 40*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		s.t.Fatal(err)
	}
}

func look[T any](s *seat, js string) T {
	s.t.Helper()
	v, err := chromedp.Run(s.ctx, chromedp.Evaluate[T](js))
	if err != nil {
		s.t.Fatalf("%s: %v", js, err)
	}
	return v
}

func (s *seat) wait(what, js string) {
	s.t.Helper()
	end, tick := time.After(40*time.Second), time.NewTicker(40*time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := chromedp.Run(s.ctx, chromedp.Evaluate[bool]("!!("+js+")")); err == nil && ok {
			return
		}
		select {
		case <-end:
			s.t.Fatalf("waiting for %s: %s stays false\n%s", what, js, look[string](s, "(() => { const v = document.querySelector('video'), b = []; if (v) for (let i = 0; i < v.buffered.length; i++) b.push(v.buffered.start(i) + '-' + v.buffered.end(i)); return [location.href, ...[...document.querySelectorAll('[data-scr]:not([hidden]),[data-msg],[data-clock],[data-goto-error]')].map(e => e.innerText), v && [v.currentTime, v.duration, v.readyState, v.seeking, v.paused, (v.error || {}).message, b].join(' ')].join(' | ') })()"))
		case <-tick.C:
		}
	}
}

func (s *seat) key(keys string) {
	s.t.Helper()
	s.do(chromedp.KeyEvent(keys))
}

// typed fills the player's field, as an input method would, and presses Enter.
func (s *seat) typed(text string) {
	s.t.Helper()
	look[bool](s, fmt.Sprintf("((e) => { e.focus(); e.value = %q; return true })(document.querySelector('#goto'))", text))
	s.key(kb.Enter)
}

// clockJS is the time of the picture in seconds of the day.
const clockJS = `document.querySelector('[data-clock]').innerText.split(':').reduce((a, b) => a * 60 + Number(b), 0)`

// open opens a viewing by its form and waits for the picture.
func (s *seat) open(h *env, path string) {
	s.t.Helper()
	s.do(chromedp.Navigate(h.server.URL + path))
	if look[bool](s, "!!document.querySelector('#w-purpose')") {
		s.do(chromedp.SendKeys(chromedp.CSS("#w-purpose"), "测试播放"))
	}
	s.do(chromedp.Click(chromedp.CSS("#watch .btn--p")), chromedp.WaitReady(chromedp.CSS("[data-player] video")))
}

const playingJS = `(() => { const v = document.querySelector('video'); return v.readyState >= 2 && v.videoWidth > 0 && v.currentTime > 0.5 && !document.querySelector('[data-scr]:not([hidden])') })()`

// Speeds, frames, gaps, typed times, states and the mark, with real pictures in a real browser. Covers F10, F13.
func TestThePlayerToDepth(t *testing.T) {
	needChromium(t)
	gone := footage.Span{From: at(20, 8, 4), To: at(20, 8, 7)}
	h := newEnvWith(t, broken(t, "", footage.Span{From: at(20, 8, 0), To: gone.From}, footage.Span{From: gone.To, To: at(20, 8, 12)}))
	h.running()
	s := h.seat("zheng")
	s.open(h, "/footage?camera=c01&day=2026-05-20&t=08:00&to=08:10")
	s.wait("the picture", playingJS)
	if *shots != "" {
		png, err := chromedp.Run(s.ctx, chromedp.FullScreenshot(100))
		h.must(err)
		h.must(writeShot("player", png))
	}

	t.Run("no sound, no button for it", func(t *testing.T) { // F3: nothing promises what was not recorded
		if shown := look[string](s, `getComputedStyle(document.querySelector('[data-act="sound"]')).display`); shown != "none" {
			t.Errorf("display: %s", shown)
		}
	})
	t.Run("frames", func(t *testing.T) {
		step := func(key string) float64 {
			before := look[float64](s, "window.shown")
			s.key(key)
			s.wait("a frame", fmt.Sprintf("window.shown !== %v && !document.querySelector('video').seeking", before))
			return look[float64](s, "window.shown") - before
		}
		look[bool](s, `((v) => { const on = (_, m) => { window.shown = m.mediaTime; v.requestVideoFrameCallback(on) }; v.requestVideoFrameCallback(on); v.play() })(document.querySelector('video')), true`)
		s.wait("frames", "window.shown > 0")
		s.key(" ")
		s.wait("the pause", "document.querySelector('video').paused")
		if d := step("."); d <= 0 || d > 3.5 {
			t.Errorf("a frame on is %g s", d)
		}
		if d := step(","); d >= 0 || d < -3.5 {
			t.Errorf("a frame back is %g s", d)
		}
	})
	t.Run("gap", func(t *testing.T) {
		s.key("]")
		s.wait("the last picture before the gap", fmt.Sprintf("Math.abs(%s - %d) <= 2", clockJS, 8*3600+3*60+58))
		s.key("]")
		s.wait("the footage after it", fmt.Sprintf("Math.abs(%s - %d) <= 2", clockJS, 8*3600+7*60))
		s.key("[")
		s.wait("back before it", fmt.Sprintf("Math.abs(%s - %d) <= 2", clockJS, 8*3600+3*60+58))
	})
	t.Run("typed", func(t *testing.T) {
		s.key("g")
		s.wait("the field", "document.activeElement.id === 'goto'")
		s.typed("8点02分30秒")
		s.wait("the time", fmt.Sprintf("Math.abs(%s - %d) <= 1", clockJS, 8*3600+2*60+30))
		s.typed("昨天 17:05")
		s.wait("the way there", "document.querySelector('[data-goto-error] a') && document.querySelector('[data-goto-error] a').href.includes('day=2026-05-19')")
		s.typed("早晨")
		s.wait("a word", "document.querySelector('[data-goto-error]').innerText.includes('看不懂')")
		s.key(kb.Escape)
	})
	t.Run("speed", func(t *testing.T) {
		look[bool](s, "(document.activeElement.blur(), true)")
		for range 4 {
			s.key("+")
		}
		if r := look[float64](s, "document.querySelector('video').playbackRate"); r != 16 || !look[bool](s, "document.querySelector('video').muted") {
			t.Errorf("the speed is %g", r)
		}
		look[bool](s, "(document.querySelector('video').currentTime = 0, document.querySelector('video').play(), window.t0 = performance.now(), true)")
		s.wait("64 seconds at 16×, or key pictures where the machine is too slow", "document.querySelector('video').currentTime > 64")
		t.Logf("64 s of footage in %.1f s; key pictures: %v", look[float64](s, "(performance.now() - window.t0) / 1000"), look[bool](s, "document.querySelector('video').paused"))
		s.key("1")
		if r := look[float64](s, "document.querySelector('video').playbackRate"); r != 1 {
			t.Errorf("1 leads to %g", r)
		}
		s.key("-")
		s.key("-")
		s.key("-")
		if r := look[float64](s, "document.querySelector('video').playbackRate"); r != 0.125 {
			t.Errorf("the slowest is %g", r)
		}
		s.key("1")
	})
	t.Run("help", func(t *testing.T) {
		s.key("?")
		s.wait("the help", "document.querySelector('[data-help]').open")
		s.key(kb.Escape)
		s.wait("no help", "!document.querySelector('[data-help]').open")
	})
	t.Run("mark", func(t *testing.T) {
		if text := look[string](s, "document.querySelector('.screen__over').textContent"); !strings.Contains(text, "郑守川 安保科") || !strings.Contains(text, "日志第") || !strings.Contains(text, "127.0.0.1") {
			t.Errorf("the mark says %q", text)
		}
		look[bool](s, "(document.querySelector('.screen__over').remove(), true)")
		s.wait("the mark again", "document.querySelector('.screen__over')")
		look[bool](s, "(document.querySelector('.screen__over text').textContent = '', true)")
		s.wait("its words again", "document.querySelector('.screen__over').textContent.includes('郑守川')")
		x := look[struct{ Pip, Remote, Controls bool }](s, "(() => { const v = document.querySelector('video'); return {Pip: v.disablePictureInPicture, Remote: v.disableRemotePlayback, Controls: v.controls} })()")
		if !x.Pip || !x.Remote || x.Controls {
			t.Errorf("the video element lets the picture out: %+v", x)
		}
		look[bool](s, `(document.querySelector("[data-stage]").focus(), true)`)
		s.key("f")
		s.wait("full screen", "document.fullscreenElement && document.fullscreenElement.contains(document.querySelector('.screen__over')) && document.fullscreenElement.contains(document.querySelector('.bar'))")
		s.key("f")
		s.wait("no full screen", "!document.fullscreenElement")
	})
	t.Run("right", func(t *testing.T) {
		look[bool](s, "(document.querySelector('video').play(), true)")
		h.change("zheng", func(p *people.Person) { p.Roles = []account.Role{account.RoleStaff} })
		s.wait("the end in words", "document.querySelector('[data-scr=ended]:not([hidden])') && document.querySelector('[data-scr=ended]').innerText.includes('权限已取消')")
		if look[bool](s, "document.querySelector('video').readyState > 0 && !document.querySelector('video').paused") {
			t.Error("the picture goes on")
		}
		h.eventually("closing entry", func() bool { return h.count("footage.access.close") == 1 })
		if e := h.newest(1)[0]; e.Kind == "footage.access.close" && !strings.Contains(string(e.Data), `"role"`) {
			t.Errorf("the closing entry says %s", e.Data)
		}
	})
}

// A viewing that begins between two key frames: the pictures that lead up to it are decoded and never seen, whatever
// the person presses. Covers F10, F12.
func TestPicturesBeforeTheSpanAreNotSeen(t *testing.T) {
	needChromium(t)
	h := newEnvWith(t, broken(t, "", footage.Span{From: at(20, 8, 0), To: at(20, 8, 6)}))
	h.running()
	s := h.seat("zheng")
	// On every frame of the page: is a picture before the span visible?
	s.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `window.leaks = []; window.dark = 0; (function eye() {
			const v = document.querySelector('video');
			if (v && v.readyState >= 2 && v.currentTime < 0.09) { if (getComputedStyle(v).visibility === 'hidden') window.dark++; else window.leaks.push(v.currentTime); }
			requestAnimationFrame(eye);
		})()`})
		return err
	}))
	s.do(chromedp.Navigate(h.server.URL + "/footage?camera=c01&day=2026-05-20&t=08:01&to=08:03"))
	s.do(chromedp.SetValue(chromedp.CSS("#w-from"), "08:01:07"), chromedp.SendKeys(chromedp.CSS("#w-purpose"), "测试播放"),
		chromedp.Click(chromedp.CSS("#watch .btn--p")), chromedp.WaitReady(chromedp.CSS("[data-player] video")))
	const begin = 8*3600 + 1*60 + 7
	s.wait("the picture", playingJS)
	s.wait("a visible picture", "getComputedStyle(document.querySelector('video')).visibility === 'visible'")
	if got := look[float64](s, clockJS); got < begin || got > begin+20 {
		t.Fatalf("the picture begins at %g s of the day, want %d", got, begin)
	}
	s.key(kb.ArrowLeft)
	s.key(kb.ArrowLeft)
	s.key(" ")
	s.key(",")
	s.key(",")
	look[bool](s, "(document.querySelector('video').currentTime = 0, true)")
	s.wait("the beginning of the span again", fmt.Sprintf("!document.querySelector('video').seeking && getComputedStyle(document.querySelector('video')).visibility === 'visible' && %s >= %d", clockJS, begin))
	if leaks := look[[]float64](s, "window.leaks"); len(leaks) > 0 {
		t.Errorf("pictures before the span were to be seen at %v", leaks)
	}
	if list := look[string](s, "fetch(document.querySelector('[data-player]').dataset.src).then(r => r.text()).then(t => { window.list = t }), ''"); list != "" {
		t.Fatal(list)
	}
	s.wait("the playlist", "window.list")
	if !look[bool](s, "window.list.includes('EXT-X-START')") {
		t.Error("the viewing has no pictures before its span: this test shows nothing")
	}
}

// A still picture: the entry is in the log before the browser draws, its number is in the name of the file, and the
// page says that it proves nothing by itself. Covers F10, F13.
func TestAStillInABrowser(t *testing.T) {
	needChromium(t)
	h := newEnvWith(t, broken(t, "", footage.Span{From: at(20, 8, 0), To: at(20, 8, 6)}))
	fan, zheng := h.as("fan"), h.as("zheng")
	f := form("东大门", at(20, 8, 0), at(20, 8, 6))
	f["ways"] = []string{"view", "still"}
	id := fan.apply(f)
	if r := h.as("zhou").post("/applications/"+id+"/take", url.Values{"cameras": {"c01"}}); r.status != 303 {
		t.Fatalf("review: %d\n%s", r.status, r.text())
	}
	r := zheng.post("/applications/"+id+"/decide", url.Values{"decision": {"approve"}, "cameras": {"c01"}, "ways": {"view", "still"}, "spans": {"0"}, "from": {string(usage.DateOf(present))}, "until": {string(usage.DateOf(present).Add(3))}})
	if r.status != 303 {
		t.Fatalf("approval: %d\n%s", r.status, r.text())
	}
	s := h.seat("fan")
	s.open(h, "/footage?camera=c01&day=2026-05-20&t=08:00&to=08:05")
	s.wait("the picture", playingJS)
	dir := t.TempDir()
	_, err := chromedp.CallBrowser(s.ctx, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow,
		BrowserContextID: chromedp.FromContext(s.ctx).BrowserContextID, DownloadPath: dir})
	h.must(err)
	size := h.store.Size()
	s.key("s")
	s.wait("the picture to keep", "document.querySelector('[data-still]').open && document.querySelector('[data-still] canvas') && document.querySelector('[data-still-save]').href")
	e, err := h.store.Entry(size)
	h.must(err)
	var d struct {
		At          time.Time
		Application string
	}
	h.must(json.Unmarshal(e.Data, &d))
	if e.Kind != "footage.snapshot" || e.Actor.ID != h.ids["fan"] || d.Application != id || d.At.Before(at(20, 8, 0)) || d.At.After(at(20, 8, 5)) {
		t.Fatalf("the entry is %s %s", e.Kind, e.Data)
	}
	if text := look[string](s, "document.querySelector('[data-still]').innerText"); !strings.Contains(text, "未作防篡改封装") || !strings.Contains(text, fmt.Sprint("日志", size)) {
		t.Errorf("the page says %q", text)
	}
	if name := look[string](s, "document.querySelector('[data-still-save]').download"); !strings.HasPrefix(name, fmt.Sprintf("ck-0417_%d-", size)) || !strings.HasSuffix(name, ".png") {
		t.Errorf("the file is called %q", name)
	}
	if *shots != "" {
		png, err := chromedp.Run(s.ctx, chromedp.CaptureScreenshot())
		h.must(err)
		h.must(writeShot("still", png))
	}
	s.do(chromedp.Click(chromedp.CSS("[data-still-save]")))
	h.eventually("file", func() bool { list, _ := filepath.Glob(filepath.Join(dir, "*.png")); return len(list) == 1 })
}

// H.265 where the browser cannot: a plain sentence, and not a byte is asked for.
func TestH265IsSaidPlainly(t *testing.T) {
	needChromium(t)
	h := newEnvWith(t, broken(t, "h265", footage.Span{From: at(20, 8, 0), To: at(20, 8, 3)}))
	s := h.seat("zheng")
	s.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: "const was = MediaSource.isTypeSupported; MediaSource.isTypeSupported = (t) => !/hvc1|hev1/.test(t) && was.call(MediaSource, t); window.ManagedMediaSource = undefined;"})
		return err
	}))
	s.open(h, "/footage?camera=c01&day=2026-05-20&t=08:00&to=08:02")
	s.wait("the sentence", "document.querySelector('[data-scr=h265]:not([hidden])') && document.querySelector('[data-scr=h265]').innerText.includes('H.265')")
	if n := look[int](s, "performance.getEntriesByType('resource').filter(r => r.name.includes('/media/')).length"); n != 0 {
		t.Errorf("%d requests for media", n)
	}
}

// The ribbon by keys alone, and everything on a phone without scrolling sideways.
func TestTheRibbonByKeys(t *testing.T) {
	needChromium(t)
	h := newEnvWith(t, func(_ *env, d *Deps) { d.Footage = hours{} })
	h.many()
	s := h.seat("zheng")
	s.do(chromedp.Navigate(h.server.URL + "/footage"))
	name := func() string { return look[string](s, "document.activeElement.getAttribute('aria-label') || ''") }
	if n := look[int](s, "document.querySelectorAll('.day[tabindex=\"0\"]').length"); n != 1 {
		t.Fatalf("the ribbon has %d tab stops", n)
	}
	look[bool](s, "(document.querySelector('.day[tabindex=\"0\"]').focus(), true)")
	first := name()
	s.key(kb.End)
	last := name()
	if !strings.Contains(last, "5月20日") || last == first {
		t.Errorf("End leads from %q to %q", first, last)
	}
	if say := look[string](s, "document.querySelector('[data-say]').innerText"); say != last {
		t.Errorf("below the ribbon stands %q, focused is %q", say, last)
	}
	s.key(kb.PageUp)
	if !strings.Contains(name(), "5月13日") {
		t.Errorf("a week back is %q", name())
	}
	s.key(kb.ArrowLeft)
	s.key(kb.ArrowDown)
	if !strings.Contains(name(), "5月12日") || strings.Split(name(), " 5月")[0] == strings.Split(last, " 5月")[0] {
		t.Errorf("left and down is %q", name())
	}
	if !look[bool](s, "getComputedStyle(document.activeElement.querySelector('rect')).strokeWidth === '3px'") {
		t.Error("the focus is not seen")
	}
	for range 16 {
		if on, err := chromedp.Run(s.ctx, chromedp.Evaluate[bool]("location.search === '' && document.activeElement.matches('.day')")); err != nil || !on {
			break
		}
		s.key(kb.ArrowDown)
	}
	s.wait("the next page", "location.search.includes('page=2') && document.querySelector('.day[tabindex=\"0\"]')")
	look[bool](s, "(document.querySelector('.day[tabindex=\"0\"]').focus(), true)")
	s.do(chromedp.KeyEvent(kb.Enter))
	s.wait("the day", "document.querySelector('[data-strip] .hour[tabindex=\"0\"]') && document.querySelector('.day[aria-current]')")
	look[bool](s, "(document.querySelector('.day[aria-current]').focus(), true)")
	s.key(kb.Escape)
	s.wait("no day", "!document.querySelector('[data-strip]') && location.search.includes('page=2')")
	s.do(viewport(390, 844))
	for _, path := range []string{"/footage", "/footage?days=7", "/footage?camera=c01&day=2026-05-18&t=08:00"} {
		s.do(chromedp.Navigate(h.server.URL + path))
		if w := look[int](s, "document.documentElement.scrollWidth"); w > 390 {
			t.Errorf("%s is %d px wide on a phone", path, w)
		}
	}
	s.do(chromedp.Navigate(h.server.URL + "/footage?days=7"))
	if w := look[float64](s, "Math.min(...[...document.querySelectorAll('[data-ribbon-row]')].slice(0, 1).flatMap(r => [...r.querySelectorAll('.day rect')].slice(1, -1).map(x => x.getBoundingClientRect().width)))"); w < 40 {
		t.Errorf("a day of the week is %g px wide under a finger", w)
	}
}
