package keyring

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"campuskeep/firmware/disk"
)

// The rotation of the root key, in the order in which things become durable (design §5):
//
//	1. every ring is written to <ring>.new under the new root; file and directory synced
//	2. the new root goes into the empty slot, and is read back
//	3. every <ring>.new is renamed to <ring>; directory synced
//	4. the slot of the old root is cleared
//
// A crash before 2 leaves one slot: the .new files cannot be read by anybody and go. A crash from 2 on leaves two
// slots, and the start finishes what was begun. Between 2 and 4 no ring may be written, or the start would take
// the .new file for the later one: an error there closes the rings until the next start.

const newExt = ".new"

// ErrHalfRotated is the answer of a ring after a rotation failed half-way: nothing is written until the next
// start has settled it. Keys can still be read.
var ErrHalfRotated = errors.New("keyring: the rotation of the root key is not finished; start again")

// RootID names a root key without telling anything about it: the first half of a hash of the key.
type RootID [16]byte

func idOf(key Key) RootID {
	h := sha256.Sum256(append([]byte("campuskeep root key\n"), key[:]...))
	return RootID(h[:16])
}

// ID names the present root.
func (r *Root) ID() RootID {
	r.turning.RLock()
	defer r.turning.RUnlock()
	return idOf(r.key)
}

// Rotate puts all rings under a new root key and forgets the old one. announce gets the name and the place of the
// new root before anything is stored; its error stops the rotation. After an error the rings are under the old
// root as before, or closed with ErrHalfRotated.
func (r *Root) Rotate(announce func(id RootID, place string) error) error {
	r.turning.Lock()
	defer r.turning.Unlock()
	if r.half {
		return ErrHalfRotated
	}
	next, err := r.spareRing()
	if err != nil {
		return fmt.Errorf("rotate the root key: %w", err)
	}
	var key Key
	rand.Read(key[:])
	if err := announce(idOf(key), r.slots[next].Place()); err != nil {
		return err
	}
	rings, err := r.prepare(key)
	if err != nil {
		return errors.Join(fmt.Errorf("rotate the root key: %w", err), r.dropPrepared())
	}
	// From here on the start may find two roots.
	r.half = true
	if err := r.store(next, key); err != nil {
		err = fmt.Errorf("rotate the root key: store the new one: %w", err)
		if cerr := r.slots[next].Clear(); cerr != nil {
			return errors.Join(err, cerr)
		}
		if cerr := r.dropPrepared(); cerr != nil {
			return errors.Join(err, cerr)
		}
		r.half = false
		return err
	}
	if err := r.adopt(rings); err != nil {
		return fmt.Errorf("rotate the root key: %w", err)
	}
	old := r.slot
	r.key, r.slot, r.half = key, next, false // the rings are under it now, whatever becomes of the old one
	if err := r.slots[old].Clear(); err != nil {
		return fmt.Errorf("rotate the root key: the old one is still stored: %w", err)
	}
	return nil
}

// spareRing finds the slot for the next root, the best place first, and empties it.
func (r *Root) spareRing() (int, error) {
	for i, s := range r.slots {
		if i != r.slot {
			if err := s.Clear(); err != nil {
				return 0, fmt.Errorf("empty a slot: %w", err)
			}
			return i, nil
		}
	}
	return 0, errors.New("no slot is free")
}

// prepare writes the rings under the new root beside the old ones and says which they are. A file that the present
// root does not open is written from memory when the ring was read before it rotted; otherwise it is set aside, so
// that it stops neither this rotation nor the start after one that was cut short.
func (r *Root) prepare(key Key) (rings []string, err error) {
	all, err := r.Rings()
	if err != nil {
		return nil, err
	}
	for _, name := range all {
		b, err := disk.ReadFile(r.fs, ringFile(name))
		if err != nil {
			return nil, err
		}
		keys, err := unsealRing(r.key, name, b)
		if err != nil {
			var whole bool
			if keys, whole = r.knownRings(name); !whole {
				if err := r.setAside(name); err != nil {
					return nil, fmt.Errorf("set the ring %s aside, which cannot be opened: %w", name, err)
				}
				continue
			}
		}
		if err := disk.WriteAtomic(r.fs, ringFile(name)+newExt, sealRing(key, name, keys), 0o600); err != nil {
			return nil, err
		}
		rings = append(rings, name)
	}
	return rings, nil
}

// knownRings gives the keys of a ring that was opened, when its file surely held just these.
func (r *Root) knownRings(name string) (keys map[string]Key, ok bool) {
	r.mu.Lock()
	k := r.rings[name]
	r.mu.Unlock()
	if k == nil {
		return nil, false
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.keys, !k.unsure
}

// asideExt ends the name of a ring that no root opens any more. It stays until the ring is dropped.
const asideExt = ringExt + ".rotten"

func (r *Root) setAside(name string) error {
	if err := r.fs.Rename(ringFile(name), path.Join(dir, name+asideExt)); err != nil {
		return err
	}
	return r.fs.SyncDir(dir)
}

// Aside lists the rings that were set aside because no root opens them.
func (r *Root) Aside() ([]string, error) {
	list, err := r.fs.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list rings: %w", err)
	}
	var names []string
	for _, e := range list {
		if n, ok := strings.CutSuffix(e.Name(), asideExt); ok {
			names = append(names, n)
		}
	}
	return names, nil
}

// store puts the new root into its slot and reads it back.
func (r *Root) store(slot int, key Key) error {
	if err := r.slots[slot].Write(key); err != nil {
		return err
	}
	switch back, ok, err := r.slots[slot].Read(); {
	case err != nil:
		return err
	case !ok || back != key:
		return errors.New("it reads back otherwise")
	}
	return nil
}

// adopt renames the prepared rings.
func (r *Root) adopt(rings []string) error {
	for _, name := range rings {
		if err := r.fs.Rename(ringFile(name)+newExt, ringFile(name)); err != nil {
			return err
		}
	}
	return r.fs.SyncDir(dir)
}

// dropPrepared removes rings that were prepared for a root that will never be.
func (r *Root) dropPrepared() error {
	list, err := r.fs.ReadDir(dir)
	if err != nil {
		return err
	}
	some := false
	for _, e := range list {
		if strings.HasSuffix(e.Name(), ringExt+newExt) || strings.HasSuffix(e.Name(), ringExt+newExt+".tmp") {
			some = true
			if err := r.fs.Remove(path.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	if !some {
		return nil
	}
	return r.fs.SyncDir(dir)
}

// settle finds the root of a start among the filled slots, finishes a rotation that was cut short, and leaves one
// filled slot and no prepared rings.
func (r *Root) settle(filled []int, keys map[int]Key) error {
	if len(filled) == 1 {
		r.slot, r.key = filled[0], keys[filled[0]]
		return r.dropPrepared() // a root that was never stored
	}
	rings, prepared, err := r.listRings()
	if err != nil {
		return err
	}
	found, best := -1, 0
	var left int
	for _, i := range filled {
		n, ahead, err := r.opens(keys[i], rings, prepared)
		if err != nil {
			return err
		}
		if n > best || n == best && n > 0 && ahead { // the new root, of which prepared rings tell, goes before the old one
			found, best = i, n
		}
	}
	for _, name := range ringsOf(rings, prepared) {
		some := false
		for _, i := range filled {
			ok, err := r.openable(keys[i], name, rings, prepared)
			if err != nil {
				return err
			}
			some = some || ok
		}
		if some {
			left++
		}
	}
	// What no root opens has rotted and is named when it is asked for. What only another root opens must not be lost.
	if found < 0 || best < left {
		return errors.New("none of the stored root keys opens all key rings: a ring was changed, or is of another box")
	}
	r.slot, r.key = found, keys[found]
	for _, name := range prepared {
		ok, err := r.sealedUnder(r.key, name, ringFile(name)+newExt)
		if err == nil && ok {
			err = r.fs.Rename(ringFile(name)+newExt, ringFile(name))
		}
		if err != nil {
			return err
		}
	}
	if err := r.fs.SyncDir(dir); err != nil {
		return err
	}
	for _, i := range filled {
		if i != found {
			if err := r.slots[i].Clear(); err != nil {
				return fmt.Errorf("clear the old root key: %w", err)
			}
		}
	}
	return r.dropPrepared()
}

// opens says how many rings a root opens, as they are or as they were prepared, and whether it opens a prepared one.
func (r *Root) opens(key Key, rings, prepared []string) (n int, ahead bool, err error) {
	for _, name := range ringsOf(rings, prepared) {
		ok, err := r.openable(key, name, rings, prepared)
		if err != nil {
			return 0, false, err
		}
		if ok {
			n++
		}
	}
	for _, name := range prepared {
		ok, err := r.sealedUnder(key, name, ringFile(name)+newExt)
		if err != nil {
			return 0, false, err
		}
		ahead = ahead || ok
	}
	return n, ahead, nil
}

// openable says whether a root opens a ring, as it is or as it was prepared.
func (r *Root) openable(key Key, name string, rings, prepared []string) (ok bool, err error) {
	if slices.Contains(prepared, name) {
		ok, err = r.sealedUnder(key, name, ringFile(name)+newExt)
	}
	if err == nil && !ok && slices.Contains(rings, name) {
		ok, err = r.sealedUnder(key, name, ringFile(name))
	}
	return ok, err
}

func ringsOf(rings, prepared []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(rings, prepared))))
}

func (r *Root) sealedUnder(key Key, name, file string) (bool, error) {
	b, err := disk.ReadFile(r.fs, file)
	if err != nil {
		return false, err
	}
	_, err = unsealRing(key, name, b)
	return err == nil, nil
}

func (r *Root) listRings() (rings, prepared []string, err error) {
	list, err := r.fs.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range list {
		if n, ok := strings.CutSuffix(e.Name(), ringExt); ok {
			rings = append(rings, n)
		} else if n, ok := strings.CutSuffix(e.Name(), ringExt+newExt); ok {
			prepared = append(prepared, n)
		}
	}
	return rings, prepared, nil
}
