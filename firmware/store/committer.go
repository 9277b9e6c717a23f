package store

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// maxBatch bounds the changes of one transaction, so that the first of them does not wait for an endless rest.
const maxBatch = 1024

// Run is the committer. It takes what is waiting, writes it in one transaction, answers everyone, and goes on
// at once: what comes meanwhile is the next transaction. It returns nil when ctx ends, after signing and
// keeping a checkpoint of all entries; another error means that the disk can no longer be trusted and the
// program has to start again from what is on it.
func (s *Store) Run(ctx context.Context) (err error) {
	if s.readOnly {
		return ErrReadOnly
	}
	defer s.queue.stop()
	for {
		batch := s.queue.take(maxBatch)
		if len(batch) == 0 {
			select {
			case <-s.queue.wake:
				continue
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			for _, r := range batch {
				r.answer(ErrClosed)
			}
			return s.finish()
		}
		if err := s.commit(batch); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
}

// finish keeps a checkpoint of everything, so that a stopped box can be checked to its last byte.
func (s *Store) finish() error {
	s.queue.stop()
	if size := s.Size(); size > 0 {
		if _, err := s.Checkpoint(size); err != nil {
			return err
		}
	}
	if err := s.commit(nil); err != nil {
		return fmt.Errorf("keep the last checkpoint: %w", err)
	}
	return nil
}

// commit writes a batch and answers each request in it. Its error is fatal; a full disk is not.
func (s *Store) commit(batch []*request) error {
	b := &batchTx{store: s, reading: s.o.Clock.Now(), front: s.front.Load().clone()}
	failed, err := b.write(batch)
	if err == nil {
		s.front.Store(b.front)
		s.heads.kept(b.heads)
		for i, r := range batch {
			r.answer(failed[i])
		}
		if b.entries > 0 {
			s.publish(b.front.size)
		}
		return nil
	}
	for _, r := range batch {
		r.answer(fmt.Errorf("commit: %w", err))
	}
	if s.recoverable(err, b.txid) {
		s.o.Log.Error("nothing can be committed", "err", err)
		return nil
	}
	return err
}

// recoverable says whether the file surely is as it was before: the disk was full before the page that makes a
// transaction count was written.
func (s *Store) recoverable(err error, txid int) bool {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return false
	}
	tx, err := s.db.Begin(false)
	if err != nil {
		return false
	}
	old := tx.ID() < txid
	return tx.Rollback() == nil && old
}

// batchTx is one transaction of the committer.
type batchTx struct {
	store   *Store
	reading clock.Reading
	front   *frontier
	tx      *bolt.Tx
	txid    int
	leaves  *bolt.Bucket
	entries int
	heads   map[string][]byte
}

// write tries every request alone and commits those that stand. failed holds, by position, why others do not.
func (b *batchTx) write(batch []*request) (failed []error, err error) {
	failed = make([]error, len(batch))
	tx, err := b.store.db.Begin(true)
	if err != nil {
		return nil, err
	}
	b.tx, b.txid = tx, tx.ID()
	b.leaves = tx.Bucket(bucketLeaves)
	b.leaves.FillPercent = fillAppend
	good := 0
	for i, r := range batch {
		leaves, refused, err := b.place(r)
		if refused == nil && err == nil {
			good++
			err = b.apply(r, leaves)
		}
		if err != nil {
			return nil, errors.Join(err, tx.Rollback())
		}
		failed[i] = refused
	}
	b.heads = b.store.heads.dirty()
	if good == 0 && len(b.heads) == 0 {
		return failed, tx.Rollback()
	}
	for name, note := range b.heads {
		if err := tx.Bucket(bucketHeads).Put([]byte(name), note); err != nil {
			return nil, errors.Join(err, tx.Rollback())
		}
	}
	return failed, tx.Commit()
}

// placed is an entry ready to be written.
type placed struct {
	entry ledger.Entry
	bytes []byte
}

// place checks what a request expects and gives its entries their places and its rows their revisions. It
// writes nothing. refused concerns this request alone; err the whole transaction.
func (b *batchTx) place(r *request) (out []placed, refused, err error) {
	if refused := b.expectations(r); refused != nil {
		return nil, refused, nil
	}
	if r.check != nil {
		tx := Tx{&txState{store: b.store, tx: b.tx}}
		if err := r.check(tx); err != nil {
			return nil, err, nil
		}
		if tx.faults != nil {
			return nil, tx.faults, nil
		}
	}
	first := b.front.size
	r.receipt = Receipt{First: first, Reading: b.reading, Revs: make([]uint64, len(r.puts))}
	rows, err := b.bind(r, first)
	if err != nil {
		return nil, nil, err
	}
	for i, p := range r.entries {
		e, leaf, err := p.Encode(ledger.Place{
			Seq: first + uint64(i), At: b.reading.Wall, Rows: rows[i],
			Clock: ledger.ClockRef{State: b.reading.State, Boot: b.reading.Boot, Mono: b.reading.Mono},
		})
		if err != nil {
			return nil, fmt.Errorf("%w: entry %s with %d rows: %w", ErrInvalid, p.Draft().Kind, len(rows[i]), err), nil
		}
		out = append(out, placed{e, leaf})
		r.receipt.Last = e.Seq
	}
	return out, nil, nil
}

func (b *batchTx) table(name string) *bolt.Bucket { return b.tx.Bucket([]byte(tablePrefix + name)) }

func (b *batchTx) expectations(r *request) error {
	for _, q := range r.require {
		if revOf(b.table(q.Table), q.Key) != q.Rev {
			return fmt.Errorf("%w: %s/%s", ErrConflict, q.Table, q.Key)
		}
	}
	for _, list := range [2][]write{r.puts, r.deletes} {
		for _, w := range list {
			if w.expect != nil && revOf(b.table(w.table.Name), w.key) != *w.expect {
				return fmt.Errorf("%w: %s/%s", ErrConflict, w.table.Name, w.key)
			}
		}
	}
	return nil
}

// bind spreads the rows of replayable tables evenly over the entries and gives them their revisions.
func (b *batchTx) bind(r *request, first uint64) (rows [][]ledger.RowRef, err error) {
	rows = make([][]ledger.RowRef, len(r.entries))
	each, n := 0, 0
	if r.bound > 0 {
		each = (r.bound + len(r.entries) - 1) / len(r.entries)
	}
	next := func() (entry int, rev uint64) {
		entry = n / each
		n++
		return entry, first + uint64(entry) + 1
	}
	for i, w := range r.puts {
		if !w.table.Replayable {
			continue
		}
		entry, rev := next()
		r.receipt.Revs[i] = rev
		rows[entry] = append(rows[entry], ledger.RowRef{Table: w.table.Name, Key: w.key, Rev: rev, Sum: rowSum(rowValue(rev, w.body))})
	}
	for _, w := range r.deletes {
		if w.table.Replayable && revOf(b.table(w.table.Name), w.key) > 0 {
			entry, rev := next()
			rows[entry] = append(rows[entry], ledger.RowRef{Table: w.table.Name, Key: w.key, Rev: rev})
		}
	}
	return rows, nil
}

// apply writes a placed request into the transaction; an error spoils the whole of it.
func (b *batchTx) apply(r *request, entries []placed) error {
	for i, w := range r.puts {
		bucket := b.table(w.table.Name)
		if bucket == nil {
			var err error
			if bucket, err = b.tx.CreateBucket([]byte(tablePrefix + w.table.Name)); err != nil {
				return fmt.Errorf("table %s: %w", w.table.Name, err)
			}
		}
		if !w.table.Replayable {
			rev, err := bucket.NextSequence()
			if err != nil {
				return fmt.Errorf("table %s: %w", w.table.Name, err)
			}
			r.receipt.Revs[i] = rev
		}
		if err := bucket.Put([]byte(w.key), rowValue(r.receipt.Revs[i], w.body)); err != nil {
			return fmt.Errorf("row %s/%s: %w", w.table.Name, w.key, err)
		}
	}
	for _, w := range r.deletes {
		if bucket := b.table(w.table.Name); bucket != nil {
			if err := bucket.Delete([]byte(w.key)); err != nil {
				return fmt.Errorf("row %s/%s: %w", w.table.Name, w.key, err)
			}
		}
	}
	for i, p := range entries {
		if err := b.append(p, r.marks[i], r.parts[i]); err != nil {
			return fmt.Errorf("entry %d: %w", p.entry.Seq, err)
		}
		r.receipt.Entries = append(r.receipt.Entries, p.entry)
	}
	return nil
}

func (b *batchTx) append(p placed, tokens []uint64, parts [][]byte) error {
	key := seqKey(p.entry.Seq)
	hash := tlog.RecordHash(p.bytes)
	if err := b.leaves.Put(key, leafValue(p.bytes)); err != nil {
		return err
	}
	if len(parts) > 0 {
		bucket := b.tx.Bucket(bucketParts)
		bucket.FillPercent = fillAppend
		for i, sealed := range parts {
			if err := bucket.Put(append(key[:8:8], byte(i)), sealed); err != nil {
				return err
			}
		}
	}
	for _, t := range b.front.add(hash, marks{p.entry.At.UnixMilli(), tokens}) {
		bucket := b.tx.Bucket(bucketTiles)
		bucket.FillPercent = fillAppend
		if err := bucket.Put(t.key(), t.value()); err != nil {
			return err
		}
	}
	b.entries++
	return nil
}
