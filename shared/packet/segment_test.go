package packet

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"campuskeep/shared/footage"
)

var update = flag.Bool("update", false, "write the golden file anew (only with a new format version)")

var (
	testDay  = [32]byte{1, 2, 3}
	testFile = footage.FileID{0xab, 0xcd}
)

func testKey(Header) ([32]byte, error) { return FileKey(testDay, testFile), nil }

// build makes a segment; it returns where each record begins and, last, where the footer begins.
func build(t testing.TB, fragments ...[]byte) (file []byte, starts []int, root Hash) {
	t.Helper()
	wall := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	h := Header{File: testFile, Session: 7, Camera: "c01", KeyID: KeyID("c01", "2026-03-01"), Boot: "boot-1", Codec: "h264"}
	e, b, err := NewEncoder(nil, h, FileKey(testDay, testFile), Piece{From: time.Hour, To: time.Hour, Wall: wall, Plain: []byte("moov")})
	if err != nil {
		t.Fatal(err)
	}
	head, err := h.append(nil)
	if err != nil {
		t.Fatal(err)
	}
	starts = append(starts, len(head))
	for i, f := range fragments {
		starts = append(starts, len(b))
		at := time.Duration(i) * time.Second
		if b, err = e.Append(b, Piece{From: time.Hour + at, To: time.Hour + at + time.Second, Wall: wall.Add(at), Key: i%2 == 0, Plain: f}); err != nil {
			t.Fatal(err)
		}
	}
	starts = append(starts, len(b))
	root = e.Root()
	if b, err = e.Finish(b); err != nil {
		t.Fatal(err)
	}
	if int64(len(b)) != e.Size() {
		t.Fatalf("encoder says %d bytes, made %d", e.Size(), len(b))
	}
	return b, append(starts, len(b)-footerSize), root
}

func open(b []byte) (*Reader, error) { return Open(bytes.NewReader(b), int64(len(b)), testKey) }

func TestSegmentComesBackAsItWentIn(t *testing.T) {
	want := [][]byte{[]byte("first"), nil, bytes.Repeat([]byte{0, 0, 0, 1, 0x67}, 1000)}
	b, _, root := build(t, want...)
	r, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	if r.Torn || string(r.Init()) != "moov" || r.Hash != root || r.Header.Session != 7 || r.Header.Boot != "boot-1" || r.Header.Codec != "h264" {
		t.Fatalf("read %+v", r)
	}
	info := r.Fragments()
	if len(info) != len(want) {
		t.Fatalf("%d fragments, want %d", len(info), len(want))
	}
	for i, w := range want {
		got, err := r.Fragment(i)
		if err != nil || !bytes.Equal(got, w) {
			t.Fatalf("fragment %d: %d bytes, %v", i, len(got), err)
		}
		at := time.Hour + time.Duration(i)*time.Second
		if info[i] != (footage.FragmentInfo{From: at, To: at + time.Second, Key: i%2 == 0, Bytes: len(w)}) {
			t.Errorf("fragment %d is %+v", i, info[i])
		}
	}
	if err := r.Verify(); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte{0, 0, 0, 1, 0x67}) || bytes.Contains(b, []byte("moov")) {
		t.Error("the file shows plaintext")
	}
}

// The leaves of the fragments give the hash that the ledger binds.
func TestFragmentsGiveTheRoot(t *testing.T) {
	for n := range 9 {
		var frags [][]byte
		for i := range n {
			frags = append(frags, fmt.Appendf(nil, "fragment %d", i))
		}
		b, _, root := build(t, frags...)
		r, err := open(b)
		if err != nil {
			t.Fatal(err)
		}
		leaves, err := r.Leaves()
		if err != nil {
			t.Fatal(err)
		}
		if TreeRoot(leaves) != root {
			t.Fatalf("the %d leaves do not give the root", len(leaves))
		}
	}
}

// A power cut leaves a beginning of the file: every whole record counts, nothing else.
func TestTornTailKeepsWholeRecords(t *testing.T) {
	b, starts, _ := build(t, []byte("one"), []byte("two"), []byte("three"))
	for size := range len(b) {
		torn := b[:size]
		if _, err := open(torn); err == nil {
			t.Fatalf("%d of %d bytes opened as a whole file", size, len(b))
		}
		r, err := Salvage(bytes.NewReader(torn), int64(size), testKey)
		if size < starts[1] {
			if err == nil {
				t.Fatalf("%d bytes without a whole init were salvaged", size)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		want := 0
		for _, next := range starts[2:5] {
			if size >= next {
				want++
			}
		}
		if got := len(r.Fragments()); got != want {
			t.Fatalf("%d bytes: %d fragments, want %d", size, got, want)
		}
		if err := r.Verify(); err != nil {
			t.Fatal(err)
		}
		again, err := OpenTorn(bytes.NewReader(torn), int64(size), testKey, want)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if _, err := again.Fragment(i); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := OpenTorn(bytes.NewReader(torn), int64(size), testKey, want+1); err == nil && want < 3 {
			t.Fatal("more fragments opened than there are")
		}
	}
}

// Any changed byte is noticed, and no damaged fragment is ever given out.
func TestAnyChangedByteIsNoticed(t *testing.T) {
	frags := [][]byte{[]byte("one"), []byte("two"), []byte("three")}
	good, starts, _ := build(t, frags...)
	for at := range good {
		b := bytes.Clone(good)
		b[at] ^= 0x10
		r, err := open(b)
		if err != nil {
			continue
		}
		err = r.Verify()
		var damage *DamageError
		if !errors.As(err, &damage) {
			t.Fatalf("byte %d: %v", at, err)
		}
		if s := starts[damage.Record]; at < s || at >= starts[damage.Record+1] {
			t.Fatalf("byte %d is said to be in record %d", at, damage.Record)
		}
		for i, want := range frags {
			if got, err := r.Fragment(i); err == nil && !bytes.Equal(got, want) {
				t.Fatalf("byte %d: a changed fragment %d was given out", at, i)
			}
		}
	}
}

func TestRecordsCannotBeSwappedOrCarriedOver(t *testing.T) {
	b, starts, _ := build(t, []byte("one"), []byte("two"))
	swapped := bytes.Clone(b[:starts[1]])
	swapped = append(swapped, b[starts[2]:starts[3]]...)
	swapped = append(swapped, b[starts[1]:starts[2]]...)
	r, err := Salvage(bytes.NewReader(swapped), int64(len(swapped)), testKey)
	if err != nil || len(r.Fragments()) != 0 {
		t.Errorf("swapped records were accepted: %v", err)
	}
	other := bytes.Clone(b)
	other[6] ^= 1 // another file id in the header
	if _, err := open(other); !errors.Is(err, ErrDamaged) {
		t.Errorf("records under another file's header: %v", err)
	}
}

// Covers the compatibility promise: what the first format wrote stays readable.
func TestGoldenSegment(t *testing.T) {
	name := filepath.Join("testdata", "segment-v1.ckf")
	b, _, root := build(t, []byte("one"), []byte("two"), []byte("three"))
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want) {
		t.Error("this build writes other bytes than the golden file")
	}
	r, err := open(want)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(); err != nil || r.Hash != root {
		t.Errorf("golden file: %v", err)
	}
}

func TestTreeIsRFC6962(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 70).Draw(t, "n")
		leaves := make([]Hash, n)
		for i := range leaves {
			leaves[i] = LeafHash([]byte{byte(i)})
		}
		if want := treeHash(t, leaves); TreeRoot(leaves) != want {
			t.Fatalf("root of %d leaves: %x, want %x", n, TreeRoot(leaves), want)
		}
	})
}

// treeHash is the root by another implementation.
func treeHash(t *rapid.T, leaves []Hash) Hash {
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) (out []tlog.Hash, _ error) {
		for _, i := range at {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for i, leaf := range leaves {
		more, err := tlog.StoredHashesForRecordHash(int64(i), tlog.Hash(leaf), read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
	}
	root, err := tlog.TreeHash(int64(len(leaves)), read)
	if err != nil {
		t.Fatal(err)
	}
	return Hash(root)
}

func FuzzSegment(f *testing.F) {
	b, starts, _ := build(f, []byte("one"), []byte("two"))
	f.Add(b)
	f.Add(b[:starts[2]+3])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		src, size := bytes.NewReader(b), int64(len(b))
		if r, err := Open(src, size, testKey); err == nil {
			if err := r.Verify(); err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
		}
		if r, err := Salvage(src, size, testKey); err == nil {
			if err := r.Verify(); err != nil {
				t.Fatalf("what was salvaged does not verify: %v", err)
			}
			if _, err := OpenTorn(src, size, testKey, len(r.Fragments())); err != nil {
				t.Fatal(err)
			}
		}
	})
}
