package gate

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"golang.org/x/sync/errgroup"

	"campuskeep/firmware/reader"
	"campuskeep/firmware/store"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

const (
	workers   = 32 // taps that may wait for the store at once
	queueMost = 64 // taps that wait behind one of them
)

// Handle takes a card read from a reader without waiting. Reads of the same card stay in order. When the
// gate cannot keep up, the person hears the long tone at once.
func (g *Gate) Handle(read reader.CardRead) {
	h := fnv.New32a()
	h.Write(read.UID)
	select {
	case g.queue[h.Sum32()%workers] <- read:
	default:
		g.o.Log.Error("card read refused: more taps than the store takes", "reader", read.Reader)
		g.o.Show(read.Reader, attendance.SignalFail)
		g.publish(read, Result{Signal: attendance.SignalFail}, g.o.Clock.Now())
	}
}

// Run serves what Handle took, notes outages, and decides the days of those who do not come, until ctx ends.
func (g *Gate) Run(ctx context.Context) error {
	var eg errgroup.Group
	for i := range g.queue {
		eg.Go(func() error {
			for {
				select {
				case read := <-g.queue[i]:
					if _, err := g.Tap(ctx, read); err != nil {
						g.o.Log.Error("tap not recorded; the student was told by the long tone", "reader", read.Reader, "err", err)
					}
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		})
	}
	eg.Go(func() error { return g.watch(ctx) })
	return eg.Wait()
}

// watch notes that the gate runs and decides days at their moments.
func (g *Gate) watch(ctx context.Context) error {
	if err := g.noteStart(ctx); err != nil && ctx.Err() == nil {
		g.o.Log.Error("gate: the time without power is not recorded", "err", err)
	}
	t := time.NewTicker(aliveEvery / 4)
	defer t.Stop()
	var beat, swept time.Duration
	for {
		now := g.o.Clock.Now()
		if beat == 0 || now.Mono-beat >= aliveEvery {
			beat = now.Mono
			if err := g.noteAlive(ctx); err != nil && ctx.Err() == nil {
				g.o.Log.Error("gate: sign of life not written", "err", err)
			}
		}
		if err := g.writeDown(ctx); err != nil && ctx.Err() == nil {
			g.o.Log.Error("gate: outage of the register not written", "err", err)
		}
		if err := g.settle(ctx); err != nil && ctx.Err() == nil {
			g.o.Log.Error("gate: taps made while the clock was in doubt keep their claimed time", "err", err)
		}
		if g.sweepDue(swept, now) {
			swept = now.Mono
			if _, err := g.Sweep(ctx); err != nil && ctx.Err() == nil {
				g.o.Log.Error("gate: days not decided", "err", err)
			}
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sweepDue says whether a moment at which a day is decided without a tap has passed since the last sweep:
// the teacher is asked, the parents are told, the school closes (S7).
func (g *Gate) sweepDue(last time.Duration, now clock.Reading) bool {
	if now.State != clock.Trusted {
		return false // nobody is called absent by a clock in doubt
	}
	if last == 0 {
		return true
	}
	cal := g.o.Site.Calendar()
	date, err := cal.Date(now.Wall)
	if err != nil {
		return false
	}
	day, h, err := cal.Day(date)
	if err != nil {
		return false
	}
	since := now.Wall.Add(last - now.Mono)
	for _, m := range []int{h.Bell + h.Grace + 1, h.Bell + h.AskTeacher, h.Bell + h.TellParents, h.Home, h.Closes} {
		if at := day.At(m); at.After(since) && !at.After(now.Wall) {
			return true
		}
	}
	return false
}

// Sweep decides today anew for every student, from all evidence, and records what changed. It returns how
// many days changed.
func (g *Gate) Sweep(ctx context.Context) (int, error) {
	now := g.o.Clock.Now()
	date, err := g.o.Site.Calendar().Date(now.Wall)
	if err != nil {
		return 0, err
	}
	return g.SweepDate(ctx, date)
}

// SweepDate is Sweep for one date.
func (g *Gate) SweepDate(ctx context.Context, date string) (int, error) {
	now := g.o.Clock.Now()
	current, err := g.decideAll(date, now)
	if err != nil {
		return 0, err
	}
	before := map[string]attendance.DayStatus{}
	err = g.o.Store.View(func(tx store.Tx) error {
		for _, d := range days.Prefix(tx, date+"/") {
			before[d.Student] = d
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read the days of %s: %w", date, err)
	}
	var eg errgroup.Group
	eg.SetLimit(64)
	changed := 0
	for _, d := range current {
		was, stored := before[d.status.Student]
		if d.status.Same(was) || (!stored && quietOutcome(d.status.Outcome)) {
			continue
		}
		changed++
		eg.Go(func() error {
			day, _, err := g.derive(ctx, date, d.status.Student, d.status.Class, now, news{})
			if err == nil {
				g.publishDay(day, now)
			}
			return err
		})
	}
	return changed, eg.Wait()
}

// quietOutcome says that a day needs no record: nothing is expected, or not yet.
func quietOutcome(o attendance.Outcome) bool {
	return o == attendance.Pending || o == attendance.NoSchool
}
