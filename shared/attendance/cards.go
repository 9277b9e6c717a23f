package attendance

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Card is the number of a card as a reader gives it: Bits bits, the first one the highest of Raw[0];
// unused low bits of the last byte are zero.
type Card struct {
	Bits int
	Raw  []byte
}

// MaxCardBits bounds a card number; the longest in use (PIV) has 200.
const MaxCardBits = 512

// ParseCard reads a card number as rosters and printed lists carry it: hexadecimal bytes, with or without
// spaces, colons or dashes ("04:A2:B3:C4"), or "26:" and the bytes for numbers that do not fill them, or "user:" and the
// digits of a user number of network terminals.
func ParseCard(s string) (Card, error) {
	bits := -1
	text := strings.TrimSpace(s)
	if n, ok := strings.CutPrefix(text, userPrefix); ok {
		v, err := strconv.ParseUint(n, 10, 64)
		if err != nil || v == 0 {
			return Card{}, fmt.Errorf("user number: not digits")
		}
		return UserNumber(v), nil
	}
	if n, rest, ok := strings.Cut(text, ":"); ok && len(n) > 0 && strings.Count(text, ":") == 1 && len(rest) > 2 {
		v, err := strconv.Atoi(n)
		if err != nil || v < 1 || v > MaxCardBits {
			return Card{}, fmt.Errorf("card number: the count of bits is not 1 to %d", MaxCardBits)
		}
		bits, text = v, rest
	}
	text = strings.NewReplacer(" ", "", ":", "", "-", "").Replace(text)
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) == 0 {
		return Card{}, fmt.Errorf("card number: not hexadecimal bytes")
	}
	if bits < 0 {
		bits = 8 * len(raw)
	}
	c := Card{Bits: bits, Raw: raw}
	if err := c.check(); err != nil {
		return Card{}, err
	}
	return c, nil
}

func (c Card) check() error {
	if c.Bits < 1 || c.Bits > MaxCardBits || len(c.Raw) != (c.Bits+7)/8 {
		return fmt.Errorf("card number: %d bits do not fit %d bytes", c.Bits, len(c.Raw))
	}
	if spare := 8*len(c.Raw) - c.Bits; spare > 0 && c.Raw[len(c.Raw)-1]&(1<<spare-1) != 0 {
		return fmt.Errorf("card number: bits beyond the %dth are set", c.Bits)
	}
	return nil
}

// userPrefix is written before user numbers; userMark is the first byte of their cards.
const (
	userPrefix = "user:"
	userMark   = 'U'
	userBits   = 72
)

// UserNumber is the user number of network terminals in the form of a card: terminals that know people by card, finger
// or face all report this number. No card has one like it.
func UserNumber(n uint64) Card {
	return Card{Bits: userBits, Raw: binary.BigEndian.AppendUint64([]byte{userMark}, n)}
}

// User is the user number that the card is; false for the number of a real card.
func (c Card) User() (uint64, bool) {
	if c.Bits != userBits || len(c.Raw) != userBits/8 || c.Raw[0] != userMark {
		return 0, false
	}
	n := binary.BigEndian.Uint64(c.Raw[1:])
	return n, n != 0
}

// Tail is what tells a card from others: the last four digits.
func (c Card) Tail() string {
	s := strings.TrimPrefix(c.String(), userPrefix)
	return s[max(0, len(s)-4):]
}

// String is what [ParseCard] reads.
func (c Card) String() string {
	if n, ok := c.User(); ok {
		return userPrefix + strconv.FormatUint(n, 10)
	}
	h := strings.ToUpper(hex.EncodeToString(c.Raw))
	if c.Bits == 8*len(c.Raw) {
		return h
	}
	return fmt.Sprintf("%d:%s", c.Bits, h)
}

// Hash is how a card number is stored: HMAC-SHA256 under the site key over the count of bits and the
// number. Without the site key, which is never in the database, the number cannot be found by trying all.
func (c Card) Hash(siteKey [32]byte) []byte {
	m := hmac.New(sha256.New, siteKey[:])
	m.Write(binary.BigEndian.AppendUint16([]byte("campuskeep card 1\x00"), uint16(c.Bits)))
	m.Write(c.Raw)
	return m.Sum(nil)
}
