package ui

import (
	"bytes"
	"compress/gzip"
	"errors"
	"html/template"
	"io"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"campuskeep/shared/lib/fielderr"
)

func assetsForTest(t *testing.T) *Assets {
	t.Helper()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write([]byte("body{}")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := loadAssets(fstest.MapFS{"dist/manifest.json": {Data: []byte(`{"campuskeep.css":"campuskeep.ab12.css","campuskeep.js":"campuskeep.cd34.js"}`)},
		"dist/campuskeep.ab12.css": {Data: []byte("body{}")}, "dist/campuskeep.ab12.css.gz": {Data: z.Bytes()},
		"dist/campuskeep.cd34.js": {Data: []byte("1")}, "dist/campuskeep.cd34.js.gz": {Data: z.Bytes()}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A program that was built without the browser files says so, and how to mend it.
func TestWithoutBrowserFilesItSaysSo(t *testing.T) {
	_, err := loadAssets(fstest.MapFS{"dist/.gitkeep": {}})
	if !errors.Is(err, ErrNoAssets) || !strings.Contains(err.Error(), "go run ./shared/lib/ui/bundle") {
		t.Errorf("%v", err)
	}
	if _, err := NewPages([]fs.FS{fstest.MapFS{}}, time.UTC, nil, nil); !errors.Is(err, ErrNoAssets) {
		t.Errorf("%v", err)
	}
}

func TestBrowserFilesAreServedCompressed(t *testing.T) {
	a := assetsForTest(t)
	for _, x := range []struct {
		path, accept, encoding, body string
		status                       int
	}{
		{a.URL("campuskeep.css"), "gzip, br", "gzip", "", 200}, {a.URL("campuskeep.css"), "", "", "body{}", 200},
		{a.URL("campuskeep.css"), "gzip;q=0", "", "body{}", 200}, {"/assets/other.css", "", "", "", 404}, {"/assets/../page.go", "", "", "", 404},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "https://ck.local/", nil)
		r.URL.Path = x.path
		r.Header.Set("Accept-Encoding", x.accept)
		a.ServeHTTP(w, r)
		if w.Code != x.status || w.Header().Get("Content-Encoding") != x.encoding || x.body != "" && w.Body.String() != x.body {
			t.Errorf("%s %q: %d %q %q", x.path, x.accept, w.Code, w.Header().Get("Content-Encoding"), w.Body.String())
		}
	}
}

// The frame holds what a page needs: a way past the navigation, its language, no inline script or style.
func TestTheFrame(t *testing.T) {
	p, err := NewPages([]fs.FS{fstest.MapFS{"a.html": {Data: []byte(`{{define "main"}}<main id="main">{{T "form.required"}} {{.V}}</main>{{end}}`)}}, fstest.MapFS{"b.html": {Data: []byte(`{{define "main"}}{{.V.Nothing}}{{end}}`)}}},
		time.UTC, assetsForTest(t), func(Printer) template.FuncMap { return nil })
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	f := Frame{Lang: English, Title: "Title", Site: "School", Home: "/", Nav: []NavItem{{Href: "/a", Text: "A", Current: true, Count: 3, CountText: "3 open"}}, Who: &Who{Name: "<b>", Role: "Officer", Account: "/account", Logout: "/logout"},
		Banner: []Note{{Kind: "warn", Icon: "warn", Text: "Look"}}, Proof: []Fact{{Icon: "tree", Text: "9 entries"}}, Path: "/a?x=1"}
	if err := p.Render(&b, "a", f, "<script>alert(1)</script>"); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{`<html lang="en">`, `href="#main"`, `aria-current="page"`, `aria-label="3 open"`, `&lt;b&gt;`, `&lt;script&gt;`, `content="webkit"`, "campuskeep.ab12.css", `value="/a?x=1"`, "required"} {
		if !strings.Contains(page, want) {
			t.Errorf("the frame lacks %q", want)
		}
	}
	for _, bad := range []string{" style=", "<style", "onclick", "javascript:"} {
		if strings.Contains(page, bad) {
			t.Errorf("the frame holds %q", bad)
		}
	}
	b.Reset()
	if err := p.Render(&b, "b", f, struct{}{}); err == nil || b.Len() > 0 {
		t.Errorf("a template that fails writes %d bytes, error %v", b.Len(), err)
	}
	if err := p.Render(io.Discard, "none", f, nil); err == nil {
		t.Error("a page that is not there was rendered")
	}
}

// An error takes the place of the hint, is tied to its field, and the summary leads to it.
func TestFieldsOfAForm(t *testing.T) {
	form := Form{Name: "login", P: Printer{Lang: Chinese}, Values: url.Values{"user": {"fan"}, "password": {"secret"}}, Errors: fielderr.Errors{{Field: "code", Rule: "err.too_long", Args: []any{20}}}}
	base := template.Must(template.New("x").Funcs(form.P.funcs(assetsForTest(t))).ParseFS(partFiles, "parts/*.html"))
	show := func(f Field) string {
		var b strings.Builder
		if err := base.ExecuteTemplate(&b, "field", f); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if s := show(form.In("code", "text").Req()); !strings.Contains(s, "最多 20 字") || strings.Contains(s, "备用码") || !strings.Contains(s, `aria-invalid="true" aria-describedby="f-code-e"`) || !strings.Contains(s, "必填") {
		t.Errorf("with an error: %s", s)
	}
	if s := show(form.In("password", "password")); strings.Contains(s, "secret") {
		t.Errorf("a password goes back into the page: %s", s)
	}
	if s := show(form.Pick("user", "radio", []Option{{Value: "fan", Text: "范"}, {Value: "luo", Text: "罗", Off: true}})); !strings.Contains(s, `value="fan" checked`) || !strings.Contains(s, "disabled") {
		t.Errorf("choices: %s", s)
	}
	if f := form.Faults(); len(f) != 1 || f[0].ID != "f-code" || !strings.HasPrefix(f[0].Text, "动态口令：") {
		t.Errorf("summary: %+v", f)
	}
}

// Text contrasts with every ground in both themes: at least 4.5 to 1 (design §8a).
func TestContrast(t *testing.T) {
	css, err := os.ReadFile("web/campuskeep.css")
	if err != nil {
		t.Fatal(err)
	}
	token := regexp.MustCompile(`--([a-z0-9-]+):\s*(#[0-9a-f]{6})`)
	read := func(from, to string) map[string]string {
		_, s, ok := strings.Cut(string(css), from)
		if !ok {
			t.Fatalf("no %q in the style sheet", from)
		}
		s, _, _ = strings.Cut(s, to)
		m := map[string]string{}
		for _, x := range token.FindAllStringSubmatch(s, -1) {
			m[x[1]] = x[2]
		}
		return m
	}
	for theme, m := range map[string]map[string]string{"light": read(":root {", "\n}"), "dark": read(`:root[data-theme="dark"] {`, "\n}")} {
		for _, ink := range []string{"ink", "ink-2", "ink-3", "link", "ok", "warn", "bad", "hold", "accent"} {
			for _, ground := range []string{"surface", "surface-2", "bg"} {
				if c := contrast(t, m[ink], m[ground]); c < 4.5 {
					t.Errorf("%s: %s on %s is %.2f", theme, ink, ground, c)
				}
			}
		}
		for _, s := range []string{"ok", "warn", "bad", "hold", "mute", "accent"} {
			if c := contrast(t, m[s], m[s+"-bg"]); c < 4.5 {
				t.Errorf("%s: %s on its own ground is %.2f", theme, s, c)
			}
		}
		if c := contrast(t, m["control"], m["surface"]); c < 3 {
			t.Errorf("%s: borders of controls are %.2f", theme, c)
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	if len(hex) != 7 {
		t.Fatalf("colour %q", hex)
	}
	var l float64
	for i, w := range []float64{0.2126, 0.7152, 0.0722} {
		v, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(v) / 255
		if c <= 0.03928 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		l += w * c
	}
	return l
}

// What is wrong in the same words at several fields is one line of the summary, with their number.
func TestSameFaultIsOneLine(t *testing.T) {
	f := Form{Name: "apply", P: Printer{Lang: Chinese}}
	for _, u := range []string{"purpose", "no_copy", "leak", "report"} {
		f.Errors.Add("undertakings."+u, "err.undertaking")
	}
	f.Errors.Add("contact", "err.required")
	f.Errors.Add("reason", "err.required")
	got := f.Faults()
	if len(got) != 3 {
		t.Fatalf("%d lines: %+v", len(got), got)
	}
	if got[0].ID != "f-undertakings.purpose" || !strings.HasSuffix(got[0].Text, "（4 处）") {
		t.Errorf("%+v", got[0])
	}
	for _, one := range got[1:] {
		if strings.Contains(one.Text, "处") {
			t.Errorf("one fault is counted: %+v", one)
		}
	}
}
