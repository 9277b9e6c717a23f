package nvr

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"campuskeep/firmware/nvr/driver"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"campuskeep/firmware/fmp4"
)

const (
	clockRate    = fmp4.ClockRate
	fragmentTime = 2 * clockRate // a fragment closes after at most this, also inside a group of pictures
	usualFrame   = clockRate / 25
	// A picture does not last longer than this: behind it something is missing.
	holeTime = 5 * clockRate / 2
	// maxGroup is how much of one group of pictures is kept back until it is whole.
	maxGroup = 64 << 20
)

func fromTicks(t int64) time.Duration { return fmp4.Duration(t) }

// group is one group of pictures, whole, as fragments.
type group struct {
	init      []byte
	codec     string
	fragments []fragment
	from, to  int64    // ticks since the first picture of the playback
	first     [32]byte // hash of its first picture
	size      int64    // bytes
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

	video    fmp4.Video // as last seen
	init     []byte     // of the group in the making
	order    *fmp4.Order
	begun    bool
	ticks    uint32
	pts      int64
	usual    int64
	pictures []picture
	size     int
	sequence uint32
}

// errStream is a playback whose pictures cannot be kept as they come.
var errStream = errors.New("nvr: the pictures of the playback cannot be kept")

// add takes one access unit.
func (m *muxer) add(a driver.AccessUnit) error {
	if m.video.Codec == "" {
		m.video.Codec, m.usual = a.Codec, usualFrame
	}
	m.video.Offer(a.Sets...)
	var kept [][]byte
	key, shown := false, false
	for _, nal := range a.NALs {
		switch m.video.Absorb(nal) {
		case fmp4.Drop, fmp4.Params:
			continue
		case fmp4.Key:
			key, shown = true, true
		case fmp4.Slice:
			shown = true
		}
		kept = append(kept, nal)
	}
	if !m.begun {
		m.begun, m.ticks = true, a.Ticks
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
	m.pictures = append(m.pictures, picture{dts: m.order.Next(m.video, kept, key, m.pts), pts: m.pts, key: key, data: data})
	return nil
}

// begin starts a group with the parameter sets of now.
func (m *muxer) begin() error {
	init, err := fmp4.Init(m.video, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errStream, err)
	}
	if !bytes.Equal(m.init, init) {
		after := int64(-1 << 62)
		if m.order != nil {
			after = m.order.Last()
		}
		m.init, m.order = init, fmp4.NewOrder(m.video, after)
	}
	return nil
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
	g := group{init: m.init, codec: m.video.Codec, from: m.pictures[0].dts, first: sha256.Sum256(m.pictures[0].data)}
	for start := 0; start < n; {
		end := start + 1
		for end < n && m.pictures[end].dts+m.pictures[end].dur-m.pictures[start].dts <= fragmentTime {
			end++
		}
		f := m.fragment(m.pictures[start:end])
		g.fragments = append(g.fragments, f)
		g.size += int64(len(f.data))
		g.to, start = f.to, end
	}
	m.pictures, m.size = m.pictures[:0], 0
	return m.emit(g)
}

func (m *muxer) fragment(pictures []picture) fragment {
	first, last := pictures[0], pictures[len(pictures)-1]
	m.sequence++
	// Times begin above zero, because decoding may start before the first picture is shown.
	run := fmp4.Run{Track: fmp4.VideoTrack, Base: uint64(first.dts + clockRate), Samples: make([]fmp4.Sample, len(pictures))}
	for i, p := range pictures {
		run.Samples[i] = fmp4.Sample{Duration: uint32(p.dur), Offset: int32(p.pts - p.dts), Key: p.key, Data: p.data}
	}
	return fragment{from: first.dts, to: last.dts + last.dur, key: first.key, data: fmp4.Marshal(m.sequence, run)}
}
