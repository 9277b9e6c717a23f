package store

import (
	"context"
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
	for from := uint64(0); from < size; from += readAhead {
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("export: %w", err)
		}
		if err := s.exportSome(e, from, min(size, from+readAhead)); err != nil {
			return 0, fmt.Errorf("export: %w", err)
		}
	}
	if err := e.Close(keys, head); err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	return size, nil
}

func (s *Store) exportSome(e *ledger.ExportWriter, from, to uint64) error {
	leaves, err := s.Leaves(from, int(to-from))
	if err != nil {
		return err
	}
	for i, leaf := range leaves {
		if leaf != nil {
			if err := e.Leaf(leaf); err != nil {
				return err
			}
			continue
		}
		h, err := s.LeafHash(from + uint64(i))
		if err != nil {
			return err
		}
		if err := e.Hash(h); err != nil {
			return err
		}
	}
	return nil
}
