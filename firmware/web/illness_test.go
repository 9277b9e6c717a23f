package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/people"
	absencepages "campuskeep/firmware/web/pages/absence"
	"campuskeep/shared/account"
)

// Three like illnesses in a class in one day are a cluster: found with the roll, its report filled, signed by the doctor,
// sent; a quiet day has its zero report; an illness is followed to the return. Covers S9, L6.
func TestAClusterOfIllness(t *testing.T) {
	h := newEnv(t)
	h.change("fan", func(p *people.Person) { p.Roles = append(p.Roles, account.RoleDoctor) })
	for n := range 6 {
		h.tap(1, n)
	}
	luo, doctor := h.as("luo"), h.as("fan")
	if r := doctor.post("/illness/zero", nil); r.done() != "done.illness.zero" {
		t.Errorf("the report of a quiet day: %d %s", r.status, r.text())
	}
	f := rollForm(luo.class("2023-01", "am"), "phone-0001-abc")
	for n := range 3 {
		f.Add("s."+h.pupils[n], "vomiting")
	}
	f.Add("s."+h.pupils[3], "red_eye") // unlike the others
	if r := luo.post("/class/2023-01/roll", f); r.done() != "done.roll" {
		t.Fatalf("the roll: %d %s", r.status, r.text())
	}
	page := doctor.get("/illness")
	for _, want := range []string{"三年级1班：呕吐或腹泻 3 例", "1 日内 05-20 3 例 ＝ 3 例，标准 3 例", "待校医签字", "安知予"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page lacks %q\n%s", want, page.text())
		}
	}
	var got absencepages.APIIllnesses
	h.must(json.Unmarshal([]byte(doctor.get("/api/v1/illness").Body), &got))
	if len(got.Reports) != 1 || len(got.Illnesses) != 4 {
		t.Fatalf("%d reports, %d illnesses", len(got.Reports), len(got.Illnesses))
	}
	id := got.Reports[0].ID
	report := doctor.get("/illness/reports/" + id)
	if !strings.Contains(report.Body, "白以宁") || !strings.Contains(report.Body, "疫情报告工作规范") {
		t.Errorf("the report: %s", report.text())
	}
	if r := luo.get("/illness/reports/" + id); r.status != http.StatusForbidden {
		t.Errorf("a class teacher reads the report: %d", r.status)
	}
	sign := func(name, value string) answer {
		_, rev, err := h.absence.Report(id)
		h.must(err)
		return doctor.post("/illness/reports/"+id, url.Values{"rev": {fmt.Sprint(rev)}, name: {value}})
	}
	if r := sign("words", ""); r.status != http.StatusUnprocessableEntity {
		t.Errorf("signed without a word: %d", r.status)
	}
	if r := sign("words", "已隔离，教室消毒，待检。"); r.done() != "done.illness.report" {
		t.Errorf("signed: %d %s", r.status, r.text())
	}
	if r := sign("sent_to", "区疾控中心，电话，范之远"); r.done() != "done.illness.report" {
		t.Errorf("sent: %d %s", r.status, r.text())
	}
	where := "/illness/pupil/" + h.pupils[0] + "/" + got.Illnesses[0].Opened.Format("20060102T150405")
	follow := func(v *visitor, more ...string) answer {
		_, rev, err := h.absence.Illness(h.pupils[0], got.Illnesses[0].Opened.Format("20060102T150405"))
		h.must(err)
		f := url.Values{"rev": {strconv.FormatUint(rev, 10)}}
		for i := 0; i+1 < len(more); i += 2 {
			f.Set(more[i], more[i+1])
		}
		return v.post(where, f)
	}
	if r := follow(doctor, "diagnosis", "norovirus", "doctor", "区人民医院儿科"); r.done() != "done.illness" {
		t.Fatalf("the diagnosis: %d %s", r.status, r.text())
	}
	if r := luo.get(where); r.status != http.StatusOK || strings.Contains(r.Body, "诺如") {
		t.Errorf("the teacher reads the diagnosis: %d %s", r.status, r.text())
	}
	// One that is over the same day stays over, though the day's check still tells of it.
	eye := slices.IndexFunc(got.Illnesses, func(i absencepages.APIIllness) bool { return i.Student == h.pupils[3] })
	opened := got.Illnesses[eye].Opened.Format("20060102T150405")
	_, rev, err := h.absence.Illness(h.pupils[3], opened)
	h.must(err)
	if r := doctor.post("/illness/pupil/"+h.pupils[3]+"/"+opened, url.Values{"rev": {strconv.FormatUint(rev, 10)}, "returned": {"2026-05-20"}, "text": {"异物入眼，已冲洗"}}); r.done() != "done.illness" {
		t.Errorf("over the same day: %d %s", r.status, r.text())
	}
	h.must(h.absence.FollowIllness(t.Context()))
	if list, err := h.absence.Illnesses(); err != nil || len(list) != len(got.Illnesses) {
		t.Errorf("%d illnesses, want %d (%v)", len(list), len(got.Illnesses), err)
	}
	h.clock.pass(24 * time.Hour)
	luo, doctor = h.as("luo"), h.as("fan")
	if r := follow(luo, "returned", "2026-05-21"); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "复课证明") {
		t.Errorf("back without a certificate: %d %s", r.status, r.text())
	}
	if r := follow(luo, "returned", "2026-05-21", "certificate", "2026-05-21"); r.done() != "done.illness" {
		t.Errorf("back with it: %d %s", r.status, r.text())
	}
	if r := doctor.post("/illness/rules", url.Values{"rev": {"0"}, "r0.unit": {"class"}, "r0.days": {"7"}, "r0.least": {"2"}, "r0.group": {"d.hfmd"}}); r.status != http.StatusUnprocessableEntity {
		t.Errorf("a rule without a source: %d", r.status)
	}
	if r := doctor.post("/illness/rules", url.Values{"rev": {"0"}, "r0.unit": {"class"}, "r0.days": {"7"}, "r0.least": {"2"}, "r0.group": {"d.hfmd"}, "r0.source": {"市疾控 2023 年聚集性疫情标准"}, "certificate": {"1"}}); r.done() != "done.illness.rules" {
		t.Errorf("a rule: %d %s", r.status, r.text())
	}
	for _, p := range []string{"/illness", "/illness/rules", where, "/illness/reports/" + id} {
		if r := doctor.get(p); r.status != http.StatusOK || strings.Contains(r.Body, "⟦") {
			t.Errorf("%s: %d %s", p, r.status, r.text())
		}
	}
}

// A day is corrected with a reason, by the class teacher for a week; the sheets count it. Covers S6, S7.
func TestCorrectionsAndSheets(t *testing.T) {
	h := newEnv(t)
	for n := range 6 {
		h.tap(1, n)
	}
	h.clock.pass(24 * time.Hour)
	_, err := h.gate.SweepDate(t.Context(), "2026-05-20")
	h.must(err)
	luo := h.as("luo")
	days, err := h.gate.Days("2026-05-20", []string{h.pupils[0]})
	h.must(err)
	seen := fmt.Sprintf("%s.%d", days[h.pupils[0]].Outcome, days[h.pupils[0]].Minutes)
	f := url.Values{"student": {h.pupils[0]}, "date": {"2026-05-20"}, "seen": {seen}, "outcome": {"leave.sick"}}
	if r := luo.post("/gate/class/2023-01/mark", f); r.status != http.StatusUnprocessableEntity {
		t.Errorf("corrected without a reason: %d", r.status)
	}
	f.Set("reason", "家长补交病假条")
	if r := luo.post("/gate/class/2023-01/mark", f); r.done() != "done.mark" {
		t.Errorf("corrected: %d %s", r.status, r.text())
	}
	for p, want := range map[string]string{"/sheets?class=2023-01": "病", "/sheets/pupil/" + h.pupils[0]: "家长补交病假条"} {
		if r := luo.get(p); r.status != http.StatusOK || !strings.Contains(r.Body, want) || strings.Contains(r.Body, "⟦") {
			t.Errorf("%s: %d %s", p, r.status, r.text())
		}
	}
	if r := luo.get("/sheets/school"); r.status != http.StatusForbidden {
		t.Errorf("a class teacher sees the school: %d", r.status)
	}
	if r := h.as("lin").get("/sheets/school"); r.status != http.StatusOK || !strings.Contains(r.Body, "三年级") || strings.Contains(r.Body, "⟦") {
		t.Errorf("the school: %d %s", r.status, r.text())
	}
	if r := luo.post("/sheets/export", url.Values{"class": {"2023-01"}, "month": {"2026-05"}}); !strings.HasPrefix(r.Body, "PK") || h.newest(1)[0].Kind != "document.printed" {
		t.Errorf("the spreadsheet: %d", r.status)
	}
	h.clock.pass(8 * 24 * time.Hour)
	luo = h.as("luo")
	if r := luo.post("/gate/class/2023-01/mark", f); r.status != http.StatusForbidden || !strings.Contains(r.Body, "7 日内") {
		t.Errorf("corrected after nine days: %d", r.status)
	}
}
