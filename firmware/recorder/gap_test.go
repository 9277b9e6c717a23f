package recorder

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"campuskeep/firmware/vault"
)

func TestWhatCountsAsAGap(t *testing.T) {
	var shown []string
	o := outage{emit: func(from, to time.Duration, c Cause) { shown = append(shown, fmt.Sprintf("%v %v %s", from, to, c)) }}

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
	o.tick(2*time.Hour + time.Minute) // long gaps are reported while they last
	o.back(2*time.Hour + 2*time.Minute)
	o.lost(3*time.Hour, CauseStart)
	o.back(3*time.Hour + time.Minute) // a slow start
	o.lost(4*time.Hour, CauseDisk)
	o.lost(4*time.Hour+time.Minute, CauseFull) // stopped by the forecast: the disk may be well again
	o.lost(4*time.Hour+2*time.Minute, CauseSwitched)
	o.lost(4*time.Hour+3*time.Minute, CauseOffline) // to be recorded again, and not there
	o.back(4*time.Hour + 4*time.Minute)

	want := []string{"2m0s 5m0s offline", "1h0m0s 2h1m0s credentials", "2h1m0s 2h2m0s credentials", "3h0m0s 3h1m0s start",
		"4h0m0s 4h1m0s disk", "4h1m0s 4h3m0s full", "4h3m0s 4h4m0s offline"}
	if !slices.Equal(shown, want) {
		t.Errorf("told %q", shown)
	}
}

// What begins while the program was stopped is not the camera's doing, and only that.
func TestOurOwnStandstillIsNotTheCamera(t *testing.T) {
	var s standstill
	for now := time.Minute; now <= 2*time.Minute; now += time.Second {
		s.at(now)
	}
	s.at(3 * time.Minute) // a minute without a beat
	for _, c := range []struct {
		from, to, own time.Duration
		cause         Cause
	}{
		{2*time.Minute - time.Second, 3*time.Minute + 2*time.Second, 3*time.Minute + 2*time.Second, CauseNetwork},
		{2*time.Minute - time.Second, time.Hour, 3*time.Minute + beatEvery, CauseOffline},
		{3*time.Minute + time.Second, 3*time.Minute + 4*time.Second, 3*time.Minute + 4*time.Second, CauseStalled},
		{time.Minute, time.Hour, time.Minute, CauseOffline},           // away before
		{10 * time.Minute, time.Hour, 10 * time.Minute, CauseOffline}, // well after
		{2*time.Minute - time.Second, time.Hour, 2*time.Minute - time.Second, CauseDisk},
		{time.Hour - time.Minute, time.Hour, time.Hour - time.Minute, CauseNetwork},
	} {
		if own := s.until(c.from, c.to, 3*time.Minute, c.cause); own != c.own {
			t.Errorf("%v to %v, %s: our own up to %v, want %v", c.from, c.to, c.cause, own, c.own)
		}
	}
	if own := s.until(4*time.Minute, 5*time.Minute, 6*time.Minute, CauseStalled); own != 5*time.Minute {
		t.Errorf("whoever goes on first does not see the standstill: %v", own)
	}
}

// What the vault does not take has its own cause; only what the disk did is the disk's.
func TestRefusal(t *testing.T) {
	t.Parallel()
	_, noInit := (&stream{}).init()
	for err, want := range map[error]Cause{
		vault.ErrOverload:                       CauseOverload,
		fmt.Errorf("begin: %w", vault.ErrLabel): CauseClock,
		fmt.Errorf("%w: %w", errInit, noInit):   CauseBadSets,
		vault.ErrAbandoned:                      CauseDisk,
		errors.New("anything that has no name"): CauseDisk,
	} {
		if got := refusal(err); got != want {
			t.Errorf("%v is told as %s, want %s", err, got, want)
		}
	}
	if noInit == nil {
		t.Error("a stream without parameters makes a segment")
	}
}
