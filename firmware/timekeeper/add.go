package timekeeper

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
)

// ErrOwnBoot is what AddAnchor answers to an anchor of this boot: when that was is for the sources to say.
var ErrOwnBoot = errors.New("timekeeper: an anchor of the present boot comes from the sources alone")

// AddAnchor takes the anchor of another time line than this boot's: a stretch of footage fetched from an NVR, history
// brought in. When it returns nil the anchor is on record with its entry and in [Keeper.Anchors]; one that is known
// already costs nothing.
func (k *Keeper) AddAnchor(ctx context.Context, a clock.Anchor) error {
	if a.Boot == "" || a.Boot == k.boot {
		return ErrOwnBoot
	}
	a.UTC = a.UTC.UTC()
	k.mu.Lock()
	s, known := k.store, slices.Contains(k.anchors, a)
	k.mu.Unlock()
	if known {
		return nil
	}
	if s == nil {
		return ledgerdb.ErrClosed
	}
	if _, err := s.Commit(ctx, RecordAnchor(a)); err != nil {
		return fmt.Errorf("record the anchor of %s: %w", a.Boot, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.anchors = k.anchors.With(a)
	return nil
}

// AddSource lets one more source be asked from the next round on; it takes the place of one with its name.
func (k *Keeper) AddSource(s Source) {
	k.mu.Lock()
	k.sources = append(slices.DeleteFunc(slices.Clone(k.sources), func(x Source) bool { return x.Name() == s.Name() }), s)
	k.mu.Unlock()
}

// RemoveSource asks a source no more, and what it said counts no more: an NVR that is set from us from now on is
// nobody's witness.
func (k *Keeper) RemoveSource(name string) {
	k.mu.Lock()
	k.sources = slices.DeleteFunc(slices.Clone(k.sources), func(x Source) bool { return x.Name() == name })
	delete(k.silent, name)
	k.take(k.trust.Forget(name, k.o.Host.Boottime()))
	k.mu.Unlock()
	k.wake()
}

// wake wakes Run, which keeps the record.
func (k *Keeper) wake() {
	select {
	case k.wakeup <- struct{}{}:
	default:
	}
}
