package nvr

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"campuskeep/firmware/nvr/driver"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// Options configures a [Supervisor].
type Options struct {
	Store   *ledgerdb.Store
	Vault   *vault.Vault // fetched footage goes there
	Clock   clock.Clock
	Cameras func() []footage.Camera
	Drivers map[string]driver.Kind
	// Anchor makes an anchor durable and known to everybody who places footage, before the first picture that it
	// places is written.
	Anchor func(context.Context, clock.Anchor) error
	Places func() footage.Places           // the table from boots to UTC
	Zone   *time.Location                  // of the day labels in the vault
	Every  time.Duration                   // between checks; 0: a day
	Pause  func(attempt int) time.Duration // before the next try; nil: from 30 s up to an hour
	Log    *slog.Logger
}

// Supervisor watches the registered NVRs. All methods are safe for concurrent use.
type Supervisor struct {
	o       Options
	writing sync.Mutex // one change of the register at a time: taken before mu

	mu          sync.Mutex // guards the rest
	devices     map[string]row[Device]
	connections map[string]*connection
	changed     chan struct{}             // closed and replaced when there may be something to do
	number      uint64                    // of the last fetch
	fetching    fetchCache                // see known
	changes     uint64                    // of the fetches, so far
	playing     map[string][]footage.Span // by fetch: what a running playback has brought
	views       map[string]*view          // by camera: who watches live
	works       map[string]Work           // by NVR: the last that somebody asked for
	discoveries map[string]*discovery     // of installers, by id
	jobs        chan func(context.Context)
}

// row is a value with its revision in the store.
type row[T any] struct {
	v   T
	rev uint64
}

// connection is the connection to one NVR. The holder of its slot may use the driver: NVRs accept one task at a time.
type connection struct {
	slot        chan struct{}
	stale       atomic.Bool // the register has changed: the driver is of the old row
	driver      driver.Driver
	target      Target
	yield       context.CancelCauseFunc          // asks the holder of the slot to release it; nil: nobody holds it. Supervisor.mu guards this and the next
	waiting     int                              // changes of the register that wait for the slot: they come first
	login       uint64                           // revision of the password that the driver uses
	kbps        map[driver.TrackID]int           // by track, what is recorded
	online      map[driver.TrackID]bool          // by track, as far as the NVR says
	groups      map[driver.TrackID]time.Duration // by track, the longest group of pictures that was played
	statesTimes bool                             // playback states absolute times again and again
	last        lastGroup
}

// Open loads the register. The store's Run need not run yet.
func Open(o Options) (*Supervisor, error) {
	if o.Every == 0 {
		o.Every = 24 * time.Hour
	}
	if o.Pause == nil {
		o.Pause = func(attempt int) time.Duration { return min(30*time.Second<<min(attempt, 10), maxPause) }
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	r := &Supervisor{o: o, devices: map[string]row[Device]{}, connections: map[string]*connection{}, changed: make(chan struct{}),
		playing: map[string][]footage.Span{}, works: map[string]Work{}, discoveries: map[string]*discovery{}, views: map[string]*view{}, jobs: make(chan func(context.Context), maxJobs)}
	err := o.Store.View(func(tx ledgerdb.Tx) error {
		for key, d := range devices.Rows(tx, "") {
			if d.Err != nil {
				return d.Err
			}
			r.devices[key] = row[Device]{d.Value, d.Rev}
		}
		for _, f := range fetches.All(tx) {
			var n uint64
			if _, err := fmt.Sscanf(f.ID, "f%d", &n); err == nil {
				r.number = max(r.number, n)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open NVRs: %w", err)
	}
	return r, nil
}

func (r *Supervisor) device(id string) (row[Device], bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, ok := r.devices[id]
	return d, ok
}

// Devices lists the register by id.
func (r *Supervisor) Devices() []Device {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Device, 0, len(r.devices))
	for _, id := range slices.Sorted(maps.Keys(r.devices)) {
		out = append(out, r.devices[id].v)
	}
	return out
}

// Device gives an NVR of the register, also one that is out of service.
func (r *Supervisor) Device(id string) (Device, bool) {
	d, ok := r.device(id)
	return d.v, ok
}

// State is what is known of an NVR; ok is false before the first try.
func (r *Supervisor) State(id string) (s State, ok bool, err error) {
	err = r.o.Store.View(func(tx ledgerdb.Tx) error {
		s, _, ok, err = states.Get(tx, id)
		return err
	})
	return s, ok, err
}

// Report is what the last check showed of a camera; ok is false when there was none.
func (r *Supervisor) Report(camera string) (p Report, ok bool, err error) {
	err = r.o.Store.View(func(tx ledgerdb.Tx) error {
		p, _, ok, err = reports.Get(tx, camera)
		return err
	})
	return p, ok, err
}

// Reports lists what the last checks showed, by camera.
func (r *Supervisor) Reports() (out []Report, err error) {
	err = r.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, p := range reports.All(tx) {
			out = append(out, p)
		}
		return nil
	})
	return out, err
}

// wakeLocked wakes the workers. The caller holds mu.
func (r *Supervisor) wakeLocked() {
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Supervisor) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wakeLocked()
}

// Changed is closed when the register may have changed; ask for it before looking.
func (r *Supervisor) Changed() <-chan struct{} { return r.changedChan() }

func (r *Supervisor) changedChan() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// ErrRetired is an NVR that is not, or not any more, in service.
var ErrRetired = errors.New("nvr: no such NVR in service")

// connected runs f with the slot of an NVR and a driver of the present register. A password that was refused is not
// tried again, not even after a restart.
func (r *Supervisor) connected(ctx context.Context, id string, f func(context.Context, *connection) error) error {
	l := r.connectionOf(id)
	select {
	case l.slot <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	return r.use(ctx, l, id, f)
}

// errBusyHere: another task holds the slot.
var errBusyHere = errors.New("nvr: another task is using the NVR")

// connectedIfFree is [Supervisor.connected] that fails with errBusyHere instead of waiting.
func (r *Supervisor) connectedIfFree(ctx context.Context, id string, f func(context.Context, *connection) error) error {
	l := r.connectionOf(id)
	select {
	case l.slot <- struct{}{}:
	default:
		return errBusyHere
	}
	return r.use(ctx, l, id, f)
}

func (r *Supervisor) connectionOf(id string) *connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.connections[id]
	if l == nil {
		l = &connection{slot: make(chan struct{}, 1), groups: map[driver.TrackID]time.Duration{}}
		r.connections[id] = l
	}
	return l
}

func (r *Supervisor) use(ctx context.Context, l *connection, id string, f func(context.Context, *connection) error) error {
	defer func() { <-l.slot }()
	if err := r.open(l, id); err != nil {
		return err
	}
	turn, cancel := context.WithCancelCause(ctx)
	r.setYield(l, cancel)
	defer r.setYield(l, nil)
	defer cancel(nil)
	err := f(turn, l)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(turn), errYield) {
		return errYield
	}
	if errors.Is(err, driver.ErrRefused) {
		err = errors.Join(err, r.updateState(ctx, id, func(s *State) { s.Refused = l.login }))
	}
	return err
}

func (r *Supervisor) setYield(l *connection, cancel context.CancelCauseFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.yield = cancel
	if cancel != nil && l.waiting > 0 {
		cancel(errYield)
	}
}

// errYield: the register of this NVR is being changed, and the running task was interrupted for it.
var errYield = errors.New("nvr: the register of this NVR is being changed")

// exclusive runs f while no task uses the NVR, for a change of the register. A running task is interrupted; when that
// takes longer than people wait, it is [Unanswered].
func (r *Supervisor) exclusive(ctx context.Context, id string, f func() error) error {
	l := r.connectionOf(id)
	wait := time.NewTimer(yieldTime)
	defer wait.Stop()
	want := func(n int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if l.waiting += n; l.waiting > 0 && l.yield != nil {
			l.yield(errYield)
		}
	}
	want(1)
	defer want(-1)
	select {
	case l.slot <- struct{}{}:
	case <-wait.C:
		return &Unanswered{Fault: FaultBusy}
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.slot }()
	return f()
}

// yieldTime is how long a change of the register waits for the slot.
const yieldTime = 10 * time.Second

// open opens the driver if there is none of the present register. The caller holds the slot.
func (r *Supervisor) open(l *connection, id string) error {
	d, ok := r.device(id)
	if !ok || d.v.Retired {
		return ErrRetired
	}
	if l.driver != nil && !l.stale.Load() {
		return nil
	}
	l.stale.Store(false)
	login, rev, s, err := r.loginOf(id)
	if err != nil {
		return err
	}
	if l.driver != nil {
		old := l.driver
		l.driver = nil
		if err := old.Close(); err != nil {
			return fmt.Errorf("leave NVR %s: %w", id, err)
		}
	}
	if s.Refused != 0 && s.Refused == rev {
		l.stale.Store(true)
		return fmt.Errorf("%w before; it has not been changed since", driver.ErrRefused)
	}
	target := Target{Device: d.v, Login: login.Login}
	driver, err := r.Kind(d.v).Open(target.connection())
	if err != nil {
		l.stale.Store(true)
		return err
	}
	l.driver, l.target, l.login = driver, target, rev
	return nil
}

// loginOf is the password of an NVR with its revision, and what is known of the NVR.
func (r *Supervisor) loginOf(id string) (login deviceLogin, rev uint64, s State, err error) {
	err = r.o.Store.View(func(tx ledgerdb.Tx) (err error) {
		if login, rev, _, err = logins.Get(tx, id); err == nil {
			s, _, _, err = states.Get(tx, id)
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("password of NVR %s: %w", id, err)
	}
	return login, rev, s, err
}

// updateState changes the state of an NVR, which has one writer: the holder of the slot.
func (r *Supervisor) updateState(ctx context.Context, id string, change func(*State)) error {
	s, _, err := r.State(id)
	if err != nil {
		return err
	}
	s.NVR = id
	change(&s)
	if _, err := r.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{states.Put(id, s)}}); err != nil {
		return fmt.Errorf("state of NVR %s: %w", id, err)
	}
	return nil
}

// Run checks every NVR daily and brings what was asked for, until ctx ends.
func (r *Supervisor) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	running := map[string]bool{}
	for {
		changed := r.changedChan()
		for _, d := range r.Devices() {
			if !d.Retired && !running[d.ID] {
				running[d.ID] = true
				work.Go(func() { r.serve(ctx, d.ID) })
			}
		}
		select {
		case <-ctx.Done():
			return r.closeDrivers()
		case job := <-r.jobs:
			work.Go(func() { job(ctx) })
		case <-changed:
		}
	}
}

// closeDrivers closes the drivers. The workers have ended; a caller on demand may still hold a slot.
func (r *Supervisor) closeDrivers() error {
	r.mu.Lock()
	links := maps.Clone(r.connections)
	r.mu.Unlock()
	var errs []error
	for _, l := range links {
		l.slot <- struct{}{}
		if l.driver != nil {
			errs = append(errs, l.driver.Close())
			l.driver = nil
		}
		<-l.slot
	}
	return errors.Join(errs...)
}

// serve is the worker of one NVR.
func (r *Supervisor) serve(ctx context.Context, id string) {
	failed := 0
	for ctx.Err() == nil {
		changed := r.changedChan()
		wait := r.o.Every
		if d, ok := r.device(id); ok && !d.v.Retired {
			var err error
			wait, err = r.step(ctx, id)
			switch {
			case ctx.Err() != nil:
				return
			case err == nil:
				if failed = 0; wait <= 0 {
					continue
				}
			case errors.Is(err, errYield):
				wait = r.o.Pause(failed)
			default:
				r.o.Log.Warn("NVR", "nvr", id, "err", err)
				wait = r.o.Pause(failed)
				failed++
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// step does what is due at an NVR and says how long nothing else is.
func (r *Supervisor) step(ctx context.Context, id string) (time.Duration, error) {
	s, _, err := r.State(id)
	if err != nil {
		return 0, err
	}
	reading := r.o.Clock.Now()
	now, due := reading.Wall, s.Checked.Add(r.o.Every)
	unjudged, err := r.unjudged(id)
	if err != nil {
		return 0, err
	}
	// A camera that cannot be looked at is not asked for every minute for ever.
	again := s.Tried.Add(min(recheckDelay<<min(s.Unseen, 11), r.o.Every))
	if unjudged && reading.State == clock.Trusted && again.Before(due) {
		due = again
	}
	unseen, err := r.unchecked(id)
	if err != nil {
		return 0, err
	}
	if unseen && again.Before(due) {
		due = again
	}
	stale, err := r.stale(id, s, now)
	if err != nil {
		return 0, err
	}
	if stale || !due.After(now) || due.Sub(now) > r.o.Every { // further on: our clock was ahead

		if _, err := r.Check(ctx, id); err != nil {
			return 0, err
		}
		return 0, nil
	}
	if s.Fault == FaultOther { // nothing is fetched from a machine that nobody knows
		return due.Sub(now), nil
	}
	next, err := r.advanceNext(ctx, id)
	if err != nil {
		return 0, err
	}
	if next.IsZero() || due.Before(next) {
		next = due
	}
	if unjudged {
		return min(next.Sub(now), trustInterval), nil
	}
	return next.Sub(now), nil
}

// inService are the cameras of an NVR that checks look at, with their channels.
func (r *Supervisor) inService(id string) map[string]int {
	d, ok := r.device(id)
	out := map[string]int{}
	if !ok || d.v.Retired {
		return out
	}
	for _, cam := range r.o.Cameras() {
		if channel, on := d.v.channelOf(cam.ID); on && !cam.Retired {
			out[cam.ID] = channel
		}
	}
	return out
}

// unjudged says whether the last check found footage of a camera in service while nobody vouched for our own clock.
func (r *Supervisor) unjudged(id string) (bool, error) {
	cameras := r.inService(id)
	all, err := r.Reports()
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(all, func(p Report) bool {
		_, on := cameras[p.Camera]
		return on && p.NVR == id && !p.Attestation.At.IsZero() && !p.Attestation.Judged
	}), nil
}

// unchecked says whether a camera in service has not been looked at since it was put where it is.
func (r *Supervisor) unchecked(id string) (bool, error) {
	for camera, channel := range r.inService(id) {
		rep, ok, err := r.Report(camera)
		if err != nil {
			return false, err
		}
		if !ok || rep.NVR != id || rep.Channel != channel || rep.Attestation.At.IsZero() {
			return true, nil
		}
	}
	return false, nil
}

// trustInterval is how often it is asked whether our own clock is trusted by now.
const trustInterval = 5 * time.Second

// recheckDelay is how soon after a check that could not judge, or was requested again, the next one comes.
const recheckDelay = time.Minute
