package extraction

import (
	"context"
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

// hours finds for segments the `footage.recorded` entries that bound them. An entry holds the root over the segments of
// one boot in one hour, in the order of recording; which they are follows from what is in the vault.
type hours struct {
	boots   map[string][]footage.Placed // in the order of recording
	leaves  map[string][]packet.Hash
	entries []packet.Bound
	found   map[footage.FileID]*packet.PieceBound
	tried   map[uint64]bool
}

// around is how far beyond a span its hours are looked for.
const around = 2 * time.Hour

// hoursOf reads what binds a camera's footage in a span.
func (x *Extractions) hoursOf(ctx context.Context, camera string, span footage.Span) (*hours, error) {
	h := &hours{boots: map[string][]footage.Placed{}, leaves: map[string][]packet.Hash{}, found: map[footage.FileID]*packet.PieceBound{}, tried: map[uint64]bool{}}
	wide := footage.Span{From: span.From.Add(-around), To: span.To.Add(around)}
	if err := x.o.Present(ctx, camera, wide, func(p footage.Placed) bool {
		h.boots[p.Boot] = append(h.boots[p.Boot], p)
		h.leaves[p.Boot] = append(h.leaves[p.Boot], packet.SegmentLeaf(p.Segment))
		return true
	}); err != nil {
		return nil, fmt.Errorf("list what is in the vault of camera %s: %w", camera, err)
	}
	q := ledgerdb.Query{Kinds: []ledger.Kind{"footage.recorded"}, About: []string{camera}, From: wide.From}
	err := x.o.Store.Each(ctx, q, func(_ ledger.Kind, leaf []byte) error {
		b, err := packet.ReadBound(leaf)
		if err == nil && b.Camera == camera && b.Hour.Before(wide.To) && b.Hour.Add(time.Hour).After(wide.From) {
			h.entries = append(h.entries, b)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find what binds footage of camera %s: %w", camera, err)
	}
	slices.SortFunc(h.entries, func(a, b packet.Bound) int { return a.Hour.Compare(b.Hour) })
	return h, nil
}

// bound places a segment in the tree of its hour; nil when no entry binds it, or when too many of the segments beside
// it are deleted to make its tree again.
func (h *hours) bound(s footage.Segment) *packet.PieceBound {
	if b, ok := h.found[s.File]; ok {
		return b
	}
	rows, leaves := h.boots[s.Boot], h.leaves[s.Boot]
	at := slices.IndexFunc(rows, func(p footage.Placed) bool { return p.File == s.File })
	if at < 0 {
		return nil
	}
	for _, e := range h.entries {
		if h.tried[e.Seq] || e.Count < 1 || e.Count > len(rows) || e.Hour.Sub(rows[at].Span.From).Abs() > around {
			continue
		}
		for i := range len(rows) - e.Count + 1 {
			if i > at || i+e.Count <= at || packet.TreeRoot(leaves[i:i+e.Count]) != e.Root {
				continue
			}
			h.tried[e.Seq] = true
			for k := range e.Count {
				b := &packet.PieceBound{Entry: e.Seq, Index: k, Of: e.Count, Nodes: packet.ProveLeaves(leaves[i:i+e.Count], []uint64{uint64(k)})}
				h.found[rows[i+k].File] = b
			}
			return h.found[s.File]
		}
	}
	h.found[s.File] = nil
	return nil
}

// gapsOf gives the causes of what is missing, as the log has them.
func (j *job) gapsOf(ctx context.Context, camera string, list []footage.Span) (out []packet.ManifestGap, err error) {
	if len(list) == 0 {
		return nil, nil
	}
	q := ledgerdb.Query{Kinds: []ledger.Kind{"footage.gap"}, About: []string{camera}, From: list[0].From.Add(-around)}
	x := j.x
	var known []footage.Gap
	for _, s := range j.damage {
		if s.Camera == camera {
			known = append(known, footage.Gap{Camera: camera, Span: s.Span, Cause: "damaged"})
		}
	}
	err = x.o.Store.Each(ctx, q, func(_ ledger.Kind, leaf []byte) error {
		e, err := ledger.ParseEntry(leaf)
		if err != nil || e.Subject != camera {
			return err
		}
		g, err := packet.ReadGap(e)
		if err == nil {
			known = append(known, g.Place(x.anchors()))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find the causes of gaps of camera %s: %w", camera, err)
	}
	for _, s := range list {
		cause, most := "unknown", time.Duration(0)
		for _, g := range known {
			if d := g.Span.Intersect(s).Duration(); d > most {
				cause, most = string(g.Cause), d
			}
		}
		out = append(out, packet.ManifestGap{Span: footage.Span{From: s.From.UTC(), To: s.To.UTC()}, Cause: cause})
	}
	return out, nil
}

func (x *Extractions) anchors() clock.Anchors {
	if x.o.Anchors == nil {
		return nil
	}
	return x.o.Anchors()
}
