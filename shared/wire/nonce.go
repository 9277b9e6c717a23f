package wire

import (
	"encoding/hex"
	"fmt"
)

// Nonce is 16 random bytes that bind an answer to its question.
type Nonce [16]byte

// MarshalText writes lower-case hex.
func (n Nonce) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(n[:])), nil }

// UnmarshalText reads what MarshalText writes.
func (n *Nonce) UnmarshalText(b []byte) error {
	if len(b) != 2*len(n) {
		return fmt.Errorf("nonce of %d characters", len(b))
	}
	_, err := hex.Decode(n[:], b)
	return err
}
