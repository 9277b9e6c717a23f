package evidence

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"campuskeep/firmware/store"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/register"
)

// files is the index in memory of what the tables hold. Rows are sealed one by one, so lists and permissions
// would otherwise unseal the whole register at every request.
type files struct {
	mu        sync.RWMutex
	apps      map[string]filed
	holds     map[string]footage.Hold // with those that two people let go, until their application is over
	proposals map[string]Proposal     // by hold
}

type filed struct {
	app register.Application
	rev uint64
}

func (f *files) open() {
	f.apps, f.holds, f.proposals = map[string]filed{}, map[string]footage.Hold{}, map[string]Proposal{}
}

func (f *files) get(id string) (filed, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	a, ok := f.apps[id]
	return a, ok
}

// List is every application, newest first.
func (e *Office) List() []register.Application {
	e.files.mu.RLock()
	defer e.files.mu.RUnlock()
	out := make([]register.Application, 0, len(e.files.apps))
	for _, f := range e.files.apps {
		out = append(out, f.app)
	}
	slices.SortFunc(out, func(a, b register.Application) int {
		if a.Year != b.Year {
			return b.Year - a.Year
		}
		return b.No - a.No
	})
	return out
}

// Get is one application; ErrNotFound when there is none or its owner was erased.
func (e *Office) Get(id string) (register.Application, error) {
	f, ok := e.files.get(id)
	if !ok {
		return register.Application{}, fmt.Errorf("application %s: %w", id, ErrNotFound)
	}
	return f.app, nil
}

// Subject is the application as the permission table sees it.
func Subject(a register.Application) account.Subject {
	return account.Subject{Application: a.ID, Applicant: a.Applicant, OfOffice: a.OfOffice}
}

// Grants is what approved applications allow the person at that instant.
func (e *Office) Grants(person string, at time.Time) []account.Grant {
	e.files.mu.RLock()
	defer e.files.mu.RUnlock()
	var out []account.Grant
	for _, f := range e.files.apps {
		if f.app.Applicant != person {
			continue
		}
		for _, g := range f.app.Grants() {
			if at.Before(g.Until) {
				out = append(out, g)
			}
		}
	}
	slices.SortFunc(out, func(a, b account.Grant) int {
		if c := strings.Compare(a.Application, b.Application); c != 0 {
			return c
		}
		return a.From.Compare(b.From)
	})
	return out
}

// Holds is every hold in force, for pages and forecasts. Deletion asks [HoldsIn] inside its own commit.
func (e *Office) Holds() []footage.Hold {
	e.files.mu.RLock()
	defer e.files.mu.RUnlock()
	list := slices.SortedFunc(maps.Values(e.files.holds), func(a, b footage.Hold) int { return strings.Compare(a.ID, b.ID) })
	return slices.DeleteFunc(list, func(h footage.Hold) bool { return !h.Released.IsZero() })
}

// HoldsIn reads the holds inside a transaction: what deletion checks again in the commit of its watermark.
func HoldsIn(tx store.Tx) ([]footage.Hold, error) {
	var out []footage.Hold
	for key, row := range holds.Rows(tx, "") {
		if row.Err != nil {
			return nil, fmt.Errorf("hold %s: %w", key, row.Err)
		}
		out = append(out, row.Value)
	}
	return out, nil
}

// step is one act on one application on its way to the log.
type step struct {
	before  filed // zero for a new one
	after   register.Application
	entries []ledger.Draft
	puts    []store.Put // numbers
	draft   func(kind ledger.Kind, subject string, data any, sealed ...ledger.Part) ledger.Draft
	release string // reason code for holds that are no longer needed
}

// commit writes the application, the holds that follow from its new state, and the entries, in one Change. The
// caller holds e.desk.
func (e *Office) commit(ctx context.Context, s step) (register.Application, error) {
	c := store.Change{Puts: append(s.puts, applications.PutRev(s.after.ID, s.after, s.before.rev)), Entries: s.entries}
	want := map[string]footage.Hold{}
	now := e.o.Clock.Now().Wall
	for _, h := range register.Holds(s.after, e.o.Rules(), e.schoolDay) {
		if h.Active(now) {
			want[h.ID] = h
		}
	}
	had := e.holdsOf(s.after.ID)
	var fresh []footage.Hold
	for _, id := range slices.Sorted(maps.Keys(want)) {
		h := want[id]
		old, ok := had[id]
		if ok && !old.Released.IsZero() { // two people let it go: no later step brings it back
			want[id] = old
			continue
		}
		if ok && same(old, h) {
			continue
		}
		if !ok {
			fresh = append(fresh, h)
		}
		c.Puts = append(c.Puts, holds.Put(id, h))
		c.Entries = append(c.Entries, s.draft("hold.registered", h.ID, holdData{h.ID, h.Cameras, h.Span.From.UTC(), h.Span.To.UTC(), h.Until.UTC(), h.Reason}))
	}
	var gone []string
	for _, id := range slices.Sorted(maps.Keys(had)) {
		if _, ok := want[id]; !ok {
			gone = append(gone, id)
			c.Deletes = append(c.Deletes, holds.Delete(id), proposals.Delete(id))
			if !had[id].Released.IsZero() {
				continue // its end is in the log
			}
			c.Entries = append(c.Entries, s.draft("hold.released", id, holdEnd{id, s.release}))
		}
	}
	if len(fresh) > 0 {
		c.Check = func(tx store.Tx) error { return e.inTime(tx, s.after, fresh) }
	}
	receipt, err := e.o.Store.Commit(ctx, c)
	if err != nil {
		return s.before.app, fmt.Errorf("record application %s: %w", s.after.ID, err)
	}
	e.files.mu.Lock()
	defer e.files.mu.Unlock()
	e.files.apps[s.after.ID] = filed{s.after, receipt.Revs[len(s.puts)]}
	maps.Copy(e.files.holds, want)
	for _, id := range gone {
		delete(e.files.holds, id)
		delete(e.files.proposals, id)
	}
	e.stir()
	return s.after, nil
}

func (e *Office) holdsOf(application string) map[string]footage.Hold {
	e.files.mu.RLock()
	defer e.files.mu.RUnlock()
	out := map[string]footage.Hold{}
	for id, h := range e.files.holds {
		if h.Application == application {
			out[id] = h
		}
	}
	return out
}

func same(a, b footage.Hold) bool {
	return a.Span.From.Equal(b.Span.From) && a.Span.To.Equal(b.Span.To) && a.Until.Equal(b.Until) && a.Reason == b.Reason &&
		slices.Equal(a.Cameras, b.Cameras)
}

// heldBy is the camera time that the applicant's other applications hold.
func (e *Office) heldBy(person, except string, at time.Time) time.Duration {
	e.files.mu.RLock()
	defer e.files.mu.RUnlock()
	var list []footage.Hold
	for _, h := range e.files.holds {
		if h.Application != except && e.files.apps[h.Application].app.Applicant == person {
			list = append(list, h)
		}
	}
	return register.CameraTime(list, at)
}

// next gives the number after the last one of a yearly series, and the row that takes it.
func (e *Office) next(series string, year int) (int, store.Put, error) {
	key := fmt.Sprintf("%s-%04d", series, year)
	var c counter
	var rev uint64
	err := e.o.Store.View(func(tx store.Tx) (err error) {
		c, rev, _, err = numbers.Get(tx, key)
		return err
	})
	if err != nil {
		return 0, store.Put{}, fmt.Errorf("read the last number of %s: %w", key, err)
	}
	c.Last++
	return c.Last, numbers.PutRev(key, c, rev), nil
}

type holdData struct {
	Hold    string    `json:"hold"`
	Cameras []string  `json:"cameras"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Until   time.Time `json:"until"`
	Reason  string    `json:"reason"`
}

type holdEnd struct {
	Hold   string `json:"hold"`
	Reason string `json:"reason"`
}
