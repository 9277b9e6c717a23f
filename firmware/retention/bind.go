package retention

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/vault"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// perBind is how many camera-hours of one camera, and how many entries in all, go into one Change.
const perBind = 64

// bind writes a `footage.recorded` entry for every camera-hour that is complete, so that footage is bound
// before anybody asks for it. An hour is complete when a later one has begun, or its boot has ended.
func (r *Retention) bind(ctx context.Context, s state) (entries int, err error) {
	cameras, err := r.o.Vault.Cameras()
	if err != nil {
		r.faults.add("", "retention.index", err)
		return 0, nil
	}
	marks := map[string]bound{}
	err = r.o.Store.View(func(tx ledgerdb.Tx) error {
		for key, b := range bindings.All(tx) {
			camera, _, _ := strings.Cut(key, "/")
			marks[camera] = marks[camera].with(b)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read what is bound: %w", err)
	}
	skip := map[string]bool{}
	for more := true; more; {
		more = false
		var c ledgerdb.Change
		for _, camera := range cameras {
			if skip[camera] {
				continue
			}
			groups, next, rest, err := r.hoursToBind(camera, marks[camera], s)
			if err != nil {
				r.faults.add(camera, "retention.camera", fmt.Errorf("bind: %w", err))
				skip[camera] = true
				continue
			}
			more = more || rest
			if len(groups) == 0 {
				continue
			}
			for _, g := range groups {
				c.Entries = append(c.Entries, draft("footage.recorded", camera, g.data()))
			}
			next.rows(&c, camera, len(marks[camera].Boots))
			marks[camera] = next
			if len(c.Entries) >= perBind {
				more = true
				break
			}
		}
		if len(c.Entries) == 0 {
			break
		}
		if _, err := r.o.Store.Commit(ctx, c); err != nil {
			return entries, fmt.Errorf("bind recorded footage: %w", err)
		}
		entries += len(c.Entries)
	}
	return entries, nil
}

// perBound is how many boots fit one row of what is bound; more are in rows <camera>/<n>.
const perBound = 1000

// with is both, as one.
func (b bound) with(o bound) bound {
	if b.Boots == nil {
		return o
	}
	maps.Copy(b.Boots, o.Boots)
	return b
}

// rows puts a mark into as many rows as it needs, in place of one of so many boots.
func (b bound) rows(c *ledgerdb.Change, camera string, before int) {
	n := 0
	for part := range slices.Chunk(slices.Sorted(maps.Keys(b.Boots)), perBound) {
		row := bound{Boots: map[string]time.Duration{}}
		for _, boot := range part {
			row.Boots[boot] = b.Boots[boot]
		}
		c.Puts = append(c.Puts, bindings.Put(boundKey(camera, n), row))
		n++
	}
	for i := n; i*perBound < before; i++ {
		c.Deletes = append(c.Deletes, bindings.Delete(boundKey(camera, i)))
	}
}

func boundKey(camera string, n int) string {
	if n == 0 {
		return camera
	}
	return fmt.Sprintf("%s/%d", camera, n)
}

// boundIn reads the mark of a camera.
func boundIn(tx ledgerdb.Tx, camera string) (b bound, err error) {
	if b, _, _, err = bindings.Get(tx, camera); err != nil {
		return b, err
	}
	for _, more := range bindings.Prefix(tx, camera+"/") {
		b = b.with(more)
	}
	return b, nil
}

// hoursToBind gathers up to perBind complete hours of a camera behind its mark.
func (r *Retention) hoursToBind(camera string, have bound, s state) (groups []*hourGroup, next bound, more bool, err error) {
	boots, err := r.o.Vault.Boots(camera)
	if err != nil {
		return nil, have, false, err
	}
	next = bound{Boots: map[string]time.Duration{}}
	for _, boot := range boots { // boots without rows are forgotten
		if from, ok := have.Boots[boot]; ok {
			next.Boots[boot] = from
		}
	}
	for _, boot := range boots {
		var open *hourGroup
		start := time.Duration(0)
		if from, ok := next.Boots[boot]; ok {
			start = from + 1
		}
		err := r.o.Vault.RowsFrom(camera, boot, start, func(seg footage.Segment) bool {
			if seg.Boot != boot {
				return false
			}
			p := s.places.Place(seg)
			if h := hourOf(p); open == nil || !open.hour.Equal(h) {
				if open != nil {
					groups = append(groups, open)
				}
				if open = nil; len(groups) == perBind {
					more = true
					return false
				}
				open = &hourGroup{hour: h}
			}
			open.add(seg, p.Span.From, p.Span.To)
			return true
		})
		if err != nil {
			return nil, have, false, err
		}
		if open != nil && s.over(boot, open) {
			groups = append(groups, open)
		}
		for _, g := range groups {
			last := g.rows[len(g.rows)-1]
			next.Boots[last.Boot] = last.From
		}
		if more {
			break
		}
	}
	return groups, next, more, nil
}

// over says whether the newest hour of a boot can get no more segments: the boot has ended, or by its own
// clock the hour has, with time for the last segment to be closed and indexed.
func (s state) over(boot string, g *hourGroup) bool {
	if boot != s.now.Boot {
		return true
	}
	last := g.rows[len(g.rows)-1]
	left := time.Hour - s.places.Place(last).Span.From.Sub(g.hour)
	return s.now.Mono-last.From > left+footage.MaxSegment+time.Minute
}

// Reconcile compares files and index, and enters in the ledger what it found: footage that is gone without
// a deletion, and footage that got its row only now, behind the hours already bound.
func (r *Retention) Reconcile(ctx context.Context) error {
	report, err := r.o.Vault.Reconcile(ctx, func() func(footage.Segment) bool {
		s, err := r.readState() // sweeps go on meanwhile
		return func(seg footage.Segment) bool { return err != nil || errors.Is(s.refuses(seg), footage.ErrCondemned) }
	}, func(missing []footage.Segment) error { return r.enterMissing(ctx, missing) })
	if err != nil {
		return err
	}
	r.usage.recount() // rows came and went behind its back
	return r.commitReconcile(ctx, report)
}

// Mend gives segments that were abandoned after a disk error their rows, and tells the ledger as Reconcile does.
func (r *Retention) Mend(ctx context.Context) error {
	report, err := r.o.Vault.Repair(ctx)
	if len(report.Recovered) > 0 {
		r.usage.recount() // they lie behind the last row counted
	}
	return errors.Join(err, r.commitReconcile(ctx, report))
}

// enterMissing enters files that are gone without a deletion, before their rows go: a row that went without its entry
// would be told by nobody.
func (r *Retention) enterMissing(ctx context.Context, missing []footage.Segment) error {
	var list []ledger.Draft
	for _, seg := range missing {
		list = append(list, draft("footage.damaged", seg.Camera, map[string]any{"file": seg.File.String(), "reason": "missing", "day": seg.Day}))
	}
	return r.enterReconcile(ctx, list)
}

// commitReconcile enters what got its row only now.
func (r *Retention) commitReconcile(ctx context.Context, report vault.Report) error {
	s, err := r.readState()
	if err != nil {
		return err
	}
	late, err := r.lateRecorded(report.Recovered, s)
	if err != nil {
		return err
	}
	return r.enterReconcile(ctx, late)
}

func (r *Retention) enterReconcile(ctx context.Context, list []ledger.Draft) error {
	for part := range slices.Chunk(list, 4*perBind) {
		if _, err := r.o.Store.Commit(ctx, ledgerdb.Change{Entries: part}); err != nil {
			return fmt.Errorf("report a reconcile: %w", err)
		}
	}
	return nil
}

// lateRecorded makes `footage.recorded` entries for segments that came into the index behind the mark of their boot.
func (r *Retention) lateRecorded(segments []footage.Segment, s state) (entries []ledger.Draft, err error) {
	type hour struct {
		camera string
		at     time.Time
	}
	groups := map[hour]*hourGroup{}
	err = r.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, seg := range segments {
			b, err := boundIn(tx, seg.Camera)
			if err != nil {
				return err
			}
			if from, ok := b.Boots[seg.Boot]; !ok || seg.From > from {
				continue
			}
			p := s.places.Place(seg)
			k := hour{seg.Camera, hourOf(p)}
			if groups[k] == nil {
				groups[k] = &hourGroup{hour: k.at}
			}
			groups[k].add(seg, p.Span.From, p.Span.To)
		}
		return nil
	})
	keys := slices.SortedFunc(maps.Keys(groups), func(a, b hour) int { return a.at.Compare(b.at) })
	for _, k := range keys {
		entries = append(entries, draft("footage.recorded", k.camera, groups[k].data()))
	}
	return entries, err
}
