package web

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"campuskeep/firmware/extraction"
	"campuskeep/firmware/vault/vaulttest"
	"campuskeep/scripts/sim/history"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/login"
	"campuskeep/shared/packet"
	"campuskeep/shared/usage"
)

// extractions opens the taking out of footage over some source.
func (h *env) extractions(src footage.Source, present func(context.Context, string, footage.Span, func(footage.Placed) bool) error) *extraction.Extractions {
	h.t.Helper()
	x, err := extraction.Open(extraction.Options{Store: h.store, Clock: h.clock, Register: h.usage, Cameras: h.site.Cameras, Footage: src, Present: present,
		Actor: func(id string) (account.Actor, bool) {
			p, ok := h.people.Person(id)
			return account.Actor{ID: id, Roles: p.Roles}, ok && !p.Disabled
		},
		Name: h.people.Name, Unit: func(string) string { return "安保科" }, Independent: h.people.Independent, FS: h.data, School: "青榆实验学校", Zone: shanghai, Log: slog.New(slog.DiscardHandler)})
	h.must(err)
	return x
}

// askedFor is an approved application for a package, with an extraction that its applicant has asked for.
func (h *env) askedFor(from, to time.Time) (application, extraction string) {
	h.t.Helper()
	fan := h.as("fan")
	f := form("东大门", from, to)
	f["ways"] = []string{"view", "package"}
	application = fan.apply(f)
	if r := h.as("zhou").post("/applications/"+application+"/take", nil); r.status != http.StatusSeeOther {
		h.t.Fatalf("taken up: %d\n%s", r.status, r.text())
	}
	r := h.as("zheng").post("/applications/"+application+"/decide", url.Values{"decision": {"approve"}, "cameras": {"c01"}, "ways": {"view", "package"}, "spans": {"0"},
		"from": {string(usage.DateOf(present))}, "until": {string(usage.DateOf(present).Add(3))}})
	if r.status != http.StatusSeeOther {
		h.t.Fatalf("approval: %d\n%s", r.status, r.text())
	}
	r = fan.post("/applications/"+application+"/extraction", url.Values{"date": {string(usage.DateOf(present))}, "note": {"下午来取"}})
	if r.status != http.StatusSeeOther {
		h.t.Fatalf("request: %d\n%s", r.status, r.text())
	}
	return application, strings.TrimPrefix(r.header.Get("Location"), "/extractions/")
}

// both is what operator and supervisor type at the screen.
func (h *env) both(operator, supervisor string) url.Values {
	f := url.Values{"password": {password}, "user": {supervisor}, "password2": {password}}
	f.Set("code", h.code(operator))
	if s := h.secret[supervisor]; s != nil {
		f.Set("code2", login.Code(s, login.Step(h.clock.Now().Wall)))
	} else {
		f.Set("code2", "000000")
	}
	return f
}

// Covers F14: who is logged in and somebody else prove who they are at one screen; nobody extracts alone, for themselves,
// or without the right, and each refusal leaves the extraction as it was.
func TestAnExtractionTakesTwo(t *testing.T) {
	h := newEnv(t)
	_, id := h.askedFor(at(8, 14, 30), at(8, 14, 45))
	h.as("lin")
	h.as("guo")
	v := h.as("zheng")
	page := v.get("/extractions/" + id)
	has(t, "page", page, "两人验证", "周以宁 · zhou", "!郑守川 · zheng", "!范之远 · fan", "东大门外")
	if r := h.as("fan").post("/extractions/"+id+"/start", h.both("fan", "zhou")); r.status != http.StatusForbidden {
		t.Errorf("the applicant as operator: %d", r.status)
	}
	if r := h.as("liang").get("/extractions/" + id); r.status != http.StatusForbidden {
		t.Errorf("the administrator sees it: %d", r.status)
	}
	for name, x := range map[string]struct {
		form   func() url.Values // a code is good for half a minute
		status int
		want   string
	}{
		"nothing":       {func() url.Values { return url.Values{} }, http.StatusUnprocessableEntity, "必填"},
		"one twice":     {func() url.Values { return h.both("zheng", "zheng") }, http.StatusUnprocessableEntity, "须是另一人"},
		"the applicant": {func() url.Values { return h.both("zheng", "fan") }, http.StatusForbidden, ""},
		"an auditor":    {func() url.Values { return h.both("zheng", "guo") }, http.StatusForbidden, ""},
		"wrong code": {func() url.Values {
			return url.Values{"password": {password}, "code": {h.code("zheng")}, "user": {"zhou"}, "password2": {password}, "code2": {"000000"}}
		}, http.StatusUnauthorized, "动态口令不对"},
		"wrong password": {func() url.Values {
			return url.Values{"password": {"guess guess guess"}, "code": {"123456"}, "user": {"zhou"}, "password2": {password}, "code2": {"1"}}
		}, http.StatusUnauthorized, "不对"},
		"no key of anyone": {func() url.Values { return h.with(h.both("zheng", "zhou"), "recipient", "age1nothing") }, http.StatusUnprocessableEntity, "公钥"},
	} {
		r := v.post("/extractions/"+id+"/start", x.form())
		if r.status != x.status || !strings.Contains(r.text(), x.want) {
			t.Errorf("%s: %d, want %d with %q\n%s", name, r.status, x.status, x.want, r.text())
		}
		if strings.Contains(r.Body, password) {
			t.Errorf("%s: the page gives the password back", name)
		}
	}
	if h.count("extraction.began") != 0 {
		t.Error("a refused extraction began")
	}
	if r := v.post("/extractions/"+id+"/download", nil); r.status != http.StatusForbidden {
		t.Errorf("a download before there is an operator: %d", r.status)
	}
	if r := h.as("fan").post("/extractions/"+id+"/cancel", nil); r.status != http.StatusSeeOther || r.done() != "done.extraction_cancelled" {
		t.Errorf("cancelled by the applicant: %d\n%s", r.status, r.text())
	}
	if r := v.post("/extractions/"+id+"/start", h.both("zheng", "zhou")); r.status != http.StatusUnprocessableEntity {
		t.Errorf("begun after it was cancelled: %d", r.status)
	}
}

func (h *env) with(f url.Values, name, value string) url.Values {
	f.Set(name, value)
	return f
}

// sealedPackage is an extraction by zheng, with zhou as supervisor, that has just been sealed.
func sealedPackage(t *testing.T) (h *env, x *extraction.Extractions, application, id string) {
	t.Helper()
	span := footage.Span{From: at(20, 7, 0), To: at(20, 7, 6)}
	anchor := clock.Anchor{Boot: "boot-1", Mono: 100 * time.Hour, UTC: present.UTC()}
	places := func() footage.Places { return footage.Places{Anchors: clock.NewAnchors(anchor)} }
	vault := vaulttest.Open(t)
	h = newEnvWith(t, func(h *env, d *Deps) {
		_, err := history.Fill(t.Context(), vault, []footage.Camera{{ID: "c01"}}, footage.Span{From: span.From.Add(-3 * time.Minute).UTC(), To: span.To.Add(3 * time.Minute).UTC()}, anchor, nil)
		h.must(err)
		x = h.extractions(vault.Source(places), func(ctx context.Context, camera string, s footage.Span, f func(footage.Placed) bool) error {
			return vault.Walk(ctx, places(), camera, s, f)
		})
		d.Extractions = x
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- x.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		h.must(<-ended)
	})
	application, id = h.askedFor(span.From.Add(time.Minute), span.To.Add(-time.Minute))
	h.as("zhou")
	v := h.as("zheng")
	if r := v.post("/extractions/"+id+"/start", h.both("zheng", "zhou")); r.status != http.StatusSeeOther || r.done() != "done.extraction_started" {
		t.Fatalf("start: %d\n%s", r.status, r.text())
	}
	h.eventually("sealed package", func() bool {
		e, err := x.Get(id)
		h.must(err)
		if e.State == extraction.Stopped {
			t.Fatalf("stopped: %s", e.Reason)
		}
		return e.State == extraction.Sealed
	})
	return h, x, application, id
}

// Covers F14: from the applicant's request to the receipt, over the pages alone: the secret is shown once, each download
// is a numbered copy that is entered before its first byte, and what leaves is a package that verifies.
func TestAPackageFromRequestToReceipt(t *testing.T) {
	h, x, application, id := sealedPackage(t)
	v := h.as("zheng")
	has(t, "sealed", v.get("/extractions/"+id), "打印密码联", "SHA-256", "录像/01_东大门外.mp4", "!下载一份副本")
	if r := h.as("zhou").post("/extractions/"+id+"/key", nil); r.status != http.StatusForbidden {
		t.Errorf("the supervisor prints the secret: %d", r.status)
	}
	sheet := v.post("/extractions/"+id+"/key", nil)
	secret := regexp.MustCompile(`AGE-SECRET-KEY-1[0-9A-Z]+`).FindString(sheet.Body)
	if sheet.status != http.StatusOK || secret == "" || sheet.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("sheet: %d\n%s", sheet.status, sheet.text())
	}
	if r := v.post("/extractions/"+id+"/key", nil); r.status != http.StatusUnprocessableEntity || strings.Contains(r.Body, "AGE-SECRET") {
		t.Errorf("the secret a second time: %d", r.status)
	}
	if r := h.as("zhou").post("/extractions/"+id+"/download", nil); r.status != http.StatusForbidden {
		t.Errorf("the supervisor downloads: %d", r.status)
	}
	size := h.store.Size()
	sealed := v.post("/extractions/"+id+"/download", nil)
	if sealed.status != http.StatusOK || !strings.Contains(sealed.header.Get("Content-Disposition"), "TQ-2026-001-1.age") || h.count("extraction.copied") != 1 || h.store.Size() != size+1 {
		t.Fatalf("download: %d, %s", sealed.status, sealed.header)
	}
	identity, err := age.ParseX25519Identity(secret)
	h.must(err)
	r, err := age.Decrypt(strings.NewReader(sealed.Body), identity)
	h.must(err)
	plain, err := io.ReadAll(r)
	h.must(err)
	key, err := ledger.ParseVerifier(h.store.VerifierKey())
	h.must(err)
	verdict, err := packet.VerifyPackage(bytes.NewReader(plain), int64(len(plain)), nil, key)
	h.must(err)
	if !verdict.Trusted || verdict.Late == 0 || verdict.Manifest.School != "青榆实验学校" { // nothing bound these hours here
		t.Errorf("%+v", verdict)
	}
	for _, kind := range []string{"sheet", "evidence", "record", "list", "receipt"} {
		r := v.post("/extractions/"+id+"/print", url.Values{"document": {kind}})
		if r.status != http.StatusSeeOther {
			t.Fatalf("%s: %d\n%s", kind, r.status, r.text())
		}
		has(t, kind, v.get(r.header.Get("Location")), "TQ-2026-001.age", "!AGE-SECRET", "!ZgotmplZ")
	}
	if r := v.post("/extractions/"+id+"/receipt", url.Values{"copy": {"1"}, "who": {""}}); r.status != http.StatusUnprocessableEntity {
		t.Errorf("a receipt of nobody: %d", r.status)
	}
	if r := v.post("/extractions/"+id+"/receipt", url.Values{"copy": {"1"}, "who": {"宋知行 <b>900131</b>"}}); r.status != http.StatusSeeOther {
		t.Errorf("receipt: %d\n%s", r.status, r.text())
	}
	has(t, "received", v.get("/extractions/"+id), "已接收", "宋知行 &lt;b&gt;900131", "!<b>900131</b>")
	if a, err := h.usage.Get(application); err != nil || a.State != usage.InUse {
		t.Errorf("the application is %s, %v", a.State, err)
	}
	if r := v.post("/extractions/"+id+"/fate", url.Values{"copy": {"1"}, "what": {"destroyed"}}); r.status != http.StatusSeeOther {
		t.Errorf("destroyed: %d\n%s", r.status, r.text())
	}
	if e, err := x.Get(id); err != nil || e.State != extraction.Returned {
		t.Errorf("%s, %v", e.State, err)
	}
	if r := h.as("lin").post("/applications/"+application+"/revoke", url.Values{"reason": {"用途与申请不符。"}}); r.status != http.StatusSeeOther {
		t.Fatalf("revoked: %d\n%s", r.status, r.text())
	}
	if r := v.post("/extractions/"+id+"/download", nil); r.status != http.StatusUnprocessableEntity || h.count("extraction.copied") != 1 {
		t.Errorf("a copy of a revoked approval: %d", r.status)
	}
	api := v.get("/api/v1/extractions/" + id)
	has(t, "json", api, `"number":"TQ-2026-001"`, `"manifest":`, "!.age", "!AGE-SECRET")
}
