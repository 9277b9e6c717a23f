package appliance

import (
	"campuskeep/firmware/web/frame"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/mdns"
)

// ports is the published list: where this program answers the network (README, Ports).
func (c Config) ports() []frame.Port {
	n, ok := portOf(c.Web.Listen)
	if !ok {
		return nil // refused by Check
	}
	out := []frame.Port{{Number: n, Protocol: "tcp", Use: "office"}}
	if n, ok := portOf(c.Terminals.Listen); ok {
		out = append(out, frame.Port{Number: n, Protocol: "tcp", Use: "terminals"})
	}
	if _, answers := c.nameOn(); answers {
		out = append(out, frame.Port{Number: mdns.Port, Protocol: "udp", Use: "name"})
	}
	return out
}

func portOf(listen string) (uint16, bool) {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return uint16(n), err == nil
}

// checkPorts reports what of a running box listens and is not published, and the other way round.
func (a *Appliance) checkPorts(report func(Finding)) {
	if a.listen == nil {
		return
	}
	if a.name != nil && a.running.Load() {
		a.checkName(report)
	}
	open, err := listening("/proc/self", "tcp")
	if err != nil {
		report(unreadable("ports", "the sockets of this process", err))
		return
	}
	office := a.Address().(*net.TCPAddr).AddrPort()
	published := []netip.AddrPort{netip.AddrPortFrom(office.Addr().Unmap(), office.Port())}
	if t, ok := a.terminals.address(); ok {
		published = append(published, t)
	}
	portFindings(open, published, report)
}

func portFindings(open, published []netip.AddrPort, report func(Finding)) {
	has := func(list []netip.AddrPort, port uint16) bool {
		return slices.ContainsFunc(list, func(a netip.AddrPort) bool { return a.Port() == port })
	}
	for _, a := range open {
		if !a.Addr().IsLoopback() && !has(published, a.Port()) { // what listens for this machine alone is open to nobody else
			report(Finding{"ports", "unpublished", "tcp " + a.String(), "this program listens there, and the published list does not have it"})
		}
	}
	for _, a := range published {
		if !has(open, a.Port()) {
			report(Finding{"ports", "closed", "tcp " + a.String(), "the published list has it, and this program does not listen there"})
		}
	}
}

// listening lists the sockets of a protocol, tcp or udp, on which the process listens, from its directory in /proc.
func listening(proc, protocol string) ([]netip.AddrPort, error) {
	fds, err := os.ReadDir(proc + "/fd")
	if err != nil {
		return nil, fmt.Errorf("list the open files: %w", err)
	}
	own := map[string]bool{}
	for _, fd := range fds {
		to, err := os.Readlink(proc + "/fd/" + fd.Name())
		if err != nil {
			continue // closed meanwhile
		}
		if inode, ok := strings.CutPrefix(to, "socket:["); ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	var out []netip.AddrPort
	for _, table := range []string{protocol, protocol + "6"} {
		b, err := os.ReadFile(proc + "/net/" + table)
		if os.IsNotExist(err) {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("list the sockets: %w", err)
		}
		list, err := listeners(string(b), own)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", table, err)
		}
		out = append(out, list...)
	}
	return out, nil
}

// listeners reads a table of sockets as the kernel prints it (proc_net_tcp(5)): those that listen, of these inodes.
func listeners(table string, own map[string]bool) (out []netip.AddrPort, err error) {
	const listen, unconnected = "0A", "07" // of TCP and of UDP
	for i, line := range strings.Split(table, "\n") {
		f := strings.Fields(line)
		if i == 0 || len(f) < 10 || f[3] != listen && f[3] != unconnected || !own[f[9]] {
			continue
		}
		a, err := kernelAddress(f[1])
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// kernelAddress reads address:port; the address is words of 32 bits in the machine's order.
func kernelAddress(s string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	if err != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, fmt.Errorf("address %q is not understood", s)
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	a, ok := netip.AddrFromSlice(b)
	n, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil {
		return netip.AddrPort{}, fmt.Errorf("address %q is not understood", s)
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), nil
}
