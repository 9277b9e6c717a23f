package usage

import "time"

// zone is where schools using the form are; days of use begin and end there (design §8b).
var zone = time.FixedZone("CST", 8*3600)

// Date is a day of the school's calendar, 2006-01-02.
type Date string

// DateOf is the day on which the instant falls.
func DateOf(t time.Time) Date { return Date(t.In(zone).Format(time.DateOnly)) }

// Begin is the first instant of the day; zero for a date that is none.
func (d Date) Begin() time.Time {
	t, err := time.ParseInLocation(time.DateOnly, string(d), zone)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// End is the first instant after the day; zero for a date that is none.
func (d Date) End() time.Time {
	b := d.Begin()
	if b.IsZero() {
		return b
	}
	return b.Add(24 * time.Hour)
}

// Add is n days later; a date that is none stays as it is.
func (d Date) Add(n int) Date {
	b := d.Begin()
	if b.IsZero() {
		return d
	}
	return DateOf(b.Add(time.Duration(n) * 24 * time.Hour))
}

// Valid says whether it is a day.
func (d Date) Valid() bool { return !d.Begin().IsZero() }

// SchoolDays says whether a day is a school day: the school calendar with statutory holidays and make-up
// working days. It is a parameter because the calendar belongs to the site.
type SchoolDays func(Date) bool

// horizon ends the search for school days in a calendar that has none: a year of holidays.
const horizon = 366

// AfterSchoolDays is the end of the n-th school day after t. A calendar without enough school days within a
// year gives the end of that year: a hold always ends.
func AfterSchoolDays(t time.Time, n int, is SchoolDays) time.Time {
	d := DateOf(t)
	for range horizon {
		if n <= 0 {
			break
		}
		d = d.Add(1)
		if is(d) {
			n--
		}
	}
	return d.End()
}
