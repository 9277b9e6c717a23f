package mdns

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	ttl       = 120     // seconds that an answer counts (RFC 6762, 10)
	legacyTTL = 10      // …to a resolver that asks from a port of its own (6.7)
	flush     = 1 << 15 // in an answer's class: this is all there is of the name
	typeNSEC  = dnsmessage.Type(47)
)

// record is what is answered for the name on one network.
type record struct {
	name  dnsmessage.Name
	addrs []netip.Addr
}

// of reports whether a name is this one; case does not count.
func (r record) of(n dnsmessage.Name) bool { return strings.EqualFold(n.String(), r.name.String()) }

// question is what a message asks of the name.
type question struct {
	four, six bool
	probe     bool // somebody wants to have the name
	legacy    *dnsmessage.Question
}

// asked reads the questions of a message about the name.
func (r record) asked(m *dnsmessage.Message, legacy bool) (q question, ok bool) {
	for _, in := range m.Questions {
		class := in.Class &^ flush // a question's bit asks for an answer to itself alone; all get it
		if !r.of(in.Name) || class != dnsmessage.ClassINET && class != dnsmessage.ClassANY {
			continue
		}
		all := in.Type == dnsmessage.TypeALL
		if !all && in.Type != dnsmessage.TypeA && in.Type != dnsmessage.TypeAAAA {
			continue
		}
		q.four = q.four || all || in.Type == dnsmessage.TypeA
		q.six = q.six || all || in.Type == dnsmessage.TypeAAAA
		if legacy {
			q.legacy = &in
		}
		ok = true
	}
	q.probe = ok && slices.ContainsFunc(m.Authorities, func(a dnsmessage.Resource) bool { return r.of(a.Header.Name) })
	return q, ok
}

// answer makes the reply to a question, nil when the asker knows all of it already. A family without an address is
// denied, so that nobody waits for it.
func (r record) answer(m *dnsmessage.Message, q question) ([]byte, error) {
	out := dnsmessage.Message{Header: dnsmessage.Header{Response: true, Authoritative: true}}
	seconds, class := uint32(ttl), dnsmessage.ClassINET|dnsmessage.Class(flush)
	if q.legacy != nil {
		out.ID, out.Questions = m.ID, []dnsmessage.Question{*q.legacy}
		seconds, class = legacyTTL, dnsmessage.ClassINET
	}
	known := r.addresses(m.Answers, ttl/2)
	denied := q.four || q.six
	for _, a := range r.addrs {
		if wanted := a.Is4() && q.four || a.Is6() && q.six; !wanted {
			continue
		}
		denied = false
		if q.legacy != nil || !slices.Contains(known, a) {
			out.Answers = append(out.Answers, r.resource(a, class, seconds))
		}
	}
	if denied {
		out.Answers = append(out.Answers, r.nsec(class, seconds))
	}
	if len(out.Answers) == 0 {
		return nil, nil
	}
	return out.Pack()
}

// announcement says what the name has; no seconds take it back.
func (r record) announcement(seconds uint32) ([]byte, error) {
	out := dnsmessage.Message{Header: dnsmessage.Header{Response: true, Authoritative: true}}
	for _, a := range r.addrs {
		out.Answers = append(out.Answers, r.resource(a, dnsmessage.ClassINET|flush, seconds))
	}
	return out.Pack()
}

// probing asks whether anybody has the name, and says what we would answer (RFC 6762, 8.1).
func (r record) probing() ([]byte, error) {
	out := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: r.name, Type: dnsmessage.TypeALL, Class: dnsmessage.ClassINET}}}
	for _, a := range r.addrs {
		out.Authorities = append(out.Authorities, r.resource(a, dnsmessage.ClassINET, ttl))
	}
	return out.Pack()
}

func (r record) resource(a netip.Addr, class dnsmessage.Class, seconds uint32) dnsmessage.Resource {
	out := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: r.name, Class: class, TTL: seconds}}
	if a.Is4() {
		out.Header.Type, out.Body = dnsmessage.TypeA, &dnsmessage.AResource{A: a.As4()}
	} else {
		out.Header.Type, out.Body = dnsmessage.TypeAAAA, &dnsmessage.AAAAResource{AAAA: a.As16()}
	}
	return out
}

// nsec says which families the name has: a map of bits by type (RFC 6762, 6.1).
func (r record) nsec(class dnsmessage.Class, seconds uint32) dnsmessage.Resource {
	var data []byte
	for _, label := range strings.Split(strings.TrimSuffix(r.name.String(), "."), ".") {
		data = append(append(data, byte(len(label))), label...)
	}
	data = append(data, 0)
	bits := make([]byte, 4)
	for _, a := range r.addrs {
		n := dnsmessage.TypeA
		if a.Is6() {
			n = dnsmessage.TypeAAAA
		}
		bits[n/8] |= 0x80 >> (n % 8)
	}
	data = append(append(data, 0, byte(len(bits))), bits...)
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: r.name, Type: typeNSEC, Class: class, TTL: seconds},
		Body: &dnsmessage.UnknownResource{Type: typeNSEC, Data: data}}
}

// addresses lists what resources say of the name that counts for some seconds yet.
func (r record) addresses(list []dnsmessage.Resource, least uint32) (out []netip.Addr) {
	for _, in := range list {
		if !r.of(in.Header.Name) || in.Header.TTL < least {
			continue
		}
		switch b := in.Body.(type) {
		case *dnsmessage.AResource:
			out = append(out, netip.AddrFrom4(b.A))
		case *dnsmessage.AAAAResource:
			out = append(out, netip.AddrFrom16(b.AAAA))
		}
	}
	return out
}

// other reports whether a message gives the name an address that is none of this machine: somebody else has the name.
// What is taken back does not count.
func (r record) other(m *dnsmessage.Message, own []netip.Addr) bool {
	theirs := r.addresses(append(slices.Clone(m.Answers), m.Additionals...), 1)
	return slices.ContainsFunc(theirs, func(a netip.Addr) bool { return !slices.Contains(own, a) })
}

// yields reports whether somebody who probes for the same name at the same time goes first (RFC 6762, 8.2).
func (r record) yields(m *dnsmessage.Message, own []netip.Addr) bool {
	theirs := r.addresses(m.Authorities, 0)
	if len(theirs) == 0 || !slices.ContainsFunc(theirs, func(a netip.Addr) bool { return !slices.Contains(own, a) }) {
		return false
	}
	order := func(a, b netip.Addr) int {
		if a.Is4() != b.Is4() {
			return a.BitLen() - b.BitLen()
		}
		return bytes.Compare(a.AsSlice(), b.AsSlice())
	}
	ours := slices.Clone(r.addrs)
	slices.SortFunc(ours, order)
	slices.SortFunc(theirs, order)
	return slices.CompareFunc(ours, theirs, order) < 0
}
