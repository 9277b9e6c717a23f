package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"campuskeep/scripts/sim/school"
)

// logIn is the way in and out: a wrong password, the right one with its one-time code, the page one wanted to
// see, the end; and anyone who guesses on is locked out. Covers F11, F12.
func (h *env) logIn(t *testing.T) {
	b := h.tab(t, "")
	from := h.box.Store.Size()
	b.open("/footage?camera=c01")
	if got := b.where(); got != "/login?next=%2Ffootage%3Fcamera%3Dc01" {
		t.Fatalf("without a session one is led to %s", got)
	}
	b.allow("status of 401")
	b.enter("meng", "not the password")
	b.says("登录名或密码不对")
	if eval[bool](b, "document.activeElement.closest('form') === null && !document.querySelector('[role=alert]')") {
		t.Error("nothing tells a screen reader of the refusal")
	}
	refused := h.entry(t, from, "login.refused")
	if refused.From == nil || refused.From.Address != "127.0.0.1" {
		t.Errorf("the entry of the refusal does not say from where: %+v", refused)
	}
	b.enter("meng", school.Password)
	b.says("请输入动态口令")
	meng := h.account(t, "meng")
	b.fill("#f-code", meng.Code(time.Now()))
	b.follow("form[action='/login'] button")
	if got := b.where(); got != "/footage?camera=c01" {
		t.Fatalf("after logging in one stands at %s", got)
	}
	ok := h.entry(t, from, "login.ok")
	if ok.Actor.ID != meng.ID {
		t.Errorf("the entry of the log-in names %s, want %s", ok.Actor.ID, meng.ID)
	}
	c := b.cookie(cookieName)
	if c == nil || !c.Secure || !c.HTTPOnly || c.Path != "/" || !c.Session || c.SameSite != "Lax" && c.SameSite != "Strict" || c.Domain != "127.0.0.1" {
		t.Errorf("the cookie of the session is %+v", c)
	}
	if seen := eval[string](b, "document.cookie"); seen != "" {
		t.Errorf("scripts can read cookies: %q", seen)
	}
	b.follow(".who form[action='/logout'] button")
	if got := b.where(); got != "/login" || b.cookie(cookieName) != nil {
		t.Errorf("after logging out one stands at %s with cookie %v", got, b.cookie(cookieName))
	}
	h.entry(t, from, "logout")
	if a := h.visitor(c.Value).ask(t, "GET", "/footage", nil); a.status != http.StatusSeeOther {
		t.Errorf("the old cookie still gets %d", a.status)
	}
	b.open("/footage")
	if got := b.where(); got != "/login?next=%2Ffootage" {
		t.Errorf("after logging out the page is at %s", got)
	}
	h.lockOut(t)
	h.trustPath(t)
}

// lockOut: a name that is guessed at is locked, and the right password does not open it then.
func (h *env) lockOut(t *testing.T) {
	from := h.box.Store.Size()
	b := h.tab(t, "")
	b.allow("status of 401")
	b.allow("status of 429")
	b.open("/login")
	for range 5 {
		b.enter("gu", "guessed")
	}
	b.enter("gu", school.Password)
	b.says("尝试次数过多")
	h.entry(t, from, "login.locked")
	if n := len(h.entries(t, from, "login.ok")); n != 0 {
		t.Error("a locked name got in")
	}
}

// trustPath: with the root that the page offers for download, and nothing else, the connection is trusted.
func (h *env) trustPath(t *testing.T) {
	root := h.visitor("").ask(t, "GET", "/trust/root.crt", nil)
	c, err := x509.ParseCertificate(root.body)
	if err != nil {
		t.Fatalf("the root that is offered: %v", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(c)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	resp, err := client.Get(h.url + "/healthz")
	if err != nil {
		t.Fatalf("with the root installed: %v", err)
	}
	var health map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&health); err != nil {
		t.Errorf("/healthz: %v", err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
}

// enter types name and password and sends them.
func (b *tab) enter(name, password string) {
	b.t.Helper()
	b.fill("#f-user", name)
	b.fill("#f-password", password)
	b.follow("form[action='/login'] button")
}

func (b *tab) cookie(name string) (found *network.Cookie) {
	b.t.Helper()
	b.do("read the cookies", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		r, err := cdp.Call(ctx, t, network.GetCookies, network.GetCookiesParams{URLs: []string{b.h.url + "/"}})
		for _, c := range r.Cookies {
			if c.Name == name {
				found = c
			}
		}
		return err
	}))
	return found
}
