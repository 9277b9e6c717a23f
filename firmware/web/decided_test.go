package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/usage"
)

// twoPlaces asks for the wall in the morning and for the shed at noon.
func twoPlaces() url.Values {
	f := form("北侧围墙", at(18, 7, 0), at(18, 7, 10))
	f.Set("wanted.1.place", "自行车棚")
	f.Set("wanted.1.from", at(18, 12, 0).In(shanghai).Format("2006-01-02T15:04"))
	f.Set("wanted.1.to", at(18, 12, 10).In(shanghai).Format("2006-01-02T15:04"))
	return f
}

// decision is the form of a decision that gives all that was asked for at both places.
func decision(kind string, change ...string) url.Values {
	f := url.Values{"decision": {kind}, "cameras": {"c02", "c03"}, "ways": {"view"}, "spans": {"0", "1"}, "from": {string(usage.DateOf(present))}, "until": {string(usage.DateOf(present).Add(3))}}
	for i := 0; i+1 < len(change); i += 2 {
		f[change[i]] = strings.FieldsFunc(change[i+1], func(r rune) bool { return r == ',' })
	}
	return f
}

// has fails for each text that a page lacks, or has although it must not (written with a leading "!").
func has(t *testing.T, what string, r answer, texts ...string) {
	t.Helper()
	for _, text := range texts {
		want := strings.TrimPrefix(text, "!")
		if strings.Contains(r.Body, want) != (want == text) {
			t.Errorf("%s: %q\n%s", what, text, r.text())
		}
	}
}

func (h *env) approvedEntry(id string) (d struct {
	Cameras []string `json:"cameras"`
	Pairs   []string `json:"pair_cameras"`
	Spans   []struct{ From, To time.Time }
	PairsIn []struct{ From, To time.Time } `json:"pair_spans"`
	First   string
}) {
	h.t.Helper()
	for e, err := range h.store.Entries(0, h.store.Size()) {
		h.must(err)
		if e.Kind == "application.approved" && e.Subject == id {
			h.must(json.Unmarshal(e.Data, &d))
		}
	}
	return d
}

// What is approved is the same on the notice, on the page, in the entry, in the hold and for the player. Covers F6.
func TestANoticeListsExactlyWhatWasAskedAndApproved(t *testing.T) {
	h := newEnv(t)
	fan, zheng := h.as("fan"), h.as("zheng")
	id := fan.apply(twoPlaces())
	if r := zheng.post("/applications/"+id+"/decide", decision("approve")); r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	has(t, "the notice", fan.get("/applications/"+id+"/notice"), "07:00–07:10", "12:00–12:10", "2026年5月20日至2026年5月23日", "!材料齐全", "!提取", "!已撤销")
	paper := fan.get("/applications/" + id + "/notice").Body
	if n := strings.Count(paper, "07:00–07:10") + strings.Count(paper, "12:00–12:10"); n != 2 {
		t.Errorf("the notice has %d lines, two were asked for:\n%s", n, paper)
	}
	page := fan.get("/applications/" + id).Body
	if n := strings.Count(page, "#watch"); n != 2 {
		t.Errorf("the page offers %d spans to watch", n)
	}
	d := h.approvedEntry(id)
	if len(d.Pairs) != 2 || len(d.PairsIn) != 2 || d.Pairs[0] != "c02" || !d.PairsIn[0].From.Equal(at(18, 7, 0)) || d.Pairs[1] != "c03" || !d.PairsIn[1].From.Equal(at(18, 12, 0)) {
		t.Errorf("the entry: %+v", d)
	}
	for _, x := range []struct {
		camera, from, to string
		status           int
	}{{"c02", "07:00", "07:10", http.StatusSeeOther}, {"c03", "12:00", "12:10", http.StatusSeeOther}, {"c02", "12:00", "12:10", http.StatusForbidden}, {"c03", "07:00", "07:10", http.StatusForbidden}} {
		if r := fan.post("/footage/view", url.Values{"camera": {x.camera}, "day": {"2026-05-18"}, "from": {x.from}, "to": {x.to}}); r.status != x.status {
			t.Errorf("%s at %s: %d", x.camera, x.from, r.status)
		}
	}
	for _, x := range h.usage.Holds() {
		if slices.Contains(x.Cameras, "c02") && x.Span.Contains(at(18, 12, 5)) {
			t.Errorf("held and not asked for: %+v", x)
		}
	}
}

// A copy waits for its reviewer: approving is locked with the reason and the way on, and what is tried anyway is
// reported with what was typed.
func TestACopyWaitsForItsReviewer(t *testing.T) {
	h := newEnv(t)
	fan, zheng, zhou := h.as("fan"), h.as("zheng"), h.as("zhou")
	f := form("北侧围墙", at(18, 7, 0), at(18, 8, 0))
	f["ways"] = []string{"view", "still"}
	id := fan.apply(f)
	has(t, "before the review", zheng.get("/applications/"+id), "须先由另一人审核", `action="/applications/`+id+`/take"`, `disabled aria-describedby="lk"`, "!确认批准")
	give := decision("approve", "cameras", "c02", "spans", "0", "ways", "view,still", "note", "只看书包去向")
	r := zheng.post("/applications/"+id+"/decide", give)
	if r.status != http.StatusConflict {
		t.Fatalf("%d", r.status)
	}
	has(t, "approved anyway", r, "须先由另一人审核", "只看书包去向", "!内容已被他人修改")
	if r := zhou.post("/applications/"+id+"/take", nil); r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	has(t, "after the review", zheng.get("/applications/"+id), "确认批准", "!须先由另一人审核")
	has(t, "to the reviewer", zhou.get("/applications/"+id), "须先由另一人审核")
	if r := zheng.post("/applications/"+id+"/decide", give); r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	// Somebody else has decided meanwhile: what was typed is not lost.
	r = zhou.post("/applications/"+id+"/decide", decision("reject", "code", "papers", "note", "缺少失物登记单"))
	has(t, "a late refusal", r, "申请现为", "缺少失物登记单")
}

// The second of two decides on what the first approved, may give less, and the notice names what each did. Covers F5.
func TestTheSecondDecidesOnWhatTheFirstApproved(t *testing.T) {
	h := newEnv(t)
	fan, zheng, zhou := h.as("fan"), h.as("zheng"), h.as("zhou")
	f := twoPlaces()
	f.Set("identified", "yes")
	id := fan.apply(f)
	r := zheng.post("/applications/"+id+"/decide", decision("approve", "note", "限班主任在场"))
	if r.status != http.StatusSeeOther || r.done() != "done.approved_first" {
		t.Fatalf("%d %s\n%s", r.status, r.header.Get("Location"), r.text())
	}
	has(t, "the applicant waits", fan.get("/applications/"+id), "等待第二人批准", "!/notice")
	if r := fan.get("/applications/" + id + "/notice"); r.status != http.StatusNotFound {
		t.Errorf("a notice before the second: %d", r.status)
	}
	has(t, "the first", zheng.get("/applications/"+id), "您已批准", "!确认批准")
	has(t, "the second", zhou.get("/applications/"+id), "您是第二批准人", `value="c03" checked`)
	if r := zhou.post("/applications/"+id+"/decide", decision("approve", "until", string(usage.DateOf(present).Add(5)))); r.status != http.StatusUnprocessableEntity {
		t.Errorf("the second gives more than the first: %d", r.status)
	}
	if r := zhou.post("/applications/"+id+"/decide", decision("approve", "cameras", "c02", "note", "不含自行车棚")); r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	notice := fan.get("/applications/" + id + "/notice")
	has(t, "the notice", notice, "周以宁", "郑守川", "限班主任在场", "不含自行车棚", "减少为")
	if strings.Count(notice.Body, "12:00–12:10") != 1 { // in what the first approved, and nowhere else
		t.Errorf("the notice gives what the second took out:\n%s", notice.text())
	}
	d := h.approvedEntry(id)
	if len(d.Cameras) != 1 || d.Cameras[0] != "c02" || d.First != h.ids["zheng"] {
		t.Errorf("the entry: %+v", d)
	}
	if r := fan.post("/footage/view", url.Values{"camera": {"c03"}, "day": {"2026-05-18"}, "from": {"12:00"}, "to": {"12:10"}}); r.status != http.StatusForbidden {
		t.Errorf("the player shows what the second took out: %d", r.status)
	}
}

// A revoked approval prints as what it is, and the applicant's first page is about it, as of every decision.
func TestTheApplicantLearnsOfEveryDecision(t *testing.T) {
	h := newEnv(t)
	fan, zheng := h.as("fan"), h.as("zheng")
	id := fan.apply(form("北侧围墙", at(18, 7, 0), at(18, 8, 0)))
	give := decision("approve", "cameras", "c02", "spans", "0")
	if r := zheng.post("/applications/"+id+"/decide", give); r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	has(t, "approved", fan.get("/"), "已批准，可使用至")
	if r := zheng.post("/applications/"+id+"/revoke", url.Values{"reason": {"用途与申请不符"}}); r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	has(t, "revoked", fan.get("/"), "批准已撤销：用途与申请不符")
	has(t, "the revoked notice", fan.get("/applications/"+id+"/notice"), "a4--void", "已撤销", "不得使用")
	other := fan.apply(form("自行车棚", at(18, 12, 0), at(18, 12, 10)))
	zheng.post("/applications/"+other+"/decide", decision("reject", "code", "too_wide", "note", "请缩短时段"))
	has(t, "refused", fan.get("/"), "不予批准：")
}

// An application is made again like an earlier one of one's own: everything but the days of use and the promises.
func TestApplyAgainLikeThis(t *testing.T) {
	h := newEnv(t)
	fan := h.as("fan")
	id := fan.apply(form("北侧围墙", at(18, 7, 0), at(18, 8, 0)))
	h.clock.pass(48 * time.Hour)
	fan = h.as("fan")
	has(t, "the link", fan.get("/applications/"+id), "/applications/new?like="+id)
	today := usage.DateOf(h.clock.Now().Wall)
	has(t, "the form", fan.get("/applications/new?like="+id), "北侧围墙", "2026-05-18T07:00", `value="`+string(today)+`"`, `!name="mend"`)
	if r := h.as("luo").get("/applications/new?like=" + id); r.status != http.StatusNotFound {
		t.Errorf("like somebody else's: %d", r.status)
	}
}

// Covers F6: the period of use is extended by a decision on time alone, with its reason, within the limit; the page, the
// notice, the entry and the player say the same, and nobody extends their own.
func TestTheUseIsExtended(t *testing.T) {
	h := newEnv(t)
	fan, zheng := h.as("fan"), h.as("zheng")
	id := fan.apply(form("北侧围墙", at(18, 7, 0), at(18, 8, 0)))
	give := decision("approve", "cameras", "c02", "spans", "0")
	if r := zheng.post("/applications/"+id+"/decide", give); r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	before, err := h.usage.Get(id)
	h.must(err)
	was := before.Decision.Until
	extend := func(v *visitor, until usage.Date, note string) answer {
		return v.post("/applications/"+id+"/extend", url.Values{"until": {string(until)}, "note": {note}})
	}
	days := h.site.Settings().Register.UseDays
	for name, c := range map[string]struct {
		v      *visitor
		until  usage.Date
		note   string
		status int
		want   string
	}{
		"the applicant":  {fan, was.Add(1), "还没看完", http.StatusForbidden, ""},
		"not later":      {zheng, was, "还没看完", http.StatusUnprocessableEntity, "须晚于"},
		"without reason": {zheng, was.Add(1), " ", http.StatusUnprocessableEntity, "必填"},
		"no day":         {zheng, "2026-02-30", "还没看完", http.StatusUnprocessableEntity, "日期"},
		"too long":       {zheng, usage.DateOf(present).Add(days), "还没看完", http.StatusUnprocessableEntity, "最长"},
	} {
		if r := extend(c.v, c.until, c.note); r.status != c.status || !strings.Contains(r.text(), c.want) {
			t.Errorf("%s: %d\n%s", name, r.status, r.text())
		}
	}
	if a, err := h.usage.Get(id); err != nil || a.Decision.Until != was || h.count("application.extended") != 0 {
		t.Fatalf("a refused extension changed the end to %s (%v)", a.Decision.Until, err)
	}
	if r := extend(zheng, was.Add(2), "当事学生请假，周五才能辨认"); r.status != http.StatusSeeOther || r.done() != "done.extended" {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	a, err := h.usage.Get(id)
	h.must(err)
	if a.State != before.State || a.Decision.Until != was.Add(2) || len(a.Extensions) != 1 || a.Extensions[0].Was != was || h.count("application.extended") != 1 {
		t.Errorf("%+v", a)
	}
	for _, hold := range h.usage.Holds() {
		if hold.Application == id && hold.Until.Before(a.Decision.Until.End()) {
			t.Errorf("the hold ends before the use: %s", hold.Until)
		}
	}
	has(t, "the page", fan.get("/applications/"+id), "延期", "周五才能辨认")
	has(t, "the notice", fan.get("/applications/"+id+"/notice"), "使用时限由", "周五才能辨认")
	h.clock.pass(was.Add(1).End().Sub(h.clock.Now().Wall) - time.Hour)
	fan = h.as("fan")
	if r := fan.post("/footage/view", url.Values{"camera": {"c02"}, "day": {"2026-05-18"}, "from": {"07:00"}, "to": {"07:10"}}); r.status != http.StatusSeeOther {
		t.Errorf("the player refuses within the extended period: %d\n%s", r.status, r.text())
	}
}

// A copy has a reviewer and an approver: who reviewed it does not extend its use.
func TestTheReviewerOfACopyDoesNotExtendIt(t *testing.T) {
	h := newEnv(t)
	fan, zheng, lin := h.as("fan"), h.as("zheng"), h.as("lin")
	f := form("北侧围墙", at(18, 7, 0), at(18, 8, 0))
	f["ways"] = []string{"view", "still"}
	id := fan.apply(f)
	zheng.post("/applications/"+id+"/take", nil)
	if r := lin.post("/applications/"+id+"/decide", decision("approve", "cameras", "c02", "spans", "0", "ways", "view,still")); r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	a, err := h.usage.Get(id)
	h.must(err)
	x := url.Values{"until": {string(a.Decision.Until.Add(1))}, "note": {"还没看完"}}
	has(t, "the reviewer's page", zheng.get("/applications/"+id), "!/extend")
	if r := zheng.post("/applications/"+id+"/extend", x); r.status != http.StatusConflict || h.count("application.extended") != 0 {
		t.Errorf("by the reviewer: %d", r.status)
	}
	if r := lin.post("/applications/"+id+"/extend", x); r.status != http.StatusSeeOther || h.count("application.extended") != 1 {
		t.Errorf("by the approver: %d\n%s", r.status, r.text())
	}
}

// The report agrees with the log: stills that it holds are copies. Covers F15.
func TestAReportIsHeldAgainstTheLog(t *testing.T) {
	h := newEnv(t)
	fan, zheng, zhou := h.as("fan"), h.as("zheng"), h.as("zhou")
	f := form("北侧围墙", at(18, 7, 0), at(18, 8, 0))
	f["ways"] = []string{"view", "still"}
	id := fan.apply(f)
	zhou.post("/applications/"+id+"/take", nil)
	zheng.post("/applications/"+id+"/decide", decision("approve", "cameras", "c02", "spans", "0", "ways", "view,still"))
	who := account.Who{Actor: account.Actor{ID: h.ids["fan"], Roles: []account.Role{account.RoleStaff}}, Via: ledger.ViaWeb}
	r := fan.post("/footage/view", url.Values{"camera": {"c02"}, "day": {"2026-05-18"}, "from": {"07:00"}, "to": {"07:10"}})
	viewing := strings.TrimPrefix(r.header.Get("Location"), "/view/")
	if _, err := h.usage.Snapshot(t.Context(), who, viewing, "one", at(18, 7, 5)); err != nil {
		t.Fatal(err)
	}
	has(t, "the report's form", fan.get("/applications/"+id), "查看 1 次，截图 1 张")
	r = fan.post("/applications/"+id+"/report", url.Values{"result": {"nothing_found"}, "copies": {"none"}, "text": {"看过两遍"}})
	if r.status != http.StatusUnprocessableEntity {
		t.Fatalf("no copies against a still: %d", r.status)
	}
	has(t, "refused", r, "日志记有 1 张截图", "看过两遍")
	if r := fan.post("/applications/"+id+"/report", url.Values{"result": {"nothing_found"}, "copies": {"destroyed"}}); r.status != http.StatusSeeOther {
		t.Errorf("%d\n%s", r.status, r.text())
	}
	has(t, "to the office", zheng.get("/applications/"+id), "查看 1 次，截图 1 张")
}

// The same form sent twice is one application.
func TestTheSameFormTwiceIsOneApplication(t *testing.T) {
	h := newEnv(t)
	fan := h.as("fan")
	if !strings.Contains(fan.get("/applications/new").Body, `name="key"`) {
		t.Error("the form has no key")
	}
	f := form("北侧围墙", at(18, 7, 0), at(18, 8, 0))
	f.Set("key", "K1")
	first, again := fan.apply(f), fan.apply(f)
	if first != again || len(h.usage.List()) != 1 || len(h.usage.Holds()) != 1 {
		t.Errorf("%s and %s", first, again)
	}
	f.Set("key", "K2")
	if third := fan.apply(f); third == first {
		t.Error("another form is another application")
	}
}

// Who may not see holds finds neither their number nor their span on any page. Covers M3.
func TestNobodyLearnsWhoIsBeingLookedInto(t *testing.T) {
	h := newEnv(t)
	fan := h.as("fan")
	id := fan.apply(form("自行车棚", at(17, 13, 13), at(17, 14, 17)))
	a, err := h.usage.Get(id)
	h.must(err)
	hold := h.holdOf(id)
	fill := strings.NewReplacer("{$}", "", "/applications/{id}", "/applications/"+id, "/people/{id}", "/people/"+h.ids["luo"], "/cameras/{id}", "/cameras/c03", "/nvrs/{id}", "/nvrs/n01",
		"{class}", "2023-02", "{camera}/{day}", "c03/2026-04-10", "/holds/{id}", "/holds/"+hold.ID)
	for _, who := range []string{"luo", "liang"} {
		v := h.as(who)
		for _, rt := range h.routes.Routes {
			method, path, _ := strings.Cut(fill.Replace(rt.Pattern), " ")
			if method != http.MethodGet || rt.Stream || strings.Contains(path, "{") {
				continue
			}
			for _, query := range []string{"", "?camera=c03&day=2026-05-17"} {
				body := v.get(path + query).Body
				for _, secret := range []string{hold.ID, a.Number(), "13:13", at(17, 13, 13).UTC().Format("2006-01-02T15:04"), id} {
					if strings.Contains(body, secret) && !strings.Contains(path, id) && !strings.Contains(path, hold.ID) {
						t.Errorf("%s finds %q on %s%s", who, secret, path, query)
					}
				}
			}
		}
	}
	if body := h.as("zheng").get("/api/v1/ribbon").Body; !strings.Contains(body, hold.ID) {
		t.Error("who may see holds does not")
	}
	if body := fan.get("/api/v1/ribbon").Body; !strings.Contains(body, hold.ID) {
		t.Error("an applicant does not see what their own application holds")
	}
}
