package usage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	rules "campuskeep/shared/usage"
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
	app rules.Application
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
func (e *Register) List() []rules.Application {
	e.files.mu.RLock()
	defer e.files.mu.RUnlock()
	out := make([]rules.Application, 0, len(e.files.apps))
	for _, f := range e.files.apps {
		out = append(out, f.app)
	}
	slices.SortFunc(out, func(a, b rules.Application) int {
		if a.Year != b.Year {
			return b.Year - a.Year
		}
		return b.No - a.No
	})
	return out
}

// Get is one application; ErrNotFound when there is none or its owner was erased.
func (e *Register) Get(id string) (rules.Application, error) {
	f, ok := e.files.get(id)
	if !ok {
		return rules.Application{}, fmt.Errorf("application %s: %w", id, ErrNotFound)
	}
	return f.app, nil
}

// Subject is the application as the permission table sees it.
func Subject(a rules.Application) account.Subject {
	return account.Subject{Application: a.ID, Applicant: a.Applicant, OfOffice: a.OfOffice}
}

// Grants is what approved applications allow the person at that instant.
func (e *Register) Grants(person string, at time.Time) []account.Grant {
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

// Holds is every hold in force, for pages and forecasts, those of one application together and in the order of their
// spans. Deletion asks [HoldsIn] inside its own commit.
func (e *Register) Holds() []footage.Hold {
	now := e.o.Clock.Now()
	e.files.mu.RLock()
	defer e.files.mu.RUnlock()
	list := slices.SortedFunc(maps.Values(e.files.holds), func(a, b footage.Hold) int {
		return cmp.Or(strings.Compare(a.Application, b.Application), a.Span.From.Compare(b.Span.From), strings.Compare(a.ID, b.ID))
	})
	return slices.DeleteFunc(list, func(h footage.Hold) bool { return !h.Active(now) })
}

// HoldsIn reads the holds inside a transaction: what deletion checks again in the commit of its watermark.
func HoldsIn(tx ledgerdb.Tx) ([]footage.Hold, error) {
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
	after   rules.Application
	entries []ledger.Draft
	puts    []ledgerdb.Put // numbers
	draft   func(kind ledger.Kind, subject string, data any, sealed ...ledger.Part) ledger.Draft
	release string          // reason code for holds that are no longer needed
	submit  bool            // it asks for footage: only then a hold begins that continues no other
	with    ledgerdb.Change // rows and entries of a package above, which are true with the step or not at all
}

// commit writes the application, the holds that follow from its new state, and the entries, in one Change. The
// caller holds e.stepMu.
func (e *Register) commit(ctx context.Context, s step) (rules.Application, error) {
	a, _, err := e.commitStep(ctx, s)
	return a, err
}

func (e *Register) commitStep(ctx context.Context, s step) (rules.Application, ledgerdb.Receipt, error) {
	c := ledgerdb.Change{Puts: append(s.puts, applications.PutRev(s.after.ID, s.after, s.before.rev)), Entries: s.entries}
	c.Puts, c.Deletes, c.Require, c.Entries = append(c.Puts, s.with.Puts...), s.with.Deletes, s.with.Require, append(c.Entries, s.with.Entries...)
	had := e.holdsOf(s.after.ID)
	want := e.wanted(s, had)
	var fresh []footage.Hold
	var gone, fallen []string // holds, proposals
	for _, id := range slices.Sorted(maps.Keys(want)) {
		h := want[id]
		old, ok := had[id]
		if ok && same(old, h) {
			continue
		}
		if !ok {
			fresh = append(fresh, h)
		}
		c.Puts = append(c.Puts, holds.Put(id, h))
		c.Entries = append(c.Entries, s.draft("hold.registered", h.ID, holdData{h.ID, h.Cameras, h.Span.From.UTC(), h.Span.To.UTC(), h.Until.UTC(), h.Reason}))
		if p, ok := e.Proposal(id); ok { // it was about the hold as it was
			fallen = append(fallen, id)
			c.Deletes = append(c.Deletes, proposals.Delete(id))
			c.Entries = append(c.Entries, s.draft("hold.kept", id, holdKeptData{id, e.entryOf(p)}))
		}
	}
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
		c.Check = func(tx ledgerdb.Tx) error { return e.refusePastRetention(tx, s.after, fresh) }
	}
	receipt, err := e.o.Store.Commit(ctx, c)
	if err != nil {
		return s.before.app, receipt, fmt.Errorf("record application %s: %w", s.after.ID, err)
	}
	e.files.mu.Lock()
	defer e.files.mu.Unlock()
	e.files.apps[s.after.ID] = filed{s.after, receipt.Revs[len(s.puts)]}
	maps.Copy(e.files.holds, want)
	for _, id := range gone {
		delete(e.files.holds, id)
	}
	for _, id := range slices.Concat(gone, fallen) {
		delete(e.files.proposals, id)
	}
	e.wakeFetch()
	return s.after, receipt, nil
}

func (e *Register) holdsOf(application string) map[string]footage.Hold {
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
	return a.SameFootage(b) && a.Until.Equal(b.Until) && a.Reason == b.Reason && a.Open == b.Open
}

// wanted are the rows of holds that the application is to have: what it holds in its state and nobody released, and
// what two people released, as long as it holds anything. Only a trusted clock ends one of them. had are its rows now:
// one about the same cameras and span keeps its id.
func (e *Register) wanted(s step, had map[string]footage.Hold) map[string]footage.Hold {
	now := e.o.Clock.Now()
	list := slices.DeleteFunc(rules.Holds(s.after, e.o.Rules(), e.schoolDay), func(h footage.Hold) bool { return !h.Active(now) })
	out := map[string]footage.Hold{}
	if len(list) == 0 {
		return out
	}
	var released, unreleased []footage.Hold
	for _, id := range slices.Sorted(maps.Keys(had)) {
		if h := had[id]; h.Released.IsZero() {
			unreleased = append(unreleased, h)
		} else {
			out[id], released = h, append(released, h)
		}
	}
	released = rules.Unreleased(released, unreleased) // rows of older boxes may overlap: what one of them holds stays
	for _, h := range rules.Unreleased(list, released) {
		if i := slices.IndexFunc(unreleased, h.SameFootage); i >= 0 {
			h.ID = unreleased[i].ID
		} else if !s.submit && !slices.ContainsFunc(unreleased, func(old footage.Hold) bool {
			return slices.ContainsFunc(h.Cameras, func(c string) bool { return old.Covers(c, h.Span) })
		}) {
			continue // a trusted clock has ended it
		}
		out[h.ID] = h
	}
	return out
}

// heldBy are the holds of the applicant's other applications.
func (e *Register) heldBy(person, except string) []footage.Hold {
	e.files.mu.RLock()
	defer e.files.mu.RUnlock()
	var list []footage.Hold
	for _, h := range e.files.holds {
		if h.Application != except && e.files.apps[h.Application].app.Applicant == person {
			list = append(list, h)
		}
	}
	return list
}

// next gives the number after the last one of a yearly series, and the row that takes it.
func (e *Register) next(series string, year int) (int, ledgerdb.Put, error) {
	key := fmt.Sprintf("%s-%04d", series, year)
	var c counter
	var rev uint64
	err := e.o.Store.View(func(tx ledgerdb.Tx) (err error) {
		c, rev, _, err = numbers.Get(tx, key)
		return err
	})
	if err != nil {
		return 0, ledgerdb.Put{}, fmt.Errorf("read the last number of %s: %w", key, err)
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

type holdKeptData struct {
	Hold     string `json:"hold"`
	Proposal uint64 `json:"proposal"`
}

type holdEnd struct {
	Hold   string `json:"hold"`
	Reason string `json:"reason"`
}
