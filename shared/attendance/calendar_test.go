package attendance

import (
	"errors"
	"slices"
	"testing"
	"time"

	"campuskeep/shared/lib/fielderr"
)

func TestHoursOfTheDay(t *testing.T) {
	k := cal()
	short := DefaultHours
	short.Home = 15 * 60
	exam := DefaultHours
	exam.Bell = 9 * 60
	k.Weekdays = map[string]Hours{"friday": short}
	k.Dates = map[string]Hours{"2026-05-21": exam}
	k.MakeUps = []MakeUp{{Date: "2026-05-23", As: "friday"}, {Date: "2026-05-24"}}
	for _, c := range []struct {
		date       string
		bell, home int
	}{
		{"2026-05-20", 8 * 60, 16*60 + 30},
		{"2026-05-21", 9 * 60, 16*60 + 30},
		{"2026-05-22", 8 * 60, 15 * 60},
		{"2026-05-23", 8 * 60, 15 * 60},    // a Saturday with Friday's hours
		{"2026-05-24", 8 * 60, 16*60 + 30}, // a Sunday with its own
	} {
		day, h, err := k.Day(c.date)
		if err != nil || !day.School || h.Bell != c.bell || h.Home != c.home {
			t.Errorf("%s: %+v %+v %v", c.date, day, h, err)
		}
	}
}

// Days are as long as the zone makes them; 1 May 1988 was changed to summer time in China.
func TestDaysFollowTheZone(t *testing.T) {
	k := cal()
	day, _, err := k.Day("1988-04-17")
	if err != nil || day.End.Sub(day.Start) != 23*time.Hour {
		t.Errorf("the day of the change lasts %v, %v", day.End.Sub(day.Start), err)
	}
	if at := day.At(8 * 60); at.Hour() != 8 || at.Minute() != 0 {
		t.Errorf("8:00 is %v", at)
	}
	if d, err := k.Date(time.Date(2026, 5, 19, 16, 30, 0, 0, time.UTC)); err != nil || d != "2026-05-20" {
		t.Errorf("half past midnight is %s, %v", d, err)
	}
}

// Covers S7: the parents are never told before the teacher was asked, and the teacher never within the grace.
func TestCalendarCheckNamesTheField(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*Calendar)
		field string
	}{
		{"no zone", func(k *Calendar) { k.Zone = "" }, "zone"},
		{"unknown zone", func(k *Calendar) { k.Zone = "Asia/Nowhere" }, "zone"},
		{"parents before the teacher", func(k *Calendar) { k.Hours.TellParents = 4 }, "hours.tell_parents"},
		{"teacher within the grace", func(k *Calendar) { k.Hours.Grace = 6 }, "hours.ask_teacher"},
		{"home before the bell", func(k *Calendar) { k.Hours.Home = 7 * 60 }, "hours.home"},
		{"closes before home", func(k *Calendar) { k.Hours.Closes = 16 * 60 }, "hours.closes"},
		{"bell before the gate opens", func(k *Calendar) { k.Hours.Opens = 9 * 60 }, "hours.bell"},
		{"closes on the next day", func(k *Calendar) { k.Hours.Closes = 24 * 60 }, "hours.closes"},
		{"term backwards", func(k *Calendar) { k.Terms = []Term{{From: "2026-07-01", To: "2026-02-01"}} }, "terms.0.to"},
		{"holiday that is no date", func(k *Calendar) { k.Holidays = []DateRange{{From: "1 May", To: "2026-05-05"}} }, "holidays.0.from"},
		{"make-up of no weekday", func(k *Calendar) { k.MakeUps = []MakeUp{{Date: "2026-05-09", As: "星期一"}} }, "make_ups.0.as"},
		{"weekday of no name", func(k *Calendar) { k.Weekdays = map[string]Hours{"freitag": DefaultHours} }, "weekdays.freitag"},
		{"date that does not exist", func(k *Calendar) { k.Dates = map[string]Hours{"2026-02-30": DefaultHours} }, "dates.2026-02-30"},
	} {
		k := cal()
		c.spoil(&k)
		errs, ok := errors.AsType[fielderr.Errors](k.Check())
		if !ok || !slices.ContainsFunc(errs, func(e fielderr.Error) bool { return e.Field == c.field }) {
			t.Errorf("%s: %v does not name %s", c.name, errs, c.field)
		}
	}
	if err := cal().Check(); err != nil {
		t.Errorf("the default calendar: %v", err)
	}
}
