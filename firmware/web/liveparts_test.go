package web

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/usage"
)

// Covers S6: the board in the entrance hall stays full screen when a card is read, and the keyboard stays where it was.
func TestALivePartKeepsFullScreenAndFocus(t *testing.T) {
	needChromium(t)
	h := newEnv(t)
	h.clock.change(func(r *clock.Reading) { r.Wall = at(20, 7, 40).UTC() })
	s := h.seat("zheng")
	s.do(chromedp.Navigate(h.server.URL+"/gate"), chromedp.WaitReady(chromedp.CSS("#board a.cls")))
	h.eventually("page that listens", func() bool { return h.listening.Load() > 0 })
	s.do(chromedp.Click(chromedp.CSS("[data-fullscreen]")))
	s.wait("full screen", `document.fullscreenElement && document.fullscreenElement.id === "board"`)
	look[bool](s, `(() => { document.querySelector("#board a.cls").focus(); return true })()`)
	h.tap(1, 0)
	s.wait("the tap", `document.querySelector("#board").textContent.includes("安*予")`)
	if !look[bool](s, `document.fullscreenElement !== null && document.activeElement.matches("#board a.cls")`) {
		t.Error("the tap ended the full screen or took the focus")
	}
}

// What happens after the page was made and before its stream of events is there is shown when that is there.
func TestALivePartMissesNothingAtItsBeginning(t *testing.T) {
	needChromium(t)
	h := newEnv(t)
	h.clock.change(func(r *clock.Reading) { r.Wall = at(20, 7, 40).UTC() })
	s := h.seat("zheng")
	s.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `(() => {
			const Real = window.EventSource;
			window.EventSource = function (u) {
				const late = new EventTarget();
				late.close = () => {};
				window.begin = () => { const es = new Real(u); ["open", "change", "error"].forEach((n) => es.addEventListener(n, () => late.dispatchEvent(new Event(n)))); };
				return late;
			};
		})()`})
		return err
	}), chromedp.Navigate(h.server.URL+"/gate"), chromedp.WaitReady(chromedp.CSS("#board a.cls")))
	s.wait("a page that would listen", "window.begin")
	h.tap(1, 0)
	look[bool](s, "(window.begin(), true)")
	s.wait("the tap", `document.querySelector("#board").textContent.includes("安*予")`)
}

// A log-in that ends leaves the board as it was, says how old it is, and leads back; logging in again mends it.
func TestALivePartOutlivesTheLogIn(t *testing.T) {
	needChromium(t)
	h := newEnv(t)
	h.clock.change(func(r *clock.Reading) { r.Wall = at(20, 7, 40).UTC() })
	s := h.seat("zheng")
	s.do(chromedp.Navigate(h.server.URL+"/gate"), chromedp.WaitReady(chromedp.CSS("#board a.cls")))
	h.eventually("page that listens", func() bool { return h.listening.Load() > 0 })
	h.must(h.people.EndSessions(t.Context(), account.System, h.ids["zheng"]))
	s.wait("the word", `[...document.querySelectorAll(".live-fault")].some((n) => !n.hidden && n.textContent.includes("登录已结束") && n.querySelector("a[href^='/login?next=%2Fgate']"))`)
	if !look[bool](s, `document.querySelectorAll("#board a.cls").length > 0`) {
		t.Error("the board is gone")
	}
	again := h.as("zheng").token()
	look[bool](s, `(() => { window.same = true; return true })()`)
	s.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error { return h.wear(ctx, tab, again, "light") }))
	look[bool](s, `(() => { window.dispatchEvent(new Event("focus")); return true })()`)
	s.wait("the board", `window.same && [...document.querySelectorAll(".live-fault")].every((n) => n.hidden)`)
}

// Covers F10: the hours of a day can be chosen without a mouse.
func TestAnHourByKeyboard(t *testing.T) {
	needChromium(t)
	h := newEnv(t)
	s := h.seat("zheng")
	s.do(chromedp.Navigate(h.server.URL+"/footage?camera=c01&day=2026-05-08"), chromedp.WaitReady(chromedp.CSS("a.hour")))
	look[bool](s, `(() => { (() => { const a = [...document.querySelectorAll("a.hour")].find((x) => (x.href.baseVal || x.getAttribute("href")).includes("t=09%3A00") || (x.href.baseVal || x.getAttribute("href")).includes("t=09:00")); a.focus() })(); return true })()`)
	s.key(kb.Enter)
	s.wait("nine o'clock", `/t=09(%3A|:)00/.test(location.search)`)
}

// Covers F13: a still is the picture of the instant that its entry names, taken once, however slow the answer and
// whatever is pressed meanwhile.
func TestAStillIsOfItsInstant(t *testing.T) {
	needChromium(t)
	h := newEnvWith(t, broken(t, "", footage.Span{From: at(20, 8, 0), To: at(20, 8, 6)}))
	fan := h.as("fan")
	f := form("东大门", at(20, 8, 0), at(20, 8, 6))
	f["ways"] = []string{"view", "still"}
	id := fan.apply(f)
	if r := h.as("zhou").post("/applications/"+id+"/take", map[string][]string{"cameras": {"c01"}}); r.status != 303 {
		t.Fatalf("review: %d\n%s", r.status, r.text())
	}
	r := h.as("zheng").post("/applications/"+id+"/decide", map[string][]string{"decision": {"approve"}, "cameras": {"c01"}, "ways": {"view", "still"}, "spans": {"0"},
		"from": {string(usage.DateOf(present))}, "until": {string(usage.DateOf(present).Add(3))}, "sure": {"yes"}})
	if r.status != 303 {
		t.Fatalf("approval: %d\n%s", r.status, r.text())
	}
	s := h.seat("fan")
	s.open(h, "/footage?camera=c01&day=2026-05-20&t=08:00&to=08:05")
	s.wait("the picture", playingJS)
	look[bool](s, `(() => { (() => {
		const was = window.fetch;
		window.sent = [];
		window.fetch = (u, o) => /snapshot/.test(u) ? new Promise((done) => { window.sent.push(String(o.body)); setTimeout(() => done(was(u, o)), 1500); }) : was(u, o);
		const frame = HTMLVideoElement.prototype.requestVideoFrameCallback;
		HTMLVideoElement.prototype.requestVideoFrameCallback = function (f) { return frame.call(this, (now, m) => { window.shown = m.mediaTime; f(now, m); }); };
		const draw = CanvasRenderingContext2D.prototype.drawImage;
		window.drawn = [];
		CanvasRenderingContext2D.prototype.drawImage = function (x, ...a) { if (x.tagName === "VIDEO") window.drawn.push(window.shown); return draw.call(this, x, ...a); };
	})(); return true })()`)
	s.wait("the next picture", "window.shown !== undefined")
	size := h.store.Size()
	s.key("s")
	s.wait("the request", "window.sent.length > 0")
	s.key("s")
	s.key(kb.ArrowRight)
	s.wait("the dialog", "document.querySelector('[data-still]').open")
	if n := look[int](s, "window.sent.length"); n != 1 {
		t.Errorf("%d requests for one still", n)
	}
	if n := look[int](s, "document.querySelectorAll('[data-still] canvas').length"); n != 1 {
		t.Errorf("%d pictures in the dialog", n)
	}
	// The picture that was shown is the one that was copied, before the answer, and its instant the one that was entered.
	off := look[float64](s, `(() => { const v = document.querySelector("video"); const at = Number(new URLSearchParams(window.sent[0]).get("at")); return Math.abs(at - (Number(document.querySelector("[data-player]").getAttribute("data-from")) + (window.drawn[0]) * 1000)); })()`)
	if !(off <= 50) {
		t.Errorf("the entry names an instant %v ms off the picture", off)
	}
	stills := 0
	for e, err := range h.store.Entries(size, h.store.Size()) {
		h.must(err)
		if strings.HasPrefix(string(e.Kind), "footage.snapshot") {
			stills++
		}
	}
	if stills != 1 {
		t.Errorf("%d entries for one still", stills)
	}
}
