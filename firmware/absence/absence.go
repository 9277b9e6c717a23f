// Package absence is at work what shared/absence rules: it opens a case for each pupil who does not come, leads it up
// the ladder, keeps the list of calls to guardians, and gives one alarm to the staff when it is not known who came.
//
// It owns the tables named in tables.go. What it commits it can be stopped after at any instant: the next round goes on
// from the rows. It must never open a case twice for a pupil and day, nor let one go on while the gate, the clock or the
// roster is in doubt.
package absence

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"campuskeep/firmware/gate"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/absence"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/student"
)

// Store is what this package needs of *ledgerdb.Store.
type Store interface {
	Commit(context.Context, ledgerdb.Change) (ledgerdb.Receipt, error)
	View(func(ledgerdb.Tx) error) error
}

// People knows the pupils' guardians and who is in charge of a class. *people.People is one.
type People interface {
	Student(id string) (student.Student, bool)
	Class(id string) (student.Class, bool)
	ClassOf(studentID, date string) string
	Grade(class, date string) int // whose bell times the class follows
}

// Gate says how each pupil's day is, and takes what people state about it. *gate.Gate is one.
type Gate interface {
	Pupils(date string) ([]gate.PupilDay, clock.Reading, error)
	PutMarkWith(ctx context.Context, by account.Who, role account.Role, m attendance.Mark, class, reason string, with func() (ledgerdb.Change, error)) (attendance.DayStatus, error)
	PutLeaveWith(ctx context.Context, by account.Who, role account.Role, l attendance.Leave, class, reason string, with ledgerdb.Change) (attendance.Leave, error)
}

// Options are what Absence needs.
type Options struct {
	Store    Store
	People   People
	Gate     Gate
	Calendar func() attendance.Calendar
	Rules    func() absence.Rules // nil: the defaults
	Clock    clock.Clock
	Log      *slog.Logger
}

// Absence is the running package. All methods are safe for concurrent use.
type Absence struct {
	o       Options
	writing sync.Mutex // one change of cases, calls and alarms at a time
	mu      sync.RWMutex
	open    map[string]absence.Case // by row key; also those of earlier days
	calls   map[string]Call         // waiting ones, by id
	alarms  map[string]Alarm        // that nobody has judged, by row key
}

// Errors that a page branches on.
var (
	ErrNotFound = fmt.Errorf("absence: %w", fs.ErrNotExist)
	ErrConflict = fmt.Errorf("absence: %w", ledgerdb.ErrConflict)
)

// Open reads what is open. The store's Run need not run yet.
func Open(o Options) (*Absence, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Rules == nil {
		o.Rules = func() absence.Rules { return absence.DefaultRules }
	}
	a := &Absence{o: o, open: map[string]absence.Case{}, calls: map[string]Call{}, alarms: map[string]Alarm{}}
	err := o.Store.View(func(tx ledgerdb.Tx) error {
		for key, c := range cases.All(tx) {
			if c.Open() {
				a.open[key] = c
			}
		}
		for key, c := range calls.All(tx) {
			if c.Waits() {
				a.calls[key] = c
			}
		}
		for key, x := range alarms.All(tx) {
			if x.Verdict == "" {
				a.alarms[key] = x
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open the cases of absence: %w", err)
	}
	return a, nil
}

// Run evaluates each minute until ctx ends. What fails is tried again in the next round.
func (a *Absence) Run(ctx context.Context) error {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		if err := a.Evaluate(ctx); err != nil && ctx.Err() == nil {
			a.o.Log.Error("absence: cases not evaluated", "err", err)
		}
		if err := a.FollowIllness(ctx); err != nil && ctx.Err() == nil {
			a.o.Log.Error("absence: illnesses not followed", "err", err)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// every is how often the whole school is looked at: a step is late by no more.
const every = time.Minute / 2

func (a *Absence) today() (string, error) { return a.o.Calendar().Date(a.o.Clock.Now().Wall) }

func caseKey(date, studentID string) string { return date + "/" + studentID }

func studentOwner(id string) string { return "student:" + id }

// part is text about a pupil, sealed under the pupil's key; none when it is empty.
func part(name, studentID, text string) []ledger.Part {
	if text == "" {
		return nil
	}
	return []ledger.Part{{Name: name, Owner: studentOwner(studentID), Plain: []byte(text)}}
}
