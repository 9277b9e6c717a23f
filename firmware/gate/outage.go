package gate

import (
	"context"
	"fmt"
	"time"

	"campuskeep/firmware/reader"
	"campuskeep/firmware/store"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// Outage is a time in which a reader, the store or the whole appliance could not take taps.
type Outage struct {
	ID        string               `json:"id"`
	Reader    string               `json:"reader,omitempty"` // empty: everything
	Direction attendance.Direction `json:"direction"`
	From      time.Time            `json:"from"`
	To        time.Time            `json:"to,omitzero"` // zero: it lasts
	Reason    string               `json:"reason"`
}

// Why everything was down.
const (
	ReasonRegister  = "register"  // the store did not take taps
	ReasonAppliance = "appliance" // the program or the machine was off
)

// everything is the subject of entries about outages of no single reader.
const everything = "gate"

// blindFrom is how long an outage must last to count: who gets no beep holds the card again, and a reader
// that restarts must not make a whole school unknown.
const blindFrom = time.Minute

// aliveEvery is how often the gate notes that it runs, so that a time without power is known afterwards.
const aliveEvery = time.Minute

func (g *Gate) loadOutages() error {
	err := g.o.Store.View(func(tx store.Tx) error {
		for _, o := range outages.All(tx) {
			g.outages = append(g.outages, o)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the outages of the gate: %w", err)
	}
	return nil
}

// blind is what the gate could not hear on a day, as far as it lasted long enough to count.
func (g *Gate) blind(day attendance.Day, now time.Time) []attendance.Blind {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.outages
	if g.down != nil {
		all = append(all[:len(all):len(all)], *g.down)
	}
	var out []attendance.Blind
	for _, o := range all {
		end := o.To
		if end.IsZero() {
			end = now
		}
		if o.From.Before(day.End) && end.After(day.Start) && end.Sub(o.From) >= blindFrom {
			out = append(out, attendance.Blind{From: o.From, To: o.To, Direction: o.Direction, Register: o.Reason == ReasonRegister})
		}
	}
	return out
}

type readerData struct {
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
}

func readerEntry(subject string, state reader.State, reason string) ledger.Draft {
	return ledger.Draft{Actor: ledger.System, Via: ledger.ViaGate, Kind: "reader.state", Subject: subject, Data: readerData{string(state), reason}}
}

// ReaderState records that a reader went on or off line: an entry, and an outage that begins or ends. What a
// student may have tapped meanwhile is then unknown, not missing.
func (g *Gate) ReaderState(ctx context.Context, s reader.Status) error {
	now := g.o.Clock.Now()
	c := store.Change{Entries: []ledger.Draft{readerEntry(s.Reader, s.State, s.Reason)}}
	g.mu.Lock()
	g.readers[s.Reader] = s
	open := g.openOutage(s.Reader)
	g.mu.Unlock()

	var changed Outage
	switch {
	case s.State == reader.Online && open != nil:
		changed = *open
		changed.To = wallAt(s.Since, now)
	case s.State != reader.Online && open == nil:
		from := wallAt(s.Since, now)
		changed = Outage{ID: fmt.Sprintf("%s-%x", s.Reader, from.UnixMilli()), Reader: s.Reader, Direction: g.direction(s.Reader), From: from, Reason: s.Reason}
	}
	if changed.ID != "" {
		c.Puts = append(c.Puts, outages.Put(changed.ID, changed))
	}
	_, err := g.o.Store.Commit(ctx, c)
	if changed.ID != "" {
		// Known to this process even when it could not be written: the rules must not take silence for absence.
		g.setOutage(changed)
	}
	g.feed.send(Event{Kind: EventReader, At: now.Wall, Reader: s.Reader, State: s.State, Reason: s.Reason})
	if err != nil {
		return fmt.Errorf("record that reader %s is %s: %w", s.Reader, s.State, err)
	}
	return nil
}

func wallAt(mono time.Duration, now clock.Reading) time.Time {
	return now.Wall.Add(-max(0, now.Mono-mono)).UTC().Truncate(time.Millisecond)
}

// openOutage finds the outage of a reader that lasts. Call with mu held.
func (g *Gate) openOutage(readerID string) *Outage {
	for i := range g.outages {
		if g.outages[i].Reader == readerID && g.outages[i].To.IsZero() {
			return &g.outages[i]
		}
	}
	return nil
}

func (g *Gate) setOutage(o Outage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.outages {
		if g.outages[i].ID == o.ID {
			g.outages[i] = o
			return
		}
	}
	g.outages = append(g.outages, o)
}

// noteStore keeps account of whether the store takes taps: from the first failure to the next success is an
// outage of the register.
func (g *Gate) noteStore(err error, now clock.Reading) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err != nil && g.down == nil:
		g.down = &Outage{ID: fmt.Sprintf("register-%x", now.Wall.UnixMilli()), Direction: attendance.Auto, From: now.Wall.UTC(), Reason: ReasonRegister}
	case err == nil && g.down != nil && g.down.To.IsZero():
		g.down.To = now.Wall.UTC()
	}
}

// writeDown makes an outage of the register that is over durable.
func (g *Gate) writeDown(ctx context.Context) error {
	g.mu.Lock()
	down := g.down
	g.mu.Unlock()
	if down == nil || down.To.IsZero() {
		return nil
	}
	return g.commitOutage(ctx, *down, func() { g.down = nil })
}

// noteStart records the time in which this program did not run, from the last sign of life.
func (g *Gate) noteStart(ctx context.Context) error {
	now := g.o.Clock.Now()
	var last time.Time
	var known bool
	err := g.o.Store.View(func(tx store.Tx) error {
		var err error
		last, _, known, err = alive.Get(tx, everything)
		return err
	})
	if err != nil {
		return fmt.Errorf("read when the gate ran last: %w", err)
	}
	if !known || now.Wall.Sub(last) < aliveEvery+blindFrom {
		return nil
	}
	return g.commitOutage(ctx, Outage{ID: fmt.Sprintf("appliance-%x", last.UnixMilli()), Direction: attendance.Auto, From: last, To: now.Wall.UTC(), Reason: ReasonAppliance}, func() {})
}

// commitOutage writes an outage of everything that is over.
func (g *Gate) commitOutage(ctx context.Context, o Outage, done func()) error {
	_, err := g.o.Store.Commit(ctx, store.Change{
		Puts:    []store.Put{outages.Put(o.ID, o)},
		Entries: []ledger.Draft{readerEntry(everything, reader.Offline, o.Reason), readerEntry(everything, reader.Online, o.Reason)},
	})
	if err != nil {
		return fmt.Errorf("record that the gate took no taps: %w", err)
	}
	g.setOutage(o)
	g.mu.Lock()
	done()
	g.mu.Unlock()
	return nil
}

func (g *Gate) noteAlive(ctx context.Context) error {
	if _, err := g.o.Store.Commit(ctx, store.Change{Puts: []store.Put{alive.Put(everything, g.o.Clock.Now().Wall.UTC())}}); err != nil {
		return fmt.Errorf("note that the gate runs: %w", err)
	}
	return nil
}
