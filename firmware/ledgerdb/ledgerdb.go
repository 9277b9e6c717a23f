// Package ledgerdb keeps the ledger and the state of the appliance in one file, and commits both
// together.
//
// It owns <data>/ledger.db, the registered tables in it, and the one goroutine that writes (Run). Every
// durable change of state goes through Commit as a Change. It must never acknowledge what is not durable,
// never hold key material, and never write an entry, a row or a hash outside a commit.
package ledgerdb

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"

	"campuskeep/firmware/keyring"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// ErrErased is returned for a sealed row or part whose owner's key is gone.
var ErrErased = keyring.ErrErased

// ErrDamaged is wrapped by errors about stored bytes that are not what was written. Check says which.
var ErrDamaged = errors.New("ledgerdb: damaged")

// Sealer seals under the keys of subjects: *keyring.Ring, the one named "people".
type Sealer interface {
	Ensure(ctx context.Context, owner ...string) error
	Seal(owner string, aad, plain []byte) ([]byte, error)
	Open(owner string, aad, sealed []byte) ([]byte, error)
}

// Options is what a store needs from outside.
type Options struct {
	Dir    string        // the data directory; ledger.db lies in it
	Origin string        // "campuskeep/<appliance>", without epoch: the name of the log's key
	Clock  clock.Clock   // gives each commit its instant
	People Sealer        // keys of the owners of sealed rows and parts
	Signer crypto.Signer // Ed25519 key of the log. OpenReadOnly does without; then nothing new is signed
	Log    *slog.Logger

	// Damaged, when given, is called once for each part of the file in which a broken page was met: "entries",
	// "table cameras". It must not wait for a commit.
	Damaged func(part string)
}

// Store is an open ledger.db. All methods are safe for concurrent use.
type Store struct {
	o        Options
	db       *bolt.DB
	readOnly bool
	signer   note.Signer     // nil: nothing new is signed
	log      ledger.Verifier // the log's own key

	front          atomic.Pointer[frontier] // what is committed; replaced by the committer only
	suspectEntries []uint64                 // newest entries that were rotten at Open: their hashes in front may be wrong
	queue          queue
	limiter        rateLimiter

	heads headState

	broken struct {
		sync.Mutex
		parts map[string]bool // guarded by the lock; told already
	}

	subs struct {
		sync.Mutex
		next int
		all  map[int]chan uint64
	}
}

// Open opens ledger.db for writing, creating it on the first start. It starts nothing; Commit works while Run
// runs.
func Open(o Options) (*Store, error) {
	if o.Signer == nil || o.Clock == nil || o.People == nil {
		return nil, errors.New("open store: Signer, Clock and People are needed")
	}
	s, err := open(o, false)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

// OpenReadOnly opens an existing ledger.db to check, export or read it while no daemon runs.
func OpenReadOnly(o Options) (*Store, error) {
	s, err := open(o, true)
	if err != nil {
		return nil, fmt.Errorf("open store read-only: %w", err)
	}
	return s, nil
}

func open(o Options, readOnly bool) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if !readOnly {
		if err := create(o); err != nil {
			return nil, err
		}
	}
	db, err := openFile(o.path(), readOnly)
	if err != nil {
		return nil, err
	}
	s := &Store{o: o, db: db, readOnly: readOnly}
	s.queue.wake, s.limiter.look = make(chan struct{}, 1), make(chan struct{}, 1)
	s.subs.all = map[int]chan uint64{}
	if err := guarded(s.load); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// load reads the identity, the frontier of the tree and the kept heads.
func (s *Store) load() error {
	return s.db.View(func(tx *bolt.Tx) error {
		id, err := readIdentity(tx)
		if err != nil {
			return err
		}
		if s.log, err = ledger.ParseVerifier(id.Key); err != nil {
			return err
		}
		if s.o.Origin != "" && s.o.Origin != s.log.Name() {
			return fmt.Errorf("%s belongs to %q, not to %q", s.o.path(), s.log.Name(), s.o.Origin)
		}
		if s.o.Signer != nil {
			if err := s.useSigner(); err != nil {
				return err
			}
		}
		front, rotten, err := loadFrontier(tx)
		if err != nil {
			return err
		}
		s.suspectEntries = rotten
		for _, seq := range rotten {
			s.o.Log.Error("an entry has rotted on the disk; run check", "seq", seq)
		}
		s.front.Store(front)
		return s.loadHeads(tx)
	})
}

func (s *Store) useSigner() error {
	pub, ok := s.o.Signer.Public().(ed25519.PublicKey)
	if !ok || ledger.VerifierKey(s.log.Name(), pub) != s.log.Key {
		return fmt.Errorf("the signing key is not the one that %s was made with", s.o.path())
	}
	var err error
	s.signer, err = ledger.Signer(s.log.Name(), s.o.Signer)
	return err
}

// Close closes the file. Call it after Run has returned; it waits for Views.
func (s *Store) Close() error {
	s.queue.stop()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// VerifierKey is the public key of the log in note form, to hand out.
func (s *Store) VerifierKey() string { return s.log.Key }

// Size is the number of entries.
func (s *Store) Size() uint64 { return s.front.Load().size }

// Subscribe gives the new size after each commit that brought entries; sizes that a slow reader missed are
// skipped, never the last one. Call cancel when done; the channel is not closed.
func (s *Store) Subscribe() (sizes <-chan uint64, cancel func()) {
	ch := make(chan uint64, 1)
	s.subs.Lock()
	defer s.subs.Unlock()
	id := s.subs.next
	s.subs.next++
	s.subs.all[id] = ch
	return ch, func() {
		s.subs.Lock()
		defer s.subs.Unlock()
		delete(s.subs.all, id)
	}
}

// publish tells subscribers; only the committer sends, so that dropping the old value makes room.
func (s *Store) publish(size uint64) {
	s.subs.Lock()
	defer s.subs.Unlock()
	for _, ch := range s.subs.all {
		select {
		case <-ch:
		default:
		}
		ch <- size
	}
}

// lockWait is how long Open waits for another process to let go of the file.
const lockWait = 2 * time.Second
