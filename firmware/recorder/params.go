package recorder

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// Codec names, as segments carry them.
const (
	codecH264 = "h264"
	codecH265 = "h265"
)

// params are the parameter sets of a stream. Without all of its sets a stream cannot be shown.
type params struct {
	codec         string
	vps, sps, pps []byte
}

func (p params) complete() bool {
	return p.sps != nil && p.pps != nil && (p.codec == codecH264 || p.vps != nil)
}

func (p params) equal(o params) bool {
	return p.codec == o.codec && bytes.Equal(p.vps, o.vps) && bytes.Equal(p.sps, o.sps) && bytes.Equal(p.pps, o.pps)
}

// unit is what the recorder needs to know of a NAL unit.
type unit uint8

const (
	unitOther  unit = iota
	unitSlice       // part of a picture
	unitKey         // part of a picture that needs no other
	unitDrop        // says nothing in a file: delimiter, filler, end of stream
	unitParams      // a parameter set
)

// absorb classifies a NAL unit, which is not empty, and keeps parameter sets. A sequence set that cannot be read is
// not kept: line noise must not end a segment.
func (p *params) absorb(nal []byte) unit {
	if p.codec == codecH265 {
		return p.absorbH265(nal)
	}
	switch t := h264.NALUType(nal[0] & 0x1f); t {
	case h264.NALUTypeSPS:
		var sps h264.SPS
		if !bytes.Equal(p.sps, nal) {
			if sps.Unmarshal(nal) != nil || !plausible(sps.Width(), sps.Height()) {
				return unitDrop
			}
			p.sps = nal
		}
		return unitParams
	case h264.NALUTypePPS:
		p.pps = nal
		return unitParams
	case h264.NALUTypeIDR:
		return unitKey
	case h264.NALUTypeNonIDR, h264.NALUTypeDataPartitionA, h264.NALUTypeDataPartitionB, h264.NALUTypeDataPartitionC:
		return unitSlice
	case h264.NALUTypeAccessUnitDelimiter, h264.NALUTypeFillerData, h264.NALUTypeEndOfSequence, h264.NALUTypeEndOfStream:
		return unitDrop
	case h264.NALUTypeSEI:
		return unitOther
	default:
		return unitDrop
	}
}

func (p *params) absorbH265(nal []byte) unit {
	if len(nal) < 2 {
		return unitDrop
	}
	switch t := h265.NALUType(nal[0] >> 1 & 0x3f); {
	case t == h265.NALUType_VPS_NUT:
		p.vps = nal
		return unitParams
	case t == h265.NALUType_SPS_NUT:
		var sps h265.SPS
		if !bytes.Equal(p.sps, nal) {
			if sps.Unmarshal(nal) != nil || !plausible(sps.Width(), sps.Height()) {
				return unitDrop
			}
			p.sps = nal
		}
		return unitParams
	case t == h265.NALUType_PPS_NUT:
		p.pps = nal
		return unitParams
	case t == h265.NALUType_IDR_W_RADL, t == h265.NALUType_IDR_N_LP, t == h265.NALUType_CRA_NUT:
		return unitKey
	case t < 32:
		return unitSlice
	case t == h265.NALUType_PREFIX_SEI_NUT, t == h265.NALUType_SUFFIX_SEI_NUT:
		return unitOther
	default:
		return unitDrop
	}
}

// plausible is the range of picture sizes that a camera can have.
func plausible(w, h int) bool { return w >= 16 && h >= 16 && w <= 16384 && h <= 16384 }

// init writes the initialisation section of an MP4.
func (p params) init() ([]byte, error) {
	if !p.complete() {
		return nil, errors.New("recorder: parameter sets are missing")
	}
	var c codecs.Codec = &codecs.H264{SPS: p.sps, PPS: p.pps}
	if p.codec == codecH265 {
		c = &codecs.H265{VPS: p.vps, SPS: p.sps, PPS: p.pps}
	}
	var buf seekablebuffer.Buffer
	err := fmp4.Init{Tracks: []*fmp4.InitTrack{{ID: videoTrack, TimeScale: clockRate, Codec: c}}}.Marshal(&buf)
	if err != nil {
		return nil, fmt.Errorf("recorder: initialisation section: %w", err)
	}
	return buf.Bytes(), nil
}

// decodeTimer computes decoding times; B-frames make them differ from presentation times.
type decodeTimer interface {
	Extract(au [][]byte, pts int64) (int64, error)
}

func (p params) timer() decodeTimer {
	if p.codec == codecH265 {
		t := &h265.DTSExtractor{}
		t.Initialize()
		return t
	}
	t := &h264.DTSExtractor{}
	t.Initialize()
	return t
}

// sets are the parameter sets as a decode timer wants them.
func (p params) sets() [][]byte {
	if p.codec == codecH265 {
		return [][]byte{p.vps, p.sps, p.pps}
	}
	return [][]byte{p.sps, p.pps}
}

// offer takes parameter sets from a description, where any may be missing.
func (p *params) offer(sets ...[]byte) {
	for _, s := range sets {
		if len(s) > 0 {
			p.absorb(s)
		}
	}
}
