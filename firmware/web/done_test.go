package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"campuskeep/shared/lib/ui"
)

// What was done is said once, without a script: a reload, another page and a link that somebody made say nothing.
func TestWhatWasDoneIsSaidOnce(t *testing.T) {
	h := newEnv(t)
	fan := h.as("fan")
	r := fan.post("/applications/new", form("北侧围墙", at(18, 7, 0), at(18, 8, 0)))
	page := r.header.Get("Location")
	if r.status != http.StatusSeeOther || strings.Contains(page, "done") {
		t.Fatalf("%d to %q", r.status, page)
	}
	said := ui.Printer{Lang: ui.Chinese}.T("done.submitted")
	if strings.Contains(fan.get("/applications/mine").Body, said) {
		t.Error("another page says it")
	}
	if !strings.Contains(fan.get(page).Body, said) {
		t.Error("the page does not say it")
	}
	if strings.Contains(fan.get(page).Body, said) {
		t.Error("a reload says it again")
	}
	if strings.Contains(fan.get(page+"?done=done.submitted").Body, said) {
		t.Error("a link says it")
	}
}

// The chip above an applicant's list names the state in the words of the row.
func TestChipOfAReturnedApplication(t *testing.T) {
	h := newEnv(t)
	fan := h.as("fan")
	id := fan.apply(form("北侧围墙", at(18, 7, 0), at(18, 8, 0)))
	if r := h.as("zheng").post("/applications/"+id+"/return", url.Values{"reason": {"请写明时间"}}); r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	body := fan.get("/applications/mine").Body
	if !strings.Contains(body, ">退回补正 1</a>") || strings.Contains(body, "待填写") {
		t.Error("the chip has another word than the row")
	}
}

// Times, spans and numbers of a printed duty sheet keep to one line in its narrow columns. Covers F9.
func TestNumbersOnTheDutySheetDoNotBreak(t *testing.T) {
	needChromium(t)
	h := newEnv(t)
	h.scene()
	var sheet string
	for _, p := range h.dutyPages() {
		if p.name == "duty-sheet" {
			sheet = p.path
		}
	}
	s := h.seat("zheng")
	s.do(viewport(794, 1123), chromedp.Navigate(h.server.URL+sheet), chromedp.WaitReady(chromedp.CSS(".a4--sheet")))
	if n := look[int](s, `document.querySelectorAll(".a4--sheet .n").length`); n < 6 {
		t.Fatalf("%d cells", n)
	}
	broken := look[string](s, `[...document.querySelectorAll(".a4--sheet .n")].filter((c) => c.getClientRects()[0].height > 2 * parseFloat(getComputedStyle(c).lineHeight) + 12 && !c.querySelector("br") && c.scrollHeight > 0 && (() => { const r = document.createRange(); r.selectNodeContents(c); return new Set([...r.getClientRects()].map((b) => Math.round(b.top))).size > 1; })()).map((c) => c.textContent).join("; ")`)
	if broken != "" {
		t.Errorf("broken: %s", broken)
	}
	if over := look[int](s, `[...document.querySelectorAll(".a4--sheet table")].filter((t) => t.scrollWidth > t.parentNode.clientWidth + 1).length`); over > 0 {
		t.Errorf("%d tables are wider than the sheet", over)
	}
}
