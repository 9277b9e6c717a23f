package nvrtime

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Zone is the rule by which an NVR makes its local time: [ParseZone] reads how NVRs write it.
type Zone struct {
	East       time.Duration // standard time ahead of UTC
	Save       time.Duration // added in summer; 0: no summer time
	Start, End transition    // in local time as it is then
}

// transition is the POSIX rule M<month>.<week>.<day>/<time>.
type transition struct {
	month, week, day int
	at               time.Duration
}

var (
	zoneForm = regexp.MustCompile(`^[A-Za-z]{1,8}([+-]?)(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?(?:DST(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?,([^,]{5,24}),([^,]{5,24}))?$`)
	ruleForm = regexp.MustCompile(`^M(\d{1,2})\.([1-5])\.([0-6])(?:/(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?)?$`)
)

// ParseZone reads a zone as NVRs write it: the POSIX form with the sign of POSIX (CST-8:00:00 is eight hours east), and
// behind DST how much is added in summer.
func ParseZone(s string) (Zone, error) {
	bad := func(why string) (Zone, error) { return Zone{}, fmt.Errorf("time zone %q: %s", s, why) }
	m := zoneForm.FindStringSubmatch(s)
	if m == nil {
		return bad("not understood")
	}
	west, ok := hms(m[2], m[3], m[4])
	if !ok || west > 14*time.Hour {
		return bad("no such distance from UTC")
	}
	z := Zone{East: -west}
	if m[1] == "-" {
		z.East = west
	}
	if m[5] == "" {
		return z, nil
	}
	if z.Save, ok = hms(m[5], m[6], m[7]); !ok || z.Save <= 0 || z.Save > 3*time.Hour {
		return bad("summer time not understood")
	}
	for i, into := range []*transition{&z.Start, &z.End} {
		r := ruleForm.FindStringSubmatch(m[8+i])
		if r == nil {
			return bad("rule of summer time not understood")
		}
		into.month, into.week, into.day = number(r[1]), number(r[2]), number(r[3])
		into.at = 2 * time.Hour
		if r[4] != "" {
			into.at, ok = hms(r[4], r[5], r[6])
		}
		if !ok || into.month < 1 || into.month > 12 {
			return bad("rule of summer time not understood")
		}
	}
	return z, nil
}

func number(s string) int {
	n, _ := strconv.Atoi(s) // the form has checked that these are digits; none is 0
	return n
}

func hms(h, m, s string) (time.Duration, bool) {
	if number(h) > 24 || number(m) > 59 || number(s) > 59 {
		return 0, false
	}
	return time.Duration(number(h))*time.Hour + time.Duration(number(m))*time.Minute + time.Duration(number(s))*time.Second, true
}

// in gives the local instant of a change in a year, as digits.
func (c transition) in(year int) time.Time {
	first := time.Date(year, time.Month(c.month), 1, 0, 0, 0, 0, time.UTC)
	day := 1 + (c.day-int(first.Weekday())+7)%7 + 7*(c.week-1)
	for day > first.AddDate(0, 1, -1).Day() { // week 5 is the last one
		day -= 7
	}
	return first.AddDate(0, 0, day-1).Add(c.at)
}

// offset is how far local time is ahead of UTC at an instant.
func (z Zone) offset(utc time.Time) time.Duration {
	if z.Save == 0 {
		return z.East
	}
	year := utc.Add(z.East).Year()
	start := z.Start.in(year).Add(-z.East)
	end := z.End.in(year).Add(-z.East - z.Save)
	summer := !utc.Before(start) && utc.Before(end)
	if end.Before(start) { // the southern half
		summer = !utc.Before(start) || utc.Before(end)
	}
	if summer {
		return z.East + z.Save
	}
	return z.East
}

// Local gives the digits that a clock of the zone shows.
func (z Zone) Local(utc time.Time) time.Time { return utc.UTC().Add(z.offset(utc)) }

// UTC turns local digits into the instant. In the hour that summer time shows twice it is unsure which; that hour of
// doubt is given too.
func (z Zone) UTC(digits time.Time) (at time.Time, doubt time.Duration) {
	at = digits.Add(-z.East)
	if z.Save == 0 {
		return at, 0
	}
	summer := digits.Add(-z.East - z.Save)
	isSummer, isWinter := z.offset(summer) == z.East+z.Save, z.offset(at) == z.East
	switch {
	case isSummer && isWinter:
		return at, z.Save
	case isSummer:
		return summer, 0
	}
	return at, 0
}
