package centredb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/shared/ledger"
	"campuskeep/shared/wire/protocol"
)

// clockSlack is how far the time that entries claim may run against their order: a clock that was set.
const clockSlack = 48 * time.Hour

// where narrows a query on leaves. A filter on time first finds the run of leaves that may match, so that a page
// does not read the whole log; the filter itself is exact.
func (x *tx) where(f EntryFilter, p protocol.Piece) (cond string, args []any, err error) {
	if p.From, p.To, err = x.narrow(f, p); err != nil {
		return "", nil, err
	}
	cond, args = "app = ? AND epoch = ? AND seq >= ? AND seq < ?", []any{x.app, p.Epoch, p.From, p.To}
	if len(f.Kinds) > 0 {
		var alts []string
		for _, k := range f.Kinds {
			if strings.HasSuffix(k, ".") {
				alts = append(alts, "kind >= ? AND kind < ?")
				args = append(args, k, strings.TrimSuffix(k, ".")+"/") // "/" follows "."
			} else {
				alts = append(alts, "kind = ?")
				args = append(args, k)
			}
		}
		cond += " AND (" + strings.Join(alts, " OR ") + ")"
	}
	if f.Subject != "" {
		cond += " AND subject = ?"
		args = append(args, f.Subject)
	}
	if !f.From.IsZero() {
		cond += " AND at >= ?"
		args = append(args, millis(f.From))
	}
	if !f.To.IsZero() {
		cond += " AND at < ?"
		args = append(args, millis(f.To))
	}
	if f.Marked {
		cond += " AND mark <> ''"
	}
	return cond, args, nil
}

func (x *tx) narrow(f EntryFilter, p protocol.Piece) (from, to uint64, err error) {
	from, to = p.From, p.To
	if !f.From.IsZero() {
		if from, err = x.firstAt(p, f.From.Add(-clockSlack)); err != nil {
			return 0, 0, err
		}
	}
	if !f.To.IsZero() {
		if to, err = x.firstAt(p, f.To.Add(clockSlack)); err != nil {
			return 0, 0, err
		}
	}
	return from, to, nil
}

// firstAt finds by halving the first leaf of a piece that claims a time from t on.
func (x *tx) firstAt(p protocol.Piece, t time.Time) (uint64, error) {
	lo, hi := p.From, p.To
	for lo < hi {
		mid := lo + (hi-lo)/2
		var at int64
		if err := x.row("SELECT at FROM leaves WHERE app = ? AND epoch = ? AND seq = ?", x.app, p.Epoch, mid).Scan(&at); err != nil {
			return 0, fmt.Errorf("leaf %d: %w", mid, err)
		}
		if at < millis(t) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, nil
}

// epochSpans says where to look: the newest chain, or one epoch alone.
func (x *tx) epochSpans(f EntryFilter) ([]protocol.Piece, error) {
	if f.Epoch == 0 {
		_, pieces, err := x.chain()
		return pieces, err
	}
	c, ok, err := x.Cursor(f.Epoch)
	if err != nil || !ok {
		return nil, err
	}
	return []protocol.Piece{{Epoch: c.Epoch, From: c.Fork, To: c.Stored()}}, nil
}

const entryColumns = "SELECT epoch, seq, stored_at, mark, leaf FROM leaves WHERE "

func (x *tx) scanEntry(scan func(...any) error) (e Entry, err error) {
	var stored int64
	if err := scan(&e.Epoch, &e.Seq, &stored, &e.Mark, &e.Leaf); err != nil {
		return e, err
	}
	e.StoredAt = instant(stored)
	if e.Mark == "" || e.Mark == MarkKind || e.Mark == MarkSeq {
		if e.Entry, err = ledger.ParseEntry(e.Leaf); err != nil {
			return e, fmt.Errorf("%w: leaf %d of epoch %d", ErrDamaged, e.Seq, e.Epoch)
		}
	}
	return e, nil
}

// Entries lists newest first.
func (s *DB) Entries(ctx context.Context, appliance string, f EntryFilter, p Page) (out []Entry, err error) {
	limit := clampLimit(p.Limit)
	err = s.view(ctx, appliance, func(x *tx) error {
		pieces, err := x.epochSpans(f)
		if err != nil {
			return err
		}
		for _, piece := range slices.Backward(pieces) {
			if p.Before > 0 {
				piece.To = min(piece.To, p.Before)
			}
			if piece.From >= piece.To || len(out) >= limit {
				continue
			}
			if out, err = x.entries(out, f, piece, limit); err != nil {
				return err
			}
		}
		for i := range out {
			out[i].Appliance = appliance
			if out[i].Parts, err = x.parts(out[i].Epoch, out[i].Seq); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func (x *tx) entries(out []Entry, f EntryFilter, piece protocol.Piece, limit int) ([]Entry, error) {
	cond, args, err := x.where(f, piece)
	if err != nil {
		return out, err
	}
	query := entryColumns + cond + " ORDER BY seq DESC"
	if f.Actor == "" {
		query += " LIMIT ?"
		args = append(args, limit-len(out))
	}
	err = x.each(func(scan func(...any) error) error {
		e, err := x.scanEntry(scan)
		if err != nil {
			return err
		}
		if f.Actor != "" && e.Entry.Actor.ID != f.Actor {
			return nil
		}
		if out = append(out, e); len(out) >= limit {
			return errStop
		}
		return nil
	}, query, args...)
	return out, err
}

func (x *tx) parts(epoch, seq uint64) (out []Part, err error) {
	err = x.each(func(scan func(...any) error) error {
		var p Part
		var erased, sealed int
		err := scan(&p.Name, &p.Owner, &p.Plain, &erased, &sealed)
		if err != nil {
			return err
		}
		p.Erased = erased != 0
		p.Plain, err = x.s.plain(partRow{x.app, epoch, seq, p.Name}, p.Plain, sealed)
		out = append(out, p)
		return err
	}, "SELECT name, owner, plain, erased, sealed FROM parts WHERE app = ? AND epoch = ? AND seq = ? ORDER BY name", x.app, epoch, seq)
	return out, err
}

// Entry is one of the newest chain.
func (s *DB) Entry(ctx context.Context, appliance string, seq uint64) (e Entry, err error) {
	err = s.view(ctx, appliance, func(x *tx) error {
		pieces, err := x.epochSpans(EntryFilter{})
		if err != nil {
			return err
		}
		for _, p := range pieces {
			if seq < p.From || seq >= p.To {
				continue
			}
			e, err = x.scanEntry(x.row(entryColumns+"app = ? AND epoch = ? AND seq = ?", x.app, p.Epoch, seq).Scan)
			if err != nil {
				return notFound(err, fmt.Sprintf("entry %d of %s", seq, appliance))
			}
			e.Appliance = appliance
			e.Parts, err = x.parts(e.Epoch, e.Seq)
			return err
		}
		return fmt.Errorf("entry %d of %s: %w", seq, appliance, ErrNotFound)
	})
	return e, err
}

// leavesStep bounds a reading transaction of Leaves, so that a long check holds nothing up.
const leavesStep = 5000

// Leaves calls fn for the leaves [from,to) of the newest chain, in order. A hole is ErrDamaged.
func (s *DB) Leaves(ctx context.Context, appliance string, from, to uint64, fn func(seq uint64, l protocol.Leaf) error) error {
	next := from
	for next < to {
		end := min(next+leavesStep, to)
		err := s.view(ctx, appliance, func(x *tx) error {
			pieces, err := x.epochSpans(EntryFilter{})
			if err != nil {
				return err
			}
			for _, p := range pieces {
				a, b := max(p.From, next), min(p.To, end)
				if a >= b {
					continue
				}
				err := x.each(func(scan func(...any) error) error {
					var seq uint64
					var hash, leaf []byte
					if err := scan(&seq, &hash, &leaf); err != nil {
						return err
					}
					if seq != next {
						return fmt.Errorf("%w: leaf %d of %s is missing", ErrDamaged, next, appliance)
					}
					next++
					return fn(seq, leafOf(hash, leaf))
				}, "SELECT seq, hash, leaf FROM leaves WHERE app = ? AND epoch = ? AND seq >= ? AND seq < ? ORDER BY seq", x.app, p.Epoch, a, b)
				if err != nil {
					return err
				}
			}
			if next < end {
				return errors.Join(ErrDamaged, fmt.Errorf("leaf %d of %s is missing", next, appliance))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
