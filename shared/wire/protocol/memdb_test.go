package protocol

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
)

// memDB is a database in memory whose transactions are copies: a crash before commit leaves nothing behind.
type memDB struct {
	rows  memRows
	fail  bool // the next Update dies before its commit
	key   ledger.Verifier
	fresh func() string // names of incarnations
}

type memRows struct {
	inc     Incarnation
	cursors map[uint64]Cursor
	epochs  map[uint64]epochRows
	parked  map[uint64][]byte // of the newest epoch
	urgent  map[[2]uint64]Leaf
	parts   map[partKey]PartRow
	aside   int
	alarms  map[string]int
}

type epochRows struct {
	fork   uint64
	leaves []Leaf
	nodes  map[[2]uint64]tlog.Hash
}

type partKey struct {
	epoch, seq uint64
	name       string
}

func newMemDB(key ledger.Verifier, fresh func() string, at time.Time) *memDB {
	return &memDB{key: key, fresh: fresh, rows: memRows{inc: Incarnation{fresh(), at}, cursors: map[uint64]Cursor{}, epochs: map[uint64]epochRows{},
		parked: map[uint64][]byte{}, urgent: map[[2]uint64]Leaf{}, parts: map[partKey]PartRow{}, alarms: map[string]int{}}}
}

func (r memRows) clone() memRows {
	r.cursors, r.parked, r.urgent, r.parts, r.alarms = maps.Clone(r.cursors), maps.Clone(r.parked), maps.Clone(r.urgent), maps.Clone(r.parts), maps.Clone(r.alarms)
	r.epochs = maps.Clone(r.epochs)
	for e, rows := range r.epochs {
		rows.leaves = slices.Clip(rows.leaves) // the next append copies
		rows.nodes = maps.Clone(rows.nodes)
		r.epochs[e] = rows
	}
	return r
}

var errCrash = errors.New("crashed before commit")

func (d *memDB) Update(_ context.Context, _ string, fn func(Tx) error) error {
	tx := &memTx{d, d.rows.clone()}
	if err := fn(tx); err != nil {
		return err
	}
	if d.fail {
		d.fail = false
		return errCrash
	}
	d.rows = tx.r
	return nil
}

type memTx struct {
	d *memDB
	r memRows
}

func (t *memTx) Key() (ledger.Verifier, error)     { return t.d.key, nil }
func (t *memTx) Incarnation() (Incarnation, error) { return t.r.inc, nil }
func (t *memTx) Renew(at time.Time) (Incarnation, error) {
	t.r.inc = Incarnation{t.d.fresh(), at}
	return t.r.inc, nil
}

func (t *memTx) Newest() (Cursor, bool, error) {
	latest := uint64(0)
	for e := range t.r.cursors {
		latest = max(latest, e)
	}
	return t.Cursor(latest)
}

func (t *memTx) Cursor(e uint64) (Cursor, bool, error) { c, ok := t.r.cursors[e]; return c, ok, nil }
func (t *memTx) PutCursor(c Cursor, _ time.Time) error {
	t.r.cursors[c.Epoch] = c
	if _, ok := t.r.epochs[c.Epoch]; !ok {
		t.r.epochs[c.Epoch] = epochRows{fork: c.Fork, nodes: map[[2]uint64]tlog.Hash{}}
	}
	return nil
}

func (t *memTx) Insert(epoch, first uint64, leaves []Leaf, nodes []Node, _ time.Time) error {
	rows := t.r.epochs[epoch]
	if first != rows.fork+uint64(len(rows.leaves)) {
		return fmt.Errorf("leaf %d of epoch %d written a second time, or with a hole: %d there from %d", first, epoch, len(rows.leaves), rows.fork)
	}
	rows.leaves = append(rows.leaves, leaves...)
	for _, n := range nodes {
		rows.nodes[[2]uint64{uint64(n.Level), n.N}] = n.Hash
	}
	t.r.epochs[epoch] = rows
	return nil
}

func (t *memTx) Hashes(epoch, from, to uint64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for s := from; s < to; s++ {
		l, ok, _ := t.Leaf(epoch, s)
		if !ok {
			break
		}
		out = append(out, l.Hash)
	}
	return out, nil
}

func (t *memTx) Nodes(epoch uint64, level int, from, to uint64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for n := from; n < to; n++ {
		if h, ok := t.r.epochs[epoch].nodes[[2]uint64{uint64(level), n}]; ok {
			out = append(out, h)
		}
	}
	return out, nil
}

func (t *memTx) Leaf(epoch, seq uint64) (Leaf, bool, error) {
	rows := t.r.epochs[epoch]
	if seq < rows.fork || seq-rows.fork >= uint64(len(rows.leaves)) {
		return Leaf{}, false, nil
	}
	return rows.leaves[seq-rows.fork], true, nil
}

func (t *memTx) Park(_, first uint64, body []byte) error { t.r.parked[first] = body; return nil }
func (t *memTx) Parked(_, first uint64) ([]byte, uint64, bool, error) {
	keys := slices.Sorted(maps.Keys(t.r.parked))
	if len(keys) == 0 || keys[0] > first {
		return nil, 0, false, nil
	}
	return t.r.parked[keys[0]], keys[0], true, nil
}
func (t *memTx) Unpark(_, limit uint64) (int, error) {
	for k := range t.r.parked {
		if k < limit || limit == 0 {
			delete(t.r.parked, k)
		}
	}
	return len(t.r.parked), nil
}

func (t *memTx) PutUrgent(epoch, seq uint64, l Leaf, _ time.Time) error {
	if _, twice := t.r.urgent[[2]uint64{epoch, seq}]; twice {
		return fmt.Errorf("urgent leaf %d written a second time", seq)
	}
	t.r.urgent[[2]uint64{epoch, seq}] = l
	return nil
}
func (t *memTx) Urgent(epoch, seq uint64) (Leaf, bool, error) {
	l, ok := t.r.urgent[[2]uint64{epoch, seq}]
	return l, ok, nil
}
func (t *memTx) UrgentBetween(epoch, from, to uint64) (map[uint64]tlog.Hash, error) {
	out := map[uint64]tlog.Hash{}
	for k, l := range t.r.urgent {
		if k[0] == epoch && k[1] >= from && k[1] < to {
			out[k[1]] = l.Hash
		}
	}
	return out, nil
}

func (t *memTx) PutPart(p PartRow) error {
	t.r.parts[partKey{p.Epoch, p.Seq, p.Name}] = p
	return nil
}
func (t *memTx) ErasePartsOf(owner string) error {
	for k, p := range t.r.parts {
		if p.Owner == owner {
			p.Plain, p.Salt, p.Erased = nil, nil, true
			t.r.parts[k] = p
		}
	}
	return nil
}
func (t *memTx) WithdrawParts() error { clear(t.r.parts); return nil }
func (t *memTx) SetAside(wire.Channel, []byte, string, time.Time) error {
	t.r.aside++
	return nil
}
func (t *memTx) Alarm(a Alarm, _ time.Time) error { t.r.alarms[a.Kind]++; return nil }

// chainOf gives the root of what is stored under an epoch at a size, and whether that much is stored.
func (d *memDB) rootAt(epoch, size uint64) (tlog.Hash, bool) {
	c, ok := d.rows.cursors[epoch]
	if !ok || size > c.Stored() {
		return tlog.Hash{}, false
	}
	ch, err := openChain(&memTx{d, d.rows}, c)
	if err != nil {
		panic(err)
	}
	t, err := ch.tree(size)
	if err != nil {
		panic(err)
	}
	return t.Root(), true
}

// cheapSigner signs with a keyed hash, so that thousands of simulated conversations stay quick.
type cheapSigner struct {
	name  string
	stamp *time.Time // cosignatures carry it
}

func (s cheapSigner) Name() string    { return s.name }
func (s cheapSigner) KeyHash() uint32 { return 0x11223344 }
func (s cheapSigner) mac(msg []byte) []byte {
	a := sha256.Sum256(append([]byte(s.name+"|"), msg...))
	return append(a[:], a[:]...)
}
func (s cheapSigner) Sign(msg []byte) ([]byte, error) {
	if s.stamp == nil {
		return s.mac(msg), nil
	}
	return append(binary.BigEndian.AppendUint64(nil, uint64(s.stamp.Unix())), s.mac(msg)...), nil
}
func (s cheapSigner) Verify(msg, sig []byte) bool {
	if len(sig) == 72 {
		sig = sig[8:]
	}
	return bytes.Equal(s.mac(msg), sig)
}

type cheapCentre struct{ name string }

func (c cheapCentre) Cosigner() ledger.Verifier {
	return ledger.Verifier{Verifier: cheapSigner{name: c.name}, Witness: true}
}
func (c cheapCentre) key() ledger.Verifier {
	return ledger.Verifier{Verifier: cheapSigner{name: c.name + "/time"}}
}
func (c cheapCentre) Cosign(cp []byte, log ledger.Verifier, at time.Time) ([]byte, error) {
	return ledger.Cosign(cp, log, cheapSigner{c.name, &at})
}
func (c cheapCentre) Time(n wire.Nonce, at time.Time) ([]byte, error) {
	return wire.SignTime(n, at, cheapSigner{name: c.name + "/time"})
}

// boxLog is an appliance's ledger on its disk.
type boxLog struct {
	key    cheapSigner
	epoch  uint64
	leaves []Leaf
	roots  []tlog.Hash // roots[n] is the root of n leaves
	tree   ledger.Tree
	parts  map[uint64]wire.Item
	urgent []uint64
}

func newBoxLog(key cheapSigner) *boxLog {
	return &boxLog{key: key, epoch: 1, roots: []tlog.Hash{ledger.EmptyRoot}, parts: map[uint64]wire.Item{}}
}

func (l *boxLog) add(b []byte) uint64 {
	l.leaves = append(l.leaves, LeafOf(b))
	l.tree.Add(b)
	l.roots = append(l.roots, l.tree.Root())
	return uint64(len(l.leaves) - 1)
}

func (l *boxLog) clone() *boxLog {
	c := *l
	c.leaves, c.roots = slices.Clip(l.leaves), slices.Clip(l.roots)
	c.tree = clone(l.tree)
	c.parts = maps.Clone(l.parts)
	c.urgent = slices.Clip(l.urgent)
	return &c
}

func (l *boxLog) Size() uint64  { return uint64(len(l.leaves)) }
func (l *boxLog) Epoch() uint64 { return l.epoch }
func (l *boxLog) Leaves(from uint64, max int) ([]Leaf, error) {
	return l.leaves[from:min(int(from)+max, len(l.leaves))], nil
}
func (l *boxLog) Root(size uint64) (tlog.Hash, error) { return l.roots[size], nil }
func (l *boxLog) Checkpoint(size uint64) ([]byte, error) {
	return ledger.Checkpoint{Origin: ledger.Origin(l.key.name, l.epoch), Size: size, Root: l.roots[size]}.Sign(l.key)
}

func (l *boxLog) Inclusion(seq, size uint64) (tlog.RecordProof, error) {
	return tlog.ProveRecord(int64(size), int64(seq), tlog.HashReaderFunc(func(ix []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(ix))
		for i, x := range ix {
			level, n := tlog.SplitStoredHashIndex(x)
			var hs []tlog.Hash
			for _, leaf := range l.leaves[n<<level : (n+1)<<level] {
				hs = append(hs, leaf.Hash)
			}
			for len(hs) > 1 {
				for j := range len(hs) / 2 {
					hs[j] = tlog.NodeHash(hs[2*j], hs[2*j+1])
				}
				hs = hs[:len(hs)/2]
			}
			out[i] = hs[0]
		}
		return out, nil
	}))
}

func (l *boxLog) UrgentFrom(from, to uint64) (seqs []uint64, next uint64, err error) {
	i := sort.Search(len(l.urgent), func(i int) bool { return l.urgent[i] >= from })
	for ; i < len(l.urgent) && l.urgent[i] < to; i++ {
		seqs = append(seqs, l.urgent[i])
	}
	return seqs, to, nil
}

func (l *boxLog) ReleasedFrom(from, to uint64) (items []wire.Item, next uint64, err error) {
	for s := from; s < to; s++ {
		if it, ok := l.parts[s]; ok {
			items = append(items, it)
			if len(items) == 2 {
				return items, s + 1, nil
			}
		}
	}
	return items, to, nil
}
