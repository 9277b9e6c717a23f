package broker_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"campuskeep/cloud/broker"
	"campuskeep/cloud/enrol"
	"campuskeep/shared/wire"
)

// rig is a broker with an authority of its own and a centre that notes what it gets.
type rig struct {
	t         *testing.T
	addr      string
	authority *enrol.Authority
	broker    *broker.Broker

	mu     sync.Mutex
	got    map[string][]string // appliance → bodies
	online map[string]bool
	fail   error
	hold   chan struct{} // not nil: Receive waits
}

func (r *rig) Receive(ctx context.Context, appliance string, c wire.Channel, body []byte) ([]byte, error) {
	r.mu.Lock()
	r.got[appliance] = append(r.got[appliance], string(c)+" "+string(body))
	fail, hold := r.fail, r.hold
	r.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return []byte("stored"), fail
}

func (r *rig) Online(_ context.Context, appliance string, online bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.online[appliance] = online
	return nil
}

func (r *rig) count(appliance string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got[appliance])
}

func start(t *testing.T, connections int) *rig {
	t.Helper()
	r := &rig{t: t, got: map[string][]string{}, online: map[string]bool{}}
	var err error
	if r.authority, err = enrol.OpenAuthority(t.TempDir(), "test", time.Now()); err != nil {
		t.Fatal(err)
	}
	cert, err := r.authority.Server([]string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	r.broker, err = broker.New(broker.Options{Listener: l, Centre: r, Connections: connections, Log: slog.New(slog.DiscardHandler),
		TLS: &tls.Config{Certificates: []tls.Certificate{*cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: r.authority.Pool()},
		Authenticate: func(_ context.Context, c *x509.Certificate) (string, error) {
			if c.Subject.CommonName == "ck-denied" {
				return "", errors.New("denied")
			}
			return c.Subject.CommonName, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.broker.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("broker: %v", err)
		}
	})
	return r
}

func (r *rig) tls(id string, a *enrol.Authority) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	cert, err := a.Client(id, key.Public(), time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	return &tls.Config{RootCAs: r.authority.Pool(), Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}}
}

func (r *rig) options(id string) *mqtt.ClientOptions {
	return mqtt.NewClientOptions().AddBroker("ssl://" + r.addr).SetClientID(id).SetProtocolVersion(4).SetCleanSession(true).
		SetTLSConfig(r.tls(id, r.authority)).SetAutoReconnect(false).SetConnectTimeout(5 * time.Second)
}

func done(t mqtt.Token) error {
	if !t.WaitTimeout(10 * time.Second) {
		return errors.New("no answer")
	}
	return t.Error()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not in time: %s", what)
		}
	}
}

// An appliance speaks on its own topics and hears its own answers.
func TestOwnTopics(t *testing.T) {
	r := start(t, 0)
	c := mqtt.NewClient(r.options("ck-0001"))
	if err := done(c.Connect()); err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect(50)
	heard := make(chan string, 8)
	if err := done(c.Subscribe(wire.Topic("ck-0001", wire.Ack), 1, func(_ mqtt.Client, m mqtt.Message) { heard <- string(m.Payload()) })); err != nil {
		t.Fatal(err)
	}
	if err := done(c.Publish(wire.Topic("ck-0001", wire.Up), 1, false, "batch")); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != "stored" {
		t.Errorf("heard %q", got)
	}
	eventually(t, "on line", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.online["ck-0001"] })
	r.broker.Kick("ck-0001")
	eventually(t, "kicked", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return !r.online["ck-0001"] && !c.IsConnected() })
}

// Whatever is not its own is refused: other topics, wildcards, retained messages, wills and names of others.
func TestForeignTopics(t *testing.T) {
	r := start(t, 0)
	for what, topic := range map[string]string{"another's": wire.Topic("ck-0002", wire.Up), "the centre's": wire.Topic("ck-0001", wire.Ack), "system": "$SYS/x", "free": "hello",
		"wrong partition": "ck/1/99/ck-0001/up"} {
		c := mqtt.NewClient(r.options("ck-0001"))
		if err := done(c.Connect()); err != nil {
			t.Fatal(err)
		}
		err := done(c.Publish(topic, 1, false, "x"))
		eventually(t, what+": connection closed", func() bool { return !c.IsConnectionOpen() || err != nil })
		c.Disconnect(10)
	}
	for what, filter := range map[string]string{"another's": wire.Topic("ck-0002", wire.Ack), "all": "#", "wildcard": "ck/1/+/ck-0001/ack", "own up": wire.Topic("ck-0001", wire.Up)} {
		c := mqtt.NewClient(r.options("ck-0001"))
		if err := done(c.Connect()); err != nil {
			t.Fatal(err)
		}
		tok := c.Subscribe(filter, 1, nil)
		err := done(tok)
		if granted := tok.(*mqtt.SubscribeToken).Result()[filter]; err == nil && granted != 0x80 {
			t.Errorf("subscription to %s (%s) granted: %d", what, filter, granted)
		}
		c.Disconnect(10)
	}
	if r.count("ck-0002") != 0 || r.count("ck-0001") != 0 {
		t.Errorf("got through: %v", r.got)
	}
	for what, o := range map[string]*mqtt.ClientOptions{
		"will of another":    r.options("ck-0001").SetWill(wire.Topic("ck-0002", wire.State), "x", 1, true),
		"session that stays": r.options("ck-0001").SetCleanSession(false),
		"protocol 3.1":       r.options("ck-0001").SetProtocolVersion(3),
		"no keep-alive":      r.options("ck-0001").SetKeepAlive(0),
		"name of another":    r.options("ck-0002").SetTLSConfig(r.tls("ck-0001", r.authority)),
		"denied":             r.options("ck-denied"),
	} {
		c := mqtt.NewClient(o)
		if err := done(c.Connect()); err == nil {
			t.Errorf("%s: connected", what)
			c.Disconnect(10)
		}
	}
}

// A certificate of another authority, or none, does not come in.
func TestStrangers(t *testing.T) {
	r := start(t, 0)
	other, err := enrol.OpenAuthority(t.TempDir(), "other", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for what, cfg := range map[string]*tls.Config{"other authority": r.tls("ck-0001", other), "no certificate": {RootCAs: r.authority.Pool()}} {
		c := mqtt.NewClient(r.options("ck-0001").SetTLSConfig(cfg))
		if err := done(c.Connect()); err == nil {
			t.Errorf("%s: connected", what)
		}
	}
}

// What the centre could not deal with is not confirmed: the connection closes and the message comes again.
func TestFailureIsNotConfirmed(t *testing.T) {
	r := start(t, 0)
	r.fail = errors.New("database away")
	c := mqtt.NewClient(r.options("ck-0001"))
	if err := done(c.Connect()); err != nil {
		t.Fatal(err)
	}
	if err := done(c.Publish(wire.Topic("ck-0001", wire.Up), 1, false, "batch")); err == nil {
		t.Error("confirmed although it failed")
	}
	eventually(t, "closed", func() bool { return !c.IsConnectionOpen() })
}

// A slow centre slows the appliance down: nothing more is taken from it meanwhile, and others go on.
func TestBackPressure(t *testing.T) {
	r := start(t, 0)
	r.hold = make(chan struct{})
	c := mqtt.NewClient(r.options("ck-0001"))
	if err := done(c.Connect()); err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect(50)
	var tokens []mqtt.Token
	for range 5 {
		tokens = append(tokens, c.Publish(wire.Topic("ck-0001", wire.Up), 1, false, "batch"))
	}
	eventually(t, "the first is being dealt with", func() bool { return r.count("ck-0001") == 1 })
	r.mu.Lock()
	held := r.hold
	r.hold = nil
	r.mu.Unlock()
	other := mqtt.NewClient(r.options("ck-0002"))
	if err := done(other.Connect()); err != nil {
		t.Fatal(err)
	}
	defer other.Disconnect(50)
	if err := done(other.Publish(wire.Topic("ck-0002", wire.Up), 1, false, "batch")); err != nil {
		t.Errorf("another appliance waits too: %v", err)
	}
	if n := r.count("ck-0001"); n != 1 {
		t.Errorf("%d messages taken while the first is not done", n)
	}
	close(held)
	for _, tok := range tokens {
		if err := done(tok); err != nil {
			t.Error(err)
		}
	}
}

// Who connects and says nothing, or says too much, is sent away.
func TestFence(t *testing.T) {
	r := start(t, 3)
	c := mqtt.NewClient(r.options("ck-0001"))
	if err := done(c.Connect()); err != nil {
		t.Fatal(err)
	}
	if err := done(c.Publish(wire.Topic("ck-0001", wire.Up), 1, false, strings.Repeat("x", 300<<10))); err == nil {
		t.Error("a packet of 300 KiB is taken")
	}
	eventually(t, "closed", func() bool { return !c.IsConnectionOpen() })
	if r.count("ck-0001") != 0 {
		t.Error("a packet over the limit came through")
	}
}

// from lets a client connect from another loopback address.
func from(o *mqtt.ClientOptions, addr string) *mqtt.ClientOptions {
	return o.SetDialer(&net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}})
}

// Slots are for those who have shown a certificate: however many from elsewhere connect and say nothing, an appliance
// gets in; and of one address only so many may be silent at once.
func TestSilentConnectionsKeepNobodyOut(t *testing.T) {
	r := start(t, 3)
	var open []net.Conn
	for range 40 {
		raw, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, raw)
	}
	eventually(t, "one more of that address is refused", func() bool {
		raw, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = raw.Close() }() // refused or not, it is over
		if err := raw.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		_, err = bufio.NewReader(raw).ReadByte()
		return err != nil && !isTimeout(err)
	})
	for i, addr := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"} {
		c := mqtt.NewClient(from(r.options(fmt.Sprintf("ck-000%d", i+1)), addr))
		if err := done(c.Connect()); err != nil {
			t.Fatalf("client %d: %v", i+1, err)
		}
		defer c.Disconnect(10)
	}
	if c := mqtt.NewClient(from(r.options("ck-0009"), "127.0.0.5")); done(c.Connect()) == nil {
		t.Error("a fourth client has a slot")
	}
	for _, c := range open {
		_ = c.Close() // the broker may have closed it
	}
	// Their places serve again.
	eventually(t, "in again", func() bool {
		raw, err := tls.Dial("tcp", r.addr, r.tls("ck-0001", r.authority))
		if err != nil {
			return false
		}
		return raw.Close() == nil
	})
}

// An appliance with a valid certificate that speaks MQTT 5, or whose packet breaks a decoder, ends its own connection and
// nobody else's.
func TestAnotherProtocolLevelIsRefused(t *testing.T) {
	r := start(t, 4)
	c := mqtt.NewClient(r.options("ck-0001"))
	if err := done(c.Connect()); err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect(10)
	for _, level := range []byte{3, 5} {
		raw, err := tls.Dial("tcp", r.addr, r.tls("ck-0002", r.authority))
		if err != nil {
			t.Fatal(err)
		}
		body := []byte{0, 4, 'M', 'Q', 'T', 'T', level, 2, 0, 60}
		if level == 5 {
			body = append(body, 0) // properties
		}
		body = append(append(body, 0, 7), "ck-0002"...)
		subscribe := []byte{0x82, 8, 0, 1, 0, 0, 3, 'a', '/', 'b'} // its last filter has no options
		if _, err := raw.Write(append(append([]byte{0x10, byte(len(body))}, body...), subscribe...)); err != nil {
			t.Fatal(err)
		}
		if err := raw.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 64)
		for {
			n, err := raw.Read(answer)
			if n >= 4 && answer[0] == 0x20 && answer[3] == 0 {
				t.Errorf("level %d is accepted", level)
			}
			if err != nil {
				if isTimeout(err) {
					t.Errorf("level %d stays connected", level)
				}
				break
			}
		}
		_ = raw.Close() // the broker has closed it
	}
	if !c.IsConnectionOpen() {
		t.Error("the other client is gone")
	}
	if err := done(c.Publish(wire.Topic("ck-0001", wire.Up), 1, false, "still here")); err != nil {
		t.Error(err)
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}
