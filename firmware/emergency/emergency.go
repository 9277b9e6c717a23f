// Package emergency keeps drills and real events at work: it opens an event with the rolls of its classes as the gate
// knows them, takes what teachers state about pupils, gives live counts, and keeps the record, the plans and the
// patrols (S11, S21).
//
// It owns the tables in tables.go and the events that are open in memory. It must never lose a statement that it has
// accepted, count one twice that a phone sends again, or let a name or an injury stand in a row or entry unsealed.
package emergency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	rules "campuskeep/shared/emergency"
)

// ErrNotFound: no such event, plan or patrol.
var ErrNotFound = errors.New("emergency: not found")

// Gate knows who is in school. *gate.Gate is one.
type Gate interface {
	SchoolDay(date string) ([]attendance.DayStatus, map[string]attendance.Tap, error)
}

// Options are what a Register needs.
type Options struct {
	Store  *ledgerdb.Store
	People *people.People
	Gate   Gate
	Clock  clock.Clock
	Zone   *time.Location
	Log    *slog.Logger
}

// Register holds the events. All methods are safe for concurrent use; what they return is a copy.
type Register struct {
	o        Options
	writing  sync.Mutex // one change of events, plans and patrols at a time: taken before mu
	mu       sync.RWMutex
	events   map[string]*event        // all of them; statements only of those that are loaded
	inFlight map[string]chan struct{} // batches that are being committed
	watchers map[chan struct{}]string // the class that is of interest; empty: everything
	plans    map[string]row[rules.Plan]
	patrols  map[string]row[rules.Patrol]
}

type row[T any] struct {
	v   T
	rev uint64
}

// event is one event with what was stated in it. Register.mu guards it.
type event struct {
	rules.Event
	rev     uint64
	loaded  bool // what follows was read
	rolls   []roll
	said    map[string][]statement   // by student; in the order in which they were stored
	unknown []statement              // about somebody whose name fits no pupil, or several
	done    map[string]done          // by class
	batches map[string]string        // digest of what each held
	latest  time.Duration            // the latest instant of the event that was seen
	opened  map[string]time.Duration // when somebody first looked at the roll of a class; not kept over a restart
}

type statement struct {
	rules.Statement
	rev uint64
}

// Open reads the events. The store's Run need not run yet.
func Open(o Options) (*Register, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Register{o: o, events: map[string]*event{}, inFlight: map[string]chan struct{}{}, watchers: map[chan struct{}]string{}, plans: map[string]row[rules.Plan]{}, patrols: map[string]row[rules.Patrol]{}}
	err := o.Store.View(func(tx ledgerdb.Tx) error {
		for id, x := range events.Rows(tx, "") {
			if errors.Is(x.Err, ledgerdb.ErrErased) {
				continue
			}
			if x.Err != nil {
				return x.Err
			}
			e := &event{Event: x.Value, rev: x.Rev}
			r.events[id] = e
			if e.Open() {
				if err := load(tx, e); err != nil {
					return err
				}
			}
		}
		return r.loadPlans(tx)
	})
	if err != nil {
		return nil, fmt.Errorf("open emergency: %w", err)
	}
	return r, nil
}

// load reads the rolls and statements of an event.
func load(tx ledgerdb.Tx, e *event) error {
	e.said, e.done, e.batches, e.opened = map[string][]statement{}, map[string]done{}, map[string]string{}, map[string]time.Duration{}
	e.rolls, e.unknown = nil, nil
	for _, x := range rolls.Prefix(tx, e.ID+"/") {
		e.rolls = append(e.rolls, x)
	}
	slices.SortFunc(e.rolls, func(a, b roll) int { return slices.Index(e.Classes, a.Class) - slices.Index(e.Classes, b.Class) })
	for _, x := range dones.Prefix(tx, e.ID+"/") {
		e.done[x.Class] = x
	}
	for _, x := range batches.Prefix(tx, e.ID+"/") {
		e.batches[x.ID] = x.Sum
	}
	for key, x := range statements.Rows(tx, e.ID+"/") {
		switch {
		case errors.Is(x.Err, ledgerdb.ErrErased):
			// The pupil's key was destroyed: what was said about them is gone with it.
		case x.Err != nil:
			return fmt.Errorf("statement %s: %w", key, x.Err)
		default:
			e.take(statement{x.Value.Statement, x.Rev})
		}
	}
	e.loaded = true
	return nil
}

// take adds a statement in the order of the store.
func (e *event) take(s statement) {
	e.latest = max(e.latest, s.Said)
	if s.Student == "" {
		e.unknown = append(e.unknown, s)
		return
	}
	list := append(e.said[s.Student], s)
	slices.SortFunc(list, func(a, b statement) int { return int(int64(a.rev) - int64(b.rev)) })
	e.said[s.Student] = list
}

// find gives an event with its statements. The caller holds mu for writing.
func (r *Register) find(id string) (*event, error) {
	e := r.events[id]
	if e == nil {
		return nil, ErrNotFound
	}
	if !e.loaded {
		if err := r.o.Store.View(func(tx ledgerdb.Tx) error { return load(tx, e) }); err != nil {
			return nil, fmt.Errorf("read event %s: %w", id, err)
		}
	}
	return e, nil
}

// Event by id.
func (r *Register) Event(id string) (rules.Event, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if e := r.events[id]; e != nil {
		return e.copy(), true
	}
	return rules.Event{}, false
}

// Rev is the revision of an event's row, for the form that changes its record.
func (r *Register) Rev(id string) uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if e := r.events[id]; e != nil {
		return e.rev
	}
	return 0
}

func (e *event) copy() rules.Event {
	c := e.Event
	c.Classes, c.Record.Injured = slices.Clone(c.Classes), slices.Clone(c.Record.Injured)
	return c
}

// Events lists all events, the newest first.
func (r *Register) Events() []rules.Event {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]rules.Event, 0, len(r.events))
	for _, e := range r.events {
		out = append(out, e.copy())
	}
	slices.SortFunc(out, func(a, b rules.Event) int { return number(b.ID) - number(a.ID) })
	return out
}

// Running lists the events in which pupils are being counted, real ones first.
func (r *Register) Running() []rules.Event {
	all := slices.DeleteFunc(r.Events(), func(e rules.Event) bool { return !e.Open() })
	slices.SortStableFunc(all, func(a, b rules.Event) int {
		switch {
		case a.Drill == b.Drill:
			return 0
		case a.Drill:
			return 1
		}
		return -1
	})
	return all
}

// Subscribe wakes after each change of an event, or only of those about the pupils of a class; changes that a slow
// reader missed are folded into one. cancel ends it and closes the channel.
func (r *Register) Subscribe(class string) (changed <-chan struct{}, cancel func()) {
	ch := make(chan struct{}, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers[ch] = class
	return ch, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if _, ok := r.watchers[ch]; ok {
			delete(r.watchers, ch)
			close(ch)
		}
	}
}

// wake wakes those who follow everything or one of the classes; without a class it wakes all. The caller holds mu.
func (r *Register) wake(classes ...string) {
	for ch, class := range r.watchers {
		if class != "" && len(classes) > 0 && !slices.Contains(classes, class) {
			continue
		}
		select {
		case ch <- struct{}{}:
		default: // one wake-up is pending already
		}
	}
}

func number(id string) int {
	n, err := strconv.Atoi(strings.TrimLeft(id, "abcdefghijklmnopqrstuvwxyz"))
	if err != nil {
		return 0
	}
	return n
}

// next is the id after the highest of a kind in use.
func next[T any](prefix string, used map[string]T) string {
	highest := 0
	for id := range used {
		highest = max(highest, number(id))
	}
	return prefix + strconv.Itoa(highest+1)
}

func (r *Register) today() string {
	return r.o.Clock.Now().Wall.In(r.o.Zone).Format(attendance.DateLayout)
}

// commit writes a change and says what was being done when it fails.
func (r *Register) commit(ctx context.Context, what string, c ledgerdb.Change) (ledgerdb.Receipt, error) {
	rc, err := r.o.Store.Commit(ctx, c)
	if err != nil {
		return rc, fmt.Errorf("%s: %w", what, err)
	}
	return rc, nil
}
