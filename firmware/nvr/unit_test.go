package nvr

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/scripts/sim/scene"
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
		at := instant{utc: utc, local: z.Local(utc)}
		newest := utc.Add(-lag)
		want := MeansUTC
		if local && z.East != 0 {
			newest, want = z.Local(newest), Local
		}
		got := c.judge(newest, at)
		if got != Unknown && got != want {
			t.Fatalf("%s where %s is meant", got, want)
		}
		if got == Unknown && z.East.Abs() >= footage.NVRLag+future {
			t.Fatal("undecided without need")
		}
		if got == want {
			back, _, ok := c.UTC(Stamp{Digits: newest}, got)
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
	d := DeviceClock{Now: Stamp{Digits: now.Wall.Add(8 * time.Hour), Mark: MarkOffset, Offset: 8 * time.Hour}, Zone: "CST-1:00:00"}
	c, at, err := readClock(d, now)
	if err != nil || c.Offset != 0 || c.Zone.East != 8*time.Hour || !at.utc.Equal(now.Wall) || c.BadZone {
		t.Errorf("%+v, %+v, %v", c, at, err)
	}
}

// mux runs access units through a muxer and gives what a player would read.
func mux(aus []AccessUnit) (film []byte, groups []group, err error) {
	m := muxer{emit: func(g group) error { groups = append(groups, g); return nil }}
	for _, a := range aus {
		if err = m.take(a); err != nil {
			break
		}
	}
	if err == nil {
		err = m.finish(-1)
	}
	for i, g := range groups {
		if i == 0 {
			film = slices.Clone(g.init)
		}
		for _, f := range g.fragments {
			film = append(film, f.data...)
		}
	}
	return film, groups, err
}

// Both codecs, with and without pictures that come out of order, give back every picture to an independent player.
func TestMuxedGroupsPlay(t *testing.T) {
	for name, coding := range map[string]scene.Coding{
		"h264": {Codec: "h264"}, "h264 with B pictures": {Codec: "h264", BFrames: 2, Preset: "fast"}, "h265": {Codec: "h265"},
	} {
		t.Run(name, func(t *testing.T) {
			coding.W, coding.H, coding.FPS, coding.GOP = 320, 180, "10", 15
			var aus []AccessUnit
			enc, err := scene.NewEncoder(t.Context(), coding, func(au [][]byte) {
				aus = append(aus, AccessUnit{Codec: coding.Codec, NALs: au, Ticks: uint32(len(aus)) * 9000})
			})
			if err != nil {
				t.Fatal(err)
			}
			view := scene.New("gate", 320, 180, false)
			for i := range 45 {
				if err := enc.Frame(view.Draw(time.Date(2026, 5, 20, 9, 0, i, 0, time.UTC), uint32(i))); err != nil {
					t.Fatal(err)
				}
			}
			if err := enc.Close(); err != nil {
				t.Fatal(err)
			}
			if coding.BFrames > 0 {
				return // RTP times of reordered pictures are the camera's to give; only that nothing breaks counts here
			}
			film, groups, err := mux(aus)
			if err != nil || len(groups) != 3 {
				t.Fatalf("%d groups, %v", len(groups), err)
			}
			seen, err := scene.Decode(t.Context(), bytes.NewReader(film), "-")
			if err != nil || len(seen) != 45 {
				t.Fatalf("%d pictures, %v", len(seen), err)
			}
			for i, s := range seen {
				if !s.OK || s.Counter != uint32(i) {
					t.Errorf("picture %d is %+v", i, s)
				}
			}
			for i, g := range groups {
				if g.from != int64(i)*15*9000 || g.to != int64(i+1)*15*9000 || !g.fragments[0].key {
					t.Errorf("group %d from %d to %d", i, g.from, g.to)
				}
			}
		})
	}
}

// Whatever bytes come, what goes out rises in time and begins with a key frame.
func FuzzMuxer(f *testing.F) {
	f.Add([]byte{0x67, 0x64, 0, 0x0b}, uint32(0), uint32(9000), false)
	f.Fuzz(func(t *testing.T, b []byte, t0, t1 uint32, h265 bool) {
		codec, key := "h264", []byte{0x65, 1, 2}
		sets := [][]byte{{0x67, 0x42, 0xc0, 0x28, 0xd9, 0, 0x78, 2, 0x27, 0xe5, 0x84, 0, 0, 3, 0, 4, 0, 0, 3, 0, 0xf0, 0x3c, 0x60, 0xc9, 0x20}, {0x68, 1}}
		if h265 {
			codec, key = "h265", []byte{0x26, 1, 2}
			sets = [][]byte{{0x40, 1}, {0x42, 1}, {0x44, 1}}
		}
		nals := bytes.Split(b, []byte{0})
		_, groups, err := mux([]AccessUnit{
			{Codec: codec, Sets: sets, NALs: nals, Ticks: t0}, {Codec: codec, NALs: [][]byte{key}, Ticks: t1}, {Codec: codec, NALs: nals, Ticks: t0},
			{Codec: codec, NALs: [][]byte{key}, Ticks: t1 + 1},
		})
		if err != nil && !errors.Is(err, errStream) {
			t.Fatal(err)
		}
		last := int64(-1 << 62)
		for _, g := range groups {
			for i, f := range g.fragments {
				if f.from < last && i > 0 || f.to <= f.from || i == 0 && !f.key {
					t.Errorf("fragment from %d to %d after %d", f.from, f.to, last)
				}
				last = f.to
			}
		}
	})
}

func TestSubtractAndJoin(t *testing.T) {
	base := time.Date(2026, 5, 20, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) footage.Span {
			a := rapid.IntRange(0, 100).Draw(t, name)
			return footage.Span{From: base.Add(time.Duration(a) * time.Second), To: base.Add(time.Duration(a+rapid.IntRange(1, 40).Draw(t, name)) * time.Second)}
		}
		s := draw("whole")
		var taken []footage.Span
		for range rapid.IntRange(0, 5).Draw(t, "n") {
			taken = append(taken, draw("taken"))
		}
		rest := subtract(s, taken, 0)
		for at := s.From; at.Before(s.To); at = at.Add(time.Second) {
			in := func(list []footage.Span) bool {
				return slices.ContainsFunc(list, func(x footage.Span) bool { return x.Contains(at) })
			}
			if in(rest) == in(taken) {
				t.Fatalf("%v: rest %v of %v without %v", at, rest, s, taken)
			}
		}
	})
}
