package people

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// A device that has logged in as a person before keeps a cookie that says so: a random number and one authenticator
// for each person. Its failures count apart, so that strangers who spoil the counters of a log-in name or of an
// address do not keep the person out. The cookie lets nobody in and names nobody.

// mostOnDevice bounds the persons of one device; the oldest falls out.
const mostOnDevice = 8

func (p *People) deviceMAC(random, person string) string {
	m := hmac.New(sha256.New, p.siteKey[:])
	m.Write([]byte("campuskeep device\x00" + random + "\x00" + person))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:16])
}

// knownDevice gives the key that counts the failures of a device that the person has used; empty when it is unknown.
func (p *People) knownDevice(cookie, person string) string {
	random, macs, _ := strings.Cut(cookie, ".")
	if random == "" || person == "" || len(cookie) > 512 {
		return ""
	}
	want := p.deviceMAC(random, person)
	for _, mac := range strings.Split(macs, ".") {
		if hmac.Equal([]byte(mac), []byte(want)) {
			return "d-" + hex.EncodeToString(p.pseudonym("device", random+"\x00"+person))
		}
	}
	return ""
}

// deviceCookie is the cookie of a device on which the person has just logged in.
func (p *People) deviceCookie(cookie, person string) string {
	if p.knownDevice(cookie, person) != "" {
		return cookie
	}
	random, macs, _ := strings.Cut(cookie, ".")
	if b, err := base64.RawURLEncoding.DecodeString(random); err != nil || len(b) != 16 || len(cookie) > 512 {
		b = make([]byte, 16)
		rand.Read(b)
		random, macs = base64.RawURLEncoding.EncodeToString(b), ""
	}
	list := strings.FieldsFunc(macs, func(r rune) bool { return r == '.' })
	if len(list) >= mostOnDevice {
		list = list[len(list)-mostOnDevice+1:]
	}
	return random + "." + strings.Join(append(list, p.deviceMAC(random, person)), ".")
}
