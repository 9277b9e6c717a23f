package console

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

var shots = flag.String("shots", "", "folder for pictures of every page: go test ./cloud/console -run Browser -shots /tmp/shots")

// chromium starts one with a profile of its own; it trusts the test's certificate.
func chromium(t *testing.T) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("short")
	}
	found := false
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if _, err := exec.LookPath(name); err == nil {
			found = true
			break
		}
	}
	if !found {
		t.Skip("no Chromium here; scripts/test installs it")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.IgnoreCertErrors,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(t.TempDir()))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		last, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if err := chromedp.Cancel(last); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		end()
		stop()
	})
	return ctx
}

func (s *site) token(b *http.Client) string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return ""
	}
	for _, c := range b.Jar.Cookies(u) {
		if c.Name == cookieName {
			return c.Value
		}
	}
	return ""
}

// Every page passes axe-core's rules of WCAG 2.1 A and AA and its best practice, wide and on a phone, light and dark (with
// -shots in each pair); on a phone none is wider than the screen.
func TestPagesInABrowser(t *testing.T) {
	ctx := chromium(t)
	axe, err := os.ReadFile("../../shared/lib/ui/web/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skipf("axe-core is not installed (npm ci does): %v", err)
	}
	s, empty := newSite(t), newEmptySite(t)
	staff, admin, fresh := s.browser(t), s.browser(t), empty.browser(t)
	s.login(t, staff, "staff", "c001", password)
	s.login(t, admin, "admin", "c002", password)
	code, err := SetUpCode(t.Context(), empty.store, noon)
	if err != nil {
		t.Fatal(err)
	}
	s.c.d.Certificates = func() []Certificate {
		return []Certificate{{Name: "server", Until: noon.AddDate(0, 0, 60), Renewed: true}, {Name: "broker", Until: noon.AddDate(0, 0, 20), Soon: true}}
	}
	pages := []struct {
		name, path string
		s          *site
		who        *http.Client
		do         string // fills and sends a form of the page
	}{
		{name: "login", path: "/login", s: s}, {name: "setup", path: "/setup", s: empty},
		{name: "overview", path: "/", s: s, who: staff}, {name: "school", path: "/schools/ck-0417", s: s, who: staff}, {name: "log", path: "/schools/ck-0417/log", s: s, who: staff},
		{name: "applications", path: "/applications", s: s, who: staff}, {name: "application", path: "/schools/ck-0417/applications/a2026-0001", s: s, who: staff},
		{name: "report", path: "/report", s: s, who: staff}, {name: "alarms", path: "/alarms", s: s, who: staff}, {name: "account", path: "/account", s: s, who: staff},
		{name: "admin", path: "/", s: s, who: admin}, {name: "enrol", path: "/enrol", s: s, who: admin}, {name: "audit", path: "/audit", s: s, who: admin}, {name: "fault", path: "/schools/none", s: s, who: staff},
		{name: "enrol-token", path: "/enrol", s: s, who: admin, do: `document.querySelector("#f-id").value = "ck-0418"; document.querySelector("#f-school").value = "北岸小学"; document.querySelector("main form").submit()`},
		{name: "factor", path: "/account", s: empty, who: fresh, do: `document.querySelector("#f-factor-old").value = "` + password + `"; document.querySelector("form[action='/account/factor']").submit()`},
	}
	if got, _ := empty.post(t, fresh, "/setup", url.Values{"code": {code}, "login": {"chang"}, "name": {"常远舟"}, "password": {password}, "again": {password}}); got != http.StatusSeeOther {
		t.Fatalf("set-up: %d", got)
	}
	pages[1].s = newEmptySite(t)
	for _, p := range pages {
		for _, size := range []struct {
			name string
			w, h int64
		}{{"wide", 1366, 768}, {"phone", 390, 844}} {
			for _, theme := range []string{"light", "dark"} {
				if *shots == "" && (size.w < 500) != (theme == "dark") {
					continue // wide and light, phone and dark: each size and each theme once
				}
				p.s.at += time.Minute // the limit of an address is not the subject
				name := strings.Join([]string{p.name, size.name, theme}, "-")
				if p.who != nil { // its log-in is in use
					r, err := p.who.Get(p.s.URL + "/account")
					if err == nil {
						err = r.Body.Close()
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				wear := chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
					if _, err := cdp.Call(ctx, tab, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
						return err
					}
					if _, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}); err != nil {
						return err
					}
					if p.who == nil {
						return nil
					}
					yes := true
					_, err := cdp.Call(ctx, tab, network.SetCookie, network.SetCookieParams{Name: cookieName, Value: p.s.token(p.who), URL: p.s.URL, Path: "/", Secure: &yes, HTTPOnly: &yes})
					return err
				})
				view := chromedp.EmulateViewport(size.w, size.h)
				if size.w < 500 {
					view = chromedp.EmulateViewport(size.w, size.h, chromedp.EmulateMobile)
				}
				if err := chromedp.Do(ctx, wear, view, chromedp.Navigate(p.s.URL+p.path), chromedp.WaitReady("main")); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if p.do != "" {
					send(t, ctx, p.do)
				}
				for _, v := range violations(t, ctx, string(axe)) {
					t.Errorf("%s: %s", name, v)
				}
				over, err := chromedp.Run(ctx, chromedp.Evaluate[int]("Math.max(0, document.documentElement.scrollWidth - window.innerWidth)"))
				if err != nil || size.w < 500 && over > 0 {
					t.Errorf("%s is %d px wider than the screen, %v", name, over, err)
				}
				if *shots == "" {
					continue
				}
				png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err == nil {
					err = os.WriteFile(filepath.Join(*shots, name+".png"), png, 0o644)
				}
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
	}
}

// send fills and sends the form of a page, and waits for what its answer shows; the page is exchanged meanwhile.
func send(t *testing.T, ctx context.Context, do string) {
	t.Helper()
	look := `(() => { if (document.querySelector(".note.ok, svg.qr")) return true; if (!window.sent && document.querySelector("main form")) { window.sent = true; ` + do + ` } return false })()`
	end := time.After(time.Minute)
	for {
		if there, err := chromedp.Run(ctx, chromedp.Evaluate[bool](look)); err == nil && there {
			return
		}
		select {
		case <-end:
			text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href + ' ' + document.body.innerText"))
			t.Fatalf("the form is not answered: %s, %v", text, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// violations runs axe-core over the page that is open.
func violations(t *testing.T, ctx context.Context, axe string) (out []string) {
	t.Helper()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](axe+`;window.axed = null, axe.run(document).then((r) => { window.axed = JSON.stringify(r.violations.map((v) => v.id + " (" + v.impact + "): " + v.nodes.slice(0, 3).map((n) => n.target.join(" ")).join("; "))); }, (e) => { window.axed = JSON.stringify([String(e)]); }), true`)); err != nil {
		t.Fatal(err)
	}
	text, err := chromedp.Run(ctx, chromedp.Poll[string]("window.axed", chromedp.WithPollingTimeout(20*time.Second)))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(fmt.Errorf("what axe-core says: %w", err))
	}
	return out
}
