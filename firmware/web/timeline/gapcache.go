package timeline

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

// gapCache holds what the log says about the footage of cameras: gaps with their causes, and when only the sub-stream
// was recorded. It reads the log once and then only what was appended: the place of an entry says nothing about the
// time that it is about.
type gapCache struct {
	log     *ledgerdb.Store
	anchors func() clock.Anchors

	reading sync.Mutex // one reader at a time

	mu   sync.Mutex
	size uint64                       // of the log that was read; guarded by mu
	gaps map[string][]packet.NotedGap // by camera, in the order of the log; guarded by mu
	thin map[string][]footage.Span    // by camera; the last may have no end yet; guarded by mu
}

const (
	cacheKept = 400 * 24 * time.Hour // footage that is held may be a year old
	cachePage = 1000
)

func newGapCache(log *ledgerdb.Store, anchors func() clock.Anchors) *gapCache {
	return &gapCache{log: log, anchors: anchors, gaps: map[string][]packet.NotedGap{}, thin: map[string][]footage.Span{}}
}

// Refresh takes in what the log has more.
func (s *gapCache) Refresh(ctx context.Context, now time.Time) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	s.mu.Lock()
	from := s.size
	s.mu.Unlock()
	size := s.log.Size()
	if size == from {
		return nil
	}
	var news []ledger.Entry // newest first
	for before := size; before > from; {
		page, err := s.log.Search(ctx, ledgerdb.Query{Kinds: []ledger.Kind{"footage.gap", "footage.thinned"}, Before: before, Limit: cachePage})
		if err != nil {
			return fmt.Errorf("read the gaps from the log: %w", err)
		}
		for _, e := range page.Entries {
			if e.Seq < from {
				break
			}
			news = append(news, e)
		}
		before = page.Next
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range slices.Backward(news) {
		s.add(e, now)
	}
	s.size = size
	return nil
}

// add adds one entry. The caller holds mu.
func (s *gapCache) add(e ledger.Entry, now time.Time) {
	if e.Kind == "footage.thinned" {
		var d struct {
			On bool `json:"on"`
		}
		if json.Unmarshal(e.Data, &d) != nil {
			return
		}
		list := s.thin[e.Subject]
		open := len(list) > 0 && list[len(list)-1].To.IsZero()
		switch {
		case d.On && !open:
			s.thin[e.Subject] = append(list, footage.Span{From: e.At})
		case !d.On && open:
			list[len(list)-1].To = e.At
		}
		return
	}
	g, err := packet.ReadGap(e)
	if err != nil || g.Span.To.Before(now.Add(-cacheKept)) {
		return // an entry of a version that we do not know explains nothing
	}
	s.gaps[e.Subject] = append(s.gaps[e.Subject], g)
}

// Of gives the gaps and the thin stretches of one camera that touch the span.
func (s *gapCache) Of(camera string, span footage.Span) (gaps []footage.Gap, thin []footage.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	anchors := s.anchors()
	for _, n := range s.gaps[camera] {
		if g := n.Place(anchors); g.Span.Overlaps(span) {
			gaps = append(gaps, g)
		}
	}
	for _, t := range s.thin[camera] {
		if t.To.IsZero() {
			t.To = span.To
		}
		if t.Overlaps(span) {
			thin = append(thin, t.Intersect(span))
		}
	}
	return gaps, thin
}
