package health

import (
	"log/slog"
	"testing"
	"time"

	"campuskeep/shared/attendance"
	"campuskeep/shared/footage"
)

// Covers F1: a black picture is judged by whether light is to be expected: lessons, or the sun.
func TestLightByCalendar(t *testing.T) {
	zone := time.FixedZone("CST", 8*60*60)
	cal := attendance.Calendar{Zone: "Asia/Shanghai", Hours: attendance.DefaultHours, Holidays: []attendance.DateRange{{From: "2026-05-01", To: "2026-05-05", Name: "劳动节"}}}
	light := LightByCalendar(func() attendance.Calendar { return cal }, zone, slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		name              string
		day, hour, minute int
		want              footage.Light
	}{
		{"in lessons", 20, 9, 0, footage.Lit}, {"at noon of a holiday", 1, 12, 0, footage.Day}, {"in the morning of a holiday", 1, 9, 0, footage.Night},
		{"after school", 20, 22, 0, footage.Night}, {"at noon of a school day", 20, 12, 0, footage.Lit},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := light(time.Date(2026, 5, c.day, c.hour, c.minute, 0, 0, zone)); got != c.want {
				t.Errorf("light %d, want %d", got, c.want)
			}
		})
	}
}
