package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"campuskeep/shared/footage"
	"campuskeep/shared/usage"
)

func watch(camera, from, to string) url.Values {
	return url.Values{"camera": {camera}, "day": {"2026-05-18"}, "from": {from}, "to": {to}, "purpose": {"围墙翻越报警核实"}}
}

// The access entry is in the log before the first byte, and says who, from where and why. Covers F13.
func TestAViewingIsLoggedBeforeTheFirstByte(t *testing.T) {
	h := newEnv(t)
	v := h.as("zheng")
	size := h.store.Size()
	r := v.post("/footage/view", watch("c02", "07:00", "07:20"))
	if r.status != http.StatusSeeOther {
		t.Fatalf("opening: %d\n%s", r.status, r.text())
	}
	e, err := h.store.Entry(size)
	h.must(err)
	if e.Kind != "footage.access.open" || e.Actor.ID != h.ids["zheng"] || e.From.Address != "127.0.0.1" || e.Subject != "c02" {
		t.Fatalf("the entry is %+v", e)
	}
	parts, err := h.store.Parts(size)
	h.must(err)
	if len(parts) != 1 || string(parts[0].Plain) != "围墙翻越报警核实" {
		t.Fatalf("the purpose is %+v", parts)
	}
	id := strings.TrimPrefix(r.header.Get("Location"), "/view/")
	page := v.get("/view/" + id)
	for _, want := range []string{"郑守川", "127.0.0.1", "岗位职责", "data-player", "player."} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the player page does not show %q", want)
		}
	}
	media := v.get("/media/" + id + "/ab/3.m4s")
	if media.status != http.StatusOK || media.Body != string(frames) || !strings.Contains(media.header.Get("Cache-Control"), "no-store") {
		t.Fatalf("fragment: %d %q %q", media.status, media.Body, media.header.Get("Cache-Control"))
	}
	if r := v.post("/view/"+id+"/close", url.Values{"button": {"1"}}); r.status != http.StatusSeeOther {
		t.Fatalf("closing: %d", r.status)
	}
	var closed struct {
		Viewing   string
		Delivered []footage.Span
		Bytes     int
		Reason    string
	}
	end := h.newest(1)[0]
	h.must(json.Unmarshal(end.Data, &closed))
	if end.Kind != "footage.access.close" || closed.Viewing != id || closed.Bytes != len(frames) || len(closed.Delivered) != 1 ||
		!closed.Delivered[0].From.Equal(at(18, 7, 0).Add(3*time.Second)) {
		t.Fatalf("the closing entry is %s", end.Data)
	}
	if r := v.get("/media/" + id + "/ab/4.m4s"); r.status != http.StatusGone || strings.Contains(r.Body, string(frames)) {
		t.Fatalf("after the end: %d", r.status)
	}
}

// When the entry cannot be committed nothing is shown: 503, and not a byte of footage. Covers F13.
func TestWithoutTheEntryThereIsNothing(t *testing.T) {
	h := newEnv(t)
	v := h.as("zheng")
	h.ring.with(errors.New("the disk is full"))
	size := h.store.Size()
	r := v.post("/footage/view", watch("c02", "07:00", "07:20"))
	if r.status != http.StatusServiceUnavailable || strings.Contains(r.Body, string(frames)) {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	if !strings.Contains(r.Body, "日志无法写入，系统未播放任何画面") {
		t.Errorf("the page does not say why:\n%s", r.text())
	}
	if h.store.Size() != size || len(h.screen.open) != 0 {
		t.Errorf("something was opened: %d entries more, %d in the player", h.store.Size()-size, len(h.screen.open))
	}
	h.ring.with(nil)
	if r := v.post("/footage/view", watch("c02", "07:00", "07:20")); r.status != http.StatusSeeOther {
		t.Fatalf("afterwards: %d\n%s", r.status, r.text())
	}
}

// A viewing is its opener's alone; a session that ended, or an approval that was revoked, ends it. Covers F10, F12.
func TestAViewingIsItsOpenersAlone(t *testing.T) {
	h := newEnv(t)
	ids := h.scene()
	fan, lin, zheng := h.as("fan"), h.as("lin"), h.as("zheng")
	r := fan.post("/footage/view", url.Values{"camera": {"c01"}, "day": {"2026-05-08"}, "from": {"14:40"}, "to": {"15:00"}})
	if r.status != http.StatusSeeOther {
		t.Fatalf("opening under the approval: %d\n%s", r.status, r.text())
	}
	id := strings.TrimPrefix(r.header.Get("Location"), "/view/")
	part := "/media/" + id + "/ab/0.m4s"
	if r := fan.get(part); r.Body != string(frames) {
		t.Fatalf("the opener: %d %q", r.status, r.Body)
	}
	for name, other := range map[string]*visitor{"the leader": lin, "the head": zheng} {
		if r := other.get(part); r.status != http.StatusForbidden || strings.Contains(r.Body, string(frames)) {
			t.Errorf("%s: %d", name, r.status)
		}
	}
	if r := h.visit().get(part); r.status != http.StatusUnauthorized || strings.Contains(r.Body, string(frames)) {
		t.Errorf("nobody: %d", r.status)
	}
	if r := zheng.post("/applications/"+ids["approved"]+"/revoke", url.Values{"reason": {"改用他法查明"}}); r.status != http.StatusSeeOther {
		t.Fatalf("revoking: %d\n%s", r.status, r.text())
	}
	if r := fan.get(part); r.status == http.StatusOK || strings.Contains(r.Body, string(frames)) {
		t.Errorf("after the revocation: %d", r.status)
	}
	if r := fan.post("/footage/view", url.Values{"camera": {"c01"}, "day": {"2026-05-08"}, "from": {"14:40"}, "to": {"15:00"}}); r.status != http.StatusForbidden {
		t.Errorf("opening after the revocation: %d", r.status)
	}
	other := h.as("lin")
	r = other.post("/footage/view", watch("c02", "07:00", "07:20"))
	mine := "/media/" + strings.TrimPrefix(r.header.Get("Location"), "/view/") + "/ab/0.m4s"
	other.post("/logout", nil)
	if r := other.get(mine); r.status != http.StatusUnauthorized {
		t.Errorf("after logging out: %d", r.status)
	}
}

// An approval opens exactly what it says: nothing beside it. Covers F5, F12.
func TestAnApprovalOpensExactlyWhatItSays(t *testing.T) {
	h := newEnv(t)
	h.scene()
	fan := h.as("fan")
	for name, f := range map[string]url.Values{
		"another camera": {"camera": {"c02"}, "day": {"2026-05-08"}, "from": {"14:40"}, "to": {"15:00"}},
		"earlier":        {"camera": {"c01"}, "day": {"2026-05-08"}, "from": {"14:20"}, "to": {"14:50"}},
		"later":          {"camera": {"c01"}, "day": {"2026-05-08"}, "from": {"15:40"}, "to": {"15:50"}},
		"another day":    {"camera": {"c01"}, "day": {"2026-05-09"}, "from": {"14:40"}, "to": {"15:00"}},
	} {
		if r := fan.post("/footage/view", f); r.status != http.StatusForbidden {
			t.Errorf("%s: %d", name, r.status)
		}
	}
	h.clock.pass(5 * 24 * time.Hour)
	fan = h.as("fan")
	if r := fan.post("/footage/view", url.Values{"camera": {"c01"}, "day": {"2026-05-08"}, "from": {"14:40"}, "to": {"15:00"}}); r.status != http.StatusForbidden {
		t.Errorf("after the end of use: %d", r.status)
	}
}

// A purpose is stated once per incident; without one nobody watches by duty.
func TestAPurposeIsStatedOncePerIncident(t *testing.T) {
	h := newEnv(t)
	v := h.as("zheng")
	f := watch("c02", "07:00", "07:20")
	f.Del("purpose")
	if r := v.post("/footage/view", f); r.status != http.StatusForbidden || !strings.Contains(r.Body, "查看事由") {
		t.Fatalf("without a purpose: %d\n%s", r.status, r.text())
	}
	if r := v.post("/footage/view", watch("c02", "07:00", "07:20")); r.status != http.StatusSeeOther {
		t.Fatalf("with one: %d", r.status)
	}
	if r := v.post("/footage/view", f); r.status != http.StatusSeeOther {
		t.Fatalf("again within the incident: %d", r.status)
	}
	if page := v.get("/footage?camera=c02&day=2026-05-18&t=07:00"); strings.Contains(page.Body, `name="purpose"`) {
		t.Error("the page asks for the purpose again")
	}
	h.clock.pass(31 * time.Minute)
	v = h.as("zheng")
	if r := v.post("/footage/view", f); r.status != http.StatusForbidden {
		t.Fatalf("after the incident: %d", r.status)
	}
}

// Absurd times are reported at their field, and nothing is opened.
func TestAbsurdTimesOfAViewing(t *testing.T) {
	h := newEnv(t)
	v := h.as("zheng")
	for name, x := range map[string]struct {
		change func(url.Values)
		want   string
	}{
		"end before start": {func(f url.Values) { f.Set("to", "06:00") }, "结束须晚于开始"},
		"no time":          {func(f url.Values) { f.Set("from", "") }, "请填写时刻"},
		"not a time":       {func(f url.Values) { f.Set("from", "25:99") }, "请填写时刻"},
		"not a day":        {func(f url.Values) { f.Set("day", "yesterday") }, "请填写时刻"},
		"too long":         {func(f url.Values) { f.Set("to", "23:00") }, "一次最长"},
		"the future":       {func(f url.Values) { f.Set("day", "2027-05-18") }, "时间还没有到"},
	} {
		f := watch("c02", "07:00", "07:20")
		x.change(f)
		r := v.post("/footage/view", f)
		if r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, x.want) {
			t.Errorf("%s: %d, want %q\n%s", name, r.status, x.want, r.text())
		}
	}
	if r := v.post("/footage/view", watch("c99", "07:00", "07:20")); r.status != http.StatusNotFound {
		t.Errorf("an unknown camera: %d", r.status)
	}
	if n := h.count("footage.access.open"); n != 0 {
		t.Errorf("%d viewings were opened", n)
	}
}

// A viewing that nobody watches any more is closed by itself, with what it was given.
func TestAnIdleViewingIsClosed(t *testing.T) {
	h := newEnv(t)
	v := h.as("zheng")
	r := v.post("/footage/view", watch("c02", "07:00", "07:20"))
	id := strings.TrimPrefix(r.header.Get("Location"), "/view/")
	h.screen.idle = []string{id}
	h.viewings.CloseIdle(t.Context())
	if e := h.newest(1)[0]; e.Kind != "footage.access.close" || !strings.Contains(string(e.Data), `"idle"`) {
		t.Fatalf("%s %s", e.Kind, e.Data)
	}
}

// A security officer sees the ribbon, but may not decide on the own application: on the page and by a direct
// request with a valid session. Covers F5.
func TestNobodyDecidesOnTheirOwn(t *testing.T) {
	h := newEnv(t)
	lin := h.as("lin")
	f := form("北侧围墙", at(18, 7, 0), at(18, 8, 0))
	id := lin.apply(f)
	page := lin.get("/applications/" + id)
	if strings.Contains(page.Body, `name="decision"`) || !strings.Contains(page.Body, "不能审核、批准自己的申请") {
		t.Errorf("the page offers it:\n%s", page.text())
	}
	r := lin.post("/applications/"+id+"/decide", url.Values{"decision": {"approve"}, "cameras": {"c02"}, "ways": {"view"}, "spans": {"0"}, "from": {string(usage.DateOf(present))}, "until": {string(usage.DateOf(present))}})
	if r.status != http.StatusForbidden {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	e := h.newest(1)[0]
	if e.Kind != "access.refused" || e.Subject != id || !strings.Contains(string(e.Data), "may.own_application") {
		t.Errorf("%s %s %s", e.Kind, e.Subject, e.Data)
	}
	a, err := h.usage.Get(id)
	h.must(err)
	if a.Decision != nil {
		t.Error("it was decided")
	}
}

// Live pictures are for the officer who is signed in at the control room, and end with the shift. Covers F20.
func TestLiveIsForWhoIsOnShift(t *testing.T) {
	h := newEnv(t)
	v := h.as("zhou")
	r := v.get("/live")
	if r.status != http.StatusForbidden || !strings.Contains(r.Body, `action="/shift/begin"`) {
		t.Fatalf("before signing in: %d\n%s", r.status, r.text())
	}
	if r := h.as("zheng").post("/shift/begin", nil); r.status != http.StatusForbidden {
		t.Errorf("the head signs in: %d", r.status)
	}
	if r := v.post("/shift/begin", nil); r.status != http.StatusSeeOther || h.newest(1)[0].Kind != "shift.began" {
		t.Fatalf("signing in: %d", r.status)
	}
	if r := v.get("/live"); r.status != http.StatusOK || !strings.Contains(r.Body, "东大门外") {
		t.Fatalf("on shift: %d\n%s", r.status, r.text())
	}
	if r := v.post("/live/view", url.Values{"camera": {"c01"}}); r.status != http.StatusForbidden || h.count("footage.access.open") != 0 {
		t.Fatalf("watching for no purpose: %d\n%s", r.status, r.text())
	}
	r = v.post("/live/view", url.Values{"camera": {"c01"}, "purpose": {"例行巡视"}})
	if r.status != http.StatusSeeOther {
		t.Fatalf("watching: %d\n%s", r.status, r.text())
	}
	page := v.get(r.header.Get("Location"))
	if e := h.newest(1)[0]; e.Kind != "footage.access.open" || !strings.Contains(string(e.Data), `"live"`) || !strings.Contains(page.Body, "data-live-view") {
		t.Fatalf("%s %s\n%s", e.Kind, e.Data, page.text())
	}
	media := "/media/" + strings.TrimPrefix(r.header.Get("Location"), "/view/") + "/ab/0.m4s"
	if r := v.get(media); r.Body != string(frames) {
		t.Fatalf("live: %d", r.status)
	}
	if r := v.post("/shift/end", nil); r.status != http.StatusSeeOther || h.count("shift.ended") != 1 || h.newest(1)[0].Kind != "footage.access.close" {
		t.Fatalf("signing off: %d", r.status)
	}
	if r := v.get(media); r.status == http.StatusOK {
		t.Error("live pictures after the shift")
	}
}
