package attendance

import (
	"bytes"
	"slices"
	"testing"
)

// A card that is held to a reader says in which of the printed formats a list is.
func TestFormatOfAPrintedNumberIsDetected(t *testing.T) {
	c32 := Card{Bits: 32, Raw: []byte{0x04, 0xA2, 0xB3, 0xC4}}
	c24 := Card{Bits: 24, Raw: []byte{0x7B, 0xB2, 0x6E}}
	for _, x := range []struct {
		printed string
		card    Card
		want    []string
	}{
		{"04A2B3C4", c32, []string{"hex-32"}},
		{"c4:b3:a2:04", c32, []string{"hex-reversed-32"}},
		{"0077771716", c32, []string{"dec-32"}},
		{"77771716", c32, []string{"dec-32"}}, // a spreadsheet ate the zeros
		{"3300106756", c32, []string{"dec-reversed-32"}},
		{"123,45678", c24, []string{"split-24"}},
		{"12345678", c24, []string{"split-24"}},
		{"08106606", c24, []string{"dec-24"}},
		{"12345678", c32, nil},
		{"7.7771716E+07", c32, nil},
		{"123,45678", c32, nil}, // a part of the number is not the number
		{"", c32, nil},
		{"11111111", Card{Bits: 32, Raw: []byte{0x11, 0x11, 0x11, 0x11}}, []string{"hex-32", "hex-reversed-32"}},
	} {
		var got []string
		for _, f := range DetectFormats(x.printed, x.card) {
			got = append(got, f.String())
		}
		if !slices.Equal(got, x.want) {
			t.Errorf("%q: %v, want %v", x.printed, got, x.want)
		}
	}
}

// What a format prints it reads again, and what it reads it prints again.
func FuzzCardFormat(f *testing.F) {
	f.Add("0077771716", []byte{4, 0xA2, 0xB3, 0xC4})
	f.Add("123,45678", []byte{0x7B, 0xB2, 0x6E})
	f.Add("C4:B3:A2:04", []byte{1, 2, 3, 4, 5, 6, 7})
	f.Fuzz(func(t *testing.T, printed string, raw []byte) {
		if len(raw) > 70 {
			return
		}
		c := Card{Bits: 8 * len(raw), Raw: raw}
		for _, x := range formatsOf(c) {
			back, err := x.Parse(x.Print(c))
			if err != nil || !bytes.Equal(back.Raw, c.Raw) {
				t.Fatalf("%s of % x prints %q, read as % x, %v", x, raw, x.Print(c), back.Raw, err)
			}
			named, err := ParseCardFormat(x.String())
			if err != nil || named != x {
				t.Fatalf("%s is read as %s, %v", x, named, err)
			}
		}
		for _, x := range DetectFormats(printed, c) {
			if got, err := x.Parse(printed); err != nil || !bytes.Equal(got.Raw, raw) {
				t.Fatalf("%q in %s is % x, %v", printed, x, got.Raw, err)
			}
		}
		if x, err := ParseCardFormat(printed); err == nil {
			if got, err := x.Parse(printed); err == nil && got.check() != nil {
				t.Fatalf("%q gives a card that is none", printed)
			}
		}
	})
}
