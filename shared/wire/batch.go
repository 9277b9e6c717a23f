package wire

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/tlog"
)

// A batch is a fixed header of 64 bytes and a zstd frame. Numbers are big-endian.
//
//	0  version 1            1  stream
//	2  count   uint16       4  raw length uint32
//	8  epoch   uint64      16  first seq  uint64
//	24 root    32 bytes, of the log at first+count
//	56 crc32c  uint32, over the message with this field zero
//	60 zero    4 bytes
//
// The frame holds the signed checkpoint at first+count and the leaves, each with a uvarint length before it. A
// leaf of length 0 is followed by its 32-byte hash instead: its bytes have rotted on the appliance.
const headerSize = 64

// Stream says whose ledger a batch carries.
type Stream uint8

// The two ledgers on the wire.
const (
	StreamUp   Stream = 1 // the appliance's
	StreamDown Stream = 2 // the centre's
)

// Batch is a run of leaves with the root and the signature that bind them.
type Batch struct {
	Stream     Stream
	Epoch      uint64
	First      uint64
	Root       tlog.Hash // at First+len(Leaves)
	Checkpoint []byte    // signed, at the same size
	Leaves     []BatchLeaf
}

// End is the sequence number after the last leaf.
func (b Batch) End() uint64 { return b.First + uint64(len(b.Leaves)) }

// BatchLeaf is a leaf's bytes, or its hash alone when Bytes is nil.
type BatchLeaf struct {
	Bytes []byte
	Hash  tlog.Hash // set by DecodeBatch for every leaf
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// One encoder and one decoder serve all: EncodeAll and DecodeAll may be called from many goroutines.
var codecs = sync.OnceValues(func() (*zstd.Encoder, *zstd.Decoder) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(2), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(MaxRaw))
	if err != nil {
		panic(err) // the options are constants
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(MaxRaw), zstd.WithDecoderMaxWindow(MaxRaw))
	if err != nil {
		panic(err)
	}
	return e, d
})

// ErrTooLarge: these leaves do not fit into one batch; send fewer.
var ErrTooLarge = fmt.Errorf("wire: batch over %d bytes", MaxBatch)

// Encode writes the batch, or says ErrTooLarge.
func (b Batch) Encode() ([]byte, error) {
	if b.Stream != StreamUp && b.Stream != StreamDown || b.Epoch == 0 || len(b.Leaves) == 0 || len(b.Leaves) > MaxEntries {
		return nil, malformed("batch of stream %d, epoch %d, %d leaves", b.Stream, b.Epoch, len(b.Leaves))
	}
	if len(b.Checkpoint) == 0 || len(b.Checkpoint) > MaxCheckpoint {
		return nil, malformed("batch: checkpoint of %d bytes", len(b.Checkpoint))
	}
	raw := binary.AppendUvarint(nil, uint64(len(b.Checkpoint)))
	raw = append(raw, b.Checkpoint...)
	for _, l := range b.Leaves {
		if len(l.Bytes) > MaxLeaf {
			return nil, malformed("batch: leaf of %d bytes", len(l.Bytes))
		}
		raw = binary.AppendUvarint(raw, uint64(len(l.Bytes)))
		if len(l.Bytes) == 0 {
			raw = append(raw, l.Hash[:]...)
		}
		raw = append(raw, l.Bytes...)
	}
	if len(raw) > MaxRaw {
		return nil, ErrTooLarge
	}
	out := make([]byte, headerSize, headerSize+len(raw)/2)
	out[0], out[1] = Version, byte(b.Stream)
	binary.BigEndian.PutUint16(out[2:], uint16(len(b.Leaves)))
	binary.BigEndian.PutUint32(out[4:], uint32(len(raw)))
	binary.BigEndian.PutUint64(out[8:], b.Epoch)
	binary.BigEndian.PutUint64(out[16:], b.First)
	copy(out[24:], b.Root[:])
	e, _ := codecs()
	out = e.EncodeAll(raw, out)
	if len(out) > MaxBatch {
		return nil, ErrTooLarge
	}
	binary.BigEndian.PutUint32(out[56:], crc32.Checksum(out, castagnoli))
	return out, nil
}

// DecodeBatch reads a batch and hashes its leaves. It says nothing about signatures.
func DecodeBatch(msg []byte) (Batch, error) {
	b, count, rawLen, err := decodeHeader(msg)
	if err != nil {
		return Batch{}, err
	}
	_, d := codecs()
	raw, err := d.DecodeAll(msg[headerSize:], make([]byte, 0, rawLen))
	if err != nil {
		return Batch{}, malformed("batch: %v", err)
	}
	if len(raw) != rawLen {
		return Batch{}, malformed("batch: %d bytes unpacked, header says %d", len(raw), rawLen)
	}
	r := reader{raw}
	if b.Checkpoint, err = r.bytes(MaxCheckpoint); err != nil || len(b.Checkpoint) == 0 {
		return Batch{}, malformed("batch: checkpoint")
	}
	b.Leaves = make([]BatchLeaf, count)
	for i := range b.Leaves {
		if b.Leaves[i], err = r.leaf(); err != nil {
			return Batch{}, err
		}
	}
	if len(r.b) != 0 {
		return Batch{}, malformed("batch: %d bytes after the last leaf", len(r.b))
	}
	return b, nil
}

func decodeHeader(msg []byte) (b Batch, count, rawLen int, err error) {
	if len(msg) < headerSize || len(msg) > MaxBatch {
		return b, 0, 0, malformed("batch of %d bytes", len(msg))
	}
	if msg[0] != Version {
		return b, 0, 0, malformed("batch version %d, this build speaks %d", msg[0], Version)
	}
	sum := crc32.Update(0, castagnoli, msg[:56])
	sum = crc32.Update(sum, castagnoli, []byte{0, 0, 0, 0})
	sum = crc32.Update(sum, castagnoli, msg[60:])
	if sum != binary.BigEndian.Uint32(msg[56:]) {
		return b, 0, 0, malformed("batch: checksum")
	}
	b.Stream = Stream(msg[1])
	count = int(binary.BigEndian.Uint16(msg[2:]))
	rawLen = int(binary.BigEndian.Uint32(msg[4:]))
	b.Epoch = binary.BigEndian.Uint64(msg[8:])
	b.First = binary.BigEndian.Uint64(msg[16:])
	copy(b.Root[:], msg[24:56])
	switch {
	case b.Stream != StreamUp && b.Stream != StreamDown:
		err = malformed("batch: stream %d", b.Stream)
	case count == 0 || count > MaxEntries:
		err = malformed("batch: %d leaves", count)
	case rawLen > MaxRaw:
		err = malformed("batch: %d bytes unpacked", rawLen)
	case b.Epoch == 0 || b.First > maxNumber || b.Epoch > maxNumber:
		err = malformed("batch: epoch %d, first %d", b.Epoch, b.First)
	case binary.BigEndian.Uint32(msg[60:]) != 0:
		err = malformed("batch: reserved bytes")
	}
	return b, count, rawLen, err
}

type reader struct{ b []byte }

func (r *reader) length(limit int) (int, error) {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > uint64(limit) || size > 1 && n < 1<<(7*(size-1)) {
		return 0, malformed("batch: length")
	}
	r.b = r.b[size:]
	return int(n), nil
}

func (r *reader) bytes(limit int) ([]byte, error) {
	n, err := r.length(limit)
	if err != nil {
		return nil, err
	}
	return r.take(n)
}

func (r *reader) take(n int) ([]byte, error) {
	if n > len(r.b) {
		return nil, malformed("batch: cut short")
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out, nil
}

func (r *reader) leaf() (l BatchLeaf, err error) {
	if l.Bytes, err = r.bytes(MaxLeaf); err != nil {
		return l, err
	}
	if len(l.Bytes) > 0 {
		l.Hash = tlog.RecordHash(l.Bytes)
		return l, nil
	}
	l.Bytes = nil
	h, err := r.take(tlog.HashSize)
	if err != nil {
		return l, err
	}
	copy(l.Hash[:], h)
	return l, nil
}
