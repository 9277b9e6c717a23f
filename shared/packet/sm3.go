package packet

import (
	"encoding/binary"
	"hash"
	"math/bits"
)

// SM3 is the hash of GB/T 32905-2016: what an examiner's tool in China expects beside SHA-256.
const (
	SM3Size  = 32
	sm3Block = 64
)

var sm3Start = [8]uint32{0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600, 0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e}

// sm3Turned are the constants of the rounds, each turned as its round wants it.
var sm3Turned = func() (t [64]uint32) {
	for j := range t {
		c := uint32(0x79cc4519)
		if j >= 16 {
			c = 0x7a879d8a
		}
		t[j] = bits.RotateLeft32(c, j%32)
	}
	return t
}()

type sm3 struct {
	h   [8]uint32
	buf [sm3Block]byte
	n   int // in buf
	len uint64
}

// NewSM3 begins a hash.
func NewSM3() hash.Hash { return &sm3{h: sm3Start} }

func (d *sm3) Size() int      { return SM3Size }
func (d *sm3) BlockSize() int { return sm3Block }
func (d *sm3) Reset()         { *d = sm3{h: sm3Start} }

func (d *sm3) Write(p []byte) (int, error) {
	all := len(p)
	d.len += uint64(all)
	if d.n > 0 {
		n := copy(d.buf[d.n:], p)
		d.n, p = d.n+n, p[n:]
		if d.n < sm3Block {
			return all, nil
		}
		sm3Blocks(&d.h, d.buf[:])
		d.n = 0
	}
	if n := len(p) &^ (sm3Block - 1); n > 0 {
		sm3Blocks(&d.h, p[:n])
		p = p[n:]
	}
	d.n = copy(d.buf[:], p)
	return all, nil
}

func (d *sm3) Sum(in []byte) []byte {
	e := *d
	pad := make([]byte, 1, sm3Block+8)
	pad[0] = 0x80
	for (e.n+len(pad))%sm3Block != sm3Block-8 {
		pad = append(pad, 0)
	}
	size := e.len << 3
	_, _ = e.Write(binary.BigEndian.AppendUint64(pad, size)) // writing to a hash never fails
	for _, h := range e.h {
		in = binary.BigEndian.AppendUint32(in, h)
	}
	return in
}

func sm3P1(x uint32) uint32 { return x ^ bits.RotateLeft32(x, 15) ^ bits.RotateLeft32(x, 23) }

// sm3Blocks compresses whole blocks.
func sm3Blocks(h *[8]uint32, p []byte) {
	var w [68]uint32
	a0, b0, c0, d0, e0, f0, g0, h0 := h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
	for ; len(p) >= sm3Block; p = p[sm3Block:] {
		for j := range 16 {
			w[j] = binary.BigEndian.Uint32(p[4*j:])
		}
		for j := 16; j < 68; j++ {
			w[j] = sm3P1(w[j-16]^w[j-9]^bits.RotateLeft32(w[j-3], 15)) ^ bits.RotateLeft32(w[j-13], 7) ^ w[j-6]
		}
		a, b, c, d, e, f, g, i := a0, b0, c0, d0, e0, f0, g0, h0
		for j := range 16 {
			a12 := bits.RotateLeft32(a, 12)
			ss1 := bits.RotateLeft32(a12+e+sm3Turned[j], 7)
			tt1 := (a ^ b ^ c) + d + (ss1 ^ a12) + (w[j] ^ w[j+4])
			tt2 := (e ^ f ^ g) + i + ss1 + w[j]
			d, c, b, a = c, bits.RotateLeft32(b, 9), a, tt1
			i, g, f, e = g, bits.RotateLeft32(f, 19), e, tt2^bits.RotateLeft32(tt2, 9)^bits.RotateLeft32(tt2, 17)
		}
		for j := 16; j < 64; j++ {
			a12 := bits.RotateLeft32(a, 12)
			ss1 := bits.RotateLeft32(a12+e+sm3Turned[j], 7)
			tt1 := (a&b | (a|b)&c) + d + (ss1 ^ a12) + (w[j] ^ w[j+4])
			tt2 := ((f^g)&e ^ g) + i + ss1 + w[j]
			d, c, b, a = c, bits.RotateLeft32(b, 9), a, tt1
			i, g, f, e = g, bits.RotateLeft32(f, 19), e, tt2^bits.RotateLeft32(tt2, 9)^bits.RotateLeft32(tt2, 17)
		}
		a0, b0, c0, d0, e0, f0, g0, h0 = a0^a, b0^b, c0^c, d0^d, e0^e, f0^f, g0^g, h0^i
	}
	*h = [8]uint32{a0, b0, c0, d0, e0, f0, g0, h0}
}
