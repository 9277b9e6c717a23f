package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/xuri/excelize/v2"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/retention"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

// certificates are the real ones, over the store of the tests and its film.
func (h *env) certificates() *retention.Certificates {
	present := func(ctx context.Context, camera string, span footage.Span, f func(footage.Placed) bool) error {
		list, err := h.film.Segments(ctx, camera, span)
		for _, p := range list {
			f(p)
		}
		return err
	}
	return retention.NewCertificates(retention.CertificatesOptions{Store: h.store, Cameras: h.site.Cameras, Present: present, Clock: h.clock, Anchors: func() clock.Anchors { return nil }, Zone: shanghai, School: "青榆实验学校"})
}

// moment runs what happened at another time; the clock is then as before.
func (h *env) moment(at time.Time, do func()) {
	h.t.Helper()
	now := h.clock.Now()
	h.clock.change(func(r *clock.Reading) { r.Wall, r.Mono = at.UTC(), r.Mono+at.Sub(r.Wall) })
	do()
	h.clock.change(func(r *clock.Reading) { r.Wall, r.Mono = now.Wall, now.Mono })
}

func (h *env) note(at time.Time, kind ledger.Kind, subject string, data map[string]any) (seq uint64) {
	h.t.Helper()
	h.moment(at, func() {
		r, err := h.store.Commit(h.t.Context(), ledgerdb.Change{Entries: []ledger.Draft{account.System.Draft(kind, "", subject, data)}})
		h.must(err)
		seq = r.First
	})
	return seq
}

// gone writes down how a camera's day was recorded and deleted thirty days later, late by so much.
func (h *env) gone(camera, day string, late time.Duration, without ...int) {
	h.t.Helper()
	begin, err := time.ParseInLocation(time.DateOnly, day, shanghai)
	h.must(err)
	gap := map[int]bool{}
	for _, n := range without {
		gap[n] = true
	}
	hour := func(n int) map[string]any {
		from := begin.Add(time.Duration(n) * time.Hour)
		root := sha256.Sum256([]byte(camera + from.String()))
		return map[string]any{"hour": from.UTC(), "count": 60, "root": root[:], "first": from.UTC(), "last": from.Add(time.Hour).UTC(), "bytes": 43_000_000, "days": []string{day}}
	}
	for n := range 24 {
		at := begin.Add(time.Duration(n+1)*time.Hour + time.Minute)
		if gap[n] {
			h.note(at, "footage.gap", camera, map[string]any{"from": at.Add(-61 * time.Minute).UTC(), "to": at.Add(-time.Minute).UTC(), "cause": "offline"})
			continue
		}
		h.note(at, "footage.recorded", camera, hour(n))
	}
	for n := range 24 {
		if gap[n] {
			continue
		}
		d := hour(n)
		d["assurance"] = "best_effort"
		h.note(begin.Add(30*24*time.Hour+time.Duration(n+1)*time.Hour+20*time.Second+late), "footage.deleted", camera, d)
	}
	key := map[string]any{"ring": "footage", "keys": []string{camera + ":" + day}}
	h.note(begin.Add(31*24*time.Hour+22*time.Second+late), "key.erase.intent", camera, key)
	h.note(begin.Add(31*24*time.Hour+23*time.Second+late), "key.erased", camera, key)
}

// The certificate is downloaded from the page, entered in the log first, and accepted by the verifier that knows
// nothing but the file and the key. Covers F3, F13.
func TestACertificateFromThePageToTheVerifier(t *testing.T) {
	h := newEnv(t)
	h.gone("c01", "2026-04-10", 0, 3)
	zheng := h.as("zheng")
	list := zheng.get("/keeping/days?camera=c01&month=2026-04")
	if list.status != 200 || !strings.Contains(list.Body, "/keeping/certificate/c01/2026-04-10") {
		t.Fatalf("list: %d\n%s", list.status, list.text())
	}
	page := zheng.get("/keeping/certificate/c01/2026-04-10")
	for _, want := range []string{"录像删除证明", "已到期并全部删除", "存储介质可能有残留", "记录 1,380，删除 1,380，余 0", "a4--draft", "摄像机离线", "预览，未签发", "特此证明。", "尚无教育局中心存证"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if n := h.count("certificate.issued") + h.count("document.printed"); n != 0 {
		t.Errorf("a look at the preview wrote %d entries", n)
	}
	size := h.store.Size()
	r := zheng.post("/keeping/certificate/c01/2026-04-10", url.Values{"form": {"file"}})
	if r.status != 200 || !strings.HasPrefix(r.header.Get("Content-Disposition"), "attachment") {
		t.Fatalf("download: %d\n%s", r.status, r.text())
	}
	var kinds []string
	for e, err := range h.store.Entries(size, h.store.Size()) {
		h.must(err)
		kinds = append(kinds, string(e.Kind))
		if e.Actor.ID != h.ids["zheng"] {
			t.Errorf("%s by %s", e.Kind, e.Actor.ID)
		}
	}
	if strings.Join(kinds, " ") != "certificate.issued document.printed" {
		t.Errorf("entries: %v", kinds)
	}
	c, err := packet.ParseCertificate([]byte(r.Body))
	h.must(err)
	v, err := c.Verify()
	h.must(err)
	if v.Declared.Name != "东大门外" || v.Day.Recorded != 1380 || v.Day.Missing != time.Hour || !v.Day.Clean() {
		t.Errorf("verdict: %+v", v.Day)
	}

	// As a process of its own, as anyone who receives the file would run it.
	dir := t.TempDir()
	tool, file := filepath.Join(dir, "campuskeep-verify"), filepath.Join(dir, "certificate.txt")
	if out, err := exec.Command("go", "build", "-o", tool, "campuskeep/shared/cmd/campuskeep-verify").CombinedOutput(); err != nil {
		t.Fatalf("building the verifier: %v\n%s", err, out)
	}
	h.must(os.WriteFile(file, []byte(r.Body), 0o600))
	out, err := exec.Command(tool, "-key", h.store.VerifierKey(), file).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("VALID: this certificate")) || !bytes.Contains(out, []byte("东大门外")) {
		t.Errorf("the verifier: %v\n%s", err, out)
	}
	if out, err := exec.Command(tool, file).CombinedOutput(); err == nil || !bytes.Contains(out, []byte("origin unconfirmed")) {
		t.Errorf("without a key: %v\n%s", err, out)
	}
	h.must(os.WriteFile(file, []byte(strings.Replace(r.Body, "东大门外", "西大门外", 1)), 0o600))
	if out, err := exec.Command(tool, "-key", h.store.VerifierKey(), file).CombinedOutput(); err == nil || !bytes.Contains(out, []byte("REFUSED")) {
		t.Errorf("a changed name: %v\n%s", err, out)
	}

	// On paper it is another copy of the same certificate.
	r = zheng.post("/keeping/certificate/c01/2026-04-10", url.Values{"form": {"paper"}})
	paper := zheng.get(r.header.Get("Location"))
	if paper.status != 200 || strings.Contains(paper.Body, "a4--draft") || !strings.Contains(paper.Body, "第 2 份") || !strings.Contains(paper.Body, fmt.Sprintf("编号：ck-0417-%d<", v.Number)) {
		t.Errorf("paper: %d\n%s", paper.status, paper.text())
	}
	if n := h.count("certificate.issued"); n != 1 {
		t.Errorf("%d issues of the same words", n)
	}
	if other := h.as("guo").get(r.header.Get("Location")); other.status != http.StatusNotFound {
		t.Errorf("another person prints with this person's entry: %d", other.status)
	}
}

// A hand-out whose entry cannot be written does not happen.
func TestNothingIsPrintedThatIsNotEntered(t *testing.T) {
	h := newEnv(t)
	ids := h.scene()
	fan := h.as("fan")
	path := "/applications/" + ids["approved"]
	if r := fan.get(path + "/notice"); !strings.Contains(r.Body, "a4--draft") || strings.Contains(r.Body, "data-print-now") {
		t.Error("a preview can be printed without an entry")
	}
	for n := 1; n <= 2; n++ {
		r := fan.post(path+"/print", url.Values{"document": {"notice"}})
		paper := fan.get(r.header.Get("Location"))
		if r.status != http.StatusSeeOther || paper.status != 200 || !strings.Contains(paper.Body, fmt.Sprintf("第 %d 份", n)) || strings.Contains(paper.Body, "a4--draft") {
			t.Errorf("copy %d: %d, %d", n, r.status, paper.status)
		}
	}
	last := h.newest(1)[0]
	var d struct {
		Copy        int
		Application string
	}
	h.must(json.Unmarshal(last.Data, &d))
	if last.Kind != "document.printed" || last.Subject != "notice:"+ids["approved"] || d.Copy != 2 || d.Application != ids["approved"] || last.From == nil || last.From.Address == "" {
		t.Errorf("entry: %+v %s", last, last.Data)
	}
	for _, bad := range []string{"", "rejection", "minutes"} {
		if r := fan.post(path+"/print", url.Values{"document": {bad}}); r.status == http.StatusSeeOther {
			t.Errorf("a document %q was printed", bad)
		}
	}
	for _, bad := range []string{"?entry=0", "?entry=999999", "?entry=x", fmt.Sprintf("?entry=%d", last.Seq)} {
		if r := fan.get(path + "/form" + bad); r.status != http.StatusNotFound {
			t.Errorf("%s: %d", bad, r.status)
		}
	}
}

// The monthly report: zero or explained, what is not is in red and in words, and it leaves as a spreadsheet and on
// paper, each entered first. Covers F3, F13.
func TestTheMonthlyReport(t *testing.T) {
	h := newEnv(t)
	h.gone("c01", "2026-04-10", 0, 3)
	h.gone("c01", "2026-04-11", 4*time.Hour) // late, and nothing says why
	zheng := h.as("zheng")
	r := zheng.get("/keeping/report?camera=c01&month=2026-05")
	for _, want := range []string{"逾期 ", "没有登记可以解释", "is-bad", "东大门外"} {
		if !strings.Contains(r.Body, want) {
			t.Errorf("May does not say %q", want)
		}
	}
	if !strings.Contains(r.Body, "24 次逾期删除没有登记原因") {
		t.Errorf("the late deletions are not named:\n%s", r.text())
	}
	size := h.store.Size()
	x := zheng.post("/keeping/report", url.Values{"camera": {"c01"}, "month": {"2026-05"}, "form": {"xlsx"}})
	if x.status != 200 {
		t.Fatalf("spreadsheet: %d\n%s", x.status, x.text())
	}
	if e, err := h.store.Entry(size); err != nil || e.Kind != "document.printed" || e.Subject != "report:c01:2026-05" {
		t.Errorf("entry: %v %+v", err, e)
	}
	book, err := excelize.OpenReader(strings.NewReader(x.Body))
	h.must(err)
	rows, err := book.GetRows(book.GetSheetName(0))
	h.must(err)
	h.must(book.Close())
	if len(rows) < 5 || rows[2][0] != "摄像机" || rows[3][0] != "东大门外" || rows[3][15] != "24" {
		t.Errorf("spreadsheet: %v", rows)
	}
	p := zheng.post("/keeping/report", url.Values{"month": {"2026-05"}, "form": {"paper"}})
	paper := zheng.get(p.header.Get("Location"))
	if paper.status != 200 || !strings.Contains(paper.Body, "data-print-now") || !strings.Contains(paper.Body, `class="bad"`) {
		t.Errorf("paper: %d\n%s", paper.status, paper.text())
	}
	for q, want := range map[string]int{"month=2026-13": 422, "month=2031-01": 422, "month=2026-05&camera=c77": 422, "": 200, "month=2026-03": 200} {
		if r := zheng.get("/keeping/report?" + q); r.status != want {
			t.Errorf("%q: %d, want %d", q, r.status, want)
		}
	}
	if r := h.as("liang").post("/keeping/report", url.Values{"month": {"2026-05"}, "form": {"paper"}}); r.status != http.StatusForbidden {
		t.Errorf("the administrator hands out a report: %d", r.status)
	}
}

// The arithmetic of the disk is line by line, and what it says is footage.Predict's word.
func TestTheArithmeticOfTheDisk(t *testing.T) {
	h := newEnv(t)
	loads := []footage.Load{{Camera: "c01", BytesPerDay: 40 << 30, Days: 30}, {Camera: "c02", BytesPerDay: 40 << 30, Days: 90, Estimated: true}, {Camera: "c03", BytesPerDay: 5 << 30, Days: 30, Thin: true}}
	for _, fits := range []bool{true, false} {
		capacity := int64(6 << 40)
		if !fits {
			capacity = 2 << 40
		}
		h.packages.retention = frame.RetentionStatus{Swept: present, Total: 8 << 40, Free: 4 << 40, Loads: loads, Held: 20 << 30, Capacity: capacity, Reserve: 400 << 30, Other: 10 << 30, Used: 1 << 40,
			Forecast: footage.Predict(loads, 20<<30, capacity), Thinned: []string{"c03"}, WhenFull: "stop", Watermark: map[string]time.Time{"c01": present.Add(-30 * 24 * time.Hour)}}
		r := h.as("liang").get("/keeping")
		want := "够用"
		if !fits {
			want = fmt.Sprintf("约第 %.1f 天写满", h.packages.retention.Forecast.FullAt)
		}
		for _, w := range []string{want, "× 31", "× 91", "子码流", "估计", "停止录制，不提前删除", "改录子码流：自行车棚"} {
			if !strings.Contains(r.Body, w) {
				t.Errorf("fits %v: the page does not say %q\n%s", fits, w, r.text())
			}
		}
	}
	h.clock.change(func(r *clock.Reading) { r.State = clock.Untrusted })
	if r := h.as("liang").get("/keeping"); !strings.Contains(r.Body, "不删除任何录像") {
		t.Error("an untrusted clock is not told of")
	}
}

// Two people at two browsers let a hold go, and the page shows each what they may.
func TestHoldsOnThePage(t *testing.T) {
	h := newEnv(t)
	ids := h.scene()
	hold := ""
	for _, x := range h.usage.Holds() {
		if x.Application == ids["open"] {
			hold = x.ID
		}
	}
	zhou, zheng, lin := h.as("zhou"), h.as("zheng"), h.as("lin")
	if r := zhou.get("/holds"); r.status != 200 || !strings.Contains(r.Body, "/holds/"+hold+"/propose") || strings.Contains(r.Body, "/confirm") {
		t.Errorf("the officer's page: %d\n%s", r.status, r.text())
	}
	if r := zhou.post("/holds/"+hold+"/propose", url.Values{"reason": {" "}}); r.status != 422 || !strings.Contains(r.Body, "f-reason") {
		t.Errorf("without a reason: %d", r.status)
	}
	if r := zhou.post("/holds/"+hold+"/propose", url.Values{"reason": {"书包已找到"}}); r.status != http.StatusSeeOther {
		t.Fatalf("proposal: %d\n%s", r.status, r.text())
	}
	if r := zhou.get("/holds"); strings.Contains(r.Body, "/holds/"+hold+"/confirm") || !strings.Contains(r.Body, "/holds/"+hold+"/keep") {
		t.Error("the proposer may confirm")
	}
	if r := zheng.get("/holds"); !strings.Contains(r.Body, "/holds/"+hold+"/confirm") || !strings.Contains(r.Body, "书包已找到") {
		t.Errorf("the second person does not see it:\n%s", r.text())
	}
	if r := lin.post("/holds/"+hold+"/confirm", nil); r.status != http.StatusSeeOther {
		t.Fatalf("confirmation: %d\n%s", r.status, r.text())
	}
	r := zheng.get("/holds")
	if strings.Contains(r.Body, "/holds/"+hold) || !strings.Contains(r.Body, "两人解除") {
		t.Errorf("after the release:\n%s", r.text())
	}
	if r := lin.post("/holds/"+hold+"/confirm", nil); r.status != http.StatusNotFound {
		t.Errorf("released twice: %d", r.status)
	}
	if r := h.as("fan").get("/holds"); r.status != http.StatusForbidden {
		t.Errorf("an applicant sees all holds: %d", r.status)
	}
}

// From the entry of a deletion one gets to its certificate.
func TestDeletionsLeadToTheirCertificate(t *testing.T) {
	h := newEnv(t)
	h.gone("c02", "2026-04-12", 0)
	zheng := h.as("zheng")
	link := "/keeping/certificate/c02/2026-04-12"
	if r := zheng.get(fmt.Sprintf("/log/%d", h.seqOf("footage.deleted"))); !strings.Contains(r.Body, link) {
		t.Error("the entry does not lead to the certificate")
	}
	if r := zheng.get("/log?group=deletion"); !strings.Contains(r.Body, link) {
		t.Error("the log does not lead to the certificate")
	}
	for _, path := range []string{"/keeping/certificate/c02/2019-01-01", "/keeping/certificate/c99/2026-04-12", "/keeping/certificate/c02/never"} {
		if r := zheng.get(path); r.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}

// printScene fills April with deleted days of all sorts, and hands out one of each paper.
func (h *env) printScene(ids map[string]string) {
	h.t.Helper()
	h.gone("c01", "2026-04-10", 0, 3, 4)
	h.gone("c01", "2026-04-11", 4*time.Hour)
	h.gone("c01", "2026-04-12", 0)
	hold := map[string]any{"hold": "h2026-0099-1", "cameras": []string{"c02"}, "from": time.Date(2026, 4, 12, 7, 0, 0, 0, shanghai).UTC(), "to": time.Date(2026, 4, 12, 9, 0, 0, 0, shanghai).UTC(),
		"until": at(30, 0, 0).UTC(), "reason": "use"}
	h.note(time.Date(2026, 4, 20, 9, 0, 0, 0, shanghai), "hold.registered", "h2026-0099-1", hold)
	for n := range 24 { // what lies under the hold stays
		from := time.Date(2026, 4, 12, n, 0, 0, 0, shanghai)
		root := sha256.Sum256([]byte(from.String()))
		d := map[string]any{"hour": from.UTC(), "count": 60, "root": root[:], "first": from.UTC(), "last": from.Add(time.Hour).UTC(), "bytes": 43_000_000, "days": []string{"2026-04-12"}}
		h.note(from.Add(61*time.Minute), "footage.recorded", "c02", d)
		if n != 7 && n != 8 {
			d["assurance"] = "best_effort"
			h.note(from.Add(30*24*time.Hour+61*time.Minute), "footage.deleted", "c02", d)
		}
	}
	key := map[string]any{"ring": "footage", "keys": []string{"c02:2026-04-12"}}
	h.note(at(13, 0, 1), "key.erase.intent", "c02", key)
	h.note(at(13, 0, 2), "key.erased", "c02", key)
	h.moment(at(14, 10, 0), func() {
		_, err := h.store.Commit(h.t.Context(), ledgerdb.Change{Entries: []ledger.Draft{
			account.System.Draft("footage.breach", "", "c03", map[string]any{"reason": "full", "from": at(2, 0, 0).UTC(), "to": at(2, 6, 0).UTC(), "count": 3}),
			account.System.Draft("footage.deleted", "", "c03", map[string]any{"hour": at(2, 1, 0).UTC(), "count": 3, "root": make([]byte, 32), "first": at(2, 1, 0).UTC(), "last": at(2, 1, 3).UTC(), "assurance": "best_effort", "days": []string{"2026-05-02"}})}})
		h.must(err)
	})
	zheng, fan := h.as("zheng"), h.as("fan")
	ids["paper-certificate"] = zheng.post("/keeping/certificate/c01/2026-04-10", url.Values{"form": {"paper"}}).header.Get("Location")
	ids["paper-report"] = zheng.post("/keeping/report", url.Values{"month": {"2026-05"}, "form": {"paper"}}).header.Get("Location")
	ids["paper-days"] = zheng.post("/keeping/days/print", url.Values{"camera": {"c01"}, "month": {"2026-04"}}).header.Get("Location")
	ids["paper-notice"] = fan.post("/applications/"+ids["approved"]+"/print", url.Values{"document": {"notice"}}).header.Get("Location")
	loads := []footage.Load{{Camera: "c01", BytesPerDay: 41 << 30, Days: 30}, {Camera: "c02", BytesPerDay: 38 << 30, Days: 90}, {Camera: "c03", BytesPerDay: 6 << 30, Days: 30, Thin: true}}
	k := &h.packages.retention
	k.Loads, k.Held, k.Capacity, k.Reserve, k.Other, k.Used, k.Thinned, k.WhenFull = loads, 9<<30, 5200<<30, 190<<30, 12<<30, 2400<<30, []string{"c03"}, "stop"
	k.Forecast, k.Total = footage.Predict(loads, k.Held, k.Capacity), 5402<<30
	k.Watermark = map[string]time.Time{"c01": present.Add(-30 * 24 * time.Hour), "c03": present.Add(-30 * 24 * time.Hour)}
	fan.post("/applications/"+ids["returned"]+"/withdraw", nil)
	for _, x := range h.usage.Holds() {
		if x.Application == ids["open"] {
			_, err := h.usage.ProposeRelease(h.t.Context(), account.Who{Actor: account.Actor{ID: h.ids["zhou"], Roles: []account.Role{account.RoleOfficer}, SecondFactor: true}, Via: ledger.ViaWeb}, x.ID, "书包已找到，申请人来电说明不再需要这段录像。")
			h.must(err)
		}
	}
}

// What the printer gets is A4 and what was entered; a preview prints nothing of the document. Covers F13.
func TestPrintsOnA4(t *testing.T) {
	needChromium(t)
	h := newEnv(t)
	ids := h.scene()
	h.printScene(ids)
	ctx := browser(t)
	// The page asks for its printing by itself. A browser without a window would begin with it, and refuse ours meanwhile.
	h.must(chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `window.print = () => { window.asked = true }`})
		return err
	})))
	for _, p := range []struct {
		name, who, path string
		pages           int // 0: not printed, laid out alone: a browser takes ten seconds and more to put Chinese fonts into a PDF
	}{{"certificate", "zheng", ids["paper-certificate"], 2}, {"report", "zheng", ids["paper-report"], 0}, {"days", "zheng", ids["paper-days"], 0}, {"notice", "fan", ids["paper-notice"], 1},
		{"preview", "zheng", "/keeping/certificate/c01/2026-04-12", 0}} {
		token := h.as(p.who).token()
		err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error { return h.wear(ctx, tab, token, "light") }),
			chromedp.Navigate(h.server.URL+p.path), chromedp.WaitReady("main"))
		h.must(err)
		if p.name != "preview" {
			if _, err := chromedp.Run(ctx, chromedp.Poll[bool](`window.asked`, chromedp.WithPollingTimeout(20*time.Second))); err != nil {
				t.Errorf("%s does not ask for its printing: %v", p.name, err)
			}
		}
		if p.pages > 0 || *shots != "" {
			pdf, err := chromedp.Run(ctx, chromedp.PrintToPDF(chromedp.PDFPreferCSSPageSize(), chromedp.PDFPrintBackground()))
			h.must(err)
			if n := len(onePage.FindAll(pdf, -1)); p.pages > 0 && n != p.pages {
				t.Errorf("%s: %d pages, want %d", p.name, n, p.pages)
			}
			if !bytes.Contains(pdf, []byte("/MediaBox [0 0 594.95996 841.91998]")) && !bytes.Contains(pdf, []byte("/MediaBox [0 0 595 842]")) {
				t.Errorf("%s is not on A4: %s", p.name, mediaBox.Find(pdf))
			}
			if *shots != "" {
				h.must(os.WriteFile(filepath.Join(*shots, "print-"+p.name+".pdf"), pdf, 0o644))
			}
		}
		h.must(chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
			_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
			return err
		}), chromedp.EmulateViewport(794, 1123)))
		shown, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`getComputedStyle(document.querySelector('.a4 h1')).display !== 'none'`))
		h.must(err)
		if draft := p.name == "preview"; shown == draft {
			t.Errorf("%s: the printer gets the document: %v", p.name, shown)
		}
		if *shots != "" {
			png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			h.must(err)
			h.must(writeShot("print-"+p.name, png))
		}
	}
}

var (
	onePage  = regexp.MustCompile(`/Type /Page\b`)
	mediaBox = regexp.MustCompile(`/MediaBox \[[^\]]*\]`)
)

// The report of a month has every camera that was in service in it, up to when it was retired. Covers F3.
func TestRetiredCameraInTheMonthlyReport(t *testing.T) {
	h := newEnv(t)
	for _, cam := range h.site.Cameras() {
		if cam.ID != "c03" {
			continue
		}
		gone := cam
		gone.Retired = true
		h.moment(time.Date(2026, 5, 12, 0, 0, 0, 0, shanghai), func() { h.must(h.site.PutCamera(t.Context(), account.System, gone, nil)) })
	}
	p := h.certificates()
	for month, want := range map[string]bool{"2026-04": true, "2026-05": true, "2026-06": false} {
		ids, err := p.InService(t.Context(), month)
		h.must(err)
		if slices.Contains(ids, "c03") != want || !slices.Contains(ids, "c01") {
			t.Errorf("%s: %v", month, ids)
		}
	}
	r, err := p.Months(t.Context(), []string{"c03"}, "2026-05")
	h.must(err)
	if most := 11 * 24 * time.Hour; r[0].Ought > most {
		t.Errorf("ought %v, in service for %v", r[0].Ought, most)
	}
	page := h.as("zheng").get("/keeping/report?month=2026-05")
	if name := h.cameraName("c03"); page.status != 200 || !strings.Contains(page.Body, name) {
		t.Errorf("%d, without %s", page.status, name)
	}
}

func (h *env) cameraName(id string) string {
	c, _ := h.site.Camera(id)
	return c.Name
}

// What is given of a longer list says so, in the file and in its entry.
func TestAnExtractSaysHowMuchOfHowMuch(t *testing.T) {
	h := newEnv(t)
	h.scene()
	r := h.as("guo").post("/log/export", url.Values{"format": {"csv"}, "query": {"group=refused"}})
	e := h.newest(1)[0]
	var d struct{ Count, Of int }
	h.must(json.Unmarshal(e.Data, &d))
	if r.status != 200 || d.Count == 0 || d.Of != d.Count || len(e.Sealed) != 1 || !strings.Contains(r.Body, fmt.Sprintf("本文件 %d 条，符合条件共 %d 条", d.Count, d.Of)) {
		t.Errorf("%d, %+v\n%s", r.status, d, r.Body)
	}
}
