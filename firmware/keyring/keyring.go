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
	"maps"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"

	"campuskeep/firmware/disk"
)

const (
	dir      = "keys"
	rootName = "root"
	ringExt  = ".ring"
)

// ErrErased is returned by Ring.Open when the owner has no key: it was erased, or there never was one.
var ErrErased = errors.New("keyring: the key is gone")

var nameRule = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// Root is the key under which the rings are sealed.
type Root struct {
	fs    disk.FS
	slots []Slot // the best place first

	turning sync.RWMutex // write-locked while the root is rotated; taken after Ring.writing
	key     Key          // guarded by turning
	slot    int          // guarded by turning; where key lies
	half    bool         // guarded by turning; see ErrHalfRotated

	mu    sync.Mutex
	rings map[string]*Ring // guarded by mu; one Ring per name, so that writers of one file meet on its lock
}

// OpenRoot opens the root key, and makes one on the first start: in the first of the better slots (a TPM's), or, with
// none given, in a file in keys/ of the data directory. A root that lies in a file although there are better slots
// stays there until [Root.Rotate]. It refuses a root that others on the machine may read, and a missing root beside
// existing rings.
func OpenRoot(fsys disk.FS, better ...Slot) (*Root, error) {
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	if err := fsys.SyncDir("."); err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	r := &Root{fs: fsys, slots: append(better[:len(better):len(better)], fileSlots(fsys)...), rings: map[string]*Ring{}}
	keys := map[int]Key{}
	var filled []int
	for i, s := range r.slots {
		key, ok, err := s.Read()
		if err != nil {
			return nil, fmt.Errorf("open root key: %w", err)
		}
		if ok {
			keys[i], filled = key, append(filled, i)
		}
	}
	var err error
	if len(filled) == 0 {
		err = r.create()
	} else {
		err = r.settle(filled, keys)
	}
	if err != nil {
		return nil, fmt.Errorf("open root key: %w", err)
	}
	return r, nil
}

// create makes the first root key. A new root beside old rings would lock their content away for ever.
func (r *Root) create() error {
	rings, prepared, err := r.listRings()
	if err != nil {
		return err
	}
	if len(rings)+len(prepared) > 0 {
		return fmt.Errorf("it is missing although there are key rings (%s): restore it, or name the TPM that it lies in", strings.Join(append(rings, prepared...), ", "))
	}
	rand.Read(r.key[:])
	if err := r.slots[0].Write(r.key); err != nil {
		return fmt.Errorf("store a new one: %w", err)
	}
	return nil
}

// Label says for the deletion certificate what the erasure of a key is worth, and where the root lies. Without a TPM
// it is best effort: flash cannot promise that blocks which were overwritten are gone.
func (r *Root) Label() (assurance, place string) {
	r.turning.RLock()
	defer r.turning.RUnlock()
	place = r.slots[r.slot].Place()
	if place == PlaceTPM {
		return AssuranceErased, place
	}
	return AssuranceBestEffort, place
}

// Ring opens a ring by name ("footage", "people", "hold-<id>"); one that does not exist is empty and gets its
// file with its first key. The same name gives the same *Ring.
func (r *Root) Ring(name string) (*Ring, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.rings[name]; k != nil {
		return k, nil
	}
	k := &Ring{root: r, name: name, keys: map[string]Key{}}
	if err := k.load(); err != nil {
		return nil, fmt.Errorf("open ring %s: %w", name, err)
	}
	r.rings[name] = k
	return k, nil
}

// Make gives the ring its file when it has none, so that a file which is missing later is known to be lost.
func (k *Ring) Make() error {
	k.writing.Lock()
	defer k.writing.Unlock()
	switch _, err := k.root.fs.Stat(k.file()); {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("make ring %s: %w", k.name, err)
	}
	k.mu.RLock()
	keys := maps.Clone(k.keys)
	k.mu.RUnlock()
	return k.replace(keys)
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

// Drop erases a ring with all its keys, durably; none there is fine. The file is not read: one that cannot be opened
// any more ends like every other.
func (r *Root) Drop(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	r.mu.Lock() // until the file is gone, nobody opens it
	defer r.mu.Unlock()
	k := r.rings[name]
	if k != nil {
		k.writing.Lock()
		defer k.writing.Unlock()
	}
	r.turning.RLock()
	defer r.turning.RUnlock()
	if r.half {
		return fmt.Errorf("drop ring %s: %w", name, ErrHalfRotated)
	}
	if err := disk.RemoveTemp(r.fs, ringFile(name)); err != nil {
		return fmt.Errorf("drop ring %s: %w", name, err)
	}
	for _, file := range []string{ringFile(name), path.Join(dir, name+asideExt)} {
		if err := r.fs.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("drop ring %s: %w", name, err)
		}
	}
	if err := r.fs.SyncDir(dir); err != nil {
		return fmt.Errorf("drop ring %s: %w", name, err)
	}
	if k != nil {
		k.mu.Lock()
		k.keys, k.unsure = map[string]Key{}, false
		k.mu.Unlock()
	}
	return nil
}

func checkName(name string) error {
	if !nameRule.MatchString(name) || name == rootName {
		return fmt.Errorf("keyring: ring name %q: want a-z, 0-9, - and _, at most 64", name)
	}
	return nil
}

// file is the path of the ring.
func (k *Ring) file() string { return ringFile(k.name) }

func ringFile(name string) string { return path.Join(dir, name+ringExt) }

func (k *Ring) load() error {
	k.root.turning.RLock()
	defer k.root.turning.RUnlock()
	if err := disk.RemoveTemp(k.root.fs, k.file()); err != nil {
		return err
	}
	b, err := disk.ReadFile(k.root.fs, k.file())
	if errors.Is(err, os.ErrNotExist) {
		switch _, err := k.root.fs.Stat(path.Join(dir, k.name+asideExt)); {
		case err == nil:
			return fmt.Errorf("it could not be opened any more and was set aside as keys/%s: restore keys/%s from a backup of the keys", k.name+asideExt, k.name+ringExt)
		case !errors.Is(err, os.ErrNotExist):
			return err
		}
		return nil
	}
	if err != nil {
		return err
	}
	k.keys, err = unsealRing(k.root.key, k.name, b)
	return err
}
