// Package protocol decides what an appliance and the centre say to each other, and when: one state machine for
// each side, driven by messages and instants.
//
// It owns the rules of design §6 (cursor, window, hello, healing, branch, incarnation); it starts nothing, opens
// nothing and reads no clock. The program brings a network and a database; a random simulation brings bad ones. It
// must never call anything acknowledged that the centre has not committed, and never overwrite a leaf.
package protocol

import (
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
)

// Leaf is one leaf on its way: its bytes, or only its hash when the bytes have rotted on the appliance.
type Leaf struct {
	Bytes []byte    // nil for a hash-only leaf
	Hash  tlog.Hash // RFC 6962 leaf hash
}

// LeafOf is the leaf of these bytes.
func LeafOf(b []byte) Leaf { return Leaf{Bytes: b, Hash: tlog.RecordHash(b)} }

// Incarnation of the centre's database. Only a new one may lower what is acknowledged.
type Incarnation struct {
	ID    string    // 16 hex digits
	Since time.Time // when it began
}

// Cursor is how far one epoch of one appliance has come at the centre.
type Cursor struct {
	Epoch      uint64
	Base       uint64     // the epoch it branched from; 0: none
	Fork       uint64     // leaves [0,Fork) are those of Base
	Grant      wire.Nonce // the branch request that it was granted to
	Tree       ledger.Tree
	Checkpoint []byte // signed by the appliance, at the size of Tree or older; nil before the first batch
	Parts      wire.PartCursor
	Claimed    uint64 // the size that the newest hello stated
	Parked     int    // batches that wait for their predecessor
	Ahead      uint64 // end of the last urgent leaf that travelled ahead; 0: none
}

// Stored is the number of leaves in the centre's database, those before the fork included.
func (c Cursor) Stored() uint64 { return c.Tree.Size() }

// NodeStep is the distance of the tree levels that the centre keeps beside the leaves.
const NodeStep = 8

// Node is the root of 2^Level leaves, the N-th such.
type Node struct {
	Level int // a multiple of NodeStep, not 0
	N     uint64
	Hash  tlog.Hash
}

// Kinds of alarms.
const (
	AlarmForked    = "log.forked"      // its log contradicts what we witnessed
	AlarmShrunk    = "log.shrunk"      // its log ends before what we witnessed
	AlarmConflict  = "log.conflict"    // a batch contradicts what is stored, or does not have the root that it states
	AlarmSignature = "log.signature"   // a checkpoint is not signed by its key
	AlarmUrgent    = "urgent.refused"  // an urgent leaf without a valid proof, or a second one
	AlarmPayload   = "payload.refused" // a part that does not fit its commitment, or that is not released
	AlarmMalformed = "wire.malformed"  // bytes that are no message
	AlarmRestored  = "centre.restored" // the centre itself has lost what it acknowledged
	AlarmEpoch     = "log.epoch"       // an epoch that was never granted
)

// Alarm is something a person at the centre must look at.
type Alarm struct {
	Kind   string
	Epoch  uint64
	Ours   []byte // what we witnessed
	Theirs []byte // what contradicts it
	Detail string // codes and numbers
}

// PartRow is a released part as the centre keeps it.
type PartRow struct {
	Epoch  uint64
	Seq    uint64
	Name   string
	Owner  string
	Salt   []byte
	Plain  []byte
	Erased bool
}

// Tx is one transaction of the centre's database on one appliance, whose cursors it has locked. Epochs are
// exact here: what an epoch inherits from its base is found by this package.
type Tx interface {
	// Key is the appliance's log key in note form.
	Key() (ledger.Verifier, error)
	Incarnation() (Incarnation, error)
	// Renew makes a new incarnation for the whole centre.
	Renew(at time.Time) (Incarnation, error)

	// Newest is the cursor of the newest epoch; none before the first hello.
	Newest() (Cursor, bool, error)
	Cursor(epoch uint64) (Cursor, bool, error)
	// PutCursor writes a cursor; at is the instant of this message.
	PutCursor(c Cursor, at time.Time) error

	// Insert writes leaves that are not there yet; one that is there is an error.
	Insert(epoch, first uint64, leaves []Leaf, nodes []Node, at time.Time) error
	// Hashes gives the leaf hashes [from,to) of exactly this epoch.
	Hashes(epoch, from, to uint64) ([]tlog.Hash, error)
	// Nodes gives the kept nodes [from,to) of a level, of exactly this epoch.
	Nodes(epoch uint64, level int, from, to uint64) ([]tlog.Hash, error)
	// Leaf gives one leaf of exactly this epoch.
	Leaf(epoch, seq uint64) (Leaf, bool, error)

	// Park keeps a batch that came too early; a second one for the same first leaf takes its place.
	Park(epoch, first uint64, body []byte) error
	// Parked gives the parked batch with the lowest first leaf ≤ first.
	Parked(epoch, first uint64) (body []byte, at uint64, ok bool, err error)
	// Unpark forgets parked batches whose first leaf is below limit, and all of other epochs; left is how many
	// stay.
	Unpark(epoch, limit uint64) (left int, err error)

	// PutUrgent keeps an urgent leaf; Urgent reads it.
	PutUrgent(epoch, seq uint64, l Leaf, at time.Time) error
	Urgent(epoch, seq uint64) (Leaf, bool, error)
	// UrgentBetween gives the hashes of the urgent leaves kept in [from,to).
	UrgentBetween(epoch, from, to uint64) (map[uint64]tlog.Hash, error)

	PutPart(p PartRow) error
	// ErasePartsOf forgets the text of every part of an owner and remembers that it was erased.
	ErasePartsOf(owner string) error
	// WithdrawParts forgets every part: a new disclosure profile releases again.
	WithdrawParts() error

	// SetAside keeps a message that was refused, for people to look at.
	SetAside(c wire.Channel, body []byte, why string, at time.Time) error
	// Alarm raises an alarm, or counts once more one that is open with the same kind and epoch.
	Alarm(a Alarm, at time.Time) error
}
