package retention

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/ledger"
)

// faults is what one sweep could not do. None of it keeps the sweep from the rest.
type faults struct{ list []fault }

type fault struct {
	camera string // "" when it is of none
	code   string // of the entry; "" when the step that failed has made one
	err    error
	ring   string // of which keys; "" when it is of none
}

func (f *faults) add(camera, code string, err error) {
	f.list = append(f.list, fault{camera: camera, code: code, err: err})
}

// hold adds that the ring of a hold does not take or give the keys of what it keeps.
func (f *faults) hold(id string, err error) {
	f.list = append(f.list, fault{code: "retention.hold", err: err, ring: holdRing + id})
}

// holds lists the holds whose ring does not take or give keys.
func (f *faults) holds() []string {
	ids := map[string]bool{}
	for _, x := range f.list {
		if id, ok := strings.CutPrefix(x.ring, holdRing); ok && x.code == "retention.hold" {
			ids[id] = true
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

// all is one error for all of them.
func (f *faults) all() error {
	var errs []error
	for _, x := range f.list {
		if x.camera != "" {
			errs = append(errs, fmt.Errorf("camera %s: %w", x.camera, x.err))
		} else {
			errs = append(errs, x.err)
		}
	}
	return errors.Join(errs...)
}

// cameras lists the cameras that a sweep could not deal with.
func (f *faults) cameras() []string {
	ids := map[string]bool{}
	for _, x := range f.list {
		if x.camera != "" {
			ids[x.camera] = true
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

// enterFaults enters what failed in this sweep and did not in the one before: a fault that lasts is one entry.
func (r *Retention) enterFaults(ctx context.Context) error {
	now := map[string]bool{}
	var entries []ledger.Draft
	for _, x := range r.faults.list {
		key := x.code + " " + x.camera + " " + x.ring
		if x.code == "" || now[key] {
			continue
		}
		now[key] = true
		if r.entered[key] {
			continue
		}
		entries = append(entries, draftFault(x.code, x.camera, x.ring))
	}
	for part := range slices.Chunk(entries, 4*perBind) {
		if _, err := r.o.Store.Commit(ctx, ledgerdb.Change{Entries: part}); err != nil {
			return fmt.Errorf("enter what a sweep could not do: %w", err)
		}
	}
	r.entered = now
	return nil
}
