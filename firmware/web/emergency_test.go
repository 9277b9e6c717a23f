package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"campuskeep/shared/clock"
	rules "campuskeep/shared/emergency"
)

// drill opens a fire drill through the page and gives its id.
func (v *visitor) drill() string {
	v.h.t.Helper()
	r := v.post("/emergency/drill", url.Values{"kind": {"fire"}, "detail": {"博学楼全楼"}})
	if r.status != http.StatusSeeOther {
		v.h.t.Fatalf("drill: %d\n%s", r.status, r.text())
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(r.header.Get("Location"), "/emergency/"), "?")
	return id
}

func (v *visitor) counts(id string) (out struct {
	Count   rules.Count
	Missing []struct{ Student, Name, Reader string }
	Unknown []struct{ Text string }
}) {
	v.h.t.Helper()
	r := v.get("/api/v1/emergencies/" + id)
	if r.status != http.StatusOK {
		v.h.t.Fatalf("counts: %d\n%s", r.status, r.Body)
	}
	v.h.must(json.Unmarshal([]byte(r.Body), &out))
	return out
}

// Covers S11: from the two taps that open a drill to its record, over the pages that people use: control, class
// teacher, and a colleague who has another class's pupil with her.
func TestADrillOverThePages(t *testing.T) {
	h := newEnv(t)
	for n := range 5 {
		h.tap(1, n)
		h.clock.pass(time.Minute)
	}
	zheng, luo, fan := h.as("zheng"), h.as("luo"), h.as("fan")
	if r := fan.post("/emergency/drill", url.Values{"kind": {"fire"}}); r.status != http.StatusForbidden {
		t.Errorf("a drill is ordered by those on duty: %d", r.status)
	}
	id := zheng.drill()
	if got := zheng.counts(id).Count; got.Expected < 5 || got.Open != got.Expected {
		t.Fatalf("at first: %+v", got)
	}
	if r := luo.get("/"); !strings.Contains(r.Body, "/emergency/"+id+"/class/2023-01") {
		t.Error("the class teacher's page does not lead to the class")
	}
	page := luo.get("/emergency/" + id + "/class/2023-01")
	batch := regexp.MustCompile(`name="batch" value="([0-9a-f]+)"`).FindStringSubmatch(page.Body)
	if page.status != http.StatusOK || batch == nil || !strings.Contains(page.Body, "安知予") {
		t.Fatalf("the roll: %d\n%s", page.status, page.text())
	}
	form := url.Values{"batch": {batch[1]}, "m." + h.pupils[0]: {"safe"}, "m." + h.pupils[1]: {"missing"}, "n." + h.pupils[1]: {"同学说去了三楼"}, "m." + h.pupils[2]: {"injured"}}
	size := h.store.Size()
	for range 2 { // the answer was lost, the phone sends again
		if r := luo.post("/emergency/"+id+"/class/2023-01", form); r.status != http.StatusSeeOther {
			t.Fatalf("%d\n%s", r.status, r.text())
		}
	}
	if n := h.store.Size() - size; n != 2 { // the count, and what was said of one pupil
		t.Errorf("%d entries", n)
	}
	if r := luo.get("/emergency/" + id + "/class/2023-02"); r.status != http.StatusForbidden {
		t.Errorf("another's class: %d", r.status)
	}
	c := zheng.counts(id)
	if c.Count.Safe != 1 || c.Count.Missing != 1 || c.Count.Injured != 1 || c.Missing[0].Name != "白以宁" || c.Missing[0].Reader != "r01" {
		t.Errorf("%+v", c)
	}
	control := zheng.get("/emergency/" + id)
	for _, want := range []string{"白以宁", "同学说去了三楼", "东大门 1 号", "三年级"} {
		if !strings.Contains(control.Body, want) {
			t.Errorf("the control page lacks %s\n%s", want, control.text())
		}
	}
	if r := fan.post("/emergency/"+id+"/found/search", url.Values{"q": {"白以"}}); r.status != http.StatusOK || !strings.Contains(r.Body, h.pupils[1]) {
		t.Errorf("search: %d\n%s", r.status, r.text())
	}
	if h.count("emergency.search") != 1 {
		t.Error("the search is no entry")
	}
	for i, f := range []url.Values{{"student": {h.pupils[1]}}, {"name": {"没有这个人"}}} {
		f.Set("batch", fmt.Sprintf("found%05d", i))
		f.Set("state", "safe")
		if r := fan.post("/emergency/"+id+"/found", f); r.status != http.StatusSeeOther {
			t.Errorf("%d\n%s", r.status, r.text())
		}
	}
	if c := zheng.counts(id); c.Count.Missing != 0 || c.Count.Elsewhere != 1 || len(c.Unknown) != 1 {
		t.Errorf("found: %+v", c)
	}
	if r := luo.post("/api/v1/emergencies/"+id+"/class/2023-01", url.Values{"batch": {"phonephone"}, "rest": {"1"}, "done": {"1"}}); r.status != http.StatusOK || !strings.Contains(r.Body, `"done":"`) {
		t.Errorf("the rest: %d %s", r.status, r.Body)
	}
	if r := zheng.post("/emergency/"+id+"/close", nil); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "未清点") {
		t.Errorf("closed with a class silent: %d\n%s", r.status, r.text())
	}
	if r := zheng.post("/emergency/"+id+"/close", url.Values{"reason": {"二班当日外出活动"}}); r.status != http.StatusSeeOther {
		t.Errorf("%d\n%s", r.status, r.text())
	}
	r := zheng.get("/emergency/" + id)
	rev := regexp.MustCompile(`name="rev" value="(\d+)"`).FindStringSubmatch(r.Body)
	if rev == nil {
		t.Fatalf("no record to write:\n%s", r.text())
	}
	record := url.Values{"rev": {rev[1]}, "investigation": {"演练按预案进行"}, "lessons": {"三楼东侧要有人引导"}, "what." + h.pupils[2]: {"手掌擦伤"}}
	if r := zheng.post("/emergency/"+id+"/record", record); r.status != http.StatusSeeOther {
		t.Errorf("%d\n%s", r.status, r.text())
	}
	if r := zheng.get("/emergency/" + id); !strings.Contains(r.Body, "三楼东侧要有人引导") || !strings.Contains(r.Body, "手掌擦伤") {
		t.Errorf("the record is not shown\n%s", r.text())
	}
}

// Covers S11: anybody who works here may start counting in a real event, without a one-time code, and take a mistake
// back; it works while the clock is in doubt. The head count is on paper only after its entry.
func TestARealEvent(t *testing.T) {
	h := newEnv(t)
	h.clock.change(func(r *clock.Reading) { r.State = clock.Suspect })
	fan, zheng := h.as("fan"), h.as("zheng")
	r := fan.post("/emergency/open", url.Values{"kind": {"earthquake"}})
	if r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	e := h.emergency.Running()[0]
	if e.Drill || !e.Whole || !e.Opened.Doubt {
		t.Errorf("%+v", e)
	}
	if r := fan.get("/emergency/" + e.ID); r.status != http.StatusForbidden {
		t.Errorf("the control page of the school for everybody: %d", r.status)
	}
	if r := zheng.get("/emergency/" + e.ID + "/sheet"); !strings.Contains(r.Body, "预览件") {
		t.Errorf("a preview that prints: %d", r.status)
	}
	r = zheng.post("/emergency/"+e.ID+"/print", nil)
	if r = zheng.get(r.header.Get("Location")); r.status != http.StatusOK || !strings.Contains(r.Body, "data-print") || !strings.Contains(r.Body, "安知予") {
		t.Errorf("the sheet: %d\n%s", r.status, r.text())
	}
	if r := fan.post("/emergency/"+e.ID+"/undo", nil); r.status != http.StatusSeeOther || len(h.emergency.Running()) != 0 {
		t.Errorf("taken back: %d", r.status)
	}
	for _, bad := range []url.Values{{"kind": {"war"}}, {"kind": {"fire"}, "class": {"1999-01"}}, {"kind": {"fire"}, "place": {"nowhere"}}, {"kind": {"fire"}, "detail": {strings.Repeat("长", 201)}}} {
		if r := fan.post("/emergency/open", bad); r.status != http.StatusUnprocessableEntity {
			t.Errorf("%v: %d", bad, r.status)
		}
	}
}
