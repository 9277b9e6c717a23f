package ledgerdb

import (
	"errors"
	"fmt"

	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// Errors that a caller of Commit branches on. All of them mean: nothing of the Change was written.
var (
	// ErrConflict: a row was not at the expected revision. Read again, decide again.
	ErrConflict = errors.New("ledgerdb: the row has changed meanwhile")
	// ErrClosed: the committer has stopped.
	ErrClosed = errors.New("ledgerdb: closed")
	// ErrReadOnly: the store was opened for checking or exporting.
	ErrReadOnly = errors.New("ledgerdb: opened read-only")
	// ErrInvalid wraps what is wrong with a Change itself: unknown table, a key or value over its cap.
	ErrInvalid = errors.New("ledgerdb: invalid change")
)

// Caps of a Change.
const (
	MaxKey   = 128       // bytes of a row key
	MaxValue = 256 << 10 // bytes of a row value before sealing
	MaxRows  = 4096      // puts and deletes of one Change
)

// Change is everything that must become true together. It is a value: rules build it, Commit writes it.
// Expectations of all its parts are checked before anything is written; a miss fails this Change alone.
type Change struct {
	Puts    []Put
	Deletes []Delete
	Require []Require
	Entries []ledger.Draft
	// Check runs inside the commit's transaction, after the expectations and before anything of this Change
	// is written: the place to look again at what may have changed since the Change was built (holds). An
	// error fails this Change alone and is returned by Commit as it is. It must only read, and be quick: every
	// other caller waits.
	Check func(Tx) error
}

// Put writes a row. TableOf.Put makes it.
type Put struct {
	Table  string
	Key    string  // printable ASCII, at most MaxKey bytes: codes and pseudonymous ids, it may be in the log
	Value  []byte  // JSON
	Owner  string  // for sealed tables: the subject whose key seals the value
	Expect *uint64 // the revision that must be there; 0: the row must not exist; nil: whatever is there
}

// Delete removes a row; a missing one is fine unless Expect says otherwise.
type Delete struct {
	Table, Key string
	Expect     *uint64
}

// Require is an expectation on a row that is not written: it must be at Rev, or not exist when Rev is 0.
type Require struct {
	Table, Key string
	Rev        uint64
}

// Receipt is what a durable Change became.
type Receipt struct {
	First, Last uint64         // sequence numbers of the entries; meaningful when there are any
	Entries     []ledger.Entry // as stored
	Reading     clock.Reading  // the instant the commit was given
	Revs        []uint64       // new revision of each Put, in order
}

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}
