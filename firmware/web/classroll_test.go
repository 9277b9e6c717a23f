package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/records"
	absencepages "campuskeep/firmware/web/pages/absence"
	attendancepages "campuskeep/firmware/web/pages/attendance"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/ledger"
	recordrules "campuskeep/shared/records"
)

// class is a class's page of a period as JSON.
func (v *visitor) class(id, period string) (out attendancepages.APIClass) {
	v.h.t.Helper()
	r := v.get("/api/v1/class/" + id + "?period=" + period)
	if r.status != http.StatusOK {
		v.h.t.Fatalf("class: %d %s", r.status, r.Body)
	}
	v.h.must(json.Unmarshal([]byte(r.Body), &out))
	return out
}

// rollForm is the class as its page would send it unchanged.
func rollForm(c attendancepages.APIClass, key string) url.Values {
	f := url.Values{"date": {c.Date}, "period": {string(c.Period)}, "rev": {strconv.FormatUint(c.Rev, 10)}, "key": {key}}
	for _, p := range c.Pupils {
		f.Set("p."+p.ID, string(p.Presence))
		for _, s := range p.Symptoms {
			f.Add("s."+p.ID, string(s))
		}
	}
	return f
}

// The class's page is prefilled from the gate; one confirmation states what the gate missed, what the check found, and
// who is not there; sent twice it counts once. Covers S6, S9, S22.
func TestTheRollOfAClass(t *testing.T) {
	h := newEnv(t)
	for n := range 4 {
		h.tap(1, n)
	}
	luo := h.as("luo")
	if r := luo.get("/class"); r.status != http.StatusSeeOther || r.header.Get("Location") != "/class/2023-01" {
		t.Errorf("the teacher of one class is led to %q (%d)", r.header.Get("Location"), r.status)
	}
	_, err := h.records.Write(t.Context(), account.System, records.Draft{Record: recordrules.Record{Student: h.pupils[2], Kind: recordrules.KindCare, Happened: "2026-05-19", Source: "seen", Values: map[string]string{"do": "坐直\n打校医室"}}})
	h.must(err)
	if r := luo.get("/class/2023-01"); strings.Contains(r.Body, "打校医室") {
		t.Error("a teacher who has not signed sees the care instruction")
	}
	h.must(h.records.PutAgreement(t.Context(), account.System, recordrules.Agreement{Person: h.ids["luo"], Signed: "2026-04-01", Trained: "2026-04-01", Until: "2027-03-31"}, nil))
	if r := luo.get("/class/2023-01"); !strings.Contains(r.Body, "打校医室") {
		t.Errorf("the roll does not say what to do for a pupil: %s", r.text())
	}
	c := luo.class("2023-01", "am")
	if got := c.Pupils[2].Care; !slices.Equal(got, []string{"坐直", "打校医室"}) {
		t.Errorf("care %v", got)
	}
	want := []attendance.Presence{attendance.CameLate, attendance.CameLate, attendance.CameLate, attendance.CameLate, attendance.Away, attendance.Away}
	for i, p := range c.Pupils {
		if p.Presence != want[i] {
			t.Errorf("pupil %d is prefilled as %s, want %s", i, p.Presence, want[i])
		}
	}
	f := rollForm(c, "phone-0001-abc")
	f.Set("p."+h.pupils[4], "here") // the gate missed that one
	f.Add("s."+h.pupils[0], "vomiting")
	size := h.store.Size()
	if r := luo.post("/class/2023-01/roll", f); r.done() != "done.roll" {
		t.Fatalf("the roll: %d %s", r.status, r.text())
	}
	written := h.store.Size()
	if r := luo.post("/class/2023-01/roll", f); r.done() != "done.roll" || h.store.Size() != written || written == size {
		t.Errorf("the roll sent again: %d, %d entries more", r.status, h.store.Size()-written)
	}
	if r := luo.get("/class/2023-01?period=am"); !strings.Contains(r.Body, "罗雨禾") || !strings.Contains(r.Body, "已确认") || !strings.Contains(r.Body, "呕吐") {
		t.Errorf("the page afterwards: %s", r.text())
	}
	days, err := h.gate.Roll("2023-01", "2026-05-20")
	h.must(err)
	if days[4].Outcome != attendance.Present || days[5].Outcome != attendance.AbsentUnexplained {
		t.Errorf("the days: %s, %s", days[4].Outcome, days[5].Outcome)
	}
	stale := rollForm(c, "phone-0002-abc")
	if r := luo.post("/class/2023-01/roll", stale); r.status != http.StatusConflict {
		t.Errorf("a roll of an old page: %d", r.status)
	}
	broken := rollForm(luo.class("2023-01", "am"), "phone-0003-abc")
	broken.Del("p." + h.pupils[1])
	if r := luo.post("/class/2023-01/roll", broken); r.status != http.StatusUnprocessableEntity {
		t.Errorf("a roll without a pupil: %d", r.status)
	}
	if r := luo.get("/class/2023-02"); r.status != http.StatusForbidden {
		t.Errorf("another's class: %d", r.status)
	}
	for _, e := range h.newest(int(h.store.Size() - size)) {
		if strings.Contains(string(e.Data), "vomiting") {
			t.Errorf("entry %s tells the symptom in clear", e.Kind)
		}
	}
	// After noon a pupil who was there is missing: the head of safety is asked at once.
	h.clock.pass(4 * time.Hour)
	pm := rollForm(h.as("luo").class("2023-01", "pm"), "phone-0004-abc")
	pm.Set("p."+h.pupils[1], "away")
	if r := h.as("luo").post("/class/2023-01/roll", pm); r.done() != "done.roll" {
		t.Fatalf("the afternoon's roll: %d %s", r.status, r.text())
	}
	h.evaluate()
	x, _, err := h.absence.Case("2026-05-20", h.pupils[1])
	h.must(err)
	if !x.Open() || x.Missing != attendance.Afternoon || len(x.Steps) < 2 {
		t.Errorf("missing in the afternoon: %+v", x)
	}
	again := rollForm(h.as("luo").class("2023-01", "pm"), "phone-0005-abc")
	again.Set("p."+h.pupils[1], "here")
	h.as("luo").post("/class/2023-01/roll", again)
	if x, _, err = h.absence.Case("2026-05-20", h.pupils[1]); err != nil || x.Open() {
		t.Errorf("back in class: %+v, %v", x, err)
	}
}

// Leave is asked for, approved by the class teacher up to two days and by others from three on, and counts at the gate; a
// pass lets a pupil out to the one named. Covers S6, S15.
func TestLeaveAndPasses(t *testing.T) {
	h := newEnv(t)
	h.guardian(h.pupils[0], "安若水", "19900005678")
	luo, zheng := h.as("luo"), h.as("zheng")
	ask := func(v *visitor, pupil, from, to string, more ...string) answer {
		f := url.Values{"student": {pupil}, "kind": {"sick"}, "from": {from}, "to": {to}, "reason": {"发热三十八度五"}, "via": {"phone"}}
		for i := 0; i+1 < len(more); i += 2 {
			f.Set(more[i], more[i+1])
		}
		return v.post("/leave/new", f)
	}
	short := ask(luo, h.pupils[5], "2026-05-20T00:00", "2026-05-21T00:00", "approve", "1")
	if short.done() != "done.leave.approved" {
		t.Fatalf("a day's leave: %d %s", short.status, short.text())
	}
	days, err := h.gate.Roll("2023-01", "2026-05-20")
	h.must(err)
	if days[5].Outcome != attendance.OnLeave || days[5].Leave != attendance.Sick {
		t.Errorf("the gate says %s %s", days[5].Outcome, days[5].Leave)
	}
	long := ask(luo, h.pupils[4], "2026-05-20T00:00", "2026-05-23T00:00", "approve", "1")
	if long.done() != "done.leave.asked" {
		t.Fatalf("a leave of three days: %d %s", long.status, long.text())
	}
	where := long.header.Get("Location")
	if r := luo.post(where+"/decide", url.Values{"rev": {"1"}, "state": {"approved"}}); r.status != http.StatusForbidden || !strings.Contains(r.Body, "年级组长") {
		t.Errorf("the class teacher approves three days: %d", r.status)
	}
	var x absencepages.APILeave
	h.must(json.Unmarshal([]byte(zheng.get("/api/v1"+where).Body), &x))
	if r := zheng.post(where+"/decide", url.Values{"rev": {strconv.FormatUint(x.Rev, 10)}, "state": {"refused"}}); r.status != http.StatusUnprocessableEntity {
		t.Errorf("refused without a word: %d", r.status)
	}
	if r := zheng.post(where+"/decide", url.Values{"rev": {strconv.FormatUint(x.Rev, 10)}, "state": {"approved"}}); r.done() != "done.leave.approved" {
		t.Errorf("approved: %d %s", r.status, r.text())
	}
	for name, bad := range map[string]answer{
		"the end before the beginning": ask(luo, h.pupils[3], "2026-05-21T00:00", "2026-05-20T00:00"),
		"a weekend":                    ask(luo, h.pupils[3], "2026-05-23T00:00", "2026-05-24T00:00"),
		"no reason":                    ask(luo, h.pupils[3], "2026-05-21T00:00", "2026-05-22T00:00", "reason", " "),
		"nobody":                       ask(luo, "", "2026-05-21T00:00", "2026-05-22T00:00"),
	} {
		if bad.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", name, bad.status)
		}
	}
	if r := luo.get("/leave"); !strings.Contains(r.Body, "程小满") || strings.Contains(r.Body, "⟦") {
		t.Errorf("the list: %s", r.text())
	}
	h.tap(1, 0)
	pass := url.Values{"student": {h.pupils[0]}, "kind": {"early"}, "leave": {"personal"}, "from": {"2026-05-20T15:00"}, "collector": {"安若水"}, "reason": {"看牙"}}
	if r := luo.post("/leave/passes", pass); r.done() != "done.pass" {
		t.Fatalf("a pass: %d %s", r.status, r.text())
	}
	list := h.as("zhou").get("/leave/passes")
	for _, want := range []string{"安知予", "安若水", "19900005678", "核对接领人"} {
		if !strings.Contains(list.Body, want) {
			t.Errorf("the guard's list lacks %s\n%s", want, list.text())
		}
	}
	passes, err := h.absence.Passes("2026-05-20")
	h.must(err)
	out := "/leave/passes/2026-05-20/" + h.pupils[0] + "/" + passes[0].ID + "/out"
	if r := luo.post(out, nil); r.status != http.StatusForbidden {
		t.Errorf("a teacher lets somebody out: %d", r.status)
	}
	if r := zheng.post(out, nil); r.done() != "done.pass.used" {
		t.Errorf("let out: %d %s", r.status, r.text())
	}
	if r := zheng.post(out, nil); r.status != http.StatusConflict {
		t.Errorf("let out twice: %d", r.status)
	}
	if n := h.count(ledger.Kind("pass.used")); n != 1 {
		t.Errorf("%d entries of a pass used once", n)
	}
}
