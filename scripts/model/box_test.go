package model

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/retention"
	"campuskeep/firmware/timekeeper"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// since2026 moves the time of a bubble, which begins in the year 2000, to where the product lives.
var since2026 = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))

func present() time.Time { return time.Now().Add(since2026).UTC() }

// machine is the host clock of one boot.
type machine struct {
	boot  string
	began time.Time
	off   time.Duration
}

func (m machine) Wall() time.Time         { return present().Add(m.off) }
func (m machine) Boottime() time.Duration { return time.Since(m.began) }
func (m machine) BootID() string          { return m.boot }

// timeSource is a source of time that may lie or be silent.
type timeSource struct {
	m      *machine
	origin clock.Origin
	mu     sync.Mutex
	off    time.Duration
	quiet  bool
}

func (v *timeSource) Name() string         { return string(v.origin) }
func (v *timeSource) Origin() clock.Origin { return v.origin }
func (v *timeSource) Observe(context.Context) (clock.Observation, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.quiet {
		return clock.Observation{}, timekeeper.ErrSilent
	}
	return clock.Observation{Source: v.Name(), Origin: v.origin, Mono: v.m.Boottime(), UTC: present().Add(v.off), Uncertainty: time.Second}, nil
}

func (v *timeSource) set(off time.Duration, quiet bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.off, v.quiet = off, quiet
}

// kept is a hold as the box keeps it.
type kept struct {
	footage.Hold
	Stamp clock.Stamp   `json:"stamp"`
	Term  time.Duration `json:"term"`
	Acted time.Time     `json:"acted"` // in truth
	Wrong bool          `json:"wrong"` // people had stated a wrong time since
}

var keptRows = ledgerdb.NewTable[kept]("model_holds")

// box is one box on its real packages.
type box struct {
	dir         string
	host        machine
	boots       int
	timeSources []*timeSource

	keeper *timekeeper.Keeper
	store  *ledgerdb.Store
	vault  *vault.Vault
	r      *retention.Retention
	office *usage.Register
	gaps   *retention.Gaps
	stop   func() error
	log    bytes.Buffer // errors, told with what fails; slog's handler takes one line at a time

	made  map[footage.FileID]time.Time // in truth, of what has not been seen gone
	seq   time.Duration
	asked []*asked
	late  bool // the register came after the sweep
	// spoilt is what was there while people had stated a wrong time, and wrong that they have: what then goes early is
	// theirs to answer for. It still must not stay for ever.
	spoilt map[footage.FileID]bool
	wrong  bool
	erred  bool // they have in this life: a hole may then end before it begins, and a mark that it set ahead is lowered and logged

	last  footage.Instant // of the footage
	holes []footage.Missed
}

// start is power on: another boot.
func (b *box) start() error {
	b.boots++
	b.host = machine{fmt.Sprintf("boot-%d", b.boots), time.Now(), b.host.off}
	log := slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelError}))
	data, err := disk.Real(b.dir)
	if err != nil {
		return err
	}
	root, err := keyring.OpenRoot(data)
	if err != nil {
		return err
	}
	people, err1 := root.Ring("people")
	keys, err2 := root.Ring("footage")
	fsys, err3 := disk.Real(filepath.Join(b.dir, "vault"))
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	var sources []timekeeper.Source
	for _, v := range b.timeSources {
		sources = append(sources, v)
	}
	b.keeper = timekeeper.New(timekeeper.Options{Host: b.host, Sources: sources, Every: 6 * time.Hour, Log: log})
	if b.store, err = ledgerdb.Open(ledgerdb.Options{Dir: b.dir, Origin: "campuskeep/ck-model", Clock: b.keeper, People: people,
		Signer: ed25519.NewKeyFromSeed([]byte("campuskeep test log signing key!")), Log: log}); err != nil {
		return err
	}
	if err := b.keeper.Attach(b.store); err != nil {
		return err
	}
	if b.vault, err = vault.Open(vault.Options{FS: fsys, IndexPath: filepath.Join(b.dir, "index.db"), Keys: keys, Holds: root, SyncEvery: 100 * day, Log: log}); err != nil {
		return err
	}
	if err := b.openOffice(log); err != nil {
		return err
	}
	b.r = retention.New(retention.Options{Store: b.store, Vault: b.vault, Clock: b.keeper, Anchors: b.keeper.Anchors, Log: log,
		Cameras: cameras,
		Holds:   holdsIn, Assurance: func(time.Time) string { return "best_effort" }})
	b.keeper.OnCorrection(b.r.Lower)
	b.openGaps()
	ctx, cancel := context.WithCancel(context.Background())
	ground, cancelGround := context.WithCancel(context.Background())
	var base, upper sync.WaitGroup
	var errs [3]error
	base.Go(func() { errs[0] = b.store.Run(ground) })
	base.Go(func() { errs[1] = b.vault.Run(ground) })
	upper.Go(func() { errs[2] = b.keeper.Run(ctx) })
	<-b.vault.Recovered()
	b.stop = func() error {
		cancel()
		upper.Wait()
		cancelGround()
		base.Wait()
		return errors.Join(errs[0], errs[1], errs[2], b.vault.Close(), b.store.Close())
	}
	return nil
}

// holdsIn gives what deletion must keep: a hold ends when its row goes.
func holdsIn(tx ledgerdb.Tx) (list []footage.Hold, err error) {
	for _, h := range keptRows.All(tx) {
		list = append(list, h.Hold)
	}
	more, err := usage.HoldsIn(tx)
	return append(list, more...), err
}

func (b *box) holds() (list []kept, err error) {
	err = b.store.View(func(tx ledgerdb.Tx) error {
		for _, h := range keptRows.All(tx) {
			list = append(list, h)
		}
		return nil
	})
	return list, err
}

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// record keeps a minute of footage up to now.
func (b *box) record(ctx context.Context) error {
	now := b.keeper.Now()
	if now.Mono < b.seq+time.Minute {
		return nil
	}
	b.seq = now.Mono
	if err := b.missed(ctx, footage.Instant{Boot: now.Boot, Mono: now.Mono - time.Minute}); err != nil {
		return err
	}
	b.last = footage.Instant{Boot: now.Boot, Mono: now.Mono}
	w, err := b.vault.Begin(vault.Meta{Camera: "c01", Day: now.Wall.Format(time.DateOnly), Boot: now.Boot, Session: 1, Codec: "h264", Init: []byte("moov"),
		From: now.Mono - time.Minute, Wall: now.Wall.Add(-time.Minute)})
	if err != nil {
		return err
	}
	at := present()
	if err := errors.Join(w.Fragment(vault.Fragment{FragmentInfo: footage.FragmentInfo{From: now.Mono - time.Minute, To: now.Mono, Key: true}, Data: []byte("moof mdat")}), w.Close(), b.vault.Flush(ctx)); err != nil {
		return err
	}
	return b.vault.Rows("c01", func(s footage.Segment) bool {
		if s.Boot == now.Boot && s.To == now.Mono {
			b.made[s.File], b.spoilt[s.File] = at, b.wrong
		}
		return true
	})
}

// one is the last or the first footage that has a place, or nil.
func (b *box) one(first bool) (one *footage.Placed, err error) {
	places := footage.Places{Anchors: b.keeper.Anchors()}
	err = b.vault.Rows("c01", func(s footage.Segment) bool {
		if p := places.Place(s); p.Anchored && b.vault.HasFile(s) && (one == nil || p.Span.To.After(one.Span.To) != first) {
			one = &p
		}
		return true
	})
	return one, err
}

// apply holds footage that has a place.
func (b *box) apply(ctx context.Context, term time.Duration, first bool) error {
	one, err := b.one(first)
	if err != nil || one == nil {
		return err
	}
	now := b.keeper.Now()
	h := kept{Stamp: now.Stamp(), Term: term, Acted: present(), Hold: footage.Hold{ID: fmt.Sprintf("h%d", b.store.Size()), Cameras: []string{"c01"}, Span: one.Span,
		Since: now.Wall, Until: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)}}
	_, err = b.store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{keptRows.Put(h.ID, h)}})
	return err
}

// sweep ends what is over, sweeps, and looks what is gone.
func (b *box) sweep(ctx context.Context) error {
	list, err := b.holds()
	if err != nil {
		return err
	}
	for _, h := range list {
		now, anchors := b.keeper.Now(), b.keeper.Anchors()
		s := h.Stamp.Settled(now, anchors)
		switch {
		case s.Passed(h.Term, now, anchors):
			if early := h.Term - present().Sub(h.Acted); early > time.Minute && !b.wrong && !h.Wrong {
				return fmt.Errorf("hold %s ended %v early, by a clock that is %s", h.ID, early, now.State)
			}
			_, err = b.store.Commit(ctx, ledgerdb.Change{Deletes: []ledgerdb.Delete{keptRows.Delete(h.ID)}})
		case s != h.Stamp:
			h.Stamp = s
			_, err = b.store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{keptRows.Put(h.ID, h)}})
		}
		if err != nil {
			return err
		}
	}
	b.late = !b.late // the register and the sweep do not wait for each other
	if !b.late {
		err = b.round(ctx)
	}
	if _, serr := b.r.Sweep(ctx); serr != nil {
		return fmt.Errorf("sweep: %w", serr)
	}
	if b.late {
		err = b.round(ctx)
	}
	if err != nil {
		return err
	}
	if err := b.gaps.Settle(ctx); err != nil {
		return fmt.Errorf("settle gaps: %w", err)
	}
	return errors.Join(b.look(), b.lookAtRegister())
}

func (b *box) look() error {
	here := map[footage.FileID]bool{}
	if err := b.vault.Rows("c01", func(s footage.Segment) bool {
		here[s.File] = b.vault.HasFile(s)
		return true
	}); err != nil {
		return err
	}
	list, err := b.holds()
	if err != nil {
		return err
	}
	for file, at := range b.made {
		if here[file] {
			continue
		}
		if b.spoilt[file] || b.wrong {
			delete(b.made, file)
			continue
		}
		if age := present().Sub(at); age < 30*day {
			return fmt.Errorf("deleted %v early; clock %+v", 30*day-age, b.keeper.Now())
		}
		for _, h := range list {
			if !h.Wrong && h.Span.Contains(at.Add(-30*time.Second)) && present().Sub(h.Acted) < h.Term {
				return fmt.Errorf("deleted under hold %s", h.ID)
			}
		}
		for _, a := range b.asked {
			if a.due() && a.span.Contains(at.Add(-30*time.Second)) {
				return fmt.Errorf("deleted under application %s, which counts until %v: %+v", a.id, a.until, b.keeper.Now())
			}
		}
		delete(b.made, file)
	}
	return nil
}

// step is one thing that happens.
type step struct {
	what int
	pass time.Duration
	arg  time.Duration
	who  int
	lie  time.Duration
}

const (
	stepSweep = iota
	stepCut   // the power, for arg
	stepAlone // likewise, without a clock chip, and nobody answers afterwards
	stepApply // for a term of arg
	stepLie   // the liar says what is off by lie
	stepQuiet // who falls silent
	stepSpeak // and speaks again
	stepPeople
	stepWrong    // people state what is off by lie
	stepRegister // who: something at the register
)

// often says how often each step comes: an act at the register needs others before it.
var often = []int{stepSweep, stepCut, stepCut, stepAlone, stepAlone, stepApply, stepLie, stepQuiet, stepSpeak, stepPeople, stepWrong,
	stepRegister, stepRegister, stepRegister, stepRegister, stepRegister}

// play plays a life in a bubble of its own.
func play(t *testing.T, origins []clock.Origin, liar clock.Origin, script []step) (err error) {
	synctest.Test(t, func(t *testing.T) {
		b := &box{dir: t.TempDir(), made: map[footage.FileID]time.Time{}, spoilt: map[footage.FileID]bool{}}
		for _, o := range origins {
			b.timeSources = append(b.timeSources, &timeSource{m: &b.host, origin: o})
		}
		if err = os.MkdirAll(filepath.Join(b.dir, "vault"), 0o700); err == nil {
			err = b.start()
		}
		if err != nil {
			return
		}
		err = b.live(t.Context(), liar, script)
		if err == nil {
			err = b.end(t.Context())
		}
		for line := range strings.Lines(b.log.String()) {
			if !b.erred || !strings.Contains(line, "lay in the future and is lowered") {
				err = errors.Join(err, fmt.Errorf("logged: %s", line))
			}
		}
		err = errors.Join(err, b.r.Check(t.Context(), true, func(f vault.Finding) { err = errors.Join(err, fmt.Errorf("check: %+v", f)) }),
			usage.Check(t.Context(), b.store, func(f ledgerdb.Finding) { err = errors.Join(err, fmt.Errorf("check: %+v", f)) }), b.stop())
	})
	return err
}

func (b *box) live(ctx context.Context, liar clock.Origin, script []step) error {
	for i, s := range script {
		pass(s.pass)
		err := b.record(ctx)
		switch s.what {
		case stepCut, stepAlone:
			err = errors.Join(err, b.stop())
			if b.host.off = 0; s.what == stepAlone {
				b.host.off = time.Unix(0, 0).Sub(present())
				for _, v := range b.timeSources {
					v.set(0, true)
				}
			}
			pass(s.arg)
			b.seq = 0
			if err == nil {
				err = b.start()
			}
		case stepApply:
			err = errors.Join(err, b.apply(ctx, s.arg, s.who%2 == 1))
		case stepLie:
			for _, v := range b.timeSources {
				if v.origin.Witness() == liar {
					v.set(s.lie, false)
				}
			}
		case stepQuiet, stepSpeak:
			v := b.timeSources[s.who%len(b.timeSources)]
			v.mu.Lock()
			off := v.off
			v.mu.Unlock()
			v.set(off, s.what == stepQuiet)
		case stepPeople:
			if b.keeper.Now().State != clock.Trusted || b.wrong {
				b.people()
			}
		case stepWrong:
			if b.keeper.Now().State != clock.Trusted {
				err = errors.Join(err, b.err(s.lie))
			}
		case stepRegister:
			err = errors.Join(err, b.register(ctx, s.who))
		}
		if err = errors.Join(err, b.sweep(ctx)); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

// state has people state a time that is off by so much.
func (b *box) state(off time.Duration) {
	b.keeper.Observe(clock.Observation{Source: "people", Origin: clock.OriginPeople, Mono: b.host.Boottime(), UTC: present().Add(off), Uncertainty: 2 * time.Minute})
	pass(time.Second) // until it is on record
}

func (b *box) people() {
	b.state(0)
	b.wrong = b.wrong && b.keeper.Now().State != clock.Trusted
}

// end: people state the time, and after the longest term and the days of keeping nothing of it is left.
func (b *box) end(ctx context.Context) error {
	old := map[footage.FileID]bool{}
	for range 3 {
		b.people()
		if now := b.keeper.Now(); now.State != clock.Trusted {
			return fmt.Errorf("people have stated the time, and the clock is %s: %s", now.State, b.keeper.Explain().Reason)
		}
		if err := b.sweep(ctx); err != nil {
			return err
		}
		for f := range b.made {
			old[f] = true
		}
		if err := b.record(ctx); err != nil { // the camera is back: the last hole has an end
			return err
		}
		if err := b.age(ctx); err != nil {
			return err
		}
	}
	if err := b.sweep(ctx); err != nil {
		return err
	}
	list, err := b.holds()
	if err != nil || len(list) != 0 {
		return errors.Join(err, fmt.Errorf("%d holds are in force for ever", len(list)))
	}
	if open := b.office.Holds(); len(open) != 0 {
		return fmt.Errorf("held for ever: %+v", open)
	}
	if len(b.made) > 0 {
		return fmt.Errorf("%d segments are kept for ever", len(b.made))
	}
	if b.erred {
		return nil
	}
	return b.lookAtGaps()
}

// age lets 41 days pass. What is first is asked for before its time is over, and must outlive it.
func (b *box) age(ctx context.Context) error {
	for i := range 5 {
		pass(8*day + 5*time.Hour)
		if i == 2 {
			if err := errors.Join(b.submit(ctx, true), b.apply(ctx, 12*day, true)); err != nil {
				return err
			}
		}
		if err := b.sweep(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Covers F2, F3, F14: the same over the packages that run in a school: the keeper of time, the log, the vault, retention.
func TestABoxKeepsToTheRules(t *testing.T) {
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		if n++; n > 8 && !long() {
			return
		}
		all := []clock.Origin{clock.OriginHost, clock.OriginNVR, clock.OriginCentre}
		origins := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, len(all), rapid.ID[clock.Origin]).Draw(r, "sources")
		liar := rapid.SampledFrom([]clock.Origin{"", "machine", clock.OriginNVR, clock.OriginCentre}).Draw(r, "liar")
		d := func(name string, most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(int64(time.Minute), int64(most)).Draw(r, name))
		}
		far := func(name string, of ...time.Duration) time.Duration { // about one of these, ahead or behind
			by := rapid.SampledFrom(of).Draw(r, name) + d("more", time.Hour)
			if rapid.Bool().Draw(r, "behind") {
				return -by
			}
			return by
		}
		var script []step
		for range rapid.IntRange(4, 25).Draw(r, "steps") {
			s := step{what: rapid.SampledFrom(often).Draw(r, "what"), pass: d("pass", rapid.SampledFrom([]time.Duration{day, 3 * day, 10 * day}).Draw(r, "most")), who: rapid.SampledFrom([]int{0, 1, 2, 3, 4, 5}).Draw(r, "who")}
			switch s.what {
			case stepCut, stepAlone:
				s.arg = rapid.SampledFrom([]time.Duration{0, day, 20 * day, 70 * day}).Draw(r, "cut") + d("off", time.Hour)
			case stepApply:
				s.arg = d("term", 40*day)
			case stepWrong:
				s.lie = far("wrong", 0, 3*day, 20*day, 50*day)
			case stepLie:
				s.lie = far("lie", 0, 22*time.Hour, 20*day, 400*day)
			}
			script = append(script, s)
		}
		if err := play(t, origins, liar, script); err != nil {
			r.Fatal(err)
		}
	})
	t.Logf("%d lives; %v", n, done)
}

// long says whether more lives than a few are asked for: CAMPUSKEEP_MODEL=long.
func long() bool { return os.Getenv("CAMPUSKEEP_MODEL") == "long" }
