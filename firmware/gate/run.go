package gate

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"golang.org/x/sync/errgroup"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/reader"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

const (
	workers   = 32 // taps that may wait for the store at once
	queueSize = 64 // taps that wait behind one of them
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
						g.o.Log.Error("tap not recorded; the reader gave the long tone", "reader", read.Reader, "err", err)
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
	t := time.NewTicker(aliveEvery / 4)
	defer t.Stop()
	var w watching
	for {
		g.round(ctx, &w)
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watching is what watch has done so far, by the monotonic clock; zero is never.
type watching struct{ beat, swept, forgot time.Duration }

// forgetEvery is how often notes about old marks are removed.
const forgetEvery = 10 * time.Minute

// round does what is due. What fails is tried again in the next one.
func (g *Gate) round(ctx context.Context, w *watching) {
	try := func(what string, f func(context.Context) error) bool {
		err := f(ctx)
		if err != nil && ctx.Err() == nil {
			g.o.Log.Error("gate: "+what, "err", err)
		}
		return err == nil
	}
	now := g.o.Clock.Now()
	// Nobody is called absent before the time without this program is known.
	heard := try("the time without power is not recorded", g.closeLastRun)
	if heard && now.State == clock.Trusted && (w.beat == 0 || now.Mono-w.beat >= aliveEvery) && try("sign of life not written", g.writeAlive) {
		w.beat = now.Mono // in doubt none is written: the first trusted instant does it
	}
	try("outage of the register not written", g.commitRegisterOutage)
	try("outages of readers not written", g.writePending)
	try("taps made while the clock was in doubt keep their claimed time", g.settle)
	if !heard {
		return
	}
	if g.sweepDue(w.swept, now) && try("days not decided", func(ctx context.Context) error { _, err := g.Sweep(ctx); return err }) {
		w.swept = now.Mono
	}
	if w.forgot == 0 || now.Mono-w.forgot >= forgetEvery {
		w.forgot = now.Mono
		try("notes about old marks of terminals stay", g.forgetMarks)
	}
	if now.State == clock.Trusted {
		try("days that were missed are not decided", g.sweepMissed)
	}
}

// sweepDue says whether a moment at which a day is decided without a tap has passed since the last sweep: the
// teacher is asked, the parents are notified, the school closes (S7), and the same after a leave that ends today.
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
	since := now.Wall.Add(last - now.Mono)
	due := func(at time.Time) bool { return at.After(since) && !at.After(now.Wall) }
	grades := []int{0} // the school's own hours, and one of each group of grades that has its own
	for _, x := range cal.Grades {
		grades = append(grades, x.Grades[0]) // Check refuses a group without grades
	}
	var day attendance.Day
	var all []attendance.Hours
	for _, grade := range grades {
		var h attendance.Hours
		if day, h, err = cal.DayOf(date, grade); err != nil {
			return false
		}
		all = append(all, h)
		for _, m := range []int{h.Bell + h.Grace + 1, h.Bell + h.AskTeacher, h.Bell + h.TellParents, h.Home, h.Closes} {
			if due(day.At(m)) {
				return true
			}
		}
	}
	known, err := g.known(day)
	if err != nil {
		return true // the sweep says what is wrong
	}
	for _, ev := range known {
		for _, l := range ev.Leaves {
			for _, h := range all {
				for _, m := range []int{0, h.Grace + 1, h.AskTeacher, h.TellParents} {
					if l.Approved && due(l.To.Add(time.Duration(m)*time.Minute)) {
						return true
					}
				}
			}
		}
	}
	return false
}

// maxMissedDays is how far back days are decided that were missed when they closed.
const maxMissedDays = 31

// sweepMissed decides the days before today that nobody has decided after their closing: the program was off then, or
// the store failed.
func (g *Gate) sweepMissed(ctx context.Context) error {
	cal := g.o.Site.Calendar()
	loc, err := cal.Location()
	if err != nil {
		return err
	}
	y, m, d := g.o.Clock.Now().Wall.In(loc).Date()
	before := func(days int) string { return time.Date(y, m, d-days, 12, 0, 0, 0, loc).Format(attendance.DateLayout) }
	var done string
	var known bool
	err = g.o.Store.View(func(tx ledgerdb.Tx) error {
		var err error
		done, _, known, err = swept.Get(tx, allReaders)
		return err
	})
	if err != nil {
		return fmt.Errorf("read which day was decided last: %w", err)
	}
	if known && done >= before(1) {
		return nil
	}
	for n := maxMissedDays; known && n > 0; n-- {
		if date := before(n); date > done && g.hasRecords(date) {
			if _, err := g.SweepDate(ctx, date); err != nil {
				return fmt.Errorf("decide the day %s: %w", date, err)
			}
		}
	}
	if _, err := g.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{swept.Put(allReaders, before(1))}}); err != nil {
		return fmt.Errorf("note which day was decided last: %w", err)
	}
	return nil
}

// hasRecords says whether anything of a date is on record. There is nothing of a day on which the box was off.
func (g *Gate) hasRecords(date string) (some bool) {
	err := g.o.Store.View(func(tx ledgerdb.Tx) error {
		for range days.Prefix(tx, date+"/") {
			some = true
			break
		}
		for range taps.Prefix(tx, date+"/") {
			some = true
			break
		}
		return nil
	})
	return some || err != nil
}

// Sweep decides today again for every student, from all evidence, and records what changed. It returns how
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
	err = g.o.Store.View(func(tx ledgerdb.Tx) error {
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
			day, _, err := g.derive(ctx, date, d.status.Student, d.status.Class, now, evidenceChange{})
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
