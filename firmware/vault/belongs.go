package vault

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	bolt "go.etcd.io/bbolt"

	"campuskeep/firmware/disk"
)

// ErrWrongVault: index.db has rows, and the directory of the vault is not the one in which their files lie: its disk is not
// mounted, or another one is.
var ErrWrongVault = errors.New("the footage is not there")

// MarkerName is a file in the vault with an id that index.db has too. A directory without it is not the vault that the
// rows speak of, whatever lies in it: what was recorded below the mount point while nothing was mounted looks the same.
const MarkerName = ".campuskeep"

var (
	keyVault   = []byte("vault") // in bucketMeta: the id
	markerRule = regexp.MustCompile(`^[0-9a-f]{32}\n?$`)
)

// checkMarker refuses a directory that is not that of the rows, before anything is recorded into it, and marks one that has
// no marker yet: a new one, or one of a program that made none and in which a camera of the rows has its directory.
func (v *Vault) checkMarker() error {
	id, err := v.index.vaultID()
	if err != nil {
		return v.openUnmarked(err)
	}
	marker, err := disk.ReadFile(v.o.FS, MarkerName)
	none := errors.Is(err, fs.ErrNotExist)
	if err != nil && !none {
		return v.openUnmarked(err)
	}
	found := ""
	if markerRule.Match(marker) {
		found = strings.TrimSpace(string(marker))
	}
	if found != "" && found == id {
		return nil
	}
	cameras, err := v.index.withRows()
	if err != nil {
		return v.openUnmarked(err)
	}
	switch {
	case found != "" && (id == "" || len(cameras) == 0): // the index is new
		id = found
	case found != "":
		return fmt.Errorf("%w: its %s is that of another vault", ErrWrongVault, MarkerName)
	case none && len(cameras) > 0:
		there, err := v.hasCameraDir(cameras)
		switch {
		case err != nil:
			return v.openUnmarked(err)
		case !there:
			return fmt.Errorf("%w: %d cameras have rows in index.db and none has a directory", ErrWrongVault, len(cameras))
		case id != "":
			return fmt.Errorf("%w: its file %s is missing (in a copy of the right disk it has to be written again: %s)", ErrWrongVault, MarkerName, id)
		}
	}
	if id == "" {
		var b [16]byte
		rand.Read(b[:])
		id = hex.EncodeToString(b[:])
	}
	if found == "" {
		if err := disk.WriteAtomic(v.o.FS, MarkerName, []byte(id+"\n"), 0o600); err != nil {
			return v.openUnmarked(err)
		}
	}
	if err := v.index.setVaultID(id); err != nil {
		return v.openUnmarked(err)
	}
	return nil
}

// openUnmarked lets a vault open of which it cannot be said whether it is the right one: a disk that is full or failing, or a
// broken index, has its own alarms, and a reconcile has its brake.
func (v *Vault) openUnmarked(err error) error {
	v.o.Log.Warn("whether this is the directory of the rows is not known", "err", err)
	return nil
}

func (v *Vault) hasCameraDir(cameras []string) (bool, error) {
	for _, c := range cameras {
		if _, err := v.o.FS.Stat(c); !errors.Is(err, fs.ErrNotExist) {
			return err == nil, err
		}
	}
	return false, nil
}

func (x *index) vaultID() (id string, err error) {
	err = x.view(func(tx *bolt.Tx) error {
		id = string(tx.Bucket(bucketMeta).Get(keyVault))
		return nil
	})
	return id, err
}

func (x *index) setVaultID(id string) error {
	return x.write(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyVault, []byte(id)) })
}

// withRows lists the cameras that have rows.
func (x *index) withRows() (ids []string, err error) {
	err = x.view(func(tx *bolt.Tx) error {
		cameras := tx.Bucket(bucketCameras)
		return cameras.ForEach(func(k, _ []byte) error {
			if first, _ := cameras.Bucket(k).Cursor().First(); first != nil {
				ids = append(ids, string(k))
			}
			return nil
		})
	})
	return ids, err
}
