package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"campuskeep/firmware/site"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
)

// uploadSheet sends rows as a spreadsheet.
func (v *visitor) uploadSheet(path string, rows ...[]string) answer {
	v.h.t.Helper()
	cells := make([][]any, len(rows))
	for i, row := range rows {
		for _, s := range row {
			cells[i] = append(cells[i], s)
		}
	}
	return v.upload(path, sheetOf(v.h.t, cells))
}

// confirm confirms what the page of an import shows.
func (v *visitor) confirm(path string, shown answer) answer {
	v.h.t.Helper()
	_, after, _ := strings.Cut(shown.Body, `name="token" value="`)
	token, _, _ := strings.Cut(after, `"`)
	return v.post(path+"/confirm", url.Values{"token": {token}, "agreed": {"yes"}})
}

// Lists come as spreadsheets: previewed with what is wrong in each row, then stored whole or not at all. Covers S14.
func TestListsAsSpreadsheets(t *testing.T) {
	h := newEnv(t)
	zheng := h.as("zheng")
	for path, x := range map[string]struct {
		head, good, bad []string
		want            string // of the bad row
		stored          func() bool
	}{
		"/places/import": {[]string{"名称", "类别", "看得到这里的摄像机"}, []string{"操场", "操场", "c01"}, []string{"食堂", "厨房", "c99"}, "没有摄像机 c99",
			func() bool { return len(h.site.Places()) == 1 && h.site.Places()[0].Cameras[0] == "c01" }},
		"/calendar/import": {[]string{"类型", "名称", "起", "止", "按星期几的课表"}, []string{"调休上课", "", "2026-06-20", "", "星期五"}, []string{"学期", "春", "2026-02-30", "2026-07-03", ""}, "日期",
			func() bool { return len(h.site.Calendar().MakeUps) == 1 && h.site.Calendar().MakeUps[0].As == "friday" }},
		"/classes/import": {[]string{"班级", "教师", "任务", "起"}, []string{"三年级2班", "罗雨禾", "班主任", "2026-05-01"}, []string{"三年级2班", "无此人", "", ""}, "没有这个人",
			func() bool { c, _ := h.people.Class("2023-02"); return c.Head("2026-05-20") == h.ids["luo"] }},
		"/cards/import": {[]string{"学生", "卡号"}, []string{h.pupils[0], "0A0B0C0D"}, []string{"安知予", "04A2B30100"}, "2 名学生符合", func() bool { return h.good("0A0B0C0D") }},
		"/pupils/import": {[]string{"姓名", "性别", "出生日期", "证件类型", "身份证件号", "班级"}, []string{"陆可望", "男", "2016-02-29", "无", "", "三年级1班"}, []string{"陆\ue000", "男", "2016-02-29", "无", "", "三年级1班"}, "E000",
			func() bool { return h.people.Students() == 13 }},
	} {
		t.Run(path, func(t *testing.T) {
			if page := zheng.get(path); page.status != 200 || !strings.Contains(page.Body, `type="file"`) {
				t.Fatalf("the page: %d\n%s", page.status, page.text())
			}
			if r := zheng.get(strings.TrimSuffix(path, "import") + "template.xlsx"); r.status != 200 || !strings.HasPrefix(r.Body, "PK") {
				t.Errorf("the template: %d", r.status)
			}
			size := h.store.Size()
			r := zheng.uploadSheet(path, x.head, x.good, x.bad)
			if r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, x.want) || strings.Contains(r.Body, `name="token"`) || h.store.Size() != size {
				t.Errorf("with a bad row: %d, want %q\n%s", r.status, x.want, r.text())
			}
			shown := zheng.uploadSheet(path, x.head, x.good)
			if shown.status != http.StatusOK || x.stored() || h.store.Size() != size {
				t.Fatalf("the preview: %d\n%s", shown.status, shown.text())
			}
			if r := zheng.confirm(path, shown); r.status != http.StatusSeeOther || !x.stored() {
				t.Errorf("confirmed: %d\n%s", r.status, r.text())
			}
			if r := zheng.confirm(path, shown); r.status != http.StatusUnprocessableEntity {
				t.Errorf("confirmed twice: %d", r.status)
			}
		})
	}
}

// Places, calendar and bell times are set on pages; a day that the calendar does not know is said so.
func TestTheSchoolOnPages(t *testing.T) {
	h := newEnv(t)
	zheng := h.as("zheng")
	if r := zheng.post("/places/new", url.Values{"name": {"东大门"}, "kind": {"gate"}, "cameras": {"c01"}}); r.status != http.StatusSeeOther || len(h.site.Places()) != 1 {
		t.Errorf("a place: %d\n%s", r.status, r.text())
	}
	if r := zheng.post("/places/new", url.Values{"name": {"东大门"}}); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "已有同名地点") {
		t.Errorf("the same place again: %d\n%s", r.status, r.text())
	}

	rev := func() string { return strconv.FormatUint(h.site.CalendarRev(), 10) }
	f := url.Values{"rev": {rev()}, "terms.0.name": {"春季"}, "terms.0.from": {"2026-02-23"}, "terms.0.to": {"2026-06-05"}, "holidays.0.from": {"2026-05-01"}, "holidays.0.to": {"2026-05-05"}, "holidays.0.name": {"劳动节"},
		"make_ups.0.date": {"2026-05-09"}, "make_ups.0.as": {"friday"}}
	if r := zheng.post("/calendar", f); r.status != http.StatusSeeOther {
		t.Fatalf("calendar: %d\n%s", r.status, r.text())
	}
	if cal := h.site.Calendar(); cal.KnownUntil() != "2026-06-05" || cal.MakeUps[0].As != "friday" || cal.Hours != attendance.DefaultHours {
		t.Errorf("calendar %+v", cal)
	}
	if r := zheng.post("/calendar", f); r.status != http.StatusConflict {
		t.Errorf("a form of before: %d", r.status)
	}
	if page := zheng.get("/"); !strings.Contains(page.Body, "校历到 2026-06-05 为止") {
		t.Errorf("nobody says that the calendar ends\n%s", page.text())
	}
	f.Set("rev", rev())
	f.Set("terms.1.from", "2026-06-01")
	f.Set("terms.1.to", "2026-07-10")
	if r := zheng.post("/calendar", f); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "与另一学期的日期重叠") {
		t.Errorf("terms that overlap: %d\n%s", r.status, r.text())
	}

	bells := url.Values{"rev": {rev()}, "opens": {"06:30"}, "bell": {"08:40"}, "home": {"15:30"}, "closes": {"17:30"}, "grace": {"0"}, "slack": {"5"}, "ask_teacher": {"5"}, "tell_parents": {"15"}, "repeat": {"10"},
		"tap_out": {"in_out"}, "grades": {"1", "2", "3"}}
	if r := zheng.post("/bells/grades-0", bells); r.status != http.StatusSeeOther {
		t.Fatalf("bells: %d\n%s", r.status, r.text())
	}
	cal := h.site.Calendar()
	if _, young, err := cal.DayOf("2026-05-20", 3); err != nil || young.Bell != 8*60+40 {
		t.Errorf("bell of grade 3: %d, %v", young.Bell, err)
	}
	if _, old, err := cal.DayOf("2026-05-20", 6); err != nil || old.Bell != 8*60 {
		t.Errorf("bell of grade 6: %d, %v", old.Bell, err)
	}
	bells.Set("rev", rev())
	bells.Set("bell", "05:00")
	if r := zheng.post("/bells/friday", bells); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, `href="#f-bell"`) {
		t.Errorf("a bell before the gate opens: %d\n%s", r.status, r.text())
	}
	if page := zheng.get("/bells"); !strings.Contains(page.Body, "一年级、二年级、三年级") || !strings.Contains(page.Body, "08:40") {
		t.Errorf("the list\n%s", page.text())
	}
	if r := zheng.post("/bells/grades-0/remove", nil); r.status != http.StatusSeeOther || len(h.site.Calendar().Grades) != 0 {
		t.Errorf("removed: %d", r.status)
	}
	if page := zheng.get("/bells/someday"); page.status != http.StatusNotFound {
		t.Errorf("a set that is none: %d", page.status)
	}
	if page := h.as("fan").get("/calendar"); page.status != 200 || strings.Contains(page.Body, `name="terms.0.from"`) {
		t.Errorf("an employee sees %d", page.status)
	}
}

// The guide says what the gate still waits for, and nobody ticks it.
func TestTheGuideIsWorkedOut(t *testing.T) {
	h := newEnv(t)
	zheng := h.as("zheng")
	page := zheng.get("/setup/guide")
	for _, want := range []string{"校门刷卡还不能使用", "1 台读卡器离线", "1 个班没有班主任", "12 名学生没有监护人", "由系统管理员填写", "作息仍是出厂值"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the guide does not say %q", want)
		}
	}
	if r := h.as("fan").get("/api/v1/setup/guide"); r.status != 200 || !strings.Contains(r.Body, `"works":false`) {
		t.Errorf("as JSON: %d %s", r.status, r.Body)
	}
	h.must(h.site.PutReader(t.Context(), account.System, site.Reader{ID: "r01", Name: "东大门 1 号", Direction: attendance.Auto, Port: "/dev/ttyS1", Address: 1, Retired: true}))
	if page := zheng.get("/setup/guide"); page.status != 200 {
		t.Errorf("%d", page.status)
	}
}

// The turn of the year is planned, entered and taken back on its page.
func TestTheTurnOfAYearOnItsPage(t *testing.T) {
	h := newEnv(t)
	zheng := h.as("zheng")
	if page := zheng.get("/year"); page.status != 200 || !strings.Contains(page.Body, "四年级1班") {
		t.Fatalf("the page: %d\n%s", page.status, page.text())
	}
	f := url.Values{"rev": {"0"}, "m0_who": {"安知予"}, "m0_to": {"leave"}}
	if r := zheng.post("/year", f); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "2 名学生符合") {
		t.Errorf("a name that occurs twice: %d\n%s", r.status, r.text())
	}
	f.Set("m0_who", h.pupils[0])
	f.Set("m1_who", h.pupils[1])
	f.Set("m1_to", "2023-02")
	f.Set("head.2023-02", h.ids["luo"])
	if r := zheng.post("/year", f); r.status != http.StatusSeeOther {
		t.Fatalf("the plan: %d\n%s", r.status, r.text())
	}
	page := zheng.get("/year")
	if !strings.Contains(page.Body, "安知予") || !strings.Contains(page.Body, "转出离校") {
		t.Errorf("the preview\n%s", page.text())
	}
	_, after, _ := strings.Cut(page.Body, `action="/year/enter"><input type="hidden" name="rev" value="`)
	shown, _, _ := strings.Cut(after, `"`)
	if r := zheng.post("/year/enter", url.Values{"rev": {shown}}); r.status != http.StatusSeeOther || h.people.ClassOf(h.pupils[0], "2026-09-01") != "" || h.people.ClassOf(h.pupils[1], "2026-09-01") != "2023-02" {
		t.Errorf("entered: %d\n%s", r.status, r.text())
	}
	if r := zheng.post("/year/undo", nil); r.status != http.StatusSeeOther || h.people.ClassOf(h.pupils[0], "2026-09-01") != "2023-01" {
		t.Errorf("taken back: %d\n%s", r.status, r.text())
	}
}
