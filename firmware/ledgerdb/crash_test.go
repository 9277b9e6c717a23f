package ledgerdb

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"campuskeep/shared/ledger"
)

const crashDir = "CAMPUSKEEP_TEST_CRASH_DIR"

// TestMain turns the test binary into the process that is killed: it commits from eight callers and writes
// a line for each commit that was acknowledged.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := commitForEver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func commitForEver(dir string) error {
	o := testOptions(&testing.T{}, dir)
	s, err := Open(o)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make(chan error, 16)
	wg.Go(func() { errs <- s.Run(context.Background()) })
	var mu sync.Mutex
	for caller := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				k := fmt.Sprintf("%d-%d-%d", os.Getpid(), caller, n)
				r, err := s.Commit(context.Background(), Change{
					Puts:    []Put{boundTable.Put(k, n), secretTable.Put(k, secretRow{"student:s0001", k}), plainTable.Put("last", n)},
					Entries: []ledger.Draft{viewed("c01", k), searched(n)},
				})
				if err != nil {
					errs <- err
					return
				}
				if n%16 == 0 {
					if _, err := s.Checkpoint(s.Size()); err != nil {
						errs <- err
						return
					}
				}
				mu.Lock()
				fmt.Printf("%s %d\n", k, r.First)
				mu.Unlock()
			}
		})
	}
	return <-errs
}

// Covers I7: what was acknowledged is there after kill -9, and the file is clean.
func TestNothingAcknowledgedIsLostToAKill(t *testing.T) {
	rounds := 8
	if n, err := strconv.Atoi(os.Getenv("CAMPUSKEEP_KILLS")); err == nil {
		rounds = n
	}
	dir := t.TempDir()
	acknowledged := map[string]uint64{}
	for range rounds {
		killOne(t, dir, acknowledged)
		s, stop := start(t, testOptions(t, dir))
		checkAcknowledged(t, s, acknowledged)
		wantClean(t, s)
		stop()
	}
	if len(acknowledged) == 0 {
		t.Error("nothing was ever acknowledged: the test shows nothing")
	}
	t.Logf("%d kills, %d acknowledged changes", rounds, len(acknowledged))
}

func killOne(t *testing.T, dir string, acknowledged map[string]uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(time.Duration(rand.IntN(400))*time.Millisecond, func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
	})
	defer kill.Stop()
	in := bufio.NewScanner(out)
	for in.Scan() {
		var k string
		var seq uint64
		if n, err := fmt.Sscanf(in.Text(), "%s %d", &k, &seq); n == 2 && err == nil {
			acknowledged[k] = seq
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the process was to be killed, but: %v", err)
	}
}

func checkAcknowledged(t *testing.T, s *Store, acknowledged map[string]uint64) {
	t.Helper()
	err := s.View(func(tx Tx) error {
		for k, seq := range acknowledged {
			if _, rev, ok, err := boundTable.Get(tx, k); !ok || err != nil || rev != seq+1 {
				return fmt.Errorf("row %s of entry %d: revision %d, %v, %v", k, seq, rev, ok, err)
			}
			if v, _, ok, err := secretTable.Get(tx, k); !ok || err != nil || v.Text != k {
				return fmt.Errorf("sealed row %s: %v, %v", k, ok, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for _, seq := range acknowledged {
		if _, err := s.Entry(seq + 1); err != nil {
			t.Errorf("entry %d: %v", seq+1, err)
		}
	}
}
