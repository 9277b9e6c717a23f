package ledgerdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	bolt "go.etcd.io/bbolt"
)

// Finding is one breach of an invariant (design §9).
type Finding struct {
	Invariant string // "I1" or "I2"
	What      string // code: file, hole, leaf, tile, checkpoint, part, row
	Where     string // which: "entry 17", "tile 0/3", "checkpoint latest", "row students/s0001"
	Detail    string // for the log; no personal data
}

func (f Finding) String() string {
	return f.Invariant + " " + f.What + " " + f.Where + ": " + f.Detail
}

// Check verifies I1 (every leaf hashes to the tree, every checkpoint verifies, there is no hole) and I2 (the rows
// of replayable tables are those that the entries name; sealed parts are what the entries bind, erased ones
// excepted) on one snapshot, running or stopped. It reports every breach; its error is only about Check itself.
func (s *Store) Check(ctx context.Context, report func(Finding)) error {
	memory := s.front.Load() // before the snapshot, so that it is not newer
	tx, err := s.db.Begin(false)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	c := &checker{ctx: ctx, store: s, tx: tx, report: report, memory: memory}
	// Each step rests on the one before: what lies in a broken file cannot be judged.
	for _, step := range []func() error{c.file, c.log, c.heads, c.rows} {
		if err = c.guarded(step); err != nil || c.broken {
			break
		}
	}
	if err = errors.Join(err, tx.Rollback()); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	return nil
}

type checker struct {
	ctx    context.Context
	store  *Store
	tx     *bolt.Tx
	report func(Finding)
	broken bool // the file's structure is not sound

	size   uint64
	memory *frontier // the tree as the committer knows it
	logCheck
	refs refs
}

func (c *checker) found(invariant, what, where, detail string, args ...any) {
	c.report(Finding{invariant, what, where, fmt.Sprintf(detail, args...)})
}

// guarded makes a broken file a finding.
func (c *checker) guarded(step func() error) error {
	err := guarded(step)
	if errors.Is(err, errBroken) {
		c.broken = true
		c.found("I1", "file", fileName, "%v", err)
		return nil
	}
	return err
}

// file walks every page that holds data, before anything is trusted to be where it should be.
func (c *checker) file() error {
	var last []byte
	err := c.tx.ForEach(func(name []byte, b *bolt.Bucket) error {
		if b == nil {
			c.broken = true
			c.found("I1", "file", fileName, "%q is not a table", name)
			return nil
		}
		last = last[:0]
		for k, _ := range all(b) {
			if bytes.Compare(k, last) <= 0 {
				c.broken = true
				c.found("I1", "file", string(name), "keys are out of order behind %x", last)
				return nil
			}
			last = append(last[:0], k...)
		}
		return c.ctx.Err()
	})
	if err != nil || c.broken {
		return err
	}
	if c.store.readOnly { // compares with the list of free pages, which the committer changes
		for fault := range c.tx.Check() {
			c.broken = true
			c.found("I1", "file", fileName, "%v", fault)
		}
	}
	if c.size, err = sizeOf(c.tx); err != nil {
		c.broken = true
		c.found("I1", "file", "leaves", "%v", err)
	}
	return nil
}

// all lists a bucket in key order.
func all(b *bolt.Bucket) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		c := b.Cursor()
		for k, v := c.First(); k != nil && yield(k, v); {
			k, v = c.Next()
		}
	}
}
