package web

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Every page passes axe-core's rules of WCAG 2.1 A and AA and its best practice: wide and light with all rules, dark
// for its contrast, on a phone for what scrolls; on a phone nothing is wider than the screen. A page is loaded once,
// theme and screen change under it, and as many tabs work as the test may use processors.
func TestAccessibilityOfEveryPage(t *testing.T) {
	needChromium(t)
	axe, err := os.ReadFile("../../shared/lib/ui/web/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skipf("axe-core is not installed (npm ci does): %v", err)
	}
	h := newEnv(t)
	ids := h.scene()
	const tabs = 3
	free := make(chan context.Context, tabs)
	for range tabs {
		tab := browser(t)
		h.must(chromedp.Do(tab)) // the window lives as long as the context of its first step
		free <- tab
	}
	tokens := map[string]string{"": ""}
	for _, group := range h.everyPage(ids) {
		t.Run(group.name, func(t *testing.T) {
			for _, p := range group.pages() {
				if _, ok := tokens[p.who]; !ok {
					tokens[p.who] = h.as(p.who).token()
				}
				token := tokens[p.who]
				t.Run(p.name, func(t *testing.T) {
					t.Parallel()
					tab := <-free
					defer func() { free <- tab }()
					ctx, cancel := context.WithTimeout(tab, time.Minute)
					defer cancel()
					(&looked{&seat{t, ctx}, h, string(axe)}).page(p, token)
				})
			}
		})
	}
}

// looked is a tab in which pages are looked at.
type looked struct {
	*seat
	h   *env
	axe string
}

// page loads a page once and looks at it in both themes and on both screens.
func (s *looked) page(p listed, token string) {
	s.t.Helper()
	s.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error { return s.h.wear(ctx, tab, token, "light") }),
		viewport(1366, 768), chromedp.Navigate(s.h.server.URL+p.path), chromedp.WaitReady("main"))
	if _, err := chromedp.Run(s.ctx, chromedp.Evaluate[bool](s.axe+";true")); err != nil {
		s.t.Fatalf("axe-core does not run: %v", err) // without its source
	}
	s.passes("light at 1366", `{}`)
	s.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error { return theme(ctx, tab, "dark") }))
	s.passes("dark at 1366", `{runOnly: ["color-contrast"]}`)
	if strings.HasPrefix(p.name, "paper-") {
		return // drawn for A4
	}
	s.do(viewport(390, 844))
	if _, err := chromedp.Run(s.ctx, chromedp.Evaluate[bool](`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`, chromedp.EvalAwaitPromise)); err != nil {
		s.t.Fatalf("the phone's layout: %v", err)
	}
	s.passes("dark at 390", `{runOnly: ["color-contrast", "scrollable-region-focusable", "target-size"]}`)
	if over := s.overflow(390); over > 0 {
		s.t.Errorf("%d px wider than a phone: %s", over, look[string](s.seat, `[...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > 391).slice(0, 4).map((e) => e.tagName + "." + e.className).join(" ")`))
	}
}

// overflow is by how many pixels the page is wider than its window.
func (s *seat) overflow(window int) int {
	s.t.Helper()
	return look[int](s, fmt.Sprintf("Math.max(0, document.documentElement.scrollWidth - %d)", window))
}

// passes is an error for each rule that the page breaks as it is shown.
func (s *looked) passes(how, options string) {
	s.t.Helper()
	type violation struct{ ID, Impact, Where string }
	js := fmt.Sprintf(`axe.run(document, %s).then((r) => JSON.stringify(r.violations.map((v) => ({ID: v.id, Impact: v.impact, Where: v.nodes.slice(0, 3).map((n) => n.target.join(" ")).join("; ")}))))`, options)
	text, err := chromedp.Run(s.ctx, chromedp.Evaluate[string](js, chromedp.EvalAwaitPromise))
	if err != nil {
		s.t.Fatalf("%s: axe-core: %v", how, err)
	}
	var out []violation
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		s.t.Fatal(err)
	}
	for _, v := range out {
		s.t.Errorf("%s: %s (%s): %s", how, v.ID, v.Impact, v.Where)
	}
}

// theme lets the person's system prefer light or dark, and nothing that moves.
func theme(ctx context.Context, tab *chromedp.Target, theme string) error {
	_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	return err
}
