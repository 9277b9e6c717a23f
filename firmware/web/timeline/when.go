package timeline

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Times as people write them: 17:05, 1705, 5点半, 下午5点05, 昨天 17:05, 周二 7:30, 5月8日 17:05, 2026-05-08 17:05:30,
// yesterday 5:05 pm. What cannot be read for sure is refused, never guessed.
var (
	whenClock  = regexp.MustCompile(`^(.*?)(凌晨|早上|上午|中午|下午|傍晚|晚上|晚)? ?(\d{1,2}) ?(?:[:.点时] ?(?:(\d{1,2})|(半)|([一三])刻)?(?: ?分)?(?:[: ]?(\d{1,2}) ?秒?)?|h) ?(am|pm)?$`)
	whenPlain  = regexp.MustCompile(`^(?:(.*) )?([01]\d|2[0-4])([0-5]\d)$`)
	whenHour   = regexp.MustCompile(`^(.*?) ?(\d{1,2}) ?(am|pm)$`)
	whenDate   = regexp.MustCompile(`^(?:(\d{4}) ?[-/.年] ?)?(\d{1,2}) ?[-/.月] ?(\d{1,2}) ?[日号]?$`)
	whenDayNo  = regexp.MustCompile(`^(\d{1,2}) ?[日号]$`)
	whenWeek   = regexp.MustCompile(`^(上|这|本|last )? ?(?:周|星期|礼拜)([一二三四五六日天])$`)
	whenEnWeek = regexp.MustCompile(`^(last )?(sun|mon|tue|wed|thu|fri|sat)[a-z]*$`)
)

const longestWhen = 40 // characters

// ParseWhen reads an instant that somebody typed. day is the day that is meant when none is named; dates without a
// year and days of the week lie in the past, seen from now.
func ParseWhen(text string, day, now time.Time, zone *time.Location) (time.Time, bool) {
	s := plainDigits(text)
	if s == "" || len([]rune(s)) > longestWhen {
		return time.Time{}, false
	}
	rest, h, m, sec, ok := clockOf(s)
	if !ok {
		return time.Time{}, false
	}
	day = day.In(zone)
	rest = strings.Trim(rest, " ,，")
	if n := len(rest); n > 1 && rest[n-1] == 't' && rest[n-2] <= '9' {
		rest = rest[:n-1] // 2026-05-08T17:05
	}
	if rest != "" {
		if day, ok = dayOf(rest, now.In(zone)); !ok {
			return time.Time{}, false
		}
	}
	return time.Date(day.Year(), day.Month(), day.Day(), h, m, sec, 0, zone), true
}

// plainDigits makes what a Chinese keyboard writes the same as what another does.
func plainDigits(text string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case r >= '！' && r <= '～':
			return r - '！' + '!'
		case r == '　':
			return ' '
		case r == '。' || r == '．':
			return '.'
		}
		return r
	}, strings.ToLower(text))), " ")
}

func clockOf(s string) (rest string, h, m, sec int, ok bool) {
	part := ""
	if x := whenClock.FindStringSubmatch(s); x != nil {
		rest, part, h, m, sec = x[1], x[2], digits(x[3]), digits(x[4]), digits(x[7])
		switch {
		case x[5] != "":
			m = 30
		case x[6] == "一":
			m = 15
		case x[6] == "三":
			m = 45
		case x[4] == "" && strings.HasSuffix(s, ":"):
			return "", 0, 0, 0, false
		}
		if x[8] != "" {
			part = x[8]
		}
	} else if x := whenPlain.FindStringSubmatch(s); x != nil {
		rest, h, m = x[1], digits(x[2]), digits(x[3])
	} else if x := whenHour.FindStringSubmatch(s); x != nil {
		rest, h, part = x[1], digits(x[2]), x[3]
	} else {
		return "", 0, 0, 0, false
	}
	switch part {
	case "下午", "傍晚", "晚上", "晚", "pm":
		if h < 12 {
			h += 12
		}
	case "中午":
		if h < 3 {
			h += 12
		}
	case "凌晨", "早上", "上午", "am":
		if h == 12 {
			h = 0
		}
		if h > 12 {
			return "", 0, 0, 0, false
		}
	}
	if h > 24 || m > 59 || sec > 59 || h == 24 && m+sec > 0 {
		return "", 0, 0, 0, false
	}
	return rest, h, m, sec, true
}

func digits(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0 // left out
	}
	return n
}

func dayOf(s string, now time.Time) (time.Time, bool) {
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	s = strings.TrimSuffix(s, "的")
	switch s {
	case "今天", "今日", "今", "today":
		return today, true
	case "昨天", "昨日", "昨", "昨晚", "yesterday":
		return today.AddDate(0, 0, -1), true
	case "前天", "前日":
		return today.AddDate(0, 0, -2), true
	case "大前天":
		return today.AddDate(0, 0, -3), true
	}
	if x := whenDate.FindStringSubmatch(s); x != nil {
		return dateOf(digits(x[1]), digits(x[2]), digits(x[3]), today)
	}
	if x := whenDayNo.FindStringSubmatch(s); x != nil {
		month := today
		if digits(x[1]) > today.Day() {
			month = time.Date(today.Year(), today.Month()-1, 1, 0, 0, 0, 0, today.Location())
		}
		return dateOf(month.Year(), int(month.Month()), digits(x[1]), today)
	}
	if x := whenWeek.FindStringSubmatch(s); x != nil {
		return weekdayOf(strings.Index("一二三四五六日天", x[2])/len("一"), x[1] == "上" || x[1] == "last ", today), true
	}
	if x := whenEnWeek.FindStringSubmatch(s); x != nil {
		return weekdayOf(strings.Index("montuewedthufrisatsun", x[2])/3, x[1] != "", today), true
	}
	return time.Time{}, false
}

// dateOf is a date that there is; one without a year is the last such.
func dateOf(y, m, d int, today time.Time) (time.Time, bool) {
	guess := y == 0
	if guess {
		y = today.Year()
	}
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, today.Location())
	if guess && t.After(today) {
		y--
		t = time.Date(y, time.Month(m), d, 0, 0, 0, 0, today.Location())
	}
	return t, t.Year() == y && int(t.Month()) == m && t.Day() == d
}

// weekdayOf is the last such day of the week, Monday being 0; before says the one of the week before.
func weekdayOf(n int, before bool, today time.Time) time.Time {
	n = min(n, 6) // 日 and 天 are the same
	monday := today.AddDate(0, 0, -(int(today.Weekday())+6)%7)
	day := monday.AddDate(0, 0, n)
	if before || day.After(today) {
		day = day.AddDate(0, 0, -7)
	}
	return day
}
