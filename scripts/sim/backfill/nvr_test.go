package backfill

import (
	"path/filepath"
	"testing"
	"time"

	"campuskeep/firmware/appliance"
	"campuskeep/firmware/nvr"
	"campuskeep/firmware/site"
	"campuskeep/shared/footage"
)

// The NVRs of a past are in its register with the cameras behind them, which have been there for long.
func TestNVRsAreRegistered(t *testing.T) {
	cfg := appliance.Default()
	cfg.Appliance.ID, cfg.Appliance.School, cfg.Appliance.Data = "ck-past", "试验学校", filepath.Join(t.TempDir(), "data")
	cfg.Web.Listen, cfg.Clock.Sources = "127.0.0.1:0", []string{"host", "nvr"}
	now := time.Now()
	cam := func(id string) footage.Camera {
		return footage.Camera{ID: id, Name: id, Place: "食堂", Area: footage.AreaCanteen, Custody: footage.CustodyNVR, Policy: footage.Policy{Days: 30}}
	}
	_, err := Fill(t.Context(), Options{Config: cfg, Now: now, ReaderPort: "/dev/ttyS9", Cameras: []string{"rtsp://127.0.0.1:9/a", "rtsp://127.0.0.1:9/b", "rtsp://127.0.0.1:9/c"},
		CameraLogin: site.Login{User: "a", Password: "b"}, NVRs: []NVR{{Device: nvr.Device{ID: "n01", Name: "recorder", Driver: "hikvision", Address: "http://127.0.0.1:9"},
			Login: site.Login{User: "keeper", Password: "secret"}, Cameras: []footage.Camera{cam("c04"), cam("c05")}}}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := appliance.Open(t.Context(), cfg, appliance.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	d := a.NVR.Devices()
	if len(d) != 1 || d[0].Cameras[1] != "c04" || d[0].Cameras[2] != "c05" {
		t.Fatalf("%+v", d)
	}
	if c, ok := a.Site.Camera("c05"); !ok || now.Sub(c.Since) < 100*24*time.Hour {
		t.Errorf("%+v", c)
	}
}
