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

// Segments end at the first key frame after a minute, and at 70 seconds whatever comes; fragments hold a second at
// most, also where key frames come in minutes.
func TestWhereSegmentsEnd(t *testing.T) {
	var aus [][][]byte
	enc, err := render.NewEncoder(t.Context(), render.Coding{W: 64, H: 48, GOP: 2}, func(au [][]byte) { aus = append(aus, au) })
	if err != nil {
		t.Fatal(err)
	}
	view := render.New("c01", 64, 48, false)
	for i := range 3 {
		if err := enc.Frame(view.Draw(time.Unix(0, 0), uint32(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	for gop, want := range map[time.Duration][]time.Duration{
		2 * time.Second:  {60 * time.Second, 60 * time.Second, 60 * time.Second, 60 * time.Second},
		7 * time.Second:  {63 * time.Second, 63 * time.Second, 63 * time.Second},
		65 * time.Second: {65 * time.Second, 65 * time.Second, 65 * time.Second},
		3 * time.Minute:  {70 * time.Second, 70 * time.Second, 70 * time.Second},
		time.Hour:        {70 * time.Second, 70 * time.Second, 70 * time.Second},
	} {
		segs, frags := cutUp(t, aus, gop)
		for i, s := range segs {
			if d := (s.To - s.From - want[min(i, len(want)-1)]).Abs(); i < len(want) && d > 1100*time.Millisecond {
				t.Errorf("key frames every %v: segment %d lasts %v, want %v", gop, i, s.To-s.From, want[i])
			}
			if i > 0 && (s.From-segs[i-1].To).Abs() > time.Millisecond {
				t.Errorf("key frames every %v: %v between two segments", gop, s.From-segs[i-1].To)
			}
		}
		for _, f := range frags {
			if f.to-f.from > 1010*time.Millisecond {
				t.Errorf("key frames every %v: a fragment lasts %v", gop, f.to-f.from)
			}
		}
	}
}

// cutUp records 260 seconds, two pictures a second, of a stream with a key frame so often.
func cutUp(t *testing.T, aus [][][]byte, gop time.Duration) (segs []footage.Segment, frags []fragment) {
	t.Helper()
	v := vaulttest.Open(t)
	k := segmentWriter{
		camera: "c01", vault: v, zone: time.UTC, log: slog.New(slog.DiscardHandler), first: make(chan time.Duration, 1),
		gap: &outage{emit: func(from, to time.Duration, c Cause) { t.Errorf("gap %v %v %s", from, to, c) }},
		reading: func(d time.Duration) clock.Reading {
			return clock.Reading{Wall: time.Unix(1e9, 0).Add(d), Boot: "b1", Mono: d, State: clock.Trusted}
		},
	}
	m := &muxer{now: fmp4.Video{Codec: fmp4.H264}, time: videoLine(0), emit: func(f fragment) error {
		frags = append(frags, f)
		return k.fragment(f)
	}}
	m.frozen = func(from, to time.Duration) { t.Errorf("frozen %v %v", from, to) }
	const period = 500 * time.Millisecond
	for i := range 520 {
		at := time.Duration(i) * period
		au := aus[1]
		if at%gop == 0 {
			au = aus[0]
		}
		if err := m.accessUnit(rtsp.Picture{NALs: append([][]byte(nil), au...), Stamp: uint32(fmp4.Ticks(at, fmp4.ClockRate))}, time.Hour+at); err != nil {
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
	if err := v.Rows("c01", func(s footage.Segment) bool { segs = append(segs, s); return true }); err != nil {
		t.Fatal(err)
	}
	return segs, frags
}
