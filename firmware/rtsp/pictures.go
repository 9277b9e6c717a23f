package rtsp

import (
	"errors"
	"fmt"

	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph265"
	"github.com/bluenviron/mediacommon/v2/pkg/bits"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/pion/rtp"
)

// Picture is an access unit, or the rest of one: a sender may mark the end of a picture that goes on.
type Picture struct {
	NALs  [][]byte
	Stamp uint32 // RTP time
	More  bool   // of the picture before
}

// Limits of one picture.
const (
	maxUnits   = 1024
	maxPicture = 8 << 20
)

var errTooLarge = errors.New("a picture without end")

// Pictures makes access units of packets: by time stamp and first slice, as the standards say, not by the mark that
// senders put at their end, or do not. The mark only saves waiting for the next picture.
type Pictures struct {
	decode func(*rtp.Packet) ([][]byte, error)
	h265   bool
	fields fields

	held  [][]byte // what may belong to the next picture
	au    [][]byte // the one in the making
	size  int
	coded bool // au has part of a picture in it
	stamp uint32
	given bool // the picture of stamp was given out; what comes now may be the rest of it
}

// NewPictures takes packets of H.264 or H.265; another format is an error.
func NewPictures(f format.Format) (*Pictures, error) {
	p := &Pictures{}
	switch f := f.(type) {
	case *format.H264:
		d, err := f.CreateDecoder()
		if err != nil {
			return nil, fmt.Errorf("H.264 over RTP: %w", err)
		}
		p.decode = d.Decode
	case *format.H265:
		d, err := f.CreateDecoder()
		if err != nil {
			return nil, fmt.Errorf("H.265 over RTP: %w", err)
		}
		p.decode, p.h265 = d.Decode, true
	default:
		return nil, fmt.Errorf("%s is neither H.264 nor H.265", f.RTPMap())
	}
	return p, nil
}

// Take takes a packet and gives out what it ends. An error says that something did not arrive whole.
func (p *Pictures) Take(pkt *rtp.Packet, each func(Picture)) error {
	marked := pkt.Marker
	whole := *pkt
	whole.Marker = true // one packet at a time: where pictures end is for us to say
	nals, err := p.decode(&whole)
	if err != nil && unfinished(err) {
		return nil
	}
	for _, nal := range nals {
		if len(nal) > 0 {
			p.unit(nal, pkt.Timestamp, each)
		}
	}
	if p.size > maxPicture || len(p.au)+len(p.held) > maxUnits {
		p.drop()
		return errTooLarge
	}
	if marked && p.coded {
		p.end(each)
	}
	return err
}

// unit puts a NAL unit where it belongs.
func (p *Pictures) unit(nal []byte, stamp uint32, each func(Picture)) {
	p.fields.learn(nal, p.h265)
	p.size += len(nal)
	if p.coded && stamp != p.stamp {
		p.end(each)
	}
	if !p.isSlice(nal) {
		switch {
		case !p.follows(nal):
			p.held = append(p.held, nal)
		case p.coded:
			p.au = append(p.au, nal)
		}
		return
	}
	first := p.first(nal)
	if p.coded && first && !p.fields.pair(nal, p.h265) {
		p.end(each)
		p.given = false
	}
	if !p.coded {
		p.given = p.given && stamp == p.stamp && (!first || p.fields.pair(nal, p.h265))
	}
	p.au = append(append(p.au, p.held...), nal)
	p.held, p.coded, p.stamp = nil, true, stamp
	p.fields.seen(nal, p.h265)
}

// end gives out the picture in the making.
func (p *Pictures) end(each func(Picture)) {
	each(Picture{NALs: p.au, Stamp: p.stamp, More: p.given})
	p.au, p.size, p.coded, p.given = nil, 0, false, true
}

func (p *Pictures) drop() {
	p.au, p.held, p.size, p.coded, p.given = nil, nil, 0, false, false
}

func (p *Pictures) isSlice(nal []byte) bool {
	if p.h265 {
		return nal[0]>>1&0x3f < 32
	}
	t := nal[0] & 0x1f
	return t >= 1 && t <= 5
}

// first says whether a slice is the first of its picture.
func (p *Pictures) first(nal []byte) bool {
	if p.h265 {
		return len(nal) > 2 && nal[2]&0x80 != 0
	}
	t := nal[0] & 0x1f
	return t != 3 && t != 4 && len(nal) > 1 && nal[1]&0x80 != 0 // the first macroblock is zero, as a number of variable length
}

// follows says of a unit that is no slice whether it belongs to the picture before it: the end of a sequence, filler,
// supplements.
func (p *Pictures) follows(nal []byte) bool {
	if p.h265 {
		t := nal[0] >> 1 & 0x3f
		return t >= 36 && t <= 38 || t == 40 || t >= 45 && t <= 47 || t >= 56
	}
	t := nal[0] & 0x1f
	return t >= 10 && t <= 12 || t >= 19 && t <= 21
}

// fields knows the two halves of an interlaced picture, which are one sample in a file.
type fields struct {
	bits   int  // of a frame number; zero: no sequence set with interlaced pictures was seen
	planes bool // colours are coded apart
	last   field
}

type field struct {
	half, bottom bool
	number       uint32
}

// learn looks at sequence sets.
func (f *fields) learn(nal []byte, h265 bool) {
	if h265 || nal[0]&0x1f != byte(h264.NALUTypeSPS) {
		return
	}
	var s h264.SPS
	if s.Unmarshal(nal) != nil {
		return
	}
	f.bits, f.planes = 0, s.SeparateColourPlaneFlag
	if !s.FrameMbsOnlyFlag {
		f.bits = int(s.Log2MaxFrameNumMinus4) + 4
	}
}

func (f *fields) of(nal []byte) (x field) {
	const head = 24 // bytes that hold what is read here
	b := h264.EmulationPreventionRemove(nal[1:min(len(nal), head)])
	pos := 0
	for range 3 { // first macroblock, kind of slice, picture parameter set
		if _, err := bits.ReadGolombUnsigned(b, &pos); err != nil {
			return x
		}
	}
	if f.planes {
		pos += 2
	}
	if bits.HasSpace(b, pos, f.bits+2) != nil {
		return x
	}
	x.number = uint32(bits.ReadBitsUnsafe(b, &pos, f.bits))
	x.half = bits.ReadFlagUnsafe(b, &pos)
	x.bottom = x.half && bits.ReadFlagUnsafe(b, &pos)
	return x
}

func (f *fields) seen(nal []byte, h265 bool) {
	if !h265 && f.bits > 0 {
		f.last = f.of(nal)
	}
}

// pair says whether a slice is of the other half of the picture before.
func (f *fields) pair(nal []byte, h265 bool) bool {
	if h265 || f.bits == 0 || !f.last.half {
		return false
	}
	x := f.of(nal)
	return x.half && x.bottom != f.last.bottom && x.number == f.last.number
}

// unfinished says whether an error of a packet decoder only means that more packets are needed.
func unfinished(err error) bool {
	return errors.Is(err, rtph264.ErrMorePacketsNeeded) || errors.Is(err, rtph264.ErrNonStartingPacketAndNoPrevious) ||
		errors.Is(err, rtph265.ErrMorePacketsNeeded) || errors.Is(err, rtph265.ErrNonStartingPacketAndNoPrevious)
}
