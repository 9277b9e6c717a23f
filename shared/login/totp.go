package login

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"campuskeep/shared/clock"
)

// One-time codes are RFC 6238 (TOTP) as every phone app speaks it: HMAC-SHA-1, 30 s steps, six digits. The
// algorithm is fifteen lines; they are here because the rule packages import no foreign module, and
// totp_test.go checks them against the vectors of the RFC.
const (
	totpStep   = 30 * time.Second
	totpDigits = 6
	secretSize = 20 // bytes: the output of the hash, RFC 4226 §4
)

// MaxCodeUncertainty is how unsure the clock may be for a one-time code to say anything. Two months without any
// source of time (50 ppm) are less. At this limit 23 codes of a million are accepted, and the lock-out leaves
// about a hundred guesses a day to somebody who has the password. Beyond it only recovery codes work.
const MaxCodeUncertainty = 5 * time.Minute

// Faults of a one-time code.
var (
	ErrCodeWrong  = errors.New("login: one-time code does not match")
	ErrCodeUsed   = errors.New("login: one-time code was used before")
	ErrClockWorse = errors.New("login: the clock is too uncertain for one-time codes")
)

// NewSecret makes the secret that a phone app shares with us.
func NewSecret() []byte {
	b := make([]byte, secretSize)
	rand.Read(b)
	return b
}

// SecretText is the secret as people type it into an app.
func SecretText(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

// SecretURI is what the QR code for the app holds.
func SecretURI(secret []byte, issuer, account string) string {
	v := url.Values{"secret": {SecretText(secret)}, "issuer": {issuer}}
	return "otpauth://totp/" + url.PathEscape(issuer+":"+account) + "?" + strings.ReplaceAll(v.Encode(), "+", "%20")
}

// Step is the number of the 30 s step that an instant lies in.
func Step(at time.Time) int64 { return at.Unix() / int64(totpStep/time.Second) }

// Code is the code of one step (RFC 4226 §5.3, with the counter of RFC 6238 §4.2).
func Code(secret []byte, step int64) string {
	m := hmac.New(sha1.New, secret)
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(step))
	m.Write(counter[:])
	sum := m.Sum(nil)
	o := sum[len(sum)-1] & 0x0f
	n := binary.BigEndian.Uint32(sum[o:o+4]) & 0x7fffffff
	return fmt.Sprintf("%0*d", totpDigits, n%1_000_000)
}

// VerifyCode finds the step whose code this is: one step either side for slow hands and the phone's clock, and
// as many more as our own clock is uncertain. A step is good for one log-in: those up to lastStep are refused
// with ErrCodeUsed (RFC 6238 §5.2), also when the clock went back. The caller stores the step that it returns.
func VerifyCode(secret []byte, code string, now clock.Reading, lastStep int64) (step int64, err error) {
	if now.Uncertainty > MaxCodeUncertainty {
		return 0, ErrClockWorse
	}
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	if len(code) != totpDigits {
		return 0, ErrCodeWrong
	}
	err = ErrCodeWrong
	for s := Step(now.Earliest()) - 1; s <= Step(now.Latest())+1; s++ {
		if subtle.ConstantTimeCompare([]byte(Code(secret, s)), []byte(code)) != 1 {
			continue
		}
		if s > lastStep {
			return s, nil
		}
		err = ErrCodeUsed
	}
	return 0, err
}
