package web

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// stopChromium ends the browser of all tests, when one was started.
var stopChromium = func() {}

// startChromium starts the one Chromium of all tests; each has windows of its own in it.
var startChromium = sync.OnceValues(func() (context.Context, error) {
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.IgnoreCertErrors,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(profile))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(alloc)
	stopChromium = func() {
		last, cancel := context.WithTimeout(ctx, 10*time.Second)
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

func needChromium(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("short")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if _, err := exec.LookPath(name); err == nil {
			return
		}
	}
	t.Skip("no Chromium here; scripts/test installs it")
}

// realFootage puts a real vault with some minutes of real pictures behind the page.
func realFootage(t *testing.T, span footage.Span) func(*env, *Deps) {
	return broken(t, "", span)
}

// Click a time, state the purpose, watch it play: the entry is in the log before, and what was delivered
// after. Covers F10, F13.
func TestWatchingInABrowser(t *testing.T) {
	needChromium(t)
	h := newEnvWith(t, realFootage(t, footage.Span{From: at(20, 8, 0), To: at(20, 8, 6)}))
	token := h.as("zheng").token()
	ctx, stop := context.WithTimeout(browser(t), 90*time.Second)
	defer stop()
	err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error { return h.wear(ctx, tab, token, "light") }),
		viewport(1366, 768),
		chromedp.Navigate(h.server.URL+"/footage?camera=c01&day=2026-05-20&t=08:01"),
		chromedp.SendKeys(chromedp.CSS("#w-purpose"), "测试播放"),
		chromedp.SetValue(chromedp.CSS("#w-to"), "08:05"),
		chromedp.Click(chromedp.CSS("#watch button")),
		chromedp.WaitVisible(chromedp.CSS("[data-player] video")))
	if err != nil {
		t.Fatal(err)
	}
	opened := h.seqOf("footage.access.open")
	playing, err := chromedp.Run(ctx, chromedp.Poll[bool](`(() => { const v = document.querySelector("video"); return v && v.currentTime > 1.5 && v.videoWidth > 0 && !v.error })()`, chromedp.WithPollingTimeout(30*time.Second)))
	if err != nil || !playing {
		msg, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`(document.querySelector("[data-msg]")||{}).textContent + " " + document.querySelector("video").currentTime + " " + ((document.querySelector("video").error||{}).message||"")`))
		t.Fatalf("it does not play: %v %s", err, msg)
	}
	stamp, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("[data-stamp]")))
	if err != nil || !strings.HasPrefix(stamp, "2026-05-20 08:01:0") {
		t.Errorf("the clock over the picture says %q (%v)", stamp, err)
	}
	if *shots != "" {
		png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		h.must(err)
		h.must(writeShot("playing", png))
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`(() => { const p = document.querySelector("#pos"); p.value = "120"; p.dispatchEvent(new Event("change")); return true })()`)); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](`/08:03:0/.test(document.querySelector("[data-stamp]").textContent)`, chromedp.WithPollingTimeout(20*time.Second))); err != nil {
		t.Errorf("seeking: %v", err)
	}
	// Leaving the page ends the viewing.
	if err := chromedp.Do(ctx, chromedp.Navigate(h.server.URL+"/rules")); err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(15 * time.Second); h.count("footage.access.close") == 0; {
		select {
		case <-deadline:
			t.Fatal("leaving the page did not close the viewing")
		case <-time.After(50 * time.Millisecond):
		}
	}
	e := h.newest(1)[0]
	if e.Kind != "footage.access.close" || e.Seq <= opened || !strings.Contains(string(e.Data), `"bytes"`) || strings.Contains(string(e.Data), `"delivered":[]`) {
		t.Errorf("%s %s", e.Kind, e.Data)
	}
}

// The gate board shows a tap by itself, without a reload, and its content policy is kept.
func TestTheGateBoardIsLive(t *testing.T) {
	needChromium(t)
	h := newEnv(t)
	h.clock.change(func(r *clock.Reading) { r.Wall = at(20, 7, 40).UTC() })
	token := h.as("zheng").token()
	ctx, stop := context.WithTimeout(browser(t), 3*time.Minute)
	defer stop()
	if err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error { return h.wear(ctx, tab, token, "dark") }),
		chromedp.Navigate(h.server.URL+"/gate"), chromedp.WaitReady(chromedp.CSS("#board"))); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`(window.same = true, window.bad = [], document.addEventListener("securitypolicyviolation", (e) => window.bad.push(e.violatedDirective)), true)`)); err != nil {
		t.Fatal(err)
	}
	for h.listening.Load() == 0 {
		select {
		case <-ctx.Done():
			t.Fatal("the page does not listen")
		case <-time.After(20 * time.Millisecond):
		}
	}
	h.tap(1, 0)
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](`document.querySelector("#board").textContent.includes("安*予")`, chromedp.WithPollingTimeout(time.Minute))); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 5; n++ {
		h.tap(1, n)
	}
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](`window.same && document.querySelector("#board").textContent.includes("程*满")`, chromedp.WithPollingTimeout(time.Minute))); err != nil {
		t.Error("the fifth tap: ", err)
	}
	bad, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`window.bad`))
	if err != nil || len(bad) > 0 {
		t.Errorf("the content policy was broken: %v (%v)", bad, err)
	}
}
