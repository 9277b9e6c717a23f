package packet

import (
	"errors"

	"golang.org/x/mod/sumdb/tlog"
)

// A certificate shows some fifty entries of one tree. Their audit paths share most of their hashes, so the file
// carries each hash once: going down the RFC 6962 tree of size leaves from the root, left before right, a subtree
// without any of the entries is one hash, and a subtree with some is gone into. In a log of ten million entries this
// is about a third of the paths written one by one.

var errNodes = errors.New("the hashes do not lead from the entries to the signed root")

// spread cuts the subtree [lo, hi) at its RFC 6962 split.
func spread(lo, hi uint64) (mid uint64) {
	k := uint64(1)
	for k*2 < hi-lo {
		k *= 2
	}
	return lo + k
}

// ProveMany picks from the audit paths of some entries the hashes that show all of them at once. paths holds for
// each entry, in ascending order, its audit path in the tree of size leaves.
func ProveMany(size uint64, seqs []uint64, paths [][]tlog.Hash) ([]tlog.Hash, error) {
	type span struct{ lo, hi uint64 }
	known := map[span]tlog.Hash{}
	for i, seq := range seqs {
		if seq >= size || i > 0 && seqs[i-1] >= seq {
			return nil, errNodes
		}
		var beside []span // from the root down
		for lo, hi := uint64(0), size; hi-lo > 1; {
			mid := spread(lo, hi)
			if seq < mid {
				beside, hi = append(beside, span{mid, hi}), mid
			} else {
				beside, lo = append(beside, span{lo, mid}), mid
			}
		}
		if len(beside) != len(paths[i]) {
			return nil, errNodes
		}
		for j, h := range paths[i] {
			known[beside[len(beside)-1-j]] = h
		}
	}
	var nodes []tlog.Hash
	var walk func(lo, hi uint64, seqs []uint64) bool
	walk = func(lo, hi uint64, seqs []uint64) bool {
		if len(seqs) == 0 {
			h, ok := known[span{lo, hi}]
			nodes = append(nodes, h)
			return ok
		}
		if hi-lo == 1 {
			return true
		}
		mid := spread(lo, hi)
		n := below(seqs, mid)
		return walk(lo, mid, seqs[:n]) && walk(mid, hi, seqs[n:])
	}
	if len(seqs) == 0 || !walk(0, size, seqs) {
		return nil, errNodes
	}
	return nodes, nil
}

// CheckMany verifies that the leaf hashes are at seqs in the tree (size, root): every hash given must be used.
func CheckMany(size uint64, root tlog.Hash, seqs []uint64, leaves, nodes []tlog.Hash) error {
	if len(seqs) == 0 || len(seqs) != len(leaves) || size > 1<<62 {
		return errNodes
	}
	for i, seq := range seqs {
		if seq >= size || i > 0 && seqs[i-1] >= seq {
			return errNodes
		}
	}
	var walk func(lo, hi uint64, seqs []uint64, leaves []tlog.Hash) (tlog.Hash, bool)
	walk = func(lo, hi uint64, seqs []uint64, leaves []tlog.Hash) (h tlog.Hash, ok bool) {
		if len(seqs) == 0 {
			if len(nodes) == 0 {
				return h, false
			}
			h, nodes = nodes[0], nodes[1:]
			return h, true
		}
		if hi-lo == 1 {
			return leaves[0], true
		}
		mid := spread(lo, hi)
		n := below(seqs, mid)
		left, okl := walk(lo, mid, seqs[:n], leaves[:n])
		if !okl {
			return h, false
		}
		right, okr := walk(mid, hi, seqs[n:], leaves[n:])
		return tlog.NodeHash(left, right), okr
	}
	got, ok := walk(0, size, seqs, leaves)
	if !ok || len(nodes) != 0 || got != root {
		return errNodes
	}
	return nil
}

// below counts the leading numbers below mid.
func below(seqs []uint64, mid uint64) int {
	n := 0
	for n < len(seqs) && seqs[n] < mid {
		n++
	}
	return n
}
