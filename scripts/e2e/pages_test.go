package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"campuskeep/shared/usage"
)

// administrator: who runs the box sees no record, on no page and by no request. Covers F12.
func (h *env) administrator(t *testing.T) {
	admin := h.visitor(h.token(t, "admin"))
	someone := h.filled.Cards[0]
	at := h.quiet(0)
	for _, path := range []string{"/log", "/log/3", "/log/3/proof", "/applications", "/applications/" + h.box.Usage.List()[0].ID, "/gate",
		"/gate/class/" + someone.Class, "/live", "/api/v1/log", "/api/v1/log/3", "/api/v1/applications", "/api/v1/gate"} {
		if a := admin.ask(t, "GET", path, nil); a.status != 403 {
			t.Errorf("%s answers the administrator %d", path, a.status)
		}
	}
	if a := admin.ask(t, "POST", "/footage/view", url.Values{"camera": {"c01"}, "day": {at.Format(time.DateOnly)}, "from": {at.Format("15:04")}, "to": {at.Add(time.Minute).Format("15:04")},
		"purpose": {"检查设备"}}); a.status != 403 || isVideo(a) {
		t.Errorf("a viewing is answered %d", a.status)
	}
	names := h.pupils()
	b := h.tab(t, "admin")
	for _, path := range b.ways("/") {
		b.open(path)
		if found := names.in([]byte(b.text())); found != "" {
			t.Errorf("%s shows the administrator a pupil's name", path)
		}
	}
}

// ways are the addresses that the navigation offers.
func (b *tab) ways(path string) []string {
	b.t.Helper()
	b.open(path)
	return eval[[]string](b, "[...new Set([...document.querySelectorAll('nav.nav a')].map(a => a.getAttribute('href')))]")
}

// classes are the addresses of the classes that the gate's page offers.
func (b *tab) classes() []string {
	b.t.Helper()
	b.open("/gate")
	return eval[[]string](b, "[...document.querySelectorAll('a.cls')].map(a => a.getAttribute('href'))")
}

// pages opens every page in both languages, wide and on a phone: nothing that the navigation offers is refused, the
// browser has nothing to complain about, no text is missing, nothing needs scrolling sideways, and every control
// has a name.
func (h *env) pages(t *testing.T) {
	for _, who := range []string{"admin", "zhou", "zheng", "leader", "he", "liang", "jian", "cheng", "xin", "qi", "luo", "ding"} {
		v := h.visitor(h.token(t, who))
		ways := offered.FindAllSubmatch(v.ask(t, "GET", "/", nil).body, -1)
		if len(ways) < 2 {
			t.Errorf("%s is offered %q", who, ways)
		}
		for _, way := range ways {
			if a := v.ask(t, "GET", string(way[1]), nil); a.status != 200 {
				t.Errorf("%s is offered %s, which answers %d", who, way[1], a.status)
			}
		}
	}
	if *shots != "" {
		if err := os.MkdirAll(*shots, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tabs := map[string]*tab{}
	for _, lang := range []string{"zh-CN", "en"} {
		for _, p := range h.all(t) {
			b := tabs[p.who]
			if b == nil {
				b = h.tab(t, p.who)
				b.look(1366, 768, "light")
				b.wide = true
				tabs[p.who] = b
			}
			if b.lang != lang {
				b.speak(lang)
			}
			h.page(t, b, p.name, lang, p.path)
		}
	}
	b := h.tab(t, "zheng")
	b.open("/footage?camera=c01")
	b.follow("footer button[name='lang']")
	if got := eval[string](b, "document.documentElement.lang"); got != "en" || b.where() != "/footage?camera=c01" {
		t.Errorf("the button for English leads to %s in %s", b.where(), got)
	}
}

// offered is an entry of the navigation.
var offered = regexp.MustCompile(`<li><a href="([^"]+)"`)

// speak chooses the language.
func (b *tab) speak(lang string) {
	b.t.Helper()
	b.lang = lang
	b.do("choose a language", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.SetCookie, network.SetCookieParams{Name: "lang", Value: lang, URL: b.h.url, Path: "/"})
		return err
	}))
}

func (h *env) page(t *testing.T, b *tab, name, lang, path string) {
	b.open(path)
	if strings.HasPrefix(path, "/view/") {
		b.plays()
	}
	// The window keeps its size from page to page, so that half of them are loaded on a phone.
	b.wide = b.faults(name, lang, b.wide)
	b.look(sizes[!b.wide].w, sizes[!b.wide].h, "light")
	b.wide = b.faults(name, lang, !b.wide)
	if *shots != "" && lang == "zh-CN" {
		for wide, size := range sizes {
			for _, theme := range []string{"dark", "light"} {
				b.look(size.w, size.h, theme)
				b.picture(filepath.Join(*shots, strings.Join([]string{name, size.name, theme}, "-")+".png"))
			}
			b.wide = wide
		}
	}
	for _, s := range b.complaints() {
		t.Errorf("%s in %s: the browser complains: %s", name, lang, s)
	}
}

// sizes of a window, by whether it is wide.
var sizes = map[bool]struct {
	name string
	w, h int64
}{true: {"wide", 1366, 768}, false: {"phone", 390, 844}}

// faults looks at a page in a window of a size and says what is wrong with it.
func (b *tab) faults(name, lang string, wide bool) bool {
	b.t.Helper()
	found := eval[struct {
		Lang, Missing      string
		Nameless, Sideways []string
	}](b, faults)
	if found.Lang != lang {
		b.t.Errorf("%s is in %s, want %s", name, found.Lang, lang)
	}
	if found.Missing != "" {
		b.t.Errorf("%s in %s: a text is missing: …%s…", name, lang, found.Missing)
	}
	if len(found.Nameless) > 0 {
		b.t.Errorf("%s in %s has controls without a name: %s", name, lang, strings.Join(found.Nameless, "\n  "))
	}
	if len(found.Sideways) > 0 {
		b.t.Errorf("%s in %s, %s: needs scrolling sideways: %s", name, lang, sizes[wide].name, strings.Join(found.Sideways, "\n  "))
	}
	return wide
}

func (b *tab) picture(file string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// faults gives the language, a text that is missing, what can be operated and has neither text nor a label, and what
// overflows the window when the page as a whole does; the frames that scroll by themselves are excepted.
const faults = `(() => {
	const html = document.documentElement.outerHTML, bad = html.match(/.{0,60}(⟦|<no value>|&lt;no value|%!|ZgotmplZ|\bNaN\b|\bundefined\b).{0,60}/);
	const d = document.scrollingElement, all = s => [...document.querySelectorAll(s)];
	const nameless = all('main a, main button, main input:not([type=hidden]), main select, main textarea, header a, header button, footer a, footer button')
		.filter(e => e.getClientRects().length && !(e.textContent.trim() || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.title || (e.labels && e.labels.length)))
		.map(e => e.outerHTML.slice(0, 160));
	const out = d.scrollWidth <= d.clientWidth ? [] : ['the page is ' + d.scrollWidth + ' wide in ' + d.clientWidth, ...all('body *')
		.filter(e => e.getBoundingClientRect().right > d.clientWidth + 1 && !e.closest('.rib-wrap, .scroll-x, .strip, svg'))
		.map(e => e.tagName + '.' + e.className + ' ' + Math.round(e.getBoundingClientRect().right)).slice(0, 6)];
	return {Lang: document.documentElement.lang, Missing: bad ? bad[0] : '', Nameless: nameless, Sideways: out};
})()`

type pageOf struct{ name, who, path string }

// all lists the addresses of all pages, with what the school has in them.
func (h *env) all(t *testing.T) []pageOf {
	at := h.quiet(0)
	day := at.Format(time.DateOnly)
	form := url.Values{"camera": {"c01"}, "day": {day}, "from": {at.Format("15:04")}, "to": {at.Add(30 * time.Minute).Format("15:04")}, "purpose": {"核实车辆剐蹭"}}
	opened := h.visitor(h.token(t, "zheng")).ask(t, "POST", "/footage/view", form)
	if opened.status != 303 {
		t.Fatalf("opening a viewing: %d", opened.status)
	}
	access := h.entries(t, 0, "footage.access.open")
	out := []pageOf{
		{"login", "", "/login"}, {"rules", "", "/rules"}, {"trust", "", "/trust"},
		{"today", "zheng", "/"}, {"today-staff", "he", "/"}, {"today-admin", "admin", "/"},
		{"footage", "zheng", "/footage"}, {"footage-day", "zheng", fmt.Sprintf("/footage?camera=c01&day=%s&t=%s", day, at.Format("15:04"))},
		{"footage-locked", "ding", fmt.Sprintf("/footage?camera=c02&day=%s&t=%s", day, at.Format("15:04"))},
		{"view", "zheng", opened.header.Get("Location")},
		{"applications", "zheng", "/applications"}, {"applications-mine", "he", "/applications/mine"}, {"applications-none", "ding", "/applications/mine"},
		{"application-new", "he", fmt.Sprintf("/applications/new?place=%s&from=%sT%s&to=%sT%s", url.QueryEscape("操场"), day, at.Format("15:04"), day, at.Add(20*time.Minute).Format("15:04"))},
		{"gate", "zheng", "/gate"}, {"gate-teacher", "luo", "/gate"}, {"roll", "zheng", "/gate/class/" + h.filled.Cards[7].Class},
		{"roll-teacher", "luo", h.tab(t, "luo").classes()[0]},
		{"log", "zheng", "/log"}, {"log-refused", "zheng", "/log?group=refused"}, {"log-none", "zheng", "/log?q=nobody"},
		{"entry", "zheng", fmt.Sprintf("/log/%d", access[len(access)-1].Seq)},
		{"cameras", "admin", "/cameras"}, {"camera", "admin", "/cameras/c01"}, {"camera-new", "admin", "/cameras/new"},
		{"people", "admin", "/people"}, {"person", "admin", "/people/" + h.account(t, "he").ID}, {"person-new", "admin", "/people/new"},
		{"settings", "admin", "/settings"}, {"clock", "zheng", "/clock"}, {"account", "zheng", "/account"},
	}
	seen := map[string]bool{}
	for _, a := range h.box.Usage.List() {
		name, path := "application-"+string(a.State), "/applications/"+a.ID
		if seen[name] {
			continue
		}
		seen[name] = true
		out = append(out, pageOf{name, "leader", path}, pageOf{name + "-form", "leader", path + "/form"})
		switch {
		case a.Decision == nil:
		case a.Decision.Approved:
			out = append(out, pageOf{name + "-notice", "leader", path + "/notice"})
		case a.State == usage.Rejected:
			out = append(out, pageOf{name + "-rejection", "leader", path + "/rejection"})
		}
	}
	return out
}
