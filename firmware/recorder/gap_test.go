package recorder

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestWhatCountsAsAGap(t *testing.T) {
	var told []string
	o := outage{tell: func(from, to time.Duration, c Cause) { told = append(told, fmt.Sprintf("%v %v %s", from, to, c)) }}

	o.lost(0, CauseStart)
	o.back(3 * time.Second) // an ordinary start
	o.lost(time.Minute, CauseNetwork)
	o.back(time.Minute + time.Millisecond) // rounding
	o.lost(2*time.Minute, CauseNetwork)
	o.lost(3*time.Minute, CauseOffline) // it turns out that the camera is away
	o.lost(4*time.Minute, CauseNetwork) // which a later broken attempt does not hide
	o.back(5 * time.Minute)
	o.back(6 * time.Minute) // nothing is open
	o.lost(time.Hour, CauseCredentials)
	o.tick(90 * time.Minute)
	o.tick(2*time.Hour + time.Minute) // long gaps are told while they last
	o.back(2*time.Hour + 2*time.Minute)
	o.lost(3*time.Hour, CauseStart)
	o.back(3*time.Hour + time.Minute) // a slow start

	want := []string{"2m0s 5m0s offline", "1h0m0s 2h1m0s credentials", "2h1m0s 2h2m0s credentials", "3h0m0s 3h1m0s start"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
}
