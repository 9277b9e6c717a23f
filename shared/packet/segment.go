// Package packet holds the formats of footage that can be checked away from the box: the sealed segment file
// now; packages and certificates as they come.
//
// It is pure: bytes and readers come in, bytes and values go out. Decoders must never trust a length, an
// offset or a count that they have not checked against what is there.
package packet

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"campuskeep/shared/footage"
)

// A segment file, all numbers big-endian:
//
//	header   "CKF1" ‖ version u8 ‖ alg u8 ‖ file id [16] ‖ session u64 ‖ camera, key id, boot, codec (each len u8 ‖ bytes)
//	record   length u32 ‖ kind u8 ‖ flags u8 ‖ zero u16 ‖ from i64 ‖ to i64 ‖ wall i64 ‖ sealed bytes [length]
//	…        one init record, then fragments, then one index record
//	footer   offset of the index record u64 ‖ crc32c over the 8 bytes u32 ‖ "CKFE"
//
// from and to are nanoseconds since the boot, wall is what the clock claimed at from (Unix ns). Sealed bytes
// are ChaCha20-Poly1305 under the file's key; the nonce counts the records from 0; the additional data is the
// whole file header followed by the record's header, so that no record can be moved, dropped from the middle,
// or carried to another file. A file without index and footer was torn by a power cut; its whole records count.
const (
	magic       = "CKF1"
	footerMagic = "CKFE"
	version     = 1

	// AlgChaChaSHA256 names ChaCha20-Poly1305, HKDF-SHA256 and a SHA-256 tree.
	AlgChaChaSHA256 = 1

	recordHeaderSize = 32
	footerSize       = 16
	overhead         = 16 // of ChaCha20-Poly1305

	// MaxRecord is the most plaintext that one record may carry.
	MaxRecord = 16 << 20
	// MaxFragments is the most fragments that one file may carry.
	MaxFragments = 1 << 14
)

type kind uint8

const (
	kindInit     kind = 1
	kindFragment kind = 2
	kindIndex    kind = 3
)

const flagKey = 1 // the fragment starts with a key frame

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// ErrFormat is wrapped by every error about bytes that are not a segment file.
var ErrFormat = errors.New("not a whole segment file")

// Header is the clear beginning of a segment file.
type Header struct {
	Alg     uint8
	File    footage.FileID
	Session uint64
	Camera  string
	KeyID   string // of the camera-day key, see KeyID
	Boot    string
	Codec   string
}

// KeyID is the id of a camera-day's key. It is a code of the ledger: key.erased names it.
func KeyID(camera, day string) string { return camera + ":" + day }

// FileKey derives the key of one file from its camera-day key. A hold keeps this one, so that the day key
// can die on time.
func FileKey(dayKey [32]byte, file footage.FileID) [32]byte {
	k, err := hkdf.Key(sha256.New, dayKey[:], file[:], "campuskeep segment file 1", 32)
	if err != nil {
		panic(err) // only for an output longer than HKDF allows
	}
	return [32]byte(k)
}

func (h Header) append(b []byte) ([]byte, error) {
	b = append(b, magic...)
	b = append(b, version, h.Alg)
	b = append(b, h.File[:]...)
	b = binary.BigEndian.AppendUint64(b, h.Session)
	for _, s := range []string{h.Camera, h.KeyID, h.Boot, h.Codec} {
		if len(s) > 255 {
			return nil, fmt.Errorf("segment header: a name of %d bytes, at most 255", len(s))
		}
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	return b, nil
}

// maxHeader is the longest header there can be.
const maxHeader = len(magic) + 2 + 16 + 8 + 4*256

// ParseHeader reads the header at the beginning of b and says how long it is.
func ParseHeader(b []byte) (h Header, n int, err error) {
	const fixed = len(magic) + 2 + 16 + 8
	if len(b) < fixed || string(b[:4]) != magic {
		return h, 0, fmt.Errorf("%w: no header", ErrFormat)
	}
	if b[4] != version {
		return h, 0, fmt.Errorf("%w: version %d, this program reads %d", ErrFormat, b[4], version)
	}
	h.Alg = b[5]
	if h.Alg != AlgChaChaSHA256 {
		return h, 0, fmt.Errorf("%w: unknown algorithm %d", ErrFormat, h.Alg)
	}
	copy(h.File[:], b[6:])
	h.Session = binary.BigEndian.Uint64(b[22:])
	n = fixed
	for _, s := range []*string{&h.Camera, &h.KeyID, &h.Boot, &h.Codec} {
		if len(b) < n+1 || len(b) < n+1+int(b[n]) {
			return h, 0, fmt.Errorf("%w: header ends early", ErrFormat)
		}
		*s = string(b[n+1 : n+1+int(b[n])])
		n += 1 + int(b[n])
	}
	return h, n, nil
}

// recordHeader is the clear beginning of a record.
type recordHeader struct {
	length         uint32 // of the sealed bytes
	kind           kind
	flags          uint8
	from, to, wall int64
}

func (r recordHeader) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, r.length)
	b = append(b, byte(r.kind), r.flags, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(r.from))
	b = binary.BigEndian.AppendUint64(b, uint64(r.to))
	return binary.BigEndian.AppendUint64(b, uint64(r.wall))
}

// parseRecordHeader reads the first recordHeaderSize bytes of b.
func parseRecordHeader(b []byte) (recordHeader, error) {
	r := recordHeader{
		length: binary.BigEndian.Uint32(b),
		kind:   kind(b[4]),
		flags:  b[5],
		from:   int64(binary.BigEndian.Uint64(b[8:])),
		to:     int64(binary.BigEndian.Uint64(b[16:])),
		wall:   int64(binary.BigEndian.Uint64(b[24:])),
	}
	if r.length < overhead || r.length > MaxRecord+overhead || r.kind < kindInit || r.kind > kindIndex ||
		r.flags&^flagKey != 0 || b[6] != 0 || b[7] != 0 || r.to < r.from {
		return r, fmt.Errorf("%w: bad record header", ErrFormat)
	}
	return r, nil
}

// nonce is the counter nonce of the n-th record.
func nonce(n uint64) []byte {
	var b [12]byte
	binary.BigEndian.PutUint64(b[4:], n)
	return b[:]
}

// leaf is the leaf of the content tree for one record: its header (so that the times are proven with the
// picture), with the length of the plaintext, followed by the plaintext. The init record is leaf 0.
func leaf(r recordHeader, plain []byte) [32]byte {
	r.length = uint32(len(plain))
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(r.append(make([]byte, 0, recordHeaderSize)))
	h.Write(plain)
	var out [32]byte
	h.Sum(out[:0])
	return out
}

// SegmentLeaf is the leaf of a segment in the tree of its camera-hour, as `footage.recorded` and
// `footage.deleted` entries bind it: file id, content hash, and its first and last frame on the clock of its
// boot.
func SegmentLeaf(s footage.Segment) Hash {
	b := append([]byte("campuskeep segment 1\n"), s.File[:]...)
	b = append(b, s.Hash[:]...)
	b = append(b, byte(len(s.Boot)))
	b = append(b, s.Boot...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.From))
	b = binary.BigEndian.AppendUint64(b, uint64(s.To))
	return LeafHash(b)
}
