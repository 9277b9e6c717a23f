package nvr

import (
	"fmt"
	"strings"
	"time"
)

// east reads the zone that is set; the simulator knows no summer time.
func (h Habits) east() time.Duration {
	var sign rune
	var hours, minutes int
	s := strings.TrimLeft(h.Zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	if _, err := fmt.Sscanf(s, "%c%d:%d", &sign, &hours, &minutes); err != nil {
		return 0
	}
	d := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if sign == '-' { // POSIX: minus is east
		return d
	}
	return -d
}

// digits gives what the recorder writes for a true instant.
func (h Habits) digits(at time.Time, local bool) time.Time {
	at = at.UTC().Add(h.Offset)
	if local {
		at = at.Add(h.east())
	}
	return at
}

// truth is the way back.
func (h Habits) truth(digits time.Time, local bool) time.Time {
	if local {
		digits = digits.Add(-h.east())
	}
	return digits.Add(-h.Offset)
}

const zForm = "2006-01-02T15:04:05Z"

func (h Habits) search(at time.Time) string { return h.digits(at, h.SearchLocal).Format(zForm) }

func (h Habits) clock(now time.Time) string {
	s := h.digits(now, true).Format("2006-01-02T15:04:05")
	switch h.ClockMark {
	case MarkZ:
		return s + "Z"
	case MarkNone:
		return s
	}
	e := h.east()
	sign := '+'
	if e < 0 {
		sign, e = '-', -e
	}
	return fmt.Sprintf("%s%c%02d:%02d", s, sign, e/time.Hour, e%time.Hour/time.Minute)
}
