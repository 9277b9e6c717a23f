package web

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// The navigation shows what fits, always with the page that is open; what does not fit is in the menu, and nothing
// scrolls sideways, in either language.
func TestTheNavigationFits(t *testing.T) {
	needChromium(t)
	h := newEnv(t)
	s := h.seat("zheng")
	for _, who := range []string{"zheng", "fan"} {
		token := h.as(who).token()
		for _, lang := range []string{"zh-CN", "en"} {
			for _, width := range []int64{1121, 1366, 1920} {
				t.Run(fmt.Sprint(who, "-", lang, "-", width), func(t *testing.T) {
					s.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
						if err := h.wear(ctx, tab, token, "light"); err != nil {
							return err
						}
						_, err := cdp.Call(ctx, tab, network.SetCookie, network.SetCookieParams{Name: "lang", Value: lang, URL: h.server.URL, Path: "/"})
						return err
					}), viewport(width, 844), chromedp.Navigate(h.server.URL+"/account"), chromedp.WaitReady("main"))
					all := look[[]string](s, `[...document.querySelectorAll(".nav a")].map((a) => a.getAttribute("href"))`)
					if len(all) < 3 {
						t.Fatalf("offered: %v", all)
					}
					last := all[len(all)-1]
					s.do(chromedp.Navigate(h.server.URL+last), chromedp.WaitReady("main"))
					if over := s.overflow(int(width)); over > 0 {
						t.Errorf("%s is %d px too wide", last, over)
					}
					shown := look[[]string](s, `[...document.querySelectorAll(".nav a")].filter((a) => a.offsetWidth).map((a) => a.getAttribute("href"))`)
					menu := look[[]string](s, `document.querySelector(".menu").offsetWidth ? [...document.querySelectorAll(".menu li:not(.menu__me) a")].map((a) => a.getAttribute("href")) : []`)
					for _, href := range all {
						if !slices.Contains(shown, href) && !slices.Contains(menu, href) {
							t.Errorf("no way to %s: the navigation has %v, the menu %v", href, shown, menu)
						}
					}
					if !slices.Contains(shown, last) {
						t.Errorf("the navigation has %v, not the page that is open: %s", shown, last)
					}
					if len(shown) == len(all) && len(menu) > 0 {
						t.Errorf("a menu beside a navigation that has everything: %v", menu)
					}
				})
			}
		}
	}
}
