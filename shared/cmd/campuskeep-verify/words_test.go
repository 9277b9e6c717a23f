package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campuskeep/shared/packet"
)

// An identity is taken as words, in pinyin, as age writes it, and from a file.
func TestIdentitiesInEveryForm(t *testing.T) {
	var secret [packet.SecretSize]byte
	secret[3], secret[31] = 7, 201
	var words, pinyin []string
	for _, w := range packet.SecretWords(secret) {
		words, pinyin = append(words, w.Text), append(pinyin, w.Pinyin)
	}
	file := filepath.Join(t.TempDir(), "key.txt")
	for _, text := range []string{packet.AgeIdentity(secret), strings.Join(words, ""), strings.Join(pinyin, " ")} {
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, given := range []string{text, file} {
			if list, err := identities(given); err != nil || len(list) != 1 {
				t.Errorf("%q: %v", given, err)
			}
		}
	}
	for _, given := range []string{"", "nothing", strings.Join(words[:23], "") + "青门青"} {
		if list, err := identities(given); err == nil {
			t.Errorf("%q gives %d identities", given, len(list))
		}
	}
	for i := range 2000 { // no key of age is taken for words
		secret[0], secret[1], secret[2] = byte(i), byte(i>>8), byte(i>>16)
		if _, err := identities(strings.ToLower(packet.AgeIdentity(secret))); err != nil {
			t.Fatalf("%s: %v", packet.AgeIdentity(secret), err)
		}
	}
	if got := permuted([]string{"package.age", "-identity", "x", "-key=y"}); strings.Join(got, " ") != "-identity x -key=y package.age" {
		t.Errorf("%v", got)
	}
}
