package timekeeper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/beevik/ntp"

	"campuskeep/shared/clock"
)

// How an NTP server is asked (RFC 5905): seldom while it answers, at most once in ntpParallel when there is doubt, and
// less and less when it says so.
const (
	ntpEvery     = 1024 * time.Second
	ntpParallel  = time.Minute
	ntpSlowEvery = 36 * time.Hour
	ntpTimeout   = 5 * time.Second
	ntpDistance  = 1500 * time.Millisecond // MAXDIST: farther from the true time it is no witness
)

// NTP is the time of one or more NTP servers. Together they are one witness, for nobody knows whether they have their
// time from one another: they must agree among themselves, and alone they never make the clock trusted. Answers are
// not authenticated (there is no NTS): somebody on the network path can forge them, which is why at most one origin
// is assumed to lie and why NTP needs a second origin beside it.
type NTP struct {
	clock  HostClock
	asking sync.Mutex // one round of questions at a time

	mu      sync.Mutex // never held while waiting for an answer
	servers []*ntpServer
	hurry   bool
}

type ntpServer struct {
	name    string
	asked   bool
	at      time.Duration // mono of the last question
	every   time.Duration
	refused bool // it said never to ask again
	last    *clock.Observation
	trouble Trouble
	detail  string
}

// NewNTP makes the source of these servers, each host or host:port. It asks nobody yet.
func NewNTP(c HostClock, servers ...string) *NTP {
	n := &NTP{clock: c}
	for _, s := range servers {
		n.servers = append(n.servers, &ntpServer{name: s, every: ntpEvery, trouble: TroubleSilent})
	}
	return n
}

// Name is "ntp".
func (n *NTP) Name() string { return "ntp" }

// Origin is clock.OriginNTP.
func (n *NTP) Origin() clock.Origin { return clock.OriginNTP }

// Hurry asks again soon: another source has left the line, and only who speaks after that can settle it.
func (n *NTP) Hurry() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hurry = true
}

// Observe asks the servers that are due, all at once, and gives what most of those agree on that have answered of
// late. When there is no majority it says nothing.
func (n *NTP) Observe(ctx context.Context) (clock.Observation, error) {
	n.asking.Lock()
	defer n.asking.Unlock()
	due, willing := n.due()
	switch {
	case !willing:
		return clock.Observation{}, &Fault{TroubleRefused, "every server asks never to be asked again"}
	case len(due) == 0:
		return clock.Observation{}, ErrSilent
	}
	ctx, cancel := context.WithTimeout(ctx, ntpTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range due {
		wg.Go(func() {
			o, err := query(ctx, n.clock, s.name)
			n.mu.Lock()
			defer n.mu.Unlock()
			s.record(o, err)
		})
	}
	wg.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hurry = false
	return n.agreed()
}

// due marks the servers whose turn it is as asked; willing says whether there is one that may ever be asked again.
func (n *NTP) due() (out []*ntpServer, willing bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	mono := n.clock.Boottime()
	for _, s := range n.servers {
		every := s.every
		if s.every == ntpEvery && (n.hurry || s.last == nil) {
			every = ntpParallel
		}
		willing = willing || !s.refused
		// A timer that wakes a little early must not cost a whole round.
		if !s.refused && (!s.asked || mono-s.at >= every-every/20) {
			s.asked, s.at = true, mono
			out = append(out, s)
		}
	}
	return out, willing
}

// record notes what came of a question.
func (s *ntpServer) record(o clock.Observation, err error) {
	if err == nil {
		s.last, s.trouble, s.detail = &o, "", ""
		return
	}
	s.last = nil
	f, ok := errors.AsType[*Fault](err)
	if !ok {
		f = &Fault{TroubleUnreachable, err.Error()}
	}
	s.trouble, s.detail = f.Trouble, f.Detail
	switch {
	case f.Trouble == TroubleRefused:
		s.refused = true
	case f.Trouble == TroubleSeldom:
		s.every = min(2*s.every, ntpSlowEvery)
	}
}

// query asks one server once. What counts is our own monotonic time around the exchange: the server's transmit time
// lies between question and answer, whatever else it claims.
func query(ctx context.Context, c HostClock, server string) (o clock.Observation, err error) {
	conn := &stamped{clock: c}
	r, err := ntp.QueryWithOptions(server, ntp.QueryOptions{Timeout: ntpTimeout, Dialer: func(_, remote string) (net.Conn, error) {
		var d net.Dialer
		x, err := d.DialContext(ctx, "udp", remote)
		if err != nil {
			return nil, err
		}
		conn.Conn, conn.release = x, context.AfterFunc(ctx, func() { cut(x) })
		return conn, nil
	}})
	if err != nil {
		return o, ntpFault(err)
	}
	if r.IsKissOfDeath() {
		return o, kiss(r.KissCode)
	}
	if err := r.Validate(); err != nil {
		return o, ntpFault(err)
	}
	around := conn.after - conn.before
	distance := around/2 + r.RootDelay/2 + r.RootDispersion + r.Precision
	if distance > ntpDistance {
		return o, &Fault{TroubleFar, fmt.Sprintf("root distance %v", distance.Round(time.Millisecond))}
	}
	return clock.Observation{Source: "ntp", Origin: clock.OriginNTP, Mono: conn.after, UTC: r.Time.Add(around / 2).UTC(), Uncertainty: distance}, nil
}

func ntpFault(err error) error {
	netErr, isNet := errors.AsType[net.Error](err)
	switch {
	case isNet && netErr.Timeout(), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return &Fault{TroubleTimeout, "no answer"}
	case errors.Is(err, ntp.ErrInvalidStratum), errors.Is(err, ntp.ErrInvalidLeapSecond), errors.Is(err, ntp.ErrServerClockFreshness):
		return &Fault{TroubleUnsynchronised, err.Error()}
	case errors.Is(err, ntp.ErrInvalidDispersion):
		return &Fault{TroubleFar, err.Error()}
	case isNet:
		return &Fault{TroubleUnreachable, err.Error()}
	}
	return &Fault{TroubleInvalid, err.Error()}
}

// kiss reads a kiss-o'-death (RFC 5905 §7.4): DENY and RSTR mean never again, RATE means less often; the others are
// of servers that have no time to give.
func kiss(code string) error {
	switch code {
	case "DENY", "RSTR":
		return &Fault{TroubleRefused, code}
	case "RATE":
		return &Fault{TroubleSeldom, code}
	}
	return &Fault{TroubleUnsynchronised, fmt.Sprintf("%.4q", code)}
}

// agreed is the hull of the largest group of servers that agree with one another, when they are more than half of
// those that answered.
func (n *NTP) agreed() (clock.Observation, error) {
	mono := n.clock.Boottime()
	var said []*ntpServer
	for _, s := range n.servers {
		if s.last != nil && mono-s.last.Mono <= 2*s.every {
			said = append(said, s)
		}
	}
	if len(said) == 0 {
		return clock.Observation{}, n.fault()
	}
	group := largest(said)
	for _, s := range said {
		s.trouble = ""
		if !slices.Contains(group, s) || 2*len(group) <= len(said) {
			s.trouble = TroubleAlone
		}
	}
	if 2*len(group) <= len(said) {
		return clock.Observation{}, &Fault{TroubleDisagree, fmt.Sprintf("%d of %d servers agree", len(group), len(said))}
	}
	var list []clock.Observation
	for _, s := range group {
		list = append(list, *s.last)
	}
	return clock.Hull(list, mono), nil
}

// largest is the largest group around one server whose every member agrees with every other.
func largest(said []*ntpServer) (best []*ntpServer) {
	for _, first := range said {
		group := []*ntpServer{first}
		for _, s := range said {
			if s != first && !slices.ContainsFunc(group, func(g *ntpServer) bool { return !clock.Agree(*g.last, *s.last) }) {
				group = append(group, s)
			}
		}
		if len(group) > len(best) {
			best = group
		}
	}
	return best
}

// fault is the trouble of all when none has answered: the first server's represents them.
func (n *NTP) fault() error {
	var all []string
	for _, s := range n.servers {
		all = append(all, s.name+": "+cmp.Or(s.detail, string(s.trouble)))
	}
	return &Fault{n.servers[0].trouble, strings.Join(all, "; ")}
}

// Servers returns the state of each server.
func (n *NTP) Servers() (out []Server) {
	mono := n.clock.Boottime()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.servers {
		x := Server{Name: s.name, Trouble: s.trouble}
		if s.last != nil {
			x.Answered, x.Uncertainty, x.Said = true, s.last.Uncertainty+clock.Drift(mono-s.last.Mono), *s.last
		}
		out = append(out, x)
	}
	return out
}

// stamped is a connection that notes the monotonic time before the question and after the answer, and ends with its
// context.
type stamped struct {
	net.Conn
	clock         HostClock
	release       func() bool
	before, after time.Duration
}

// cut lets anyone who waits for an answer go.
func cut(c net.Conn) {
	if err := c.SetDeadline(time.Unix(1, 0)); err != nil && !errors.Is(err, net.ErrClosed) {
		panic(fmt.Sprintf("timekeeper: deadline of a UDP socket: %v", err)) // every socket of the kernel has one
	}
}

func (s *stamped) Close() error {
	s.release()
	return s.Conn.Close()
}

func (s *stamped) Write(b []byte) (int, error) {
	s.before = s.clock.Boottime()
	return s.Conn.Write(b)
}

func (s *stamped) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	s.after = s.clock.Boottime()
	return n, err
}
