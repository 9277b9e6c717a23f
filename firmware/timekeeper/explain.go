package timekeeper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// Wait is what the clock waits for; the catalogue has "clock.wait.<code>".
type Wait string

// What the banner can say.
const (
	WaitSource    Wait = "source"    // any source at all
	WaitSecond    Wait = "second"    // one more, of another origin
	WaitAgreement Wait = "agreement" // the sources contradict each other
	WaitConfirm   Wait = "confirm"   // the centre or two people
	WaitRecord    Wait = "record"    // the record of it is not durable yet
)

// Explanation is the clock as the banner and the status page show it.
type Explanation struct {
	Reading   clock.Reading
	Reason    clock.Reason
	Since     time.Duration // how long it has been in this state
	Witnesses []clock.Witness
	Sources   []SourceState // all that are asked or push, sorted by origin and name
	Doubted   time.Duration // running time without trust, also of earlier runs and boots; zero when trusted
	Alarmed   bool          // it is so long that an alarm was entered
	Waits     Wait          // empty when trusted
	Stated    bool          // one person has stated the time; a second is awaited
}

// Explain returns the state of the clock, its sources, and what it waits for.
func (k *Keeper) Explain() Explanation {
	mono, wall := k.o.Host.Boottime(), k.o.Host.Wall()
	x, sources, silent := k.explain(mono, wall)
	x.Sources = sourceStates(sources, silent, x.Witnesses)
	return x
}

func (k *Keeper) explain(mono time.Duration, wall time.Time) (Explanation, []Source, map[string]Trouble) {
	k.mu.Lock()
	defer k.mu.Unlock()
	sources, silent := k.sources, maps.Clone(k.silent)
	x := Explanation{Reading: k.published.Reading(mono, wall), Reason: k.trust.Reason(), Since: mono - k.trust.Since(),
		Witnesses: k.trust.Witnesses(mono), Stated: k.stated.fresh(mono)}
	if x.Reading.State == clock.Trusted {
		return x, sources, silent
	}
	k.count(mono)
	x.Doubted, x.Alarmed = k.doubt.Spent, k.doubt.Alarmed
	switch x.Reason {
	case clock.ReasonNoSource:
		x.Waits = WaitSource
	case clock.ReasonOneSource:
		x.Waits = WaitSecond
	case clock.ReasonDisagree, clock.ReasonContradiction:
		x.Waits = WaitAgreement
	case clock.ReasonForward, clock.ReasonBackward:
		x.Waits = WaitConfirm
	default:
		x.Waits = WaitRecord
	}
	return x, sources, silent
}

// What two people may differ by, how surely they know it, and how long the first waits for the second.
const (
	statedWithin = 2 * time.Minute
	statedFor    = 15 * time.Minute
)

type statement struct {
	person string
	mono   time.Duration
	utc    time.Time
}

func (s *statement) fresh(mono time.Duration) bool { return s != nil && mono-s.mono < statedFor }

// Errors of Confirm.
var (
	// ErrSamePerson: the second statement must come from somebody else.
	ErrSamePerson = errors.New("timekeeper: the same person")
	// ErrDiffer: the two statements are more than two minutes apart; both must state it again.
	ErrDiffer = errors.New("timekeeper: the two statements differ")
	// ErrNotIndependent: the second account had its rights from the first, or gave them, too lately to be a second person.
	ErrNotIndependent = errors.New("timekeeper: the second statement is not independent")
)

// Confirm takes a person's statement of the present time. The first of two is kept for a quarter of an hour; the
// second, by somebody else and within two minutes of it, makes them a witness (design §5). Each is an entry. Permission
// (account.ActClockConfirm) is the caller's to ask, and independent says whether two accounts count as two persons.
// done says whether both have spoken.
func (k *Keeper) Confirm(ctx context.Context, by account.Who, role account.Role, utc time.Time, independent func(a, b string) bool) (done bool, err error) {
	k.mu.Lock()
	s, mono := k.store, k.o.Host.Boottime()
	first := k.stated
	k.mu.Unlock()
	if first.fresh(mono) && first.person == by.ID {
		return false, ErrSamePerson
	}
	if first.fresh(mono) && !independent(first.person, by.ID) {
		return false, ErrNotIndependent
	}
	if s == nil {
		return false, ledgerdb.ErrClosed
	}
	data := struct {
		UTC time.Time `json:"utc"`
	}{utc.UTC()}
	if _, err := s.Commit(ctx, ledgerdb.Change{Entries: []ledger.Draft{by.Draft("clock.confirmed", role, "clock", data)}}); err != nil {
		return false, fmt.Errorf("record a statement of the time: %w", err)
	}
	k.mu.Lock()
	now := statement{by.ID, mono, utc}
	if !first.fresh(mono) || first != k.stated {
		k.stated = &now
		k.mu.Unlock()
		return false, nil
	}
	k.stated = nil
	k.mu.Unlock()
	apart := utc.Sub(first.utc.Add(mono - first.mono)).Abs()
	if apart > statedWithin {
		return false, ErrDiffer
	}
	k.Observe(clock.Observation{Source: "people", Origin: clock.OriginPeople, Mono: mono, UTC: utc.UTC(), Uncertainty: statedWithin})
	return true, nil
}
