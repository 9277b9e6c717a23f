package ingest

import (
	"context"
	"crypto/tls"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"campuskeep/shared/wire"
)

// External connects the centre to a broker of somebody else's (Mosquitto, EMQX …). That broker must verify the
// appliances' certificates against our authority and give each its own topics only: we believe the topic.
type External struct {
	URL      string      // ssl://host:port
	TLS      *tls.Config // nil for a plain connection
	ClientID string
	User     string
	Password string
}

// Timing of the connection to the broker.
const (
	tokenWait   = 20 * time.Second
	firstPause  = time.Second
	maxPause    = 2 * time.Minute
	workers     = 8  // messages of different appliances are dealt with side by side
	workerQueue = 64 // beyond, the broker waits
	keepAlive   = 30 * time.Second
)

// Run keeps a connection and deals with what comes until ctx ends.
func (e External) Run(ctx context.Context, g *Ingest) error {
	pause := firstPause
	for ctx.Err() == nil {
		began, before := time.Now(), g.messages.Load()
		err := e.session(ctx, g)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > maxPause || g.messages.Load() != before {
			pause = firstPause // it was of use: come back soon
		}
		g.log.Warn("connection to the broker lost", "broker", e.URL, "err", err)
		select { // full jitter: a thousand consumers do not come back at once
		case <-time.After(time.Duration(rand.Int64N(int64(pause)))):
		case <-ctx.Done():
		}
		pause = min(2*pause, maxPause)
	}
	return nil
}

type message struct {
	appliance string
	channel   wire.Channel
	body      []byte
	retained  bool   // kept by the broker from some time before: it is no contact
	done      func() // confirms to the broker
}

// session is one connection: a new client each time, nothing kept from the one before.
func (e External) session(ctx context.Context, g *Ingest) error {
	if _, err := url.Parse(e.URL); err != nil {
		return fmt.Errorf("broker address: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queues := make([]chan message, workers)
	o := mqtt.NewClientOptions().AddBroker(e.URL).SetClientID(e.ClientID).SetUsername(e.User).SetPassword(e.Password).
		SetProtocolVersion(4).SetCleanSession(true).SetStore(mqtt.NewMemoryStore()).SetAutoReconnect(false).SetConnectRetry(false).
		SetKeepAlive(keepAlive).SetConnectTimeout(tokenWait).SetWriteTimeout(tokenWait).SetOrderMatters(true).SetAutoAckDisabled(true).
		SetTLSConfig(e.TLS).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { cancel(fmt.Errorf("connection lost: %w", err)) })
	client := mqtt.NewClient(o)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	for i := range queues {
		queues[i] = make(chan message, workerQueue)
		wg.Go(func() { e.worker(ctx, cancel, g, client, queues[i]) })
	}
	if err := wait(ctx, client.Connect()); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer client.Disconnect(250)
	handler := func(_ mqtt.Client, m mqtt.Message) {
		appliance, channel, err := wire.ParseTopic(m.Topic())
		if err != nil {
			m.Ack()
			return
		}
		// The same appliance always has the same lane: its messages keep their order. A full lane holds up the
		// reader: that is the back-pressure.
		h := fnv.New32a()
		h.Write([]byte(appliance))
		select {
		case queues[h.Sum32()%workers] <- message{appliance, channel, slices.Clone(m.Payload()), m.Retained(), m.Ack}:
		case <-ctx.Done():
		}
	}
	filters := map[string]byte{}
	for _, c := range []wire.Channel{wire.Up, wire.Urgent, wire.Payload, wire.Hello, wire.State} {
		filters[wire.Filter(c)] = 1
	}
	if err := wait(ctx, client.SubscribeMultiple(filters, handler)); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	g.log.Info("connected to the broker", "broker", e.URL)
	<-ctx.Done()
	return context.Cause(ctx)
}

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

// worker deals with the messages of some appliances, one after the other.
func (e External) worker(ctx context.Context, cancel context.CancelCauseFunc, g *Ingest, client mqtt.Client, queue <-chan message) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-queue:
			if err := e.dispatch(ctx, g, client, m); err != nil {
				cancel(err)
				return
			}
		}
	}
}

func (e External) dispatch(ctx context.Context, g *Ingest, client mqtt.Client, m message) error {
	defer m.done()
	if m.channel == wire.State && m.retained {
		return nil // at each reconnect of the centre a school silent for weeks would look fresh
	}
	if m.channel == wire.State {
		s, err := wire.DecodeState(m.body)
		if err != nil {
			return nil // a retained message of another build
		}
		if err := g.Online(ctx, m.appliance, s.Online); err != nil {
			g.log.Warn("state of an appliance", "appliance", m.appliance, "err", err)
		}
		return nil
	}
	denied, err := g.store.Denied(ctx)
	if err != nil || slices.Contains(denied, m.appliance) {
		return err
	}
	ack, err := g.Receive(ctx, m.appliance, m.channel, m.body)
	if err != nil {
		g.log.Error("message not dealt with", "appliance", m.appliance, "channel", string(m.channel), "err", err)
		return nil // the appliance will ask
	}
	if ack == nil {
		return nil
	}
	return wait(ctx, client.Publish(wire.Topic(m.appliance, wire.Ack), 1, false, ack))
}
