package readersim

import (
	"crypto/aes"
	"crypto/rand"
	"encoding/binary"
)

// This is the simulator's own secure channel, on the reader's side, written from the formulas of the standard.

// scbkD is the default key of the standard.
var scbkD = []byte("0123456789:;<=>?")

// session is what the reader keeps of a channel.
type session struct {
	keyByte            byte
	sEnc, sMAC1, sMAC2 []byte
	rndA, rndB         []byte
	cMAC, rMAC         []byte // last of the panel, last of ours
	ready              bool
	expectCryptogram   []byte
}

func aesECB(key, in []byte) []byte {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	out := make([]byte, 16)
	b.Encrypt(out, in)
	return out
}

func derive(key []byte, a, b byte, rndA []byte) []byte {
	in := make([]byte, 16)
	in[0], in[1] = a, b
	copy(in[2:8], rndA)
	return aesECB(key, in)
}

func xor16(a, b []byte) []byte {
	out := make([]byte, 16)
	for i := range out {
		out[i] = a[i] ^ b[i]
	}
	return out
}

func not16(a []byte) []byte {
	out := make([]byte, 16)
	for i := range out {
		out[i] = 0xFF ^ a[i]
	}
	return out
}

// macOf is CBC under S-MAC1, the last block under S-MAC2.
func (s *session) macOf(iv, msg []byte) []byte {
	m := append([]byte(nil), msg...)
	if len(m)%16 != 0 {
		m = append(m, 0x80)
		for len(m)%16 != 0 {
			m = append(m, 0)
		}
	}
	x := iv
	for i := 0; i < len(m); i += 16 {
		key := s.sMAC1
		if i+16 == len(m) {
			key = s.sMAC2
		}
		x = aesECB(key, xor16(x, m[i:i+16]))
	}
	return x
}

func (s *session) decrypt(data []byte) ([]byte, bool) {
	b, err := aes.NewCipher(s.sEnc)
	if err != nil || len(data)%16 != 0 {
		return nil, false
	}
	iv := not16(s.rMAC)
	var out []byte
	for i := 0; i < len(data); i += 16 {
		p := make([]byte, 16)
		b.Decrypt(p, data[i:i+16])
		out = append(out, xor16(p, iv)...)
		iv = data[i : i+16]
	}
	for len(out) > 0 && out[len(out)-1] == 0 {
		out = out[:len(out)-1]
	}
	if len(out) == 0 || out[len(out)-1] != 0x80 {
		return nil, false
	}
	return out[:len(out)-1], true
}

func (s *session) encrypt(data []byte) []byte {
	p := append(append([]byte(nil), data...), 0x80)
	for len(p)%16 != 0 {
		p = append(p, 0)
	}
	iv, out := not16(s.cMAC), []byte(nil)
	for i := 0; i < len(p); i += 16 {
		iv = aesECB(s.sEnc, xor16(p[i:i+16], iv))
		out = append(out, iv...)
	}
	return out
}

// challenged begins a session; nil when the reader does not hold the key that is named.
func (d *Device) challenged(p *packet) (*session, []byte) {
	var key []byte
	switch {
	case len(p.scb) != 3 || len(p.body) != 8:
		return nil, nil
	case p.scb[2] == 1 && d.o.SCBK != nil:
		key = d.o.SCBK
	case p.scb[2] == 0 && d.o.Install:
		key = scbkD
	default:
		return nil, nil
	}
	s := &session{keyByte: p.scb[2], rndA: append([]byte(nil), p.body...), rndB: make([]byte, 8)}
	rand.Read(s.rndB)
	s.sEnc, s.sMAC1, s.sMAC2 = derive(key, 1, 0x82, s.rndA), derive(key, 1, 1, s.rndA), derive(key, 1, 2, s.rndA)
	s.expectCryptogram = aesECB(s.sEnc, append(append([]byte(nil), s.rndB...), s.rndA...))
	mine := aesECB(s.sEnc, append(append([]byte(nil), s.rndA...), s.rndB...))
	uid := []byte{0xCA, 0x3B, 0x0C, 1, 0x39, 0x30, 0, 0}
	return s, append(append(uid, s.rndB...), mine...)
}

// inside takes a command out of the channel; false when it is not the panel's.
func (s *session) inside(p *packet) bool {
	if len(p.raw) < 4 {
		return false
	}
	signed, sent := p.raw[:len(p.raw)-4], p.raw[len(p.raw)-4:]
	mac := s.macOf(s.rMAC, signed)
	if string(mac[:4]) != string(sent) {
		return false
	}
	body := p.body[:len(p.body)-4]
	if p.scb[1] == 0x17 {
		var ok bool
		if body, ok = s.decrypt(body); !ok {
			return false
		}
	}
	s.cMAC, p.body = mac, body
	return true
}

// sealed writes an answer inside the channel.
func (s *session) sealed(p packet) []byte {
	scs, body := byte(0x16), p.body
	if len(body) > 0 {
		scs, body = 0x18, s.encrypt(body)
	}
	msg := []byte{somByte, p.addr | 0x80, 0, 0, p.seq | 8, 2, scs, p.code}
	msg = append(msg, body...)
	size := len(msg) + 4 + 1
	if p.crc {
		msg[4] |= 4
		size++
	}
	msg[2], msg[3] = byte(size), byte(size>>8)
	s.rMAC = s.macOf(s.cMAC, msg)
	msg = append(msg, s.rMAC[:4]...)
	if p.crc {
		return binary.LittleEndian.AppendUint16(msg, bitwiseCRC(msg))
	}
	return append(msg, -sumOf(msg))
}

// secured is what a reader does with a command when it knows the channel. done is false for a command in clear that
// the reader answers as it is.
func (d *Device) secured(p *packet, re packet, nak func(byte) ([]byte, []Event), fault Fault) (out []byte, events []Event, done bool) {
	switch {
	case p.code == 0x76:
		s, answer := d.challenged(p)
		if s == nil || fault == FaultForget && p.scb[2] == 1 {
			out, events = nak(0x06)
			return out, events, true
		}
		if fault == FaultOtherKey {
			answer[31] ^= 1
		}
		d.session = s
		re.code, re.body, re.scb = 0x76, answer, []byte{3, 0x12, s.keyByte}
		return d.answered(p, re.reply()), nil, true
	case p.code == 0x77 && d.session != nil:
		s := d.session
		if string(p.body) != string(s.expectCryptogram) {
			d.session = nil
			out, events = nak(0x05)
			return out, events, true
		}
		s.rMAC = aesECB(s.sMAC2, aesECB(s.sMAC1, p.body))
		s.ready = true
		re.code, re.body, re.scb = 0x78, s.rMAC, []byte{3, 0x14, 1}
		return d.answered(p, re.reply()), []Event{{Kind: "secure", Colour: map[byte]string{0: "default", 1: "own"}[s.keyByte]}}, true
	case p.scb != nil:
		if d.session == nil || !d.session.ready || !d.session.inside(p) {
			d.session = nil
			out, events = nak(0x06)
			return out, events, true
		}
		if p.code == 0x75 {
			if len(p.body) != 18 || p.body[0] != 1 || p.body[1] != 16 {
				out, events = nak(0x02)
				return out, events, true
			}
			d.o.SCBK, d.o.Install = append([]byte(nil), p.body[2:]...), false
			return d.answered(p, d.session.sealed(re)), []Event{{Kind: "key"}}, true
		}
	case d.o.Enforce && p.code != 0x61 && p.code != 0x62:
		out, events = nak(0x06)
		return out, events, true
	}
	return nil, nil, false
}

func (d *Device) answered(p *packet, out []byte) []byte {
	d.lastSeq, d.last = p.seq, out
	return out
}
