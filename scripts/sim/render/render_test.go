package render

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

func annexB(aus [][][]byte) []byte {
	var b bytes.Buffer
	for _, au := range aus {
		for _, nal := range au {
			b.Write([]byte{0, 0, 0, 1})
			b.Write(nal)
		}
	}
	return b.Bytes()
}

func encode(t *testing.T, c Coding, frames int, start uint32) [][][]byte {
	t.Helper()
	var aus [][][]byte
	e, err := NewEncoder(t.Context(), c, func(au [][]byte) { aus = append(aus, au) })
	if err != nil {
		t.Fatal(err)
	}
	s := New("c01", c.W, c.H, false)
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for i := range frames {
		if err := e.Frame(s.Draw(at.Add(time.Duration(i)*100*time.Millisecond), start+uint32(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return aus
}

func TestCountersSurviveEncoding(t *testing.T) {
	for name, c := range map[string]Coding{
		"h264 small":    {W: 320, H: 180, CRF: 45},
		"h264 live":     {W: 640, H: 360},
		"h264 B-frames": {W: 640, H: 360, BFrames: 2, Preset: "veryfast"},
		"h264 cbr":      {W: 640, H: 360, Kbps: 1000},
		"h265":          {W: 640, H: 360, Codec: "h265"},
	} {
		t.Run(name, func(t *testing.T) {
			const n, start = 60, 0xfffff0
			aus := encode(t, c, n, start)
			if len(aus) != n {
				t.Fatalf("%d access units, want %d", len(aus), n)
			}
			format := "h264"
			if c.Codec != "" {
				format = "hevc"
			}
			seen, err := Decode(t.Context(), bytes.NewReader(annexB(aus)), "-", "-f", format)
			if err != nil {
				t.Fatal(err)
			}
			runs, bad := Runs(seen)
			if bad != 0 || len(runs) != 1 || runs[0] != (Run{start, start + n - 1}) {
				t.Fatalf("runs %v, %d unreadable", runs, bad)
			}
		})
	}
}

func TestDamageIsNoticed(t *testing.T) {
	s := New("c02", 320, 180, true)
	p := s.Draw(time.Date(2026, 3, 2, 23, 0, 0, 0, time.UTC), 123456)
	if v, ok := readCounter(p.Pix, p.W, p.H); !ok || v != 123456 {
		t.Fatalf("read %d %v", v, ok)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 50 { // any one inverted block
		x0, y0, x1, y1 := cell(rnd.IntN(cols*rows), p.W, p.H)
		luma := bytes.Clone(p.Pix)
		for y := y0; y < y1; y++ {
			for x := x0; x < x1; x++ {
				luma[y*p.W+x] = 255 - luma[y*p.W+x]
			}
		}
		if _, ok := readCounter(luma, p.W, p.H); ok {
			t.Fatal("an inverted block was not noticed")
		}
	}
	if _, ok := readCounter(make([]byte, probeW*probeH), probeW, probeH); ok {
		t.Fatal("a black picture passed for a counter")
	}
}

func TestRunsShowLoss(t *testing.T) {
	runs, bad := Runs([]Seen{{1, true}, {2, true}, {0, false}, {3, true}, {7, true}, {8, true}})
	if bad != 1 || len(runs) != 2 || runs[0] != (Run{1, 3}) || runs[1] != (Run{7, 8}) {
		t.Fatalf("%v %d", runs, bad)
	}
}

// Whatever the bytes, cutting into access units ends and gives no empty unit.
func FuzzSplit(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 9, 16, 0, 0, 1, 0x65, 1, 2, 0, 0, 0, 1, 9, 16, 0, 0, 1, 0x41}, false)
	f.Add([]byte{0, 0, 1, 70, 1, 0, 0, 1, 2, 3}, true)
	f.Fuzz(func(t *testing.T, b []byte, h265 bool) {
		err := split(bytes.NewReader(b), h265, func(au [][]byte) {
			for _, nal := range au {
				if len(nal) == 0 {
					t.Fatal("empty unit")
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
