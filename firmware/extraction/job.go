package extraction

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"syscall"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
	rules "campuskeep/shared/usage"
)

// Phase is what a running extraction does. The catalogue has "extraction.phase.<code>".
type Phase string

// The phases.
const (
	PhaseFetch   Phase = "fetch"   // footage comes from NVRs
	PhasePack    Phase = "pack"    // read, hashed, sealed
	PhaseWitness Phase = "witness" // the centre's cosignature is awaited
	PhaseSeal    Phase = "seal"    // made durable
)

// Progress is how far a running extraction is.
type Progress struct {
	Phase   Phase     `json:"phase"`
	Since   time.Time `json:"since"`
	Done    int64     `json:"done"`  // bytes
	Total   int64     `json:"total"` // …as the index has them
	Camera  string    `json:"camera,omitempty"`
	Video   int       `json:"video"`  // number of the span that is being packed
	Videos  int       `json:"videos"` // spans
	Percent int       `json:"percent"`
}

// job is one running attempt.
type job struct {
	x        *Extractions
	id       string
	by       account.Who // the operator
	app      rules.Application
	cameras  []string // pairs with spans
	spans    []footage.Span
	started  clock.Reading
	cancel   chan string
	progress Progress // guarded by x.mu

	secret  [packet.SecretSize]byte
	without map[footage.FileID]bool // damaged segments
	damage  []footage.Placed
}

// stopped is the error of an attempt that was ended; its text is the reason.
type stopped string

func (s stopped) Error() string { return "the extraction ended: " + string(s) }

// job is the running attempt of an extraction.
func (x *Extractions) job(id string) (*job, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.running == nil || x.running.id != id {
		return nil, false
	}
	return x.running, true
}

// Progress says how far a running extraction is.
func (x *Extractions) Progress(id string) (Progress, bool) {
	j, ok := x.job(id)
	if !ok {
		return Progress{}, false
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	p := j.progress
	if p.Total > 0 {
		p.Percent = int(min(100, p.Done*100/p.Total))
	}
	return p, true
}

func (j *job) report(f func(*Progress)) {
	j.x.mu.Lock()
	defer j.x.mu.Unlock()
	f(&j.progress)
}

// runEvery is how often Run looks for what time alone brings.
const runEvery = time.Minute

// Run ends what an earlier run left unfinished, does the extractions that are started, one at a time, and deletes sealed
// files whose time is over. It returns when ctx ends; what was running then begins again.
func (x *Extractions) Run(ctx context.Context) error {
	if err := x.recover(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("end the extractions of the last run: %w", err)
	}
	close(x.ready)
	tick := time.NewTicker(runEvery)
	defer tick.Stop()
	for {
		if err := x.dropOver(ctx); err != nil && ctx.Err() == nil {
			x.o.Log.Error("sealed packages whose time is over were not deleted", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case j := <-x.jobs:
			j.run(ctx)
		}
	}
}

// recover ends the attempts of the last run. A package whose secret was never printed cannot be opened by anybody: it
// goes, and the extraction begins again.
func (x *Extractions) recover(ctx context.Context) error {
	keep := map[string]bool{}
	for _, e := range x.List() {
		r, err := x.row(e.ID)
		if err != nil {
			return err
		}
		_, mine := x.job(e.ID) // started before this ran
		switch {
		case e.State == Running && !mine:
			e.State, e.Reason = Stopped, ReasonRestart
			if _, err := x.commit(ctx, e, r.rev, account.System.Draft("extraction.ended", "", e.ID, map[string]any{"application": e.Application, "reason": ReasonRestart})); err != nil {
				return err
			}
		case e.State == Sealed && e.OneTime() && e.Printed.IsZero() && !x.hasSecret(e.ID):
			e.State, e.Reason, e.File = Stopped, ReasonSecret, ""
			if _, err := x.commit(ctx, e, r.rev,
				account.System.Draft("extraction.ended", "", e.ID, map[string]any{"application": e.Application, "reason": ReasonSecret}),
				account.System.Draft("extraction.dropped", "", e.ID, map[string]any{"application": e.Application, "reason": ReasonSecret})); err != nil {
				return err
			}
		}
		if e.File != "" {
			keep[e.File] = true
		}
	}
	list, err := x.o.FS.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("list the sealed packages: %w", err)
	}
	for _, f := range list {
		if !keep[f.Name()] {
			if err := x.remove(f.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *Extractions) hasSecret(id string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	_, ok := x.secrets[id]
	return ok
}

func (x *Extractions) remove(name string) error {
	if err := x.o.FS.Remove(path.Join(folder, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete a sealed package: %w", err)
	}
	return x.o.FS.SyncDir(folder)
}

// run does one attempt and enters how it ended.
func (j *job) run(ctx context.Context) {
	x := j.x
	work, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		j.watch(work, cancel)
	}()
	name := newFileName()
	err := j.make(work, name)
	if cause := context.Cause(work); err != nil && cause != nil {
		err = cause
	}
	cancel(nil)
	<-watched
	if err != nil {
		j.ended(ctx, name, err)
	}
	x.mu.Lock()
	x.running = nil
	x.mu.Unlock()
}

// ended enters that an attempt came to nothing, and removes what it wrote. When the appliance is stopping, the next
// start does it.
func (j *job) ended(ctx context.Context, name string, err error) {
	x := j.x
	if rerr := x.remove(name + partSuffix); rerr != nil {
		x.o.Log.Error("the rest of an extraction was not deleted", "err", rerr)
	}
	if ctx.Err() != nil {
		return
	}
	reason := ReasonFault
	why, known := errors.AsType[stopped](err)
	switch {
	case known:
		reason = string(why)
	case errors.Is(err, syscall.ENOSPC):
		reason = ReasonSpace
	}
	if !known {
		x.o.Log.Error("an extraction failed", "extraction", j.id, "err", err)
	}
	x.step.Lock()
	defer x.step.Unlock()
	r, rerr := x.row(j.id)
	if rerr != nil {
		return
	}
	e := r.Extraction
	e.State, e.Reason = Stopped, reason
	if _, err := x.commit(ctx, e, r.rev, j.by.Draft("extraction.ended", e.Operator.Role, e.ID, map[string]any{"application": e.Application, "reason": reason})); err != nil && ctx.Err() == nil {
		x.o.Log.Error("the end of an extraction was not entered", "extraction", j.id, "err", err)
	}
}

// watchEvery is how soon a revoked approval or right stops a running extraction.
const watchEvery = 500 * time.Millisecond

// watch ends the attempt when somebody cancels it, when the approval counts no more, or when one of the two may not do
// it any more.
func (j *job) watch(ctx context.Context, end context.CancelCauseFunc) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case why := <-j.cancel:
			end(stopped(why))
			return
		case <-tick.C:
			if why := j.allowed(); why != "" {
				end(stopped(why))
				return
			}
		}
	}
}

// allowed gives the reason why the attempt may not go on.
func (j *job) allowed() string {
	x := j.x
	r, err := x.row(j.id)
	if err != nil {
		return ReasonFault
	}
	a, err := x.o.Register.Get(j.app.ID)
	if err != nil {
		return ReasonRevoked
	}
	if _, err := x.granted(a, x.o.Clock.Now().Wall); err != nil {
		return ReasonRevoked
	}
	for _, p := range []Person{r.Operator, r.Supervisor} {
		actor, ok := x.o.Actor(p.ID)
		if !ok {
			return ReasonRight
		}
		actor.SecondFactor = true // they passed it when they began
		if !account.May(actor, account.ActExtractionRun, x.Subject(r.Extraction), x.o.Clock.Now().Wall).Allowed {
			return ReasonRight
		}
	}
	return ""
}

// dropOver deletes the sealed files of applications that are over, and of packages that were received a week ago: the
// appliance keeps the footage as long as it may, and no second form of it.
func (x *Extractions) dropOver(ctx context.Context) error {
	now := x.o.Clock.Now()
	if now.State != clock.Trusted {
		return nil
	}
	for _, e := range x.List() {
		if !e.There() || e.State == Running {
			continue
		}
		reason := ""
		if a, err := x.o.Register.Get(e.Application); err != nil {
			reason = "over"
		} else if _, err := x.granted(a, now.Wall); err != nil {
			reason = "over"
		} else if e.State == Returned || e.State == Received && now.Wall.Sub(e.lastReceipt()) > keepReceived {
			reason = "received"
		}
		if reason == "" {
			continue
		}
		if err := x.drop(ctx, account.System, "", e.ID, reason); err != nil {
			return err
		}
	}
	return nil
}

const keepReceived = 7 * 24 * time.Hour

func (e Extraction) lastReceipt() (at time.Time) {
	for _, c := range e.Copies {
		if c.Receipt != nil && c.Receipt.At.After(at) {
			at = c.Receipt.At
		}
	}
	return at
}

// drop enters that a sealed file goes, and deletes it; a start deletes what an interrupted one left.
func (x *Extractions) drop(ctx context.Context, by account.Who, role account.Role, id, reason string) error {
	x.step.Lock()
	defer x.step.Unlock()
	r, err := x.row(id)
	if err != nil || !r.There() {
		return err
	}
	e := r.Extraction
	name := e.File
	e.File = ""
	if e.State == Sealed { // nobody got it
		e.State, e.Reason = Cancelled, ReasonRevoked
	}
	if _, err := x.commit(ctx, e, r.rev, by.Draft("extraction.dropped", role, e.ID, map[string]any{"application": e.Application, "reason": reason})); err != nil {
		return err
	}
	x.mu.Lock()
	delete(x.secrets, id)
	x.mu.Unlock()
	return x.remove(name)
}
