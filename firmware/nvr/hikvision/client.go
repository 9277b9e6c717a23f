// Package hikvision drives NVRs that speak ISAPI over HTTP and RTSP.
//
// It owns the connections to one NVR. It must never ask anything more once a password was refused, never follow an
// address that an answer names, and never take an answer that it does not fully understand.
package hikvision

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"

	"campuskeep/firmware/nvr/driver"

	"campuskeep/firmware/digest"
	"campuskeep/firmware/pin"
)

const (
	maxAnswer = 4 << 20 // bytes of one answer
	// An answer to a request takes at most this: an NVR searches its disks slowly.
	answerTime = 30 * time.Second
	// A nonce is used for at most this long: some NVRs let it expire without saying so.
	nonceTime = 30 * time.Second
)

// Driver speaks to one NVR; see [nvr.Driver].
type Driver struct {
	t    driver.Target
	base *url.URL
	http *http.Client
	form form // of searches that this NVR takes; found out at the first

	mu          sync.Mutex // guards the rest
	refused     string     // why nothing is asked any more
	local       string
	ch          digest.Challenge
	since       time.Time // when ch was given
	count       uint32    // uses of ch
	proven      bool      // the password was right
	single      bool      // a nonce is good for one request only
	statesStale bool      // the NVR says when a nonce is too old
}

var _ driver.Driver = (*Driver)(nil)

// Open makes a driver. It does not connect.
func Open(t driver.Target) (driver.Driver, error) {
	u, err := url.Parse(t.Address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, fmt.Errorf("hikvision: the address of NVR %s is not http:// or https:// with a host alone", t.ID)
	}
	transport := &http.Transport{
		DialContext: (&pin.Guard{Address: address(u)}).Dial, TLSClientConfig: pin.TLS(t.Pin), TLSHandshakeTimeout: 10 * time.Second,
		MaxConnsPerHost: 1, MaxResponseHeaderBytes: 64 << 10, ResponseHeaderTimeout: answerTime, IdleConnTimeout: 30 * time.Second,
	}
	return &Driver{t: t, base: u, http: &http.Client{Transport: transport, Timeout: answerTime, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // an NVR has no reason to send us elsewhere
	}}}, nil
}

// address is host and port of a URL.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// Close ends what is left of connections.
func (d *Driver) Close() error {
	d.http.CloseIdleConnections()
	return nil
}

// Local is the address of ours that the NVR last saw.
func (d *Driver) Local() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.local
}

// statusError is a refusal in the NVR's own words.
type statusError struct {
	what      string
	http      int
	code      int
	text, sub string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("hikvision: %s refused: HTTP %d, status %d %q %q", e.what, e.http, e.code, e.text, e.sub)
}

// do asks once, with the password, and gives the whole answer.
func (d *Driver) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	what := method + " " + path
	if err := d.latched(); err != nil {
		return nil, err
	}
	var before attempt
	for {
		t, err := d.authorization(method, path)
		if err != nil {
			return nil, err
		}
		status, header, got, err := d.send(ctx, method, path, body, t.auth)
		if err != nil {
			return nil, fmt.Errorf("hikvision: %s: %w", what, err)
		}
		switch {
		case status == http.StatusForbidden && d.reused(t) && parse(what, got, "ResponseStatus", &responseStatus{}) != nil:
			d.drop() // it may be the nonce
			before = t
			continue
		case status != http.StatusUnauthorized:
			d.passed(t, before)
			return got, d.verdict(what, status, got)
		}
		ch, err := challenge(what, header)
		if err != nil {
			return nil, err
		}
		// Without a password it was only the question for one. With one, a 401 is a failed log-in, unless the NVR says
		// that only the nonce was too old, or the same password was right with the same nonce before: then once more.
		if t.auth != "" && (before.auth != "" || !d.excused(ch) && !d.reused(t)) {
			return nil, d.refuse(what, got)
		}
		if t.auth != "" {
			before = t
			before.stale = ch.Stale
		}
		d.setChallenge(ch)
	}
}

// attempt is one use of the password.
type attempt struct {
	auth  string // empty: none, a challenge is asked for
	count uint32 // of the nonce
	stale bool   // the NVR said that the nonce was too old
}

// excused says whether the NVR says that only the nonce was too old.
func (d *Driver) excused(ch digest.Challenge) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.statesStale = d.statesStale || ch.Stale
	return ch.Stale
}

// reused says whether a nonce was used that had been good before, at an NVR that does not say when one is too old.
func (d *Driver) reused(t attempt) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return t.count > 1 && d.proven && !d.statesStale
}

// passed notes that the password was right, perhaps after a nonce was refused.
func (d *Driver) passed(t, before attempt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.auth != "" {
		d.proven = true
		d.single = d.single || before.auth != "" && !before.stale
	}
}

func (d *Driver) drop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ch = digest.Challenge{}
}

// challenge finds what can be answered without giving the password in clear.
func challenge(what string, header http.Header) (digest.Challenge, error) {
	fields := header.Values("WWW-Authenticate")
	ch, err := digest.Parse(fields)
	if err == nil {
		return ch, nil
	}
	for _, f := range fields {
		if scheme, _, _ := strings.Cut(strings.TrimSpace(f), " "); strings.EqualFold(scheme, "Basic") {
			return ch, fmt.Errorf("hikvision: %s: %w", what, driver.ErrInClear)
		}
	}
	return ch, &driver.AnswerError{What: what, Why: err.Error(), Got: excerpt([]byte(strings.Join(fields, "; ")))}
}

func (d *Driver) latched() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refused != "" {
		return fmt.Errorf("%w: %s", driver.ErrRefused, d.refused)
	}
	return nil
}

func (d *Driver) refuse(what string, got []byte) error {
	d.mu.Lock()
	d.refused = what + ": " + lockDetail(got)
	d.mu.Unlock()
	return d.latched()
}

func (d *Driver) setChallenge(ch digest.Challenge) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ch, d.since, d.count = ch, time.Now(), 0
}

// authorization is empty when a new challenge has to be asked for first.
func (d *Driver) authorization(method, uri string) (attempt, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.t.User == "" {
		return attempt{}, fmt.Errorf("%w: there is none", driver.ErrRefused)
	}
	if d.ch.Nonce == "" || time.Since(d.since) > nonceTime || d.single && d.count > 0 {
		d.ch = digest.Challenge{}
		return attempt{}, nil
	}
	d.count++
	return attempt{auth: d.ch.Answer(d.t.User, d.t.Password, method, uri, digest.NewNonce(), d.count), count: d.count}, nil
}

func (d *Driver) send(ctx context.Context, method, path string, body []byte, auth string) (int, http.Header, []byte, error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		host, _, err := net.SplitHostPort(i.Conn.LocalAddr().String())
		if err == nil {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.local = host
		}
	}})
	u := *d.base
	u.Path = path
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/xml")
	}
	if auth != "" {
		req.Header.Set("Authorization", auth)
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	got, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if cerr := resp.Body.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return 0, nil, nil, fmt.Errorf("the answer broke off after %d bytes: %w", len(got), err)
	}
	if len(got) > maxAnswer {
		return 0, nil, nil, &driver.AnswerError{What: method + " " + path, Why: fmt.Sprintf("longer than %d bytes", maxAnswer), Got: excerpt(got)}
	}
	return resp.StatusCode, resp.Header, got, nil
}

// verdict turns a status into an error; the NVR's own words come along.
func (d *Driver) verdict(what string, status int, got []byte) error {
	switch {
	case status == http.StatusOK:
		return nil
	case status == http.StatusServiceUnavailable:
		return fmt.Errorf("hikvision: %s: %w", what, driver.ErrBusy)
	}
	e := &statusError{what: what, http: status}
	var s responseStatus
	if err := parse(what, got, "ResponseStatus", &s); err == nil {
		e.code, e.text, e.sub = s.Code, s.Text, s.Sub
	} else if status/100 == 2 || status/100 == 3 {
		return err
	}
	if e.code == 2 { // "Device Busy"
		return fmt.Errorf("%w: %w", driver.ErrBusy, e)
	}
	switch {
	case status == http.StatusNotFound, e.sub == "notSupport", e.sub == "methodNotAllowed":
		return fmt.Errorf("%w: %w", driver.ErrNotOffered, e)
	case status == http.StatusForbidden:
		return fmt.Errorf("%w: %w", driver.ErrForbidden, e)
	}
	return e
}

// lockDetail reads what an NVR says beside a 401: whether it has locked our address, and for how long.
func lockDetail(got []byte) string {
	var u struct {
		Lock    string `xml:"lockStatus"`
		Unlock  string `xml:"unlockTime"`
		Retries string `xml:"retryLoginTime"`
	}
	if err := parse("401", got, "userCheck", &u); err != nil || u.Lock == "" {
		return "401"
	}
	if u.Lock == "lock" {
		return "401, the NVR has locked our address for " + u.Unlock + " s"
	}
	return "401, attempts left: " + u.Retries
}
