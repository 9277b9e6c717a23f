// Package iclock takes the marks of network terminals that speak ZKTeco's iclock (ADMS, push) protocol: the terminal is
// the HTTP client.
//
// A [Server] owns one listener and the state of its terminals. It must never acknowledge a mark that is not durable, send a
// terminal any command, or read a byte of an address that no terminal has.
//
// The protocol is clear text and a terminal is known by its serial number, its address and the access code in the path
// alone: its network has to be one of its own. The terminal decides itself when it beeps.
package iclock

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"campuskeep/firmware/reader"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

// Device is a terminal of the register.
type Device struct {
	ID     string
	Serial string
	Addr   netip.Addr
	Token  [32]byte // SHA-256 of its access code; zero: it has none, and is refused
}

// TokenHash is what is kept of an access code.
func TokenHash(token string) [32]byte { return sha256.Sum256([]byte(token)) }

// Options are what a Server needs.
type Options struct {
	// Listen opens the port; called again after it failed.
	Listen  func() (net.Listener, error)
	Devices []Device
	Zone    *time.Location // in which terminals say their time
	Clock   clock.Clock
	Marks   reader.Marks
	// OnFresh gets the cards that were read just now, OnState the changes of state; they must not wait.
	OnFresh func([]reader.CardRead)
	OnState func(reader.Status)
	Log     *slog.Logger
}

const (
	// silentAfter is how long a terminal may say nothing. It asks every 10 s.
	silentAfter  = 75 * time.Second
	lookEvery    = 5 * time.Second
	stampEvery   = time.Minute
	reopenAfter  = 5 * time.Second
	storeWithin  = 15 * time.Second
	heldFor      = 3 * time.Minute // how long after a delivery failed marks may be late
	logElsewhere = time.Minute
)

// Server serves network terminals on one port.
type Server struct {
	o   Options
	all []*terminal

	mu        sync.Mutex
	elsewhere int // connections refused since it was last logged
	loggedAt  time.Duration
}

// terminal is one of them.
type terminal struct {
	Device
	at chan struct{} // one delivery at a time

	mu       sync.Mutex // guards the rest
	status   reader.Status
	counts   reader.Counts
	heard    time.Duration // when it last said anything, since boot
	known    bool          // what is kept of it was read
	clock    attendance.TerminalState
	stamp    string // durable up to here
	saved    string
	savedAt  time.Duration
	failed   time.Duration // when a delivery last failed; 0: never
	rate     bucket
	refusing string // why it is refused, beside its clock
}

// New makes a server; it opens nothing.
func New(o Options) *Server {
	s := &Server{o: o}
	for _, d := range o.Devices {
		s.all = append(s.all, &terminal{Device: d, at: make(chan struct{}, 1), status: reader.Status{Reader: d.ID, State: reader.Offline, Reason: reader.ReasonStart}})
	}
	return s
}

// Statuses implements reader.Line.
func (s *Server) Statuses() []reader.Status {
	out := make([]reader.Status, len(s.all))
	for i, t := range s.all {
		t.mu.Lock()
		out[i] = t.status
		t.mu.Unlock()
	}
	return out
}

// Counts implements reader.Line.
func (s *Server) Counts(id string) (reader.Counts, bool) {
	for _, t := range s.all {
		if t.ID == id {
			t.mu.Lock()
			defer t.mu.Unlock()
			return t.counts, true
		}
	}
	return reader.Counts{}, false
}

// Feedback implements reader.Line: a terminal shows nothing that it is sent.
func (s *Server) Feedback(id string, _ attendance.Signal) error {
	if _, ok := s.Counts(id); !ok {
		return reader.ErrNoReader
	}
	return nil
}

// Run serves the port until ctx ends, opening it again when it fails.
func (s *Server) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	watched, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() { s.watch(watched) })
	for ctx.Err() == nil {
		if err := s.serve(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Error("the port for network terminals failed; opening it again", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(reopenAfter):
			}
		}
	}
	for _, t := range s.all {
		s.saveStamp(context.WithoutCancel(ctx), t, true)
		s.setState(t, reader.Offline, reader.ReasonStop, s.o.Clock.Now().Mono)
	}
	return ctx.Err()
}

func (s *Server) serve(ctx context.Context) error {
	inner, err := s.o.Listen()
	if err != nil {
		return fmt.Errorf("open the port for network terminals: %w", err)
	}
	l := &allowed{Listener: inner, addresses: map[netip.Addr]bool{}, refused: s.fromElsewhere, open: map[netip.Addr]int{}}
	for _, t := range s.all {
		l.addresses[t.Addr.Unmap()] = true
	}
	srv := &http.Server{
		Handler:           http.HandlerFunc(s.answer),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 8 << 10,
		ErrorLog:       slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
		BaseContext:    func(net.Listener) context.Context { return ctx },
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return errors.Join(err, srv.Close())
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := srv.Shutdown(end); err != nil { // what is being stored gets its moment, and its answer
		err = srv.Close()
		<-failed
		return err
	}
	<-failed
	return nil
}

// fromElsewhere logs now and then that an address was refused that no terminal has.
func (s *Server) fromElsewhere(a netip.Addr) {
	now := s.o.Clock.Now().Mono
	s.mu.Lock()
	defer s.mu.Unlock()
	s.elsewhere++
	if s.loggedAt != 0 && now-s.loggedAt < logElsewhere {
		return
	}
	s.o.Log.Warn("connection to the port for terminals from an address that no terminal of the register has", "address", a, "connections", s.elsewhere)
	s.elsewhere, s.loggedAt = 0, now
}

// watch finds the terminals that have fallen silent, and keeps their stamps.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.look(ctx)
		}
	}
}

func (s *Server) look(ctx context.Context) {
	now := s.o.Clock.Now().Mono
	for _, t := range s.all {
		t.mu.Lock()
		heard, gone := t.heard, t.heard != 0 && t.status.State != reader.Offline && now-t.heard > silentAfter
		t.mu.Unlock()
		if gone {
			s.setState(t, reader.Offline, reader.ReasonSilent, heard)
		}
		s.saveStamp(ctx, t, false)
	}
}

// saveStamp keeps where a terminal goes on. It is seldom written: what it sends again after a kill is known already.
func (s *Server) saveStamp(ctx context.Context, t *terminal, at bool) {
	now := s.o.Clock.Now().Mono
	t.mu.Lock()
	stamp, due := t.stamp, t.stamp != t.saved && (at || t.savedAt == 0 || now-t.savedAt >= stampEvery)
	t.mu.Unlock()
	if !due {
		return
	}
	if err := s.o.Marks.PutStamp(ctx, t.ID, t.Serial, stamp); err != nil {
		s.o.Log.Warn("it is not noted how far a terminal has told", "reader", t.ID, "err", err)
		return
	}
	t.mu.Lock()
	t.saved, t.savedAt = stamp, now
	t.mu.Unlock()
}

func (s *Server) setState(t *terminal, state reader.State, reason string, since time.Duration) {
	t.mu.Lock()
	changed := t.status.State != state || t.status.Reason != reason
	if changed {
		t.status.State, t.status.Reason, t.status.Since = state, reason, since
	}
	st := t.status
	t.mu.Unlock()
	if changed && s.o.OnState != nil {
		s.o.OnState(st)
	}
}

// showState gives a terminal that speaks the state that follows from what is known of it.
func (s *Server) showState(t *terminal) {
	now := s.o.Clock.Now().Mono
	t.mu.Lock()
	t.heard = now
	state, reason := reader.Online, reader.ReasonAnswers
	switch {
	case t.refusing != "":
		state, reason = reader.Refused, t.refusing
	case t.clock == attendance.ClockWrong:
		state, reason = reader.Refused, reader.ReasonClock
	case t.clock == attendance.ClockUnproven:
		state, reason = reader.Refused, reader.ReasonUnproven
	}
	t.mu.Unlock()
	s.setState(t, state, reason, now)
}

// refuse notes why a terminal is not served.
func (s *Server) refuse(t *terminal, reason string) {
	t.mu.Lock()
	t.refusing = reason
	t.mu.Unlock()
	s.showState(t)
}

// find is the terminal that a request comes from: by its access code, its address and its serial number, all three.
func (s *Server) find(token, serial string, from netip.Addr) *terminal {
	hash := TokenHash(token)
	var here *terminal
	alone := 0
	for _, t := range s.all {
		if t.Addr.Unmap() != from {
			continue
		}
		here, alone = t, alone+1
		if t.Token == [32]byte{} || subtle.ConstantTimeCompare(hash[:], t.Token[:]) != 1 {
			continue
		}
		if t.Serial == serial {
			return t
		}
		s.refuse(t, reader.ReasonSerial)
		return nil
	}
	if alone == 1 {
		reason := reader.ReasonToken
		if here.Token == [32]byte{} {
			reason = reader.ReasonNoToken
		}
		s.refuse(here, reason)
	}
	return nil
}

var _ reader.Line = (*Server)(nil)
