package reader

import (
	"encoding/binary"
	"errors"
)

// Bytes of an OSDP packet: mark (optional), SOM, address, length (2), control, [security block],
// command or reply, data, checksum (1) or CRC (2). The length counts all but the mark.
const (
	mark         = 0xFF
	som          = 0x53
	replyBit     = 0x80 // of the address
	maxFrame     = 1440 // OSDP 2.2, 5.9: no packet is longer
	headerLen    = 5
	ctrlSequence = 0x03
	ctrlCRC      = 0x04
	ctrlSecure   = 0x08
)

// frame is one packet. Data aliases the decoder's buffer until the next call of next.
type frame struct {
	address byte
	reply   bool
	seq     byte
	crc     bool   // CRC-16; otherwise the one-byte checksum
	secure  bool   // carries a security block
	scs     byte   // its type; see the SCS constants
	scsData []byte // what follows the type in the block
	code    byte   // command or reply
	data    []byte
	signed  []byte // of a received frame: all bytes before the check bytes
}

// append writes the frame behind dst, with the mark that wakes receivers of idle RS-485 lines.
func (f frame) append(dst []byte) []byte {
	dst = append(dst, mark)
	start := len(dst)
	dst = append(f.head(dst), f.data...)
	return f.finish(dst, start, 0)
}

// head writes the frame up to its code; the length is filled in by finish.
func (f frame) head(dst []byte) []byte {
	ctrl := f.seq & ctrlSequence
	if f.crc {
		ctrl |= ctrlCRC
	}
	if f.secure {
		ctrl |= ctrlSecure
	}
	address := f.address
	if f.reply {
		address |= replyBit
	}
	dst = append(dst, som, address, 0, 0, ctrl)
	if f.secure {
		dst = append(dst, byte(2+len(f.scsData)), f.scs)
		dst = append(dst, f.scsData...)
	}
	return append(dst, f.code)
}

// finish fills in the length of the frame that begins at start, counting more bytes that are not written yet, and when
// there are none appends the check bytes.
func (f frame) finish(dst []byte, start, more int) []byte {
	n := len(dst) - start + more + 1
	if f.crc {
		n++
	}
	dst[start+2], dst[start+3] = byte(n), byte(n>>8)
	switch {
	case more > 0:
		return dst
	case f.crc:
		return binary.LittleEndian.AppendUint16(dst, crc16(dst[start:]))
	}
	return append(dst, checksum(dst[start:]))
}

var (
	errLength   = errors.New("length of the packet is out of bounds")
	errChecksum = errors.New("checksum of the packet does not match")
	errSecurity = errors.New("security block of the packet does not fit")
)

// decoder finds frames in a stream of bytes. Whatever is not a frame is skipped, one byte at a time, and
// counted; it never holds more than one frame of the longest kind plus one read.
type decoder struct {
	buf       []byte
	malformed uint64
}

func (d *decoder) feed(b []byte) { d.buf = append(d.buf, b...) }

// next takes the next whole frame from the stream; false when more bytes are needed.
func (d *decoder) next() (frame, bool) {
	for {
		i := 0
		for i < len(d.buf) && d.buf[i] != som {
			i++
		}
		d.drop(i)
		f, n, err := parse(d.buf)
		switch {
		case err != nil:
			d.malformed++
			d.drop(1) // this SOM was noise; the next one may not be
		case n == 0:
			return frame{}, false
		default:
			d.buf = d.buf[n:]
			return f, true
		}
	}
}

// abandon forgets a frame that never became whole.
func (d *decoder) abandon() {
	if len(d.buf) > 0 {
		d.malformed++
		d.buf = d.buf[:0]
	}
}

func (d *decoder) drop(n int) {
	d.buf = d.buf[n:]
	if len(d.buf) == 0 {
		d.buf = nil
	}
}

// parse reads the frame at the start of b; n is its length, 0 when b is too short to tell.
func parse(b []byte) (f frame, n int, err error) {
	if len(b) < headerLen {
		return frame{}, 0, nil
	}
	n = int(binary.LittleEndian.Uint16(b[2:]))
	ctrl := b[4]
	check := 1
	if ctrl&ctrlCRC != 0 {
		check = 2
	}
	if n < headerLen+1+check || n > maxFrame {
		return frame{}, 0, errLength
	}
	if len(b) < n {
		return frame{}, 0, nil
	}
	body, sum := b[:n-check], b[n-check:n]
	if check == 2 && binary.LittleEndian.Uint16(sum) != crc16(body) || check == 1 && sum[0] != checksum(body) {
		return frame{}, 0, errChecksum
	}
	f = frame{address: b[1] &^ replyBit, reply: b[1]&replyBit != 0, seq: ctrl & ctrlSequence, crc: check == 2, secure: ctrl&ctrlSecure != 0}
	rest := body[headerLen:]
	if f.secure {
		if len(rest) < 2 || int(rest[0]) < 2 || int(rest[0]) >= len(rest) {
			return frame{}, 0, errSecurity
		}
		f.scs, f.scsData = rest[1], rest[2:rest[0]]
		rest = rest[rest[0]:]
	}
	f.code, f.data, f.signed = rest[0], rest[1:], body
	return f, n, nil
}

// crc16 is the CRC of OSDP: polynomial 0x1021, start 0x1D0F, high bit first.
func crc16(b []byte) uint16 {
	crc := uint16(0x1D0F)
	for _, x := range b {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^x]
	}
	return crc
}

var crcTable = func() (t [256]uint16) {
	for i := range t {
		c := uint16(i) << 8
		for range 8 {
			if c&0x8000 != 0 {
				c = c<<1 ^ 0x1021
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}()

// checksum is the two's complement of the sum of all bytes.
func checksum(b []byte) byte {
	var s byte
	for _, x := range b {
		s += x
	}
	return -s
}
