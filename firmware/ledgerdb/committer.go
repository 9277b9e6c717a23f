package ledgerdb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"syscall"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
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
			case <-s.limiter.look:
				if err := s.commitHeld(false); err != nil {
					return fmt.Errorf("commit: %w", err)
				}
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
	if err := s.commitHeld(true); err != nil {
		return fmt.Errorf("enter what was held back: %w", err)
	}
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

// commit writes a batch and answers each request in it. Its error is fatal; a full disk is not, and a broken page
// costs only the requests that need it.
func (s *Store) commit(batch []*request) error {
	b := &batchTx{store: s, reading: s.o.Clock.Now(), front: s.front.Load().clone()}
	failed, err := b.tryWrite(batch)
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
	known := s.recoverable(err, b.txid)
	if known && isBroken(err) && len(batch) > 1 { // which of them needs the page?
		for _, r := range batch {
			if err := s.commit([]*request{r}); err != nil {
				return err
			}
		}
		return nil
	}
	for _, r := range batch {
		r.answer(fmt.Errorf("commit: %w", err))
	}
	if known {
		s.o.Log.Error("nothing can be committed", "err", err)
		return nil
	}
	return err
}

// tryWrite is write with a broken page as an error. The transaction is then given back.
func (b *batchTx) tryWrite(batch []*request) (failed []error, err error) {
	err = b.store.guard(b.part, func() (err error) {
		failed, err = b.write(batch)
		return err
	})
	if isBroken(err) && b.tx != nil {
		err = errors.Join(err, guarded(func() error {
			if err := b.tx.Rollback(); !errors.Is(err, berrors.ErrTxClosed) {
				return err
			}
			return nil
		}))
	}
	return failed, err
}

// part names what the transaction was at.
func (b *batchTx) part() string {
	if b.at == "" {
		return partEntries
	}
	return "table " + b.at
}

// recoverable says whether the file surely is as it was before: there was no room for it to grow or a page of it is
// broken, and the page that makes a transaction count was not written.
func (s *Store) recoverable(err error, txid int) bool {
	// bbolt keeps only the text of some causes.
	full := func(cause syscall.Errno) bool { return strings.HasSuffix(err.Error(), cause.Error()) }
	if !isBroken(err) && !full(syscall.ENOSPC) && !full(syscall.EDQUOT) && !full(syscall.EFBIG) {
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
	tables  map[*Table]*bolt.Bucket // opened in this transaction
	at      string                  // the table at hand, "" for the entries
	key     []byte                  // scratch; bbolt copies keys
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
	b.tx, b.txid, b.tables = tx, tx.ID(), map[*Table]*bolt.Bucket{}
	b.leaves = tx.Bucket(bucketLeaves)
	b.leaves.FillPercent = fillAppend

	good := 0
	for i, r := range batch {
		if failed[i] = b.place(r); failed[i] != nil {
			continue
		}
		good++
		if err := b.apply(r); err != nil {
			return nil, errors.Join(err, tx.Rollback())
		}
	}
	b.heads = b.store.heads.dirty()
	if good == 0 && len(b.heads) == 0 {
		return failed, tx.Rollback()
	}
	for name, note := range b.heads {
		heads := tx.Bucket(bucketHeads)
		err := heads.Delete([]byte(name))
		if err == nil && note != nil {
			err = heads.Put([]byte(name), note)
		}
		if err != nil {
			return nil, errors.Join(err, tx.Rollback())
		}
	}
	return failed, tx.Commit()
}

// place checks what a request expects and gives its entries their places and its rows their revisions. It
// writes nothing. Its error concerns this request alone.
func (b *batchTx) place(r *request) error {
	if err := b.expectations(r); err != nil {
		return err
	}
	if r.check != nil {
		tx := Tx{&txState{store: b.store, tx: b.tx}}
		if err := b.store.guard(tx.part, func() error { return r.check(tx) }); err != nil {
			return err
		}
		if tx.faults != nil {
			return tx.faults
		}
	}
	first := b.front.size
	rows := b.bind(r, first)
	r.receipt.First, r.receipt.Last, r.receipt.Reading = first, first, b.reading
	for i := range r.entries {
		p := &r.entries[i]
		at := ledger.Place{
			Seq: first + uint64(i), At: b.reading.Wall,
			Clock: ledger.ClockRef{State: b.reading.State, Boot: b.reading.Boot, Mono: b.reading.Mono},
		}
		if rows != nil {
			at.Rows = rows[i]
		}
		var err error
		if p.leaf, err = p.Encode(at); err != nil {
			return fmt.Errorf("%w: entry %s with %d rows: %w", ErrInvalid, p.Entry.Kind, len(at.Rows), err)
		}
		r.receipt.Last = at.Seq
	}
	return nil
}

// table opens a table's bucket; nil when it was never written.
func (b *batchTx) table(t *Table) *bolt.Bucket {
	b.at = t.Name
	bucket, known := b.tables[t]
	if !known {
		bucket = b.tx.Bucket(t.bucket)
		b.tables[t] = bucket
	}
	return bucket
}

// makeTable is table for writing.
func (b *batchTx) makeTable(t *Table) (*bolt.Bucket, error) {
	if bucket := b.table(t); bucket != nil {
		return bucket, nil
	}
	bucket, err := b.tx.CreateBucket(t.bucket)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", t.Name, err)
	}
	b.tables[t] = bucket
	return bucket, nil
}

func (b *batchTx) expectations(r *request) error {
	for _, q := range r.require {
		t, err := tableByName(q.Table)
		if err != nil {
			return err
		}
		if revOf(b.table(t), q.Key) != q.Rev {
			return fmt.Errorf("%w: %s/%s", ErrConflict, q.Table, q.Key)
		}
	}
	for _, list := range [2][]write{r.puts, r.deletes} {
		for _, w := range list {
			if w.expect != nil && revOf(b.table(w.table), w.key) != *w.expect {
				return fmt.Errorf("%w: %s/%s", ErrConflict, w.table.Name, w.key)
			}
		}
	}
	return nil
}

// bind spreads the rows of replayable tables evenly over the entries and gives them their revisions: the number
// of the entry that names them, plus one. It gives nil when there are none.
func (b *batchTx) bind(r *request, first uint64) [][]ledger.RowRef {
	if r.bound == 0 {
		return nil
	}
	rows := make([][]ledger.RowRef, len(r.entries))
	each, n := (r.bound+len(r.entries)-1)/len(r.entries), 0
	add := func(w write) {
		rev := first + uint64(n/each) + 1
		ref := ledger.RowRef{Table: w.table.Name, Key: w.key, Rev: rev}
		if w.stored != nil {
			setRev(w.stored, rev)
			ref.Sum = rowSum(w.stored)
		}
		rows[n/each] = append(rows[n/each], ref)
		n++
	}
	for _, w := range r.puts {
		if w.table.Replayable {
			add(w)
		}
	}
	for _, w := range r.deletes {
		if w.table.Replayable && revOf(b.table(w.table), w.key) > 0 {
			add(w)
		}
	}
	return rows
}

// apply writes a placed request into the transaction; an error spoils the whole of it.
func (b *batchTx) apply(r *request) error {
	for i, w := range r.puts {
		if err := b.put(w); err != nil {
			return fmt.Errorf("row %s/%s: %w", w.table.Name, w.key, err)
		}
		r.receipt.Revs[i] = revIn(w.stored)
	}
	for _, w := range r.deletes {
		if bucket := b.table(w.table); bucket != nil {
			if err := bucket.Delete([]byte(w.key)); err != nil {
				return fmt.Errorf("row %s/%s: %w", w.table.Name, w.key, err)
			}
		}
	}
	b.at = ""
	for i := range r.entries {
		if err := b.append(&r.entries[i]); err != nil {
			return fmt.Errorf("entry %d: %w", r.entries[i].Entry.Seq, err)
		}
	}
	return nil
}

func (b *batchTx) put(w write) error {
	bucket, err := b.makeTable(w.table)
	if err != nil {
		return err
	}
	if !w.table.Replayable {
		rev, err := bucket.NextSequence()
		if err != nil {
			return err
		}
		setRev(w.stored, rev)
	}
	b.key = append(b.key[:0], w.key...)
	return bucket.Put(b.key, w.stored)
}

func (b *batchTx) append(p *prepared) error {
	b.key = binary.BigEndian.AppendUint64(b.key[:0], p.Entry.Seq)
	hash := tlog.RecordHash(p.leaf)
	if err := b.leaves.Put(b.key, appendCRC(p.leaf)); err != nil {
		return err
	}
	if len(p.parts) > 0 {
		bucket := b.tx.Bucket(bucketParts)
		bucket.FillPercent = fillAppend
		for i, sealed := range p.parts {
			if err := bucket.Put(append(b.key, byte(i)), sealed); err != nil {
				return err
			}
		}
	}
	for _, t := range b.front.add(hash, marks{p.Entry.At.UnixMilli(), p.marks}) {
		bucket := b.tx.Bucket(bucketTiles)
		bucket.FillPercent = fillAppend
		if err := t.put(bucket); err != nil {
			return err
		}
	}
	b.entries++
	return nil
}
