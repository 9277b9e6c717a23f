package nvr_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/nvr"
	"campuskeep/firmware/site"
	sim "campuskeep/scripts/sim/nvr"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// second is another machine beside the rig's, with a day of footage.
func (r *rig) second(change func(*sim.Options)) *sim.NVR {
	r.t.Helper()
	c, err := clip()
	r.must(err)
	o := sim.Options{Listen: "127.0.0.1", User: "keeper", Password: "right horse", Model: "DS-7732NI-K4", Now: func() time.Time { return r.world.Now().Wall },
		Habits: sim.Habits{Zone: "CST-8:00:00"}, Clip: c, FPS: fps, Speed: 100,
		Channels: []sim.Channel{{ID: 1, Name: "gate", Online: true, Days: 30, Keep: true}}}
	if change != nil {
		change(&o)
	}
	n, err := sim.Start(o)
	r.must(err)
	r.t.Cleanup(func() { r.must(n.Close()) })
	return n
}

// edit is the row as it is, for a person to change.
func (r *rig) edit(change func(*nvr.Edit)) nvr.Edit {
	e := nvr.Edit{Rev: r.Revision("n01"), Device: r.now()}
	change(&e)
	return e
}

func (r *rig) now() nvr.Device {
	for _, d := range r.Devices() {
		if d.ID == "n01" {
			return d
		}
	}
	r.t.Fatal("no n01")
	return nvr.Device{}
}

// changes are the changes of the register by their code, without the passwords.
func (r *rig) changes() (out []string) {
	for _, e := range r.entries("config.change") {
		out = append(out, data[struct{ What string }](r.t, e).What)
	}
	return slices.DeleteFunc(out, func(s string) bool { return s == "nvr_login" })
}

// lastParts are the sealed parts of the last entry of a kind.
func (r *rig) lastParts(kind ledger.Kind) map[string]string {
	r.t.Helper()
	e := r.entries(kind)
	parts, err := r.store.Parts(e[len(e)-1].Seq)
	r.must(err)
	out := map[string]string{}
	for _, p := range parts {
		out[p.Name] = string(p.Plain)
	}
	return out
}

// Covers F1, M5: a name is changed without asking the device, over the revision that was seen, with before and after.
func TestAnNVRIsRenamed(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	asked := r.nvr.Counts().Requests
	stale := r.edit(func(e *nvr.Edit) { e.Device.Name = "too late" })
	r.must(r.Edit(t.Context(), technician, "n01", r.edit(func(e *nvr.Edit) { e.Device.Name, e.Device.Technician = "renamed", "p002" }), nil))
	if n := r.nvr.Counts().Requests; n != asked {
		t.Errorf("the device was asked %d times", n-asked)
	}
	p := r.lastParts("config.change")
	if d := r.now(); d.Name != "renamed" || d.Cameras[1] != "c01" || !strings.Contains(p["before"], `"recorder"`) || !strings.Contains(p["after"], `"renamed"`) {
		t.Errorf("%+v, %v", d, p)
	}
	if err := r.Edit(t.Context(), technician, "n01", stale, nil); !errors.Is(err, ledgerdb.ErrConflict) {
		t.Errorf("over a revision that is gone: %v", err)
	}
	teacher := account.Who{Actor: account.Actor{ID: "p009", Roles: []account.Role{account.RoleClassTeacher}, SecondFactor: true}}
	if err := r.Edit(t.Context(), teacher, "n01", r.edit(func(*nvr.Edit) {}), nil); err == nil {
		t.Error("a teacher changes an NVR")
	}
	if s, _, err := r.State("n01"); err != nil || s.Checked.IsZero() {
		t.Errorf("a new name made everything void: %+v, %v", s, err)
	}
}

// Covers F1: where an NVR is reached is changed only when the device answers there, and is the same.
func TestTheDeviceIsAskedBeforeItsAddressChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	before := r.now()
	other := r.second(func(o *sim.Options) { o.Model = "DS-7616NI" })
	move := func(e *nvr.Edit) {
		e.Device.Address, e.Device.RTSP, e.Login.Password = other.Address(), other.RTSPAddress(), "right horse"
	}
	for _, c := range []struct {
		name   string
		change func(*nvr.Edit)
		want   func(error) bool
	}{
		{"another machine", move, func(err error) bool {
			x, ok := errors.AsType[*nvr.OtherDevice](err)
			return ok && x.Found.Model == "DS-7616NI" && x.Was.Model == "DS-7732NI-K4"
		}},
		{"nobody there", func(e *nvr.Edit) { e.Device.Address, e.Login.Password = "http://127.0.0.1:9", "right horse" }, func(err error) bool {
			x, ok := errors.AsType[*nvr.Unanswered](err)
			return ok && x.Fault == nvr.FaultOffline
		}},
		{"another port, the stored password", func(e *nvr.Edit) { e.Device.Address = "http://127.0.0.1:9" }, func(err error) bool {
			x, ok := errors.AsType[fielderr.Errors](err)
			return ok && x[0].Field == "password" && x[0].Rule == "err.password_again"
		}},
		{"another host, the stored password", func(e *nvr.Edit) { e.Device.Address = "http://192.0.2.9" }, func(err error) bool {
			x, ok := errors.AsType[fielderr.Errors](err)
			return ok && x[0].Field == "password" && x[0].Rule == "err.password_again"
		}},
		{"no address", func(e *nvr.Edit) { e.Device.Address, e.Login.Password = "ftp://x", "x" }, func(err error) bool {
			x, ok := errors.AsType[fielderr.Errors](err)
			return ok && x[0].Field == "address"
		}},
		{"said to be replaced, without a reason", func(e *nvr.Edit) { move(e); e.Swap = &nvr.Swap{} }, func(err error) bool {
			x, ok := errors.AsType[fielderr.Errors](err)
			return ok && x[0].Field == "reason"
		}},
		{"said to be replaced, and is not", func(e *nvr.Edit) { e.Swap = &nvr.Swap{Reason: "broken"} }, func(err error) bool {
			x, ok := errors.AsType[fielderr.Errors](err)
			return ok && x[0].Rule == "err.nvr_same"
		}},
		{"a wrong password", func(e *nvr.Edit) { e.Login.Password = "wrong" }, func(err error) bool {
			x, ok := errors.AsType[*nvr.Unanswered](err)
			return ok && x.Fault == nvr.FaultCredentials
		}},
	} {
		if err := r.Edit(t.Context(), technician, "n01", r.edit(c.change), nil); !c.want(err) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if n := r.nvr.Counts().Refused; n != 1 {
		t.Errorf("%d log-ins failed, want one", n)
	}
	if got := r.now(); got.Address != before.Address || len(r.changes()) != 1 {
		t.Errorf("%+v, %v", got, r.changes())
	}
	// The same machine under another address.
	other.SetSerial("DS-7732NI-K40820260101CCRRD00000001WCVU")
	r.must(r.Edit(t.Context(), technician, "n01", r.edit(move), nil))
	s, _, err := r.State("n01")
	if r.must(err); r.now().Address != other.Address() || s.Checked.IsZero() || len(r.entries("nvr.breach")) != 0 {
		t.Errorf("%+v, %+v", r.now(), s)
	}
	r.check()
}

// A password that is refused in the test is tried once for each time that somebody types it, and changes nothing. The
// stored one goes to no other address, so it cannot be refused there.
func TestATestThatIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	before := r.now()
	other := r.second(func(o *sim.Options) { o.Password = "changed" })
	move := func(e *nvr.Edit) {
		e.Device.Address, e.Device.RTSP, e.Login.Password = other.Address(), other.RTSPAddress(), "right horse"
	}
	for n := 1; n <= 2; n++ {
		x, ok := errors.AsType[*nvr.Unanswered](r.Edit(t.Context(), technician, "n01", r.edit(move), nil))
		if !ok || x.Fault != nvr.FaultCredentials || other.Counts().Refused != n {
			t.Fatalf("%v, %d refused", x, other.Counts().Refused)
		}
	}
	if r.now().Address != before.Address {
		t.Error("a refused test moved the NVR")
	}
	r.must(r.Edit(t.Context(), technician, "n01", r.edit(func(e *nvr.Edit) { move(e); e.Login.Password = "changed" }), nil))
	r.check()
}

// Covers F3: a machine that was replaced takes its footage with it: that is a breach with its cause, once; everything
// that was found out about the old one is void; the new one is found out again.
func TestAnNVRIsReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	r.must(r.ReadAccessPaths(t.Context(), "n01"))
	waiting, err := r.Fetch(t.Context(), account.System, "c01", at(-50*time.Hour, -49*time.Hour), "a2026-0001")
	r.must(err)

	now := r.world.pass(2 * day)
	other := r.second(func(o *sim.Options) { o.Model = "DS-7616NI" })
	other.Record(1, sim.Hours(now.Add(-30*time.Hour), now)...) // it was put in thirty hours ago
	r.must(r.Edit(t.Context(), technician, "n01", r.edit(func(e *nvr.Edit) {
		e.Device.Address, e.Device.RTSP, e.Swap = other.Address(), other.RTSPAddress(), &nvr.Swap{Reason: "the mainboard died"}
		e.Login.Password = "right horse"
	}), nil))
	s, _, err := r.State("n01")
	r.must(err)
	_, paths, err := r.AccessList("n01")
	if r.must(err); !s.Calibration.At.IsZero() || !s.Checked.IsZero() || s.Info.Model != "DS-7616NI" || paths {
		t.Errorf("not void: %+v, doors %v", s, paths)
	}
	if p := r.lastParts("config.change"); p["reason"] != "the mainboard died" || r.changes()[1] != "nvr_swapped" {
		t.Errorf("%v, %v", p, r.changes())
	}
	type breach struct {
		Kind     string
		From, To time.Time
	}
	lost := r.entries("nvr.breach")
	if len(lost) != 1 {
		t.Fatalf("%d breaches", len(lost))
	}
	if b := data[breach](t, lost[0]); b.Kind != "floor" || b.From.Sub(now.Add(-30*day)).Abs() > 2*time.Second || b.To.Sub(noon).Abs() > 2*time.Second {
		t.Errorf("%+v", b)
	}
	if f, _, err := r.FetchOf(waiting.ID); err != nil || f.State != nvr.FetchFailed || f.Reason != "gone" {
		t.Errorf("%+v, %v", f, err)
	}
	if got, err := r.Source(r.vault.Source(r.places)).Segments(t.Context(), "c01", at(-40*day, 5*day)); err != nil || len(got) != 0 {
		t.Errorf("%d pieces of the old machine, %v", len(got), err)
	}
	if r.report().Attestation.Pieces != 0 || !r.report().Attestation.At.IsZero() {
		t.Errorf("%+v", r.report())
	}

	for range 2 {
		r.check()
		a := r.report().Attestation
		if !a.Floor() || a.Short.To.Sub(noon).Abs() > 2*time.Second || len(a.Gaps) != 2 || a.Gaps[0].Cause != footage.CauseBreach || a.Gaps[1].Cause != footage.CauseSwitched {
			t.Errorf("short of %v, gaps %+v", a.Short, a.Gaps)
		}
		if g := a.Gaps[1].Span; g.From.Sub(noon).Abs() > 2*time.Second || g.To.Sub(now.Add(-30*time.Hour)).Abs() > 2*time.Second {
			t.Errorf("between the machines %+v", g)
		}
		if n := len(r.entries("nvr.breach")); n != 1 {
			t.Errorf("%d breaches", n)
		}
	}
	g := r.entries("footage.gap")
	if len(g) != 2 || data[struct{ Cause string }](t, g[0]).Cause != "breach" || data[struct{ Cause string }](t, g[1]).Cause != "switched" {
		t.Errorf("%v", g)
	}
	// A month later it holds its thirty days, and nothing is missing.
	now = r.world.pass(31 * day)
	other.Record(1, sim.Hours(now.Add(-30*day), now)...)
	r.check()
	if a := r.report().Attestation; a.Floor() || len(a.Gaps) != 0 || len(r.entries("nvr.breach")) != 1 {
		t.Errorf("%+v", a)
	}
}

// Disks that were put into the new machine take nothing with them.
func TestAnNVRIsReplacedAndKeepsItsDisks(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	r.nvr.SetSerial("another")
	if _, err := r.Check(t.Context(), "n01"); err == nil {
		t.Fatal("another machine was judged")
	}
	s, _, err := r.State("n01")
	if r.must(err); s.Fault != nvr.FaultOther || s.Info.Serial == "another" {
		t.Errorf("%+v", s)
	}
	r.must(r.Edit(t.Context(), technician, "n01", r.edit(func(e *nvr.Edit) { e.Swap = &nvr.Swap{Reason: "new board", Disks: true} }), nil))
	r.check()
	if a := r.report().Attestation; a.Floor() || a.Pieces != 720 || len(r.entries("nvr.breach")) != 0 {
		t.Errorf("%+v", a)
	}
	if e := r.entries("nvr.fault"); len(e) != 1 || data[struct{ Code string }](t, e[0]).Code != "other_device" {
		t.Errorf("%v", e)
	}
}

// Covers F1, F12: two cameras whose cables were changed over keep what they recorded before, each its own.
func TestCablesArePluggedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *sim.Options) {
		o.Channels = append(o.Channels, sim.Channel{ID: 2, Name: "yard", Online: true, Days: 30, Keep: true, Pieces: sim.Hours(noon.Add(-10*day), noon)})
	})
	r.cameras = append(r.cameras, camera("c02"))
	d := r.device()
	d.Cameras[2] = "c02"
	r.must(r.Put(t.Context(), account.System, d, &site.Login{User: "keeper", Password: "right horse"}))
	r.check()
	rewire := func(channels map[string]int, since time.Time) fielderr.Errors {
		t.Helper()
		err := r.Reassign(t.Context(), technician, "n01", r.Revision("n01"), channels, since)
		if err == nil {
			return nil
		}
		errs, ok := errors.AsType[fielderr.Errors](err)
		if !ok {
			t.Fatalf("%v", err)
		}
		return errs
	}
	for field, c := range map[string]struct {
		channels map[string]int
		since    time.Time
	}{
		"channel.c02": {map[string]int{"c01": 1, "c02": 1}, noon},
		"channel.c01": {map[string]int{"c01": 7}, noon},
		"channel.c99": {map[string]int{"c99": 2, "c02": 0}, noon},
		"since":       {map[string]int{"c01": 2, "c02": 1}, noon.Add(time.Hour)},
	} {
		if errs := rewire(c.channels, c.since); len(errs) == 0 || errs[0].Field != field {
			t.Errorf("%s: %v", field, errs)
		}
	}
	changed := noon.Add(-5 * day)
	if errs := rewire(map[string]int{"c01": 2, "c02": 1}, changed); errs != nil {
		t.Fatal(errs)
	}
	pieces := func(camera string) (first, last time.Time, n int) {
		t.Helper()
		got, err := r.Source(r.vault.Source(r.places)).Segments(t.Context(), camera, at(-40*day, day))
		r.must(err)
		for _, p := range got {
			n++
			if first.IsZero() {
				first = p.Span.From
			}
			last = p.Span.To
		}
		return first, last, n
	}
	// Before it is read again, nothing that another camera saw is given as its own.
	if _, last, _ := pieces("c01"); !last.Equal(changed) {
		t.Errorf("c01 is listed up to %v", last)
	}
	if !r.report().Attestation.At.IsZero() {
		t.Error("the old report still counts")
	}
	r.check()
	if first, last, n := pieces("c01"); first.Sub(noon.Add(-30*day)).Abs() > 2*time.Second || last.Sub(noon).Abs() > 2*time.Second || n != 720 {
		t.Errorf("c01 from %v to %v, %d pieces", first, last, n)
	}
	if first, _, n := pieces("c02"); first.Sub(noon.Add(-10*day)).Abs() > 2*time.Second || n != 240 {
		t.Errorf("c02 from %v, %d pieces", first, n)
	}
	if a := r.report().Attestation; a.Floor() || len(a.Gaps) != 0 || r.report().Channel != 2 || r.changes()[1] != "nvr_channels" {
		t.Errorf("%+v", r.report())
	}
	// A fetch of old footage asks the channel that the camera was on.
	f, err := r.Fetch(t.Context(), account.System, "c01", at(-20*day, -20*day+5*time.Second), "a2026-0001")
	if r.must(err); f.Track != "101" {
		t.Errorf("%+v", f)
	}
	if f := r.bring(at(-20*day+10*time.Second, -20*day+15*time.Second)); f.State != nvr.FetchDone {
		t.Errorf("%+v", f)
	}
	if errs := rewire(map[string]int{"c01": 1, "c02": 2}, noon.Add(-6*day)); len(errs) == 0 || errs[0].Field != "since" {
		t.Errorf("before the last change: %v", errs)
	}
	// The other way: it was written down wrongly from the beginning.
	if errs := rewire(map[string]int{"c01": 0}, time.Time{}); errs != nil {
		t.Fatal(errs)
	}
	if errs := rewire(map[string]int{"c02": 2}, time.Time{}); errs != nil {
		t.Fatal(errs)
	}
	r.check()
	if _, ok, err := r.Report("c01"); err != nil || ok {
		t.Errorf("a camera that is on no channel has a report: %v", err)
	}
}

// Covers F1, F3: an NVR is retired with its cameras or not at all; what it holds before its time is a breach; nobody asks
// it any more; its past can be read; and it can come back.
func TestAnNVRIsRetiredAndComesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	_, err := r.Fetch(t.Context(), account.System, "c01", at(-50*time.Hour, -49*time.Hour), "a2026-0001")
	r.must(err)
	retire := func(reason string, cameras ...string) error {
		return r.Retire(t.Context(), technician, "n01", r.Revision("n01"), reason, cameras, func(ctx context.Context, ch ledgerdb.Change, _ nvr.Target) (ledgerdb.Receipt, error) {
			rc, err := r.store.Commit(ctx, ch)
			if err == nil {
				r.cameras[0].Retired = true
			}
			return rc, err
		})
	}
	for field, err := range map[string]error{"reason": retire("", "c01"), "cameras": retire("too old")} {
		if x, ok := errors.AsType[fielderr.Errors](err); !ok || x[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	r.must(retire("too old", "c01"))
	asked := r.nvr.Counts().Requests
	if _, err := r.Check(t.Context(), "n01"); !errors.Is(err, nvr.ErrRetired) {
		t.Errorf("%v", err)
	}
	if err := r.Begin(technician, "n01", nvr.WorkCheck); !errors.Is(err, nvr.ErrRetired) {
		t.Errorf("%v", err)
	}
	if _, err := r.Fetch(t.Context(), account.System, "c01", at(-50*time.Hour, -49*time.Hour), "a2026-0002"); !errors.Is(err, nvr.ErrNothing) {
		t.Errorf("%v", err)
	}
	all, err := r.Fetches()
	r.must(err)
	for _, f := range all {
		if !f.State.Ended() {
			t.Errorf("still waits: %+v", f)
		}
	}
	if n := r.nvr.Counts().Requests; n != asked {
		t.Errorf("it is still asked: %d times", n-asked)
	}
	if b := r.entries("nvr.breach"); len(b) != 1 || r.changes()[1] != "nvr_retired" || r.lastParts("config.change")["reason"] != "too old" {
		t.Errorf("%v, %v", b, r.changes())
	}
	if a := r.report().Attestation; a.Pieces == 0 || a.At.IsZero() {
		t.Errorf("the past cannot be read: %+v", a)
	}
	r.cameras[0].Retired = false
	r.must(r.Restore(t.Context(), technician, "n01", r.Revision("n01"), "still needed", nil))
	if s := r.check(); s.Fault != nvr.FaultNone {
		t.Errorf("%+v", s)
	}
	if a := r.report().Attestation; a.Floor() || a.Pieces != 720 || len(r.entries("nvr.breach")) != 1 || r.changes()[2] != "nvr_restored" {
		t.Errorf("%+v, %v", a, r.changes())
	}
}

// A person does not wait for a playback: what is under way makes room, and is taken up again.
func TestAPlaybackMakesRoomForAChange(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *sim.Options) { o.Speed = 1 })
	r.register()
	r.check()
	f, err := r.Fetch(t.Context(), account.System, "c01", at(-50*time.Hour, -50*time.Hour+10*time.Minute), "a2026-0001")
	r.must(err)
	stop := r.run()
	defer stop()
	r.await("the playback", func() bool { _, running := r.Now(f); return running })
	r.must(r.Edit(t.Context(), technician, "n01", r.edit(func(e *nvr.Edit) { e.Login.Password = "right horse" }), nil)) // changes nothing
	r.must(r.Edit(t.Context(), technician, "n01", r.edit(func(e *nvr.Edit) {
		e.Device.Address = strings.Replace(r.nvr.Address(), "127.0.0.1", "localhost", 1)
		e.Login.Password = "right horse"
	}), nil))
	if n := len(r.changes()); n != 2 {
		t.Errorf("%d changes, want two", n)
	}
	got, _, err := r.FetchOf(f.ID)
	if r.must(err); got.State.Ended() || got.Attempts != 0 {
		t.Errorf("%+v", got)
	}
	r.await("the playback again", func() bool { _, running := r.Now(f); return running })
}

// What two packages write becomes true together: a commit that fails leaves neither, in memory nor on
// disk.
func TestARegistrationThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	stop := r.run()
	defer stop()
	id, err := r.StartDiscovery(technician, r.device(), site.Login{User: "keeper", Password: "right horse"})
	r.must(err)
	r.await("the look", func() bool { l, err := r.Discovery(technician, id); r.must(err); return l.Done() })
	new := camera("c02")
	d := r.device()
	d.Cameras = map[int]string{1: "c02"}
	failed := errors.New("the disk has gone")
	err = r.Register(t.Context(), technician, id, d, []footage.Camera{new}, func(ctx context.Context, ch ledgerdb.Change, _ nvr.Target) (ledgerdb.Receipt, error) {
		ch.Check = func(ledgerdb.Tx) error { return failed }
		return r.store.Commit(ctx, ch)
	})
	if !errors.Is(err, failed) || len(r.Devices()) != 0 {
		t.Errorf("%v, %v", err, r.Devices())
	}
	if l, err := r.Discovery(technician, id); err != nil || !l.Done() {
		t.Errorf("the look is gone with it: %v", err)
	}
	stop()
	r.down()
	r.up()
	if len(r.Devices()) != 0 || len(r.entries("config.change")) != 0 {
		t.Errorf("after a restart: %v", r.Devices())
	}
}

// A camera that was put on another NVR has its footage on both: it is attested together, and each part is fetched from
// where it lies. Covers F1, F3.
func TestACameraMovesToAnotherNVR(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.register()
	r.check()
	moved := noon.Add(-3 * day)
	r.nvr.Record(1, sim.Hours(noon.Add(-30*day), moved)...)
	other := r.second(func(o *sim.Options) { o.Model, o.Channels[0].Pieces = "DS-7616NI", sim.Hours(noon.Add(-9*day), noon) })
	r.must(r.Put(t.Context(), account.System, nvr.Device{ID: "n02", Name: "other", Driver: "hikvision", Address: other.Address(), RTSP: other.RTSPAddress()}, &site.Login{User: "keeper", Password: "right horse"}))
	r.must(r.Reassign(t.Context(), technician, "n01", r.Revision("n01"), map[string]int{"c01": 0}, moved))
	r.must(r.Reassign(t.Context(), technician, "n02", r.Revision("n02"), map[string]int{"c01": 1}, moved))
	for _, id := range []string{"n01", "n02", "n01"} {
		if _, err := r.Check(t.Context(), id); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
	}
	rep := r.report()
	if a := rep.Attestation; rep.NVR != "n02" || a.Floor() || len(a.Gaps) != 0 || a.Pieces != 720 || len(r.entries("nvr.breach")) != 0 {
		t.Errorf("%+v", rep)
	}
	r.must(r.EnsureFetched(t.Context(), account.System, "c01", footage.Span{From: moved.Add(-10 * time.Second), To: moved.Add(10 * time.Second)}, "a2026-0001", false))
	all, err := r.Fetches()
	r.must(err)
	if len(all) != 2 || all[0].NVR != "n01" || all[1].NVR != "n02" || !all[0].Span.To.Equal(all[1].Span.From) {
		t.Fatalf("%+v", all)
	}
	stop := r.run()
	defer stop()
	r.await("both parts", func() bool {
		all, err = r.Fetches()
		r.must(err)
		return all[0].State == nvr.FetchDone && all[1].State == nvr.FetchDone
	})
}
