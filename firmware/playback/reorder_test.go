package playback_test

import (
	"bytes"
	"regexp"
	"strconv"
	"testing"
	"time"

	"campuskeep/firmware/fmp4"
	"campuskeep/firmware/playback"
	"campuskeep/firmware/vault"
	"campuskeep/firmware/vault/vaulttest"
	"campuskeep/scripts/sim/render"
	"campuskeep/shared/footage"
)

// reordered puts pictures into a vault that are sent in another order than they are shown.
func reordered(t *testing.T, codec string, gop, bframes int) footage.Source {
	t.Helper()
	var aus [][][]byte
	enc, err := render.NewEncoder(t.Context(), render.Coding{W: 64, H: 48, GOP: gop, BFrames: bframes, Preset: "veryfast", Codec: codec}, func(au [][]byte) { aus = append(aus, au) })
	if err != nil {
		t.Fatal(err)
	}
	view := render.New("c01", 64, 48, false)
	const n = 90
	for i := range n {
		if err := enc.Frame(view.Draw(time.Unix(0, 0), uint32(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	video := fmp4.Video{Codec: codec}
	for _, nal := range aus[0] {
		video.Absorb(nal)
	}
	init, err := fmp4.Init(video, nil)
	if err != nil {
		t.Fatal(err)
	}
	v := vaulttest.Open(t)
	began := now.Add(-time.Hour)
	mono := anchor.Mono - time.Hour
	w, err := v.Begin(vault.Meta{Camera: "c01", Day: began.Format(time.DateOnly), Boot: "b1", Session: uint64(mono), Codec: codec, Init: init, From: mono, Wall: began})
	if err != nil {
		t.Fatal(err)
	}
	const frame = 9000
	delay := bframes                                                // pictures wait so long before they are shown
	pad := append([]byte{6}, bytes.Repeat([]byte{0xaa}, 14<<10)...) // a heavy segment goes out in parts
	if codec == fmp4.H265 {
		pad[0] = 39 << 1
	}
	var run fmp4.Run
	for i, au := range aus {
		key := i%gop == 0
		offset := delay
		switch k := i % gop; { // a typical order: each third is sent two before it is shown
		case k == 0:
		case k%(bframes+1) == 1:
			offset = delay + bframes
		default:
			offset = delay - 1
		}
		if key {
			run = fmp4.Run{Track: fmp4.VideoTrack, Base: uint64(i * frame)}
		}
		run.Samples = append(run.Samples, fmp4.Sample{Duration: frame, Offset: int32(offset * frame), Key: key, NALs: append([][]byte{pad}, au...)})
		if i+1 < len(aus) && (i+1)%gop != 0 {
			continue
		}
		b := fmp4.Marshal(uint32(i+1), run)
		info := footage.FragmentInfo{From: mono + fmp4.Duration(int64(run.Base)), To: mono + fmp4.Duration(int64(run.End())), Key: true, Bytes: len(b)}
		if err := w.Fragment(vault.Fragment{FragmentInfo: info, Data: b}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := v.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return v.Source(places)
}

var listed = regexp.MustCompile(`(?m)^([0-9a-f]+)/([0-9]+)\.m4s$`)

// Covers F12: every part that a playlist lists can be fetched, and holds pictures, wherever the span ends.
func TestEveryListedPartCanBeFetched(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		codec        string
		gop, bframes int
	}{{"h264", 9, 2}, {"h265", 7, 3}, {"h264", 10, 0}} {
		src := reordered(t, c.codec, c.gop, c.bframes)
		p, _ := newPlayer(src, nil)
		began := now.Add(-time.Hour)
		n := 0
		for from := range 3 {
			for to := 5 * time.Second; to < 9*time.Second; to += 110 * time.Millisecond {
				span := footage.Span{From: began.Add(time.Duration(from-1) * 630 * time.Millisecond)}
				span.To = span.From.Add(to)
				n++
				id := "v" + strconv.Itoa(n)
				if err := p.Open(playback.Viewing{ID: id, Camera: "c01", Span: span, Until: now.Add(time.Hour)}); err != nil {
					t.Fatal(err)
				}
				list, err := p.Playlist(t.Context(), id)
				if err != nil {
					t.Fatalf("%+v, %v from %v: %v", c, to, from, err)
				}
				parts := listed.FindAllSubmatch(list, -1)
				for _, m := range parts[max(0, len(parts)-2):] { // those before are whole
					i, _ := strconv.Atoi(string(m[2]))
					b, err := p.Fragment(t.Context(), id, string(m[1]), i)
					if err != nil || !bytes.Contains(b, []byte("mdat")) {
						t.Fatalf("%+v, %v from %v: part %d: %v\n%s", c, to, from, i, err, list)
					}
				}
				p.Close(id)
			}
		}
	}
}
