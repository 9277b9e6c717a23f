package words

import (
	"strings"
	"testing"

	"campuskeep/cloud/centredb"
	"campuskeep/shared/lib/ui"
)

var chinese = ui.Printer{Lang: ui.Chinese}

func TestAlarmsInWords(t *testing.T) {
	for detail, want := range map[string]string{
		"seq=3230 subject=c06 floor": "日志第3230条；6 号摄像机；提前删除",
		"seq=9 part=purpose":         "日志第9条；内容：事由",
		"fork=7 ours=90 theirs=80":   "自第7条起不同；中心已存证 90 条；学校提交 80 条",
		"odd":                        "odd",
		"":                           "",
	} {
		if got := AlarmDetail(chinese, detail); got != want {
			t.Errorf("%q: %q, want %q", detail, got, want)
		}
	}
}

func TestSubjectsInWords(t *testing.T) {
	for id, want := range map[string]string{
		"c06": "6 号摄像机", "c112": "112 号摄像机", "n01": "1 号录像机", "p005": "人员 p005", "s0012": "学生 s0012",
		"a2026-0047": "视申〔2026〕047号", "2021-01": "2021 级 1 班", "2024j-12": "初中 2024 级 12 班", "2024s-03": "高中 2024 级 3 班",
		"gate-in": "gate-in", "": "",
	} {
		if got := Subject(chinese, id); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
	if got := Actor(chinese, "system"); got != "系统" {
		t.Errorf("the appliance itself is %q", got)
	}
}

func TestTheCentresLogInWords(t *testing.T) {
	rows := AuditRows(chinese, []centredb.Audit{
		{Actor: "c002", Action: "login", Subject: "c002", Result: "ok"},
		{Actor: "", Action: "login", Result: "login.reason.unknown"},
		{Actor: "c002", Action: "enrol.token", Subject: "ck-0417", Result: "ok"},
		{Actor: "c001", Action: "alarm.close", Subject: "12", Result: "ok"},
		{Actor: "c001", Action: "centre.enrol", Subject: "ck-0417", Result: "may.role"},
		{Actor: "c002", Action: "appliance.deny", Subject: "ck-0417", Result: "lifted"},
	}, map[string]string{"c001": "李", "c002": "常远舟"}, map[string]string{"ck-0417": "青榆实验学校"})
	for i, want := range []string{"常远舟 登录 常远舟 完成", "未登录 登录  登录名不存在", "常远舟 生成接入码 青榆实验学校 完成", "李 处置告警 告警 12 完成",
		"李 接入管理 青榆实验学校 您的职责不含此项操作。确需办理的，请联系安保部门。", "常远舟 停止接入 青榆实验学校 已恢复"} {
		if got := strings.Join([]string{rows[i].Who, rows[i].What, rows[i].About, rows[i].Outcome}, " "); got != want {
			t.Errorf("line %d: %q, want %q", i, got, want)
		}
	}
}
