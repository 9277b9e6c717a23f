package packet

import (
	"crypto/sha256"
	"errors"
	"math/bits"
)

// Hash is a node of a content tree.
type Hash = [32]byte

func node(l, r Hash) Hash {
	var b [65]byte
	b[0] = 1
	copy(b[1:], l[:])
	copy(b[33:], r[:])
	return sha256.Sum256(b[:])
}

// LeafHash is the RFC 6962 hash of a leaf.
func LeafHash(data []byte) Hash {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(data)
	return Hash(h.Sum(nil))
}

// TreeRoot is the RFC 6962 root over leaf hashes; of none it is the hash of nothing.
func TreeRoot(leaves []Hash) Hash {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	}
	k := split(len(leaves))
	return node(TreeRoot(leaves[:k]), TreeRoot(leaves[k:]))
}

// TreePath is the inclusion proof of leaf i, from the leaf upwards.
func TreePath(leaves []Hash, i int) []Hash {
	if len(leaves) <= 1 {
		return nil
	}
	k := split(len(leaves))
	if i < k {
		return append(TreePath(leaves[:k], i), TreeRoot(leaves[k:]))
	}
	return append(TreePath(leaves[k:], i-k), TreeRoot(leaves[:k]))
}

// split is the largest power of two below n, for n > 1.
func split(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

var errPath = errors.New("the inclusion proof does not lead to the root")

// CheckPath says whether leaf i of n belongs to the root.
func CheckPath(root Hash, n, i int, leaf Hash, path []Hash) error {
	if i < 0 || i >= n {
		return errPath
	}
	got, rest, ok := climb(n, i, leaf, path)
	if !ok || len(rest) != 0 || got != root {
		return errPath
	}
	return nil
}

func climb(n, i int, leaf Hash, path []Hash) (Hash, []Hash, bool) {
	if n == 1 {
		return leaf, path, true
	}
	k := split(n)
	left := i < k
	below, at := n-k, i-k
	if left {
		below, at = k, i
	}
	got, rest, ok := climb(below, at, leaf, path)
	if !ok || len(rest) == 0 {
		return got, rest, false
	}
	if left {
		return node(got, rest[0]), rest[1:], true
	}
	return node(rest[0], got), rest[1:], true
}
