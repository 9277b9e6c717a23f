package health

import (
	"log/slog"
	"time"

	"campuskeep/shared/attendance"
	"campuskeep/shared/footage"
)

// The sun is up everywhere in the country at these hours of its one time zone, in Kashgar in December as in Fuyuan.
const (
	sunFrom = 11
	sunTo   = 15
)

// LightByCalendar says how bright it ought to be: from bell to home on school days people are there.
func LightByCalendar(calendar func() attendance.Calendar, zone *time.Location, log *slog.Logger) func(time.Time) footage.Light {
	return func(at time.Time) footage.Light {
		local := at.In(zone)
		day, hours, err := calendar().Day(local.Format(attendance.DateLayout))
		minute := local.Hour()*60 + local.Minute()
		switch {
		case err != nil:
			log.Error("the calendar does not know the day", "date", local.Format(attendance.DateLayout), "err", err)
		case day.School && minute >= hours.Bell && minute < hours.Home:
			return footage.Lit
		}
		if h := local.Hour(); h >= sunFrom && h < sunTo {
			return footage.Day
		}
		return footage.Night
	}
}
