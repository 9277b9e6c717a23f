package history

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"campuskeep/scripts/sim/render"
)

const (
	width, height = 320, 180

	// A frame every three seconds and a key frame every fifteen keep a segment within three disk blocks.
	frameTime = 3 * time.Second
	perMinute = int(time.Minute / frameTime)
	keyEvery  = 5 // frames

	clockRate = 90000
)

// dayLoop is one camera's footage: a minute for every hour of the day.
type dayLoop struct {
	init  []byte
	hours [24][]frame
}

// frame is one frame as a fragment whose time is still to be set.
type frame struct {
	key            bool
	data           []byte
	time, duration int // where in data
}

// at gives the fragment at this time of its session.
func (s frame) at(t, long time.Duration) []byte {
	b := bytes.Clone(s.data)
	binary.BigEndian.PutUint64(b[s.time:], uint64(ticks(t)))
	binary.BigEndian.PutUint32(b[s.duration:], uint32(ticks(long)))
	return b
}

func ticks(d time.Duration) time.Duration { return d / time.Microsecond * (clockRate / 1000) / 1000 }

// renderDay draws and encodes the day of one camera.
func renderDay(ctx context.Context, camera string) (*dayLoop, error) {
	var aus [][][]byte
	coding := render.Coding{W: width, H: height, FPS: "1/3", GOP: keyEvery, CRF: 40, Preset: "medium"}
	enc, err := render.NewEncoder(ctx, coding, func(au [][]byte) { aus = append(aus, au) })
	if err != nil {
		return nil, err
	}
	view := render.New(camera, width, height, true)
	for hour := range 24 {
		for i := range perMinute {
			second := i * int(frameTime/time.Second)
			if err := enc.Frame(view.DrawHour(hour, second, uint32(hour*3600+second))); err != nil {
				return nil, errors.Join(err, enc.Close())
			}
		}
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	if len(aus) != 24*perMinute {
		return nil, fmt.Errorf("history: %d pictures went in, %d came out", 24*perMinute, len(aus))
	}
	r := &dayLoop{}
	var sps, pps []byte
	for i, au := range aus {
		var kept [][]byte
		for _, nal := range au {
			switch h264.NALUType(nal[0] & 0x1f) {
			case h264.NALUTypeSPS:
				sps = nal
			case h264.NALUTypePPS:
				pps = nal
			case h264.NALUTypeIDR, h264.NALUTypeNonIDR:
				kept = append(kept, nal)
			}
		}
		s, err := frameOf(kept)
		if err != nil {
			return nil, err
		}
		r.hours[i/perMinute] = append(r.hours[i/perMinute], s)
	}
	var buf seekablebuffer.Buffer
	track := &fmp4.InitTrack{ID: 1, TimeScale: clockRate, Codec: &codecs.H264{SPS: sps, PPS: pps}}
	if err := (fmp4.Init{Tracks: []*fmp4.InitTrack{track}}).Marshal(&buf); err != nil {
		return nil, fmt.Errorf("history: initialisation section: %w", err)
	}
	r.init = buf.Bytes()
	return r, nil
}

// frameOf makes the fragment of one frame and finds the offsets of its times.
func frameOf(au [][]byte) (frame, error) {
	payload, err := h264.AVCC(au).Marshal()
	if err != nil {
		return frame{}, fmt.Errorf("history: access unit: %w", err)
	}
	key := h264.IsRandomAccess(au)
	var buf seekablebuffer.Buffer
	sample := &fmp4.Sample{Duration: 1, IsNonSyncSample: !key, Payload: payload}
	err = fmp4.Part{Tracks: []*fmp4.PartTrack{{ID: 1, Samples: []*fmp4.Sample{sample}}}}.Marshal(&buf)
	if err != nil {
		return frame{}, fmt.Errorf("history: fragment: %w", err)
	}
	b := buf.Bytes()
	tfdt, trun := bytes.Index(b, []byte("tfdt")), bytes.Index(b, []byte("trun"))
	if tfdt < 0 || trun < 0 {
		return frame{}, errors.New("history: fragment without times")
	}
	// tfdt: version and flags, then 64 bits of time. trun: version and flags, count, data offset, first duration.
	return frame{key: key, data: b, time: tfdt + 8, duration: trun + 16}, nil
}
