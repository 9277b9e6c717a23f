package ledgerdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/ledger"
)

// logCheck is what the pass over the entries carries along.
type logCheck struct {
	front      frontier             // grown again, leaf by leaf
	unreadable map[uint64]bool      // entries whose bytes are lost: what they say is unknown
	firstLost  *uint64              // the first entry of which even the hash is lost: no root behind it can be known
	roots      map[uint64]tlog.Hash // of the sizes that something signed or remembered
	kept       []tlog.Hash          // hashes of the current tile, from its row or from memory; nil: none
	leaves     *bolt.Cursor
	k, v       []byte                       // the next stored leaf
	notes      map[string]ledger.Checkpoint // the kept checkpoints that are signed well
}

// log reads every leaf, part and tile once and grows the tree again.
func (c *checker) log() error {
	c.unreadable, c.roots = map[uint64]bool{}, map[uint64]tlog.Hash{}
	c.refs.begin()
	c.openHeads()
	c.wantRoot(c.memory.size)

	c.leaves = c.tx.Bucket(bucketLeaves).Cursor()
	c.k, c.v = c.leaves.First()
	c.atSize()
	for seq := uint64(0); seq < c.size; seq++ {
		if seq%tileWidth == 0 {
			if err := c.ctx.Err(); err != nil {
				return err
			}
			c.openTile(seq / tileWidth)
		}
		c.leaf(seq)
		c.atSize()
	}
	c.surplus()
	live, err := tlog.TreeHash(int64(c.memory.size), c.memory.reader(c.tx))
	if err != nil || live != c.roots[c.memory.size] {
		c.found("I1", "tile", "tree in memory", "its root at %d entries is not that of the file (%v)", c.memory.size, err)
	}
	return nil
}

func (c *checker) wantRoot(size uint64) { c.roots[size] = tlog.Hash{} }

// atSize notes the root when the growing tree has a size that is asked for.
func (c *checker) atSize() {
	if _, ok := c.roots[c.front.size]; !ok {
		return
	}
	root, err := tlog.TreeHash(int64(c.front.size), c.front.reader(c.tx))
	if err != nil {
		c.found("I1", "tile", fmt.Sprintf("tree of %d entries", c.front.size), "%v", err)
	}
	c.roots[c.front.size] = root
}

// openTile finds the hashes to compare the next 256 leaves with.
func (c *checker) openTile(index uint64) {
	c.kept = nil
	if (index+1)*tileWidth <= c.size {
		hashes, err := storedTile(c.tx.Bucket(bucketTiles), 0, index)
		if err != nil {
			c.found("I1", "tile", fmt.Sprintf("tile 0/%d", index), "%v", err)
			return
		}
		c.kept = hashes
	} else if c.memory.size/tileWidth == index && len(c.memory.levels) > 0 {
		c.kept = slices.Clone(c.memory.levels[0])
		for _, seq := range c.store.suspectEntries {
			if seq/tileWidth == index {
				c.kept = c.kept[:min(len(c.kept), int(seq%tileWidth))] // from here on memory knows no more than the file
			}
		}
	}
}

// keptHash is what the tree holds for seq, as far as it is known.
func (c *checker) keptHash(seq uint64) (tlog.Hash, bool) {
	if i := int(seq % tileWidth); i < len(c.kept) {
		return c.kept[i], true
	}
	return tlog.Hash{}, false
}

func (c *checker) leaf(seq uint64) {
	where := fmt.Sprintf("entry %d", seq)
	kept, known := c.keptHash(seq)
	if !bytes.Equal(c.k, seqKey(seq)) {
		c.found("I1", "hole", where, "is missing")
		if !known {
			c.setFirstLost(seq)
		}
		c.lost(seq, kept)
		return
	}
	leaf, err := cutCRC(c.v)
	c.k, c.v = c.leaves.Next()
	hash := tlog.RecordHash(leaf)
	switch {
	case err != nil && known && hash == kept:
		c.found("I1", "leaf", where, "the checksum behind it has rotted; the entry itself is whole")
	case err != nil:
		c.found("I1", "leaf", where, "%v", err)
		if !known {
			kept = hash
			c.setFirstLost(seq)
		}
		c.lost(seq, kept)
		return
	case known && hash != kept:
		c.found("I1", "leaf", where, "does not hash to the tree")
		c.lost(seq, kept)
		return
	}
	m, err := c.checkEntry(seq, leaf)
	if err != nil {
		c.found("I1", "leaf", where, "is not an entry with this number: %v", err)
		c.lost(seq, hash)
		return
	}
	c.growTree(hash, m, seq)
}

// checkEntry checks the contents of an entry. Only one with rows or sealed parts is read as a whole.
func (c *checker) checkEntry(seq uint64, leaf []byte) (marks, error) {
	if bytes.Contains(leaf, rowsMember) || bytes.Contains(leaf, sealedMember) {
		e, err := ledger.ParseEntry(leaf)
		if err != nil {
			return marks{}, err
		}
		c.parts(e)
		c.refs.entry(c, e)
	}
	if !bytes.HasPrefix(leaf, fmt.Appendf(nil, `{"v":%d,"alg":"%s","seq":%d,`, ledger.Version, ledger.AlgSHA256, seq)) {
		return marks{}, errors.New("it begins differently")
	}
	return marksOfLeaf(leaf)
}

func (c *checker) setFirstLost(seq uint64) {
	if c.firstLost == nil {
		c.firstLost = &seq
	}
}

// lost goes on behind an entry whose bytes are lost, with the hash that the tree has for it.
func (c *checker) lost(seq uint64, hash tlog.Hash) {
	c.unreadable[seq] = true
	c.growTree(hash, marks{}, seq)
}

func (c *checker) growTree(hash tlog.Hash, m marks, seq uint64) {
	whole := true
	for _, t := range c.front.add(hash, m) {
		where := fmt.Sprintf("tile %d/%d", t.level, t.index)
		tiles := c.tx.Bucket(bucketTiles)
		hashes, err := storedTile(tiles, t.level, t.index)
		switch {
		case t.level == 0:
			for n := seq + 1 - tileWidth; n <= seq; n++ {
				whole = whole && !c.unreadable[n]
			}
			d, ok := digestOf(tiles, t.index)
			if err == nil && whole && (!ok || d != *t.digest) {
				c.found("I1", "tile", where, "its digest is not that of its entries: searches would miss some")
			}
			// The first builds wrote none; searches then look inside.
			about, found, err := topicsOf(tiles, t.index)
			if found && (err != nil || whole && about != *t.topics) {
				c.found("I1", "tile", where, "its topics are not those of its entries: searches would miss some")
			}
		case err != nil:
			c.found("I1", "tile", where, "%v", err)
		case !equalHashes(hashes, t.hashes):
			c.found("I1", "tile", where, "is not made from the tiles below it")
		}
	}
}

func equalHashes(a, b []tlog.Hash) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

// parts opens the sealed parts of an entry.
func (c *checker) parts(e ledger.Entry) {
	for i, commitment := range e.Sealed {
		sealed := c.tx.Bucket(bucketParts).Get(append(seqKey(e.Seq), byte(i)))
		where := fmt.Sprintf("entry %d, part %s", e.Seq, commitment.Name)
		if sealed == nil {
			c.found("I2", "part", where, "is missing")
			continue
		}
		if c.store.o.People == nil {
			continue // whole or not, only the keys can tell
		}
		if _, err := c.store.openPart(commitment, sealed); err != nil {
			c.found("I2", "part", where, "%v", err)
		}
	}
}

// surplus looks for tiles and parts that no entry explains.
func (c *checker) surplus() {
	for k := range all(c.tx.Bucket(bucketTiles)) {
		if len(k) != 10 || c.size>>(tileHeight*(uint(k[0])+1)) <= binary.BigEndian.Uint64(k[1:]) {
			c.found("I1", "tile", fmt.Sprintf("key %x", k), "is beyond the end of the log")
		}
	}
	for k := range all(c.tx.Bucket(bucketParts)) {
		if len(k) == 9 && k[0] == 0xff {
			continue // end keys
		}
		if len(k) != 9 || binary.BigEndian.Uint64(k) >= c.size {
			c.found("I2", "part", fmt.Sprintf("key %x", k), "is beyond the end of the log")
		}
	}
}

// openHeads verifies the signatures of the kept checkpoints and asks for the roots they name.
func (c *checker) openHeads() {
	c.notes = map[string]ledger.Checkpoint{}
	signers := c.store.heads.signersNow(c.store.log)
	for name, msg := range all(c.tx.Bucket(bucketHeads)) {
		where := "checkpoint " + string(name)
		keys, ok := signers[string(name)]
		if !ok {
			c.found("I1", "checkpoint", where, "is not one that is kept")
			continue
		}
		head, _, err := openHead(msg, keys)
		if err == nil && head.Size > c.size {
			err = fmt.Errorf("names %d entries, the log has %d", head.Size, c.size)
		}
		if err != nil {
			c.found("I1", "checkpoint", where, "%v", err)
			continue
		}
		c.notes[string(name)] = head
		c.wantRoot(head.Size)
	}
}

// heads compares the kept checkpoints with the tree.
func (c *checker) heads() error {
	for name, n := range c.notes {
		_, epoch, err := ledger.SplitOrigin(n.Origin)
		if err == nil && epoch > c.store.Epoch() {
			err = errors.New("names an epoch that was not granted")
		}
		if err == nil && c.roots[n.Size] != n.Root && (c.firstLost == nil || n.Size <= *c.firstLost) {
			err = fmt.Errorf("the root of %d entries is another", n.Size)
		}
		if err != nil {
			c.found("I1", "checkpoint", "checkpoint "+name, "%v", err)
		}
	}
	return nil
}
