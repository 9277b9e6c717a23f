package store

import (
	"campuskeep/shared/ledger"
	"context"
	"golang.org/x/mod/sumdb/tlog"
	"io"
	"iter"
	"time"
)

const todo = "store: body follows"

// Tx is a consistent view of the rows.
type Tx struct{ s *Store }
type rawRow struct {
	value []byte
	rev   uint64
	err   error
}

func (tx Tx) row(t Table, key string) ([]byte, uint64, bool, error) { panic(todo) }
func (tx Tx) rows(t Table, prefix string) iter.Seq2[string, rawRow] { panic(todo) }
func (tx Tx) damaged(err error)                                     { panic(todo) }

// Store is an open ledger.db. All methods are safe for concurrent use.
type Store struct{}

// Open opens or creates ledger.db for writing. It starts nothing; Commit works while Run runs.
func Open(o Options) (*Store, error) { panic(todo) }

// OpenReadOnly opens ledger.db for Check, Export and reading while no daemon runs.
func OpenReadOnly(o Options) (*Store, error) { panic(todo) }

// Close closes the file; call it after Run has returned.
func (s *Store) Close() error { panic(todo) }

// Run is the committer: it does until ctx ends.
func (s *Store) Run(ctx context.Context) error { panic(todo) }

// Commit writes the Change; when it returns nil, all of it is durable; on an error nothing of it is written.
func (s *Store) Commit(ctx context.Context, c Change) (Receipt, error) { panic(todo) }

// View runs fn on a consistent snapshot of the rows.
func (s *Store) View(fn func(Tx) error) error { panic(todo) }

// Size is the number of entries.
func (s *Store) Size() uint64 { panic(todo) }

// Leaves gives up to max leaves as stored, from seq from. A nil element is a leaf that rotted: LeafHash still has its hash.
func (s *Store) Leaves(from uint64, max int) ([][]byte, error) { panic(todo) }

// LeafHash is the leaf hash that the tree holds.
func (s *Store) LeafHash(seq uint64) (tlog.Hash, error) { panic(todo) }

// Root is the root of the first size leaves.
func (s *Store) Root(size uint64) (tlog.Hash, error) { panic(todo) }

// Checkpoint signs the tree of the first size leaves.
func (s *Store) Checkpoint(size uint64) ([]byte, error) { panic(todo) }

// ConsistencyProof proves that the tree of old leaves is a prefix of the tree of size leaves.
func (s *Store) ConsistencyProof(old, size uint64) ([]tlog.Hash, error) { panic(todo) }

// InclusionProof is the audit path of seq in the tree of size leaves.
func (s *Store) InclusionProof(seq, size uint64) ([]tlog.Hash, error) { panic(todo) }

// Proof is everything that shows entry seq to someone offline, with its released parts.
func (s *Store) Proof(seq uint64) (ledger.Proof, error) { panic(todo) }

// Parts opens the sealed parts of an entry, for those who May see them; erased ones are marked.
func (s *Store) Parts(seq uint64) ([]ledger.OpenPart, error) { panic(todo) }

// Entry reads one entry.
func (s *Store) Entry(seq uint64) (ledger.Entry, error) { panic(todo) }

// Entries lists entries from, from+1 … to-1.
func (s *Store) Entries(from, to uint64) iter.Seq2[ledger.Entry, error] { panic(todo) }

// Newest lists entries backwards: before-1, before-2 … 0.
func (s *Store) Newest(before uint64) iter.Seq2[ledger.Entry, error] { panic(todo) }

// VerifierKey is the public key of the log in note form, to hand out.
func (s *Store) VerifierKey() string { panic(todo) }

// SetWitness stores the centre's verifier key (cosignature), learned at enrolment.
func (s *Store) SetWitness(ctx context.Context, verifierKey string) error { panic(todo) }

// Witness takes a checkpoint of ours that the centre cosigned. It refuses a root that is not ours, and a cosignature that SetWitness' key does not confirm.
func (s *Store) Witness(cosigned []byte, size uint64) error { panic(todo) }

// Witnessed says how far the centre has confirmed and when (the centre's time); zero when never.
func (s *Store) Witnessed() (size uint64, at time.Time) { panic(todo) }

// Epoch is the current branch, from 1.
func (s *Store) Epoch() uint64 { panic(todo) }

// SetEpoch continues the same tree under the epoch the centre granted, linked at fork (the size up to which both agree); reason is a code.
func (s *Store) SetEpoch(ctx context.Context, epoch, fork uint64, reason string) error { panic(todo) }

// Subscribe gives the new size after each commit; sizes that a slow reader missed are skipped.
func (s *Store) Subscribe() (<-chan uint64, func()) { panic(todo) }

// Finding is one breach found by Check.
type Finding struct {
	Invariant string // "I1", "I2"
	What      string // code: leaf, tile, hole, checkpoint, row, file …
	Where     string // "entry 17", "tile 0/3", "row students/s0001"
	Detail    string
}

// Check verifies I1 and I2 and reports every breach; the error is only about Check itself.
func (s *Store) Check(ctx context.Context, report func(Finding)) error { panic(todo) }

// Export writes the whole log in the format that ledger.VerifyExport reads.
func (s *Store) Export(ctx context.Context, w io.Writer) (size uint64, err error) { panic(todo) }

// Backup writes a consistent copy of ledger.db.
func (s *Store) Backup(w io.Writer) error { panic(todo) }

// Query selects entries of the log, newest first.
type Query struct {
	Kinds    []ledger.Kind // any of these; none: all
	Actors   []string      // any of these
	About    []string      // any of these as subject, or as camera, application, student, viewing in data, or as address
	From, To time.Time     // of Entry.At, half-open; zero: open
	Before   uint64        // only entries with smaller seq; 0: from the newest
	Limit    int           // entries of a page; 0: 50
}

// Page is one page of a search.
type Page struct {
	Entries []ledger.Entry
	Next    uint64 // Before of the next page; 0: no more
}

// Search gives one page.
func (s *Store) Search(ctx context.Context, q Query) (Page, error) { panic(todo) }

// Tally counts what a query matches, by kind; Before and Limit do not count.
func (s *Store) Tally(ctx context.Context, q Query) (map[ledger.Kind]int, error) { panic(todo) }
