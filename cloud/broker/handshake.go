package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// handshakeLimiter is a listener that hands on only connections whose TLS hand-shake has succeeded in time, and not more of
// them at once than allowed. Those that have not said who they are yet have places of their own, few of them for one
// address, so that nobody without a certificate keeps the others out. A failing accept is tried again; only closing
// ends it.
type handshakeLimiter struct {
	net.Listener
	tls   *tls.Config
	log   *slog.Logger
	slots chan struct{} // of those that have shown a certificate
	ready chan net.Conn
	done  chan struct{}
	once  sync.Once
	wg    sync.WaitGroup

	mu         sync.Mutex
	inProgress map[netip.Prefix]int // hand-shakes under way, by address
	all        int
}

// Bounds of a connection that has not yet said who it is.
const (
	handshakeWait = 10 * time.Second
	connectWait   = 10 * time.Second // from the hand-shake to the first MQTT packet
	acceptPause   = 100 * time.Millisecond
	maxHandshakes = 512 // hand-shakes at once
	maxPerSource  = 16  // of one address; of IPv6 that is a /64, which one machine may have to itself
)

func newHandshakeLimiter(l net.Listener, c *tls.Config, limit int, log *slog.Logger) *handshakeLimiter {
	return &handshakeLimiter{Listener: l, tls: c, log: log, slots: make(chan struct{}, limit), ready: make(chan net.Conn), done: make(chan struct{}), inProgress: map[netip.Prefix]int{}}
}

// run accepts until the listener is closed.
func (f *handshakeLimiter) run(ctx context.Context) {
	defer f.wg.Wait()
	for {
		conn, err := f.Listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			f.log.Warn("accepting connections", "err", err)
			select {
			case <-time.After(acceptPause):
			case <-f.done:
				return
			}
			continue
		}
		from := source(conn)
		if !f.admit(from) {
			f.log.Warn("too many connections without a certificate; one more refused", "from", conn.RemoteAddr().String())
			f.drop(conn)
			continue
		}
		f.wg.Go(func() { f.handshake(ctx, conn, from) })
	}
}

// source is whose hand-shakes count together.
func source(c net.Conn) netip.Prefix {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{}
	}
	a, bits := at.Addr().Unmap(), 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

func (f *handshakeLimiter) admit(from netip.Prefix) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all >= maxHandshakes || f.inProgress[from] >= maxPerSource {
		return false
	}
	f.all++
	f.inProgress[from]++
	return true
}

func (f *handshakeLimiter) leave(from netip.Prefix) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all--
	if f.inProgress[from]--; f.inProgress[from] == 0 {
		delete(f.inProgress, from)
	}
}

func (f *handshakeLimiter) drop(c net.Conn) {
	if err := c.Close(); err != nil {
		f.log.Debug("close connection", "err", err)
	}
}

func (f *handshakeLimiter) handshake(ctx context.Context, raw net.Conn, from netip.Prefix) {
	c, ok := f.identify(ctx, raw)
	f.leave(from)
	if !ok {
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

// identify shakes hands, and takes a slot for who has shown a certificate.
func (f *handshakeLimiter) identify(ctx context.Context, raw net.Conn) (*slotted, bool) {
	c := &slotted{Conn: tls.Server(raw, f.tls), free: func() { <-f.slots }}
	ctx, cancel := context.WithTimeout(ctx, handshakeWait)
	defer cancel()
	if err := c.Conn.HandshakeContext(ctx); err != nil {
		f.log.Info("hand-shake failed", "from", raw.RemoteAddr().String(), "err", err)
		f.drop(raw)
		return nil, false
	}
	select {
	case f.slots <- struct{}{}:
		return c, true
	default:
		f.log.Warn("too many connections; one more refused", "from", raw.RemoteAddr().String())
		f.drop(raw)
		return nil, false
	}
}

// Accept gives the next connection that has identified itself.
func (f *handshakeLimiter) Accept() (net.Conn, error) {
	select {
	case c := <-f.ready:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close ends accepting.
func (f *handshakeLimiter) Close() error {
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
