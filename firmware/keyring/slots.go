package keyring

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"campuskeep/firmware/disk"
)

// Slot is one place in which a root key lies. There are two of each kind, so that the new key of a rotation is
// stored and read back before the old one goes.
type Slot interface {
	// Read gives the key; ok is false when the slot is empty.
	Read() (key Key, ok bool, err error)
	// Write stores a key in an empty slot, durably when it returns nil.
	Write(key Key) error
	// Clear empties the slot, durably when it returns nil; an empty one is fine.
	Clear() error
	// Place is what the certificate of an erasure says about where the key lies: [PlaceFile] or [PlaceTPM].
	Place() string
}

// Where a root key lies.
const (
	PlaceFile = "file"
	PlaceTPM  = "tpm"
)

// What the erasure of a key is worth, see [Root.Label].
const (
	AssuranceErased     = "erased"
	AssuranceBestEffort = "best_effort"
)

// fileSlot is a root key in a file. What a flash disk keeps of a removed file nobody can promise.
type fileSlot struct {
	fs   disk.FS
	name string
}

func fileSlots(fsys disk.FS) []Slot {
	return []Slot{fileSlot{fsys, path.Join(dir, rootName)}, fileSlot{fsys, path.Join(dir, rootName+".b")}}
}

func (s fileSlot) Place() string { return PlaceFile }

// Read refuses a key that others on the machine may read.
func (s fileSlot) Read() (key Key, ok bool, err error) {
	if err := disk.RemoveTemp(s.fs, s.name); err != nil {
		return key, false, err
	}
	info, err := s.fs.Stat(s.name)
	if errors.Is(err, fs.ErrNotExist) {
		return key, false, nil
	}
	if err != nil {
		return key, false, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return key, false, fmt.Errorf("%s has mode %v, others may read it: set 0600", s.name, info.Mode().Perm())
	}
	b, err := disk.ReadFile(s.fs, s.name)
	if err != nil {
		return key, false, err
	}
	if len(b) != len(key) {
		return key, false, fmt.Errorf("%s has %d bytes, want %d", s.name, len(b), len(key))
	}
	return Key(b), true, nil
}

func (s fileSlot) Write(key Key) error { return disk.WriteAtomic(s.fs, s.name, key[:], 0o600) }

func (s fileSlot) Clear() error {
	if err := s.fs.Remove(s.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.fs.SyncDir(dir)
}
