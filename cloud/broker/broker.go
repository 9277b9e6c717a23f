// Package broker is the MQTT broker inside the centre: appliances connect to it with their certificates.
//
// It owns the listener and the connections; nothing that passes is kept. It must never let an appliance touch a
// topic that account.May does not give it, and never confirm a message that the centre has not dealt with.
package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"campuskeep/shared/wire"
)

// Centre is what the broker hands messages to.
type Centre interface {
	// Receive deals with one message and gives what to publish on the appliance's ack channel, nil for nothing. An
	// error means that it should come again.
	Receive(ctx context.Context, appliance string, c wire.Channel, body []byte) (ack []byte, err error)
	// Online notes that an appliance has connected or gone.
	Online(ctx context.Context, appliance string, online bool) error
}

// Options of a broker.
type Options struct {
	Listener     net.Listener // plain TCP; TLS is added here
	TLS          *tls.Config  // must demand and verify a client certificate
	Authenticate func(ctx context.Context, c *x509.Certificate) (appliance string, err error)
	Centre       Centre
	Connections  int // at most at once; 0: 4096
	Log          *slog.Logger
}

// receiveWait bounds how long a message may hold its connection: well below every keep-alive.
const receiveWait = 20 * time.Second

// protocol is the level that appliances speak, MQTT 3.1.1. The library's decoders of level 5 are not for strangers: one of
// them fails on a SUBSCRIBE that is cut short.
const protocol = 4

// Keep-alive that an appliance must ask for: without it a dead connection would stay for ever.
const (
	minKeepalive = 10  // seconds
	maxKeepalive = 120 // seconds
)

// Broker is an embedded MQTT 3.1.1 broker. Safe for concurrent use.
type Broker struct {
	o       Options
	server  *mqtt.Server
	limiter *handshakeLimiter
	ctx     context.Context // ends with Run: what hooks wait for
	cancel  context.CancelFunc
}

// New makes a broker on a listener that is open already; it answers while Run runs.
func New(o Options) (*Broker, error) {
	if o.Connections == 0 {
		o.Connections = 4096
	}
	c := mqtt.NewDefaultServerCapabilities()
	c.MaximumClients = int64(o.Connections)
	c.MaximumSessionExpiryInterval = 0
	c.MaximumPacketSize = 256 << 10
	c.MinimumProtocolVersion = protocol // and no higher one: OnConnect
	c.MaximumQos = 1
	c.ReceiveMaximum = 64
	c.MaximumInflight = 256
	c.MaximumClientWritesPending = 256
	c.TopicAliasMaximum = 0
	c.SharedSubAvailable, c.WildcardSubAvailable, c.SubIDAvailable = 0, 0, 0
	b := &Broker{o: o}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	// Its own log names client ids and errors at every closed connection; ours says what matters.
	b.server = mqtt.New(&mqtt.Options{Capabilities: c, InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	if err := b.server.AddHook(&hook{b: b}, nil); err != nil {
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	b.limiter = newHandshakeLimiter(o.Listener, o.TLS, o.Connections, o.Log)
	if err := b.server.AddListener(&guarded{Net: listeners.NewNet("appliances", b.limiter), log: o.Log}); err != nil {
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	return b, nil
}

// guarded is the listener of the broker's library. What goes wrong inside it with one client is that client's end, not
// that of the centre: its decoders run on what anybody with a certificate sends.
type guarded struct {
	*listeners.Net
	log *slog.Logger
}

func (g *guarded) Serve(establish listeners.EstablishFn) {
	g.Net.Serve(func(id string, c net.Conn) (err error) {
		defer func() {
			if p := recover(); p != nil {
				g.log.Error("a connection has broken the broker's library", "from", c.RemoteAddr().String(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				err = errors.Join(fmt.Errorf("panic: %v", p), c.Close())
			}
		}()
		return establish(id, c)
	})
}

// Run serves until ctx ends, then closes every connection.
func (b *Broker) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, b.cancel)
	defer stop()
	defer b.cancel()
	if err := b.server.Serve(); err != nil {
		return errors.Join(fmt.Errorf("run the broker: %w", err), b.limiter.Close())
	}
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		b.limiter.run(ctx)
	}()
	<-ctx.Done()
	err := b.limiter.Close()
	<-accepting
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, b.server.Close())
}

// Kick closes an appliance's connection.
func (b *Broker) Kick(appliance string) {
	if cl, ok := b.server.Clients.Get(appliance); ok {
		cl.Stop(packets.ErrAdministrativeAction)
	}
}
