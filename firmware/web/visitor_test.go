package web

import (
	"bytes"
	"encoding/base32"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"campuskeep/shared/login"
)

// visitor is somebody at a browser.
type visitor struct {
	h    *env
	http *http.Client
}

// visit is a browser in which nobody is logged in.
func (h *env) visit() *visitor {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	h.must(err)
	tr := h.server.Client().Transport
	return &visitor{h, &http.Client{Transport: tr, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// as is a browser in which somebody has logged in, with the second factor when they have one.
func (h *env) as(name string) *visitor {
	h.t.Helper()
	v := h.visit()
	if !h.changed[name] {
		h.changed[name] = true
		if r := v.post("/login", url.Values{"user": {name}, "password": {firstPassword}}); r.header.Get("Location") != "/account" {
			h.t.Fatalf("first log-in of %s leads to %q (%d), want the own account", name, r.header.Get("Location"), r.status)
		}
		if r := v.post("/account/password", url.Values{"old": {firstPassword}, "new": {password}, "again": {password}}); r.status != http.StatusSeeOther {
			h.t.Fatalf("first password of %s: %d\n%s", name, r.status, r.text())
		}
		v = h.visit()
	}
	for _, s := range staff {
		if s.login == name && s.factor && h.secret[name] == nil {
			v.login(name, "")
			v.enrol(name)
			v = h.visit()
		}
	}
	v.login(name, h.code(name))
	return v
}

func (h *env) code(name string) string {
	if h.secret[name] == nil {
		return ""
	}
	h.clock.pass(31 * time.Second) // a code is good for one log-in
	return login.Code(h.secret[name], login.Step(h.clock.Now().Wall))
}

func (v *visitor) login(name, code string) {
	v.h.t.Helper()
	r := v.post("/login", url.Values{"user": {name}, "password": {password}})
	if code != "" {
		_, after, _ := strings.Cut(r.Body, `name="step" value="`)
		token, _, _ := strings.Cut(after, `"`)
		r = v.post("/login", url.Values{"step": {token}, "code": {code}})
	}
	if r.status != http.StatusSeeOther {
		v.h.t.Fatalf("log-in of %s: %d\n%s", name, r.status, r.text())
	}
}

// enrol sets up the second factor through the page, as the person would.
func (v *visitor) enrol(name string) {
	h := v.h
	h.t.Helper()
	r := v.post("/account/factor", url.Values{"old": {password}})
	_, after, _ := strings.Cut(r.Body, `name="text" value="`)
	text, _, _ := strings.Cut(after, `"`)
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(text, " ", ""))
	h.must(err)
	h.secret[name] = secret
	r = v.post("/account/factor/confirm", url.Values{"code": {h.code(name)}, "text": {text}, "uri": {"otpauth://totp/x"}})
	if r.status != http.StatusOK || strings.Count(r.Body, "<li>") < login.RecoveryCodes {
		h.t.Fatalf("second factor of %s: %d\n%s", name, r.status, r.text())
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	Body   string
}

// done is what the page that follows will say was done.
func (a answer) done() string {
	for _, k := range (&http.Response{Header: a.header}).Cookies() {
		if text, err := url.QueryUnescape(k.Value); err == nil && k.Name == "__Host-ck-done" {
			key, _, _ := strings.Cut(text, " ")
			return key
		}
	}
	return ""
}

// text is the answer without its frame, for messages of tests.
func (a answer) text() string {
	_, main, ok := strings.Cut(a.Body, "<main")
	if !ok {
		return a.Body
	}
	main, _, _ = strings.Cut(main, "</main>")
	return "<main" + main
}

func (v *visitor) do(method, path string, form url.Values, header ...string) answer {
	v.h.t.Helper()
	var body io.Reader
	if form != nil || method == http.MethodPost {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(v.h.t.Context(), method, v.h.server.URL+path, body)
	v.h.must(err)
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := v.http.Do(r)
	v.h.must(err)
	var b bytes.Buffer
	_, err = b.ReadFrom(res.Body)
	v.h.must(errors.Join(err, res.Body.Close()))
	v.leads(method+" "+path, res)
	return answer{res.StatusCode, res.Header, b.String()}
}

// leads is an error when a page leads to an address that is none.
func (v *visitor) leads(from string, res *http.Response) {
	v.h.t.Helper()
	to := res.Header.Get("Location")
	if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/") {
		return
	}
	pages := http.NewServeMux()
	for _, r := range v.h.routes.Routes {
		pages.Handle(r.Pattern, http.NotFoundHandler())
	}
	r, err := http.NewRequest(http.MethodGet, to, nil)
	v.h.must(err)
	if _, pattern := pages.Handler(r); !strings.HasPrefix(pattern, "GET ") {
		v.h.t.Errorf("%s leads to %s, which is no page", from, to)
	}
}

func (v *visitor) get(path string, header ...string) answer {
	v.h.t.Helper()
	return v.do(http.MethodGet, path, nil, header...)
}

func (v *visitor) post(path string, form url.Values, header ...string) answer {
	v.h.t.Helper()
	return v.do(http.MethodPost, path, form, header...)
}
