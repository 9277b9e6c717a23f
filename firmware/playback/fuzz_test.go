package playback

import (
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"campuskeep/firmware/fmp4"
	"campuskeep/shared/footage"
)

// Whatever a stored fragment is: what goes to a browser can be read, and holds no picture of outside the span.
func FuzzRemix(f *testing.F) {
	video := fmp4.Video{
		Codec: fmp4.H264,
		SPS:   []byte{0x67, 0x42, 0xc0, 0x0b, 0xd9, 0x04, 0x26, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0x50, 0x3c, 0x50, 0xa9, 0x20},
		PPS:   []byte{0x68, 0xcb, 0x83, 0xcb, 0x20},
	}
	picture := fmp4.Run{Track: 1, Base: 90000, Samples: []fmp4.Sample{{Duration: 45000, Key: true, Data: []byte{1}}, {Duration: 45000, Offset: 900, Data: []byte{2}}}}
	for _, a := range []*fmp4.Audio{
		nil, {Codec: fmp4.ALaw, Rate: 8000, Channels: 1},
		{Codec: fmp4.AAC, Rate: 16000, Channels: 1, AAC: mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 16000, ChannelConfig: 1}},
	} {
		init, err := fmp4.Init(video, a)
		if err != nil {
			f.Fatal(err)
		}
		runs := []fmp4.Run{picture}
		if a != nil {
			runs = append(runs, fmp4.Run{Track: 2, Base: uint64(a.Rate), Samples: []fmp4.Sample{{Duration: 1024, Key: true, Data: make([]byte, 160)}, {Duration: 9000, Key: true, Data: make([]byte, 160)}}})
		}
		f.Add(init, fmp4.Marshal(1, runs...), int64(300*time.Millisecond), int64(700*time.Millisecond))
	}
	begun := time.Unix(1e9, 0)
	f.Fuzz(func(t *testing.T, init, frag []byte, from, to int64) {
		l, err := newInitSection(init)
		if err != nil {
			return
		}
		if section, err := l.bytes(init); err == nil {
			if _, err := fmp4.Tracks(section); err != nil {
				t.Fatalf("the section for a browser: %v", err)
			}
		}
		start, err := fmp4.Begin(frag, l.tracks)
		if err != nil {
			return
		}
		at := footage.Span{From: begun, To: begun.Add(time.Second)}
		m := fragmentWriter{section: l, span: footage.Span{From: begun.Add(time.Duration(from)), To: begun.Add(time.Duration(to))}}
		if m.lead = from > 0 && from < int64(time.Second); m.lead {
			l.start = uint64(fmp4.Ticks(start, l.main.Scale))
			l.origin = uint64(fmp4.Ticks(start+time.Duration(from), l.main.Scale))
			l.lead = min(leadTime, time.Duration(from))
			if l.origin <= l.start {
				return
			}
		}
		out, err := m.take([]cut{{at, frag}}, frag)
		if err != nil || len(l.tracks) == 1 {
			return
		}
		_, runs, err := fmp4.Parse(out)
		if err != nil {
			t.Fatalf("what goes to a browser: %v", err)
		}
		for _, r := range runs {
			if r.Track != l.main.ID && (l.sound == nil || r.Track != l.sound.ID) {
				t.Fatalf("track %d", r.Track)
			}
		}
	})
}
