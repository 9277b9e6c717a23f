package ledgerdb

import (
	"fmt"
	"testing"

	bolt "go.etcd.io/bbolt"

	"campuskeep/shared/ledger"
)

// The things of a school are distinguished by their topics, nearly all.
func TestTopicsTellThingsApart(t *testing.T) {
	seen := map[topic]string{}
	same := 0
	for _, id := range []struct {
		form string
		n    int
	}{{"c%02d", 64}, {"s%04d", 1500}, {"p%03d", 120}, {"a2026-%04d", 300}} {
		for n := range id.n {
			name := fmt.Sprintf(id.form, n+1)
			is := topicOf(aboutToken(name))
			if is == topicOpen || is == topicNone {
				t.Errorf("%s has topic %d", name, is)
			}
			if seen[is] != "" {
				same++
			}
			seen[is] = name
		}
	}
	if same > 60 { // as by chance: 1984 things of 65,534
		t.Errorf("%d things have the topic of another", same)
	}
}

// Covers F13: tiles of the first builds, without topics, are searched all the same, and are no fault.
func TestTilesWithoutTopicsAreSearched(t *testing.T) {
	s, _ := start(t, testOptions(t, t.TempDir()))
	var want []uint64
	for n := range 600 {
		c := Change{Entries: []ledger.Draft{viewed(fmt.Sprintf("c%02d", n%64), "lost bicycle")}}
		if r := commit(t, s, c); n%64 == 7 {
			want = append([]uint64{r.First}, want...)
		}
	}
	for range 2 {
		p, err := s.Search(t.Context(), Query{About: []string{"c07"}, Limit: 100})
		if err != nil || len(p.Entries) != len(want) {
			t.Fatalf("%d entries, want %d (%v)", len(p.Entries), len(want), err)
		}
		for i, e := range p.Entries {
			if e.Seq != want[i] {
				t.Errorf("entry %d, want %d", e.Seq, want[i])
			}
		}
		wantClean(t, s)
		if err := s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketTiles).Delete(tileKey(0, 0, topicsRow)) }); err != nil {
			t.Fatal(err)
		}
	}
}
