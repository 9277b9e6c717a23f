package web

import (
	"bytes"
	"image"
	"image/png"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"campuskeep/firmware/people"
	"campuskeep/firmware/records"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	rules "campuskeep/shared/records"
)

// recordStaff joins the small school for the tests of records: doctor, counsellor, a teacher of another class; all have
// signed, but for fan.
func (h *env) recordStaff() {
	h.t.Helper()
	for _, s := range []struct {
		login, name string
		role        account.Role
	}{{"cheng", "程砚", account.RoleDoctor}, {"shen", "沈望秋", account.RoleCounsellor}, {"qin", "秦朗", account.RoleClassTeacher}} {
		p, _, err := h.people.AddPerson(h.t.Context(), account.System, people.Person{Login: s.login, Name: s.name, StaffNo: "2020-" + s.login, Unit: "学校", Phone: "13800000000", Roles: []account.Role{s.role}}, firstPassword)
		h.must(err)
		h.ids[s.login] = p.ID
	}
	for _, login := range []string{"cheng", "shen", "qin", "luo", "zheng", "lin"} {
		h.must(h.records.PutAgreement(h.t.Context(), account.System, rules.Agreement{Person: h.ids[login], Signed: "2026-04-01", Trained: "2026-04-01", Until: "2027-03-31"}, nil))
	}
}

// recordPages are the pages of pupils' records, with something on each.
func (h *env) recordPages() []struct{ name, who, path string } {
	h.t.Helper()
	h.recordStaff()
	one, ctx := h.pupils[0], h.t.Context()
	v, err := h.records.Write(ctx, account.System, records.Draft{Record: rules.Record{Student: one, Kind: rules.KindIncident, Happened: "2026-05-19T10:00", Source: "seen", Values: map[string]string{"place": "操场", "sort": "running", "injured": "no", "text": "楼梯奔跑", "handling": "谈话"}},
		Follow: true, Situations: []string{"4"}})
	h.must(err)
	_, err = h.records.Correct(ctx, account.System, records.Correction{ID: v.ID, Seen: 1, Record: rules.Record{Happened: v.Happened, Source: v.Source, Values: map[string]string{"place": "操场", "sort": "running", "injured": "lightly", "text": "楼梯奔跑", "handling": "谈话"}, Reason: "擦伤"}})
	h.must(err)
	_, err = h.records.Write(ctx, account.System, records.Draft{Record: rules.Record{Student: one, Kind: rules.KindCare, Happened: "2026-05-19", Source: "seen", Values: map[string]string{"do": "坐直\n打校医室", "until": "2026-05-30"}}})
	h.must(err)
	k := h.records.Concerns(account.System, one, false)[0].ID
	g, err := h.records.BreakGlass(ctx, account.Who{Actor: account.Actor{ID: h.ids["fan"], Roles: []account.Role{account.RoleStaff}}, Via: ledger.ViaWeb}, one, "操场喘气")
	h.must(err)
	return []struct{ name, who, path string }{
		{"pupil", "zheng", "/pupils/" + one}, {"pupil-teacher", "luo", "/pupils/" + one}, {"pupil-ask", "zheng", "/pupils/" + one + "?s=health"}, {"pupil-closed", "luo", "/pupils/" + one + "?s=health"}, {"pupil-conduct", "luo", "/pupils/" + one + "?s=conduct"},
		{"record-new", "luo", "/pupils/" + one + "/records/new?kind=incident"}, {"record-exam", "cheng", "/pupils/" + one + "/records/new?kind=exam"}, {"record-edit", "luo", "/pupils/" + one + "/records/" + v.ID + "/edit"}, {"incident-new", "luo", "/incidents/new?q=" + one},
		{"concerns", "zheng", "/concerns"}, {"concern", "zheng", "/concerns/" + k}, {"doctor", "cheng", "/doctor?q=" + one}, {"glass", "fan", "/glass?q=" + one}, {"glass-ask", "fan", "/glass?pupil=" + one}, {"glass-card", "fan", "/glass/" + g.ID}, {"glass-review", "zheng", "/glass/" + g.ID},
		{"agreements", "zheng", "/records/agreements"}, {"archive", "zheng", "/records/archive?class=2023-01"}, {"letters", "luo", "/records/letters"}, {"leavers", "zheng", "/records/retention"},
	}
}

// scan posts a form, with a picture of a document when there is one.
func (v *visitor) scan(path string, fields url.Values, file []byte) answer {
	name := ""
	if file != nil {
		name = "诊断证明.png"
	}
	return v.uploadForm(path, fields, name, file)
}

func picture(t *testing.T) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 30, 20))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func condition() url.Values {
	return url.Values{"kind": {"condition"}, "once": {"a"}, "happened": {"2026-05-19"}, "source": {"hospital"}, "sort": {"chronic"}, "diagnosis": {"哮喘间歇型"}, "trigger": {"冷风粉尘"}, "sign": {"喘息"}, "do": {"坐直"}}
}

// The doctor writes a condition with a scan and the care instruction; the class teacher sees what to do and nothing else;
// a correction is a new version with its reason. Covers S4, S13, S15, S22.
func TestAConditionAndItsCareInstruction(t *testing.T) {
	h := newEnv(t)
	h.recordStaff()
	pupil := "/pupils/" + h.pupils[0]
	doctor := h.as("cheng")
	if r := doctor.scan(pupil+"/records", condition(), picture(t)); r.status != http.StatusSeeOther {
		t.Fatalf("%d %s", r.status, r.text())
	}
	if r := doctor.scan(pupil+"/records", condition(), picture(t)); r.status != http.StatusSeeOther || h.count("record.written") != 1 {
		t.Fatalf("a form that was sent twice made %d records (%d)", h.count("record.written"), r.status)
	}
	if r := doctor.scan(pupil+"/records", url.Values{"kind": {"care"}, "once": {"b"}, "happened": {"2026-05-19"}, "source": {"seen"}, "do": {"停下活动，坐直，不要平躺\n吸入器在书包外袋"}}, nil); r.status != http.StatusSeeOther {
		t.Fatalf("%d %s", r.status, r.text())
	}
	teacher := h.as("luo")
	r := teacher.get(pupil)
	if !strings.Contains(r.Body, "吸入器在书包外袋") || strings.Contains(r.Body, "哮喘") {
		t.Fatal("the teacher sees the diagnosis, or not what to do: ", r.text())
	}
	if r := teacher.get(pupil + "?s=health"); strings.Contains(r.Body, "哮喘") || !strings.Contains(r.Body, "健康记录由校医保管") {
		t.Fatal(r.text())
	}
	if r := teacher.post(pupil+"/open", url.Values{"s": {"health"}, "purpose": {"treatment"}}); r.status != http.StatusForbidden {
		t.Fatal(r.status)
	}

	if r := doctor.get(pupil + "?s=health"); strings.Contains(r.Body, "哮喘") || !strings.Contains(r.Body, `name="purpose"`) {
		t.Fatal("a sensitive section opens without a purpose: ", r.text())
	}
	if r := doctor.post(pupil+"/open", url.Values{"s": {"health"}, "purpose": {"other"}}); r.status != http.StatusUnprocessableEntity {
		t.Fatal(r.status)
	}
	before := h.count("record.read")
	if r := doctor.post(pupil+"/open", url.Values{"s": {"health"}, "purpose": {"treatment"}}); r.status != http.StatusSeeOther {
		t.Fatalf("%d %s", r.status, r.text())
	}
	r = doctor.get(pupil + "?s=health")
	if !strings.Contains(r.Body, "哮喘间歇型") || h.count("record.read") < before+2 {
		t.Fatal("what was opened is not shown, or not entered: ", r.text())
	}
	if c := r.header.Get("Cache-Control"); !strings.Contains(c, "no-store") {
		t.Error("a page of health is kept by the browser: ", c)
	}
	_, after, _ := strings.Cut(r.Body, pupil+"/records/")
	i := strings.Index(r.Body, "/files/")
	file := r.Body[strings.LastIndex(r.Body[:i], `"`)+1:]
	file = file[:strings.Index(file, `"`)]
	f := doctor.get(file)
	if f.status != http.StatusOK || f.header.Get("Content-Type") != "image/png" || f.header.Get("Cache-Control") != "no-store" || !strings.Contains(f.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatal(f.status, f.header)
	}
	if r := teacher.get(file); r.status != http.StatusForbidden {
		t.Error("the teacher opens a scan of health: ", r.status)
	}
	record, _, _ := strings.Cut(after, "/")
	change := condition()
	change.Set("seen", "1")
	change.Set("last", "2026-05-18")
	if r := doctor.scan(pupil+"/records/"+record, change, nil); r.status != http.StatusUnprocessableEntity {
		t.Fatal("a correction without a reason: ", r.status)
	}
	change.Set("reason", "体育课后发作")
	if r := doctor.scan(pupil+"/records/"+record, change, nil); r.status != http.StatusSeeOther {
		t.Fatalf("%d %s", r.status, r.text())
	}
	if r := doctor.scan(pupil+"/records/"+record, change, nil); r.status != http.StatusConflict {
		t.Fatal("a correction of an old version: ", r.status)
	}
	if r := doctor.get(pupil + "?s=health"); !strings.Contains(r.Body, "体育课后发作") || !strings.Contains(r.Body, "第 1 版") {
		t.Fatal(r.text())
	}
	h.clock.pass(rules.OpenFor)
	if r := doctor.get(pupil + "?s=health"); strings.Contains(r.Body, "哮喘间歇型") {
		t.Error("the purpose holds for longer than half an hour")
	}
	if r := h.as("zheng").get(pupil); !strings.Contains(r.Body, "来诊处置") || !strings.Contains(r.Body, "程砚") {
		t.Error("the head of safety does not see who has read: ", r.text())
	}
	h.readsNothing("哮喘间歇型", "冷风粉尘", "吸入器在书包外袋", "安知予", "\x89PNG")
}

// readsNothing looks for words over the whole data directory, as a thief of the disk would.
func (h *env) readsNothing(words ...string) {
	h.t.Helper()
	h.must(filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, w := range words {
			if bytes.Contains(b, []byte(w)) {
				h.t.Errorf("%s holds %q in clear", path, w)
			}
		}
		return err
	}))
}

// No record opens for who has no agreement on file, nor for a teacher of another class; psychological records open for
// counsellor and head of safety alone. Covers S12, S17, S36.
func TestWhoOpensARecord(t *testing.T) {
	h := newEnv(t)
	h.recordStaff()
	own, other := "/pupils/"+h.pupils[0], "/pupils/"+h.pupils[7]
	counsellor := h.as("shen")
	if r := counsellor.scan(own+"/records", url.Values{"kind": {"talk"}, "once": {"p"}, "happened": {"2026-05-19"}, "source": {"pupil"}, "text": {"担心转学"}}, nil); r.status != http.StatusSeeOther {
		t.Fatalf("%d %s", r.status, r.text())
	}
	for _, x := range []struct {
		who, path string
		want      int
	}{{"luo", own, 200}, {"luo", other, 403}, {"qin", own, 403}, {"fan", own, 403}, {"guo", own, 403}, {"liang", own, 403}, {"cheng", other, 200}, {"zheng", other, 200}, {"lin", other, 200}, {"zheng", "/pupils/s9999", 404}} {
		h.clock.pass(time.Minute) // log-ins are limited
		if r := h.as(x.who).get(x.path); r.status != x.want {
			t.Errorf("%s at %s: %d, want %d", x.who, x.path, r.status, x.want)
		}
	}
	for who, want := range map[string]int{"shen": 303, "zheng": 303, "luo": 403, "cheng": 403, "lin": 403} {
		h.clock.pass(time.Minute)
		if r := h.as(who).post(own+"/open", url.Values{"s": {"psych"}, "purpose": {"supervision"}}); r.status != want {
			t.Errorf("%s opens psychological records: %d, want %d", who, r.status, want)
		}
	}
	h.must(h.records.PutAgreement(t.Context(), account.System, rules.Agreement{Person: h.ids["luo"], Signed: "2026-04-01", Trained: "2026-04-01", Until: "2026-05-21"}, nil))
	h.clock.pass(48 * time.Hour)
	if r := h.as("luo").get(own); r.status != 403 || !strings.Contains(r.Body, "保密协议") {
		t.Errorf("an agreement that ran out still opens records: %d", r.status)
	}
}

// An incident with two pupils is a record of each, opens a concern with a situation of mandatory report, and is not closed
// before that is decided; not to report takes a second person. Covers S8, L5.
func TestAnIncidentIsFollowedUp(t *testing.T) {
	h := newEnv(t)
	h.recordStaff()
	one := h.pupils[0]
	teacher := h.as("luo")
	form := url.Values{"kind": {"incident"}, "once": {"i"}, "happened": {"2026-05-20T09:10"}, "source": {"seen"}, "place": {"操场"}, "sort": {"fight"}, "injured": {"lightly"}, "text": {"推搡"}, "handling": {"当场制止"},
		"others": {h.pupils[1]}, "follow": {"1"}, "owner": {h.ids["luo"]}, "situations": {"4"}}
	if r := teacher.post("/pupils/"+one+"/records", form); r.status != http.StatusSeeOther {
		t.Fatalf("%d %s", r.status, r.text())
	}
	if n := h.count("record.written"); n != 2 {
		t.Fatalf("%d records for two pupils", n)
	}
	r := teacher.get("/concerns")
	_, id, _ := strings.Cut(r.Body, `href="/concerns/k`)
	id, _, _ = strings.Cut(id, `"`)
	path := "/concerns/k" + id
	rev := func(v *visitor) string {
		_, x, _ := strings.Cut(v.get(path).Body, `name="rev" value="`)
		x, _, _ = strings.Cut(x, `"`)
		return x
	}
	step := func(v *visitor, what, note string, want int) {
		t.Helper()
		if r := v.post(path, url.Values{"rev": {rev(v)}, "what": {what}, "note": {note}}); r.status != want {
			t.Fatalf("%s: %d, want %d\n%s", what, r.status, want, r.text())
		}
	}
	head := h.as("zheng")
	if r := head.get("/"); !strings.Contains(r.Body, path) {
		t.Error("a report to decide is not on the head of safety's first page")
	}
	step(teacher, "closed", "谈过了", http.StatusUnprocessableEntity)
	step(teacher, "not_report", "轻微推搡，监护人已到校", http.StatusSeeOther)
	step(teacher, "agree", "", http.StatusUnprocessableEntity)
	step(head, "agree", "", http.StatusSeeOther)
	step(teacher, "closed", "双方和解", http.StatusSeeOther)
	if n := h.count("concern.step"); n != 4 {
		t.Errorf("%d entries of steps, want 4", n)
	}
	if r := teacher.post(path, url.Values{"rev": {"1"}, "what": {"note"}, "note": {"x"}}); r.status != http.StatusConflict {
		t.Error("an old form takes a step: ", r.status)
	}
}

// Break-glass: any employee sees one card for half an hour, the head of safety and the doctor learn of it at once, and
// somebody else judges it. Covers S4, S36.
func TestBreakGlass(t *testing.T) {
	h := newEnv(t)
	h.recordStaff()
	pupil := h.pupils[7]
	h.as("cheng").scan("/pupils/"+pupil+"/records", url.Values{"kind": {"card"}, "once": {"c"}, "happened": {"2026-05-19"}, "source": {"document"}, "blood": {"a"}, "allergy": {"青霉素"}}, nil)
	fan := h.as("fan") // has signed nothing
	if r := fan.post("/glass", url.Values{"pupil": {pupil}, "reason": {"急"}}); r.status != http.StatusUnprocessableEntity {
		t.Fatal(r.status)
	}
	r := fan.post("/glass", url.Values{"pupil": {pupil}, "reason": {"学生在操场喘气，身边没有老师"}})
	path := r.header.Get("Location")
	if r.status != http.StatusSeeOther || h.count("glass.opened") != 1 {
		t.Fatal(r.status, path)
	}
	if r := fan.get(path); !strings.Contains(r.Body, "青霉素") || !strings.Contains(r.Body, "A 型") {
		t.Fatal(r.text())
	}
	if !ledger.Kinds["glass.opened"].Urgent {
		t.Error("an opened card is not sent at once")
	}
	for _, who := range []string{"zheng", "cheng"} {
		if r := h.as(who).get("/"); !strings.Contains(r.Body, path) {
			t.Errorf("%s does not learn of it on the first page", who)
		}
	}
	if r := h.as("luo").get(path); r.status != http.StatusNotFound {
		t.Error("another employee sees the card: ", r.status)
	}
	if r := fan.post(path+"/review", url.Values{"verdict": {"right"}}); r.status != http.StatusForbidden {
		t.Error("they review it themselves: ", r.status)
	}
	h.clock.pass(rules.GlassFor)
	fan = h.as("fan")
	if r := fan.get(path); strings.Contains(r.Body, "青霉素") {
		t.Error("the card is open for longer than half an hour")
	}
	if r := fan.post(path+"/close", url.Values{"happened": {"校医到场，已缓解"}}); r.status != http.StatusSeeOther {
		t.Error(r.status)
	}
	if r := h.as("zheng").post(path+"/review", url.Values{"verdict": {"right"}}); r.status != http.StatusSeeOther {
		t.Errorf("%d %s", r.status, r.text())
	}
	h.readsNothing("青霉素", "喘气")
}

// The head of safety enters agreements with the signed sheet; nobody enters their own. Covers S36.
func TestAgreementsOnFile(t *testing.T) {
	h := newEnv(t)
	head := h.as("zheng")
	form := url.Values{"person": {h.ids["luo"]}, "signed": {"2026-05-20"}, "trained": {"2026-05-19"}, "until": {"2027-05-19"}}
	if r := head.scan("/records/agreements", form, picture(t)); r.status != http.StatusSeeOther {
		t.Fatalf("%d %s", r.status, r.text())
	}
	if !h.records.Signed(h.ids["luo"]) {
		t.Error("the agreement does not hold")
	}
	form.Set("person", h.ids["zheng"])
	if r := head.scan("/records/agreements", form, nil); r.status != http.StatusForbidden {
		t.Error("the head of safety enters their own: ", r.status)
	}
	form.Set("until", "2036-05-19")
	form.Set("person", h.ids["luo"])
	if r := head.scan("/records/agreements", form, nil); r.status != http.StatusUnprocessableEntity {
		t.Error("an agreement of ten years: ", r.status)
	}
}

// A volume is catalogued, lent and comes back; a teacher enters who has signed the safety letter. Covers S16, S19.
func TestPaperVolumesAndLetters(t *testing.T) {
	h := newEnv(t)
	h.recordStaff()
	head := h.as("zheng")
	form := url.Values{"title": {"三年级健康卷一"}, "year": {"2025"}, "pages": {"40"}, "class": {"2023-01"}, "section": {"health"}, "shelf": {"甲3"}}
	if r := head.post("/records/archive", form); r.status != http.StatusSeeOther {
		t.Fatalf("%d %s", r.status, r.text())
	}
	id := h.records.Volumes()[0].ID
	step := func(f url.Values, want int) {
		t.Helper()
		if r := head.post("/records/archive/"+id, f); r.status != want {
			t.Fatalf("%v: %d, want %d", f, r.status, want)
		}
	}
	step(url.Values{"what": {"lent"}, "to": {h.ids["luo"]}, "due": {"2026-12-31"}, "note": {"核对体检"}}, http.StatusUnprocessableEntity)
	step(url.Values{"what": {"lent"}, "to": {h.ids["luo"]}, "due": {"2026-05-30"}, "note": {"核对体检"}}, http.StatusSeeOther)
	step(url.Values{"what": {"lent"}, "to": {h.ids["qin"]}, "due": {"2026-05-30"}, "note": {"核对"}}, http.StatusUnprocessableEntity)
	h.clock.pass(12 * 24 * time.Hour)
	head = h.as("zheng")
	if r := head.get("/records/archive"); !strings.Contains(r.Body, "逾期未还") {
		t.Error("a volume that is late is not shown")
	}
	step(url.Values{"what": {"returned"}}, http.StatusSeeOther)
	teacher := h.as("luo")
	if r := teacher.post("/records/letters", url.Values{"class": {"2023-01"}, "pupil": {h.pupils[0], h.pupils[1]}}); r.status != http.StatusSeeOther {
		t.Fatalf("%d %s", r.status, r.text())
	}
	if r := teacher.get("/records/letters"); !strings.Contains(r.Body, "4 人未交") {
		t.Error(r.text())
	}
	if r := teacher.get("/records/letters?class=2023-02"); r.status != http.StatusForbidden {
		t.Error("a teacher sees another class: ", r.status)
	}
	h.readsNothing("健康卷一", "核对体检")
}

// A pupil leaves; after the years a section is proposed, confirmed by another and erased, with a certificate. Covers S20.
func TestARecordEndsOverThePages(t *testing.T) {
	h := newEnv(t)
	h.recordStaff()
	one, ctx := h.pupils[0], t.Context()
	_, err := h.records.Write(ctx, account.System, records.Draft{Record: rules.Record{Student: one, Kind: rules.KindCare, Happened: "2026-05-19", Source: "seen", Values: map[string]string{"do": "坐直"}}})
	h.must(err)
	h.must(h.people.MoveStudent(ctx, account.System, one, "", "2026-05-20", "left_school"))
	head := h.as("zheng")
	form := url.Values{"student": {one}, "section": {"health"}}
	if r := head.post("/records/retention/propose", form); r.status != http.StatusUnprocessableEntity {
		t.Fatal("an erasure before its time: ", r.status)
	}
	h.clock.pass(4 * 366 * 24 * time.Hour)
	head = h.as("zheng")
	if r := head.post("/records/retention/propose", form); r.status != http.StatusSeeOther {
		t.Fatalf("%d %s", r.status, r.text())
	}
	if r := head.post("/records/retention/confirm", form); r.status != http.StatusForbidden {
		t.Fatal("the same person confirms: ", r.status)
	}
	leader := h.as("lin")
	if r := leader.get("/"); !strings.Contains(r.Body, "/records/retention") {
		t.Error("the erasure does not wait for the leader on the first page")
	}
	if r := leader.post("/records/retention/confirm", form); r.status != http.StatusSeeOther {
		t.Fatalf("%d %s", r.status, r.text())
	}
	if _, there := h.keys.Key(rules.Owner(one, rules.Health)); there {
		t.Error("the key is there")
	}
	r := leader.get("/records/retention")
	i := strings.Index(r.Body, `/proof"`)
	if i < 0 {
		t.Fatal("there is no certificate: ", r.text())
	}
	path := r.Body[strings.LastIndex(r.Body[:i], `"`)+1:i] + "/proof"
	proof := leader.get(path)
	if proof.status != http.StatusOK {
		t.Fatal(proof.status)
	}
	p, err := ledger.ParseProof([]byte(proof.Body))
	h.must(err)
	if e, err := ledger.ParseEntry(p.Leaf); err != nil || e.Kind != "record.erased" {
		t.Error("the certificate is of something else: ", err)
	}
}

// A list that leaves is an entry first, holds what its filter shows, and nothing that somebody may not see. Covers S14, S17.
func TestListsOfConcernsAndCountsLeaveAsSpreadsheets(t *testing.T) {
	h := newEnv(t)
	h.recordPages()
	zheng, luo := h.as("zheng"), h.as("luo")
	sheet := func(v *visitor, path, query string) [][]string {
		t.Helper()
		r := v.post(path, url.Values{"query": {query}})
		if r.status != http.StatusOK || h.newest(1)[0].Kind != "document.printed" {
			t.Fatalf("%s: %d, the last entry is %s\n%s", path, r.status, h.newest(1)[0].Kind, r.text())
		}
		f, err := excelize.OpenReader(strings.NewReader(r.Body))
		h.must(err)
		rows, err := f.GetRows(f.GetSheetName(0))
		h.must(err)
		return rows
	}
	if rows := sheet(zheng, "/concerns/export", ""); len(rows) != 2 || rows[1][2] != "安知予" || !strings.Contains(strings.Join(rows[1], " "), "三年级1班") {
		t.Errorf("concerns: %q", rows)
	}
	if rows := sheet(zheng, "/concerns/export", "q=nobody"); len(rows) != 1 {
		t.Errorf("concerns of nobody: %q", rows)
	}
	if r := zheng.get("/concerns?q=" + url.QueryEscape("安知")); !strings.Contains(r.Body, "安知予") {
		t.Errorf("the list: %s", r.text())
	}
	if r := h.as("fan").post("/concerns/export", nil); r.status != http.StatusForbidden {
		t.Errorf("somebody who has not signed: %d", r.status)
	}
	luo.made("/leave/new", url.Values{"student": {h.pupils[1]}, "kind": {"personal"}, "from": {"2026-05-25T08:00"}, "to": {"2026-05-28T17:00"}, "reason": {"外地探亲"}, "via": {"paper"}})
	if rows := sheet(luo, "/leave/export", "state=asked"); len(rows) != 2 || rows[1][0] != "白以宁" || rows[1][3] != "2026-05-25 08:00:00" || strings.Contains(strings.Join(rows[1], " "), "探亲") {
		t.Errorf("leave: %q", rows)
	}
	if r := h.as("qin").post("/leave/export", nil); r.status != http.StatusForbidden {
		t.Errorf("leave, for a teacher of no class: %d", r.status)
	}
	zheng.made("/places/new", url.Values{"name": {"东大门"}, "kind": {"gate"}})
	zheng.made("/patrols", url.Values{"date": {"2026-05-20"}, "clock": {"07:20"}, "place": {h.site.Places()[0].ID}, "findings": {"=栏杆松动"}})
	if rows := sheet(zheng, "/patrols/export", ""); len(rows) != 2 || rows[1][0] != "2026-05-20 07:20" || rows[1][1] != "东大门" || !strings.Contains(rows[1][2], "栏杆松动") {
		t.Errorf("patrols: %q", rows)
	}
	id := zheng.drill()
	h.answered(luo, id, true)
	rows := sheet(zheng, "/emergency/"+id+"/export", "")
	if len(rows) != 1+len(h.pupils) || rows[2][2] != "白以宁" || rows[2][4] != "没见到" || rows[2][5] != "同学说去了三楼" || rows[2][6] != "罗雨禾" || rows[7][4] != "未清点" {
		t.Errorf("the count: %q", rows)
	}
	if r := luo.post("/emergency/"+id+"/export", nil); r.status != http.StatusForbidden {
		t.Errorf("a class teacher takes the whole count along: %d", r.status)
	}
}
