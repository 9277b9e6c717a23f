// Package timekeeper knows what time it is, how surely, and which instants of which boot were when.
//
// It owns the tables "anchors", "clock" and "clock_doubt", asks the sources of time in one goroutine (Run) and is the
// clock.Clock of the appliance. It must never set or step the machine's clock, and never call a time trusted before the
// anchor behind it is durable.
package timekeeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

var (
	anchorRows = ledgerdb.NewTable[clock.Anchor]("anchors")
	clockRows  = ledgerdb.NewTable[highest]("clock")
)

// highest is the highest trusted time on record, key "highest"; only a correction entry lowers it. Stepped is how far
// the time was moved forward, over all boots, without anything to explain it and without authority.
type highest struct {
	UTC     time.Time     `json:"utc"`
	Stepped time.Duration `json:"stepped,omitempty"` // ns
}

const highestKey = "highest"

// HostClock is what the machine offers. Wall may be wrong and may step; Boottime (CLOCK_BOOTTIME) does neither.
type HostClock interface {
	Wall() time.Time
	Boottime() time.Duration // since the boot, sleep included
	BootID() string          // of this boot, a code
}

// Source is somebody who may know the time.
type Source interface {
	Name() string
	Origin() clock.Origin
	// Observe asks once. ErrSilent: it has nothing (more) to say, which is no fault. It must obey ctx.
	Observe(ctx context.Context) (clock.Observation, error)
}

// ErrSilent is what a source answers that has nothing to say.
var ErrSilent = errors.New("timekeeper: the source is silent")

// Options is what a keeper needs from outside.
type Options struct {
	Host    HostClock
	Sources []Source
	Every   time.Duration // between rounds; 0: a minute
	Log     *slog.Logger
}

// Keeper is the clock of the appliance. All methods are safe for concurrent use.
type Keeper struct {
	o      Options
	boot   string
	wakeup chan struct{}

	mu        sync.Mutex
	sources   []Source
	trust     clock.Trust // as the sources have it
	published clock.Trust // as everybody sees it: trusted only once the record of it is durable
	anchors   clock.Anchors
	store     *ledgerdb.Store
	lower     func(to time.Time) []ledgerdb.Put // see OnCorrection
	pending   []clock.Result                    // not on record yet
	silent    map[string]Trouble
	doubt     doubtEpisode
	stated    *statement // what the first of two people stated
}

// New makes a keeper that knows nothing yet. It starts nothing.
func New(o Options) *Keeper {
	if o.Every == 0 {
		o.Every = time.Minute
	}
	k := &Keeper{o: o, boot: o.Host.BootID(), wakeup: make(chan struct{}, 1), sources: slices.Clone(o.Sources), silent: map[string]Trouble{}}
	k.trust = clock.NewTrust(k.boot, clock.Record{}, nil)
	k.published = k.trust
	return k
}

// Attach loads what is on record and keeps it there from now on. Call it before Run. What was observed before
// counts again on top of the record.
func (k *Keeper) Attach(s *ledgerdb.Store) error {
	var top highest
	var list []clock.Anchor
	var left doubtRow
	var kept bool
	err := s.View(func(tx ledgerdb.Tx) (err error) {
		for key, row := range anchorRows.Rows(tx, "") {
			if row.Err != nil {
				return fmt.Errorf("anchor %s: %w", key, row.Err)
			}
			list = append(list, row.Value)
		}
		if top, _, _, err = clockRows.Get(tx, highestKey); err != nil {
			return err
		}
		left, _, kept, err = doubtRows.Get(tx, doubtKey)
		return err
	})
	if err != nil {
		return fmt.Errorf("read the boot to UTC table: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.store, k.anchors = s, clock.NewAnchors(list...)
	early := k.trust.Witnesses(k.o.Host.Boottime())
	slices.SortFunc(early, func(a, b clock.Witness) int { return int(a.Mono - b.Mono) })
	k.pending, k.doubt = nil, doubtEpisode{left, k.o.Host.Boottime(), kept}
	k.trust = clock.NewTrust(k.boot, clock.Record{Highest: top.UTC, Stepped: top.Stepped, Read: k.o.Host.Boottime()}, k.anchors)
	k.published = k.trust
	for _, w := range early {
		k.take(k.trust.Observe(w.Observation))
	}
	return nil
}

// Now is the present moment. It implements clock.Clock.
func (k *Keeper) Now() clock.Reading {
	mono, wall := k.o.Host.Boottime(), k.o.Host.Wall()
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.published.Reading(mono, wall)
}

// Anchors is the boot → UTC table as it is on record.
func (k *Keeper) Anchors() clock.Anchors {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.anchors
}

// Observe takes what a source pushed: the centre's signed time. Mono is of this boot ([Keeper.Mono]).
func (k *Keeper) Observe(o clock.Observation) {
	k.mu.Lock()
	k.take(k.trust.Observe(o))
	k.mu.Unlock()
	k.wake()
}

// Mono is the monotonic time of this boot, for those who push observations.
func (k *Keeper) Mono() time.Duration { return k.o.Host.Boottime() }

// take holds a judgement until it is on record. Doubt is reported at once; trust only with its record.
func (k *Keeper) take(t clock.Trust, r clock.Result) {
	k.trust = t
	changed := r.From != r.To || r.Anchor != nil
	if changed {
		k.pending = append(k.pending, r)
	}
	if t.State() != clock.Trusted || len(k.pending) == 0 {
		k.published = t
	}
	if k.store == nil {
		k.settle(k.pending)
		k.pending = nil
		k.published = t
	}
}

// settle takes recorded results into the table.
func (k *Keeper) settle(done []clock.Result) {
	for _, r := range done {
		if r.Replaces {
			k.anchors = k.anchors.Without(k.boot)
		}
		if r.Anchor != nil {
			k.anchors = k.anchors.With(*r.Anchor)
		}
	}
}

// persistEvery is how far the recorded highest trusted time may lag.
const persistEvery = 10 * time.Minute

// Run asks the sources round by round and keeps the record. It returns when ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(k.o.Every)
	defer tick.Stop()
	k.round(ctx)
	k.mu.Lock()
	k.take(k.trust.Settle(k.o.Host.Boottime()))
	k.mu.Unlock()
	kept := time.Duration(0)
	for first := true; ; first = false {
		mono := k.o.Host.Boottime()
		due := first || mono-kept >= persistEvery
		if due {
			if err := k.thin(ctx); err != nil && ctx.Err() == nil {
				k.o.Log.Error("the table from boots to UTC is not thinned", "err", err)
			}
		}
		if err := k.record(ctx, due); err == nil {
			if due {
				kept = mono
			}
		} else if ctx.Err() == nil {
			k.o.Log.Error("the state of the clock is not on record yet", "err", err)
		}
		select {
		case <-ctx.Done():
			k.recordEnd(context.WithoutCancel(ctx))
			return nil
		case <-k.wakeup:
		case <-tick.C:
			k.round(ctx)
		}
	}
}

// endWait is how long a stop waits for the last record.
const endWait = 2 * time.Second

// recordEnd puts on record how far time has come, so that the next boot begins from the end of this one.
func (k *Keeper) recordEnd(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, endWait)
	defer cancel()
	if err := k.record(ctx, true); err != nil {
		k.o.Log.Warn("how far time has come is not on record up to the stop", "err", err)
	}
}

// hurried is a source that rests between two questions and can be asked to ask again.
type hurried interface{ Hurry() }

// round asks every source once. In doubt those that rest are to speak again: only who is asked after a source left
// the line can settle it.
func (k *Keeper) round(ctx context.Context) {
	k.mu.Lock()
	sources := k.sources // replaced, never written to, by those who add and remove
	doubt := k.trust.State() == clock.Suspect
	k.mu.Unlock()
	for _, s := range sources {
		if h, ok := s.(hurried); ok && doubt {
			h.Hurry()
		}
		asking, cancel := context.WithTimeout(ctx, k.o.Every/2)
		o, err := s.Observe(asking)
		cancel()
		if ctx.Err() != nil {
			return
		}
		k.handleAnswer(s, o, err)
	}
}

// handleAnswer takes a source's answer.
func (k *Keeper) handleAnswer(s Source, o clock.Observation, err error) {
	name := s.Name()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.ContainsFunc(k.sources, func(x Source) bool { return x.Name() == name }) {
		return // removed while it was asked
	}
	if err == nil {
		delete(k.silent, name)
		k.take(k.trust.Observe(o))
		return
	}
	t := trouble(err)
	if k.silent[name] != t && t != TroubleSilent {
		k.o.Log.Warn("a source of time does not answer", "source", name, "err", err)
	}
	k.silent[name] = t
}

// recordBatch is how many judgements one Change writes down: there are many when nothing could be written for long.
const recordBatch = 64

// record commits what is pending, and with lag also what need not be on record at once: the highest trusted time and
// how long trust has been lacking.
func (k *Keeper) record(ctx context.Context, lag bool) error {
	for {
		if more, err := k.recordSome(ctx, lag); !more || err != nil {
			return err
		}
	}
}

// recordSome commits the oldest of what is pending; more says that there is more.
func (k *Keeper) recordSome(ctx context.Context, lag bool) (more bool, err error) {
	mono := k.o.Host.Boottime()
	k.mu.Lock()
	k.count(mono)
	s, trust := k.store, k.trust
	pending := k.pending[:min(len(k.pending), recordBatch)]
	more = len(pending) < len(k.pending)
	c := k.change(trust, pending, mono)
	doubtKept := k.keepDoubt(&c, trust, lag)
	k.mu.Unlock()
	if top := trust.Record(mono); !top.Highest.IsZero() && (lag || len(pending) > 0) {
		c.Puts = append(c.Puts, clockRows.Put(highestKey, highest{top.Highest.UTC(), top.Stepped}))
	}
	if s == nil || len(c.Puts)+len(c.Deletes)+len(c.Entries) == 0 {
		return false, nil
	}
	if _, err := s.Commit(ctx, c); err != nil {
		return false, fmt.Errorf("record %d changes of the clock: %w", len(pending), err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	doubtKept()
	k.settle(pending)
	k.pending = slices.Clone(k.pending[len(pending):])
	switch {
	case len(k.pending) == 0:
		k.published = k.trust
	case !more && k.trust.State() == clock.Trusted:
		k.published = trust
	}
	return more, nil
}

// change writes down the judgements. The caller holds k.mu.
func (k *Keeper) change(t clock.Trust, results []clock.Result, mono time.Duration) ledgerdb.Change {
	var c ledgerdb.Change
	var corrected time.Time
	table := k.anchors
	for _, r := range results {
		if r.Step != 0 {
			c.Entries = append(c.Entries, entry("clock.step", stepData{r.Step.Milliseconds(), string(r.Reason)}))
		}
		if x := r.Correction; x != nil {
			c.Entries = append(c.Entries, entry("clock.correction", correctionData{x.Before.UTC(), x.After.UTC(), string(x.Origin)}))
			corrected = x.After
		}
		if r.Replaces {
			for _, a := range table {
				if a.Boot == k.boot {
					c.Deletes = append(c.Deletes, anchorRows.Delete(anchorKey(a)))
				}
			}
			c.Puts = slices.DeleteFunc(c.Puts, func(p ledgerdb.Put) bool { return p.Table == anchorRows.Name })
			table = nil
		}
		if r.Anchor != nil {
			put, e := recordAnchor(*r.Anchor)
			// Two sources asked at one instant may both have moved the line: one row, and the later one counts.
			same := func(table, key string) bool { return table == put.Table && key == put.Key }
			c.Puts = slices.DeleteFunc(c.Puts, func(p ledgerdb.Put) bool { return same(p.Table, p.Key) })
			c.Deletes = slices.DeleteFunc(c.Deletes, func(d ledgerdb.Delete) bool { return same(d.Table, d.Key) })
			c.Puts, c.Entries = append(c.Puts, put), append(c.Entries, e)
		}
		if r.From != r.To {
			c.Entries = append(c.Entries, entry("clock.state", k.stateData(t, r, mono)))
		}
	}
	if k.lower != nil && !corrected.IsZero() {
		c.Puts = append(c.Puts, k.lower(corrected)...)
	}
	return c
}

// OnCorrection has lower give the rows that the wrong time has raised, to be put down to the right one in the Change that
// records a correction. It must not ask the keeper for anything.
func (k *Keeper) OnCorrection(lower func(to time.Time) []ledgerdb.Put) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lower = lower
}

func (k *Keeper) stateData(t clock.Trust, r clock.Result, mono time.Duration) any {
	var fit []string
	for _, w := range t.Witnesses(mono) {
		if w.Fits {
			fit = append(fit, w.Source)
		}
	}
	reading := t.Reading(mono, k.o.Host.Wall())
	return struct {
		From        string   `json:"from"`
		To          string   `json:"to"`
		Reason      string   `json:"reason"`
		Offset      int64    `json:"offset_ms"` // of the machine's clock from ours
		Uncertainty int64    `json:"uncertainty_ms"`
		Sources     []string `json:"sources,omitempty"`
	}{r.From.String(), r.To.String(), string(r.Reason), k.o.Host.Wall().Sub(reading.Wall).Milliseconds(), reading.Uncertainty.Milliseconds(), fit}
}

type stepData struct {
	Step   int64  `json:"step_ms"`
	Reason string `json:"reason,omitempty"`
}

type correctionData struct {
	Before time.Time `json:"highest_before"`
	After  time.Time `json:"highest_after"`
	Reason string    `json:"reason"`
}

// RecordAnchor is the Change that puts an anchor on record. The keeper makes its own; an importer of history, whose
// recorder knew what time it was, uses this.
func RecordAnchor(a clock.Anchor) ledgerdb.Change {
	put, e := recordAnchor(a)
	return ledgerdb.Change{Puts: []ledgerdb.Put{put}, Entries: []ledger.Draft{e}}
}

func recordAnchor(a clock.Anchor) (ledgerdb.Put, ledger.Draft) {
	data := struct {
		Boot        string    `json:"boot"`
		Mono        int64     `json:"mono"`
		UTC         time.Time `json:"utc"`
		Uncertainty int64     `json:"uncertainty_ms"`
	}{a.Boot, int64(a.Mono), a.UTC.UTC(), a.Uncertainty.Milliseconds()}
	return anchorRows.Put(anchorKey(a), a), entry("clock.anchor", data)
}

func anchorKey(a clock.Anchor) string { return fmt.Sprintf("%s/%020d", a.Boot, int64(a.Mono)) }

func entry(kind ledger.Kind, data any) ledger.Draft {
	return ledger.Draft{Actor: ledger.System, Via: ledger.ViaSystem, Kind: kind, Subject: "clock", Data: data}
}

// Highest is the latest time that was ever trusted; zero when none was.
func (k *Keeper) Highest() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.trust.Highest(k.o.Host.Boottime())
}
