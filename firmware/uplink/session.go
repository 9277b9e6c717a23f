package uplink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"syscall"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"golang.org/x/sys/unix"

	"campuskeep/shared/clock"
	"campuskeep/shared/wire"
	"campuskeep/shared/wire/protocol"
)

// Time-outs of one connection: nothing waits for ever on a network.
const (
	dialWait  = 20 * time.Second
	tokenWait = 20 * time.Second // for the broker to confirm a message
	keepAlive = 30 * time.Second
	inboxSize = 64 // acknowledgements not yet looked at; more are dropped, the protocol asks again
)

// session is one connection from dialling to its end, on a client of its own.
func (u *Uplink) session(ctx context.Context, box *protocol.Box) error {
	id := u.current()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	inbox := make(chan []byte, inboxSize)
	ready := make(chan struct{}, 1)
	client := mqtt.NewClient(u.clientOptions(ctx, cancel, id, inbox, ready))
	defer client.Disconnect(250) // milliseconds for what is under way
	if err := wait(ctx, client.Connect()); err != nil {
		code := FaultUnreachable
		if errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword) || errors.Is(err, packets.ErrorRefusedNotAuthorised) || isAlert(err) {
			code = FaultRefused
		}
		return fault{code, fmt.Errorf("connect to %s: %w", id.reply.Broker, err)}
	}
	select {
	case <-ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	u.update(func(s *Status) { s.Connected, s.Fault = true, "" })
	u.o.Log.Info("connected to the centre", "broker", id.reply.Broker)
	return u.converse(ctx, box, client, inbox)
}

func (u *Uplink) clientOptions(ctx context.Context, cancel context.CancelCauseFunc, id *identity, inbox chan<- []byte, ready chan<- struct{}) *mqtt.ClientOptions {
	will, err := wire.StateMsg{Online: false, Release: u.o.Release}.Encode()
	online, err2 := wire.StateMsg{Online: true, Release: u.o.Release}.Encode()
	if err := errors.Join(err, err2); err != nil {
		cancel(err) // a release that cannot be said; Connect then fails at once
	}
	state := wire.Topic(u.o.ID, wire.State)
	receive := func(_ mqtt.Client, m mqtt.Message) {
		select {
		case inbox <- slices.Clone(m.Payload()):
		default: // never blocks; the next hello heals it
		}
	}
	return mqtt.NewClientOptions().AddBroker("ssl://"+id.reply.Broker).SetClientID(u.o.ID).
		SetProtocolVersion(4).SetCleanSession(true).SetStore(mqtt.NewMemoryStore()).
		SetAutoReconnect(false).SetConnectRetry(false).SetOrderMatters(false).
		SetKeepAlive(keepAlive).SetPingTimeout(10*time.Second).SetConnectTimeout(dialWait).SetWriteTimeout(tokenWait).
		SetBinaryWill(state, will, 1, true).
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return u.dial(ctx, id) }).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { cancel(fault{FaultLost, fmt.Errorf("connection lost: %w", err)}) }).
		SetOnConnectHandler(func(c mqtt.Client) {
			if err := wait(ctx, c.Subscribe(wire.Topic(u.o.ID, wire.Ack), 1, receive)); err != nil {
				cancel(fault{FaultRefused, fmt.Errorf("subscribe: %w", err)})
				return
			}
			if err := wait(ctx, c.Publish(state, 1, true, online)); err != nil {
				cancel(fault{FaultLost, fmt.Errorf("say that we are there: %w", err)})
				return
			}
			ready <- struct{}{}
		})
}

// dial opens the mutual TLS connection. The kernel gives up on data that nobody confirms (TCP user time-out).
func (u *Uplink) dial(ctx context.Context, id *identity) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	host, _, err := net.SplitHostPort(id.reply.Broker)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var serr error
		err := c.Control(func(fd uintptr) {
			serr = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int((keepAlive + tokenWait).Milliseconds()))
		})
		return errors.Join(err, serr)
	}}
	raw, err := d.DialContext(ctx, "tcp", id.reply.Broker)
	if err != nil {
		return nil, err
	}
	c := tls.Client(raw, &tls.Config{
		ServerName: host, MinVersion: tls.VersionTLS12,
		Certificates:       []tls.Certificate{{Certificate: [][]byte{id.cert.Raw}, PrivateKey: id.key, Leaf: id.cert}},
		InsecureSkipVerify: true, // VerifyConnection verifies, at the right time and against our authority
		VerifyConnection:   u.verify(func([]*x509.Certificate) *x509.Certificate { return id.root }, host),
	})
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return c, nil
}

// isAlert says whether the other side ended the hand-shake because of our certificate.
func isAlert(err error) bool {
	_, ok := errors.AsType[tls.AlertError](err)
	var op *net.OpError
	return ok || errors.As(err, &op) && op.Op == "remote error"
}

// wait gives a token its time.
func wait(ctx context.Context, t mqtt.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-time.After(tokenWait):
		return fmt.Errorf("no answer in %v", tokenWait)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// sent is a message that the broker has not confirmed yet.
type sent struct {
	token mqtt.Token
	at    time.Duration
}

// converse drives the protocol over one connection.
func (u *Uplink) converse(ctx context.Context, box *protocol.Box, client mqtt.Client, inbox <-chan []byte) error {
	grown, stop := u.o.Store.Subscribe()
	defer stop()
	var under []sent
	out, err := box.Connected(u.mono())
	lastAsk, lastSave := u.mono(), u.mono()
	for {
		if err != nil {
			return fault{FaultStore, err}
		}
		now := u.mono()
		for _, m := range out.Send {
			under = append(under, sent{client.Publish(wire.Topic(u.o.ID, m.Channel), 1, false, m.Body), now})
		}
		if under, err = unconfirmed(under, now); err != nil {
			return fault{FaultLost, err}
		}
		u.handle(now, out)
		u.update(func(s *Status) {
			s.InStep, s.Acknowledged, s.Incarnation = box.InStep(), box.Acknowledged(), box.Incarnation()
		})
		if now-lastSave >= saveEvery {
			lastSave = now
			if err := u.save(ctx); err != nil {
				return fault{FaultStore, err}
			}
			u.renewIfDue(ctx, false)
		}
		timer := time.NewTimer(u.pause(box, now, len(under) > 0))
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case b := <-inbox:
			out, err = box.Receive(u.mono(), b)
			if errors.Is(err, wire.ErrMalformed) {
				u.o.Log.Warn("message of the centre not understood", "err", err)
				err = nil
			}
			u.contact()
		case <-grown:
			out, err = box.Tick(u.mono())
		case <-timer.C:
			if now = u.mono(); u.o.Clock.Now().State != clock.Trusted && now-lastAsk >= askTime {
				lastAsk = now
				out, err = box.Ask(now)
				break
			}
			out, err = box.Tick(now)
		}
		timer.Stop()
	}
}

// pause is how long nothing needs doing unless something happens.
func (u *Uplink) pause(box *protocol.Box, now time.Duration, waiting bool) time.Duration {
	d := min(box.Wake(now), saveEvery)
	if waiting {
		d = min(d, tokenWait)
	}
	return d
}

// unconfirmed drops what the broker has confirmed. One that it has not in time means that the connection is dead,
// whatever TCP says.
func unconfirmed(under []sent, now time.Duration) ([]sent, error) {
	left := under[:0]
	for _, s := range under {
		select {
		case <-s.token.Done():
			if err := s.token.Error(); err != nil {
				return nil, fmt.Errorf("publish: %w", err)
			}
		default:
			if now-s.at > tokenWait {
				return nil, fmt.Errorf("the broker did not confirm a message in %v", tokenWait)
			}
			left = append(left, s)
		}
	}
	return left, nil
}

// handle passes on what a step of the protocol found out.
func (u *Uplink) handle(now time.Duration, out protocol.Out) {
	for _, n := range out.Notes {
		u.o.Log.Warn("sync", "what", n)
	}
	if out.Time == nil || u.o.OnTime == nil {
		return
	}
	// Its time was true at some moment between question and answer, cut to a millisecond.
	u.o.OnTime(clock.Observation{Source: "centre", Origin: clock.OriginCentre, Mono: now,
		UTC: out.Time.At.Add(out.Time.Within / 2), Uncertainty: out.Time.Within/2 + time.Millisecond})
}

func (u *Uplink) contact() {
	now := u.o.Clock.Now().Wall
	u.update(func(s *Status) { s.LastContact = now })
}
