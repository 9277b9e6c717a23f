package usage

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/retention"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	rules "campuskeep/shared/usage"
)

// endHolds removes the holds whose end has certainly passed; each end is an entry (design §5).
func (e *Register) endHolds(ctx context.Context, now clock.Reading) error {
	for _, h := range e.unreleased() {
		if h.Active(now) {
			continue
		}
		if err := e.endHold(ctx, h.ID, now); err != nil {
			return err
		}
	}
	return nil
}

func (e *Register) endHold(ctx context.Context, id string, now clock.Reading) error {
	e.stepMu.Lock()
	defer e.stepMu.Unlock()
	if h, ok := e.held(id); !ok || h.Active(now) {
		return nil // somebody acted meanwhile
	}
	_, err := e.o.Store.Commit(ctx, ledgerdb.Change{Deletes: []ledgerdb.Delete{holds.Delete(id), proposals.Delete(id)},
		Entries: []ledger.Draft{account.System.Draft("hold.ended", "", id, holdEnd{id, "time"})}})
	if err != nil {
		return fmt.Errorf("end hold %s: %w", id, err)
	}
	e.files.mu.Lock()
	defer e.files.mu.Unlock()
	delete(e.files.holds, id)
	delete(e.files.proposals, id)
	return nil
}

// unreleased is every hold that nobody has released and no entry has ended.
func (e *Register) unreleased() []footage.Hold {
	e.files.mu.RLock()
	defer e.files.mu.RUnlock()
	return slices.DeleteFunc(slices.Collect(maps.Values(e.files.holds)), func(h footage.Hold) bool { return !h.Released.IsZero() })
}

// held gives a hold in force.
func (e *Register) held(id string) (footage.Hold, bool) {
	e.files.mu.RLock()
	defer e.files.mu.RUnlock()
	h, ok := e.files.holds[id]
	return h, ok && h.Released.IsZero()
}

// disk is what the holds of all applications cost, and what this one would add. A file that two hold counts once.
func (e *Register) disk(ctx context.Context, a rules.Application) (rules.Disk, error) {
	if e.o.Capacity == nil {
		return rules.Disk{}, nil
	}
	total, err := e.o.Capacity()
	if err != nil {
		return rules.Disk{}, fmt.Errorf("ask the size of the footage disk: %w", err)
	}
	d := rules.Disk{Total: total}
	scales := e.newByteCounter()
	for _, h := range e.Holds() {
		if h.Application == a.ID {
			continue
		}
		n, err := scales.count(ctx, h.Cameras, h.Span)
		if err != nil {
			return d, err
		}
		d.Held += n
	}
	for _, w := range a.Wanted {
		n, err := scales.count(ctx, w.Cameras, w.Span)
		if err != nil {
			return d, err
		}
		d.Asked += n
	}
	return d, nil
}

// byteCounter adds up the bytes of footage; a segment counts once.
type byteCounter struct {
	e       *Register
	counted map[footage.FileID]bool
}

func (e *Register) newByteCounter() byteCounter { return byteCounter{e, map[footage.FileID]bool{}} }

func (s byteCounter) count(ctx context.Context, cameras []string, span footage.Span) (sum uint64, err error) {
	if span.Duration() <= 0 || span.Duration() > s.e.o.Rules().CameraTime {
		return 0, nil // refused by its own rule
	}
	for _, camera := range cameras {
		list, err := s.e.o.Footage.Segments(ctx, camera, span)
		if err != nil {
			return 0, fmt.Errorf("weigh footage of camera %s: %w", camera, err)
		}
		for _, x := range list {
			if !s.counted[x.File] {
				s.counted[x.File], sum = true, sum+segmentBytes(x, span)
			}
		}
	}
	return sum, nil
}

// pastRetention returns the part of a span that no hold can keep any more: it lies below the watermark of its camera,
// and no hold that is in force has kept it.
func pastRetention(tx ledgerdb.Tx, camera string, span footage.Span, held []footage.Hold, now clock.Reading) ([]footage.Span, error) {
	mark, err := retention.WatermarkIn(tx, camera)
	if err != nil {
		return nil, err
	}
	if span.To.After(mark) {
		span.To = mark
	}
	if !span.From.Before(span.To) {
		return nil, nil
	}
	gone := []footage.Span{span}
	for _, h := range held {
		if slices.Contains(h.Cameras, camera) && h.Active(now) {
			gone = footage.Without(gone, h.Span)
		}
	}
	return gone, nil
}

// refusePastRetention refuses holds that would keep nothing, because all of it has been condemned. It runs inside the commit of
// the hold: the sweep raises its watermark in a commit of its own, so one of the two comes first and counts.
func (e *Register) refusePastRetention(tx ledgerdb.Tx, a rules.Application, fresh []footage.Hold) error {
	held, err := HoldsIn(tx)
	if err != nil {
		return err
	}
	var faults fielderr.Errors
	for _, h := range fresh {
		kept := len(h.Cameras) == 0
		for _, c := range h.Cameras {
			gone, err := pastRetention(tx, c, h.Span, held, e.o.Clock.Now())
			if err != nil {
				return err
			}
			kept = kept || len(gone) != 1 || gone[0] != h.Span
		}
		if !kept {
			field := "wanted"
			if i := slices.IndexFunc(a.Wanted, func(w rules.RequestedSpan) bool { return w.Span == h.Span }); i >= 0 && a.Decision == nil {
				field = fmt.Sprintf("wanted.%d.from", i)
			}
			faults.Add(field, "err.hold_too_late")
		}
	}
	return faults.Err()
}
