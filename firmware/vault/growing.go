package vault

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"

	"campuskeep/firmware/disk"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

// grown notes how far the file of a segment that is being written can be read.
func (v *Vault) grown(w *Writer) {
	s := w.seg
	s.Bytes, s.Open = w.enc.Size(), true
	v.mu.Lock()
	defer v.mu.Unlock()
	v.growing[w.file] = s
}

// open lists the segments of a camera that are being written, or that wait for their row, in the order of recording.
func (v *Vault) open(camera string) (out []footage.Segment) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.growing {
		if s.Camera == camera {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b footage.Segment) int { return cmp.Compare(a.From, b.From) })
	return out
}

// openSource lists what is being written too.
type openSource struct{ source }

// OpenSource is Source for those who watch: what is being recorded is listed as well, as far as it can be read at that
// moment (Segment.Open), a fragment and the way through the queue behind the camera. OpenSegment gives exactly the
// fragments that a listing counted, also after the segment was closed.
func (v *Vault) OpenSource(places func() footage.Places) footage.Source {
	return openSource{source{v, places}}
}

func (s openSource) Segments(ctx context.Context, camera string, span footage.Span) ([]footage.Placed, error) {
	growing := s.open(camera) // before the rows: what gets its row in between is in both, never in none
	list, err := s.source.Segments(ctx, camera, span)
	if err != nil || len(growing) == 0 {
		return list, err
	}
	places := s.places()
	for _, seg := range growing {
		has := slices.ContainsFunc(list, func(p footage.Placed) bool { return p.File == seg.File })
		if p := places.Place(seg); !has && p.Span.Overlaps(span) {
			list = append(list, p)
		}
	}
	slices.SortStableFunc(list, func(a, b footage.Placed) int { return a.Span.From.Compare(b.Span.From) })
	return list, nil
}

// openGrowing opens a segment that had no row when it was listed. Its fragments up to there are whole in the file,
// which may have been finished since; one that was abandoned is not shown, because nobody knows what the disk holds.
func (v *Vault) openGrowing(f disk.File, size int64, s footage.Segment) (*reader, error) {
	v.mu.Lock()
	_, abandoned := v.abandoned[s.File]
	v.mu.Unlock()
	if abandoned {
		return nil, fs.ErrNotExist
	}
	r, err := v.unseal(dayID{s.Camera, s.Day}, func(key packet.KeyOf) (*packet.Reader, error) {
		return packet.OpenTorn(f, size, key, s.Frags)
	})
	if err != nil {
		return nil, err
	}
	if r.Header.File != s.File || r.Header.Boot != s.Boot {
		return nil, errors.Join(errNotIndexed, packet.ErrDamaged)
	}
	return &reader{r, f, v, s}, nil
}
