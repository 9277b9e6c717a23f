package playback

import (
	"slices"

	"campuskeep/firmware/fmp4"
)

// audioMuxer collects the audio of some fragments. A browser that gets audio must get it without holes: in a hole it
// shows no pictures either. So holes are filled with silence; the sound that was recorded is not changed.
type audioMuxer struct {
	pieces []audioSample
	at     int64 // end of the sound so far
	fresh  bool  // there is none yet
}

type audioSample struct {
	at, long int64
	data     []byte
}

// add takes the sound of a fragment.
func (v *audioMuxer) add(l *initSection, runs []fmp4.Run) {
	if l.sound == nil || l.borrowed != nil {
		return
	}
	for _, r := range runs {
		if r.Track != l.sound.ID {
			continue
		}
		at := int64(r.Base)
		for _, s := range r.Samples {
			// A piece that is said to last much longer than it does has a hole behind it.
			long := l.audio.Ticks(s.Data)
			if d := int64(s.Duration); long <= 0 || d < long*3/2 {
				long = d
			}
			data, ok := s.Data, true
			if l.sound.G711() {
				data, ok = l.sound.FLAC(data)
			}
			if ok {
				v.pieces = append(v.pieces, audioSample{at, long, data})
			}
			at += int64(s.Duration)
		}
	}
	slices.SortStableFunc(v.pieces, func(a, b audioSample) int { return int(max(min(a.at-b.at, 1), -1)) })
}

// begin says where the sound of these pictures begins, and from which of their ticks on it may be heard.
func (v *audioMuxer) begin(l *initSection, from, first uint64) {
	v.at = l.soundTick(from)
	audible := l.soundTick(max(from, first))
	v.pieces = slices.DeleteFunc(v.pieces, func(u audioSample) bool { return u.at < audible })
	v.fresh = true
}

func (l *initSection) soundTick(t uint64) int64 {
	return int64(t * uint64(l.sound.Scale) / uint64(l.main.Scale))
}

// flushUntil gives the sound up to a tick of the pictures, without holes. At the end of a part the sound behind it, which
// the next part will give, says how far it has to reach.
func (v *audioMuxer) flushUntil(l *initSection, to uint64, last bool) fmp4.Run {
	r := fmp4.Run{Track: l.sound.ID, Base: uint64(v.at)}
	end := l.soundTick(to)
	for len(v.pieces) > 0 && v.pieces[0].at < end {
		p := v.pieces[0]
		v.pieces = v.pieces[1:]
		if !v.fresh && p.at+p.long/2 < v.at {
			continue // said twice
		}
		v.fillGap(l, &r, p.at)
		r.Samples = append(r.Samples, fmp4.Sample{Duration: uint32(p.long), Key: true, Data: p.data})
		v.at = p.at + p.long
	}
	switch {
	case !last:
	case len(v.pieces) > 0 && v.pieces[0].at-v.at <= l.frame*3/2 && len(r.Samples) > 0:
		v.fillGap(l, &r, v.pieces[0].at)
	case end > v.at:
		r.Samples = append(r.Samples, l.silentSamples(end-v.at)...)
	}
	return r
}

// fillGap closes what is between the sound so far and a tick: rounding by what is heard before it, a hole by silence.
func (v *audioMuxer) fillGap(l *initSection, r *fmp4.Run, at int64) {
	hole, n := at-v.at, len(r.Samples)
	switch {
	case hole > l.frame*3/2 || v.fresh && hole >= l.frame:
		r.Samples = append(r.Samples, l.silentSamples(hole)...)
	case n > 0:
		r.Samples[n-1].Duration = uint32(max(int64(r.Samples[n-1].Duration)+hole, 1))
	default:
		r.Base = uint64(at)
	}
	v.fresh = false
}

// maxSilentSamples is how many pieces of silence follow one another at most: minutes, while a part lasts one.
const maxSilentSamples = 20000

// silentSamples is so much silence.
func (l *initSection) silentSamples(long int64) []fmp4.Sample {
	n := min(max((long+l.frame/2)/l.frame, 1), maxSilentSamples)
	out := make([]fmp4.Sample, n)
	for i := range out {
		to, from := long/n*int64(i+1)+long%n*int64(i+1)/n, long/n*int64(i)+long%n*int64(i)/n
		out[i] = fmp4.Sample{Duration: uint32(to - from), Key: true, Data: l.silence}
	}
	return out
}
