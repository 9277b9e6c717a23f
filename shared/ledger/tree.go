package ledger

import (
	"math"

	"golang.org/x/mod/sumdb/tlog"
)

// Tree computes the root of a growing list of leaves, keeping only one hash for each complete subtree of the
// frontier: what a verifier or a witness needs. The zero Tree is empty.
type Tree struct {
	size  uint64
	peaks []tlog.Hash // complete subtrees from left to right, sizes strictly falling
}

// Add appends a leaf by its bytes.
func (t *Tree) Add(leaf []byte) { t.AddHash(tlog.RecordHash(leaf)) }

// AddHash appends a leaf by its hash.
func (t *Tree) AddHash(h tlog.Hash) {
	for n := t.size; n&1 == 1; n >>= 1 {
		last := len(t.peaks) - 1
		h = tlog.NodeHash(t.peaks[last], h)
		t.peaks = t.peaks[:last]
	}
	t.peaks = append(t.peaks, h)
	t.size++
}

// Size is the number of leaves.
func (t *Tree) Size() uint64 { return t.size }

// Root is the RFC 6962 root.
func (t *Tree) Root() tlog.Hash {
	if t.size == 0 {
		return EmptyRoot
	}
	h := t.peaks[len(t.peaks)-1]
	for i := len(t.peaks) - 2; i >= 0; i-- {
		h = tlog.NodeHash(t.peaks[i], h)
	}
	return h
}

// Peaks are the hashes that the tree keeps; with the size they restore it through TreeOf.
func (t *Tree) Peaks() []tlog.Hash { return append([]tlog.Hash(nil), t.peaks...) }

// TreeOf restores a tree from its size and its peaks; ok is false when their numbers do not fit.
func TreeOf(size uint64, peaks []tlog.Hash) (t Tree, ok bool) {
	want := 0
	for n := size; n > 0; n &= n - 1 {
		want++
	}
	if want != len(peaks) {
		return Tree{}, false
	}
	return Tree{size, append([]tlog.Hash(nil), peaks...)}, true
}

// EmptyRoot is the root of no leaves: SHA-256 of nothing.
var EmptyRoot = func() tlog.Hash {
	h, err := tlog.TreeHash(0, nil)
	if err != nil {
		panic(err) // reads nothing
	}
	return h
}()

// CheckInclusion verifies that path shows leaf hash h at seq in the tree (size, root).
func CheckInclusion(path []tlog.Hash, size uint64, root tlog.Hash, seq uint64, h tlog.Hash) error {
	return tlog.CheckRecord(path, clamp(size), root, clamp(seq), h)
}

// clamp makes sizes that no log reaches invalid instead of negative.
func clamp(n uint64) int64 {
	if n > math.MaxInt64/4 {
		return -1
	}
	return int64(n)
}
