package login

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"strings"
)

// RecoveryCodes is how many a person gets; each works once, also while the clock is suspect.
const RecoveryCodes = 10

// crockford leaves out letters that are read as digits.
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// randomCode is 80 random bits in four groups of four, e.g. 7K2M-Q0XD-…: short enough to type, long enough
// that a plain hash of it cannot be searched.
func randomCode() string {
	b := make([]byte, 10)
	rand.Read(b)
	s := crockford.EncodeToString(b)
	return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:]
}

// NewRecoveryCodes makes the codes to print and, in the same order, what to store of them.
func NewRecoveryCodes() (codes []string, hashes [][]byte) {
	for range RecoveryCodes {
		c := randomCode()
		codes = append(codes, c)
		hashes = append(hashes, HashCode(c))
	}
	return codes, hashes
}

// NewSetupCode makes the code that lets the first administrator in, and what to store of it.
func NewSetupCode() (code string, hash []byte) {
	code = randomCode()
	return code, HashCode(code)
}

// HashCode is what is stored of a recovery or set-up code. Spaces, dashes and case do not matter, and the
// letters O, I, L represent the digits they look like.
func HashCode(code string) []byte {
	sum := sha256.Sum256([]byte("campuskeep code\x00" + plainCode(code)))
	return sum[:]
}

func plainCode(code string) string {
	return strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(strings.TrimSpace(code)))
}

// LooksLikeRecovery tells a recovery code from a one-time code by its length.
func LooksLikeRecovery(code string) bool { return len(plainCode(code)) > 10 }

// UseRecovery looks for the code among the stored hashes and gives what is left to store without it.
func UseRecovery(code string, hashes [][]byte) (left [][]byte, ok bool) {
	want := HashCode(code)
	for _, h := range hashes {
		if !ok && subtle.ConstantTimeCompare(h, want) == 1 {
			ok = true
			continue
		}
		left = append(left, h)
	}
	return left, ok
}
