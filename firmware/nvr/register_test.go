package nvr_test

import (
	"errors"
	"testing"
	"time"

	"campuskeep/firmware/nvr/driver"

	"campuskeep/firmware/nvr"
	"campuskeep/firmware/site"
	sim "campuskeep/scripts/sim/nvr"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
)

// Covers F1, M5: NVRs are a register; every change is an entry, and the password is in none.
func TestTheRegisterOfNVRs(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for field, change := range map[string]func(*nvr.Device){
		"id":        func(d *nvr.Device) { d.ID = "N 1" },
		"name":      func(d *nvr.Device) { d.Name = "" },
		"driver":    func(d *nvr.Device) { d.Driver = "unknown" },
		"address":   func(d *nvr.Device) { d.Address = "http://admin:secret@10.0.0.1" },
		"rtsp":      func(d *nvr.Device) { d.RTSP = "10.0.0.1" },
		"pin":       func(d *nvr.Device) { d.Pin = "abc" },
		"cameras":   func(d *nvr.Device) { d.Cameras = map[int]string{1: "c99"} },
		"installed": func(d *nvr.Device) { d.Installed = "yesterday" },
	} {
		d := r.device()
		change(&d)
		var e fielderr.Errors
		if err := r.Put(t.Context(), account.System, d, nil); !errors.As(err, &e) || e[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	var refused *account.Refused
	teacher := account.Who{Actor: account.Actor{ID: "p009"}}
	if err := r.Put(t.Context(), teacher, r.device(), nil); !errors.As(err, &refused) {
		t.Errorf("a teacher: %v", err)
	}
	r.register()
	r.must(r.Put(t.Context(), account.System, r.device(), nil))
	d := r.device()
	d.ID = "n02"
	if err := r.Put(t.Context(), account.System, d, nil); err == nil {
		t.Error("one camera behind two NVRs")
	}
	entries := r.entries("config.change")
	if len(entries) != 2 {
		t.Errorf("%d entries", len(entries))
	}
	for _, e := range entries {
		parts, err := r.store.Parts(e.Seq)
		r.must(err)
		for _, p := range parts {
			if containsText(p.Plain, "right horse") {
				t.Error("the password is in an entry")
			}
		}
	}
	r.down()
	r.up()
	if got := r.Devices(); len(got) != 1 || got[0].Name != "recorder" || got[0].Since.IsZero() {
		t.Errorf("after a restart: %+v", got)
	}
}

func TestTheWizardAsksBeforeAnythingIsRegistered(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *sim.Options) { o.Habits.Offset = 40 * time.Second })
	target := nvr.Target{Device: r.device(), Login: site.Login{User: "keeper", Password: "right horse"}}
	d, err := r.Discover(t.Context(), target)
	if err != nil || d.Info.Model == "" || len(d.Channels) != 1 || len(d.Tracks) != 1 || d.Zone != "CST-8:00:00" || d.Offset != 40*time.Second || !d.Known {
		t.Errorf("%+v, %v", d, err)
	}
	target.Password = "wrong"
	if _, err := r.Discover(t.Context(), target); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("%v", err)
	}
	if n := r.nvr.Counts().Refused; n != 1 || len(r.Devices()) != 0 {
		t.Errorf("%d log-ins failed", n)
	}
}

// The daily check comes by itself.
func TestChecksComeDaily(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	stop := r.run()
	defer stop()
	r.register()
	checked := func() time.Time {
		s, _, err := r.State("n01")
		r.must(err)
		return s.Checked
	}
	r.await("the first check", func() bool { return checked().Equal(noon) })
	r.world.pass(25 * time.Hour)
	d := r.device()
	d.Place = "here"
	r.must(r.Put(t.Context(), account.System, d, nil)) // wakes the worker, as its timer would
	r.await("the next check", func() bool { return checked().Equal(noon.Add(25 * time.Hour)) })
}
