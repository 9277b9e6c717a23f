package recorder

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	mp4 "github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"

	"campuskeep/firmware/fmp4"
	"campuskeep/firmware/rtsp"
	"campuskeep/scripts/sim/render"
)

// collect is a muxer that keeps what it makes and checks what must always hold.
func collect(t *testing.T, codec string) (*muxer, *[]fragment) {
	t.Helper()
	var out []fragment
	var end time.Duration
	m := &muxer{now: fmp4.Video{Codec: codec}, time: videoLine(0)}
	m.emit = func(f fragment) error {
		if f.from < end || f.to <= f.from || f.session > f.from || f.stream == nil || len(f.data) == 0 {
			t.Fatalf("fragment from %v to %v of session %v after %v", f.from, f.to, f.session, end)
		}
		if _, err := f.stream.init(); err != nil {
			t.Fatal(err)
		}
		var parts mp4.Parts
		if err := parts.Unmarshal(f.data); err != nil {
			t.Fatalf("a fragment that cannot be read: %v", err)
		}
		end = f.to
		out = append(out, f)
		return nil
	}
	m.frozen = func(from, to time.Duration) {
		if to <= from {
			t.Fatalf("frozen from %v to %v", from, to)
		}
	}
	return m, &out
}

// Pictures that are sent in another order than they are shown keep their times.
func TestReorderedPictures(t *testing.T) {
	order := []int{0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 11, 10} // of presentation, in a group of twelve with two B-frames
	for _, codec := range []string{fmp4.H264, fmp4.H265} {
		var aus [][][]byte
		coding := render.Coding{W: 320, H: 180, GOP: len(order), BFrames: 2, Preset: "veryfast", Codec: codec}
		enc, err := render.NewEncoder(t.Context(), coding, func(au [][]byte) { aus = append(aus, au) })
		if err != nil {
			t.Fatal(err)
		}
		view := render.New("c01", 320, 180, false)
		const n = 48
		for i := range n {
			if err := enc.Frame(view.Draw(time.Unix(0, 0), uint32(i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := enc.Close(); err != nil {
			t.Fatal(err)
		}
		m, out := collect(t, codec)
		for i, au := range aus {
			pts := i/len(order)*len(order) + order[i%len(order)]
			if err := m.accessUnit(rtsp.Picture{NALs: au, Stamp: uint32(pts * 9000)}, time.Minute+time.Duration(i)*100*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.finish(0); err != nil {
			t.Fatal(err)
		}
		init, err := (*out)[0].stream.init()
		if err != nil {
			t.Fatal(err)
		}
		b := bytes.NewBuffer(init)
		var shown []int64 // in coding order
		for _, f := range *out {
			var parts mp4.Parts
			if err := parts.Unmarshal(f.data); err != nil {
				t.Fatal(err)
			}
			at := int64(parts[0].Tracks[0].BaseTime)
			for _, s := range parts[0].Tracks[0].Samples {
				shown = append(shown, at+int64(s.PTSOffset))
				at += int64(s.Duration)
			}
			b.Write(f.data)
		}
		for i, pts := range shown {
			want := int64(i/len(order)*len(order)+order[i%len(order)]) * 9000
			if d := pts - want; d < -90 || d > 2000 { // the camera's drift is being measured meanwhile
				t.Errorf("%s: picture %d is shown at %d, want %d", codec, i, pts, want)
			}
		}
		seen, err := render.Decode(t.Context(), b, "-")
		if err != nil {
			t.Fatal(err)
		}
		if runs, bad := render.Runs(seen); len(shown) != n || bad != 0 || len(runs) != 1 || len(seen) != n {
			t.Errorf("%s: %d frames kept, runs %v, %d unreadable", codec, len(shown), runs, bad)
		}
	}
}

// Whatever a camera sends, what comes out are whole fragments in order.
func FuzzMuxer(f *testing.F) {
	var aus [][][]byte
	enc, err := render.NewEncoder(f.Context(), render.Coding{W: 64, H: 48, GOP: 4}, func(au [][]byte) { aus = append(aus, au) })
	if err != nil {
		f.Fatal(err)
	}
	view := render.New("c01", 64, 48, false)
	for i := range 9 {
		if err := enc.Frame(view.Draw(time.Unix(0, 0), uint32(i))); err != nil {
			f.Fatal(err)
		}
	}
	if err := enc.Close(); err != nil {
		f.Fatal(err)
	}
	// One unit: time step (4 bytes), arrival step in ms (2), length (2), bytes; an odd arrival step ends the picture.
	var seed []byte
	for _, au := range aus {
		for i, nal := range au {
			seed = binary.BigEndian.AppendUint32(seed, 9000)
			seed = binary.BigEndian.AppendUint16(seed, uint16(100&^1|i/(len(au)-1)))
			seed = binary.BigEndian.AppendUint16(seed, uint16(len(nal)))
			seed = append(seed, nal...)
		}
	}
	f.Add(seed, false)
	f.Add(seed, true)
	f.Fuzz(func(t *testing.T, b []byte, h265 bool) {
		codec := fmp4.H264
		if h265 {
			codec = fmp4.H265
		}
		m, _ := collect(t, codec)
		var au [][]byte
		var rtp uint32
		arrival := time.Hour
		for len(b) >= 8 {
			step, ms, n := binary.BigEndian.Uint32(b), binary.BigEndian.Uint16(b[4:]), int(binary.BigEndian.Uint16(b[6:]))
			b = b[8:]
			n = min(n, len(b))
			au = append(au, bytes.Clone(b[:n]))
			b = b[n:]
			if ms&1 == 0 {
				continue
			}
			rtp += step
			arrival += time.Duration(ms) * time.Millisecond
			if err := m.accessUnit(rtsp.Picture{NALs: au, Stamp: rtp}, arrival); err != nil {
				t.Fatal(err)
			}
			au = nil
		}
		if err := m.finish(0); err != nil {
			t.Fatal(err)
		}
	})
}
