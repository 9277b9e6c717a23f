package footage

import (
	"errors"
	"strings"
	"testing"

	"campuskeep/shared/lib/fielderr"
)

func goodCamera() Camera {
	return Camera{ID: "c01", Name: "东门", Place: "自行车棚", Area: AreaPublic, Custody: CustodyVault, Main: "rtsp://10.0.0.5:554/1", Policy: Policy{Days: 30}}
}

// Covers F1, F2, F3: what is wrong with a camera is named at its field.
func TestValidateNamesFieldAndRule(t *testing.T) {
	if err := Validate(goodCamera()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name        string
		spoil       func(*Camera)
		field, rule string
	}{
		{"dormitory room", func(c *Camera) { c.Area = AreaDormitoryRoom }, "area", "err.area_private"},
		{"toilet", func(c *Camera) { c.Area = AreaToilet }, "area", "err.area_private"},
		{"office", func(c *Camera) { c.Area = AreaOffice }, "area", "err.area_private"},
		{"changing room", func(c *Camera) { c.Area = AreaChangingRoom }, "area", "err.area_private"},
		{"no area", func(c *Camera) { c.Area = "" }, "area", "err.area_unknown"},
		{"id is a path", func(c *Camera) { c.ID = "../c01" }, "id", "err.camera_id"},
		{"no name", func(c *Camera) { c.Name = "" }, "name", "err.required"},
		{"long place", func(c *Camera) { c.Place = strings.Repeat("棚", 65) }, "place", "err.too_long"},
		{"control character", func(c *Camera) { c.Name = "a\x00b" }, "name", "err.text"},
		{"29 days", func(c *Camera) { c.Policy.Days = 29 }, "days", "err.days_range"},
		{"400 days", func(c *Camera) { c.Policy.Days = 400 }, "days", "err.days_range"},
		{"90 days without a reason", func(c *Camera) { c.Policy.Days = 90 }, "reason", "err.days_reason"},
		{"sound without a ground", func(c *Camera) { c.Sound, c.SoundReason = true, "  " }, "sound_reason", "err.sound_reason"},
		{"sound that an NVR keeps", func(c *Camera) { c.Sound, c.SoundReason, c.Custody = true, "值守须知", CustodyNVR }, "sound", "err.sound_custody"},
		{"a long ground for sound", func(c *Camera) { c.SoundReason = strings.Repeat("听", 201) }, "sound_reason", "err.too_long"},
		{"no custody", func(c *Camera) { c.Custody = "" }, "custody", "err.custody_unknown"},
		{"vault without address", func(c *Camera) { c.Main = "" }, "main", "err.required"},
		{"http address", func(c *Camera) { c.Main = "http://10.0.0.5/" }, "main", "err.rtsp_address"},
		{"password in the address", func(c *Camera) { c.Sub = "rtsp://admin:x@10.0.0.5/2" }, "sub", "err.rtsp_credentials"},
		{"national code", func(c *Camera) { c.GBCode = "123" }, "gb_code", "err.gb_code"},
		{"date", func(c *Camera) { c.Installed = "2026-02-30" }, "installed", "err.date"},
		{"transport", func(c *Camera) { c.Transport = "sctp" }, "transport", "err.transport"},
		{"encrypted over UDP", func(c *Camera) { c.Main, c.Transport = "rtsps://10.0.0.5/1", "udp" }, "transport", "err.transport_tls"},
		{"short fingerprint", func(c *Camera) { c.Main, c.Pin = "rtsps://10.0.0.5/1", "ab12" }, "pin", "err.pin"},
		{"fingerprint in capitals", func(c *Camera) { c.Main, c.Pin = "rtsps://10.0.0.5/1", strings.Repeat("AB", 32) }, "pin", "err.pin"},
		{"fingerprint of nothing encrypted", func(c *Camera) { c.Pin = strings.Repeat("ab", 32) }, "pin", "err.pin_plain"},
		{"still over rtsp", func(c *Camera) { c.Still = "rtsp://10.0.0.5/1" }, "still", "err.still_address"},
		{"password in the still's address", func(c *Camera) { c.Still = "http://admin:x@10.0.0.5/snap" }, "still", "err.rtsp_credentials"},
		{"password among the still's parameters", func(c *Camera) { c.Still = "http://10.0.0.5/snap?User=a&Pwd=x" }, "still", "err.rtsp_credentials"},
		{"priority", func(c *Camera) { c.Priority = 10 }, "priority", "err.range"},
	} {
		cam := goodCamera()
		c.spoil(&cam)
		var errs fielderr.Errors
		if err := Validate(cam); !errors.As(err, &errs) || len(errs) != 1 || errs[0].Field != c.field || errs[0].Rule != c.rule {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Covers F3: the arithmetic that refuses a configuration, and says when the disk is full.
func TestPredict(t *testing.T) {
	const gb = 1 << 30
	loads := []Load{{Camera: "c01", BytesPerDay: 10 * gb, Days: 30}, {Camera: "c02", BytesPerDay: 5 * gb, Days: 90}}
	f := Predict(loads, 0, 800*gb)
	if f.Need != (310+455)*gb || !f.Fits || f.FullAt != 0 || f.PerDay != 15*gb {
		t.Fatalf("fits: %+v", f)
	}
	if f = Predict(loads, 100*gb, 800*gb); f.Fits {
		t.Fatalf("with a hold: %+v", f)
	}
	// 700 GB are free beside the hold: 31 days of both are 465, the other 235 last the second camera 47 days.
	if f.FullAt != 78 {
		t.Errorf("full at day %v, want 78", f.FullAt)
	}
	if f = Predict(loads[:1], 0, 234*gb); f.Fits || f.FullAt != 23.4 {
		t.Errorf("full at day %v, want 23.4", f.FullAt)
	}
	if f = Predict(loads[:1], 20*gb, 10*gb); f.Fits || f.FullAt != 0 {
		t.Errorf("already full: %+v", f)
	}
}

func FuzzFileID(f *testing.F) {
	f.Add("00112233445566778899aabbccddeeff")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseFileID(s); err == nil && id.String() != s {
			t.Fatalf("%q is read as %q", s, id)
		}
	})
}
