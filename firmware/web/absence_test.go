package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/records"
	absencepages "campuskeep/firmware/web/pages/absence"
	"campuskeep/shared/absence"
	"campuskeep/shared/account"
	recordrules "campuskeep/shared/records"
	"campuskeep/shared/student"
)

// evaluate lets the minute of the absences come.
func (h *env) evaluate() {
	h.t.Helper()
	h.must(h.absence.Evaluate(h.t.Context()))
}

// absences are the absences of today as JSON.
func (v *visitor) absences() (out absencepages.APIAbsence) {
	v.h.t.Helper()
	r := v.get("/api/v1/absence")
	if r.status != http.StatusOK {
		v.h.t.Fatalf("absences: %d %s", r.status, r.Body)
	}
	v.h.must(json.Unmarshal([]byte(r.Body), &out))
	return out
}

// guardian gives a pupil somebody to call.
func (h *env) guardian(pupil, name, phone string) {
	h.t.Helper()
	s, ok := h.people.Student(pupil)
	if !ok {
		h.t.Fatalf("no pupil %s", pupil)
	}
	s.Guardians = append(s.Guardians, student.Guardian{Name: name, Relation: student.Mother, Phone: phone})
	h.must(h.people.ChangeStudent(h.t.Context(), account.System, s, 0))
}

// One alarm while nobody can know; cases when a person says that they are real; the teacher, the guardians and the end,
// each by a page. Covers S7, S24.
func TestAnAbsenceFromTheAlarmToItsEnd(t *testing.T) {
	h := newEnv(t)
	h.guardian(h.pupils[4], "程知夏", "19900001234")
	luo, zheng, zhou := h.as("luo"), h.as("zheng"), h.as("zhou")
	h.evaluate() // nobody has come: that is no day of twelve absences
	got := zheng.absences()
	if len(got.Alarms) != 1 || got.Alarms[0].Cause != absence.WholeSchool || got.Alarms[0].Count != 12 || len(got.Cases) != 0 {
		t.Fatalf("a gate that nobody passed: %+v", got)
	}
	for n := range 3 {
		h.tap(1, n)
		h.tap(2, n)
	}
	h.tap(2, 3)
	h.tap(2, 4)
	h.tap(2, 5)
	h.evaluate() // of the first class half came
	got = zheng.absences()
	if len(got.Cases) != 3 || got.Alarms[0].Until.IsZero() {
		t.Fatalf("with half a class there: %+v", got)
	}
	if r := zheng.get("/"); !strings.Contains(r.Body, "全校 12 人中 12 人没有到校记录") {
		t.Error("the first page of the head of safety does not name the alarm")
	}
	if r := luo.post("/absence/alarms/"+got.Alarms[0].Date+".school", url.Values{"verdict": {"fault"}}); r.status != http.StatusForbidden {
		t.Errorf("a class teacher judges an alarm: %d", r.status)
	}
	if r := zheng.post("/absence/alarms/"+got.Alarms[0].Date+".school", url.Values{"verdict": {"fault"}}); r.done() != "done.absence.alarm" {
		t.Errorf("judging: %d %s", r.status, r.text())
	}

	page := luo.get("/absence")
	for _, want := range []string{"程小满", "岑越", "陆可遥", "待班主任回复"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the list lacks %s\n%s", want, page.text())
		}
	}
	if r := h.as("fan").get("/absence"); r.status != http.StatusForbidden {
		t.Errorf("somebody without a class sees absences: %d", r.status)
	}
	answer := func(v *visitor, pupil, step, result, note string) answer {
		t.Helper()
		id := "2026-05-20." + pupil
		_, rev, err := h.absence.Case("2026-05-20", pupil)
		h.must(err)
		return v.post("/absence/case/"+id+"/answer", url.Values{"rev": {fmt.Sprint(rev)}, "step": {step}, "result": {result}, "note": {note}})
	}
	// The teacher finds one in class: the roll says so from then on.
	if r := answer(luo, h.pupils[3], "0", "in_class", ""); r.done() != "done.absence.answer" {
		t.Fatalf("in class: %d %s", r.status, r.text())
	}
	if r := luo.get("/gate/class/2023-01"); !strings.Contains(r.Body, "班主任登记") {
		t.Errorf("the roll: %s", r.text())
	}
	if r := answer(luo, h.pupils[3], "0", "in_class", ""); r.status != http.StatusConflict {
		t.Errorf("answered twice: %d", r.status)
	}
	// Another one is really missing: guardians are called at once.
	if r := answer(luo, h.pupils[4], "0", "call_now", ""); r.done() != "done.absence.answer" {
		t.Fatalf("call now: %d %s", r.status, r.text())
	}
	h.evaluate()
	calls := zhou.get("/absence/calls")
	for _, want := range []string{"程知夏", "tel:19900001234", "无人接听"} {
		if !strings.Contains(calls.Body, want) {
			t.Fatalf("the list of calls lacks %s\n%s", want, calls.text())
		}
	}
	call := "2026-05-20." + h.pupils[4] + ".g1"
	if r := zhou.post("/absence/calls/"+call, url.Values{"result": {"unaware"}, "note": {"七点半已出门"}}); r.done() != "done.call" {
		t.Fatalf("call: %d %s", r.status, r.text())
	}
	if r := zhou.post("/absence/calls/"+call, url.Values{"result": {"unaware"}}); r.status != http.StatusNotFound {
		t.Errorf("a call recorded twice: %d", r.status)
	}
	h.evaluate()
	if r := zheng.get("/absence/case/2026-05-20." + h.pupils[4]); !strings.Contains(r.Body, "家长不知情") || !strings.Contains(r.Body, "七点半已出门") || !strings.Contains(r.Body, "正在寻找") {
		t.Errorf("the case as the head of safety sees it: %s", r.text())
	}
	if r := answer(zheng, h.pupils[4], "2", "found", ""); r.status != http.StatusUnprocessableEntity {
		t.Errorf("found, without a word: %d", r.status)
	}
	if r := answer(zheng, h.pupils[4], "2", "found", "在校门外书店，已由班主任接回"); r.done() != "done.absence.answer" {
		t.Errorf("found: %d %s", r.status, r.text())
	}
	// The third comes: the case closes by itself.
	h.clock.pass(3 * time.Minute)
	h.tap(1, 5)
	h.evaluate()
	got = zheng.absences()
	why := map[string]absence.Why{}
	for _, c := range got.Cases {
		why[c.Student] = c.Why
	}
	if why[h.pupils[3]] != absence.WasThere || why[h.pupils[4]] != absence.WasFound || why[h.pupils[5]] != absence.Arrived {
		t.Errorf("the ends: %v", why)
	}
	if r := zheng.get("/absence?state=open"); !strings.Contains(r.Body, "没有符合条件的缺勤") {
		t.Errorf("still open: %s", r.text())
	}
	x := zheng.post("/absence/export", url.Values{"date": {"2026-05-20"}, "query": {""}})
	if x.status != http.StatusOK || !strings.HasPrefix(x.Body, "PK") || h.newest(1)[0].Kind != "document.printed" {
		t.Errorf("the spreadsheet: %d, %s", x.status, h.newest(1)[0].Kind)
	}
	if r := zheng.get("/api/v1/absence/case/2026-05-20.s9999"); r.status != http.StatusNotFound {
		t.Errorf("a case that is not there: %d", r.status)
	}
}

// illnessPages are the class's roll, illness followed to its outcome and the sheets, with something on each.
func (h *env) illnessPages() []listed {
	h.t.Helper()
	_, err := h.records.Write(h.t.Context(), account.System, records.Draft{Record: recordrules.Record{Student: h.pupils[1], Kind: recordrules.KindCare, Happened: "2026-05-19", Source: "seen", Values: map[string]string{"do": "停下活动，坐直，不要平躺\n吸入器在书包外袋"}}})
	h.must(err)
	luo := h.as("luo")
	f := rollForm(luo.class("2023-01", "am"), "phone-0001-abc")
	for n := range 3 {
		f.Add("s."+h.pupils[n], "vomiting")
	}
	luo.made("/class/2023-01/roll", f)
	list, err := h.absence.Illnesses()
	h.must(err)
	reports, err := h.absence.Reports()
	h.must(err)
	if len(list) == 0 || len(reports) == 0 {
		h.t.Fatalf("%d illnesses, %d reports", len(list), len(reports))
	}
	ill := "/illness/pupil/" + list[0].Student + "/" + list[0].Opened.Format("20060102T150405")
	return []listed{
		{"classes-today", "zheng", "/class"}, {"class-roll", "luo", "/class/2023-01"}, {"class-lesson", "luo", "/class/2023-01?period=l3"},
		{"illnesses", "cheng", "/illness"}, {"illness", "cheng", ill}, {"illness-teacher", "luo", ill}, {"illness-report", "cheng", "/illness/reports/" + reports[0].ID}, {"illness-rules", "cheng", "/illness/rules"},
		{"sheet", "luo", "/sheets?class=2023-01"}, {"sheet-school", "zheng", "/sheets/school"}, {"sheet-pupil", "luo", "/sheets/pupil/" + h.pupils[0]},
	}
}
