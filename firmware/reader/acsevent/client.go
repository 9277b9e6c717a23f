package acsevent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"campuskeep/firmware/digest"
	"campuskeep/firmware/pin"
)

const (
	maxAnswer  = 1 << 20 // bytes
	answerTime = 10 * time.Second
)

// errRefused: the password was refused once; it is not tried again.
var errRefused = errors.New("the terminal refused the password")

// errInClear: the terminal asks for the password in clear; it is not given.
var errInClear = errors.New("the terminal asks for the password in clear")

// statusError is an answer that is none.
type statusError struct {
	what   string
	status int
}

func (e *statusError) Error() string { return fmt.Sprintf("%s: HTTP %d", e.what, e.status) }

// client asks one terminal, and sends its password nowhere else.
type client struct {
	host           string // host:port
	user, password string
	http           *http.Client

	refused error // for good
	ch      digest.Challenge
	count   uint32 // uses of ch
	proven  bool   // the password was right
}

func newClient(host, user, password string) *client {
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(host, "80")
	}
	return &client{host: host, user: user, password: password, http: &http.Client{
		Transport: &http.Transport{DialContext: (&pin.Guard{Address: host}).Dial, MaxConnsPerHost: 1, MaxResponseHeaderBytes: 32 << 10,
			ResponseHeaderTimeout: answerTime, IdleConnTimeout: 30 * time.Second},
		Timeout:       answerTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// do asks, with the password as a digest, and gives the whole answer. A wrong password is tried once.
func (c *client) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	if c.refused != nil {
		return nil, c.refused
	}
	if c.user == "" {
		return nil, fmt.Errorf("%w: there is none", errRefused)
	}
	again := false
	for {
		auth := ""
		if c.ch.Nonce != "" {
			c.count++
			auth = c.ch.Answer(c.user, c.password, method, path, digest.NewNonce(), c.count)
		}
		status, header, got, err := c.send(ctx, method, path, body, auth)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if status != http.StatusUnauthorized {
			c.proven = c.proven || auth != ""
			if status != http.StatusOK {
				return nil, &statusError{path, status}
			}
			return got, nil
		}
		ch, err := digest.Parse(header.Values("WWW-Authenticate"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", path, errInClear, err)
		}
		// A 401 with a password is a refusal, unless only the nonce was too old: the terminal says so, or the password was
		// right with it before.
		old := ch.Stale || c.proven && c.count > 1
		if auth != "" && (again || !old) {
			c.refused = fmt.Errorf("%w: %s", errRefused, path)
			return nil, c.refused
		}
		again = again || auth != ""
		c.ch, c.count = ch, 0
	}
}

func (c *client) send(ctx context.Context, method, path string, body []byte, auth string) (status int, header http.Header, got []byte, err error) {
	u, err := url.Parse("http://" + c.host + path)
	if err != nil {
		return 0, nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if auth != "" {
		req.Header.Set("Authorization", auth)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	got, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	err = errors.Join(err, resp.Body.Close())
	if err == nil && len(got) > maxAnswer {
		err = fmt.Errorf("%w: longer than %d bytes", errAnswer, maxAnswer)
	}
	return resp.StatusCode, resp.Header, got, err
}

func (c *client) close() { c.http.CloseIdleConnections() }
