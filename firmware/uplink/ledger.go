package uplink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
	"campuskeep/shared/wire/protocol"
)

// ledgerLog reads the store as the protocol wants it.
type ledgerLog struct {
	s       *ledgerdb.Store
	log     *slog.Logger
	damaged func(seq uint64) // called for every leaf whose bytes have rotted
}

var _ protocol.Log = (*ledgerLog)(nil)

func (l *ledgerLog) Size() uint64                           { return l.s.Size() }
func (l *ledgerLog) Epoch() uint64                          { return l.s.Epoch() }
func (l *ledgerLog) Root(size uint64) (tlog.Hash, error)    { return l.s.Root(size) }
func (l *ledgerLog) Checkpoint(size uint64) ([]byte, error) { return l.s.Checkpoint(size) }
func (l *ledgerLog) Inclusion(seq, size uint64) (tlog.RecordProof, error) {
	return l.s.InclusionProof(seq, size)
}

// Leaves gives leaves with their hashes; a rotten one only by the hash that the tree holds.
func (l *ledgerLog) Leaves(from uint64, max int) ([]protocol.Leaf, error) {
	raw, err := l.s.Leaves(from, max)
	if err != nil {
		return nil, err
	}
	out := make([]protocol.Leaf, len(raw))
	for i, b := range raw {
		if b != nil {
			out[i] = protocol.LeafOf(b)
			continue
		}
		if out[i].Hash, err = l.s.LeafHash(from + uint64(i)); err != nil {
			return nil, err
		}
		l.damaged(from + uint64(i))
	}
	return out, nil
}

// scanStep is how many leaves one look through the log takes.
const scanStep = 2000

// urgentKinds are those that the table of kinds calls urgent; partKinds may have released parts; erasing ones
// take an owner's parts away.
var urgentKinds, partKinds = func() (urgent, parts map[ledger.Kind]bool) {
	urgent, parts = map[ledger.Kind]bool{}, map[ledger.Kind]bool{"person.erased": true, "key.erased": true}
	for k, spec := range ledger.Kinds {
		urgent[k] = spec.Urgent
		for _, s := range spec.Sealed {
			parts[k] = parts[k] || s.Released
		}
	}
	return urgent, parts
}()

// kindOf finds the kind in a stored leaf without decoding it. A quote inside a string is escaped there, so the
// first match is the field.
func kindOf(leaf []byte) ledger.Kind {
	_, rest, ok := bytes.Cut(leaf, []byte(`"kind":"`))
	if !ok {
		return ""
	}
	kind, _, _ := bytes.Cut(rest, []byte(`"`))
	return ledger.Kind(kind)
}

// UrgentFrom looks for urgent entries.
func (l *ledgerLog) UrgentFrom(from, to uint64) (seqs []uint64, next uint64, err error) {
	raw, err := l.s.Leaves(from, int(min(to-from, scanStep)))
	if err != nil {
		return nil, from, err
	}
	for i, leaf := range raw {
		if urgentKinds[kindOf(leaf)] {
			seqs = append(seqs, from+uint64(i))
		}
	}
	return seqs, from + uint64(len(raw)), nil
}

// Bounds of one message of the payload lane.
const (
	partBytes = 64 << 10 // of plain text; one larger part may go alone
	partItems = 200
)

// ReleasedFrom looks for released parts, and for owners that were erased.
func (l *ledgerLog) ReleasedFrom(from, to uint64) (items []wire.Item, next uint64, err error) {
	raw, err := l.s.Leaves(from, int(min(to-from, scanStep)))
	if err != nil {
		return nil, from, err
	}
	size := 0
	for i, leaf := range raw {
		seq := from + uint64(i)
		if !partKinds[kindOf(leaf)] {
			continue
		}
		more, err := l.items(seq, leaf)
		if err != nil {
			return nil, from, err
		}
		added := 0
		for _, it := range more {
			added += len(it.Plain)
		}
		if len(items) > 0 && (size+added > partBytes || len(items)+len(more) > partItems) {
			return items, seq, nil
		}
		items, size = append(items, more...), size+added
	}
	return items, from + uint64(len(raw)), nil
}

// items are what one entry says on the payload lane.
func (l *ledgerLog) items(seq uint64, leaf []byte) (out []wire.Item, err error) {
	e, err := ledger.ParseEntry(leaf)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", seq, err)
	}
	for _, owner := range erasedOwners(e) {
		out = append(out, wire.Item{Seq: seq, Op: wire.Erase, Owner: owner})
	}
	var parts []ledger.OpenPart
	for i, c := range e.Sealed {
		if !ledger.Released(e.Kind, c.Name) {
			continue
		}
		if parts == nil {
			if parts, err = l.s.Parts(seq); errors.Is(err, ledgerdb.ErrDamaged) {
				// Its text is lost. The centre has the commitment; the check on the box names the damage.
				l.log.Error("a sealed part cannot be read; the centre goes without", "seq", seq, "err", err)
				return out, nil
			} else if err != nil {
				return nil, err
			}
		}
		it := wire.Item{Seq: seq, Op: wire.Release, Name: c.Name, Owner: c.Owner, Salt: parts[i].Salt, Plain: parts[i].Plain}
		if parts[i].Erased {
			it.Op, it.Salt, it.Plain = wire.Erased, nil, nil
		}
		out = append(out, it)
	}
	return out, nil
}

// erasedOwners are the subjects whose key an entry records as destroyed.
func erasedOwners(e ledger.Entry) []string {
	switch e.Kind {
	case "person.erased":
		return []string{"person:" + e.Subject}
	case "key.erased":
		var d struct {
			Ring string   `json:"ring"`
			Keys []string `json:"keys"`
		}
		if json.Unmarshal(e.Data, &d) == nil && d.Ring == "people" {
			return d.Keys
		}
	}
	return nil
}

// damaged enters in the log that a leaf travels by its hash alone, once for each leaf and start.
func (u *Uplink) damaged(ctx context.Context) func(seq uint64) {
	shown := map[uint64]bool{}
	return func(seq uint64) {
		if shown[seq] {
			return
		}
		c := ledgerdb.Change{Entries: []ledger.Draft{{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "system.fault",
			Subject: "leaf:" + strconv.FormatUint(seq, 10), Data: map[string]any{"code": "leaf.damaged"}}}}
		if _, err := u.o.Store.Commit(ctx, c); err != nil {
			u.o.Log.Error("a damaged entry is not in the log yet", "seq", seq, "err", err)
			return
		}
		shown[seq] = true
	}
}

// remembered is what the box knows of the centre across restarts. It lags a little: losing it costs only the
// notice that the centre was restored.
type remembered struct {
	Incarnation string `json:"incarnation"`
	Witnessed   []byte `json:"witnessed,omitempty"`
}

var centreTable = ledgerdb.NewTable[remembered]("uplink_centre")

const onlyRow = "centre"

func recall(s *ledgerdb.Store) (r remembered, err error) {
	err = s.View(func(tx ledgerdb.Tx) error {
		var err error
		r, _, _, err = centreTable.Get(tx, onlyRow)
		return err
	})
	if err != nil {
		return r, fmt.Errorf("read what is known of the centre: %w", err)
	}
	return r, nil
}

// memory is the protocol's, kept in the store. Only Run's goroutine calls it.
type memory struct {
	u   *Uplink
	ctx context.Context
}

func (m memory) Witnessed(cosigned []byte, size uint64) error {
	if err := m.u.o.Store.Witness(cosigned, size); err != nil {
		return err
	}
	m.u.remembered.Witnessed, m.u.dirty = cosigned, true
	return nil
}

// SaveIncarnation is in the log when a centre that was known comes back as another: what it had acknowledged may be gone.
func (m memory) SaveIncarnation(incarnation string, acknowledged uint64) error {
	c := ledgerdb.Change{Puts: []ledgerdb.Put{centreTable.Put(onlyRow, remembered{Incarnation: incarnation})},
		Entries: []ledger.Draft{{Actor: ledger.System, Via: ledger.ViaCentre, Kind: "sync.centre",
			Data: map[string]any{"incarnation": incarnation, "acknowledged": acknowledged}}}}
	if _, err := m.u.o.Store.Commit(m.ctx, c); err != nil {
		return fmt.Errorf("note the centre's incarnation: %w", err)
	}
	m.u.remembered, m.u.dirty = remembered{Incarnation: incarnation}, false
	return nil
}

func (m memory) Branch(epoch, fork, had uint64, reason string) error {
	m.u.remembered.Witnessed, m.u.dirty = nil, true
	return m.u.o.Store.SetEpoch(m.ctx, epoch, fork, had, reason)
}

// save writes down the newest cosignature.
func (u *Uplink) save(ctx context.Context) error {
	if !u.dirty {
		return nil
	}
	if _, err := u.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{centreTable.Put(onlyRow, u.remembered)}}); err != nil {
		if errors.Is(err, ledgerdb.ErrClosed) {
			return nil // stopping; it is only a memory
		}
		return fmt.Errorf("keep what is known of the centre: %w", err)
	}
	u.dirty = false
	return nil
}
