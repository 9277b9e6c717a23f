package web

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"campuskeep/scripts/sim/camera"
)

// A camera is tried from its form before it is saved: the picture rests on the page that was being filled in, which
// loses nothing of what was typed. Covers F1.
func TestTryingACameraInABrowser(t *testing.T) {
	needChromium(t)
	h := newEnv(t)
	s := h.stills(camera.StillOptions{User: "ck", Password: "camera-secret"})
	token := h.as("liang").token()
	ctx, stop := context.WithTimeout(browser(t), 90*time.Second)
	defer stop()
	for _, size := range []struct {
		name string
		w, h int64
	}{{"wide", 1366, 768}, {"phone", 390, 844}} {
		var name, alt string
		err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
			return h.wear(ctx, tab, token, map[string]string{"wide": "light", "phone": "dark"}[size.name])
		}), viewport(size.w, size.h), chromedp.Navigate(h.server.URL+"/cameras/new"), chromedp.WaitVisible(chromedp.CSS("#f-name")),
			chromedp.SendKeys(chromedp.CSS("#f-name"), "新装的一台"), chromedp.SendKeys(chromedp.CSS("#f-still"), s.URL()), chromedp.SendKeys(chromedp.CSS("#f-user"), "ck"), chromedp.SendKeys(chromedp.CSS("#f-password"), "camera-secret"),
			chromedp.Click(chromedp.CSS(`input[name="custody"][value="nvr"]`)), chromedp.Click(chromedp.CSS(`button[formaction^="/cameras/test"]`)), chromedp.WaitVisible(chromedp.CSS("#tried img.aim")))
		if err != nil {
			t.Fatal(err)
		}
		if name, err = chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("#f-name").value`)); err != nil || name != "新装的一台" {
			t.Errorf("%s: the name that was typed is %q, %v", size.name, name, err)
		}
		if alt, err = chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector("#tried img.aim").alt`)); err != nil || !strings.Contains(alt, "新装的一台") {
			t.Errorf("%s: the picture's name is %q, %v", size.name, alt, err)
		}
		if *shots != "" {
			png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			if err := writeShot("camera-tried-"+size.name, png); err != nil {
				t.Fatal(err)
			}
		}
	}
}
