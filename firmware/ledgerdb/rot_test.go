package ledgerdb

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"campuskeep/shared/ledger"
)

const centreName = "campuskeep-centre/yunting"

// cosign does what the centre does with a checkpoint.
func cosign(t testing.TB, s *Store, size uint64, at time.Time) []byte {
	t.Helper()
	msg, err := s.Checkpoint(size)
	if err != nil {
		t.Fatal(err)
	}
	w, err := ledger.WitnessSigner(centreName, centreKey, at)
	if err != nil {
		t.Fatal(err)
	}
	log, err := ledger.ParseVerifier(s.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	if msg, err = ledger.Cosign(msg, log, w); err != nil {
		t.Fatal(err)
	}
	return msg
}

var witnessedAt = time.Date(2026, 5, 20, 1, 30, 0, 0, time.UTC)

// furnish fills a store with something of everything: a full tile, a tail, rows of each sort, both heads.
func furnish(t testing.TB, s *Store) {
	t.Helper()
	if err := s.SetWitness(t.Context(), ledger.WitnessKey(centreName, centreKey.Public().(ed25519.PublicKey))); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		c := Change{Puts: []Put{boundTable.Put(key(i), i), plainTable.Put(key(i), i)}}
		for j := range 9 {
			c.Entries = append(c.Entries, searched(100*i+j))
		}
		commit(t, s, c)
	}
	commit(t, s, Change{
		Puts:    []Put{secretTable.Put("s", secretRow{"student:s0001", "peanut allergy"})},
		Deletes: []Delete{boundTable.Delete(key(29))},
		Entries: []ledger.Draft{viewed("c01", "lost bicycle"), searched(1)},
	})
	if err := s.Witness(cosign(t, s, 271, witnessedAt), 271); err != nil {
		t.Fatal(err)
	}
	commit(t, s, Change{Entries: []ledger.Draft{searched(2)}})
}

// places of the rot and what Check must say.
type rot struct {
	name   string
	bucket string
	key    []byte
	what   string
	where  string
}

func rots() []rot {
	return []rot{
		{"leaf in a full tile", "leaves", seqKey(17), "leaf", "entry 17"},
		{"leaf in the tail", "leaves", seqKey(272), "leaf", "entry 272"},
		{"tile", "tiles", tileKey(0, 0, 3), "tile", "tile 0/0"},
		{"digest", "tiles", tileKey(0, 0, digestRow), "tile", "tile 0/0"},
		{"topics", "tiles", tileKey(0, 0, topicsRow), "tile", "tile 0/0"},
		{"latest checkpoint", "heads", []byte(headLatest), "checkpoint", "checkpoint latest"},
		{"cosigned checkpoint", "heads", []byte(headCosigned), "checkpoint", "checkpoint cosigned"},
		{"row", "t/test_bound", []byte(key(4)), "row", "row test_bound/k004"},
		{"sealed row", "t/test_secret", []byte("s"), "row", "row test_secret/s"},
		{"sealed part", "parts", append(seqKey(270), 0), "part", "entry 270, part purpose"},
	}
}

// stored reads a value.
func stored(t testing.TB, s *Store, r rot) []byte {
	t.Helper()
	var v []byte
	if err := s.db.View(func(tx *bolt.Tx) error {
		v = bytes.Clone(tx.Bucket([]byte(r.bucket)).Get(r.key))
		return nil
	}); err != nil || len(v) == 0 {
		t.Fatalf("%s: no such value (%v)", r.name, err)
	}
	return v
}

// flip changes byte i of a value wherever it lies in the file, old pages included; calling it again undoes it.
func flip(t testing.TB, path string, value []byte, i int) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(value)
	changed[i] ^= 1
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for at := 0; ; n++ {
		j := bytes.Index(raw[at:], value)
		if j < 0 {
			break
		}
		if _, err := f.WriteAt(changed[i:i+1], int64(at+j+i)); err != nil {
			t.Fatal(err)
		}
		at += j + len(value)
	}
	if err := f.Close(); err != nil || n == 0 {
		t.Fatalf("value not found in the file, or %v", err)
	}
	copy(value, changed)
}

func wantFinding(t testing.TB, s *Store, r rot, i int) {
	t.Helper()
	found := findings(t, s)
	if !slices.ContainsFunc(found, func(f Finding) bool { return f.What == r.what && f.Where == r.where }) {
		t.Errorf("%s, byte %d: check found %v, want %s %s", r.name, i, found, r.what, r.where)
	}
	for _, f := range found {
		if f.Where != r.where {
			t.Errorf("%s, byte %d: check also blames %v", r.name, i, f)
		}
	}
}

// Covers I1, I2: one changed byte, and check says which.
func TestOneFlippedByteIsNamedOnAStoppedBox(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(t, dir)
	s, stop := start(t, o)
	furnish(t, s)
	wantClean(t, s)
	stop()
	reader, err := OpenReadOnly(o)
	if err != nil {
		t.Fatal(err)
	}
	wantClean(t, reader)
	values := map[string][]byte{}
	for _, r := range rots() {
		values[r.name] = stored(t, reader, r)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	for _, r := range rots() {
		v := values[r.name]
		for i := 0; i < len(v); i += 1 + len(v)/6 {
			flip(t, o.path(), v, i)
			s, err := OpenReadOnly(o)
			if err != nil {
				t.Fatalf("%s, byte %d: %v", r.name, i, err)
			}
			wantFinding(t, s, r, i)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			flip(t, o.path(), v, i)
		}
	}
}

// Covers I1, I2.
func TestOneFlippedByteIsNamedOnARunningBox(t *testing.T) {
	o := testOptions(t, t.TempDir())
	s, _ := start(t, o)
	furnish(t, s)
	if _, err := s.Checkpoint(s.Size()); err != nil {
		t.Fatal(err)
	}
	commit(t, s, Change{Puts: []Put{plainTable.Put("x", 1)}})
	for _, r := range rots() {
		v := stored(t, s, r)
		for i := 0; i < len(v); i += 1 + len(v)/4 {
			flip(t, o.path(), v, i)
			wantFinding(t, s, r, i)
			flip(t, o.path(), v, i)
		}
	}
	wantClean(t, s)
}

// A clever change that repairs the checksum is still a change of the log.
func TestAForgedLeafIsNamed(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(t, dir)
	s, stop := start(t, o)
	furnish(t, s)
	stop()
	forge := func(seq uint64) {
		db, err := openFile(o.path(), false)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bolt.Tx) error {
			leaf, err := leafAt(tx, seq)
			if err != nil {
				return err
			}
			forged := bytes.Replace(leaf, []byte(`"p001"`), []byte(`"p002"`), 1)
			return tx.Bucket(bucketLeaves).Put(seqKey(seq), appendCRC(forged))
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for _, seq := range []uint64{3, 260} {
		forge(seq)
	}
	s, err := OpenReadOnly(o)
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, f := range findings(t, s) {
		text = append(text, f.String())
	}
	all := strings.Join(text, "\n")
	if !strings.Contains(all, "entry 3") || !strings.Contains(all, "checkpoint latest") || !strings.Contains(all, "checkpoint cosigned") {
		t.Errorf("check found:\n%s", all)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Rows that were taken away, put back from an older copy, or added past the committer.
func TestRowsChangedPastTheCommitterAreNamed(t *testing.T) {
	o := testOptions(t, t.TempDir())
	s, stop := start(t, o)
	furnish(t, s)
	old := stored(t, s, rot{bucket: "t/test_bound", key: []byte(key(1))})
	commit(t, s, Change{Puts: []Put{boundTable.Put(key(1), 77)}, Entries: []ledger.Draft{searched(1)}})
	stop()
	db, err := openFile(o.path(), false)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("t/test_bound"))
		added := plainRow([]byte("5"))
		setRev(added, 3)
		return errors.Join(b.Delete([]byte(key(0))), b.Put([]byte(key(1)), old), b.Put([]byte("added"), added))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s, err = OpenReadOnly(o)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, f := range findings(t, s) {
		got[f.Where] = true
	}
	for _, where := range []string{"row test_bound/k000", "row test_bound/k001", "row test_bound/added"} {
		if !got[where] {
			t.Errorf("%s is not named; found %v", where, got)
		}
	}
	if len(got) != 3 {
		t.Errorf("found %v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A box whose tile or leaf has rotted goes on: the roots stay what they were, the export is in with the hash.
func TestRotDoesNotChangeTheTree(t *testing.T) {
	o := testOptions(t, t.TempDir())
	s, stop := start(t, o)
	furnish(t, s)
	size := s.Size()
	want, err := s.Root(size)
	if err != nil {
		t.Fatal(err)
	}
	tile, leaf := stored(t, s, rots()[2]), stored(t, s, rots()[0])
	stop()
	flip(t, o.path(), tile, 5)
	s, stop = start(t, o)
	if got, err := s.Root(size); err != nil || got != want {
		t.Errorf("a rotten tile: root %v, %v", got, err)
	}
	stop()
	flip(t, o.path(), tile, 5)
	flip(t, o.path(), leaf, 40)
	s, _ = start(t, o)
	if got, err := s.Root(size); err != nil || got != want {
		t.Errorf("a rotten leaf: root %v, %v", got, err)
	}
	leaves, err := s.Leaves(16, 3)
	if err != nil || leaves[0] == nil || leaves[1] != nil || leaves[2] == nil {
		t.Errorf("leaves %v, %v", leaves, err)
	}
	var out bytes.Buffer
	if _, err := s.Export(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	v, err := ledger.VerifyExport(&out, nil)
	if err != nil || v.Size != size || fmt.Sprint(v.Lost) != "[17]" {
		t.Errorf("export: %+v, %v", v, err)
	}
}

// A broken page pointer is a finding, not a crash.
func TestABrokenFileStructureIsAFinding(t *testing.T) {
	o := testOptions(t, t.TempDir())
	s, stop := start(t, o)
	furnish(t, s)
	stop()
	raw, err := os.ReadFile(filepath.Join(o.Dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	broken := 0
	for at := 2 * page; at+page <= min(len(raw), 200*page); at += page {
		changed := bytes.Clone(raw[:min(len(raw), 400*page)])
		changed[at+8] ^= 0xff // the page's flags
		dir := t.TempDir()
		b := o
		b.Dir = dir
		if err := os.WriteFile(b.path(), changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if findBroken(t, b) {
			broken++
		}
	}
	if broken == 0 {
		t.Error("no broken page was found")
	}
}

func findBroken(t *testing.T, o Options) (found bool) {
	t.Helper()
	s, err := OpenReadOnly(o)
	if err != nil {
		return true
	}
	found = len(findings(t, s)) > 0
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return found
}
