package ledgerdb

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	bolt "go.etcd.io/bbolt"
)

// A row is stored as revision, 8 bytes ‖ form, 1 byte ‖ body. The body of a plain row is its JSON; of a sealed
// one: length of the owner, 1 byte ‖ owner ‖ sealed JSON.
const (
	formPlain  = 0
	formSealed = 1
	rowHead    = 9
)

// Revisions of a replayable row are the sequence number of the entry that binds it, plus one; of other rows, the
// next number of its table. Neither ever comes back, so an expectation cannot be met by a row that was deleted
// and made again.

// plainRow and sealedRow make the stored bytes with room for the revision, which setRev fills in.

func plainRow(value []byte) []byte {
	b := make([]byte, rowHead, rowHead+len(value))
	b[rowHead-1] = formPlain
	return append(b, value...)
}

func sealedRow(owner string, sealed []byte) []byte {
	b := make([]byte, rowHead, rowHead+1+len(owner)+len(sealed))
	b[rowHead-1] = formSealed
	b = append(b, byte(len(owner)))
	return append(append(b, owner...), sealed...)
}

func setRev(stored []byte, rev uint64) { binary.BigEndian.PutUint64(stored, rev) }

// rowAAD binds a sealed value to its place.
func rowAAD(table, key string) []byte { return []byte("row " + table + "/" + key) }

func rowSum(stored []byte) []byte {
	h := sha256.Sum256(stored)
	return h[:16]
}

var errRow = fmt.Errorf("%w: not a row", ErrDamaged)

// openRow reads a stored row. On ErrErased the revision is still right.
func openRow(people Sealer, table, key string, stored []byte) (value []byte, rev uint64, err error) {
	if len(stored) < rowHead {
		return nil, 0, errRow
	}
	rev = binary.BigEndian.Uint64(stored)
	body := stored[rowHead:]
	switch stored[8] {
	case formPlain:
		return body, rev, nil
	case formSealed:
		if len(body) < 1 || len(body) < 1+int(body[0]) {
			return nil, rev, errRow
		}
		if people == nil {
			return nil, rev, errors.New("ledgerdb: opened without the people ring")
		}
		owner, sealed := string(body[1:1+body[0]]), body[1+body[0]:]
		value, err = people.Open(owner, rowAAD(table, key), sealed)
		return value, rev, err
	}
	return nil, rev, errRow
}

// Tx is a consistent view of the rows. It is valid only inside the function it was given to.
type Tx struct{ *txState }

type txState struct {
	store  *Store
	tx     *bolt.Tx
	table  string // that is being read
	faults error
}

// partEntries names the log in the file, beside "table …".
const partEntries = "entries"

// part names what is being read.
func (tx *txState) part() string {
	if tx.table == "" {
		return partEntries
	}
	return "table " + tx.table
}

// open opens a table for reading; nil when it was never written.
func (tx *txState) open(t Table) *bolt.Bucket {
	tx.table = t.Name
	return tx.tx.Bucket([]byte(tablePrefix + t.Name))
}

// damaged notes a fault met while listing; the surrounding View fails with it.
func (tx Tx) damaged(err error) { tx.faults = errors.Join(tx.faults, err) }

// Size is the number of entries in this view.
func (tx Tx) Size() (uint64, error) {
	tx.table = ""
	return sizeOf(tx.tx)
}

type rawRow struct {
	value []byte
	rev   uint64
	err   error
}

func (tx Tx) row(t Table, key string) (value []byte, rev uint64, ok bool, err error) {
	b := tx.open(t)
	if b == nil {
		return nil, 0, false, nil
	}
	stored := b.Get([]byte(key))
	if stored == nil {
		return nil, 0, false, nil
	}
	value, rev, err = openRow(tx.store.o.People, t.Name, key, stored)
	if err != nil {
		return nil, rev, true, fmt.Errorf("ledgerdb: row %s/%s: %w", t.Name, key, err)
	}
	return value, rev, true, nil
}

func (tx Tx) rows(t Table, prefix string) iter.Seq2[string, rawRow] {
	return func(yield func(string, rawRow) bool) {
		b := tx.open(t)
		if b == nil {
			return
		}
		c := b.Cursor()
		for k, v := c.Seek([]byte(prefix)); k != nil && bytes.HasPrefix(k, []byte(prefix)); k, v = c.Next() {
			key := string(k)
			value, rev, err := openRow(tx.store.o.People, t.Name, key, v)
			if err != nil {
				err = fmt.Errorf("ledgerdb: row %s/%s: %w", t.Name, key, err)
			}
			if !yield(key, rawRow{value, rev, err}) {
				return
			}
		}
	}
}

// keys lists keys in order, without opening what they hold.
func (tx Tx) keys(t Table, prefix string) iter.Seq[string] {
	return func(yield func(string) bool) {
		b := tx.open(t)
		if b == nil {
			return
		}
		c := b.Cursor()
		for k, _ := c.Seek([]byte(prefix)); k != nil && bytes.HasPrefix(k, []byte(prefix)); k, _ = c.Next() {
			if !yield(string(k)) {
				return
			}
		}
	}
}

func revIn(stored []byte) uint64 { return binary.BigEndian.Uint64(stored) }

// revOf is the revision of a row in a transaction, 0 when there is none.
func revOf(b *bolt.Bucket, key string) uint64 {
	if b == nil {
		return 0
	}
	v := b.Get([]byte(key))
	if len(v) < rowHead {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

// View runs fn on a consistent snapshot of the rows. Keep it short, and do not call Commit or View inside: a
// snapshot keeps old pages from being used again.
func (s *Store) View(fn func(Tx) error) error {
	st := &txState{store: s}
	return s.guard(st.part, func() error {
		return s.db.View(func(btx *bolt.Tx) error {
			st.tx = btx
			err := fn(Tx{st})
			if st.faults != nil {
				err = errors.Join(err, st.faults)
			}
			return err
		})
	})
}
