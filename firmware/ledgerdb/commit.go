package ledgerdb

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"

	"campuskeep/shared/ledger"
)

// Commit writes a Change. When it returns nil, all of it is durable; on any error nothing of it is written.
// Ending ctx takes the Change back while it is still waiting; once the committer has it, Commit waits for the
// outcome, so that it is always known. Entries of a device that writes too many are held back (see pace): the
// receipt is then without them.
func (s *Store) Commit(ctx context.Context, c Change) (Receipt, error) {
	if s.readOnly {
		return Receipt{}, ErrReadOnly
	}
	whole := len(c.Entries)
	c, in, err := s.admit(c)
	if err != nil {
		return Receipt{}, err
	}
	if whole > 0 && len(c.Entries)+len(c.Puts)+len(c.Deletes) == 0 {
		return Receipt{Reading: s.o.Clock.Now()}, nil // held back, and nothing else to write
	}
	receipt, err := s.commitAdmitted(ctx, c)
	if err != nil {
		s.limiter.undo(in)
	}
	return receipt, err
}

func (s *Store) commitAdmitted(ctx context.Context, c Change) (Receipt, error) {
	r, err := s.prepare(ctx, c)
	if err != nil {
		return Receipt{}, err
	}
	if err := s.queue.push(r); err != nil {
		return Receipt{}, err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if s.queue.withdraw(r) {
			return Receipt{}, ctx.Err()
		}
		<-r.done
	}
	if r.err != nil {
		return Receipt{}, r.err
	}
	return r.receipt, nil
}

// request is a Change on its way through the committer, with everything done that does not need the
// transaction: checked, marshalled, sealed.
type request struct {
	puts    []write
	deletes []write
	require []Require
	bound   int // puts and deletes in replayable tables
	entries []prepared
	check   func(Tx) error

	receipt Receipt // written by the committer before done is closed
	err     error
	done    chan struct{}

	one struct { // room for the most frequent Change, in one piece with the request
		put      [1]write
		rev      [1]uint64
		prepared [1]prepared
		entry    [1]ledger.Entry
	}
}

type write struct {
	table  *Table
	key    string
	stored []byte // with room for the revision
	expect *uint64
}

type prepared struct {
	ledger.Prepared
	marks tokens
	parts [][]byte // sealed
	leaf  []byte   // the stored bytes, once the entry has its place
}

func (r *request) answer(err error) {
	r.err = err
	close(r.done)
}

func (s *Store) prepare(ctx context.Context, c Change) (*request, error) {
	r := &request{require: c.Require, check: c.Check, done: make(chan struct{})}
	if len(c.Entries) <= 1 && len(c.Puts) <= 1 { // a card tap: one row, one entry
		r.puts, r.receipt.Revs = r.one.put[:0], r.one.rev[:len(c.Puts)]
		r.entries, r.receipt.Entries = r.one.prepared[:0], r.one.entry[:len(c.Entries)]
	} else {
		r.puts, r.receipt.Revs = make([]write, 0, len(c.Puts)), make([]uint64, len(c.Puts))
		r.entries, r.receipt.Entries = make([]prepared, 0, len(c.Entries)), make([]ledger.Entry, len(c.Entries))
	}
	if len(c.Puts)+len(c.Deletes) > MaxRows {
		return nil, invalidf("%w: %d rows, at most %d are allowed", ledger.ErrTooLarge, len(c.Puts)+len(c.Deletes), MaxRows)
	}
	owners, err := ownersOf(c)
	if err != nil {
		return nil, err
	}
	if len(owners) > 0 {
		if err := s.o.People.Ensure(ctx, owners...); err != nil {
			return nil, fmt.Errorf("commit: %w", err)
		}
	}
	if err := s.prepareRows(r, c); err != nil {
		return nil, err
	}
	if err := s.prepareEntries(r, c.Entries); err != nil {
		return nil, err
	}
	if r.bound > 0 && len(r.entries) == 0 {
		return nil, invalidf("rows of replayable tables are written with an entry")
	}
	return r, nil
}

// ownersOf lists whose keys are needed: they exist durably before anything is sealed under them.
func ownersOf(c Change) ([]string, error) {
	var owners []string
	for _, p := range c.Puts {
		t, err := tableByName(p.Table)
		if err != nil {
			return nil, err
		}
		switch {
		case !t.Sealed && p.Owner != "":
			return nil, invalidf("table %s is not sealed, its rows have no owner", t.Name)
		case t.Sealed && (p.Owner == "" || len(p.Owner) > 64):
			return nil, invalidf("table %s is sealed, a row needs the id of its owner", t.Name)
		case t.Sealed:
			owners = append(owners, p.Owner)
		}
	}
	for _, d := range c.Entries {
		for _, part := range d.Sealed {
			owners = append(owners, part.Owner)
		}
	}
	return owners, nil
}

func (s *Store) prepareRows(r *request, c Change) error {
	if err := checkUnique(c); err != nil {
		return err
	}
	for _, p := range c.Puts {
		w, err := newWrite(p.Table, p.Key, p.Expect)
		if err != nil {
			return err
		}
		if len(p.Value) > MaxValue {
			return invalidf("%w: row %s/%s has %d bytes, at most %d are allowed", ledger.ErrTooLarge, p.Table, p.Key, len(p.Value), MaxValue)
		}
		if !json.Valid(p.Value) {
			return invalidf("row %s/%s: the value is not JSON", p.Table, p.Key)
		}
		if !w.table.Sealed {
			w.stored = plainRow(p.Value)
		} else {
			sealed, err := s.o.People.Seal(p.Owner, rowAAD(p.Table, p.Key), p.Value)
			if err != nil {
				return fmt.Errorf("commit: row %s/%s: %w", p.Table, p.Key, err)
			}
			w.stored = sealedRow(p.Owner, sealed)
		}
		r.puts = append(r.puts, w)
		if w.table.Replayable {
			r.bound++
		}
	}
	for _, d := range c.Deletes {
		w, err := newWrite(d.Table, d.Key, d.Expect)
		if err != nil {
			return err
		}
		r.deletes = append(r.deletes, w)
		if w.table.Replayable {
			r.bound++
		}
	}
	for _, q := range c.Require {
		if _, err := newWrite(q.Table, q.Key, nil); err != nil {
			return err
		}
	}
	return nil
}

// checkUnique refuses a Change that writes a row twice: which of the two would be the row?
func checkUnique(c Change) error {
	if len(c.Puts)+len(c.Deletes) < 2 {
		return nil
	}
	seen := make(map[[2]string]bool, len(c.Puts)+len(c.Deletes))
	note := func(table, key string) error {
		if seen[[2]string{table, key}] {
			return invalidf("row %s/%s is written twice in one change", table, key)
		}
		seen[[2]string{table, key}] = true
		return nil
	}
	for _, p := range c.Puts {
		if err := note(p.Table, p.Key); err != nil {
			return err
		}
	}
	for _, d := range c.Deletes {
		if err := note(d.Table, d.Key); err != nil {
			return err
		}
	}
	return nil
}

func newWrite(table, key string, expect *uint64) (write, error) {
	t, err := tableByName(table)
	if err != nil {
		return write{}, err
	}
	if key == "" || len(key) > MaxKey || !printable(key) {
		return write{}, invalidf("table %s: a key is 1 to %d printable ASCII characters: codes and ids, no names", table, MaxKey)
	}
	return write{table: t, key: key, expect: expect}, nil
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func (s *Store) prepareEntries(r *request, drafts []ledger.Draft) error {
	for i, d := range drafts {
		p, err := ledger.Prepare(&r.receipt.Entries[i], d, rand.Reader)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		e := prepared{Prepared: p, marks: tokensOf(p.Entry)}
		for i, part := range p.Open {
			sealed, err := s.o.People.Seal(part.Owner, partAAD(p.Entry.Sealed[i]), append(part.Salt[:len(part.Salt):len(part.Salt)], part.Plain...))
			if err != nil {
				return fmt.Errorf("commit: part %s: %w", part.Name, err)
			}
			e.parts = append(e.parts, sealed)
		}
		r.entries = append(r.entries, e)
	}
	return nil
}

// partAAD binds a sealed part to its commitment, which binds it to its entry.
func partAAD(c ledger.Commitment) []byte { return append([]byte("part "+c.Name+" "), c.Sum...) }

// queue is what waits for the committer.
type queue struct {
	mu      sync.Mutex
	waiting []*request // guarded by mu
	stopped bool       // guarded by mu
	wake    chan struct{}
}

func (q *queue) push(r *request) error {
	q.mu.Lock()
	if q.stopped {
		q.mu.Unlock()
		return ErrClosed
	}
	q.waiting = append(q.waiting, r)
	q.mu.Unlock()
	q.signal()
	return nil
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// withdraw takes a request back; false when the committer already has it.
func (q *queue) withdraw(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, w := range q.waiting {
		if w == r {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// take gives up to limit waiting requests, in order.
func (q *queue) take(limit int) []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(limit, len(q.waiting))
	batch := append([]*request(nil), q.waiting[:n]...)
	q.waiting = append(q.waiting[:0], q.waiting[n:]...)
	return batch
}

// stop refuses what comes from now on and answers what waits: none of it was written.
func (q *queue) stop() {
	q.mu.Lock()
	q.stopped = true
	waiting := q.waiting
	q.waiting = nil
	q.mu.Unlock()
	for _, r := range waiting {
		r.answer(ErrClosed)
	}
}
