package vault

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"campuskeep/firmware/disk"
	"campuskeep/shared/footage"
)

// index.db:
//
//	meta     "complete" → 1: rows exist for every file but those in marked camera-days
//	         "vault" → the id in the vault's marker, see belongs.go
//	boots    boot id → ordinal u32, in the order in which they were first seen
//	cameras  camera → bucket of rows, see row.go
//	marks    camera/day → ordinal u32 ‖ mono u64: files without a row may lie here, none of them began earlier
var (
	bucketMeta    = []byte("meta")
	bucketBoots   = []byte("boots")
	bucketCameras = []byte("cameras")
	bucketMarks   = []byte("marks")
	keyComplete   = []byte("complete")
)

// appendFill packs pages full: rows are appended and seldom changed.
const appendFill = 0.95

type index struct {
	db       *bolt.DB
	complete bool // as of opening

	broken func(error)           // called once, when a broken page is met
	once   sync.Once             // of broken
	stuck  atomic.Pointer[error] // a write met a broken page

	mu       sync.RWMutex
	ordinals map[string]uint32 // guarded by mu; as committed
	boots    map[uint32]string // guarded by mu; the reverse
}

type mark struct {
	ordinal uint32
	mono    time.Duration
}

// damagedExt ends the name of the file beside index.db that has the next start rebuild it.
const damagedExt = ".spoilt"

func openIndex(path string, log *slog.Logger, alarm func(error)) (*index, error) {
	broken := func(err error) {
		alarm(fmt.Errorf("%w; the next start rebuilds the index from the files", err))
		if err := os.WriteFile(path+damagedExt, nil, 0o600); err != nil {
			log.Error("the next start will not know that the index has to be rebuilt", "err", err)
		}
	}
	var x *index
	err := fmt.Errorf("%w, the last run has found", ErrIndex)
	if _, serr := os.Stat(path + damagedExt); errors.Is(serr, fs.ErrNotExist) {
		if x, err = tryIndex(path, broken); err == nil || !isDamaged(err) {
			return x, err
		}
	}
	// It is only a cache: put the damaged one aside and build it again.
	log.Error("the index cannot be read and is rebuilt from the files", "err", err)
	if rerr := os.Rename(path, path+".damaged"); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		return nil, errors.Join(err, rerr)
	}
	if x, err = tryIndex(path, broken); err != nil {
		return nil, err
	}
	if err := os.Remove(path + damagedExt); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, x.close())
	}
	return x, nil
}

// isDamaged tells a damaged index from a disk that is full, failing or in use.
func isDamaged(err error) bool {
	for _, e := range []error{errRow, ErrIndex, bolterrors.ErrInvalid, bolterrors.ErrVersionMismatch, bolterrors.ErrChecksum} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func openBolt(path string, o *bolt.Options) (db *bolt.DB, err error) {
	o.Timeout = 500 * time.Millisecond
	err = guarded(func() (err error) { db, err = bolt.Open(path, 0o600, o); return err })
	if errors.Is(err, bolterrors.ErrTimeout) {
		err = disk.ErrLocked
	}
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	return db, nil
}

func tryIndex(path string, broken func(error)) (_ *index, err error) {
	db, err := openBolt(path, &bolt.Options{InitialMmapSize: 256 << 20, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	x := &index{db: db, broken: func(error) {}} // what is met now is met by the caller
	err = x.write(func(tx *bolt.Tx) error {
		for _, b := range [][]byte{bucketMeta, bucketBoots, bucketCameras, bucketMarks} {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = x.load()
	}
	if err == nil {
		_, err = x.marks()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open index: %w", err), x.close())
	}
	x.broken, x.once = broken, sync.Once{}
	return x, nil
}

// openIndexReadOnly opens the index for a check or an export. One that is not there or cannot be read is an empty one,
// and why says so: it is only a cache.
func openIndexReadOnly(path string) (_ *index, why error, err error) {
	x, err := tryReadOnly(path)
	if err == nil || !isDamaged(err) && !errors.Is(err, fs.ErrNotExist) {
		return x, nil, err
	}
	why = err
	f, err := os.CreateTemp("", "campuskeep-index-*")
	if err != nil {
		return nil, nil, fmt.Errorf("make an empty index: %w", err)
	}
	defer os.Remove(f.Name()) // open all the same until it is closed
	if err := f.Close(); err != nil {
		return nil, nil, fmt.Errorf("make an empty index: %w", err)
	}
	x, err = tryIndex(f.Name(), func(error) {})
	return x, why, err
}

func tryReadOnly(path string) (*index, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	if info.Size() == 0 {
		return nil, fmt.Errorf("open index: %w: it is empty", ErrIndex)
	}
	db, err := openBolt(path, &bolt.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	x := &index{db: db, broken: func(error) {}}
	if err := x.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open index: %w", err), x.close())
	}
	return x, nil
}

func (x *index) load() error {
	x.ordinals, x.boots = map[string]uint32{}, map[uint32]string{}
	return x.view(func(tx *bolt.Tx) error {
		for _, b := range [][]byte{bucketMeta, bucketBoots, bucketCameras, bucketMarks} {
			if tx.Bucket(b) == nil {
				return fmt.Errorf("%w: bucket %s is missing", ErrIndex, b)
			}
		}
		x.complete = tx.Bucket(bucketMeta).Get(keyComplete) != nil
		return tx.Bucket(bucketBoots).ForEach(func(k, val []byte) error {
			if len(val) != 4 {
				return errRow
			}
			n := binary.BigEndian.Uint32(val)
			x.ordinals[string(k)], x.boots[n] = n, string(k)
			return nil
		})
	})
}

// close closes the file; after a broken write the end of the process does.
func (x *index) close() error {
	if x.stuck.Load() != nil {
		return nil
	}
	return guarded(x.db.Close)
}

// update runs one transaction in which boots may get ordinals.
func (x *index) update(fn func(tx *bolt.Tx, ordinal func(boot string) (uint32, error)) error) error {
	fresh := map[string]uint32{}
	err := x.write(func(tx *bolt.Tx) error {
		boots := tx.Bucket(bucketBoots)
		return fn(tx, func(boot string) (uint32, error) {
			if n, ok := x.ordinal(boot); ok {
				return n, nil
			}
			if val := boots.Get([]byte(boot)); val != nil {
				return binary.BigEndian.Uint32(val), nil
			}
			n, err := boots.NextSequence()
			if err != nil {
				return 0, err
			}
			fresh[boot] = uint32(n)
			return uint32(n), boots.Put([]byte(boot), binary.BigEndian.AppendUint32(nil, uint32(n)))
		})
	})
	if err != nil || len(fresh) == 0 {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for boot, n := range fresh {
		x.ordinals[boot], x.boots[n] = n, boot
	}
	return nil
}

func (x *index) ordinal(boot string) (uint32, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	n, ok := x.ordinals[boot]
	return n, ok
}

// boot names an ordinal. A transaction may see one whose commit is just being noted, so it asks the bucket then.
func (x *index) boot(tx *bolt.Tx, ordinal uint32) (string, error) {
	x.mu.RLock()
	name, ok := x.boots[ordinal]
	x.mu.RUnlock()
	if ok {
		return name, nil
	}
	err := tx.Bucket(bucketBoots).ForEach(func(k, val []byte) error {
		if len(val) == 4 && binary.BigEndian.Uint32(val) == ordinal {
			name = string(k)
		}
		return nil
	})
	if err == nil && name == "" {
		err = errRow
	}
	return name, err
}

// add commits rows and takes away marks, in one transaction.
func (x *index) add(rows []footage.Segment, unmark []dayID) error {
	if len(rows) == 0 && len(unmark) == 0 {
		return nil
	}
	return x.update(func(tx *bolt.Tx, ordinal func(string) (uint32, error)) error {
		cameras := tx.Bucket(bucketCameras)
		buckets := map[string]*bolt.Bucket{}
		for _, s := range rows {
			b := buckets[s.Camera]
			if b == nil {
				var err error
				if b, err = cameras.CreateBucketIfNotExists([]byte(s.Camera)); err != nil {
					return err
				}
				b.FillPercent = appendFill
				buckets[s.Camera] = b
			}
			n, err := ordinal(s.Boot)
			if err != nil {
				return err
			}
			val, err := rowValue(s)
			if err != nil {
				return err
			}
			if err := b.Put(rowKey(n, s.From, s.File), val); err != nil {
				return err
			}
		}
		marks := tx.Bucket(bucketMarks)
		for _, d := range unmark {
			if err := marks.Delete([]byte(d.path())); err != nil {
				return err
			}
		}
		return nil
	})
}

// drop removes rows; those not there are fine. Keys are deleted one by one, never under a cursor, which
// would be quadratic.
func (x *index) drop(rows []footage.Segment) error {
	return x.write(func(tx *bolt.Tx) error {
		for _, s := range rows {
			n, ok := x.ordinal(s.Boot)
			b := tx.Bucket(bucketCameras).Bucket([]byte(s.Camera))
			if !ok || b == nil {
				continue
			}
			if err := b.Delete(rowKey(n, s.From, s.File)); err != nil {
				return err
			}
		}
		return nil
	})
}

// mark notes camera-days in which files without rows may lie from now on; an older mark stays.
func (x *index) mark(days []Meta) error {
	return x.update(func(tx *bolt.Tx, ordinal func(string) (uint32, error)) error {
		marks := tx.Bucket(bucketMarks)
		for _, m := range days {
			k := []byte(m.dayID().path())
			if marks.Get(k) != nil {
				continue
			}
			n, err := ordinal(m.Boot)
			if err != nil {
				return err
			}
			val := binary.BigEndian.AppendUint32(nil, n)
			if err := marks.Put(k, binary.BigEndian.AppendUint64(val, uint64(m.From))); err != nil {
				return err
			}
		}
		return nil
	})
}

// markAll marks whole camera-days and calls the index complete but for them.
func (x *index) markAll(days []dayID) error {
	return x.write(func(tx *bolt.Tx) error {
		marks := tx.Bucket(bucketMarks)
		for _, d := range days {
			if err := marks.Put([]byte(d.path()), make([]byte, 12)); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(keyComplete, []byte{1})
	})
}

func (x *index) marks() (map[dayID]mark, error) {
	out := map[dayID]mark{}
	err := x.view(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketMarks).ForEach(func(k, val []byte) error {
			camera, day, ok := strings.Cut(string(k), "/")
			if !ok || len(val) != 12 {
				return errRow
			}
			out[dayID{camera, day}] = mark{binary.BigEndian.Uint32(val), time.Duration(binary.BigEndian.Uint64(val[4:]))}
			return nil
		})
	})
	return out, err
}

// cameras lists the cameras that have or had rows.
func (x *index) cameras() (ids []string, err error) {
	err = x.view(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketCameras).ForEach(func(k, _ []byte) error {
			ids = append(ids, string(k))
			return nil
		})
	})
	return ids, err
}

// scan gives the rows of a camera from a place on, in order of boot and recording, until f says stop. A
// malformed row is passed over: its file is then one without a row, which a reconcile indexes again.
func (x *index) scan(camera string, ordinal uint32, from time.Duration, f func(ordinal uint32, s footage.Segment) bool) error {
	return x.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketCameras).Bucket([]byte(camera))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		last, boot := uint32(0), ""
		var days dayLabels
		for k, val := c.Seek(rowKey(ordinal, max(from, 0), footage.FileID{})); k != nil; k, val = c.Next() {
			if len(k) != rowKeySize {
				continue
			}
			n := binary.BigEndian.Uint32(k)
			if n != last || boot == "" {
				last = n
				var err error
				if boot, err = x.boot(tx, n); errors.Is(err, errRow) {
					continue
				} else if err != nil {
					return err
				}
			}
			s, err := parseRow(camera, boot, &days, k, val)
			if err != nil {
				continue
			}
			if !f(n, s) {
				return nil
			}
		}
		return nil
	})
}

// malformed lists the keys of a camera's rows that scan passes over.
func (x *index) malformed(camera string) (keys [][]byte, err error) {
	err = x.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketCameras).Bucket([]byte(camera))
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, val []byte) error {
			_, err := parseRow(camera, "", &dayLabels{}, k, val)
			if err == nil {
				_, err = x.boot(tx, binary.BigEndian.Uint32(k))
			}
			if err != nil {
				keys = append(keys, append([]byte(nil), k...))
			}
			return nil
		})
	})
	return keys, err
}

// remove takes rows out by their keys.
func (x *index) remove(camera string, keys [][]byte) error {
	if len(keys) == 0 {
		return nil
	}
	return x.write(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketCameras).Bucket([]byte(camera))
		for _, k := range keys {
			if err := b.Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
}

type bootRef struct {
	ordinal uint32
	id      string
}

// bootsOf lists the boots of which a camera has rows, in the order in which they were first seen.
func (x *index) bootsOf(camera string) (list []bootRef, err error) {
	err = x.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketCameras).Bucket([]byte(camera))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, _ := c.First(); k != nil; {
			if len(k) != rowKeySize {
				k, _ = c.Next()
				continue
			}
			n := binary.BigEndian.Uint32(k)
			name, err := x.boot(tx, n)
			if err == nil {
				list = append(list, bootRef{n, name})
			} else if !errors.Is(err, errRow) {
				return err
			}
			if n == ^uint32(0) {
				break
			}
			k, _ = c.Seek(binary.BigEndian.AppendUint32(nil, n+1))
		}
		return nil
	})
	return list, err
}
