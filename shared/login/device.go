package login

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// A device that has logged in as a person before keeps a cookie that says so: a random number and one authenticator
// for each person. Its failures count apart, so that strangers who spoil the counters of a log-in name or of an
// address do not keep the person out. The cookie lets nobody in and names nobody.

// mostOnDevice bounds the persons of one device; the oldest falls out.
const mostOnDevice = 8

func deviceMAC(key []byte, random, person string) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("campuskeep device\x00" + random + "\x00" + person))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:16])
}

// KnownDevice gives the number of a device that the person has used; empty when it is unknown. key is secret.
func KnownDevice(key []byte, cookie, person string) string {
	random, macs, _ := strings.Cut(cookie, ".")
	if random == "" || person == "" || len(cookie) > 512 {
		return ""
	}
	want := deviceMAC(key, random, person)
	for _, mac := range strings.Split(macs, ".") {
		if hmac.Equal([]byte(mac), []byte(want)) {
			return random
		}
	}
	return ""
}

// DeviceCookie is the cookie of a device on which the person has just logged in; cookie is the one that it had.
func DeviceCookie(key []byte, cookie, person string) string {
	if KnownDevice(key, cookie, person) != "" {
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
	return random + "." + strings.Join(append(list, deviceMAC(key, random, person)), ".")
}
