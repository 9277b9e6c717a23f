package attendance

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// CardStyle is how a card number is printed: on the card, in the maker's list, by a desktop reader.
type CardStyle string

// The styles.
const (
	StyleHex     CardStyle = "hex"   // all bytes, hexadecimal
	StyleDecimal CardStyle = "dec"   // the whole number, decimal; 10 digits for 32 bits, 8 for 24
	StyleSplit   CardStyle = "split" // the last 24 bits as 3 and 5 digits: "123,45678" or "12345678"
)

// CardFormat is a style with what it leaves open: the order of the bytes and how many there are.
type CardFormat struct {
	Style    CardStyle `json:"style"`
	Reversed bool      `json:"reversed,omitempty"` // the last byte that the reader gives comes first
	Bits     int       `json:"bits"`               // of the number that the reader gives; whole bytes
}

// String names the format: "dec-reversed-32". ParseCardFormat reads it.
func (f CardFormat) String() string {
	s := string(f.Style)
	if f.Reversed {
		s += "-reversed"
	}
	return s + "-" + strconv.Itoa(f.Bits)
}

// ParseCardFormat reads what String gives.
func ParseCardFormat(s string) (CardFormat, error) {
	parts := strings.Split(s, "-")
	f := CardFormat{Style: CardStyle(parts[0])}
	if len(parts) == 3 && parts[1] == "reversed" {
		f.Reversed = true
		parts = slices.Delete(parts, 1, 2)
	}
	if len(parts) != 2 {
		return CardFormat{}, fmt.Errorf("card format %q: not style-bits", s)
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil || n%8 != 0 || n < 8 || n > 64 || f.Style != StyleHex && f.Style != StyleDecimal && (f.Style != StyleSplit || n != 24) {
		return CardFormat{}, fmt.Errorf("card format %q: no such format", s)
	}
	f.Bits = n
	return f, nil
}

// maxPrintedBits is the longest number that readers print: 8 bytes.
const maxPrintedBits = 64

// formatsOf are the formats in which a card may be printed so that its whole number can be found again.
func formatsOf(c Card) (out []CardFormat) {
	if c.Bits%8 != 0 || c.Bits > maxPrintedBits || len(c.Raw) != c.Bits/8 {
		return nil
	}
	styles := []CardStyle{StyleHex, StyleDecimal}
	if c.Bits == 24 {
		styles = append(styles, StyleSplit)
	}
	for _, s := range styles {
		for _, r := range []bool{false, true} {
			out = append(out, CardFormat{Style: s, Reversed: r, Bits: c.Bits})
		}
	}
	return out
}

func (f CardFormat) order(raw []byte) []byte {
	out := slices.Clone(raw)
	if f.Reversed {
		slices.Reverse(out)
	}
	return out
}

// Print is the card as this format prints it; empty when the format is for other cards.
func (f CardFormat) Print(c Card) string {
	if c.Bits != f.Bits || len(c.Raw) != f.Bits/8 || f.Bits < 8 || f.Bits > maxPrintedBits {
		return ""
	}
	b := f.order(c.Raw)
	n := number(b)
	switch f.Style {
	case StyleDecimal:
		return fmt.Sprintf("%0*d", decimalDigits(f.Bits), n)
	case StyleSplit:
		return fmt.Sprintf("%03d,%05d", n>>16, n&0xFFFF)
	}
	return strings.ToUpper(fmt.Sprintf("%0*x", f.Bits/4, n))
}

func number(b []byte) uint64 {
	var w [8]byte
	copy(w[8-len(b):], b)
	return binary.BigEndian.Uint64(w[:])
}

// decimalDigits is how many digits the highest number of so many bits has.
func decimalDigits(bits int) int {
	return len(strconv.FormatUint(^uint64(0)>>(64-bits), 10))
}

// Parse reads a number that is printed in this format. Spaces, colons, dashes and a lost leading zero do no harm.
func (f CardFormat) Parse(s string) (Card, error) {
	if _, err := ParseCardFormat(f.String()); err != nil {
		return Card{}, err
	}
	text := strings.TrimSpace(s)
	if f.Style == StyleHex {
		text = strings.TrimPrefix(strings.TrimPrefix(text, "0x"), "0X")
		text = strings.NewReplacer(" ", "", ":", "", "-", "").Replace(text)
	} else {
		text = strings.NewReplacer(" ", "").Replace(text)
	}
	n, err := f.value(text)
	if err != nil {
		return Card{}, fmt.Errorf("card number: %w", err)
	}
	if f.Bits < 64 && n>>f.Bits != 0 {
		return Card{}, fmt.Errorf("card number: more than %d bits", f.Bits)
	}
	var w [8]byte
	binary.BigEndian.PutUint64(w[:], n)
	return Card{Bits: f.Bits, Raw: f.order(w[8-f.Bits/8:])}, nil
}

func (f CardFormat) value(text string) (uint64, error) {
	switch f.Style {
	case StyleHex:
		if len(text) > f.Bits/4 {
			return 0, fmt.Errorf("more than %d hexadecimal digits", f.Bits/4)
		}
		return strconv.ParseUint(text, 16, 64)
	case StyleDecimal:
		return strconv.ParseUint(text, 10, 64)
	}
	high, low, ok := strings.Cut(strings.ReplaceAll(text, "，", ","), ",")
	if !ok {
		if len(text) < 6 || len(text) > 8 {
			return 0, fmt.Errorf("not three and five digits")
		}
		high, low = text[:len(text)-5], text[len(text)-5:]
	}
	a, err := strconv.ParseUint(high, 10, 8)
	if err != nil {
		return 0, err
	}
	b, err := strconv.ParseUint(low, 10, 16)
	return a<<16 | b, err
}

// DetectFormats are the formats in which the printed number is that of the card which was held to a reader: usually
// one. Two are left where the number reads the same both ways; another card decides. None: the printed number is not
// the number that the reader gives, or only a part of it.
func DetectFormats(printed string, c Card) (out []CardFormat) {
	for _, f := range formatsOf(c) {
		if got, err := f.Parse(printed); err == nil && slices.Equal(got.Raw, c.Raw) {
			out = append(out, f)
		}
	}
	return out
}

// Printed lists how a card reads in the styles that printed lists use, for a person who compares.
func Printed(c Card) (out []string) {
	if _, user := c.User(); user {
		return []string{c.String()}
	}
	for _, f := range formatsOf(c) {
		if s := f.Print(c); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
