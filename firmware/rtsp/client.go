// Package rtsp speaks to cameras and NVRs over RTSP: it asks what they offer and takes their packets.
//
// It owns what every such conversation has in common: where it may go, how the password is given, and what is made of
// a description that is not as it should be. It must never send a password to another address than the one it was
// made for, in clear where that was not allowed, or twice after a refusal.
package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"campuskeep/firmware/pin"
)

// Target is a stream of a device and how to get in.
type Target struct {
	Address  string // rtsp:// or rtsps://; what it says of a user is not used
	User     string // empty: no password is ever given
	Password string
	Pin      string // SHA-256 of the certificate in hex, for rtsps; empty: an authority of the machine must vouch
	UDP      bool   // RTP over UDP; over the connection otherwise
	Basic    bool   // the password may be given in clear to a device that knows no better
	Digest   bool   // the device has offered Digest before: it is never given the password in clear again

	Network pin.Network             // what it is reached over; the machine's own when nil
	Timeout time.Duration           // to connect, and for each answer; the library's 10 s when zero
	TLS     *tls.Config             // instead of what Pin says
	Tap     func(net.Conn) net.Conn // is between the connection and the client
	Damaged func(error)             // a packet that cannot be read
	Lost    func(packets uint64)    // packets that did not arrive
}

// Client is one connection to one device. Make it with [New], and Close it.
type Client struct {
	*gortsplib.Client
	url       *base.URL
	guard     *pin.Guard
	auth      authenticator
	described described
}

// Address checks an address that is to be asked over RTSP.
func Address(s string) (*base.URL, error) {
	u, err := base.ParseURL(s)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", s, err)
	}
	if u.Scheme != "rtsp" && u.Scheme != "rtsps" {
		return nil, fmt.Errorf("address %q: %q is neither rtsp nor rtsps", s, u.Scheme)
	}
	return u.CloneWithoutCredentials(), nil
}

// New makes a client and starts it; nothing is sent yet.
func New(t Target) (*Client, error) {
	u, err := Address(t.Address)
	if err != nil {
		return nil, err
	}
	c := &Client{url: u, auth: authenticator{user: t.User, password: t.Password, clear: u.Scheme == "rtsp", basic: t.Basic, digest: t.Digest}}
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), map[string]string{"rtsp": "554", "rtsps": "322"}[u.Scheme])
	}
	c.guard = pin.Once(address)
	c.guard.AnyPort, c.guard.Timeout, c.guard.Network = t.User == "", t.Timeout, t.Network
	protocol := gortsplib.ProtocolTCP
	if t.UDP {
		protocol = gortsplib.ProtocolUDP
	}
	if t.TLS == nil {
		t.TLS = pin.TLS(t.Pin)
	}
	if t.Damaged == nil {
		t.Damaged = func(error) {}
	}
	if t.Lost == nil {
		t.Lost = func(uint64) {}
	}
	c.Client = &gortsplib.Client{
		Scheme: u.Scheme, Host: u.Host, Protocol: &protocol, UserAgent: "campuskeep", UDPReadBufferSize: 512 << 10,
		ReadTimeout: t.Timeout, WriteTimeout: t.Timeout, TLSConfig: t.TLS,
		OnPacketsLost: t.Lost, OnDecodeError: t.Damaged,
		OnRequest:  c.auth.put,
		OnResponse: func(res *base.Response) { c.auth.observe(res); c.described.observe(res) },
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := c.guard.Dial(ctx, network, address)
			if err != nil || t.Tap == nil {
				return conn, err
			}
			return t.Tap(conn), nil
		},
	}
	if err := c.Client.Start(); err != nil {
		return nil, fmt.Errorf("start client: %w", err)
	}
	return c, nil
}

// Describe asks what the device offers. What cannot be read of it costs only itself, and is reported by
// Left.
func (c *Client) Describe() (*description.Session, error) {
	var d *description.Session
	err := c.ask(func() (err error) {
		d, _, err = c.Client.Describe(c.url)
		return err
	})
	if err != nil {
		return nil, c.explain("describe", err)
	}
	return d, nil
}

// Skipped is what could not be read of the description.
func (c *Client) Skipped() []Skipped { return c.described.skipped }

// Setup asks for one of the media of a description.
func (c *Client) Setup(d *description.Session, m *description.Media) error {
	err := c.ask(func() error {
		_, err := c.Client.Setup(d.BaseURL, m, 0, 0)
		return err
	})
	if err != nil {
		return c.explain("setup", err)
	}
	return nil
}

// Play asks for the packets of what was set up.
func (c *Client) Play() error {
	err := c.ask(func() error {
		_, err := c.Client.Play(nil)
		return err
	})
	if err != nil {
		return c.explain("play", err)
	}
	c.auth.playing()
	return nil
}

// Guard is what the connection was dialled with.
func (c *Client) Guard() *pin.Guard { return c.guard }

// OfferedDigest says whether the device has offered Digest in this conversation.
func (c *Client) OfferedDigest() bool { return c.auth.offered() }

// ask sends a request, and sends it again as often as an answer to the challenge may be given.
func (c *Client) ask(request func() error) error {
	for {
		err := request()
		var status liberrors.ErrClientBadStatusCode
		if !errors.As(err, &status) || status.Code != base.StatusUnauthorized && status.Code != base.StatusForbidden {
			return err
		}
		again, why := c.auth.retry(status.Code)
		switch {
		case why != nil:
			return errors.Join(why, err)
		case !again:
			return err
		}
	}
}
