package web

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	weblib "campuskeep/shared/lib/web"
)

// Every answer carries the headers that keep pages and footage to themselves. Covers F10, F11.
func TestHeadersOfEveryAnswer(t *testing.T) {
	h := newEnv(t)
	v := h.as("zheng")
	for _, path := range []string{"/", "/footage", "/log", "/nothing", "/api/v1/status", "/login"} {
		r := v.get(path)
		for name, want := range map[string]string{"Content-Security-Policy": "default-src 'none'", "Strict-Transport-Security": "max-age", "X-Content-Type-Options": "nosniff",
			"X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cache-Control": "no-store"} {
			if !strings.Contains(r.header.Get(name), want) {
				t.Errorf("%s: %s is %q, want %q", path, name, r.header.Get(name), want)
			}
		}
		if csp := r.header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: %s", path, csp)
		}
	}
	r := v.get(h.Assets.URL("campuskeep.js"), "Accept-Encoding", "gzip")
	if r.status != http.StatusOK || !strings.Contains(r.header.Get("Cache-Control"), "immutable") || r.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("a browser file: %d %v", r.status, r.header)
	}
}

// The session cookie goes over TLS to this host alone, and no script reads it.
func TestTheSessionCookie(t *testing.T) {
	h := newEnv(t)
	v := h.visit()
	h.as("fan")
	r := v.post("/login", url.Values{"user": {"fan"}, "password": {password}})
	c := r.header.Get("Set-Cookie")
	for _, want := range []string{"__Host-ck=", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(c, want) {
			t.Errorf("%q lacks %s", c, want)
		}
	}
	if strings.Contains(c, "Domain") {
		t.Errorf("%q is for other hosts too", c)
	}
}

// Without TLS there is no page, and no form of another site is taken. Covers F11.
func TestLogInsOfOthersAreRefused(t *testing.T) {
	h := newEnv(t)
	w := newRecorder()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/login", nil)
	h.must(err)
	h.Handler().ServeHTTP(w, r)
	if w.status != http.StatusMisdirectedRequest {
		t.Errorf("without TLS: %d", w.status)
	}
	v := h.as("zheng")
	size := h.store.Size()
	for _, from := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://elsewhere.example"}} {
		if r := v.post("/footage/view", watch("c02", "07:00", "07:20"), from[0], from[1]); r.status != http.StatusForbidden {
			t.Errorf("%s %s: %d", from[0], from[1], r.status)
		}
	}
	if h.store.Size() != size {
		t.Error("a form of another site did something")
	}
}

type recorder struct {
	status int
	header http.Header
}

func newRecorder() *recorder { return &recorder{header: http.Header{}} }

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }

func (r *recorder) WriteHeader(status int) { r.status = status }

// A wrong password, an unknown name and too many attempts are reported without saying whether the name
// exists.
func TestLoggingInSaysNothingAboutNames(t *testing.T) {
	h := newEnv(t)
	h.as("fan")
	v := h.visit()
	known := v.post("/login", url.Values{"user": {"fan"}, "password": {"wrong wrong wrong"}})
	unknown := v.post("/login", url.Values{"user": {"nobody"}, "password": {"wrong wrong wrong"}})
	if known.status != http.StatusUnauthorized || known.status != unknown.status || strings.ReplaceAll(known.text(), "fan", "x") != strings.ReplaceAll(unknown.text(), "nobody", "x") {
		t.Errorf("known %d, unknown %d:\n%s\n%s", known.status, unknown.status, known.text(), unknown.text())
	}
	if strings.Contains(known.Body, "wrong wrong") {
		t.Error("the password stands in the page")
	}
	if r := v.post("/login", nil); r.status != http.StatusUnprocessableEntity {
		t.Errorf("empty: %d", r.status)
	}
	var last answer
	for range 6 {
		h.clock.pass(3 * time.Second)
		last = v.post("/login", url.Values{"user": {"fan"}, "password": {"wrong wrong wrong"}})
	}
	if last.status != http.StatusTooManyRequests || !strings.Contains(last.Body, "尝试次数过多") || last.header.Get("Retry-After") == "" {
		t.Errorf("after many attempts: %d\n%s", last.status, last.text())
	}
	if r := v.post("/login", url.Values{"user": {"fan"}, "password": {password}}); r.status != http.StatusTooManyRequests {
		t.Errorf("the right password while locked: %d", r.status)
	}
	if h.count("login.refused") == 0 || h.count("login.locked") == 0 {
		t.Error("the log does not tell of it")
	}
}

// The second step asks for the code alone: the password never goes back into a page.
func TestTheSecondFactor(t *testing.T) {
	h := newEnv(t)
	h.as("zheng")
	v := h.visit()
	r := v.post("/login", url.Values{"user": {"zheng"}, "password": {password}})
	if r.status != http.StatusOK || !strings.Contains(r.Body, `name="code"`) || strings.Contains(r.Body, password) {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	_, after, _ := strings.Cut(r.Body, `name="step" value="`)
	token, _, _ := strings.Cut(after, `"`)
	if r := v.post("/login", url.Values{"step": {token}, "code": {"000000"}}); r.status != http.StatusUnauthorized || !strings.Contains(r.Body, "动态口令不对") {
		t.Errorf("a wrong code: %d\n%s", r.status, r.text())
	}
	if r := v.post("/login", url.Values{"step": {"x" + token[1:]}, "code": {h.code("zheng")}}); r.status != http.StatusUnauthorized {
		t.Errorf("another token: %d", r.status)
	}
	if r := v.post("/login", url.Values{"step": {token}, "code": {h.code("zheng")}}); r.status != http.StatusSeeOther {
		t.Errorf("the right code: %d\n%s", r.status, r.text())
	}
	if r := v.post("/login", url.Values{"step": {token}, "code": {h.code("zheng")}}); r.status != http.StatusUnauthorized {
		t.Errorf("the token again: %d", r.status)
	}
	r = h.visit().post("/login", url.Values{"user": {"zheng"}, "password": {password}})
	_, after, _ = strings.Cut(r.Body, `name="step" value="`)
	token, _, _ = strings.Cut(after, `"`)
	h.clock.pass(4 * time.Minute)
	if r := v.post("/login", url.Values{"step": {token}, "code": {h.code("zheng")}}); r.status != http.StatusUnauthorized || !strings.Contains(r.Body, "登录步骤已过期") {
		t.Errorf("after four minutes: %d", r.status)
	}
}

// After log-in one comes to where one wanted to go, and never elsewhere.
func TestLeadingBackAfterLoggingIn(t *testing.T) {
	h := newEnv(t)
	h.as("fan")
	v := h.visit()
	r := v.get("/footage?camera=c01&day=2026-05-08")
	if want := "/login?next=%2Ffootage%3Fcamera%3Dc01%26day%3D2026-05-08"; r.status != http.StatusSeeOther || r.header.Get("Location") != want {
		t.Fatalf("%d %q", r.status, r.header.Get("Location"))
	}
	for next, want := range map[string]string{"/footage?day=1": "/footage?day=1", "https://elsewhere.example/": "/", "//elsewhere.example/": "/", `/\elsewhere.example`: "/", "javascript:alert(1)": "/", "": "/"} {
		if got := weblib.Local(next); got != want {
			t.Errorf("local(%q) = %q, want %q", next, got, want)
		}
	}
	for path, want := range map[string]int{"/api/v1/status": 401, "/media/x/playlist.m3u8": 401, "/log": 303} {
		if r := v.get(path); r.status != want {
			t.Errorf("%s by nobody: %d, want %d", path, r.status, want)
		}
	}
}

// A form longer than a form is not read.
func TestCapsAndLimits(t *testing.T) {
	h := newEnv(t)
	v := h.as("fan")
	f := form("北侧围墙", at(18, 7, 0), at(18, 8, 0))
	f.Set("reason", strings.Repeat("x", weblib.FormBody))
	if r := v.post("/applications/new", f); r.status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d bytes: %d", weblib.FormBody, r.status)
	}
}

// The language is remembered by the browser, and the way back is kept.
func TestTheLanguage(t *testing.T) {
	h := newEnv(t)
	v := h.as("fan")
	r := v.post("/language", url.Values{"lang": {"en"}, "back": {"/footage"}})
	if r.status != http.StatusSeeOther || r.header.Get("Location") != "/footage" {
		t.Fatalf("%d %q", r.status, r.header.Get("Location"))
	}
	if page := v.get("/footage"); !strings.Contains(page.Body, `<html lang="en">`) || !strings.Contains(page.Body, "Footage by day") {
		t.Error("the page is not in English")
	}
	if r := v.post("/language", url.Values{"lang": {"fr"}}); r.status != http.StatusNotFound {
		t.Errorf("French: %d", r.status)
	}
}

// The log is searched by what people know: a name, a camera, a number, an address; the search is an entry
// itself. Covers F13.
func TestSearchingTheLog(t *testing.T) {
	h := newEnv(t)
	h.scene()
	v := h.as("guo")
	for query, want := range map[string]struct{ has, lacks string }{
		"q=" + url.QueryEscape("范之远"):                     {"视申〔2026〕002号", "一体机"},
		"q=" + url.QueryEscape("北侧围墙") + "&group=footage": {"围墙", "东大门外 "},
		"q=" + url.QueryEscape("视申〔2026〕003号"):            {"不予批准", "围墙翻越"},
		"q=127.0.0.1&group=refused":                       {"拒绝", "提交申请"},
		"camera=c01&group=recording":                      {"断网", "拒绝"},
		"from=2026-05-20&to=2026-05-20&group=application": {"提交申请", "刷卡"},
		"q=" + url.QueryEscape("没有这个人"):                   {"没有符合条件的日志", "提交申请"},
	} {
		size := h.store.Size()
		r := v.get("/log?" + query)
		if r.status != http.StatusOK || !strings.Contains(r.text(), want.has) || strings.Contains(tbody(r.Body), want.lacks) {
			t.Errorf("%s: %d, want %q and not %q\n%s", query, r.status, want.has, want.lacks, tbody(r.Body))
		}
		if e := h.newest(1)[0]; h.store.Size() != size+1 || e.Kind != "log.search" {
			t.Errorf("%s: the search is not in the log (%s)", query, e.Kind)
		}
	}
	for query, want := range map[string]string{"from=2026-05-20&to=2026-05-01": "结束须晚于开始", "from=never": "请填写日期", "camera=c99": "没有这台摄像机", "before=x": "请填整数"} {
		if r := v.get("/log?" + query); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, want) {
			t.Errorf("%s: %d, want %q", query, r.status, want)
		}
	}
	first := v.get("/log")
	_, link, _ := strings.Cut(first.Body, `href="/log?before=`)
	before, _, _ := strings.Cut(link, `"`)
	if next := v.get("/log?before=" + before); before == "" || next.status != http.StatusOK || strings.Contains(next.Body, fmt.Sprintf(`href="/log/%s"`, before)) {
		t.Errorf("the next page, before %q: %d", before, next.status)
	}
}

func tbody(page string) string {
	_, b, _ := strings.Cut(page, "<tbody>")
	b, _, _ = strings.Cut(b, "</tbody>")
	return b
}

// An extract says only what the search found and opens in a spreadsheet; that no text becomes a formula is tested in
// shared/lib/table. Covers F13.
func TestExportingTheLog(t *testing.T) {
	h := newEnv(t)
	h.scene()
	v := h.as("guo")
	r := v.post("/log/export", url.Values{"format": {"csv"}, "query": {"group=refused"}})
	if r.status != http.StatusOK || !strings.HasPrefix(r.Body, "\ufeff") || !strings.Contains(r.Body, "拒绝") || strings.Contains(r.Body, "提交申请,") {
		t.Fatalf("%d\n%s", r.status, r.Body)
	}
	if e := h.newest(1)[0]; e.Kind != "log.export" {
		t.Errorf("the newest entry is %s", e.Kind)
	}
	r = v.post("/log/export", url.Values{"format": {"xlsx"}, "query": {""}})
	if r.status != http.StatusOK || !strings.HasPrefix(r.Body, "PK") || !strings.Contains(r.header.Get("Content-Disposition"), ".xlsx") {
		t.Fatalf("xlsx: %d", r.status)
	}
	if r := v.post("/log/export", url.Values{"format": {"exe"}}); r.status != http.StatusUnprocessableEntity {
		t.Errorf("exe: %d", r.status)
	}
	if r := h.as("zhou").post("/log/export", url.Values{"format": {"csv"}}); r.status != http.StatusForbidden {
		t.Errorf("by an officer: %d", r.status)
	}
}

// The proof of an entry is a file that anybody checks offline, and handing it out is an entry.
func TestTheProofOfAnEntry(t *testing.T) {
	h := newEnv(t)
	h.scene()
	v := h.as("guo")
	n := h.seqOf("footage.access.open")
	r := v.get(fmt.Sprintf("/log/%d/proof", n))
	p, err := ledger.ParseProof([]byte(r.Body))
	h.must(err)
	e, err := ledger.ParseEntry(p.Leaf)
	h.must(err)
	if e.Seq != n || !strings.Contains(r.header.Get("Content-Disposition"), "proof.txt") || len(p.Parts) == 0 {
		t.Errorf("the proof is of %d, with %d parts", e.Seq, len(p.Parts))
	}
	if e := h.newest(1)[0]; e.Kind != "log.proof" {
		t.Errorf("the newest entry is %s", e.Kind)
	}
	for _, path := range []string{"/log/999999", "/log/x", "/log/-1", "/log/999999/proof"} {
		if r := v.get(path); r.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}

// A tap rests on the gate's page within a second: the browser is notified at once, and fetches the
// board.
func TestATapReachesTheGatePage(t *testing.T) {
	h := newEnv(t)
	h.clock.change(func(r *clock.Reading) { r.Wall = at(20, 7, 40).UTC() })
	v := h.as("zheng")
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.server.URL+"/events/gate", nil)
	h.must(err)
	res, err := v.http.Do(r)
	h.must(err)
	defer func() { h.must(res.Body.Close()) }()
	lines := bufio.NewScanner(res.Body)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "retry:") || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %q %q", res.StatusCode, res.Header.Get("Content-Type"), lines.Text())
	}
	began := time.Now()
	h.tap(1, 0)
	for lines.Scan() && lines.Text() != "event: change" {
	}
	page := v.get("/gate")
	if took := time.Since(began); took > time.Second || !strings.Contains(page.Body, "安*予") || strings.Contains(page.Body, "安知予") {
		t.Errorf("after %v:\n%s", took, page.text())
	}
}

// The interface as JSON has the same permissions and describes itself.
func TestTheInterface(t *testing.T) {
	h := newEnv(t)
	ids := h.scene()
	v := h.as("zheng")
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]any
	}
	h.must(json.Unmarshal([]byte(v.get("/api/v1/openapi.json").Body), &doc))
	for _, rt := range h.routes.Routes {
		if _, path, _ := strings.Cut(rt.Pattern, " "); strings.HasPrefix(path, "/api/") && doc.Paths[path] == nil {
			t.Errorf("%s is not described", path)
		}
	}
	for path, want := range map[string]string{"/api/v1/status": `"clock":"trusted"`, "/api/v1/cameras": `"state":"offline"`, "/api/v1/ribbon": `"cause":"network"`,
		"/api/v1/applications": ids["open"], "/api/v1/applications/" + ids["open"]: `"state":"submitted"`, "/api/v1/log?group=refused": "access.refused",
		"/api/v1/log/3": `"leaf_hash"`, "/api/v1/gate": `"attended":9`} {
		if r := v.get(path); r.status != http.StatusOK || !strings.Contains(r.Body, want) || !strings.HasPrefix(r.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %d, want %q\n%s", path, r.status, want, r.Body)
		}
	}
	r := h.as("fan").get("/api/v1/log")
	if r.status != http.StatusForbidden || !strings.Contains(r.Body, `"error":"may.role"`) {
		t.Errorf("refused: %d %s", r.status, r.Body)
	}
	if r := h.visit().get("/healthz"); r.status != http.StatusOK {
		t.Errorf("healthz: %d", r.status)
	}
}

// Pages stay small: under 100 kB for the first, under 300 kB with the player (design §10).
func TestPagesStaySmall(t *testing.T) {
	h := newEnv(t)
	ids := h.scene()
	fan := h.as("fan")
	size := func(path string) int { return len(fan.get(path, "Accept-Encoding", "gzip").Body) }
	assets := size(h.Assets.URL("campuskeep.css")) + size(h.Assets.URL("campuskeep.js"))
	for path, most := range map[string]int{"/": 100_000, "/footage?camera=c01&day=2026-05-08": 100_000, "/applications/new": 100_000} {
		if n := size(path) + assets; n > most {
			t.Errorf("%s: %d B, at most %d", path, n, most)
		}
	}
	if n := size("/view/"+ids["viewing"]) + assets + size(h.Assets.URL("player.js")); n > 300_000 {
		t.Errorf("the player page: %d B", n)
	}
}
