package ledgerdb

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/ledger"
)

// mth is MTH of RFC 6962 section 2.1, written from its text and from nothing else.
func mth(d [][]byte) []byte {
	var h [32]byte
	switch n := len(d); {
	case n == 0:
		h = sha256.Sum256(nil)
	case n == 1:
		h = sha256.Sum256(append([]byte{0x00}, d[0]...))
	default:
		k := 1 // the largest power of two smaller than n
		for 2*k < n {
			k *= 2
		}
		h = sha256.Sum256(bytes.Join([][]byte{{0x01}, mth(d[:k]), mth(d[k:])}, nil))
	}
	return h[:]
}

// exported reads an export with nothing but the description of its format.
func exported(t testing.TB, text []byte) (leaves [][]byte, origin string, root []byte) {
	t.Helper()
	in := bufio.NewScanner(bytes.NewReader(text))
	var lines []string
	for in.Scan() {
		lines = append(lines, in.Text())
	}
	var size int
	if _, err := fmt.Sscanf(lines[1], "size %d", &size); err != nil || lines[0] != "campuskeep log 1" {
		t.Fatalf("export begins with %q, %q", lines[0], lines[1])
	}
	for _, l := range lines[2 : 2+size] {
		leaves = append(leaves, []byte(l))
	}
	for i, l := range lines[2+size:] {
		if l == "checkpoint" {
			head := lines[2+size+i+1:]
			root, err := base64.StdEncoding.DecodeString(head[2])
			if err != nil || head[1] != fmt.Sprint(size) {
				t.Fatalf("head %q: %v", head, err)
			}
			return leaves, head[0], root
		}
	}
	t.Fatal("no checkpoint")
	return nil, "", nil
}

// Covers I1: what the box signs is what anybody computes from its export.
func TestTheSignedRootIsThatOfRFC6962(t *testing.T) {
	s, _ := start(t, testOptions(t, t.TempDir()))
	for n := range 40 {
		var c Change
		for i := range 1 + n%17 {
			c.Entries = append(c.Entries, searched(i))
		}
		commit(t, s, c)
		if n%5 != 0 {
			continue
		}
		var out bytes.Buffer
		size, err := s.Export(t.Context(), &out)
		if err != nil || size != s.Size() {
			t.Fatal(size, err)
		}
		leaves, origin, root := exported(t, out.Bytes())
		if origin != "campuskeep/ck-test/1" || !bytes.Equal(mth(leaves), root) {
			t.Errorf("%d entries: another root than that of the RFC", size)
		}
		if v, err := ledger.VerifyExport(&out, nil); err != nil || v.Size != size {
			t.Errorf("%d entries: %v", size, err)
		}
	}
	wantClean(t, s)
}

// Old sizes keep their roots, and every proof holds, over the borders of tiles too.
func TestProofsHoldForAllSizes(t *testing.T) {
	dir := t.TempDir()
	s, stop := start(t, testOptions(t, dir))
	var tree ledger.Tree
	roots := []tlog.Hash{tree.Root()}
	for len(roots) <= 600 {
		var c Change
		for i := range 50 {
			c.Entries = append(c.Entries, searched(i))
		}
		r := commit(t, s, c)
		leaves, err := s.Leaves(r.First, 50)
		if err != nil || len(leaves) != 50 {
			t.Fatal(len(leaves), err)
		}
		for _, l := range leaves {
			tree.Add(l)
			roots = append(roots, tree.Root())
		}
	}
	stop()
	s, _ = start(t, testOptions(t, dir))
	for size := uint64(0); size < 600; size += 7 {
		if root, err := s.Root(size); err != nil || root != roots[size] {
			t.Fatalf("root of %d: %v", size, err)
		}
		for old := uint64(0); old <= size; old += 41 {
			proof, err := s.ConsistencyProof(old, size)
			if err != nil {
				t.Fatal(err)
			}
			if old == 0 { // the empty tree is a prefix of every tree
				if len(proof) != 0 {
					t.Fatalf("proof of the empty tree in %d: %d hashes", size, len(proof))
				}
			} else if err := tlog.CheckTree(proof, int64(size), roots[size], int64(old), roots[old]); err != nil {
				t.Fatalf("%d in %d: %v", old, size, err)
			}
			if old == size {
				continue
			}
			h, err := s.LeafHash(old)
			if err != nil {
				t.Fatal(err)
			}
			path, err := s.InclusionProof(old, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := ledger.CheckInclusion(path, size, roots[size], old, h); err != nil {
				t.Fatalf("%d in %d: %v", old, size, err)
			}
		}
	}
	for _, err := range []error{
		second(s.Root(601 + 50)), second(s.ConsistencyProof(5, 4)), second(s.ConsistencyProof(0, 1<<40)), second(s.InclusionProof(4, 4)), second(s.LeafHash(1 << 40)),
	} {
		if err == nil {
			t.Error("something beyond the log was given out")
		}
	}
}

func second[T any](_ T, err error) error { return err }

// From 65,536 entries on tiles are made of tiles.
func TestTilesOfTiles(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 70,000 entries")
	}
	dir := t.TempDir()
	s, stop := start(t, testOptions(t, dir))
	s.db.NoSync = true
	var tree ledger.Tree
	for s.Size() < 70000 {
		var c Change
		for i := range 1000 {
			c.Entries = append(c.Entries, searched(i))
		}
		r := commit(t, s, c)
		leaves, err := s.Leaves(r.First, len(c.Entries))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range leaves {
			tree.Add(l)
		}
	}
	want := tree.Root()
	if got, err := s.Root(s.Size()); err != nil || got != want {
		t.Errorf("root: %v", err)
	}
	wantClean(t, s)
	stop()
	s, _ = start(t, testOptions(t, dir))
	if got, err := s.Root(s.Size()); err != nil || got != want {
		t.Errorf("root after reopening: %v", err)
	}
	wantClean(t, s)
	r := rot{"upper tile", "tiles", tileKey(1, 0, 7), "tile", "tile 1/0"}
	v := stored(t, s, r)
	flip(t, s.o.path(), v, 100)
	wantFinding(t, s, r, 100)
	if got, err := s.Root(s.Size()); err != nil || got != want {
		t.Errorf("root with a rotten upper tile: %v", err)
	}
	flip(t, s.o.path(), v, 100)
}

func TestOnlyTheLatestAndTheCosignedCheckpointAreKept(t *testing.T) {
	dir := t.TempDir()
	s, stop := start(t, testOptions(t, dir))
	furnish(t, s)
	if size, at := s.Witnessed(); size != 271 || !at.Equal(witnessedAt) {
		t.Errorf("witnessed %d at %v", size, at)
	}
	again, err := s.Checkpoint(272)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	s, stop = start(t, testOptions(t, dir))
	if size, at := s.Witnessed(); size != 271 || !at.Equal(witnessedAt) {
		t.Errorf("after a start: witnessed %d at %v", size, at)
	}
	if msg, err := s.Checkpoint(272); err != nil || !bytes.Equal(msg, again) {
		t.Errorf("the same tree was signed differently: %v", err)
	}
	stop()
	o := testOptions(t, dir)
	o.Signer = nil
	r, err := OpenReadOnly(o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if size, err := r.Export(t.Context(), &out); err != nil || size != r.Size() {
		t.Errorf("export of a stopped box without its key: %d of %d, %v", size, r.Size(), err)
	}
	if _, err := r.Checkpoint(5); !errors.Is(err, ErrUnsigned) {
		t.Errorf("a checkpoint without the key: %v", err)
	}
	if p, err := r.Proof(r.Size() - 1); err != nil || second(p.Verify()) != nil {
		t.Errorf("the proof of the last entry on a stopped box: %v", err)
	}
	if _, err := r.Commit(t.Context(), Change{}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("commit on a stopped box: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// Covers F13, S6: an entry's proof names the centre's confirmation once it has come.
func TestProofStandsOnTheCentresConfirmation(t *testing.T) {
	s, _ := start(t, testOptions(t, t.TempDir()))
	furnish(t, s)
	centre, err := ledger.ParseVerifier(s.WitnessKey())
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Proof(270)
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Verify(centre)
	if err != nil || !v.Trusted || !v.Witnessed.Equal(witnessedAt) || v.Size != 271 || len(v.Parts) != 1 || string(v.Parts[0].Plain) != "lost bicycle" {
		t.Errorf("%+v, %v", v, err)
	}
	if p, err = s.Proof(s.Size() - 1); err != nil {
		t.Fatal(err)
	}
	if v, err := p.Verify(); err != nil || v.WitnessKey != "" || v.Size != s.Size() {
		t.Errorf("the newest entry: %+v, %v", v, err)
	}
	if _, err := p.Verify(centre); !errors.Is(err, ledger.ErrUntrusted) {
		t.Errorf("the newest entry, trusting the centre: %v", err)
	}
	if _, err := s.Proof(s.Size()); !errors.Is(err, ErrNoEntry) {
		t.Errorf("the proof of an entry that is not there: %v", err)
	}
}

func TestAConfirmationOfAnotherHistoryIsRefused(t *testing.T) {
	s, _ := start(t, testOptions(t, t.TempDir()))
	other, _ := start(t, testOptions(t, t.TempDir()))
	commit(t, s, Change{Entries: []ledger.Draft{searched(1)}})
	commit(t, other, Change{Entries: []ledger.Draft{searched(2)}})
	mine, theirs := cosign(t, s, 1, witnessedAt), cosign(t, other, 1, witnessedAt)
	if err := s.Witness(mine, 1); err == nil {
		t.Error("a confirmation was taken before the centre's key was known")
	}
	centre := ledger.WitnessKey(centreName, centreKey.Public().(ed25519.PublicKey))
	if err := s.SetWitness(t.Context(), centre); err != nil {
		t.Fatal(err)
	}
	if err := s.SetWitness(t.Context(), s.VerifierKey()); err == nil {
		t.Error("the log's own key was taken as the centre's")
	}
	if err := s.Witness(theirs, 1); !errors.Is(err, ErrForeign) {
		t.Errorf("another root: %v", err)
	}
	if err := s.Witness(mine, 2); !errors.Is(err, ErrForeign) {
		t.Errorf("another size: %v", err)
	}
	alone, err := s.Checkpoint(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Witness(alone, 1); err == nil {
		t.Error("a checkpoint that the centre has not signed was taken")
	}
	if size, _ := s.Witnessed(); size != 0 {
		t.Errorf("witnessed %d", size)
	}
	if err := s.Witness(mine, 1); err != nil {
		t.Error(err)
	}
	commit(t, s, Change{Entries: []ledger.Draft{searched(3)}})
	if err := s.Witness(cosign(t, s, 2, witnessedAt.Add(time.Hour)), 2); err != nil {
		t.Error(err)
	}
	if err := s.Witness(mine, 1); err != nil {
		t.Errorf("an older confirmation: %v", err)
	}
	if size, at := s.Witnessed(); size != 2 || !at.Equal(witnessedAt.Add(time.Hour)) {
		t.Errorf("witnessed %d at %v", size, at)
	}
}

func TestAnotherCentreBeginsToWitness(t *testing.T) {
	dir := t.TempDir()
	s, stop := start(t, testOptions(t, dir))
	furnish(t, s)
	other := ledger.WitnessKey("campuskeep-centre/other", testKey.Public().(ed25519.PublicKey))
	if err := s.SetWitness(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if size, at := s.Witnessed(); size != 0 || !at.IsZero() {
		t.Errorf("witnessed %d at %v by a centre that has signed nothing", size, at)
	}
	if p, err := s.Proof(3); err != nil || second(p.Verify()) != nil {
		t.Errorf("proof: %v", err)
	}
	stop()
	s, _ = start(t, testOptions(t, dir))
	wantClean(t, s)
	if size, _ := s.Witnessed(); size != 0 || s.WitnessKey() != other {
		t.Errorf("after a start: witnessed %d", size)
	}
}

// A page that reads for long must not hold up the gate: the file grows while a snapshot is open.
func TestALongReadDoesNotStopCommits(t *testing.T) {
	s, _ := start(t, testOptions(t, t.TempDir()))
	err := s.View(func(Tx) error {
		for range 20 {
			var c Change
			for i := range 1000 {
				c.Entries = append(c.Entries, searched(i))
			}
			done := make(chan error, 1)
			go func() { done <- second(s.Commit(t.Context(), c)) }()
			if err := <-done; err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantClean(t, s)
}

func TestCheckOfARunningBoxIsClean(t *testing.T) {
	s, _ := start(t, testOptions(t, t.TempDir()))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for caller := range 4 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				c := Change{Puts: []Put{boundTable.Put(key(n%7), n)}, Entries: []ledger.Draft{viewed("c01", "x"), searched(n)}}
				if n%5 == caller {
					c = Change{Deletes: []Delete{boundTable.Delete(key(n % 7))}, Entries: []ledger.Draft{searched(n)}}
				}
				if _, err := s.Commit(context.Background(), c); err != nil {
					t.Error(err)
				}
				if n%8 == 0 && s.Size() > 0 {
					if _, err := s.Checkpoint(s.Size()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for range 25 {
		wantClean(t, s)
	}
	cancel()
	wg.Wait()
	wantClean(t, s)
}

func TestABranchKeepsItsTreeUnderTheGrantedEpoch(t *testing.T) {
	dir := t.TempDir()
	s, stop := start(t, testOptions(t, dir))
	furnish(t, s)
	before, err := s.Root(200)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][2]uint64{{1, 0}, {0, 0}, {2, 1 << 40}} {
		if err := s.SetEpoch(t.Context(), bad[0], bad[1], bad[1], "restored"); err == nil {
			t.Errorf("epoch %d at %d was taken", bad[0], bad[1])
		}
	}
	if err := s.SetEpoch(t.Context(), 4, 200, 254, "restored"); err != nil {
		t.Fatal(err)
	}
	stop()
	s, _ = start(t, testOptions(t, dir))
	if root, err := s.Root(200); s.Epoch() != 4 || err != nil || root != before {
		t.Errorf("epoch %d, %v", s.Epoch(), err)
	}
	msg, err := s.Checkpoint(s.Size())
	if err != nil || !strings.HasPrefix(string(msg), "campuskeep/ck-test/4\n") {
		t.Errorf("%s, %v", msg, err)
	}
	e, err := s.Entry(s.Size() - 1)
	if err != nil || e.Kind != "sync.branched" || string(e.Data) != `{"epoch":4,"fork":200,"had":254,"reason":"restored"}` {
		t.Errorf("%+v, %v", e, err)
	}
	wantClean(t, s)
}

func TestSubscribersHearTheNewestSize(t *testing.T) {
	s, _ := start(t, testOptions(t, t.TempDir()))
	sizes, cancel := s.Subscribe()
	commit(t, s, Change{Entries: []ledger.Draft{searched(1)}})
	commit(t, s, Change{Entries: []ledger.Draft{searched(2)}})
	commit(t, s, Change{Puts: []Put{plainTable.Put("a", 1)}})
	for size := range sizes {
		if size == 2 {
			break
		}
	}
	cancel()
	commit(t, s, Change{Entries: []ledger.Draft{searched(3)}})
	select {
	case size := <-sizes:
		t.Errorf("heard %d after cancel", size)
	default:
	}
}

func TestListingGoesOnBothWaysFromAnywhere(t *testing.T) {
	s, _ := start(t, testOptions(t, t.TempDir()))
	for range 6 {
		var c Change
		for i := range 100 {
			c.Entries = append(c.Entries, searched(i))
		}
		commit(t, s, c)
	}
	next := uint64(37)
	for e, err := range s.Entries(37, 571) {
		if err != nil || e.Seq != next {
			t.Fatalf("entry %d: %v", e.Seq, err)
		}
		next++
	}
	for e, err := range s.Newest(next) {
		next--
		if err != nil || e.Seq != next {
			t.Fatalf("entry %d: %v", e.Seq, err)
		}
	}
	if next != 0 {
		t.Errorf("stopped at %d", next)
	}
	for range s.Newest(1 << 40) {
		next++
	}
	if next != 600 {
		t.Errorf("%d entries from the newest", next)
	}
}
