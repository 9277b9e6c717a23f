package web

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"campuskeep/firmware/extraction"
)

// Covers F14: the page beside a sealed package, opened from a folder as from a stick, without a network: it opens the
// package with the words of the sheet, says what is proven and what is not, plays, and refuses what was altered.
func TestThePageBesideAPackage(t *testing.T) {
	needChromium(t)
	h, _, _, id := sealedPackage(t)
	v := h.as("zheng")
	sheet := v.post("/extractions/"+id+"/key", nil)
	var words []string
	for _, m := range regexp.MustCompile(`<td>\d+ <b>([^<]+)</b>`).FindAllStringSubmatch(sheet.Body, -1) {
		words = append(words, m[1])
	}
	link := regexp.MustCompile(`href="(/assets/open\.[0-9a-f]+\.html)" download="` + extraction.PageName + `"`).FindStringSubmatch(v.get("/extractions/" + id).Body)
	if len(words) != 24 || link == nil {
		t.Fatalf("%d words, link %q", len(words), link)
	}
	page, sealed := v.get(link[1]), v.post("/extractions/"+id+"/download", nil)
	if page.status != http.StatusOK || sealed.status != http.StatusOK {
		t.Fatalf("page %d, package %d", page.status, sealed.status)
	}
	stick := t.TempDir()
	write := func(name, content string) string {
		at := filepath.Join(stick, name)
		h.must(os.WriteFile(at, []byte(content), 0o600))
		return at
	}
	address := "file://" + write(extraction.PageName, page.Body)
	whole := write("TQ-2026-001.age", sealed.Body)
	middle := len(sealed.Body) / 2
	altered := write("altered.age", sealed.Body[:middle]+string(sealed.Body[middle]^1)+sealed.Body[middle+1:])

	s := h.seat("zheng")
	said := func(file, key, trusted string) string {
		t.Helper()
		s.do(chromedp.Navigate(address), chromedp.WaitReady("#go"), chromedp.SetUploadFiles("#file", []string{file}))
		look[bool](s, fmt.Sprintf(`(document.getElementById("key").value = %q, document.getElementById("trusted").value = %q, document.getElementById("go").click(), true)`, key, trusted))
		s.wait("verdict", `!document.getElementById("result").hidden`)
		return look[string](s, `document.getElementById("verdict").textContent + "\n" + document.getElementById("text").textContent`)
	}
	for name, c := range map[string]struct{ file, key, trusted, want string }{
		"no secret":       {whole, "", "", "打不开"},
		"other words":     {whole, strings.Join(words[:23], " ") + " 青门", "", "打不开"},
		"altered":         {altered, strings.Join(words, " "), h.store.VerifierKey(), "拒绝 Refused"},
		"malformed key":   {whole, strings.Join(words, " "), "key", "公钥格式错误"},
		"without a key":   {whole, strings.Join(words, ""), "", "来源未确认"},
		"a plain picture": {write("photo.jpg", "\xff\xd8\xff"), "", "", "拒绝 Refused"},
	} {
		if got := said(c.file, c.key, c.trusted); !strings.Contains(got, c.want) || strings.Contains(got, "有效 Valid") {
			t.Errorf("%s: %s", name, got)
		}
	}
	got := said(whole, strings.Join(words, "\n"), h.store.VerifierKey())
	for _, want := range []string{"有效 Valid", "TQ-2026-001", "青榆实验学校", "东大门外", "不能证明"} {
		if !strings.Contains(got, want) {
			t.Errorf("the verdict does not have %q:\n%s", want, got)
		}
	}
	s.do(chromedp.Click(`#members button`)) // the first member is a video
	s.wait("video", `document.getElementById("video").videoWidth > 0 || document.getElementById("played").textContent !== ""`)
	if length := look[float64](s, `document.getElementById("video").duration`); look[string](s, `document.getElementById("played").textContent`) != "" || length < 235 || length > 250 {
		t.Errorf("four minutes play as %v s", length)
	}
	if axe, err := os.ReadFile("../../shared/lib/ui/web/node_modules/axe-core/axe.min.js"); err == nil {
		look[bool](s, string(axe)+";true")
		(&looked{s, h, string(axe)}).passes("the page", `{}`)
	}
}
