package frame

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// LeafHash is the RFC 6962 hash of a leaf, as documents print it.
func LeafHash(leaf []byte) string {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(leaf)
	return hex.EncodeToString(h.Sum(nil))
}

// FingerprintWords cuts a hash into eights, so that it can be read aloud and broken over lines.
func FingerprintWords(hash string) string {
	var words []string
	for len(hash) > 8 {
		words, hash = append(words, hash[:8]), hash[8:]
	}
	return strings.Join(append(words, hash), " ")
}
