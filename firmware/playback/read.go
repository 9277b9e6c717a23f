package playback

import (
	"context"
	"errors"
	"fmt"

	"campuskeep/firmware/fmp4"
	"campuskeep/shared/footage"
)

// read gives one part of a planned segment, and the span of what it holds.
func (p *Player) read(ctx context.Context, v *viewing, pl *plan, segment string, i int) (media []byte, span footage.Span, err error) {
	n, ok := pl.index[segment]
	if !ok || i < 0 || i >= len(pl.items[n].parts) {
		return nil, span, ErrNoPart
	}
	it := pl.items[n]
	pt := it.parts[i]
	r, err := p.src.OpenSegment(ctx, it.Segment)
	if err != nil {
		return nil, span, fmt.Errorf("playback: open segment %s: %w", it.File, err)
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
		return nil, span, fmt.Errorf("playback: segment %s has %d fragments now, %d were listed", it.File, len(frags), pt.end)
	}
	size := 0
	for _, f := range frags[pt.first:pt.end] {
		size += f.Bytes
	}
	media = make([]byte, 0, size)
	for k := pt.first; k < pt.end; k++ {
		at := fragSpan(it.Placed, frags[k])
		if at.From.Before(v.Span.From) || at.To.After(v.Span.To) {
			continue // the index was wrong about the ends of the segment; the span is the law
		}
		b, err := r.Fragment(k)
		if err != nil {
			return nil, span, fmt.Errorf("playback: fragment %d of segment %s: %w", k, it.File, err)
		}
		n := len(media)
		media = append(media, b...)
		l := pl.lines[it.line]
		if err := fmp4.Shift(media[n:], l.by, l.tracks); err != nil {
			return nil, span, fmt.Errorf("playback: fragment %d of segment %s: %w", k, it.File, err)
		}
		if span.From.IsZero() {
			span = at
		}
		span.To = at.To
	}
	if len(media) == 0 {
		return nil, span, ErrNoPart
	}
	return media, span, nil
}
