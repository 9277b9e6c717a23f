package playback

import (
	"fmt"
	"time"

	"campuskeep/firmware/fmp4"
	"campuskeep/shared/footage"
)

// leadTime is what the pictures before the first one that may be shown are pressed into: a decoder needs them from
// the last key frame on, a player begins behind them.
const leadTime = 100 * time.Millisecond

// cut is one fragment on its way to a browser.
type cut struct {
	at   footage.Span // UTC
	data []byte
}

// fragmentWriter rewrites the fragments of one section where they cannot be sent as recorded: sound that browsers
// cannot play is left out, other sound is made continuous, pictures outside the span are pressed together or left out.
type fragmentWriter struct {
	section *initSection
	span    footage.Span // what may be shown
	lead    bool         // the first fragments may begin before the span
}

// whole says whether fragments can go out as they are but for their times.
func (m *fragmentWriter) whole(cuts []cut) bool {
	if len(m.section.tracks) > 1 || m.section.sound != nil {
		return false
	}
	for _, c := range cuts {
		if c.at.From.Before(m.span.From) || c.at.To.After(m.span.To) {
			return false
		}
	}
	return true
}

// take gives the media of fragments that follow one another. after is the one behind them, which may hold the last of
// their sound, or nil.
func (m *fragmentWriter) take(cuts []cut, after []byte) ([]byte, error) {
	if m.whole(cuts) {
		var out []byte
		for _, c := range cuts {
			n := len(out)
			out = append(out, c.data...)
			if err := fmp4.Shift(out[n:], m.section.by, m.section.tracks); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	var (
		pictures []fmp4.Run
		seqs     []uint32
		bases    []uint64
		heard    audioMuxer
	)
	for _, c := range cuts {
		seq, runs, err := fmp4.Parse(c.data)
		if err != nil {
			return nil, err
		}
		picture, err := m.pictures(runs)
		if err != nil {
			return nil, err
		}
		heard.add(m.section, runs)
		bases = append(bases, picture.Base)
		if picture, err = m.trim(c, picture); err != nil {
			return nil, err
		}
		if len(picture.Samples) > 0 {
			pictures, seqs = append(pictures, picture), append(seqs, seq)
		}
	}
	if len(pictures) == 0 {
		return nil, ErrNoPart
	}
	end := pictures[len(pictures)-1].End()
	if after != nil && m.section.sound != nil {
		_, runs, err := fmp4.Parse(after)
		if err != nil {
			return nil, err
		}
		next, err := m.pictures(runs)
		if err != nil {
			return nil, err
		}
		heard.add(m.section, runs)
		last := cuts[len(cuts)-1]
		limit := moved(bases[len(bases)-1], m.span.To.Sub(last.at.From), m.section.main.Scale)
		end = min(max(end, next.Base), max(limit, end))
	}
	return m.write(pictures, seqs, &heard, end, m.first(cuts[0], pictures[0]))
}

// pictures finds the run of the pictures.
func (m *fragmentWriter) pictures(runs []fmp4.Run) (fmp4.Run, error) {
	for _, r := range runs {
		if r.Track == m.section.main.ID && len(r.Samples) > 0 {
			return r, nil
		}
	}
	return fmp4.Run{}, fmt.Errorf("%w: no pictures", fmp4.ErrForm)
}

// first is the tick from which on sound may be heard: the beginning of the pictures, or of the span where that is
// later.
func (m *fragmentWriter) first(c cut, r fmp4.Run) uint64 {
	if !c.at.From.Before(m.span.From) {
		return r.Base
	}
	return m.section.origin
}

// write puts pictures and sound together and moves both to their place in the viewing.
func (m *fragmentWriter) write(pictures []fmp4.Run, seqs []uint32, heard *audioMuxer, end, first uint64) ([]byte, error) {
	l := m.section
	var out []byte
	if l.sound != nil {
		heard.begin(l, pictures[0].Base, first)
	}
	for i, p := range pictures {
		base := p.Base
		p.Base = moved(base, l.by, l.main.Scale)
		runs := append(make([]fmp4.Run, 0, 2), p)
		if l.sound != nil {
			to := end
			if i+1 < len(pictures) {
				to = pictures[i+1].Base
			}
			if r := heard.flushUntil(l, to, i+1 == len(pictures)); len(r.Samples) > 0 {
				r.Base = moved(r.Base, l.by, l.sound.Scale)
				runs = append(runs, r)
			}
		}
		out = append(out, fmp4.Marshal(seqs[i], runs...)...)
	}
	return out, nil
}

func moved(ticks uint64, by time.Duration, scale uint32) uint64 {
	return uint64(max(int64(ticks)+fmp4.Ticks(by, scale), 0))
}

// trim presses what is before the span into the lead, and leaves out what is behind it.
func (m *fragmentWriter) trim(c cut, r fmp4.Run) (fmp4.Run, error) {
	scale := m.section.main.Scale
	if c.at.To.After(m.span.To) {
		end := r.Base + uint64(max(fmp4.Ticks(m.span.To.Sub(c.at.From), scale), 0))
		r = before(r, end)
	}
	if c.at.From.Before(m.span.From) {
		if !m.lead {
			return fmp4.Run{}, nil
		}
		r = compressTimes(r, m.section.start, m.section.origin, uint64(fmp4.Ticks(m.section.lead, scale)))
	}
	return r, nil
}

// before leaves out the pictures that are shown at a tick or later, with all that are sent after the first of them.
func before(r fmp4.Run, end uint64) fmp4.Run {
	at := r.Base
	for i, s := range r.Samples {
		if int64(at)+int64(s.Offset) >= int64(end) {
			r.Samples = r.Samples[:i]
			return r
		}
		if at+uint64(s.Duration) > end && at < end {
			r.Samples[i].Duration = uint32(end - at)
		}
		at += uint64(s.Duration)
	}
	return r
}

// compressTimes moves all times before to so near to it that the span from start on takes only long. The order of
// decoding and of showing stays.
func compressTimes(r fmp4.Run, start, to, long uint64) fmp4.Run {
	near := func(t int64) int64 {
		if t >= int64(to) || to <= start {
			return t
		}
		return int64(to) - (int64(to)-t)*int64(long)/int64(to-start)
	}
	at := int64(r.Base)
	r.Base = uint64(max(near(at), 0))
	placed := int64(r.Base)
	for i := range r.Samples {
		s := &r.Samples[i]
		next := at + int64(s.Duration)
		shown := near(at + int64(s.Offset))
		s.Offset = int32(shown - placed)
		end := max(near(next), placed+1)
		s.Duration = uint32(end - placed)
		at, placed = next, end
	}
	return r
}
