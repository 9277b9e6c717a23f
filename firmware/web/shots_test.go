package web

import (
	"context"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"campuskeep/firmware/web/frame"
)

var shots = flag.String("shots", "", "folder for pictures of every page: go test ./firmware/web -run Shots -shots /tmp/shots")

var only = flag.String("only", "", "with -shots: only pages whose name matches this expression")

// Pictures of every page, wide and on a phone, light and dark, for a person to look at beside shared/ui-mock.
func TestShots(t *testing.T) {
	if *shots == "" {
		t.Skip("no -shots folder")
	}
	h := newEnv(t)
	ids := h.scene()
	if err := os.MkdirAll(*shots, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx := browser(t)
	tokens := map[string]string{}
	for _, p := range h.all(ids) {
		if !regexp.MustCompile(*only).MatchString(p.name) {
			continue
		}
		if p.who != "" && tokens[p.who] == "" {
			tokens[p.who] = h.as(p.who).token()
		}
		for _, size := range []struct {
			name string
			w, h int64
		}{{"wide", 1366, 768}, {"phone", 390, 844}} {
			for _, theme := range []string{"light", "dark"} {
				err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
					return h.wear(ctx, tab, tokens[p.who], theme)
				}), viewport(size.w, size.h), chromedp.Navigate(h.server.URL+p.path), chromedp.WaitReady("main"))
				if err != nil {
					t.Fatalf("%s %s %s: %v", p.name, size.name, theme, err)
				}
				png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatalf("%s %s %s: %v", p.name, size.name, theme, err)
				}
				if err := os.WriteFile(filepath.Join(*shots, strings.Join([]string{p.name, size.name, theme}, "-")+".png"), png, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// browser opens a window with cookies of its own in the one Chromium of all tests; it trusts the test's certificate.
func browser(t *testing.T) context.Context {
	t.Helper()
	chromium, err := startChromium()
	if err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	ctx, end := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	t.Cleanup(end)
	return ctx
}

// wear gives the tab somebody's session and a theme.
func (h *env) wear(ctx context.Context, tab *chromedp.Target, token, theme string) error {
	if _, err := cdp.Call(ctx, tab, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
		return err
	}
	if _, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}); err != nil {
		return err
	}
	if token == "" {
		return nil
	}
	yes := true
	_, err := cdp.Call(ctx, tab, network.SetCookie, network.SetCookieParams{Name: frame.CookieName, Value: token, URL: h.server.URL, Path: "/", Secure: &yes, HTTPOnly: &yes})
	return err
}

func viewport(w, h int64) chromedp.Action[chromedp.Void] {
	if w < 500 {
		return chromedp.EmulateViewport(w, h, chromedp.EmulateMobile)
	}
	return chromedp.EmulateViewport(w, h)
}

// token is the session of the browser.
func (v *visitor) token() string {
	u := v.h.server.URL
	for _, c := range v.http.Jar.Cookies(mustURL(u)) {
		if c.Name == frame.CookieName {
			return c.Value
		}
	}
	v.h.t.Fatal("nobody is logged in")
	return ""
}

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

func writeShot(name string, png []byte) error {
	return os.WriteFile(filepath.Join(*shots, name+".png"), png, 0o644)
}
