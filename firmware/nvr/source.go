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

// held is a piece of a camera's footage with the NVR and the track that it lies on.
type held struct {
	footage.Placed
	nvr   string
	track int
}

// pieces lists what the last check listed of a camera and overlaps the span, oldest first.
func (r *Room) pieces(camera string, span footage.Span) ([]footage.Placed, error) {
	list, err := r.held(camera, span)
	var out []footage.Placed
	for _, h := range list {
		out = append(out, h.Placed)
	}
	return out, err
}

// held is [Room.pieces] with where each lies. The register decides what counts: what a channel showed while the camera
// was on it, of the machine that stands there now, as long as that is in service.
func (r *Room) held(camera string, span footage.Span) (out []held, err error) {
	register := map[string]Device{}
	for _, d := range r.Devices() {
		register[d.ID] = d
	}
	err = r.o.Store.View(func(tx store.Tx) error {
		for _, row := range days.Prefix(tx, camera+"/") {
			if d, ok := register[row.NVR]; ok && !d.Retired && d.Swaps == row.Swaps {
				out = append(out, row.held(d, camera, span)...)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing of camera %s: %w", camera, err)
	}
	slices.SortStableFunc(out, func(a, b held) int { return byStart(a.Placed, b.Placed) })
	return out, nil
}

// held gives the row's pieces as far as the camera was on their channel.
func (row dayRow) held(d Device, camera string, span footage.Span) (out []held) {
	for _, w := range d.wires(camera) {
		if mainTrack(w.Channel) != row.Track {
			continue
		}
		for _, p := range row.Pieces {
			s := w.cut(footage.Span{From: time.Unix(p[0], 0).UTC(), To: time.Unix(p[1], 0).UTC()})
			if s.From.Before(s.To) && s.Overlaps(span) {
				q := piece(d.ID, camera, row.Track, row.Codec, s, time.Duration(row.Unsure))
				q.Bytes = sizeOf(row.Kbps, s.Duration())
				out = append(out, held{q, d.ID, row.Track})
			}
		}
	}
	return out
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

// online says of which channels the NVR sees the camera, as far as it tells.
func online(channels []Channel) map[int]bool {
	out := map[int]bool{}
	for _, c := range channels {
		if c.Online != nil {
			out[c.ID] = *c.Online
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
	if err == nil {
		out, err = s.r.ours(camera, out)
	}
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
