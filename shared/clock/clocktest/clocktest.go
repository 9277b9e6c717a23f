// Package clocktest is the clock of tests.
//
// It owns one reading, which changes only when the test changes it. It must never be imported by the product.
package clocktest

import (
	"sync"
	"time"

	"campuskeep/shared/clock"
)

// Clock shows the same reading until the test changes it. It is safe for concurrent use.
type Clock struct {
	mu sync.Mutex
	r  clock.Reading
}

// At is a clock that shows an instant: trusted and exact, ten hours after the start of boot "boot-1".
func At(at time.Time) *Clock {
	return New(clock.Reading{Wall: at.UTC(), State: clock.Trusted, Boot: "boot-1", Mono: 10 * time.Hour})
}

// New is a clock that shows a reading.
func New(r clock.Reading) *Clock { return &Clock{r: r} }

// Now is the reading as the test left it.
func (c *Clock) Now() clock.Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.r
}

// Change changes the reading.
func (c *Clock) Change(f func(*clock.Reading)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.r)
}

// Pass lets time pass: wall and monotonic time go on together.
func (c *Clock) Pass(d time.Duration) {
	c.Change(func(r *clock.Reading) { r.Wall, r.Mono = r.Wall.Add(d), r.Mono+d })
}

// Step moves the wall clock alone, as a wrong time source does, and says how far it is believed from then on.
func (c *Clock) Step(d time.Duration, s clock.State) {
	c.Change(func(r *clock.Reading) { r.Wall, r.State = r.Wall.Add(d), s })
}

// Doubt changes only how far the clock is believed.
func (c *Clock) Doubt(s clock.State) { c.Step(0, s) }

// Reboot begins another boot: its monotonic time is a minute, the wall clock goes on.
func (c *Clock) Reboot(boot string) {
	c.Change(func(r *clock.Reading) { r.Boot, r.Mono = boot, time.Minute })
}

// Running goes on with the time of the test, real or of a synctest bubble: a machine that booted at Booted.
type Running struct {
	Booted time.Time
	Boot   string
	Time   func() time.Time // time.Now
}

// RunningFrom is the clock of boot "boot1" that began at an instant; now is time.Now.
func RunningFrom(booted time.Time, now func() time.Time) Running {
	return Running{booted, "boot1", now}
}

// Now is trusted and exact.
func (c Running) Now() clock.Reading {
	d := c.Time().Sub(c.Booted)
	return clock.Reading{Wall: c.Booted.Add(d).UTC(), State: clock.Trusted, Boot: c.Boot, Mono: d}
}

// Anchor places the boot in time.
func (c Running) Anchor() clock.Anchor { return clock.Anchor{Boot: c.Boot, UTC: c.Booted.UTC()} }
