package e2e

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	devtools "github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"campuskeep/shared/footage"
)

// clocks reads both playlists of a page with two cameras and puts a function into the page that gives the instant on
// each screen, in ms of UTC, out of the playlists alone.
const clocks = `(async () => {
  const list = async (box) => {
    const text = await (await fetch(box.getAttribute('data-src'))).text();
    const parts = [];
    let at = 0, date = NaN;
    for (const line of text.split('\n')) {
      if (line.startsWith('#EXT-X-PROGRAM-DATE-TIME:')) date = Date.parse(line.slice(25));
      if (!line.startsWith('#EXTINF:')) continue;
      const long = parseFloat(line.slice(8));
      parts.push([at, date, long]);
      at += long;
      date += long * 1000;
    }
    const video = box.querySelector('video');
    return () => {
      const p = parts.findLast((p) => p[0] <= video.currentTime + 0.001);
      return p ? p[1] + (video.currentTime - p[0]) * 1000 : NaN;
    };
  };
  const [a, b] = await Promise.all([...document.querySelectorAll('[data-player]')].map(list));
  window.instants = () => [a(), b()];
  return true;
})()`

// beside watches two cameras of one span in step: each has its entry, one set of buttons moves both, and both show the
// same instant while they play, at other speeds, after a jump and at rest. Covers F10, F12.
func (h *env) beside(t *testing.T) {
	b := h.tab(t, "zheng")
	at := h.quiet(0)
	b.open(fmt.Sprintf("/footage?camera=c01&day=%s&t=%s", at.Format(time.DateOnly), at.Format("15:04")))
	b.states("核实东门外车辆剐蹭")
	b.follow("form[action='/footage/view'] button")
	b.plays()
	from := h.box.Store.Size()
	eval[bool](b, "document.querySelector('#v-beside').value = 'c02', true")
	b.follow("form[action$='/beside'] button")
	entry := h.entry(t, from, "footage.access.open")
	var open opening
	decode(t, entry.Data, &open)
	if open.Camera != "c02" || !open.From.Equal(at) || open.Ground != "duty" {
		t.Errorf("the entry of the second camera says %s", entry.Data)
	}
	if n := eval[int](b, "document.querySelectorAll('.logline').length"); n != 2 {
		t.Errorf("the page names %d entries, want both", n)
	}
	playing := "[...document.querySelectorAll('[data-player] video')].every((v) => v.readyState > 2 && v.currentTime > 0)"
	b.wait("both pictures", playing)
	b.leave(func() { b.do("load it again", chromedp.Reload()) })
	b.wait("both pictures again", playing)
	b.wait("pictures beyond the grace of a page that went away", "document.querySelector('[data-player] video').currentTime > 8")
	eval[bool](b, "("+clocks+", true)")
	b.wait("the clocks", "window.instants")
	b.inStep("at normal speed")
	eval[bool](b, "document.querySelector('[name=speed][value=\"4\"]').click(), true")
	b.inStep("at four times the speed")
	eval[bool](b, "document.querySelector('[name=speed][value=\"1\"]').click(), true")
	b.click("[data-act=fwd]")
	b.inStep("after a jump")
	b.click("[data-act=play]")
	b.wait("rest", "[...document.querySelectorAll('[data-player] video')].every((v) => v.paused && !v.seeking)")
	b.inStep("at rest")
	from = h.box.Store.Size()
	b.open("/footage")
	until(t, "both ends in the log", func() bool { return len(h.entries(t, from, "footage.access.close")) == 2 })
}

// inStep waits until both screens have shown the same instant for twenty looks, one after the other; a step apart in the
// time that the footage runs, not in that of a busy machine.
func (b *tab) inStep(when string) {
	b.t.Helper()
	eval[bool](b, "(window.together = 0, true)")
	b.wait("step "+when, "((d, v) => { window.together = Math.abs(d[0] - d[1]) <= 200 * Math.max(1, v.playbackRate) && !v.seeking ? window.together + 1 : 0; return window.together >= 20 })(window.instants(), document.querySelector('[data-player] video'))")
	got := eval[[]float64](b, "window.instants()")
	b.t.Logf("%s: %.0f ms apart", when, math.Abs(got[0]-got[1]))
}

// peek points at the strip: what is there is shown before one goes there, under the mark, and counts as delivered.
// Covers F13.
func (h *env) peek(t *testing.T) {
	b := h.tab(t, "zheng")
	at := h.quiet(0)
	b.open(fmt.Sprintf("/footage?camera=c01&day=%s&t=%s", at.Format(time.DateOnly), at.Format("15:04")))
	b.states("核实东门外车辆剐蹭")
	b.follow("form[action='/footage/view'] button")
	b.plays()
	b.says("预览也是本次查看")
	b.click("[data-act=play]")
	b.wait("the pause", "document.querySelector('[data-player] video').paused")
	b.point("#pos", 0.75)
	b.wait("a preview", "document.querySelector('[data-peek].is-there video').videoWidth > 0")
	label := eval[string](b, "document.querySelector('[data-peek-at]').textContent")
	if mark := eval[string](b, "document.querySelector('[data-peek] svg').textContent"); !strings.Contains(mark, "郑守川") {
		t.Errorf("over the preview stands %q", mark)
	}
	span := footage.Span{From: at, To: at.Add(time.Duration(eval[float64](b, "Number(document.querySelector('#pos').max)")) * time.Second)}
	there, err := time.ParseInLocation("2006-01-02 15:04:05", at.Format(time.DateOnly)+" "+label, h.zone)
	if want := span.From.Add(span.Duration() * 3 / 4); err != nil || there.Sub(want).Abs() > 30*time.Second {
		t.Errorf("three quarters along the strip is called %q, want about %s (%v)", label, want.In(h.zone).Format(time.TimeOnly), err)
	}
	from := h.box.Store.Size()
	b.open("/footage")
	var c closing
	decode(t, h.entry(t, from, "footage.access.close").Data, &c)
	for _, s := range c.Delivered {
		if s.Contains(there) {
			return
		}
	}
	t.Errorf("the preview of %s was shown and is not among what was delivered: %v", label, c.Delivered)
}

// point moves the mouse to a part of an element's width.
func (b *tab) point(sel string, x float64) {
	b.t.Helper()
	box := eval[[]float64](b, fmt.Sprintf("((r) => [r.left + r.width * %v, r.top + r.height / 2])(document.querySelector(%q).getBoundingClientRect())", x, sel))
	for n := range 3 {
		b.do("point", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, devtools.DispatchMouseEvent, devtools.DispatchMouseEventParams{Type: "mouseMoved", X: box[0] + float64(n)/10, Y: box[1]})
			return err
		}))
	}
}
