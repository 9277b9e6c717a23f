package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const cookieName = "__Host-ck"

// startBrowser starts Chromium. It takes the appliance's certificate unseen: the way to trust it has a test of
// its own. With trusted, the hash of a public key, it trusts that one: only then a browser keeps what it has fetched and
// compiled.
func startBrowser(t testing.TB, trusted string) context.Context {
	trust := chromedp.ExecAllocatorOption(chromedp.IgnoreCertErrors)
	if trusted != "" {
		trust = chromedp.Flag("ignore-certificate-errors-spki-list", trusted)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, trust,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("autoplay-policy", "user-gesture-required"),
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1366, 768))
	alloc, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, end := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		last, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := chromedp.Cancel(last); err != nil {
			t.Error(err)
		}
		end()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return ctx
}

// tab is a browser window of one person, with cookies of its own.
type tab struct {
	t   testing.TB
	h   *env
	ctx context.Context

	lang string // chosen by a test
	wide bool   // of the pages' tests

	mu      sync.Mutex
	said    []string                              // guarded by mu; errors of the console
	allowed []string                              // guarded by mu; parts of messages that this test provokes
	onSend  func(*network.EventRequestWillBeSent) // guarded by mu
}

// tab opens a window; who is logged in, nobody when empty.
func (h *env) tab(t testing.TB, who string) *tab {
	t.Helper()
	b := &tab{t: t, h: h}
	ctx, end := chromedp.NewContext(h.browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.listen))
	b.ctx = ctx
	t.Cleanup(func() {
		for _, s := range b.complaints() {
			t.Errorf("the browser complains: %s", s)
		}
		end()
	})
	if err := chromedp.Do(ctx); err != nil { // the window lives as long as the context of its first step
		t.Fatalf("open a window: %v", err)
	}
	b.do("size a window", chromedp.EmulateViewport(1366, 768), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.Enable, network.EnableParams{})
		return err
	}))
	if who != "" {
		b.wear(h.token(t, who))
	}
	return b
}

// wear gives the window a session.
func (b *tab) wear(token string) {
	b.t.Helper()
	yes := true
	b.do("take a session", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.SetCookie, network.SetCookieParams{Name: cookieName, Value: token, URL: b.h.url, Path: "/", Secure: &yes, HTTPOnly: &yes})
		return err
	}))
}

func (b *tab) listen(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		b.said = append(b.said, "exception: "+e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			b.said = append(b.said, fmt.Sprintf("console.%s: %v", e.Type, args(e.Args)))
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			b.said = append(b.said, fmt.Sprintf("%s %s: %s (%s)", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		if b.onSend != nil {
			b.onSend(e)
		}
	}
}

func args(list []*runtime.RemoteObject) (out []string) {
	for _, a := range list {
		out = append(out, string(a.Value)+a.Description)
	}
	return out
}

// allow names a message that what is done next provokes, e.g. "status of 403".
func (b *tab) allow(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.allowed = append(b.allowed, part)
}

func (b *tab) complaints() (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.said {
		known := false
		for _, a := range b.allowed {
			known = known || strings.Contains(s, a)
		}
		if !known {
			out = append(out, s)
		}
	}
	b.said = nil
	return out
}

func (b *tab) sending(f func(*network.EventRequestWillBeSent)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.onSend = f
}

func (b *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	defer timed(b.t, what, time.Now())
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v\nat %s:\n%s", what, err, b.where(), b.text())
	}
}

// open goes to an address as if it had been typed.
func (b *tab) open(path string) {
	b.t.Helper()
	b.do("open "+path, chromedp.Navigate(b.h.url+path))
}

// where is the address that the window shows, without the host.
func (b *tab) where() string {
	s, _ := js[string](b, "location.pathname+location.search+location.hash")
	return s
}

// text is what the page says, as it is seen.
func (b *tab) text() string {
	s, _ := js[string](b, "document.body ? document.body.innerText : ''")
	return s
}

// says fails when the page does not say something.
func (b *tab) says(want ...string) {
	b.t.Helper()
	text := b.text()
	for _, w := range want {
		if !strings.Contains(text, w) {
			b.t.Fatalf("%s does not say %q:\n%s", b.where(), w, text)
		}
	}
}

func js[T any](b *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression))
}

// eval is js for what must succeed.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := js[T](b, expression)
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// wait polls an expression of the page until it is true; a page that is being exchanged is not there yet.
func (b *tab) wait(what, expression string) {
	b.t.Helper()
	defer timed(b.t, what, time.Now())
	end := time.After(patience)
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := js[bool](b, "!!("+expression+")"); err == nil && ok {
			return
		}
		select {
		case <-end:
			b.t.Fatalf("waiting for %s: %s stays false\nat %s:\n%s", what, expression, b.where(), b.text())
		case <-tick.C:
		}
	}
}

// click presses the mouse in the middle of an element.
func (b *tab) click(css string) { b.t.Helper(); b.clickAt(css, 0.5, 0.5) }

// clickAt presses the mouse at a part of an element's box, in an element that is really there to be hit.
func (b *tab) clickAt(css string, x, y float64) {
	b.t.Helper()
	box := eval[struct {
		X, Y, W, H float64
		Hit        string
	}](b, fmt.Sprintf(`(() => { const e = document.querySelector(%q); if (!e) return {Hit: 'not there'};
		e.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'}); const r = e.getBoundingClientRect();
		const px = r.left + r.width*%f, py = r.top + r.height*%f, at = document.elementFromPoint(px, py);
		return {X: px, Y: py, W: r.width, H: r.height, Hit: !at ? 'outside the window' : e.contains(at) || at.contains(e) ? '' : 'covered by '+at.outerHTML.slice(0, 120)}; })()`, css, x, y))
	if box.Hit != "" || box.W == 0 || box.H == 0 {
		b.t.Fatalf("%s cannot be clicked: %s (%gx%g)\nat %s:\n%s", css, box.Hit, box.W, box.H, b.where(), b.text())
	}
	b.do("click "+css, chromedp.MouseClickXY(box.X, box.Y))
}

// follow clicks what leads to another page and waits until that is there.
func (b *tab) follow(css string) { b.t.Helper(); b.leave(func() { b.click(css) }) }

func (b *tab) leave(act func()) {
	b.t.Helper()
	eval[bool](b, "window.isOld = true")
	act()
	b.wait("the next page", "!window.isOld && document.readyState === 'complete' && document.querySelector('main')")
}

// unfold opens the step that asks once before an act: until then its button cannot be pressed.
func (b *tab) unfold(button string) {
	b.t.Helper()
	if eval[bool](b, fmt.Sprintf("document.querySelector(%q).checkVisibility()", button)) {
		b.t.Fatalf("%s can be pressed without being asked", button)
	}
	b.click("details:has(" + button + ") > summary")
	b.wait("the step that asks", fmt.Sprintf("document.querySelector(%q).checkVisibility()", button))
}

// fill types into a field, in place of what it holds.
func (b *tab) fill(css, text string) {
	b.t.Helper()
	b.click(css)
	b.do("fill "+css, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.querySelector(%q).select && document.querySelector(%q).select()", css, css))(ctx, t)
		return err
	}), chromedp.KeyEvent(text))
}

// set puts a value where a browser shows a picker of its own (dates, choices), and tells the page as the picker would.
func (b *tab) set(css, value string) {
	b.t.Helper()
	got := eval[string](b, fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.focus(); e.value = %q;
		e.dispatchEvent(new Event('input', {bubbles: true})); e.dispatchEvent(new Event('change', {bubbles: true})); return e.value; })()`, css, value))
	if got != value {
		b.t.Fatalf("%s holds %q, want %q", css, got, value)
	}
}

// look gives the window a size and a theme.
func (b *tab) look(w, h int64, theme string) {
	b.t.Helper()
	size := chromedp.EmulateViewport(w, h)
	if w < 500 {
		size = chromedp.EmulateViewport(w, h, chromedp.EmulateMobile)
	}
	b.do("resize", size, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}})
		return err
	}))
}

// visitor is somebody who asks without a browser.
type visitor struct {
	h      *env
	client *http.Client
	token  string
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// visitor asks with a session; nobody's when the token is empty.
func (h *env) visitor(token string) *visitor {
	return &visitor{h: h, token: token, client: &http.Client{Timeout: patience,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (v *visitor) fetch(method, path string, form url.Values) (answer, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, v.h.url+path, body)
	if err != nil {
		return answer{}, err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if v.token != "" {
		r.AddCookie(&http.Cookie{Name: cookieName, Value: v.token})
	}
	resp, err := v.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	b, err := io.ReadAll(resp.Body)
	if e := resp.Body.Close(); err == nil {
		err = e
	}
	return answer{resp.StatusCode, resp.Header, b}, err
}

// ask is fetch for what must be answered.
func (v *visitor) ask(t testing.TB, method, path string, form url.Values) answer {
	t.Helper()
	a, err := v.fetch(method, path, form)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// states gives the purpose of a viewing, unless one that was stated lately still counts.
func (b *tab) states(purpose string) {
	b.t.Helper()
	if eval[bool](b, "!!document.querySelector('#w-purpose')") {
		b.fill("#w-purpose", purpose)
	}
}
