package ui

import (
	"testing"
	"time"
	_ "time/tzdata"
)

func printers(t *testing.T) (zh, en Printer) {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	return Printer{Chinese, zone}, Printer{English, zone}
}

// Dates, spans, durations and sizes stand as people write them (design §8a).
func TestDatesAndSpansAsPeopleWriteThem(t *testing.T) {
	zh, en := printers(t)
	at := func(d, h, m int) time.Time { return time.Date(2026, 5, d, h, m, 0, 0, zh.Zone) }
	now := at(20, 9, 42)
	for _, x := range []struct{ got, want string }{
		{zh.Date(now), "5月20日 星期三"}, {en.Date(now), "20 May Wed"}, {zh.FullDate(now), "2026年5月20日"}, {en.FullDate(now), "20 May 2026"},
		{zh.Clock(now.UTC()), "09:42"}, {zh.Stamp(now), "2026-05-20 09:42:00"}, {zh.Input(now), "2026-05-20T09:42"},
		{zh.When(at(20, 7, 5), now), "今日 07:05"}, {zh.When(at(19, 17, 26), now), "昨日 17:26"}, {zh.When(at(21, 8, 0), now), "明日 08:00"}, {zh.When(at(8, 10, 12), now), "5月8日 10:12"},
		{zh.When(now.AddDate(-1, 0, 0), now), "2025年5月20日 09:42"},
		{zh.Span(at(8, 17, 0), at(8, 18, 30)), "5月8日 17:00–18:30"}, {zh.Span(at(16, 22, 5), at(17, 6, 10)), "5月16日 22:05–5月17日 06:10"},
		{zh.Span(at(8, 0, 0), at(9, 0, 0)), "5月8日 00:00–24:00"}, {zh.FullSpan(at(8, 17, 0), at(8, 18, 30)), "2026年5月8日 17:00–18:30"}, {en.FullSpan(at(8, 17, 0), at(8, 18, 30)), "8 May 17:00–18:30 2026"},
		{zh.Words(8*time.Hour + 5*time.Minute), "8 小时 5 分钟"}, {zh.Words(40 * time.Second), "40 秒"}, {zh.Words(73*time.Hour + 20*time.Minute), "3 天 1 小时"}, {en.Words(24 * time.Hour), "1 day"}, {zh.Words(59*time.Minute + 40*time.Second), "1 小时"},
		{zh.Int(1284), "1,284"}, {zh.Int(-1234567), "-1,234,567"}, {zh.Int(7), "7"},
		{zh.Bytes(52_000_000_000), "52 GB"}, {zh.Bytes(1_470_000_000_000), "1.5 TB"}, {zh.Bytes(999), "999 B"}, {zh.Bytes(312_400), "312 KB"},
		{zh.Percent(time.Hour, time.Hour), "100.00%"}, {zh.Percent(1e9*time.Second-1, 1e9*time.Second), "99.99%"}, {zh.Percent(0, 0), "–"},
		{Hide("陆可遥"), "陆*遥"}, {Hide("江然"), "江*"}, {Hide("欧阳若兰"), "欧**兰"}, {Hide("李"), "李"}, {Hide(""), ""},
		{Pct(0.0909090909), "9.091%"}, {Pct(1), "100%"}, {Pct(0), "0%"},
	} {
		if x.got != x.want {
			t.Errorf("%q, want %q", x.got, x.want)
		}
	}
}
