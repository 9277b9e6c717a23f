package fmp4

import (
	"bytes"
	"errors"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
)

// Parameter sets of a small H.264 stream.
var (
	sps = []byte{0x67, 0x42, 0xc0, 0x0b, 0xd9, 0x04, 0x26, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0x50, 0x3c, 0x50, 0xa9, 0x20}
	pps = []byte{0x68, 0xcb, 0x83, 0xcb, 0x20}
)

func runsOf() []Run {
	return []Run{
		{Track: VideoTrack, Base: 1 << 40, Samples: []Sample{
			{Duration: 3600, Offset: 7200, Key: true, NALs: [][]byte{{0x65, 1, 2}, {0x06}}},
			{Duration: 1, Offset: 14400, NALs: [][]byte{{0x41, 9}}},
			{Duration: 4000, Offset: -601, NALs: [][]byte{{1, 2}}},
		}},
		{Track: AudioTrack, Base: 48000, Samples: []Sample{{Duration: 1024, Key: true, Data: []byte("abc")}, {Duration: 1024, Key: true, Data: []byte("defg")}}},
	}
}

// The bytes are those that the library for this format makes.
func TestFragmentsAreWhatTheLibraryMakes(t *testing.T) {
	all := runsOf()
	for _, runs := range [][]Run{
		all, all[:1], all[1:],
		{{Track: VideoTrack, Samples: []Sample{{Duration: 3600, Key: true, NALs: [][]byte{{0x65, 1, 2, 3}}}}}},
		{{Track: VideoTrack, Base: 7, Samples: []Sample{{Duration: 3600, Key: true, NALs: [][]byte{{0x67, 1}, {0x68, 2}, {0x65, 1}}}, {Duration: 3599, NALs: [][]byte{{0x41}}}}}},
	} {
		part := fmp4.Part{SequenceNumber: 7}
		for _, r := range runs {
			track := &fmp4.PartTrack{ID: int(r.Track), BaseTime: r.Base}
			for _, s := range r.Samples {
				payload := s.Data
				if s.NALs != nil {
					var err error
					if payload, err = h264.AVCC(s.NALs).Marshal(); err != nil {
						t.Fatal(err)
					}
				}
				track.Samples = append(track.Samples, &fmp4.Sample{Duration: s.Duration, PTSOffset: s.Offset, IsNonSyncSample: !s.Key, Payload: payload})
			}
			part.Tracks = append(part.Tracks, track)
		}
		var buf seekablebuffer.Buffer
		if err := part.Marshal(&buf); err != nil {
			t.Fatal(err)
		}
		got := Marshal(7, runs...)
		if !bytes.Equal(got, buf.Bytes()) {
			t.Errorf("got  %x\nwant %x", got, buf.Bytes())
		}
		seq, back, err := Parse(got)
		if err != nil || seq != 7 || len(back) != len(runs) {
			t.Fatalf("%v, %d runs", err, len(back))
		}
		if again := Marshal(seq, back...); !bytes.Equal(again, got) {
			t.Errorf("read and written again it differs")
		}
	}
}

// sounds are all the codecs of sound that can be kept.
func sounds() map[string]Audio {
	lc := mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 16000, ChannelConfig: 1}
	return map[string]Audio{
		"mp4a": {Codec: AAC, Rate: 16000, Channels: 1, AAC: lc}, "Opus": {Codec: Opus, Rate: 48000, Channels: 2},
		"alaw": {Codec: ALaw, Rate: 8000, Channels: 1}, "ulaw": {Codec: MuLaw, Rate: 8000, Channels: 1},
	}
}

func TestTheSoundIsTakenOutOfAnInitialisationSectionExactly(t *testing.T) {
	v := Video{Codec: H264, SPS: sps, PPS: pps}
	silent, err := Init(v, nil)
	if err != nil {
		t.Fatal(err)
	}
	for entry, a := range sounds() {
		if !a.Usable() {
			t.Errorf("%s cannot be kept", entry)
		}
		init, err := Init(v, &a)
		if err != nil {
			t.Fatal(err)
		}
		tracks, err := Tracks(init)
		want := []Track{{ID: VideoTrack, Scale: ClockRate, Entry: "avc1"}, {AudioTrack, uint32(a.Rate), true, a.Channels, entry}}
		if err != nil || len(tracks) != 2 || tracks[0] != want[0] || tracks[1] != want[1] {
			t.Fatalf("%v, tracks %+v", err, tracks)
		}
		left, err := Without(init, AudioTrack)
		if err != nil {
			t.Fatal(err)
		}
		// The movie header counts the tracks that were there at first; nothing else may differ.
		if len(left) != len(silent) {
			t.Fatalf("%d bytes are left, %d without sound from the start", len(left), len(silent))
		}
		for i := range left {
			if left[i] != silent[i] && (i < 32 || i > 32+108) {
				t.Fatalf("%s: byte %d differs", entry, i)
			}
		}
		if again, err := With(left, init, AudioTrack); err != nil || !bytes.Equal(again, init) {
			t.Errorf("%s: the track that was taken out and put back: %v", entry, err)
		}
		for name, other := range map[string][]byte{"has none": silent, "is there": init} {
			from := map[string][]byte{"has none": left, "is there": init}[name]
			if _, err := With(from, other, AudioTrack); !errors.Is(err, ErrForm) {
				t.Errorf("%s, %s: %v", entry, name, err)
			}
		}
	}
}

func TestShiftMovesEveryTrackByItsOwnScale(t *testing.T) {
	tracks := []Track{{ID: 1, Scale: 90000}, {ID: 2, Scale: 48000}}
	frag := Marshal(1, Run{Track: 1, Base: 900000, Samples: []Sample{{Duration: 1, Data: []byte("a")}}},
		Run{Track: 2, Base: 480000, Samples: []Sample{{Duration: 1, Data: []byte("b")}}})
	for _, c := range []struct {
		by   time.Duration
		want [2]uint64
	}{{time.Second, [2]uint64{990000, 528000}}, {-11 * time.Second, [2]uint64{0, 0}}, {time.Hour * 24 * 365, [2]uint64{2838240900000, 1513728480000}}} {
		b := bytes.Clone(frag)
		if err := Shift(b, c.by, tracks); err != nil {
			t.Fatal(err)
		}
		times, err := decodeTimes(b)
		if err != nil {
			t.Fatal(err)
		}
		if times[0].ticks != c.want[0] || times[1].ticks != c.want[1] || len(b) != len(frag) {
			t.Errorf("by %v: %d and %d", c.by, times[0].ticks, times[1].ticks)
		}
	}
	if err := Shift(frag, time.Second, tracks[:1]); err == nil {
		t.Error("a track without scale was moved")
	}
}

// Bytes from the disk are sealed, bytes from an NVR are not: whatever they are, nothing is read beyond them, and what
// is rewritten can be read again.
func FuzzBoxes(f *testing.F) {
	a := sounds()["mp4a"]
	init, err := Init(Video{Codec: H264, SPS: sps, PPS: pps}, &a)
	if err != nil {
		f.Fatal(err)
	}
	frag := Marshal(3, runsOf()...)
	f.Add(init, frag, int64(time.Second))
	f.Add([]byte{0, 0, 0, 1, 'm', 'o', 'o', 'v', 255, 255, 255, 255, 255, 255, 255, 255}, frag[:60], int64(-1))
	f.Fuzz(func(t *testing.T, init, frag []byte, by int64) {
		if seq, runs, err := Parse(frag); err == nil {
			again := Marshal(seq, runs...)
			if _, back, err := Parse(again); err != nil || len(back) != len(runs) {
				t.Fatalf("what was written again cannot be read: %v", err)
			}
		}
		tracks, err := Tracks(init)
		if err != nil {
			return
		}
		if less, err := Without(init, tracks[0].ID); err == nil {
			left, err := Tracks(less)
			if err == nil && len(left) >= len(tracks) {
				t.Fatal("the track is still there")
			}
		}
		if more, err := With(init, init, AudioTrack); err == nil {
			t.Fatalf("%d bytes with a track twice", len(more))
		}
		before := len(frag)
		if err := Shift(frag, time.Duration(by), tracks); err == nil {
			if _, err := decodeTimes(frag); err != nil || len(frag) != before {
				t.Fatal("a moved fragment is not one any more")
			}
		}
		for _, x := range tracks {
			FromTicks(by, x.Scale)
		}
	})
}

func FuzzVideo(f *testing.F) {
	f.Add(sps, true)
	f.Add(pps, false)
	f.Fuzz(func(t *testing.T, nal []byte, h265 bool) {
		v := Video{Codec: H264, SPS: sps, PPS: pps}
		if h265 {
			v = Video{Codec: H265}
		}
		if v.Absorb(nal) == Drop {
			return
		}
		o := NewOrder(v, 5)
		if a, b := o.Next(v, [][]byte{nal}, true, 9000), o.Next(v, [][]byte{nal}, false, 12600); a <= 5 || b <= a {
			t.Fatalf("times %d, %d do not rise", a, b)
		}
		if v.Complete() {
			_, _ = Init(v, nil) // an error is an answer, too
		}
	})
}

// An independent decoder hears in the FLAC exactly what G.711 means.
func TestG711AsFLACIsTheSameSamples(t *testing.T) {
	piece := make([]byte, 256)
	for i := range piece {
		piece[i] = byte(i)
	}
	for _, entry := range []string{ALaw, MuLaw} {
		a := sounds()[entry]
		init, err := Init(Video{Codec: H264, SPS: sps, PPS: pps}, &a)
		if err != nil {
			t.Fatal(err)
		}
		tracks, err := Tracks(init)
		if err != nil {
			t.Fatal(err)
		}
		x := tracks[1]
		init, err = AsFLAC(init, x)
		if err != nil {
			t.Fatal(err)
		}
		if now, err := Tracks(init); err != nil || len(now) != 2 || now[1].Entry != "fLaC" || now[1].Scale != 8000 || now[1].Channels != 1 || now[0] != tracks[0] {
			t.Fatalf("%v, %+v", err, now)
		}
		frame, ok := x.FLAC(piece)
		silence, ticks, _, known := x.Silence()
		if !ok || !known {
			t.Fatal("no frame")
		}
		if init, err = Without(init, VideoTrack); err != nil {
			t.Fatal(err)
		}
		samples := []Sample{{Duration: 256, Key: true, Data: frame}, {Duration: uint32(ticks), Key: true, Data: silence}, {Duration: 256, Key: true, Data: frame}}
		got := ffmpeg(t, append(init, Marshal(1, Run{Track: AudioTrack, Samples: samples})...), "-i", "-")
		want := ffmpeg(t, piece, "-f", map[string]string{ALaw: "alaw", MuLaw: "mulaw"}[entry], "-ar", "8000", "-ac", "1", "-i", "-")
		if !bytes.Equal(got, slices.Concat(want, make([]byte, 2*ticks), want)) {
			t.Errorf("%s: %d bytes of samples differ", entry, len(got))
		}
	}
	if _, ok := (Track{Entry: ALaw}).FLAC(piece[:15]); ok {
		t.Error("a frame of 15 samples")
	}
}

// ffmpeg decodes to 16-bit samples.
func ffmpeg(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append(append([]string{"-v", "error", "-nostdin"}, args...), "-f", "s16le", "-")...)
	cmd.Stdin = bytes.NewReader(in)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil || said.Len() > 0 {
		t.Fatalf("%v: %s", err, said.String())
	}
	return out
}
