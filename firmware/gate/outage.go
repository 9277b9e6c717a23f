package gate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/reader"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// Outage is a time in which a reader, the store or the whole appliance could not take taps. That of a reader
// belongs to a reader in service: it ends when the reader leaves service.
type Outage struct {
	ID        string               `json:"id"`
	Reader    string               `json:"reader,omitempty"` // empty: everything
	Direction attendance.Direction `json:"direction"`
	From      time.Time            `json:"from"`
	To        time.Time            `json:"to,omitzero"` // zero: it lasts
	Reason    string               `json:"reason"`
	// Doubt says that From, or To, is the claim of a clock that was not trusted. What is certain is how long after
	// the start of Boot it was.
	Doubt    bool   `json:"doubt,omitempty"`
	Boot     string `json:"boot,omitempty"`
	Mono     int64  `json:"mono,omitempty"`
	MonoTo   int64  `json:"mono_to,omitempty"`
	BootedTo string `json:"boot_to,omitempty"`
}

// Why everything was down.
const (
	ReasonRegister  = "register"  // the store did not take taps
	ReasonAppliance = "appliance" // the program or the machine was off
)

// ReasonNoBus: the reader is registered on a line that the configuration does not have.
const ReasonNoBus = "no_line"

// allReaders is the subject of entries about outages of more than one reader.
const allReaders = "gate"

// unobservedFrom is how long an outage must last to count: who gets no beep holds the card again, and a reader
// that restarts must not make a whole school unknown.
const unobservedFrom = time.Minute

// aliveEvery is how often the gate notes that it runs, so that a time without power is known afterwards.
const aliveEvery = time.Minute

func (g *Gate) loadOutages() error {
	err := g.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, o := range outages.All(tx) {
			g.outages = append(g.outages, o)
		}
		var err error
		g.lastAlive, _, _, err = alive.Get(tx, allReaders)
		return err
	})
	if err != nil {
		return fmt.Errorf("read the outages of the gate and when it ran last: %w", err)
	}
	now := g.o.Clock.Now()
	g.startBoot, g.startMono = now.Boot, now.Mono
	return nil
}

// unobserved returns the outages of a day, as far as it lasted long enough to count.
func (g *Gate) unobserved(day attendance.Day, now clock.Reading) []attendance.Unobserved {
	service := g.inService()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closeStaleOutages(service, now)
	all := g.outages
	if g.down != nil {
		all = append(all[:len(all):len(all)], *g.down)
	}
	if o, some := g.sinceLastRun(now); some {
		all = append(all[:len(all):len(all)], o)
	}
	var out []attendance.Unobserved
	if !g.sees(service) {
		out = append(out, attendance.Unobserved{From: day.Start, Direction: attendance.Auto}) // no reader: nobody can be seen
	}
	for _, o := range all {
		end := o.To
		if end.IsZero() {
			end = now.Wall
		}
		if o.From.Before(day.End) && end.After(day.Start) && end.Sub(o.From) >= unobservedFrom {
			out = append(out, attendance.Unobserved{From: o.From, To: o.To, Direction: o.Direction, Register: o.Reason == ReasonRegister})
		}
	}
	return out
}

// failing names what takes no taps of those who come in at this moment, for however short; empty: nothing fails.
func (g *Gate) failing() attendance.Reason {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down != nil && g.down.To.IsZero() {
		return attendance.RegisterUnobserved
	}
	if slices.ContainsFunc(g.outages, func(o Outage) bool { return o.To.IsZero() && o.Direction != attendance.Out }) {
		return attendance.GateUnobserved
	}
	return ""
}

// sees says whether any reader takes those who come in.
func (g *Gate) sees(service map[string]bool) bool {
	for id, served := range service {
		if served && g.direction(id) != attendance.Out {
			return true
		}
	}
	return false
}

// inService are the readers that the register has and a line serves.
func (g *Gate) inService() map[string]bool {
	out := map[string]bool{}
	for _, r := range g.o.Site.Readers() {
		out[r.ID] = !r.NoBus
	}
	return out
}

// closeStaleOutages ends the outages of readers that are not in service any more, and gives those that were claimed by
// a clock in doubt their true time. What it changes is a pending write. Call with mu held.
func (g *Gate) closeStaleOutages(service map[string]bool, now clock.Reading) {
	for i := range g.outages {
		o := &g.outages[i]
		if o.Reader != "" && o.To.IsZero() && !service[o.Reader] {
			o.end(now.Mono, now)
			g.pendingFor(o.Reader).outages[o.ID] = true
		}
		if o.Doubt && now.State == clock.Trusted && o.place(now) {
			g.pendingFor(o.Reader).outages[o.ID] = true
		}
	}
}

// begin and end set the ends of an outage at a monotonic instant of this boot.
func (o *Outage) begin(mono time.Duration, now clock.Reading) {
	o.From, o.Boot, o.Mono, o.Doubt = wallAt(mono, now), now.Boot, int64(mono), now.State != clock.Trusted
}

func (o *Outage) end(mono time.Duration, now clock.Reading) {
	o.To, o.BootedTo, o.MonoTo = wallAt(mono, now), now.Boot, int64(mono)
	if o.To.Before(o.From) {
		o.To = o.From // the clock was set back meanwhile
	}
	o.Doubt = o.Doubt || now.State != clock.Trusted
}

// place gives the ends that lie in this boot their true instants; false when nothing is left to place in it.
func (o *Outage) place(now clock.Reading) bool {
	from, to := o.Boot == now.Boot, o.BootedTo == now.Boot
	if !from && !to {
		return false
	}
	if from {
		o.From = wallAt(time.Duration(o.Mono), now)
	}
	if to {
		o.To = wallAt(time.Duration(o.MonoTo), now)
	}
	if !o.To.IsZero() && o.To.Before(o.From) {
		o.From = o.To
	}
	o.Doubt = !from // its beginning stays a claim of an earlier boot
	if o.Doubt {
		o.BootedTo = ""
	}
	return true
}

type readerData struct {
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	Count  int    `json:"count,omitempty"` // so many changes since the entry before
}

func readerEntry(subject string, state reader.State, reason string, count int) ledger.Draft {
	if count < 2 {
		count = 0
	}
	return ledger.Draft{Actor: ledger.System, Via: ledger.ViaGate, Kind: "reader.state", Subject: subject, Data: readerData{string(state), reason, count}}
}

// pendingWrite is what is not in the store yet of a reader: the store failed, or the reader changes too often.
type pendingWrite struct {
	outages map[string]bool
	changes int // of its state
}

// pendingFor returns the pending writes of a reader. Call with mu held.
func (g *Gate) pendingFor(readerID string) *pendingWrite {
	o := g.pending[readerID]
	if o == nil {
		o = &pendingWrite{outages: map[string]bool{}}
		g.pending[readerID] = o
	}
	return o
}

// ReaderState records that a reader went on or off line: an entry, and an outage that begins or ends. What a
// student may have tapped meanwhile is then unknown, not missing. What cannot be written now is written later.
func (g *Gate) ReaderState(ctx context.Context, s reader.Status) error {
	now := g.o.Clock.Now()
	service := g.inService()
	g.mu.Lock()
	g.closeStaleOutages(service, now)
	was := g.readers[s.Reader]
	g.readers[s.Reader] = s
	due := g.pendingFor(s.Reader)
	if was != s {
		due.changes++
	}
	open := g.openOutage(s.Reader)
	switch {
	case s.State == reader.Online && open != nil:
		open.end(s.Since, now)
		due.outages[open.ID] = true
	case s.State != reader.Online && open == nil && s.Reason != reader.ReasonStop && service[s.Reader]:
		// A line that we leave is no outage: the time until the next start is known by the sign of life, and a
		// reader that left the register is not waited for.
		due.outages[g.outageBegins(s, due, now)] = true
	}
	g.mu.Unlock()
	err := g.writeReader(ctx, s.Reader)
	g.feed.send(Event{Kind: EventReader, At: now.Wall, Reader: s.Reader, State: s.State, Reason: s.Reason})
	if errors.Is(err, ledgerdb.ErrRateLimited) {
		return nil // told later, with how often it changed
	}
	return err
}

// outageBegins begins an outage, or goes on with the last one when that is not in the store yet. Call with mu held.
func (g *Gate) outageBegins(s reader.Status, due *pendingWrite, now clock.Reading) string {
	for i := len(g.outages) - 1; i >= 0; i-- {
		if o := &g.outages[i]; o.Reader == s.Reader && due.outages[o.ID] && !o.Doubt {
			o.To, o.BootedTo, o.MonoTo = time.Time{}, "", 0
			return o.ID
		}
	}
	o := Outage{Reader: s.Reader, Direction: g.direction(s.Reader), Reason: s.Reason}
	o.begin(s.Since, now)
	o.ID = fmt.Sprintf("%s-%x", s.Reader, o.From.UnixMilli())
	for g.outageByID(o.ID) != nil {
		o.ID += "b" // the clock was stopped
	}
	g.outages = append(g.outages, o)
	return o.ID
}

// outagesAtOnce is how many outages of a reader go with one entry, which binds their rows and has to fit a leaf: a reader
// that comes and goes while the clock is in doubt has as many to place as it has gone.
const outagesAtOnce = 12

// writeReader writes what is owed about a reader.
func (g *Gate) writeReader(ctx context.Context, readerID string) error {
	g.writing.Lock()
	defer g.writing.Unlock()
	g.mu.Lock()
	due := g.pending[readerID]
	if due == nil {
		g.mu.Unlock()
		return nil
	}
	changes, ids := due.changes, slices.Sorted(maps.Keys(due.outages))
	ids = ids[:min(len(ids), outagesAtOnce)] // the rest with the next write
	s, known := g.readers[readerID]
	if !known {
		s = reader.Status{Reader: readerID, State: reader.Offline, Reason: reader.ReasonStop}
	}
	c := ledgerdb.Change{Entries: []ledger.Draft{readerEntry(readerID, s.State, s.Reason, changes)}}
	written := map[string]Outage{}
	for _, id := range ids {
		if o := g.outageByID(id); o != nil {
			c.Puts, written[id] = append(c.Puts, outages.Put(id, *o)), *o
		}
	}
	g.mu.Unlock()
	if readerID == "" {
		c.Entries = []ledger.Draft{readerEntry(allReaders, reader.Online, ReasonRegister, 0)} // its times are known now
	}
	_, err := g.o.Store.Commit(ctx, c)
	g.version.Add(1)
	if err != nil {
		return fmt.Errorf("record that reader %s is %s: %w", readerID, s.State, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	due.changes -= changes
	for id, o := range written {
		if now := g.outageByID(id); now != nil && *now == o {
			delete(due.outages, id)
		}
	}
	if due.changes == 0 && len(due.outages) == 0 {
		delete(g.pending, readerID)
	}
	return nil
}

// writePending writes what could not be written when it happened.
func (g *Gate) writePending(ctx context.Context) error {
	service, now := g.inService(), g.o.Clock.Now()
	g.mu.Lock()
	g.closeStaleOutages(service, now)
	ids := slices.Sorted(maps.Keys(g.pending))
	g.mu.Unlock()
	var failed error
	for _, id := range ids {
		if err := g.writeReader(ctx, id); err != nil && !errors.Is(err, ledgerdb.ErrRateLimited) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
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

// outageByID finds an outage. Call with mu held.
func (g *Gate) outageByID(id string) *Outage {
	for i := range g.outages {
		if g.outages[i].ID == id {
			return &g.outages[i]
		}
	}
	return nil
}

// trackStore records whether the store takes taps: from the first failure to the next success is an outage of
// the register.
func (g *Gate) trackStore(err error, now clock.Reading) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err != nil && g.down == nil:
		g.down = &Outage{ID: fmt.Sprintf("register-%x", now.Wall.UnixMilli()), Direction: attendance.Auto, Reason: ReasonRegister}
		g.down.begin(now.Mono, now)
	case err != nil && !g.down.To.IsZero(): // it fails again before the first time is on record
		g.down.To, g.down.BootedTo, g.down.MonoTo = time.Time{}, "", 0
	case err == nil && g.down != nil && g.down.To.IsZero():
		g.down.end(now.Mono, now)
	}
}

// commitRegisterOutage makes an outage of the register that is over durable.
func (g *Gate) commitRegisterOutage(ctx context.Context) error {
	g.mu.Lock()
	down := g.down
	g.mu.Unlock()
	if down == nil || down.To.IsZero() {
		return nil
	}
	return g.commitOutage(ctx, *down, func() {
		if g.down == down {
			g.down = nil
		}
	})
}

// sinceLastRun is the time in which this program did not run, from the last sign of life to the start, once the clock
// can say how long that was; false when there was none, or it is on record. Call with mu held.
func (g *Gate) sinceLastRun(now clock.Reading) (Outage, bool) {
	if g.lastAlive.IsZero() || now.State != clock.Trusted || now.Boot != g.startBoot {
		return Outage{}, false
	}
	o := Outage{ID: fmt.Sprintf("appliance-%x", g.lastAlive.UnixMilli()), Direction: attendance.Auto, From: g.lastAlive, To: wallAt(g.startMono, now), Reason: ReasonAppliance}
	return o, o.To.Sub(o.From) >= aliveEvery+unobservedFrom
}

// closeLastRun records the time without this program as soon as the clock is trusted. Until then the last sign of life
// stays as it is: a board without a clock chip starts with the time at which the power went.
func (g *Gate) closeLastRun(ctx context.Context) error {
	now := g.o.Clock.Now()
	if now.State != clock.Trusted {
		return nil
	}
	g.mu.Lock()
	o, some := g.sinceLastRun(now)
	g.mu.Unlock()
	if some {
		return g.commitOutage(ctx, o, func() { g.lastAlive = time.Time{} })
	}
	g.mu.Lock()
	g.lastAlive = time.Time{}
	g.mu.Unlock()
	return nil
}

// commitOutage writes an outage of everything that is over.
func (g *Gate) commitOutage(ctx context.Context, o Outage, done func()) error {
	_, err := g.o.Store.Commit(ctx, ledgerdb.Change{
		Puts:    []ledgerdb.Put{outages.Put(o.ID, o)},
		Entries: []ledger.Draft{readerEntry(allReaders, reader.Offline, o.Reason, 0), readerEntry(allReaders, reader.Online, o.Reason, 0)},
	})
	if err != nil {
		return fmt.Errorf("record that the gate took no taps: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.outages = append(g.outages, o)
	done()
	return nil
}

// writeAlive writes the sign of life, by a trusted clock only, and only when the time before it is on record.
func (g *Gate) writeAlive(ctx context.Context) error {
	now := g.o.Clock.Now()
	g.mu.Lock()
	waits := !g.lastAlive.IsZero()
	g.mu.Unlock()
	if waits || now.State != clock.Trusted {
		return nil
	}
	if _, err := g.o.Store.Commit(ctx, ledgerdb.Change{Puts: []ledgerdb.Put{alive.Put(allReaders, now.Wall.UTC())}}); err != nil {
		return fmt.Errorf("note that the gate runs: %w", err)
	}
	return nil
}
