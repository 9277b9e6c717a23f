// Package uplink connects the appliance to the centre: it enrols, ships the ledger and the released parts, takes
// acknowledgements, and passes on the centre's time.
//
// It owns <data>/identity/centre.json and appliance.key, one MQTT connection, and a row of what it remembers of
// the centre. It must never call an entry acknowledged on a broker's word, nor let a part leave the box that the
// table of kinds does not release.
package uplink

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"net/http"
	"sync"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
	"campuskeep/shared/wire"
	"campuskeep/shared/wire/protocol"
)

// Options is what the uplink needs.
type Options struct {
	ID      string // of the appliance
	Enrol   string // the centre's https:// address
	CA      string // "sha256:" and the fingerprint of the centre's authority
	Disk    disk.FS
	Store   *ledgerdb.Store
	Clock   clock.Clock
	OnTime  func(clock.Observation) // the centre's signed time; nil: nobody asks
	Highest func() time.Time        // the highest time ever trusted; nil: unknown
	Release string                  // version of this program
	Log     *slog.Logger            // nil: silent
}

// Timing of the connection. A pause is drawn between nothing and its bound (full jitter), so that a thousand
// boxes do not come back at the same moment.
const (
	firstPause   = time.Second
	longestPause = 2 * time.Minute
	steady       = 2 * time.Minute // a connection that held this long was a good one
	askTime      = time.Minute     // between questions for the time while the clock is not trusted
	saveEvery    = time.Minute
)

// Uplink is the link to the centre. Its methods are safe for concurrent use.
type Uplink struct {
	o    Options
	http *http.Client

	mu       sync.Mutex
	identity *identity // guarded by mu; nil before enrolment
	status   Status    // guarded by mu
	enrolled chan struct{}

	// Of the one goroutine in Run.
	remembered remembered
	dirty      bool
	renewTried time.Duration
}

// Status is the state of the link.
type Status struct {
	Enrolled     bool
	Centre       string // name of the centre's key
	Connected    bool
	InStep       bool      // both sides agreed on this connection what the centre has
	Acknowledged uint64    // leaves of the current epoch that the centre has
	Incarnation  string    // of the centre
	Certificate  time.Time // end of its validity
	LastContact  time.Time // last message from the centre, by our clock
	Fault        string    // why there is no connection: a code, empty while there is one
}

// Codes of Status.Fault.
const (
	FaultNotEnrolled = "not_enrolled"
	FaultUnreachable = "unreachable"
	FaultRefused     = "refused"
	FaultLost        = "lost"
	FaultStore       = "store"
)

// New makes an uplink; it starts nothing. An appliance that is not enrolled waits for Enrol.
func New(o Options) (*Uplink, error) {
	if !wire.ApplianceID(o.ID) {
		return nil, fmt.Errorf("uplink: appliance id %q", o.ID)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	u := &Uplink{o: o, enrolled: make(chan struct{}, 1)}
	u.http = u.httpClient()
	id, err := loadIdentity(o.Disk)
	if err != nil {
		return nil, fmt.Errorf("uplink: %w", err)
	}
	u.setIdentity(id)
	if u.remembered, err = recall(o.Store); err != nil {
		return nil, fmt.Errorf("uplink: %w", err)
	}
	return u, nil
}

func (u *Uplink) setIdentity(id *identity) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.identity = id
	u.status.Enrolled = id != nil
	if id == nil {
		u.status.Fault = FaultNotEnrolled
		return
	}
	u.status.Centre, u.status.Certificate = id.trust.Key.Name(), id.cert.NotAfter
	if u.status.Fault == FaultNotEnrolled {
		u.status.Fault = ""
	}
}

func (u *Uplink) current() *identity {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.identity
}

// Status returns the state of the link.
func (u *Uplink) Status() Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.status
}

func (u *Uplink) update(f func(*Status)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f(&u.status)
}

// Run keeps the link until ctx ends. Nothing that happens to the link ends it.
func (u *Uplink) Run(ctx context.Context) error {
	for u.current() == nil {
		select {
		case <-u.enrolled:
		case <-ctx.Done():
			return nil
		}
	}
	id := u.current()
	box := protocol.NewBox("campuskeep/"+u.o.ID, &ledgerLog{s: u.o.Store, log: u.o.Log, damaged: u.damaged(ctx)}, memory{u: u, ctx: ctx}, protocol.SavedState{Incarnation: u.remembered.Incarnation, Witnessed: u.remembered.Witnessed}, id.trust, nonce)
	pause := firstPause
	for {
		began, before := u.mono(), box.Acknowledged()
		err := u.session(ctx, box)
		box.Disconnected()
		u.update(func(s *Status) { s.Connected, s.InStep, s.Fault = false, false, faultOf(err) })
		if ctx.Err() != nil {
			break
		}
		u.o.Log.Warn("no connection to the centre", "err", err)
		if u.mono()-began >= steady || box.Acknowledged() != before {
			pause = firstPause // it was of use: come back soon
		}
		u.renewIfDue(ctx, faultOf(err) == FaultRefused)
		select {
		case <-time.After(time.Duration(mrand.Int64N(int64(pause)))):
		case <-ctx.Done():
		}
		pause = min(2*pause, longestPause)
	}
	return u.save(context.WithoutCancel(ctx))
}

func (u *Uplink) mono() time.Duration { return u.o.Clock.Now().Mono }

func nonce() (n wire.Nonce) {
	rand.Read(n[:])
	return n
}

// fault is an error with its code.
type fault struct {
	code string
	err  error
}

func (f fault) Error() string { return f.err.Error() }
func (f fault) Unwrap() error { return f.err }

func faultOf(err error) string {
	if f, ok := errors.AsType[fault](err); ok {
		return f.code
	}
	return FaultLost
}
