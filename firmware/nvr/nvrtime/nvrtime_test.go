package nvrtime

import (
	"testing"
	"time"

	"campuskeep/firmware/nvr/driver"

	"pgregory.net/rapid"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

func TestZonesAsNVRsWriteThem(t *testing.T) {
	for s, want := range map[string]Zone{
		"CST-8:00:00": {East: 8 * time.Hour}, "IST-5:30:00": {East: 5*time.Hour + 30*time.Minute}, "EST+5:00:00": {East: -5 * time.Hour}, "GMT+0:00:00": {}, "UTC0": {},
	} {
		if z, err := ParseZone(s); err != nil || z != want {
			t.Errorf("%s: %+v, %v", s, z, err)
		}
	}
	for _, s := range []string{"", "Asia/Shanghai", "CST-8:61:00", "CST-25:00:00", "CST-1:00:00DST01:00:00", "CST-1:00:00DST01:00:00,M13.5.0,M10.5.0", "CST-1:00:00DST09:00:00,M3.5.0,M10.5.0"} {
		if z, err := ParseZone(s); err == nil {
			t.Errorf("%q: %+v", s, z)
		}
	}
}

// Summer time as the time zone database has it, hour by hour over years, in both halves of the world.
func TestSummerTime(t *testing.T) {
	for _, c := range []struct{ nvr, name string }{
		{"CST-1:00:00DST01:00:00,M3.5.0/02:00:00,M10.5.0/03:00:00", "Europe/Berlin"},
		{"EST+5:00:00DST01:00:00,M3.2.0/02:00:00,M11.1.0/02:00:00", "America/New_York"},
		{"AEST-10:00:00DST01:00:00,M10.1.0/02:00:00,M4.1.0/03:00:00", "Australia/Sydney"},
	} {
		z, err := ParseZone(c.nvr)
		if err != nil {
			t.Fatal(err)
		}
		loc, err := time.LoadLocation(c.name)
		if err != nil {
			t.Fatal(err)
		}
		for at := time.Date(2024, 1, 1, 0, 30, 0, 0, time.UTC); at.Year() < 2028; at = at.Add(time.Hour) {
			l := at.In(loc)
			want := time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), 0, 0, time.UTC)
			if got := z.Local(at); !got.Equal(want) {
				t.Fatalf("%s at %v: %v, not %v", c.name, at, got, want)
			}
			if back, doubt := z.UTC(want); back.Sub(at).Abs() > doubt {
				t.Fatalf("%s: %v came back as %v ± %v", c.name, at, back, doubt)
			}
		}
	}
}

func FuzzZone(f *testing.F) {
	f.Add("CST-8:00:00")
	f.Add("CST-1:00:00DST01:00:00,M3.5.0/02:00:00,M10.5.0/03:00:00")
	f.Fuzz(func(t *testing.T, s string) {
		z, err := ParseZone(s)
		if err != nil {
			return
		}
		at := time.Date(2026, 5, 20, 4, 0, 0, 0, time.UTC)
		if back, doubt := z.UTC(z.Local(at)); back.Sub(at).Abs() > doubt {
			t.Errorf("%q: %v came back as %v ± %v", s, at, back, doubt)
		}
	})
}

// Whatever zone and error an NVR's clock has: what is decided is right, or nothing is decided.
func TestMeaningIsNeverDecidedWrongly(t *testing.T) {
	now := time.Date(2026, 5, 20, 4, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		z := Zone{East: time.Duration(rapid.IntRange(-48, 56).Draw(t, "quarters")) * 15 * time.Minute}
		off := time.Duration(rapid.Int64Range(int64(-9*time.Hour), int64(9*time.Hour)).Draw(t, "offset"))
		lag := time.Duration(rapid.Int64Range(0, int64(footage.NVRLag)-1).Draw(t, "lag"))
		local := rapid.Bool().Draw(t, "local")
		utc := now.Add(off)
		c := Calibration{Zone: z, Offset: off, Known: true}
		at := Instant{UTC: utc, Local: z.Local(utc)}
		newest := utc.Add(-lag)
		want := MeansUTC
		if local && z.East != 0 {
			newest, want = z.Local(newest), Local
		}
		got := c.Meaning(newest, at)
		if got != Unknown && got != want {
			t.Fatalf("%s where %s is meant", got, want)
		}
		if got == Unknown && z.East.Abs() >= footage.NVRLag+Ahead {
			t.Fatal("undecided without need")
		}
		if got == want {
			back, _, ok := c.UTC(driver.Stamp{Digits: newest}, got)
			if !ok || !back.Equal(now.Add(-lag)) {
				t.Fatalf("placed at %v, not %v", back, now.Add(-lag))
			}
			if s := c.Stamp(back, got); s.Digits.Sub(newest).Abs() >= time.Second {
				t.Fatalf("asked with %v, not %v", s.Digits, newest)
			}
		}
	})
}

func TestExplicitOffsetsCountMoreThanTheZone(t *testing.T) {
	now := clock.Reading{Wall: time.Date(2026, 5, 20, 4, 0, 0, 0, time.UTC), State: clock.Trusted}
	d := driver.DeviceClock{Now: driver.Stamp{Digits: now.Wall.Add(8 * time.Hour), Mark: driver.MarkOffset, Offset: 8 * time.Hour}, Zone: "CST-1:00:00"}
	c, at, err := ReadClock(d, now)
	if err != nil || c.Offset != 0 || c.Zone.East != 8*time.Hour || !at.UTC.Equal(now.Wall) || c.BadZone {
		t.Errorf("%+v, %+v, %v", c, at, err)
	}
}
