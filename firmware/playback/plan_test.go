package playback_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abema/go-mp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"campuskeep/firmware/playback"
	"campuskeep/shared/footage"
)

// busy is a source of heavy minutes: 60 fragments, a key frame every other, 7 MB each.
type busy struct {
	minutes int
	opened  int
}

func (b *busy) Segments(context.Context, string, footage.Span) ([]footage.Placed, error) {
	var list []footage.Placed
	for i := range b.minutes {
		from := now.Add(time.Duration(i-b.minutes) * time.Minute)
		s := footage.Segment{
			Camera: "c01", Boot: "b1", Session: 1, Bytes: 7 << 20, Frags: 60,
			From: time.Duration(i) * time.Minute, To: time.Duration(i+1) * time.Minute,
		}
		binary.BigEndian.PutUint64(s.File[:], uint64(i))
		list = append(list, footage.Placed{Segment: s, Span: footage.Span{From: from, To: from.Add(time.Minute)}, Anchored: true})
	}
	return list, nil
}

func (b *busy) OpenSegment(_ context.Context, s footage.Segment) (footage.SegmentReader, error) {
	b.opened++
	return minuteOf(s), nil
}

type minuteOf footage.Segment

func (m minuteOf) Init() []byte { return busyInit }
func (m minuteOf) Close() error { return nil }

func (m minuteOf) Fragments() []footage.FragmentInfo {
	var f []footage.FragmentInfo
	for i := range 60 {
		from := m.From + time.Duration(i)*time.Second
		f = append(f, footage.FragmentInfo{From: from, To: from + time.Second, Key: i%2 == 0, Bytes: 1})
	}
	return f
}

// A fragment's sequence number is its number in the minute; its time counts from the start of the session.
func (m minuteOf) Fragment(i int) ([]byte, error) {
	var buf seekablebuffer.Buffer
	t := &fmp4.PartTrack{ID: 1, BaseTime: uint64((m.From/time.Second + time.Duration(i)) * 1000), Samples: []*fmp4.Sample{{Duration: 1000, Payload: []byte{1}}}}
	err := fmp4.Part{SequenceNumber: uint32(i), Tracks: []*fmp4.PartTrack{t}}.Marshal(&buf)
	return buf.Bytes(), err
}

var busyInit = func() []byte {
	var buf seekablebuffer.Buffer
	t := &fmp4.InitTrack{ID: 1, TimeScale: 1000, Codec: &codecs.Opus{ChannelCount: 1}}
	if err := (fmp4.Init{Tracks: []*fmp4.InitTrack{t}}).Marshal(&buf); err != nil {
		panic(err)
	}
	return buf.Bytes()
}()

// numbersAndTimes reads the sequence numbers and decode times of the fragments in b.
func numbersAndTimes(t *testing.T, b []byte) (numbers []uint32, times []uint64) {
	t.Helper()
	_, err := mp4.ReadBoxStructure(bytes.NewReader(b), func(h *mp4.ReadHandle) (any, error) {
		switch h.BoxInfo.Type.String() {
		case "moof", "traf":
			return h.Expand()
		case "mfhd", "tfdt":
			box, _, err := h.ReadPayload()
			if m, ok := box.(*mp4.Mfhd); ok {
				numbers = append(numbers, m.SequenceNumber)
			} else if d, ok := box.(*mp4.Tfdt); ok {
				times = append(times, d.BaseMediaDecodeTimeV1)
			}
			return nil, err
		}
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return numbers, times
}

func TestHeavyMinutesAreCutAtKeyFrames(t *testing.T) {
	p, _ := newPlayer(&busy{minutes: 2}, nil)
	if err := p.Open(view("v1", footage.Span{From: now.Add(-2*time.Minute + 3*time.Second), To: now.Add(-time.Second)})); err != nil {
		t.Fatal(err)
	}
	list, total, _ := fetchAll(t, p, "v1")
	if total != 116*time.Second+100*time.Millisecond { // from second 3 to second 119, and what comes before
		t.Errorf("%v in all", total)
	}
	if strings.Count(list, "#EXTINF:4.000") != 27 || !strings.Contains(list, "TARGETDURATION:6\n") {
		t.Errorf("%s", list)
	}
	first, err := p.Fragment(t.Context(), "v1", strings.Repeat("0", 32), 0)
	if err != nil {
		t.Fatal(err)
	}
	numbers, times := numbersAndTimes(t, first)
	if !slices.Equal(numbers, []uint32{2, 3, 4, 5, 6, 7}) || !slices.Equal(times, []uint64{0, 100, 1100, 2100, 3100, 4100}) {
		t.Errorf("first part holds %v at %v", numbers, times)
	}
}

func TestADayIsListedAsQuicklyAsAnHour(t *testing.T) {
	src := &busy{minutes: 24 * 60}
	p, _ := newPlayer(src, nil)
	if err := p.Open(view("v1", footage.Span{From: now.Add(-24 * time.Hour), To: now})); err != nil {
		t.Fatal(err)
	}
	list, total, _ := fetchAll(t, p, "v1")
	if total != 24*time.Hour || len(list) > 1<<20 {
		t.Errorf("%v in %d bytes", total, len(list))
	}
	src.opened = 0
	if err := p.Open(view("v2", footage.Span{From: now.Add(-24 * time.Hour), To: now})); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Playlist(t.Context(), "v2"); err != nil {
		t.Fatal(err)
	}
	if src.opened > 245 {
		t.Errorf("%d segments opened", src.opened)
	}
}

func BenchmarkPlaylistOfADay(b *testing.B) {
	src, _ := past(b, 24*time.Hour)
	p := playback.New(src, nil, newClock(), nil)
	for b.Loop() {
		if err := p.Open(view("v", footage.Span{From: now.Add(-24 * time.Hour), To: now})); err != nil {
			b.Fatal(err)
		}
		if _, err := p.Playlist(b.Context(), "v"); err != nil {
			b.Fatal(err)
		}
		p.Close("v")
	}
}
