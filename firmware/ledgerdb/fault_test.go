package ledgerdb

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"campuskeep/shared/ledger"
)

// A disk that is full refuses, and says so; when there is room again, the box goes on. Nothing half-done stays.
func TestAFullDiskRefusesAndGoesOnWhenThereIsRoom(t *testing.T) {
	o := testOptions(t, t.TempDir())
	s, stop := start(t, o)
	furnish(t, s)
	info, err := os.Stat(o.path())
	if err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	limit := old
	limit.Cur = uint64(info.Size())
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	refused := fillUp(t, s)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if refused == nil || !strings.Contains(refused.Error(), syscall.EFBIG.Error()) {
		t.Fatalf("a file that cannot grow: %v", refused)
	}
	size := s.Size()
	r := commit(t, s, Change{Puts: []Put{boundTable.Put("room", 1)}, Entries: []ledger.Draft{searched(1)}})
	if r.First != size {
		t.Errorf("entry %d after %d", r.First, size)
	}
	wantClean(t, s)
	stop()
	s, _ = start(t, o)
	wantClean(t, s)
	if _, _, ok := get(t, s, boundTable, "room"); !ok || s.Size() != size+1 {
		t.Errorf("size %d", s.Size())
	}
}

// fillUp commits until it is refused.
func fillUp(t *testing.T, s *Store) error {
	t.Helper()
	for range 10000 {
		var c Change
		for i := range 200 {
			c.Entries = append(c.Entries, searched(i))
		}
		if _, err := s.Commit(context.Background(), c); err != nil {
			return err
		}
	}
	t.Fatal("the file grew beyond its limit")
	return nil
}

// When the file fails in another way, nobody gets the answer that anything is stored, and Run ends with the
// reason.
func TestAFailingFileStopsTheCommitter(t *testing.T) {
	s, err := Open(testOptions(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context()) }()
	commit(t, s, Change{Puts: []Put{plainTable.Put("a", 1)}})
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), Change{Puts: []Put{plainTable.Put("a", 2)}}); err == nil {
		t.Error("acknowledged without a file")
	}
	if err := <-done; err == nil {
		t.Error("Run ended as if nothing had happened")
	}
	if _, err := s.Commit(t.Context(), Change{Puts: []Put{plainTable.Put("a", 3)}}); !errors.Is(err, ErrClosed) {
		t.Errorf("after the committer has stopped: %v", err)
	}
}
