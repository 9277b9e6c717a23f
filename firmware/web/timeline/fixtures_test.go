package timeline

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/footage"
)

var shanghai = func() *time.Location {
	l, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		panic(err)
	}
	return l
}()

// The tests' present: Wednesday 20 May 2026, 9:42 at the school.
var present = time.Date(2026, 5, 20, 9, 42, 0, 0, shanghai)

func at(day, hour, minute int) time.Time {
	return time.Date(2026, 5, day, hour, minute, 0, 0, shanghai)
}

// film is footage of one minute per segment for the last thirty days, with gaps.
type film struct {
	clock *clocktest.Clock
	gaps  map[string][]footage.Span
}

func (f film) Segments(_ context.Context, camera string, span footage.Span) (out []footage.Placed, _ error) {
	now := f.clock.Now().Wall
	first := now.Add(-30*24*time.Hour - time.Hour)
	for at := span.From.Truncate(time.Minute); at.Before(span.To) && at.Before(now); at = at.Add(time.Minute) {
		s := footage.Span{From: at, To: at.Add(time.Minute)}
		if s.To.After(now) {
			s.To = now
		}
		lost := at.Before(first)
		for _, g := range f.gaps[camera] {
			lost = lost || g.Overlaps(s)
		}
		if lost {
			continue
		}
		id := footage.FileID{camera[len(camera)-1]}
		binary.BigEndian.PutUint64(id[8:], uint64(at.Unix()))
		out = append(out, footage.Placed{Segment: footage.Segment{Camera: camera, File: id, Bytes: 12000, Wall: at}, Span: s, Anchored: true})
	}
	return out, nil
}

func (film) OpenSegment(context.Context, footage.Segment) (footage.SegmentReader, error) {
	return nil, errors.New("this film is not for opening")
}
