package sealedfiles

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20poly1305"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
)

// A sealed file is magic ‖ length of the header, 2 bytes big-endian ‖ header ‖ chunks. The header is JSON in clear. Each
// chunk but the last holds 64 KiB of content; all are ChaCha20-Poly1305 under HKDF-SHA256(owner's key, salt = header's
// SHA-256), nonce = last-chunk flag, 1 byte ‖ zero, 3 bytes ‖ number of the chunk, 8 bytes. Nothing is ever appended.
const (
	magic      = "ckfile1\n"
	alg        = "chacha20poly1305"
	chunk      = 64 << 10
	overhead   = chacha20poly1305.Overhead
	maxHeader  = 1 << 10
	keyPurpose = "campuskeep sealed file 1"
)

// header says in clear what the bytes are; who has no key learns no more than a directory listing tells.
type header struct {
	V     int    `json:"v"`
	Alg   string `json:"alg"`
	ID    string `json:"id"`
	Owner string `json:"owner"` // also the id of the key in the people ring
	Chunk int    `json:"chunk"`
}

func headerOf(f File) []byte {
	b, err := json.Marshal(header{1, alg, f.ID, f.Owner, chunk})
	if err != nil {
		panic(err) // strings and numbers
	}
	return append(binary.BigEndian.AppendUint16([]byte(magic), uint16(len(b))), b...)
}

func aead(key keyring.Key, head []byte) (cipher.AEAD, error) {
	salt := sha256.Sum256(head)
	k, err := hkdf.Key(sha256.New, key[:], salt[:], keyPurpose, chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	return chacha20poly1305.New(k)
}

func nonce(n int64, last bool) []byte {
	var b [chacha20poly1305.NonceSize]byte
	if last {
		b[0] = 1
	}
	binary.BigEndian.PutUint64(b[4:], uint64(n))
	return b[:]
}

// chunks is how many chunks so many bytes of content take; no content is one empty chunk.
func chunks(size int64) int64 { return max(1, (size+chunk-1)/chunk) }

// sealedSize is the length of the file on the disk.
func sealedSize(f File) int64 {
	return int64(len(headerOf(f))) + f.Bytes + chunks(f.Bytes)*overhead
}

func seal(w io.Writer, key keyring.Key, f File, b []byte) error {
	head := headerOf(f)
	a, err := aead(key, head)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	n := chunks(f.Bytes)
	var buf []byte
	for i := range n {
		part := b[i*chunk : min((i+1)*chunk, int64(len(b)))]
		buf = a.Seal(buf[:0], nonce(i, i == n-1), part, nil)
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

var errDamaged = errors.New("sealed file is damaged")

// reader reads the content of a sealed file. It is for one goroutine.
type reader struct {
	f    File
	h    disk.File
	a    cipher.AEAD
	head int64
	at   int64  // of the next Read
	n    int64  // chunk in plain; -1: none
	buf  []byte // sealed chunk
	pl   []byte // its content
}

func unseal(h disk.File, key keyring.Key, f File) (*reader, error) {
	info, err := h.Stat()
	if err != nil {
		return nil, err
	}
	head := headerOf(f)
	got := make([]byte, len(head))
	if info.Size() != sealedSize(f) {
		return nil, fmt.Errorf("%w: %d bytes, want %d", errDamaged, info.Size(), sealedSize(f))
	}
	if _, err := h.ReadAt(got, 0); err != nil {
		return nil, err
	}
	if !bytes.Equal(got, head) {
		return nil, fmt.Errorf("%w: its header is another", errDamaged)
	}
	a, err := aead(key, head)
	if err != nil {
		return nil, err
	}
	return &reader{f: f, h: h, a: a, head: int64(len(head)), n: -1}, nil
}

func (r *reader) load(n int64) error {
	if r.n == n {
		return nil
	}
	last := chunks(r.f.Bytes) - 1
	size := int64(chunk)
	if n == last {
		size = r.f.Bytes - n*chunk
	}
	if r.buf == nil {
		r.buf = make([]byte, chunk+overhead)
	}
	b := r.buf[:size+overhead]
	r.n = -1
	if _, err := r.h.ReadAt(b, r.head+n*(chunk+overhead)); err != nil {
		return err
	}
	var err error
	if r.pl, err = r.a.Open(r.pl[:0], nonce(n, n == last), b, nil); err != nil {
		return fmt.Errorf("%w: chunk %d", errDamaged, n)
	}
	r.n = n
	return nil
}

func (r *reader) Read(p []byte) (int, error) {
	if r.at >= r.f.Bytes {
		return 0, io.EOF
	}
	if err := r.load(r.at / chunk); err != nil {
		return 0, err
	}
	n := copy(p, r.pl[r.at%chunk:])
	r.at += int64(n)
	return n, nil
}

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.f.Bytes
	}
	if offset < 0 {
		return 0, errors.New("sealedfiles: seek before the beginning")
	}
	r.at = offset
	return offset, nil
}

func (r *reader) Close() error { return r.h.Close() }
