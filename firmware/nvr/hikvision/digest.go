package hikvision

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

// challenge is what a server asks for (RFC 7616), as far as NVRs use it.
type challenge struct {
	realm, nonce, opaque, algorithm string
	auth                            bool // quality of protection "auth" is offered; without it the form of RFC 2069
	stale                           bool // the password was right, the nonce too old
}

// parseChallenge finds the strongest digest challenge among the WWW-Authenticate fields. A password is never sent in
// clear: a server that offers nothing but Basic is refused.
func parseChallenge(fields []string) (challenge, error) {
	var best challenge
	for _, f := range fields {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(f), " ")
		if !strings.EqualFold(scheme, "Digest") {
			continue
		}
		p, err := params(rest)
		if err != nil {
			return challenge{}, err
		}
		c := challenge{realm: p["realm"], nonce: p["nonce"], opaque: p["opaque"], algorithm: p["algorithm"], stale: strings.EqualFold(p["stale"], "true")}
		for q := range strings.SplitSeq(p["qop"], ",") {
			c.auth = c.auth || strings.EqualFold(strings.TrimSpace(q), "auth")
		}
		if p["qop"] != "" && !c.auth || c.nonce == "" || newHash(c.algorithm) == nil {
			continue
		}
		if best.nonce == "" || strings.EqualFold(c.algorithm, "SHA-256") {
			best = c
		}
	}
	if best.nonce == "" {
		return best, errors.New("no digest challenge that can be answered")
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

// answer makes the Authorization field for one request. count is how often the nonce was used, this time included.
func (c challenge) answer(user, password, method, uri, cnonce string, count uint32) string {
	h := func(s string) string {
		d := newHash(c.algorithm)()
		d.Write([]byte(s)) // a hash never fails
		return hex.EncodeToString(d.Sum(nil))
	}
	a1, a2 := h(user+":"+c.realm+":"+password), h(method+":"+uri)
	var b strings.Builder
	fmt.Fprintf(&b, `Digest username="%s", realm="%s", nonce="%s", uri="%s"`, quote(user), quote(c.realm), quote(c.nonce), quote(uri))
	if c.algorithm != "" {
		fmt.Fprintf(&b, ", algorithm=%s", c.algorithm)
	}
	if c.opaque != "" {
		fmt.Fprintf(&b, `, opaque="%s"`, quote(c.opaque))
	}
	if c.auth {
		nc := fmt.Sprintf("%08x", count)
		fmt.Fprintf(&b, `, qop=auth, nc=%s, cnonce="%s", response="%s"`, nc, quote(cnonce), h(a1+":"+c.nonce+":"+nc+":"+cnonce+":auth:"+a2))
	} else {
		fmt.Fprintf(&b, `, response="%s"`, h(a1+":"+c.nonce+":"+a2))
	}
	return b.String()
}

func quote(s string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) }

func newNonce() string {
	var b [18]byte
	rand.Read(b[:]) // never fails
	return base64.StdEncoding.EncodeToString(b[:])
}
