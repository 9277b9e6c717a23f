package rtsp

import (
	"encoding/base64"
	"errors"
	"strings"
	"sync"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"campuskeep/firmware/digest"
)

// ErrChallenge: the device asks for the password in a way that nobody knows.
var ErrChallenge = errors.New("the device asks for the password in a way that is not known")

// ErrClear: the device takes the password only in clear, which nobody has allowed.
var ErrClear = errors.New("the device takes the password only in clear")

// authenticator gives the password. It never gives one that was refused a second time: devices lock the address. A refusal
// after the password was right is a nonce that has had its day, and is answered once with the new one.
type authenticator struct {
	user, password string
	clear          bool // what is sent can be read on the way
	basic, digest  bool // as in Target

	mu           sync.Mutex
	hasChallenge bool // a challenge to answer
	ch           digest.Challenge
	basicOnly    bool // it is answered in clear
	count        uint32
	sent         bool // with the last request
	proven       bool // the last answer to a request with the password was no refusal
	usedNonce    bool // the password was refused: it is not given again
	asked        struct {
		seen   bool
		digest digest.Challenge
		ok     bool // digest can be answered
		basic  bool
	}
	plays bool
}

// put adds the answer to the challenge to a request.
func (k *authenticator) put(req *base.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sent = k.hasChallenge && !k.usedNonce
	if !k.sent {
		return
	}
	k.count++
	answer := "Basic " + base64.StdEncoding.EncodeToString([]byte(k.user+":"+k.password))
	if !k.basicOnly {
		answer = k.ch.Answer(k.user, k.password, string(req.Method), req.URL.CloneWithoutCredentials().String(), digest.NewNonce(), k.count)
	}
	req.Header["Authorization"] = base.HeaderValue{answer}
}

// observe looks at an answer.
func (k *authenticator) observe(res *base.Response) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if res.StatusCode != base.StatusUnauthorized && res.StatusCode != base.StatusForbidden {
		k.proven = k.proven || k.sent
		return
	}
	fields := res.Header["WWW-Authenticate"]
	a := &k.asked
	a.seen, a.basic = true, false
	var err error
	a.digest, err = digest.Parse(fields)
	a.ok = err == nil
	for _, f := range fields {
		scheme, _, _ := strings.Cut(strings.TrimSpace(f), " ")
		a.basic = a.basic || strings.EqualFold(scheme, "Basic")
		k.digest = k.digest || strings.EqualFold(scheme, "Digest")
	}
	if k.plays { // an answer to what keeps the session alive, for which nobody waits
		k.next(res.StatusCode)
	}
}

// retry says, after a refusal, whether the request may be sent once more, or why not.
func (k *authenticator) retry(status base.StatusCode) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.next(status)
}

func (k *authenticator) next(status base.StatusCode) (bool, error) {
	if k.user == "" || k.usedNonce {
		return false, nil
	}
	if k.sent && !k.proven {
		k.usedNonce = true
		return false, nil
	}
	if status == base.StatusForbidden { // says nothing of a challenge: ask for one, as at the beginning
		fresh := k.sent
		k.hasChallenge = false
		return fresh, nil
	}
	a := k.asked
	switch {
	case !a.ok && !a.basic:
		return false, ErrChallenge
	case !a.ok && k.clear && (k.digest || !k.basic):
		return false, ErrClear
	case k.sent && (!a.ok || a.digest.Nonce == k.ch.Nonce && !a.digest.Stale):
		k.usedNonce = true // the password has changed
		return false, nil
	}
	k.hasChallenge, k.ch, k.basicOnly, k.count, k.proven = true, a.digest, !a.ok, 0, false
	return true, nil
}

func (k *authenticator) playing() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.plays = true
}

func (k *authenticator) offered() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.digest
}
