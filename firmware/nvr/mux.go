package nvr

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

const (
	clockRate    = 90000
	fragmentTime = 2 * clockRate // a fragment closes after at most this, also inside a group of pictures
	usualFrame   = clockRate / 25
	// A picture does not stand for longer than this: behind it something is missing.
	holeTime = 5 * clockRate / 2
	// maxGroup is how much of one group of pictures is kept back until it is whole.
	maxGroup = 64 << 20
)

func fromTicks(t int64) time.Duration {
	return time.Duration(t/clockRate)*time.Second + time.Duration(t%clockRate)*time.Second/clockRate
}

// group is one group of pictures, whole, as fragments.
type group struct {
	init      []byte
	codec     string
	fragments []fragment
	from, to  int64 // ticks since the first picture of the playback
}

type fragment struct {
	from, to int64
	key      bool
	data     []byte
}

// picture waits for its duration.
type picture struct {
	dts, pts, dur int64
	key           bool
	data          []byte
}

// muxer turns the access units of one playback into groups of pictures. Only whole groups come out, so that a playback
// that breaks off is taken up again at a key frame without losing or doubling a picture.
type muxer struct {
	emit func(group) error

	codec         string
	vps, sps, pps []byte
	init          []byte // of the group in the making
	timer         interface {
		Extract(au [][]byte, pts int64) (int64, error)
	}
	begun    bool
	ticks    uint32
	pts, dts int64
	usual    int64
	pictures []picture
	size     int
	sequence uint32
}

// errStream is a playback whose pictures cannot be kept as they come.
var errStream = errors.New("nvr: the pictures of the playback cannot be kept")

// take takes one access unit.
func (m *muxer) take(a AccessUnit) error {
	if m.codec == "" {
		m.codec, m.usual = a.Codec, usualFrame
	}
	for _, nal := range a.Sets {
		m.sort(nal)
	}
	var kept [][]byte
	key, shown := false, false
	for _, nal := range a.NALs {
		if len(nal) == 0 || m.codec == "h265" && len(nal) < 2 {
			continue
		}
		isKey, isShown, keep := m.sort(nal)
		key, shown = key || isKey, shown || isShown
		if keep {
			kept = append(kept, nal)
		}
	}
	if !m.begun {
		m.begun, m.ticks, m.dts = true, a.Ticks, -1<<62
	}
	m.pts += int64(int32(a.Ticks - m.ticks))
	m.ticks = a.Ticks
	if !shown || !key && len(m.pictures) == 0 {
		return nil // nothing before the first key frame can be shown
	}
	if key {
		if err := m.finish(m.pts); err != nil {
			return err
		}
		if err := m.begin(); err != nil {
			return err
		}
	}
	data, err := h264.AVCC(kept).Marshal() // H.265 uses the same form
	if err != nil {
		return fmt.Errorf("%w: %w", errStream, err)
	}
	if m.size += len(data); m.size > maxGroup {
		return fmt.Errorf("%w: a group of pictures of more than %d bytes", errStream, maxGroup)
	}
	m.pictures = append(m.pictures, picture{dts: m.decodeTime(kept, key), pts: m.pts, key: key, data: data})
	return nil
}

// sort says what a NAL unit is, and keeps parameter sets.
func (m *muxer) sort(nal []byte) (key, shown, keep bool) {
	if m.codec == "h265" {
		switch t := h265.NALUType(nal[0] >> 1 & 0x3f); {
		case t == h265.NALUType_VPS_NUT:
			m.vps = nal
		case t == h265.NALUType_SPS_NUT:
			m.sps = nal
		case t == h265.NALUType_PPS_NUT:
			m.pps = nal
		case t == h265.NALUType_IDR_W_RADL, t == h265.NALUType_IDR_N_LP, t == h265.NALUType_CRA_NUT:
			return true, true, true
		case t < 32:
			return false, true, true
		case t == h265.NALUType_PREFIX_SEI_NUT, t == h265.NALUType_SUFFIX_SEI_NUT:
			return false, false, true
		}
		return false, false, false
	}
	switch h264.NALUType(nal[0] & 0x1f) {
	case h264.NALUTypeSPS:
		m.sps = nal
	case h264.NALUTypePPS:
		m.pps = nal
	case h264.NALUTypeIDR:
		return true, true, true
	case h264.NALUTypeNonIDR, h264.NALUTypeDataPartitionA, h264.NALUTypeDataPartitionB, h264.NALUTypeDataPartitionC:
		return false, true, true
	case h264.NALUTypeSEI:
		return false, false, true
	}
	return false, false, false
}

// begin starts a group with the parameter sets of now.
func (m *muxer) begin() error {
	var c codecs.Codec = &codecs.H264{SPS: m.sps, PPS: m.pps}
	if m.codec == "h265" {
		c = &codecs.H265{VPS: m.vps, SPS: m.sps, PPS: m.pps}
	}
	if m.sps == nil || m.pps == nil || m.codec == "h265" && m.vps == nil {
		return fmt.Errorf("%w: parameter sets are missing", errStream)
	}
	var buf seekablebuffer.Buffer
	if err := (fmp4.Init{Tracks: []*fmp4.InitTrack{{ID: 1, TimeScale: clockRate, Codec: c}}}).Marshal(&buf); err != nil {
		return fmt.Errorf("%w: %w", errStream, err)
	}
	if !bytes.Equal(m.init, buf.Bytes()) || m.timer == nil {
		m.init = buf.Bytes()
		m.restart()
	}
	return nil
}

func (m *muxer) restart() {
	if m.codec == "h265" {
		t := &h265.DTSExtractor{}
		t.Initialize()
		m.timer = t
		return
	}
	t := &h264.DTSExtractor{}
	t.Initialize()
	m.timer = t
}

// decodeTime gives the decoding time; times that cannot be computed, after damage, fall back to the order.
func (m *muxer) decodeTime(au [][]byte, key bool) int64 {
	if key {
		sets := [][]byte{m.sps, m.pps}
		if m.codec == "h265" {
			sets = [][]byte{m.vps, m.sps, m.pps}
		}
		au = append(sets, au...)
	}
	dts, err := m.timer.Extract(au, m.pts)
	if err != nil {
		m.restart()
		dts = m.pts
	}
	m.dts = max(dts, m.dts+1)
	return m.dts
}

// finish gives out the group in the making, which ends where the next one begins; next is negative at the end.
func (m *muxer) finish(next int64) error {
	n := len(m.pictures)
	if n == 0 {
		return nil
	}
	for i := range m.pictures {
		end := next
		if i+1 < n {
			end = m.pictures[i+1].dts
		}
		p := &m.pictures[i]
		if p.dur = end - p.dts; p.dur <= 0 || p.dur > holeTime {
			p.dur = m.usual
		}
		m.usual = p.dur
	}
	g := group{init: m.init, codec: m.codec, from: m.pictures[0].dts}
	for start := 0; start < n; {
		end := start + 1
		for end < n && m.pictures[end].dts+m.pictures[end].dur-m.pictures[start].dts <= fragmentTime {
			end++
		}
		f, err := m.fragment(m.pictures[start:end])
		if err != nil {
			return err
		}
		g.fragments = append(g.fragments, f)
		g.to, start = f.to, end
	}
	m.pictures, m.size = m.pictures[:0], 0
	return m.emit(g)
}

func (m *muxer) fragment(pictures []picture) (fragment, error) {
	first, last := pictures[0], pictures[len(pictures)-1]
	m.sequence++
	// Times begin above zero, because decoding may start before the first picture is shown.
	track := &fmp4.PartTrack{ID: 1, BaseTime: uint64(first.dts + clockRate)}
	for _, p := range pictures {
		track.Samples = append(track.Samples, &fmp4.Sample{Duration: uint32(p.dur), PTSOffset: int32(p.pts - p.dts), IsNonSyncSample: !p.key, Payload: p.data})
	}
	var buf seekablebuffer.Buffer
	if err := (fmp4.Part{SequenceNumber: m.sequence, Tracks: []*fmp4.PartTrack{track}}).Marshal(&buf); err != nil {
		return fragment{}, fmt.Errorf("%w: %w", errStream, err)
	}
	return fragment{from: first.dts, to: last.dts + last.dur, key: first.key, data: buf.Bytes()}, nil
}
