package ledgerdb

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"campuskeep/shared/ledger"
)

const (
	fileName   = "ledger.db"
	dataFormat = 1
)

// Buckets. Tables have a bucket each, named tablePrefix + name.
var (
	bucketMeta   = []byte("meta")
	bucketLeaves = []byte("leaves") // seq, 8 bytes big endian → leaf ‖ CRC-32C
	bucketTiles  = []byte("tiles")  // level, 1 byte ‖ index, 8 bytes ‖ row, 1 byte → hashes, digest or topics ‖ CRC-32C
	bucketParts  = []byte("parts")  // seq ‖ position, 1 byte → sealed (salt ‖ part)
	bucketHeads  = []byte("heads")  // "latest", "cosigned" → signed note
	tablePrefix  = "t/"

	keyIdentity = []byte("identity")
)

// fillAppend is for buckets that only grow at the end: bbolt's default leaves pages half empty. It is not
// stored; every transaction that writes sets it.
const fillAppend = 1.0

// mapSize is mapped at once: a map that has to grow waits for every reader, and all commits wait with it.
// On 32-bit boards the whole map ends at 2 GB.
func mapSize() int {
	size := int64(16 << 30) // a variable: as a constant it would not fit an int of 32 bits
	if bits.UintSize == 32 {
		size = 512 << 20
	}
	return int(size)
}

// allocSize is how much the file grows at a time.
const allocSize = 4 << 20

func (o Options) path() string { return filepath.Join(o.Dir, fileName) }

// identity says whose log this is and how it is laid out.
type identity struct {
	Format int    `json:"format"`
	Key    string `json:"key"` // verifier key of the log
}

func openFile(path string, readOnly bool) (*bolt.DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err // bbolt would create it
	}
	var db *bolt.DB
	err := guarded(func() (err error) {
		db, err = openBolt(path, readOnly)
		return err
	})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("%s is in use by another process", path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	db.AllocSize = allocSize
	return db, nil
}

func openBolt(path string, readOnly bool) (*bolt.DB, error) {
	return bolt.Open(path, 0o600, &bolt.Options{
		ReadOnly: readOnly, Timeout: lockWait, InitialMmapSize: mapSize(), FreelistType: bolt.FreelistMapType, NoStatistics: true,
	})
}

// create makes ledger.db under another name, checks it, and only then gives it its name: a power cut during
// the first start leaves nothing that looks like a store.
func create(o Options) (err error) {
	_, err = os.Stat(o.path())
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	pub, ok := o.Signer.Public().(ed25519.PublicKey)
	if !ok {
		return errors.New("the log's key is not Ed25519")
	}
	id := identity{Format: dataFormat, Key: ledger.VerifierKey(o.Origin, pub)}
	if _, err := ledger.ParseVerifier(id.Key); err != nil {
		return fmt.Errorf("origin %q cannot name a key: %w", o.Origin, err)
	}
	tmp := o.path() + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := prepareFile(tmp, id); err != nil {
		return fmt.Errorf("create %s: %w", o.path(), err)
	}
	if err := os.Rename(tmp, o.path()); err != nil {
		return err
	}
	if err := syncDir(o.Dir); err != nil {
		return err
	}
	o.Log.Info("created a new ledger", "file", o.path(), "origin", o.Origin)
	return nil
}

func prepareFile(path string, id identity) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{bucketMeta, bucketLeaves, bucketTiles, bucketParts, bucketHeads} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		for _, name := range [][]byte{bucketLeaves, bucketParts} {
			for _, k := range endKeys {
				if err := tx.Bucket(name).Put(k, nil); err != nil {
					return err
				}
			}
		}
		b, err := json.Marshal(id)
		if err != nil {
			return err
		}
		return tx.Bucket(bucketMeta).Put(keyIdentity, b)
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	if db, err = openFile(path, true); err != nil {
		return err
	}
	err = db.View(func(tx *bolt.Tx) error {
		var faults error
		for e := range tx.Check() {
			faults = errors.Join(faults, e)
		}
		got, err := readIdentity(tx)
		if err == nil && got != id {
			err = errors.New("reads back differently")
		}
		return errors.Join(faults, err)
	})
	return errors.Join(err, db.Close())
}

// endKeys are behind the last key of an append bucket. When bbolt splits a full page it moves at least two keys to
// the new page; these two go, and the page before stays full (9 entries of 320 bytes in a page become 11).
var endKeys = [][]byte{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}

func readIdentity(tx *bolt.Tx) (identity, error) {
	var id identity
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return id, fmt.Errorf("%w: not a ledger file", ErrDamaged)
	}
	if err := json.Unmarshal(meta.Get(keyIdentity), &id); err != nil {
		return id, fmt.Errorf("%w: identity: %w", ErrDamaged, err)
	}
	if id.Format < 1 || id.Format > dataFormat {
		return id, fmt.Errorf("data format %d is newer than this program (%d): use the newer program", id.Format, dataFormat)
	}
	for _, name := range [][]byte{bucketLeaves, bucketTiles, bucketParts, bucketHeads} {
		if tx.Bucket(name) == nil {
			return id, fmt.Errorf("%w: part %q is missing", ErrDamaged, name)
		}
	}
	return id, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Backup writes a consistent copy of ledger.db while commits go on.
func (s *Store) Backup(w io.Writer) error {
	err := s.view("file", func(tx *bolt.Tx) error {
		_, err := tx.WriteTo(w)
		return err
	})
	if err != nil {
		return fmt.Errorf("back up the ledger: %w", err)
	}
	return nil
}
