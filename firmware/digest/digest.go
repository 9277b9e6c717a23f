// Package digest answers the challenges of HTTP digest authentication (RFC 7616), the form in which cameras and NVRs
// ask for a password.
//
// It owns nothing and opens no connection. It must never send a password in clear: what offers only Basic is for its
// caller to decide on.
package digest

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// ErrNone: no challenge that can be answered.
var ErrNone = errors.New("no digest challenge that can be answered")

// Challenge is what a server asks for, as far as devices use it.
type Challenge struct {
	Realm, Nonce, Opaque, Algorithm string
	Auth                            bool // quality of protection "auth" is offered; without it the form of RFC 2069
	Stale                           bool // the password was right, the nonce too old
}

// Parse finds the strongest digest challenge among the WWW-Authenticate fields. Errors: ErrNone, or what is wrong
// with a field.
func Parse(fields []string) (Challenge, error) {
	var best Challenge
	for _, f := range fields {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(f), " ")
		if !strings.EqualFold(scheme, "Digest") {
			continue
		}
		p, err := params(rest)
		if err != nil {
			return Challenge{}, err
		}
		c := Challenge{Realm: p["realm"], Nonce: p["nonce"], Opaque: p["opaque"], Algorithm: p["algorithm"], Stale: strings.EqualFold(p["stale"], "true")}
		for q := range strings.SplitSeq(p["qop"], ",") {
			c.Auth = c.Auth || strings.EqualFold(strings.TrimSpace(q), "auth")
		}
		if p["qop"] != "" && !c.Auth || c.Nonce == "" || newHash(c.Algorithm) == nil {
			continue
		}
		if best.Nonce == "" || strings.EqualFold(c.Algorithm, "SHA-256") {
			best = c
		}
	}
	if best.Nonce == "" {
		return best, ErrNone
	}
	return best, nil
}

// params reads a list of name=value or name="value".
func params(s string) (map[string]string, error) {
	out := map[string]string{}
	for {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			return out, nil
		}
		name, rest, ok := strings.Cut(s, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || name == "" || strings.ContainsAny(name, "\", \t") {
			return nil, errors.New("challenge is not a list of parameters")
		}
		rest = strings.TrimLeft(rest, " \t")
		var value string
		if strings.HasPrefix(rest, `"`) {
			var b strings.Builder
			i := 1
			for ; i < len(rest) && rest[i] != '"'; i++ {
				if rest[i] == '\\' && i+1 < len(rest) {
					i++
				}
				b.WriteByte(rest[i])
			}
			if i >= len(rest) {
				return nil, errors.New("challenge has an open quotation")
			}
			value, s = b.String(), rest[i+1:]
		} else {
			value, s, _ = strings.Cut(rest, ",")
			value = strings.TrimSpace(value)
		}
		if _, twice := out[name]; twice {
			return nil, errors.New("challenge names a parameter twice")
		}
		out[name] = value
	}
}

func newHash(algorithm string) func() hash.Hash {
	switch strings.ToUpper(algorithm) {
	case "", "MD5":
		return md5.New
	case "SHA-256":
		return sha256.New
	}
	return nil
}

// Answer makes the Authorization field for one request. count is how often the nonce was used, this time included.
func (c Challenge) Answer(user, password, method, uri, cnonce string, count uint32) string {
	h := func(s string) string {
		d := newHash(c.Algorithm)()
		d.Write([]byte(s)) // a hash never fails
		return hex.EncodeToString(d.Sum(nil))
	}
	a1, a2 := h(user+":"+c.Realm+":"+password), h(method+":"+uri)
	var b strings.Builder
	fmt.Fprintf(&b, `Digest username="%s", realm="%s", nonce="%s", uri="%s"`, quote(user), quote(c.Realm), quote(c.Nonce), quote(uri))
	if c.Algorithm != "" {
		fmt.Fprintf(&b, ", algorithm=%s", c.Algorithm)
	}
	if c.Opaque != "" {
		fmt.Fprintf(&b, `, opaque="%s"`, quote(c.Opaque))
	}
	if c.Auth {
		nc := fmt.Sprintf("%08x", count)
		fmt.Fprintf(&b, `, qop=auth, nc=%s, cnonce="%s", response="%s"`, nc, quote(cnonce), h(a1+":"+c.Nonce+":"+nc+":"+cnonce+":auth:"+a2))
	} else {
		fmt.Fprintf(&b, `, response="%s"`, h(a1+":"+c.Nonce+":"+a2))
	}
	return b.String()
}

func quote(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) }

// NewNonce is a nonce of ours.
func NewNonce() string {
	var b [18]byte
	rand.Read(b[:]) // never fails
	return base64.StdEncoding.EncodeToString(b[:])
}
