package vault

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// ErrIndex: a page of index.db is not what it has to be: bbolt panics then, or faults in its map of the file. The next
// start rebuilds the index; until then what lies on whole pages is found.
var ErrIndex = errors.New("a page of index.db is broken")

// guarded turns what bbolt does about a broken page into an error. A panic of who looks at the rows goes
// on.
func guarded(step func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if !ofTheIndex(r) {
				panic(r)
			}
			err = fmt.Errorf("%w: %v", ErrIndex, r)
		}
	}()
	return step()
}

// ofTheIndex says whether a panic comes from reading the file. It is called while the panic is being recovered.
func ofTheIndex(r any) bool {
	if _, fault := r.(interface{ Addr() uintptr }); fault {
		return true
	}
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	for raised := false; ; {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			raised = true
		case raised && !strings.HasPrefix(f.Function, "runtime.") && !strings.HasPrefix(f.Function, "internal/"):
			return strings.HasPrefix(f.Function, "go.etcd.io/bbolt")
		}
		if !more {
			return false
		}
	}
}

// view runs fn on a snapshot of the index.
func (x *index) view(fn func(*bolt.Tx) error) error {
	return x.noticed(guarded(func() error { return x.db.View(fn) }))
}

// write runs one transaction. After one that met a broken page there are none any more: bbolt may still hold its lock.
func (x *index) write(fn func(*bolt.Tx) error) error {
	if err := x.stuck.Load(); err != nil {
		return *err
	}
	err := guarded(func() error { return x.db.Update(fn) })
	if errors.Is(err, ErrIndex) {
		x.stuck.Store(&err)
	}
	return x.noticed(err)
}

// noticed leaves a broken index to the next start, which rebuilds it, and says so once.
func (x *index) noticed(err error) error {
	if errors.Is(err, ErrIndex) {
		x.once.Do(func() { x.broken(err) })
	}
	return err
}
