package playback

import (
	"context"
	"errors"
	"fmt"

	"campuskeep/shared/footage"
)

// read gives one part of a planned segment, and the span of what it holds: all that a player gets, also the pictures
// before the viewing that it needs to decode the first of them.
func (p *Player) read(ctx context.Context, v *viewing, pl *plan, segment string, i int) (media []byte, span footage.Span, err error) {
	n, ok := pl.index[segment]
	if !ok || i < 0 || i >= len(pl.items[n].parts) {
		return nil, span, ErrNoPart
	}
	it := pl.items[n]
	m := fragmentWriter{section: pl.sections[it.section], span: v.Span, lead: n == 0 && i == 0 && pl.sections[0].lead > 0}
	var cuts []cut
	if m.lead {
		if cuts, err = p.fetch(ctx, pl.lead); err != nil {
			return nil, span, err
		}
	}
	cuts, after, err := p.partOf(ctx, it, it.parts[i], &m, cuts)
	if err != nil {
		return nil, span, err
	}
	if after == nil && m.section.sound != nil && n+1 < len(pl.items) && i == len(it.parts)-1 && pl.items[n+1].section == it.section {
		if after, err = p.opening(ctx, pl.items[n+1]); err != nil {
			return nil, span, err
		}
	}
	if len(cuts) == 0 {
		return nil, span, ErrNoPart
	}
	if media, err = m.take(cuts, after); err != nil {
		return nil, span, fmt.Errorf("playback: part %d of segment %s: %w", i, it.File, err)
	}
	span = footage.Span{From: cuts[0].at.From, To: cuts[len(cuts)-1].at.To}
	if span.To.After(v.Span.To) {
		span.To = v.Span.To
	}
	return media, span, nil
}

// partOf adds the fragments of a part to cuts. after is the fragment behind them, when there is sound in it.
func (p *Player) partOf(ctx context.Context, it item, pt part, m *fragmentWriter, cuts []cut) (_ []cut, after []byte, err error) {
	err = p.reading(ctx, it.Segment, func(r footage.SegmentReader) error {
		frags := r.Fragments()
		if pt.end < 0 {
			pt.end = len(frags)
		}
		if pt.end > len(frags) {
			return fmt.Errorf("playback: segment %s has %d fragments now, %d were listed", it.File, len(frags), pt.end)
		}
		for k := pt.first; k < pt.end; k++ {
			at := fragSpan(it.Placed, frags[k])
			if !at.Overlaps(m.span) || (at.From.Before(m.span.From) && !m.lead) {
				continue // the index was wrong about the ends of the segment; the span is the law
			}
			b, err := fragment(r, it.Segment, k)
			if err != nil {
				return err
			}
			cuts = append(cuts, cut{at, b})
		}
		if m.section.sound != nil && pt.end < len(frags) {
			after, err = fragment(r, it.Segment, pt.end)
			return err
		}
		return nil
	})
	return cuts, after, err
}

// reading opens a segment for use.
func (p *Player) reading(ctx context.Context, s footage.Segment, use func(footage.SegmentReader) error) (err error) {
	r, err := p.src.OpenSegment(ctx, s)
	if err != nil {
		return fmt.Errorf("playback: open segment %s: %w", s.File, err)
	}
	defer func() {
		if closeErr := r.Close(); closeErr != nil {
			err = errors.Join(err, fmt.Errorf("playback: close segment %s: %w", s.File, closeErr))
		}
	}()
	return use(r)
}

// fragment reads one fragment of an open segment.
func fragment(r footage.SegmentReader, s footage.Segment, i int) ([]byte, error) {
	b, err := r.Fragment(i)
	if err != nil {
		return nil, fmt.Errorf("playback: fragment %d of segment %s: %w", i, s.File, err)
	}
	return b, nil
}

// opening is the first fragment of an item; nil when it cannot be had: then the last sound before it is missing.
func (p *Player) opening(ctx context.Context, it item) ([]byte, error) {
	cuts, err := p.fetch(ctx, []fragmentRef{{it.Placed, it.parts[0].first}})
	if gone(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return cuts[0].data, nil
}
