package recorder

import (
	"bytes"
	"time"

	"campuskeep/firmware/fmp4"
	"campuskeep/firmware/rtsp"
)

const (
	fragmentTime = 1 * fmp4.ClockRate // a fragment closes after at most this, also inside a group of pictures
	frameTime    = fmp4.ClockRate / 25
	// Without a frame for this long nothing was seen: the frame before it does not last that time.
	frozenTime = 2500 * time.Millisecond
)

// fragment is one finished piece of a stream.
type fragment struct {
	stream   *stream       // another pointer when the initialisation section is another
	session  time.Duration // monotonic time at which the time line of its session starts
	from, to time.Duration // monotonic
	key      bool
	data     []byte
}

// frame is one picture that waits for its duration.
type frame struct {
	dts, pts, dur int64
	came          time.Duration // monotonic
	key           bool
	nals          [][]byte
}

// muxer turns access units into fragments. It is used by one goroutine at a time.
type muxer struct {
	time  timeline
	now   fmp4.Video // as last seen in the stream
	sound *sound     // nil when there is none
	used  *stream    // of the fragments made now; nil before the first key frame
	why   Cause      // no picture has been taken yet
	turns []int64    // when the last streams began

	order   *fmp4.Order
	session int64

	pending *frame
	frames  []frame // of the fragment in the making
	samples []fmp4.Sample
	lastDur int64
	seq     uint32

	emit   func(fragment) error
	frozen func(from, to time.Duration) // nothing was seen between two frames
}

// accessUnit takes a picture and the moment it came.
func (m *muxer) accessUnit(p rtsp.Picture, arrival time.Duration) error {
	kept := make([][]byte, 0, len(p.NALs)+3)
	var slice []byte // the first
	key := false
	for _, nal := range p.NALs {
		switch m.now.Absorb(nal) {
		case fmp4.Drop:
			continue
		case fmp4.Key, fmp4.Recovery:
			key = true
		}
		if slice == nil && m.now.IsSlice(nal) {
			slice = nal
		}
		kept = append(kept, nal)
	}
	if slice == nil {
		return nil // parameter sets alone are remembered, the rest says nothing
	}
	if p.More {
		if m.pending != nil {
			m.pending.nals = append(m.pending.nals, kept...)
		}
		return nil
	}
	if key {
		m.now.Activate(slice)
	}
	if m.used == nil && !m.presentable(key) {
		return nil
	}
	if key && !m.now.Complete() {
		return nil
	}
	pts := m.time.place(p.Stamp, arrival)
	if key && (m.used == nil || m.other(pts)) {
		if err := m.restart(pts); err != nil {
			return err
		}
	}
	if key {
		kept = append(m.now.Beside(m.used.video, kept), kept...)
	}
	dts := m.order.Next(m.now, kept, key, pts)
	if err := m.settle(dts, arrival); err != nil {
		return err
	}
	if key || (len(m.frames) > 0 && dts+m.lastDur-m.frames[0].dts > fragmentTime) {
		if err := m.flush(); err != nil {
			return err
		}
	}
	m.pending = &frame{dts: dts, pts: pts, came: arrival, key: key, nals: kept}
	return nil
}

// presentable says whether the stream can begin with this picture; if not, why.
func (m *muxer) presentable(key bool) bool {
	switch {
	case m.now.Complete() && key:
		return true
	case m.now.Complete():
		m.why = CauseNoKey
	case m.now.SPS == nil && m.now.Unusable:
		m.why = CauseBadSets
	default:
		m.why = CauseNoSets
	}
	return false
}

const (
	// So many streams may begin within turnTime. A camera whose pictures change their shape more often goes on in the
	// stream that it has: the sets are before the pictures.
	maxTurns = 4
	turnTime = 60 * fmp4.ClockRate
)

// other says whether the pictures have become others than the initialisation section describes.
func (m *muxer) other(pts int64) bool {
	if bytes.Equal(m.now.SPS, m.used.video.SPS) || m.now.Shape() == m.used.video.Shape() {
		return false
	}
	for len(m.turns) > 0 && pts-m.turns[0] > turnTime {
		m.turns = m.turns[1:]
	}
	return len(m.turns) < maxTurns
}

// restart begins a new time line: at the first key frame, and whenever the pictures become others.
func (m *muxer) restart(pts int64) error {
	if err := m.finish(pts); err != nil {
		return err
	}
	after := pts - 1
	if m.order != nil {
		after = max(after, m.order.Last())
	}
	m.turns = append(m.turns, pts)
	m.used, m.order, m.session = &stream{video: m.now}, fmp4.NewOrder(m.now, after), after+1
	if m.sound != nil {
		m.used.audio = &m.sound.audio
	}
	return nil
}

// settle gives the waiting frame its duration, which is known when the next one has come, at arrival, and puts it into
// the fragment.
func (m *muxer) settle(next int64, arrival time.Duration) error {
	f := m.pending
	if f == nil {
		return nil
	}
	m.pending = nil
	f.dur = next - f.dts
	frozen := fmp4.Duration(f.dur) > frozenTime && f.dur > 4*m.usual()
	if m.time.moved { // a jump of ours is no silence of the camera's
		frozen = frozen && (arrival-f.came > frozenTime || fmp4.Duration(m.time.said) > frozenTime)
	}
	if frozen {
		f.dur = m.usual()
	} else {
		m.lastDur = f.dur
	}
	m.frames = append(m.frames, *f)
	if !frozen {
		return nil
	}
	m.frozen(m.time.mono(f.dts+f.dur), m.time.mono(next))
	return m.flush()
}

// usual is how long a frame is when nothing says better.
func (m *muxer) usual() int64 {
	if m.lastDur > 0 {
		return m.lastDur
	}
	return frameTime
}

// finish ends what is there: the stream has broken off, or goes on at tick next with other parameters.
func (m *muxer) finish(next int64) error {
	if m.pending != nil {
		end := m.pending.dts + m.usual()
		if next > m.pending.dts {
			end = min(end, next)
		}
		if err := m.settle(end, m.pending.came); err != nil {
			return err
		}
	}
	return m.flush()
}

// flush hands over the fragment in the making.
func (m *muxer) flush() error {
	if len(m.frames) == 0 {
		return nil
	}
	first, last := m.frames[0], m.frames[len(m.frames)-1]
	m.seq++
	session, from, to := m.time.mono(m.session), m.time.mono(first.dts), m.time.mono(last.dts+last.dur)
	m.samples = m.samples[:0]
	for _, f := range m.frames {
		m.samples = append(m.samples, fmp4.Sample{Duration: uint32(f.dur), Offset: int32(f.pts - f.dts), Key: f.key, NALs: f.nals})
	}
	runs := append(make([]fmp4.Run, 0, 2), fmp4.Run{Track: fmp4.VideoTrack, Base: uint64(first.dts - m.session), Samples: m.samples})
	if m.sound != nil {
		if r, ok := m.sound.run(session, from, to); ok {
			runs = append(runs, r)
		}
	}
	data := fmp4.Marshal(m.seq, runs...)
	clear(m.frames) // they hold on to the packets
	clear(m.samples)
	m.frames = m.frames[:0]
	return m.emit(fragment{stream: m.used, session: session, from: from, to: to, key: first.key, data: data})
}
