package timekeeper

import (
	"context"
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
)

// thinBatch is how many anchors go in one Change.
const thinBatch = 1024

// keepUnused is how long the anchors of a boot without footage are kept: what else states an instant of that boot is
// placed long before.
const keepUnused = 400 * 24 * time.Hour

// minAnchors is what a time line may have before it is thinned though it is not the present boot's.
const minAnchors = 64

// thin takes the anchors off the record that better ones have made needless, so that neither the table nor the Change
// that corrects a line grows with the age of the boot.
func (k *Keeper) thin(ctx context.Context) error {
	k.mu.Lock()
	table, each := k.anchors, map[string]int{}
	k.mu.Unlock()
	for _, a := range table {
		each[a.Boot]++
	}
	spare := table.Spare(k.boot)
	for boot, n := range each {
		if boot != k.boot && n > minAnchors {
			spare = append(spare, table.Spare(boot)...)
		}
	}
	return k.forget(ctx, spare)
}

// Prune takes the anchors off the record of boots of long ago of which nothing is left; used says of which boots there
// is footage.
func (k *Keeper) Prune(ctx context.Context, used func(boot string) bool) error {
	now := k.Now()
	if now.State != clock.Trusted {
		return nil
	}
	return k.forget(ctx, k.Anchors().Old(now.Earliest().Add(-keepUnused), func(boot string) bool { return boot == k.boot || used(boot) }))
}

// forget deletes anchors.
func (k *Keeper) forget(ctx context.Context, list []clock.Anchor) error {
	k.mu.Lock()
	s := k.store
	k.mu.Unlock()
	if s == nil {
		return nil
	}
	for gone := range slices.Chunk(list, thinBatch) {
		var c ledgerdb.Change
		for _, a := range gone {
			c.Deletes = append(c.Deletes, anchorRows.Delete(anchorKey(a)))
		}
		if _, err := s.Commit(ctx, c); err != nil {
			return fmt.Errorf("delete %d of %d needless anchors: %w", len(gone), len(list), err)
		}
		k.mu.Lock()
		k.anchors = k.anchors.Minus(gone)
		k.mu.Unlock()
	}
	return nil
}
