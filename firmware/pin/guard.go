package pin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// ErrElsewhere is a device that sends us to another address, or in circles.
var ErrElsewhere = errors.New("the device sends us to another address, or in circles")

// A device may send us on within itself, but not in circles.
const maxDials = 5

// Network connects to an address, as net.Dialer.DialContext does.
type Network func(ctx context.Context, network, address string) (net.Conn, error)

// Guard dials one device and no other, whatever it answers: a password goes nowhere else.
type Guard struct {
	Address string        // host:port of the device
	AnyPort bool          // another port of the same host is the device, too: only where no password is at stake
	Dials   int           // how often a client may connect; 0: any number of times
	Timeout time.Duration // to be connected; 5 s when zero
	Network Network       // what it connects over; the machine's own when nil

	mu     sync.Mutex
	made   int
	remote netip.Addr
}

// Once is a guard of a client that lives for one session.
func Once(address string) *Guard { return &Guard{Address: address, Dials: maxDials} }

// Dial connects, or refuses with [ErrElsewhere]. It is a DialContext of HTTP and RTSP clients.
func (g *Guard) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := g.permit(address); err != nil {
		return nil, err
	}
	timeout := g.Timeout
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	connect := g.Network
	if connect == nil {
		connect = (&net.Dialer{Timeout: timeout, KeepAlive: 15 * time.Second}).DialContext
	}
	c, err := connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if at, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		g.mu.Lock()
		g.remote = at.Addr().Unmap()
		g.mu.Unlock()
	}
	return c, nil
}

// Remote is the address that the last connection really went to.
func (g *Guard) Remote() netip.Addr {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.remote
}

func (g *Guard) permit(address string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.made++
	if g.Dials > 0 && g.made > g.Dials {
		return fmt.Errorf("%w: %s", ErrElsewhere, address)
	}
	if strings.EqualFold(address, g.Address) {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("address %s: %w", address, err)
	}
	if ours, _, err := net.SplitHostPort(g.Address); err != nil || !g.AnyPort || !strings.EqualFold(host, ours) {
		return fmt.Errorf("%w: %s", ErrElsewhere, address)
	}
	return nil
}
