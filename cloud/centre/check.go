package centre

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/cloud/centredb"
	"campuskeep/shared/ledger"
	"campuskeep/shared/wire/protocol"
)

// Finding is something that a check found wrong.
type Finding struct {
	Invariant string // "I8"
	Where     string // which leaf, cursor or file
	What      string
}

func (f Finding) String() string { return f.Invariant + " " + f.Where + ": " + f.What }

// CheckStored verifies what the centre holds of one appliance: every leaf hashes to the root of its cursor, and
// that root is the one which the appliance signed.
func CheckStored(ctx context.Context, s centredb.Store, appliance string, report func(Finding)) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	var c protocol.Cursor
	var key ledger.Verifier
	err := s.View(ctx, appliance, func(tx protocol.Tx) (err error) {
		if key, err = tx.Key(); err != nil {
			return err
		}
		c, _, err = tx.Newest()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("check what is stored of %s: %w", appliance, err)
	}
	var t ledger.Tree
	err = s.Leaves(ctx, appliance, 0, c.Stored(), func(seq uint64, l protocol.Leaf) error {
		t.AddHash(l.Hash)
		hashes = append(hashes, l.Hash)
		return nil
	})
	switch {
	case errors.Is(err, centredb.ErrDamaged):
		report(Finding{"I8", fmt.Sprintf("%s leaf %d", appliance, len(hashes)), err.Error()})
		return hashes, nil
	case err != nil:
		return nil, fmt.Errorf("check what is stored of %s: %w", appliance, err)
	case t.Root() != c.Tree.Root():
		report(Finding{"I8", fmt.Sprintf("%s cursor of epoch %d", appliance, c.Epoch), "the stored leaves do not have the cursor's root"})
	}
	if c.Checkpoint != nil {
		cp, _, err := ledger.OpenCheckpoint(c.Checkpoint, key)
		if err != nil || cp.Size != c.Stored() || cp.Root != c.Tree.Root() || cp.Origin != ledger.Origin(key.Name(), c.Epoch) {
			report(Finding{"I8", fmt.Sprintf("%s checkpoint of epoch %d", appliance, c.Epoch), "it is not the appliance's signature of what is stored"})
		}
	}
	return hashes, nil
}

// Compared says how much of the two logs a check has seen.
type Compared struct {
	Leaves uint64 // in both
	Later  uint64 // stored by the centre after the box wrote its export: not compared
}

// CheckBox verifies I8 against a box: the centre's leaves are the box's leaves up to the cursor. export is what
// `campuskeepd export-log` writes. A box that runs on ships more meanwhile; those leaves need a later export.
func CheckBox(ctx context.Context, s centredb.Store, appliance string, export io.Reader, report func(Finding)) (compared Compared, err error) {
	a, err := s.Appliance(ctx, appliance)
	if err != nil {
		return compared, err
	}
	trusted, err := ledger.ParseVerifier(a.Key)
	if err != nil {
		return compared, fmt.Errorf("log key of %s: %w", appliance, err)
	}
	mine, err := CheckStored(ctx, s, appliance, report)
	if err != nil {
		return compared, err
	}
	differing := 0
	verdict, err := ledger.VerifyExport(export, func(seq uint64, leaf []byte) error {
		if seq >= uint64(len(mine)) {
			return nil
		}
		compared.Leaves++
		if leaf != nil && tlog.RecordHash(leaf) != mine[seq] {
			if differing++; differing <= 10 {
				report(Finding{"I8", fmt.Sprintf("%s leaf %d", appliance, seq), "the box and the centre hold different leaves"})
			}
		}
		return nil
	}, trusted)
	if err != nil {
		report(Finding{"I8", appliance + " export", err.Error()})
		return compared, nil
	}
	if !verdict.Trusted || verdict.LogKey != a.Key {
		report(Finding{"I8", appliance + " export", "it is not signed with the key that the appliance enrolled with"})
	}
	if differing > 10 {
		report(Finding{"I8", appliance, fmt.Sprintf("%d leaves differ in all", differing)})
	}
	compared.Later = uint64(len(mine)) - compared.Leaves
	school, err := s.School(ctx, appliance, a.EnrolledAt)
	if err != nil {
		return compared, err
	}
	if _, epoch, err := ledger.SplitOrigin(verdict.Origin); err != nil || epoch != school.Epoch {
		report(Finding{"I8", appliance, fmt.Sprintf("the box writes %s, the newest epoch at the centre is %d", verdict.Origin, school.Epoch)})
	}
	return compared, nil
}
