package console

import (
	"testing"

	"campuskeep/shared/lib/ui"
)

func TestAlarmsInWords(t *testing.T) {
	for detail, want := range map[string]string{
		"seq=3230 subject=c06 floor": "日志第 3230 条；对象 c06；提前删除",
		"fork=7 ours=90 theirs=80":   "自第 7 条起不同；中心已见证 90 条；学校提交 80 条",
		"odd":                        "odd",
		"":                           "",
	} {
		if got := alarmDetail(ui.Printer{Lang: "zh-CN"}, detail); got != want {
			t.Errorf("%q: %q, want %q", detail, got, want)
		}
	}
}
