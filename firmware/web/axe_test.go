package web

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Every page passes axe-core's rules of WCAG 2.1 A and AA and its best practice: wide and light with all rules, dark
// for its contrast, on a phone for what scrolls; on a phone nothing is wider than the screen.
func TestAccessibilityOfEveryPage(t *testing.T) {
	needChromium(t)
	axe, err := os.ReadFile("../../shared/lib/ui/web/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skipf("axe-core is not installed (npm ci does): %v", err)
	}
	h := newEnv(t)
	ids := h.scene()
	s := h.seat("zheng")
	tokens := map[string]string{"": ""}
	only := regexp.MustCompile(*only)
	for _, p := range slices.Concat(h.pagesOf(ids), h.dutyPages(), h.oversightPages()) {
		if !only.MatchString(p.name) {
			continue
		}
		if _, ok := tokens[p.who]; !ok {
			tokens[p.who] = h.as(p.who).token()
		}
		for _, look := range []struct {
			theme  string
			w, h   int64
			asking string
		}{
			{"light", 1366, 768, `{}`},
			{"dark", 1366, 768, `{runOnly: ["color-contrast"]}`},
			{"light", 390, 844, `{runOnly: ["scrollable-region-focusable", "target-size"]}`},
		} {
			s.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
				return h.wear(ctx, tab, tokens[p.who], look.theme)
			}),
				viewport(look.w, look.h), chromedp.Navigate(h.server.URL+p.path), chromedp.WaitReady("main"))
			if look.w < 400 && strings.HasPrefix(p.name, "paper-") {
				continue // drawn for A4
			}
			for _, v := range s.axe(string(axe), look.asking) {
				t.Errorf("%s, %s at %d: %s (%s): %s", p.name, look.theme, look.w, v.ID, v.Impact, v.Where)
			}
			if over := s.overflow(); look.w < 400 && over > 0 {
				t.Errorf("%s is %d px wider than a phone", p.name, over)
			}
		}
	}
}

type violation struct{ ID, Impact, Where string }

// axe runs axe-core over the page that is open.
func (s *seat) axe(source, options string) (out []violation) {
	s.t.Helper()
	look[bool](s, source+";true")
	look[bool](s, fmt.Sprintf(`(window.axed = null, axe.run(document, %s).then((r) => { window.axed = JSON.stringify(r.violations.map((v) => ({ID: v.id, Impact: v.impact, Where: v.nodes.slice(0, 3).map((n) => n.target.join(" ")).join("; ")}))); }, (e) => { window.axed = JSON.stringify([{ID: String(e)}]); }), true)`, options))
	s.wait("axe", "window.axed !== null")
	if err := json.Unmarshal([]byte(look[string](s, "window.axed")), &out); err != nil {
		s.t.Fatal(err)
	}
	return out
}

// overflow is by how many pixels the page is wider than its window.
func (s *seat) overflow() int {
	return look[int](s, "Math.max(0, document.documentElement.scrollWidth - window.innerWidth)")
}
