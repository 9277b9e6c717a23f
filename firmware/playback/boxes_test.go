package playback

import (
	"bytes"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

func sample(f interface{ Fatal(...any) }) (init, fragment []byte) {
	var a, b seekablebuffer.Buffer
	opus := &codecs.Opus{ChannelCount: 1}
	err := fmp4.Init{Tracks: []*fmp4.InitTrack{{ID: 1, TimeScale: 90000, Codec: opus}, {ID: 2, TimeScale: 48000, Codec: opus}}}.Marshal(&a)
	if err != nil {
		f.Fatal(err)
	}
	err = fmp4.Part{Tracks: []*fmp4.PartTrack{
		{ID: 1, BaseTime: 900000, Samples: []*fmp4.Sample{{Duration: 1, Payload: []byte("a")}}},
		{ID: 2, BaseTime: 480000, Samples: []*fmp4.Sample{{Duration: 1, Payload: []byte("b")}}},
	}}.Marshal(&b)
	if err != nil {
		f.Fatal(err)
	}
	return a.Bytes(), b.Bytes()
}

func TestShiftMovesEveryTrackByItsOwnScale(t *testing.T) {
	init, frag := sample(t)
	scale, err := scales(init)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		by   time.Duration
		want [2]uint64
	}{{time.Second, [2]uint64{990000, 528000}}, {-11 * time.Second, [2]uint64{0, 0}}, {time.Hour * 24 * 365, [2]uint64{2838240900000, 1513728480000}}} {
		b := bytes.Clone(frag)
		if err := shift(b, c.by, scale); err != nil {
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
	delete(scale, 2)
	if err := shift(frag, time.Second, scale); err == nil {
		t.Error("a track without scale was moved")
	}
}

// Bytes from the disk are sealed, bytes from an NVR are not: whatever they are, nothing is read beyond them.
func FuzzBoxes(f *testing.F) {
	init, frag := sample(f)
	f.Add(init, frag, int64(time.Second))
	f.Add([]byte{0, 0, 0, 1, 'm', 'o', 'o', 'v', 255, 255, 255, 255, 255, 255, 255, 255}, frag[:60], int64(-1))
	f.Fuzz(func(t *testing.T, init, frag []byte, by int64) {
		scale, err := scales(init)
		if err != nil {
			return
		}
		before := len(frag)
		if err := shift(frag, time.Duration(by), scale); err == nil {
			if _, err := decodeTimes(frag); err != nil || len(frag) != before {
				t.Fatal("a moved fragment is not one any more")
			}
		}
		for _, s := range scale {
			fromTicks(uint64(by), s)
		}
	})
}
