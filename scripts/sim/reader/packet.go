package readersim

import (
	"encoding/binary"
	"fmt"
)

// This is the simulator's own reading of OSDP, written apart from the product's, so that a mistake in one
// does not hide in the other.

type packet struct {
	addr, seq, code byte
	crc             bool
	scb             []byte // security block: length, type, what follows
	body            []byte
	raw             []byte // what came, without the check bytes
}

const somByte = 0x53

// take cuts the first whole packet from in. rest is what is left; bad says why bytes were thrown away.
func take(in []byte) (p *packet, rest []byte, bad error) {
	for len(in) > 0 && in[0] != somByte {
		in = in[1:]
	}
	if len(in) < 5 {
		return nil, in, nil
	}
	size := int(in[2]) | int(in[3])<<8
	tail := 1
	if in[4]&4 != 0 {
		tail = 2
	}
	if size < 6+tail || size > 1440 {
		return nil, in[1:], fmt.Errorf("length %d", size)
	}
	if len(in) < size {
		return nil, in, nil
	}
	msg, sum := in[:size-tail], in[size-tail:size]
	if tail == 2 && bitwiseCRC(msg) != binary.LittleEndian.Uint16(sum) || tail == 1 && sumOf(in[:size]) != 0 {
		return nil, in[1:], fmt.Errorf("check bytes % x", sum)
	}
	p = &packet{addr: msg[1] & 0x7F, seq: msg[4] & 3, crc: tail == 2, raw: append([]byte(nil), msg...)}
	rest = p.raw[5:]
	if msg[4]&8 != 0 {
		if int(rest[0]) < 2 || int(rest[0]) >= len(rest) {
			return nil, in[1:], fmt.Errorf("security block of %d bytes", rest[0])
		}
		p.scb, rest = rest[:rest[0]], rest[rest[0]:]
	}
	p.code, p.body = rest[0], append([]byte(nil), rest[1:]...)
	return p, in[size:], nil
}

// reply builds the bytes of an answer.
func (p packet) reply() []byte {
	msg := []byte{somByte, p.addr | 0x80, 0, 0, p.seq}
	if p.scb != nil {
		msg[4] |= 8
		msg = append(msg, p.scb...)
	}
	msg = append(msg, p.code)
	msg = append(msg, p.body...)
	if p.crc {
		msg[4] |= 4
	}
	size := len(msg) + 1
	if p.crc {
		size++
	}
	msg[2], msg[3] = byte(size), byte(size>>8)
	if p.crc {
		return binary.LittleEndian.AppendUint16(msg, bitwiseCRC(msg))
	}
	return append(msg, -sumOf(msg))
}

func bitwiseCRC(b []byte) uint16 {
	crc := uint16(0x1D0F)
	for _, x := range b {
		for bit := 7; bit >= 0; bit-- {
			top := crc>>15 ^ uint16(x>>bit&1)
			crc = crc << 1
			if top&1 == 1 {
				crc ^= 0x1021
			}
		}
	}
	return crc
}

func sumOf(b []byte) (s byte) {
	for _, x := range b {
		s += x
	}
	return s
}
