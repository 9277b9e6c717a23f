package ledgerdb

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/ledger"
)

// ErrNoEntry: there is no entry with this number (yet).
var ErrNoEntry = errors.New("ledgerdb: no such entry")

// Leaves gives up to max leaves as stored, from seq from. A nil element is a leaf whose bytes have rotted or are gone:
// the tree still holds its hash (LeafHash).
func (s *Store) Leaves(from uint64, max int) ([][]byte, error) {
	size := s.Size()
	if from >= size || max <= 0 {
		return nil, nil
	}
	out := make([][]byte, 0, min(uint64(max), size-from))
	err := s.view(partEntries, func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketLeaves).Cursor()
		want := from
		for k, v := c.Seek(seqKey(from)); want < size && len(out) < max; want++ {
			if string(k) != string(seqKey(want)) {
				return fmt.Errorf("%w: entry %d is missing", ErrDamaged, want)
			}
			leaf, err := cutCRC(v)
			if err != nil {
				out = append(out, nil)
			} else {
				out = append(out, append([]byte(nil), leaf...))
			}
			k, v = c.Next()
		}
		return nil
	})
	if errors.Is(err, ErrDamaged) { // a page is broken: what lies on the others is read one by one
		return s.leavesOneByOne(from, min(uint64(max), size-from))
	}
	return out, err
}

func (s *Store) leavesOneByOne(from, n uint64) ([][]byte, error) {
	out := make([][]byte, n)
	for i := range out {
		err := s.view(partEntries, func(tx *bolt.Tx) error {
			leaf, err := leafAt(tx, from+uint64(i))
			if err == nil {
				out[i] = append([]byte(nil), leaf...)
			}
			return err
		})
		if err != nil && !errors.Is(err, ErrDamaged) {
			return nil, err
		}
	}
	return out, nil
}

// LeafHash is the leaf hash that the tree holds.
func (s *Store) LeafHash(seq uint64) (h tlog.Hash, err error) {
	f := s.front.Load()
	if seq >= f.size {
		return h, fmt.Errorf("%w: %d", ErrNoEntry, seq)
	}
	err = s.view(partEntries, func(tx *bolt.Tx) error {
		hashes, err := f.reader(tx).ReadHashes([]int64{tlog.StoredHashIndex(0, int64(seq))})
		if err == nil {
			h = hashes[0]
		}
		return err
	})
	return h, err
}

// InclusionProof is the audit path of entry seq in the tree of size leaves.
func (s *Store) InclusionProof(seq, size uint64) (path []tlog.Hash, err error) {
	f := s.front.Load()
	if seq >= size || size > f.size {
		return nil, fmt.Errorf("inclusion proof of %d in %d: the log has %d entries", seq, size, f.size)
	}
	err = s.view(partEntries, func(tx *bolt.Tx) error {
		path, err = tlog.ProveRecord(int64(size), int64(seq), f.reader(tx))
		return err
	})
	return path, err
}

// ConsistencyProof shows that the tree of old leaves is a prefix of the tree of size leaves; it is empty when
// old is 0.
func (s *Store) ConsistencyProof(old, size uint64) (proof []tlog.Hash, err error) {
	f := s.front.Load()
	if old > size || size > f.size {
		return nil, fmt.Errorf("consistency proof of %d in %d: the log has %d entries", old, size, f.size)
	}
	if old == 0 {
		return nil, nil
	}
	err = s.view(partEntries, func(tx *bolt.Tx) error {
		proof, err = tlog.ProveTree(int64(size), int64(old), f.reader(tx))
		return err
	})
	return proof, err
}

// Entry reads one entry.
func (s *Store) Entry(seq uint64) (e ledger.Entry, err error) {
	if seq >= s.Size() {
		return e, fmt.Errorf("%w: %d", ErrNoEntry, seq)
	}
	err = s.view(partEntries, func(tx *bolt.Tx) error {
		leaf, err := leafAt(tx, seq)
		if err == nil {
			e, err = ledger.ParseEntry(leaf)
		}
		return err
	})
	return e, err
}

// readAhead is how many leaves a listing takes from the file at a time: between them no snapshot is held.
const readAhead = 256

// Entries lists the entries from, from+1 … to-1. A damaged one comes as an error with the Seq set; the listing
// goes on behind it.
func (s *Store) Entries(from, to uint64) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		to := min(to, s.Size())
		for from := from; from < to; {
			leaves, err := s.Leaves(from, int(min(readAhead, to-from)))
			if err != nil {
				yield(ledger.Entry{Seq: from}, err)
				return
			}
			for i, leaf := range leaves {
				if !yield(entryOf(leaf, from+uint64(i))) {
					return
				}
			}
			from += uint64(len(leaves))
		}
	}
}

// Newest lists entries backwards: before-1, before-2 … 0.
func (s *Store) Newest(before uint64) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		for end := min(before, s.Size()); end > 0; {
			from := end - min(end, readAhead)
			leaves, err := s.Leaves(from, int(end-from))
			if err != nil {
				yield(ledger.Entry{Seq: from}, err)
				return
			}
			for i, leaf := range slices.Backward(leaves) {
				if !yield(entryOf(leaf, from+uint64(i))) {
					return
				}
			}
			end = from
		}
	}
}

func entryOf(leaf []byte, seq uint64) (ledger.Entry, error) {
	if leaf == nil {
		return ledger.Entry{Seq: seq}, fmt.Errorf("entry %d: %w", seq, errLeafSum)
	}
	e, err := ledger.ParseEntry(leaf)
	if err != nil {
		return ledger.Entry{Seq: seq}, fmt.Errorf("entry %d: %w: %w", seq, ErrDamaged, err)
	}
	return e, nil
}

// Parts opens the sealed parts of an entry, for those who May see them. A part whose owner was erased comes
// with Erased set.
func (s *Store) Parts(seq uint64) ([]ledger.OpenPart, error) {
	e, err := s.Entry(seq)
	if err != nil {
		return nil, err
	}
	sealed := make([][]byte, len(e.Sealed))
	err = s.view(partEntries, func(tx *bolt.Tx) error {
		for i := range sealed {
			sealed[i] = append([]byte(nil), tx.Bucket(bucketParts).Get(append(seqKey(seq), byte(i)))...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	parts := make([]ledger.OpenPart, len(e.Sealed))
	for i, c := range e.Sealed {
		if parts[i], err = s.openPart(c, sealed[i]); err != nil {
			return nil, fmt.Errorf("entry %d, part %s: %w", seq, c.Name, err)
		}
	}
	return parts, nil
}

func (s *Store) openPart(c ledger.Commitment, sealed []byte) (ledger.OpenPart, error) {
	p := ledger.OpenPart{Name: c.Name, Owner: c.Owner}
	if s.o.People == nil {
		return p, errors.New("ledgerdb: opened without the people ring")
	}
	b, err := s.o.People.Open(c.Owner, partAAD(c), sealed)
	if errors.Is(err, ErrErased) {
		p.Erased = true
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if len(b) < ledger.SaltSize || !c.Opens(b[:ledger.SaltSize], b[ledger.SaltSize:]) {
		return p, fmt.Errorf("%w: the part is not what the entry binds", ErrDamaged)
	}
	p.Salt, p.Plain = b[:ledger.SaltSize], b[ledger.SaltSize:]
	return p, nil
}

// Proof is everything that shows entry seq to someone offline, with the parts that its kind releases. It uses the
// cosigned checkpoint where that reaches, else on a fresh one of the whole log.
func (s *Store) Proof(seq uint64) (ledger.Proof, error) {
	if seq >= s.Size() {
		return ledger.Proof{}, fmt.Errorf("proof: %w: %d", ErrNoEntry, seq)
	}
	leaves, err := s.Leaves(seq, 1)
	if err != nil {
		return ledger.Proof{}, fmt.Errorf("proof: %w", err)
	}
	e, err := entryOf(leaves[0], seq)
	if err != nil {
		return ledger.Proof{}, fmt.Errorf("proof: %w", err)
	}
	p := ledger.Proof{Leaf: leaves[0]}
	size, err := s.proofHead(&p, seq)
	if err != nil {
		return ledger.Proof{}, fmt.Errorf("proof of entry %d: %w", seq, err)
	}
	if p.Path, err = s.InclusionProof(seq, size); err != nil {
		return ledger.Proof{}, err
	}
	parts, err := s.Parts(seq)
	if err != nil {
		return ledger.Proof{}, fmt.Errorf("proof: %w", err)
	}
	for _, part := range parts {
		if !part.Erased && ledger.Released(e.Kind, part.Name) {
			p.Parts = append(p.Parts, part)
		}
	}
	return p, nil
}

func (s *Store) proofHead(p *ledger.Proof, seq uint64) (size uint64, err error) {
	notes, latest, cosigned, witness, _ := s.heads.snapshot()
	if seq < cosigned.Size {
		p.Checkpoint, p.Keys = notes[headCosigned], []string{s.log.Key, witness.Key}
		return cosigned.Size, nil
	}
	p.Keys = []string{s.log.Key}
	if s.signer == nil && seq < latest.Size {
		p.Checkpoint = notes[headLatest]
		return latest.Size, nil
	}
	size = s.Size()
	p.Checkpoint, err = s.Checkpoint(size)
	return size, err
}
