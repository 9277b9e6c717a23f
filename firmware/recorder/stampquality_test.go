package recorder

import (
	"log/slog"
	"testing"
	"time"

	"campuskeep/firmware/fmp4"
	"campuskeep/firmware/rtsp"
	"campuskeep/firmware/vault/vaulttest"
	"campuskeep/scripts/sim/render"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// twoPictures are a key picture and one that follows it.
func twoPictures(t *testing.T) (aus [][][]byte) {
	t.Helper()
	enc, err := render.NewEncoder(t.Context(), render.Coding{W: 64, H: 48, GOP: 100}, func(au [][]byte) { aus = append(aus, au) })
	if err != nil {
		t.Fatal(err)
	}
	view := render.New("c01", 64, 48, false)
	for i := range 2 {
		if err := enc.Frame(view.Draw(time.Unix(0, 0), uint32(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	return aus
}

// Stamps that are no measure of time: footage is as long as the wall clock says, its segments close, nothing is a gap.
func TestTimeThatLies(t *testing.T) {
	aus := twoPictures(t)
	const period = 48 * time.Millisecond
	rate := func(hz float64) func(int) uint32 {
		return func(i int) uint32 { return uint32(int64(4294000000 + float64(i)*period.Seconds()*hz)) }
	}
	for name, c := range map[string]struct {
		stamp   func(i int) uint32
		arrives func(i int) time.Duration // after it was taken
		honest  bool
	}{
		"stands still":            {stamp: func(int) uint32 { return 0 }},
		"25 stamped, 21 sent":     {stamp: func(i int) uint32 { return uint32(i) * 3600 }},
		"a clock of 1 kHz":        {stamp: rate(1000)},
		"a clock of 8 kHz":        {stamp: rate(8000)},
		"a clock of 180 kHz":      {stamp: rate(180000)},
		"a clock of 1 MHz":        {stamp: rate(1000000)},
		"half as fast again":      {stamp: rate(135000)},
		"3 % fast":                {stamp: rate(92700)},
		"3 % slow":                {stamp: rate(87300)},
		"stands still for long":   {stamp: func(i int) uint32 { return uint32(i/500) * 24 * 90000 }},
		"jumps with each picture": {stamp: func(i int) uint32 { return uint32(i) * 2654435761 }},
		"as it should":            {stamp: rate(90000), honest: true},
		"1.5 % slow":              {stamp: rate(88650), honest: true},
		"the network holds it back": {stamp: rate(90000), honest: true, arrives: func(i int) time.Duration {
			if k := (i + 350) % 700; k < 100 { // four seconds, which come in over ten
				return max(0, 4*time.Second-time.Duration(k)*40*time.Millisecond)
			}
			return time.Duration(i%7) * 10 * time.Millisecond
		}},
	} {
		t.Run(name, func(t *testing.T) {
			v := vaulttest.Open(t)
			k := segmentWriter{
				camera: "c01", vault: v, zone: time.UTC, log: slog.New(slog.DiscardHandler), first: make(chan time.Duration, 1),
				gap: &outage{emit: func(from, to time.Duration, c Cause) { t.Errorf("gap %v %v %s", from, to, c) }},
				reading: func(d time.Duration) clock.Reading {
					return clock.Reading{Wall: time.Unix(1e9, 0).Add(d), Boot: "b1", Mono: d, State: clock.Trusted}
				},
			}
			m := &muxer{now: fmp4.Video{Codec: fmp4.H264}, time: videoLine(0), emit: k.fragment}
			m.frozen = func(from, to time.Duration) { t.Errorf("frozen %v %v", from, to) }
			const n = 4000 // 192 s
			var last time.Duration
			for i := range n {
				taken := time.Hour + time.Duration(i)*period
				last = max(last, taken)
				if c.arrives != nil {
					last = max(last, taken+c.arrives(i))
				}
				au := aus[1]
				if i%40 == 0 {
					au = aus[0]
				}
				if err := m.accessUnit(rtsp.Picture{NALs: au, Stamp: c.stamp(i)}, last); err != nil {
					t.Fatal(err)
				}
			}
			if err := m.finish(0); err != nil {
				t.Fatal(err)
			}
			k.close()
			if err := v.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			var segs []footage.Segment
			if err := v.Rows("c01", func(s footage.Segment) bool { segs = append(segs, s); return true }); err != nil {
				t.Fatal(err)
			}
			long := time.Duration(0)
			for _, s := range segs {
				long += s.To - s.From
				if s.To-s.From > 71*time.Second {
					t.Errorf("a segment lasts %v", s.To-s.From)
				}
			}
			end := time.Hour + n*period
			if d := (long - n*period).Abs(); d > 2*time.Second {
				t.Errorf("footage of %v lasts %v", n*period, long)
			}
			if d := (segs[len(segs)-1].To - end).Abs(); d > 2*time.Second {
				t.Errorf("footage ends %v from its end", d)
			}
			if len(segs) > 4 {
				t.Errorf("%d segments", len(segs))
			}
			if m.time.stamps.byArrival == c.honest {
				t.Errorf("timed by arrival: %v, %d steps", m.time.stamps.byArrival, m.time.steps)
			}
			if c.honest && m.time.steps != 0 {
				t.Errorf("%d steps", m.time.steps)
			}
		})
	}
}

// Parameter sets that alternate make no file each; pictures of another size do, until that becomes a storm.
func TestAlternatingSetsMakeNoStormOfFiles(t *testing.T) {
	var other [][][]byte
	for _, w := range []int{64, 128} {
		enc, err := render.NewEncoder(t.Context(), render.Coding{W: w, H: 48, GOP: 100}, func(au [][]byte) { other = append(other, au) })
		if err != nil {
			t.Fatal(err)
		}
		if err := enc.Frame(render.New("c01", w, 48, false).Draw(time.Unix(0, 0), 0)); err != nil {
			t.Fatal(err)
		}
		if err := enc.Close(); err != nil {
			t.Fatal(err)
		}
	}
	m, out := collect(t, fmp4.H264)
	for i := range 240 { // four minutes
		if err := m.accessUnit(rtsp.Picture{NALs: other[i%2], Stamp: uint32(i * 90000)}, time.Hour+time.Duration(i)*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	streams := map[*stream]bool{}
	for _, f := range *out {
		streams[f.stream] = true
	}
	if len(streams) < 2 || len(streams) > 4*maxTurns+1 {
		t.Errorf("%d streams", len(streams))
	}
}

// A camera that is far behind and then sends nothing for a while is a gap, though its pictures come close together.
func TestAFreezeOfALateCameraIsAGap(t *testing.T) {
	aus := twoPictures(t)
	m, _ := collect(t, fmp4.H264)
	var gaps int
	m.frozen = func(from, to time.Duration) {
		if gaps++; to-from < 5*time.Second {
			t.Errorf("frozen for %v", to-from)
		}
	}
	for i := range 100 {
		taken, late := time.Duration(i)*100*time.Millisecond, time.Duration(0)
		if i >= 60 { // nothing was taken for ten seconds, and all before came late
			taken += 10 * time.Second
		}
		if i >= 30 && i < 60 {
			late = 9 * time.Second
		}
		au := aus[1]
		if i%10 == 0 {
			au = aus[0]
		}
		if err := m.accessUnit(rtsp.Picture{NALs: au, Stamp: uint32(fmp4.Ticks(taken, fmp4.ClockRate))}, time.Hour+taken+late); err != nil {
			t.Fatal(err)
		}
	}
	if gaps != 1 {
		t.Errorf("%d gaps", gaps)
	}
}
