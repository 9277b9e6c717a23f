package ledgerdb

import (
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"
)

// A tile holds 256 neighbouring hashes of tree level 8·L. It is written once, when it is full; hashes in
// between are computed from it. What is not in a full tile is the frontier.
//
// A tile is stored as 16 rows of 16 hashes, at level 0 with a row more for the digest, and one for what each of its
// entries is about: one value of 8 KiB would make bbolt write the tiles before it again.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	tileRow    = 16 // hashes in a row
	tileRows   = tileWidth / tileRow
	digestRow  = tileRows
	topicsRow  = tileRows + 1
)

// frontier is the tree at one size: the hashes of the tiles that are not full. Values are shared with
// readers: the committer appends behind what they see and starts a new slice with each tile.
type frontier struct {
	size   uint64
	levels [][]tlog.Hash // levels[L]: the hashes of the unfinished tile at tile level L
	digest digest        // of the leaves in the unfinished tile at level 0
	topics topics        // the same
}

// tile is a full tile, to be written.
type tile struct {
	level  int
	index  uint64
	hashes []tlog.Hash
	digest *digest // at level 0
	topics *topics // at level 0
}

func tileKey(level int, index uint64, row int) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{byte(level)}, index), byte(row))
}

// put writes a full tile.
func (t tile) put(tiles *bolt.Bucket) error {
	for row := range tileRows {
		b := make([]byte, 0, tileRow*tlog.HashSize+crcSize)
		for _, h := range t.hashes[row*tileRow : (row+1)*tileRow] {
			b = append(b, h[:]...)
		}
		if err := tiles.Put(tileKey(t.level, t.index, row), appendCRC(b)); err != nil {
			return err
		}
	}
	if t.digest == nil {
		return nil
	}
	if err := tiles.Put(tileKey(t.level, t.index, digestRow), appendCRC(t.digest.append(make([]byte, 0, digestBytes+crcSize)))); err != nil {
		return err
	}
	return tiles.Put(tileKey(t.level, t.index, topicsRow), appendCRC(t.topics.append(make([]byte, 0, topicsBytes+crcSize))))
}

// clone gives a frontier that can grow without the readers of f noticing.
func (f *frontier) clone() *frontier {
	g := *f
	g.levels = append([][]tlog.Hash(nil), f.levels...)
	return &g
}

// add appends a leaf hash and gives the tiles that it filled.
func (f *frontier) add(h tlog.Hash, m marks) []tile {
	f.digest.add(m)
	f.topics[f.size%tileWidth] = m.topic()
	var full []tile
	for level := 0; ; level++ {
		if level == len(f.levels) {
			f.levels = append(f.levels, nil)
		}
		if f.levels[level] == nil {
			f.levels[level] = make([]tlog.Hash, 0, tileWidth)
		}
		f.levels[level] = append(f.levels[level], h)
		if len(f.levels[level]) < tileWidth {
			break
		}
		t := tile{level: level, index: f.size >> (tileHeight * (level + 1)), hashes: f.levels[level]}
		if level == 0 {
			d, about := f.digest, f.topics
			t.digest, f.digest = &d, digest{}
			t.topics, f.topics = &about, topics{}
		}
		full = append(full, t)
		h = subtree(t.hashes)
		f.levels[level] = nil
	}
	f.size++
	return full
}

// subtree is the root over 2^n neighbouring hashes.
func subtree(hashes []tlog.Hash) tlog.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return tlog.NodeHash(subtree(hashes[:half]), subtree(hashes[half:]))
}

// reader reads the tree's hashes: full tiles from tx, which must be at least as new as f, the rest from f.
func (f *frontier) reader(tx *bolt.Tx) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			treeLevel, n := tlog.SplitStoredHashIndex(index)
			level, up := treeLevel/tileHeight, treeLevel%tileHeight
			first := uint64(n) << up
			hashes, err := f.tile(tx, level, first/tileWidth)
			if err != nil {
				return nil, err
			}
			from := int(first % tileWidth)
			if from+1<<up > len(hashes) {
				return nil, errors.New("ledgerdb: the tree has no such hash yet")
			}
			out[i] = subtree(hashes[from : from+1<<up])
		}
		return out, nil
	})
}

func (f *frontier) tile(tx *bolt.Tx, level int, index uint64) ([]tlog.Hash, error) {
	if index == f.size>>(tileHeight*(level+1)) {
		if level < len(f.levels) {
			return f.levels[level], nil
		}
		return nil, nil
	}
	return tileHashes(tx, level, index)
}

// tileHashes reads a full tile. A rotten one is computed again from what lies below it, so that rot in the
// tree's cache never changes a root; Check reports it.
func tileHashes(tx *bolt.Tx, level int, index uint64) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	err := guarded(func() (err error) {
		hashes, err = storedTile(tx.Bucket(bucketTiles), level, index)
		return err
	})
	if err == nil {
		return hashes, nil
	}
	return tileFromBelow(tx, level, index)
}

var errTile = fmt.Errorf("%w: the tile is missing or its checksum is wrong", ErrDamaged)

func storedTile(tiles *bolt.Bucket, level int, index uint64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, 0, tileWidth)
	c := tiles.Cursor()
	k, v := c.Seek(tileKey(level, index, 0))
	for row := range tileRows {
		b, err := cutCRC(v)
		if err != nil || len(b) != tileRow*tlog.HashSize || string(k) != string(tileKey(level, index, row)) {
			return nil, errTile
		}
		for ; len(b) > 0; b = b[tlog.HashSize:] {
			hashes = append(hashes, tlog.Hash(b[:tlog.HashSize]))
		}
		k, v = c.Next()
	}
	return hashes, nil
}

// digestOf reads the digest of a full level-0 tile; ok is false when there is none.
func digestOf(tiles *bolt.Bucket, index uint64) (d digest, ok bool) {
	b, err := cutCRC(tiles.Get(tileKey(0, index, digestRow)))
	if err != nil || len(b) != digestBytes {
		return d, false
	}
	return parseDigest(b), true
}

// topicsOf reads the topics of a full level-0 tile; found is false when there are none, as in tiles of the first builds.
func topicsOf(tiles *bolt.Bucket, index uint64) (t topics, found bool, err error) {
	v := tiles.Get(tileKey(0, index, topicsRow))
	if v == nil {
		return t, false, nil
	}
	b, err := cutCRC(v)
	if err == nil && len(b) != topicsBytes {
		err = errLeafSum
	}
	if err != nil {
		return t, true, err
	}
	return parseTopics(b), true, nil
}

func tileFromBelow(tx *bolt.Tx, level int, index uint64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, tileWidth)
	for i := range hashes {
		n := index*tileWidth + uint64(i)
		if level > 0 {
			below, err := tileHashes(tx, level-1, n)
			if err != nil {
				return nil, err
			}
			hashes[i] = subtree(below)
			continue
		}
		leaf, err := leafAt(tx, n)
		if err != nil {
			return nil, fmt.Errorf("tile %d/%d: %w", level, index, err)
		}
		hashes[i] = tlog.RecordHash(leaf)
	}
	return hashes, nil
}

// loadFrontier rebuilds the frontier: at level 0 from at most 255 leaves, above from the tiles below. A rotten
// leaf among them is named; the tree goes on with the hash of what is there.
func loadFrontier(tx *bolt.Tx) (f *frontier, rotten []uint64, err error) {
	size, err := sizeOf(tx)
	if err != nil {
		return nil, nil, err
	}
	f = &frontier{size: size}
	leaves := tx.Bucket(bucketLeaves)
	for level := 0; size>>(tileHeight*level) > 0; level++ {
		count := size >> (tileHeight * level) // hashes at this tile level
		hashes := make([]tlog.Hash, 0, tileWidth)
		for n := count - count%tileWidth; n < count; n++ {
			if level > 0 {
				below, err := tileHashes(tx, level-1, n)
				if err != nil {
					return nil, nil, err
				}
				hashes = append(hashes, subtree(below))
				continue
			}
			v := leaves.Get(seqKey(n))
			if v == nil {
				return nil, nil, fmt.Errorf("%w: entry %d is missing", ErrDamaged, n)
			}
			leaf, err := cutCRC(v)
			if err != nil {
				rotten = append(rotten, n)
			} else if m, err := marksOfLeaf(leaf); err == nil {
				f.digest.add(m)
				f.topics[n%tileWidth] = m.topic()
			}
			hashes = append(hashes, tlog.RecordHash(leaf))
		}
		f.levels = append(f.levels, hashes)
	}
	return f, rotten, nil
}
