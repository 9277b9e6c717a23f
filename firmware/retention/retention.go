// Package retention keeps footage exactly as long as it must: it binds what was recorded into the ledger,
// deletes what is due, destroys the keys of empty camera-days, and refuses what may no longer be shown.
//
// It owns the tables "watermarks", "condemned", "bound", "accounted", "dying_keys", "boot_bounds" and "thinned". The
// rules are in shared/footage; it must never delete by a clock that is not trusted, never what a hold keeps,
// and never without the entry that says so.
package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// Holds gives the holds inside a transaction, so that they can be looked at again in the commit that condemns.
type Holds func(ledgerdb.Tx) ([]footage.Hold, error)

// Options configure New.
type Options struct {
	Store   *ledgerdb.Store
	Vault   *vault.Vault
	Cameras func() []footage.Camera // policies; a camera that is not among them keeps the least
	Holds   Holds
	Clock   clock.Clock
	Anchors func() clock.Anchors
	// Assurance is what erasing keys made at an instant is worth, see keyring.Root.Label.
	Assurance func(made time.Time) string
	WhenFull  func() footage.WhenFull // the setting; nil: stop
	Log       *slog.Logger
}

// Watermark is how far a camera's footage has been condemned: what has its last frame at or before At is
// being deleted or gone, unless a hold keeps it. It rises, and a correction of the clock lowers what the wrong time
// has raised.
type Watermark struct {
	At    time.Time `json:"at"`
	Early time.Time `json:"early,omitzero"` // how far a breach entry has raised it before the time of its footage
}

// Condemned is a segment that must go and could not be unlinked yet.
type Condemned struct {
	Segment footage.Segment `json:"segment"`
	Since   time.Time       `json:"since"`
	Reason  string          `json:"reason"` // code
}

// bound says how far the segments of a camera are bound by `footage.recorded` entries: per boot, the
// beginning of the last one.
type bound struct {
	Boots map[string]time.Duration `json:"boots"`
}

// accounted are the files of the last `footage.deleted` entries of a camera. Their rows are dropped after the
// entry is durable; a start drops those that a power cut left.
type accounted struct {
	Files []footage.FileID `json:"files"`
}

// dyingKey is a key whose erasure was announced and not confirmed yet, or of whose camera-day files are left.
type dyingKey struct {
	Ring   string    `json:"ring"`
	Key    string    `json:"key"`
	Erased bool      `json:"erased,omitempty"` // the key is gone, and that is confirmed
	Since  time.Time `json:"since,omitzero"`   // of the first attempt that failed
	Reason string    `json:"reason,omitempty"` // code; empty: none has failed
}

func (k dyingKey) row() string { return k.Ring + "/" + k.Key }

// bootBound: no frame of this boot, which has no anchor, is later.
type bootBound struct {
	NotAfter time.Time `json:"not_after"`
}

var (
	watermarks = ledgerdb.NewTable[Watermark]("watermarks")
	condemned  = ledgerdb.NewTable[Condemned]("condemned") // key <camera>/<file id>
	bounds     = ledgerdb.NewTable[bootBound]("boot_bounds")
	bindings   = ledgerdb.NewTable[bound]("bound")         // key <camera>, with more boots than fit one also <camera>/<n>
	accounts   = ledgerdb.NewTable[accounted]("accounted") // key <camera>/<n>
	dying      = ledgerdb.NewTable[dyingKey]("dying_keys") // key <ring>/<key id>
)

// Retention is the keeper of deadlines. Its methods are safe for concurrent use; sweeps follow each other.
type Retention struct {
	o Options

	sweeping  sync.Mutex                             // one sweep at a time
	unlinked  map[string]map[footage.FileID]struct{} // guarded by sweeping; by camera: gone, not yet accounted
	accounts  map[string]int                         // guarded by sweeping; rows of the table by camera
	settled   bool                                   // guarded by sweeping; what a crash left is known
	undropped map[string]map[footage.FileID]bool     // guarded by sweeping; by camera: accounted for, with a row that must go before more is deleted
	sawAll    bool                                   // guarded by sweeping; every day key was considered once
	faults    faults                                 // guarded by sweeping; what the present sweep could not do
	entered   map[string]bool                        // guarded by sweeping; faults that are in the log

	usage usage

	reviewing         sync.Mutex    // one review at a time; taken before sweeping
	unknownAt         time.Time     // guarded by reviewing; when it was last entered that the disk does not answer
	nothingReleasable time.Duration // guarded by reviewing; until then, monotonic, a breach has nothing to delete
	shifted           chan struct{} // one slot

	waiters   sync.Mutex
	lastSweep Status           // guarded by telling
	outlook   Outlook          // guarded by telling
	loads     map[string]load  // guarded by telling; of outlook
	register  []footage.Camera // guarded by telling; of outlook
}

// Status is how the last sweep of Run ended, for pages.
type Status struct {
	Result
	At time.Time // by the wall clock; zero before the first
}

// Last is the last sweep that Run finished.
func (r *Retention) Last() Status {
	r.waiters.Lock()
	defer r.waiters.Unlock()
	return r.lastSweep
}

// New prepares retention; it starts nothing.
func New(o Options) *Retention {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Retention{o: o, unlinked: map[string]map[footage.FileID]struct{}{}, accounts: map[string]int{}, undropped: map[string]map[footage.FileID]bool{},
		entered: map[string]bool{}, shifted: make(chan struct{}, 1)}
}

// The pace of Run: at the next deadline, but not more often than sweepLeast, so that cameras share a commit,
// and at least every sweepMost, because holds, policies and the state of the clock change in between. Late is
// then less than 60 s, however many cameras (design §5).
const (
	sweepLeast     = 5 * time.Second
	sweepMost      = 30 * time.Second
	reconcileEvery = 24 * time.Hour
)

// Run sweeps when something falls due, and reconciles files and index once a day beside that: however long it takes to
// look at millions of files, what falls due meanwhile goes on time. A sweep that fails is logged and tried again.
func (r *Retention) Run(ctx context.Context) error {
	settled := make(chan struct{}, 1)
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { r.runLoop(ctx, settled) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		res, err := r.Sweep(ctx)
		if err != nil && ctx.Err() == nil {
			r.o.Log.Error("sweep failed", "err", err)
		}
		pause := sweepMost
		if res.Complete {
			r.waiters.Lock()
			r.lastSweep = Status{res, r.o.Clock.Now().Wall}
			r.waiters.Unlock()
			if res.Settled {
				select {
				case settled <- struct{}{}:
				default:
				}
			}
			if !res.Next.IsZero() {
				pause = min(max(res.Next.Sub(r.o.Clock.Now().Earliest()), sweepLeast), sweepMost)
			}
		}
		timer.Reset(pause)
	}
}

// runLoop gives abandoned segments their rows and reconciles, from the first settled sweep on.
func (r *Retention) runLoop(ctx context.Context, settled <-chan struct{}) {
	var reconciled time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.o.Vault.Repairable():
			if err := r.Mend(ctx); err != nil && ctx.Err() == nil {
				r.o.Log.Error("segments abandoned after a disk error have no row yet", "err", err)
			}
		case <-settled:
			if !reconciled.IsZero() && time.Since(reconciled) <= reconcileEvery {
				continue
			}
			reconciled = time.Now()
			if err := r.Reconcile(ctx); err != nil && ctx.Err() == nil {
				r.o.Log.Error("reconcile failed", "err", err)
			}
		}
	}
}

// policy of a camera; the least when it is not (any more) in the register.
func (r *Retention) policies() map[string]footage.Policy {
	out := map[string]footage.Policy{}
	for _, c := range r.o.Cameras() {
		out[c.ID] = c.Policy
	}
	return out
}

func policyOf(policies map[string]footage.Policy, camera string) footage.Policy {
	p := policies[camera]
	p.Days = max(p.Days, footage.MinDays)
	return p
}

// Places is the present table from boots to UTC, with the bounds of the boots that have no anchor.
func (r *Retention) Places() (footage.Places, error) {
	p := footage.Places{Anchors: r.o.Anchors(), Bounds: map[string]time.Time{}}
	err := r.o.Store.View(func(tx ledgerdb.Tx) error {
		for boot, b := range bounds.All(tx) {
			p.Bounds[boot] = b.NotAfter
		}
		return nil
	})
	if err != nil {
		return p, fmt.Errorf("read the boot bounds: %w", err)
	}
	return p, nil
}

// Watermark of a camera; zero when nothing was condemned yet.
func (r *Retention) Watermark(camera string) (at time.Time, err error) {
	err = r.o.Store.View(func(tx ledgerdb.Tx) error {
		at, err = WatermarkIn(tx, camera)
		return err
	})
	return at, err
}

// WatermarkIn reads a watermark inside a transaction: a hold on footage below it comes too late.
func WatermarkIn(tx ledgerdb.Tx, camera string) (time.Time, error) {
	w, _, _, err := watermarks.Get(tx, camera)
	if err != nil {
		return time.Time{}, fmt.Errorf("watermark of %s: %w", camera, err)
	}
	return w.At, nil
}

// state is what one decision about showing or deleting looks at.
type state struct {
	places    footage.Places
	policies  map[string]footage.Policy
	holds     []footage.Hold
	marks     map[string]time.Time // as far as the present time bears them out
	ahead     []string             // cameras with a mark that only a wrong time can have set
	condemned map[footage.FileID]Condemned
	dying     map[string]dyingKey // by row
	now       clock.Reading
}

// readState reads the state in one transaction.
func (r *Retention) readState() (s state, err error) {
	s = state{policies: r.policies(), marks: map[string]time.Time{}, condemned: map[footage.FileID]Condemned{}, dying: map[string]dyingKey{},
		now: r.o.Clock.Now()}
	s.places = footage.Places{Anchors: r.o.Anchors(), Bounds: map[string]time.Time{}}
	err = r.o.Store.View(func(tx ledgerdb.Tx) error {
		for boot, b := range bounds.All(tx) {
			s.places.Bounds[boot] = b.NotAfter
		}
		limit := s.markLimit()
		for camera, w := range watermarks.All(tx) {
			if w.wrong(limit) {
				s.ahead = append(s.ahead, camera)
				w = w.lowered(limit)
			}
			s.marks[camera] = w.At
		}
		for _, c := range condemned.All(tx) {
			s.condemned[c.Segment.File] = c
		}
		maps.Insert(s.dying, dying.All(tx))
		s.holds, err = r.o.Holds(tx)
		return err
	})
	if err != nil {
		return s, fmt.Errorf("read the state of retention: %w", err)
	}
	return s, nil
}

// refuses says why a segment may not be shown; nil when it may.
func (s state) refuses(seg footage.Segment) error {
	if _, ok := s.condemned[seg.File]; ok {
		return footage.ErrCondemned
	}
	if s.heldBy(seg) != "" {
		return nil
	}
	if last, ok := s.places.LastFrame(seg); ok && !last.After(s.marks[seg.Camera]) {
		return footage.ErrCondemned
	}
	if footage.PastCeiling(seg, s.places, policyOf(s.policies, seg.Camera), s.now) {
		return footage.ErrPastCeiling
	}
	return nil
}

func (s state) heldBy(seg footage.Segment) string {
	return footage.HeldBy(s.holds, s.places.Place(seg), s.now)
}

// guard refuses what may no longer be shown.
type guard struct {
	r   *Retention
	src footage.Source
}

// Guard wraps a source so that nothing is listed or opened that lies below its camera's watermark, is
// condemned, or is past its ceiling by any plausible clock, unless a hold keeps it. Anyone who shows
// footage reads through it.
func (r *Retention) Guard(src footage.Source) footage.Source { return guard{r, src} }

func (g guard) Segments(ctx context.Context, camera string, span footage.Span) ([]footage.Placed, error) {
	s, err := g.r.readState()
	if err != nil {
		return nil, err
	}
	list, err := g.src.Segments(ctx, camera, span)
	kept := list[:0]
	for _, p := range list {
		if s.refuses(p.Segment) == nil {
			kept = append(kept, p)
		}
	}
	return kept, err
}

func (g guard) OpenSegment(ctx context.Context, seg footage.Segment) (footage.SegmentReader, error) {
	s, err := g.r.readState()
	if err != nil {
		return nil, err
	}
	if err := s.refuses(seg); err != nil {
		return nil, fmt.Errorf("open segment %s of %s: %w", seg.File, seg.Camera, err)
	}
	return g.src.OpenSegment(ctx, seg)
}

// draft makes an entry of the appliance's own doing about a camera.
func draft(kind ledger.Kind, camera string, data map[string]any) ledger.Draft {
	return ledger.Draft{Actor: ledger.System, Via: ledger.ViaSystem, Kind: kind, Subject: camera, Data: data}
}

var errHoldsChanged = errors.New("the holds have changed meanwhile")
