package appliance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

// The root key: a rotation is announced in the log before anything is stored and confirmed after, as every other
// destruction of a key. When a crash came between, the next start confirms what it finds.

// rootRecord is what the log says about the present root.
type rootRecord struct {
	at    time.Time    // of the last rotation; zero: never
	last  ledger.Entry // the same
	inTPM time.Time    // since when roots lie in the TPM; zero: from the beginning
}

// rotateRoot puts all rings under a new root.
func (a *Appliance) rotateRoot(ctx context.Context) (place string, err error) {
	err = a.root.Rotate(func(id keyring.RootID, place string) error {
		return a.enterRoot(ctx, "key.root.intent", id, place)
	})
	_, place = a.root.Label()
	if cerr := a.confirmRoot(ctx); cerr != nil { // also of a rotation that failed: it says which root it is
		err = errors.Join(err, fmt.Errorf("the log does not say yet which root key it is: %w", cerr))
	}
	return place, err
}

func (a *Appliance) enterRoot(ctx context.Context, kind ledger.Kind, id keyring.RootID, place string) error {
	assurance := keyring.AssuranceBestEffort
	if place == keyring.PlaceTPM {
		assurance = keyring.AssuranceErased
	}
	return a.enter(ctx, kind, "", map[string]any{"root": id[:], "place": place, "assurance": assurance})
}

// confirmRoot enters the present root when a rotation was announced and not confirmed, and learns what the log says.
func (a *Appliance) confirmRoot(ctx context.Context) error {
	for {
		know, open, err := a.rootHistory(ctx)
		if err != nil {
			return err
		}
		if !open {
			a.rootRecord.Store(&know)
			return nil
		}
		_, place := a.root.Label()
		if err := a.enterRoot(ctx, "key.root", a.root.ID(), place); err != nil {
			return fmt.Errorf("confirm the root key: %w", err)
		}
	}
}

// rootHistory reads the rotations, the latest first; open says that the last one was not confirmed.
func (a *Appliance) rootHistory(ctx context.Context) (know rootRecord, open bool, err error) {
	q := ledgerdb.Query{Kinds: []ledger.Kind{"key.root.intent", "key.root"}, Limit: 100}
	first, tpm := true, true
	var confirmed ledger.Entry // the confirmation whose announcement comes next
	var as []byte
	for {
		page, err := a.Store.Search(ctx, q)
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

// assuranceOf returns the assurance of erasing keys that were made at an instant: the TPM's only when the root lay in
// it by then, because older copies of the rings are still under a root that lay in a file.
func (a *Appliance) assuranceOf(made time.Time) string {
	word, place := a.root.Label()
	if know := a.rootRecord.Load(); place == keyring.PlaceTPM && (know == nil || made.Before(know.inTPM)) {
		return keyring.AssuranceBestEffort
	}
	return word
}

// assuranceNow returns the assurance of such an erasure at the moment of the deletion: with a root in the TPM it is
// pending until the root was turned, because an older copy of a ring opens under the root of now.
func (a *Appliance) assuranceNow(made time.Time) string {
	if word := a.assuranceOf(made); word != keyring.AssuranceErased {
		return word
	}
	return packet.AssurancePending
}

const (
	turnEvery = 24 * time.Hour
	turnPoll  = time.Hour
	turnAlarm = 48 * time.Hour // erased keys have waited for the root to be turned: an alarm
)

// turnRoot rotates a root that lies in the TPM once a day when keys were erased since: an older copy of a ring, which a
// flash disk may keep, is opened by the root of its day, and that one is gone from the chip then. A root in a file
// is left alone: the disk may keep older copies of it as well.
func (a *Appliance) turnRoot(ctx context.Context) error {
	tick := time.NewTicker(turnPoll)
	defer tick.Stop()
	var w turnWait
	for {
		if err := a.turnDue(ctx, &w, a.Timekeeper.Now()); err != nil && ctx.Err() == nil {
			a.log.Error("the root key could not be rotated", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// turnWait is how long this run has waited to turn the root, by the clock of the boot: what the wall clock claims may
// lie years ahead.
type turnWait struct {
	since   time.Duration // of the first look that found erased keys under this root
	waiting bool
	alarmed bool
}

// turnDue turns the root when keys were erased under it and a day has passed since: by a trusted clock since the last
// turn, when that was entered under one, and else in this run.
func (a *Appliance) turnDue(ctx context.Context, w *turnWait, now clock.Reading) error {
	know := a.rootRecord.Load()
	if _, place := a.root.Label(); place != keyring.PlaceTPM || know == nil {
		return nil
	}
	page, err := a.Store.Search(ctx, ledgerdb.Query{Kinds: []ledger.Kind{"key.erased"}, Limit: 1})
	if err != nil {
		return fmt.Errorf("look for erased keys: %w", err)
	}
	if len(page.Entries) == 0 || page.Entries[0].Seq < know.last.Seq { // the log also confirms the root after a turn that failed
		*w = turnWait{}
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
	if _, err = a.rotateRoot(ctx); err == nil {
		*w = turnWait{}
		return nil
	}
	oldest, oerr := a.oldestErased(ctx, know.last.Seq, now)
	if err = errors.Join(err, oerr); max(oldest, now.Mono-w.since) >= turnAlarm && !w.alarmed {
		if aerr := a.enter(ctx, "system.fault", "", map[string]any{"code": "root.not_turned", "count": int64(max(oldest, now.Mono-w.since) / time.Hour)}); aerr != nil {
			return errors.Join(err, aerr)
		}
		w.alarmed = true
	}
	return err
}

// oldestErased is how long ago the first key was erased behind an entry, as far as trusted clocks tell: a program that is
// started again does not forget how long it has waited.
func (a *Appliance) oldestErased(ctx context.Context, behind uint64, now clock.Reading) (age time.Duration, err error) {
	if now.State != clock.Trusted {
		return 0, nil
	}
	page, err := a.Store.Search(ctx, ledgerdb.Query{Kinds: []ledger.Kind{"key.erased"}, Limit: 1000})
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

// rotated is the answer of the control socket.
type rotated struct {
	Place string `json:"place"`
	Error string `json:"error,omitempty"`
}

// RotateRoot puts all keys of a running or stopped box under a new root key.
func RotateRoot(ctx context.Context, cfg Config, out io.Writer) (err error) {
	place, running, err := askRotate(ctx, cfg)
	if !running && err == nil {
		place, err = rotateStopped(ctx, cfg)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "all keys are under a new root key, which lies in: %s\n", map[string]string{keyring.PlaceFile: "a file of the data directory", keyring.PlaceTPM: "the TPM"}[place])
	return nil
}

func askRotate(ctx context.Context, c Config) (place string, running bool, err error) {
	resp, running, err := askControl(ctx, c, http.MethodPost, "/rotate-root")
	if !running || err != nil {
		return "", running, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	var end rotated
	if err := json.NewDecoder(resp.Body).Decode(&end); err != nil {
		return "", true, fmt.Errorf("answer of the running campuskeepd: %w", err)
	}
	if end.Error != "" {
		return end.Place, true, errors.New(end.Error)
	}
	return end.Place, true, nil
}

func rotateStopped(ctx context.Context, cfg Config) (place string, err error) {
	if err := checkCreated(cfg); err != nil {
		return "", err
	}
	a, err := Open(ctx, cfg, Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	stop := a.Base(ctx)
	defer func() { err = errors.Join(err, stop()) }()
	if err := a.confirmRoot(ctx); err != nil {
		return "", err
	}
	return a.rotateRoot(ctx)
}
