package attendance

import (
	"bytes"
	"testing"
)

func TestParseCard(t *testing.T) {
	for in, want := range map[string]string{
		"04A2B3C4": "04A2B3C4", "04:a2:b3:c4": "04A2B3C4", " 04 A2 B3 C4 ": "04A2B3C4", "04-A2-B3-C4-D5-E6-F7": "04A2B3C4D5E6F7", "26:5A1B2C40": "26:5A1B2C40", "32:04A2B3C4": "04A2B3C4", "04:A2": "04A2",
	} {
		c, err := ParseCard(in)
		if err != nil || c.String() != want {
			t.Errorf("%q: %s, %v, want %s", in, c, err, want)
		}
	}
	for _, bad := range []string{"", "4", "card", "04A2B3C", "1.1E+17", "26:5A1B2C41", "0:00", "26:5A1B", "999:00", "04：A2"} {
		if c, err := ParseCard(bad); err == nil {
			t.Errorf("%q was taken as %s", bad, c)
		}
	}
}

func TestCardHash(t *testing.T) {
	a, b := Card{32, []byte{1, 2, 3, 4}}, Card{26, []byte{1, 2, 3, 0}}
	k1, k2 := [32]byte{1}, [32]byte{2}
	if bytes.Equal(a.Hash(k1), a.Hash(k2)) || bytes.Equal(a.Hash(k1), b.Hash(k1)) || !bytes.Equal(a.Hash(k1), a.Hash(k1)) || len(a.Hash(k1)) != 32 {
		t.Error("the hash does not depend on key, number and length alone")
	}
	if bytes.Equal(Card{24, []byte{1, 2, 0}}.Hash(k1), Card{17, []byte{1, 2, 0}}.Hash(k1)) {
		t.Error("numbers of different length are one card")
	}
}

func FuzzParseCard(f *testing.F) {
	for _, s := range []string{"04A2B3C4", "26:5A1B2C40", "04:A2:B3:C4", ":", "26:", "user:7"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCard(s)
		if err != nil {
			return
		}
		again, err := ParseCard(c.String())
		if err != nil || again.Bits != c.Bits || !bytes.Equal(again.Raw, c.Raw) {
			t.Errorf("%q became %s and then %s, %v", s, c, again, err)
		}
	})
}
