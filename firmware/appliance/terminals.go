package appliance

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"campuskeep/firmware/reader"
	"campuskeep/firmware/reader/acsevent"
	"campuskeep/firmware/reader/iclock"
	"campuskeep/firmware/site"
)

// terminalLine is the line of the port for network terminals.
const terminalLine = "terminals"

// terminalPort is the port on which network terminals call. It is opened with the others, so that a configuration that
// cannot work is refused at the start, and again by the line that serves it.
type terminalPort struct {
	mu   sync.Mutex
	at   string       // address and port; empty: there is none
	open net.Listener // not yet served
}

// listen opens the port once.
func (p *terminalPort) listen(at string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at == "" || p.at != "" {
		return nil
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		return fmt.Errorf("terminals.listen: %w", err)
	}
	p.open, p.at = l, l.Addr().String()
	return nil
}

// take gives the open port to who serves it, or opens it again.
func (p *terminalPort) take() (net.Listener, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.open; l != nil {
		p.open = nil
		return l, nil
	}
	return net.Listen("tcp", p.at)
}

// close ends it for good.
func (p *terminalPort) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = ""
	if p.open == nil {
		return nil
	}
	return ignoreClosed(p.open.Close())
}

// address is where it listens; false when there is none.
func (p *terminalPort) address() (netip.AddrPort, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, err := netip.ParseAddrPort(p.at)
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), err == nil
}

// terminalDevice is a terminal as the port serves it.
func (a *Appliance) terminalDevice(r site.Reader) (iclock.Device, error) {
	d := iclock.Device{ID: r.ID, Serial: r.Serial}
	hash, err := a.Site.ReaderToken(r.ID)
	if err != nil {
		return d, err
	}
	copy(d.Token[:], hash)
	d.Addr, err = netip.ParseAddr(r.Host)
	return d, err
}

func (a *Appliance) openTerminals(devices []iclock.Device) reader.Line {
	return iclock.New(iclock.Options{Listen: a.terminals.take, Devices: devices, Zone: a.zone, Clock: a.Timekeeper, Marks: a.Gate,
		OnFresh: a.noteFresh, OnState: a.events.reader, Log: a.log})
}

// askTerminal is a terminal that is asked for its events.
func (a *Appliance) askTerminal(s readerSpec) reader.Line {
	return acsevent.New(acsevent.Options{ID: s.Reader.ID, Host: s.Reader.Host, User: s.Login.User, Password: s.Login.Password, Turned: s.Reader.Turned,
		Zone: a.zone, Clock: a.Timekeeper, Marks: a.Gate, OnFresh: a.noteFresh, OnState: a.readerState, Log: a.log})
}

// forgetTerminals makes terminals that left service begin as new ones when they come back.
func (a *Appliance) forgetTerminals(ctx context.Context) {
	for _, r := range a.Site.Readers() {
		serial := r.Serial
		switch {
		case !r.Retired:
			continue
		case r.Kind == site.ReaderHikvision:
			_, serial = a.Site.ReaderDevice(r.ID)
		case r.Kind != site.ReaderIclock:
			continue
		}
		if err := a.Gate.TerminalLeft(ctx, r.ID, serial); err != nil && ctx.Err() == nil {
			a.log.Error("a terminal that left service goes on where it was when it comes back", "reader", r.ID, "err", err)
		}
	}
}

// noteFresh shows the pages that wait for a card the newest that a terminal read. The gate has them already.
func (a *Appliance) noteFresh(reads []reader.CardRead) {
	for _, c := range reads {
		a.cards.Note(c)
	}
}

// TerminalAddress is where network terminals call; not valid when none can.
func (a *Appliance) TerminalAddress() netip.AddrPort {
	at, _ := a.terminals.address()
	return at
}
