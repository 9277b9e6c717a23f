package packet

import (
	"crypto/sha256"
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

// split is the largest power of two below n, for n > 1.
func split(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }
