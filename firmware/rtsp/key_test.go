package rtsp

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"campuskeep/firmware/digest"
)

// device is a camera that a test writes: it answers each request as the test says.
type device struct {
	t      *testing.T
	l      net.Listener
	answer func(req *base.Request) *base.Response
	mu     sync.Mutex
	log    []string // method and kind of log-in of each request
	wg     sync.WaitGroup
}

func newDevice(t *testing.T, answer func(*base.Request) *base.Response) *device {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &device{t: t, l: l, answer: answer}
	d.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.wg.Go(func() { d.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		d.wg.Wait()
	})
	return d
}

func (d *device) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		var req base.Request
		if err := req.Unmarshal(r); err != nil {
			return
		}
		kind, _, _ := strings.Cut(strings.Join(req.Header["Authorization"], ""), " ")
		d.mu.Lock()
		d.log = append(d.log, strings.TrimSpace(string(req.Method)+" "+kind))
		d.mu.Unlock()
		res := d.answer(&req)
		if res.Header == nil {
			res.Header = base.Header{}
		}
		res.Header["CSeq"] = req.Header["CSeq"]
		b, err := res.Marshal()
		if err != nil {
			d.t.Error(err)
			return
		}
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

func (d *device) asked() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.log, ", ")
}

func (d *device) target() Target {
	return Target{Address: "rtsp://" + d.l.Addr().String() + "/stream", User: "admin", Password: "secret"}
}

func ok(req *base.Request) *base.Response {
	res := &base.Response{StatusCode: base.StatusOK, Header: base.Header{}}
	switch req.Method {
	case base.Describe:
		res.Header["Content-Type"] = base.HeaderValue{"application/sdp"}
		res.Body = []byte(top + picture)
	case base.Setup:
		res.Header["Transport"] = base.HeaderValue{"RTP/AVP/TCP;unicast;interleaved=0-1"}
		res.Header["Session"] = base.HeaderValue{"1"}
	}
	return res
}

func no(status base.StatusCode, challenges ...string) *base.Response {
	res := &base.Response{StatusCode: status, Header: base.Header{}}
	if len(challenges) > 0 {
		res.Header["WWW-Authenticate"] = challenges
	}
	return res
}

// once makes nonces that are good for so many requests.
type once struct {
	uses, n int
	stale   string // parameter of a challenge after the first
	refusal base.StatusCode
	right   string
	wrong   int // answers with a nonce of the hour that were not right
	left    int
}

func (o *once) check(req *base.Request) *base.Response {
	if req.Method == base.Options {
		return ok(req)
	}
	given := strings.Join(req.Header["Authorization"], "")
	if nonce := fmt.Sprintf("n%d", o.n); strings.Contains(given, `nonce="`+nonce+`"`) {
		want := digest.Challenge{Realm: "r", Nonce: nonce}.Answer("admin", o.right, string(req.Method), req.URL.String(), "", 1)
		switch {
		case given != want:
			o.wrong++
		case o.left > 0:
			o.left--
			return ok(req)
		}
	}
	if given != "" && o.refusal == base.StatusForbidden && o.wrong == 0 {
		return no(o.refusal)
	}
	o.n++
	o.left = o.uses
	extra := ""
	if given != "" {
		extra = o.stale
	}
	return no(base.StatusUnauthorized, fmt.Sprintf(`Digest realm="r", nonce="n%d"%s`, o.n, extra))
}

// Covers F11: a nonce that has had its day is no wrong password.
func TestANewNonceIsNoWrongPassword(t *testing.T) {
	for _, stale := range []string{", stale=TRUE", `, stale="false"`, ""} {
		for _, refusal := range []base.StatusCode{base.StatusUnauthorized, base.StatusForbidden} {
			t.Run(fmt.Sprint(stale, refusal), func(t *testing.T) {
				o := &once{uses: 1, stale: stale, refusal: refusal, right: "secret"}
				d := newDevice(t, o.check)
				c, err := New(d.target())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				desc, err := c.Describe()
				if err != nil {
					t.Fatal(err, d.asked())
				}
				if err := c.Setup(desc, desc.Medias[0]); err != nil {
					t.Fatal(err, d.asked())
				}
				if err := c.Play(); err != nil {
					t.Fatal(err, d.asked())
				}
				if o.wrong != 0 {
					t.Errorf("%d wrong tries", o.wrong)
				}
			})
		}
	}
}

// A password that is not right is given once, whatever the device says of its nonces.
func TestAWrongPasswordIsGivenOnce(t *testing.T) {
	for _, stale := range []string{", stale=TRUE", ""} {
		for _, uses := range []int{1, 100} {
			o := &once{uses: uses, stale: stale, right: "other"}
			d := newDevice(t, o.check)
			c, err := New(d.target())
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Describe()
			var e *Error
			if !errors.As(err, &e) || e.Trouble != Refused || o.wrong != 1 {
				t.Errorf("%v, %d wrong tries: %s", err, o.wrong, d.asked())
			}
			_, _ = c.Describe()
			if o.wrong != 1 {
				t.Errorf("%d wrong tries: %s", o.wrong, d.asked())
			}
			c.Close()
		}
	}
}

// A password that is changed while we are in: one wrong try.
func TestAPasswordChangesInTheMiddle(t *testing.T) {
	for _, stale := range []string{", stale=TRUE", ""} {
		o := &once{uses: 100, stale: stale, right: "secret"}
		d := newDevice(t, o.check)
		c, err := New(d.target())
		if err != nil {
			t.Fatal(err)
		}
		desc, err := c.Describe()
		if err != nil {
			t.Fatal(err)
		}
		o.right, o.n = "other", o.n+1 // restarted: the old nonce is unknown
		err = c.Setup(desc, desc.Medias[0])
		if e, ok := errors.AsType[*Error](err); !ok || e.Trouble != Refused || o.wrong != 1 {
			t.Errorf("%v, %d wrong tries: %s", err, o.wrong, d.asked())
		}
		c.Close()
	}
}

// Covers F11: the password goes in clear only where that was allowed, and never after Digest was offered.
func TestClearPasswords(t *testing.T) {
	const basic, dig = `Basic realm="r"`, `Digest realm="r", nonce="n"`
	for name, x := range map[string]struct {
		change     func(*Target)
		challenges [][]string // one after another; the last again and again
		in         bool
		want       string
	}{
		"not allowed":               {func(*Target) {}, [][]string{{basic}}, false, "OPTIONS, DESCRIBE"},
		"allowed":                   {func(t *Target) { t.Basic = true }, [][]string{{basic}}, true, "OPTIONS, DESCRIBE, DESCRIBE Basic"},
		"both offered":              {func(t *Target) { t.Basic = true }, [][]string{{basic, dig}}, true, "OPTIONS, DESCRIBE, DESCRIBE Digest"},
		"Digest was offered before": {func(t *Target) { t.Basic, t.Digest = true, true }, [][]string{{basic}}, false, "OPTIONS, DESCRIBE"},
		"Digest of an unknown kind": {func(t *Target) { t.Basic = true }, [][]string{{`Digest realm="r", nonce="n", algorithm=X`, basic}}, false, "OPTIONS, DESCRIBE"},
		"nothing known":             {func(t *Target) { t.Basic = true }, [][]string{{`Bearer`}}, false, "OPTIONS, DESCRIBE"},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			d := newDevice(t, func(req *base.Request) *base.Response {
				if req.Method == base.Options || len(req.Header["Authorization"]) > 0 {
					return ok(req)
				}
				ch := x.challenges[min(n, len(x.challenges)-1)]
				n++
				return no(base.StatusUnauthorized, ch...)
			})
			target := d.target()
			x.change(&target)
			c, err := New(target)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Describe(); (err == nil) != x.in || d.asked() != x.want {
				t.Errorf("%v; %s", err, d.asked())
			}
		})
	}
}

// Covers F11: a device cannot send the password on, also not to another port of its own.
func TestNoRedirectWithAPassword(t *testing.T) {
	lure := newDevice(t, func(req *base.Request) *base.Response {
		if req.Method != base.Options && len(req.Header["Authorization"]) == 0 {
			return no(base.StatusUnauthorized, `Digest realm="r", nonce="n"`)
		}
		return ok(req)
	})
	var to string
	d := newDevice(t, func(req *base.Request) *base.Response {
		if req.Method == base.Describe {
			res := no(base.StatusFound)
			res.Header["Location"] = base.HeaderValue{to}
			return res
		}
		return ok(req)
	})
	for _, host := range []string{"", "user:pass@"} {
		to = "rtsp://" + host + lure.l.Addr().String() + "/x"
		c, err := New(d.target())
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Describe()
		if e, ok := errors.AsType[*Error](err); !ok || e.Trouble != Elsewhere || lure.asked() != "" {
			t.Errorf("%v; the other was asked %q", err, lure.asked())
		}
		c.Close()
	}
	target := d.target()
	target.User = ""
	c, err := New(target)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Describe(); err == nil || strings.Contains(lure.asked(), "Digest") || lure.asked() == "" {
		t.Errorf("without a password: %v; %s", err, lure.asked())
	}
}
