package fmp4

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// Names of the codecs of pictures, as segments carry them.
const (
	H264 = "h264"
	H265 = "h265"
)

// Video is a stream of pictures: its codec and its parameter sets. There may be any number of sets; VPS, SPS and PPS
// are those of the last picture that needs no other, or the last seen before there was one. Without all of them
// nothing can be shown.
type Video struct {
	Codec         string
	VPS, SPS, PPS []byte
	Unusable      bool // a sequence set came that cannot be used

	known []set // the last of each kind and number; never changed in place
}

// set is a parameter set.
type set struct {
	kind byte // its NAL unit type
	id   uint32
	nal  []byte
}

// Complete says whether all sets are there.
func (v Video) Complete() bool {
	return v.SPS != nil && v.PPS != nil && (v.Codec == H264 || v.VPS != nil)
}

// Equal says whether both have the same sets.
func (v Video) Equal(o Video) bool {
	return v.Codec == o.Codec && bytes.Equal(v.VPS, o.VPS) && bytes.Equal(v.SPS, o.SPS) && bytes.Equal(v.PPS, o.PPS)
}

// Shape is what an initialisation section fixes of the pictures. Sets that differ in anything else can change within a
// stream, because they are before the pictures too.
type Shape struct {
	Width, Height   int
	profile, chroma uint32
	depth           [2]uint32
	frames          bool
}

// Shape is that of the sequence set; zero when it cannot be read.
func (v Video) Shape() Shape {
	if v.Codec == H265 {
		var s h265.SPS
		if v.SPS == nil || s.Unmarshal(v.SPS) != nil {
			return Shape{}
		}
		return Shape{s.Width(), s.Height(), uint32(s.ProfileTierLevel.GeneralProfileIdc), s.ChromaFormatIdc, [2]uint32{s.BitDepthLumaMinus8, s.BitDepthChromaMinus8}, true}
	}
	var s h264.SPS
	if v.SPS == nil || s.Unmarshal(v.SPS) != nil {
		return Shape{}
	}
	return Shape{s.Width(), s.Height(), uint32(s.ProfileIdc), s.ChromaFormatIdc, [2]uint32{s.BitDepthLumaMinus8, s.BitDepthChromaMinus8}, s.FrameMbsOnlyFlag}
}

// Unit is what has to be known of a NAL unit.
type Unit uint8

// The kinds of NAL units.
const (
	Other    Unit = iota
	Slice         // part of a picture
	Key           // part of a picture that needs no other
	Drop          // says nothing in a file: delimiter, filler, end of stream
	Params        // a parameter set
	Recovery      // says that the picture it is before needs no other
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
		if v.same(byte(t), nal) {
			return Params
		}
		if sps.Unmarshal(nal) != nil || !plausible(sps.Width(), sps.Height()) {
			v.Unusable = true
			return Drop
		}
		v.keep(byte(t), sps.ID, nal)
		return Params
	case h264.NALUTypePPS:
		id, ok := golomb(nal[1:], 0)
		if !ok {
			return Drop
		}
		v.keep(byte(t), id, nal)
		return Params
	case h264.NALUTypeIDR:
		return Key
	case h264.NALUTypeNonIDR, h264.NALUTypeDataPartitionA, h264.NALUTypeDataPartitionB, h264.NALUTypeDataPartitionC:
		return Slice
	case h264.NALUTypeSEI:
		if recovers(nal[1:]) {
			return Recovery
		}
		return Other
	default:
		return Drop
	}
}

func (v *Video) absorbH265(nal []byte) Unit {
	if len(nal) < 3 {
		return Drop
	}
	switch t := h265.NALUType(nal[0] >> 1 & 0x3f); {
	case t == h265.NALUType_VPS_NUT:
		v.keep(byte(t), uint32(nal[2]>>4), nal)
		return Params
	case t == h265.NALUType_SPS_NUT:
		var sps h265.SPS
		if v.same(byte(t), nal) {
			return Params
		}
		if sps.Unmarshal(nal) != nil || !plausible(sps.Width(), sps.Height()) {
			v.Unusable = true
			return Drop
		}
		v.keep(byte(t), uint32(sps.ID), nal)
		return Params
	case t == h265.NALUType_PPS_NUT:
		id, ok := golomb(nal[2:], 0)
		if !ok {
			return Drop
		}
		v.keep(byte(t), id, nal)
		return Params
	case t >= h265.NALUType_BLA_W_LP && t <= h265.NALUType_CRA_NUT:
		return Key
	case t < 32:
		return Slice
	case t == h265.NALUType_PREFIX_SEI_NUT:
		if recovers(nal[2:]) {
			return Recovery
		}
		return Other
	case t == h265.NALUType_SUFFIX_SEI_NUT:
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

// sets are the sets of the last picture that needs no other.
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
	codec string
	last  int64
	timer interface {
		Extract(au [][]byte, pts int64) (int64, error)
	}
}

// NewOrder begins with a key frame of this video. All its times are above after.
func NewOrder(v Video, after int64) *Order {
	o := &Order{codec: v.Codec, last: after}
	o.restart()
	return o
}

func (o *Order) restart() {
	if o.codec == H265 {
		t := &h265.DTSExtractor{}
		t.Initialize()
		o.timer = t
		return
	}
	t := &h264.DTSExtractor{}
	t.Initialize()
	o.timer = t
}

// Next gives the decoding time of the next picture, of which v are the sets as last seen. Times that cannot be
// computed, after damage, fall back to the order of arrival: what matters is that they rise.
func (o *Order) Next(v Video, nals [][]byte, key bool, pts int64) int64 {
	if key {
		nals = append(v.sets(), slices.DeleteFunc(slices.Clone(nals), v.isSet)...)
	}
	dts, err := o.extract(nals, pts)
	if err != nil {
		o.restart()
		dts = pts
	}
	o.last = max(dts, o.last+1)
	return o.last
}

// extract asks the library, which was not made for whatever a bad line delivers.
func (o *Order) extract(nals [][]byte, pts int64) (dts int64, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("order of pictures: %v", p)
		}
	}()
	return o.timer.Extract(nals, pts)
}

// Last is the decoding time of the last picture.
func (o *Order) Last() int64 { return o.last }
