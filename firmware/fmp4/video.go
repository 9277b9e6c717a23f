package fmp4

import (
	"bytes"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// Names of the codecs of pictures, as segments carry them.
const (
	H264 = "h264"
	H265 = "h265"
)

// Video is a stream of pictures: its codec and the parameter sets as last seen. Without all of its sets it cannot be
// shown.
type Video struct {
	Codec         string
	VPS, SPS, PPS []byte
}

// Complete says whether all sets are there.
func (v Video) Complete() bool {
	return v.SPS != nil && v.PPS != nil && (v.Codec == H264 || v.VPS != nil)
}

// Equal says whether one initialisation section serves both.
func (v Video) Equal(o Video) bool {
	return v.Codec == o.Codec && bytes.Equal(v.VPS, o.VPS) && bytes.Equal(v.SPS, o.SPS) && bytes.Equal(v.PPS, o.PPS)
}

// Unit is what has to be known of a NAL unit.
type Unit uint8

// The kinds of NAL units.
const (
	Other  Unit = iota
	Slice       // part of a picture
	Key         // part of a picture that needs no other
	Drop        // says nothing in a file: delimiter, filler, end of stream
	Params      // a parameter set
)

// Absorb classifies a NAL unit and keeps parameter sets. A sequence set that cannot be read is not kept: line noise
// must not end a segment.
func (v *Video) Absorb(nal []byte) Unit {
	if len(nal) == 0 {
		return Drop
	}
	if v.Codec == H265 {
		return v.absorbH265(nal)
	}
	switch t := h264.NALUType(nal[0] & 0x1f); t {
	case h264.NALUTypeSPS:
		var sps h264.SPS
		if !bytes.Equal(v.SPS, nal) {
			if sps.Unmarshal(nal) != nil || !plausible(sps.Width(), sps.Height()) {
				return Drop
			}
			v.SPS = nal
		}
		return Params
	case h264.NALUTypePPS:
		v.PPS = nal
		return Params
	case h264.NALUTypeIDR:
		return Key
	case h264.NALUTypeNonIDR, h264.NALUTypeDataPartitionA, h264.NALUTypeDataPartitionB, h264.NALUTypeDataPartitionC:
		return Slice
	case h264.NALUTypeSEI:
		return Other
	default:
		return Drop
	}
}

func (v *Video) absorbH265(nal []byte) Unit {
	if len(nal) < 2 {
		return Drop
	}
	switch t := h265.NALUType(nal[0] >> 1 & 0x3f); {
	case t == h265.NALUType_VPS_NUT:
		v.VPS = nal
		return Params
	case t == h265.NALUType_SPS_NUT:
		var sps h265.SPS
		if !bytes.Equal(v.SPS, nal) {
			if sps.Unmarshal(nal) != nil || !plausible(sps.Width(), sps.Height()) {
				return Drop
			}
			v.SPS = nal
		}
		return Params
	case t == h265.NALUType_PPS_NUT:
		v.PPS = nal
		return Params
	case t == h265.NALUType_IDR_W_RADL, t == h265.NALUType_IDR_N_LP, t == h265.NALUType_CRA_NUT:
		return Key
	case t < 32:
		return Slice
	case t == h265.NALUType_PREFIX_SEI_NUT, t == h265.NALUType_SUFFIX_SEI_NUT:
		return Other
	default:
		return Drop
	}
}

// plausible is the range of picture sizes that a camera can have.
func plausible(w, h int) bool { return w >= 16 && h >= 16 && w <= 16384 && h <= 16384 }

// Offer takes parameter sets from a description, where any may be missing.
func (v *Video) Offer(sets ...[]byte) {
	for _, s := range sets {
		v.Absorb(s)
	}
}

func (v Video) sets() [][]byte {
	var sets [][]byte
	for _, s := range [][]byte{v.VPS, v.SPS, v.PPS} {
		if len(s) > 0 {
			sets = append(sets, s)
		}
	}
	return sets
}

func (v Video) codec() codecs.Codec {
	if v.Codec == H265 {
		return &codecs.H265{VPS: v.VPS, SPS: v.SPS, PPS: v.PPS}
	}
	return &codecs.H264{SPS: v.SPS, PPS: v.PPS}
}

// Order computes decoding times; B-frames make them differ from presentation times.
type Order struct {
	video Video
	last  int64
	timer interface {
		Extract(au [][]byte, pts int64) (int64, error)
	}
}

// NewOrder begins with a key frame of this video. All its times are above after.
func NewOrder(v Video, after int64) *Order {
	o := &Order{video: v, last: after}
	o.restart()
	return o
}

func (o *Order) restart() {
	if o.video.Codec == H265 {
		t := &h265.DTSExtractor{}
		t.Initialize()
		o.timer = t
		return
	}
	t := &h264.DTSExtractor{}
	t.Initialize()
	o.timer = t
}

// Next gives the decoding time of the next picture. Times that cannot be computed, after damage, fall back to the
// order of arrival: what matters is that they rise.
func (o *Order) Next(nals [][]byte, key bool, pts int64) int64 {
	if key {
		nals = append(o.video.sets(), nals...)
	}
	dts, err := o.timer.Extract(nals, pts)
	if err != nil {
		o.restart()
		dts = pts
	}
	o.last = max(dts, o.last+1)
	return o.last
}

// Last is the decoding time of the last picture.
func (o *Order) Last() int64 { return o.last }
