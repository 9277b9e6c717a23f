package packet

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// Piece is one fragment as it is written.
type Piece struct {
	From, To time.Duration // monotonic
	Wall     time.Time     // what the clock claimed at From
	Key      bool          // starts with a key frame
	Plain    []byte
}

// Encoder makes the bytes of one segment file. Every method appends to dst; the caller writes the bytes in
// the order they were made. Not safe for concurrent use.
type Encoder struct {
	aead   cipher.AEAD
	aad    []byte // the header, with room for a record header behind it
	offset int64
	n      uint64 // records sealed
	leaves []Hash
	index  []byte // of the fragments, plain
	frags  int
}

// NewEncoder starts a file: dst gets the header and the sealed init.
func NewEncoder(dst []byte, h Header, fileKey [32]byte, init Piece) (*Encoder, []byte, error) {
	h.Alg = AlgChaChaSHA256
	header, err := h.append(nil)
	if err != nil {
		return nil, dst, err
	}
	a, err := chacha20poly1305.New(fileKey[:])
	if err != nil {
		return nil, dst, err
	}
	e := &Encoder{aead: a, aad: append(header, make([]byte, recordHeaderSize)...)[:len(header)], offset: int64(len(header))}
	dst = append(dst, header...)
	dst, err = e.seal(dst, kindInit, init)
	return e, dst, err
}

// Append seals one fragment.
func (e *Encoder) Append(dst []byte, p Piece) ([]byte, error) {
	if e.frags == MaxFragments {
		return dst, fmt.Errorf("segment: more than %d fragments", MaxFragments)
	}
	at := e.offset
	dst, err := e.seal(dst, kindFragment, p)
	if err != nil {
		return dst, err
	}
	e.frags++
	e.index = binary.BigEndian.AppendUint64(e.index, uint64(at))
	e.index = recordHeader{uint32(len(p.Plain)), kindFragment, flags(p), int64(p.From), int64(p.To), p.Wall.UnixNano()}.append(e.index)
	return dst, nil
}

// Finish appends the index and the footer. The file is whole with them; the encoder is done.
func (e *Encoder) Finish(dst []byte) ([]byte, error) {
	at := e.offset
	plain := binary.BigEndian.AppendUint32(nil, uint32(e.frags))
	root := e.Root()
	plain = append(plain, root[:]...)
	plain = append(plain, e.index...)
	dst, err := e.seal(dst, kindIndex, Piece{Plain: plain, Wall: time.Unix(0, 0)})
	if err != nil {
		return dst, err
	}
	var foot [footerSize]byte
	binary.BigEndian.PutUint64(foot[:], uint64(at))
	binary.BigEndian.PutUint32(foot[8:], crc32.Checksum(foot[:8], crcTable))
	copy(foot[12:], footerMagic)
	e.offset += footerSize
	return append(dst, foot[:]...), nil
}

// Size is the length of the file so far.
func (e *Encoder) Size() int64 { return e.offset }

// Fragments counts them.
func (e *Encoder) Fragments() int { return e.frags }

// Root is the content hash so far: the tree over init and fragments.
func (e *Encoder) Root() Hash { return TreeRoot(e.leaves) }

func flags(p Piece) uint8 {
	if p.Key {
		return flagKey
	}
	return 0
}

func (e *Encoder) seal(dst []byte, k kind, p Piece) ([]byte, error) {
	if len(p.Plain) > MaxRecord {
		return dst, fmt.Errorf("segment: a record of %d bytes, at most %d", len(p.Plain), MaxRecord)
	}
	if p.To < p.From {
		return dst, errors.New("segment: a record ends before it begins")
	}
	h := recordHeader{uint32(len(p.Plain) + overhead), k, flags(p), int64(p.From), int64(p.To), p.Wall.UnixNano()}
	if k != kindIndex {
		e.leaves = append(e.leaves, leaf(h, p.Plain))
	}
	start := len(dst)
	dst = h.append(dst)
	aad := append(e.aad, dst[start:]...)
	dst = e.aead.Seal(dst, nonce(e.n), p.Plain, aad)
	e.n++
	e.offset += int64(len(dst) - start)
	return dst, nil
}
