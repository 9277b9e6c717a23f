package camera

import (
	"context"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// Net is a network inside this process. Its connections wait on nothing outside, so that a camera and who records it can
// live in the simulated time of testing/synctest. The methods of a nil Net use the machine's own.
type Net struct {
	mu     sync.Mutex
	port   int
	listen map[string]*listener
}

// NewNet makes a network on which nothing listens.
func NewNet() *Net { return &Net{port: 1024, listen: map[string]*listener{}} }

// Listen opens an address; port 0 takes one that nobody ever had.
func (n *Net) Listen(network, address string) (net.Listener, error) {
	if n == nil {
		return net.Listen(network, address)
	}
	a, err := net.ResolveTCPAddr(network, address)
	if err != nil {
		return nil, fmt.Errorf("sim network: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if a.Port == 0 {
		n.port++
		a.Port = n.port
	}
	l := &listener{n: n, at: a, calls: make(chan net.Conn), closed: make(chan struct{})}
	if n.listen[a.String()] != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: a, Err: syscall.EADDRINUSE}
	}
	n.listen[a.String()] = l
	return l, nil
}

// DialContext connects to an address on which somebody listens.
func (n *Net) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if n == nil {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	n.mu.Lock()
	l := n.listen[address]
	n.port++
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n.port}
	n.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	if l == nil {
		return nil, refused
	}
	near, far := net.Pipe()
	select {
	case l.calls <- &conn{Conn: far, local: l.at, remote: from}:
		return &conn{Conn: near, local: from, remote: l.at}, nil
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type listener struct {
	n      *Net
	at     *net.TCPAddr
	calls  chan net.Conn
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.calls:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	if l.n.listen[l.at.String()] != l {
		return net.ErrClosed
	}
	delete(l.n.listen, l.at.String())
	close(l.closed)
	return nil
}

func (l *listener) Addr() net.Addr { return l.at }

// conn is one end of a connection.
type conn struct {
	net.Conn
	local, remote *net.TCPAddr
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }
