package ledgerdb

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	bolt "go.etcd.io/bbolt"
)

var errBroken = fmt.Errorf("%w: the structure of the file is broken", ErrDamaged)

// guarded turns what bbolt does about a broken page (a panic, a fault in the map) into an error. A panic of other
// code that runs inside step goes on: it is a fault of the program, not of the file.
func guarded(step func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if !ofTheFile(r) {
				panic(r)
			}
			err = fmt.Errorf("%w: %s", errBroken, assertion(r))
		}
	}()
	return step()
}

// assertion is what is left of a panic to tell people: bbolt's own words, or that there was nothing sensible to read.
func assertion(r any) string {
	if _, is := r.(runtime.Error); is {
		return "a page leads nowhere"
	}
	return fmt.Sprint(r)
}

// ofTheFile says whether a panic comes from reading the file: raised by bbolt or by this package, or a fault in the map.
// It is called while the panic is being recovered.
func ofTheFile(r any) bool {
	if _, fault := r.(interface{ Addr() uintptr }); fault {
		return true
	}
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	raised := false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			raised = true
		case raised && !library(f.Function):
			return strings.HasPrefix(f.Function, "go.etcd.io/bbolt") || strings.HasPrefix(f.Function, "campuskeep/firmware/ledgerdb.")
		}
		if !more {
			return false
		}
	}
}

// library says whether a function is one of those that others are called with: the one above it did the mistake.
func library(function string) bool {
	for _, prefix := range []string{"runtime.", "internal/", "bytes.", "sort.", "slices.", "encoding/"} {
		if strings.HasPrefix(function, prefix) {
			return true
		}
	}
	return false
}

// view runs fn on a snapshot of the file. A broken page is ErrDamaged, and told once for each part.
func (s *Store) view(part string, fn func(*bolt.Tx) error) error {
	return s.guard(func() string { return part }, func() error { return s.db.View(fn) })
}

// guard is guarded with the name of the part of the file that the step was at.
func (s *Store) guard(part func() string, step func() error) error {
	err := guarded(step)
	if isBroken(err) {
		s.damaged(part(), err)
		err = fmt.Errorf("%s: %w", part(), err)
	}
	return err
}

// damaged tells about a broken part, once while the program runs.
func (s *Store) damaged(part string, err error) {
	s.broken.Lock()
	defer s.broken.Unlock()
	if s.broken.parts[part] {
		return
	}
	if s.broken.parts == nil {
		s.broken.parts = map[string]bool{}
	}
	s.broken.parts[part] = true
	s.o.Log.Error("a part of the ledger's file is damaged; run check, and restore the file from the backup", "part", part, "err", err)
	if s.o.Damaged != nil {
		s.o.Damaged(part)
	}
}

func isBroken(err error) bool { return errors.Is(err, errBroken) }
