package web

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	rules "campuskeep/shared/oversight"
)

// formRev is the revision that the forms of a page carry.
func formRev(t *testing.T, r answer) string {
	t.Helper()
	m := regexp.MustCompile(`name="rev" value="(\d+)"`).FindStringSubmatch(r.Body)
	if m == nil {
		t.Fatalf("no form with a revision (%d):\n%s", r.status, r.text())
	}
	return m[1]
}

func mustGo(t *testing.T, r answer) string {
	t.Helper()
	if r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	return r.header.Get("Location")
}

func mustSay(t *testing.T, r answer, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(r.Body, w) {
			t.Errorf("the page does not say %q:\n%s", w, r.text())
		}
	}
}

// Covers F18, M18: over the pages a violation is opened, answered by the person concerned, who sees nobody else's, decided
// by another, objected to, and settled by a third.
func TestAViolationOverItsPages(t *testing.T) {
	h := newEnv(t)
	zhou, zheng, lin, fan, luo := h.as("zhou"), h.as("zheng"), h.as("lin"), h.as("fan"), h.as("luo")
	if r := zhou.post("/violations/new", url.Values{"code": {"own_device"}}); r.status != http.StatusUnprocessableEntity {
		t.Errorf("without facts: %d", r.status)
	}
	at := mustGo(t, zhou.post("/violations/new", url.Values{"code": {"own_device"}, "person": {h.ids["fan"]}, "facts": {"录像存入手机"}}))
	mustSay(t, zhou.get("/violations"), "违规〔2026〕001号", "范之远", "待听取陈述")
	if r := luo.get(at); r.status != http.StatusForbidden {
		t.Errorf("a colleague sees it: %d", r.status)
	}
	if r := fan.get("/"); !strings.Contains(r.Body, at) {
		t.Errorf("the first page of the person concerned does not lead to it")
	}
	mustGo(t, fan.post(at+"/hear", url.Values{"rev": {formRev(t, fan.get(at))}, "text": {"手机是学校的"}}))
	decide := url.Values{"rev": {formRev(t, zheng.get(at))}, "measure": {"warning"}, "text": {"警告一次"}}
	if r := zhou.post(at+"/decide", decide); r.status != http.StatusForbidden {
		t.Errorf("an officer decided: %d", r.status)
	}
	mustGo(t, zheng.post(at+"/decide", decide))
	if r := lin.post(at+"/decide", decide); r.status != http.StatusUnprocessableEntity && r.status != http.StatusConflict {
		t.Errorf("decided twice: %d", r.status)
	}
	mustGo(t, fan.post(at+"/appeal", url.Values{"rev": {formRev(t, fan.get(at))}, "text": {"处理过重"}}))
	settle := url.Values{"rev": {formRev(t, lin.get(at))}, "measure": {"reminder"}, "text": {"改为提醒"}}
	if r := zheng.post(at+"/settle", settle); r.status != http.StatusUnprocessableEntity {
		t.Errorf("the first to decide settled it: %d", r.status)
	}
	mustGo(t, lin.post(at+"/settle", settle))
	mustSay(t, fan.get(at), "已办结", "改为提醒", "手机是学校的", "处理过重")
	mustSay(t, zhou.get("/violations?state=final"), "违规〔2026〕001号", "提醒")
	mustSay(t, fan.get("/api/v1/violations"), `"measure":"reminder"`)
	if r := luo.get("/api/v1/violations"); strings.TrimSpace(r.Body) != "[]" {
		t.Errorf("a colleague reads %s", r.Body)
	}
}

// Covers F16, L2: a plan from a proposed checklist, an inspection that keeps what was typed when something lacks, a
// finding that its owner corrects and another checks.
func TestAnInspectionOverItsPages(t *testing.T) {
	h := newEnv(t)
	zheng, zhou, luo := h.as("zheng"), h.as("zhou"), h.as("luo")
	mustSay(t, zheng.get("/inspections"), "私人区域有无摄像机")
	mustSay(t, zheng.get("/inspections/plans/new?from=private"), "宿舍寝室内没有摄像机")
	mustGo(t, zheng.post("/inspections/plans", url.Values{"title": {"私人区域"}, "cadence": {"weekly"}, "person": {h.ids["zhou"]}, "from": {"2026-11-27"}, "items": {"* 寝室\n标志牌"}}))
	page := zhou.get("/inspections")
	m := regexp.MustCompile(`name="plan" value="([^"]+)"`).FindStringSubmatch(page.Body)
	if m == nil {
		t.Fatalf("no inspection to begin:\n%s", page.text())
	}
	at := mustGo(t, zhou.post("/inspections/begin", url.Values{"plan": {m[1]}}))
	r := zhou.post(at, url.Values{"do": {"submit"}, "item.0": {"bad"}, "item.0.text": {"走廊看到 214 室"}, "item.1": {"ok"}})
	if r.status != http.StatusUnprocessableEntity {
		t.Fatalf("submitted without an owner: %d", r.status)
	}
	mustSay(t, r, "走廊看到 214 室", "请选由谁整改")
	mustGo(t, zhou.post(at, url.Values{"do": {"submit"}, "item.0": {"bad"}, "item.0.text": {"走廊看到 214 室"}, "item.0.owner": {h.ids["luo"]}, "item.0.due": {"2026-12-04"}, "item.1": {"ok"}}))
	finding := "/findings/" + strings.TrimPrefix(at, "/inspections/") + ".1"
	mustSay(t, luo.get("/"), finding)
	mustGo(t, luo.post(finding+"/mend", url.Values{"rev": {formRev(t, luo.get(finding))}, "text": {"已转向"}}))
	r = zheng.post(finding+"/pass", url.Values{"rev": {formRev(t, zheng.get(finding))}, "text": {"看过"}})
	if r.status != http.StatusUnprocessableEntity {
		t.Errorf("closed without the police: %d", r.status)
	}
	mustSay(t, r, "先登记报警回执")
	mustGo(t, zheng.post(finding+"/police", url.Values{"rev": {formRev(t, zheng.get(finding))}, "at": {present.Format("2006-01-02")}, "to": {"城关派出所"}, "receipt": {"〔2026〕17"}}))
	mustGo(t, zheng.post(finding+"/pass", url.Values{"rev": {formRev(t, zheng.get(finding))}, "text": {"看过"}}))
	mustSay(t, zheng.get("/inspections?state=closed"), "寝室", "已办结")
}

// Covers F17, F19, L1, M21: the regulation is drafted, reviewed by another, announced and read; a department replies; what
// was filed with the police is compared with what is.
func TestRulesFeedbackAndFilingOverTheirPages(t *testing.T) {
	h := newEnv(t)
	zhou, zheng, luo := h.as("zhou"), h.as("zheng"), h.as("luo")
	at := mustGo(t, zhou.post("/regulations", url.Values{"title": {"录像使用登记制度"}, "text": {"第一条 <b>登记</b>"}}))
	if r := luo.get(at); r.status != http.StatusNotFound {
		t.Errorf("a draft is shown to everybody: %d", r.status)
	}
	mustGo(t, zheng.post(at+"/review", url.Values{"rev": {formRev(t, zheng.get(at))}}))
	mustGo(t, zheng.post(at+"/announce", url.Values{"rev": {formRev(t, zheng.get(at))}}))
	mustSay(t, luo.get("/"), at)
	mustSay(t, luo.get(at), "第一条 &lt;b&gt;登记&lt;/b&gt;", "已阅读并理解")
	mustGo(t, luo.post(at+"/read", nil))
	mustSay(t, luo.get(at), "您已阅读")
	mustSay(t, zheng.get(at), "范之远") // has not read it

	mustGo(t, zhou.post("/feedback", url.Values{"title": {"本学期使用"}, "question": {"有何意见？"}, "due": {present.AddDate(0, 0, 7).Format("2006-01-02")}, "units": {"三年级组", "校长室"}}))
	if r := luo.post("/feedback/q2026-01/reply", url.Values{"unit": {"校长室"}, "text": {"无"}}); r.status != http.StatusForbidden {
		t.Errorf("spoke for another department: %d", r.status)
	}
	mustGo(t, luo.post("/feedback/q2026-01/reply", url.Values{"unit": {"三年级组"}, "text": {"希望更快"}}))
	if r := luo.get("/feedback"); strings.Contains(r.Body, "校长室") {
		t.Error("sees what another department is asked")
	}
	mustGo(t, zhou.post("/feedback/q2026-01/answer", url.Values{"unit": {"三年级组"}, "answer": {"已改进"}}))
	mustSay(t, luo.get("/feedback"), "已改进")

	mustSay(t, zhou.get("/filing"), "还没有备案记录")
	mustGo(t, zhou.post("/filing", url.Values{"at": {present.Format("2006-01-02")}, "to": {"县公安局"}, "receipt": {"备〔2026〕3"}}))
	mustSay(t, zhou.get("/filing"), "与上次备案一致", "备〔2026〕3")
	sheet := mustGo(t, zhou.post("/filing/print", nil))
	mustSay(t, zhou.get(sheet), "公共安全视频图像信息系统备案基本信息表", "青榆实验学校")
	if n := h.count("document.printed"); n != 1 {
		t.Errorf("%d printed copies in the log", n)
	}
}

// supervised gives a school something of each record of supervision: their paths by name.
func (h *env) supervised() map[string]string {
	h.t.Helper()
	ctx := h.t.Context()
	by := func(name string, roles ...account.Role) account.Who {
		return account.Who{Actor: account.Actor{ID: h.ids[name], Roles: roles, SecondFactor: true, Units: []string{"三年级组"}}, Via: ledger.ViaWeb}
	}
	zhou, zheng, luo := by("zhou", account.RoleOfficer), by("zheng", account.RoleHeadOfSafety), by("luo", account.RoleClassTeacher)
	v, err := h.oversight.OpenViolation(ctx, zhou, rules.Violation{Code: rules.OwnDevice, Person: h.ids["fan"], Facts: "录像存入手机"})
	h.must(err)
	_, err = h.oversight.StepViolation(ctx, zhou, v.ID, 1, rules.ViolationEvent{Kind: rules.StepHear, Text: "手机是学校的"})
	h.must(err)
	p, err := h.oversight.PutPlan(ctx, zheng, rules.Plan{Title: "私人区域", Cadence: rules.Weekly, Person: h.ids["zhou"], From: present, Items: []rules.Item{{Text: "寝室内没有摄像机", Private: true}, {Text: "标志牌齐全"}}}, 0)
	h.must(err)
	done, err := h.oversight.BeginInspection(ctx, zhou, p.ID)
	h.must(err)
	_, err = h.oversight.AnswerItem(ctx, zhou, done.ID, 0, rules.Answer{Result: rules.Bad, Text: "走廊看到 214 室", Owner: h.ids["luo"], Due: present.AddDate(0, 0, 4)})
	h.must(err)
	_, err = h.oversight.AnswerItem(ctx, zhou, done.ID, 1, rules.Answer{Result: rules.Good})
	h.must(err)
	_, err = h.oversight.SubmitInspection(ctx, zhou, done.ID)
	h.must(err)
	i, err := h.oversight.BeginInspection(ctx, zhou, p.ID)
	h.must(err)
	r, err := h.oversight.DraftRegulation(ctx, zhou, rules.Regulation{Title: "录像使用登记制度", Text: "第一条 使用录像须先登记。"}, 0)
	h.must(err)
	_, err = h.oversight.StepRegulation(ctx, zheng, r.ID, 1, rules.RegulationEvent{Kind: rules.StepReview})
	h.must(err)
	_, err = h.oversight.StepRegulation(ctx, zheng, r.ID, 2, rules.RegulationEvent{Kind: rules.StepAnnounce})
	h.must(err)
	q, err := h.oversight.Ask(ctx, zhou, rules.Feedback{Title: "本学期使用", Question: "有何意见？", Due: present.AddDate(0, 0, 7), Units: map[string]rules.Reply{"三年级组": {}, "校长室": {}}})
	h.must(err)
	h.must(h.oversight.Reply(ctx, luo, q.ID, "三年级组", "希望更快"))
	_, err = h.oversight.File(ctx, zhou, rules.Filing{At: present.AddDate(0, -1, 0), To: "县公安局", Receipt: "备〔2026〕3", Devices: []rules.Device{{Camera: "c01", Name: "东大门", Place: "东大门", Days: 30}}})
	h.must(err)
	return map[string]string{"violation": "/violations/" + v.ID, "plan": "/inspections/plans/" + p.ID, "made": "/inspections/" + done.ID, "inspection": "/inspections/" + i.ID,
		"finding": "/findings/" + done.ID + ".1", "regulation": "/regulations/" + r.ID, "feedback": "/feedback/" + q.ID}
}

// oversightPages lists the pages of supervision.
func (h *env) oversightPages() []struct{ name, who, path string } {
	at := h.supervised()
	return []struct{ name, who, path string }{
		{"violations", "zheng", "/violations"}, {"violation", "zheng", at["violation"]}, {"violation-own", "fan", at["violation"]}, {"violation-new", "zhou", "/violations/new"},
		{"inspections", "zheng", "/inspections"}, {"inspection", "zhou", at["inspection"]}, {"inspection-made", "zheng", at["made"]}, {"plan", "zheng", at["plan"]}, {"finding", "luo", at["finding"]}, {"finding-check", "zheng", at["finding"]},
		{"regulations", "zheng", "/regulations"}, {"regulation", "zheng", at["regulation"]}, {"regulation-read", "luo", at["regulation"]}, {"regulation-new", "zhou", "/regulations/new"},
		{"feedback", "zhou", "/feedback"}, {"feedback-unit", "luo", "/feedback"}, {"filing", "zhou", "/filing"}, {"filing-sheet", "zhou", "/filing/sheet"},
	}
}

// A record that grows step by step refuses in words what it cannot take any more, and keeps what it has.
func TestARecordThatIsFullSaysSo(t *testing.T) {
	h := newEnv(t)
	zhou := h.as("zhou")
	at := mustGo(t, zhou.post("/violations/new", url.Values{"code": {"own_device"}, "person": {h.ids["fan"]}, "facts": {"录像存入手机"}}))
	note := strings.Repeat("补", rules.MaxText)
	for n := range rules.MaxSteps {
		size := h.store.Size()
		r := zhou.post(at+"/note", url.Values{"rev": {formRev(t, zhou.get(at))}, "text": {note}})
		if r.status == http.StatusSeeOther {
			continue
		}
		if r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "内容过多") || h.store.Size() != size || n < 10 {
			t.Errorf("note %d: %d, %d entries\n%.300s", n, r.status, h.store.Size()-size, r.text())
		}
		return
	}
	t.Error("nothing was refused")
}
