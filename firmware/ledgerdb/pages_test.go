package ledgerdb

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	berrors "go.etcd.io/bbolt/errors"

	"campuskeep/shared/ledger"
)

var everyPage = flag.Bool("pages", false, "damage every page of the ledger's file, not one of four")

// Covers I1, I2: one page of the file after the other is zeroed or overwritten. Nothing panics: opening, reading,
// searching, committing, exporting either work or say what is damaged; Check goes to its end and is clean only when
// nothing that the log or a table holds was in the page.
func TestOneBadPageIsAFindingNotAPanic(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(t, dir)
	s, stop := start(t, o)
	furnish(t, s)
	entries, rows := s.Size(), rowsOf(t, s)
	stop()
	whole, err := os.ReadFile(o.path())
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	used := len(bytes.TrimRight(whole, "\x00"))/page + 1
	if info, err := os.Stat(o.path()); err != nil || info.Size() < int64(used*page) {
		t.Fatalf("pages: %d, %v", used, err)
	}
	noise := rand.NewChaCha8([32]byte{7})
	refused, found, clean := 0, 0, 0
	for n := range used {
		for _, how := range []string{"zeroed", "overwritten", "bits"} {
			if !*everyPage && (n+len(how))%4 != 0 {
				continue
			}
			name := fmt.Sprintf("page %d %s", n, how)
			bad := bytes.Clone(whole)
			at := bad[n*page : min((n+1)*page, len(bad))]
			switch how {
			case "zeroed":
				clear(at)
			case "overwritten":
				noise.Read(at)
			case "bits":
				for range 4 {
					at[noise.Uint64()%64] ^= 1 << (noise.Uint64() % 8)
				}
			}
			o := o
			o.Dir = filepath.Join(dir, fmt.Sprintf("%d-%s", n, how))
			if err := os.Mkdir(o.Dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(o.path(), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			switch use(t, name, o, entries, rows) {
			case outRefused:
				refused++
			case outFound:
				found++
			default:
				clean++
			}
			if err := os.RemoveAll(o.Dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d pages: refused %d, found %d, of no account %d", used, refused, found, clean)
}

type pageOutcome int

const (
	outClean pageOutcome = iota
	outRefused
	outFound
)

// use opens a damaged file and does everything with it.
func use(t *testing.T, name string, o Options, entries uint64, rows map[string]string) pageOutcome {
	s, err := Open(o)
	if err != nil {
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, berrors.ErrInvalid) {
			t.Logf("%s: refused in other words: %v", name, err)
		}
		return outRefused
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	n := 0
	if err := s.Check(ctx, func(Finding) { n++ }); err != nil {
		t.Errorf("%s: check ended with %v", name, err)
	}
	_ = s.View(func(tx Tx) error {
		for range boundTable.Rows(tx, "") {
		}
		for range secretTable.Rows(tx, "") {
		}
		for range plainTable.Rows(tx, "") {
		}
		return nil
	})
	if _, err := s.Search(ctx, Query{Limit: 1000}); err != nil && !errors.Is(err, ErrDamaged) {
		t.Errorf("%s: search: %v", name, err)
	}
	if _, err := s.Tally(ctx, Query{About: []string{"camera:c01"}}); err != nil && !errors.Is(err, ErrDamaged) {
		t.Errorf("%s: tally: %v", name, err)
	}
	seen := uint64(0)
	for e, err := range s.Entries(0, s.Size()) {
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Logf("%s: entry %d: %v", name, e.Seq, err)
		}
		seen++
	}
	if seen != s.Size() {
		t.Errorf("%s: listed %d of %d entries", name, seen, s.Size())
	}
	if _, err := s.Export(ctx, io.Discard); err != nil && !errors.Is(err, ErrDamaged) {
		t.Errorf("%s: export: %v", name, err)
	}
	intact := s.Size() == entries
	if n == 0 {
		intact = intact && maps.Equal(rows, rowsOf(t, s))
		for seq := range entries {
			if _, err := s.Parts(seq); err != nil {
				intact = false
			}
		}
		if !intact {
			t.Errorf("%s: check is clean over damage that matters", name)
		}
	}
	for i := range 3 {
		r, err := s.Commit(ctx, Change{Puts: []Put{plainTable.Put(key(i), -1), boundTable.Put(key(9*i), -1)}, Entries: []ledger.Draft{searched(i)}})
		if err == nil && r.First < entries && n == 0 {
			t.Errorf("%s: committed entry %d over %d", name, r.First, entries)
		}
	}
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, ErrDamaged) {
		t.Errorf("%s: the committer ended with %v", name, err)
	}
	if err := guarded(s.Close); err != nil {
		t.Errorf("%s: close: %v", name, err)
	}
	if n > 0 {
		return outFound
	}
	return outClean
}

func rowsOf(t *testing.T, s *Store) map[string]string {
	t.Helper()
	out := map[string]string{}
	if err := s.View(func(tx Tx) error {
		for k, r := range boundTable.Rows(tx, "") {
			out["bound/"+k] = fmt.Sprint(r.Value, r.Rev, r.Err)
		}
		for k, r := range plainTable.Rows(tx, "") {
			out["plain/"+k] = fmt.Sprint(r.Value, r.Rev, r.Err)
		}
		for k, r := range secretTable.Rows(tx, "") {
			out["secret/"+k] = fmt.Sprint(r.Value, r.Rev, r.Err)
		}
		return nil
	}); err != nil {
		out["view"] = err.Error()
	}
	return out
}
