package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/site"
	"campuskeep/scripts/sim/camera"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// Covers F1: a camera that is offline for longer than the stated time opens one fault for its technician, who takes
// note; when it is well for the stated time the fault closes and says who was notified. A restart in between
// forgets nothing.
func TestAFaultFromOpeningToClosing(t *testing.T) {
	h := newEnv(t)
	cam := h.camera(1, "")
	h.sees(Seen{cam.ID, footage.FaultOffline, footage.Ill})
	h.beat(time.Minute, 15*time.Second)
	if len(h.Faults()) != 0 {
		t.Fatal("a fault after a minute")
	}
	h.beat(10*time.Minute, 15*time.Second)
	open := h.Faults()
	if len(open) != 1 || open[0].Code != footage.FaultOffline || open[0].Technician != "p007" || len(h.entries("fault.opened")) != 1 {
		t.Fatalf("%+v", open)
	}
	h.reopen()
	h.beat(10*time.Minute, 15*time.Second)
	if len(h.entries("fault.opened")) != 1 || len(h.Faults()) != 1 {
		t.Fatal("a restart opened the fault again")
	}
	technician := account.Who{Actor: account.Actor{ID: "p007", Roles: []account.Role{account.RoleStaff}}, Via: ledger.ViaWeb}
	other := account.Who{Actor: account.Actor{ID: "p008", Roles: []account.Role{account.RoleStaff}}}
	if _, ok := errors.AsType[*account.Refused](h.Acknowledge(t.Context(), other, open[0].ID, "我去看看")); !ok {
		t.Error("somebody else took note")
	}
	for name, note := range map[string]string{"nothing": " ", "a book": strings.Repeat("书", 201), "a bell": "a\ab"} {
		if _, ok := errors.AsType[fielderr.Errors](h.Acknowledge(t.Context(), technician, open[0].ID, note)); !ok {
			t.Errorf("%s was taken for a note", name)
		}
	}
	h.must(h.Acknowledge(t.Context(), technician, open[0].ID, "交换机断电，下午更换"))
	e := h.entries("fault.acknowledged")
	if len(e) != 1 || e[0].Subject != cam.ID || strings.Contains(string(e[0].Data), "交换机") {
		t.Fatalf("%+v", e)
	}
	parts, err := h.store.Parts(e[0].Seq)
	h.must(err)
	if len(parts) != 1 || string(parts[0].Plain) != "交换机断电，下午更换" {
		t.Errorf("note %+v", parts)
	}
	h.sees(Seen{cam.ID, footage.FaultOffline, footage.Well})
	h.beat(2*time.Minute, 15*time.Second)
	if len(h.Faults()) != 1 {
		t.Fatal("closed before it was well for the stated time")
	}
	h.beat(5*time.Minute, 15*time.Second)
	closed := h.entries("fault.closed")
	if len(h.Faults()) != 0 || len(closed) != 1 {
		t.Fatalf("open %v, closed %d", h.Faults(), len(closed))
	}
	var data struct {
		Reason string   `json:"reason"`
		Told   []string `json:"told"`
		Lasted int      `json:"lasted_s"`
	}
	h.must(json.Unmarshal(closed[0].Data, &data))
	if data.Reason != ReasonWell || len(data.Told) != 1 || data.Told[0] != "p007" || data.Lasted < 1200 {
		t.Errorf("%s", closed[0].Data)
	}
	if previous, err := h.History("", time.Time{}); err != nil || len(previous) != 1 || previous[0].ID != open[0].ID {
		t.Errorf("%+v, %v", previous, err)
	}
	if err := h.Acknowledge(t.Context(), technician, open[0].ID, "晚了"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a note on a closed fault: %v", err)
	}
}

// A whole switch that dies is one change of the log with a fault for each camera; a loose plug makes few entries.
func TestManyFaultsAndALoosePlug(t *testing.T) {
	h := newEnv(t)
	var bad, good []Seen
	for n := range 64 {
		c := h.camera(n, "")
		bad, good = append(bad, Seen{c.ID, footage.FaultOffline, footage.Ill}), append(good, Seen{c.ID, footage.FaultOffline, footage.Well})
	}
	h.sees(bad...)
	h.beat(3*time.Minute, 15*time.Second)
	if len(h.Faults()) != 64 || len(h.entries("fault.opened")) != 64 {
		t.Fatalf("%d open, %d entries", len(h.Faults()), len(h.entries("fault.opened")))
	}
	h.sees(good...)
	h.beat(6*time.Minute, 15*time.Second)
	if len(h.Faults()) != 0 {
		t.Fatal("they do not close")
	}
	for range 200 { // sixteen hours of a loose plug
		h.sees(bad[0])
		h.beat(2*time.Minute, 30*time.Second)
		h.sees(good[0])
		h.beat(2*time.Minute, 30*time.Second)
	}
	if n := len(h.entries("fault.opened")) - 64; n > 4 {
		t.Errorf("%d faults of a loose plug", n)
	}
}

// Covers F1: what nobody can judge any more is closed with the reason, and a camera out of service has no faults.
func TestFaultsOfWhatIsGone(t *testing.T) {
	h := newEnv(t)
	a, b := h.camera(1, "http://10.20.4.1/s"), h.camera(2, "http://10.20.4.2/s")
	h.sees(Seen{a.ID, footage.FaultOffline, footage.Ill}, Seen{b.ID, footage.FaultBlack, footage.Ill})
	h.beat(12*time.Minute, time.Minute)
	if len(h.Faults()) != 2 {
		t.Fatalf("%v", h.codes())
	}
	a.Retired, b.Still = true, ""
	h.must(h.site.PutCamera(t.Context(), account.System, a, nil))
	h.must(h.site.PutCamera(t.Context(), account.System, b, nil))
	h.sees()
	h.beat(time.Minute, time.Minute)
	reasons := ""
	for _, e := range h.entries("fault.closed") {
		reasons += string(e.Data)
	}
	if len(h.Faults()) != 0 || !strings.Contains(reasons, ReasonRetired) || !strings.Contains(reasons, ReasonUnwatched) {
		t.Errorf("%v, %s", h.codes(), reasons)
	}
}

// Covers F1: frozen and black pictures and wrong clocks are found on the camera's own JPEG, over real HTTP, and are
// over when the camera is well.
func TestPicturesAndClocksOfACamera(t *testing.T) {
	h := newEnv(t)
	s := h.stills(camera.StillOptions{User: "viewer", Password: "secret"})
	cam := h.camera(1, s.URL())
	h.look(cam, 6)
	if len(h.Faults()) != 0 {
		t.Fatalf("a healthy camera: %v", h.codes())
	}
	if got, ok := h.LastVisit(cam.ID); !ok || got.Trouble != "" || got.Clock != footage.Well || !got.ByONVIF || got.Changed < 100 || got.Frozen != footage.Well {
		t.Fatalf("%+v", got)
	}
	s.Freeze(true)
	h.look(cam, 5)
	if got := h.codes(); len(got) != 1 || got[0] != footage.FaultFrozen {
		t.Fatalf("frozen: %v", got)
	}
	s.Freeze(false)
	h.look(cam, 4)
	s.Black(true)
	h.look(cam, 4)
	if got := h.codes(); len(got) != 1 || got[0] != footage.FaultBlack {
		t.Fatalf("black: %v", got)
	}
	s.Black(false)
	h.look(cam, 4)
	h.light = footage.Night
	s.Black(true)
	h.look(cam, 6)
	if got := h.codes(); len(got) != 0 {
		t.Fatalf("black by night: %v", got)
	}
	s.Black(false)
	s.StepClock(-3 * time.Minute)
	h.look(cam, 4)
	if got := h.Faults(); len(got) != 1 || got[0].Code != footage.FaultTime || got[0].OffsetMS > -179_000 || got[0].OffsetMS < -181_000 {
		t.Fatalf("three minutes slow: %+v", got)
	}
	s.StepClock(3 * time.Minute)
	h.look(cam, 4)
	if got := h.codes(); len(got) != 0 {
		t.Fatalf("well again: %v", got)
	}
	if n := s.Failed(); n != 0 {
		t.Errorf("%d failed log-ins", n)
	}
}

// A web server that gives local time under the name of GMT is not blamed for its zone, but for its minutes; while our
// own clock is not trusted nobody is blamed.
func TestClocksWithoutONVIF(t *testing.T) {
	h := newEnv(t)
	s := h.stills(camera.StillOptions{})
	s.WithoutONVIF()
	s.LocalDate()
	cam := h.camera(1, s.URL())
	h.look(cam, 1)
	if got, _ := h.LastVisit(cam.ID); got.ByONVIF || got.Clock != footage.Well || got.Offset < 7*time.Hour {
		t.Fatalf("%+v", got)
	}
	s.StepClock(4 * time.Minute)
	h.clock.Doubt(0)
	h.look(cam, 5)
	if got := h.codes(); len(got) != 0 {
		t.Fatalf("blamed by a clock that is not trusted: %v", got)
	}
	h.clock.Doubt(trusted)
	h.look(cam, 4)
	if got := h.codes(); len(got) != 1 || got[0] != footage.FaultTime {
		t.Fatalf("four minutes fast: %v", got)
	}
}

// A camera that refuses the password is asked once, and again when the password is another; meanwhile its open faults
// stay as they are.
func TestARefusedPasswordIsSentOnce(t *testing.T) {
	h := newEnv(t)
	s := h.stills(camera.StillOptions{User: "viewer", Password: "another", Lock: 3})
	h.camera(1, s.URL())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	h.passUntil(func() bool { got, ok := h.LastVisit("c01"); return ok && got.Trouble == TroubleLogin })
	h.clock.Pass(time.Hour)
	h.passUntil(func() bool { return true })
	if n := s.Failed(); n != 1 {
		t.Errorf("%d failed log-ins", n)
	}
	cam, _ := h.site.Camera("c01")
	h.must(h.site.PutCamera(t.Context(), account.System, cam, &site.Login{User: "viewer", Password: "another"}))
	h.passUntil(func() bool { got, _ := h.LastVisit("c01"); return got.Trouble == "" })
	cancel()
	h.must(<-done)
	if n := s.Failed(); n != 1 {
		t.Errorf("%d failed log-ins", n)
	}
}

// Visits are few at the same time, and each camera has one in its five minutes.
func TestVisitsAreGentle(t *testing.T) {
	h := newEnv(t)
	s := h.stills(camera.StillOptions{})
	s.Slow(20 * time.Millisecond)
	for n := range 24 {
		h.camera(n, s.URL())
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	defer func() {
		cancel()
		h.must(<-done)
	}()
	h.passUntil(func() bool { return s.Asked() > 0 })
	h.clock.Pass(5 * time.Minute) // all are due now
	h.until(func() bool {
		for n := range 24 {
			if _, ok := h.LastVisit(fmt.Sprintf("c%02d", n)); !ok {
				return false
			}
		}
		return true
	})
	if n := s.Peak(); n > parallelVisits {
		t.Errorf("%d at the same time", n)
	}
	if n := s.Asked(); n > 2*24 {
		t.Errorf("%d pictures", n)
	}
}

// While the clock is in doubt several rounds may have one and the same wall time: each fault has an id of its own.
func TestFaultsOfOneInstantHaveIDsOfTheirOwn(t *testing.T) {
	var r Monitor
	at, cam := clock.Reading{}, footage.Camera{ID: "c01"}
	if a, b := r.opened(cam, observation{key: key{"c01", footage.FaultOffline}}, at), r.opened(cam, observation{key: key{"c01", footage.FaultOffline}}, at); a.ID == b.ID {
		t.Fatalf("twice %s", a.ID)
	}
}
