package web

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"campuskeep/shared/footage"
)

// The player's controls are on the first screen of a small office PC; in full screen the picture has all of it; one
// can look closer; a gap is listed with its times. Covers F10.
func TestThePlayerFitsTheScreen(t *testing.T) {
	needChromium(t)
	h := newEnvWith(t, broken(t, "", footage.Span{From: at(20, 8, 0), To: at(20, 8, 2)}, footage.Span{From: at(20, 8, 3), To: at(20, 8, 5)}))
	s := h.seat("zheng")
	s.do(chromedp.Navigate(h.server.URL+"/footage?camera=c01&day=2026-05-20&t=08:01"),
		chromedp.SendKeys(chromedp.CSS("#w-purpose"), "测试播放"), chromedp.SetValue(chromedp.CSS("#w-to"), "08:05"),
		chromedp.Click(chromedp.CSS("#watch button")), chromedp.WaitVisible(chromedp.CSS("[data-player] video")))
	s.wait("a picture", "document.querySelector('video').readyState >= 2")
	if below := look[float64](s, "Math.max(...[...document.querySelectorAll('.bar')].map((b) => b.getBoundingClientRect().bottom)) - innerHeight"); below > 0 {
		t.Errorf("the controls end %v px below the fold", below)
	}
	if gap := look[string](s, "(document.querySelector('.btn--gap') || {}).textContent || ''"); !strings.Contains(gap, "08:02:00–08:03:00") {
		t.Errorf("the gap is listed as %q", gap)
	}
	s.do(chromedp.Click(chromedp.CSS("[data-act=zoomin]")), chromedp.Click(chromedp.CSS("[data-act=zoomin]")))
	if got := look[string](s, "document.querySelector('video').style.transform"); !strings.HasPrefix(got, "scale(2)") {
		t.Errorf("zoomed twice: %q", got)
	}
	s.do(chromedp.Click(chromedp.CSS("[data-act=zoomout]")), chromedp.Click(chromedp.CSS("[data-act=zoomout]")))
	if got := look[string](s, "document.querySelector('video').style.transform"); got != "" {
		t.Errorf("zoomed out: %q", got)
	}
	s.do(chromedp.Click(chromedp.CSS("[data-act=full]")))
	s.wait("full screen", "document.fullscreenElement")
	s.wait("the picture has all of it", "Math.abs(document.querySelector('#screen').getBoundingClientRect().height - innerHeight) < 2")
}
