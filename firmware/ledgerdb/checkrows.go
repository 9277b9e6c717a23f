package ledgerdb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	bolt "go.etcd.io/bbolt"

	"campuskeep/shared/ledger"
)

// refs is what the entries say about rows. Only what cannot be judged at once is remembered: rows that are not
// there, and deletions.
type refs struct {
	bound   map[string]bool   // tables that entries name
	absent  map[string]uint64 // table/key → revision last written, for rows that are not there
	deleted map[string]uint64 // table/key → revision of the last deletion
}

func (r *refs) begin() {
	r.bound, r.absent, r.deleted = map[string]bool{}, map[string]uint64{}, map[string]uint64{}
}

// entry judges the row references of one entry against the rows as they are now.
func (r *refs) entry(c *checker, e ledger.Entry) {
	for _, ref := range e.Rows {
		where := ref.Table + "/" + ref.Key
		r.bound[ref.Table] = true
		rev := revOf(c.tx.Bucket([]byte(tablePrefix+ref.Table)), ref.Key)
		if ref.Rev != e.Seq+1 {
			c.found("I2", "row", "row "+where, "entry %d gives it revision %d", e.Seq, ref.Rev)
		}
		switch {
		case len(ref.Sum) == 0:
			r.deleted[where] = ref.Rev
		case rev == 0:
			r.absent[where] = ref.Rev
		}
		if rev > 0 && rev < ref.Rev {
			c.found("I2", "row", "row "+where, "is older (revision %d) than entry %d made it", rev, e.Seq)
		}
	}
}

// rows compares every row with the entry that its revision names.
func (c *checker) rows() error {
	for where, rev := range c.refs.absent {
		if c.refs.deleted[where] < rev {
			c.found("I2", "row", "row "+where, "is missing; entry %d wrote it", rev-1)
		}
	}
	return c.tx.ForEach(func(name []byte, b *bolt.Bucket) error {
		table, ok := strings.CutPrefix(string(name), tablePrefix)
		if !ok {
			return nil
		}
		t, err := tableByName(table)
		bound := c.refs.bound[table] || err == nil && t.Replayable
		n := 0
		for k, v := range all(b) {
			c.row(table, string(k), v, bound)
			if n++; n%tileWidth == 0 && c.ctx.Err() != nil {
				return c.ctx.Err()
			}
		}
		return nil
	})
}

func (c *checker) row(table, key string, stored []byte, bound bool) {
	where := "row " + table + "/" + key
	value, rev, err := openRow(c.store.o.People, table, key, stored)
	if bound {
		if fault := c.bound(table, key, stored, rev); fault != "" {
			c.found("I2", "row", where, "%s", fault)
			return
		}
	}
	switch {
	case errors.Is(err, ErrErased), err != nil && c.store.o.People == nil && !errors.Is(err, ErrDamaged):
	case err != nil:
		c.found("I2", "row", where, "%v", err)
	case !json.Valid(value):
		c.found("I2", "row", where, "is not JSON")
	}
}

// bound says what is wrong between a row and the entry that wrote it, or "".
func (c *checker) bound(table, key string, stored []byte, rev uint64) string {
	if rev == 0 || rev > c.size {
		return fmt.Sprintf("has revision %d, which no entry wrote", rev)
	}
	if c.unreadable[rev-1] {
		return "" // the entry is reported; what it said is lost
	}
	leaf, err := leafAt(c.tx, rev-1)
	if err != nil {
		return err.Error()
	}
	e, err := ledger.ParseEntry(leaf)
	if err != nil {
		return err.Error()
	}
	for _, ref := range e.Rows {
		if ref.Table == table && ref.Key == key {
			if !bytes.Equal(ref.Sum, rowSum(stored)) {
				return fmt.Sprintf("is not what entry %d wrote", e.Seq)
			}
			return ""
		}
	}
	return fmt.Sprintf("entry %d did not write it", e.Seq)
}
