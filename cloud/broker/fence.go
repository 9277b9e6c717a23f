package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// fence is a listener that hands on only connections whose TLS hand-shake has succeeded in time, and not more of
// them at once than allowed. A failing accept is tried again; only closing ends it.
type fence struct {
	net.Listener
	tls   *tls.Config
	log   *slog.Logger
	slots chan struct{}
	ready chan net.Conn
	done  chan struct{}
	once  sync.Once
	wg    sync.WaitGroup
}

// Bounds of a connection that has not yet said who it is.
const (
	handshakeWait = 10 * time.Second
	connectWait   = 10 * time.Second // from the hand-shake to the first MQTT packet
	acceptPause   = 100 * time.Millisecond
)

func newFence(l net.Listener, c *tls.Config, limit int, log *slog.Logger) *fence {
	return &fence{Listener: l, tls: c, log: log, slots: make(chan struct{}, limit), ready: make(chan net.Conn), done: make(chan struct{})}
}

// run accepts until the listener is closed.
func (f *fence) run(ctx context.Context) {
	defer f.wg.Wait()
	for {
		conn, err := f.Listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			f.log.Warn("accepting connections", "error", err)
			select {
			case <-time.After(acceptPause):
			case <-f.done:
				return
			}
			continue
		}
		select {
		case f.slots <- struct{}{}:
		default:
			f.log.Warn("too many connections; one more refused", "from", conn.RemoteAddr().String())
			f.drop(conn)
			continue
		}
		f.wg.Go(func() { f.handshake(ctx, conn) })
	}
}

func (f *fence) drop(c net.Conn) {
	if err := c.Close(); err != nil {
		f.log.Debug("close connection", "error", err)
	}
}

func (f *fence) handshake(ctx context.Context, raw net.Conn) {
	c := &slotted{Conn: tls.Server(raw, f.tls), free: func() { <-f.slots }}
	ctx, cancel := context.WithTimeout(ctx, handshakeWait)
	defer cancel()
	if err := c.Conn.HandshakeContext(ctx); err != nil {
		f.log.Info("hand-shake failed", "from", raw.RemoteAddr().String(), "error", err)
		f.drop(c)
		return
	}
	if err := c.SetDeadline(time.Now().Add(connectWait)); err != nil {
		f.drop(c)
		return
	}
	select {
	case f.ready <- c:
	case <-f.done:
		f.drop(c)
	}
}

// Accept gives the next connection that has identified itself.
func (f *fence) Accept() (net.Conn, error) {
	select {
	case c := <-f.ready:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close ends accepting.
func (f *fence) Close() error {
	f.once.Do(func() { close(f.done) })
	return f.Listener.Close()
}

// slotted gives its slot back when it is closed, once.
type slotted struct {
	*tls.Conn
	once sync.Once
	free func()
}

func (s *slotted) Close() error {
	defer s.once.Do(s.free)
	return s.Conn.Close()
}
