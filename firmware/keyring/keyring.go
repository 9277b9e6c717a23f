// Package keyring keeps the keys whose destruction is the deletion of what they seal: the keys of
// camera-days, of persons and students, of holds.
//
// It owns <data>/keys: the root key and one sealed file per ring. A key exists durably before anything names
// it, and erasing is durable before it is reported; a key must never reach a log, a database or a backup of
// the footage ring.
package keyring

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/crypto/chacha20poly1305"

	"campuskeep/firmware/disk"
)

const (
	dir      = "keys"
	rootName = "root"
	ringExt  = ".ring"
)

// AssuranceBestEffort is the assurance of an erasure without a TPM: the root key lies in a file, and flash
// cannot promise that overwritten blocks are gone. Deletion entries carry this code (design §5).
const AssuranceBestEffort = "best_effort"

// ErrErased is returned by Ring.Open when the owner has no key: it was erased, or there never was one.
var ErrErased = errors.New("keyring: the key is gone")

var nameRule = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// Root is the key under which the rings are sealed.
type Root struct {
	fs  disk.FS
	key [chacha20poly1305.KeySize]byte

	mu    sync.Mutex
	rings map[string]*Ring // guarded by mu; one Ring per name, so that writers of one file meet on its lock
}

// OpenRoot opens the root key in keys/ of the data directory, and makes one on the first start. It refuses a
// root that others on the machine may read, and a missing root beside existing rings.
func OpenRoot(fsys disk.FS) (*Root, error) {
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	if err := fsys.SyncDir("."); err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	name := path.Join(dir, rootName)
	if err := disk.RemoveTemp(fsys, name); err != nil {
		return nil, fmt.Errorf("open root key: %w", err)
	}
	r := &Root{fs: fsys, rings: map[string]*Ring{}}
	info, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return r, r.create(name)
	}
	if err != nil {
		return nil, fmt.Errorf("open root key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("open root key: %s has mode %v, others may read it: set 0600", name, info.Mode().Perm())
	}
	b, err := disk.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("open root key: %w", err)
	}
	if len(b) != len(r.key) {
		return nil, fmt.Errorf("open root key: %s has %d bytes, want %d", name, len(b), len(r.key))
	}
	copy(r.key[:], b)
	return r, nil
}

// create makes the first root key. A new root beside old rings would lock their content away for ever.
func (r *Root) create(name string) error {
	list, err := r.fs.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("create root key: %w", err)
	}
	for _, e := range list {
		if strings.HasSuffix(e.Name(), ringExt) {
			return fmt.Errorf("create root key: %s is missing although %s exists: restore the root key", name, e.Name())
		}
	}
	rand.Read(r.key[:])
	if err := disk.WriteAtomic(r.fs, name, r.key[:], 0o600); err != nil {
		return fmt.Errorf("create root key: %w", err)
	}
	return nil
}

// Label says in one word for the deletion certificate how sure an erasure is, and in another where the root lies.
func (r *Root) Label() (assurance, where string) { return AssuranceBestEffort, "file, no TPM" }

// Ring opens a ring by name ("footage", "people", "hold-<id>"); one that does not exist is empty and gets its
// file with its first key. The same name gives the same *Ring.
func (r *Root) Ring(name string) (*Ring, error) {
	if !nameRule.MatchString(name) || name == rootName {
		return nil, fmt.Errorf("keyring: ring name %q: want a-z, 0-9, - and _, at most 64", name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.rings[name]; k != nil {
		return k, nil
	}
	k := &Ring{root: r, name: name, keys: map[string]Key{}, adding: map[string]Key{}}
	if err := k.load(); err != nil {
		return nil, fmt.Errorf("open ring %s: %w", name, err)
	}
	r.rings[name] = k
	return k, nil
}

// Rings lists the rings that have a file.
func (r *Root) Rings() ([]string, error) {
	list, err := r.fs.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list rings: %w", err)
	}
	var names []string
	for _, e := range list {
		if n, ok := strings.CutSuffix(e.Name(), ringExt); ok {
			names = append(names, n)
		}
	}
	return names, nil
}

// Drop erases a ring with all its keys, durably; none there is fine.
func (r *Root) Drop(name string) error {
	k, err := r.Ring(name)
	if err != nil {
		return err
	}
	k.writing.Lock()
	defer k.writing.Unlock()
	if err := r.fs.Remove(k.file()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop ring %s: %w", name, err)
	}
	if err := r.fs.SyncDir(dir); err != nil {
		return fmt.Errorf("drop ring %s: %w", name, err)
	}
	k.mu.Lock()
	k.keys, k.adding = map[string]Key{}, map[string]Key{}
	k.mu.Unlock()
	return nil
}

// file is the path of the ring.
func (k *Ring) file() string { return path.Join(dir, k.name+ringExt) }

func (k *Ring) load() error {
	if err := disk.RemoveTemp(k.root.fs, k.file()); err != nil {
		return err
	}
	b, err := disk.ReadFile(k.root.fs, k.file())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	k.keys, err = unsealRing(k.root.key, k.name, b)
	return err
}
