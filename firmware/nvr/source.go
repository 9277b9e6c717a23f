package nvr

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"campuskeep/firmware/store"
	"campuskeep/shared/footage"
)

// ErrNotFetched: the footage lies on the NVR only. It can be shown once it was fetched.
var ErrNotFetched = fmt.Errorf("nvr: the footage has not been fetched: %w", fs.ErrNotExist)

// pieces lists what the last check listed of a camera and overlaps the span, oldest first.
func (r *Room) pieces(camera string, span footage.Span) (out []footage.Placed, err error) {
	err = r.o.Store.View(func(tx store.Tx) error {
		for _, d := range days.Prefix(tx, camera+"/") {
			for _, p := range d.Pieces {
				s := footage.Span{From: time.Unix(p[0], 0).UTC(), To: time.Unix(p[1], 0).UTC()}
				if s.Overlaps(span) {
					q := piece(d.NVR, camera, d.Track, d.Codec, s, time.Duration(d.Unsure))
					q.Bytes = sizeOf(d.Kbps, s.Duration())
					out = append(out, q)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing of camera %s: %w", camera, err)
	}
	slices.SortStableFunc(out, byStart)
	return out, nil
}

// sizeOf is what footage is about to weigh once it is fetched: an NVR does not tell, the rate of its stream does.
func sizeOf(kbps int, d time.Duration) int64 {
	if kbps <= 0 {
		kbps = usualKbps
	}
	return int64(float64(kbps) * 125 * d.Seconds())
}

// usualKbps is the rate of a stream whose NVR tells none.
const usualKbps = 4096

// rates are the rates of what is recorded, by channel.
func rates(channels []Channel) map[int]int {
	out := map[int]int{}
	for _, c := range channels {
		for _, s := range c.Streams {
			if s.ID == mainTrack(c.ID) {
				out[c.ID] = s.Kbps
			}
		}
	}
	return out
}

func byStart(a, b footage.Placed) int { return a.Span.From.Compare(b.Span.From) }

// Source gives what NVRs hold beside what the vault holds, which inner gives: fetched spans lie there, and stand in
// place of what the NVR lists of the same time. Cameras of no NVR come from inner alone.
func (r *Room) Source(inner footage.Source) footage.Source { return source{r, inner} }

type source struct {
	r     *Room
	inner footage.Source
}

// Segments implements footage.Source.
func (s source) Segments(ctx context.Context, camera string, span footage.Span) ([]footage.Placed, error) {
	out, err := s.inner.Segments(ctx, camera, span)
	if err != nil {
		return nil, err
	}
	listed, err := s.r.pieces(camera, span)
	if err != nil || len(listed) == 0 {
		return out, err
	}
	taken := make([]footage.Span, len(out))
	for i, p := range out {
		taken[i] = p.Span
	}
	for _, p := range listed {
		for _, left := range subtract(p.Span, taken, footage.Joined) {
			q := p
			q.Span, q.Wall = left, left.From
			q.Bytes = int64(float64(p.Bytes) * left.Duration().Seconds() / max(1, p.Span.Duration().Seconds()))
			q.From, q.To = time.Duration(left.From.UnixNano()), time.Duration(left.To.UnixNano())
			out = append(out, q)
		}
	}
	slices.SortStableFunc(out, byStart)
	return out, nil
}

// OpenSegment implements footage.Source.
func (s source) OpenSegment(ctx context.Context, seg footage.Segment) (footage.SegmentReader, error) {
	if seg.Custody == footage.CustodyNVR {
		return nil, ErrNotFetched
	}
	return s.inner.OpenSegment(ctx, seg)
}
