package login

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"time"

	"campuskeep/shared/clock"
)

// SessionRules say how long a session lives. Zero values are not allowed; see [DefaultSession].
type SessionRules struct {
	Idle     time.Duration // without a request
	Absolute time.Duration // in all
}

// DefaultSession: half an hour without a request, a long school day in all.
var DefaultSession = SessionRules{Idle: 30 * time.Minute, Absolute: 12 * time.Hour}

// Why a session is over.
var (
	ErrSessionIdle = errors.New("login: session was idle too long")
	ErrSessionOld  = errors.New("login: session reached its greatest age")
)

const tokenBytes = 32

// NewToken makes a session token (256 random bits, for the cookie) and its hash, the only thing that is stored.
func NewToken() (token, hash string) {
	b := make([]byte, tokenBytes)
	rand.Read(b)
	token = base64.RawURLEncoding.EncodeToString(b)
	hash, _ = HashToken(token)
	return token, hash
}

// HashToken is the hash under which a token is looked up; ok is false for what cannot be a token.
func HashToken(token string) (hash string, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != tokenBytes {
		return "", false
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), true
}

// Check says whether a session that began and was last used at these instants still lives: nil,
// ErrSessionIdle or ErrSessionOld. Where the clock cannot tell, the session is over.
func (r SessionRules) Check(began, used Stamp, now clock.Reading) error {
	if age, ok := began.Since(now); !ok || age >= r.Absolute {
		return ErrSessionOld
	}
	if idle, ok := used.Since(now); !ok || idle >= r.Idle {
		return ErrSessionIdle
	}
	return nil
}

// Ends is the wall time at which the session ends whatever happens, for showing.
func (r SessionRules) Ends(began Stamp) time.Time { return began.Wall.Add(r.Absolute) }
