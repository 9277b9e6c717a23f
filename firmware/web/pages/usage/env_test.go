package usage

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"campuskeep/firmware/ledgerdb/ledgerdbtest"
	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/login"
)

// retained is a school whose retention has what a test sets.
type retained struct{ frame.RetentionStatus }

func (r *retained) Retention() frame.RetentionStatus      { return r.RetentionStatus }
func (r *retained) Sync() frame.Sync                      { return frame.Sync{} }
func (r *retained) Cameras() map[string]frame.CameraState { return nil }

// env is the pages of footage use over a school with three cameras and two people.
type env struct {
	*Pages
	status *retained
	ids    map[string]string // by log-in name
}

func newEnv(t *testing.T) *env {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	now := clocktest.At(present)
	base := ledgerdbtest.Open(t, t.TempDir(), now)
	store := base.Store
	h := &env{status: &retained{}, ids: map[string]string{}}
	staff, err := people.Open(ctx, people.Options{Store: store, Data: base.Data, Clock: now, Zone: shanghai, Cost: login.Params{Memory: 64, Time: 1, Threads: 1}, Log: log})
	must(err)
	for name, role := range map[string]account.Role{"fan": account.RoleStaff, "zhou": account.RoleOfficer} {
		p, _, err := staff.AddPerson(ctx, account.System, people.Person{Login: name, Name: name, StaffNo: name, Unit: "七年级组", Roles: []account.Role{role}}, "the password of the first day")
		must(err)
		h.ids[name] = p.ID
	}
	school, err := site.Open(ctx, site.Options{Store: store, Clock: now, Log: log})
	must(err)
	for i, name := range []string{"东大门外", "北侧围墙", "自行车棚"} {
		must(school.PutCamera(ctx, account.System, footage.Camera{ID: fmt.Sprintf("c%02d", i+1), Name: name, Place: name, Area: footage.AreaGate, Custody: footage.CustodyVault,
			Main: fmt.Sprintf("rtsp://10.20.4.%d:554/main", 11+i), Policy: footage.Policy{Days: 30}, Installer: "云汀安防", Installed: "2025-08-20"}, &site.Login{User: "ck", Password: "camera-secret"}))
	}
	register, err := usage.Open(usage.Options{Store: store, Clock: now, Cameras: school.Cameras, SchoolDay: func(string) bool { return true }, Log: log})
	must(err)
	s, err := frame.New(frame.Deps{Log: log, Clock: now, Zone: shanghai, Ledger: store, People: staff, Site: school, Usage: register, Status: h.status}, Templates)
	must(err)
	h.Pages = New(s, Deps{Zone: shanghai, Site: school, Status: h.status, Ledger: store, Usage: register})
	return h
}

// chinese prints as most people read it.
var chinese = ui.Printer{Lang: ui.Chinese, Zone: shanghai}
