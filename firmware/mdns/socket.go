package mdns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// Port of multicast DNS. It is shared with whatever else answers names on this machine.
const Port = 5353

var (
	group4 = netip.AddrFrom4([4]byte{224, 0, 0, 251})
	group6 = netip.MustParseAddr("ff02::fb")
)

// network is an interface with the addresses that the name has there.
type network struct {
	index    int
	name     string
	addrs    []netip.Addr   // that are answered
	prefixes []netip.Prefix // that are on the same link
}

// networks lists the interfaces on which the pages answer and neighbours can ask: listen is the address that the
// page listens on. own are all addresses of this machine.
func networks(listen netip.Addr) (out []network, own []netip.Addr, err error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, nil, fmt.Errorf("list the network interfaces: %w", err)
	}
	for _, i := range list {
		addrs, err := i.Addrs()
		if err != nil {
			continue // it went meanwhile
		}
		n := network{index: i.Index, name: i.Name}
		var linkLocal []netip.Addr
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue
			}
			at := p.Addr().Unmap()
			own = append(own, at)
			n.prefixes = append(n.prefixes, p.Masked())
			switch {
			case !listen.IsUnspecified() && at != listen, listen.Is4() && at.Is6():
			case at.IsLinkLocalUnicast() && at.Is6():
				linkLocal = append(linkLocal, at)
			default:
				n.addrs = append(n.addrs, at)
			}
		}
		if !slices.ContainsFunc(n.addrs, netip.Addr.Is6) {
			n.addrs = append(n.addrs, linkLocal...)
		}
		const wants, without = net.FlagUp | net.FlagMulticast, net.FlagLoopback | net.FlagPointToPoint
		if i.Flags&wants == wants && i.Flags&without == 0 && len(n.addrs) > 0 {
			out = append(out, n)
		}
	}
	return out, own, nil
}

func (n network) same(o network) bool {
	return n.index == o.index && n.name == o.name && slices.Equal(n.addrs, o.addrs) && slices.Equal(n.prefixes, o.prefixes)
}

// near reports whether an address is on this link.
func (n network) near(a netip.Addr) bool {
	return slices.ContainsFunc(n.prefixes, func(p netip.Prefix) bool { return p.Contains(a.WithZone("")) })
}

// packet is one message as it came in.
type packet struct {
	data  []byte
	from  netip.AddrPort
	index int // of the interface
	six   bool
}

// sockets are those on the port; one family may be missing.
type sockets struct {
	four *ipv4.PacketConn
	six  *ipv6.PacketConn
}

// open opens the port. The sockets are bound to the group's address: messages to this machine alone stay with
// the program that they are answers to.
func open() (s sockets, err error) {
	four, err4 := bind(unix.AF_INET, &unix.SockaddrInet4{Port: Port, Addr: group4.As4()})
	if err4 == nil {
		s.four = ipv4.NewPacketConn(four)
		err4 = errors.Join(s.four.SetControlMessage(ipv4.FlagInterface, true), s.four.SetMulticastTTL(255), s.four.SetMulticastLoopback(true))
	}
	six, err6 := bind(unix.AF_INET6, &unix.SockaddrInet6{Port: Port, Addr: group6.As16()})
	if err6 == nil {
		s.six = ipv6.NewPacketConn(six)
		err6 = errors.Join(s.six.SetControlMessage(ipv6.FlagInterface, true), s.six.SetMulticastHopLimit(255), s.six.SetMulticastLoopback(true))
	}
	if err4 != nil && err6 != nil {
		return s, errors.Join(fmt.Errorf("open UDP port %d: %w", Port, err4), err6, s.close())
	}
	return s, nil
}

func bind(family int, at unix.Sockaddr) (c net.PacketConn, err error) {
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "mdns")
	defer func() { err = errors.Join(err, file.Close()) }() // the connection has a copy
	options := []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, o, 1); err != nil {
			return nil, err
		}
	}
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return nil, err
		}
	}
	if err := unix.Bind(fd, at); err != nil {
		return nil, err
	}
	return net.FilePacketConn(file)
}

// join takes part in the group on an interface; it may be a member already.
func (s sockets) join(n network) error {
	i := &net.Interface{Index: n.index, Name: n.name}
	var errs []error
	if s.four != nil {
		errs = append(errs, s.four.JoinGroup(i, &net.UDPAddr{IP: group4.AsSlice()}))
	}
	if s.six != nil && slices.ContainsFunc(n.prefixes, func(p netip.Prefix) bool { return p.Addr().Is6() }) {
		errs = append(errs, s.six.JoinGroup(i, &net.UDPAddr{IP: group6.AsSlice()}))
	}
	for i, err := range errs {
		if errors.Is(err, unix.EADDRINUSE) {
			errs[i] = nil
		}
	}
	return errors.Join(errs...)
}

// send sends a message to the group on an interface, in both families, or to one asker.
func (s sockets) send(n network, b []byte, to netip.AddrPort) error {
	var errs []error
	if s.four != nil && (!to.IsValid() && slices.ContainsFunc(n.prefixes, func(p netip.Prefix) bool { return p.Addr().Is4() }) || to.Addr().Is4()) {
		dst := &net.UDPAddr{IP: group4.AsSlice(), Port: Port}
		if to.IsValid() {
			dst = net.UDPAddrFromAddrPort(to)
		}
		_, err := s.four.WriteTo(b, &ipv4.ControlMessage{IfIndex: n.index}, dst)
		errs = append(errs, err)
	}
	if s.six != nil && (!to.IsValid() && slices.ContainsFunc(n.prefixes, func(p netip.Prefix) bool { return p.Addr().Is6() }) || to.Addr().Is6()) {
		dst := &net.UDPAddr{IP: group6.AsSlice(), Port: Port, Zone: n.name}
		if to.IsValid() {
			dst = net.UDPAddrFromAddrPort(to)
		}
		_, err := s.six.WriteTo(b, &ipv6.ControlMessage{IfIndex: n.index}, dst)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// read hands on what comes in until the sockets are closed. What nobody takes in time is lost, as in the network.
func (s sockets) read(six bool, out chan<- packet) error {
	b := make([]byte, 9000) // RFC 6762, 17
	for {
		var (
			n, index int
			src      net.Addr
			err      error
		)
		if six {
			var c *ipv6.ControlMessage
			if n, c, src, err = s.six.ReadFrom(b); c != nil {
				index = c.IfIndex
			}
		} else {
			var c *ipv4.ControlMessage
			if n, c, src, err = s.four.ReadFrom(b); c != nil {
				index = c.IfIndex
			}
		}
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read from UDP port %d: %w", Port, err)
		}
		u, ok := src.(*net.UDPAddr)
		if !ok {
			continue
		}
		from := u.AddrPort()
		select {
		case out <- packet{slices.Clone(b[:n]), netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), index, six}:
		default:
		}
	}
}

func (s sockets) close() error {
	var errs []error
	if s.four != nil {
		errs = append(errs, s.four.Close())
	}
	if s.six != nil {
		errs = append(errs, s.six.Close())
	}
	return errors.Join(errs...)
}
