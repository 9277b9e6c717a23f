package recorder

import (
	"time"

	"campuskeep/firmware/fmp4"
)

const (
	// Sound that waits for pictures: when the camera sends no pictures any more, the oldest sound goes.
	maxPieces     = 2048
	maxSoundBytes = 1 << 20
	// Sound is never kept beside pictures that are this much younger.
	soundLate = 2 * time.Second
	// After a jump sound goes on where its clock says, if that is within this of when it came.
	soundSlack = 500 * time.Millisecond
)

// piece is one access unit of sound.
type piece struct {
	at    int64 // ticks of the sound's own time line
	ticks int64 // how long it is
	data  []byte
}

// sound collects the sound of a session until the pictures of the same moment make a fragment. It never makes the
// pictures wait: sound that comes later than they do goes into the fragment after.
type sound struct {
	audio fmp4.Audio
	time  timeline
	queue []piece
	bytes int
	last  int64 // tick of the last piece
}

func newSound(a fmp4.Audio) *sound {
	s := &sound{audio: a}
	s.time.scale, s.time.loose = int64(a.Rate), fmp4.Ticks(soundSlack, uint32(a.Rate))
	s.last = -1 << 62
	return s
}

// take takes pieces that follow one another, with the RTP time of the first and the moment they came. What is no
// sound, and what does not follow what came before, is left out.
func (s *sound) take(pieces [][]byte, rtp uint32, arrival time.Duration) {
	var long int64
	for _, data := range pieces {
		long += s.audio.Ticks(data)
	}
	if long <= 0 || long > s.time.scale {
		return
	}
	at := s.time.place(rtp, arrival-fmp4.FromTicks(long, uint32(s.time.scale)))
	for _, data := range pieces {
		ticks := s.audio.Ticks(data)
		if ticks > 0 && at > s.last {
			s.queue = append(s.queue, piece{at, ticks, data})
			s.bytes += len(data)
			s.last = at
		}
		at += ticks
	}
	for len(s.queue) > maxPieces || s.bytes > maxSoundBytes {
		s.drop(1)
	}
}

// drop forgets the oldest pieces.
func (s *sound) drop(n int) {
	for _, p := range s.queue[:n] {
		s.bytes -= len(p.data)
	}
	clear(s.queue[:n]) // they hold on to the packets
	s.queue = s.queue[n:]
	if len(s.queue) == 0 {
		s.queue = nil
	}
}

// run gives the sound up to the end of a fragment, counted from the beginning of the session. Sound that came much
// later than the pictures beside it is forgotten.
func (s *sound) run(session, from, to time.Duration) (fmp4.Run, bool) {
	scale := uint32(s.time.scale)
	ticks := func(d time.Duration) int64 { return fmp4.Ticks(d-s.time.start, scale) }
	zero, oldest, end := ticks(session), ticks(from-soundLate), ticks(to)
	n := 0
	for n < len(s.queue) && (s.queue[n].at < zero || s.queue[n].at < oldest) {
		n++
	}
	s.drop(n)
	for n = 0; n < len(s.queue) && s.queue[n].at < end; n++ {
	}
	if n == 0 {
		return fmp4.Run{}, false
	}
	r := fmp4.Run{Track: fmp4.AudioTrack, Base: uint64(s.queue[0].at - zero), Samples: make([]fmp4.Sample, n)}
	for i, p := range s.queue[:n] {
		long := p.ticks
		if i+1 < n {
			long = s.queue[i+1].at - p.at
		}
		r.Samples[i] = fmp4.Sample{Duration: uint32(long), Key: true, Data: p.data}
	}
	s.drop(n)
	return r, true
}
