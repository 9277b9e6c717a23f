package ledgerdb

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"sync"
	"sync/atomic"
)

// Table is what the store knows of a table.
type Table struct {
	Name       string // [a-z0-9_]{1,32}
	Replayable bool   // rows are bound by the entries that wrote them (I2); every write needs an entry
	Sealed     bool   // values are encrypted under the key of their owner

	bucket []byte // name in the file
}

// registry holds the tables of all packages. Lookups are on the way of every commit, so they take no
// lock: registering replaces the map.
var registry struct {
	sync.Mutex
	tables atomic.Pointer[map[string]*Table]
}

func register(t Table) {
	if !nameOK(t.Name) {
		panic("ledgerdb: table name " + t.Name)
	}
	registry.Lock()
	defer registry.Unlock()
	next := map[string]*Table{}
	if now := registry.tables.Load(); now != nil {
		maps.Copy(next, *now)
	}
	if next[t.Name] != nil {
		panic("ledgerdb: table " + t.Name + " registered twice")
	}
	t.bucket = []byte(tablePrefix + t.Name)
	next[t.Name] = &t
	registry.tables.Store(&next)
}

func tableByName(name string) (*Table, error) {
	if t := (*registry.tables.Load())[name]; t != nil {
		return t, nil
	}
	return nil, invalidf("unknown table %q", name)
}

func nameOK(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

// TableOf is a table whose values are JSON of T. Packages make theirs in package variables with
// NewTable.
type TableOf[T any] struct {
	Table
	owner func(T) string
}

// TableOption is a property of a table.
type TableOption struct {
	replayable bool
	owner      any // func(T) string
}

// Replayable marks a table whose rows the log binds: the entries of the Change that writes a row carry its
// hash, and Check compares (I2). A Change that writes such a row without an entry is refused.
func Replayable() TableOption { return TableOption{replayable: true} }

// Sealed marks a table of personal content: each value is encrypted under the key of its owner, e.g.
// "student:s0001". Erasing the owner's key erases the row's content; the row itself says so.
func Sealed[T any](ownerOf func(T) string) TableOption { return TableOption{owner: ownerOf} }

// NewTable registers a table. It panics on a bad or repeated name and on an ownerOf for another type:
// tables are package variables.
func NewTable[T any](name string, options ...TableOption) TableOf[T] {
	t := TableOf[T]{Table: Table{Name: name}}
	for _, o := range options {
		t.Replayable = t.Replayable || o.replayable
		if o.owner != nil {
			t.owner, t.Sealed = o.owner.(func(T) string), true
		}
	}
	register(t.Table)
	return t
}

// Put writes v whatever is there now.
func (t TableOf[T]) Put(key string, v T) Put {
	value, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("ledgerdb: table %s: value does not marshal: %v", t.Name, err)) // a fault of the type, not of the data
	}
	p := Put{Table: t.Name, Key: key, Value: value}
	if t.owner != nil {
		p.Owner = t.owner(v)
	}
	return p
}

// PutRev writes v if the row is at revision expect; 0 means that it must not exist.
func (t TableOf[T]) PutRev(key string, v T, expect uint64) Put {
	p := t.Put(key, v)
	p.Expect = &expect
	return p
}

// Delete removes a row.
func (t TableOf[T]) Delete(key string) Delete { return Delete{Table: t.Name, Key: key} }

// DeleteRev removes a row that must be at revision expect.
func (t TableOf[T]) DeleteRev(key string, expect uint64) Delete {
	return Delete{Table: t.Name, Key: key, Expect: &expect}
}

// Require expects a row to be at revision rev when the Change commits, without writing it.
func (t TableOf[T]) Require(key string, rev uint64) Require { return Require{t.Name, key, rev} }

// Get reads a row. ok is false when there is none. A row whose owner was erased gives ErrErased with its
// revision and ok true.
func (t TableOf[T]) Get(tx Tx, key string) (v T, rev uint64, ok bool, err error) {
	value, rev, ok, err := tx.row(t.Table, key)
	if err != nil || !ok {
		return v, rev, ok, err
	}
	if err := json.Unmarshal(value, &v); err != nil {
		return v, rev, true, fmt.Errorf("ledgerdb: row %s/%s: %w", t.Name, key, err)
	}
	return v, rev, true, nil
}

// Row is one row of a listing. Err is set when the row cannot be read (ErrErased, damage); Value is then zero.
type Row[T any] struct {
	Value T
	Rev   uint64
	Err   error
}

// All lists key → value in key order. Rows of erased owners are left out; a row that cannot be read for
// another reason is left out too and makes the surrounding View (or Check) fail.
func (t TableOf[T]) All(tx Tx) iter.Seq2[string, T] { return t.Prefix(tx, "") }

// Prefix is All for the keys that start with prefix.
func (t TableOf[T]) Prefix(tx Tx, prefix string) iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		for key, r := range t.Rows(tx, prefix) {
			switch {
			case r.Err == nil:
				if !yield(key, r.Value) {
					return
				}
			case !errors.Is(r.Err, ErrErased):
				tx.damaged(r.Err)
			}
		}
	}
}

// Rows lists the rows whose keys start with prefix, in key order, unreadable ones included.
func (t TableOf[T]) Rows(tx Tx, prefix string) iter.Seq2[string, Row[T]] {
	return func(yield func(string, Row[T]) bool) {
		for key, raw := range tx.rows(t.Table, prefix) {
			r := Row[T]{Rev: raw.rev, Err: raw.err}
			if r.Err == nil {
				if err := json.Unmarshal(raw.value, &r.Value); err != nil {
					r.Err = fmt.Errorf("ledgerdb: row %s/%s: %w", t.Name, key, err)
				}
			}
			if !yield(key, r) {
				return
			}
		}
	}
}

// Keys lists the keys that start with prefix, in order. It opens no row.
func (t TableOf[T]) Keys(tx Tx, prefix string) iter.Seq[string] {
	return tx.keys(t.Table, prefix)
}
