package timeline

import (
	"testing"
	"time"
)

// A time is read as people write it; what cannot be read for sure is refused. The present is Wednesday 20 May, 9:42.
func TestTimesAsPeopleWriteThem(t *testing.T) {
	day := at(8, 0, 0)
	for text, want := range map[string]time.Time{
		"17:05": at(8, 17, 5), "17：05": at(8, 17, 5), "１７：０５": at(8, 17, 5), "17.05": at(8, 17, 5), "1705": at(8, 17, 5), " 17:05 ": at(8, 17, 5),
		"17:05:30": at(8, 17, 5).Add(30 * time.Second), "7点": at(8, 7, 0), "17点05分": at(8, 17, 5), "17时05分30秒": at(8, 17, 5).Add(30 * time.Second),
		"下午5点05": at(8, 17, 5), "下午 5点半": at(8, 17, 30), "晚上8点一刻": at(8, 20, 15), "中午12点": at(8, 12, 0), "凌晨12点10分": at(8, 0, 10), "5:05 pm": at(8, 17, 5), "5pm": at(8, 17, 0), "12:10 am": at(8, 0, 10),
		"24:00": at(9, 0, 0), "昨天 17:05": at(19, 17, 5), "昨天17:05": at(19, 17, 5), "前天下午3点": at(18, 15, 0), "今天 8:00": at(20, 8, 0), "yesterday 17:05": at(19, 17, 5), "昨晚 9点": at(19, 21, 0), "today 8:00": at(20, 8, 0),
		"5月8日 17:05": at(8, 17, 5), "5月8号17:05": at(8, 17, 5), "5-8 17:05": at(8, 17, 5), "2026-05-08 17:05": at(8, 17, 5), "2026-05-08T17:05": at(8, 17, 5), "2026年5月8日 17点05": at(8, 17, 5),
		"8日 17:05": at(8, 17, 5), "周二 7:30": at(19, 7, 30), "周三 7:30": at(20, 7, 30), "周四 7:30": at(14, 7, 30), "上周二 7:30": at(12, 7, 30), "星期日 7:30": at(17, 7, 30), "礼拜天 7:30": at(17, 7, 30),
		"tue 7:30": at(19, 7, 30), "last Tuesday 7:30": at(12, 7, 30), "12月31日 23:59": time.Date(2025, 12, 31, 23, 59, 0, 0, shanghai),
	} {
		got, ok := ParseWhen(text, day, present, shanghai)
		if !ok || !got.Equal(want) {
			t.Errorf("%q is %v (%v), want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "25:00", "17:60", "24:01", "17:", "时", "上午17点", "2月30日 10:00", "明天 10:00", "13月1日 10:00", "abc 10:00", "17:05 昨天", "1760", "9999"} {
		if got, ok := ParseWhen(text, day, present, shanghai); ok {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func FuzzWhen(f *testing.F) {
	for _, s := range []string{"昨天 17:05", "5pm", "2026-05-08T17:05:30", "上周二 下午5点半", "99月99日 1705"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseWhen(s, present, present, shanghai)
		if ok && (got.Year() < 0 || got.Year() > 10000 || got.Nanosecond() != 0) {
			t.Errorf("%q is %v", s, got)
		}
	})
}
