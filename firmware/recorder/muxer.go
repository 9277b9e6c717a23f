package recorder

import "time"

const (
	videoTrack = 1

	fragmentTime = 1 * clockRate // a fragment closes after at most this, also inside a group of pictures
	frameTime    = clockRate / 25
	// Without a frame for this long nothing was seen: the frame before it does not stand for that time.
	frozenTime = 2500 * time.Millisecond
)

// fragment is one finished piece of a stream.
type fragment struct {
	params   *params       // another pointer when the initialisation section is another
	session  time.Duration // monotonic time at which the time line of its session starts
	from, to time.Duration // monotonic
	key      bool
	data     []byte
}

// frame is one picture that waits for its duration.
type frame struct {
	dts, pts, dur int64
	key           bool
	nals          [][]byte
	size          int // of the nals, each with its length before it
}

// muxer turns access units into fragments. It is used by one goroutine at a time.
type muxer struct {
	time timeline
	now  params  // as last seen in the stream
	used *params // of the fragments made now; nil before the first key frame

	dts     decodeTimer
	lastDTS int64
	session int64

	pending *frame
	frames  []frame // of the fragment in the making
	lastDur int64
	seq     uint32

	emit   func(fragment) error
	frozen func(from, to time.Duration) // nothing was seen between two frames
}

// accessUnit takes the NAL units of one picture with the RTP time it carries and the moment it came.
func (m *muxer) accessUnit(au [][]byte, rtp uint32, arrival time.Duration) error {
	kept := au[:0]
	key, picture := false, false
	for _, nal := range au {
		if len(nal) == 0 {
			continue
		}
		switch m.now.absorb(nal) {
		case unitDrop:
			continue
		case unitKey:
			key, picture = true, true
		case unitSlice:
			picture = true
		}
		kept = append(kept, nal)
	}
	if !picture {
		return nil // parameter sets alone are remembered, the rest says nothing
	}
	if !key && m.used == nil {
		return nil // nothing before the first key frame can be shown
	}
	if key && !m.now.complete() {
		return nil
	}
	pts := m.time.place(rtp, arrival)
	if key && (m.used == nil || !m.used.equal(m.now)) {
		if err := m.restart(pts); err != nil {
			return err
		}
	}
	dts := m.decodeTime(kept, key, pts)
	if err := m.settle(dts); err != nil {
		return err
	}
	if key || (len(m.frames) > 0 && dts+m.lastDur-m.frames[0].dts > fragmentTime) {
		if err := m.flush(); err != nil {
			return err
		}
	}
	m.pending = &frame{dts: dts, pts: pts, key: key, nals: kept}
	for _, nal := range kept {
		m.pending.size += 4 + len(nal)
	}
	return nil
}

// restart begins a new time line: at the first key frame, and whenever the parameter sets change.
func (m *muxer) restart(pts int64) error {
	if err := m.finish(pts); err != nil {
		return err
	}
	p := m.now
	m.used, m.dts = &p, p.timer()
	m.session = max(pts, m.lastDTS+1)
	m.lastDTS = m.session - 1
	return nil
}

// decodeTime gives the decoding time. Times that cannot be computed, after damage, fall back to the order of
// arrival: what matters is that they rise.
func (m *muxer) decodeTime(au [][]byte, key bool, pts int64) int64 {
	if key {
		au = append(m.used.sets(), au...)
	}
	dts, err := m.dts.Extract(au, pts)
	if err != nil {
		m.dts = m.used.timer()
		dts = pts
	}
	dts = max(dts, m.lastDTS+1)
	m.lastDTS = dts
	return dts
}

// settle gives the waiting frame its duration, which is known when the next one has come, and puts it into the
// fragment.
func (m *muxer) settle(next int64) error {
	f := m.pending
	if f == nil {
		return nil
	}
	m.pending = nil
	f.dur = next - f.dts
	frozen := fromTicks(f.dur) > frozenTime && f.dur > 4*m.usual()
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

// usual is how long a frame stands when nothing says better.
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
		if err := m.settle(end); err != nil {
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
	data := marshalFragment(m.seq, uint64(first.dts-m.session), m.frames)
	clear(m.frames) // they hold on to the packets
	m.frames = m.frames[:0]
	return m.emit(fragment{
		params: m.used, session: m.time.mono(m.session), from: m.time.mono(first.dts), to: m.time.mono(last.dts + last.dur),
		key: first.key, data: data,
	})
}
