package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/shift"
)

var notes = url.Values{"happened": {"17:20 自行车棚有学生争执，已劝离。"}, "equipment": {"自行车棚摄像机离线，已报修。"}, "open": {"晚间清校时复查。"}}

// sign is what the incoming officer types at the screen.
func (h *env) sign(name string) url.Values {
	return url.Values{"user": {name}, "password": {password}, "code": {h.code(name)}}
}

// handedOver is a day with a hand-over from zhou to wei, both in the browser that is given back.
func (h *env) handedOver() *visitor {
	h.t.Helper()
	h.as("wei") // first log-in and second factor
	v := h.as("zhou")
	v.post("/shift/begin", nil)
	v.post("/api/v1/live", url.Values{"camera": {"c01"}, "purpose": {"例行巡视"}})
	v.post("/api/v1/live", url.Values{"camera": {"c02"}})
	h.clock.pass(20 * time.Minute)
	if r := v.post("/shift/handover", notes); r.status != http.StatusSeeOther {
		h.t.Fatalf("notes: %d\n%s", r.status, r.text())
	}
	if r := v.post("/shift/sign", h.sign("wei")); r.status != http.StatusSeeOther || r.header.Get("Location") != "/duty" || r.done() != "done.handed_over" {
		h.t.Fatalf("signature: %d %s\n%s", r.status, r.header.Get("Location"), r.text())
	}
	return v
}

// dutyPages hands over a shift and lists the control room's pages as the incoming officer sees them.
func (h *env) dutyPages() []struct{ name, who, path string } {
	h.t.Helper()
	v := h.handedOver()
	r := h.as("zheng").post("/duty/print", url.Values{"day": {"2026-05-20"}})
	v.post("/shift/handover", url.Values{"happened": {"例行巡视两次，无异常。"}, "equipment": {"设备正常。"}})
	return []struct{ name, who, path string }{{"live", "wei", "/live"}, {"live-16", "wei", "/live?size=16"}, {"handover", "wei", "/shift/handover"}, {"handover-notes", "wei", "/shift/handover?edit=1"},
		{"leave", "wei", "/shift/leave"}, {"duty", "zheng", "/duty"}, {"duty-empty", "zheng", "/duty?day=2026-05-19"}, {"duty-sheet", "zheng", r.header.Get("Location")}}
}

// Covers F20, M7: notes, then the next officer's own password and code at the same screen; the screen is theirs from
// then on, and nothing of the other's goes on.
func TestHandOverAtTheScreen(t *testing.T) {
	h := newEnv(t)
	h.as("wei")
	h.as("zheng")
	v := h.as("zhou")
	if r := v.get("/shift/handover"); r.status != http.StatusSeeOther {
		t.Fatalf("without a shift: %d", r.status)
	}
	v.post("/shift/begin", nil)
	r := v.post("/live/view", url.Values{"camera": {"c01"}, "purpose": {"例行巡视"}})
	media := "/media/" + strings.TrimPrefix(r.header.Get("Location"), "/view/") + "/ab/0.m4s"
	if r := v.post("/shift/handover", url.Values{"happened": {""}}); r.status != http.StatusUnprocessableEntity || strings.Count(r.Body, `class="err"`) != 2 {
		t.Fatalf("empty notes: %d\n%s", r.status, r.text())
	}
	if r := v.get("/shift/handover"); strings.Contains(r.Body, `action="/shift/sign"`) {
		t.Error("a signature is asked for before there are notes")
	}
	if r := v.post("/shift/sign", h.sign("wei")); r.status != http.StatusConflict {
		t.Fatalf("signed without notes: %d\n%s", r.status, r.text())
	}
	if r := v.post("/shift/handover", notes); r.status != http.StatusSeeOther || h.newest(1)[0].Kind != "shift.offered" {
		t.Fatalf("notes: %d\n%s", r.status, r.text())
	}
	page := v.get("/shift/handover")
	if !strings.Contains(page.Body, "已劝离") || !strings.Contains(page.Body, `action="/shift/sign"`) || !strings.Contains(page.Body, "魏知行") {
		t.Fatalf("%s", page.text())
	}
	for name, x := range map[string]struct {
		form   url.Values
		status int
		want   string
	}{
		"nothing":        {url.Values{}, http.StatusUnprocessableEntity, "必填"},
		"oneself":        {h.sign("zhou"), http.StatusUnprocessableEntity, "接班人须是另一人"},
		"wrong password": {url.Values{"user": {"wei"}, "password": {"guess guess guess"}, "code": {"123456"}}, http.StatusUnauthorized, "不对"},
		"wrong code":     {url.Values{"user": {"wei"}, "password": {password}, "code": {"000000"}}, http.StatusUnauthorized, "动态口令不对"},
		"not an officer": {h.sign("zheng"), http.StatusForbidden, "郑守川"},
	} {
		r := v.post("/shift/sign", x.form)
		if r.status != x.status || !strings.Contains(r.text(), x.want) {
			t.Errorf("%s: %d, want %d with %q\n%s", name, r.status, x.status, x.want, r.text())
		}
		if !h.usage.OnShift(h.ids["zhou"]) {
			t.Fatalf("%s ended the shift", name)
		}
	}
	if r := v.get(media); r.Body != string(frames) {
		t.Fatalf("an unsigned hand-over ended the viewing: %d", r.status)
	}
	if r := h.as("zheng").get("/"); !strings.Contains(r.Body, "交接班待签字") {
		t.Error("the unsigned hand-over is not shown")
	}
	old := v.token()
	if r := v.post("/shift/sign", h.sign("wei")); r.status != http.StatusSeeOther || r.header.Get("Location") != "/duty" || r.done() != "done.handed_over" {
		t.Fatalf("signature: %d %s\n%s", r.status, r.header.Get("Location"), r.text())
	}
	if h.usage.OnShift(h.ids["zhou"]) || !h.usage.OnShift(h.ids["wei"]) {
		t.Fatalf("%+v", h.usage.OpenShifts())
	}
	if page := v.get("/account"); !strings.Contains(page.Body, "魏知行") {
		t.Errorf("the screen is not the incoming officer's:\n%s", page.text())
	}
	if _, err := h.people.Session(t.Context(), old, false); err == nil {
		t.Error("the outgoing officer is still logged in")
	}
	if r := v.get(media); r.status == http.StatusOK {
		t.Error("a picture of the shift before")
	}
	if h.count("shift.handed") != 1 || h.count("footage.access.close") != 1 {
		t.Error("hand-over and end of the viewing are not entered")
	}
}

// Covers F20: who is on duty and logs out is asked; the shift ends, or waits for the next log-in; watching ends.
func TestLogOutOnDutyAsks(t *testing.T) {
	h := newEnv(t)
	v := h.as("zhou")
	v.post("/shift/begin", nil)
	if r := v.post("/logout", nil); r.header.Get("Location") != "/shift/leave" {
		t.Fatalf("%d %s", r.status, r.header.Get("Location"))
	}
	if r := v.get("/shift/leave"); r.status != http.StatusOK || strings.Count(r.Body, `name="shift"`) != 2 {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	v.post("/live/view", url.Values{"camera": {"c01"}, "purpose": {"例行巡视"}})
	if r := v.post("/logout", url.Values{"shift": {"keep"}}); r.header.Get("Location") != "/login" {
		t.Fatalf("%d %s", r.status, r.header.Get("Location"))
	}
	if !h.usage.OnShift(h.ids["zhou"]) || h.count("footage.access.close") != 1 {
		t.Fatal("staying on duty: the shift goes on, the viewing does not")
	}
	v = h.as("zhou")
	if r := v.get("/live"); r.status != http.StatusOK {
		t.Fatalf("logged in again: %d", r.status)
	}
	if r := v.post("/logout", url.Values{"shift": {"end"}}); r.header.Get("Location") != "/login" || h.usage.OnShift(h.ids["zhou"]) || h.count("shift.ended") != 1 {
		t.Fatalf("signed off: %d", r.status)
	}
	if r := h.as("zheng").post("/logout", nil); r.header.Get("Location") != "/login" {
		t.Errorf("who is not on duty is asked too: %s", r.header.Get("Location"))
	}
}

// Covers F20: the day's sheet says who was on duty, what was noted, what was watched and why, and where nobody was;
// on paper and as a spreadsheet, each copy an entry.
func TestDutySheet(t *testing.T) {
	h := newEnv(t)
	if r := h.as("guo").get("/duty"); r.status != http.StatusOK || !strings.Contains(r.Body, "这一天没有人值班") {
		t.Fatalf("an empty day: %d\n%s", r.status, r.text())
	}
	h.handedOver()
	v := h.as("zheng")
	page := v.get("/duty")
	for _, want := range []string{"周以宁", "魏知行", "已劝离", "已交接", "例行巡视", "东大门外、北侧围墙", "无人在岗共"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the sheet does not say %q", want)
		}
	}
	if t.Failed() {
		t.Log(page.text())
	}
	if r := v.get("/duty?day=2026-05-19"); r.status != http.StatusOK || strings.Contains(r.Body, "周以宁") {
		t.Errorf("the day before: %d", r.status)
	}
	for _, bad := range []string{"2026-05-21", "yesterday", "2026-13-01"} {
		if r := v.get("/duty?day=" + bad); r.status != http.StatusNotFound {
			t.Errorf("%s: %d", bad, r.status)
		}
	}
	for _, who := range []string{"fan", "liang"} {
		if r := h.as(who).get("/duty"); r.status != http.StatusForbidden {
			t.Errorf("%s sees the sheet: %d", who, r.status)
		}
	}
	r := v.post("/duty/print", url.Values{"day": {"2026-05-20"}})
	sheet := r.header.Get("Location")
	if e := h.newest(1)[0]; r.status != http.StatusSeeOther || e.Kind != "document.printed" || e.Subject != "duty-2026-05-20" {
		t.Fatalf("%d %s", r.status, e.Kind)
	}
	if p := v.get(sheet); p.status != http.StatusOK || !strings.Contains(p.Body, "已劝离") || !strings.Contains(p.Body, "第 1 份") || !strings.Contains(p.Body, "a4__lines") {
		t.Fatalf("%d\n%s", p.status, p.text())
	}
	if p := h.as("guo").get(sheet); p.status != http.StatusNotFound {
		t.Errorf("somebody else's copy: %d", p.status)
	}
	x := v.post("/duty/export", url.Values{"day": {"2026-05-20"}})
	if e := h.newest(1)[0]; e.Kind != "document.printed" || !strings.Contains(string(e.Data), `"copy":2`) {
		t.Fatalf("%s %s", e.Kind, e.Data)
	}
	book, err := excelize.OpenReader(bytes.NewReader([]byte(x.Body)))
	h.must(err)
	rows, err := book.GetRows(book.GetSheetName(0))
	h.must(err)
	all := ""
	for _, row := range rows {
		all += strings.Join(row, "|") + "\n"
	}
	if !strings.Contains(all, "周以宁") || !strings.Contains(all, "已劝离") || !strings.Contains(all, "例行巡视") {
		t.Errorf("%s", all)
	}
	h.must(book.Close())
}

// Covers F13, F20: each tile of the wall opens its own viewing, for a purpose that is stated once.
func TestWallOfLivePictures(t *testing.T) {
	h := newEnv(t)
	v := h.as("zhou")
	v.post("/shift/begin", nil)
	page := v.get("/live?size=9")
	if page.status != http.StatusOK || strings.Count(page.Body, "data-tile") != 3 || strings.Count(page.Body, "data-signal") != 2 || !strings.Contains(page.Body, "wall--9") {
		t.Fatalf("%d\n%s", page.status, page.text())
	}
	cam, _ := h.site.Camera("c03") // what an NVR keeps is on the wall, too
	cam.Custody, cam.Main, cam.Sub, cam.Still = footage.CustodyNVR, "", "", ""
	h.must(h.site.PutCamera(t.Context(), account.System, cam, nil))
	if p := v.get("/live?size=9"); strings.Count(p.Body, "data-tile") != 3 {
		t.Errorf("with a camera of an NVR:\n%s", p.text())
	}
	if p := v.get("/live?size=1&page=2"); !strings.Contains(p.Body, `data-camera="c02"`) || strings.Count(p.Body, "data-tile") != 1 || !strings.Contains(p.Body, `rel="prev"`) {
		t.Errorf("page 2 of single tiles:\n%s", p.text())
	}
	if p := v.get("/live?camera=c02&camera=c03"); strings.Contains(p.Body, `data-camera="c01"`) || strings.Count(p.Body, "data-tile") != 2 {
		t.Errorf("chosen cameras:\n%s", p.text())
	}
	if p := v.get("/live?group=nowhere"); p.status != http.StatusOK || strings.Contains(p.Body, "data-tile") {
		t.Errorf("a group that is not there: %d", p.status)
	}
	var fault struct{ Error string }
	r := v.post("/api/v1/live", url.Values{"camera": {"c01"}})
	if h.must(json.Unmarshal([]byte(r.Body), &fault)); r.status != http.StatusForbidden || fault.Error != "may.no_purpose" {
		t.Fatalf("%d %s", r.status, r.Body)
	}
	var open struct {
		ID, Playlist, Mark, Purpose string
		Entry                       uint64
	}
	r = v.post("/api/v1/live", url.Values{"camera": {"c01"}, "purpose": {"例行巡视"}})
	h.must(json.Unmarshal([]byte(r.Body), &open))
	if r.status != http.StatusOK || h.newest(1)[0].Seq != open.Entry || !strings.Contains(open.Mark, "周以宁") || open.Purpose != "例行巡视" {
		t.Fatalf("%d %s", r.status, r.Body)
	}
	if r := v.get(open.Playlist); r.status != http.StatusOK {
		t.Fatalf("playlist: %d", r.status)
	}
	r = v.post("/api/v1/live", url.Values{"camera": {"c02"}})
	h.must(json.Unmarshal([]byte(r.Body), &open))
	if r.status != http.StatusOK || open.Purpose != "例行巡视" {
		t.Fatalf("the second tile: %d %s", r.status, r.Body)
	}
	if p := v.get("/live"); !strings.Contains(p.Body, "data-ready") {
		t.Error("the page asks for the purpose again")
	}
	h.ring.with(http.ErrServerClosed)
	if r := v.post("/api/v1/live", url.Values{"camera": {"c02"}, "purpose": {"处置突发情况"}}); r.status != http.StatusServiceUnavailable {
		t.Errorf("without its entry: %d %s", r.status, r.Body)
	}
	h.ring.with(nil)
	v.post("/shift/end", nil)
	if r := v.get(open.Playlist); r.status == http.StatusOK {
		t.Error("live pictures after the shift")
	}
}

// Covers F3: the clock page names every source and what it said, what the clock did, and what deletion waits for.
func TestClockPageNamesEverySource(t *testing.T) {
	h := newEnv(t)
	_, err := h.store.Commit(t.Context(), ledgerdb.Change{Entries: []ledger.Draft{account.System.Draft("clock.step", "", "clock", map[string]any{"step_ms": 1860000, "reason": "agreed"})}})
	h.must(err)
	v := h.as("zhou")
	page := v.get("/clock")
	for _, want := range []string{"中心", "主机时钟", "网络时间", "10.0.0.1", "没有回应", "与其他服务器不一致", "一致", "31 分钟<"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	h.clock.change(func(r *clock.Reading) { r.State = clock.Suspect })
	page = v.get("/clock")
	for _, want := range []string{"已报警", "可以解决的来源：", "等待第二个不同来源"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("in doubt the page does not say %q", want)
		}
	}
	if t.Failed() {
		t.Log(page.text())
	}
	if r := v.get("/"); !strings.Contains(r.Body, "时钟已超过一天不可信") {
		t.Error("today does not name the alarm")
	}
}

// Covers F20: a shift that is over by its length gives nothing more, before anybody has written that down.
func TestLiveEndsWithTheLongestShift(t *testing.T) {
	h := newEnv(t)
	v := h.as("zhou")
	v.post("/shift/begin", nil)
	h.clock.pass(shift.Longest)
	v = h.as("zhou")
	if r := v.post("/api/v1/live", url.Values{"camera": {"c01"}, "purpose": {"例行巡视"}}); r.status != http.StatusForbidden || !strings.Contains(r.Body, "may.not_on_shift") {
		t.Fatalf("%d %s", r.status, r.Body)
	}
	s := h.usage.Shifts(footage.Span{From: present.Add(-time.Hour), To: present.Add(24 * time.Hour)})
	if len(s) != 1 || h.usage.OnShift(h.ids["zhou"]) {
		t.Fatalf("%+v", s)
	}
}
