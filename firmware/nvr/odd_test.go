package nvr_test

import (
	"testing"
	"time"

	"campuskeep/firmware/nvr/nvrtime"

	"campuskeep/firmware/nvr"
	"campuskeep/firmware/site"
	sim "campuskeep/scripts/sim/nvr"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
)

// Covers F20: what cannot be understood of one camera costs nothing of the others, and is reported.
func TestOneOddCameraDoesNotBlindTheOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *sim.Options) {
		o.Channels = append(o.Channels, sim.Channel{ID: 2, Name: "two", Online: true, Days: 30, Keep: true, Pieces: sim.Hours(noon.Add(-20*day), noon)})
	})
	r.cameras = append(r.cameras, camera("c02"))
	d := r.device()
	d.Cameras[2] = "c02"
	r.must(r.Put(t.Context(), account.System, d, &site.Login{User: "keeper", Password: "right horse"}))
	r.nvr.Set(func(_ *sim.Habits, f *sim.Faults) { f.OddTrack = 101 })
	s := r.check()
	if s.Fault != nvr.FaultAnswer || s.Unseen != 1 {
		t.Errorf("%+v", s)
	}
	if p, ok, err := r.Report("c02"); err != nil || !ok || p.Attestation.Pieces != 480 {
		t.Errorf("the other one: %+v, %v", p, err)
	}
	shown := r.entries("nvr.fault")
	if len(shown) != 1 || data[struct{ Camera string }](t, shown[0]).Camera != "c01" {
		t.Errorf("%v", shown)
	}
	r.nvr.Set(func(_ *sim.Habits, f *sim.Faults) { f.OddTrack = 0 })
	if s := r.check(); s.Fault != nvr.FaultNone || s.Unseen != 0 || r.report().Attestation.Pieces != 720 {
		t.Errorf("%+v", s)
	}
}

// One record of a time when the NVR's clock was wrong is left out; the rest counts.
func TestOneRecordInTheFutureFailsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.nvr.Record(1, append(sim.Hours(noon.Add(-30*day), noon), at(100*day, 100*day+time.Hour))...)
	if s := r.check(); s.Fault != nvr.FaultNone || s.Calibration.Search != nvrtime.MeansUTC {
		t.Errorf("%+v", s)
	}
	if a := r.report().Attestation; a.Pieces != 720 || !a.Newest.Equal(noon) {
		t.Errorf("%+v", a)
	}
}

// An NVR that stopped recording as long ago as its zone is wide may mean local time with what looks like UTC.
func TestDigitsAsOldAsTheZoneAreNotGuessedAt(t *testing.T) {
	t.Parallel()
	local := sim.Habits{Zone: "CST-8:00:00", SearchLocal: true, PlayLocal: true, PlayClock: "none"}
	stopped := sim.Hours(noon.Add(-20*day), noon.Add(-8*time.Hour))
	r := newRig(t, func(o *sim.Options) {
		o.Habits, o.Channels[0].Online, o.Channels[0].Pieces = local, false, stopped
	})
	r.register()
	if s, err := r.Check(t.Context(), "n01"); err == nil && s.Calibration.Search != nvrtime.Unknown {
		t.Errorf("%+v", s)
	}
	// What was found out while it worked holds on.
	r = newRig(t, func(o *sim.Options) { o.Habits = local })
	r.register()
	if s := r.check(); s.Calibration.Search != nvrtime.Local {
		t.Fatalf("%+v", s)
	}
	r.world.pass(8 * day)
	r.nvr.Record(1, sim.Hours(noon.Add(-12*day), noon.Add(8*day-8*time.Hour))...)
	if s := r.check(); s.Calibration.Search != nvrtime.Local || !s.Calibration.At.After(noon) {
		t.Errorf("%+v", s)
	}
}

// A camera that is out of service, or that cannot be looked at, does not have its NVR asked every minute for ever.
func TestAnNVRIsNotAskedForEver(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*rig){
		"retired while its report could not be judged": func(r *rig) { r.cameras[0].Retired = true },
		"odd answers": func(r *rig) {
			r.nvr.Set(func(_ *sim.Habits, f *sim.Faults) { f.OddTrack = 201 })
			r.cameras = append(r.cameras, camera("c02"))
			d := r.now()
			d.Cameras = map[int]string{1: "c01", 2: "c02"}
			r.must(r.Put(t.Context(), account.System, d, nil))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *sim.Options) { o.Channels = append(o.Channels, sim.Channel{ID: 2, Name: "two"}) })
			r.world.Doubt(clock.Suspect)
			r.register()
			r.check()
			set(r)
			r.world.Doubt(clock.Trusted)
			checks := 0
			for range 60 {
				r.world.pass(time.Minute)
				before, _, err := r.State("n01")
				r.must(err)
				if _, err := r.Step(t.Context(), "n01"); err != nil && t.Context().Err() != nil {
					t.Fatal(err)
				}
				if s, _, err := r.State("n01"); err == nil && s.Tried.After(before.Tried) {
					checks++
				}
			}
			if checks > 8 {
				t.Errorf("%d checks in an hour", checks)
			}
		})
	}
}

// A clock that was ahead and is put right keeps nothing waiting, and nothing of the NVR's log from being read.
func TestAClockThatWasAheadHoldsNothingUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.world.pass(60 * day)
	r.world.Doubt(clock.Suspect)
	_, err := r.Check(t.Context(), "n01") // whatever it makes of it
	t.Log(err)
	r.world.pass(-60*day + time.Hour)
	r.world.Doubt(clock.Trusted)
	r.nvr.AddLog(sim.LogLine{At: noon.Add(30 * time.Minute), Code: "Operation/remotePlayByTime", User: "admin", Address: "192.168.1.50", Channel: 1})
	r.nvr.Record(1, sim.Hours(noon.Add(-30*day), noon.Add(time.Hour))...)
	if _, err := r.Step(t.Context(), "n01"); err != nil {
		t.Fatal(err)
	}
	s, _, err := r.State("n01")
	r.must(err)
	if !s.Checked.Equal(noon.Add(time.Hour)) || s.LogTo.After(noon.Add(time.Hour)) {
		t.Errorf("checked %v, log read to %v", s.Checked, s.LogTo)
	}
	if n := len(r.entries("nvr.access")); n != 1 {
		t.Errorf("%d accesses", n)
	}
}
