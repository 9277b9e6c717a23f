package site_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/ledgerdb/ledgerdbtest"
	"campuskeep/firmware/site"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

var now = clocktest.At(time.Date(2026, 5, 20, 1, 42, 0, 0, time.UTC))

type env struct {
	*site.Site
	t     *testing.T
	dir   string
	store *ledgerdb.Store
	fits  func([]footage.Camera) error
	stop  func()
}

func newEnv(t *testing.T) *env {
	h := &env{t: t, dir: t.TempDir()}
	h.open()
	return h
}

func (h *env) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *env) open() {
	h.t.Helper()
	s := ledgerdbtest.Open(h.t, h.dir, now)
	h.store, h.stop = s.Store, s.Stop
	var err error
	h.Site, err = site.Open(context.Background(), site.Options{Store: h.store, Clock: now, CheckCapacity: func(all []footage.Camera) error {
		if h.fits == nil {
			return nil
		}
		return h.fits(all)
	}})
	h.must(err)
}

func (h *env) last() ledger.Entry {
	h.t.Helper()
	e, err := h.store.Entry(h.store.Size() - 1)
	h.must(err)
	return e
}

var gate = footage.Camera{ID: "c01", Name: "校门东侧", Place: "校门", Area: footage.AreaGate, Custody: footage.CustodyVault,
	Main: "rtsp://10.20.9.31/main", Policy: footage.Policy{Days: 30}}

var admin = account.Who{Actor: account.Actor{ID: "p001", Roles: []account.Role{account.RoleAdmin}, SecondFactor: true},
	From: ledger.From{Address: "10.20.3.10"}, Via: ledger.ViaWeb}

func fieldOf(err error) string {
	if e, ok := err.(fielderr.Errors); ok {
		return e[0].Field + ":" + e[0].Rule
	}
	return ""
}

// Covers F1, M5: a camera is registered and changed with before and after; its password is nowhere readable.
func TestCameras(t *testing.T) {
	h := newEnv(t)
	changed, cancel := h.Subscribe()
	defer cancel()
	h.must(h.PutCamera(t.Context(), admin, gate, &site.Login{User: "viewer", Password: "secret-of-the-gate"}))
	if e := h.last(); e.Kind != "camera.registered" || e.Subject != "c01" || e.Actor.Role != "administrator" || e.From.Address != "10.20.3.10" {
		t.Errorf("entry %+v", e)
	}
	select {
	case <-changed:
	default:
		t.Error("the recorder was not woken")
	}
	c := gate
	c.Policy = footage.Policy{Days: 90, Reason: "重点部位"}
	h.must(h.PutCamera(t.Context(), admin, c, nil))
	e := h.last()
	if e.Kind != "camera.changed" || string(e.Data) != `{"what":["policy"],"days":90,"custody":"vault"}` {
		t.Errorf("entry %s %s", e.Kind, e.Data)
	}
	parts, err := h.store.Parts(e.Seq)
	h.must(err)
	if len(parts) != 2 || !bytes.Contains(parts[0].Plain, []byte(`"days":30`)) || !bytes.Contains(parts[1].Plain, []byte(`"days":90`)) {
		t.Errorf("parts %+v", parts)
	}
	size := h.store.Size()
	h.must(h.PutCamera(t.Context(), admin, c, nil))
	if h.store.Size() != size {
		t.Error("a change of nothing is an entry")
	}
	for range 2 {
		got, ok := h.Camera("c01")
		if !ok || got.Policy.Days != 90 || !got.Since.Equal(now.Now().Wall) || len(h.Cameras()) != 1 {
			t.Errorf("camera %+v", got)
		}
		if l, err := h.Credentials("c01"); err != nil || l.User != "viewer" || l.Password != "secret-of-the-gate" {
			t.Errorf("credentials %v", err)
		}
		if l, err := h.Credentials("c02"); err != nil || l != (site.Login{}) {
			t.Errorf("credentials of a camera that has none: %v", err)
		}
		h.stop()
		h.open()
	}
	h.must(filepath.WalkDir(h.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		if bytes.Contains(b, []byte("secret-of-the-gate")) {
			t.Errorf("%s holds the camera's password", name)
		}
		return err
	}))
}

// Covers F2: a camera that looks into a private area is refused with the rule.
func TestPrivateAreasAreRefused(t *testing.T) {
	h := newEnv(t)
	for _, area := range footage.PrivateAreas {
		c := gate
		c.Area = area
		if err := h.PutCamera(t.Context(), admin, c, nil); fieldOf(err) != "area:err.area_private" {
			t.Errorf("%s: %v", area, err)
		}
	}
	if h.store.Size() != 0 || len(h.Cameras()) != 0 {
		t.Error("something of a refused camera was stored")
	}
}

// Covers F12, M3.
func TestOnlyWhoMayChangesTheSite(t *testing.T) {
	h := newEnv(t)
	teacher := account.Who{Actor: account.Actor{ID: "p002", Roles: []account.Role{account.RoleClassTeacher}, SecondFactor: true}}
	for name, err := range map[string]error{
		"camera":   h.PutCamera(t.Context(), teacher, gate, nil),
		"reader":   h.PutReader(t.Context(), teacher, site.Reader{}),
		"place":    h.PutPlace(t.Context(), teacher, site.Place{}),
		"calendar": h.PutCalendar(t.Context(), teacher, h.Calendar()),
		"settings": h.PutSettings(t.Context(), teacher, site.DefaultSettings),
	} {
		if _, ok := err.(*account.Refused); !ok {
			t.Errorf("a teacher changed %s: %v", name, err)
		}
	}
}

func TestReadersAndPlaces(t *testing.T) {
	h := newEnv(t)
	r := site.Reader{ID: "r01", Name: "东大门 1 号", Direction: attendance.Auto, Port: "/dev/ttyUSB0"}
	h.must(h.PutReader(t.Context(), admin, r))
	if e := h.last(); e.Kind != "config.change" || e.Subject != "reader:r01" {
		t.Errorf("entry %+v", e)
	}
	for want, spoil := range map[string]func(*site.Reader){
		"id:err.id":                 func(r *site.Reader) { r.ID = "门" },
		"name:err.required":         func(r *site.Reader) { r.Name = " " },
		"direction:err.direction":   func(r *site.Reader) { r.Direction = "up" },
		"port:err.port":             func(r *site.Reader) { r.Port = "COM1" },
		"address:err.range":         func(r *site.Reader) { r.Address = 127 },
		"address:err.address_taken": func(r *site.Reader) { r.ID = "r02" },
	} {
		bad := r
		spoil(&bad)
		if err := h.PutReader(t.Context(), admin, bad); fieldOf(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := h.PutPlace(t.Context(), admin, site.Place{ID: "gate", Name: "校门", Cameras: []string{"c09"}}); fieldOf(err) != "cameras:err.camera_unknown" {
		t.Errorf("place with an unknown camera: %v", err)
	}
	h.must(h.PutCamera(t.Context(), admin, gate, nil))
	h.must(h.PutPlace(t.Context(), admin, site.Place{ID: "gate", Name: "校门", Cameras: []string{"c01"}}))
	h.stop()
	h.open()
	if p := h.Places(); len(h.Readers()) != 1 || len(p) != 1 || !slices.Equal(p[0].Cameras, []string{"c01"}) {
		t.Errorf("readers %v, places %v", h.Readers(), p)
	}
}

// Covers M5, S7.
func TestCalendarAndSettings(t *testing.T) {
	h := newEnv(t)
	if d, _, err := h.Calendar().Day("2026-05-20"); err != nil || !d.School {
		t.Errorf("before anybody set a calendar: %+v, %v", d, err)
	}
	c := h.Calendar()
	c.Holidays = []attendance.DateRange{{From: "2026-06-19", To: "2026-06-21", Name: "端午节"}}
	h.must(h.PutCalendar(t.Context(), admin, c))
	bad := c
	bad.Zone = "Mars/Olympus"
	if err := h.PutCalendar(t.Context(), admin, bad); fieldOf(err) != "zone:err.zone" {
		t.Errorf("a zone that is none: %v", err)
	}
	s := h.Settings()
	s.SessionIdle, s.Register.ReportDays = 10, 8
	if err := h.PutSettings(t.Context(), admin, s); fieldOf(err) != "report_days:err.range" {
		t.Errorf("a report after eight days (F15: one week): %v", err)
	}
	s.Register.ReportDays = 5
	h.must(h.PutSettings(t.Context(), admin, s))
	parts, err := h.store.Parts(h.store.Size() - 1)
	if h.must(err); len(parts) != 1 || parts[0].Name != "after" {
		t.Errorf("first settings: %+v", parts)
	}
	h.stop()
	h.open()
	if d, _, err := h.Calendar().Day("2026-06-19"); err != nil || d.School || h.Settings() != s {
		t.Errorf("after a restart: %+v, %v, %+v", d, err, h.Settings())
	}
	if got := h.Settings().SessionRules(); got.Idle != 10*time.Minute || got.Absolute != 12*time.Hour {
		t.Errorf("session rules %+v", got)
	}
}
