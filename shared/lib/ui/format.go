package ui

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Printer writes dates, spans, numbers and texts as people of one language and zone write them.
type Printer struct {
	Lang Lang
	Zone *time.Location // nil is UTC
}

func (p Printer) at(t time.Time) time.Time {
	if p.Zone == nil {
		return t.UTC()
	}
	return t.In(p.Zone)
}

var enMonths = [...]string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}

// Day is 5月20日, or 20 May.
func (p Printer) Day(t time.Time) string {
	t = p.at(t)
	if p.Lang == English {
		return fmt.Sprintf("%d %s", t.Day(), enMonths[t.Month()-1])
	}
	return fmt.Sprintf("%d月%d日", t.Month(), t.Day())
}

// Weekday is 星期三, or Wed.
func (p Printer) Weekday(t time.Time) string {
	return p.T("weekday." + strconv.Itoa(int(p.at(t).Weekday())))
}

// WeekdayShort is 三, or We.
func (p Printer) WeekdayShort(t time.Time) string {
	return p.T("weekday.short." + strconv.Itoa(int(p.at(t).Weekday())))
}

// Date is 5月20日 星期三.
func (p Printer) Date(t time.Time) string { return p.Day(t) + " " + p.Weekday(t) }

// FullDate is 2026年5月20日.
func (p Printer) FullDate(t time.Time) string {
	if p.Lang == English {
		return fmt.Sprintf("%s %d", p.Day(t), p.at(t).Year())
	}
	return fmt.Sprintf("%d年%s", p.at(t).Year(), p.Day(t))
}

// Clock is 09:42.
func (p Printer) Clock(t time.Time) string { return p.at(t).Format("15:04") }

// ClockSec is 09:42:03.
func (p Printer) ClockSec(t time.Time) string { return p.at(t).Format("15:04:05") }

// DayTime is 5月20日 09:42.
func (p Printer) DayTime(t time.Time) string { return p.Day(t) + " " + p.Clock(t) }

// Stamp is 2026-05-20 09:42:03.
func (p Printer) Stamp(t time.Time) string { return p.at(t).Format("2006-01-02 15:04:05") }

// Input is the value of a datetime-local field.
func (p Printer) Input(t time.Time) string { return p.at(t).Format("2006-01-02T15:04") }

// ISODate is 2026-05-20, also the value of a date field.
func (p Printer) ISODate(t time.Time) string { return p.at(t).Format("2006-01-02") }

// When is 09:42, 昨日 17:26 or 5月18日 10:12, seen from now.
func (p Printer) When(t, now time.Time) string {
	day := p.at(t).Format("2006-01-02")
	switch day {
	case p.at(now).Format("2006-01-02"):
		return p.T("when.today", p.Clock(t))
	case p.at(now).AddDate(0, 0, -1).Format("2006-01-02"):
		return p.T("when.yesterday", p.Clock(t))
	case p.at(now).AddDate(0, 0, 1).Format("2006-01-02"):
		return p.T("when.tomorrow", p.Clock(t))
	}
	if p.at(t).Year() != p.at(now).Year() {
		return p.FullDate(t) + " " + p.Clock(t)
	}
	return p.DayTime(t)
}

// Span is 5月8日 17:00–18:30, or 5月16日 22:05–5月17日 06:10. The end of a day is 24:00.
func (p Printer) Span(from, to time.Time) string {
	a, b := p.at(from), p.at(to)
	end, last := p.Clock(b), b
	if b.Hour() == 0 && b.Minute() == 0 && b.Second() == 0 && b.After(a) {
		end, last = "24:00", b.AddDate(0, 0, -1)
	}
	if a.Format("2006-01-02") == last.Format("2006-01-02") {
		return p.Day(a) + " " + p.Clock(a) + "–" + end
	}
	return p.Day(a) + " " + p.Clock(a) + "–" + p.Day(last) + " " + end
}

// FullSpan is Span with the year, for documents: 2026年5月8日 17:00–18:30.
func (p Printer) FullSpan(from, to time.Time) string {
	if p.Lang == English {
		return p.Span(from, to) + " " + strconv.Itoa(p.at(from).Year())
	}
	return strconv.Itoa(p.at(from).Year()) + "年" + p.Span(from, to)
}

// Words is a duration in words, two units at most: 8 小时 5 分, 3 天, 40 秒.
func (p Printer) Words(d time.Duration) string {
	if d < 0 {
		d = -d
	}
	if d < time.Minute {
		return p.T("dur.s", int(d.Round(time.Second)/time.Second))
	}
	m := int(d.Round(time.Minute) / time.Minute)
	days, hours, mins := m/1440, m/60%24, m%60
	var parts []string
	if days > 0 {
		parts = append(parts, p.T("dur.d", days))
	}
	if hours > 0 {
		parts = append(parts, p.T("dur.h", hours))
	}
	if mins > 0 && days == 0 {
		parts = append(parts, p.T("dur.m", mins))
	}
	return strings.Join(parts, " ")
}

// Int groups digits by three: 184,233.
func (p Printer) Int(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Bytes is 52 GB, 1.4 TB, 312 KB (decimal, as disks are sold).
func (p Printer) Bytes(n int64) string {
	units := []string{"B", "KB", "MB", "GB", "TB", "PB"}
	f, i := float64(n), 0
	for f >= 1000 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	if i == 0 || f >= 100 {
		return fmt.Sprintf("%.0f %s", f, units[i])
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") + " " + units[i]
}

// Percent is 99.19%, and 100% only when nothing is missing.
func (p Printer) Percent(part, whole time.Duration) string {
	if whole <= 0 {
		return "–"
	}
	v := 100 * float64(part) / float64(whole)
	if part < whole && v > 99.99 {
		v = 99.99
	}
	return fmt.Sprintf("%.2f%%", v)
}

// Hide hides part of a name for shared screens: 陆*遥, 江*.
func Hide(name string) string {
	r := []rune(name)
	switch len(r) {
	case 0, 1:
		return name
	case 2:
		return string(r[:1]) + "*"
	}
	return string(r[:1]) + strings.Repeat("*", len(r)-2) + string(r[len(r)-1:])
}
