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
	m := remix{line: pl.lines[it.line], span: v.Span, lead: n == 0 && i == 0 && pl.lines[0].lead > 0}
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
	if after == nil && m.line.sound != nil && n+1 < len(pl.items) && i == len(it.parts)-1 && pl.items[n+1].line == it.line {
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
func (p *Player) partOf(ctx context.Context, it item, pt part, m *remix, cuts []cut) (_ []cut, after []byte, err error) {
	r, err := p.src.OpenSegment(ctx, it.Segment)
	if err != nil {
		return nil, nil, fmt.Errorf("playback: open segment %s: %w", it.File, err)
	}
	defer func() {
		if closeErr := r.Close(); closeErr != nil {
			err = errors.Join(err, fmt.Errorf("playback: close segment %s: %w", it.File, closeErr))
		}
	}()
	frags := r.Fragments()
	if pt.end < 0 {
		pt.end = len(frags)
	}
	if pt.end > len(frags) {
		return nil, nil, fmt.Errorf("playback: segment %s has %d fragments now, %d were listed", it.File, len(frags), pt.end)
	}
	for k := pt.first; k < pt.end; k++ {
		at := fragSpan(it.Placed, frags[k])
		if !at.Overlaps(m.span) || (at.From.Before(m.span.From) && !m.lead) {
			continue // the index was wrong about the ends of the segment; the span is the law
		}
		b, err := r.Fragment(k)
		if err != nil {
			return nil, nil, fmt.Errorf("playback: fragment %d of segment %s: %w", k, it.File, err)
		}
		cuts = append(cuts, cut{at, b})
	}
	if m.line.sound != nil && pt.end < len(frags) {
		if after, err = r.Fragment(pt.end); err != nil {
			return nil, nil, fmt.Errorf("playback: fragment %d of segment %s: %w", pt.end, it.File, err)
		}
	}
	return cuts, after, nil
}

// opening is the first fragment of an item; nil when it cannot be had: then the last sound before it is missing.
func (p *Player) opening(ctx context.Context, it item) ([]byte, error) {
	cuts, err := p.fetch(ctx, []place{{it.Placed, it.parts[0].first}})
	if gone(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return cuts[0].data, nil
}
