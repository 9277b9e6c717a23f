package ledgerdb

import (
	"context"
	"fmt"

	"campuskeep/shared/ledger"
)

// markRow is what is known of a file that lies beside ledger.db and that the box cannot do without.
type markRow struct {
	// Sum is a hash of the file's content, hex, of those that never change; of others only that they were there counts.
	Sum string `json:"sum,omitempty"`
}

var markTable = NewTable[markRow]("store_marks")

// Marks lists the files that were marked: name → hash of the content, "" for one that changes.
func (s *Store) Marks() (map[string]string, error) {
	marks := map[string]string{}
	err := s.View(func(tx Tx) error {
		for name, m := range markTable.All(tx) {
			marks[name] = m.Sum
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the marks of the box's files: %w", err)
	}
	return marks, nil
}

// Mark notes that these files are there and what is in them.
func (s *Store) Mark(ctx context.Context, sums map[string]string) error {
	var c Change
	for name, sum := range sums {
		c.Puts = append(c.Puts, markTable.Put(name, markRow{sum}))
	}
	if _, err := s.Commit(ctx, c); err != nil {
		return fmt.Errorf("mark the box's files: %w", err)
	}
	return nil
}

// Unmark forgets a file that is lost for good, with the entry that says so.
func (s *Store) Unmark(ctx context.Context, name string, entry ledger.Draft) error {
	if _, err := s.Commit(ctx, Change{Deletes: []Delete{markTable.Delete(name)}, Entries: []ledger.Draft{entry}}); err != nil {
		return fmt.Errorf("forget the mark of %s: %w", name, err)
	}
	return nil
}

// Seals says whether anything sealed is kept: a row of a sealed table, or a part of an entry.
func (s *Store) Seals() (found bool, err error) {
	err = s.View(func(tx Tx) error {
		for _, t := range *registry.tables.Load() {
			if !t.Sealed {
				continue
			}
			for range tx.rows(*t, "") {
				found = true
				return nil
			}
		}
		tx.table = ""
		k, _ := tx.tx.Bucket(bucketParts).Cursor().First()
		found = len(k) > 0 && k[0] != endKeys[0][0]
		return nil
	})
	return found, err
}
