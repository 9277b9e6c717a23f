package protocol

import (
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/ledger"
)

// chain reads the log that ends in one epoch: its own leaves from the fork on, before that those of its base.
type chain struct {
	tx    Tx
	links []Cursor // newest first
}

// openChain follows the bases of an epoch.
func openChain(tx Tx, c Cursor) (chain, error) {
	ch := chain{tx, []Cursor{c}}
	for c.Base != 0 {
		base, ok, err := tx.Cursor(c.Base)
		if err != nil {
			return chain{}, err
		}
		if !ok || base.Epoch >= c.Epoch {
			return chain{}, fmt.Errorf("epoch %d stands on epoch %d, which is missing", c.Epoch, c.Base)
		}
		ch.links = append(ch.links, base)
		c = base
	}
	return ch, nil
}

// owner is the epoch that holds leaf seq of this chain.
func (ch chain) owner(seq uint64) uint64 {
	for _, c := range ch.links {
		if seq >= c.Fork || c.Base == 0 {
			return c.Epoch
		}
	}
	return 0 // not reached: the last link has no base
}

// Piece is a run of a chain's leaves that lies in one epoch.
type Piece struct{ Epoch, From, To uint64 }

// Pieces says which epochs hold the leaves of the chain that ends in epoch c, in order.
func Pieces(tx Tx, c Cursor) ([]Piece, error) {
	ch, err := openChain(tx, c)
	if err != nil {
		return nil, err
	}
	var out []Piece
	to := c.Stored()
	for _, l := range ch.links {
		from := min(l.Fork, to)
		if from < to {
			out = append(out, Piece{l.Epoch, from, to})
		}
		to = from
	}
	slices.Reverse(out)
	return out, nil
}

func (ch chain) leaf(seq uint64) (Leaf, bool, error) { return ch.tx.Leaf(ch.owner(seq), seq) }

// hashes reads the hashes [from,to) of a level that is kept: 0 (leaves) or a multiple of NodeStep.
func (ch chain) hashes(level int, from, to uint64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for from < to {
		// A node belongs to the epoch that completed it: the one that owns its last leaf.
		own := ch.owner((from+1)<<level - 1)
		end := from + 1
		for end < to && ch.owner((end+1)<<level-1) == own {
			end++
		}
		var part []tlog.Hash
		var err error
		if level == 0 {
			part, err = ch.tx.Hashes(own, from, end)
		} else {
			part, err = ch.tx.Nodes(own, level, from, end)
		}
		if err != nil {
			return nil, err
		}
		if uint64(len(part)) != end-from {
			return nil, fmt.Errorf("hashes [%d,%d) of level %d in epoch %d: %d there", from, end, level, own, len(part))
		}
		out = append(out, part...)
		from = end
	}
	return out, nil
}

// subtree is the root of the n-th 2^level leaves.
func (ch chain) subtree(level int, n uint64) (tlog.Hash, error) {
	kept := level - level%NodeStep
	up := level - kept
	hs, err := ch.hashes(kept, n<<up, (n+1)<<up)
	if err != nil {
		return tlog.Hash{}, err
	}
	for len(hs) > 1 {
		for i := range len(hs) / 2 {
			hs[i] = tlog.NodeHash(hs[2*i], hs[2*i+1])
		}
		hs = hs[:len(hs)/2]
	}
	return hs[0], nil
}

// tree is the chain's tree at a size that is stored.
func (ch chain) tree(size uint64) (ledger.Tree, error) {
	if size == ch.links[0].Stored() {
		return clone(ch.links[0].Tree), nil
	}
	var peaks []tlog.Hash
	done := uint64(0)
	for level := 63; level >= 0; level-- {
		if size&(1<<level) == 0 {
			continue
		}
		h, err := ch.subtree(level, done>>level)
		if err != nil {
			return ledger.Tree{}, err
		}
		peaks = append(peaks, h)
		done += 1 << level
	}
	t, ok := ledger.TreeOf(size, peaks)
	if !ok {
		return ledger.Tree{}, fmt.Errorf("tree of %d leaves from %d peaks", size, len(peaks))
	}
	return t, nil
}

func clone(t ledger.Tree) ledger.Tree {
	c, _ := ledger.TreeOf(t.Size(), t.Peaks())
	return c
}

// grow appends leaves to a tree and gives the nodes that they complete, of the levels that the centre keeps.
func grow(t ledger.Tree, leaves []Leaf) (ledger.Tree, []Node) {
	peaks, size := t.Peaks(), t.Size()
	var nodes []Node
	for _, l := range leaves {
		h, level := l.Hash, 0
		for n := size; n&1 == 1; n >>= 1 {
			h = tlog.NodeHash(peaks[len(peaks)-1], h)
			peaks = peaks[:len(peaks)-1]
			if level++; level%NodeStep == 0 {
				nodes = append(nodes, Node{level, size >> level, h})
			}
		}
		peaks = append(peaks, h)
		size++
	}
	t, _ = ledger.TreeOf(size, peaks) // as many peaks as size has bits, by construction
	return t, nodes
}
