package reader

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"campuskeep/shared/attendance"
)

// Commands that we send.
const (
	cmdPoll   = 0x60
	cmdID     = 0x61
	cmdCap    = 0x62
	cmdLED    = 0x69
	cmdBuzzer = 0x6A

	cmdKeySet    = 0x75
	cmdChallenge = 0x76
	cmdCrypt     = 0x77
)

// Replies that readers give.
const (
	replyACK     = 0x40
	replyNAK     = 0x41
	replyID      = 0x45
	replyCap     = 0x46
	replyLocal   = 0x48 // tamper and power
	replyRaw     = 0x50 // card data, raw bits
	replyFormat  = 0x51 // card data as characters, withdrawn from the standard
	replyKeypad  = 0x53
	replyComSet  = 0x54
	replyCCrypt  = 0x76
	replyRMAC    = 0x78
	replyBusy    = 0x79
	nakCheck     = 0x01 // the packet came damaged
	nakUnknown   = 0x03 // command not known
	nakSequence  = 0x04
	nakSecurity  = 0x05 // security block not supported
	nakCondition = 0x06 // encryption required
)

// Colours of osdp_LED.
var ledColour = map[attendance.Colour]byte{attendance.Dark: 0, attendance.Red: 1, attendance.Green: 2, attendance.Amber: 3}

// tenths is a time in the unit of OSDP, 100 ms, rounded up.
func tenths(d time.Duration) int {
	return int((d + 100*time.Millisecond - 1) / (100 * time.Millisecond))
}

func capped(n int) byte { return byte(min(n, 255)) }

// ledData is the temporary setting of light 0 of reader 0; its permanent setting stays as it is.
func ledData(p attendance.Pattern) []byte {
	const set, cancel = 2, 1
	d := make([]byte, 14)
	if p.Colour == attendance.Dark {
		d[2] = cancel
		return d
	}
	d[2] = set
	d[3], d[4] = capped(tenths(p.LightOn)), capped(tenths(p.LightOff))
	d[5], d[6] = ledColour[p.Colour], ledColour[attendance.Dark]
	binary.LittleEndian.PutUint16(d[7:], uint16(min(tenths(p.Light), 0xFFFF)))
	return d
}

// buzzerData is the tone of reader 0.
func buzzerData(p attendance.Pattern) []byte {
	const off, defaultTone = 1, 2
	if p.Beeps == 0 {
		return []byte{0, off, 0, 0, 0}
	}
	return []byte{0, defaultTone, capped(tenths(p.BeepOn)), capped(tenths(p.BeepOff)), capped(p.Beeps)}
}

// nak is the reason of a NAK; 0 when the frame is none, names none, or is inside a channel that is not opened yet.
func (f frame) nak() byte {
	if f.secure || f.code != replyNAK || len(f.data) == 0 {
		return 0
	}
	return f.data[0]
}

// capabilities are what a reader says of itself, as far as it matters here. Who says nothing is taken to be able.
type capabilities struct {
	mute, dark bool // it has no buzzer, no light
	formatted  bool // sends card numbers as text only
}

// Functions of osdp_PDCAP.
const (
	capCardFormat = 3 // level 1: bits, 2: text, 3: either
	capLED        = 4
	capBuzzer     = 5
)

// parseCap reads the data of osdp_PDCAP: function, level, count, three bytes each.
func parseCap(data []byte) (c capabilities) {
	for ; len(data) >= 3; data = data[3:] {
		switch level := data[1]; data[0] {
		case capCardFormat:
			c.formatted = level == 2
		case capLED:
			c.dark = level == 0
		case capBuzzer:
			c.mute = level == 0
		}
	}
	return c
}

// parseRaw reads the data of osdp_RAW: reader, format, count of bits, bits.
func parseRaw(data []byte) (bits int, uid []byte, err error) {
	if len(data) < 4 {
		return 0, nil, fmt.Errorf("card data has %d bytes, not at least 4", len(data))
	}
	bits = int(binary.LittleEndian.Uint16(data[2:]))
	body := data[4:]
	if bits < 1 || bits > attendance.MaxCardBits || len(body) != (bits+7)/8 {
		return 0, nil, fmt.Errorf("card data says %d bits and has %d bytes", bits, len(body))
	}
	uid = append([]byte(nil), body...)
	if spare := 8*len(uid) - bits; spare > 0 {
		uid[len(uid)-1] &^= 1<<spare - 1 // readers fill the rest as they like
	}
	return bits, uid, nil
}

// parseID reads the data of osdp_PDID: vendor (3), model, version, serial (4), firmware (3).
func parseID(data []byte) (vendor, device string, err error) {
	if len(data) < 12 {
		return "", "", fmt.Errorf("identification has %d bytes, not 12", len(data))
	}
	oui, serial := hex.EncodeToString(data[:3]), binary.LittleEndian.Uint32(data[5:])
	return fmt.Sprintf("%s model %d.%d serial %d firmware %d.%d.%d", oui, data[3], data[4], serial, data[9], data[10], data[11]),
		fmt.Sprintf("%s-%d.%d-%d", oui, data[3], data[4], serial), nil
}
