package playback

import (
	"context"
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/fmp4"
	"campuskeep/shared/footage"
)

// maxLead is how far before a viewing its first picture may have its key frame. Cameras with smart codecs send one in
// minutes; beyond this the viewing starts with the next one.
const maxLead = 2 * time.Minute

// initSection is one time line: the segments of one recorder session between two gaps.
type initSection struct {
	init   footage.Segment // has the initialisation section of them all
	tracks []fmp4.Track
	main   fmp4.Track // the pictures
	by     time.Duration

	sound    *fmp4.Track // what a browser hears; nil: nothing
	audio    fmp4.Audio
	silence  []byte
	frame    int64  // ticks of silence
	borrowed []byte // the section that sound was taken from, of another line: here it is all silence

	lead   time.Duration // the time that the pictures before the span are given; 0 when there are none
	start  uint64        // tick of the first of them
	origin uint64        // tick where the span begins
}

// newInitSection reads an initialisation section and decides what of it a browser gets: the pictures, and sound that
// browsers play and that we can fill up with silence.
func newInitSection(init []byte) (*initSection, error) {
	tracks, err := fmp4.Tracks(init)
	if err != nil {
		return nil, err
	}
	l := &initSection{tracks: tracks, main: tracks[0]}
	for _, t := range tracks {
		if !t.Sound {
			l.main = t
		} else if data, ticks, a, ok := t.Silence(); ok && l.sound == nil && len(tracks) > 1 {
			l.sound, l.audio, l.silence, l.frame = &t, a, data, ticks
		}
	}
	return l, nil
}

// bytes is the initialisation section as a browser gets it.
func (l *initSection) bytes(init []byte) ([]byte, error) {
	for _, t := range l.tracks {
		var err error
		switch {
		case t.ID == l.main.ID:
		case l.sound == nil || t.ID != l.sound.ID:
			init, err = fmp4.Without(init, t.ID)
		case t.G711():
			init, err = fmp4.AsFLAC(init, t)
		}
		if err != nil {
			return nil, err
		}
	}
	if l.borrowed != nil && l.sound != nil {
		return fmp4.With(init, l.borrowed, l.sound.ID)
	}
	return init, nil
}

// borrowAudio gives the sections without audio the audio track of one that has one, as silence: a browser that has
// begun with sound takes nothing else, and one that has begun without takes none.
func (p *Player) borrowAudio(ctx context.Context, lines []*initSection) error {
	n := slices.IndexFunc(lines, func(l *initSection) bool { return l.sound != nil })
	if n < 0 || !slices.ContainsFunc(lines, func(l *initSection) bool { return l.sound == nil }) {
		return nil
	}
	from := lines[n]
	section, err := p.section(ctx, from)
	if gone(err) {
		return nil // its own parts will say so
	} else if err != nil {
		return err
	}
	for _, l := range lines {
		if l.sound == nil && l.main.ID != from.sound.ID {
			l.sound, l.audio, l.silence, l.frame, l.borrowed = from.sound, from.audio, from.silence, from.frame, section
		}
	}
	return nil
}

// begin starts a line with the first part of a segment.
func (p *Player) begin(ctx context.Context, pl *plan, s footage.Placed, r footage.SegmentReader, first *part, span footage.Span, lead []fragmentRef) error {
	b, err := fragment(r, s.Segment, first.first)
	if err != nil {
		return err
	}
	l, err := newInitSection(r.Init())
	if err != nil {
		return fmt.Errorf("playback: initialisation section of segment %s: %w", s.File, err)
	}
	l.init = s.Segment
	begun, err := fmp4.Begin(b, l.tracks)
	if err != nil {
		return fmt.Errorf("playback: fragment %d of segment %s: %w", first.first, s.File, err)
	}
	at := fragSpan(s, r.Fragments()[first.first])
	if len(lead) > 0 || at.From.Before(span.From) {
		if err := p.compressLead(ctx, l, first, at, begun, span, lead); err != nil {
			return err
		}
		begun += first.from.Sub(at.From) // where the part begins now
	}
	if len(pl.items) == 0 {
		pl.zero = first.from
	}
	l.by = first.from.Sub(pl.zero) - begun
	pl.sections = append(pl.sections, l)
	return nil
}

// compressLead gives the pictures before the span a short time right before it.
func (p *Player) compressLead(ctx context.Context, l *initSection, first *part, at footage.Span, begun time.Duration, span footage.Span, lead []fragmentRef) error {
	from, scale := begun, l.main.Scale
	if len(lead) > 0 {
		cuts, err := p.fetch(ctx, lead[:1])
		if err != nil {
			return err
		}
		if from, err = fmp4.Begin(cuts[0].data, l.tracks); err != nil {
			return fmt.Errorf("playback: fragment %d of segment %s: %w", lead[0].i, lead[0].File, err)
		}
	}
	to := begun + max(span.From.Sub(at.From), 0)
	if from >= to {
		return fmt.Errorf("playback: fragments before the viewing: %w", fmp4.ErrForm)
	}
	l.start, l.origin = uint64(fmp4.Ticks(from, scale)), uint64(fmp4.Ticks(to, scale))
	l.lead = min(leadTime, to-from)
	first.from, first.long = first.from.Add(-l.lead), first.long+l.lead
	return nil
}

// fragmentRef is one fragment of a segment.
type fragmentRef struct {
	footage.Placed
	i int
}

// findLead looks for what the pictures at the beginning of the span need. It says which fragment of the segment is the
// first that shows something of the span, and which fragments are before it, from a key frame on; -1 when that key
// frame is too far away, or gone: then the viewing begins with the next one.
func (p *Player) findLead(ctx context.Context, s footage.Placed, frags []footage.FragmentInfo, span footage.Span) (int, []fragmentRef, error) {
	start := slices.IndexFunc(frags, func(f footage.FragmentInfo) bool { return fragSpan(s, f).Overlaps(span) })
	if start < 0 || frags[start].Key {
		return start, nil, nil
	}
	var lead []fragmentRef
	// back takes the fragments before n, and says whether a key frame was among them and whether to look further.
	next := footage.Placed{Segment: footage.Segment{From: frags[start].From}}
	back := func(s footage.Placed, frags []footage.FragmentInfo, n int) (found, further bool) {
		for i := n - 1; i >= 0; i-- {
			f := frags[i]
			if next.From-f.To > hole || span.From.Sub(fragSpan(s, f).From) > maxLead {
				return false, false
			}
			lead = append(lead, fragmentRef{s, i})
			next.From = f.From
			if f.Key {
				slices.Reverse(lead)
				return true, false
			}
		}
		return false, true
	}
	found, further := back(s, frags, start)
	if found {
		return start, lead, nil
	}
	if !further {
		return -1, nil, nil
	}
	earlier, err := p.src.Segments(ctx, s.Camera, footage.Span{From: span.From.Add(-maxLead), To: s.Span.From})
	if err != nil {
		return -1, nil, fmt.Errorf("playback: segments of %s: %w", s.Camera, err)
	}
	for _, e := range slices.Backward(earlier) {
		if e.File == s.File || !e.Span.From.Before(s.Span.From) {
			continue
		}
		if e.Boot != s.Boot || e.Session != s.Session {
			break
		}
		infos, err := p.infos(ctx, e)
		if gone(err) {
			break
		} else if err != nil {
			return -1, nil, err
		}
		if found, further = back(e, infos, len(infos)); found {
			return start, lead, nil
		} else if !further {
			break
		}
	}
	return -1, nil, nil
}

// infos lists the fragments of a segment.
func (p *Player) infos(ctx context.Context, s footage.Placed) (infos []footage.FragmentInfo, err error) {
	err = p.reading(ctx, s.Segment, func(r footage.SegmentReader) error {
		infos = r.Fragments()
		return nil
	})
	return infos, err
}

// fetch reads fragments; those of one segment follow one another.
func (p *Player) fetch(ctx context.Context, places []fragmentRef) (cuts []cut, err error) {
	for len(places) > 0 {
		n := 1
		for n < len(places) && places[n].File == places[0].File {
			n++
		}
		if cuts, err = p.fetchOf(ctx, places[:n], cuts); err != nil {
			return nil, err
		}
		places = places[n:]
	}
	return cuts, nil
}

func (p *Player) fetchOf(ctx context.Context, places []fragmentRef, cuts []cut) (_ []cut, err error) {
	s := places[0].Placed
	err = p.reading(ctx, s.Segment, func(r footage.SegmentReader) error {
		frags := r.Fragments()
		for _, x := range places {
			if x.i >= len(frags) {
				return fmt.Errorf("playback: segment %s has %d fragments now, %d were listed", s.File, len(frags), x.i+1)
			}
			b, err := fragment(r, s.Segment, x.i)
			if err != nil {
				return err
			}
			cuts = append(cuts, cut{fragSpan(s, frags[x.i]), b})
		}
		return nil
	})
	return cuts, err
}
