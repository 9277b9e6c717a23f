// Package mdns answers for the appliance's name, <id>.local, on the networks where its page answers (RFC 6762), so that
// a browser finds the page without a name server.
//
// It owns two sockets on UDP port 5353, shared with other programs, and the name's state. It must never answer for
// another name, nor give an address at which the page does not listen, nor go on answering for a name that another
// machine has.
package mdns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sync/errgroup"
)

const (
	probes     = 3
	probeEvery = 250 * time.Millisecond
	lookEvery  = 5 * time.Second  // at the interfaces: cables are plugged in later
	againAfter = time.Minute      // until a name that another machine has is tried again
	defendGap  = probeEvery       // between two messages to the group when somebody wants the name
	answerGap  = time.Second      // …else (RFC 6762, 6)
	perSecond  = 50               // replies to askers of their own port
	reopen     = 10 * time.Second // after the sockets failed
)

// State is what became of the name.
type State string

// The states of a name.
const (
	Off      State = "off"      // nobody answers: no network, or not started
	Probing  State = "probing"  // it is being asked whether the name is free
	Answered State = "answered" // we have it
	Taken    State = "taken"    // another machine has it
)

// Status is the state of the name; By is the address of who has it, when Taken.
type Status struct {
	State State
	By    netip.Addr
}

// Options of a responder.
type Options struct {
	Name   string     // without ".local"
	Listen netip.Addr // of the page; unspecified: all
	Log    *slog.Logger
	Taken  func(by netip.Addr) // the name belongs to another machine; called once each time
}

// Responder answers for one name. Run does the work; Status may be asked at any time.
type Responder struct {
	o    Options
	name dnsmessage.Name

	mu     sync.Mutex
	status Status // guarded by mu
}

// New makes a responder.
func New(o Options) (*Responder, error) {
	n, err := dnsmessage.NewName(o.Name + ".local.")
	if err != nil {
		return nil, fmt.Errorf("mdns: the name %q: %w", o.Name, err)
	}
	return &Responder{o: o, name: n, status: Status{State: Off}}, nil
}

// Status says what became of the name.
func (r *Responder) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

func (r *Responder) set(s Status) {
	r.mu.Lock()
	old := r.status
	r.status = s
	r.mu.Unlock()
	if s == old {
		return
	}
	r.o.Log.Info("the name on the local network", "name", r.name.String(), "state", s.State)
	if s.State == Taken && r.o.Taken != nil {
		r.o.Taken(s.By)
	}
}

// Run answers until ctx ends. A port that cannot be opened is tried again: the page works without the name.
func (r *Responder) Run(ctx context.Context) error {
	for {
		err := r.serve(ctx)
		r.set(Status{State: Off})
		if ctx.Err() != nil {
			return nil
		}
		r.o.Log.Warn("the name is not answered on the local network", "name", r.name.String(), "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(reopen):
		}
	}
}

// serve opens the port and answers until ctx ends or the port fails.
func (r *Responder) serve(ctx context.Context) (err error) {
	s, err := open()
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	in := make(chan packet, 64)
	if s.four != nil {
		g.Go(func() error { return s.read(false, in) })
	}
	if s.six != nil {
		g.Go(func() error { return s.read(true, in) })
	}
	g.Go(func() (err error) {
		defer func() { err = errors.Join(err, s.close()) }() // ends the readers
		l := life{r: r, s: s, said: map[place]time.Time{}}
		return l.run(ctx, in)
	})
	return g.Wait()
}

// place is one family's addresses on one interface.
type place struct {
	index int
	six   bool
}

// life is the name from the opening of the port on. Only its run touches it.
type life struct {
	r    *Responder
	s    sockets
	nets []network
	own  []netip.Addr // of this machine

	sent  int // probes
	next  time.Time
	said  map[place]time.Time // to the group
	spent int                 // replies in this second
	since time.Time
}

func (l *life) run(ctx context.Context, in <-chan packet) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	step := time.NewTimer(0)
	defer step.Stop()
	if err := l.look(time.Now()); err != nil {
		return err
	}
	for {
		step.Reset(time.Until(l.next))
		select {
		case <-ctx.Done():
			l.leave()
			return nil
		case now := <-look.C:
			if err := l.look(now); err != nil {
				return err
			}
		case now := <-step.C:
			l.step(now)
		case p := <-in:
			l.take(time.Now(), p)
		}
	}
}

// look takes over what changed at the interfaces; the name is probed again then.
func (l *life) look(now time.Time) error {
	nets, own, err := networks(l.r.o.Listen)
	if err != nil {
		return err
	}
	l.own = own
	if slices.EqualFunc(nets, l.nets, network.same) && !l.next.IsZero() {
		return nil
	}
	l.nets = nets
	for _, n := range nets {
		if err := l.s.join(n); err != nil {
			l.r.o.Log.Warn("the group cannot be joined", "interface", n.name, "err", err)
		}
	}
	l.probe(now)
	return nil
}

// never is when nothing is to be done by time.
const never = 24 * time.Hour

// probe begins to ask whether the name is free.
func (l *life) probe(now time.Time) {
	l.sent = 0
	if len(l.nets) == 0 {
		l.next = now.Add(never)
		l.r.set(Status{State: Off})
		return
	}
	l.next = now.Add(rand.N(probeEvery)) // not all at once after a power cut
	if l.r.Status().State != Taken {
		l.r.set(Status{State: Probing})
	}
}

// step does what is due: three probes, then two announcements; after a minute a name that was taken is tried again.
func (l *life) step(now time.Time) {
	switch {
	case l.sent < probes:
		l.all(now, record.probing)
		l.next = now.Add(probeEvery)
	case l.sent < probes+2:
		l.r.set(Status{State: Answered})
		l.all(now, func(r record) ([]byte, error) { return r.announcement(ttl) })
		l.next = now.Add(time.Second)
	default:
		l.next = now.Add(never)
		return
	}
	l.sent++
}

func (l *life) all(now time.Time, message func(record) ([]byte, error)) {
	for _, n := range l.nets {
		b, err := message(record{l.r.name, n.addrs})
		if err == nil {
			err = l.s.send(n, b, netip.AddrPort{})
		}
		if err != nil {
			l.r.o.Log.Debug("the network cannot be told of the name", "interface", n.name, "err", err)
		}
		l.said[place{n.index, false}], l.said[place{n.index, true}] = now, now
	}
}

// leave takes the name back.
func (l *life) leave() {
	if l.r.Status().State == Answered {
		l.all(time.Now(), func(r record) ([]byte, error) { return r.announcement(0) })
	}
}

// take reads one message. What is no message of multicast DNS is dropped.
func (l *life) take(now time.Time, p packet) {
	at := slices.IndexFunc(l.nets, func(n network) bool { return n.index == p.index })
	if at < 0 || !l.nets[at].near(p.from.Addr()) {
		return
	}
	var m dnsmessage.Message
	if m.Unpack(p.data) != nil || m.OpCode != 0 || m.RCode != 0 {
		return
	}
	n := l.nets[at]
	rec := record{l.r.name, n.addrs}
	if m.Response {
		if !rec.other(&m, l.own) || p.from.Port() != Port {
			return
		}
		if l.sent <= probes { // not announced yet: it is not free
			l.r.set(Status{Taken, p.from.Addr().WithZone("")})
			l.sent, l.next = 0, now.Add(againAfter)
			return
		}
		l.probe(now) // who has it, we or they?
		return
	}
	if l.sent <= probes {
		if rec.yields(&m, l.own) {
			l.r.o.Log.Debug("another machine probes for the name at the same time", "address", p.from.Addr())
			l.sent, l.next = 0, now.Add(time.Second) // they go first; if they take it, they answer
		}
		return
	}
	l.reply(now, p, n, rec, &m)
}

// reply answers a question: to the group as often as the standard allows, to who asks from a port of its own at once.
func (l *life) reply(now time.Time, p packet, n network, rec record, m *dnsmessage.Message) {
	q, ok := rec.asked(m, p.from.Port() != Port)
	if !ok {
		return
	}
	to := netip.AddrPort{}
	if q.legacy != nil {
		if now.Sub(l.since) >= time.Second {
			l.since, l.spent = now, 0
		}
		if l.spent++; l.spent > perSecond {
			return
		}
		to = p.from
	} else {
		gap := answerGap
		if q.probe {
			gap = defendGap
		}
		lately := func(six bool) bool { // they heard it a moment ago
			last, said := l.said[place{n.index, six}]
			return said && now.Sub(last) < gap
		}
		q.four, q.six = q.four && !lately(false), q.six && !lately(true)
		if !q.four && !q.six {
			return
		}
	}
	b, err := rec.answer(m, q)
	if err == nil && b != nil {
		err = l.s.send(n, b, to)
		if q.legacy == nil && q.four {
			l.said[place{n.index, false}] = now
		}
		if q.legacy == nil && q.six {
			l.said[place{n.index, true}] = now
		}
	}
	if err != nil {
		l.r.o.Log.Debug("a question for the name cannot be answered", "interface", n.name, "err", err)
	}
}
