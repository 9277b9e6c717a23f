package nvr

import (
	"context"
	"errors"
	"time"

	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/nvr/nvrtime"

	"campuskeep/shared/account"
)

// What can be asked for at an NVR.
const (
	WorkCheck  = "check"  // look at everything now
	WorkExpiry = "expiry" // set how long it keeps its tracks
	WorkAccess = "doors"  // read who else can get at the footage
)

// Work is something long at an NVR: under way, or how the last ended.
type Work struct {
	What     string
	Since    time.Time
	Ended    time.Time // zero: under way
	Camera   string    // that a check is at
	Done, Of int       // cameras
	Fault    Fault     // why it did not come through
	Detail   string    // for who has to look into it
}

// Running says whether it is under way.
func (w Work) Running() bool { return !w.Since.IsZero() && w.Ended.IsZero() }

// maxJobs wait for Run at most.
const maxJobs = 16

// errQueueFull: more tasks are requested than can wait.
var errQueueFull = errors.New("nvr: too much is under way; try again later")

// enqueue hands something to Run's workers.
func (r *Supervisor) enqueue(job func(context.Context)) error {
	select {
	case r.jobs <- job:
		return nil
	default:
		return errQueueFull
	}
}

// Begin has a work done by Run's workers and returns at once; [Supervisor.Work] gives its progress. While another is under way
// at that NVR nothing more is begun.
func (r *Supervisor) Begin(by account.Who, id, what string) error {
	action := account.ActNVRsEdit
	if what == WorkCheck {
		action = account.ActNVRsView
	}
	if err := r.may(by, action); err != nil {
		return err
	}
	if d, ok := r.device(id); !ok || d.v.Retired {
		return ErrRetired
	}
	if !r.startWork(id, what) {
		return nil
	}
	err := r.enqueue(func(ctx context.Context) {
		var err error
		switch what {
		case WorkExpiry:
			err = r.SetExpiry(ctx, by, id)
		case WorkAccess:
			err = r.ReadAccessPaths(ctx, id)
		default:
			_, err = r.Check(ctx, id)
		}
		r.endWork(id, err)
	})
	if err != nil {
		r.endWork(id, err)
	}
	return err
}

func (r *Supervisor) may(by account.Who, action account.Action) error {
	if by.IsSystem() {
		return nil
	}
	return account.May(by.Actor, action, account.Subject{}, r.o.Clock.Now().Wall).Err(action)
}

// Work is what is under way at an NVR, or how the last that somebody asked for ended; ok is false when nothing was.
func (r *Supervisor) Work(id string) (w Work, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w, ok = r.works[id]
	return w, ok
}

func (r *Supervisor) startWork(id, what string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.works[id].Running() {
		return false
	}
	r.works[id] = Work{What: what, Since: r.o.Clock.Now().Wall}
	return true
}

func (r *Supervisor) endWork(id string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.works[id]
	w.Ended, w.Camera = r.o.Clock.Now().Wall, ""
	if err != nil {
		w.Fault, w.Detail = faultOf(err), detail(err)
	}
	r.works[id] = w
}

// noteProgress notes how far a work is, if one is under way.
func (r *Supervisor) noteProgress(id, camera string, done, of int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.works[id]; w.Running() {
		w.Camera, w.Done, w.Of = camera, done, of
		r.works[id] = w
	}
}

// faultOf is the code of what went wrong.
func faultOf(err error) Fault {
	var a *driver.AnswerError
	var other *OtherDevice
	switch {
	case err == nil:
		return FaultNone
	case errors.Is(err, driver.ErrRefused):
		return FaultCredentials
	case errors.Is(err, driver.ErrBusy), errors.Is(err, errQueueFull), errors.Is(err, errYield):
		return FaultBusy
	case errors.As(err, &other):
		return FaultOther
	case errors.Is(err, driver.ErrForbidden):
		return FaultForbidden
	case errors.Is(err, driver.ErrInClear):
		return FaultInClear
	case errors.Is(err, driver.ErrNotOffered):
		return FaultNotOffered
	case errors.As(err, &a):
		return FaultAnswer
	case errors.Is(err, nvrtime.ErrUncalibrated), errors.Is(err, nvrtime.ErrClock), errors.Is(err, errPlayTime):
		return FaultUncalibrated
	}
	return FaultOffline
}

// detail is the beginning of an error's own words.
func detail(err error) string {
	s := []rune(err.Error())
	return string(s[:min(len(s), 600)])
}
