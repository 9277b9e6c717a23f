package fmp4

import (
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/flac"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/g711"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// Browsers' media sources take no G.711, and no plain samples either. They take FLAC (RFC 9639), of which we use the
// form without any prediction: each byte of G.711 is there as the one 16-bit sample that it means. Nothing is lost or
// weighed, so that this is a way of writing rather than a coding.

// minBlock and maxBlock are the samples that a frame of FLAC may have.
const (
	minBlock = 16
	maxBlock = 65535
)

// G711 says whether the track is G.711 that can be written as FLAC.
func (t Track) G711() bool {
	return (t.Entry == ALaw || t.Entry == MuLaw) && t.Channels == 1 && t.Scale >= 8000 && t.Scale <= 48000
}

// FLAC writes a piece of G.711 as a frame of FLAC; false when it is too short or too long for one.
func (t Track) FLAC(piece []byte) ([]byte, bool) {
	if len(piece) < minBlock || len(piece) > maxBlock {
		return nil, false
	}
	var samples []byte
	if t.Entry == ALaw {
		var s g711.Alaw
		s.Unmarshal(piece)
		samples = s
	} else {
		var s g711.Mulaw
		s.Unmarshal(piece)
		samples = s
	}
	const verbatim = 1 << 1
	b := append(flacHeader(len(piece), len(samples)+3), verbatim)
	b = append(b, samples...)
	return be.AppendUint16(b, crc16(b)), true
}

// flacSilence is a frame of FLAC in which nothing is heard.
func flacSilence(samples int) []byte {
	const constant = 0
	b := append(flacHeader(samples, 5), constant, 0, 0)
	return be.AppendUint16(b, crc16(b))
}

// flacHeader is the header of a frame, with room behind it. The number of the frame is always 0: in an MP4 the samples'
// times say where it belongs.
func flacHeader(samples, room int) []byte {
	const (
		sizeFollows = 7 << 4 // in 16 bits behind the number; the rate is that of the stream
		mono16      = 4 << 1
	)
	b := append(make([]byte, 0, 8+room), 0xff, 0xf8, sizeFollows, mono16, 0)
	b = be.AppendUint16(b, uint16(samples-1))
	return append(b, crc8(b))
}

func crc8(b []byte) (c byte) {
	for _, x := range b {
		c ^= x
		for range 8 {
			c = c<<1 ^ c>>7*0x07
		}
	}
	return c
}

var crc16Table = func() (t [256]uint16) {
	for i := range t {
		c := uint16(i) << 8
		for range 8 {
			c = c<<1 ^ c>>15*0x8005
		}
		t[i] = c
	}
	return t
}()

func crc16(b []byte) (c uint16) {
	for _, x := range b {
		c = c<<8 ^ crc16Table[byte(c>>8)^x]
	}
	return c
}

// AsFLAC rewrites an initialisation section with a track of G.711 described as FLAC.
func AsFLAC(init []byte, t Track) ([]byte, error) {
	var buf seekablebuffer.Buffer
	err := fmp4.Init{Tracks: []*fmp4.InitTrack{{ID: int(t.ID), TimeScale: t.Scale, Codec: &codecs.FLAC{StreamInfo: &flac.StreamInfo{
		MinBlockSize: minBlock, MaxBlockSize: maxBlock, SampleRate: t.Scale, ChannelCount: 1, BitDepth: 16,
	}}}}}.Marshal(&buf)
	if err != nil {
		return nil, fmt.Errorf("initialisation section: %w", err)
	}
	var track []byte
	for trak := range inside(buf.Bytes(), &err, "moov", "trak") {
		track = trak.all
	}
	out := rebuilt(init, &err, func(b box) ([]byte, bool) {
		if b.name != "moov" {
			return b.all, true
		}
		return wrapped(b, rebuilt(b.content(), &err, func(b box) ([]byte, bool) {
			if b.name == "trak" && trackOf(b, &err).ID == t.ID {
				return track, true
			}
			return b.all, true
		})), true
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
