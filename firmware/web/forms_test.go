package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/usage"
)

// What is wrong with an application is reported at its field, in words; nothing is half-done. Covers
// F4.
func TestFaultsOfAnApplicationAreToldAtTheirFields(t *testing.T) {
	h := newEnv(t)
	fan := h.as("fan")
	for name, x := range map[string]struct {
		change func(url.Values)
		want   string
		field  string
	}{
		"nothing filled in": {func(f url.Values) {
			for k := range f {
				f.Del(k)
			}
		}, "请填写", "f-reason"},
		"from after to": {func(f url.Values) {
			f.Set("wanted.0.from", "2026-05-18T09:00")
			f.Set("wanted.0.to", "2026-05-18T08:00")
		}, "结束须晚于开始", "f-wanted.0."},
		"the future": {func(f url.Values) { f.Set("wanted.0.to", "2026-05-20T23:00") }, "时间还没有到", "f-wanted.0."},
		"400 days":   {func(f url.Values) { f.Set("wanted.0.from", "2025-04-14T07:00") }, "请缩短", "f-wanted.0."},
		"long gone": {func(f url.Values) {
			f.Set("wanted.0.from", "2026-03-01T07:00")
			f.Set("wanted.0.to", "2026-03-01T08:00")
		}, "已过", "f-wanted.0."},
		"no such place": {func(f url.Values) { f.Set("wanted.0.place", "校外") }, "没有这个地点", "f-wanted.0."},
		"use of a year": {func(f url.Values) { f.Set("use_until", "2027-05-20") }, "最长", "f-use_until"},
		"promise open":  {func(f url.Values) { f["undertakings"] = f["undertakings"][:3] }, "请确认这一条承诺", "f-undertakings.report"},
		"no recipient": {func(f url.Values) {
			f.Del("recipients.0.name")
			f.Del("recipients.0.unit")
			f.Del("recipients.0.papers")
		}, "请填写", "f-recipients"},
		"purpose 99":   {func(f url.Values) { f.Set("purpose", "99") }, "请从列表中选择", "f-purpose"},
		"a whole book": {func(f url.Values) { f.Set("reason", strings.Repeat("书", 501)) }, "最多 500 字", "f-reason"},
	} {
		f := form("北侧围墙", at(18, 7, 0), at(18, 8, 0))
		x.change(f)
		size := h.store.Size()
		r := fan.post("/applications/new", f)
		if r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, x.want) || !strings.Contains(r.Body, `href="#`+x.field) {
			t.Errorf("%s: %d, want %q at %q\n%s", name, r.status, x.want, x.field, r.text())
		}
		if name != "nothing filled in" && name != "a whole book" && !strings.Contains(r.Body, "4月21日早读前一名学生") {
			t.Errorf("%s: what was typed is gone", name)
		}
		if h.store.Size() != size || len(h.usage.List()) != 0 {
			t.Errorf("%s: something was written", name)
		}
	}
}

// A button adds a line and keeps what was typed; the availability map shows what there is. No script is needed.
func TestTheFormGrowsWithoutScript(t *testing.T) {
	h := newEnv(t)
	fan := h.as("fan")
	f := form("东大门", at(8, 15, 0), at(8, 16, 0))
	f.Set("add", "wanted")
	r := fan.post("/applications/new", f)
	if r.status != http.StatusOK || !strings.Contains(r.Body, `name="wanted.1.place"`) || !strings.Contains(r.Body, "缺 20 分钟") || !strings.Contains(r.Body, "到期删除") {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	part := fan.get("/applications/availability?" + f.Encode())
	if part.status != http.StatusOK || !strings.Contains(part.Body, "缺 20 分钟") || strings.Contains(part.Body, "<html") {
		t.Fatalf("the part: %d\n%s", part.status, part.Body)
	}
}

// Submitting holds the footage, and the applicant sees what became of it: approval with its notice, refusal with
// its reason. Covers F4, F6, F7.
func TestAnApplicationFromFormToAnswer(t *testing.T) {
	h := newEnv(t)
	fan, zheng := h.as("fan"), h.as("zheng")
	id := fan.apply(form("北侧围墙", at(18, 7, 0), at(18, 8, 0)))
	if holds := h.usage.Holds(); len(holds) != 1 || !holds[0].Covers("c02", footage.Span{From: at(18, 7, 0), To: at(18, 8, 0)}) {
		t.Fatalf("holds: %+v", holds)
	}
	if page := zheng.get("/"); !strings.Contains(page.Body, "视申〔2026〕001号") {
		t.Errorf("the application does not stand on the page of who decides:\n%s", page.text())
	}
	r := zheng.post("/applications/"+id+"/decide", url.Values{"decision": {"reject"}, "code": {"not_needed"}})
	if r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, `id="f-note-e"`) {
		t.Fatalf("a refusal without its reason in words: %d\n%s", r.status, r.text())
	}
	r = zheng.post("/applications/"+id+"/decide", url.Values{"decision": {"approve"}})
	if r.status != http.StatusUnprocessableEntity {
		t.Fatalf("an approval of nothing: %d", r.status)
	}
	r = zheng.post("/applications/"+id+"/decide", url.Values{"decision": {"reject"}, "code": {"not_needed"}, "note": {"书包已在值班室。"}})
	if r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	page := fan.get("/applications/" + id)
	paper := fan.get("/applications/" + id + "/rejection")
	for name, body := range map[string]string{"page": page.Body, "paper": paper.Body} {
		if !strings.Contains(body, "书包已在值班室。") || !strings.Contains(body, "无须查看录像即可办理") {
			t.Errorf("the %s does not give the reason", name)
		}
	}
	if r := fan.get("/applications/" + id + "/notice"); r.status != http.StatusNotFound {
		t.Errorf("a notice of a refusal: %d", r.status)
	}
	r = zheng.post("/applications/"+id+"/decide", url.Values{"decision": {"approve"}, "cameras": {"c02"}, "ways": {"view"}, "spans": {"0"}, "from": {string(usage.DateOf(present))}, "until": {string(usage.DateOf(present))}})
	if r.status != http.StatusConflict || !strings.Contains(r.Body, "申请现为“不予批准”") {
		t.Errorf("approving a refused application: %d\n%s", r.status, r.text())
	}
}

// A camera in a private area is refused with the rule named. Covers F1, F2.
func TestACameraInAPrivateAreaIsRefused(t *testing.T) {
	h := newEnv(t)
	v := h.as("liang")
	f := url.Values{"id": {"c09"}, "name": {"男宿舍"}, "place": {"男宿舍"}, "area": {"dormitory_room"}, "custody": {"vault"}, "main": {"rtsp://10.20.4.19/main"}, "days": {"30"}}
	r := v.post("/cameras/new", f)
	if r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "私人区域不得安装摄像机，如") || !strings.Contains(r.Body, `id="f-area-e"`) {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	f.Set("area", "corridor")
	f.Set("days", "7")
	if r := v.post("/cameras/new", f); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, `id="f-days-e"`) {
		t.Fatalf("seven days: %d", r.status)
	}
	f.Set("days", "30")
	f.Set("id", "c01")
	if r := v.post("/cameras/new", f); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "编号已被使用") {
		t.Fatalf("an id in use: %d", r.status)
	}
	f.Set("id", "c09")
	f.Set("user", "admin")
	f.Set("password", "camera-secret-2")
	if r := v.post("/cameras/new", f); r.status != http.StatusSeeOther {
		t.Fatalf("a good one: %d\n%s", r.status, r.text())
	}
	login, err := h.site.Credentials("c09")
	h.must(err)
	if page := v.get("/cameras/c09"); login.Password != "camera-secret-2" || strings.Contains(page.Body, login.Password) {
		t.Error("credentials are not kept, or are shown on a page")
	}
}

// People are added with a password shown once; nobody changes their own duties. Covers M3.
func TestPeopleAndTheirRights(t *testing.T) {
	h := newEnv(t)
	v := h.as("liang")
	f := url.Values{"name": {"新老师"}, "login": {"xin"}, "staff_no": {"2026-099"}, "unit": {"教务处"}, "roles": {"staff"}}
	r := v.post("/people/new", f)
	if r.status != http.StatusOK || !strings.Contains(r.Body, "只显示这一次") {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	if r := v.post("/people/new", f); r.status != http.StatusUnprocessableEntity {
		t.Fatalf("the same log-in name again: %d", r.status)
	}
	f["roles"] = []string{"administrator", "security_officer"}
	f.Set("login", "zwei")
	f.Set("staff_no", "2026-100")
	if r := v.post("/people/new", f); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "管理主机的人不得同时") {
		t.Fatalf("duties that exclude each other: %d\n%s", r.status, r.text())
	}
	if r := v.post("/people/"+h.ids["liang"], url.Values{"name": {"梁牧"}, "roles": {"school_leader"}}); r.status != http.StatusForbidden {
		t.Fatalf("own duties: %d", r.status)
	}
	r = v.post("/people/"+h.ids["fan"]+"/password", nil)
	if r.status != http.StatusOK || !strings.Contains(r.Body, "只显示这一次") {
		t.Fatalf("a new password: %d", r.status)
	}
	if n := h.count("person.created"); n < len(staff)+1 {
		t.Errorf("%d entries of new people", n)
	}
}

// The class teacher takes the roll on one page, prefilled from the gate; the reason is for those alone whose duty
// pupils are. Covers S6, S7, S36.
func TestTakingTheRoll(t *testing.T) {
	h := newEnv(t)
	h.clock.change(func(r *clock.Reading) { r.Wall = at(20, 8, 20).UTC() })
	luo := h.as("luo")
	page := luo.get("/gate/class/2023-01")
	if strings.Count(page.Body, `name="student"`) != 6 {
		t.Fatalf("nobody came, and %d may be marked:\n%s", strings.Count(page.Body, `name="student"`), page.text())
	}
	mark := func(student, outcome, minutes, reason string) answer {
		return luo.post("/gate/class/2023-01/mark", url.Values{"student": {student}, "seen": {seenOf(luo.get("/gate/class/2023-01").Body, student)}, "outcome": {outcome}, "minutes": {minutes}, "reason": {reason}})
	}
	if r := mark(h.pupils[0], "late", "many", ""); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, `id="f-minutes-`+h.pupils[0]+`-e"`) {
		t.Errorf("many minutes: %d\n%s", r.status, r.text())
	}
	if r := mark(h.pupils[0], "dancing", "", ""); r.status != http.StatusUnprocessableEntity {
		t.Errorf("dancing: %d", r.status)
	}
	if r := mark(h.pupils[6], "present", "", ""); r.status != http.StatusNotFound {
		t.Errorf("a pupil of another class: %d", r.status)
	}
	if r := luo.post("/gate/class/2023-02/mark", url.Values{"student": {h.pupils[6]}, "outcome": {"present"}}); r.status != http.StatusForbidden {
		t.Errorf("another class: %d", r.status)
	}
	if h.count("attendance.mark") != 0 {
		t.Error("something was recorded")
	}
	if r := mark(h.pupils[0], "leave.sick", "", "发热，家长已来电"); r.status != http.StatusSeeOther {
		t.Fatalf("sick leave: %d\n%s", r.status, r.text())
	}
	if page := luo.get("/gate/class/2023-01"); strings.Count(page.Body, "安知予") != 1 || !strings.Contains(page.Body, "<b>1</b>请假") {
		t.Errorf("afterwards:\n%s", page.text())
	}
	entry := fmt.Sprintf("/log/%d", h.seqOf("attendance.mark"))
	if r := h.as("zheng").get(entry); !strings.Contains(r.Body, "发热") {
		t.Errorf("the head of safety does not see the reason: %d", r.status)
	}
	if r := h.as("guo").get(entry); r.status != http.StatusOK || strings.Contains(r.Body, "发热") {
		t.Errorf("the supervision group: %d, and sees the reason", r.status)
	}
}

// Settings and the time that two people state take what is sensible and say what is not.
func TestSettingsAndClock(t *testing.T) {
	h := newEnv(t)
	v := h.as("liang")
	f := url.Values{"rev": {strconv.FormatUint(h.site.SettingsRev(), 10)}, "camera_time": {"24"}, "session_idle": {"30"}, "session_hours": {"12"}, "password_days": {"0"}, "use_days": {"14"}, "undecided_days": {"10"}, "complaint_days": {"5"}, "report_days": {"30"}, "filing_days": {"7"}}
	if r := v.post("/settings", f); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, `id="f-report_days-e"`) {
		t.Fatalf("thirty days to report: %d\n%s", r.status, r.text())
	}
	f.Set("report_days", "7")
	if r := v.post("/settings", f); r.status != http.StatusSeeOther || h.count("config.change") == 0 {
		t.Fatalf("good settings: %d", r.status)
	}
	f.Set("use_days", "20") // from the page as it was before
	if r := v.post("/settings", f); r.status != http.StatusConflict || !strings.Contains(r.Body, "现在登记的是“14”") || h.site.Settings().Register.UseDays != 14 {
		t.Errorf("an old form: %d", r.status)
	}
	h.clock.change(func(r *clock.Reading) { r.State = 0 })
	if page := v.get("/footage"); !strings.Contains(page.Body, "暂不删除录像") || !strings.Contains(page.Body, "等待第二个不同来源") {
		t.Errorf("no banner says what the clock waits for:\n%s", page.Body[:2000])
	}
	zheng, stated := h.as("zheng"), present.Format("2006-01-02T15:04")
	for _, x := range []struct {
		who    *visitor
		at     string
		status int
	}{{v, "noon", 422}, {v, stated, 303}, {v, stated, 422}, {zheng, stated, 303}} {
		if r := x.who.post("/clock", url.Values{"at": {x.at}}); r.status != x.status {
			t.Errorf("stating %q: %d, want %d\n%s", x.at, r.status, x.status, r.text())
		}
	}
}

// seenOf is the status of a pupil's day on a page.
func seenOf(page, student string) string {
	_, rest, _ := strings.Cut(page, `name="student" value="`+student+`"`)
	_, rest, _ = strings.Cut(rest, `name="seen" value="`)
	seen, _, _ := strings.Cut(rest, `"`)
	return seen
}
