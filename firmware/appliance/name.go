package appliance

import (
	"net/netip"
	"slices"
	"strings"

	"campuskeep/firmware/mdns"
)

// nameOn is the address on whose networks the box answers for <id>.local; false when it does not: switched off, or the
// page is for this machine alone.
func (c Config) nameOn() (listen netip.Addr, answers bool) {
	at := c.Web.Listen
	if strings.HasPrefix(at, ":") {
		at = "[::]" + at
	}
	a, err := netip.ParseAddrPort(at)
	if err != nil || !c.Web.MDNS || a.Addr().IsLoopback() {
		return netip.Addr{}, false
	}
	return a.Addr().Unmap(), true
}

func (a *Appliance) openName() (err error) {
	listen, answers := a.Config.nameOn()
	if !answers {
		return nil
	}
	taken := func(by netip.Addr) { a.events.fault("name.taken", strings.ToLower(by.String())) }
	a.name, err = mdns.New(mdns.Options{Name: a.Config.Appliance.ID, Listen: listen, Log: a.log, Taken: taken})
	return err
}

// checkName reports when the box does not answer for its name, or another machine does.
func (a *Appliance) checkName(report func(Finding)) {
	name := a.Config.Appliance.ID + ".local"
	open, err := listening("/proc/self", "udp")
	if err != nil {
		report(unreadable("ports", "the sockets of this process", err))
		return
	}
	if !slices.ContainsFunc(open, func(a netip.AddrPort) bool { return a.Port() == mdns.Port }) {
		report(Finding{"ports", "closed", "udp 5353", "the published list has it, and this program does not listen there"})
	}
	if s := a.name.Status(); s.State == mdns.Taken {
		report(Finding{"ports", "taken", name, s.By.String() + " has this name on the local network, and this box does not answer for it: give one of the two another appliance.id, or host name, or set office.mdns = false and use the address"})
	}
}
