// Package rootkey keeps the root key under which all keys lie: its rotation, and what the end of a key under it is worth.
//
// It owns the entries `key.root.intent` and `key.root`. A rotation is announced in the log before anything is stored and
// confirmed after, as every other destruction of a key; when a crash came between, the next start confirms what it
// finds. It must never call an erasure proven while an older copy of a ring could still be opened.
package rootkey

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

// Options configures a [Keeper]. All are required.
type Options struct {
	Root  *keyring.Root
	Store *ledgerdb.Store
	Clock clock.Clock
	Log   *slog.Logger
}

// Keeper rotates the root key. All methods are safe for concurrent use.
type Keeper struct {
	o      Options
	record atomic.Pointer[record] // what the log says; nil before it was asked

	turning sync.Mutex // guards waited
	waited  wait
}

// New makes a keeper; it reads and starts nothing.
func New(o Options) *Keeper { return &Keeper{o: o} }

// record is what the log says about the present root.
type record struct {
	at    time.Time    // of the last rotation; zero: never
	last  ledger.Entry // the same
	inTPM time.Time    // since when roots lie in the TPM; zero: from the beginning
}

// Rotated is when the root was last rotated; zero: never, or the log was not asked yet.
func (k *Keeper) Rotated() time.Time {
	if know := k.record.Load(); know != nil {
		return know.at
	}
	return time.Time{}
}

// Rotate puts all rings under a new root, and says where that lies.
func (k *Keeper) Rotate(ctx context.Context) (place string, err error) {
	err = k.o.Root.Rotate(func(id keyring.RootID, place string) error { return k.Announce(ctx, id, place) })
	_, place = k.o.Root.Label()
	if cerr := k.Confirm(ctx); cerr != nil { // also of a rotation that failed: it says which root it is
		err = errors.Join(err, fmt.Errorf("the log does not say yet which root key it is: %w", cerr))
	}
	return place, err
}

// Announce enters a root that is about to be stored.
func (k *Keeper) Announce(ctx context.Context, id keyring.RootID, place string) error {
	return k.enterRoot(ctx, "key.root.intent", id, place)
}

func (k *Keeper) enterRoot(ctx context.Context, kind ledger.Kind, id keyring.RootID, place string) error {
	assurance := keyring.AssuranceBestEffort
	if place == keyring.PlaceTPM {
		assurance = keyring.AssuranceErased
	}
	return k.enter(ctx, kind, map[string]any{"root": id[:], "place": place, "assurance": assurance})
}

func (k *Keeper) enter(ctx context.Context, kind ledger.Kind, data any) error {
	_, err := k.o.Store.Commit(ctx, ledgerdb.Change{Entries: []ledger.Draft{{Actor: ledger.System, Via: ledger.ViaSystem, Kind: kind, Data: data}}})
	return err
}

// Confirm enters the present root when a rotation was announced and not confirmed, and reads what the log says.
func (k *Keeper) Confirm(ctx context.Context) error {
	for {
		know, open, err := k.history(ctx)
		if err != nil {
			return err
		}
		if !open {
			k.record.Store(&know)
			return nil
		}
		_, place := k.o.Root.Label()
		if err := k.enterRoot(ctx, "key.root", k.o.Root.ID(), place); err != nil {
			return fmt.Errorf("confirm the root key: %w", err)
		}
	}
}

// history reads the rotations, the latest first; open says that the last one was not confirmed.
func (k *Keeper) history(ctx context.Context) (know record, open bool, err error) {
	q := ledgerdb.Query{Kinds: []ledger.Kind{"key.root.intent", "key.root"}, Limit: 100}
	first, tpm := true, true
	var confirmed ledger.Entry // the confirmation whose announcement comes next
	var as []byte
	for {
		page, err := k.o.Store.Search(ctx, q)
		if err != nil {
			return know, false, fmt.Errorf("look for rotations of the root key: %w", err)
		}
		for _, e := range page.Entries {
			var d struct {
				Place string
				Root  []byte
			}
			if err := json.Unmarshal(e.Data, &d); err != nil {
				return know, false, fmt.Errorf("entry %d: %w", e.Seq, err)
			}
			if e.Kind == "key.root.intent" {
				open = open || first
				if know.at.IsZero() && bytes.Equal(d.Root, as) { // and not a rotation that failed
					know.at, know.last = confirmed.At, confirmed
				}
			} else {
				confirmed, as = e, d.Root
				if tpm = tpm && d.Place == keyring.PlaceTPM; tpm {
					know.inTPM = e.At
				}
			}
			first = false
		}
		if page.Next == 0 {
			return know, open, nil
		}
		q.Before = page.Next
	}
}

// Assurance returns the assurance of erasing keys that were made at an instant: the TPM's only when the root lay in
// it by then, because older copies of the rings are still under a root that lay in a file.
func (k *Keeper) Assurance(made time.Time) string {
	word, place := k.o.Root.Label()
	if know := k.record.Load(); place == keyring.PlaceTPM && (know == nil || made.Before(know.inTPM)) {
		return keyring.AssuranceBestEffort
	}
	return word
}

// AssuranceNow returns the assurance of such an erasure at the moment of the deletion: with a root in the TPM it is
// pending until the root was turned, because an older copy of a ring opens under the root of now.
func (k *Keeper) AssuranceNow(made time.Time) string {
	if word := k.Assurance(made); word != keyring.AssuranceErased {
		return word
	}
	return packet.AssurancePending
}

const (
	turnEvery = 24 * time.Hour
	turnPoll  = time.Hour
	turnAlarm = 48 * time.Hour // erased keys have waited for the root to be turned: an alarm
)

// Run rotates a root that lies in the TPM once a day when keys were erased since: an older copy of a ring, which a
// flash disk may keep, is opened by the root of its day, and that one is gone from the chip then. A root in a file
// is left alone: the disk may keep older copies of it as well.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(turnPoll)
	defer tick.Stop()
	for {
		if err := k.TurnDue(ctx, k.o.Clock.Now()); err != nil && ctx.Err() == nil {
			k.o.Log.Error("the root key could not be rotated", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// wait is how long this run has waited to turn the root, by the clock of the boot: what the wall clock claims may
// lie years ahead.
type wait struct {
	since   time.Duration // of the first look that found erased keys under this root
	waiting bool
	alarmed bool
}

// TurnDue turns the root when keys were erased under it and a day has passed since: by a trusted clock since the last
// turn, when that was entered under one, and else in this run.
func (k *Keeper) TurnDue(ctx context.Context, now clock.Reading) error {
	k.turning.Lock()
	defer k.turning.Unlock()
	w := &k.waited
	know := k.record.Load()
	if _, place := k.o.Root.Label(); place != keyring.PlaceTPM || know == nil {
		return nil
	}
	page, err := k.o.Store.Search(ctx, ledgerdb.Query{Kinds: []ledger.Kind{"key.erased"}, Limit: 1})
	if err != nil {
		return fmt.Errorf("look for erased keys: %w", err)
	}
	if len(page.Entries) == 0 || page.Entries[0].Seq < know.last.Seq { // the log also confirms the root after a turn that failed
		*w = wait{}
		return nil
	}
	if !w.waiting {
		w.waiting, w.since = true, now.Mono
	}
	waited := now.Mono - w.since
	if last := know.last; last.Clock.State == clock.Trusted && now.State == clock.Trusted {
		waited = max(waited, now.Earliest().Sub(last.At))
	}
	if waited < turnEvery {
		return nil
	}
	if _, err = k.Rotate(ctx); err == nil {
		*w = wait{}
		return nil
	}
	oldest, oerr := k.oldestErased(ctx, know.last.Seq, now)
	if err = errors.Join(err, oerr); max(oldest, now.Mono-w.since) >= turnAlarm && !w.alarmed {
		if aerr := k.enter(ctx, "system.fault", map[string]any{"code": "root.not_turned", "count": int64(max(oldest, now.Mono-w.since) / time.Hour)}); aerr != nil {
			return errors.Join(err, aerr)
		}
		w.alarmed = true
	}
	return err
}

// oldestErased is how long ago the first key was erased behind an entry, as far as trusted clocks tell: a program that is
// started again does not forget how long it has waited.
func (k *Keeper) oldestErased(ctx context.Context, behind uint64, now clock.Reading) (age time.Duration, err error) {
	if now.State != clock.Trusted {
		return 0, nil
	}
	page, err := k.o.Store.Search(ctx, ledgerdb.Query{Kinds: []ledger.Kind{"key.erased"}, Limit: 1000})
	if err != nil {
		return 0, fmt.Errorf("look for erased keys: %w", err)
	}
	for _, e := range page.Entries {
		if e.Seq > behind && e.Clock.State == clock.Trusted {
			age = now.Earliest().Sub(e.At)
		}
	}
	return age, nil
}
