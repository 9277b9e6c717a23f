package ledgerdb

import (
	"context"
	"errors"
	"fmt"
	"io"

	"campuskeep/shared/ledger"
)

// Export writes the whole log in the format that ledger.VerifyExport and campuskeep-verify read. A store that
// was opened without the signing key exports up to the checkpoint it has kept.
func (s *Store) Export(ctx context.Context, w io.Writer) (size uint64, err error) {
	notes, latest, cosigned, witness, _ := s.heads.snapshot()
	size = s.Size()
	keys := []string{s.log.Key}
	var head []byte
	switch {
	case cosigned.Size == size && size > 0:
		head, keys = notes[headCosigned], append(keys, witness.Key)
	case s.signer != nil:
		if head, err = s.Checkpoint(size); err != nil {
			return 0, fmt.Errorf("export: %w", err)
		}
	case notes[headLatest] != nil:
		size, head = latest.Size, notes[headLatest]
	default:
		return 0, fmt.Errorf("export: %w", ErrUnsigned)
	}
	e := ledger.NewExportWriter(w, size)
	var lost int
	for from := uint64(0); from < size; from += readAhead {
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("export: %w", err)
		}
		n, err := s.exportSome(e, from, min(size, from+readAhead))
		if err != nil {
			return 0, fmt.Errorf("export: %w", err)
		}
		lost += n
	}
	if err := e.Close(keys, head); err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	if lost > 0 {
		return 0, fmt.Errorf("export: %w: of %d entries even the hash is lost, zeros stand for it: the export cannot be verified as a whole", ErrDamaged, lost)
	}
	return size, nil
}

// exportSome writes a run of entries. A leaf that is lost goes as its hash, as the tree holds it; lost counts those of
// which the tree has no hash either.
func (s *Store) exportSome(e *ledger.ExportWriter, from, to uint64) (lost int, err error) {
	leaves, err := s.Leaves(from, int(to-from))
	if err != nil {
		return 0, err
	}
	for i, leaf := range leaves {
		if leaf != nil {
			if err := e.Leaf(leaf); err != nil {
				return lost, err
			}
			continue
		}
		h, err := s.LeafHash(from + uint64(i))
		if errors.Is(err, ErrDamaged) {
			lost, err = lost+1, nil
		}
		if err == nil {
			err = e.Hash(h)
		}
		if err != nil {
			return lost, err
		}
	}
	return lost, nil
}
