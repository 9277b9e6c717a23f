package ledgerdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	bolt "go.etcd.io/bbolt"
)

// Leaves and tiles are stored with a CRC-32C behind them: it tells a rotten leaf from a rotten tile, and covers
// the newest entries, whose hashes are in no tile yet. It proves nothing; the tree does.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const crcSize = 4

var errLeafSum = fmt.Errorf("%w: the checksum is wrong", ErrDamaged)

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func appendCRC(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// cutCRC gives what is in front of the checksum, also when that is wrong (errLeafSum).
func cutCRC(value []byte) ([]byte, error) {
	if len(value) < crcSize {
		return nil, errLeafSum
	}
	b := value[: len(value)-crcSize : len(value)-crcSize]
	if binary.BigEndian.Uint32(value[len(b):]) != crc32.Checksum(b, castagnoli) {
		return b, errLeafSum
	}
	return b, nil
}

// leafAt reads a leaf; the bytes are valid during tx.
func leafAt(tx *bolt.Tx, seq uint64) ([]byte, error) {
	v := tx.Bucket(bucketLeaves).Get(seqKey(seq))
	if v == nil {
		return nil, fmt.Errorf("%w: entry %d is missing", ErrDamaged, seq)
	}
	leaf, err := cutCRC(v)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", seq, err)
	}
	return leaf, nil
}

// sizeOf finds the number of leaves: the last key but the end keys.
func sizeOf(tx *bolt.Tx) (uint64, error) {
	c := tx.Bucket(bucketLeaves).Cursor()
	k, _ := c.Seek(endKeys[0])
	if string(k) != string(endKeys[0]) {
		return 0, errors.Join(ErrDamaged, errors.New("the end of the leaves is missing"))
	}
	if k, _ = c.Prev(); k == nil {
		return 0, nil
	}
	if len(k) != 8 {
		return 0, fmt.Errorf("%w: a leaf's key has %d bytes", ErrDamaged, len(k))
	}
	return binary.BigEndian.Uint64(k) + 1, nil
}
