// Package sealedfiles keeps what people attach: scans, photographs and PDF documents, sealed under the key of their owner.
//
// It owns <data>/files, one file per object, and the table sealed_files. It must never keep a picture with the place
// where it was taken, give out content whose entry is not committed, or keep content whose owner was erased readable.
package sealedfiles

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// Limits of one file.
const (
	MaxBytes  = 20 << 20 // of what is uploaded (S15)
	MaxPixels = 24 << 20 // of a picture before it is decoded: 24 million
)

// The uses that a file may have; the code is in its entry.
const (
	UseRecord = "record" // of a pupil's safety record
	UseLeave  = "leave"  // a paper slip of leave
	UseForm   = "form"   // a signed agreement or letter
)

var uses = []string{UseRecord, UseLeave, UseForm}

// The types of content. They are found by looking at the content, never at a name.
const (
	JPEG = "jpeg"
	PNG  = "png"
	PDF  = "pdf"
)

// MIME is the type as HTTP names it.
func MIME(t string) string {
	if t == PDF {
		return "application/pdf"
	}
	return "image/" + t
}

// ErrNotFound: there is no such file, or not any more.
var ErrNotFound = errors.New("sealedfiles: not found")

// File is what is known of one file. It holds no text: what it shows belongs to the record that names it.
type File struct {
	ID    string    `json:"id"`    // 32 hexadecimal digits
	Owner string    `json:"owner"` // subject whose key seals it
	Use   string    `json:"use"`
	Type  string    `json:"type"`
	Bytes int64     `json:"bytes"` // as kept, before sealing
	Sum   []byte    `json:"sum"`   // SHA-256 of that
	By    string    `json:"by"`
	At    time.Time `json:"at"`
}

var table = ledgerdb.NewTable[File]("sealed_files", ledgerdb.Replayable())

// Options is what the store needs from outside.
type Options struct {
	Store *ledgerdb.Store
	Data  disk.FS       // the data directory
	Keys  *keyring.Ring // the people ring
	Clock clock.Clock
	Log   *slog.Logger
}

// Store keeps the files; all methods are safe for concurrent use.
type Store struct {
	o     Options
	slots chan struct{} // uploads that are in memory at once

	picture sync.Mutex // held while a picture is decoded: one at a time bounds the memory

	mu     sync.Mutex
	staged map[string]bool // guarded by mu; on the disk, their row is being committed
}

const (
	dir       = "files"
	temporary = ".tmp"
	// atOnce is how many uploads are in memory at a time; so many files can lack their row after a power cut.
	atOnce = 2
)

// Open prepares the directory and removes what an interrupted upload left. It starts nothing.
func Open(o Options) (*Store, error) {
	s := &Store{o: o, slots: make(chan struct{}, atOnce), staged: map[string]bool{}}
	if s.o.Log == nil {
		s.o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.Data.MkdirAll(dir, 0o700); err != nil && !errors.Is(err, syscall.EROFS) {
		return nil, fmt.Errorf("open the sealed files: %w", err)
	}
	if err := s.tidy(); err != nil {
		return nil, fmt.Errorf("open the sealed files: %w", err)
	}
	return s, nil
}

// tidy removes temporary files, and files without a row when there are no more of them than uploads that a power cut
// interrupts: nobody got an answer for those. More of them belong to a ledger that was set back, and stay for Check.
func (s *Store) tidy() error {
	names, rows, err := s.both()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a read-only directory of an earlier build
	}
	if err != nil {
		return err
	}
	var remove, orphans []string
	for _, name := range names {
		switch {
		case strings.HasSuffix(name, temporary):
			remove = append(remove, name)
		case rows[name].ID == "":
			orphans = append(orphans, name)
		}
	}
	if len(orphans) <= atOnce {
		remove = append(remove, orphans...)
	} else {
		s.o.Log.Error("sealed files without a row: the ledger may be older than the files; run check", "count", len(orphans))
	}
	if len(remove) == 0 {
		return nil
	}
	for _, name := range remove {
		err := s.o.Data.Remove(path.Join(dir, name))
		if errors.Is(err, syscall.EROFS) {
			return nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return s.o.Data.SyncDir(dir)
}

// both lists the names in the directory and the rows, of which the names are read first: a file that comes meanwhile is
// in neither or in both.
func (s *Store) both() (names []string, rows map[string]File, err error) {
	list, err := s.o.Data.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	rows = map[string]File{}
	err = s.o.Store.View(func(tx ledgerdb.Tx) error {
		for id, f := range table.All(tx) {
			rows[id] = f
		}
		return nil
	})
	return names, rows, err
}

// Staged is a file that is sealed on the disk and counts from the moment its row is committed.
type Staged struct {
	File File
	s    *Store
}

// Stage reads an upload, checks it and seals it on the disk. The caller puts it Into the Change that needs it and calls
// Settle with the outcome. What is wrong with the content is fielderr.Errors at "file".
func (s *Store) Stage(ctx context.Context, by account.Who, owner, use string, r io.Reader) (*Staged, error) {
	if !slices.Contains(uses, use) || owner == "" {
		return nil, fmt.Errorf("seal a file: use %q, owner %q", use, owner)
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.slots }()
	b, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("receive a file: %w", err)
	}
	b, kind, err := s.clean(b)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	f := File{ID: newID(), Owner: owner, Use: use, Type: kind, Bytes: int64(len(b)), Sum: sum[:], By: by.ID, At: s.o.Clock.Now().Wall.UTC()}
	if err := s.o.Keys.Ensure(ctx, owner); err != nil {
		return nil, fmt.Errorf("seal a file: %w", err)
	}
	s.mu.Lock()
	s.staged[f.ID] = true
	s.mu.Unlock()
	g := &Staged{File: f, s: s}
	if err := s.write(f, b); err != nil {
		return nil, errors.Join(fmt.Errorf("seal a file: %w", err), g.drop())
	}
	return g, nil
}

func newID() string {
	var id [16]byte
	rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

// write seals the content into a temporary file, makes it durable and gives it its name.
func (s *Store) write(f File, b []byte) error {
	key, ok := s.o.Keys.Key(f.Owner)
	if !ok {
		return keyring.ErrErased
	}
	name := path.Join(dir, f.ID)
	w, err := s.o.Data.OpenFile(name+temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = seal(w, key, f, b)
	if err == nil {
		err = w.Sync()
	}
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = s.o.Data.Rename(name+temporary, name)
	}
	if err != nil {
		return err
	}
	return s.o.Data.SyncDir(dir)
}

// Into adds the file's row and entry to a Change.
func (g *Staged) Into(ch *ledgerdb.Change, by account.Who, role account.Role) {
	f := g.File
	ch.Puts = append(ch.Puts, table.PutRev(f.ID, f, 0))
	ch.Entries = append(ch.Entries, by.Draft("file.stored", role, f.ID, map[string]any{"owner": f.Owner, "use": f.Use, "type": f.Type, "bytes": f.Bytes, "sum": f.Sum}))
}

// Settle ends the upload with the outcome of the commit, which it returns. When it is sure that nothing was written, the
// file is removed; otherwise the next start decides by the row.
func (g *Staged) Settle(err error) error {
	if err == nil {
		g.s.mu.Lock()
		defer g.s.mu.Unlock()
		delete(g.s.staged, g.File.ID)
		return nil
	}
	for _, known := range []error{ledgerdb.ErrConflict, ledgerdb.ErrInvalid, ledgerdb.ErrClosed, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return errors.Join(err, g.drop())
		}
	}
	return err
}

// drop removes a file that has no row.
func (g *Staged) drop() error {
	var errs []error
	for _, name := range []string{g.File.ID, g.File.ID + temporary} {
		if err := g.s.o.Data.Remove(path.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	delete(g.s.staged, g.File.ID)
	return errors.Join(errs...)
}

// Put is Stage with a Change of its own.
func (s *Store) Put(ctx context.Context, by account.Who, owner, use string, r io.Reader) (File, error) {
	g, err := s.Stage(ctx, by, owner, use, r)
	if err != nil {
		return File{}, err
	}
	var ch ledgerdb.Change
	g.Into(&ch, by, "")
	_, err = s.o.Store.Commit(ctx, ch)
	if err := g.Settle(err); err != nil {
		return File{}, fmt.Errorf("enter a file: %w", err)
	}
	return g.File, nil
}

// Get is what is known of a file.
func (s *Store) Get(id string) (f File, err error) {
	var ok bool
	err = s.o.Store.View(func(tx ledgerdb.Tx) (err error) {
		f, _, ok, err = table.Get(tx, id)
		return err
	})
	if err == nil && !ok {
		err = ErrNotFound
	}
	return f, err
}

// Open opens a file for reading. Who may read it, and the entry that says so, are the caller's. Errors: ErrNotFound,
// keyring.ErrErased.
func (s *Store) Open(_ context.Context, id string) (io.ReadSeekCloser, File, error) {
	f, err := s.Get(id)
	if err != nil {
		return nil, f, err
	}
	r, err := s.open(f)
	if err != nil {
		return nil, f, fmt.Errorf("open file %s: %w", id, err)
	}
	return r, f, nil
}

func (s *Store) open(f File) (*reader, error) {
	key, ok := s.o.Keys.Key(f.Owner)
	if !ok {
		return nil, keyring.ErrErased
	}
	h, err := s.o.Data.Open(path.Join(dir, f.ID))
	if err != nil {
		return nil, err
	}
	r, err := unseal(h, key, f)
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return r, nil
}

// mostForgotten bounds one Change: its entry binds each row that goes, and has room for some thirty.
const mostForgotten = 20

// Forget removes the files of owners whose keys are gone, with an entry for each owner, and says how many. It can be
// repeated.
func (s *Store) Forget(ctx context.Context, by account.Who) (n int, err error) {
	_, rows, err := s.both()
	if err != nil {
		return 0, fmt.Errorf("remove erased files: %w", err)
	}
	gone := map[string][]string{}
	for id, f := range rows {
		if _, ok := s.o.Keys.Key(f.Owner); !ok {
			gone[f.Owner] = append(gone[f.Owner], id)
		}
	}
	for owner, all := range gone {
		slices.Sort(all)
		for ids := range slices.Chunk(all, mostForgotten) {
			ch := ledgerdb.Change{Entries: []ledger.Draft{by.Draft("file.erased", "", owner, map[string]any{"count": len(ids)})}}
			for _, id := range ids {
				if err := s.o.Data.Remove(path.Join(dir, id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return n, fmt.Errorf("remove an erased file: %w", err)
				}
				ch.Deletes = append(ch.Deletes, table.Delete(id))
			}
			if err := s.o.Data.SyncDir(dir); err != nil {
				return n, fmt.Errorf("remove erased files: %w", err)
			}
			if _, err := s.o.Store.Commit(ctx, ch); err != nil {
				return n, fmt.Errorf("enter removed files: %w", err)
			}
			n += len(ids)
		}
	}
	return n, nil
}

// fault is a file that is refused, as a form shows it.
func fault(rule string, args ...any) error {
	return fielderr.Errors{{Field: "file", Rule: rule, Args: args}}
}
