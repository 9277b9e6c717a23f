// Package usage is the register of footage use: applications with their holds and decisions, the viewings
// that they or a duty allow, and the refusals.
//
// It owns the tables "applications" (sealed), "holds", "hold_proposals" (sealed), "viewings", "shifts" and "numbers", and an index of them in memory.
// Every step is one ledgerdb.Change of state, holds and entries; footage is opened only after its access entry
// is durable. It must never change a state that rules.Next does not, and never let an act pass that
// account.May refuses.
package usage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	rules "campuskeep/shared/usage"
)

var (
	applications = ledgerdb.NewTable[rules.Application]("applications",
		ledgerdb.Sealed(func(a rules.Application) string { return owner(a.ID) }))
	holds    = ledgerdb.NewTable[footage.Hold]("holds")
	viewings = ledgerdb.NewTable[openViewing]("viewings")
	numbers  = ledgerdb.NewTable[counter]("numbers")
)

// counter is the last number given of a yearly series, key "application-2026" or "notice-2026".
type counter struct {
	Last int `json:"last"`
}

func owner(application string) string { return "application:" + application }

// Errors that a page branches on.
var (
	// ErrNotFound: no such application or viewing.
	ErrNotFound = errors.New("evidence: not found")
	// ErrEnded: the viewing is over or being closed; nothing more is delivered.
	ErrEnded = errors.New("evidence: the viewing is over")
)

// Options configure Open.
type Options struct {
	Store     *ledgerdb.Store
	Clock     clock.Clock
	Cameras   func() []footage.Camera
	Footage   footage.Source                   // what there is, for the form; its guard hides what is past the ceiling
	Capacity  func() (bytes uint64, err error) // of the footage disk, for the cap on holds; nil: not counted
	Anchors   func() clock.Anchors             // what is known of earlier boots; nil: nothing
	SchoolDay func(date string) bool           // 2006-01-02
	Rules     func() rules.Rules               // as the school has set them now; nil: rules.DefaultRules
	// Independent says whether two accounts are two persons: neither has its rights from the other. Nil: any two are.
	Independent func(a, b string) bool
	Fetcher     Fetcher // brings what lies on NVRs; nil: there are none
	Log         *slog.Logger
}

// Register is the opened register of footage use. All methods are safe for concurrent use.
type Register struct {
	o          Options
	files      files      // applications and holds, in memory
	stepMu     sync.Mutex // one step of the register at a time: numbers and caps are counted under it
	watch      watch      // viewings and incidents
	numbers    refusals
	placements placementCache // where cameras were

	shifts  shiftList     // of the control room
	holdUse chan struct{} // a hold or an approval has changed: something may have to be fetched
}

// Open reads the register. It starts nothing and writes nothing: what the last run left open is closed by Run.
func Open(o Options) (*Register, error) {
	if o.Rules == nil {
		o.Rules = func() rules.Rules { return rules.DefaultRules }
	}
	e := &Register{o: o, holdUse: make(chan struct{}, 1)}
	e.files.open()
	e.watch.open()
	e.numbers.open()
	e.placements.loaded = map[string]cameraPlacements{}
	err := o.Store.View(func(tx ledgerdb.Tx) error {
		for key, row := range applications.Rows(tx, "") {
			if errors.Is(row.Err, ledgerdb.ErrErased) {
				continue
			}
			if row.Err != nil {
				return fmt.Errorf("application %s: %w", key, row.Err)
			}
			e.files.apps[key] = filed{row.Value, row.Rev}
		}
		for key, row := range holds.Rows(tx, "") {
			if row.Err != nil {
				return fmt.Errorf("hold %s: %w", key, row.Err)
			}
			e.files.holds[key] = row.Value
		}
		for key, row := range proposals.Rows(tx, "") {
			if errors.Is(row.Err, ledgerdb.ErrErased) {
				continue
			}
			if row.Err != nil {
				return fmt.Errorf("proposal to release hold %s: %w", key, row.Err)
			}
			e.files.proposals[key] = row.Value
		}
		for key, row := range viewings.Rows(tx, "") {
			if row.Err != nil {
				return fmt.Errorf("viewing %s: %w", key, row.Err)
			}
			e.watch.left[key] = row.Value
		}
		return e.shifts.read(tx)
	})
	if err != nil {
		return nil, fmt.Errorf("read the register of footage use: %w", err)
	}
	return e, nil
}

// runEvery is how often Run applies what time alone changes; deadlines are days, refusals a minute.
const runEvery = 20 * time.Second

// Run closes what an earlier run left open, and then lets time work: ends of holds and applications, summaries of
// refusals. It returns when ctx ends, with the viewings of this run still open: the deliverer closes them.
func (e *Register) Run(ctx context.Context) error {
	tick := time.NewTicker(runEvery)
	defer tick.Stop()
	for {
		if err := e.closeLeft(ctx); err != nil && ctx.Err() == nil {
			e.o.Log.Error("viewings of the last run are not closed in the log yet", "err", err)
		}
		if err := e.applyTime(ctx); err != nil && ctx.Err() == nil {
			e.o.Log.Error("deadlines of the register of footage use were not recorded", "err", err)
		}
		if err := e.passShifts(ctx); err != nil && ctx.Err() == nil {
			e.o.Log.Error("a shift that is over by its length was not ended in the log", "err", err)
		}
		if err := e.summarise(ctx); err != nil && ctx.Err() == nil {
			e.o.Log.Error("summary of refused attempts was not recorded", "err", err)
		}
		if err := e.fetchForHolds(ctx); err != nil && ctx.Err() == nil {
			e.o.Log.Error("footage that is held was not asked for", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-e.holdUse:
		}
	}
}

// schoolDay adapts the calendar to the rules.
func (e *Register) schoolDay(d rules.Date) bool { return e.o.SchoolDay(string(d)) }

func (e *Register) anchors() clock.Anchors {
	if e.o.Anchors == nil {
		return nil
	}
	return e.o.Anchors()
}

// Present gives an actor their shift and grants as they are now.
func (e *Register) Present(a account.Actor, now clock.Reading) account.Actor {
	a.Grants, a.OnShift = e.Grants(a.ID, now.Wall), e.OnShift(a.ID)
	return a
}

// Allow asks the permission table. A refusal is entered in the log and returned as *account.Refused; every
// route asks here, so that no failing permission goes unrecorded (F13).
func (e *Register) Allow(ctx context.Context, by account.Who, action account.Action, subject account.Subject) (account.Decision, error) {
	now := e.o.Clock.Now()
	d := account.May(e.Present(by.Actor, now), action, subject, now.Wall)
	if d.Allowed {
		return d, nil
	}
	return d, e.refuse(ctx, by, action, subject, d.Reason)
}
