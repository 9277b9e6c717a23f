package packet

import (
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
)

// The examples of GB/T 32905-2016, annex A.
func TestSM3OfTheStandard(t *testing.T) {
	for in, want := range map[string]string{
		"abc":                      "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
		strings.Repeat("abcd", 16): "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732",
		"":                         "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b",
	} {
		h := NewSM3()
		for _, b := range []byte(in) {
			_, _ = h.Write([]byte{b})
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("SM3(%q) = %s, want %s", in, got, want)
		}
		h.Reset()
		_, _ = h.Write([]byte(in))
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("SM3(%q) in one piece = %s", in, got)
		}
	}
}

func TestSecretsInWords(t *testing.T) {
	if len(firstCharacters) != 64 || len(secondCharacters) != 32 || len(secretWordNumbers) != 2*2048 {
		t.Fatalf("%d × %d characters, %d spellings: each word must be told from every other", len(firstCharacters), len(secondCharacters), len(secretWordNumbers))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var secret [SecretSize]byte
		for i := range secret {
			secret[i] = byte(r.Uint32())
		}
		words := SecretWords(secret)
		var text, pinyin, joined []string
		for i, w := range words {
			text, pinyin = append(text, w.Text), append(pinyin, w.Pinyin)
			joined = append(joined, strings.Repeat(" ", i%2)+w.Text)
		}
		for _, s := range []string{strings.Join(text, " "), strings.Join(pinyin, "  "), strings.Join(text, ""), "1. " + strings.Join(text, "、2 ") + "。", strings.Join(joined, "")} {
			if got, err := ParseSecretWords(s); err != nil || got != secret {
				t.Fatalf("%q: %v", s, err)
			}
		}
		if _, err := ParseSecretWords(strings.Join(text[1:], " ")); err != ErrWordCount {
			t.Fatalf("a word too few: %v", err)
		}
	}
	refused := 0
	for range 2000 { // a wrong word is found in 255 of 256 cases
		var secret [SecretSize]byte
		words := SecretWords(secret)
		n := r.IntN(2048)
		text := make([]string, len(words))
		for i, w := range words {
			text[i] = w.Text
		}
		at := r.IntN(len(text))
		if text[at] == secretWord(n).Text {
			refused++
			continue
		}
		text[at] = secretWord(n).Text
		if _, err := ParseSecretWords(strings.Join(text, " ")); err == ErrWordSum {
			refused++
		}
	}
	if refused < 1970 {
		t.Errorf("%d of 2000 wrong words were found", refused)
	}
}
