package nvr

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"campuskeep/firmware/nvr/driver"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/footage"
)

// ErrNotFetched: the footage lies on the NVR only. It can be shown once it was fetched.
var ErrNotFetched = fmt.Errorf("nvr: the footage has not been fetched: %w", fs.ErrNotExist)

// listedPiece is a piece of a camera's footage with the NVR and the track that it lies on.
type listedPiece struct {
	footage.Placed
	nvr   string
	track driver.TrackID
}

// pieces lists what the last check listed of a camera and overlaps the span, oldest first.
func (r *Supervisor) pieces(camera string, span footage.Span) ([]footage.Placed, error) {
	list, err := r.listed(camera, span)
	var out []footage.Placed
	for _, h := range list {
		out = append(out, h.Placed)
	}
	return out, err
}

// listed is [Supervisor.pieces] with the place of each. The register decides what counts: what a channel showed while the camera
// was on it, of the present machine, as long as that is in service.
func (r *Supervisor) listed(camera string, span footage.Span) (out []listedPiece, err error) {
	register := map[string]Device{}
	for _, d := range r.Devices() {
		register[d.ID] = d
	}
	err = r.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, row := range days.Prefix(tx, camera+"/") {
			if d, ok := register[row.NVR]; ok && !d.Retired && d.Swaps == row.Swaps {
				out = append(out, row.pieces(r.Kind(d), d, camera, span)...)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list of camera %s: %w", camera, err)
	}
	slices.SortStableFunc(out, func(a, b listedPiece) int { return byStart(a.Placed, b.Placed) })
	return out, nil
}

// pieces gives the row's pieces as far as the camera was on their channel.
func (row dayRow) pieces(k driver.Kind, d Device, camera string, span footage.Span) (out []listedPiece) {
	for _, w := range d.assignments(camera) {
		if k.Track(w.Channel) != row.Track {
			continue
		}
		for _, p := range row.Pieces {
			s := w.clip(footage.Span{From: time.Unix(p[0], 0).UTC(), To: time.Unix(p[1], 0).UTC()})
			if s.From.Before(s.To) && s.Overlaps(span) {
				q := piece(d.ID, camera, row.Track, row.Codec, s, time.Duration(row.Unsure))
				q.Bytes = estimatedSize(row.Kbps, s.Duration())
				out = append(out, listedPiece{q, d.ID, row.Track})
			}
		}
	}
	return out
}

// estimatedSize is the size of footage once it is fetched: an NVR does not report it; the rate of its stream gives it.
func estimatedSize(kbps int, d time.Duration) int64 {
	if kbps <= 0 {
		kbps = usualKbps
	}
	return int64(float64(kbps) * 125 * d.Seconds())
}

// usualKbps is the rate of a stream whose NVR reports none.
const usualKbps = 4096

// rates are the rates of what is recorded, by track.
func rates(k driver.Kind, channels []driver.Channel) map[driver.TrackID]int {
	out := map[driver.TrackID]int{}
	for _, c := range channels {
		for _, s := range c.Streams {
			if s.ID == k.Stream(c.ID, 1) {
				out[k.Track(c.ID)] = s.Kbps
			}
		}
	}
	return out
}

// online says of which tracks the NVR sees the camera, as far as it reports.
func online(k driver.Kind, channels []driver.Channel) map[driver.TrackID]bool {
	out := map[driver.TrackID]bool{}
	for _, c := range channels {
		if c.Online != nil {
			out[k.Track(c.ID)] = *c.Online
		}
	}
	return out
}

func byStart(a, b footage.Placed) int { return a.Span.From.Compare(b.Span.From) }

// Source gives what NVRs hold beside what the vault holds, which inner gives: fetched spans lie there, and are in
// place of what the NVR lists of the same time. Cameras of no NVR come from inner alone.
func (r *Supervisor) Source(inner footage.Source) footage.Source { return source{r, inner} }

type source struct {
	r     *Supervisor
	inner footage.Source
}

// Segments implements footage.Source.
func (s source) Segments(ctx context.Context, camera string, span footage.Span) ([]footage.Placed, error) {
	out, err := s.inner.Segments(ctx, camera, span)
	if err == nil {
		out, err = s.r.withoutMisassigned(camera, out)
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
