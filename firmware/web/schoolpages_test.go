package web

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// listed is a page that is looked at, and as whom.
type listed = struct{ name, who, path string }

// everyPage gives all pages in groups: the pages of an emergency come last, because one that runs is said on all.
func (h *env) everyPage(ids map[string]string) []struct {
	name  string
	pages func() []listed
} {
	return []struct {
		name  string
		pages func() []listed
	}{
		{"footage", func() []listed { return h.pagesOf(ids) }}, {"duty", h.dutyPages}, {"oversight", h.oversightPages}, {"records", h.recordPages},
		{"school", h.schoolPages}, {"absence", h.absencePages}, {"illness", h.illnessPages}, {"emergency", h.emergencyPages},
	}
}

// all gives the pages of every group.
func (h *env) all(ids map[string]string) (out []listed) {
	for _, g := range h.everyPage(ids) {
		out = append(out, g.pages()...)
	}
	return out
}

// made posts a form and gives where it leads.
func (v *visitor) made(path string, form url.Values) string {
	v.h.t.Helper()
	r := v.post(path, form)
	if r.status != http.StatusSeeOther {
		v.h.t.Fatalf("%s: %d\n%s", path, r.status, r.text())
	}
	to, _, _ := strings.Cut(r.header.Get("Location"), "?")
	return to
}

// schoolPages are the pages of the school, its readers and the register of pupils, with something on each.
func (h *env) schoolPages() []listed {
	h.t.Helper()
	zheng := h.as("zheng")
	pupil := zheng.made("/pupils/new", pupilForm("阿依·古丽", "2016-02-29", "2023-01"))
	zheng.made("/pupils/"+strings.Split(pupil, "/")[2]+"/cards", url.Values{"card": {"0A0B0C0D"}})
	zheng.made("/places/new", url.Values{"name": {"东大门"}, "kind": {"gate"}, "cameras": {"c01"}})
	place := h.site.Places()[0].ID
	zheng.made("/bells/friday", url.Values{"rev": {strconv.FormatUint(h.site.CalendarRev(), 10)}, "opens": {"06:30"}, "bell": {"08:40"}, "home": {"15:30"}, "closes": {"17:30"}, "grace": {"0"}, "slack": {"5"}, "ask_teacher": {"5"}, "tell_parents": {"15"}, "repeat": {"10"}, "tap_out": {"in_out"}})
	card := zheng.get("/readers/enrol").header.Get("Location")
	if card == "" {
		card = "/readers/enrol"
	}
	return []listed{
		{"guide", "zheng", "/setup/guide"}, {"guide-admin", "liang", "/setup/guide"},
		{"places", "zheng", "/places"}, {"place", "zheng", "/places/" + place}, {"place-new", "zheng", "/places/new"}, {"places-import", "zheng", "/places/import"},
		{"calendar", "zheng", "/calendar"}, {"calendar-read", "fan", "/calendar"}, {"calendar-import", "zheng", "/calendar/import"}, {"bells", "zheng", "/bells"}, {"bell-form", "zheng", "/bells/friday"}, {"bells-read", "fan", "/bells"},
		{"classes", "zheng", "/classes"}, {"class", "zheng", "/classes/2023-01"}, {"class-new", "zheng", "/classes/new"}, {"classes-import", "zheng", "/classes/import"},
		{"pupils", "zheng", "/pupils"}, {"pupils-teacher", "luo", "/pupils"}, {"pupils-none", "zheng", "/pupils?q=nobody"}, {"pupil-new", "zheng", "/pupils/new"}, {"pupil-edit", "zheng", pupil}, {"pupils-import", "zheng", "/pupils/import"},
		{"cards", "zheng", "/cards"}, {"cards-import", "zheng", "/cards/import"}, {"year", "zheng", "/year"},
		{"readers", "liang", "/readers"}, {"reader", "liang", "/readers/r01"}, {"reader-new", "liang", "/readers/new"}, {"reader-edit", "liang", "/readers/r01/edit"}, {"reader-enrol", "zheng", card}, {"reader-format", "zheng", "/readers/format"},
	}
}

// absencePages are the pages of absences, calls, leave and passes, with something on each.
func (h *env) absencePages() []listed {
	h.t.Helper()
	h.guardian(h.pupils[5], "陆知夏", "19900001234")
	luo := h.as("luo")
	h.evaluate()
	missing := "2026-05-20." + h.pupils[5]
	_, rev, err := h.absence.Case("2026-05-20", h.pupils[5])
	h.must(err)
	luo.made("/absence/case/"+missing+"/answer", url.Values{"rev": {strconv.FormatUint(rev, 10)}, "step": {"0"}, "result": {"call_now"}})
	h.evaluate()
	asked := luo.made("/leave/new", url.Values{"student": {h.pupils[1]}, "kind": {"personal"}, "from": {"2026-05-25T08:00"}, "to": {"2026-05-28T17:00"}, "reason": {"外地探亲"}, "via": {"paper"}})
	luo.made("/leave/new", url.Values{"student": {h.pupils[0]}, "kind": {"sick"}, "from": {"2026-05-21T08:00"}, "to": {"2026-05-21T17:00"}, "reason": {"复诊"}, "via": {"phone"}, "approve": {"1"}})
	luo.made("/leave/passes", url.Values{"student": {h.pupils[2]}, "kind": {"early"}, "leave": {"sick"}, "from": {"2026-05-20T14:00"}, "reason": {"发热回家"}, "collector": {"曹明"}, "phone": {"19900002222"}})
	luo.made("/leave/passes", url.Values{"student": {h.pupils[3]}, "kind": {"late"}, "reason": {"公交车晚点"}})
	return []listed{
		{"absence", "zheng", "/absence"}, {"absence-teacher", "luo", "/absence"}, {"absence-none", "zheng", "/absence?q=nobody"}, {"absence-case", "luo", "/absence/case/" + missing}, {"absence-case-head", "zheng", "/absence/case/" + missing}, {"calls", "zhou", "/absence/calls"},
		{"leave-list", "luo", "/leave"}, {"leave-new", "luo", "/leave/new"}, {"leave-asked", "zheng", asked}, {"passes", "luo", "/leave/passes"}, {"passes-gate", "zhou", "/leave/passes"},
		{"roll-marked", "luo", "/gate/class/2023-01"}, {"gate-late", "zhou", "/gate"},
	}
}

// emergencyPages are the pages of plans, patrols, a drill that is over and one that runs.
func (h *env) emergencyPages() []listed {
	h.t.Helper()
	zheng, luo, fan := h.as("zheng"), h.as("luo"), h.as("fan")
	if len(h.site.Places()) == 0 { // the pages of the school were left out
		zheng.made("/places/new", url.Values{"name": {"东大门"}, "kind": {"gate"}})
	}
	plan := zheng.made("/plans/new", url.Values{"title": {"教学楼火灾疏散预案"}, "kind": {"fire"}, "muster": {"操场跑道内侧，按班级地标集合"}, "text": {"一、听到警铃后由任课教师带队。\n二、班主任清点人数。"}, "months": {"6"}, "announced": {"2026-03-01"}, "review": {"2026-09-01"}})
	zheng.made(plan+"/drill", url.Values{"date": {"2026-04-15"}, "participants": {"860"}, "minutes": {"4"}, "lessons": {"三楼东侧楼梯须有人引导"}})
	zheng.made("/patrols", url.Values{"date": {"2026-05-20"}, "clock": {"07:20"}, "place": {h.site.Places()[0].ID}, "findings": {"栏杆松动"}, "action": {"已报修"}})
	past := zheng.drill()
	h.answered(luo, past, false)
	zheng.made("/emergency/"+past+"/close", url.Values{"reason": {"二班当日外出活动"}})
	running := zheng.drill()
	h.answered(luo, running, true)
	fan.made("/emergency/"+running+"/found", url.Values{"batch": {"found00001"}, "name": {"没有这个人"}, "state": {"safe"}})
	return []listed{
		{"plans", "zheng", "/plans"}, {"plan-fire", "zheng", plan}, {"plan-form", "zheng", plan + "/edit"}, {"plan-read", "fan", plan}, {"patrols", "zheng", "/patrols"},
		{"em-start", "fan", "/emergency"}, {"em-start-head", "zheng", "/emergency"}, {"em-control", "zheng", "/emergency/" + running}, {"em-roll", "luo", "/emergency/" + running + "/class/2023-01"}, {"em-found", "fan", "/emergency/" + running + "/found"},
		{"em-over", "zheng", "/emergency/" + past}, {"paper-em-sheet", "zheng", "/emergency/" + running + "/sheet"}, {"em-today", "luo", "/"},
	}
}

// answered has the class teacher's count of the first class, with somebody missing or with all safe.
func (h *env) answered(luo *visitor, id string, missing bool) {
	h.t.Helper()
	path := "/emergency/" + id + "/class/2023-01"
	batch := regexp.MustCompile(`name="batch" value="([0-9a-f]+)"`).FindStringSubmatch(luo.get(path).Body)
	if batch == nil {
		h.t.Fatal("the roll has no form")
	}
	f := url.Values{"batch": {batch[1]}}
	if missing {
		f.Set("m."+h.pupils[0], "safe")
		f.Set("m."+h.pupils[1], "missing")
		f.Set("n."+h.pupils[1], "同学说去了三楼")
		f.Set("m."+h.pupils[2], "injured")
	} else {
		f.Set("rest", "1")
		f.Set("done", "1")
	}
	luo.made(path, f)
}
