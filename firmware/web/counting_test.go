package web

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/ledger"
	"campuskeep/shared/login"
)

// from asks for a page as somebody at another address does.
func (h *env) from(address, path, token string) *httptest.ResponseRecorder {
	h.t.Helper()
	r := httptest.NewRequestWithContext(h.t.Context(), http.MethodGet, "https://127.0.0.1"+path, nil)
	r.TLS, r.RemoteAddr = &tls.ConnectionState{}, address
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.Handler().ServeHTTP(w, r)
	return w
}

// Covers F11: an address that asks for much that does not exist is entered once, and urgently; a player that is ahead
// of its footage is no scan.
func TestAScanIsEnteredOnce(t *testing.T) {
	asked := map[string]int{}
	h := newEnvWith(t, func(_ *env, d *Deps) {
		d.Answered = func(class string, status int, _ time.Duration) { asked[fmt.Sprint(class, status)]++ }
	})
	ask := func(n int, path string) {
		for i := range n {
			h.from("10.0.0.7:4000", fmt.Sprintf(path, i), "")
			h.clock.pass(time.Second)
		}
	}
	ask(3, "/media/none%d/init/x")
	if h.count("login.storm") != 0 {
		t.Error("footage that is not there is no scan")
	}
	ask(2*login.ScanStorm.Most, "/wp-admin/%d")
	if n := h.count("login.storm"); n != 1 {
		t.Fatalf("%d entries of a scan", n)
	}
	for _, e := range h.newest(int(h.store.Size())) {
		var d struct {
			What  string
			Count int
		}
		if e.Kind != "login.storm" {
			continue
		}
		h.must(json.Unmarshal(e.Data, &d))
		if d.What != "scan" || d.Count != login.ScanStorm.Most || e.From == nil || e.From.Address != "10.0.0.7" || !ledger.Kinds[e.Kind].Urgent {
			t.Errorf("%+v %+v", e, d)
		}
	}
	if asked["page404"] != 2*login.ScanStorm.Most {
		t.Errorf("counted: %v", asked)
	}
}

// Covers F11: figures and details are for this machine, or for who has the token; others hear only that it answers.
func TestFiguresAreForThisMachineOrAToken(t *testing.T) {
	sick := false
	h := newEnvWith(t, func(_ *env, d *Deps) {
		d.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "campuskeep_log_entries 7") })
		d.MetricsToken = "a token of many characters"
		d.Alive = func() error {
			if sick {
				return fmt.Errorf("the ledger cannot be read")
			}
			return nil
		}
	})
	for _, tc := range []struct {
		address, token, path, want, not string
		status                          int
	}{
		{"127.0.0.1:1", "", "/metrics", "log_entries", "", 200},
		{"10.0.0.7:1", "", "/metrics", "", "log_entries", 404},
		{"10.0.0.7:1", "another token", "/metrics", "", "log_entries", 404},
		{"10.0.0.7:1", "a token of many characters", "/metrics", "log_entries", "", 200},
		{"127.0.0.1:1", "", "/healthz", "trusted", "", 200},
		{"10.0.0.7:1", "", "/healthz", `"status":"ok"`, "trusted", 200},
		{"10.0.0.7:1", "a token of many characters", "/healthz", "trusted", "", 200},
	} {
		for _, s := range []bool{false, true} {
			sick = s
			w := h.from(tc.address, tc.path, tc.token)
			if sick && tc.path == "/healthz" {
				if w.Code != 503 || strings.Contains(w.Body.String(), `"ok"`) || strings.Contains(w.Body.String(), "ledger") && tc.not != "" {
					t.Errorf("%+v: sick: %d %s", tc, w.Code, w.Body)
				}
				continue
			}
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.want) || tc.not != "" && strings.Contains(w.Body.String(), tc.not) {
				t.Errorf("%+v: %d %s", tc, w.Code, w.Body)
			}
		}
	}
}

// Covers F11: the published list of open ports is on a page.
func TestThePublishedPortsAreOnAPage(t *testing.T) {
	h := newEnvWith(t, func(_ *env, d *Deps) { d.Info.Ports = []frame.Port{{Number: 8443, Protocol: "tcp", Use: "office"}} })
	if page := h.visit().get("/trust"); !strings.Contains(page.Body, "8443/tcp") || !strings.Contains(page.Body, "办公网页") {
		t.Errorf("%d\n%s", page.status, page.text())
	}
}
