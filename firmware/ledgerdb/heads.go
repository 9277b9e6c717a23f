package ledgerdb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/ledger"
)

// Of all checkpoints only two are kept: the latest signed and the latest cosigned. They are written with the
// next commit, not on their own: after a crash the log can be signed again, and the centre says again what it
// has confirmed.
const (
	headLatest   = "latest"
	headCosigned = "cosigned"
)

type headState struct {
	mu       sync.Mutex
	notes    map[string][]byte // guarded by mu: by name, what is kept or about to be
	changed  map[string]bool   // guarded by mu: not on disk yet
	latest   ledger.Checkpoint // guarded by mu
	cosigned ledger.Checkpoint // guarded by mu
	at       time.Time         // guarded by mu: the centre's time in cosigned
	witness  ledger.Verifier   // guarded by mu: Key empty before enrolment
	epoch    uint64            // guarded by mu
}

// epochRow is the current branch of the log.
type epochRow struct {
	Epoch uint64 `json:"epoch"`
	Fork  uint64 `json:"fork"` // up to this size the branch before is the same
}

type witnessRow struct {
	Key string `json:"key"`
}

var (
	epochTable   = NewTable[epochRow]("store_epoch", Replayable())
	witnessTable = NewTable[witnessRow]("store_witness")
)

const onlyRow = "current"

func (s *Store) loadHeads(btx *bolt.Tx) error {
	h := &s.heads
	h.notes, h.changed, h.epoch = map[string][]byte{}, map[string]bool{}, 1
	tx := Tx{&txState{store: s, tx: btx}}
	epoch, _, ok, err := epochTable.Get(tx, onlyRow)
	if err != nil {
		return err
	}
	if ok {
		h.epoch = epoch.Epoch
	}
	w, _, ok, err := witnessTable.Get(tx, onlyRow)
	if err != nil {
		return err
	}
	if ok {
		if h.witness, err = ledger.ParseVerifier(w.Key); err != nil {
			return err
		}
	}
	heads := btx.Bucket(bucketHeads)
	for name, keys := range h.signers(s.log) {
		msg := append([]byte(nil), heads.Get([]byte(name))...)
		if len(msg) == 0 {
			continue
		}
		c, at, err := openHead(msg, keys)
		if err != nil {
			s.o.Log.Error("a kept checkpoint is damaged; run check", "head", name, "err", err)
			continue // it can be signed and cosigned again
		}
		h.notes[name] = msg
		if name == headCosigned {
			h.cosigned, h.at = c, at
		} else {
			h.latest = c
		}
	}
	return nil
}

// signersNow is signers for those who do not hold the lock.
func (h *headState) signersNow(log ledger.Verifier) map[string][]ledger.Verifier {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.signers(log)
}

// signers says whose signatures each head carries.
func (h *headState) signers(log ledger.Verifier) map[string][]ledger.Verifier {
	return map[string][]ledger.Verifier{headLatest: {log}, headCosigned: {log, h.witness}}
}

// openHead verifies a checkpoint that all of keys must have signed; at is the witness' time if one is among them.
func openHead(msg []byte, keys []ledger.Verifier) (c ledger.Checkpoint, at time.Time, err error) {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Key
	}
	head, err := ledger.VerifyHead(msg, names, nil)
	return head.Checkpoint, head.Witnessed, err
}

// dirty is what is not on disk yet; nil is to be deleted.
func (h *headState) dirty() map[string][]byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string][]byte{}
	for name := range h.changed {
		out[name] = h.notes[name]
	}
	return out
}

// kept notes what has become durable, unless it changed again meanwhile.
func (h *headState) kept(written map[string][]byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, note := range written {
		if string(h.notes[name]) == string(note) {
			delete(h.changed, name)
		}
	}
}

func (h *headState) snapshot() (notes map[string][]byte, latest, cosigned ledger.Checkpoint, witness ledger.Verifier, epoch uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.notes), h.latest, h.cosigned, h.witness, h.epoch
}

// ErrUnsigned: a checkpoint was asked for that is not kept, and the store was opened without the signing key.
var ErrUnsigned = errors.New("ledgerdb: no signed checkpoint of this size, and no key to sign one")

// Checkpoint signs the tree of the first size leaves, under the current epoch.
func (s *Store) Checkpoint(size uint64) ([]byte, error) {
	root, err := s.Root(size)
	if err != nil {
		return nil, err
	}
	h := &s.heads
	h.mu.Lock()
	defer h.mu.Unlock()
	c := ledger.Checkpoint{Origin: ledger.Origin(s.log.Name(), h.epoch), Size: size, Root: root}
	if h.latest == c {
		return h.notes[headLatest], nil
	}
	if s.signer == nil {
		return nil, ErrUnsigned
	}
	signed, err := c.Sign(s.signer)
	if err != nil {
		return nil, fmt.Errorf("checkpoint of %d entries: %w", size, err)
	}
	if size >= h.latest.Size {
		h.latest, h.notes[headLatest], h.changed[headLatest] = c, signed, true
	}
	return signed, nil
}

// SetWitness keeps the centre's verifier key, learned at enrolment.
func (s *Store) SetWitness(ctx context.Context, verifierKey string) error {
	v, err := ledger.ParseVerifier(verifierKey)
	if err != nil {
		return err
	}
	if !v.Witness {
		return errors.New("ledgerdb: the witness' key is not one for cosignatures")
	}
	if s.readOnly {
		return ErrReadOnly
	}
	if s.WitnessKey() == verifierKey {
		return nil
	}
	s.heads.forgetCosigned() // another key: what it has not signed is not witnessed by it
	if _, err := s.Commit(ctx, Change{Puts: []Put{witnessTable.Put(onlyRow, witnessRow{verifierKey})}}); err != nil {
		return fmt.Errorf("keep the witness' key: %w", err)
	}
	s.heads.mu.Lock()
	defer s.heads.mu.Unlock()
	s.heads.witness = v
	return nil
}

// forgetCosigned drops the cosigned checkpoint; the next commit drops it from the file.
func (h *headState) forgetCosigned() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.notes[headCosigned] != nil {
		delete(h.notes, headCosigned)
		h.cosigned, h.at, h.changed[headCosigned] = ledger.Checkpoint{}, time.Time{}, true
	}
}

// WitnessKey is the centre's verifier key, empty before enrolment.
func (s *Store) WitnessKey() string {
	_, _, _, w, _ := s.heads.snapshot()
	return w.Key
}

// ErrForeign: the cosigned checkpoint is not of this log, or not of this history.
var ErrForeign = errors.New("ledgerdb: the cosigned checkpoint is not of this log")

// Witness takes a checkpoint of ours that the centre cosigned. It refuses one that is not signed by both, and
// one whose root is not ours (ErrForeign): that is a fork. An older one than is kept changes nothing. The newest
// is on disk with the next commit.
func (s *Store) Witness(cosigned []byte, size uint64) error {
	h := &s.heads
	_, _, kept, witness, _ := h.snapshot()
	if witness.Key == "" {
		return errors.New("witness: the centre's key is not known yet")
	}
	c, n, err := ledger.OpenCheckpoint(cosigned, s.log, witness)
	if err != nil {
		return fmt.Errorf("witness: %w", err)
	}
	at, ok := ledger.CosignatureTime(n, witness)
	if !ok || len(n.Sigs) != 2 {
		return fmt.Errorf("witness: %w: want the signatures of the log and of the centre", ErrForeign)
	}
	name, epoch, err := ledger.SplitOrigin(c.Origin)
	if err != nil || name != s.log.Name() || epoch > s.Epoch() || c.Size != size || size > s.Size() {
		return fmt.Errorf("witness: %w: %s, size %d", ErrForeign, c.Origin, c.Size)
	}
	root, err := s.Root(size)
	if err != nil {
		return fmt.Errorf("witness: %w", err)
	}
	if root != c.Root {
		return fmt.Errorf("witness: %w: the root of %d entries differs", ErrForeign, size)
	}
	if size < kept.Size {
		return nil
	}
	if n.Sigs[0].Name != s.log.Name() {
		n.Sigs[0], n.Sigs[1] = n.Sigs[1], n.Sigs[0]
	}
	msg, err := note.Sign(&note.Note{Text: n.Text, Sigs: n.Sigs})
	if err != nil {
		return fmt.Errorf("witness: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if size >= h.cosigned.Size {
		h.cosigned, h.at, h.notes[headCosigned], h.changed[headCosigned] = c, at, msg, true
	}
	return nil
}

// Witnessed says how far the centre has confirmed the log, and when by the centre's time; zero when never.
func (s *Store) Witnessed() (size uint64, at time.Time) {
	s.heads.mu.Lock()
	defer s.heads.mu.Unlock()
	return s.heads.cosigned.Size, s.heads.at
}

// Epoch is the current branch; the first is 1.
func (s *Store) Epoch() uint64 {
	s.heads.mu.Lock()
	defer s.heads.mu.Unlock()
	return s.heads.epoch
}

// SetEpoch continues the same tree under the epoch that the centre granted. fork is the size up to which box
// and centre agree, had how many entries the centre has of the branch before; reason is a code. The branch is an entry of its own (sync.branched).
func (s *Store) SetEpoch(ctx context.Context, epoch, fork, had uint64, reason string) error {
	if now := s.Epoch(); epoch <= now {
		return fmt.Errorf("set epoch %d: the log is at epoch %d already", epoch, now)
	}
	if fork > s.Size() {
		return fmt.Errorf("set epoch %d: fork at %d, but the log has %d entries", epoch, fork, s.Size())
	}
	_, err := s.Commit(ctx, Change{
		Puts: []Put{epochTable.Put(onlyRow, epochRow{epoch, fork})},
		Entries: []ledger.Draft{{
			Actor: ledger.System, Via: ledger.ViaCentre, Kind: "sync.branched",
			Data: map[string]any{"epoch": epoch, "fork": fork, "had": had, "reason": reason},
		}},
	})
	if err != nil {
		return fmt.Errorf("set epoch %d: %w", epoch, err)
	}
	s.heads.mu.Lock()
	defer s.heads.mu.Unlock()
	s.heads.epoch = max(s.heads.epoch, epoch)
	return nil
}

// Root is the root of the first size leaves.
func (s *Store) Root(size uint64) (tlog.Hash, error) {
	f := s.front.Load()
	if size > f.size {
		return tlog.Hash{}, fmt.Errorf("root of %d entries: the log has %d", size, f.size)
	}
	var root tlog.Hash
	err := s.view(partEntries, func(tx *bolt.Tx) (err error) {
		root, err = tlog.TreeHash(int64(size), f.reader(tx))
		return err
	})
	if err != nil {
		return tlog.Hash{}, fmt.Errorf("root of %d entries: %w", size, err)
	}
	return root, nil
}
