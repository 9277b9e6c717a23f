package nvr_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"campuskeep/firmware/nvr/nvrtime"

	"campuskeep/firmware/nvr"
	"campuskeep/firmware/timekeeper"
	sim "campuskeep/scripts/sim/nvr"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
)

func containsText(b []byte, s string) bool { return bytes.Contains(b, []byte(s)) }

// Whatever an NVR writes, the footage is found where it truly is, and fetched from there.
func TestTimesAreCalibratedPerDevice(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		habits sim.Habits
		fault  nvr.Fault
		falseZ bool
		unsure time.Duration // what may be claimed
	}{
		"UTC as it should be":               {habits: sim.Habits{Zone: "CST-8:00:00"}},
		"Z means local":                     {habits: sim.Habits{Zone: "CST-8:00:00", SearchLocal: true, PlayLocal: true, LogLocal: true}, falseZ: true},
		"asked in UTC, answered in local":   {habits: sim.Habits{Zone: "CST-8:00:00", SearchLocal: true, AskUTC: true, PlayLocal: true}, falseZ: true},
		"local in lists, UTC in playback":   {habits: sim.Habits{Zone: "CST-8:00:00", SearchLocal: true}, falseZ: true},
		"UTC in lists, local in playback":   {habits: sim.Habits{Zone: "CST-8:00:00", PlayLocal: true}},
		"the clock says Z and means local":  {habits: sim.Habits{Zone: "CST-8:00:00", ClockMark: sim.MarkZ}, falseZ: true},
		"the clock says nothing":            {habits: sim.Habits{Zone: "CST-8:00:00", ClockMark: sim.MarkNone, SearchLocal: true, PlayLocal: true}, falseZ: true},
		"west of Greenwich":                 {habits: sim.Habits{Zone: "EST+5:00:00", SearchLocal: true, PlayLocal: true}, falseZ: true},
		"half an hour":                      {habits: sim.Habits{Zone: "IST-5:30:00", SearchLocal: true, PlayLocal: true}, falseZ: true},
		"no zone at all":                    {habits: sim.Habits{Zone: "GMT+0:00:00"}},
		"the zone is wrong":                 {habits: sim.Habits{Zone: "GMT+0:00:00", Offset: 8 * time.Hour}, fault: nvr.FaultZone},
		"the zone is wrong, and local":      {habits: sim.Habits{Zone: "JST-9:00:00", Offset: -time.Hour, SearchLocal: true, PlayLocal: true}, fault: nvr.FaultZone, falseZ: true},
		"the clock is late":                 {habits: sim.Habits{Zone: "CST-8:00:00", Offset: -7 * time.Minute}, fault: nvr.FaultClock, unsure: 8 * time.Minute},
		"the clock is early, and Z is not":  {habits: sim.Habits{Zone: "CST-8:00:00", Offset: 200 * time.Second, SearchLocal: true, PlayLocal: true}, fault: nvr.FaultClock, falseZ: true, unsure: 4 * time.Minute},
		"playback tells the present":        {habits: sim.Habits{Zone: "CST-8:00:00", PlayClock: "present"}},
		"playback tells nothing":            {habits: sim.Habits{Zone: "CST-8:00:00", PlayClock: "none", PlayLocal: true}},
		"no address, playback tells":        {habits: sim.Habits{Zone: "CST-8:00:00", NoPlayURI: true}},
		"no address, playback tells, local": {habits: sim.Habits{Zone: "CST-8:00:00", NoPlayURI: true, PlayLocal: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *sim.Options) { o.Habits = c.habits })
			r.register()
			s := r.check()
			if s.Fault != c.fault || s.Calibration.FalseZ != c.falseZ {
				t.Errorf("fault %q, calibration %+v", s.Fault, s.Calibration)
			}
			a := r.report().Attestation
			if a.Oldest.Sub(noon.Add(-30*day)).Abs() > 3*time.Second || a.Newest.Sub(noon).Abs() > 3*time.Second || a.Unsure > max(c.unsure, 5*time.Second) || a.Floor() || a.Ceiling() {
				t.Errorf("%+v", a)
			}
			span := at(-50*time.Hour, -50*time.Hour+4*time.Second)
			f := r.bring(span)
			got := r.fetched()
			if f.State != nvr.FetchDone || len(got) == 0 {
				t.Fatalf("%+v, %d segments", f, len(got))
			}
			// The clip has one group of pictures a second, at true seconds: what is fetched begins where it was recorded.
			first, last := got[0], got[len(got)-1]
			off := 1500 * time.Millisecond
			if c.habits.PlayClock != "" {
				off = 3 * time.Second
			}
			if first.Span.From.Sub(span.From).Abs() > off || last.Span.To.Sub(span.To).Abs() > off {
				t.Errorf("fetched %v, asked for %v", first.Span, span)
			}
		})
	}
}

// Where nothing decides, nothing is claimed and nothing is fetched.
func TestTimesThatCannotBeDecidedAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *sim.Options) { o.Channels[0].Pieces = sim.Hours(noon.Add(-20*day), noon.Add(-9*time.Hour)) })
	r.register()
	if _, err := r.Check(t.Context(), "n01"); err == nil {
		t.Error("passed")
	}
	s, _, err := r.State("n01")
	r.must(err)
	if s.Fault != nvr.FaultUncalibrated || len(r.entries("nvr.checked")) != 0 {
		t.Errorf("%+v", s)
	}
	// It records again: now it shows.
	r.nvr.Record(1, append(sim.Hours(noon.Add(-20*day), noon.Add(-9*time.Hour)), at(-time.Hour, 0))...)
	if s := r.check(); s.Fault != nvr.FaultNone || s.Calibration.Search != nvrtime.MeansUTC {
		t.Errorf("%+v", s)
	}
}

func TestAPlaybackOfAnotherTimeIsNotKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	r.nvr.Set(func(h *sim.Habits, _ *sim.Faults) { h.PlayWrong = 8 * time.Hour }) // after it was calibrated
	f := r.bring(at(-50*time.Hour, -50*time.Hour+4*time.Second))
	if f.State != nvr.FetchFailed || f.Reason != "uncalibrated" || len(r.fetched()) != 0 {
		t.Errorf("%+v, %d segments", f, len(r.fetched()))
	}
	r.nvr.SetFirmware("V4.99") // and when it is calibrated again
	if s := r.check(); s.Fault != nvr.FaultUncalibrated || s.Calibration.Play != nvrtime.Unknown {
		t.Errorf("%+v", s)
	}
	if a := r.report().Attestation; a.Pieces != 720 {
		t.Errorf("the list is right all the same: %+v", a)
	}
}

func TestAClockThatCannotBeReadWithoutOurs(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *sim.Options) { o.Habits.ClockMark = sim.MarkZ })
	r.world.Doubt(0)
	r.register()
	if _, err := r.Check(t.Context(), "n01"); err == nil {
		t.Error("a Z was believed without a trusted clock")
	}
	if f, err := r.Fetch(t.Context(), account.System, "c01", at(-time.Hour, 0), "x"); err != nil || f.State != nvr.FetchWaiting {
		t.Errorf("it waits until the times are certain: %+v, %v", f, err)
	}
}

// An NVR that is not set from us is a witness of the time; one whose zone is wrong says nothing.
func TestAnNVRTellsTheTime(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *sim.Options) { o.Habits.Offset = 3 * time.Second })
	mono := time.Hour
	src := r.TimeSource("n01", func() time.Duration { return mono })
	if _, err := src.Observe(t.Context()); !errors.Is(err, timekeeper.ErrSilent) {
		t.Errorf("before it was ever checked: %v", err)
	}
	r.register()
	r.check()
	r.world.Doubt(clock.Untrusted)
	o, err := src.Observe(t.Context())
	if err != nil || o.UTC.Sub(noon.Add(3*time.Second)).Abs() > o.Uncertainty || o.Uncertainty > 2*time.Second || o.Origin != clock.OriginNVR || mono-o.Mono > time.Second {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := src.Observe(t.Context()); !errors.Is(err, timekeeper.ErrSilent) {
		t.Errorf("asked again at once: %v", err)
	}
	mono += 2 * time.Hour
	r.world.Doubt(clock.Trusted)
	r.nvr.Set(func(h *sim.Habits, _ *sim.Faults) { h.Offset = 8 * time.Hour })
	r.check()
	if _, err := src.Observe(t.Context()); !errors.Is(err, timekeeper.ErrSilent) {
		t.Errorf("with a wrong zone: %v", err)
	}
}
