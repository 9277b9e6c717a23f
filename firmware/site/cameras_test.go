package site_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/site"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

func cam(n int) footage.Camera {
	c := gate
	c.ID, c.Main = fmt.Sprintf("c%02d", n), fmt.Sprintf("rtsp://10.20.4.%d/main", n)
	return c
}

// Covers F1, F3: what this box cannot keep is refused at the field, seen together with what is there; what only
// takes away never is.
func TestARegisterThatDoesNotFitIsRefused(t *testing.T) {
	h := newEnv(t)
	h.fits = func(all []footage.Camera) error {
		n := 0
		for _, c := range all {
			if !c.Retired && c.Custody == footage.CustodyVault {
				n += c.Policy.Days
			}
		}
		if n > 60 {
			return fielderr.Errors{{Field: "custody", Rule: "err.does_not_fit"}}
		}
		return nil
	}
	h.must(h.PutCamera(t.Context(), admin, cam(1), nil))
	h.must(h.PutCamera(t.Context(), admin, cam(2), nil))
	if err := h.PutCamera(t.Context(), admin, cam(3), nil); fieldOf(err) != "custody:err.does_not_fit" {
		t.Errorf("a third camera: %v", err)
	}
	more := cam(2)
	more.Policy = footage.Policy{Days: 31, Reason: "重点部位"}
	if err := h.PutCamera(t.Context(), admin, more, nil); fieldOf(err) != "custody:err.does_not_fit" {
		t.Errorf("a day more: %v", err)
	}
	h.fits = func([]footage.Camera) error { return fielderr.Errors{{Field: "custody", Rule: "err.does_not_fit"}} }
	gone := cam(1)
	gone.Retired = true
	h.must(h.PutCamera(t.Context(), admin, gone, nil))
	named := cam(2)
	named.Name = "北门"
	h.must(h.PutCamera(t.Context(), admin, named, nil))
	h.fits = func([]footage.Camera) error { return errors.New("the disk does not answer") }
	if err := h.PutCamera(t.Context(), admin, cam(4), nil); fieldOf(err) != "custody:err.does_not_fit" {
		t.Errorf("nobody could say whether it fits: %v", err)
	}
}

// Covers F1, M5: a list is taken whole or not at all, as one change, with an entry for each camera.
func TestAListOfCamerasIsOneChange(t *testing.T) {
	h := newEnv(t)
	var list []site.CameraPut
	for n := range 64 {
		list = append(list, site.CameraPut{Camera: cam(n), Login: &site.Login{User: "viewer", Password: fmt.Sprint("secret", n)}})
	}
	bad := append([]site.CameraPut(nil), list...)
	bad[7].Camera.Area = footage.AreaToilet
	bad[9].Camera.ID = "c08"
	bad[12].Login = &site.Login{Password: strings.Repeat("x", 129)}
	n, err := h.PutCameras(t.Context(), admin, bad)
	rows, ok := err.(site.RowErrors)
	if n != 0 || !ok || len(rows) != 3 || rows[7][0].Rule != "err.area_private" || rows[9][0].Field != "id" || rows[12][0].Field != "password" {
		t.Fatalf("%d, %v", n, err)
	}
	if h.store.Size() != 0 || len(h.Cameras()) != 0 {
		t.Fatal("something of a refused list was stored")
	}
	n, err = h.PutCameras(t.Context(), admin, list)
	h.must(err)
	if n != 64 || h.store.Size() != 64 || len(h.Cameras()) != 64 {
		t.Fatalf("%d new, %d entries, %d cameras", n, h.store.Size(), len(h.Cameras()))
	}
	if l, err := h.Credentials("c63"); err != nil || l.Password != "secret63" {
		t.Errorf("credentials of the last: %v", err)
	}
	for i := range list {
		list[i].Login = nil
	}
	list[3].Camera.Name = "北门"
	n, err = h.PutCameras(t.Context(), admin, list)
	h.must(err)
	if e := h.last(); n != 1 || h.store.Size() != 65 || e.Subject != "c03" {
		t.Errorf("%d changed, %d entries, last about %s", n, h.store.Size(), e.Subject)
	}
	if l, err := h.Credentials("c03"); err != nil || l.Password != "secret3" {
		t.Errorf("a change without a password took it away: %v", err)
	}
	teacher := account.Who{Actor: account.Actor{ID: "p002", Roles: []account.Role{account.RoleClassTeacher}, SecondFactor: true}}
	if _, err := h.PutCameras(t.Context(), teacher, list); err == nil {
		t.Error("a teacher imported cameras")
	}
}

// A GB/T 28181 code names one device; a retired one gives it free.
func TestANationalCodeNamesOneCamera(t *testing.T) {
	h := newEnv(t)
	a, b := cam(1), cam(2)
	a.GBCode, b.GBCode = "34020000001320000001", "34020000001320000001"
	h.must(h.PutCamera(t.Context(), admin, a, nil))
	if err := h.PutCamera(t.Context(), admin, b, nil); fieldOf(err) != "gb_code:err.gb_taken" {
		t.Errorf("the same code again: %v", err)
	}
	a.Retired = true
	h.must(h.PutCamera(t.Context(), admin, a, nil))
	h.must(h.PutCamera(t.Context(), admin, b, nil))
}

// Anyone who may type an address does not thereby get the password: a row that leads to another host or port, or out of
// the encrypted into the clear, needs it typed again. Covers F11.
func TestAPasswordDoesNotFollowToAnotherDevice(t *testing.T) {
	h := newEnv(t)
	a := cam(1)
	a.Main, a.Sub, a.Pin = "rtsps://10.20.4.1/main", "rtsps://10.20.4.1/sub", strings.Repeat("ab", 32)
	login := &site.Login{User: "viewer", Password: "secret"}
	h.must(h.PutCamera(t.Context(), admin, a, login))
	for name, x := range map[string]struct {
		change func(*footage.Camera)
		same   bool
	}{
		"another host":            {func(c *footage.Camera) { c.Main = "rtsps://10.20.4.99/main" }, false},
		"a still elsewhere":       {func(c *footage.Camera) { c.Still = "https://10.20.4.99/snap" }, false},
		"into the clear":          {func(c *footage.Camera) { c.Sub = "rtsp://10.20.4.1/sub" }, false},
		"without the pin":         {func(c *footage.Camera) { c.Pin = "" }, false},
		"another pin":             {func(c *footage.Camera) { c.Pin = strings.Repeat("cd", 32) }, false},
		"another port":            {func(c *footage.Camera) { c.Main = "rtsps://10.20.4.1:8554/main" }, false},
		"a still of another port": {func(c *footage.Camera) { c.Still = "https://10.20.4.1/snap" }, false},
		"another path":            {func(c *footage.Camera) { c.Main = "rtsps://10.20.4.1/ch1" }, true},
		"the port written out":    {func(c *footage.Camera) { c.Main = "rtsps://10.20.4.1:322/main" }, true},
		"no sub-stream":           {func(c *footage.Camera) { c.Sub = "" }, true},
	} {
		c := a
		x.change(&c)
		err := h.PutCamera(t.Context(), admin, c, nil)
		if x.same && err != nil || !x.same && fieldOf(err) != "password:err.password_again" {
			t.Errorf("%s: %v", name, err)
		}
		h.must(h.PutCamera(t.Context(), admin, a, login))
	}
}

// What another package writes beside cameras becomes true with them or not at all, in memory and on disk; and an id
// that is to be new takes nobody's place. Covers F1.
func TestCamerasBesideAnotherPackagesChange(t *testing.T) {
	h := newEnv(t)
	h.must(h.PutCamera(t.Context(), admin, cam(1), nil))
	size := h.store.Size()
	beside := ledgerdb.Change{Entries: []ledger.Draft{account.System.Draft("config.change", "", "nvr:n01", map[string]any{"what": "nvr", "key": "n01"})}}
	failed := errors.New("the disk has gone")
	beside.Check = func(ledgerdb.Tx) error { return failed }
	_, err := h.PutCamerasWith(t.Context(), admin, []site.CameraPut{{Camera: cam(2), New: true}, {Camera: cam(3), New: true}}, beside)
	if _, known := h.Camera("c02"); !errors.Is(err, failed) || known || h.store.Size() != size {
		t.Errorf("%v, known %v, %d entries", err, known, h.store.Size()-size)
	}
	beside.Check = nil
	var rows site.RowErrors
	_, err = h.PutCamerasWith(t.Context(), admin, []site.CameraPut{{Camera: cam(1), New: true}, {Camera: cam(3), New: true}}, beside)
	if !errors.As(err, &rows) || rows[0][0].Rule != "err.taken" || h.store.Size() != size {
		t.Errorf("an id that is taken: %v, %d entries", err, h.store.Size()-size)
	}
	rc, err := h.PutCamerasWith(t.Context(), admin, []site.CameraPut{{Camera: cam(2), New: true}, {Camera: cam(3), New: true}}, beside)
	h.must(err)
	if len(rc.Entries) != 3 || rc.First != size || len(rc.Revs) != 0 {
		t.Errorf("%+v", rc)
	}
	if rc, err = h.PutCamerasWith(t.Context(), admin, nil, beside); err != nil || len(rc.Entries) != 1 {
		t.Errorf("no camera: %v, %+v", err, rc)
	}
}
