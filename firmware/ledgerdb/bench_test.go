package ledgerdb

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"campuskeep/shared/ledger"
)

// The budget of design §10: the ledger against bare bbolt commits of the same bytes and the same state puts by
// the same callers. Bare means: entries and rows written into two buckets of a file with the same settings, by a
// committer that also takes what is waiting; no tree, no checks, no entry made. Both run in turns in one
// benchmark, so that a disk that changes its speed slows both.

// benchRound is how many changes one side makes before the other has its turn: short, so that what else the
// machine does hits both. The ratio is the median over the rounds.
const benchRound = 64

// benchDraft makes an entry of about 320 bytes.
func benchDraft() ledger.Draft {
	return ledger.Draft{
		Actor: ledger.Actor{ID: "p017", Role: "staff"}, From: &ledger.From{Address: "10.20.3.18"}, Via: ledger.ViaWeb,
		Kind: "access.refused", Subject: "c01",
		Data: map[string]any{"action": "footage.playback", "reason": "none"},
	}
}

type bareChange struct {
	key, leaf, rowKey, row []byte
	done                   chan struct{}
}

// bare is the peer.
type bare struct {
	db      *bolt.DB
	mu      sync.Mutex
	waiting []*bareChange
	wake    chan struct{}
	stop    chan struct{}
	err     error
}

func newBare(tb testing.TB, dir string) *bare {
	db, err := bolt.Open(filepath.Join(dir, "bare.db"), 0o600, &bolt.Options{InitialMmapSize: mapSize(), FreelistType: bolt.FreelistMapType, NoStatistics: true})
	if err != nil {
		tb.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range []string{"leaves", "rows"} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	p := &bare{db: db, wake: make(chan struct{}, 1), stop: make(chan struct{})}
	ended := make(chan struct{})
	go func() { defer close(ended); p.run() }()
	tb.Cleanup(func() {
		close(p.stop)
		<-ended
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

func (p *bare) run() {
	for {
		p.mu.Lock()
		batch := p.waiting
		p.waiting = nil
		p.mu.Unlock()
		if len(batch) == 0 {
			select {
			case <-p.wake:
				continue
			case <-p.stop:
				return
			}
		}
		err := p.db.Update(func(tx *bolt.Tx) error {
			leaves, rows := tx.Bucket([]byte("leaves")), tx.Bucket([]byte("rows"))
			leaves.FillPercent = fillAppend
			for _, c := range batch {
				if err := leaves.Put(c.key, c.leaf); err != nil {
					return err
				}
				if err := rows.Put(c.rowKey, c.row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			p.err = err
		}
		for _, c := range batch {
			close(c.done)
		}
	}
}

func (p *bare) commit(c *bareChange) {
	c.done = make(chan struct{})
	p.mu.Lock()
	p.waiting = append(p.waiting, c)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
	<-c.done
}

// each lets callers goroutines make total calls of f, numbered.
func each(callers, total int, f func(n int)) time.Duration {
	var next atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range callers {
		wg.Go(func() {
			for n := int(next.Add(1)) - 1; n < total; n = int(next.Add(1)) - 1 {
				f(n)
			}
		})
	}
	wg.Wait()
	return time.Since(begin)
}

// liveHeap represents what the daemon keeps in memory (design §10: 40 MB): without it the collector would run
// every few milliseconds, which no daemon sees.
const liveHeap = 32 << 20

func benchmarkAppend(b *testing.B, callers int) {
	ballast := make([]byte, liveHeap)
	defer runtime.KeepAlive(ballast)
	dir := b.TempDir()
	s, _ := start(b, testOptions(b, dir))
	peer := newBare(b, dir)
	per := benchRound
	if callers > 1 {
		per = 32 * callers
	}
	first, err := s.Commit(context.Background(), Change{Entries: []ledger.Draft{benchDraft()}})
	if err != nil {
		b.Fatal(err)
	}
	leaves, err := s.Leaves(first.First, 1)
	if err != nil {
		b.Fatal(err)
	}
	leaf := leaves[0]
	var ours, theirs time.Duration
	var ratios []float64
	var done int
	seq := atomic.Uint64{}
	for b.Loop() {
		a := each(callers, per, func(n int) {
			_, err := s.Commit(context.Background(), Change{
				Puts: []Put{plainTable.Put(key(n%500), n)}, Entries: []ledger.Draft{benchDraft()},
			})
			if err != nil {
				b.Error(err)
			}
		})
		z := each(callers, per, func(n int) {
			peer.commit(&bareChange{
				key: binary.BigEndian.AppendUint64(nil, seq.Add(1)), leaf: append([]byte(nil), leaf...),
				rowKey: []byte(key(n % 500)), row: plainRow(fmt.Appendf(nil, "%d", n)),
			})
		})
		done += per
		ours, theirs = ours+a, theirs+z
		ratios = append(ratios, float64(z)/float64(a))
	}
	slices.Sort(ratios)
	if peer.err != nil {
		b.Fatal(peer.err)
	}
	b.ReportMetric(float64(done)/ours.Seconds(), "commits/s")
	b.ReportMetric(float64(done)/theirs.Seconds(), "bare/s")
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(float64(len(leaf)), "B/entry")
}

func BenchmarkLedgerAppend1(b *testing.B)   { benchmarkAppend(b, 1) }
func BenchmarkLedgerAppend64(b *testing.B)  { benchmarkAppend(b, 64) }
func BenchmarkLedgerAppend256(b *testing.B) { benchmarkAppend(b, 256) }

// BenchmarkLedgerGrowth reports how much the file grows for each entry, entries coming one at a time.
func BenchmarkLedgerGrowth(b *testing.B) {
	s, _ := start(b, testOptions(b, b.TempDir()))
	s.db.NoSync = true // only bytes count here
	used := func() (n int64) {
		if err := s.db.View(func(tx *bolt.Tx) error { n = tx.Size(); return nil }); err != nil {
			b.Fatal(err)
		}
		return n
	}
	grow := func(n int) {
		for i := range n {
			if _, err := s.Commit(context.Background(), Change{Puts: []Put{plainTable.Put(key(i%500), i)}, Entries: []ledger.Draft{benchDraft()}}); err != nil {
				b.Fatal(err)
			}
		}
	}
	grow(2000)
	from, entries := used(), s.Size()
	for b.Loop() {
		grow(20000)
	}
	leaves, err := s.Leaves(entries, 1)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(used()-from)/float64(s.Size()-entries), "growth-B/entry")
	b.ReportMetric(float64(len(leaves[0])), "B/entry")
}
