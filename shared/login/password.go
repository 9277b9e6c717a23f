package login

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Params are the costs of one Argon2id computation.
type Params struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
}

// Cost is what new hashes use: 19 MiB, two passes, one lane. It is the OWASP recommendation that asks for the
// least memory; 64 MiB (the second choice of RFC 9106) would not fit beside the recorder on a small board.
// Raise it and every password is hashed again at its owner's next log-in ([Hash] states its own parameters).
var Cost = Params{Memory: 19 * 1024, Time: 2, Threads: 1}

// The most that a stored hash may ask for, so that a damaged or planted row cannot exhaust the board.
var maxCost = Params{Memory: 256 * 1024, Time: 10, Threads: 16}

const (
	saltBytes = 16
	hashBytes = 32
)

// ErrHash is returned for a stored hash that is not a PHC string of Argon2id within the accepted costs.
var ErrHash = errors.New("login: not an argon2id hash")

// Hash turns a password into a PHC string ($argon2id$v=19$m=…,t=…,p=…$salt$hash) with a fresh salt.
func Hash(password string, p Params) string {
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	sum := argon2.IDKey([]byte(password), salt, p.Time, p.Memory, p.Threads, hashBytes)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.Memory, p.Time, p.Threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

// Verify compares a password with a stored hash in constant time. rehash says that it matches and was made
// with other costs than want, so that the caller stores a new one.
func Verify(password, stored string, want Params) (ok, rehash bool, err error) {
	p, salt, sum, err := parsePHC(stored)
	if err != nil {
		return false, false, err
	}
	got := argon2.IDKey([]byte(password), salt, p.Time, p.Memory, p.Threads, uint32(len(sum)))
	ok = subtle.ConstantTimeCompare(got, sum) == 1
	return ok, ok && p != want, nil
}

func parsePHC(s string) (p Params, salt, sum []byte, err error) {
	f := strings.Split(s, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, nil, nil, ErrHash
	}
	if _, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &p.Memory, &p.Time, &p.Threads); err != nil ||
		f[3] != fmt.Sprintf("m=%d,t=%d,p=%d", p.Memory, p.Time, p.Threads) {
		return p, nil, nil, ErrHash
	}
	if p.Time < 1 || p.Threads < 1 || p.Memory < 8*uint32(p.Threads) ||
		p.Memory > maxCost.Memory || p.Time > maxCost.Time || p.Threads > maxCost.Threads {
		return p, nil, nil, fmt.Errorf("%w: costs %s are out of range", ErrHash, f[3])
	}
	salt, err1 := base64.RawStdEncoding.Strict().DecodeString(f[4])
	sum, err2 := base64.RawStdEncoding.Strict().DecodeString(f[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(salt) > 64 || len(sum) < 16 || len(sum) > 64 {
		return p, nil, nil, ErrHash
	}
	return p, salt, sum, nil
}
