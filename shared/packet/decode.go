package packet

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"campuskeep/shared/footage"
)

// ErrDamaged is wrapped by errors about a record that does not verify; see DamageError.
var ErrDamaged = errors.New("segment record does not verify")

// DamageError says which record of a segment does not verify: 0 is init, n the n-th fragment, −1 the index.
type DamageError struct{ Record int }

func (e *DamageError) Error() string {
	if e.Record < 0 {
		return "index: " + ErrDamaged.Error()
	}
	return fmt.Sprintf("record %d: %v", e.Record, ErrDamaged)
}

func (e *DamageError) Unwrap() error { return ErrDamaged }

// Reader reads one segment file. It is not safe for concurrent use.
type Reader struct {
	Header Header
	Torn   bool // no index and footer: made from the whole records in front
	Hash   Hash // content hash: of the index, or of what Salvage found

	src    io.ReaderAt
	aead   cipher.AEAD
	header []byte
	init   []byte
	initAt located
	frags  []located
}

type located struct {
	at int64
	h  recordHeader // length: of the sealed bytes
}

// KeyOf gives the file's key for a header.
type KeyOf func(Header) ([32]byte, error)

// Open reads a whole file's header, init and index. A file without a footer answers ErrFormat: see Salvage.
func Open(src io.ReaderAt, size int64, key KeyOf) (*Reader, error) {
	var foot [footerSize]byte
	if size < footerSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrFormat, size)
	}
	if err := readAt(src, foot[:], size-footerSize); err != nil {
		return nil, err
	}
	if string(foot[12:]) != footerMagic || binary.BigEndian.Uint32(foot[8:]) != crc32.Checksum(foot[:8], crcTable) {
		return nil, fmt.Errorf("%w: no footer", ErrFormat)
	}
	r, at, err := begin(src, size, key)
	if err != nil {
		return nil, err
	}
	indexAt := binary.BigEndian.Uint64(foot[:])
	if indexAt < uint64(at) || indexAt > uint64(size-footerSize-recordHeaderSize) {
		return nil, fmt.Errorf("%w: the footer points outside", ErrFormat)
	}
	if err := r.readIndex(int64(indexAt), at, size); err != nil {
		return nil, err
	}
	return r, nil
}

// OpenTorn reads a torn file up to a number of fragments, as the index row has it, trusting the clear record
// headers for the places; each fragment is verified when it is read.
func OpenTorn(src io.ReaderAt, size int64, key KeyOf, fragments int) (*Reader, error) {
	r, at, err := begin(src, size, key)
	if err != nil {
		return nil, err
	}
	r.Torn = true
	for len(r.frags) < fragments {
		l, next, err := locate(src, at, size)
		if err != nil {
			return nil, err
		}
		if l.h.kind != kindFragment {
			return nil, fmt.Errorf("%w: %d fragments where %d were recorded", ErrFormat, len(r.frags), fragments)
		}
		r.frags = append(r.frags, l)
		at = next
	}
	return r, nil
}

// Salvage reads what a power cut left: the init and every fragment up to the first that is not whole. Each
// is verified. An error means that not even the init can be read, or that the disk failed.
func Salvage(src io.ReaderAt, size int64, key KeyOf) (*Reader, error) {
	r, at, err := begin(src, size, key)
	if err != nil {
		return nil, err
	}
	r.Torn = true
	leaves := []Hash{leaf(r.initAt.h, r.init)}
	for len(r.frags) < MaxFragments {
		l, next, err := locate(src, at, size)
		if errors.Is(err, ErrFormat) || err == nil && l.h.kind != kindFragment {
			break
		}
		if err != nil {
			return nil, err
		}
		plain, err := r.unseal(l, len(r.frags)+1)
		if errors.Is(err, ErrDamaged) {
			break
		}
		if err != nil {
			return nil, err
		}
		leaves = append(leaves, leaf(l.h, plain))
		r.frags = append(r.frags, l)
		at = next
	}
	r.Hash = TreeRoot(leaves)
	return r, nil
}

// begin reads header and init and says where the first fragment is.
func begin(src io.ReaderAt, size int64, key KeyOf) (*Reader, int64, error) {
	buf := make([]byte, min(size, int64(maxHeader)))
	if err := readAt(src, buf, 0); err != nil {
		return nil, 0, err
	}
	h, n, err := ParseHeader(buf)
	if err != nil {
		return nil, 0, err
	}
	k, err := key(h)
	if err != nil {
		return nil, 0, err
	}
	a, err := chacha20poly1305.New(k[:])
	if err != nil {
		return nil, 0, err
	}
	r := &Reader{Header: h, src: src, aead: a, header: append(buf[:n:n], make([]byte, recordHeaderSize)...)[:n]}
	l, next, err := locate(src, int64(n), size)
	if err != nil {
		return nil, 0, err
	}
	if l.h.kind != kindInit {
		return nil, 0, fmt.Errorf("%w: no init record", ErrFormat)
	}
	r.init, err = r.unseal(l, 0)
	if err != nil {
		return nil, 0, err
	}
	r.initAt = l
	return r, next, nil
}

// locate reads the record header at an offset; ErrFormat when there is no whole record.
func locate(src io.ReaderAt, at, size int64) (located, int64, error) {
	if at+recordHeaderSize > size {
		return located{}, 0, fmt.Errorf("%w: ends at a record", ErrFormat)
	}
	var b [recordHeaderSize]byte
	if err := readAt(src, b[:], at); err != nil {
		return located{}, 0, err
	}
	h, err := parseRecordHeader(b[:])
	if err != nil {
		return located{}, 0, err
	}
	next := at + recordHeaderSize + int64(h.length)
	if next > size {
		return located{}, 0, fmt.Errorf("%w: ends inside a record", ErrFormat)
	}
	return located{at, h}, next, nil
}

// unseal reads and verifies one record; number is its place for the nonce.
func (r *Reader) unseal(l located, number int) ([]byte, error) {
	buf := make([]byte, recordHeaderSize+int(l.h.length))
	if err := readAt(r.src, buf, l.at); err != nil {
		return nil, err
	}
	sealed := buf[recordHeaderSize:]
	aad := append(r.header, buf[:recordHeaderSize]...)
	plain, err := r.aead.Open(sealed[:0], nonce(uint64(number)), sealed, aad)
	if err != nil || string(buf[:recordHeaderSize]) != string(l.h.append(nil)) {
		if l.h.kind == kindIndex {
			number = -1
		}
		return nil, &DamageError{number}
	}
	return plain, nil
}

const indexEntry = 8 + recordHeaderSize

// readIndex reads the index record at an offset; fragments must lie between first and it, without holes.
func (r *Reader) readIndex(at, first, size int64) error {
	l, next, err := locate(r.src, at, size-footerSize)
	if err != nil {
		return err
	}
	if l.h.kind != kindIndex || next != size-footerSize {
		return fmt.Errorf("%w: the footer does not point at the index", ErrFormat)
	}
	// The index is the last record; its number follows from its own count, which its nonce then confirms.
	count := (int(l.h.length) - overhead - 4 - len(r.Hash)) / indexEntry
	if count < 0 || count > MaxFragments || int(l.h.length) != overhead+4+len(r.Hash)+count*indexEntry {
		return fmt.Errorf("%w: index of odd length", ErrFormat)
	}
	plain, err := r.unseal(l, count+1)
	if err != nil {
		return err
	}
	if int(binary.BigEndian.Uint32(plain)) != count {
		return fmt.Errorf("%w: index miscounts", ErrFormat)
	}
	copy(r.Hash[:], plain[4:])
	plain = plain[4+len(r.Hash):]
	r.frags = make([]located, count)
	for i := range r.frags {
		e := plain[i*indexEntry:]
		h := recordHeader{
			length: binary.BigEndian.Uint32(e[8:]) + overhead,
			kind:   kind(e[12]),
			flags:  e[13],
			from:   int64(binary.BigEndian.Uint64(e[16:])),
			to:     int64(binary.BigEndian.Uint64(e[24:])),
			wall:   int64(binary.BigEndian.Uint64(e[32:])),
		}
		f := located{int64(binary.BigEndian.Uint64(e)), h}
		if f.at != first || h.length > MaxRecord+overhead || h.kind != kindFragment {
			return fmt.Errorf("%w: index entry %d is out of place", ErrFormat, i)
		}
		first += recordHeaderSize + int64(h.length)
		r.frags[i] = f
	}
	if first != at {
		return fmt.Errorf("%w: the index leaves bytes out", ErrFormat)
	}
	return nil
}

func readAt(src io.ReaderAt, b []byte, at int64) error {
	n, err := src.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: ends early", ErrFormat)
	}
	return err
}

// Init is the plaintext of the init record.
func (r *Reader) Init() []byte { return r.init }

// Fragments lists what can be read.
func (r *Reader) Fragments() []footage.FragmentInfo {
	out := make([]footage.FragmentInfo, len(r.frags))
	for i, l := range r.frags {
		out[i] = footage.FragmentInfo{From: time.Duration(l.h.from), To: time.Duration(l.h.to), Key: l.h.flags&flagKey != 0, Bytes: int(l.h.length) - overhead}
	}
	return out
}

// Wall is what the clock claimed at the beginning of fragment i.
func (r *Reader) Wall(i int) time.Time { return time.Unix(0, r.frags[i].h.wall).UTC() }

// Start is where the init record is in time: the beginning of the segment and the clock's claim then.
func (r *Reader) Start() (from time.Duration, wall time.Time) {
	return time.Duration(r.initAt.h.from), time.Unix(0, r.initAt.h.wall).UTC()
}

// Fragment decrypts and verifies fragment i.
func (r *Reader) Fragment(i int) ([]byte, error) {
	if i < 0 || i >= len(r.frags) {
		return nil, fmt.Errorf("fragment %d of %d", i, len(r.frags))
	}
	return r.unseal(r.frags[i], i+1)
}

// Leaves verifies every record and gives the leaves of the content tree: init first, then the fragments.
func (r *Reader) Leaves() ([]Hash, error) {
	leaves := []Hash{leaf(r.initAt.h, r.init)}
	for i := range r.frags {
		plain, err := r.Fragment(i)
		if err != nil {
			return nil, fmt.Errorf("fragment %d: %w", i+1, err)
		}
		leaves = append(leaves, leaf(r.frags[i].h, plain))
	}
	return leaves, nil
}

// Verify reads everything and checks it against the content hash.
func (r *Reader) Verify() error {
	leaves, err := r.Leaves()
	if err != nil {
		return err
	}
	if TreeRoot(leaves) != r.Hash {
		return &DamageError{-1}
	}
	return nil
}
