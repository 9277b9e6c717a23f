package nvr_test

import (
	"errors"
	"maps"
	"testing"
	"time"

	"campuskeep/firmware/nvr/driver"

	"campuskeep/firmware/nvr"
	"campuskeep/firmware/site"
	sim "campuskeep/scripts/sim/nvr"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// Covers F3: what an NVR keeps is verified, and attested in the log.
func TestACheckAttestsWhatIsThere(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	s := r.check()
	if s.Fault != nvr.FaultNone || s.Info.Model != "DS-7732NI-K4" || len(s.Channels) != 1 {
		t.Errorf("%+v", s)
	}
	a := r.report().Attestation
	if !a.Judged || a.Floor() || a.Ceiling() || a.Silent || a.Pieces != 720 || a.Missing > time.Minute || len(a.Gaps) != 0 {
		t.Errorf("%+v", a)
	}
	if a.Oldest.Sub(noon.Add(-30*day)).Abs() > 2*time.Second || a.Newest.Sub(noon).Abs() > 2*time.Second {
		t.Errorf("from %v to %v", a.Oldest, a.Newest)
	}
	if e := r.report().Expiry; e.Keep != 30*day || !e.On {
		t.Errorf("expiry %+v", e)
	}
	d := data[struct {
		Pieces int
		Judged bool
		Days   int `json:"expiry_days"`
	}](t, r.entries("nvr.checked")[0])
	if d.Pieces != 720 || !d.Judged || d.Days != 30 {
		t.Errorf("%+v", d)
	}
}

// Covers F3: footage past its last day is a breach, entered once.
func TestFootageThatStaysTooLong(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *sim.Options) {
		o.Channels[0].Keep, o.Channels[0].Locked = false, true
		o.Channels[0].Pieces = sim.Hours(noon.Add(-45*day), noon)
	})
	r.register()
	r.check()
	a := r.report().Attestation
	if !a.Ceiling() || a.Over.From.Sub(noon.Add(-45*day)).Abs() > 2*time.Second || a.Over.To.After(noon.Add(-31*day)) || a.Locked != 45*24 {
		t.Errorf("%+v", a)
	}
	r.world.pass(time.Hour)
	r.nvr.Record(1, sim.Hours(noon.Add(-45*day), noon.Add(time.Hour))...)
	r.check()
	if e := r.entries("nvr.breach"); len(e) != 1 || data[struct{ Kind string }](t, e[0]).Kind != "ceiling" {
		t.Errorf("%v", e)
	}
}

// Covers F3: footage that is gone too early is a breach; what was never recorded is a gap with its cause.
func TestFootageThatIsGoneTooEarly(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	hole := at(-20*day, -20*day+3*time.Hour)
	pieces := append(sim.Hours(noon.Add(-30*day), hole.From), sim.Hours(hole.To, noon)...)
	r.nvr.Record(1, pieces...)
	r.nvr.AddLog(sim.LogLine{At: hole.From.Add(time.Second), Code: "Exception/ipcDisconnect", Channel: 1})
	r.register()
	r.check()
	a := r.report().Attestation
	if a.Floor() || len(a.Gaps) != 1 || a.Gaps[0].Cause != footage.CauseCameraOff {
		t.Fatalf("%+v", a)
	}
	gaps := r.entries("footage.gap")
	if len(gaps) != 1 || data[struct{ Cause string }](t, gaps[0]).Cause != "offline" {
		t.Errorf("%v", gaps)
	}

	// Ten days later the hole is at the edge: still no early deletion.
	now := r.world.pass(10*day + time.Hour)
	r.nvr.Record(1, sim.Hours(hole.To, now)...)
	r.check()
	if a := r.report().Attestation; a.Floor() {
		t.Errorf("a hole that grew old: %+v", a)
	}
	// Then the disk fills up, and ten more days go.
	r.nvr.Record(1, sim.Hours(now.Add(-20*day), now)...)
	for range 2 {
		r.check()
		a = r.report().Attestation
		if !a.Floor() || a.Short.To.Sub(now.Add(-20*day)).Abs() > 2*time.Second || a.Short.From.Sub(hole.To).Abs() > 2*time.Second {
			t.Errorf("short of %+v, hole %+v", a.Short, hole)
		}
	}
	if e := r.entries("nvr.breach"); len(e) != 1 || data[struct{ Kind string }](t, e[0]).Kind != "floor" {
		t.Errorf("%v", e)
	}
	// What is missing by it is a hole with that cause, once.
	gaps = r.entries("footage.gap")
	type missed struct {
		From, To time.Time
		Cause    footage.Cause
	}
	if len(gaps) != 2 {
		t.Fatalf("%d gaps entered", len(gaps))
	}
	if m := data[missed](t, gaps[1]); m.Cause != footage.CauseBreach || !m.From.Equal(a.Short.From) || !m.To.Equal(a.Short.To) {
		t.Errorf("%+v of %v", m, a.Short)
	}
}

func TestWithoutATrustedClockNothingIsABreach(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *sim.Options) { o.Channels[0].Pieces = sim.Hours(noon.Add(-45*day), noon) })
	r.world.Doubt(clock.Untrusted)
	r.register()
	r.check()
	if a := r.report().Attestation; a.Judged || a.Ceiling() || a.Pieces != 45*24 || len(r.entries("nvr.breach")) != 0 {
		t.Errorf("%+v", a)
	}
}

// Covers F3: what was listed before our own clock was trusted is judged as soon as it is, not a day later.
func TestWhatCouldNotBeJudgedIsCheckedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *sim.Options) { o.Channels[0].Pieces = sim.Hours(noon.Add(-45*day), noon) })
	r.world.Doubt(clock.Untrusted)
	r.register()
	r.check()
	if r.report().Attestation.Judged {
		t.Fatal("judged by a clock that is not trusted")
	}
	r.world.pass(2 * time.Minute)
	defer r.run()()
	r.world.Doubt(clock.Trusted)
	r.await("the judgement", func() bool { a := r.report().Attestation; return a.Judged && a.Ceiling() })
	r.await("its entry", func() bool { return len(r.entries("nvr.breach")) > 0 }) // rows are seen a moment before the log's size is
	if n := len(r.entries("nvr.breach")); n != 1 {
		t.Errorf("%d breaches entered", n)
	}
}

// Covers F3: a hole that was first seen by a clock that is not trusted is no known one: what is gone too early is a breach
// as soon as it can be judged, once, however often trust comes and goes.
func TestAHoleSeenWithoutTrustIsJudgedLater(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		days int // on the NVR
		kind string
	}{"gone too early": {23, "floor"}, "there too long": {45, "ceiling"}} {
		r := newRig(t, func(o *sim.Options) { o.Channels[0].Pieces = sim.Hours(noon.Add(-time.Duration(c.days)*day), noon) })
		trust := func(s clock.State) {
			r.world.Doubt(s)
		}
		trust(clock.Untrusted)
		r.register()
		r.check()
		for range 2 {
			r.world.pass(time.Minute)
			trust(clock.Trusted)
			r.check()
			if a := r.report().Attestation; !a.Judged || a.Floor() != (c.kind == "floor") || a.Ceiling() != (c.kind == "ceiling") {
				t.Errorf("%s: %+v", name, a)
			}
			r.world.pass(time.Minute)
			trust(clock.Suspect)
			r.check()
			if a := r.report().Attestation; a.Judged || a.Floor() != (c.kind == "floor") || a.Ceiling() != (c.kind == "ceiling") {
				t.Errorf("%s, not judged: what was judged last still stands: %+v", name, a)
			}
		}
		if e := r.entries("nvr.breach"); len(e) != 1 || data[map[string]any](t, e[0])["kind"] != c.kind {
			t.Errorf("%s: %d breaches entered", name, len(e))
		}
		for _, e := range r.entries("footage.gap") {
			if data[map[string]any](t, e)["cause"] != "breach" {
				t.Errorf("%s: %s", name, e.Data)
			}
		}
	}
}

func TestACameraThatFallsSilent(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	r.world.pass(3 * time.Hour)
	r.check()
	a := r.report().Attestation
	if !a.Silent || len(a.Gaps) != 1 || len(r.entries("footage.gap")) != 0 || len(r.entries("nvr.fault")) != 1 {
		t.Errorf("still open: %+v", a)
	}
	now := r.world.pass(time.Hour)
	r.nvr.Record(1, append(sim.Hours(noon.Add(-29*day), noon), footage.Span{From: noon.Add(200 * time.Minute), To: now})...)
	r.check()
	causes := map[string]int{}
	for _, e := range r.entries("footage.gap") {
		causes[data[struct{ Cause string }](t, e).Cause]++
	}
	// The day that went meanwhile is a breach.
	if !maps.Equal(causes, map[string]int{"unknown": 1, "breach": 1}) || r.report().Attestation.Silent {
		t.Errorf("%v", causes)
	}
}

// Covers F3: expiry is set, and a later search shows whether it is honoured.
func TestExpiryIsSetAndVerified(t *testing.T) {
	t.Parallel()
	for _, ignoring := range []bool{false, true} {
		r := newRig(t, func(o *sim.Options) {
			o.Channels[0].Keep, o.Channels[0].Days = true, 90
			o.Channels[0].Pieces = sim.Hours(noon.Add(-60*day), noon)
		})
		r.nvr.Set(func(_ *sim.Habits, f *sim.Faults) { f.IgnoreExpiry = ignoring })
		r.register()
		r.check()
		r.must(r.SetExpiry(t.Context(), account.System, "n01"))
		if c, _ := r.nvr.Channel(1); c.Days != 30 {
			t.Fatalf("%+v", c)
		}
		for range 3 {
			now := r.world.pass(25 * time.Hour)
			c, _ := r.nvr.Channel(1)
			r.nvr.Record(1, append(c.Pieces, sim.Hours(now.Add(-25*time.Hour), now)...)...)
			r.nvr.Sweep()
			r.check()
		}
		want := "confirmed"
		if ignoring {
			want = "ignored"
		}
		e := r.entries("nvr.expiry")
		if got := r.report().Expiry.Found; got != want || len(e) != 2 || data[struct{ Result string }](t, e[1]).Result != want {
			t.Errorf("deaf %v: found %q, %d entries", ignoring, got, len(e))
		}
		r.must(r.SetExpiry(t.Context(), account.System, "n01"))
		if n := len(r.entries("nvr.expiry")); n != 2 {
			t.Errorf("set again although it is set: %d entries", n)
		}
	}
}

// Covers F13: who was at the NVR outside the appliance appears in the log, once, with where from; we ourselves do not.
func TestAccessesPastUs(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for i, l := range []sim.LogLine{
		{Code: "Operation/remoteLogin", User: "admin", Address: "192.168.1.50"},
		{Code: "Operation/remotePlayByTime", User: "admin", Address: "192.168.1.50", Channel: 1},
		{Code: "Operation/remotePlayByTime", User: "admin", Address: "192.168.1.50", Channel: 1},
		{Code: "Operation/localPlayByFile", Address: "not an address", Channel: 3},
		{Code: "Operation/remoteLogout", User: "admin", Address: "192.168.1.50"},
		{Code: "Exception/illegalLogin", User: "root", Address: "192.168.1.66"},
		{Code: "Operation/remoteLogin", User: "keeper", Address: "192.168.1.66"}, // our account, from elsewhere
		{Code: "Operation/remoteGetParam", User: "admin", Address: "192.168.1.50"},
	} {
		l.At = noon.Add(-time.Hour + time.Duration(i)*time.Second)
		r.nvr.AddLog(l)
	}
	r.register()
	r.check()
	r.world.pass(time.Minute)
	r.check()
	type access struct {
		Act     string
		Count   int
		Camera  string
		Channel int
	}
	var got []access
	for _, e := range r.entries("nvr.access") {
		if e.Actor.ID != "outside" || e.Via != "nvr" || e.Subject != "n01" || e.From.Device != "n01" {
			t.Errorf("%+v", e)
		}
		got = append(got, data[access](t, e))
	}
	want := []access{{"login", 1, "", 0}, {"playback", 2, "c01", 1}, {"playback", 1, "", 3}, {"refused", 1, "", 0}, {"login", 1, "", 0}}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, not %+v", got[i], want[i])
		}
	}
	parts, err := r.store.Parts(r.entries("nvr.access")[0].Seq)
	if err != nil || len(parts) != 1 || string(parts[0].Plain) != "admin" {
		t.Errorf("%v, %v", parts, err)
	}
}

// An NVR locks our address: one refused log-in, and not one more, not even after a restart, until there is another
// password.
func TestARefusedPasswordIsRememberedOverARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	r.nvr.SetPassword("changed")
	r.nvr.Set(func(_ *sim.Habits, f *sim.Faults) { f.LockAfter = 2 })
	r.down()
	r.up()
	for range 3 {
		if _, err := r.Check(t.Context(), "n01"); !errors.Is(err, driver.ErrRefused) {
			t.Fatalf("%v", err)
		}
	}
	r.down()
	r.up()
	d := r.device()
	d.Name = "renamed"
	r.must(r.Put(t.Context(), account.System, d, nil))
	if _, err := r.Check(t.Context(), "n01"); !errors.Is(err, driver.ErrRefused) {
		t.Fatalf("%v", err)
	}
	if n := r.nvr.Counts().Refused; n != 1 {
		t.Errorf("%d log-ins failed", n)
	}
	if e := r.entries("nvr.fault"); len(e) != 1 || data[struct{ Code string }](t, e[0]).Code != "credentials" {
		t.Errorf("%v", e)
	}
	r.must(r.Put(t.Context(), account.System, d, &site.Login{User: "keeper", Password: "changed"}))
	if s := r.check(); s.Fault != nvr.FaultNone {
		t.Errorf("%+v", s)
	}
}

func TestFaultsOfAnswersAreEnteredOnceAndPass(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	for _, c := range []struct {
		fault nvr.Fault
		set   func(*sim.Faults)
	}{
		{nvr.FaultAnswer, func(f *sim.Faults) {
			f.Garbage = map[string]string{"/ISAPI/System/time": "<html>V5.0 has another page</html>"}
		}},
		{nvr.FaultBusy, func(f *sim.Faults) { f.Busy503 = 100 }},
		{nvr.FaultOffline, func(f *sim.Faults) { f.HalfAnswer = 100 }},
	} {
		before := len(r.entries("nvr.fault"))
		r.nvr.Set(func(_ *sim.Habits, f *sim.Faults) { c.set(f) })
		for range 2 {
			if _, err := r.Check(t.Context(), "n01"); err == nil {
				t.Errorf("%s: passed", c.fault)
			}
		}
		s, _, err := r.State("n01")
		r.must(err)
		e := r.entries("nvr.fault")
		if s.Fault != c.fault || len(e) != before+1 || s.Checked.IsZero() {
			t.Errorf("%s: %+v, %d entries", c.fault, s, len(e)-before)
		}
		if c.fault == nvr.FaultAnswer {
			parts, err := r.store.Parts(e[len(e)-1].Seq)
			if err != nil || len(parts) != 1 || !containsText(parts[0].Plain, "V5.0 has another page") {
				t.Errorf("what was received: %v, %v", parts, err)
			}
		}
		r.nvr.Set(func(_ *sim.Habits, f *sim.Faults) { *f = sim.Faults{} })
		if s := r.check(); s.Fault != nvr.FaultNone {
			t.Errorf("after %s: %+v", c.fault, s)
		}
	}
}

func TestACameraThatMovedAwayIsForgotten(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.cameras = append(r.cameras, camera("c02"))
	r.register()
	r.check()
	d := r.device()
	d.Cameras = map[int]string{1: "c02"}
	r.must(r.Put(t.Context(), account.System, d, nil))
	r.check()
	all, err := r.Reports()
	if err != nil || len(all) != 1 || all[0].Camera != "c02" {
		t.Errorf("%+v, %v", all, err)
	}
	if got, err := r.Source(r.vault.Source(r.places)).Segments(t.Context(), "c01", at(-day, 0)); err != nil || len(got) != 0 {
		t.Errorf("%d pieces, %v", len(got), err)
	}
}

// A camera that records by movement has thousands of holes; none of them is an early deletion when it grows old.
func TestACameraThatRecordsByMovement(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	moving := func(now time.Time) (out []footage.Span) {
		for at := now.Add(-30 * day).Truncate(2 * time.Hour); at.Before(now); at = at.Add(2 * time.Hour) {
			for i := range 5 { // five short recordings, then quiet for more than an hour
				from := at.Add(time.Duration(i) * 5 * time.Minute)
				if to := from.Add(2 * time.Minute); to.Before(now) {
					out = append(out, footage.Span{From: from, To: to})
				}
			}
		}
		return append(out, footage.Span{From: now.Add(-time.Minute), To: now})
	}
	r.nvr.Record(1, moving(noon)...)
	r.register()
	r.check()
	if n := len(r.entries("footage.gap")); n > 40 {
		t.Errorf("%d gaps entered", n)
	}
	for range 4 {
		r.nvr.Record(1, moving(r.world.pass(95*time.Minute))...)
		r.check()
		if a := r.report().Attestation; a.Floor() || a.Ceiling() {
			t.Fatalf("short of %+v, over %+v", a.Short, a.Over)
		}
	}
}
