package iclock

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Connections of one address at once: a terminal has one or two.
const perAddress = 4

// allowed is a listener that closes what comes from elsewhere than a terminal, and too many from one, before a byte is
// read.
type allowed struct {
	net.Listener
	addresses map[netip.Addr]bool
	refused   func(netip.Addr)

	mu   sync.Mutex
	open map[netip.Addr]int
}

func (l *allowed) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := addressOf(c.RemoteAddr().String())
		if !l.addresses[from] {
			l.refused(from)
			c.Close() // nothing was said
			continue
		}
		l.mu.Lock()
		full := l.open[from] >= perAddress
		if !full {
			l.open[from]++
		}
		l.mu.Unlock()
		if full {
			c.Close()
			continue
		}
		return &counted{Conn: c, end: func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.open[from]--
		}}, nil
	}
}

// counted is a connection that counts until it is closed.
type counted struct {
	net.Conn
	closed atomic.Bool
	end    func()
}

func (c *counted) Close() error {
	if !c.closed.Swap(true) {
		c.end()
	}
	return c.Conn.Close()
}

func addressOf(remote string) netip.Addr {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}
