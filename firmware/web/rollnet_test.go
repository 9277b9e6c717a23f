package web

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"campuskeep/shared/attendance"
)

// The phone's network drops in the middle of a roll: the marks are kept over a reload of the browser's own making, sent
// when the network is back, and counted once. A roll that somebody else confirmed meanwhile, and one of a day before,
// stay to be seen with their marks until their owner clears them. Covers S6.
func TestTheRollOverABrokenNetwork(t *testing.T) {
	needChromium(t)
	h := newEnv(t)
	for n := range 4 {
		h.tap(1, n)
	}
	s := h.seat("luo")
	s.do(viewport(390, 844), chromedp.Navigate(h.server.URL+"/class/2023-01?period=am"), chromedp.WaitReady(chromedp.CSS("[data-roll]")))
	mark := func(n int, what string) {
		look[bool](s, fmt.Sprintf(`(() => { document.querySelector('[name="p.%s"][value="%s"]').click(); return true })()`, h.pupils[n], what))
	}
	confirm := func() { look[bool](s, `(() => { document.querySelector('.dock .btn--p').click(); return true })()`) }
	size := h.store.Size()
	s.offline(true)
	mark(4, "here")
	confirm()
	s.wait("the word that the roll is kept", `document.querySelector('[data-roll-state]').textContent.indexOf('网络中断') >= 0`)
	if n := h.store.Size(); n != size {
		t.Fatalf("%d entries without a network", n-size)
	}
	s.offline(false)
	s.wait("the roll's confirmation", `document.querySelector('.roll__h .st.ok')`)
	if n := h.count("roll.taken"); n != 1 {
		t.Errorf("the roll counts %d times", n)
	}
	days, err := h.gate.Roll("2023-01", "2026-05-20")
	h.must(err)
	if days[4].Outcome != attendance.Present {
		t.Errorf("marked as here: %s", days[4].Outcome)
	}
	if n := look[int](s, `Object.keys(localStorage).filter((k) => k.indexOf('roll:') === 0).length`); n != 0 {
		t.Errorf("%d rolls are left in the browser", n)
	}
	// Somebody else confirms while this page is open.
	mark(3, "away")
	f := rollForm(h.as("luo").class("2023-01", "am"), "phone-0009-abc")
	h.as("luo").made("/class/2023-01/roll", f)
	confirm()
	s.wait("the refusal", `document.querySelector('[data-roll-state]').textContent.indexOf('标记仍保存') >= 0`)
	s.do(chromedp.Navigate(h.server.URL+"/class/2023-01?period=am"), chromedp.WaitReady(chromedp.CSS("[data-roll]")))
	s.wait("the marks that were refused", `document.querySelector('[data-roll-left]').textContent.indexOf('岑越 未到') >= 0`)
	look[bool](s, `(() => { document.querySelector('[data-roll-left] button').click(); return true })()`)
	if !look[bool](s, fmt.Sprintf(`document.querySelector('[name="p.%s"][value="away"]').checked && !document.querySelector('[data-roll-left] .note')`, h.pupils[3])) {
		t.Error("the marks are not filled in")
	}
	// What was kept on a day before is shown, and goes when it is cleared.
	look[bool](s, `(() => { localStorage.setItem('roll:2023-01.2026-05-19.am', JSON.stringify({rev: '1', waiting: true, title: '三年级1班', marks: ['安知予 未到'], form: ''})); return true })()`)
	s.do(chromedp.Navigate(h.server.URL+"/class/2023-01?period=pm"), chromedp.WaitReady(chromedp.CSS("[data-roll]")))
	s.wait("the roll of yesterday", `document.querySelector('[data-roll-left]').textContent.indexOf('安知予 未到') >= 0 && document.querySelector('[data-roll-left] a').getAttribute('href') === '/gate/class/2023-01?date=2026-05-19'`)
	look[bool](s, `(() => { document.querySelector('[data-roll-left] button').click(); return true })()`)
	s.wait("the end of it", `localStorage.getItem('roll:2023-01.2026-05-19.am') === null && !document.querySelector('[data-roll-left] .note')`)
}

// offline takes the network from the browser, or gives it back.
func (s *seat) offline(off bool) {
	s.t.Helper()
	s.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		if _, err := cdp.Call(ctx, tab, network.Enable, network.EnableParams{}); err != nil {
			return err
		}
		all := []*network.Conditions{}
		if off {
			all = append(all, &network.Conditions{DownloadThroughput: -1, UploadThroughput: -1, Offline: true})
		}
		_, err := cdp.Call(ctx, tab, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: all})
		return err
	}))
}
