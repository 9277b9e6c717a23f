package web

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// A pupil's record on paper is what is written, whom to call and who opened it: no buttons, no tabs, and not who else
// has read it. Covers S13, S17.
func TestAPupilsRecordOnPaper(t *testing.T) {
	needChromium(t)
	h := newEnv(t)
	pupil := h.recordPages()[0]
	s := h.seat(pupil.who)
	s.do(chromedp.Navigate(h.server.URL+pupil.path), chromedp.WaitReady("main"), chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
		return err
	}), chromedp.EmulateViewport(794, 1123))
	paper := look[string](s, "document.querySelector('main').innerText")
	for _, want := range []string{"安知予", "照护须知", "楼梯奔跑", "青榆实验学校 · 学生安全档案", "由 郑守川 于 2026-05-20"} {
		if !strings.Contains(paper, want) {
			t.Errorf("the paper lacks %q:\n%s", want, paper)
		}
	}
	for _, not := range []string{"谁看过这份档案", "更正", "写一条记录"} {
		if strings.Contains(paper, not) {
			t.Errorf("the paper has %q:\n%s", not, paper)
		}
	}
	if over := s.overflow(794); over > 0 {
		t.Errorf("%d px wider than paper", over)
	}
	if *shots != "" {
		png, err := chromedp.Run(s.ctx, chromedp.FullScreenshot(100))
		h.must(err)
		h.must(writeShot("print-pupil", png))
	}
}
