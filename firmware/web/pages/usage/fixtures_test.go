package usage

import "time"

var shanghai = func() *time.Location {
	l, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		panic(err)
	}
	return l
}()

// The tests' present: Wednesday 20 May 2026, 9:42 at the school.
var present = time.Date(2026, 5, 20, 9, 42, 0, 0, shanghai)

func at(day, hour, minute int) time.Time {
	return time.Date(2026, 5, day, hour, minute, 0, 0, shanghai)
}
