package ledgerdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// op is one random change of the model test: a row of one of the tables put or deleted, with or without an
// expectation, with or without entries, sometimes with a Check that refuses.
type op struct {
	table   int // 0 plain, 1 bound
	key     int
	del     bool
	value   int
	expect  int // 0 none, 1 must not exist, 2 the revision last seen, 3 one that never was
	entries int
	refuse  bool
}

var modelTables = []TableOf[int]{plainTable, boundTable}

func genOp(t *rapid.T) op {
	o := op{
		table: rapid.IntRange(0, 1).Draw(t, "table"), key: rapid.IntRange(0, 5).Draw(t, "key"), del: rapid.IntRange(0, 3).Draw(t, "del") == 0,
		value: rapid.Int().Draw(t, "value"), expect: rapid.IntRange(0, 3).Draw(t, "expect"),
		entries: rapid.IntRange(0, 3).Draw(t, "entries"), refuse: rapid.IntRange(0, 9).Draw(t, "refuse") == 0,
	}
	if o.table == 1 && o.entries == 0 {
		o.entries = 1
	}
	return o
}

var errRefused = errors.New("refused by the change's own check")

type cell struct {
	value int
	rev   uint64
}

type model struct {
	rows map[[2]int]cell
	size uint64
}

// change builds the Change of an op as a caller would who has seen the rows of before.
func (o op) change(before map[[2]int]cell) Change {
	table, k := modelTables[o.table], key(o.key)
	var expect *uint64
	switch o.expect {
	case 1:
		expect = new(uint64(0))
	case 2:
		expect = new(before[[2]int{o.table, o.key}].rev)
	case 3:
		expect = new(uint64(1 << 60))
	}
	var c Change
	if o.del {
		c.Deletes = []Delete{{Table: table.Name, Key: k, Expect: expect}}
	} else {
		p := table.Put(k, o.value)
		p.Expect = expect
		c.Puts = []Put{p}
	}
	for i := range o.entries {
		c.Entries = append(c.Entries, searched(i))
	}
	if o.refuse {
		c.Check = func(Tx) error { return errRefused }
	}
	return c
}

// expects says what the outcome must be when the change meets the rows as they are in m.
func (o op) outcome(m *model, c Change) error {
	now := m.rows[[2]int{o.table, o.key}].rev
	var expect *uint64
	if o.del {
		expect = c.Deletes[0].Expect
	} else {
		expect = c.Puts[0].Expect
	}
	switch {
	case expect != nil && *expect != now:
		return ErrConflict
	case o.refuse:
		return errRefused
	}
	return nil
}

// The committer against a model: rounds of concurrent changes; whatever order it chose is read off the receipts
// and replayed on the model, which must then agree row for row; reopened, the file is the same and clean.
// Covers I1, I2.
func TestCommitterAgreesWithAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "model")
		if err != nil {
			rt.Fatal(err)
		}
		o := testOptions(t, dir)
		s, stop := start(t, o)
		defer func() { stop() }()
		m := &model{rows: map[[2]int]cell{}}
		for range rapid.IntRange(1, 4).Draw(rt, "rounds") {
			m.round(rt, s, rapid.SliceOfN(rapid.Custom(genOp), 1, 12).Draw(rt, "ops"))
			if rapid.IntRange(0, 2).Draw(rt, "reopen") == 0 {
				stop()
				s, stop = start(t, o)
			}
			m.compare(rt, s)
		}
		wantClean(t, s)
	})
}

type outcome struct {
	op      op
	change  Change
	receipt Receipt
	err     error
}

// round lets all ops go at once. Ops on one key would make the order matter, so each op has a key of its own,
// but for one pair: two ops on key 0 that both expect what is there; at most one may win.
func (m *model) round(rt *rapid.T, s *Store, ops []op) {
	used := map[[2]int]bool{}
	var run []*outcome
	for _, o := range ops {
		if at := [2]int{o.table, o.key}; !used[at] {
			used[at] = true
			run = append(run, &outcome{op: o, change: o.change(m.rows)})
		}
	}
	rivals := []*outcome{}
	for i := range 3 {
		o := op{table: 1, key: 9, value: i, expect: 2, entries: 1}
		rivals = append(rivals, &outcome{op: o, change: o.change(m.rows)})
	}
	var wg sync.WaitGroup
	for _, r := range append(run, rivals...) {
		wg.Go(func() { r.receipt, r.err = s.Commit(context.Background(), r.change) })
	}
	wg.Wait()
	for _, r := range run {
		if want := r.op.outcome(m, r.change); !errors.Is(r.err, want) {
			rt.Fatalf("%+v: got %v, want %v", r.op, r.err, want)
		}
		m.apply(rt, s, r)
	}
	won := 0
	for _, r := range rivals {
		if r.err == nil {
			won++
			m.apply(rt, s, r)
		} else if !errors.Is(r.err, ErrConflict) {
			rt.Fatalf("rival: %v", r.err)
		}
	}
	if won != 1 {
		rt.Fatalf("%d of 3 rivals won", won)
	}
}

func (m *model) apply(rt *rapid.T, s *Store, r *outcome) {
	if r.err != nil {
		return
	}
	m.size += uint64(r.op.entries)
	if len(r.receipt.Entries) != r.op.entries {
		rt.Fatalf("%d entries in the receipt of %+v", len(r.receipt.Entries), r.op)
	}
	for i, e := range r.receipt.Entries {
		stored, err := s.Entry(r.receipt.First + uint64(i))
		if err != nil || stored.Seq != e.Seq || string(stored.Data) != fmt.Sprintf(`{"count":%d}`, i) {
			rt.Fatalf("entry %d of the receipt reads back as %+v, %v", i, stored, err)
		}
	}
	at := [2]int{r.op.table, r.op.key}
	if r.op.del {
		delete(m.rows, at)
		return
	}
	if old := m.rows[at]; r.receipt.Revs[0] <= old.rev {
		rt.Fatalf("revision %d after %d", r.receipt.Revs[0], old.rev)
	}
	m.rows[at] = cell{r.op.value, r.receipt.Revs[0]}
}

func (m *model) compare(rt *rapid.T, s *Store) {
	if s.Size() != m.size {
		rt.Fatalf("size %d, the model has %d", s.Size(), m.size)
	}
	err := s.View(func(tx Tx) error {
		found := 0
		for i, table := range modelTables {
			for k, row := range table.Rows(tx, "") {
				found++
				var n int
				if _, err := fmt.Sscanf(k, "k%d", &n); err != nil {
					return err
				}
				if want := m.rows[[2]int{i, n}]; row.Err != nil || row.Value != want.value || row.Rev != want.rev {
					rt.Fatalf("%s/%s is %+v, the model has %+v", table.Name, k, row, want)
				}
			}
		}
		if found != len(m.rows) {
			rt.Fatalf("%d rows, the model has %d", found, len(m.rows))
		}
		return nil
	})
	if err != nil {
		rt.Fatal(err)
	}
	seq := uint64(0)
	for e, err := range s.Entries(0, m.size) {
		if err != nil || e.Seq != seq {
			rt.Fatalf("entry %d: %+v %v", seq, e, err)
		}
		seq++
	}
	if seq != m.size {
		rt.Fatalf("%d entries listed of %d", seq, m.size)
	}
}
