package nvr

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"campuskeep/firmware/nvr/driver"

	"pgregory.net/rapid"

	"campuskeep/scripts/sim/render"
	"campuskeep/shared/clock"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// mux runs access units through a muxer and gives what a player would read.
func mux(aus []driver.AccessUnit) (film []byte, groups []group, err error) {
	m := muxer{emit: func(g group) error { groups = append(groups, g); return nil }}
	for _, a := range aus {
		if err = m.add(a); err != nil {
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
	for name, coding := range map[string]render.Coding{
		"h264": {Codec: "h264"}, "h264 with B pictures": {Codec: "h264", BFrames: 2, Preset: "fast"}, "h265": {Codec: "h265"},
	} {
		t.Run(name, func(t *testing.T) {
			coding.W, coding.H, coding.FPS, coding.GOP = 320, 180, "10", 15
			var aus []driver.AccessUnit
			enc, err := render.NewEncoder(t.Context(), coding, func(au [][]byte) {
				aus = append(aus, driver.AccessUnit{Codec: coding.Codec, NALs: au, Ticks: uint32(len(aus)) * 9000})
			})
			if err != nil {
				t.Fatal(err)
			}
			view := render.New("gate", 320, 180, false)
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
			seen, err := render.Decode(t.Context(), bytes.NewReader(film), "-")
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
		_, groups, err := mux([]driver.AccessUnit{
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

// The entry that ends a fetch fits however many pieces came and however many were empty.
func TestTheEndOfAFetchOfManyPiecesFits(t *testing.T) {
	list := func(n, from int) (out []footage.Span) {
		for i := range n {
			at := time.Date(2026, 5, 20, 4, 0, from+10*i, 123456789, time.UTC)
			out = append(out, footage.Span{From: at, To: at.Add(time.Second)})
		}
		return out
	}
	r := &Supervisor{o: Options{Clock: clocktest.New(clock.Reading{Wall: time.Date(2026, 5, 20, 4, 0, 0, 0, time.UTC), State: clock.Trusted, Boot: "b1"})}}
	for _, n := range [][4]int{{400, 400, 24, 16}, {400, 0, 40, 0}, {400, 5, 35, 5}, {5, 400, 5, 35}, {40, 1, 39, 1}, {0, 41, 0, 40}} {
		f := Fetch{ID: "f-2026-000001", NVR: "nvr01", Camera: "c01", State: FetchPartial, Reason: "misassigned", Bytes: 1 << 40, Done: list(n[0], 0), Empty: list(n[1], 5)}
		done, empty := forEntry(f.Done, f.Empty)
		if len(done) != n[2] || len(empty) != n[3] {
			t.Errorf("%d pieces and %d empty: the entry lists %d and %d", n[0], n[1], len(done), len(empty))
		}
		d := r.endFetch(&f).Entries[0]
		var e ledger.Entry
		p, err := ledger.Prepare(&e, d, rand.Reader)
		if err != nil {
			t.Errorf("%d pieces and %d empty: %v", n[0], n[1], err)
			continue
		}
		if _, err := p.Encode(ledger.Place{Seq: 1 << 40, At: f.Ended, Clock: ledger.ClockRef{State: clock.Trusted, Boot: "b1"}, Rows: []ledger.RowRef{{Table: "nvr.fetch", Key: f.ID, Rev: 1 << 40, Sum: make([]byte, 32)}}}); err != nil {
			t.Errorf("%d pieces and %d empty: %v", n[0], n[1], err)
		}
	}
}
